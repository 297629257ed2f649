#include "bridge/redis/commands/run.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/assert.h"
#include "bridge/base/clock.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/redis/commands/answer.h"
#include "bridge/redis/commands/command.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/commands/monitor.h"
#include "bridge/redis/commands/pubsub.h"
#include "bridge/redis/commands/table.h"
#include "bridge/redis/commands/transaction.h"
#include "bridge/redis/commands/words.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/ending.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/share.h"

#define QUOTED_MAX 128 /* so much of an unknown command is quoted, as in Redis */
#define ANYTIME_REQUEST_MAX                                                                                  \
  1024 /* bytes: the reply to a longer request may be long too, so the request waits and not the reply */
#define REPLY_KEPT_MAX ((size_t)1024 * 1024) /* a larger reply buffer is given back */

/* ---- what is not done here ---- */

/* The name that the library gives itself, or the one that the app gave the session. */
static const char *library_of(const struct sb_connection *c) {
  if (c->words && c->words->lib_name) return c->words->lib_name;
  return c->words && c->words->name ? c->words->name : "unknown";
}

/* Counts what was refused. Each kind is logged once, so that there are no more such lines than rows in the
 * table. */
static void count_refusal(struct sb_connection *c) {
  struct sb_server *server = c->server;
  const struct sb_refused_row *row;
  char client[SB_REFUSED_CLIENT_TEXT] = "";
  sb_refused_name(client, sizeof client, sb_bytes_of(library_of(c)));
  /* The reply to an unknown command quotes its arguments, which may be secrets. */
  struct sb_bytes error = c->last ? sb_buf_bytes(&server->reply) : sb_bytes_of("-ERR unknown command");
  switch (sb_refused_count(&server->commands->refused, server->commands->refusal, client, error,
                           sb_clock_unix_ms(), &row)) {
  case SB_REFUSED_NEW:
    sb_log(
        SB_LOG_NOTICE, "local",
        "refused: %s, first asked for by a session of %s (id=%llu), which was told \"%s\"; SIDEBUS REFUSED "
        "counts more of it",
        row->what, row->client, (unsigned long long)c->id, row->error);
    break;
  case SB_REFUSED_FULL:
    sb_log(SB_LOG_NOTICE, "local",
           "refused: more than %d kinds of requests; those that are new are counted together from now on",
           SB_REFUSED_ROWS);
    break;
  case SB_REFUSED_KNOWN:
    break;
  }
}

/* ---- refusals, as Redis words them ---- */

/* How much of a text Redis prints with %.*s: at most `max` bytes, up to a NUL. */
static int quoted(struct sb_bytes text, size_t max) {
  return (int)strnlen((const char *)text.at, text.len < max ? text.len : max);
}

static void unknown_command(struct sb_buf *reply, struct sb_buf *scratch, const struct sb_request *request) {
  sb_buf_clear(scratch);
  for (uint32_t i = 1; i < request->count && scratch->len < QUOTED_MAX; i++) {
    struct sb_bytes arg = request->args[i];
    sb_buf_text(scratch, "'");
    sb_buf_append(scratch, arg.at, (size_t)quoted(arg, QUOTED_MAX - (scratch->len - 1)));
    sb_buf_text(scratch, "' ");
  }
  struct sb_bytes name = request->args[0];
  sb_reply_errorf(reply, "unknown command '%.*s', with args beginning with: %.*s", quoted(name, QUOTED_MAX),
                  (const char *)name.at, (int)scratch->len, scratch->len ? (const char *)scratch->data : "");
}

static void unknown_subcommand(struct sb_buf *reply, const struct sb_command *command, struct sb_bytes name) {
  char upper[32];
  size_t i = 0;
  for (; command->name[i] && i + 1 < sizeof upper; i++)
    upper[i] = (char)toupper((unsigned char)command->name[i]);
  upper[i] = 0;
  sb_reply_errorf(reply, "unknown subcommand '%.*s'. Try %s HELP.", quoted(name, QUOTED_MAX),
                  (const char *)name.at, upper);
}

