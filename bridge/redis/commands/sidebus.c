/* SIDEBUS: how this node, its logs and their members are doing. */
#include <stdio.h>

#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/core/wire/slot.h"
#include "bridge/redis/commands/answer.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/commands/info.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/server_struct.h"

enum sb_held sb_run_sidebus_status(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct sb_server *server = c->server;
  sb_buf_clear(&server->commands->scratch);
  sb_info_status(server, &server->commands->scratch);
  sb_reply_verbatim(&server->reply, c->session.proto, "txt", sb_buf_bytes(&server->commands->scratch));
  return SB_HELD_NOT;
}

static void pair_text(struct sb_buf *out, const char *key, const char *value) {
  sb_reply_bulk_text(out, key);
  sb_reply_bulk_text(out, value);
}

static void pair_number(struct sb_buf *out, const char *key, uint64_t value) {
  sb_reply_bulk_text(out, key);
  sb_reply_integer(out, (int64_t)value);
}

/* Puts `count` elements, written to the scratch buffer, into the reply. */
static void reply_list(struct sb_server *server, size_t count) {
  sb_reply_array(&server->reply, count);
  sb_buf_append(&server->reply, server->commands->scratch.data, server->commands->scratch.len);
}

enum sb_held sb_run_sidebus_nodes(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct sb_server *server = c->server;
  struct sb_core_member_info member;
  size_t count = 0;
  sb_buf_clear(&server->commands->scratch);
  for (uint32_t p = 0; p < server->settings.partitions; p++) {
    for (uint32_t i = 0; sb_core_member_info(server->core, p, i, &member); i++, count++) {
      struct sb_buf *out = &server->commands->scratch;
      sb_reply_map(out, c->session.proto, 8);
      pair_number(out, "partition", p);
      pair_text(out, "node", member.name);
      pair_text(out, "incarnation", member.incarnation);
      pair_number(out, "number", member.number);
      pair_number(out, "silent_ms", member.silent_ms);
      pair_number(out, "channels", member.channels);
      pair_number(out, "patterns", member.patterns);
      pair_number(out, "self", member.self);
    }
  }
  reply_list(server, count);
  return SB_HELD_NOT;
}

enum sb_held sb_run_sidebus_gaps(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct sb_server *server = c->server;
  struct sb_core_gap_info gap;
  uint32_t count = 0;
  sb_buf_clear(&server->commands->scratch);
  for (; sb_core_gap_info(server->core, count, &gap); count++) {
    struct sb_buf *out = &server->commands->scratch;
    sb_reply_map(out, c->session.proto, 6);
    pair_number(out, "unix_ms", gap.unix_ms);
    pair_number(out, "partition", gap.partition);
    pair_number(out, "generation", gap.generation);
    pair_number(out, "after", gap.after);
    pair_number(out, "before", gap.before);
    pair_text(out, "why", gap.why);
  }
  reply_list(server, count);
  return SB_HELD_NOT;
}

enum sb_held sb_run_sidebus_refused(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct sb_server *server = c->server;
  const struct sb_refused_row *rows[SB_REFUSED_ROWS];
  uint32_t count = sb_refused_sorted(&server->commands->refused, rows);
  sb_buf_clear(&server->commands->scratch);
  for (uint32_t i = 0; i < count; i++) {
    struct sb_buf *out = &server->commands->scratch;
    sb_reply_map(out, c->session.proto, 6);
    pair_text(out, "what", rows[i]->what);
    pair_text(out, "client", rows[i]->client);
    pair_number(out, "count", rows[i]->count);
    pair_number(out, "first_unix_ms", rows[i]->first_ms);
    pair_number(out, "last_unix_ms", rows[i]->last_ms);
    pair_text(out, "error", rows[i]->error);
  }
  reply_list(server, count);
  return SB_HELD_NOT;
}

enum sb_held sb_run_sidebus_slot(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = &c->server->reply;
  sb_reply_array(reply, 2);
  sb_reply_integer(reply, sb_slot(request->args[2]));
  sb_reply_integer(reply, sb_core_partition(c->server->core, request->args[2]));
  return SB_HELD_NOT;
}

enum sb_held sb_run_sidebus_ids(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = &c->server->reply;
  bool on = sb_bytes_is(request->args[2], "ON");
  if (!on && !sb_bytes_is(request->args[2], "OFF")) {
    sb_reply_error_text(reply, "syntax error");
  } else if (on && c->session.proto == 2) {
    sb_reply_error_text(reply, "ids are attributes, which need RESP3: send HELLO 3");
  } else {
    sb_session_send_ids(&c->session, on);
    sb_reply_simple(reply, "OK");
  }
  return SB_HELD_NOT;
}

enum sb_held sb_run_sidebus_help(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  static const char *const lines[] = {
      "GAPS",         "    Return the places where a log has lost something, the latest first.",
      "IDS (ON|OFF)", "    Put the id of each message before it, as an attribute of RESP3.",
      "NODES",        "    Return the members of each partition's log, in order of joining.",
      "REFUSED",      "    Return what was asked for and is not done here, by client library.",
      "SLOT <key>",   "    Return the slot and the partition of a channel or key.",
      "STATUS",       "    Return text about this node, its broker and its partitions.",
      NULL,
  };
  sb_answer_help(&c->server->reply, "SIDEBUS", lines);
  return SB_HELD_NOT;
}
