/* Where a node stands in a log, as far as that can be told from what it holds. */
#include "bridge/core/log/standing.h"

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/id.h"

uint64_t sb_held_log_time(const struct sb_partition *part) {
  const struct sb_held *held = &part->held;
  return sb_id_is_none(held->upto) ? 0 : held->time_ms + (part->logs->now_ms - held->at_ms);
}

/* Log time as last heard, carried on by the monotonic clock. */
static uint64_t own_time(const struct sb_partition *part) {
  return part->time_base + (part->logs->now_ms - part->time_at_ms);
}

uint64_t sb_partition_log_time(const struct sb_partition *part) {
  const struct sb_logs *logs = part->logs;
  if (!sb_partition_is_ready(part)) { /* a founder's clock may be behind what it has recovered */
    uint64_t recovered = part->recovery.replay.state.time_ms, held = sb_held_log_time(part);
    uint64_t begin = held ? held : logs->unix_ms;
    return begin > recovered ? begin : recovered;
  }
  uint64_t now = own_time(part);
  return now > part->state.time_ms ? now : part->state.time_ms;
}

uint64_t sb_partition_clock(const struct sb_partition *part) {
  return own_time(part);
}

uint64_t sb_partition_stamp(const struct sb_partition *part) {
  bool eldest = sb_partition_is_ready(part) && sb_state_is_eldest(&part->state, part->logs->settings.node);
  return eldest ? own_time(part) : sb_partition_log_time(part);
}

void sb_partition_set_time(struct sb_partition *part, uint64_t log_time_ms) {
  if (part->time_base > 0 && log_time_ms <= own_time(part)) return;
  part->time_base = log_time_ms;
  part->time_at_ms = part->logs->now_ms;
}

bool sb_partition_has_row(const struct sb_partition *part) {
  if (!sb_partition_is_ready(part)) return false;
  int index = sb_state_member(&part->state, part->logs->settings.node);
  return index >= 0 &&
         sb_incarnation_compare(part->state.members.at[index].incarnation, part->incarnation) == 0;
}

size_t sb_partition_held(const struct sb_partition *part) {
  return part->outbox.bytes + part->limbo.bytes;
}

void sb_partition_account(struct sb_partition *part, size_t before) {
  SB_ASSERT(part->logs->outbox_bytes + sb_partition_held(part) >= before);
  part->logs->outbox_bytes = part->logs->outbox_bytes + sb_partition_held(part) - before;
}

void sb_partition_settle(struct sb_partition *part, const struct sb_batch *batch, enum sb_outcome outcome,
                         struct sb_bytes reply) {
  for (uint32_t i = 0; i < batch->waiters_count; i++)
    part->logs->events->settled(part, &batch->waiters[i], outcome, reply);
}

bool sb_partition_log_is_bare(const struct sb_partition *part) {
  return part->joining.log_anew && part->joining.only_hellos && !part->logs->settings.hides_tail;
}