/* True: it must not run now, and the reply says why. */
static bool is_refused(const struct sb_connection *c, const struct sb_command *command,
                       struct sb_buf *reply) {
  if (c->stranger && !(command->flags & SB_CMD_NO_AUTH)) {
    sb_reply_error_text(reply, "-NOAUTH Authentication required.");
    return true;
  }
  if (c->session.proto == 2 && !(command->flags & SB_CMD_SUBSCRIBED) && sb_connection_is_subscribed(c)) {
    sb_reply_errorf(
        reply,
        "Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
        "this context",
        command->name);
    return true;
  }
  if (sb_words_is_monitor(c) && (command->flags & SB_CMD_ON_KEYS)) {
    sb_reply_error_text(reply, "Replica can't interact with the keyspace");
    return true;
  }
  return false;
}

/* A web page can make a browser post to a local port. Then such lines come first, and the page's commands
 * behind them, in the body. */
static bool is_http(struct sb_bytes name) {
  return sb_bytes_is(name, "POST") || sb_bytes_is(name, "HOST:");
}

/* ---- running ---- */

static enum sb_held send_reply(struct sb_connection *c) {
  struct sb_server *server = c->server;
  struct sb_buf *reply = &server->reply;
  if (reply->len == 0 || c->fd < 0) return SB_HELD_NOT;
  if (!sb_core_reply(server->core, &c->session, sb_buf_bytes(reply))) return SB_HELD_RING;
  sb_share_use(&c->server->shares, &c->share, reply->len);
  if (reply->data[0] == '-') server->stats.error_replies++;
  if (reply->cap > REPLY_KEPT_MAX) sb_buf_close(reply);
  if (server->commands->scratch.cap > REPLY_KEPT_MAX) sb_buf_close(&server->commands->scratch);
  return SB_HELD_NOT;
}

/* Notes a name that is not in the table, in lower case: clients write it in many ways. */
static void refuse_name(struct sb_connection *c, const struct sb_command *of, struct sb_bytes name) {
  char lower[SB_REFUSED_WHAT_TEXT];
  size_t len = 0;
  if (of) len = (size_t)snprintf(lower, sizeof lower, "%s|", of->name);
  for (size_t i = 0; i < name.len && len + 1 < sizeof lower; i++) lower[len++] = (char)tolower(name.at[i]);
  lower[len] = 0;
  sb_note_unsupported(c, "", sb_bytes(lower, len));
}

/* The command that the request names; NULL or *fits false: the reply says what is wrong. */
static const struct sb_command *look_up(struct sb_connection *c, const struct sb_request *request,
                                        bool *fits) {
  struct sb_server *server = c->server;
  const struct sb_command *command = sb_command_find(&server->commands->index, request->args[0]);
  *fits = false;
  if (!command) {
    unknown_command(&server->reply, &server->commands->scratch, request);
    refuse_name(c, NULL, request->args[0]);
    return NULL;
  }
  if (command->subs && request->count > 1) {
    const struct sb_command *sub = sb_command_find_sub(command, request->args[1]);
    if (!sub) {
      unknown_subcommand(&server->reply, command, request->args[1]);
      refuse_name(c, command, request->args[1]);
      return NULL;
    }
    command = sub;
  }
  *fits = sb_command_arity_fits(command, request->count);
  if (!*fits) sb_reply_errorf(&server->reply, "wrong number of arguments for '%s' command", command->name);
  return command;
}

