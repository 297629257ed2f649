/* Reading a log back. */
#ifndef SB_CORE_LOG_BACK_H
#define SB_CORE_LOG_BACK_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/log/replay.h"

struct sb_logs;
struct sb_partition;

/* A stretch of a log that is being read back, further and further, until a state is met that lies far enough
 * back (back.c). */
struct sb_back {
  enum { SB_BACK_IDLE, SB_BACK_WAITING, SB_BACK_READING, SB_BACK_DONE } state;
  uint64_t token;    /* of the reading under way */
  uint64_t to, span; /* the sequence up to which it goes; how far back it begins */
  uint64_t wanted;   /* the state must not be of a later sequence than this */
  uint64_t old_ms;   /* and need not be older than this log time */
  uint64_t due_ms;   /* WAITING: when to begin */
  uint64_t give_up_ms;
  bool known; /* what the state was at `to`, of which these tell whether it is the same log that is read */
  uint64_t generation, time_ms, mark;
  size_t history_bytes;
  struct sb_history_slice *only; /* NULL: the history keeps all */
  struct sb_id before;           /* then the state must be of before this id */
  const char *failed;            /* DONE: why there is no state at all; NULL: there is one */
  bool told;                     /* for its owner: why it failed */
  bool short_of_wanted;          /* DONE: the log does not reach back that far */
  struct sb_replay replay;       /* DONE and not failed: the state as of `to` */
};

/* Begins to read back up to `to`. */
void sb_back_begin(struct sb_partition *part, struct sb_back *back, uint64_t to, uint64_t wanted,
                   size_t history_bytes);
/* Asks the transport when it is time; gives up when it is. */
void sb_back_turn(struct sb_partition *part, struct sb_back *back);
void sb_back_drop(struct sb_partition *part, struct sb_back *back);
uint64_t sb_back_deadline(const struct sb_back *back);

/* The reading under way that has this token, or NULL. */
struct sb_back *sb_back_of(struct sb_partition *part, uint64_t token);
void sb_back_ended(struct sb_partition *part, struct sb_back *back, bool done);

static inline bool sb_back_is_running(const struct sb_back *back) {
  return back->state == SB_BACK_WAITING || back->state == SB_BACK_READING;
}

#endif
