/* A session's share of a turn of the loop. Requests of one session are taken until it has used up its share;
 * then, or when all of them together have used up the turn, it waits behind the others, and the next turn
 * goes on with those that wait, first come, first served. So no session holds the loop, whatever it
 * pipelines, and signals, timers and the log have their turn too.
 *
 * A share is bytes of replies that were composed, and time. */
#ifndef SB_REDIS_SOCKETS_SHARE_H
#define SB_REDIS_SOCKETS_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "bridge/redis/sockets/list.h"

struct sb_connection;
struct sb_server;

/* Of one session. */
struct sb_share {
  uint64_t turn; /* in which this was used */
  size_t bytes;
  uint64_t ns;
  struct sb_link link; /* in waiting */
};

/* Of all. */
struct sb_shares {
  uint64_t
      turn;     /* begins before the sessions that wait are let go on, and ends behind those that were read */
  size_t bytes; /* in this turn, of those that waited or of those that were read */
  uint64_t ns;
  uint64_t since_ns; /* time up to here was counted */
  struct sb_link waiting;
  uv_idle_t idle;   /* runs while somebody waits */
  uv_check_t check; /* the end of a turn */
};

void sb_shares_open(struct sb_server *server);
void sb_shares_close(struct sb_server *server);

/* It takes no more in this turn. */
bool sb_share_is_used_up(struct sb_connection *c);

/* A reply, or several, of so many bytes were composed. */
void sb_share_use(struct sb_connection *c, size_t bytes);

/* The time from its begin is the session's; tell it as often as it is to be looked at. */
void sb_share_begin(struct sb_connection *c);
void sb_share_tell_time(struct sb_connection *c);

/* Puts it behind those that wait for their turn; sb_connection_take_turn follows. Or takes it away. */
void sb_share_wait(struct sb_connection *c);
void sb_share_leave(struct sb_connection *c);

#endif
