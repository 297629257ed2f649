/* What the core tells about itself. */
#include <string.h>

#include "bridge/base/envelope.h"
#include "bridge/core/core.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/answers.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/life.h"
#include "bridge/core/wire/name.h"

bool sb_core_ready(const struct sb_core *core) {
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++)
    if (!sb_partition_is_ready(&core->logs.partitions[i])) return false;
  return true;
}

const char *sb_core_outage(const struct sb_core *core, uint64_t *since_unix_ms) {
  if (core->logs.sides_down == 0) return NULL;
  *since_unix_ms = core->logs.outage_since_unix_ms;
  return core->logs.outage_reason[0] ? core->logs.outage_reason : "connection lost";
}

uint64_t sb_core_unheard_ms(const struct sb_core *core) {
  uint64_t most = 0;
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++) {
    const struct sb_batch *first = core->logs.partitions[i].outbox.first;
    if (!first || first->first_sent_ms == 0) continue;
    if (core->logs.now_ms - first->first_sent_ms > most) most = core->logs.now_ms - first->first_sent_ms;
  }
  return most;
}

static void count_unanswered(const struct sb_batch *batch, struct sb_core_unanswered *out) {
  for (uint32_t i = 0; i < batch->waiters_count; i++) {
    uint32_t requests = sb_answers_awaited(&batch->waiters[i]);
    out->requests += requests;
    if (batch->first_sent_ms == 0) out->unsent += requests;
  }
}

void sb_core_unanswered(const struct sb_core *core, struct sb_core_unanswered *out) {
  *out = (struct sb_core_unanswered){0};
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++) {
    const struct sb_partition *part = &core->logs.partitions[i];
    for (const struct sb_batch *at = part->limbo.batches; at; at = at->next) count_unanswered(at, out);
    for (const struct sb_batch *at = part->outbox.first; at; at = at->next) count_unanswered(at, out);
    if (part->outbox.open) count_unanswered(part->outbox.open, out);
  }
}

void sb_core_outage_reason(struct sb_core *core, const char *why) {
  sb_logs_outage_reason(&core->logs, why);
}

size_t sb_core_entry_max(const struct sb_core *core) {
  return core->logs.whole_max;
}

void sb_core_set_entry_max(struct sb_core *core, size_t bytes) {
  sb_logs_set_entry_max(&core->logs, bytes);
}

void sb_core_stats(const struct sb_core *core, struct sb_core_stats *out) {
  *out = core->logs.stats;
  out->outbox_bytes = core->logs.outbox_bytes;
  out->outbox_max = core->logs.settings.outbox_bytes;
  sb_sessions_stats(core, out);
}

void sb_core_log_info(const struct sb_core *core, uint32_t partition, struct sb_core_log_info *out) {
  const struct sb_partition *part = &core->logs.partitions[partition];
  *out = (struct sb_core_log_info){
      .ready = sb_partition_is_ready(part),
      .publish_up = part->publish_up,
      .consume_up = part->consume_up,
      .generation = part->state.generation,
      .joined_at = part->joined_at,
      .applied = part->applied,
      .log_time_ms = part->state.time_ms,
      .members = part->state.members.count,
      .channels = part->state.counts.count,
      .patterns = part->state.counts.pattern_rows,
      .in_flight = part->outbox.in_flight,
      .lag_ms =
          part->outbox.in_flight > 0 ? sb_core_of(part)->logs.now_ms - part->outbox.first->first_sent_ms : 0,
      .waiting_bytes = sb_partition_held(part),
      .keys = part->state.keys.table.count,
      .keys_bytes = part->state.keys.bytes,
      .history_entries = part->history.entries,
      .history_bytes = part->history.bytes,
      .history_begin = part->history.begin,
  };
}

bool sb_core_member_info(const struct sb_core *core, uint32_t partition, uint32_t index,
                         struct sb_core_member_info *out) {
  const struct sb_rows *members = &core->logs.partitions[partition].state.members;
  if (index >= members->count) return false;
  const struct sb_row *row = &members->at[index];
  out->name = row->name;
  sb_incarnation_text(row->incarnation, out->incarnation);
  out->number = row->number;
  out->silent_ms = core->logs.now_ms - row->heard_ms;
  out->channels = row->channels;
  out->patterns = row->patterns;
  out->self = strcmp(row->name, core->logs.settings.node) == 0;
  return true;
}

bool sb_core_gap_info(const struct sb_core *core, uint32_t index, struct sb_core_gap_info *out) {
  if (index >= SB_GAPS_KEPT || index >= core->logs.gap_count) return false;
  const struct sb_gap *gap = &core->logs.gaps[(core->logs.gap_count - 1 - index) % SB_GAPS_KEPT];
  *out = (struct sb_core_gap_info){
      .unix_ms = gap->unix_ms,
      .partition = gap->partition,
      .generation = gap->generation,
      .after = gap->after,
      .before = gap->before,
      .why = gap->why,
  };
  return true;
}
