/* COMMAND: what the table says, in the form that Redis gives it. */
#include <string.h>

#include "bridge/base/glob.h"
#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/redis/commands/answer.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/commands/key_specs.h"
#include "bridge/redis/sockets/connection.h"

/* Names of the flags, in the order of their bits. */
static const char *const flag_names[SB_CMD_NAMED_FLAGS] = {
    "write",    "readonly",          "denyoom",    "admin",        "pubsub",       "noscript",
    "blocking", "loading",           "stale",      "skip_monitor", "skip_slowlog", "fast",
    "no_auth",  "no_mandatory_keys", "allow_busy", "movablekeys",
};

#define CATEGORIES_MAX 8

/* Groups whose commands, if they can be run, are in a category of the same name. */
static const struct {
  const char *group, *category;
  bool early; /* before @fast, as Redis orders them */
} group_categories[] = {
    {"string", "string", true},
    {"stream", "stream", true},
    {"transactions", "transaction", false},
    {"scripting", "scripting", false},
};

static size_t category_of_group(const struct sb_command *command, bool early, const char **out) {
  for (size_t i = 0; i < sizeof group_categories / sizeof *group_categories; i++) {
    if (group_categories[i].early != early || command->subs) continue;
    if (strcmp(group_categories[i].group, command->group) != 0) continue;
    *out = group_categories[i].category;
    return 1;
  }
  return 0;
}

/* Redis derives categories from flags; so do we. Returns how many. */
static size_t categories_of(const struct sb_command *command, const char *out[static CATEGORIES_MAX]) {
  uint32_t flags = command->flags;
  size_t n = 0;
  if (strcmp(command->group, "generic") == 0) out[n++] = "keyspace";
  if (flags & SB_CMD_READONLY) out[n++] = "read";
  if (flags & SB_CMD_WRITE) out[n++] = "write";
  n += category_of_group(command, true, &out[n]);
  if (flags & SB_CMD_PUBSUB) out[n++] = "pubsub";
  if (flags & (SB_CMD_ADMIN | SB_CMD_IN_ADMIN)) out[n++] = "admin";
  out[n++] = flags & SB_CMD_FAST ? "fast" : "slow";
  if (flags & SB_CMD_BLOCKING) out[n++] = "blocking";
  if (flags & (SB_CMD_ADMIN | SB_CMD_DANGEROUS)) out[n++] = "dangerous";
  if (flags & SB_CMD_CONNECTION) out[n++] = "connection";
  n += category_of_group(command, false, &out[n]);
  return n;
}

static size_t count_of(const struct sb_command *commands) {
  size_t n = 0;
  while (commands && commands[n].name) n++;
  return n;
}

static void write_flags(struct sb_buf *reply, int proto, uint32_t flags) {
  size_t n = 0;
  for (uint32_t i = 0; i < SB_CMD_NAMED_FLAGS; i++) n += flags >> i & 1;
  sb_reply_set(reply, proto, n);
  for (uint32_t i = 0; i < SB_CMD_NAMED_FLAGS; i++)
    if (flags >> i & 1) sb_reply_simple(reply, flag_names[i]);
}

static void write_categories(struct sb_buf *reply, int proto, const struct sb_command *command) {
  const char *names[CATEGORIES_MAX];
  size_t n = categories_of(command, names);
  sb_reply_set(reply, proto, n);
  for (size_t i = 0; i < n; i++) sb_buf_printf(reply, "+@%s\r\n", names[i]);
}

static void write_tips(struct sb_buf *reply, int proto, uint32_t flags) {
  size_t n = (flags & SB_CMD_VARIES ? 1 : 0) + (flags & SB_CMD_SHARDED ? 2 : 0);
  sb_reply_set(reply, proto, n);
  if (flags & SB_CMD_VARIES) sb_reply_bulk_text(reply, "nondeterministic_output");
  if (flags & SB_CMD_SHARDED) sb_reply_bulk_text(reply, "request_policy:multi_shard");
  if (flags & SB_CMD_SHARDED) sb_reply_bulk_text(reply, "response_policy:agg_sum");
}

/* What COMMAND and COMMAND INFO say of one command. Calls itself for its subcommands, which have none. */
static void write_info(struct sb_buf *reply, int proto, const struct sb_command *command) {
  sb_reply_array(reply, 10);
  sb_reply_bulk_text(reply, command->name);
  sb_reply_integer(reply, command->arity);
  write_flags(reply, proto, command->flags);
  sb_command_write_key_range(reply, command);
  write_categories(reply, proto, command);
  write_tips(reply, proto, command->flags);
  sb_command_write_key_specs(reply, proto, command);
  if (!command->subs) {
    sb_reply_set(reply, proto, 0);
    return;
  }
  sb_reply_array(reply, count_of(command->subs));
  for (const struct sb_command *sub = command->subs; sub->name; sub++) write_info(reply, proto, sub);
}

