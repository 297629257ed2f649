#include "bridge/core/log/run_op.h"

#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/base/reply.h"
#include "bridge/core/commands/errors.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/commands/read_streams.h"
#include "bridge/core/commands/run.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/op_name.h"

/* All arguments of the entry; the views hold until the next call. */
static uint32_t all_args(struct sb_logs *logs, struct sb_bytes body, uint32_t off) {
  uint32_t again = off, count = sb_entry_skip(body, &again);
  if (count > logs->args_cap) {
    logs->args = sb_realloc(logs->args, count * sizeof *logs->args);
    logs->args_cap = count;
  }
  return sb_entry_args(body, &off, logs->args, count);
}

/* Where the streams of an XREAD are read from. False: one of its ids is none; the reply says so. */
static bool read_from(const struct sb_op *op, const struct sb_op_place *place, struct sb_id *after) {
  for (uint32_t i = 0; i < op->keys_count; i++) {
    if (sb_op_read_from(place, op->keys[i], op->args[op->ids_at + i], &after[i])) continue;
    sb_reply_error_text(place->reply, SB_OP_BAD_ID);
    return false;
  }
  return true;
}

static bool says_large(const struct sb_buf *reply, size_t at) {
  static const char text[] = "-ERR " SB_OP_LARGE_REPLY;
  size_t len = sizeof text - 1;
  return reply->len - at >= len && memcmp(reply->data + at, text, len) == 0;
}

/* XREAD that does not wait, within a MULTI. */
static void run_read_streams(const struct sb_op *op, struct sb_op_place *place) {
  struct sb_id *after = sb_calloc(op->keys_count, sizeof *after);
  const struct sb_streams streams = {op->keys, after, op->keys_count, op->limit, false};
  if (place->large) {
    sb_op_say_large(place);
  } else if (read_from(op, place, after)) {
    struct sb_op_place *places = sb_calloc(op->keys_count, sizeof *places);
    for (uint32_t i = 0; i < op->keys_count; i++) places[i] = *place;
    size_t before = place->reply->len;
    if (sb_op_read_streams(places, &streams, place->reply) == 0)
      sb_reply_null_array(place->reply, place->proto);
    place->large = says_large(place->reply, before);
    free(places);
  }
  free(after);
}

void sb_op_entry_run(struct sb_logs *logs, const struct sb_entry *entry, struct sb_op_place *place) {
  struct sb_op op;
  uint32_t count = all_args(logs, place->body, entry->off);
  const char *error = sb_op_parse(logs->args, count, true, &op);
  if (error) {
    if (place->reply) sb_reply_error_text(place->reply, error);
  } else if (op.name == SB_OP_XREAD) {
    if (place->reply) run_read_streams(&op, place);
  } else if (op.writes || place->reply) {
    sb_op_run(&op, place);
  }
}

size_t sb_op_entry_stores(struct sb_logs *logs, struct sb_bytes body, const struct sb_entry *entry,
                          const struct sb_keys *keys, uint64_t now_ms) {
  struct sb_op op;
  uint32_t count = all_args(logs, body, entry->off);
  return sb_op_parse(logs->args, count, true, &op) ? 0 : sb_op_stores(&op, keys, now_ms);
}

void sb_op_entry_echo(struct sb_bytes body, const struct sb_entry *entry, struct sb_buf *reply) {
  struct sb_bytes args[2];
  uint32_t off = entry->off;
  if (sb_entry_args(body, &off, args, 2) == 2)
    sb_reply_bulk(reply, args[1]);
  else
    sb_reply_simple(reply, sb_bytes_equal(args[0], sb_bytes_of("UNWATCH")) ? "OK" : "PONG");
}
