/* Keys that outlive their log. A node that was ready in a log that is lost from sight holds its keys. If the
 * log is made anew and nobody in it knows better, such a node founds it with them: they travel in KEYS,
 * between its HELLO and its GENESIS. So a founder that dies before its GENESIS has changed nothing, and
 * behind an accepted GENESIS all nodes have the keys. If a node that had just started and had no keys founded
 * the log first, members restore them, key by key, in their first batches. */
#include "bridge/core/log/restore.h"

#include <string.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/log.h"
#include "bridge/base/table.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/held_keys.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/id.h"
#include "bridge/core/wire/key_text.h"
#include "bridge/core/wire/sidebus.h"

static bool holds_any(const struct sb_partition *part) {
  return sb_held_keys_any(&part->held, part->logs->now_ms);
}

/* ---- the log is lost from sight, or founded without the keys ---- */

struct sb_held_keys sb_held_keys_of(const struct sb_partition *part, uint64_t upto) {
  return (struct sb_held_keys){.upto = {part->state.generation, upto},
                               .time_ms = sb_partition_log_time(part),
                               .at_ms = part->logs->now_ms,
                               .restore_until_ms = part->state.restore_until_ms,
                               .adds = sb_restore_is_due(part)};
}

void sb_partition_hold_keys(struct sb_partition *part) {
  if (!sb_partition_is_ready(part)) return;
  struct sb_held_keys held = sb_held_keys_of(part, part->applied);
  held.keys = part->state.keys;
  part->state.keys = (struct sb_keys){0};
  sb_held_keys_take(&part->held, &held, part->logs->now_ms);
}

/* ---- into a log that another has founded ---- */

bool sb_restore_is_due(const struct sb_partition *part) {
  const struct sb_held_keys *held = &part->held;
  return sb_partition_is_ready(part) && sb_state_restores(&part->state) &&
         held->restore_until_ms != part->state.restore_until_ms && holds_any(part);
}

static void append(struct sb_partition *part, struct sb_outbox *outbox, struct sb_bytes entry) {
  const struct sb_logs *logs = part->logs;
  uint8_t *to = sb_outbox_append_for(outbox, entry.len, logs->settings.batch_bytes, logs->settings.compress,
                                     &(const struct sb_waiter){.count = 1});
  memcpy(to, entry.at, entry.len);
}

/* Each with the time that it has left. */
static void restore(struct sb_partition *part, struct sb_outbox *outbox) {
  const struct sb_held_keys *held = &part->held;
  uint64_t now_ms = sb_held_keys_log_time(held, part->logs->now_ms);
  struct sb_buf entry = {0};
  const struct sb_key *key;
  size_t large = 0;
  for (size_t at = 0; (key = sb_table_each(&held->keys.table, &at));) {
    if (key->expires_ms > 0 && key->expires_ms <= now_ms) continue;
    sb_buf_clear(&entry);
    struct sb_sidebus said = {.word = SB_SIDEBUS_RESTORE, .restore = sb_key_text_of(key)};
    if (key->expires_ms > 0) said.restore.expires_ms -= now_ms;
    sb_sidebus_append(&entry, &said);
    if (entry.len <= part->logs->whole_max)
      append(part, outbox, sb_buf_bytes(&entry));
    else
      large++;
  }
  sb_buf_clear(&entry);
  sb_sidebus_append(&entry, &(const struct sb_sidebus){.word = SB_SIDEBUS_RESTORED});
  append(part, outbox, sb_buf_bytes(&entry));
  sb_buf_close(&entry);
  sb_logs_say(part->logs, SB_LOG_NOTICE,
              "partition %u: restores the shared keys of the log that was lost: %zu", part->index,
              held->keys.table.count - large);
  if (large > 0)
    sb_logs_say(part->logs, SB_LOG_WARN, "partition %u: %zu keys are larger than %zu bytes and gone",
                part->index, large, part->logs->whole_max);
}

void sb_restore_begin(struct sb_partition *part, struct sb_outbox *first) {
  if (!sb_restore_is_due(part)) return;
  bool behind = sb_id_compare(part->best_held, part->held.upto) > 0 && part->held.restore_ms == 0;
  sb_held_keys_restore_at(&part->held,
                          behind ? part->logs->now_ms + part->logs->settings.found_ms : UINT64_MAX);
  if (!behind) restore(part, first);
}

void sb_restore_let_go(struct sb_partition *part) {
  if (holds_any(part) && part->state.keys.table.count == 0)
    sb_logs_say(part->logs, SB_LOG_WARN,
                "partition %u: the shared keys of before are gone: the founder has none", part->index);
  sb_held_keys_drop(&part->held);
}

void sb_restore_timers(struct sb_partition *part) {
  struct sb_held_keys *held = &part->held;
  if (!sb_partition_is_ready(part) || !sb_held_keys_is_there(held)) return;
  if (!sb_restore_is_due(part)) {
    sb_restore_let_go(part);
  } else if (held->restore_ms <= part->logs->now_ms && held->restore_ms > 0 && sb_partition_has_row(part)) {
    sb_held_keys_restore_at(held, UINT64_MAX);
    restore(part, &part->outbox);
  }
}

uint64_t sb_restore_deadline(const struct sb_partition *part) {
  return sb_partition_is_ready(part) && part->held.restore_ms > 0 ? part->held.restore_ms : UINT64_MAX;
}

void sb_partition_announce(struct sb_partition *part) {
  SB_ASSERT(sb_partition_is_ready(part) && part->outbox.in_flight == 0); /* nothing here has a number */
  struct sb_outbox outbox;
  sb_outbox_init(&outbox, 0, &part->logs->outbox_bytes);
  part->logs->events->announce(part, &outbox);
  sb_restore_begin(part, &outbox);
  sb_outbox_put_first(&part->outbox, sb_outbox_take(&outbox, part->logs->settings.compress));
  sb_outbox_close(&outbox);
}