static void write_docs(struct sb_buf *reply, int proto, const struct sb_command *command) {
  sb_reply_bulk_text(reply, command->name);
  sb_reply_map(reply, proto, command->subs ? 4 : 3);
  sb_reply_bulk_text(reply, "summary");
  sb_reply_bulk_text(reply, command->summary);
  sb_reply_bulk_text(reply, "since");
  sb_reply_bulk_text(reply, command->since);
  sb_reply_bulk_text(reply, "group");
  sb_reply_bulk_text(reply, command->group);
  if (!command->subs) return;
  sb_reply_bulk_text(reply, "subcommands");
  sb_reply_map(reply, proto, count_of(command->subs));
  for (const struct sb_command *sub = command->subs; sub->name; sub++) write_docs(reply, proto, sub);
}

/* "config" or "config|get"; NULL when there is none. */
static const struct sb_command *by_full_name(const struct sb_connection *c, struct sb_bytes name) {
  const uint8_t *bar = name.len > 0 ? memchr(name.at, '|', name.len) : NULL;
  if (!bar) return sb_command_find(&sb_commands_of(c)->index, name);
  size_t front = (size_t)(bar - name.at);
  const struct sb_command *command = sb_command_find(&sb_commands_of(c)->index, sb_bytes(name.at, front));
  return command ? sb_command_find_sub(command, sb_bytes(bar + 1, name.len - front - 1)) : NULL;
}

/* A request may have a million names, and the answer to each is a hundred times as long. False: the reply is
 * longer than the session may be sent, and the session is closed. */
static bool takes(struct sb_connection *c, const struct sb_buf *reply) {
  return sb_core_takes_reply(sb_hub_of(c), &c->session, reply->len);
}

enum sb_held sb_run_command(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct sb_buf *reply = sb_reply_of(c);
  sb_reply_array(reply, count_of(sb_commands_of(c)->index.table));
  for (const struct sb_command *each = sb_commands_of(c)->index.table; each->name; each++)
    write_info(reply, c->session.proto, each);
  return SB_HELD_NOT;
}

enum sb_held sb_run_command_info(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = sb_reply_of(c);
  if (request->count == 2) return sb_run_command(c, request);
  sb_reply_array(reply, request->count - 2);
  for (uint32_t i = 2; i < request->count && takes(c, reply); i++) {
    const struct sb_command *command = by_full_name(c, request->args[i]);
    if (command)
      write_info(reply, c->session.proto, command);
    else
      sb_reply_null(reply, c->session.proto);
  }
  return SB_HELD_NOT;
}

enum sb_held sb_run_command_docs(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = sb_reply_of(c);
  if (request->count == 2) {
    sb_reply_map(reply, c->session.proto, count_of(sb_commands_of(c)->index.table));
    for (const struct sb_command *each = sb_commands_of(c)->index.table; each->name; each++)
      write_docs(reply, c->session.proto, each);
    return SB_HELD_NOT;
  }
  size_t found = 0;
  for (uint32_t i = 2; i < request->count; i++) found += by_full_name(c, request->args[i]) != NULL;
  sb_reply_map(reply, c->session.proto, found);
  for (uint32_t i = 2; i < request->count && takes(c, reply); i++) {
    const struct sb_command *command = by_full_name(c, request->args[i]);
    if (command) write_docs(reply, c->session.proto, command);
  }
  return SB_HELD_NOT;
}

enum sb_held sb_run_command_count(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  sb_reply_integer(sb_reply_of(c), (int64_t)count_of(sb_commands_of(c)->index.table));
  return SB_HELD_NOT;
}

/* The command behind COMMAND GETKEYS and where its keys are, or an error in the reply; judged in Redis's
 * order. */
static const struct sb_command *find_keys(struct sb_connection *c, const struct sb_request *request,
                                          uint32_t *first, int *keys) {
  struct sb_buf *reply = sb_reply_of(c);
  const struct sb_bytes *args = &request->args[2];
  uint32_t count = request->count - 2;
  const struct sb_command *command = sb_command_find(&sb_commands_of(c)->index, args[0]);
  if (command && command->subs) command = sb_command_find_sub(command, args[1]);
  if (!command) {
    sb_reply_error_text(reply, "Invalid command specified");
    return NULL;
  }
  if (!command->keys) {
    sb_reply_error_text(reply, "The command has no key arguments");
    return NULL;
  }
  if (!sb_command_arity_fits(command, count)) {
    sb_reply_error_text(reply, "Invalid number of arguments specified for command");
    return NULL;
  }
  *keys = sb_command_keys(command, args, count, first);
  *first += 2;
  if (*keys > 0) return command;
  if (command->flags & SB_CMD_NO_MANDATORY_KEYS)
    sb_reply_array(reply, 0);
  else
    sb_reply_error_text(reply, "Invalid arguments specified for command");
  return NULL;
}

enum sb_held sb_run_command_getkeys(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = sb_reply_of(c);
  uint32_t first = 0;
  int keys;
  if (!find_keys(c, request, &first, &keys)) return SB_HELD_NOT;
  sb_reply_array(reply, (size_t)keys);
  for (int i = 0; i < keys; i++) sb_reply_bulk(reply, request->args[first + (uint32_t)i]);
  return SB_HELD_NOT;
}

