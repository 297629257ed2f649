#include "bridge/core/log/sending.h"

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/error.h"
#include "bridge/base/limits.h"
#include "bridge/core/log/checkpoint.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/control.h"

/* How long the members that come before us have for their answer. */
static uint64_t turn_ms(const struct sb_partition *part) {
  int index = sb_state_member(&part->state, part->logs->settings.node);
  uint64_t turn = index >= 0 ? (uint64_t)index : part->state.members.count;
  return turn * sb_logs_delta_ms(part->logs);
}

void sb_partition_answer(struct sb_partition *part, uint64_t hello_at) {
  if (!sb_partition_is_ready(part)) return;
  if (!part->answering.due) part->answering.at_ms = part->logs->now_ms + turn_ms(part);
  part->answering.due = true;
  part->answering.after = hello_at;
}

/* As long as parts of an answer come, ours is put off: two large ones side by side serve nobody. */
void sb_partition_snapshot_seen(struct sb_partition *part, uint64_t as_of, bool complete) {
  if (!part->answering.due || as_of < part->answering.after) return;
  part->answering.due = !complete;
  part->answering.at_ms = part->logs->now_ms + sb_logs_echo_ms(part->logs) + turn_ms(part);
}

static size_t piece_bytes(const struct sb_partition *part) {
  size_t bytes = part->logs->settings.snapshot_piece_bytes;
  return bytes ? bytes : SB_SNAPSHOT_PIECE_BYTES;
}

void sb_sending_begin(struct sb_partition *part, const struct sb_control *piece) {
  struct sb_sending *sending = &part->sending;
  sending->piece = *piece;
  sending->piece.pieces = (uint32_t)((sending->text.len + piece_bytes(part) - 1) / piece_bytes(part));
  sending->piece.piece = 0;
  SB_ASSERT(!sending->active && sending->text.len > 0);
  sending->active = true;
}

static void begin_snapshot(struct sb_partition *part) {
  sb_buf_clear(&part->sending.text);
  sb_state_write(&part->state, &part->sending.text);
  sb_sending_begin(part, &(const struct sb_control){.kind = SB_CONTROL_SNAPSHOT, .as_of = part->applied});
  part->answering.due = false;
  part->logs->stats.snapshots_sent++;
}

static void begin_checkpoint(struct sb_partition *part) {
  sb_buf_clear(&part->sending.text);
  sb_state_write_checkpoint(&part->state, &part->sending.text);
  sb_sending_begin(part, &(const struct sb_control){.kind = SB_CONTROL_CHECKPOINT, .as_of = part->applied});
  part->checkpoints.messages = part->checkpoints.bytes = 0;
  part->logs->stats.checkpoints_sent++;
}

void sb_sending_go_on(struct sb_partition *part) {
  struct sb_sending *sending = &part->sending;
  struct sb_control *piece = &sending->piece;
  while (sending->active) {
    SB_ASSERT(piece->piece < piece->pieces);
    size_t off = (size_t)piece->piece * piece_bytes(part), len = sending->text.len - off;
    if (len > piece_bytes(part)) len = piece_bytes(part);
    piece->text = sb_bytes(sending->text.data + off, len);
    int result = sb_partition_send_control(part, piece);
    if (result == SB_ERR_FULL) return; /* goes on at the next deadline */
    /* On any other error the joiner will ask again. */
    sending->active = result == 0 && ++piece->piece < piece->pieces;
  }
  sb_buf_close(&sending->text);
}

void sb_partition_answer_timers(struct sb_partition *part) {
  uint64_t now_ms = part->logs->now_ms;
  if (part->answering.due && !part->sending.active && now_ms >= part->answering.at_ms) begin_snapshot(part);
  if (!part->sending.active && sb_checkpoint_is_due(part)) begin_checkpoint(part);
  sb_sending_go_on(part);
}
