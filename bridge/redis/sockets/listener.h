/* Accepts connections: on a Unix socket, or on TCP of the loopback interface. It decides who may
 * connect (the user of the peer) and hands descriptors on; what they say is the connection's business.
 *
 * Storage that the caller holds. sb_listener_close begins to close its handles; the storage may go when
 * closed() was called. One thread, the loop's. */
#ifndef SB_REDIS_SOCKETS_LISTENER_H
#define SB_REDIS_SOCKETS_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "bridge/base/error.h"
#include "bridge/redis/sockets/socket_file.h"
#include "bridge/redis/sockets/stranger.h"

struct sb_listener;

struct sb_listener_io {
  void *owner;
  /* Takes the descriptor, which is non-blocking. */
  void (*accepted)(void *owner, struct sb_listener *listener, int fd);
  void (*closed)(void *owner, struct sb_listener *listener);
};

/* Why a connection is turned away. Each reason has its own rate of log lines, so that one peer that tries all
 * the time does not hide others. */
enum sb_turned_away {
  SB_AWAY_USER,
  SB_AWAY_SYSTEM, /* no descriptor, no memory */
  SB_AWAY_SESSIONS,
  SB_AWAY_KINDS
};

struct sb_listener {
  struct sb_listener_io io;
  uv_poll_t poll;
  uv_timer_t pause; /* while descriptors or memory have run out */
  int fd;           /* -1: not open */
  int spare; /* a descriptor in reserve: without another one it is given up to turn a connection away */
  int open_handles;

  bool unix_socket;
  struct sb_socket_file file;
  const char *password; /* NULL: none needed */
  bool allow_given;     /* false: anybody who may open the file */
  const uid_t *allow;   /* the caller's */
  size_t allow_count;

  struct sb_strangers strangers;
  uint32_t sessions; /* open ones that came this way */
  int backlog;       /* how many connections may wait to be taken; the system may allow fewer */

  uint64_t rejected; /* connections turned away */
  struct {
    uint64_t logged_ms; /* when the last was logged; 0: none was */
    uint64_t unlogged;  /* how many since then were not */
  } turned_away[SB_AWAY_KINDS];
};

/* The caller has zeroed the listener and set file.path, file.mode, file.set_group, file.group, password,
 * backlog and allow. */
int sb_listener_open_unix(struct sb_listener *listener, uv_loop_t *loop, const struct sb_listener_io *io,
                          struct sb_error *error);

/* `address` is numeric and of the loopback interface, else SB_ERR_INVALID. Port 0 takes a free one. */
int sb_listener_open_tcp(struct sb_listener *listener, uv_loop_t *loop, const struct sb_listener_io *io,
                         const char *address, uint16_t port, struct sb_error *error);

/* The port that a TCP listener has; 0 for others. */
uint16_t sb_listener_port(const struct sb_listener *listener);

/* For accepted(), when there is no room for one more session: tells the peer and logs the reason. Takes the
 * descriptor. */
void sb_listener_turn_away(struct sb_listener *listener, int fd, const char *why);

/* Takes no more connections and removes the socket file, if it is still the one that was made. Nothing
 * happens when it is not open. */
void sb_listener_close(struct sb_listener *listener);

#endif
