#include "bridge/redis/commands/key_specs.h"
#include "bridge/base/reply.h"

#include <string.h>

static int keys_at(const struct sb_key_spec *spec, uint32_t count, uint32_t *first) {
  int64_t last = spec->last < 0 ? (int64_t)count + spec->last : spec->last;
  *first = (uint32_t)spec->first;
  return (int)(last - spec->first + 1);
}

/* As many keys as ids follow the word. */
static int keys_behind_streams(const struct sb_key_spec *spec, const struct sb_bytes *args, uint32_t count,
                               uint32_t *first) {
  for (uint32_t i = (uint32_t)spec->first; i < count; i++) {
    if (!sb_bytes_is(args[i], "STREAMS")) continue;
    *first = i + 1;
    return (int)((count - i - 1) / 2);
  }
  return -1;
}

static int keys_counted(const struct sb_key_spec *spec, const struct sb_bytes *args, uint32_t count,
                        uint32_t *first) {
  uint64_t keys;
  uint32_t number_at = (uint32_t)spec->first;
  if (!sb_bytes_u64(args[number_at], count - number_at - 1, &keys)) return -1;
  *first = number_at + 1;
  return (int)keys;
}

int sb_command_keys(const struct sb_command *command, const struct sb_bytes *args, uint32_t count,
                    uint32_t *first) {
  switch (command->keys->where) {
  case SB_KEYS_AT:
    return keys_at(command->keys, count, first);
  case SB_KEYS_BEHIND_STREAMS:
    return keys_behind_streams(command->keys, args, count, first);
  case SB_KEYS_COUNTED:
    return keys_counted(command->keys, args, count, first);
  }
  return -1;
}

/* ---- COMMAND INFO ---- */

void sb_command_write_key_range(struct sb_buf *reply, const struct sb_command *command) {
  const struct sb_key_spec *keys = command->keys;
  bool shards = command->flags & SB_CMD_NAMES_SHARDS, at = keys && keys->where == SB_KEYS_AT;
  int shard_last = command->flags & SB_CMD_PUBLISHES ? 1 : -1;
  sb_reply_integer(reply, shards ? 1 : at ? keys->first : 0);
  sb_reply_integer(reply, shards ? shard_last : at ? keys->last : 0);
  sb_reply_integer(reply, shards || at ? 1 : 0);
}

/* A map in a map: "<name>: {type: <type>, spec: {…}}", of which the pairs follow. */
static void write_rule(struct sb_buf *reply, int proto, const char *name, const char *type, size_t pairs) {
  sb_reply_bulk_text(reply, name);
  sb_reply_map(reply, proto, 2);
  sb_reply_bulk_text(reply, "type");
  sb_reply_bulk_text(reply, type);
  sb_reply_bulk_text(reply, "spec");
  sb_reply_map(reply, proto, pairs);
}

static void write_number(struct sb_buf *reply, const char *name, int64_t value) {
  sb_reply_bulk_text(reply, name);
  sb_reply_integer(reply, value);
}

void sb_command_write_words(struct sb_buf *reply, int proto, const char *words) {
  size_t count = 0;
  for (const char *at = words; *at; at++) count += at == words || at[-1] == ' ';
  sb_reply_set(reply, proto, count);
  for (const char *at = words; *at;) {
    size_t len = strcspn(at, " ");
    sb_buf_printf(reply, "+%.*s\r\n", (int)len, at);
    at += len + (at[len] == ' ');
  }
}

void sb_command_write_key_specs(struct sb_buf *reply, int proto, const struct sb_command *command) {
  const struct sb_key_spec *keys = command->keys;
  sb_reply_set(reply, proto, keys ? 1 : 0);
  if (!keys) return;
  sb_reply_map(reply, proto, 3);
  sb_reply_bulk_text(reply, "flags");
  sb_command_write_words(reply, proto, keys->access);
  if (keys->where == SB_KEYS_BEHIND_STREAMS) {
    write_rule(reply, proto, "begin_search", "keyword", 2);
    sb_reply_bulk_text(reply, "keyword");
    sb_reply_bulk_text(reply, "STREAMS");
    write_number(reply, "startfrom", keys->first);
  } else {
    write_rule(reply, proto, "begin_search", "index", 1);
    write_number(reply, "index", keys->first);
  }
  if (keys->where == SB_KEYS_COUNTED) {
    write_rule(reply, proto, "find_keys", "keynum", 3);
    write_number(reply, "keynumidx", 0);
    write_number(reply, "firstkey", 1);
    write_number(reply, "keystep", 1);
  } else {
    write_rule(reply, proto, "find_keys", "range", 3);
    write_number(reply, "lastkey", keys->last < 0 ? keys->last : 0);
    write_number(reply, "keystep", 1);
    write_number(reply, "limit", keys->where == SB_KEYS_BEHIND_STREAMS ? 2 : 0);
  }
}
