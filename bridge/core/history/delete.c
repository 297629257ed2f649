/* What commands delete from a history. A batch of which nothing is left goes at once, so that a stream that
 * is kept short does not push others out. */
#include "bridge/base/assert.h"
#include "bridge/core/history/pieces.h"
#include "bridge/core/history/record.h"
#include "bridge/core/history/slice.h"

static void count_down(struct sb_history *history, struct sb_history_key *key, uint64_t by) {
  SB_ASSERT(key->length >= by && history->entries >= by);
  key->length -= by;
  history->entries -= by;
}

/* Takes the first `by` entries from a piece. */
static void advance(struct sb_history_piece *piece, uint32_t by) {
  piece->off = sb_history_skip(piece, piece->off, by);
  piece->first = (uint16_t)(piece->first + by);
  piece->count = (uint16_t)(piece->count - by);
}

static void remove_first(struct sb_history *history, struct sb_history_key *key) {
  struct sb_history_batch *batch = sb_history_piece(key, 0)->batch;
  key->head++;
  key->count--;
  sb_history_ring_shrink(history, key);
  sb_history_piece_gone(history, batch);
}

/* Takes away the first `count` entries; there are that many. */
static uint64_t remove_entries(struct sb_history *history, struct sb_history_key *key, uint64_t count) {
  uint64_t left = count;
  sb_history_key_hold(key);
  while (left > 0 && sb_history_piece(key, 0)->count <= left) {
    left -= sb_history_piece(key, 0)->count;
    remove_first(history, key);
  }
  if (left > 0) advance(sb_history_piece(key, 0), (uint32_t)left);
  count_down(history, key, count);
  sb_history_key_release(history, key);
  return count;
}

uint64_t sb_history_trim_length(struct sb_history *history, struct sb_bytes name, uint64_t keep) {
  struct sb_history_key *key = sb_history_find(history, name);
  uint64_t length = key ? key->length : 0;
  if (history->record) sb_history_record_keep(history, name, keep > length ? keep - length : 0);
  if (history->slice) keep = sb_history_slice_trim(history, name, length, keep);
  return key && length > keep ? remove_entries(history, key, length - keep) : 0;
}

uint64_t sb_history_trim_below(struct sb_history *history, struct sb_bytes name, struct sb_id id) {
  struct sb_history_key *key = sb_history_find(history, name);
  if (history->record) sb_history_record_below(history, name, id);
  if (history->slice) sb_history_slice_deleted(history, name, id, true);
  if (!key) return 0;
  uint32_t pieces = sb_history_search(key, id);
  uint64_t below = 0;
  for (uint32_t i = 0; i < pieces; i++) below += sb_history_piece(key, i)->count;
  if (pieces < key->count) {
    struct sb_id first = sb_history_piece_id(sb_history_piece(key, pieces), 0);
    if (sb_id_compare(first, id) < 0) below += id.seq - first.seq;
  }
  return remove_entries(history, key, below);
}

uint64_t sb_history_forget(struct sb_history *history, struct sb_bytes name) {
  return sb_history_trim_length(history, name, 0);
}

/* ---- in the middle ---- */

/* Removing and inserting a piece both move the shorter side of the ring: streams are mostly deleted from at
 * one end. */
static void remove_piece(struct sb_history *history, struct sb_history_key *key, uint32_t at) {
  struct sb_history_batch *batch = sb_history_piece(key, at)->batch;
  if (at < key->count / 2) {
    for (uint32_t i = at; i > 0; i--) *sb_history_piece(key, i) = *sb_history_piece(key, i - 1);
    key->head++;
  } else {
    for (uint32_t i = at; i + 1 < key->count; i++) *sb_history_piece(key, i) = *sb_history_piece(key, i + 1);
  }
  key->count--;
  sb_history_ring_shrink(history, key);
  sb_history_piece_gone(history, batch);
}

static void insert_piece(struct sb_history *history, struct sb_history_key *key, uint32_t at,
                         struct sb_history_piece piece) {
  sb_history_ring_grow(history, key);
  key->count++;
  if (at < key->count / 2) {
    key->head--;
    for (uint32_t i = 0; i < at; i++) *sb_history_piece(key, i) = *sb_history_piece(key, i + 1);
  } else {
    for (uint32_t i = key->count - 1; i > at; i--) *sb_history_piece(key, i) = *sb_history_piece(key, i - 1);
  }
  *sb_history_piece(key, at) = piece;
  piece.batch->pieces++;
}

static void split(struct sb_history *history, struct sb_history_key *key, uint32_t at, uint32_t entry) {
  struct sb_history_piece *piece = sb_history_piece(key, at), behind = *piece;
  advance(&behind, entry + 1);
  piece->count = (uint16_t)entry;
  insert_piece(history, key, at + 1, behind);
}

bool sb_history_delete(struct sb_history *history, struct sb_bytes name, struct sb_id id) {
  struct sb_history_key *key = sb_history_find(history, name);
  uint32_t at = key ? sb_history_search(key, id) : 0;
  if (history->record) sb_history_record_delete(history, name, id);
  if (history->slice) sb_history_slice_deleted(history, name, id, false);
  if (!key || at == key->count) return false;
  struct sb_history_piece *piece = sb_history_piece(key, at);
  struct sb_id first = sb_history_piece_id(piece, 0);
  if (sb_id_compare(id, first) < 0) return false;
  uint32_t entry = (uint32_t)(id.seq - first.seq);
  count_down(history, key, 1);
  if (piece->count == 1)
    remove_piece(history, key, at);
  else if (entry == 0)
    advance(piece, 1);
  else if (entry + 1u == piece->count)
    piece->count--;
  else
    split(history, key, at, entry);
  return true;
}
