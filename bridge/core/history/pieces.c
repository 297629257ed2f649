#include "bridge/core/history/pieces.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/core/wire/name.h"

/* ---- the account ---- */

/* What an allocation of this size takes in memory. As glibc rounds it, which takes the most of the C
 * libraries in use. */
static size_t heap_bytes(size_t size) {
  if (size == 0) return 0;
  size_t chunk = (size + sizeof(size_t) + 15) & ~(size_t)15;
  return chunk < 32 ? 32 : chunk;
}

static size_t body_bytes(const struct sb_body *body) {
  if (body->release) return heap_bytes(sizeof *body) + heap_bytes(body->len);
  return heap_bytes(sizeof *body + body->len);
}

static size_t key_size(size_t name_len) {
  return offsetof(struct sb_history_key, name) + name_len;
}

static size_t ring_bytes(uint32_t cap) {
  return heap_bytes(cap * sizeof(struct sb_history_piece));
}

size_t sb_history_names_bytes(const struct sb_history_batch *batch) {
  return heap_bytes(batch->keys_cap * sizeof(struct sb_history_key *));
}

static size_t table_bytes(const struct sb_history *history) {
  return heap_bytes(history->keys.cap * sizeof(struct sb_table_slot));
}

/* ---- keys ---- */

struct sb_history_key *sb_history_find(const struct sb_history *history, struct sb_bytes name) {
  if (history->keys.count == 0) return NULL;
  uint64_t hash = sb_name_hash(name);
  size_t at = sb_table_start(&history->keys, hash);
  struct sb_history_key *key;
  while ((key = sb_table_probe(&history->keys, hash, &at)))
    if (sb_bytes_equal(sb_bytes(key->name, key->name_len), name)) return key;
  return NULL;
}

struct sb_history_key *sb_history_key_make(struct sb_history *history, struct sb_bytes name) {
  struct sb_history_key *key = sb_calloc(1, key_size(name.len)); /* may be shorter than the struct */
  key->name_len = (uint32_t)name.len;
  if (name.len) memcpy(key->name, name.at, name.len);
  history->bytes += heap_bytes(key_size(name.len));
  history->bytes -= table_bytes(history);
  sb_table_add(&history->keys, sb_name_hash(name), key);
  history->bytes += table_bytes(history);
  return key;
}

void sb_history_key_release(struct sb_history *history, struct sb_history_key *key) {
  SB_ASSERT(key->named > 0);
  if (--key->named > 0) return;
  SB_ASSERT(key->count == 0 && key->length == 0);
  history->bytes -= ring_bytes(key->cap) + heap_bytes(key_size(key->name_len)) + table_bytes(history);
  sb_table_remove(&history->keys, sb_name_hash(sb_bytes(key->name, key->name_len)), key);
  history->bytes += table_bytes(history);
  free(key->ring);
  free(key);
}

/* Grows in place where the C library can: a long ring is a good part of the history, and there may be no room
 * for two. */
void sb_history_ring_grow(struct sb_history *history, struct sb_history_key *key) {
  if (key->count < key->cap) return;
  uint32_t before = key->cap, cap = before ? before * 2 : 1;
  key->head &= before - 1;
  key->ring = sb_realloc(key->ring, cap * sizeof *key->ring);
  if (before) memcpy(key->ring + before, key->ring, key->head * sizeof *key->ring);
  key->cap = cap;
  history->bytes += ring_bytes(cap);
  history->bytes -= ring_bytes(before);
}

void sb_history_ring_shrink(struct sb_history *history, struct sb_history_key *key) {
  uint32_t cap = key->cap;
  while (cap > 1 && key->count <= cap / 4) cap /= 2;
  if (cap == key->cap) return;
  struct sb_history_piece *ring = sb_malloc(cap * sizeof *ring);
  for (uint32_t i = 0; i < key->count; i++) ring[i] = *sb_history_piece(key, i);
  free(key->ring);
  history->bytes += ring_bytes(cap);
  history->bytes -= ring_bytes(key->cap);
  key->ring = ring;
  key->cap = cap;
  key->head = 0;
}

/* ---- batches ---- */

/* Looks from `at` on in one direction for a batch that holds the same body. One message may have several: its
 * own body, and between two runs of its entries bodies that were made for single ones. */
static struct sb_history_batch *twin(struct sb_history_batch *at, const struct sb_history_batch *batch,
                                     bool backwards) {
  while (at && sb_id_compare(at->base, batch->base) == 0 && at->body != batch->body)
    at = backwards ? at->prev : at->next;
  return at && at->body == batch->body ? at : NULL;
}

size_t sb_history_paid_bytes(const struct sb_history_batch *batch) {
  return heap_bytes(sizeof *batch) + (batch->pays ? body_bytes(batch->body) : 0);
}

void sb_history_batch_link(struct sb_history *history, struct sb_history_batch *batch) {
  sb_body_ref(batch->body);
  batch->pays = !twin(history->last, batch, true);
  batch->prev = history->last;
  if (history->last)
    history->last->next = batch;
  else
    history->first = batch;
  history->last = batch;
  history->bytes += sb_history_paid_bytes(batch);
}

/* Before a batch goes: if another holds the same body, the bytes of the body count there from now on. */
static void pass_on(struct sb_history *history, const struct sb_history_batch *batch) {
  struct sb_history_batch *other = twin(batch->next, batch, false);
  if (!batch->pays || !other) return;
  other->pays = true;
  history->bytes += body_bytes(other->body);
}

/* Frees a batch of which no piece is left. */
void sb_history_batch_end(struct sb_history *history, struct sb_history_batch *batch) {
  pass_on(history, batch);
  if (batch->prev)
    batch->prev->next = batch->next;
  else
    history->first = batch->next;
  if (batch->next)
    batch->next->prev = batch->prev;
  else
    history->last = batch->prev;
  if (history->open == batch) history->open = NULL;
  for (uint32_t i = 0; i < batch->keys_count; i++) {
    struct sb_history_key *key = batch->keys[i];
    if (key->named_by == batch) key->named_by = NULL; /* the next batch may stand at this address */
    sb_history_key_release(history, key);
  }
  history->bytes -= sb_history_paid_bytes(batch) + sb_history_names_bytes(batch);
  sb_body_unref(batch->body);
  free(batch->keys);
  free(batch);
}

void sb_history_piece_gone(struct sb_history *history, struct sb_history_batch *batch) {
  SB_ASSERT(batch->pieces > 0);
  if (--batch->pieces == 0 && batch != history->open) sb_history_batch_end(history, batch);
}

/* ---- runs of messages ---- */

uint32_t sb_history_skip(const struct sb_history_piece *piece, uint32_t off, uint32_t count) {
  const uint8_t *data = piece->batch->body->data;
  for (; count > 0; count--) off += piece->len + sb_history_bulk_size(data + off + piece->len);
  return off;
}

uint32_t sb_history_search(const struct sb_history_key *key, struct sb_id id) {
  uint32_t low = 0, high = key->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const struct sb_history_piece *piece = sb_history_piece(key, middle);
    if (sb_id_compare(sb_history_piece_id(piece, piece->count - 1u), id) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}
