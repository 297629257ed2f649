/* EVAL, EVALSHA, SCRIPT: a bridge runs no Lua, but knows the few scripts that backplanes send. */
#include <stdlib.h>

#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/redis/commands/answer.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/sockets/connection.h"

#define UNKNOWN                                                                                              \
  "sidebus runs no scripts but those of ASP.NET SignalR and of Laravel's broadcaster; this one is unknown"

/* An unknown script is noted by its SHA-1, as Redis names it. For one much longer than what backplanes send,
 * computing it is not worth the time. */
static void refuse(struct sb_connection *c, struct sb_bytes script) {
  char sha1[SB_SHA1_TEXT + 1];
  if (script.len <= SB_REFUSED_SCRIPT_MAX) {
    sb_sha1_text(script, sha1);
    sb_note_unsupported(c, "script", sb_bytes_of(sha1));
  } else {
    sb_note_unsupported(c, "script", sb_bytes_of("of more than 64 KiB"));
  }
  sb_reply_error_text(sb_reply_of(c), UNKNOWN);
}

/* The number of keys stands in the second argument, the keys follow. False: the reply says what is wrong. */
static bool count_keys(const struct sb_request *request, uint32_t *keys, struct sb_buf *reply) {
  int64_t number;
  if (!sb_bytes_i64(request->args[2], &number)) {
    sb_reply_error_text(reply, "value is not an integer or out of range");
    return false;
  }
  if (number > (int64_t)request->count - 3) {
    sb_reply_error_text(reply, "Number of keys can't be greater than number of args");
    return false;
  }
  if (number < 0) {
    sb_reply_error_text(reply, "Number of keys can't be negative");
    return false;
  }
  *keys = (uint32_t)number;
  return true;
}

static enum sb_held publish_each(struct sb_connection *c, const struct sb_bytes *argv, uint32_t argc) {
  struct sb_buf null = {0};
  if (argc < 2) {
    sb_reply_null(sb_reply_of(c), c->session.proto);
    return SB_HELD_NOT;
  }
  sb_reply_null(&null, c->session.proto);
  enum sb_result result =
      sb_core_publish_each(sb_hub_of(c), &c->session, &argv[1], argc - 1, argv[0], sb_buf_bytes(&null));
  sb_buf_close(&null);
  return sb_answer_result(c, result);
}

static enum sb_held run_script(struct sb_connection *c, const struct sb_request *request,
                               enum sb_script script, uint32_t keys) {
  const struct sb_bytes *argv = &request->args[3 + keys];
  uint32_t argc = request->count - 3 - keys;
  if (script == SB_SCRIPT_PUBLISH_EACH) return publish_each(c, argv, argc);
  if (keys < 1 || argc < 1) {
    sb_reply_error_text(sb_reply_of(c), "this script needs a key and an argument");
    return SB_HELD_NOT;
  }
  if (script == SB_SCRIPT_RESTORE) { /* numbers never fall: there is nothing to raise */
    sb_reply_null(sb_reply_of(c), c->session.proto);
    return SB_HELD_NOT;
  }
  enum sb_result result = sb_core_channel(sb_hub_of(c), request->args[3]); /* it is published to */
  if (result == SB_DONE) result = sb_core_number(sb_hub_of(c), &c->session, request->args[3], argv[0]);
  return sb_answer_result(c, result);
}

enum sb_held sb_run_eval(struct sb_connection *c, const struct sb_request *request) {
  uint32_t keys;
  if (!count_keys(request, &keys, sb_reply_of(c))) return SB_HELD_NOT;
  enum sb_script script = sb_script_find(request->args[1]);
  if (script == SB_SCRIPT_UNKNOWN) {
    refuse(c, request->args[1]);
    return SB_HELD_NOT;
  }
  sb_scripts_keep(&sb_commands_of(c)->scripts, request->args[1], script);
  return run_script(c, request, script, keys);
}

enum sb_held sb_run_evalsha(struct sb_connection *c, const struct sb_request *request) {
  uint32_t keys = 0;
  bool is_sha1 = request->args[1].len == SB_SHA1_TEXT;
  if (is_sha1 && !count_keys(request, &keys, sb_reply_of(c))) return SB_HELD_NOT;
  enum sb_script script = sb_scripts_find(&sb_commands_of(c)->scripts, request->args[1]);
  if (script == SB_SCRIPT_UNKNOWN) {
    sb_reply_error_text(sb_reply_of(c), "-NOSCRIPT No matching script. Please use EVAL.");
    return SB_HELD_NOT;
  }
  return run_script(c, request, script, keys);
}

/* ---- SCRIPT ---- */

enum sb_held sb_run_script_load(struct sb_connection *c, const struct sb_request *request) {
  enum sb_script script = sb_script_find(request->args[2]);
  if (script == SB_SCRIPT_UNKNOWN)
    refuse(c, request->args[2]);
  else
    sb_reply_bulk_text(sb_reply_of(c),
                       sb_scripts_keep(&sb_commands_of(c)->scripts, request->args[2], script));
  return SB_HELD_NOT;
}

enum sb_held sb_run_script_exists(struct sb_connection *c, const struct sb_request *request) {
  sb_reply_array(sb_reply_of(c), request->count - 2);
  for (uint32_t i = 2; i < request->count; i++)
    sb_reply_integer(sb_reply_of(c),
                     sb_scripts_find(&sb_commands_of(c)->scripts, request->args[i]) != SB_SCRIPT_UNKNOWN);
  return SB_HELD_NOT;
}

enum sb_held sb_run_script_flush(struct sb_connection *c, const struct sb_request *request) {
  bool right = request->count == 2 || (request->count == 3 && (sb_bytes_is(request->args[2], "SYNC") ||
                                                               sb_bytes_is(request->args[2], "ASYNC")));
  if (!right) {
    sb_reply_error_text(sb_reply_of(c), "SCRIPT FLUSH only support SYNC|ASYNC option");
    return SB_HELD_NOT;
  }
  memset(&sb_commands_of(c)->scripts, 0, sizeof sb_commands_of(c)->scripts);
  sb_reply_simple(sb_reply_of(c), "OK");
  return SB_HELD_NOT;
}

enum sb_held sb_run_script_help(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  static const char *const lines[] = {
      "EXISTS <sha1> [<sha1> ...]",
      "    Return information about the existence of the scripts in the script cache.",
      "FLUSH [ASYNC|SYNC]",
      "    Flush the Lua scripts cache.",
      "LOAD <script>",
      "    Load a script into the scripts cache without executing it.",
      NULL,
  };
  sb_answer_help(sb_reply_of(c), "SCRIPT", lines);
  return SB_HELD_NOT;
}
