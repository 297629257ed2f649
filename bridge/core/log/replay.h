/* Following a log once more. */
#ifndef SB_CORE_LOG_REPLAY_H
#define SB_CORE_LOG_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/history/history.h"
#include "bridge/core/history/slice.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/state/state.h"

struct sb_logs;

/* Reads a stretch of a log again, beside the ordinary reading: looks for a state in it, and from there on
 * follows the log as it was followed then (replay.c). */
struct sb_replay {
  struct sb_logs *logs;
  uint64_t log_now_ms; /* log time when it was opened */
  bool based;          /* a state was found */
  struct sb_state state;
  struct sb_history history;
  uint64_t base;        /* sequence of the state that was found */
  uint64_t base_ms;     /* its log time */
  uint64_t applied;     /* sequence up to which it was followed */
  uint64_t generation;  /* the highest met */
  uint64_t mark;        /* sequence + 1 of the last SNAPSHOT or GENESIS met before there was a state */
  uint64_t first, last; /* sequences of the first and the last message met; UINT64_MAX, 0: none */
  uint64_t kept_from;   /* what is kept is whole from this sequence on */
  struct sb_kept_list kept;
  struct sb_assembler assembler, brought;
};

/* Its history keeps all, or `only` a slice. */
void sb_replay_open(struct sb_replay *replay, struct sb_logs *logs, uint64_t log_now_ms, size_t history_bytes,
                    struct sb_history_slice *only);
void sb_replay_close(struct sb_replay *replay);
/* The next message, its body plain; takes the bodies. */
void sb_replay_take(struct sb_replay *replay, const struct sb_message *message);

#endif
