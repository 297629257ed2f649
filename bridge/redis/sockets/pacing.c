#include "bridge/redis/sockets/pacing.h"

#include "bridge/base/log.h"
#include "bridge/core/core.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/server_struct.h"

#define LOG_MS 60000 /* at least so long between two lines that the pace's budget is used up */

void sb_pacing_init(struct sb_server *server) {
  const struct sb_server_settings *settings = &server->settings;
  sb_link_init(&server->pacing.behind);
  sb_pace_init(&server->pacing.pace, uv_now(server->loop), settings->output_hard_bytes,
               settings->output_soft_bytes);
}

void sb_pacing_reload(struct sb_server *server) {
  const struct sb_server_settings *settings = &server->settings;
  sb_pace_limits(&server->pacing.pace, settings->output_hard_bytes, settings->output_soft_bytes);
}

/* ---- one session ---- */

void sb_pacing_open(struct sb_connection *c) {
  sb_link_init(&c->behind_link);
  sb_pace_session_init(&c->server->pacing.pace, &c->pace);
}

static bool is_behind(const struct sb_connection *c) {
  const struct sb_pace *pace = &c->server->pacing.pace;
  return c->session.outlet.out.bytes > pace->mark_bytes && sb_connection_is_subscribed(c) &&
         sb_pace_is_patient(pace, &c->pace);
}

void sb_pacing_wrote(struct sb_connection *c, size_t bytes) {
  struct sb_pacing *pacing = &c->server->pacing;
  sb_pace_has_read(&pacing->pace, &c->pace, bytes);
  if (!is_behind(c))
    sb_link_remove(&c->behind_link);
  else if (!sb_link_linked(&c->behind_link))
    sb_link_append(&pacing->behind, &c->behind_link);
}

void sb_pacing_leave(struct sb_connection *c) {
  sb_link_remove(&c->behind_link);
}

/* ---- the log ---- */

/* A session without patience leaves the list. It comes back when it has read something and is still behind.
 */
static bool somebody_is_behind(struct sb_pacing *pacing) {
  while (sb_link_linked(&pacing->behind)) {
    struct sb_connection *c = SB_OF_LINK(pacing->behind.next, struct sb_connection, behind_link);
    if (is_behind(c)) return true;
    sb_link_remove(&c->behind_link);
  }
  return false;
}

static void log_used_up(struct sb_pacing *pacing) {
  const struct sb_pace *pace = &pacing->pace;
  if (pace->used_up == pacing->used_up) return;
  pacing->used_up = pace->used_up;
  if (pacing->logged_ms > 0 && pace->now_ms - pacing->logged_ms < LOG_MS) return;
  pacing->logged_ms = pace->now_ms;
  sb_log(SB_LOG_WARN, "local",
         "sessions read more slowly than messages come, and the log has waited for them long enough: whoever "
         "stays behind is closed at limits.output");
}

bool sb_pacing_log_stands(struct sb_server *server, bool more) {
  struct sb_pacing *pacing = &server->pacing;
  sb_core_logs_stood(server->core, sb_pace_tell_time(&pacing->pace, uv_now(server->loop)));
  bool stands = sb_pace_decide(&pacing->pace, more && somebody_is_behind(pacing));
  log_used_up(pacing);
  return stands;
}

void sb_pacing_log_goes_on(struct sb_server *server) {
  struct sb_pace *pace = &server->pacing.pace;
  bool silent = sb_pace_was_silent(pace);
  sb_pace_goes_on(pace, silent ? sb_core_unheard_ms(server->core) : 0);
}
