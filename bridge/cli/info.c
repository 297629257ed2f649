#include "bridge/cli/info.h"

#include <stdlib.h>

#include "bridge/logging/escape.h"

#define FIELDS_MAX  4096
#define KEY_COLUMNS 28

static struct sb_bytes trim(struct sb_bytes text) {
  while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '#')) text = sb_bytes(text.at + 1, text.len - 1);
  while (text.len > 0 && (text.at[text.len - 1] == '\r' || text.at[text.len - 1] == ' ')) text.len--;
  return text;
}

static void read_line(struct sb_info *info, struct sb_bytes line, struct sb_bytes *section) {
  if (line.len > 0 && line.at[0] == '#') {
    *section = trim(line);
    return;
  }
  const uint8_t *colon = line.len ? memchr(line.at, ':', line.len) : NULL;
  if (!colon || colon == line.at || info->count == FIELDS_MAX) return;
  size_t key = (size_t)(colon - line.at);
  info->fields = sb_realloc(info->fields, (info->count + 1) * sizeof *info->fields);
  info->fields[info->count++] =
      (struct sb_info_field){.section = *section,
                             .key = sb_bytes(line.at, key),
                             .value = trim(sb_bytes(colon + 1, line.len - key - 1))};
}

void sb_info_read(struct sb_info *info, struct sb_bytes text) {
  struct sb_bytes section = {0};
  while (text.len > 0) {
    const uint8_t *end = memchr(text.at, '\n', text.len);
    size_t len = end ? (size_t)(end - text.at) : text.len;
    read_line(info, sb_bytes(text.at, len), &section);
    if (!end) break;
    text = sb_bytes(end + 1, text.len - len - 1);
  }
}

void sb_info_close(struct sb_info *info) {
  free(info->fields);
  *info = (struct sb_info){0};
}

bool sb_info_find(const struct sb_info *info, const char *key, struct sb_bytes *value) {
  for (size_t i = 0; i < info->count; i++)
    if (sb_bytes_equal(info->fields[i].key, sb_bytes_of(key))) {
      *value = info->fields[i].value;
      return true;
    }
  return false;
}

void sb_info_print(const struct sb_info *info, struct sb_buf *out) {
  struct sb_bytes section = {0};
  for (size_t i = 0; i < info->count; i++) {
    const struct sb_info_field *field = &info->fields[i];
    if (!sb_bytes_equal(field->section, section)) {
      section = field->section;
      sb_buf_text(out, "\n");
      sb_escape_terminal(section, out);
      sb_buf_text(out, "\n");
    }
    sb_buf_text(out, "  ");
    size_t start = out->len;
    sb_escape_terminal(field->key, out);
    do sb_buf_text(out, " ");
    while (out->len - start < KEY_COLUMNS);
    sb_escape_terminal(field->value, out);
    sb_buf_text(out, "\n");
  }
}

/* Whether the plain key (or, if `whole`, also the section) of field `at` came before. */
static bool came_before(const struct sb_info *info, size_t at, bool whole) {
  const struct sb_info_field *field = &info->fields[at];
  for (size_t i = 0; i < at; i++)
    if (sb_bytes_equal(info->fields[i].key, field->key) &&
        (!whole || sb_bytes_equal(info->fields[i].section, field->section)))
      return true;
  return false;
}

/* Whether a field is a text, whatever it holds: a node may be named "12345", and an id in hexadecimal may
 * have no letter. The list has the texts of redis-server too, whose INFO is read as well. All others are
 * numbers. */
static bool is_text(struct sb_bytes key) {
  static const char *const texts[] = {
      "aof_last_bgrewrite_status",
      "aof_last_write_status",
      "broker",
      "broker_host",
      "broker_last_error",
      "broker_link",
      "broker_subscription",
      "client",
      "config_file",
      "executable",
      "gcc_version",
      "history_begin",
      "incarnation",
      "link",
      "master_failover_state",
      "master_host",
      "master_link_status",
      "master_replid",
      "master_replid2",
      "maxmemory_policy",
      "mem_allocator",
      "multiplexing_api",
      "node",
      "os",
      "outage",
      "process_supervised",
      "rdb_last_bgsave_status",
      "redis_build_id",
      "redis_git_sha1",
      "redis_mode",
      "redis_version",
      "role",
      "run_id",
      "sidebus_version",
      "what",
  };
  static const char human[] = "_human";
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (sb_bytes_equal(key, sb_bytes_of(texts[i]))) return true;
  return key.len >= sizeof human - 1 &&
         memcmp(key.at + key.len - (sizeof human - 1), human, sizeof human - 1) == 0;
}

