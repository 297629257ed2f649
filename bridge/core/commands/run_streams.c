/* Streams. What nodes agree on is in the keys: a stream's last id, what was deleted, how many entries there
 * were. It follows from the keys and the command alone. What can be read is in the history of this node, and
 * only replies depend on it. */
#include "bridge/base/limits.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/commands/run.h"

/* Redis keeps so many entries in one node of its tree, which XINFO STREAM counts. */
#define ENTRIES_PER_NODE 100

/* ---- reading ---- */

static void append_id(struct sb_buf *out, struct sb_id id) {
  char text[SB_ID_TEXT];
  sb_reply_bulk(out, sb_bytes(text, sb_id_text(id, text)));
}

static void append_entry(struct sb_buf *out, const struct sb_history_entry *entry) {
  sb_reply_array(out, 2);
  append_id(out, entry->id);
  sb_reply_array(out, (size_t)entry->pairs * 2);
  if (entry->message) sb_reply_bulk_text(out, "data");
  sb_buf_append(out, entry->bulk.at, entry->bulk.len);
}

struct range {
  struct sb_bytes name;
  struct sb_id from, to;
  bool backwards;
};

static bool seek(const struct sb_op_place *place, const struct range *range,
                 struct sb_history_cursor *cursor) {
  if (!place->history || sb_keys_hide(place->keys, range->name, place->now_ms)) return false;
  sb_history_seek(place->history, range->name, range->from, range->to, range->backwards, cursor);
  return true;
}

static bool first_of(const struct sb_op_place *place, const struct range *range,
                     struct sb_history_entry *out) {
  struct sb_history_cursor cursor;
  return seek(place, range, &cursor) && sb_history_next(&cursor, out);
}

static bool last_entry(const struct sb_op_place *place, struct sb_bytes name, struct sb_history_entry *out) {
  return first_of(place, &(struct range){name, {0, 0}, SB_ID_MAX, true}, out);
}

static uint64_t count_range(const struct sb_op_place *place, const struct range *range, uint64_t limit) {
  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  uint64_t count = 0;
  if (!seek(place, range, &cursor)) return 0;
  while (count < limit && sb_history_next(&cursor, &entry)) count++;
  return count;
}

/* `count` comes first, because the array begins with its number. False: the reply would be too large. */
static bool append_range(const struct sb_op_place *place, const struct range *range, uint64_t count) {
  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  sb_reply_array(place->reply, count);
  if (count == 0 || !seek(place, range, &cursor)) return true;
  while (count-- > 0 && !sb_op_is_large(place) && sb_history_next(&cursor, &entry))
    append_entry(place->reply, &entry);
  return !sb_op_is_large(place);
}

static void run_xrange(const struct sb_op *op, struct sb_op_place *place) {
  if (!place->reply) return;
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  if (sb_op_is_string(key)) {
    sb_op_say_error(place, SB_OP_WRONG_TYPE);
    return;
  }
  bool known = key || sb_op_length(place, op->keys[0]) > 0;
  if (known && op->limit == 0) {
    sb_reply_null_array(place->reply, place->proto);
    return;
  }
  if (place->large) {
    sb_op_say_large(place);
    return;
  }
  struct range range = {op->keys[0], op->from, op->to, op->name == SB_OP_XREVRANGE};
  size_t begin = place->reply->len;
  if (append_range(place, &range, op->nothing ? 0 : count_range(place, &range, op->limit))) return;
  place->reply->len = begin;
  sb_op_say_large(place);
}

static void run_xlen(const struct sb_op *op, struct sb_op_place *place) {
  if (sb_op_is_string(sb_op_find_key(place, op->keys[0])))
    sb_op_say_error(place, SB_OP_WRONG_TYPE);
  else
    sb_op_say_integer(place, (int64_t)sb_op_length(place, op->keys[0]));
}

/* ---- XADD, XTRIM, XDEL ---- */

/* Takes from this node's history what the command trims. With "~" a server may keep more: then nothing is
 * taken, and the history's own bounds decide. */
static uint64_t trim_history(const struct sb_op *op, struct sb_op_place *place) {
  if (!place->history || op->about) return 0;
  if (op->trim == SB_TRIM_BELOW) return sb_history_trim_below(place->history, op->keys[0], op->trim_below);
  return sb_history_trim_length(place->history, op->keys[0], op->trim_length);
}

static void raise_deleted(struct sb_op_place *place, struct sb_stream *stream, struct sb_id id) {
  if (sb_id_compare(id, stream->max_deleted) <= 0) return;
  stream->max_deleted = id;
  place->written = true;
}

/* Notes in the keys what a trim deleted. Only that of MINID is known to all nodes: what a trim by length
 * deletes depends on how many entries a node has. */
