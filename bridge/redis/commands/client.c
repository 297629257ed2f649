/* CLIENT: facts about sessions, their names, and closing them. */
#include "bridge/redis/commands/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/limits.h"
#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/redis/commands/answer.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/commands/transaction.h"
#include "bridge/redis/commands/words.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/ending.h"
#include "bridge/redis/sockets/evict.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/server_struct.h"

#define NAME_MAX_BYTES 4096 /* Redis has no such limit, but sessions must stay cheap */

/* ---- names ---- */

/* Names stand between blanks in CLIENT LIST. */
static bool name_is_allowed(struct sb_bytes name) {
  if (name.len > NAME_MAX_BYTES) return false;
  for (size_t i = 0; i < name.len; i++)
    if (name.at[i] < '!' || name.at[i] > '~') return false;
  return true;
}

static void set_text(char **slot, struct sb_bytes text) {
  free(*slot);
  *slot = NULL;
  if (text.len == 0) return;
  *slot = sb_malloc(text.len + 1);
  memcpy(*slot, text.at, text.len);
  (*slot)[text.len] = 0;
}

bool sb_client_set_name(struct sb_connection *c, struct sb_bytes name, struct sb_buf *reply) {
  if (!name_is_allowed(name)) {
    sb_reply_error_text(reply, "Client names cannot contain spaces, newlines or special characters.");
    return false;
  }
  if (name.len > 0 || c->words) set_text(&sb_words_of(c)->name, name);
  return true;
}

enum sb_held sb_run_client_setname(struct sb_connection *c, const struct sb_request *request) {
  if (sb_client_set_name(c, request->args[2], &c->server->reply)) sb_reply_simple(&c->server->reply, "OK");
  return SB_HELD_NOT;
}

enum sb_held sb_run_client_getname(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  if (c->words && c->words->name)
    sb_reply_bulk_text(&c->server->reply, c->words->name);
  else
    sb_reply_null(&c->server->reply, c->session.proto);
  return SB_HELD_NOT;
}

enum sb_held sb_run_client_setinfo(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = &c->server->reply;
  struct sb_bytes option = request->args[2], value = request->args[3];
  bool is_name = sb_bytes_is(option, "LIB-NAME"), is_version = sb_bytes_is(option, "LIB-VER");
  if (!is_name && !is_version) {
    sb_reply_errorf(reply, "Unrecognized option '%.*s'", (int)strnlen((const char *)option.at, option.len),
                    (const char *)option.at);
    return SB_HELD_NOT;
  }
  if (!name_is_allowed(value)) {
    sb_reply_errorf(reply, "%s cannot contain spaces, newlines or special characters.",
                    is_name ? "lib-name" : "lib-ver");
    return SB_HELD_NOT;
  }
  struct sb_words *words = sb_words_of(c);
  set_text(is_name ? &words->lib_name : &words->lib_version, value);
  sb_reply_simple(reply, "OK");
  return SB_HELD_NOT;
}

/* ---- facts ---- */

enum sb_held sb_run_client_id(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  sb_reply_integer(&c->server->reply, (int64_t)c->id);
  return SB_HELD_NOT;
}

static void flags_text(const struct sb_connection *c, char out[static 10]) {
  size_t n = 0;
  if (sb_words_is_monitor(c)) out[n++] = 'O';
  if (sb_connection_is_subscribed(c)) out[n++] = 'P';
  if (sb_words_has_transaction(c)) out[n++] = 'x';
  if (c->held == SB_HELD_ROOM || c->session.blocked) out[n++] = 'b';
  if (c->finishing) out[n++] = 'c';
  if (c->listener->unix_socket) out[n++] = 'U';
  if (c->no_evict) out[n++] = 'e';
  if (n == 0) out[n++] = 'N';
  out[n] = 0;
}

static const char *text_or_none(const char *text) {
  return text ? text : "";
}