static size_t count_digits(struct sb_bytes text, size_t from) {
  size_t at = from;
  while (at < text.len && text.at[at] >= '0' && text.at[at] <= '9') at++;
  return at - from;
}

/* Whether JSON would take it for a number; one with an exponent does not count. */
static bool is_number(struct sb_bytes text) {
  if (!text.at || text.len == 0) return false;
  size_t at = text.at[0] == '-' ? 1 : 0, whole = count_digits(text, at);
  if (whole == 0 || (whole > 1 && text.at[at] == '0')) return false;
  at += whole;
  if (at == text.len) return true;
  size_t part = text.at[at] == '.' ? count_digits(text, at + 1) : 0;
  return part > 0 && at + 1 + part == text.len;
}

/* A field that is taken for a number but holds none is written as a text, so that the object stays valid. */
static void json_value(struct sb_bytes key, struct sb_bytes value, struct sb_buf *out) {
  if (!is_text(key) && is_number(value)) {
    sb_buf_append(out, value.at, value.len);
    return;
  }
  sb_buf_text(out, "\"");
  sb_escape_json(value, out);
  sb_buf_text(out, "\"");
}

/* Whether a value of this section is of the form "key=value,key=value". */
static bool has_pairs(struct sb_bytes section, struct sb_bytes value) {
  static const char *const sections[] = {"Partitions", "Members",      "Refused",
                                         "Keyspace",   "Commandstats", "Errorstats"};
  for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
    if (sb_bytes_equal(section, sb_bytes_of(sections[i])))
      return value.len > 0 && memchr(value.at, '=', value.len) != NULL;
  return false;
}

static void json_pairs(struct sb_bytes text, struct sb_buf *out) {
  const char *between = "{";
  while (text.len > 0) {
    const uint8_t *comma = memchr(text.at, ',', text.len);
    struct sb_bytes pair = sb_bytes(text.at, comma ? (size_t)(comma - text.at) : text.len);
    const uint8_t *equals = pair.len ? memchr(pair.at, '=', pair.len) : NULL;
    size_t key = equals ? (size_t)(equals - pair.at) : pair.len;
    sb_buf_text(out, between);
    sb_buf_text(out, "\"");
    sb_escape_json(sb_bytes(pair.at, key), out);
    sb_buf_text(out, "\":");
    json_value(sb_bytes(pair.at, key), equals ? sb_bytes(equals + 1, pair.len - key - 1) : sb_bytes(NULL, 0),
               out);
    between = ",";
    text = comma ? sb_bytes(comma + 1, text.len - pair.len - 1) : sb_bytes(NULL, 0);
  }
  sb_buf_text(out, "}");
}

void sb_info_json(const struct sb_info *info, bool ready, struct sb_buf *out) {
  sb_buf_printf(out, "{\"ready\":%s", ready ? "true" : "false");
  for (size_t i = 0; i < info->count; i++) {
    const struct sb_info_field *field = &info->fields[i];
    bool again = came_before(info, i, false);
    if (sb_bytes_equal(field->key, sb_bytes_of("ready")) || (again && came_before(info, i, true))) continue;
    sb_buf_text(out, ",\"");
    if (again) {
      sb_escape_json(field->section, out);
      sb_buf_text(out, ".");
    }
    sb_escape_json(field->key, out);
    sb_buf_text(out, "\":");
    if (has_pairs(field->section, field->value))
      json_pairs(field->value, out);
    else
      json_value(field->key, field->value, out);
  }
  sb_buf_text(out, "}\n");
}
