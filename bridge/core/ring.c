/* The ring of reply slots of a session, and the bounded way into its output. */
#include <stdlib.h>

#include "bridge/core/internal.h"

#define RING_FIRST_CAP 8
#define RING_KEPT_CAP  1024 /* slots kept by a session that waits for nothing */

static void mark_dirty(struct sb_core *core, struct sb_session *session) {
  if (session->dirty) return;
  session->dirty = true;
  session->dirty_next = NULL;
  session->dirty_prev = core->dirty_end;
  *core->dirty_end = session;
  core->dirty_end = &session->dirty_next;
}

void sb_session_clean(struct sb_core *core, struct sb_session *session) {
  if (!session->dirty) return;
  session->dirty = false;
  *session->dirty_prev = session->dirty_next;
  if (session->dirty_next)
    session->dirty_next->dirty_prev = session->dirty_prev;
  else
    core->dirty_end = session->dirty_prev;
}

static bool within_limit(struct sb_core *core, struct sb_session *session, size_t len) {
  size_t limit = core->settings.output_hard_bytes;
  if (session->over_limit) return false;
  if (limit == 0 || session->out.bytes + len <= limit) return true;
  session->over_limit = true;
  core->stats.outputs_over_limit++;
  sb_output_close(&session->out);
  mark_dirty(core, session);
  return false;
}

void sb_session_copy(struct sb_core *core, struct sb_session *session, const void *at, size_t len) {
  if (!session->open || !within_limit(core, session, len)) return;
  sb_output_copy(&session->out, at, len);
  mark_dirty(core, session);
}

void sb_session_ref(struct sb_core *core, struct sb_session *session, struct sb_body *body, size_t off,
                    size_t len) {
  if (!within_limit(core, session, len)) return;
  sb_output_ref(&session->out, body, off, len);
  mark_dirty(core, session);
}

bool sb_ring_grow(struct sb_session *session) {
  uint32_t old = session->slots_cap, cap = old ? old * 2 : RING_FIRST_CAP;
  if (old >= SB_RING_SLOTS_MAX) return false;
  struct sb_slot *slots = sb_malloc(cap * sizeof *slots);
  for (uint32_t i = session->answered; i != session->expected; i++)
    slots[i & (cap - 1)] = session->slots[i & (old - 1)];
  free(session->slots);
  session->slots = slots;
  session->slots_cap = cap;
  return true;
}

static size_t integer_text(uint64_t value, char out[24]) {
  out[0] = ':';
  size_t len = 1 + sb_u64_text(value, out + 1);
  out[len++] = '\r';
  out[len++] = '\n';
  return len;
}

/* Writes what is answered at the head of the ring. A closed session is released with its last answer. */
static void advance(struct sb_core *core, struct sb_session *session) {
  while (session->answered != session->expected) {
    struct sb_slot *slot = &session->slots[session->answered & (session->slots_cap - 1)];
    if (slot->state == SB_SLOT_WAITING) return;
    if (slot->state == SB_SLOT_INTEGER) {
      char text[24];
      sb_session_copy(core, session, text, integer_text(slot->integer, text));
    } else {
      sb_session_copy(core, session, slot->bytes, slot->len);
      free(slot->bytes);
    }
    session->answered++;
  }
  if (session->open && session->slots_cap <= RING_KEPT_CAP) return;
  if (session->open) { /* a flood is over: do not keep its ring for ever */
    sb_ring_close(session);
    return;
  }
  sb_ring_close(session);
  core->io.released(core->io.owner, session);
}

/* ":1\r\n" as often as it takes, in pieces. */
static void write_integers(struct sb_core *core, struct sb_session *session, uint32_t count, uint64_t value) {
  char text[512];
  size_t one = integer_text(value, text), filled = one, left = one * count;
  size_t most = sizeof text / one * one;
  while (filled < left && filled < most) {
    size_t more = filled < most - filled ? filled : most - filled;
    memcpy(text + filled, text, more);
    filled += more;
  }
  while (left > 0) {
    size_t take = left < filled ? left : filled;
    sb_session_copy(core, session, text, take);
    left -= take;
  }
}

void sb_ring_answer_integers(struct sb_core *core, struct sb_session *session, uint32_t slot, uint32_t count,
                             uint64_t value) {
  if (slot == session->answered) {
    write_integers(core, session, count, value);
    session->answered += count;
    advance(core, session);
    return;
  }
  for (uint32_t i = slot; i != slot + count; i++) {
    struct sb_slot *at = &session->slots[i & (session->slots_cap - 1)];
    at->state = SB_SLOT_INTEGER;
    at->integer = value;
  }
}

void sb_ring_answer_bytes(struct sb_core *core, struct sb_session *session, uint32_t slot,
                          struct sb_bytes reply) {
  struct sb_slot *at = &session->slots[slot & (session->slots_cap - 1)];
  at->state = SB_SLOT_BYTES;
  at->bytes = sb_malloc(reply.len);
  at->len = (uint32_t)reply.len;
  if (reply.len) memcpy(at->bytes, reply.at, reply.len);
  if (slot == session->answered) advance(core, session);
}

void sb_ring_close(struct sb_session *session) {
  for (uint32_t i = session->answered; i != session->expected; i++) {
    struct sb_slot *slot = &session->slots[i & (session->slots_cap - 1)];
    if (slot->state == SB_SLOT_BYTES) free(slot->bytes);
  }
  free(session->slots);
  session->slots = NULL;
  session->slots_cap = session->expected = session->answered = 0;
}

bool sb_core_reply(struct sb_core *core, struct sb_session *session, struct sb_bytes reply) {
  uint32_t slot;
  if (sb_session_waiting(session) == 0) {
    sb_session_copy(core, session, reply.at, reply.len);
    return true;
  }
  if (!sb_ring_expect(session, 1, &slot)) {
    core->room_wanted = true;
    return false;
  }
  sb_ring_answer_bytes(core, session, slot, reply);
  return true;
}

void sb_core_push(struct sb_core *core, struct sb_session *session, struct sb_bytes push) {
  sb_session_copy(core, session, push.at, push.len);
}

struct sb_session *sb_core_next_dirty(struct sb_core *core) {
  struct sb_session *session = core->dirty_first;
  if (session) sb_session_clean(core, session);
  return session;
}