/* One line of CLIENT LIST. */
static void describe(const struct sb_connection *c, struct sb_buf *out) {
  static const struct sb_words none;
  const struct sb_words *words = c->words ? c->words : &none;
  const struct sb_session *s = &c->session;
  uint64_t now = uv_now(c->server->loop);
  char peer[SB_ADDRESS_TEXT], self[SB_ADDRESS_TEXT], flags[10];
  sb_connection_peer(c, peer, sizeof peer);
  sb_connection_self(c, self, sizeof self);
  flags_text(c, flags);
  size_t kept = sb_input_kept(&c->input);
  sb_buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%llu idle=%llu flags=%s db=0 ",
                (unsigned long long)c->id, peer, self, c->fd, text_or_none(words->name),
                (unsigned long long)((now - c->opened_ms) / 1000),
                (unsigned long long)((now - c->active_ms) / 1000), flags);
  sb_buf_printf(
      out,
      "sub=%u psub=%u ssub=%u multi=%lld qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 ",
      s->subs.count[SB_SUB_CHANNEL], s->subs.count[SB_SUB_PATTERN], s->subs.count[SB_SUB_SHARD],
      (long long)sb_transaction_count(c), kept, c->input.cap - kept);
  sb_buf_printf(out, "oll=%u omem=%zu tot-mem=%zu events=%s%s cmd=%s user=default redir=-1 resp=%u ",
                s->outlet.out.count, s->outlet.out.bytes, sb_memory_of(c), c->events & UV_READABLE ? "r" : "",
                c->events & UV_WRITABLE ? "w" : "", c->last ? c->last->name : "NULL", s->proto);
  sb_buf_printf(out, "lib-name=%s lib-ver=%s\n", text_or_none(words->lib_name),
                text_or_none(words->lib_version));
}

enum sb_held sb_run_client_info(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct sb_server *server = c->server;
  sb_buf_clear(&server->commands->scratch);
  describe(c, &server->commands->scratch);
  sb_reply_verbatim(&server->reply, c->session.proto, "txt", sb_buf_bytes(&server->commands->scratch));
  return SB_HELD_NOT;
}

/* ---- choosing sessions ---- */

enum client_type { TYPE_ANY, TYPE_NORMAL, TYPE_PUBSUB, TYPE_NONE /* replicas and masters: there are none */ };

struct filter {
  enum client_type type;
  struct sb_bytes addr, laddr; /* at == NULL: any */
  uint64_t id;                 /* 0: any */
  bool skip_me;
};

static bool parse_type(struct sb_bytes name, enum client_type *type, struct sb_buf *reply) {
  if (sb_bytes_is(name, "NORMAL"))
    *type = TYPE_NORMAL;
  else if (sb_bytes_is(name, "PUBSUB"))
    *type = TYPE_PUBSUB;
  else if (sb_bytes_is(name, "SLAVE") || sb_bytes_is(name, "REPLICA") || sb_bytes_is(name, "MASTER"))
    *type = TYPE_NONE;
  else {
    sb_reply_errorf(reply, "Unknown client type '%.*s'", (int)strnlen((const char *)name.at, name.len),
                    (const char *)name.at);
    return false;
  }
  return true;
}

static bool matches(const struct filter *filter, const struct sb_connection *c) {
  char address[SB_ADDRESS_TEXT];
  if (filter->type != TYPE_ANY &&
      filter->type != (sb_connection_is_subscribed(c) ? TYPE_PUBSUB : TYPE_NORMAL))
    return false;
  if (filter->id != 0 && filter->id != c->id) return false;
  if (filter->addr.at) {
    sb_connection_peer(c, address, sizeof address);
    if (!sb_bytes_equal(filter->addr, sb_bytes_of(address))) return false;
  }
  if (filter->laddr.at) {
    sb_connection_self(c, address, sizeof address);
    if (!sb_bytes_equal(filter->laddr, sb_bytes_of(address))) return false;
  }
  return true;
}

/* Stops when the reply is longer than the session may be sent; the session is closed then. */
static void describe_all(struct sb_connection *c, const struct filter *filter) {
  struct sb_server *server = c->server;
  for (struct sb_link *at = server->roster.open.next; at != &server->roster.open; at = at->next) {
    struct sb_connection *each = SB_OF_LINK(at, struct sb_connection, link);
    if (!matches(filter, each)) continue;
    describe(each, &server->commands->scratch);
    if (!sb_core_takes_reply(server->core, &c->session, server->commands->scratch.len)) return;
  }
}

