#include "bridge/core/sessions/replies.h"

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/outlet.h"
#include "bridge/core/sessions/question.h"
#include "bridge/core/sessions/sessions.h"

static size_t integer_text(uint64_t value, char out[24]) {
  out[0] = ':';
  size_t len = 1 + sb_u64_text(value, out + 1);
  out[len++] = '\r';
  out[len++] = '\n';
  return len;
}

void sb_session_let_go(struct sb_core *core, struct sb_session *session) {
  SB_ASSERT(session->outlet.state == SB_OUTLET_CLOSED && !session->blocked);
  if (sb_session_waiting(session) > 0) return;
  sb_ring_close(&session->ring);
  core->logs.io.released(core->logs.io.owner, session);
}

/* Writes what is answered at the head of the ring. */
static void advance(struct sb_core *core, struct sb_session *session) {
  struct sb_ring *ring = &session->ring;
  struct sb_outlet *outlet = &session->outlet;
  const struct sb_slot *slot;
  while ((slot = sb_ring_first(ring))) {
    if (slot->state == SB_SLOT_INTEGER) {
      char text[24];
      sb_outlet_copy(&core->outputs, outlet, text, integer_text(slot->integer, text));
    } else {
      sb_outlet_unkeep(outlet, slot->len);
      sb_outlet_copy(&core->outputs, outlet, slot->bytes, slot->len);
    }
    if (outlet->holds) sb_outlet_release(outlet, ring->answered);
    sb_ring_drop_first(ring);
  }
  if (sb_ring_waiting(ring) > 0) return;
  if (outlet->state == SB_OUTLET_CLOSED)
    sb_session_let_go(core, session);
  else
    sb_ring_shrink(ring);
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
    sb_outlet_copy(&core->outputs, &session->outlet, text, take);
    left -= take;
  }
}

void sb_session_answer_integers(struct sb_core *core, struct sb_session *session, uint32_t slot,
                                uint32_t count, uint64_t value) {
  if (slot != session->ring.answered) {
    sb_ring_set_integers(&session->ring, slot, count, value);
    return;
  }
  write_integers(core, session, count, value);
  sb_ring_skip(&session->ring, count);
  advance(core, session);
}

/* Nobody reads what a closed session is answered, nor what is beyond the limit of its output. */
static void fill(struct sb_core *core, struct sb_session *session, uint32_t slot, struct sb_bytes reply,
                 uint32_t left) {
  struct sb_outlet *outlet = &session->outlet;
  sb_outlet_unkeep(outlet, sb_ring_empty(&session->ring, slot));
  if (reply.len > 0 && !sb_outlet_has_room(&core->outputs, outlet, reply.len)) reply = sb_bytes(NULL, 0);
  sb_ring_set_bytes(&session->ring, slot, reply, left);
  sb_outlet_keep(outlet, reply.len);
  if (left == 0 && slot == session->ring.answered) advance(core, session);
}

void sb_session_answer(struct sb_core *core, struct sb_session *session, uint32_t slot,
                       struct sb_bytes reply) {
  fill(core, session, slot, reply, 0);
}

void sb_session_answer_each(struct sb_core *core, const struct sb_waiter *waiter, struct sb_bytes reply) {
  for (uint32_t i = 0; waiter->session && i < waiter->count; i++)
    sb_session_answer(core, waiter->session, waiter->slot + i, reply);
}

void sb_session_prepare(struct sb_core *core, struct sb_session *session, uint32_t slot,
                        struct sb_bytes reply, uint32_t left) {
  fill(core, session, slot, reply, left);
}

void sb_session_ask(struct sb_session *session, uint32_t slot, struct sb_question *question, size_t size,
                    uint32_t left) {
  sb_ring_set_question(&session->ring, slot, question, size, left);
  sb_outlet_keep(&session->outlet, size);
}

/* A question that every log has answered becomes its reply. */
static void reply_to_question(struct sb_core *core, struct sb_session *session, uint32_t slot,
                              const struct sb_question *question) {
  struct sb_buf text = {0};
  sb_question_reply(question, &text);
  fill(core, session, slot, sb_buf_bytes(&text), 0);
  sb_buf_close(&text);
}

bool sb_session_count_down(struct sb_core *core, struct sb_session *session, uint32_t slot) {
  bool is_next = slot == session->ring.answered;
  if (sb_ring_count_down(&session->ring, slot) > 0) return false;
  const struct sb_question *question = sb_ring_question(&session->ring, slot);
  if (question)
    reply_to_question(core, session, slot, question);
  else if (is_next)
    advance(core, session);
  return is_next;
}

void sb_session_fail(struct sb_core *core, struct sb_session *session, uint32_t slot, struct sb_bytes error) {
  fill(core, session, slot, error, sb_ring_left(&session->ring, slot));
  sb_session_count_down(core, session, slot);
}

void sb_session_forget_replies(struct sb_session *session) {
  sb_outlet_unkeep(&session->outlet, sb_ring_forget(&session->ring));
}

bool sb_core_reply(struct sb_core *core, struct sb_session *session, struct sb_bytes reply) {
  uint32_t slot;
  if (sb_session_waiting(session) == 0) {
    sb_outlet_copy(&core->outputs, &session->outlet, reply.at, reply.len);
    return true;
  }
  if (!sb_session_expect(session, 1, &slot)) {
    sb_logs_want_room(&core->logs);
    return false;
  }
  sb_session_answer(core, session, slot, reply);
  return true;
}
