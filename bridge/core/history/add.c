/* What is added to a history, and what goes when there is too much. */
#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/core/history/merge.h"
#include "bridge/core/history/pieces.h"
#include "bridge/core/history/slice.h"
#include "bridge/core/wire/name.h"

/* How many marks a history has once something had to go: of 16 bytes each, a sixteenth of its bound together,
 * and 64 KiB at least. */
#define MARKS_MIN 4096
#define MARKS_MAX 65536

/* Whether the batch behind this one is another body of the same message. */
static bool continues(const struct sb_history *history, const struct sb_history_batch *batch) {
  const struct sb_history_batch *next = batch->next ? batch->next : history->open;
  return next && next != batch && sb_id_compare(next->base, batch->base) == 0;
}

static struct sb_id end_of(const struct sb_history *history, const struct sb_history_batch *batch) {
  uint32_t behind = continues(history, batch) ? batch->behind : SB_BATCH_ENTRIES_MAX;
  return (struct sb_id){batch->base.ms, batch->base.seq + behind - 1};
}

static size_t marks_of(const struct sb_history *history) {
  size_t marks = MARKS_MIN;
  while (marks < MARKS_MAX && marks * 256 < history->max_bytes) marks *= 2;
  return marks;
}

static size_t mark_of(const struct sb_history *history, struct sb_bytes name) {
  return (size_t)(sb_name_hash(name) >> 32) & (marks_of(history) - 1);
}

static void mark(struct sb_history *history, const struct sb_history_key *key, struct sb_id id) {
  if (!history->marks_wanted) return;
  if (!history->marks) history->marks = sb_calloc(marks_of(history), sizeof *history->marks);
  struct sb_id *at = &history->marks[mark_of(history, sb_bytes(key->name, key->name_len))];
  *at = sb_id_later(*at, id);
}

/* Drops the oldest batch, whose pieces are the first of their keys. */
static void drop_first(struct sb_history *history) {
  struct sb_history_batch *batch = history->first;
  for (uint32_t i = 0; i < batch->keys_count; i++) {
    struct sb_history_key *key = batch->keys[i];
    while (key->count > 0 && sb_history_piece(key, 0)->batch == batch) {
      uint32_t count = sb_history_piece(key, 0)->count;
      mark(history, key, sb_history_piece_id(sb_history_piece(key, 0), count - 1));
      key->length -= count;
      history->entries -= count;
      key->head++;
      key->count--;
    }
    sb_history_ring_shrink(history, key);
  }
  history->begin = sb_id_later(history->begin, end_of(history, batch));
  sb_history_batch_end(history, batch);
}

static void keep_bytes(struct sb_history *history) {
  if (history->slice && !history->slice->backwards) return; /* it keeps the first and takes no more */
  while (history->bytes > history->max_bytes && history->first && history->first != history->open)
    drop_first(history);
}

void sb_history_age(struct sb_history *history, uint64_t now_ms) {
  if (history->max_age_ms == 0) return;
  while (history->first && now_ms > history->first->at_ms &&
         now_ms - history->first->at_ms > history->max_age_ms)
    drop_first(history);
}

static uint32_t piece_bytes(const struct sb_history_piece *piece) {
  return piece->pairs > 0 ? piece->len : sb_history_skip(piece, piece->off, piece->count) - piece->off;
}

/* For the latest batch, whose pieces are the latest of their key. Copies this key's into `body` from `off` on
 * and refers to them there; without a body only counts. Returns how many bytes they have. */
static uint32_t move_pieces(const struct sb_history_batch *batch, const struct sb_history_key *key,
                            struct sb_body *body, uint32_t off) {
  uint32_t bytes = 0;
  for (uint32_t i = key->count; i > 0 && sb_history_piece(key, i - 1)->batch == batch; i--) {
    struct sb_history_piece *piece = sb_history_piece(key, i - 1);
    uint32_t len = piece_bytes(piece);
    if (body) {
      memcpy(body->data + off + bytes, batch->body->data + piece->off, len);
      piece->off = off + bytes;
    }
    bytes += len;
  }
  return bytes;
}

/* Copies the pieces of a batch when they are half of its body at most: a few small entries must not keep a
 * large body in memory. */
