#include "bridge/core/sessions/life.h"

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/ranges.h"
#include "bridge/core/sessions/answers.h"
#include "bridge/core/sessions/blocked.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/interest.h"
#include "bridge/core/sessions/outlet.h"
#include "bridge/core/sessions/positions.h"
#include "bridge/core/sessions/replies.h"
#include "bridge/core/sessions/room.h"
#include "bridge/core/sessions/serve.h"
#include "bridge/core/sessions/session.h"
#include "bridge/core/sessions/sessions.h"

/* ---- all of them ---- */

static void outputs_full(void *owner, struct sb_outlet *outlet, size_t more) {
  const struct sb_core_io *io = &((struct sb_core *)owner)->logs.io;
  io->outputs_full(io->owner, sb_session_of_outlet(outlet), more);
}

void sb_sessions_init(struct sb_core *core) {
  struct sb_logs *logs = &core->logs;
  sb_interest_init(&core->interest, logs->settings.partitions);
  sb_outputs_init(&core->outputs, core, logs->io.outputs_full ? outputs_full : NULL);
  sb_blocking_init(&core->blocking);
  sb_logs_report_to(logs, &sb_answers, &core->blocking.count, &core->interest.topics[SB_SUB_PATTERN].count);
  sb_sessions_reload(core);
}

void sb_sessions_close(struct sb_core *core) {
  sb_interest_close(&core->interest);
  sb_blocking_close(&core->blocking);
  sb_buf_close(&core->entry);
}

void sb_sessions_reload(struct sb_core *core) {
  const struct sb_core_settings *settings = &core->logs.settings;
  sb_outputs_set_limits(&core->outputs, settings->output_hard_bytes, settings->output_mark_bytes);
  sb_core_set_gate(core);
}

void sb_sessions_turn(struct sb_core *core) {
  sb_serve_blocked(core);
}

uint64_t sb_sessions_deadline(const struct sb_core *core) {
  return sb_serve_deadline(core);
}

void sb_sessions_stats(const struct sb_core *core, struct sb_core_stats *out) {
  out->entries_published = core->entries_published;
  out->messages_sent = core->messages_sent;
  out->outputs_over_limit = core->outputs.over_limit;
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) {
    out->subscriptions[kind] = core->interest.sub_count[kind];
    out->topics[kind] = core->interest.topic_count[kind];
  }
}

/* ---- one of them ---- */

void sb_core_session_open(struct sb_core *core, struct sb_session *session, uint8_t proto) {
  (void)core;
  sb_session_speak(session, proto);
  sb_outlet_open(&session->outlet);
}

void sb_core_session_drop(struct sb_core *core, struct sb_session *session) {
  sb_outlet_drop(&core->outputs, &session->outlet);
}

void sb_core_session_close(struct sb_core *core, struct sb_session *session) {
  if (session->blocked) sb_session_unblock(core, session);
  sb_ranges_end(&core->logs, session);
  sb_positions_close(&session->positions);
  sb_core_unsubscribe_all(core, session);
  for (int kind = 0; kind < SB_SUB_KINDS; kind++)
    SB_ASSERT(!session->subs.first[kind] && session->subs.count[kind] == 0);
  SB_ASSERT(session->subs.bytes == 0);
  sb_session_forget_replies(session);
  sb_outlet_close(&core->outputs, &session->outlet);
  if (sb_session_waiting(session) == 0) sb_session_let_go(core, session); /* else with its last answer */
}

size_t sb_session_bytes(const struct sb_session *session) {
  return session->outlet.out.cap * sizeof *session->outlet.out.pieces +
         session->ring.cap * sizeof *session->ring.slots + session->subs.bytes +
         (session->blocked ? sb_blocked_bytes(session->blocked) : 0);
}

struct sb_session *sb_core_next_dirty(struct sb_core *core) {
  struct sb_outlet *outlet = sb_outputs_next(&core->outputs);
  return outlet ? sb_session_of_outlet(outlet) : NULL;
}

void sb_core_set_outputs_max(struct sb_core *core, size_t bytes) {
  sb_outputs_set_max(&core->outputs, bytes);
}

bool sb_core_output_rose(struct sb_core *core) {
  return sb_outputs_rose(&core->outputs);
}

bool sb_core_takes_reply(struct sb_core *core, struct sb_session *session, size_t len) {
  return sb_outlet_has_room(&core->outputs, &session->outlet, len);
}

void sb_core_push(struct sb_core *core, struct sb_session *session, struct sb_bytes push) {
  sb_outlet_copy(&core->outputs, &session->outlet, push.at, push.len);
}
