/* Reading small files whole. */
#ifndef SB_BASE_FILE_H
#define SB_BASE_FILE_H

#include <stddef.h>
#include <sys/stat.h>

#include "bridge/base/error.h"

/* Opens a regular file for reading and fills in *is. Returns the descriptor or an error (below zero), which
 * calls the file `what` ("", "the token file ") and its path. It never waits: the path may name a pipe that
 * nobody writes to. */
int sb_file_open(const char *what, const char *path, struct stat *is, struct sb_error *error);

/* Reads up to the end or `cap` bytes. 0 or an errno; `*len` is what was read, also on an error. For regular
 * files: of others it reads what is there. */
int sb_file_read(int fd, void *at, size_t cap, size_t *len);

#endif
