#include "bridge/base/system_memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void lower(uint64_t *least, uint64_t bytes) {
  if (bytes > 0 && bytes < *least) *least = bytes;
}

bool sb_read_number(const char *name, uint64_t *out) {
  char text[32];
  FILE *file = fopen(name, "re");
  if (!file) return false;
  const char *line = fgets(text, sizeof text, file);
  fclose(file);
  if (!line || line[0] < '0' || line[0] > '9') return false;
  char *end;
  errno = 0;
  unsigned long long number = strtoull(line, &end, 10);
  if (errno != 0 || (*end != 0 && *end != '\n')) return false;
  *out = number;
  return true;
}

/* "max" and what is larger than any machine: no limit. */
static uint64_t read_limit(const char *name) {
  uint64_t bytes;
  return sb_read_number(name, &bytes) && bytes > 0 ? bytes : UINT64_MAX;
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

static bool has_word(const char *list, size_t len, const char *word) {
  size_t want = strlen(word);
  for (const char *end = list + len; list < end;) {
    const char *comma = memchr(list, ',', (size_t)(end - list));
    size_t have = (size_t)((comma ? comma : end) - list);
    if (have == want && memcmp(list, word, want) == 0) return true;
    list += have + 1;
  }
  return false;
}

enum sb_cgroup_kind sb_cgroup_line(const char *line, const char **path) {
  const char *first = strchr(line, ':'), *second = first ? strchr(first + 1, ':') : NULL;
  if (!second || second[1] != '/') return SB_CGROUP_OTHER;
  *path = second + 1; /* names may have colons, as those that containerd gives */
  size_t len = (size_t)(second - first) - 1;
  if (len == 0) return SB_CGROUP_V2;
  return has_word(first + 1, len, "memory") ? SB_CGROUP_V1_MEMORY : SB_CGROUP_OTHER;
}

static uint64_t own_cgroups(void) {
  char line[PATH_MAX];
  const char *path;
  uint64_t least = UINT64_MAX;
  FILE *file = fopen("/proc/self/cgroup", "re");
  if (!file) return least;
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    switch (sb_cgroup_line(line, &path)) {
    case SB_CGROUP_V2:
      lower(&least, sb_cgroup_memory("/sys/fs/cgroup", path, "memory.max"));
      break;
    case SB_CGROUP_V1_MEMORY:
      lower(&least, sb_cgroup_memory("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"));
      break;
    case SB_CGROUP_OTHER:
      break;
    }
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
