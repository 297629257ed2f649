#include "bridge/core/sessions/positions.h"

#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/core/wire/name.h"

/* How long a request waits for a position that this node has not read yet. A session that waited in vain does
 * not wait again for some time: clients may make positions up. */
#define AHEAD_MS       500
#define AHEAD_PAUSE_MS 10000

struct last_ids {
  uint64_t request; /* a hash of its names and ids */
  uint32_t count;
  struct sb_id at[];
};

struct sb_positions {
  struct last_ids *last_ids; /* NULL: no XREAD with a "$" waits */
  uint64_t ahead_until_ms;   /* a position is waited for until then; 0: none is */
  uint64_t ahead_again_ms;   /* the last one did not come: none is waited for before then */
};

static struct sb_positions *made(struct sb_positions **positions) {
  if (!*positions) *positions = sb_calloc(1, sizeof **positions);
  return *positions;
}

static uint64_t request_hash(const struct sb_op *op) {
  uint64_t hash = op->keys_count;
  for (uint32_t i = 0; i < op->keys_count; i++) {
    hash = hash * UINT64_C(0x9e3779b97f4a7c15) + sb_name_hash(op->keys[i]);
    hash = hash * UINT64_C(0x9e3779b97f4a7c15) + sb_name_hash(op->args[op->ids_at + i]);
  }
  return hash;
}

struct sb_id *sb_positions_last_ids(struct sb_positions **positions, const struct sb_op *op) {
  uint64_t request = request_hash(op);
  struct last_ids *ids = made(positions)->last_ids;
  if (ids && ids->count == op->keys_count && ids->request == request) return ids->at;
  free(ids);
  ids = sb_calloc(1, sizeof *ids + op->keys_count * sizeof ids->at[0]);
  ids->request = request;
  ids->count = op->keys_count;
  (*positions)->last_ids = ids;
  return ids->at;
}

const struct sb_id *sb_positions_kept_ids(const struct sb_positions *positions) {
  return positions && positions->last_ids ? positions->last_ids->at : NULL;
}

void sb_positions_forget_last_ids(struct sb_positions **positions) {
  if (!*positions) return;
  free((*positions)->last_ids);
  (*positions)->last_ids = NULL;
  if ((*positions)->ahead_again_ms == 0 && (*positions)->ahead_until_ms == 0) sb_positions_close(positions);
}

bool sb_positions_wait_ahead(struct sb_positions **positions, uint64_t now_ms, uint64_t *until_ms) {
  struct sb_positions *ahead = made(positions);
  if (now_ms < ahead->ahead_again_ms) return false;
  if (ahead->ahead_until_ms == 0) ahead->ahead_until_ms = now_ms + AHEAD_MS;
  *until_ms = ahead->ahead_until_ms;
  if (now_ms < *until_ms) return true;
  ahead->ahead_again_ms = now_ms + AHEAD_PAUSE_MS;
  return false;
}

void sb_positions_go_on(struct sb_positions *positions) {
  if (positions) positions->ahead_until_ms = 0;
}

void sb_positions_close(struct sb_positions **positions) {
  if (!*positions) return;
  free((*positions)->last_ids);
  free(*positions);
  *positions = NULL;
}
