#include "tests/sim/keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "bridge/core/wire/entry.h"

static const char *const names[KEYS] = {
    "{c0}a", "{c0}b", "{c0}x", "c0", "{c1}a", "{c1}b", "{c1}x", "c1",
    "{c2}a", "{c2}b", "{c2}x", "c2", "{c3}a", "{c3}b", "{c3}x", "c3",
};

struct sb_bytes sim_key_name(uint32_t key) {
  return sb_bytes_of(names[key]);
}

bool sim_key_find(struct sb_bytes name, uint8_t *key) {
  for (*key = 0; *key < KEYS; (*key)++)
    if (sb_bytes_equal(sb_bytes_of(names[*key]), name)) return true;
  return false;
}

/* ---- replies, as the protocol's documentation has them ---- */

#define WRONGTYPE   "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define NOT_INTEGER "-ERR value is not an integer or out of range\r\n"

static void say(struct sb_buf *out, const char *mark, uint64_t value) {
  char text[64];
  snprintf(text, sizeof text, "%s%llu\r\n", mark, (unsigned long long)value);
  sb_buf_text(out, text);
}

static void say_bulk(struct sb_buf *out, const void *at, size_t len) {
  say(out, "$", len);
  sb_buf_append(out, at, len);
  sb_buf_text(out, "\r\n");
}

static void say_null(struct sb_buf *out, uint8_t proto) {
  sb_buf_text(out, proto == 3 ? "_\r\n" : "$-1\r\n");
}

static void say_id(struct sb_buf *out, struct sb_id id) {
  char text[64];
  int len = snprintf(text, sizeof text, "%llu-%llu", (unsigned long long)id.ms, (unsigned long long)id.seq);
  say_bulk(out, text, (size_t)len);
}

/* ---- keys ---- */

static void drop_entries(struct model_key *key, size_t count) {
  if (count == 0) return;
  for (size_t i = 0; i < count; i++) free(key->entries[i].pairs);
  key->count -= count;
  memmove(key->entries, key->entries + count, key->count * sizeof *key->entries);
}

static void drop_key(struct model_key *key) {
  struct model_key kept = {.entries = key->entries, .count = key->count, .cap = key->cap};
  *key = kept;
}

void model_clear(struct model *model) {
  for (uint32_t k = 0; k < KEYS; k++) {
    drop_entries(&model->keys[k], model->keys[k].count);
    free(model->keys[k].entries);
  }
  *model = (struct model){0};
}

static bool is_there(const struct model_key *key, uint64_t now_ms) {
  return key->kind != MODEL_NONE && (key->expires_ms == 0 || key->expires_ms > now_ms);
}

bool model_has_keys(const struct model *model, uint64_t now_ms) {
  for (uint32_t k = 0; k < KEYS; k++)
    if (is_there(&model->keys[k], now_ms)) return true;
  return false;
}

static void add_entry(struct model_key *key, struct sb_id id, const struct sb_bytes *items, uint32_t count) {
  struct sb_buf pairs = {0};
  for (uint32_t i = 0; i < count; i++) say_bulk(&pairs, items[i].at, items[i].len);
  if (key->count == key->cap) {
    key->cap = key->cap ? key->cap * 2 : 16;
    key->entries = sb_realloc(key->entries, key->cap * sizeof *key->entries);
  }
  key->entries[key->count++] =
      (struct model_entry){.id = id, .pairs = pairs.data, .len = (uint32_t)pairs.len, .items = count};
}

/* A key that is no more, or that becomes another, has no entries any more when it was a stream. */
static void end_key(struct model_key *key) {
  if (key->kind == MODEL_STREAM) drop_entries(key, key->count);
  drop_key(key);
}

void model_drop_keys(struct model *model) {
  for (uint32_t k = 0; k < KEYS; k++) end_key(&model->keys[k]);
}

bool model_bring(struct model *model, const struct sb_bytes *args, uint32_t count) {
  uint8_t number;
  bool string = count > 0 && sb_bytes_equal(args[0], sb_bytes_of("STRING"));
  if (count < 4 || !sim_key_find(args[1], &number)) return false;
  struct model_key *key = &model->keys[number];
  key->kind = string ? MODEL_STRING : MODEL_STREAM;
  if (string) {
    key->value_len = (uint32_t)(args[2].len < MODEL_VALUE_MAX ? args[2].len : MODEL_VALUE_MAX);
    memcpy(key->value, args[2].at, key->value_len);
    return sb_bytes_u64(args[3], UINT64_MAX, &key->expires_ms);
  }
  return count >= 6 && sb_id_parse(args[2], 0, &key->last) && sb_id_parse(args[3], 0, &key->max_deleted) &&
         sb_bytes_u64(args[4], UINT64_MAX, &key->added) &&
         sb_bytes_u64(args[5], UINT64_MAX, &key->expires_ms);
}

