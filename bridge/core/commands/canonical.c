/* The canonical form of a command: what travels. */
#include "bridge/core/commands/op.h"
#include "bridge/core/commands/run.h"

/* The farthest expiry that travels: nobody sees a difference beyond, and log time can be added to it. */
#define FARTHEST_MS (INT64_MAX / 2)

static int64_t relative_ms(int64_t at_ms, uint64_t unix_ms) {
  int64_t now = unix_ms > FARTHEST_MS ? FARTHEST_MS : (int64_t)unix_ms;
  if (at_ms < INT64_MIN + now) return INT64_MIN;
  int64_t after = at_ms - now;
  return after > FARTHEST_MS ? FARTHEST_MS : after;
}

static void append_integer(struct sb_buf *out, int64_t value) {
  char text[21];
  sb_reply_bulk(out, sb_bytes(text, sb_op_i64_text(value, text)));
}

static void append_upper(struct sb_buf *out, struct sb_bytes name) {
  sb_reply_bulk(out, name);
  uint8_t *at = out->data + out->len - 2 - name.len;
  for (size_t i = 0; i < name.len; i++)
    if (at[i] >= 'a' && at[i] <= 'z') at[i] = (uint8_t)(at[i] - 'a' + 'A');
}

/* The Unix time that the client gave travels too, for those who ask for it: log time differs from a clock by
 * a little. */
static void append_asked(const struct sb_op *op, struct sb_buf *out) {
  if (op->expiry_ms <= 0) return;
  sb_reply_bulk_text(out, "PXAT");
  append_integer(out, op->expiry_ms);
}

static void append_set(const struct sb_op *op, int64_t after_ms, struct sb_buf *out) {
  append_upper(out, op->args[0]);
  sb_reply_bulk(out, op->args[1]);
  sb_reply_bulk(out, op->args[2]);
  for (uint32_t i = 3; i < op->count; i++) {
    bool time = sb_bytes_is(op->args[i], "EXAT") || sb_bytes_is(op->args[i], "PXAT");
    if (!time) {
      sb_reply_bulk(out, op->args[i]);
      continue;
    }
    sb_reply_bulk_text(out, "PX"); /* the last of several counts: all are written as that one */
    append_integer(out, after_ms);
    i++;
  }
  append_asked(op, out);
}

static void append_pexpire(const struct sb_op *op, int64_t after_ms, struct sb_buf *out) {
  sb_reply_bulk_text(out, "PEXPIRE");
  sb_reply_bulk(out, op->args[1]);
  append_integer(out, after_ms);
  for (uint32_t i = 3; i < op->count; i++) sb_reply_bulk(out, op->args[i]);
  append_asked(op, out);
}

void sb_op_entry(const struct sb_op *op, uint64_t unix_ms, struct sb_buf *out) {
  bool asks = op->expiry == SB_EXPIRY_AT && op->expiry_ms > 0;
  sb_reply_array(out, op->count + (asks ? (size_t)2 : 0));
  if (op->expiry == SB_EXPIRY_AT) {
    int64_t after_ms = relative_ms(op->expiry_ms, unix_ms);
    if (op->name == SB_OP_SET)
      append_set(op, after_ms, out);
    else
      append_pexpire(op, after_ms, out);
    return;
  }
  append_upper(out, op->args[0]);
  for (uint32_t i = 1; i < op->count; i++) sb_reply_bulk(out, op->args[i]);
}