static void note_trim(const struct sb_op *op, struct sb_op_place *place, struct sb_stream *stream) {
  struct sb_id deleted = op->trim_below;
  if (op->trim != SB_TRIM_BELOW || op->about || !sb_id_previous(&deleted)) return;
  if (sb_id_compare(deleted, stream->last) > 0) deleted = stream->last;
  raise_deleted(place, stream, deleted);
}

/* The '$' with which the bulk string begins whose bytes are `text`. */
static const uint8_t *bulk_begin(struct sb_bytes text) {
  char digits[20];
  return text.at - 3 - sb_u64_text(text.len, digits);
}

/* The arguments stand in the body as an entry does: "$<n>CRLF<bytes>CRLF" end to end. */
static void add_to_history(const struct sb_op *op, struct sb_op_place *place) {
  const uint8_t *body = place->body.at;
  const uint8_t *fields = bulk_begin(op->args[op->fields_at]);
  struct sb_bytes last = op->args[op->count - 1];
  sb_history_add_fields(place->history, (uint32_t)(op->keys[0].at - body), (uint32_t)op->keys[0].len,
                        (uint32_t)(fields - body), (uint32_t)(last.at + last.len + 2 - fields),
                        (op->count - op->fields_at) / 2, (uint32_t)(place->id.seq % SB_BATCH_ENTRIES_MAX));
}

static void run_xadd(const struct sb_op *op, struct sb_op_place *place) {
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  if (sb_op_is_string(key)) {
    sb_op_say_error(place, SB_OP_WRONG_TYPE);
    return;
  }
  if (!key && op->no_make) {
    sb_op_say_null(place);
    return;
  }
  key = sb_keys_stream(place->keys, op->keys[0], place->now_ms);
  if (!key) {
    sb_op_say_error(place, SB_OP_KEYS_FULL);
    return;
  }
  key->stream.last = sb_id_later(key->stream.last, place->id);
  key->stream.added++;
  place->added = place->written = true;
  if (place->history) add_to_history(op, place);
  if (op->trim != SB_TRIM_NOT) {
    trim_history(op, place);
    note_trim(op, place, &key->stream);
  }
  if (place->reply) append_id(place->reply, place->id);
}

static void run_xtrim(const struct sb_op *op, struct sb_op_place *place) {
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  if (sb_op_is_string(key)) {
    sb_op_say_error(place, SB_OP_WRONG_TYPE);
    return;
  }
  uint64_t removed = trim_history(op, place);
  if (key) note_trim(op, place, &key->stream);
  sb_op_say_integer(place, (int64_t)removed);
}

static bool ids_are_valid(const struct sb_op *op) {
  struct sb_id id;
  for (uint32_t i = op->ids_at; i < op->count; i++)
    if (!sb_id_parse(op->args[i], 0, &id)) return false;
  return true;
}

static void run_xdel(const struct sb_op *op, struct sb_op_place *place) {
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  if (sb_op_is_string(key)) {
    sb_op_say_error(place, SB_OP_WRONG_TYPE);
    return;
  }
  if (!ids_are_valid(op)) {
    if (key || sb_op_length(place, op->keys[0]) > 0)
      sb_op_say_error(place, SB_OP_BAD_ID);
    else
      sb_op_say_integer(place, 0);
    return;
  }
  int64_t deleted = 0;
  for (uint32_t i = op->ids_at; i < op->count; i++) {
    struct sb_id id;
    sb_id_parse(op->args[i], 0, &id);
    if (place->history) deleted += sb_history_delete(place->history, op->keys[0], id);
    if (key && sb_id_compare(id, key->stream.last) <= 0) raise_deleted(place, &key->stream, id);
  }
  sb_op_say_integer(place, deleted);
}

/* ---- XINFO STREAM ---- */

static void say_bad_options(const struct sb_op *op, struct sb_op_place *place) {
  int64_t count;
  if (!op->full)
    sb_op_say_error(
        place, sb_op_errorf("unknown subcommand or wrong number of arguments for '%.*s'. Try XINFO HELP.",
                            (int)op->args[1].len, (const char *)op->args[1].at));
  else if (op->count == 6 && !sb_bytes_i64(op->args[5], &count))
    sb_op_say_error(place, SB_OP_NOT_INTEGER);
  else
    sb_op_say_error(place, SB_OP_NO_FULL);
}

static void append_named_integer(struct sb_buf *out, const char *name, uint64_t value) {
  sb_reply_bulk_text(out, name);
  sb_reply_integer(out, (int64_t)value);
}

static void append_named_id(struct sb_buf *out, const char *name, struct sb_id id) {
  sb_reply_bulk_text(out, name);
  append_id(out, id);
}

