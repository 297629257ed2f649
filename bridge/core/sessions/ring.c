#include "bridge/core/sessions/ring.h"

#include <stdlib.h>

#include "bridge/base/limits.h"
#include "bridge/core/sessions/question.h"

#define RING_FIRST_CAP 8
#define RING_KEPT_CAP  1024 /* slots kept by a session that waits for nothing */

bool sb_ring_grow(struct sb_ring *ring) {
  uint32_t old = ring->cap, cap = old ? old * 2 : RING_FIRST_CAP;
  if (old >= SB_RING_SLOTS_MAX) return false;
  SB_ASSERT((cap & (cap - 1)) == 0 && sb_ring_waiting(ring) <= old);
  struct sb_slot *slots = sb_malloc(cap * sizeof *slots);
  for (uint32_t i = ring->answered; i != ring->expected; i++)
    slots[i & (cap - 1)] = ring->slots[i & (old - 1)];
  free(ring->slots);
  ring->slots = slots;
  ring->cap = cap;
  return true;
}

static bool holds_something(const struct sb_slot *slot) {
  return slot->state != SB_SLOT_WAITING && slot->state != SB_SLOT_INTEGER;
}

static size_t empty(struct sb_slot *slot) {
  size_t bytes = slot->len;
  if (!holds_something(slot)) return 0;
  if (slot->state == SB_SLOT_QUESTION) {
    sb_question_free(slot->question);
    slot->state = SB_SLOT_PREPARED; /* what it waits for comes all the same */
  } else {
    free(slot->bytes);
  }
  slot->len = 0;
  slot->bytes = NULL;
  return bytes;
}

size_t sb_ring_empty(struct sb_ring *ring, uint32_t slot) {
  return empty(sb_ring_at(ring, slot));
}

void sb_ring_set_integers(struct sb_ring *ring, uint32_t slot, uint32_t count, uint64_t value) {
  for (uint32_t i = slot; i != slot + count; i++) {
    struct sb_slot *at = sb_ring_at(ring, i);
    SB_ASSERT(at->state == SB_SLOT_WAITING);
    at->state = SB_SLOT_INTEGER;
    at->integer = value;
  }
}

void sb_ring_set_bytes(struct sb_ring *ring, uint32_t slot, struct sb_bytes reply, uint32_t left) {
  struct sb_slot *at = sb_ring_at(ring, slot);
  SB_ASSERT(left <= SB_SLOT_LEFT_MAX && reply.len <= UINT32_MAX);
  SB_ASSERT(!holds_something(at) || !at->bytes);
  at->state = left > 0 ? SB_SLOT_PREPARED : SB_SLOT_BYTES;
  at->left = left & SB_SLOT_LEFT_MAX;
  at->len = (uint32_t)reply.len;
  at->bytes = reply.len > 0 ? sb_malloc(reply.len) : NULL;
  if (reply.len > 0) memcpy(at->bytes, reply.at, reply.len);
}

void sb_ring_set_question(struct sb_ring *ring, uint32_t slot, struct sb_question *question, size_t size,
                          uint32_t left) {
  struct sb_slot *at = sb_ring_at(ring, slot);
  SB_ASSERT(at->state == SB_SLOT_WAITING);
  SB_ASSERT(left > 0 && left <= SB_SLOT_LEFT_MAX);
  at->state = SB_SLOT_QUESTION;
  at->left = left & SB_SLOT_LEFT_MAX;
  at->len = (uint32_t)size;
  at->question = question;
}

struct sb_question *sb_ring_question(const struct sb_ring *ring, uint32_t slot) {
  const struct sb_slot *at = sb_ring_at(ring, slot);
  return at->state == SB_SLOT_QUESTION ? at->question : NULL;
}

uint32_t sb_ring_count_down(struct sb_ring *ring, uint32_t slot) {
  struct sb_slot *at = sb_ring_at(ring, slot);
  SB_ASSERT(at->state == SB_SLOT_PREPARED || at->state == SB_SLOT_QUESTION);
  SB_ASSERT(at->left > 0);
  at->left = (at->left - 1u) & SB_SLOT_LEFT_MAX;
  if (at->left == 0 && at->state == SB_SLOT_PREPARED) at->state = SB_SLOT_BYTES;
  return at->left;
}

void sb_ring_drop_first(struct sb_ring *ring) {
  empty(sb_ring_at(ring, ring->answered));
  ring->answered++;
}

size_t sb_ring_forget(struct sb_ring *ring) {
  size_t bytes = 0;
  for (uint32_t i = ring->answered; i != ring->expected; i++) bytes += empty(sb_ring_at(ring, i));
  return bytes;
}

void sb_ring_close(struct sb_ring *ring) {
  SB_ASSERT(sb_ring_waiting(ring) == 0);
  free(ring->slots);
  *ring = (struct sb_ring){0};
}

void sb_ring_shrink(struct sb_ring *ring) {
  if (ring->cap > RING_KEPT_CAP) sb_ring_close(ring);
}
