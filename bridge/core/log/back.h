/* Reading a log back. */
#ifndef SB_CORE_LOG_BACK_H
#define SB_CORE_LOG_BACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/core/history/slice.h"
#include "bridge/core/log/dispatch.h"
#include "bridge/core/log/replay.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/id.h"

struct sb_logs;

/* The log that is read back: its partition, who gives tokens there, and log time as it is now. */
struct sb_back_log {
  struct sb_logs *logs;
  uint32_t partition;
  struct sb_dispatch *dispatch;
  uint64_t log_now_ms;
};

/* What is to be read back. */
struct sb_back_ask {
  uint64_t to;                   /* the sequence up to which it goes */
  uint64_t wanted;               /* the state must not be of a later sequence than this */
  uint64_t old_ms;               /* and need not be older than this log time */
  size_t history_bytes;          /* so much may be kept */
  struct sb_history_slice *only; /* of this only; NULL: of all */
  struct sb_id before;           /* only: the state must be of before this id */
  uint64_t span;                 /* so many messages more than usual are read at first */
  uint32_t give_up_ms;           /* it may take so long; 0: as long as usual */
};

/* A stretch of a log that is being read back. It becomes longer until a state is met that lies far enough
 * back (back.c). */
struct sb_back {
  enum { SB_BACK_IDLE, SB_BACK_WAITING, SB_BACK_READING, SB_BACK_DONE } state;
  struct sb_back_ask ask;
  bool known; /* what the state was at `to`, of which these tell whether it is the same log that is read */
  uint64_t generation, time_ms, mark;
  uint64_t token;  /* of the reading under way */
  uint64_t span;   /* how far back that begins */
  uint64_t due_ms; /* WAITING: when to begin */
  uint64_t give_up_ms;
  const char *failed;      /* DONE: why there is no state at all; NULL: there is one */
  bool told;               /* for its owner: why it failed */
  bool short_of_wanted;    /* DONE: the log does not reach back that far */
  struct sb_replay replay; /* DONE and not failed: the state as of `to` */
};

/* Begins to read back. `known` is the state as it was at `to`, NULL where that is not known. */
void sb_back_begin(struct sb_back *back, const struct sb_back_log *log, const struct sb_back_ask *ask,
                   const struct sb_state *known);
/* Asks the transport when it is time; gives up when it is. */
void sb_back_turn(struct sb_back *back, const struct sb_back_log *log);
void sb_back_drop(struct sb_back *back, struct sb_logs *logs);
uint64_t sb_back_deadline(const struct sb_back *back);

/* That reading came to its end, or broke off before. */
void sb_back_ended(struct sb_back *back, uint64_t now_ms, bool done);

static inline bool sb_back_is_running(const struct sb_back *back) {
  return back->state == SB_BACK_WAITING || back->state == SB_BACK_READING;
}

#endif
