/* The commands about the connection itself: HELLO, AUTH, PING, ECHO, QUIT, RESET, SELECT, TIME, ROLE, CONFIG
 * GET and the refusals of CLUSTER. */
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "bridge/base/glob.h"
#include "bridge/base/reply.h"
#include "bridge/redis/commands/client_name.h"
#include "bridge/redis/commands/command.h"
#include "bridge/redis/sockets/server_struct.h"

#define WRONGPASS "-WRONGPASS invalid username-password pair or user is disabled."

enum sb_held sb_run_ping(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = &c->server->reply;
  if (request->count > 2) {
    sb_reply_error_text(reply, "wrong number of arguments for 'ping' command");
  } else if (c->session.proto == 2 && sb_connection_is_subscribed(c)) {
    sb_reply_array(reply, 2);
    sb_reply_bulk_text(reply, "pong");
    sb_reply_bulk(reply, request->count == 2 ? request->args[1] : sb_bytes(NULL, 0));
  } else if (request->count == 2) {
    sb_reply_bulk(reply, request->args[1]);
  } else {
    sb_reply_simple(reply, "PONG");
  }
  return SB_HELD_NOT;
}

enum sb_held sb_run_echo(struct sb_connection *c, const struct sb_request *request) {
  sb_reply_bulk(&c->server->reply, request->args[1]);
  return SB_HELD_NOT;
}

enum sb_held sb_run_quit(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  sb_reply_simple(&c->server->reply, "OK");
  sb_connection_finish(c);
  return SB_HELD_NOT;
}

enum sb_held sb_run_select(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = &c->server->reply;
  int64_t index;
  if (!sb_bytes_i64(request->args[1], &index))
    sb_reply_error_text(reply, "value is not an integer or out of range");
  else if (index < INT32_MIN || index > INT32_MAX)
    sb_reply_errorf(reply, "value is out of range, value must between %d and %d", INT32_MIN, INT32_MAX);
  else if (index == 0)
    sb_reply_simple(reply, "OK");
  else {
    sb_command_refuse(c->server, "select", sb_bytes_of("other databases"));
    sb_reply_error_text(reply, "DB index is out of range");
  }
  return SB_HELD_NOT;
}

static void bulk_number(struct sb_buf *reply, uint64_t number) {
  char digits[20];
  sb_reply_bulk(reply, sb_bytes(digits, sb_u64_text(number, digits)));
}

enum sb_held sb_run_time(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct timeval now;
  gettimeofday(&now, NULL);
  sb_reply_array(&c->server->reply, 2);
  bulk_number(&c->server->reply, (uint64_t)now.tv_sec);
  bulk_number(&c->server->reply, (uint64_t)now.tv_usec);
  return SB_HELD_NOT;
}

enum sb_held sb_run_role(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct sb_buf *reply = &c->server->reply;
  sb_reply_array(reply, 3);
  sb_reply_bulk_text(reply, "master");
  sb_reply_integer(reply, 0);
  sb_reply_array(reply, 0);
  return SB_HELD_NOT;
}

enum sb_held sb_run_no_cluster(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  sb_reply_error_text(&c->server->reply, "This instance has cluster support disabled");
  return SB_HELD_NOT;
}

/* ---- who connects ---- */

/* Takes the same time however much of it is right. */
static bool secret_equals(const char *secret, struct sb_bytes given) {
  size_t len = strlen(secret);
  unsigned differs = len != given.len;
  for (size_t i = 0; i < given.len; i++)
    differs |= (unsigned)(given.at[i] ^ (uint8_t)secret[len ? i % len : 0]);
  return differs == 0;
}

/* Without a configured password every AUTH is right: clients whose connection string has one would otherwise
 * reconnect for ever. */
static bool authenticate(struct sb_connection *c, struct sb_bytes user, struct sb_bytes password) {
  const char *secret = c->listener->password;
  if (secret) {
    bool right = secret_equals(secret, password);
    if (!right || !sb_bytes_equal(user, sb_bytes_of("default"))) return false;
  }
  sb_stranger_set(c, false);
  return true;
}

enum sb_held sb_run_auth(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = &c->server->reply;
  struct sb_bytes user = request->count == 3 ? request->args[1] : sb_bytes_of("default");
  if (request->count > 3)
    sb_reply_error_text(reply, "syntax error");
  else if (authenticate(c, user, request->args[request->count - 1]))
    sb_reply_simple(reply, "OK");
  else if (!sb_stranger_may_be_told(c))
    return SB_HELD_PASSWORD;
  else
    sb_reply_error_text(reply, WRONGPASS);
  return SB_HELD_NOT;
}

