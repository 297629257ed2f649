/* A password, key or connection string from a file: one line, at most SB_SECRET_BYTES_MAX bytes. */
#ifndef SB_CONFIG_SECRET_H
#define SB_CONFIG_SECRET_H

#include <stdbool.h>

#include "bridge/base/error.h"

#define SB_SECRET_BYTES_MAX 1024 /* more than any broker takes; less than a wrong file */

/* What is to be known about a file besides its content. */
struct sb_secret_about {
  bool read_by_all, written_by_all; /* by every user of the machine */
  bool far;                         /* its file system waits for others: reading may take long */
};

/* Returns the text without its line end, to be wiped and freed with sb_wipe_free; NULL and an error, which
 * names the file but never what is in it. Only a regular file is read, so that a pipe makes nobody wait.
 * `about` may be NULL. */
char *sb_secret_read(const char *path, struct sb_secret_about *about, struct sb_error *error);

/* Whether it is good enough for a listener: long enough, and not the simplest of its length. `path` is for
 * the error, whose text never shows what is in the file. */
int sb_secret_check_guess(const char *secret, const char *path, struct sb_error *error);

/* The same for a key of the hub: 32 bytes made at random, in base64, hex or any text that holds as much. */
int sb_secret_check_key(const char *secret, const char *path, struct sb_error *error);

#endif