/* What SET does to its key depends on its options. */
static const char *access_of(const struct sb_command *command, const struct sb_request *request) {
  if (command->run != sb_run_op || strcmp(command->name, "set") != 0) return command->keys->access;
  for (uint32_t i = 5; i < request->count; i++)
    if (sb_bytes_is(request->args[i], "GET")) return "RW access update";
  return "OW update";
}

enum sb_held sb_run_command_getkeysandflags(struct sb_connection *c, const struct sb_request *request) {
  struct sb_buf *reply = sb_reply_of(c);
  uint32_t first = 0;
  int keys;
  const struct sb_command *command = find_keys(c, request, &first, &keys);
  if (!command) return SB_HELD_NOT;
  sb_reply_array(reply, (size_t)keys);
  for (int i = 0; i < keys; i++) {
    sb_reply_array(reply, 2);
    sb_reply_bulk(reply, request->args[first + (uint32_t)i]);
    sb_command_write_words(reply, c->session.proto, access_of(command, request));
  }
  return SB_HELD_NOT;
}

/* ---- COMMAND LIST ---- */

struct list_filter {
  enum { LIST_ALL, LIST_MODULE, LIST_CATEGORY, LIST_PATTERN } by;
  struct sb_bytes argument;
  struct sb_glob *glob; /* NULL: longer than a pattern may be, matches nothing */
};

static bool is_listed(const struct sb_command *command, const struct list_filter *filter) {
  const char *names[CATEGORIES_MAX];
  size_t n;
  switch (filter->by) {
  case LIST_ALL:
    return true;
  case LIST_MODULE:
    return false; /* there are no modules */
  case LIST_PATTERN:
    return filter->glob && sb_glob_matches(filter->glob, sb_bytes_of(command->name));
  case LIST_CATEGORY:
    n = categories_of(command, names);
    for (size_t i = 0; i < n; i++)
      if (sb_bytes_equal(filter->argument, sb_bytes_of(names[i]))) return true;
    return false;
  }
  return false;
}

static size_t list(struct sb_buf *out, const struct sb_command *commands, const struct list_filter *filter) {
  size_t n = 0;
  for (const struct sb_command *each = commands; each && each->name; each++) {
    if (is_listed(each, filter)) {
      sb_reply_bulk_text(out, each->name);
      n++;
    }
    n += list(out, each->subs, filter);
  }
  return n;
}

/* Patterns and categories are compared in lower case, as all names are. */
static struct sb_bytes lower(struct sb_bytes text, struct sb_buf *room) {
  sb_buf_clear(room);
  sb_buf_append(room, text.at, text.len);
  for (size_t i = 0; i < room->len; i++)
    if (room->data[i] >= 'A' && room->data[i] <= 'Z') room->data[i] = (uint8_t)(room->data[i] + ('a' - 'A'));
  return sb_buf_bytes(room);
}

/* COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern] */
enum sb_held sb_run_command_list(struct sb_connection *c, const struct sb_request *request) {
  struct list_filter filter = {.by = LIST_ALL};
  if (request->count == 5 && sb_bytes_is(request->args[2], "FILTERBY")) {
    if (sb_bytes_is(request->args[3], "MODULE")) filter.by = LIST_MODULE;
    if (sb_bytes_is(request->args[3], "ACLCAT")) filter.by = LIST_CATEGORY;
    if (sb_bytes_is(request->args[3], "PATTERN")) filter.by = LIST_PATTERN;
    filter.argument = lower(request->args[4], &sb_commands_of(c)->scratch);
  }
  if (request->count > 2 && filter.by == LIST_ALL) {
    sb_reply_error_text(sb_reply_of(c), "syntax error");
    return SB_HELD_NOT;
  }
  if (filter.by == LIST_PATTERN) filter.glob = sb_glob_new(filter.argument);
  struct sb_buf names = {0};
  size_t n = list(&names, sb_commands_of(c)->index.table, &filter);
  sb_reply_array(sb_reply_of(c), n);
  sb_buf_append(sb_reply_of(c), names.data, names.len);
  sb_buf_close(&names);
  sb_glob_free(filter.glob);
  return SB_HELD_NOT;
}

enum sb_held sb_run_command_help(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  static const char *const lines[] = {
      "(no subcommand)",
      "    Return details about all Redis commands.",
      "COUNT",
      "    Return the total number of commands in this Redis server.",
      "LIST",
      "    Return a list of all commands in this Redis server.",
      "INFO [<command-name> ...]",
      "    Return details about multiple Redis commands.",
      "    If no command names are given, documentation details for all",
      "    commands are returned.",
      "DOCS [<command-name> ...]",
      "    Return documentation details about multiple Redis commands.",
      "    If no command names are given, documentation details for all",
      "    commands are returned.",
      "GETKEYS <full-command>",
      "    Return the keys from a full Redis command.",
      "GETKEYSANDFLAGS <full-command>",
      "    Return the keys and the access flags from a full Redis command.",
      NULL,
  };
  sb_answer_help(sb_reply_of(c), "COMMAND", lines);
  return SB_HELD_NOT;
}
