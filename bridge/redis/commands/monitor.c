/* MONITOR: sessions that see what this node's sessions send, as Redis shows it. */
#include "bridge/redis/commands/monitor.h"

#include <stdio.h>
#include <sys/time.h>

#include "bridge/base/assert.h"
#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/commands/words.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/share.h"

/* A second MONITOR is not answered: so does Redis. */
enum sb_held sb_run_monitor(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct sb_commands *commands = c->server->commands;
  if (sb_words_is_monitor(c)) return SB_HELD_NOT;
  struct sb_words *words = sb_words_of(c);
  sb_link_append(&commands->monitors, &words->monitors);
  commands->monitor_count++;
  sb_reply_simple(&c->server->reply, "OK");
  return SB_HELD_NOT;
}

void sb_monitor_stop(struct sb_connection *c) {
  struct sb_commands *commands = c->server->commands;
  if (!sb_words_is_monitor(c)) return;
  SB_ASSERT(commands->monitor_count > 0);
  sb_link_remove(&c->words->monitors);
  commands->monitor_count--;
}

/* In quotes, with the escapes of Redis's sdscatrepr. */
static void append_quoted(struct sb_buf *out, struct sb_bytes text) {
  static const char hex[] = "0123456789abcdef";
  sb_buf_text(out, "\"");
  for (size_t i = 0; i < text.len; i++) {
    uint8_t byte = text.at[i];
    const char *escape = NULL;
    if (byte == '\\') escape = "\\\\";
    if (byte == '"') escape = "\\\"";
    if (byte == '\n') escape = "\\n";
    if (byte == '\r') escape = "\\r";
    if (byte == '\t') escape = "\\t";
    if (byte == '\a') escape = "\\a";
    if (byte == '\b') escape = "\\b";
    if (escape) {
      sb_buf_text(out, escape);
    } else if (byte >= ' ' && byte <= '~') {
      sb_buf_append(out, &byte, 1);
    } else {
      char code[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
      sb_buf_append(out, code, sizeof code);
    }
  }
  sb_buf_text(out, "\"");
}

/* Passwords are not shown: the arguments of AUTH, and the two behind AUTH in HELLO. */
static bool is_secret(const struct sb_request *request, uint32_t index) {
  if (index == 0) return false;
  if (sb_bytes_is(request->args[0], "AUTH")) return true;
  if (!sb_bytes_is(request->args[0], "HELLO")) return false;
  for (uint32_t back = 1; back <= 2 && back < index; back++)
    if (sb_bytes_is(request->args[index - back], "AUTH")) return true;
  return false;
}

void sb_monitor_feed(struct sb_connection *c, const struct sb_request *request) {
  struct sb_server *server = c->server;
  struct sb_buf *line = &server->commands->scratch;
  struct timeval now;
  gettimeofday(&now, NULL);
  sb_buf_clear(line);
  sb_buf_printf(line, "+%lld.%06ld ", (long long)now.tv_sec, (long)now.tv_usec);
  if (c->listener->unix_socket) {
    sb_buf_printf(line, "[0 unix:%s]", c->listener->file.path);
  } else {
    char peer[SB_ADDRESS_TEXT];
    sb_connection_peer(c, peer, sizeof peer);
    sb_buf_printf(line, "[0 %s]", peer);
  }
  for (uint32_t i = 0; i < request->count; i++) {
    sb_buf_text(line, " ");
    append_quoted(line, is_secret(request, i) ? sb_bytes_of("(redacted)") : request->args[i]);
  }
  sb_buf_text(line, "\r\n");
  sb_share_use(&c->server->shares, &c->share, line->len * server->commands->monitor_count);
  const struct sb_link *monitors = &server->commands->monitors;
  for (const struct sb_link *at = monitors->next; at != monitors; at = at->next) {
    struct sb_connection *each = SB_OF_LINK(at, struct sb_words, monitors)->of;
    sb_core_push(server->core, &each->session, sb_buf_bytes(line));
  }
}
