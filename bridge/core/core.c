#include "bridge/core/core.h"

#include <stdio.h>
#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/link.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/machine.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/ranges.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/life.h"
#include "bridge/core/wire/name.h"

/* Zero is as much as all nodes carry. */
static void set_name_limits(struct sb_core *core, const struct sb_core_settings *settings) {
  size_t channel = settings->channel_bytes, pattern = settings->pattern_bytes;
  core->logs.settings.channel_bytes =
      channel > 0 && channel < SB_CHANNEL_LENGTH_MAX ? channel : SB_CHANNEL_LENGTH_MAX;
  core->logs.settings.pattern_bytes =
      pattern > 0 && pattern < SB_PATTERN_LENGTH_MAX ? pattern : SB_PATTERN_LENGTH_MAX;
  core->logs.settings.patterns_max = settings->patterns_max > 0 ? settings->patterns_max : SIZE_MAX;
}

struct sb_core *sb_core_new(const struct sb_core_settings *settings, const struct sb_core_io *io,
                            uint64_t now_ms, uint64_t unix_ms) {
  struct sb_core *core = sb_calloc(1, sizeof *core);
  core->logs.settings = *settings;
  set_name_limits(core, settings);
  core->logs.io = *io;
  core->logs.now_ms = now_ms;
  core->logs.unix_ms = unix_ms;
  core->logs.entries = sb_calloc(SB_BATCH_ENTRIES_MAX, sizeof *core->logs.entries);
  core->logs.partitions = sb_calloc(settings->partitions, sizeof *core->logs.partitions);
  core->logs.sides_down = 2 * settings->partitions;
  core->logs.outage_since_unix_ms = unix_ms;
  sb_core_set_entry_max(core, settings->outbox_bytes);
  core->logs.rate_at_ms = now_ms;
  core->logs.readers_due_ms = UINT64_MAX;
  sb_sessions_init(core);
  snprintf(core->logs.outage_reason, sizeof core->logs.outage_reason, "not connected yet");
  for (uint32_t i = 0; i < settings->partitions; i++)
    sb_partition_init(&core->logs.partitions[i], &core->logs, i);
  return core;
}

void sb_core_free(struct sb_core *core) {
  if (!core) return;
  struct sb_partition *partitions = core->logs.partitions;
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++) sb_partition_abandon(&partitions[i]);
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++) sb_partition_close(&partitions[i]);
  sb_sessions_close(core);
  sb_buf_close(&core->logs.reply);
  free(core->logs.partitions);
  free(core->logs.entries);
  free(core->logs.args);
  free(core);
}

void sb_core_reload(struct sb_core *core, const struct sb_core_settings *settings) {
  core->logs.settings.outbox_bytes = settings->outbox_bytes;
  core->logs.settings.output_hard_bytes = settings->output_hard_bytes;
  core->logs.settings.output_mark_bytes = settings->output_mark_bytes;
  core->logs.settings.refuse_in_outage = settings->refuse_in_outage;
  set_name_limits(core, settings);
  sb_logs_want_room(&core->logs);
  sb_sessions_reload(core);
}

/* ---- time ---- */

void sb_core_now(struct sb_core *core, uint64_t now_ms, uint64_t unix_ms) {
  if (now_ms > core->logs.now_ms) core->logs.now_ms = now_ms;
  core->logs.unix_ms = unix_ms;
}

void sb_core_logs_stood(struct sb_core *core, uint64_t ms) {
  if (ms == 0) return;
  core->logs.stood_at_ms = core->logs.now_ms;
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++)
    sb_partition_stood(&core->logs.partitions[i], ms);
}

static bool has_room(const struct sb_core *core) {
  return core->logs.outbox_bytes <= core->logs.settings.outbox_bytes - core->logs.settings.outbox_bytes / 8;
}

void sb_core_turn(struct sb_core *core) {
  uint32_t first = core->logs.turn_first, count = core->logs.settings.partitions;
  if (core->logs.ranges > 0) sb_ranges_turn(&core->logs);
  sb_sessions_turn(core);
  if (core->logs.now_ms >= core->logs.readers_due_ms) {
    core->logs.readers_due_ms = UINT64_MAX; /* who waits on says so again */
    core->logs.readers_wait = true;
  }
  for (uint32_t i = 0; i < count && !core->logs.failed; i++)
    sb_partition_turn(&core->logs.partitions[(first + i) % count]);
  bool room = core->logs.room_wanted && has_room(core);
  if (!room && !core->logs.readers_wait) return;
  core->logs.readers_wait = false;
  if (room) core->logs.room_wanted = false;
  core->logs.io.room(core->logs.io.owner);
  for (uint32_t i = 0; i < count; i++) sb_partition_send(&core->logs.partitions[(first + i) % count]);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

uint64_t sb_core_deadline(const struct sb_core *core) {
  uint64_t due = earlier(sb_sessions_deadline(core), core->logs.readers_due_ms);
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++)
    due = earlier(due, sb_partition_deadline(&core->logs.partitions[i]));
  return due;
}

/* ---- the logs ---- */

static void side_changed(struct sb_core *core, bool up) {
  bool was_outage = core->logs.sides_down > 0;
  if (up)
    core->logs.sides_down--;
  else
    core->logs.sides_down++;
  if (!was_outage) core->logs.outage_since_unix_ms = core->logs.unix_ms;
  if (core->logs.sides_down == 0) core->logs.outage_reason[0] = 0;
  sb_sessions_reload(core);
}

void sb_core_link(struct sb_core *core, uint32_t partition, enum sb_link_side side, bool up) {
  struct sb_partition *part = &core->logs.partitions[partition];
  if (!sb_partition_link(part, side, up)) return;
  side_changed(core, up);
  if (up) sb_partition_links_up(part);
}

void sb_core_attached(struct sb_core *core, uint32_t partition, enum sb_attach how) {
  sb_partition_attached(&core->logs.partitions[partition], how);
}

void sb_core_settled(struct sb_core *core, uint32_t partition, uint64_t token, enum sb_settle outcome) {
  sb_partition_settled(&core->logs.partitions[partition], token, outcome);
}

void sb_core_delivery(struct sb_core *core, uint32_t partition, uint64_t sequence,
                      const struct sb_envelope *envelope, struct sb_body *channel, struct sb_body *body) {
  sb_partition_delivery(&core->logs.partitions[partition], sequence, envelope, channel, body);
}

void sb_core_stored(struct sb_core *core, uint32_t partition, uint64_t token, uint64_t sequence,
                    const struct sb_envelope *envelope, struct sb_body *channel, struct sb_body *body) {
  sb_partition_stored(&core->logs.partitions[partition], token, sequence, envelope, channel, body);
}

void sb_core_stored_end(struct sb_core *core, uint32_t partition, uint64_t token, bool done) {
  sb_partition_stored_end(&core->logs.partitions[partition], token, done);
}

uint32_t sb_core_partition(const struct sb_core *core, struct sb_bytes key) {
  return sb_logs_partition(&core->logs, key);
}

/* ---- a clean stop ---- */

bool sb_core_stop(struct sb_core *core) {
  bool done = true;
  core->logs.stopping = true;
  sb_sessions_reload(core);
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++)
    if (!sb_partition_stop(&core->logs.partitions[i])) done = false;
  return done;
}
