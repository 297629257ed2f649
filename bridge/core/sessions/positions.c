#include "bridge/core/sessions/positions.h"

#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/core/wire/name.h"

/* How long a request waits for a position that this node has not read yet. A session that waited in vain does
 * not wait again for some time: clients may make positions up. */
#define AHEAD_MS       500
#define AHEAD_PAUSE_MS 10000

static uint64_t request_hash(const struct sb_op *op) {
  uint64_t hash = op->keys_count;
  for (uint32_t i = 0; i < op->keys_count; i++) {
    hash = hash * UINT64_C(0x9e3779b97f4a7c15) + sb_name_hash(op->keys[i]);
    hash = hash * UINT64_C(0x9e3779b97f4a7c15) + sb_name_hash(op->args[op->ids_at + i]);
  }
  return hash;
}

struct sb_last_ids *sb_positions_last_ids(struct sb_positions *positions, const struct sb_op *op) {
  uint64_t request = request_hash(op);
  struct sb_last_ids *ids = positions->last_ids;
  if (ids && ids->count == op->keys_count && ids->request == request) return ids;
  sb_positions_forget_last_ids(positions);
  ids = sb_calloc(1, sizeof *ids + op->keys_count * sizeof ids->at[0]);
  ids->request = request;
  ids->count = op->keys_count;
  positions->last_ids = ids;
  return ids;
}

void sb_positions_forget_last_ids(struct sb_positions *positions) {
  free(positions->last_ids);
  positions->last_ids = NULL;
}

bool sb_positions_wait_ahead(struct sb_positions *positions, uint64_t now_ms, uint64_t *until_ms) {
  if (now_ms < positions->ahead_again_ms) return false;
  if (positions->ahead_until_ms == 0) positions->ahead_until_ms = now_ms + AHEAD_MS;
  *until_ms = positions->ahead_until_ms;
  if (now_ms < *until_ms) return true;
  positions->ahead_again_ms = now_ms + AHEAD_PAUSE_MS;
  return false;
}

void sb_positions_go_on(struct sb_positions *positions) {
  positions->ahead_until_ms = 0;
}