static enum sb_held run(struct sb_connection *c, const struct sb_command *command, bool fits,
                        const struct sb_request *request) {
  struct sb_server *server = c->server;
  if (!fits || is_refused(c, command, &server->reply)) {
    sb_transaction_rejected(c, command, fits);
    return send_reply(c);
  }
  enum sb_held held;
  if (sb_words_has_transaction(c) && !(command->flags & SB_CMD_IN_MULTI)) {
    held = sb_transaction_queue(c, command, request);
  } else {
    if ((command->flags & SB_CMD_ORDERED) && sb_session_waiting(&c->session) > 0) return SB_HELD_REPLIES;
    held = command->run(c, request);
  }
  if (held != SB_HELD_NOT) return held;
  held = send_reply(c);
  if (held != SB_HELD_NOT) return held;
  if (server->commands->monitor_count > 0 && !(command->flags & SB_CMD_ADMIN)) sb_monitor_feed(c, request);
  return SB_HELD_NOT;
}

static inline bool is_plain_publish(const struct sb_connection *c, const struct sb_request *request) {
  return request->count == 3 && request->canonical && request->args[0].len == 7 &&
         memcmp(request->args[0].at, "PUBLISH", 7) == 0 && !c->stranger && !sb_words_is_monitor(c) &&
         !sb_words_has_transaction(c) && (c->session.proto != 2 || !sb_connection_is_subscribed(c)) &&
         c->server->commands->monitor_count == 0;
}

static enum sb_held run_request(struct sb_connection *c, const struct sb_request *request,
                                struct sb_bytes input, size_t *used) {
  struct sb_server *server = c->server;
  uint32_t waiting = sb_session_waiting(&c->session);
  if (waiting >= SB_RING_SLOTS_MAX) return SB_HELD_RING;
  sb_buf_clear(&server->reply);
  server->commands->refusal[0] = 0;

  enum sb_held held;
  uint32_t ran = 1;
  if (is_plain_publish(c, request)) {
    c->last = server->commands->publish;
    held = sb_run_publishes(c, request, input, used, &ran);
    if (held == SB_HELD_NOT && server->reply.len > 0) held = send_reply(c);
  } else if (is_http(request->args[0])) {
    sb_connection_log_close(c, "it speaks HTTP, which may be an attack by way of a browser");
    sb_connection_close(c);
    return SB_HELD_NOT;
  } else {
    bool fits;
    const struct sb_command *command = look_up(c, request, &fits);
    bool travels = command && (command->flags & (SB_CMD_PUBLISHES | SB_CMD_WRITE));
    if (waiting > 0 && !travels && request->raw.len > ANYTIME_REQUEST_MAX) return SB_HELD_REPLIES;
    c->last = command;
    held = run(c, command, fits, request);
  }
  if (held != SB_HELD_NOT) return held;
  server->stats.commands += ran;
  if (server->commands->refusal[0]) count_refusal(c);
  /* The time of plain PUBLISHes is counted once, after all of them: to read the clock after each would cost a
   * good part of what it measures. */
  if (c->last != server->commands->publish) sb_share_count_time(&server->shares, &c->share);
  return SB_HELD_NOT;
}

/* ---- what is kept of a session ---- */

static void forget(struct sb_connection *c) {
  sb_monitor_stop(c);
  sb_transaction_discard(c);
  sb_words_free(c);
}

static size_t bytes_of(const struct sb_connection *c) {
  return sb_words_bytes(c->words) + sb_transaction_bytes(c);
}

static const char *name_of(const struct sb_connection *c) {
  return c->words->name ? c->words->name : "";
}

/* ---- begin and end ---- */

uint32_t sb_commands_monitors(const struct sb_server *server) {
  return server->commands->monitor_count;
}

void sb_commands_begin(struct sb_server *server) {
  struct sb_commands *commands = sb_calloc(1, sizeof *commands);
  sb_command_index_init(&commands->index, sb_command_table);
  commands->publish = sb_command_find(&commands->index, sb_bytes_of("publish"));
  sb_link_init(&commands->monitors);
  server->commands = commands;
  server->requests = (struct sb_requests){run_request, sb_monitor_stop, forget, bytes_of, name_of};
}

void sb_commands_end(struct sb_server *server) {
  SB_ASSERT(server->commands->monitor_count == 0);
  sb_buf_close(&server->commands->scratch);
  free(server->commands);
  server->commands = NULL;
}