static void hold_pieces_only(struct sb_history *history, struct sb_history_batch *batch) {
  uint32_t bytes = 0, off = 0;
  for (uint32_t i = 0; i < batch->keys_count; i++) bytes += move_pieces(batch, batch->keys[i], NULL, 0);
  if (bytes > batch->body->len / 2) return;
  struct sb_body *body = sb_body_new(bytes);
  for (uint32_t i = 0; i < batch->keys_count; i++) off += move_pieces(batch, batch->keys[i], body, off);
  history->bytes -= sb_history_paid_bytes(batch);
  sb_body_unref(batch->body);
  batch->body = body;
  batch->pays = true;
  history->bytes += sb_history_paid_bytes(batch);
}

/* Closes the open batch. One to which nothing was added stays in history->open, to be used again. */
static void seal(struct sb_history *history) {
  struct sb_history_batch *batch = history->open;
  if (!batch || batch->keys_count == 0) return;
  history->open = NULL;
  if (batch->pieces == 0) {
    sb_history_batch_end(history, batch);
    return;
  }
  history->bytes -= sb_history_names_bytes(batch);
  batch->keys = sb_realloc(batch->keys, batch->keys_count * sizeof(struct sb_history_key *));
  batch->keys_cap = batch->keys_count;
  history->bytes += sb_history_names_bytes(batch);
  if (history->slice) hold_pieces_only(history, batch);
}

void sb_history_batch(struct sb_history *history, uint64_t generation, uint64_t sequence,
                      struct sb_body *body, uint64_t now_ms) {
  if (history->max_bytes == 0) {
    sb_history_restart(history, sb_id_end_of(generation, sequence));
    return;
  }
  seal(history);
  if (history->slice) sb_history_slice_message(history, sb_id_at(generation, sequence, 0));
  if (!history->open) history->open = sb_calloc(1, sizeof *history->open);
  history->open->body = body;
  history->open->base = sb_id_at(generation, sequence, 0);
  history->open->at_ms = now_ms;
  keep_bytes(history);
  sb_history_age(history, now_ms);
}

/* ---- adding ---- */

static void name_key(struct sb_history *history, struct sb_history_batch *batch, struct sb_history_key *key) {
  if (key->named_by == batch) return;
  if (batch->keys_count == batch->keys_cap) {
    history->bytes -= sb_history_names_bytes(batch);
    batch->keys_cap = batch->keys_cap ? batch->keys_cap * 2 : 1;
    batch->keys = sb_realloc(batch->keys, batch->keys_cap * sizeof(struct sb_history_key *));
    history->bytes += sb_history_names_bytes(batch);
  }
  batch->keys[batch->keys_count++] = key;
  key->named_by = batch;
  key->named++;
}

static struct sb_history_key *key_for(struct sb_history *history, struct sb_bytes name) {
  struct sb_history_batch *batch = history->open;
  if (batch->keys_count == 0) sb_history_batch_link(history, batch);
  struct sb_history_key *key = sb_history_find(history, name);
  if (!key) key = sb_history_key_make(history, name);
  name_key(history, batch, key);
  return key;
}

static void add_piece(struct sb_history *history, struct sb_history_key *key,
                      const struct sb_history_piece *piece) {
  sb_history_ring_grow(history, key);
  key->count++;
  *sb_history_piece(key, key->count - 1) = *piece;
  piece->batch->pieces++;
  uint32_t behind = (uint32_t)piece->first + piece->count;
  if (behind > piece->batch->behind) piece->batch->behind = behind;
}

/* Whether these messages follow the key's last ones in number and in the body, and so lengthen that piece. */
static bool joins(const struct sb_history *history, const struct sb_history_key *key,
                  const struct sb_history_piece *piece) {
  if (key->count == 0) return false;
  const struct sb_history_piece *last = sb_history_piece(key, key->count - 1);
  return last->batch == piece->batch && last->pairs == 0 && last->len == piece->len &&
         last->first + last->count == piece->first &&
         sb_history_skip(last, history->latest_off, history->latest_count) == piece->off;
}

static void added(struct sb_history *history, struct sb_history_key *key, uint32_t count) {
  key->length += count;
  history->entries += count;
  if (!history->slice) keep_bytes(history); /* a slice drops when it seals */
}

static bool takes(const struct sb_history *history, struct sb_bytes name, uint32_t index, uint32_t count) {
  const struct sb_id base = history->open->base;
  return !history->slice ||
         sb_history_slice_takes(history, name, (struct sb_id){base.ms, base.seq + index}, count);
}