bool model_restore(struct model *model, const struct sb_bytes *args, uint32_t count, uint64_t now_ms) {
  uint8_t number;
  if (count < 4 || !sim_key_find(args[1], &number)) return false;
  struct model_key *key = &model->keys[number];
  if (is_there(key, now_ms)) return true;
  if (!model_bring(model, args, count)) return false;
  if (key->expires_ms > 0) key->expires_ms += now_ms;
  return true;
}

void model_expire(struct model *model, uint64_t now_ms) {
  for (uint32_t k = 0; k < KEYS; k++)
    if (!is_there(&model->keys[k], now_ms)) end_key(&model->keys[k]);
}

/* ---- what commands do ---- */

struct run {
  struct model *model;
  struct model_place *place;
  const struct sb_bytes *args;
  uint32_t count;
  struct sb_buf *reply;
};

static struct sb_id take_id(const struct run *run) {
  return (struct sb_id){run->place->generation, run->place->sequence * 4096 + run->place->index++};
}

static bool is(struct sb_bytes arg, const char *word) {
  return sb_bytes_equal(arg, sb_bytes_of(word));
}

static void set_string(struct model_key *key, struct sb_bytes value, uint64_t expires_ms) {
  end_key(key);
  key->kind = MODEL_STRING;
  key->value_len = (uint32_t)(value.len < MODEL_VALUE_MAX ? value.len : MODEL_VALUE_MAX);
  memcpy(key->value, value.at, key->value_len);
  key->expires_ms = expires_ms;
}

static void run_set(const struct run *run, struct model_key *key, bool there) {
  bool absent_only = false, get = false;
  uint64_t after_ms = 0;
  for (uint32_t i = 3; i < run->count; i++) {
    absent_only |= is(run->args[i], "NX");
    get |= is(run->args[i], "GET");
    if (is(run->args[i], "PX")) sb_bytes_u64(run->args[++i], UINT64_MAX, &after_ms);
  }
  bool refused = absent_only && there;
  if (get && there && key->kind != MODEL_STRING) {
    sb_buf_text(run->reply, WRONGTYPE);
    return;
  }
  if (get && there)
    say_bulk(run->reply, key->value, key->value_len);
  else if (get || refused)
    say_null(run->reply, run->place->proto);
  else
    sb_buf_text(run->reply, "+OK\r\n");
  if (!refused) set_string(key, run->args[2], after_ms ? run->place->time_ms + after_ms : 0);
}

static void run_get(const struct run *run, struct model_key *key, bool there) {
  if (!there)
    say_null(run->reply, run->place->proto);
  else if (key->kind != MODEL_STRING)
    sb_buf_text(run->reply, WRONGTYPE);
  else
    say_bulk(run->reply, key->value, key->value_len);
  if (there && key->kind == MODEL_STRING && is(run->args[0], "GETDEL")) drop_key(key);
}

static void run_incr(const struct run *run, struct model_key *key, bool there) {
  char text[MODEL_VALUE_MAX + 1] = "0", *end;
  if (there && key->kind != MODEL_STRING) {
    sb_buf_text(run->reply, WRONGTYPE);
    return;
  }
  if (there) memcpy(text, key->value, key->value_len);
  if (there) text[key->value_len] = 0;
  long long value = strtoll(text, &end, 10);
  if (*end || end == text) {
    sb_buf_text(run->reply, NOT_INTEGER);
    return;
  }
  uint64_t expires_ms = there ? key->expires_ms : 0;
  int len = snprintf(text, sizeof text, "%lld", value + 1);
  set_string(key, sb_bytes(text, (size_t)len), expires_ms);
  say(run->reply, ":", (uint64_t)(value + 1));
}

/* How many a node says were there when only entries are: it may have none of them. */
static void say_some(struct sb_buf *out, bool maybe) {
  sb_buf_text(out, maybe ? ":?\r\n" : ":0\r\n");
}

