/* Reading small files whole. */
#ifndef SB_BASE_FILE_H
#define SB_BASE_FILE_H

#include <stddef.h>

/* Reads up to the end or `cap` bytes. 0 or an errno; `*len` is what was read, also on an error. For regular
 * files: of others it reads what is there. */
int sb_file_read(int fd, void *at, size_t cap, size_t *len);

#endif
