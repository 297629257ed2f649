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

/* Of one session. */
struct sb_share {
  uint64_t turn; /* in which this was used */
  size_t bytes;
  uint64_t ns;
  struct sb_link link; /* in waiting */
};

/* Of all. */
struct sb_shares {
  uint64_t turn; /* begins when sessions that wait go on, and ends when others were read */
  size_t bytes;  /* used in this turn: by sessions that waited, then again by those that were read */
  uint64_t ns;
  uint64_t since_ns; /* time up to here was counted */
  struct sb_link waiting;
  uv_idle_t idle;   /* runs while somebody waits */
  uv_check_t check; /* the end of a turn */
  uv_idle_cb go_on; /* what idle calls, with the owner as its data */
};

/* `go_on` is called once a turn while somebody waits: it lets those in `waiting` go on until the turn is used
 * up. */
void sb_shares_init(struct sb_shares *shares); /* nobody waits */
void sb_shares_open(struct sb_shares *shares, uv_loop_t *loop, void *owner, uv_idle_cb go_on);
void sb_shares_close(struct sb_shares *shares);

/* Whether all sessions together have used up the turn. The second function gives them as much again. */
bool sb_shares_are_used_up(const struct sb_shares *shares);
void sb_shares_begin_anew(struct sb_shares *shares);

/* Whether the session takes no more requests in this turn. */
bool sb_share_is_used_up(const struct sb_shares *shares, struct sb_share *share);

/* Replies of `bytes` were composed for the session. */
void sb_share_use(struct sb_shares *shares, struct sb_share *share, size_t bytes);

/* From sb_share_begin on time is the session's. Each count adds to its share what has passed. */
void sb_share_begin(struct sb_shares *shares);
void sb_share_count_time(struct sb_shares *shares, struct sb_share *share);

/* Puts the session behind those that wait for their turn. Or takes it away from there. */
void sb_share_wait(struct sb_shares *shares, struct sb_share *share);
void sb_share_leave(struct sb_share *share);

#endif