/* A name that was only published to is no key: what was published stays. */
static void run_del(const struct run *run, struct model_key *key, bool there) {
  say(run->reply, ":", there);
  if (there) end_key(key);
}

static void run_expire(const struct run *run, struct model_key *key, bool there) {
  uint64_t after_ms = 0;
  sb_bytes_u64(run->args[2], UINT64_MAX, &after_ms);
  say(run->reply, ":", there);
  if (!there) return;
  key->expires_ms = run->place->time_ms + after_ms;
  if (after_ms == 0) end_key(key);
}

/* Trimmed by length, what is left are the newest. */
static void run_xadd(const struct run *run, struct model_key *key, bool there) {
  struct sb_id id = take_id(run);
  uint32_t at = 2;
  uint64_t keep = UINT64_MAX;
  bool make = true;
  for (; !is(run->args[at], "*"); at++) {
    if (is(run->args[at], "NOMKSTREAM")) make = false;
    if (is(run->args[at], "MAXLEN") && is(run->args[at + 1], "="))
      sb_bytes_u64(run->args[at + 2], UINT64_MAX, &keep); /* "~" leaves it to the bounds of the history */
  }
  if (there && key->kind != MODEL_STREAM) {
    sb_buf_text(run->reply, WRONGTYPE);
    return;
  }
  if (!there && !make) {
    say_null(run->reply, run->place->proto);
    return;
  }
  if (!there) drop_key(key);
  key->kind = MODEL_STREAM;
  if (sb_id_compare(id, key->last) > 0) key->last = id;
  key->added++;
  add_entry(key, id, run->args + at + 1, run->count - at - 1);
  if (key->count > keep) drop_entries(key, key->count - keep);
  say_id(run->reply, id);
}

static void run_xdel(const struct run *run, struct model_key *key, bool there) {
  struct sb_id id;
  size_t at = 0;
  if (there && key->kind != MODEL_STREAM) {
    sb_buf_text(run->reply, WRONGTYPE);
    return;
  }
  if (!sb_id_parse(run->args[2], 0, &id)) return;
  while (at < key->count && sb_id_compare(key->entries[at].id, id) != 0) at++;
  bool known = at < key->count;
  say_some(run->reply, known);
  if (there && sb_id_compare(id, key->last) <= 0 && sb_id_compare(id, key->max_deleted) > 0)
    key->max_deleted = id;
  if (!known) return;
  free(key->entries[at].pairs);
  key->count--;
  memmove(&key->entries[at], &key->entries[at + 1], (key->count - at) * sizeof *key->entries);
}

static void run_publish(const struct run *run, struct model_key *key, uint8_t number) {
  bool shard = is(run->args[0], "SPUBLISH");
  say(run->reply, ":", run->place->receivers[shard][number / KEYS_PER_CHANNEL]);
  if (shard) return;
  const struct sb_bytes items[] = {sb_bytes_of("data"), run->args[2]};
  add_entry(key, take_id(run), items, 2);
}

static void run_multi(const struct run *run) {
  say(run->reply, "*", run->count - 1);
  for (uint32_t i = 1; i < run->count; i++) {
    struct sb_bytes args[SB_ENTRY_ARGS_MAX];
    uint32_t off = 0, count = sb_entry_args(run->args[i], &off, args, SB_ENTRY_ARGS_MAX);
    model_run(run->model, args, count, run->place, run->reply);
  }
}

void model_run(struct model *model, const struct sb_bytes *args, uint32_t count, struct model_place *place,
               struct sb_buf *reply) {
  const struct run run = {model, place, args, count, reply};
  uint8_t number;
  if (is(args[0], "MULTI")) {
    run_multi(&run);
    return;
  }
  if (count < 2 || !sim_key_find(args[1], &number)) return;
  struct model_key *key = &model->keys[number];
  bool there = is_there(key, place->time_ms);
  if (is(args[0], "SET")) run_set(&run, key, there);
  if (is(args[0], "GET") || is(args[0], "GETDEL")) run_get(&run, key, there);
  if (is(args[0], "INCR")) run_incr(&run, key, there);
  if (is(args[0], "DEL")) run_del(&run, key, there);
  if (is(args[0], "PEXPIRE")) run_expire(&run, key, there);
  if (is(args[0], "XADD")) run_xadd(&run, key, there);
  if (is(args[0], "XDEL")) run_xdel(&run, key, there);
  if (is(args[0], "PUBLISH") || is(args[0], "SPUBLISH")) run_publish(&run, key, number);
}

