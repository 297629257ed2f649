#include "bridge/core/log/sending.h"

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/core/wire/control.h"

void sb_sending_close(struct sb_sending *sending) {
  sb_buf_close(&sending->text);
  sending->active = false;
}

struct sb_buf *sb_sending_text(struct sb_sending *sending) {
  SB_ASSERT(!sending->active);
  sb_buf_clear(&sending->text);
  return &sending->text;
}

void sb_sending_begin(struct sb_sending *sending, const struct sb_control *what, size_t piece_bytes) {
  SB_ASSERT(!sending->active && sending->text.len > 0 && piece_bytes > 0);
  size_t half = (sending->refused_bytes + 1) / 2;
  if (half > 0 && piece_bytes > half) piece_bytes = half;
  sending->piece = *what;
  sending->piece.pieces = (uint32_t)((sending->text.len + piece_bytes - 1) / piece_bytes);
  sending->piece.piece = 0;
  sending->piece_bytes = piece_bytes;
  sending->active = true;
}

bool sb_sending_next(struct sb_sending *sending, struct sb_control *piece) {
  if (!sending->active) return false;
  SB_ASSERT(sending->piece.piece < sending->piece.pieces);
  size_t off = (size_t)sending->piece.piece * sending->piece_bytes, len = sending->text.len - off;
  if (len > sending->piece_bytes) len = sending->piece_bytes;
  *piece = sending->piece;
  piece->text = sb_bytes(sending->text.data + off, len);
  return true;
}

void sb_sending_sent(struct sb_sending *sending) {
  SB_ASSERT(sending->active);
  if (++sending->piece.piece == sending->piece.pieces) sb_sending_end(sending);
}

void sb_sending_refused(struct sb_sending *sending) {
  SB_ASSERT(sending->active);
  sending->refused_bytes =
      sending->text.len < sending->piece_bytes ? sending->text.len : sending->piece_bytes;
  sb_sending_end(sending);
}

void sb_sending_connected(struct sb_sending *sending) {
  sending->refused_bytes = 0;
}

void sb_sending_end(struct sb_sending *sending) {
  sending->active = false;
  sb_buf_close(&sending->text);
}

void sb_sending_restart(struct sb_sending *sending) {
  sending->piece.piece = 0;
}

bool sb_sending_is_complete(const struct sb_sending *sending) {
  return !sending->active && sending->piece.pieces > 0 && sending->piece.piece == sending->piece.pieces;
}
