#include "bridge/redis/commands/answer.h"

#include <time.h>

#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/server_struct.h"

static void reply_busy(struct sb_server *server) {
  uint64_t since = 0;
  const char *why = sb_core_outage(server->core, &since);
  if (!why) {
    sb_reply_error_text(&server->reply, "-BUSY the outbox is full");
    return;
  }
  time_t seconds = (time_t)(since / 1000);
  struct tm utc;
  char when[32];
  gmtime_r(&seconds, &utc);
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
  sb_reply_errorf(&server->reply, "-BUSY broker unreachable since %s: %s", when, why);
}

enum sb_held sb_answer_result(struct sb_connection *c, enum sb_result result) {
  struct sb_server *server = c->server;
  if (result == SB_WAIT) return SB_HELD_ROOM;
  if (result == SB_BUSY) {
    reply_busy(server);
    sb_connection_told_busy(c);
  }
  if (result == SB_TOO_LARGE || result == SB_REFUSED)
    sb_reply_error_text(&server->reply, sb_core_refusal(server->core));
  return SB_HELD_NOT;
}

/* The confirmation is written here, into its place among the replies; the core decides when it is sent. */
enum sb_held sb_answer_confirmation(struct sb_connection *c) {
  struct sb_server *server = c->server;
  sb_core_confirm(server->core, &c->session, sb_buf_bytes(&server->reply));
  sb_buf_clear(&server->reply);
  return SB_HELD_NOT;
}

void sb_answer_help(struct sb_buf *reply, const char *name, const char *const *lines) {
  size_t count = 0;
  while (lines[count]) count++;
  sb_reply_array(reply, count + 3);
  sb_buf_printf(reply, "+%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n", name);
  for (size_t i = 0; i < count; i++) sb_reply_simple(reply, lines[i]);
  sb_reply_simple(reply, "HELP");
  sb_reply_simple(reply, "    Prints this help.");
}

void sb_note_unsupported(struct sb_server *server, const char *name, struct sb_bytes detail) {
  server->commands->refusal[0] = 0;
  sb_refused_name(server->commands->refusal, sizeof server->commands->refusal, sb_bytes_of(name));
  if (detail.len == 0) return;
  if (name[0]) sb_refused_name(server->commands->refusal, sizeof server->commands->refusal, sb_bytes_of(" "));
  sb_refused_name(server->commands->refusal, sizeof server->commands->refusal, detail);
}
