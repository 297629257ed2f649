/* The ring of reply slots of a session. A request whose reply is not known yet takes a slot, and what is
 * answered behind it waits in a slot of its own, so replies keep the order of the requests.
 *
 *             answered                             expected
 *     … written │ slot │ slot │ slot │ … │ slot      │ …
 *               └ the next to be written             └ the next to be taken
 *
 * Slots are numbered from 0 on and never again; numbers wrap around. Storage that the caller holds; zeroed is
 * empty. */
#ifndef SB_CORE_SESSIONS_RING_H
#define SB_CORE_SESSIONS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"

enum sb_slot_state {
  SB_SLOT_WAITING,
  SB_SLOT_INTEGER,
  SB_SLOT_BYTES,
  SB_SLOT_PREPARED, /* the reply is known; it waits for `left` entries to come back */
  SB_SLOT_QUESTION, /* the reply is gathered from `left` entries that come back */
};

#define SB_SLOT_LEFT_MAX 0xffffff /* more than a request has arguments, or there are logs */

struct sb_question;

struct sb_slot {
  union {
    uint64_t integer;
    uint8_t *bytes; /* heap */
    struct sb_question *question;
  };
  uint32_t len; /* of the bytes, or what the question costs */
  uint32_t state : 8, left : 24;
};

struct sb_ring {
  struct sb_slot *slots; /* [answered, expected) of a power of two; NULL while never used */
  uint32_t cap;
  uint32_t expected, answered;
};

/* Slots that are taken and not written. */
static inline uint32_t sb_ring_waiting(const struct sb_ring *ring) {
  return ring->expected - ring->answered;
}

static inline struct sb_slot *sb_ring_at(const struct sb_ring *ring, uint32_t slot) {
  SB_ASSERT(slot - ring->answered < sb_ring_waiting(ring));
  return &ring->slots[slot & (ring->cap - 1)];
}

/* Makes room for more slots; false: there are SB_RING_SLOTS_MAX already. */
bool sb_ring_grow(struct sb_ring *ring);

/* Takes the next `count` slots. False: as above. */
static inline bool sb_ring_expect(struct sb_ring *ring, uint32_t count, uint32_t *first) {
  while (ring->cap - sb_ring_waiting(ring) < count)
    if (!sb_ring_grow(ring)) return false;
  *first = ring->expected;
  for (uint32_t i = 0; i < count; i++)
    ring->slots[ring->expected++ & (ring->cap - 1)].state = SB_SLOT_WAITING;
  return true;
}

/* ---- what a slot gets ---- */

/* The same integer in `count` slots that follow one another. */
void sb_ring_set_integers(struct sb_ring *ring, uint32_t slot, uint32_t count, uint64_t value);

/* Takes away what the slot holds, and returns how many bytes that were. */
size_t sb_ring_empty(struct sb_ring *ring, uint32_t slot);

/* A reply that waits until `left` more entries have come back. Copied. The slot is empty before. */
void sb_ring_set_bytes(struct sb_ring *ring, uint32_t slot, struct sb_bytes reply, uint32_t left);

/* A question that `left` logs have to answer. Taken; it counts as `size` bytes. */
void sb_ring_set_question(struct sb_ring *ring, uint32_t slot, struct sb_question *question, size_t size,
                          uint32_t left);

/* The question in the slot; NULL: there is none, or no more. */
struct sb_question *sb_ring_question(const struct sb_ring *ring, uint32_t slot);

/* How many entries the slot waits for. */
static inline uint32_t sb_ring_left(const struct sb_ring *ring, uint32_t slot) {
  return sb_ring_at(ring, slot)->left;
}

/* One of them has come back. Returns how many are left. */
uint32_t sb_ring_count_down(struct sb_ring *ring, uint32_t slot);

/* ---- what is written ---- */

/* The next to be written, when it is answered; else NULL. */
static inline const struct sb_slot *sb_ring_first(const struct sb_ring *ring) {
  if (sb_ring_waiting(ring) == 0) return NULL;
  const struct sb_slot *slot = sb_ring_at(ring, ring->answered);
  return slot->state == SB_SLOT_INTEGER || slot->state == SB_SLOT_BYTES ? slot : NULL;
}

/* It is written. */
void sb_ring_drop_first(struct sb_ring *ring);

/* `count` slots were answered as soon as it was their turn, and hold nothing. */
static inline void sb_ring_skip(struct sb_ring *ring, uint32_t count) {
  SB_ASSERT(count <= sb_ring_waiting(ring));
  ring->answered += count;
}

/* ---- the end ---- */

/* Takes away what all slots hold, and returns how many bytes that were. The slots go on waiting for their
 * entries. */
size_t sb_ring_forget(struct sb_ring *ring);

/* Gives its memory back. Nothing may wait. */
void sb_ring_close(struct sb_ring *ring);

/* The same, when a flood has made it large. */
void sb_ring_shrink(struct sb_ring *ring);

#endif