struct by_id {
  uint64_t id;
  const struct sb_connection *c;
};

static int compare_ids(const void *key, const void *element) {
  const struct by_id *a = key, *b = element;
  return (a->id > b->id) - (a->id < b->id);
}

/* Sessions stand in the order of their ids. False: one of `ids` is no number, and the reply says so. */
static bool describe_chosen(struct sb_connection *c, const struct sb_bytes *ids, uint32_t count) {
  struct sb_server *server = c->server;
  struct by_id *sessions = sb_malloc(server->roster.count * sizeof *sessions);
  size_t open = 0;
  for (struct sb_link *at = server->roster.open.next; at != &server->roster.open; at = at->next) {
    const struct sb_connection *each = SB_OF_LINK(at, struct sb_connection, link);
    sessions[open++] = (struct by_id){each->id, each};
  }
  bool good = true;
  for (uint32_t i = 0; i < count && good; i++) {
    int64_t number = 0;
    good = sb_bytes_i64(ids[i], &number);
    struct by_id wanted = {(uint64_t)number, NULL};
    const struct by_id *found = good ? bsearch(&wanted, sessions, open, sizeof *sessions, compare_ids) : NULL;
    if (!found) continue;
    describe(found->c, &server->commands->scratch);
    if (!sb_core_takes_reply(server->core, &c->session, server->commands->scratch.len)) break;
  }
  free(sessions);
  if (!good) sb_reply_error_text(&server->reply, "Invalid client ID");
  return good;
}

/* CLIENT LIST [TYPE type | ID id …] */
enum sb_held sb_run_client_list(struct sb_connection *c, const struct sb_request *request) {
  struct sb_server *server = c->server;
  struct filter filter = {0};
  sb_buf_clear(&server->commands->scratch);
  if (request->count == 4 && sb_bytes_is(request->args[2], "TYPE")) {
    if (!parse_type(request->args[3], &filter.type, &server->reply)) return SB_HELD_NOT;
    describe_all(c, &filter);
  } else if (request->count > 3 && sb_bytes_is(request->args[2], "ID")) {
    if (!describe_chosen(c, request->args + 3, request->count - 3)) return SB_HELD_NOT;
  } else if (request->count != 2) {
    sb_reply_error_text(&server->reply, "syntax error");
    return SB_HELD_NOT;
  } else {
    describe_all(c, &filter);
  }
  sb_reply_verbatim(&server->reply, c->session.proto, "txt", sb_buf_bytes(&server->commands->scratch));
  return SB_HELD_NOT;
}

/* ---- CLIENT KILL ---- */

/* One option and its value; false when the reply says what is wrong. */
static bool parse_kill_option(struct sb_bytes option, struct sb_bytes value, struct filter *filter,
                              struct sb_buf *reply) {
  int64_t id;
  if (sb_bytes_is(option, "ID")) {
    if (!sb_bytes_i64(value, &id) || id < 1) {
      sb_reply_error_text(reply, "client-id should be greater than 0");
      return false;
    }
    filter->id = (uint64_t)id;
    return true;
  }
  if (sb_bytes_is(option, "TYPE")) return parse_type(value, &filter->type, reply);
  if (sb_bytes_is(option, "ADDR")) {
    filter->addr = value;
    return true;
  }
  if (sb_bytes_is(option, "LADDR")) {
    filter->laddr = value;
    return true;
  }
  if (sb_bytes_is(option, "USER")) {
    if (sb_bytes_equal(value, sb_bytes_of("default"))) return true;
    sb_reply_errorf(reply, "No such user '%.*s'", (int)strnlen((const char *)value.at, value.len),
                    (const char *)value.at);
    return false;
  }
  if (sb_bytes_is(option, "SKIPME") && (sb_bytes_is(value, "YES") || sb_bytes_is(value, "NO"))) {
    filter->skip_me = sb_bytes_is(value, "YES");
    return true;
  }
  sb_reply_error_text(reply, "syntax error");
  return false;
}

