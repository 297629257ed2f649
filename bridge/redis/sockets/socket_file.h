/* The file of a listening Unix socket: made with exactly the rights that were asked for, never in place of a
 * socket that somebody listens on, and removed only while it is still the one that was made. */
#ifndef SB_REDIS_SOCKETS_SOCKET_FILE_H
#define SB_REDIS_SOCKETS_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "bridge/base/error.h"

struct sb_socket_file {
  const char *path; /* the caller's */
  mode_t mode;
  bool set_group;
  gid_t group;

  bool made; /* by sb_socket_file_listen; dev and ino say which file it is */
  dev_t dev;
  ino_t ino;
};

/* Returns a listening, non-blocking descriptor, or a negative code: SB_ERR_IN_USE when another process
 * listens there (the text says which), SB_ERR_INVALID for a path that cannot be one, SB_ERR_SYSTEM. A socket
 * file that nobody listens on is replaced. */
int sb_socket_file_listen(struct sb_socket_file *file, int backlog, struct sb_error *error);

void sb_socket_file_remove(struct sb_socket_file *file);

#endif
