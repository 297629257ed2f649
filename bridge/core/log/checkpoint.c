/* When the state is written to the log once more: a CHECKPOINT is a SNAPSHOT without subscriptions, which
 * changes nothing and answers nobody. Who finds no member alive recovers the keys from it, and whoever reads
 * streams from before its history follows the log from it. One member writes it, the next only when that one
 * did not. Only where logs can be read back, and while there are keys or streams can be read. */
#include "bridge/core/log/checkpoint.h"

#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/standing.h"
#include "bridge/core/state/state.h"

#define MESSAGES 4096
#define BYTES    ((uint64_t)32 * 1024 * 1024)
#define AGE_MS   (UINT64_C(10) * 60 * 1000)
#define TIMES    8 /* the log grows by an eighth for it, at most */
#define SHARE    4 /* of what the broker keeps: retention must not pass the last one */

static uint64_t messages_between(const struct sb_partition *part) {
  uint64_t messages = part->logs->settings.checkpoint_messages;
  return messages ? messages : MESSAGES;
}

static uint64_t at_most(uint64_t value, uint64_t kept) {
  return kept > 0 && kept / SHARE < value ? kept / SHARE : value;
}

static uint64_t age_ms(const struct sb_partition *part) {
  return at_most(AGE_MS, part->logs->settings.log_age_ms);
}

void sb_checkpoint_count(struct sb_partition *part, size_t bytes) {
  struct sb_checkpoints *checkpoints = &part->checkpoints;
  if (checkpoints->messages++ == 0) checkpoints->since_ms = part->logs->now_ms;
  checkpoints->bytes += bytes;
}

void sb_checkpoint_seen(struct sb_partition *part, const struct sb_control *control) {
  struct sb_checkpoints *checkpoints = &part->checkpoints;
  checkpoints->piece_bytes =
      control->piece == 0 ? control->text.len : checkpoints->piece_bytes + control->text.len;
  checkpoints->bytes -= control->text.len < checkpoints->bytes ? control->text.len : checkpoints->bytes;
  if (control->piece + 1 < control->pieces) return; /* and its size is no reason for the next one */
  *checkpoints = (struct sb_checkpoints){.last_bytes = checkpoints->piece_bytes,
                                         .had_keys = part->state.keys.table.count > 0};
}

void sb_checkpoint_want(struct sb_partition *part) {
  part->checkpoints.messages = messages_between(part);
}

/* How long the members before us have for it. */
static uint64_t turn_ms(const struct sb_partition *part) {
  int index = sb_state_member(&part->state, part->logs->settings.node);
  return (uint64_t)(index < 0 ? 0 : index) * (part->logs->settings.found_ms + 1);
}

static bool has_something(const struct sb_partition *part) {
  return part->logs->io.read_back && part->checkpoints.messages > 0 &&
         (part->history.max_bytes > 0 || part->state.keys.table.count > 0 || part->checkpoints.had_keys);
}

static bool is_long(const struct sb_partition *part) {
  const struct sb_checkpoints *checkpoints = &part->checkpoints;
  uint64_t behind = (uint64_t)(turn_ms(part) > 0); /* those behind the first wait for a little more */
  uint64_t log_bytes = part->logs->settings.log_bytes;
  if (checkpoints->bytes < at_most((uint64_t)checkpoints->last_bytes * TIMES, log_bytes)) return false;
  uint64_t messages = messages_between(part), bytes = at_most(BYTES, log_bytes);
  return checkpoints->messages >= messages + behind * messages / 4 ||
         checkpoints->bytes >= bytes + behind * bytes / 4;
}

bool sb_checkpoint_is_due(const struct sb_partition *part) {
  if (!has_something(part) || !sb_partition_has_row(part)) return false;
  if (is_long(part)) return true;
  return part->logs->now_ms >= part->checkpoints.since_ms + age_ms(part) + turn_ms(part);
}

uint64_t sb_checkpoint_deadline(const struct sb_partition *part) {
  if (!has_something(part) || !sb_partition_has_row(part)) return UINT64_MAX;
  return part->checkpoints.since_ms + age_ms(part) + turn_ms(part);
}
