/* How much memory this process may have: the machine's, its cgroup's (v1 and v2, and those above it) or its
 * resource limits, whichever is least. Reads files of /proc and /sys: at the start and at a reload, not on a
 * hot path. */
#ifndef SB_BASE_SYSTEM_MEMORY_H
#define SB_BASE_SYSTEM_MEMORY_H

#include <stdint.h>

/* In bytes, never 0. */
uint64_t sb_system_memory(void);

/* The least limit of a cgroup and those above it. `root` is where the hierarchy is mounted, `path` the cgroup
 * in it
 * ("/a/b"), `file` what has the limit ("memory.max"). UINT64_MAX: none. */
uint64_t sb_cgroup_memory(const char *root, const char *path, const char *file);

#endif
