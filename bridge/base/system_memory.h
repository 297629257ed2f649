/* How much memory this process may have: the machine's, its cgroup's (v1 and v2, and those above it) or its
 * resource limits, whichever is least. Reads files of /proc and /sys: at the start and at a reload, not on a
 * hot path. */
#ifndef SB_BASE_SYSTEM_MEMORY_H
#define SB_BASE_SYSTEM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* In bytes, never 0. */
uint64_t sb_system_memory(void);

/* The least limit of a cgroup and of those above it. `root` is where the hierarchy is mounted, `path` the
 * cgroup in it, as "/a/b", and `file` has the limit, as "memory.max". UINT64_MAX: there is none. */
uint64_t sb_cgroup_memory(const char *root, const char *path, const char *file);

enum sb_cgroup_kind { SB_CGROUP_OTHER, SB_CGROUP_V2, SB_CGROUP_V1_MEMORY };

/* Of one line of /proc/self/cgroup without its end: "0::/path" (v2) or "5:cpu,memory:/path" (v1). `*path` is
 * within the line. */
enum sb_cgroup_kind sb_cgroup_line(const char *line, const char **path);

/* The number in the first line of a file of the kernel; false when there is none. */
bool sb_read_number(const char *name, uint64_t *out);

#endif
