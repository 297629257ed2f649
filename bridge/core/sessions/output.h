/* The bounded way into a session's output. */
#ifndef SB_CORE_SESSIONS_OUTPUT_H
#define SB_CORE_SESSIONS_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/sessions/session.h"

struct sb_core;

/* ---- an XREAD that waits until it can read  ---- */

/* Where the "$" of its streams stand, as far as that is known. They belong to this very request: what another
 * one left, which was told to wait and did not come again, is dropped. */
struct sb_last_ids {
  uint64_t request; /* a hash of its names and ids */
  uint32_t count;
  struct sb_id at[];
};
struct sb_last_ids *sb_session_last_ids(struct sb_session *session, const struct sb_op *op);
void sb_session_forget_last_ids(struct sb_session *session);

/* ---- output  ---- */

/* Takes the session off the list of those with new output. */
void sb_session_clean(struct sb_core *core, struct sb_session *session);

/* Whether `len` more bytes stay within the hard limit of its output. If not it is over its limit from now on.
 */
bool sb_session_has_room(struct sb_core *core, struct sb_session *session, size_t len);

/* A reply, within the limit of the session's output. */
void sb_session_copy(struct sb_core *core, struct sb_session *session, const void *at, size_t len);

/* A push that a log brings: behind the confirmations that it must not overtake. */
void sb_session_push_copy(struct sb_core *core, struct sb_session *session, uint32_t partition,
                          const void *at, size_t len);
void sb_session_push_ref(struct sb_core *core, struct sb_session *session, uint32_t partition,
                         struct sb_body *body, size_t off, size_t len);

/* Pushes of one log that wait until the reply in `slot` is written. */
struct sb_hold {
  struct sb_hold *next;
  uint32_t partition, slot;
  struct sb_output out;
};
void sb_session_hold(struct sb_session *session, uint32_t partition, uint32_t slot);
void sb_session_release(struct sb_session *session, uint32_t slot);
void sb_session_drop_holds(struct sb_session *session);

#endif