static void append_named_entry(struct sb_op_place *place, const char *name, bool found,
                               const struct sb_history_entry *entry) {
  sb_reply_bulk_text(place->reply, name);
  if (found)
    append_entry(place->reply, entry);
  else
    sb_reply_null(place->reply, place->proto);
}

/* As Redis shapes it. A name that only the history knows is a stream too. Entries before the history's begin
 * are given as deleted: they may have been. */
static void append_info(struct sb_op_place *place, struct sb_bytes name, const struct sb_stream *stream) {
  struct sb_history_entry first, last;
  bool any = first_of(place, &(struct range){name, {0, 0}, SB_ID_MAX, false}, &first);
  any = any && last_entry(place, name, &last);
  uint64_t length = sb_op_length(place, name);
  uint64_t nodes = length / ENTRIES_PER_NODE + (length % ENTRIES_PER_NODE > 0);
  struct sb_id begin = place->history ? place->history->begin : (struct sb_id){0, 0};
  sb_reply_map(place->reply, place->proto, 10);
  append_named_integer(place->reply, "length", length);
  append_named_integer(place->reply, "radix-tree-keys", nodes);
  append_named_integer(place->reply, "radix-tree-nodes", nodes + 1);
  append_named_id(place->reply, "last-generated-id", any ? sb_id_later(stream->last, last.id) : stream->last);
  append_named_id(place->reply, "max-deleted-entry-id", sb_id_later(stream->max_deleted, begin));
  append_named_integer(place->reply, "entries-added", stream->added > length ? stream->added : length);
  append_named_id(place->reply, "recorded-first-entry-id", any ? first.id : (struct sb_id){0, 0});
  append_named_integer(place->reply, "groups", 0);
  append_named_entry(place, "first-entry", any, &first);
  append_named_entry(place, "last-entry", any, &last);
}

static void say_info(struct sb_op_place *place, struct sb_bytes name, const struct sb_stream *stream) {
  size_t begin = place->reply->len;
  if (!place->large) append_info(place, name, stream);
  if (!place->large && !sb_op_is_large(place)) return;
  place->reply->len = begin;
  sb_op_say_large(place);
}

static void run_xinfo_stream(const struct sb_op *op, struct sb_op_place *place) {
  static const struct sb_stream none;
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  if (!place->reply) return;
  if (!key && sb_op_length(place, op->keys[0]) == 0)
    sb_op_say_error(place, "no such key");
  else if (sb_op_is_string(key))
    sb_op_say_error(place, SB_OP_WRONG_TYPE);
  else if (op->count > 3)
    say_bad_options(op, place);
  else
    say_info(place, op->keys[0], key ? &key->stream : &none);
}

/* ---- XREAD ---- */

bool sb_op_read_stream(const struct sb_op_place *place, struct sb_bytes name, struct sb_id after,
                       uint64_t limit, const char **error) {
  if (sb_op_is_string(sb_op_find_key(place, name))) {
    *error = SB_OP_WRONG_TYPE;
    return false;
  }
  if (!sb_id_next(&after)) return false;
  struct range range = {name, after, SB_ID_MAX, false};
  uint64_t count = count_range(place, &range, limit);
  if (count == 0) return false;
  if (!place->reply) return true;
  if (place->proto == 2) sb_reply_array(place->reply, 2);
  sb_reply_bulk(place->reply, name);
  if (!append_range(place, &range, count)) *error = SB_OP_LARGE_REPLY;
  return true;
}

bool sb_op_read_from(const struct sb_op_place *place, struct sb_bytes name, struct sb_bytes text,
                     struct sb_id *after) {
  struct sb_key *key = sb_op_find_key(place, name);
  struct sb_history_entry last;
  *after = place->applied;
  if (sb_op_is_string(key)) return true;
  bool from_last = sb_bytes_is(text, "+");
  if (!from_last && !sb_bytes_is(text, "$")) return sb_id_parse(text, 0, after);
  if (from_last && last_entry(place, name, &last)) {
    *after = last.id;
    sb_id_previous(after);
  } else if (key) {
    *after = sb_id_later(*after, key->stream.last);
  }
  return true;
}

void sb_op_run_stream(const struct sb_op *op, struct sb_op_place *place) {
  switch (op->name) {
  case SB_OP_XADD:
    run_xadd(op, place);
    return;
  case SB_OP_XTRIM:
    run_xtrim(op, place);
    return;
  case SB_OP_XDEL:
    run_xdel(op, place);
    return;
  case SB_OP_XLEN:
    run_xlen(op, place);
    return;
  case SB_OP_XRANGE:
  case SB_OP_XREVRANGE:
    run_xrange(op, place);
    return;
  case SB_OP_XINFO_STREAM:
    run_xinfo_stream(op, place);
    return;
  default:
    return;
  }
}