void sb_history_add_messages(struct sb_history *history, uint32_t off, uint32_t key_off, uint32_t key_len,
                             uint32_t index, uint32_t count) {
  struct sb_history_batch *batch = history->open;
  if (!batch) return;
  SB_ASSERT(index < SB_BATCH_ENTRIES_MAX && count > 0 && count <= SB_BATCH_ENTRIES_MAX - index);
  const struct sb_history_piece piece = {.batch = batch,
                                         .off = off,
                                         .len = key_off + key_len + 2 - off,
                                         .first = (uint16_t)index,
                                         .count = (uint16_t)count};
  struct sb_bytes name = sb_bytes(batch->body->data + key_off, key_len);
  if (!takes(history, name, index, count)) return;
  struct sb_history_key *key = key_for(history, name);
  if (joins(history, key, &piece)) {
    struct sb_history_piece *last = sb_history_piece(key, key->count - 1);
    last->count = (uint16_t)(last->count + count);
    batch->behind = index + count;
  } else {
    add_piece(history, key, &piece);
  }
  history->latest_off = off;
  history->latest_count = count;
  added(history, key, count);
}

void sb_history_add_fields(struct sb_history *history, uint32_t key_off, uint32_t key_len,
                           uint32_t fields_off, uint32_t fields_len, uint32_t pairs, uint32_t index) {
  struct sb_history_batch *batch = history->open;
  if (!batch) return;
  SB_ASSERT(index < SB_BATCH_ENTRIES_MAX && pairs > 0);
  const struct sb_history_piece piece = {.batch = batch,
                                         .off = fields_off,
                                         .len = fields_len,
                                         .pairs = pairs,
                                         .first = (uint16_t)index,
                                         .count = 1};
  struct sb_bytes name = sb_bytes(batch->body->data + key_off, key_len);
  if (!takes(history, name, index, 1)) return;
  struct sb_history_key *key = key_for(history, name);
  add_piece(history, key, &piece);
  added(history, key, 1);
}

/* ---- the whole ---- */

void sb_history_move_first(struct sb_history *from, struct sb_history *to) {
  const struct sb_history_batch *batch = from->first;
  sb_history_batch(to, batch->base.ms, batch->base.seq / SB_BATCH_ENTRIES_MAX, batch->body, batch->at_ms);
  if (!to->open) { /* it keeps nothing */
    drop_first(from);
    return;
  }
  for (uint32_t i = 0; i < batch->keys_count; i++) {
    const struct sb_history_key *old = batch->keys[i];
    struct sb_history_key *key = key_for(to, sb_bytes(old->name, old->name_len));
    for (uint32_t at = 0; at < old->count && sb_history_piece(old, at)->batch == batch; at++) {
      struct sb_history_piece piece = *sb_history_piece(old, at);
      piece.batch = to->open;
      add_piece(to, key, &piece);
      key->length += piece.count;
      to->entries += piece.count;
    }
  }
  drop_first(from);
}

void sb_history_init(struct sb_history *history, size_t max_bytes, uint64_t max_age_ms) {
  *history = (struct sb_history){.max_bytes = max_bytes, .max_age_ms = max_age_ms};
}

void sb_history_restart(struct sb_history *history, struct sb_id begin) {
  if (history->open && history->open->keys_count == 0) free(history->open);
  history->open = NULL;
  bool marks_wanted = history->marks_wanted;
  history->marks_wanted = false;
  while (history->first) drop_first(history);
  history->marks_wanted = marks_wanted;
  sb_table_close(&history->keys);
  history->bytes = 0;
  history->begin = history->floor = begin;
  free(history->marks);
  history->marks = NULL;
  if (history->slice) sb_history_slice_restart(history->slice);
}

void sb_history_mark(struct sb_history *history) {
  history->marks_wanted = true;
}

bool sb_history_lacks(const struct sb_history *history, struct sb_bytes name, struct sb_id from) {
  static const struct sb_id none;
  if (sb_id_compare(from, history->begin) > 0 || sb_id_compare(history->begin, none) == 0) return false;
  if (sb_id_compare(history->floor, none) > 0 && sb_id_compare(from, history->floor) <= 0) return true;
  return history->marks && sb_id_compare(history->marks[mark_of(history, name)], from) >= 0;
}

void sb_history_close(struct sb_history *history) {
  sb_history_record(history, false);
  sb_history_restart(history, (struct sb_id){0, 0});
}
