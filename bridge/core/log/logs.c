#include "bridge/core/log/logs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/fragment.h"
#include "bridge/core/wire/slot.h"

/* ---- what their owner tells ---- */

/* Zero is as much as all nodes carry. */
static void set_name_limits(struct sb_core_settings *to, const struct sb_core_settings *from) {
  size_t channel = from->channel_bytes, pattern = from->pattern_bytes;
  to->channel_bytes = channel > 0 && channel < SB_CHANNEL_LENGTH_MAX ? channel : SB_CHANNEL_LENGTH_MAX;
  to->pattern_bytes = pattern > 0 && pattern < SB_PATTERN_LENGTH_MAX ? pattern : SB_PATTERN_LENGTH_MAX;
  to->patterns_max = from->patterns_max > 0 ? from->patterns_max : SIZE_MAX;
}

void sb_logs_init(struct sb_logs *logs, const struct sb_core_settings *settings, const struct sb_core_io *io,
                  struct sb_partition *partitions, uint64_t now_ms, uint64_t unix_ms) {
  *logs = (struct sb_logs){.settings = *settings,
                           .io = *io,
                           .now_ms = now_ms,
                           .unix_ms = unix_ms,
                           .partitions = partitions,
                           .sides_down = 2 * settings->partitions,
                           .outage_since_unix_ms = unix_ms,
                           .rate_at_ms = now_ms,
                           .readers_due_ms = UINT64_MAX};
  set_name_limits(&logs->settings, settings);
  sb_logs_set_entry_max(logs, settings->outbox_bytes);
  sb_logs_outage_reason(logs, "not connected yet");
  logs->entries = sb_calloc(SB_BATCH_ENTRIES_MAX, sizeof *logs->entries);
}

void sb_logs_close(struct sb_logs *logs) {
  sb_buf_close(&logs->reply);
  free(logs->entries);
  free(logs->args);
}

void sb_logs_reload(struct sb_logs *logs, const struct sb_core_settings *settings) {
  logs->settings.outbox_bytes = settings->outbox_bytes;
  logs->settings.output_hard_bytes = settings->output_hard_bytes;
  logs->settings.output_mark_bytes = settings->output_mark_bytes;
  logs->settings.refuse_in_outage = settings->refuse_in_outage;
  set_name_limits(&logs->settings, settings);
  sb_logs_want_room(logs);
}

static size_t lower(size_t a, size_t b) {
  return a < b ? a : b;
}

void sb_logs_set_entry_max(struct sb_logs *logs, size_t bytes) {
  logs->entry_max = lower(bytes, logs->settings.outbox_bytes);
  size_t in_parts = lower(sb_fragment_bytes(logs->entry_max) * SB_FRAGMENTS_MAX, SB_PAYLOAD_BYTES_MAX);
  in_parts = lower(in_parts, logs->settings.outbox_bytes);
  logs->whole_max = in_parts > logs->entry_max ? in_parts : logs->entry_max;
}

void sb_logs_now(struct sb_logs *logs, uint64_t now_ms, uint64_t unix_ms) {
  if (now_ms > logs->now_ms) logs->now_ms = now_ms;
  logs->unix_ms = unix_ms;
}

void sb_logs_side_changed(struct sb_logs *logs, bool up) {
  bool was_outage = logs->sides_down > 0;
  SB_ASSERT(up ? logs->sides_down > 0 : logs->sides_down < 2 * logs->settings.partitions);
  if (up)
    logs->sides_down--;
  else
    logs->sides_down++;
  if (!was_outage) logs->outage_since_unix_ms = logs->unix_ms;
  if (logs->sides_down == 0) logs->outage_reason[0] = 0;
}

void sb_logs_outage_reason(struct sb_logs *logs, const char *why) {
  snprintf(logs->outage_reason, sizeof logs->outage_reason, "%s", why);
}

void sb_logs_stood(struct sb_logs *logs) {
  logs->stood_at_ms = logs->now_ms;
}

void sb_logs_stop(struct sb_logs *logs) {
  logs->stopping = true;
}

void sb_logs_wake_readers(struct sb_logs *logs) {
  if (logs->now_ms < logs->readers_due_ms) return;
  logs->readers_due_ms = UINT64_MAX;
  sb_logs_want_look(logs);
}

static bool has_room(const struct sb_logs *logs) {
  return logs->outbox_bytes <= logs->settings.outbox_bytes - logs->settings.outbox_bytes / 8;
}

bool sb_logs_room_is_due(struct sb_logs *logs) {
  bool room = logs->room_wanted && has_room(logs), look = logs->readers_wait;
  if (room) logs->room_wanted = false;
  logs->readers_wait = false;
  return room || look;
}

/* ---- what the logs do ---- */

void sb_logs_say(struct sb_logs *logs, enum sb_log_level level, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  logs->io.log(logs->io.owner, level, format, line);
}

void sb_logs_settle(struct sb_logs *logs, struct sb_partition *part, const struct sb_batch *batch,
                    enum sb_outcome outcome, struct sb_bytes reply) {
  for (uint32_t i = 0; i < batch->waiters_count; i++)
    logs->events->settled(part, &batch->waiters[i], outcome, reply);
}

void sb_logs_settle_all(struct sb_logs *logs, struct sb_partition *part, struct sb_batch *list,
                        enum sb_outcome outcome) {
  while (list) {
    struct sb_batch *next = list->next;
    sb_logs_settle(logs, part, list, outcome, sb_bytes(NULL, 0));
    sb_batch_free(list);
    list = next;
  }
}

void sb_logs_gap(struct sb_logs *logs, const struct sb_gap *gap) {
  struct sb_gap *noted = &logs->gaps[logs->gap_count++ % SB_GAPS_KEPT];
  *noted = *gap;
  noted->unix_ms = logs->unix_ms;
  logs->stats.gaps++;
  sb_logs_say(logs, SB_LOG_WARN, "partition %u: gap behind %llu: %s", gap->partition,
              (unsigned long long)gap->after, gap->why);
}

void sb_logs_gap_over(struct sb_logs *logs, uint32_t partition, uint64_t before) {
  for (uint64_t i = 0; i < SB_GAPS_KEPT && i < logs->gap_count; i++)
    if (logs->gaps[i].partition == partition && logs->gaps[i].before == 0) logs->gaps[i].before = before;
}

uint32_t sb_logs_partition(const struct sb_logs *logs, struct sb_bytes key) {
  return logs->settings.partitions == 1 ? 0 : sb_slot(key) % logs->settings.partitions;
}
