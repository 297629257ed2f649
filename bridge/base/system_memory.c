#include "bridge/base/system_memory.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void lower(uint64_t *least, uint64_t bytes) {
  if (bytes > 0 && bytes < *least) *least = bytes;
}

/* "max" and what is larger than any machine: no limit. */
static uint64_t read_limit(const char *name) {
  unsigned long long bytes = 0;
  FILE *file = fopen(name, "re");
  if (!file) return UINT64_MAX;
  int got = fscanf(file, "%llu", &bytes);
  fclose(file);
  return got == 1 && bytes > 0 ? bytes : UINT64_MAX;
}

uint64_t sb_cgroup_memory(const char *root, const char *path, const char *file) {
  char name[PATH_MAX], group[PATH_MAX];
  uint64_t least = UINT64_MAX;
  snprintf(group, sizeof group, "%s", path);
  for (;;) {
    if (snprintf(name, sizeof name, "%s%s/%s", root, strcmp(group, "/") == 0 ? "" : group, file) <
        (int)sizeof name)
      lower(&least, read_limit(name));
    char *slash = strrchr(group, '/');
    if (!slash || group[0] == 0) return least;
    *slash = 0;
  }
}

/* Lines are "0::/path" (v2) or "5:memory:/path" (v1). */
static uint64_t own_cgroups(void) {
  char line[PATH_MAX];
  uint64_t least = UINT64_MAX;
  FILE *file = fopen("/proc/self/cgroup", "re");
  if (!file) return least;
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    char *path = strrchr(line, ':');
    if (!path) continue;
    *path++ = 0;
    if (strcmp(line, "0:") == 0) lower(&least, sb_cgroup_memory("/sys/fs/cgroup", path, "memory.max"));
    if (strstr(line, "memory"))
      lower(&least, sb_cgroup_memory("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"));
  }
  fclose(file);
  return least;
}

static uint64_t resource_limit(__rlimit_resource_t which) {
  struct rlimit limit;
  if (getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  return limit.rlim_cur;
}

uint64_t sb_system_memory(void) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  uint64_t least = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
  lower(&least, own_cgroups());
  lower(&least, resource_limit(RLIMIT_AS));
  lower(&least, resource_limit(RLIMIT_DATA));
  return least;
}
