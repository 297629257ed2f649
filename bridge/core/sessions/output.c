/* The bounded way into a session's output, and what is held back behind a confirmation.
 *
 * A subscription is active from its echo on, but its confirmation may have to wait: for the logs of the other
 * channels of the same request, or for replies to earlier requests. Until it is written, whatever comes from
 * that log goes into a hold behind it; other logs flow on. In one log, echoes come in the order of the
 * requests, so a hold never waits for one that was begun behind it. */
#include "bridge/core/sessions/output.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/output.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/sessions.h"
#include "bridge/core/wire/name.h"

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
  SB_ASSERT(*session->dirty_prev == session);
  session->dirty = false;
  *session->dirty_prev = session->dirty_next;
  if (session->dirty_next)
    session->dirty_next->dirty_prev = session->dirty_prev;
  else
    core->dirty_end = session->dirty_prev;
}

/* What lies in its ring is counted as gone; it goes when the session is closed. */
void sb_core_session_drop(struct sb_core *core, struct sb_session *session) {
  if (session->over_limit) return;
  session->over_limit = true;
  sb_output_memory_remove(session->slot_bytes);
  sb_output_close(&session->out);
  sb_session_drop_holds(session);
  mark_dirty(core, session);
}

static bool is_within_its_limit(struct sb_core *core, struct sb_session *session, size_t len) {
  size_t limit = core->logs.settings.output_hard_bytes;
  if (session->over_limit) return false;
  if (limit == 0 || session->out.bytes + session->held_bytes + session->slot_bytes + len <= limit)
    return true;
  core->logs.stats.outputs_over_limit++;
  sb_core_session_drop(core, session);
  return false;
}

/* Whether all of them together are, with so much more. */
static inline bool are_within_theirs(struct sb_core *core, struct sb_session *session, size_t more) {
  if (sb_output_memory() + more <= core->outputs_max) return true;
  core->logs.io.outputs_full(core->logs.io.owner, session, more);
  return !session->over_limit;
}

bool sb_session_has_room(struct sb_core *core, struct sb_session *session, size_t len) {
  return is_within_its_limit(core, session, len) && are_within_theirs(core, session, len);
}

bool sb_core_takes_reply(struct sb_core *core, struct sb_session *session, size_t len) {
  return sb_session_has_room(core, session, len);
}

void sb_session_copy(struct sb_core *core, struct sb_session *session, const void *at, size_t len) {
  if (!session->open || !sb_session_has_room(core, session, len)) return;
  sb_output_copy(&session->out, at, len);
  mark_dirty(core, session);
}

/* ---- an XREAD that waits until it can read ---- */

static uint64_t request_hash(const struct sb_op *op) {
  uint64_t hash = op->keys_count;
  for (uint32_t i = 0; i < op->keys_count; i++) {
    hash = hash * UINT64_C(0x9e3779b97f4a7c15) + sb_name_hash(op->keys[i]);
    hash = hash * UINT64_C(0x9e3779b97f4a7c15) + sb_name_hash(op->args[op->ids_at + i]);
  }
  return hash;
}

struct sb_last_ids *sb_session_last_ids(struct sb_session *session, const struct sb_op *op) {
  uint64_t request = request_hash(op);
  struct sb_last_ids *ids = session->last_ids;
  if (ids && ids->count == op->keys_count && ids->request == request) return ids;
  sb_session_forget_last_ids(session);
  ids = sb_calloc(1, sizeof *ids + op->keys_count * sizeof ids->at[0]);
  ids->request = request;
  ids->count = op->keys_count;
  session->last_ids = ids;
  return ids;
}

void sb_session_forget_last_ids(struct sb_session *session) {
  free(session->last_ids);
  session->last_ids = NULL;
}

/* ---- holds ---- */

static struct sb_hold *last_hold(const struct sb_session *session, uint32_t partition) {
  struct sb_hold *last = NULL;
  for (struct sb_hold *hold = session->holds; hold; hold = hold->next)
    if (hold->partition == partition) last = hold;
  return last;
}

/* What nothing waits behind yet waits for the later confirmation instead: a flood of SUBSCRIBEs has one hold
 * for each log and not one for each request. */
void sb_session_hold(struct sb_session *session, uint32_t partition, uint32_t slot) {
  struct sb_hold *last = last_hold(session, partition), **end = &session->holds;
  if (last && (last->slot == slot || last->out.bytes == 0)) {
    last->slot = slot;
    return;
  }
  while (*end) end = &(*end)->next;
  *end = sb_calloc(1, sizeof **end);
  (*end)->partition = partition;
  (*end)->slot = slot;
}

void sb_session_release(struct sb_session *session, uint32_t slot) {
  for (struct sb_hold **at = &session->holds; *at;) {
    struct sb_hold *hold = *at;
    if (hold->slot != slot) {
      at = &hold->next;
      continue;
    }
    SB_ASSERT(session->held_bytes >= hold->out.bytes);
    session->held_bytes -= hold->out.bytes;
    for (uint32_t i = 0; i < hold->out.count; i++) {
      const struct sb_piece *piece = &hold->out.pieces[hold->out.head + i];
      sb_output_ref(&session->out, piece->body, piece->off, piece->len);
    }
    sb_output_close(&hold->out);
    *at = hold->next;
    free(hold);
  }
}

void sb_session_drop_holds(struct sb_session *session) {
  for (struct sb_hold *hold = session->holds, *next; hold; hold = next) {
    next = hold->next;
    sb_output_close(&hold->out);
    free(hold);
  }
  session->holds = NULL;
  session->held_bytes = 0;
}

/* ---- pushes ---- */

/* Where a push from this log goes; NULL: the session takes no more. `copied`: what of it takes memory of its
 * own. */
static struct sb_output *push_into(struct sb_core *core, struct sb_session *session, uint32_t partition,
                                   size_t len, size_t copied) {
  if (!is_within_its_limit(core, session, len) || !are_within_theirs(core, session, copied)) return NULL;
  struct sb_hold *hold = session->holds ? last_hold(session, partition) : NULL;
  if (hold) {
    session->held_bytes += len;
    return &hold->out;
  }
  size_t mark = core->logs.settings.output_mark_bytes;
  if (session->out.bytes <= mark && len > mark - session->out.bytes) core->output_rose = true;
  mark_dirty(core, session);
  return &session->out;
}

void sb_session_push_copy(struct sb_core *core, struct sb_session *session, uint32_t partition,
                          const void *at, size_t len) {
  struct sb_output *out = push_into(core, session, partition, len, len);
  if (out) sb_output_copy(out, at, len);
}

void sb_session_push_ref(struct sb_core *core, struct sb_session *session, uint32_t partition,
                         struct sb_body *body, size_t off, size_t len) {
  struct sb_output *out = push_into(core, session, partition, len, 0);
  if (out) sb_output_ref(out, body, off, len);
}

void sb_core_push(struct sb_core *core, struct sb_session *session, struct sb_bytes push) {
  sb_session_copy(core, session, push.at, push.len);
}

bool sb_core_output_rose(struct sb_core *core) {
  bool rose = core->output_rose;
  core->output_rose = false;
  return rose;
}

struct sb_session *sb_core_next_dirty(struct sb_core *core) {
  struct sb_session *session = core->dirty_first;
  if (session) sb_session_clean(core, session);
  return session;
}
