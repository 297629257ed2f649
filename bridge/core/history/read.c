/* Reading a history. Lengths in bodies were checked when the batch was applied, and are trusted here. */
#include "bridge/core/history/pieces.h"

uint64_t sb_history_length(const struct sb_history *history, struct sb_bytes name) {
  const struct sb_history_key *key = sb_history_find(history, name);
  return key ? key->length : 0;
}

void sb_history_seek(const struct sb_history *history, struct sb_bytes name, struct sb_id from,
                     struct sb_id to, bool backwards, struct sb_history_cursor *cursor) {
  const struct sb_history_key *key = sb_history_find(history, name);
  cursor->key = key;
  cursor->from = from;
  cursor->to = to;
  cursor->backwards = backwards;
  cursor->piece = cursor->at = 0;
  cursor->steps_known = 0;
  if (!key) return;
  struct sb_id start = backwards ? to : from;
  cursor->piece = sb_history_search(key, start);
  if (cursor->piece == key->count) return;
  const struct sb_history_piece *piece = sb_history_piece(key, cursor->piece);
  struct sb_id first = sb_history_piece_id(piece, 0);
  if (sb_id_compare(first, start) > 0) return;
  cursor->at = (uint32_t)(start.seq - first.seq) + backwards;
  if (!backwards) cursor->off = sb_history_skip(piece, piece->off, cursor->at);
}

static void give(const struct sb_history_piece *piece, uint32_t off, struct sb_id id,
                 struct sb_history_entry *out) {
  const uint8_t *at = piece->batch->body->data + off;
  bool message = piece->pairs == 0;
  *out = (struct sb_history_entry){
      .id = id,
      .message = message,
      .pairs = message ? 1 : piece->pairs,
      .bulk = message ? sb_bytes(at + piece->len, sb_history_bulk_size(at + piece->len))
                      : sb_bytes(at, piece->len),
  };
}

static bool end(struct sb_history_cursor *cursor) {
  cursor->key = NULL;
  return false;
}

static bool next(struct sb_history_cursor *cursor, struct sb_history_entry *out) {
  const struct sb_history_key *key = cursor->key;
  if (cursor->piece == key->count) return end(cursor);
  const struct sb_history_piece *piece = sb_history_piece(key, cursor->piece);
  struct sb_id id = sb_history_piece_id(piece, cursor->at);
  if (sb_id_compare(id, cursor->to) > 0) return end(cursor);
  if (cursor->at == 0) cursor->off = piece->off;
  give(piece, cursor->off, id, out);
  cursor->off +=
      piece->len + (uint32_t)out->bulk.len; /* for a message; a piece of fields has no second entry */
  if (++cursor->at == piece->count) {
    cursor->piece++;
    cursor->at = 0;
  }
  return true;
}

/* Where entry `at` of a piece begins, walking backwards. Entries can only be found from a piece's begin on.
 * So it finds SB_HISTORY_STEPS at a time and keeps their places for the next calls, each of which uses the
 * last one that is left. */
static uint32_t place_of(struct sb_history_cursor *cursor, const struct sb_history_piece *piece,
                         uint32_t at) {
  uint32_t first = at - at % SB_HISTORY_STEPS, step = at - first;
  if (step >= cursor->steps_known) {
    uint32_t off = sb_history_skip(piece, piece->off, first);
    cursor->steps[0] = off;
    for (uint32_t i = 1; i <= step; i++) cursor->steps[i] = sb_history_skip(piece, cursor->steps[i - 1], 1);
  }
  cursor->steps_known = step; /* the places before this one */
  return cursor->steps[step];
}

static bool previous(struct sb_history_cursor *cursor, struct sb_history_entry *out) {
  const struct sb_history_key *key = cursor->key;
  if (cursor->at == 0) {
    if (cursor->piece == 0) return end(cursor);
    cursor->piece--;
    cursor->at = sb_history_piece(key, cursor->piece)->count;
  }
  const struct sb_history_piece *piece = sb_history_piece(key, cursor->piece);
  struct sb_id id = sb_history_piece_id(piece, cursor->at - 1);
  if (sb_id_compare(id, cursor->from) < 0) return end(cursor);
  cursor->at--;
  give(piece, place_of(cursor, piece, cursor->at), id, out);
  return true;
}

bool sb_history_next(struct sb_history_cursor *cursor, struct sb_history_entry *out) {
  if (!cursor->key) return false;
  return cursor->backwards ? previous(cursor, out) : next(cursor, out);
}