static int64_t kill_all(struct sb_connection *c, const struct filter *filter) {
  int64_t killed = 0;
  struct sb_link *next;
  for (struct sb_link *at = c->server->roster.open.next; at != &c->server->roster.open; at = next) {
    struct sb_connection *each = SB_OF_LINK(at, struct sb_connection, link);
    next = at->next;
    if (!matches(filter, each) || (each == c && filter->skip_me)) continue;
    killed++;
    if (each == c)
      sb_connection_finish(c); /* after it has its reply */
    else
      sb_connection_close(each);
  }
  return killed;
}

/* CLIENT KILL address, or CLIENT KILL option value … */
enum sb_held sb_run_client_kill(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = &c->server->reply;
  struct filter filter = {.skip_me = true};
  if (request->count == 3) {
    filter.addr = request->args[2];
    filter.skip_me = false;
    if (kill_all(c, &filter) > 0)
      sb_reply_simple(reply, "OK");
    else
      sb_reply_error_text(reply, "No such client");
    return SB_HELD_NOT;
  }
  for (uint32_t i = 2; i < request->count; i += 2) {
    if (i + 1 == request->count) {
      sb_reply_error_text(reply, "syntax error");
      return SB_HELD_NOT;
    }
    if (!parse_kill_option(request->args[i], request->args[i + 1], &filter, reply)) return SB_HELD_NOT;
  }
  sb_reply_integer(reply, kill_all(c, &filter));
  return SB_HELD_NOT;
}

/* ---- NO-EVICT (evict.c), and NO-TOUCH, which has no effect ---- */

static bool parse_on_off(struct sb_bytes word, bool *on, struct sb_buf *reply) {
  *on = sb_bytes_is(word, "ON");
  if (!*on && !sb_bytes_is(word, "OFF")) {
    sb_reply_error_text(reply, "syntax error");
    return false;
  }
  sb_reply_simple(reply, "OK");
  return true;
}

enum sb_held sb_run_client_no_evict(struct sb_connection *c, const struct sb_request *request) {
  bool on;
  if (parse_on_off(request->args[2], &on, &c->server->reply)) sb_evict_spare(c, on);
  return SB_HELD_NOT;
}

enum sb_held sb_run_client_no_touch(struct sb_connection *c, const struct sb_request *request) {
  bool on;
  parse_on_off(request->args[2], &on, &c->server->reply);
  return SB_HELD_NOT;
}

enum sb_held sb_run_client_help(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  static const char *const lines[] = {
      "GETNAME",
      "    Return the name of the current connection.",
      "ID",
      "    Return the ID of the current connection.",
      "INFO",
      "    Return information about the current client connection.",
      "KILL <ip:port>",
      "    Kill connection made from <ip:port>.",
      "KILL <option> <value> [<option> <value> [...]]",
      "    Kill connections. Options are:",
      "    * ADDR (<ip:port>|<unixsocket>:0)",
      "      Kill connections made from the specified address",
      "    * LADDR (<ip:port>|<unixsocket>:0)",
      "      Kill connections made to specified local address",
      "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
      "      Kill connections by type.",
      "    * USER <username>",
      "      Kill connections authenticated by <username>.",
      "    * SKIPME (YES|NO)",
      "      Skip killing current connection (default: yes).",
      "LIST [options ...]",
      "    Return information about client connections. Options:",
      "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
      "      Return clients of specified type.",
      "SETINFO (LIB-NAME|LIB-VER) <value>",
      "    Say which client library the current connection uses.",
      "SETNAME <name>",
      "    Assign the name <name> to the current connection.",
      "NO-EVICT (ON|OFF)",
      "    Spare the current connection while others take nearly as much memory.",
      "NO-TOUCH (ON|OFF)",
      "    Accepted, has no effect.",
      NULL,
  };
  sb_answer_help(&c->server->reply, "CLIENT", lines);
  return SB_HELD_NOT;
}
