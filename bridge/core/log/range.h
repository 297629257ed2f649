/* Streams from before the history begins. */
#ifndef SB_CORE_LOG_RANGE_H
#define SB_CORE_LOG_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/commands/op.h"
#include "bridge/core/history/slice.h"
#include "bridge/core/log/back.h"

struct sb_logs;
struct sb_partition;

/* What a session asks for that is older than the history: read back for it alone (range.c). */
struct sb_range {
  const void *owner; /* the session; NULL: nobody's turn */
  struct sb_history_slice what;
  struct sb_back back;
  uint64_t log_ms;            /* log time when it was begun: what had expired then is not read */
  uint64_t nudge_ms, drop_ms; /* DONE: when it is offered again; how long it waits for its owner */
};

/* Entries of some streams, of each those at `from` or behind it and not behind `to`. */
struct sb_range_ask {
  const struct sb_bytes *names;
  const struct sb_id *from;
  uint32_t count;
  struct sb_id to;
  bool backwards;
  uint64_t limit;
};

enum sb_range_says {
  SB_RANGE_HERE,  /* nothing that is not in the history */
  SB_RANGE_WAITS, /* logs->readers_wait will be set */
  SB_RANGE_READ,  /* sb_range_place says where it is, until sb_ranges_end */
  SB_RANGE_FAILED /* *why says it, for an error reply */
};

/* What becomes of a request. It is to be made again, the same one, when it WAITS. */
enum sb_range_says sb_ranges_ask(struct sb_logs *logs, const void *session, const struct sb_range_ask *ask,
                                 const char **why);

/* Where a session reads: what was read back for it, if anything was, as it was when it was asked for. False:
 * it stays as it is. */
bool sb_range_place(struct sb_partition *part, const void *session, struct sb_op_place *place);

/* Nothing more is wanted for this session. */
void sb_ranges_end(struct sb_logs *logs, const void *session);
void sb_range_drop(struct sb_partition *part); /* the log is lost from sight */

void sb_ranges_turn(struct sb_logs *logs);
uint64_t sb_range_deadline(const struct sb_partition *part);

#endif
