/* Replies take their places in the order of the requests, and are written as soon as it is their turn. */
#ifndef SB_CORE_SESSIONS_REPLIES_H
#define SB_CORE_SESSIONS_REPLIES_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/sessions/ring.h"
#include "bridge/core/sessions/session.h"

struct sb_core;

/* Takes the next `count` slots for replies to come. False: there are too many already, or the session is
 * blocked and takes no request; once some are answered it may be tried again. */
static inline bool sb_session_expect(struct sb_session *session, uint32_t count, uint32_t *first) {
  return !session->blocked && sb_ring_expect(&session->ring, count, first);
}

/* The same integer in `count` slots that follow one another. */
void sb_session_answer_integers(struct sb_core *core, struct sb_session *session, uint32_t slot,
                                uint32_t count, uint64_t value);
void sb_session_answer(struct sb_core *core, struct sb_session *session, uint32_t slot,
                       struct sb_bytes reply);

/* The same reply in every slot of a waiter; nothing when nobody waits. */
void sb_session_answer_each(struct sb_core *core, const struct sb_waiter *waiter, struct sb_bytes reply);

/* A reply that is written in its turn once `left` entries have come back. Copied. */
void sb_session_prepare(struct sb_core *core, struct sb_session *session, uint32_t slot,
                        struct sb_bytes reply, uint32_t left);

/* The same for a reply that those entries bring. Takes the question, which counts as `size` bytes. */
void sb_session_ask(struct sb_session *session, uint32_t slot, struct sb_question *question, size_t size,
                    uint32_t left);

/* One of these entries will not come back: its error becomes the reply. The others are waited for all the
 * same. */
void sb_session_fail(struct sb_core *core, struct sb_session *session, uint32_t slot, struct sb_bytes error);

/* One of these entries has come back. True when the reply has been written. */
bool sb_session_count_down(struct sb_core *core, struct sb_session *session, uint32_t slot);

/* The session closes: its slots stay until their entries have come back, what they hold goes. */
void sb_session_forget_replies(struct sb_session *session);

/* A closed session for which nothing comes back any more is let go. */
void sb_session_let_go(struct sb_core *core, struct sb_session *session);

#endif
