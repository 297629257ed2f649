#include "bridge/core/core.h"

#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/base/link.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/machine.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/ranges.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/life.h"

struct sb_core *sb_core_new(const struct sb_core_settings *settings, const struct sb_core_io *io,
                            uint64_t now_ms, uint64_t unix_ms) {
  struct sb_core *core = sb_calloc(1, sizeof *core);
  struct sb_partition *partitions = sb_calloc(settings->partitions, sizeof *partitions);
  sb_logs_init(&core->logs, settings, io, partitions, now_ms, unix_ms);
  sb_sessions_init(core);
  for (uint32_t i = 0; i < settings->partitions; i++) sb_partition_init(&partitions[i], &core->logs, i);
  return core;
}

void sb_core_free(struct sb_core *core) {
  if (!core) return;
  struct sb_partition *partitions = core->logs.partitions;
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++) sb_partition_abandon(&partitions[i]);
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++) sb_partition_close(&partitions[i]);
  sb_sessions_close(core);
  sb_logs_close(&core->logs);
  free(partitions);
  free(core);
}

void sb_core_reload(struct sb_core *core, const struct sb_core_settings *settings) {
  sb_logs_reload(&core->logs, settings);
  sb_sessions_reload(core);
}

/* ---- time ---- */

void sb_core_now(struct sb_core *core, uint64_t now_ms, uint64_t unix_ms) {
  sb_logs_now(&core->logs, now_ms, unix_ms);
}

void sb_core_logs_stood(struct sb_core *core, uint64_t ms) {
  if (ms == 0) return;
  sb_logs_stood(&core->logs);
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++)
    sb_partition_stood(&core->logs.partitions[i], ms);
}

void sb_core_turn(struct sb_core *core) {
  uint32_t first = core->logs.turn_first, count = core->logs.settings.partitions;
  if (core->logs.ranges > 0) sb_ranges_turn(&core->logs);
  sb_sessions_turn(core);
  sb_logs_wake_readers(&core->logs);
  for (uint32_t i = 0; i < count && !core->logs.failed; i++)
    sb_partition_turn(&core->logs.partitions[(first + i) % count]);
  if (!sb_logs_room_is_due(&core->logs)) return;
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

void sb_core_link(struct sb_core *core, uint32_t partition, enum sb_link_side side, bool up) {
  struct sb_partition *part = &core->logs.partitions[partition];
  if (!sb_partition_link(part, side, up)) return;
  sb_logs_side_changed(&core->logs, up);
  sb_sessions_reload(core);
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
  sb_logs_stop(&core->logs);
  sb_sessions_reload(core);
  for (uint32_t i = 0; i < core->logs.settings.partitions; i++)
    if (!sb_partition_stop(&core->logs.partitions[i])) done = false;
  return done;
}