/* [AUTH user password] [SETNAME name]; false when the reply says what is wrong, or it is told later. */
static bool hello_options(struct sb_connection *c, const struct sb_request *request, enum sb_held *held) {
  struct sb_buf *reply = &c->server->reply;
  for (uint32_t i = 2; i < request->count; i++) {
    uint32_t more = request->count - 1 - i;
    if (sb_bytes_is(request->args[i], "AUTH") && more >= 2) {
      if (!authenticate(c, request->args[i + 1], request->args[i + 2])) {
        if (sb_stranger_may_be_told(c))
          sb_reply_error_text(reply, WRONGPASS);
        else
          *held = SB_HELD_PASSWORD;
        return false;
      }
      i += 2;
    } else if (sb_bytes_is(request->args[i], "SETNAME") && more >= 1) {
      if (!sb_client_set_name(c, request->args[i + 1], reply)) return false;
      i++;
    } else {
      struct sb_bytes option = request->args[i];
      sb_reply_errorf(reply, "Syntax error in HELLO option '%.*s'",
                      (int)strnlen((const char *)option.at, option.len), (const char *)option.at);
      return false;
    }
  }
  return true;
}

enum sb_held sb_run_hello(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = &c->server->reply;
  int64_t version = 0;
  if (request->count > 1) {
    if (!sb_bytes_i64(request->args[1], &version)) {
      sb_reply_error_text(reply, "Protocol version is not an integer or out of range");
      return SB_HELD_NOT;
    }
    if (version != 2 && version != 3) {
      sb_reply_error_text(reply, "-NOPROTO unsupported protocol version");
      return SB_HELD_NOT;
    }
  }
  enum sb_held held = SB_HELD_NOT;
  if (!hello_options(c, request, &held)) return held;
  if (c->stranger) {
    sb_reply_error_text(
        reply, "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
               "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
               "protocol version at the same time");
    return SB_HELD_NOT;
  }
  if (version != 0) c->session.proto = (uint8_t)version;
  if (version == 2) c->session.ids = false;
  sb_reply_map(reply, c->session.proto, 7);
  sb_reply_bulk_text(reply, "server");
  sb_reply_bulk_text(reply, "redis");
  sb_reply_bulk_text(reply, "version");
  sb_reply_bulk_text(reply, SB_REDIS_VERSION);
  sb_reply_bulk_text(reply, "proto");
  sb_reply_integer(reply, c->session.proto);
  sb_reply_bulk_text(reply, "id");
  sb_reply_integer(reply, (int64_t)c->id);
  sb_reply_bulk_text(reply, "mode");
  sb_reply_bulk_text(reply, "standalone");
  sb_reply_bulk_text(reply, "role");
  sb_reply_bulk_text(reply, "master");
  sb_reply_bulk_text(reply, "modules");
  sb_reply_array(reply, 0);
  return SB_HELD_NOT;
}

enum sb_held sb_run_reset(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  if (sb_core_unsubscribing(c->server->core, &c->session) != SB_DONE) return SB_HELD_ROOM;
  sb_command_stop_monitor(c);
  sb_command_discard(c);
  sb_core_reset(c->server->core, &c->session);
  sb_client_set_name(c, sb_bytes(NULL, 0), &c->server->reply);
  c->session.proto = 2;
  c->session.ids = false;
  sb_stranger_set(c, c->listener->password != NULL);
  sb_reply_simple(&c->server->reply, "RESET");
  return sb_command_confirm(c);
}

/* ---- CONFIG GET: the settings that clients ask for, under Redis's names ---- */

#define CONFIG_NAMES 17

struct config_value {
  const char *name;
  char value[SB_ADDRESS_TEXT];
};

static void config_values(const struct sb_server *server, struct config_value out[static CONFIG_NAMES]) {
  const struct sb_server_settings *s = &server->settings;
  size_t n = 0;
#define VALUE(key, ...)                                                                                      \
  do {                                                                                                       \
    out[n].name = key;                                                                                       \
    snprintf(out[n++].value, sizeof out->value, __VA_ARGS__);                                                \
  } while (0)
  VALUE("appendonly", "no");
  VALUE("bind", "%s", s->tcp.address ? s->tcp.address : "");
  VALUE("client-output-buffer-limit", "normal %zu %zu %u slave 0 0 0 pubsub %zu %zu %u", s->output_hard_bytes,
        s->output_soft_bytes, s->output_soft_seconds, s->output_hard_bytes, s->output_soft_bytes,
        s->output_soft_seconds);
  VALUE("client-query-buffer-limit", "%zu", s->input_bytes);
  VALUE("cluster-enabled", "no");
  VALUE("databases", "1");
  VALUE("maxclients", "%u", s->sessions_max);
  VALUE("maxmemory", "0");
  VALUE("maxmemory-clients", "%llu", (unsigned long long)s->memory_bytes);
  VALUE("maxmemory-policy", "noeviction");
  VALUE("notify-keyspace-events", "%s", "");
  VALUE("port", "%u", sb_server_tcp_port(server));
  VALUE("proto-max-bulk-len", "%zu", s->request_bytes);
  VALUE("save", "%s", "");
  VALUE("tcp-backlog", "%d", server->unix_listener.backlog);
  VALUE("timeout", "0");
  VALUE("unixsocket", "%s", s->socket.path ? s->socket.path : "");
#undef VALUE
}

static bool is_pattern(struct sb_bytes name) {
  for (size_t i = 0; i < name.len; i++)
    if (strchr("[*?", name.at[i]) && name.at[i]) return true;
  return false;
}

