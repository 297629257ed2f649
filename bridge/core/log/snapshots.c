#include "bridge/core/log/snapshots.h"

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/error.h"
#include "bridge/base/limits.h"
#include "bridge/core/log/answering.h"
#include "bridge/core/log/checkpoint.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/sending.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/control.h"

/* How long the members that come before us have for their answer. Rule: docs/log.md, "Joining" (2). */
static uint64_t turn_ms(const struct sb_partition *part) {
  int index = sb_state_member(&part->state, part->logs->settings.node);
  uint64_t turn = index >= 0 ? (uint64_t)index : part->state.members.count;
  return turn * sb_logs_delta_ms(part->logs);
}

void sb_partition_answer(struct sb_partition *part, uint64_t hello_at) {
  SB_ASSERT(sb_partition_is_ready(part));
  sb_answering_want(&part->answering, hello_at, part->logs->now_ms + turn_ms(part));
}

void sb_partition_snapshot_seen(struct sb_partition *part, uint64_t as_of, bool complete) {
  sb_answering_seen(&part->answering, as_of, complete,
                    part->logs->now_ms + sb_logs_echo_ms(part->logs) + turn_ms(part));
}

size_t sb_partition_piece_bytes(const struct sb_partition *part) {
  size_t bytes = part->logs->settings.snapshot_piece_bytes, room = sb_control_room(part->logs->entry_max);
  if (bytes == 0) bytes = SB_SNAPSHOT_PIECE_BYTES;
  return bytes < room ? bytes : room;
}

/* The text is that of the state as it is now. */
static void begin(struct sb_partition *part, struct sb_control what) {
  what.as_of = part->applied;
  sb_sending_begin(&part->sending, &what, sb_partition_piece_bytes(part));
}

static void begin_snapshot(struct sb_partition *part) {
  sb_state_write(&part->state, sb_sending_text(&part->sending));
  begin(part, (struct sb_control){.kind = SB_CONTROL_SNAPSHOT});
  sb_answering_end(&part->answering);
  part->logs->stats.snapshots_sent++;
}

static void begin_checkpoint(struct sb_partition *part) {
  sb_state_write_checkpoint(&part->state, sb_sending_text(&part->sending));
  begin(part, (struct sb_control){.kind = SB_CONTROL_CHECKPOINT});
  sb_checkpoint_begun(&part->checkpoints);
  part->logs->stats.checkpoints_sent++;
}

void sb_partition_send_pieces(struct sb_partition *part) {
  struct sb_control piece;
  while (sb_sending_next(&part->sending, &piece)) {
    int result = sb_partition_send_control(part, &piece);
    if (result == SB_ERR_FULL) return; /* goes on at the next deadline */
    /* Else it ends: whoever waits for it will ask again. */
    if (result == 0)
      sb_sending_sent(&part->sending);
    else if (result == SB_ERR_TOO_LARGE)
      sb_sending_refused(&part->sending);
    else
      sb_sending_end(&part->sending);
  }
}

static bool may_checkpoint(const struct sb_partition *part) {
  return part->logs->io.read_back && sb_partition_has_row(part);
}

static struct sb_checkpoint_writer writer_of(const struct sb_partition *part) {
  int index = sb_state_member(&part->state, part->logs->settings.node);
  return (struct sb_checkpoint_writer){
      .settings = &part->logs->settings,
      .turn = index < 0 ? 0 : (uint32_t)index,
      .keeps_some = part->history.max_bytes > 0 || part->state.keys.table.count > 0,
  };
}

static bool checkpoint_is_due(const struct sb_partition *part) {
  if (!may_checkpoint(part)) return false;
  const struct sb_checkpoint_writer writer = writer_of(part);
  return sb_checkpoint_is_due(&part->checkpoints, &writer, part->logs->now_ms);
}

void sb_partition_answer_timers(struct sb_partition *part) {
  SB_ASSERT(sb_partition_is_ready(part));
  uint64_t due = sb_answering_deadline(&part->answering);
  if (!part->sending.active && part->logs->now_ms >= due) begin_snapshot(part);
  if (!part->sending.active && checkpoint_is_due(part)) begin_checkpoint(part);
  sb_partition_send_pieces(part);
}

uint64_t sb_partition_answer_deadline(const struct sb_partition *part) {
  uint64_t due = sb_partition_is_ready(part) ? sb_answering_deadline(&part->answering) : UINT64_MAX;
  if (!may_checkpoint(part)) return due;
  const struct sb_checkpoint_writer writer = writer_of(part);
  uint64_t checkpoint = sb_checkpoint_deadline(&part->checkpoints, &writer);
  return checkpoint < due ? checkpoint : due;
}
