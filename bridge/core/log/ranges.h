/* Streams from before the history begins: whose request is read back when, in all logs. Rule: docs/log.md,
 * "Ranges". */
#ifndef SB_CORE_LOG_RANGES_H
#define SB_CORE_LOG_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/log/range.h"

struct sb_logs;
struct sb_op_place;
struct sb_partition;

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
