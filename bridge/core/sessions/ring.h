/* The ring of reply slots of a session. */
#ifndef SB_CORE_SESSIONS_RING_H
#define SB_CORE_SESSIONS_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/sessions/session.h"

struct sb_core;

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
  uint32_t len;
  uint32_t state : 8, left : 24;
};

/* Makes room for more slots; false: there are SB_RING_SLOTS_MAX already. */
bool sb_ring_grow(struct sb_session *session);

/* Takes the next `count` slots. False: as above, or the session is blocked and takes no request. */
static inline bool sb_ring_expect(struct sb_session *session, uint32_t count, uint32_t *first) {
  if (session->blocked) return false;
  while (session->slots_cap - sb_session_waiting(session) < count)
    if (!sb_ring_grow(session)) return false;
  *first = session->expected;
  for (uint32_t i = 0; i < count; i++)
    session->slots[session->expected++ & (session->slots_cap - 1)].state = SB_SLOT_WAITING;
  return true;
}

/* The same integer in `count` slots that follow one another. */
void sb_ring_answer_integers(struct sb_core *core, struct sb_session *session, uint32_t slot, uint32_t count,
                             uint64_t value);
void sb_ring_answer_bytes(struct sb_core *core, struct sb_session *session, uint32_t slot,
                          struct sb_bytes reply);

/* The same reply in every slot of a waiter; nothing when nobody waits. */
void sb_ring_answer_each(struct sb_core *core, const struct sb_waiter *waiter, struct sb_bytes reply);

/* A reply that is written in its turn once `left` entries have come back. Copied. */
void sb_ring_prepare(struct sb_core *core, struct sb_session *session, uint32_t slot, struct sb_bytes reply,
                     uint32_t left);

/* The same for a reply that those entries bring. Takes the question. */
void sb_ring_ask(struct sb_session *session, uint32_t slot, struct sb_question *question, size_t size,
                 uint32_t left);
struct sb_question *sb_ring_question(const struct sb_session *session, uint32_t slot);

/* One of these entries will not come back: its error becomes the reply. The others are waited for all the
 * same. */
void sb_ring_fail(struct sb_core *core, struct sb_session *session, uint32_t slot, struct sb_bytes error);

/* One of these entries has come back. True when the reply has been written. */
bool sb_ring_count_down(struct sb_core *core, struct sb_session *session, uint32_t slot);

/* The session closed: its slots stay until their entries have come back, what they hold goes. */
void sb_ring_forget(struct sb_session *session);
void sb_ring_close(struct sb_session *session);

#endif
