/* A password, key or connection string from a file: one line, at most SB_SECRET_BYTES_MAX bytes. */
#ifndef SB_CONFIG_SECRET_H
#define SB_CONFIG_SECRET_H

#include <stdbool.h>

#include "bridge/base/error.h"

#define SB_SECRET_BYTES_MAX 1024 /* more than any broker takes; less than a wrong file */

/* Returns the text without its line end, to be wiped and freed with sb_secret_free; NULL and an error, which
 * names the file but never what is in it. *open_to_all says that every user of the machine may read it. */
char *sb_secret_read(const char *path, bool *open_to_all, struct sb_error *error);

/* NULL is allowed. */
void sb_secret_free(char *secret);

#endif