bool model_knows(const struct sb_bytes *args, uint32_t count, bool in_multi) {
  static const char *const writers[] = {"SET", "GETDEL", "INCR", "DEL", "PEXPIRE", "XADD", "XDEL"};
  for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++)
    if (is(args[0], writers[i])) return count > 1;
  if (in_multi) return is(args[0], "GET") || is(args[0], "PUBLISH") || is(args[0], "SPUBLISH");
  if (!is(args[0], "MULTI") || count < 2) return false;
  for (uint32_t i = 1; i < count; i++) {
    struct sb_bytes inner[SB_ENTRY_ARGS_MAX];
    uint32_t off = 0, inner_count = sb_entry_args(args[i], &off, inner, SB_ENTRY_ARGS_MAX);
    if (inner_count == 0 || off != args[i].len || !model_knows(inner, inner_count, true)) return false;
  }
  return true;
}

bool model_reply_is(struct sb_bytes expected, struct sb_bytes reply) {
  if (expected.len != reply.len) return false;
  for (size_t i = 0; i < reply.len; i++)
    if (expected.at[i] != reply.at[i] &&
        !(expected.at[i] == '?' && (reply.at[i] == '0' || reply.at[i] == '1')))
      return false;
  return true;
}

/* ---- reading ---- */

/* The first entry of a key that is behind both. Where a history begins is a place in the log: the second part
 * of an id says it, also when generations fall. What programs of others wrote before a founding is nowhere.
 */
static size_t first_behind(const struct model_key *key, struct sb_id after, struct sb_id begin) {
  size_t at = 0;
  while (at < key->count && (key->entries[at].id.seq <= begin.seq || key->entries[at].id.ms == 0 ||
                             sb_id_compare(key->entries[at].id, after) <= 0))
    at++;
  return at;
}

/* The same, as somebody sees it: a stream whose time has come is gone. */
static size_t first_seen(const struct model_key *key, struct sb_id after, const struct model_view *view) {
  if (key->kind == MODEL_STREAM && !is_there(key, view->time_ms)) return key->count;
  return first_behind(key, after, view->begin);
}

static void say_entry(struct sb_buf *out, const struct model_entry *entry) {
  sb_buf_text(out, "*2\r\n");
  say_id(out, entry->id);
  say(out, "*", entry->items);
  sb_buf_append(out, entry->pairs, entry->len);
}

static void say_entries(struct sb_buf *out, const struct model_key *key, size_t from, uint64_t limit,
                        bool backwards) {
  uint64_t count = key->count - from < limit ? key->count - from : limit;
  say(out, "*", count);
  for (size_t i = 0; i < count; i++) say_entry(out, &key->entries[backwards ? key->count - 1 - i : from + i]);
}

/* XREAD [COUNT n] [BLOCK ms] STREAMS key … id …; an id of "$" was made a number before. */
static void read_streams(const struct model *model, const struct sb_bytes *args, uint32_t count,
                         const struct model_view *view, struct sb_buf *reply) {
  uint64_t limit = UINT64_MAX;
  uint32_t at = 1, found = 0;
  struct sb_buf streams = {0};
  for (; !is(args[at], "STREAMS"); at += 2)
    if (is(args[at], "COUNT")) sb_bytes_u64(args[at + 1], UINT64_MAX, &limit);
  uint32_t keys = (count - ++at) / 2;
  for (uint32_t i = 0; i < keys; i++) {
    uint8_t number;
    struct sb_id after;
    if (!sim_key_find(args[at + i], &number) || !sb_id_parse(args[at + keys + i], 0, &after)) continue;
    const struct model_key *key = &model->keys[number];
    if (is_there(key, view->time_ms) && key->kind == MODEL_STRING) {
      sb_buf_text(reply, WRONGTYPE);
      sb_buf_close(&streams);
      return;
    }
    size_t from = first_seen(key, after, view);
    if (from == key->count) continue;
    found++;
    if (view->proto == 2) sb_buf_text(&streams, "*2\r\n");
    say_bulk(&streams, args[at + i].at, args[at + i].len);
    say_entries(&streams, key, from, limit, false);
  }
  if (found == 0) {
    sb_buf_text(reply, view->proto == 3 ? "_\r\n" : "*-1\r\n");
  } else {
    say(reply, view->proto == 2 ? "*" : "%", found);
    sb_buf_append(reply, streams.data, streams.len);
  }
  sb_buf_close(&streams);
}

