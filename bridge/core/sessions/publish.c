/* PUBLISH. */
#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/intake.h"
#include "bridge/core/sessions/replies.h"
#include "bridge/core/sessions/room.h"
#include "bridge/core/sessions/session.h"
#include "bridge/core/sessions/sessions.h"
#include "bridge/core/state/glob_index.h"
#include "bridge/core/wire/entry.h"

static size_t publish_size(enum sb_publish_kind kind, struct sb_bytes channel, struct sb_bytes payload) {
  const struct sb_bytes args[] = {sb_bytes_of(kind == SB_PUBLISH ? "PUBLISH" : "SPUBLISH"), channel, payload};
  return sb_entry_size(args, 3);
}

static void write_publish(uint8_t *at, enum sb_publish_kind kind, struct sb_bytes channel,
                          struct sb_bytes payload) {
  const struct sb_bytes args[] = {sb_bytes_of(kind == SB_PUBLISH ? "PUBLISH" : "SPUBLISH"), channel, payload};
  sb_entry_write(at, args, 3);
}

/* To match them with the patterns of the cluster would cost more than one batch may. Taken one by one, each
 * may go into a batch of its own. */
static bool costs_too_much_together(const struct sb_core *core, struct sb_bytes channel, uint32_t count) {
  const struct sb_glob_index *globs =
      &core->logs.partitions[sb_logs_partition(&core->logs, channel)].state.counts.globs;
  return globs->count > 0 && count * sb_glob_index_steps(globs, channel.len) > SB_BATCH_STEPS_MAX;
}

/* Room for `count` entries of `len` bytes together, all to one channel. Only with SB_DONE is *at set. */
static inline enum sb_result take_room(struct sb_core *core, struct sb_session *session,
                                       struct sb_bytes channel, size_t len, uint32_t count, uint8_t **at) {
  uint32_t slot;
  SB_ASSERT(count > 0 && len > 0);
  if (core->gated || len > core->logs.entry_max ||
      core->logs.outbox_bytes + len > core->logs.settings.outbox_bytes ||
      channel.len > core->logs.settings.channel_bytes) {
    enum sb_result result = sb_core_channel(core, channel);
    if (result == SB_DONE) result = sb_core_judge(core, len);
    if (result != SB_DONE) return result;
  }
  if (!sb_session_expect(session, count, &slot)) return sb_core_wait_for_room(core);
  struct sb_partition *part = &core->logs.partitions[sb_logs_partition(&core->logs, channel)];
  sb_partition_make_room_to_match(part, channel, count);
  *at = sb_intake_messages(part, len, session, slot, count);
  return SB_DONE;
}

enum sb_result sb_core_publish(struct sb_core *core, struct sb_session *session, enum sb_publish_kind kind,
                               struct sb_bytes channel, struct sb_bytes payload) {
  uint8_t *at = NULL;
  enum sb_result result = take_room(core, session, channel, publish_size(kind, channel, payload), 1, &at);
  if (at) write_publish(at, kind, channel, payload);
  return result;
}

enum sb_result sb_core_publish_raw(struct sb_core *core, struct sb_session *session, struct sb_bytes channel,
                                   struct sb_bytes raw, uint32_t count) {
  uint8_t *at = NULL;
  if (count > 1 && costs_too_much_together(core, channel, count)) return SB_TOO_LARGE;
  enum sb_result result = take_room(core, session, channel, raw.len, count, &at);
  if (at) memcpy(at, raw.at, raw.len);
  return result;
}
