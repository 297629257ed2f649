/* The ring of reply slots of a session. */
#include "bridge/core/sessions/ring.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/output.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/output.h"
#include "bridge/core/sessions/question.h"
#include "bridge/core/sessions/session.h"
#include "bridge/core/sessions/sessions.h"
#include "bridge/core/wire/slot.h"

#define RING_FIRST_CAP 8
#define RING_KEPT_CAP  1024 /* slots kept by a session that waits for nothing */

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

/* What is in the ring of a session that is over its limit is counted as gone. */
static void count_in(struct sb_session *session, size_t bytes) {
  session->slot_bytes += bytes;
  if (!session->over_limit) sb_output_memory_add(bytes);
}

static void count_out(struct sb_session *session, size_t bytes) {
  session->slot_bytes -= bytes;
  if (!session->over_limit) sb_output_memory_remove(bytes);
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
    if (slot->state == SB_SLOT_INTEGER) {
      char text[24];
      sb_session_copy(core, session, text, integer_text(slot->integer, text));
    } else if (slot->state == SB_SLOT_BYTES) {
      count_out(session, slot->len);
      sb_session_copy(core, session, slot->bytes, slot->len);
      free(slot->bytes);
    } else {
      return;
    }
    if (session->holds) sb_session_release(session, session->answered);
    session->answered++;
  }
  if (session->open && session->slots_cap <= RING_KEPT_CAP) return;
  if (session->open) { /* a flood is over: do not keep its ring for ever */
    sb_ring_close(session);
    return;
  }
  sb_ring_close(session);
  core->logs.io.released(core->logs.io.owner, session);
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
  SB_ASSERT(count <= sb_session_waiting(session) &&
            slot - session->answered <= sb_session_waiting(session) - count);
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

static struct sb_slot *slot_at(const struct sb_session *session, uint32_t slot) {
  SB_ASSERT(slot - session->answered < sb_session_waiting(session));
  return &session->slots[slot & (session->slots_cap - 1)];
}

/* What the slot holds goes; nothing else changes. */
static void empty(struct sb_session *session, struct sb_slot *slot) {
  if (slot->state == SB_SLOT_WAITING || slot->state == SB_SLOT_INTEGER) return;
  count_out(session, slot->len);
  slot->len = 0;
  if (slot->state == SB_SLOT_QUESTION)
    sb_question_free(slot->question);
  else
    free(slot->bytes);
  slot->bytes = NULL;
}

/* Nobody reads what a closed session is answered, nor what is beyond the limit of its output. */
static void fill(struct sb_core *core, struct sb_session *session, struct sb_slot *slot,
                 struct sb_bytes reply) {
  empty(session, slot);
  slot->len = 0;
  slot->bytes = NULL;
  if (!session->open || reply.len == 0 || !sb_session_has_room(core, session, reply.len)) return;
  slot->bytes = sb_malloc(reply.len);
  slot->len = (uint32_t)reply.len;
  memcpy(slot->bytes, reply.at, reply.len);
  count_in(session, reply.len);
}

void sb_ring_answer_bytes(struct sb_core *core, struct sb_session *session, uint32_t slot,
                          struct sb_bytes reply) {
  fill(core, session, slot_at(session, slot), reply);
  slot_at(session, slot)->state = SB_SLOT_BYTES;
  if (slot == session->answered) advance(core, session);
}

void sb_ring_answer_each(struct sb_core *core, const struct sb_waiter *waiter, struct sb_bytes reply) {
  for (uint32_t i = 0; waiter->session && i < waiter->count; i++)
    sb_ring_answer_bytes(core, waiter->session, waiter->slot + i, reply);
}

void sb_ring_prepare(struct sb_core *core, struct sb_session *session, uint32_t slot, struct sb_bytes reply,
                     uint32_t left) {
  fill(core, session, slot_at(session, slot), reply);
  slot_at(session, slot)->state = left > 0 ? SB_SLOT_PREPARED : SB_SLOT_BYTES;
  slot_at(session, slot)->left = left & SB_SLOT_LEFT_MAX;
  if (left == 0 && slot == session->answered) advance(core, session);
}

void sb_ring_ask(struct sb_session *session, uint32_t slot, struct sb_question *question, size_t size,
                 uint32_t left) {
  struct sb_slot *at = slot_at(session, slot);
  at->state = SB_SLOT_QUESTION;
  at->left = left & SB_SLOT_LEFT_MAX;
  at->len = (uint32_t)size;
  at->question = question;
  count_in(session, size);
}

/* A question that every log has answered becomes its reply. */
static void reply_to_question(struct sb_core *core, struct sb_session *session, struct sb_slot *slot) {
  struct sb_buf text = {0};
  sb_question_reply(slot->question, &text);
  fill(core, session, slot, sb_buf_bytes(&text));
  sb_buf_close(&text);
}

bool sb_ring_count_down(struct sb_core *core, struct sb_session *session, uint32_t slot) {
  struct sb_slot *at = slot_at(session, slot);
  SB_ASSERT(at->left > 0 && (at->state == SB_SLOT_PREPARED || at->state == SB_SLOT_QUESTION));
  at->left = (at->left - 1u) & SB_SLOT_LEFT_MAX;
  if (at->left > 0) return false;
  if (at->state == SB_SLOT_QUESTION) reply_to_question(core, session, at);
  at->state = SB_SLOT_BYTES;
  if (slot != session->answered) return false;
  advance(core, session);
  return true;
}

void sb_ring_fail(struct sb_core *core, struct sb_session *session, uint32_t slot, struct sb_bytes error) {
  fill(core, session, slot_at(session, slot), error);
  slot_at(session, slot)->state = SB_SLOT_PREPARED;
  sb_ring_count_down(core, session, slot);
}

struct sb_question *sb_ring_question(const struct sb_session *session, uint32_t slot) {
  const struct sb_slot *at = slot_at(session, slot);
  return at->state == SB_SLOT_QUESTION ? at->question : NULL;
}

void sb_ring_forget(struct sb_session *session) {
  for (uint32_t i = session->answered; i != session->expected; i++) {
    struct sb_slot *slot = slot_at(session, i);
    empty(session, slot);
    if (slot->state == SB_SLOT_QUESTION) slot->state = SB_SLOT_PREPARED;
  }
}

void sb_ring_close(struct sb_session *session) {
  sb_ring_forget(session);
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
    core->logs.room_wanted = true;
    return false;
  }
  sb_ring_answer_bytes(core, session, slot, reply);
  return true;
}
