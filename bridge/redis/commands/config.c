/* CONFIG GET and SET: the settings that clients ask for, under Redis's names. */
#include <stdio.h>
#include <string.h>

#include "bridge/base/glob.h"
#include "bridge/base/limits.h"
#include "bridge/base/reply.h"
#include "bridge/redis/commands/answer.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/server_struct.h"

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
  VALUE("port", "%u", sb_listener_port(&server->tcp_listener));
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

/* False: the arguments are too long, and the reply says so. Each is compared with each setting. */
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
      {0}}; /* a setting that was asked for by name is replied with the name as it was written */
  size_t count = 0;
  if (!may_look_up(server, request)) return SB_HELD_NOT;
  config_values(server, values);
  for (uint32_t i = 2; i < request->count; i++) {
    const struct wanted wanted = read_wanted(request->args[i], &server->commands->scratch);
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

/* Settings come from the configuration file: only a CONFIG SET to the value that a setting has succeeds. */
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
    const struct config_value *value = config_find(values, request->args[i], &server->commands->scratch);
    if (value && sb_bytes_equal(request->args[i + 1], sb_bytes_of(value->value))) continue;
    sb_note_unsupported(c, c->last->name, request->args[i]);
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
  sb_answer_help(&c->server->reply, "CONFIG", lines);
  return SB_HELD_NOT;
}
