/* Where a node stands in a log: its row, log time, what it holds for it and who waits for that. */
#ifndef SB_CORE_LOG_STANDING_H
#define SB_CORE_LOG_STANDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/core/log/events.h"
#include "bridge/core/log/outbox.h"

struct sb_partition;

uint64_t sb_partition_log_time(const struct sb_partition *part);
uint64_t sb_partition_clock(const struct sb_partition *part); /* by our own clock, once it is ready */
/* What we say of it. The eldest goes by its own clock alone: what it says others may add to, and it must not
 * hear that as its own. */
uint64_t sb_partition_stamp(const struct sb_partition *part);
/* It is at least this, somebody says: whose clock runs ahead is followed. */
void sb_partition_set_time(struct sb_partition *part, uint64_t log_time_ms);
/* Everybody who waits for this batch is told. */
void sb_partition_settle(struct sb_partition *part, const struct sb_batch *batch, enum sb_outcome outcome,
                         struct sb_bytes reply);
bool sb_partition_has_row(const struct sb_partition *part); /* our row stands at our incarnation */

/* Everything held for this log; what changes it is framed by `before = held(part)` and `account(part,
 * before)`. */
size_t sb_partition_held(const struct sb_partition *part);
void sb_partition_account(struct sb_partition *part, size_t before);

uint64_t sb_held_log_time(const struct sb_partition *part); /* carried on; 0: nothing is held */

/* The log was made anew while this process ran, and nothing but HELLOs came since. */
bool sb_partition_log_is_bare(const struct sb_partition *part);

#endif