void model_read(const struct model *model, const struct sb_bytes *args, uint32_t count,
                const struct model_view *seen, struct sb_buf *reply) {
  uint8_t number;
  struct model_view behind = *seen, *view = &behind;
  if (behind.begin.seq < model->fell) behind.begin.seq = model->fell;
  if (is(args[0], "XREAD")) {
    read_streams(model, args, count, view, reply);
    return;
  }
  if (!sim_key_find(args[1], &number)) return;
  const struct model_key *key = &model->keys[number];
  bool there = is_there(key, view->time_ms);
  size_t from = first_seen(key, (struct sb_id){0}, view);
  if (is(args[0], "GET")) {
    if (!there)
      say_null(reply, view->proto);
    else if (key->kind == MODEL_STRING)
      say_bulk(reply, key->value, key->value_len);
    else
      sb_buf_text(reply, WRONGTYPE);
  } else if (is(args[0], "PTTL")) {
    if (there && key->expires_ms)
      say(reply, ":", key->expires_ms - view->time_ms);
    else
      sb_buf_text(reply, there ? ":-1\r\n" : ":-2\r\n");
  } else if (there && key->kind == MODEL_STRING) {
    sb_buf_text(reply, WRONGTYPE);
  } else if (is(args[0], "XLEN")) {
    say(reply, ":", key->count - from);
  } else { /* XRANGE key from to, XREVRANGE key to from, COUNT n */
    uint64_t limit = UINT64_MAX;
    bool backwards = is(args[0], "XREVRANGE");
    struct model_key part = *key;
    struct sb_id first = {0}, last = {UINT64_MAX, UINT64_MAX};
    sb_id_parse(args[backwards ? 3 : 2], 0, &first);
    sb_id_parse(args[backwards ? 2 : 3], 0, &last);
    if (count == 6) sb_bytes_u64(args[5], UINT64_MAX, &limit);
    while (from < part.count && sb_id_compare(part.entries[from].id, first) < 0) from++;
    while (part.count > from && sb_id_compare(part.entries[part.count - 1].id, last) > 0) part.count--;
    say_entries(reply, &part, from, limit, backwards);
  }
}

/* ---- folded ---- */

uint64_t model_fold(uint64_t hash, const void *at, size_t len) {
  const uint8_t *byte = at;
  for (size_t i = 0; i < len; i++) hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
  return (hash ^ len) * UINT64_C(0x100000001b3);
}

static uint64_t fold_id(uint64_t hash, struct sb_id id) {
  return model_fold(model_fold(hash, &id.ms, sizeof id.ms), &id.seq, sizeof id.seq);
}

uint64_t model_fold_stream(const struct model *model, uint32_t key, struct sb_id begin, uint64_t *count) {
  const struct model_key *of = &model->keys[key];
  size_t from = first_behind(of, (struct sb_id){0}, begin);
  uint64_t hash = 1;
  *count = of->count - from;
  for (size_t i = from; i < of->count; i++)
    hash = model_fold(fold_id(hash, of->entries[i].id), of->entries[i].pairs, of->entries[i].len);
  return hash;
}

uint64_t model_hash_key(struct sb_bytes name, bool stream, struct sb_bytes value, uint64_t expires_ms,
                        struct sb_id last, struct sb_id max_deleted, uint64_t added) {
  uint64_t hash = model_fold(stream ? 3 : 2, name.at, name.len);
  hash = model_fold(model_fold(hash, value.at, value.len), &expires_ms, sizeof expires_ms);
  return model_fold(fold_id(fold_id(hash, last), max_deleted), &added, sizeof added);
}

uint64_t model_hash(const struct model *model, uint64_t now_ms) {
  uint64_t sum = 0;
  for (uint32_t k = 0; k < KEYS; k++) {
    const struct model_key *key = &model->keys[k];
    if (is_there(key, now_ms))
      sum += model_hash_key(sim_key_name(k), key->kind == MODEL_STREAM, sb_bytes(key->value, key->value_len),
                            key->expires_ms, key->last, key->max_deleted, key->added);
  }
  return sum;
}
