#include "bridge/redis/commands/answer.h"

#include <time.h>

#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/sockets/connection.h"

static void reply_busy(const struct sb_connection *c) {
  uint64_t since = 0;
  const char *why = sb_core_outage(sb_hub_of(c), &since);
  if (!why) {
    sb_reply_error_text(sb_reply_of(c), "-BUSY the outbox is full");
    return;
  }
  time_t seconds = (time_t)(since / 1000);
  struct tm utc;
  char when[32];
  gmtime_r(&seconds, &utc);
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
  sb_reply_errorf(sb_reply_of(c), "-BUSY broker unreachable since %s: %s", when, why);
}

enum sb_held sb_answer_result(struct sb_connection *c, enum sb_result result) {
  if (result == SB_WAIT) return SB_HELD_ROOM;
  if (result == SB_BUSY) {
    reply_busy(c);
    sb_connection_told_busy(c);
  }
  if (result == SB_TOO_LARGE || result == SB_REFUSED)
    sb_reply_error_text(sb_reply_of(c), sb_core_refusal(sb_hub_of(c)));
  return SB_HELD_NOT;
}

/* The confirmation is written here, into its place among the replies; the core decides when it is sent. */
enum sb_held sb_answer_confirmation(struct sb_connection *c) {
  sb_core_confirm(sb_hub_of(c), &c->session, sb_buf_bytes(sb_reply_of(c)));
  sb_buf_clear(sb_reply_of(c));
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

void sb_note_unsupported(struct sb_connection *c, const char *name, struct sb_bytes detail) {
  char *refusal = sb_commands_of(c)->refusal;
  refusal[0] = 0;
  sb_refused_name(refusal, SB_REFUSED_WHAT_TEXT, sb_bytes_of(name));
  if (detail.len == 0) return;
  if (name[0]) sb_refused_name(refusal, SB_REFUSED_WHAT_TEXT, sb_bytes_of(" "));
  sb_refused_name(refusal, SB_REFUSED_WHAT_TEXT, detail);
}