/* What one argument of CONFIG GET asks for. Names are compared ignoring case. */
struct wanted {
  struct sb_bytes lower;
  struct sb_glob *glob; /* NULL: it is a name */
};

static struct wanted read_wanted(struct sb_bytes argument, struct sb_buf *lower) {
  sb_buf_clear(lower);
  sb_buf_append(lower, argument.at, argument.len);
  for (size_t i = 0; i < lower->len; i++)
    if (lower->data[i] >= 'A' && lower->data[i] <= 'Z') lower->data[i] += 'a' - 'A';
  struct wanted wanted = {.lower = sb_buf_bytes(lower)};
  if (is_pattern(argument)) wanted.glob = sb_glob_new(wanted.lower);
  return wanted;
}

static bool config_matches(const struct wanted *wanted, const char *name) {
  if (wanted->glob) return sb_glob_matches(wanted->glob, sb_bytes_of(name));
  return sb_bytes_equal(wanted->lower, sb_bytes_of(name));
}

/* Each argument is tried on each setting. False: the reply says that they are too long. */
static bool may_look_up(struct sb_server *server, const struct sb_request *request) {
  if (request->raw.len <= SB_CONFIG_REQUEST_BYTES_MAX) return true;
  sb_reply_errorf(&server->reply, "CONFIG with arguments of %zu bytes, more than the %zu that it may have",
                  request->raw.len, SB_CONFIG_REQUEST_BYTES_MAX);
  return false;
}

enum sb_held sb_run_config_get(struct sb_connection *c, const struct sb_request *request) {
  struct sb_server *server = c->server;
  struct config_value values[CONFIG_NAMES];
  struct sb_bytes named[CONFIG_NAMES] = {
      {0}}; /* a name is given back as it was written, a match of a pattern is not */
  size_t count = 0;
  if (!may_look_up(server, request)) return SB_HELD_NOT;
  config_values(server, values);
  for (uint32_t i = 2; i < request->count; i++) {
    const struct wanted wanted = read_wanted(request->args[i], &server->scratch);
    for (size_t j = 0; j < CONFIG_NAMES; j++) {
      if (named[j].len > 0 || !config_matches(&wanted, values[j].name)) continue;
      named[j] = wanted.glob ? sb_bytes_of(values[j].name) : request->args[i];
      count++;
    }
    sb_glob_free(wanted.glob);
  }
  sb_reply_map(&server->reply, c->session.proto, count);
  for (size_t j = 0; j < CONFIG_NAMES; j++) {
    if (named[j].len == 0) continue;
    sb_reply_bulk(&server->reply, named[j]);
    sb_reply_bulk_text(&server->reply, values[j].value);
  }
  return SB_HELD_NOT;
}

/* The setting that an exact name means, or NULL. */
static const struct config_value *config_find(const struct config_value *values, struct sb_bytes name,
                                              struct sb_buf *lower) {
  if (is_pattern(name)) return NULL;
  const struct wanted wanted = read_wanted(name, lower);
  for (size_t i = 0; i < CONFIG_NAMES; i++)
    if (config_matches(&wanted, values[i].name)) return &values[i];
  return NULL;
}

/* Settings come from the configuration file. What asks for the value that there is gets its way. */
enum sb_held sb_run_config_set(struct sb_connection *c, const struct sb_request *request) {
  struct sb_server *server = c->server;
  struct config_value values[CONFIG_NAMES];
  if (request->count % 2 != 0) {
    sb_reply_error_text(&server->reply, "syntax error");
    return SB_HELD_NOT;
  }
  if (!may_look_up(server, request)) return SB_HELD_NOT;
  config_values(server, values);
  for (uint32_t i = 2; i < request->count; i += 2) {
    const struct config_value *value = config_find(values, request->args[i], &server->scratch);
    if (value && sb_bytes_equal(request->args[i + 1], sb_bytes_of(value->value))) continue;
    sb_command_refuse(server, c->last->name, request->args[i]);
    if (!value)
      sb_reply_errorf(&server->reply, "Unknown option or number of arguments for CONFIG SET - '%.*s'",
                      (int)strnlen((const char *)request->args[i].at, request->args[i].len),
                      (const char *)request->args[i].at);
    else
      sb_reply_errorf(&server->reply, "CONFIG SET failed (possibly related to argument '%s') - %s",
                      value->name,
                      strcmp(value->name, "notify-keyspace-events") == 0
                          ? SB_NO_KEYSPACE_EVENTS
                          : "it is set in the configuration file of sidebus, if at all");
    return SB_HELD_NOT;
  }
  sb_reply_simple(&server->reply, "OK");
  return SB_HELD_NOT;
}

enum sb_held sb_run_config_help(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  static const char *const lines[] = {
      "GET <pattern>",
      "    Return parameters matching the glob-like <pattern> and their values.",
      "SET <directive> <value>",
      "    Refused, unless the parameter has this value.",
      NULL,
  };
  sb_command_help(&c->server->reply, "CONFIG", lines);
  return SB_HELD_NOT;
}
