#include "bridge/core/state/keys.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/limits.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/name.h"

#define FIRST_CAP 16

static struct sb_bytes name_of(const struct sb_key *key) {
  return sb_bytes(key->name, key->name_len);
}

static bool gone(const struct sb_key *key, uint64_t now_ms) {
  return key->expires_ms != 0 && key->expires_ms <= now_ms;
}

/* ---- those that expire ---- */

static void place(struct sb_keys *keys, size_t at, struct sb_key *key) {
  keys->expiring[at] = key;
  key->heap_at = (uint32_t)at + 1;
}

/* Moves the key at this place of the heap to where it belongs. */
static void settle(struct sb_keys *keys, size_t at) {
  SB_ASSERT(at < keys->expiring_count);
  struct sb_key **heap = keys->expiring, *key = heap[at];
  for (size_t above; at > 0 && heap[above = (at - 1) / 2]->expires_ms > key->expires_ms; at = above)
    place(keys, at, heap[above]);
  for (size_t child; (child = 2 * at + 1) < keys->expiring_count; at = child) {
    if (child + 1 < keys->expiring_count && heap[child + 1]->expires_ms < heap[child]->expires_ms) child++;
    if (heap[child]->expires_ms >= key->expires_ms) break;
    place(keys, at, heap[child]);
  }
  place(keys, at, key);
}

static void resize(struct sb_keys *keys, size_t cap) {
  keys->expiring = sb_realloc(keys->expiring, cap * sizeof(struct sb_key *));
  keys->expiring_cap = cap;
}

static void join_heap(struct sb_keys *keys, struct sb_key *key) {
  if (keys->expiring_count == keys->expiring_cap)
    resize(keys, keys->expiring_cap ? keys->expiring_cap * 2 : FIRST_CAP);
  keys->expiring[keys->expiring_count++] = key;
  settle(keys, keys->expiring_count - 1);
}

static void leave_heap(struct sb_keys *keys, struct sb_key *key) {
  if (key->heap_at == 0) return;
  size_t at = key->heap_at - 1;
  struct sb_key *last = keys->expiring[--keys->expiring_count];
  key->heap_at = 0;
  if (last != key) {
    keys->expiring[at] = last;
    settle(keys, at);
  }
  if (keys->expiring_cap > FIRST_CAP && keys->expiring_count < keys->expiring_cap / 4)
    resize(keys, keys->expiring_cap / 2);
}

void sb_keys_set_asked(struct sb_key *key, uint64_t asked_ms) {
  key->asked_ms = key->expires_ms != 0 ? asked_ms : 0;
}

void sb_keys_set_expiry(struct sb_keys *keys, struct sb_key *key, uint64_t expires_ms) {
  key->expires_ms = expires_ms;
  key->asked_ms = 0;
  if (expires_ms == 0)
    leave_heap(keys, key);
  else if (key->heap_at == 0)
    join_heap(keys, key);
  else
    settle(keys, key->heap_at - 1);
}

struct sb_key *sb_keys_next_expired(const struct sb_keys *keys, uint64_t now_ms) {
  return keys->expiring_count > 0 && gone(keys->expiring[0], now_ms) ? keys->expiring[0] : NULL;
}

void sb_keys_expire(struct sb_keys *keys, uint64_t now_ms) {
  struct sb_key *key;
  while ((key = sb_keys_next_expired(keys, now_ms))) sb_keys_remove(keys, key);
}

/* ---- all ---- */

static void key_free(struct sb_key *key) {
  free(key->value);
  free(key);
}

void sb_keys_close(struct sb_keys *keys) {
  size_t at = 0;
  struct sb_key *key;
  while ((key = sb_table_each(&keys->table, &at))) key_free(key);
  sb_table_close(&keys->table);
  free(keys->expiring);
  *keys = (struct sb_keys){0};
}

/* Also finds a key whose time has come. */
static struct sb_key *find(const struct sb_keys *keys, struct sb_bytes name, uint64_t hash) {
  size_t at = sb_table_start(&keys->table, hash);
  struct sb_key *key;
  while ((key = sb_table_probe(&keys->table, hash, &at)))
    if (sb_bytes_equal(name_of(key), name)) return key;
  return NULL;
}

struct sb_key *sb_keys_find(const struct sb_keys *keys, struct sb_bytes name, uint64_t now_ms) {
  if (keys->table.count == 0) return NULL;
  struct sb_key *key = find(keys, name, sb_name_hash(name));
  return key && !gone(key, now_ms) ? key : NULL;
}

bool sb_keys_hide(const struct sb_keys *keys, struct sb_bytes name, uint64_t now_ms) {
  if (!sb_keys_next_expired(keys, now_ms)) return false;
  const struct sb_key *key = find(keys, name, sb_name_hash(name));
  return key && key->kind == SB_KEY_STREAM && gone(key, now_ms);
}

void sb_keys_remove(struct sb_keys *keys, struct sb_key *key) {
  leave_heap(keys, key);
  sb_table_remove(&keys->table, sb_name_hash(name_of(key)), key);
  keys->bytes -= SB_KEY_OVERHEAD + key->name_len + key->value_len;
  key_free(key);
}

/* Whether a value of this length fits, in place of what `key` has; `key` may be NULL. */
static bool has_room(const struct sb_keys *keys, const struct sb_key *key, struct sb_bytes name,
                     size_t value_len) {
  size_t room = SB_KEYS_BYTES_MAX - keys->bytes;
  if (key) return value_len <= room + key->value_len;
  if (name.len > SB_KEY_NAME_MAX || SB_KEY_OVERHEAD + name.len > room) return false;
  return value_len <= room - SB_KEY_OVERHEAD - name.len;
}

static struct sb_key *add(struct sb_keys *keys, struct sb_bytes name, uint64_t hash) {
  struct sb_key *key = sb_malloc(sizeof *key + name.len);
  *key = (struct sb_key){.name_len = (uint32_t)name.len};
  if (name.len) memcpy(key->name, name.at, name.len);
  sb_table_add(&keys->table, hash, key);
  keys->bytes += SB_KEY_OVERHEAD + name.len;
  return key;
}

/* `value` may be a view of the value that it replaces. */
static void set_value(struct sb_keys *keys, struct sb_key *key, struct sb_bytes value) {
  uint8_t *copy = value.len ? sb_malloc(value.len) : NULL;
  if (copy) memcpy(copy, value.at, value.len);
  free(key->value);
  keys->bytes = keys->bytes - key->value_len + value.len;
  key->value = copy;
  key->value_len = (uint32_t)value.len;
}

/* Begins a key anew: `key`, or a new one when that is NULL. Returns NULL when there is no room. */
static struct sb_key *begin(struct sb_keys *keys, struct sb_key *key, struct sb_bytes name, uint64_t hash,
                            enum sb_key_kind kind, struct sb_bytes value) {
  if (!has_room(keys, key, name, value.len)) return NULL;
  if (!key) key = add(keys, name, hash);
  set_value(keys, key, value);
  key->kind = kind;
  key->stream = (struct sb_stream){0};
  return key;
}

bool sb_keys_set_string(struct sb_keys *keys, struct sb_bytes name, struct sb_bytes value,
                        uint64_t expires_ms) {
  uint64_t hash = sb_name_hash(name);
  struct sb_key *key = begin(keys, find(keys, name, hash), name, hash, SB_KEY_STRING, value);
  if (key) sb_keys_set_expiry(keys, key, expires_ms);
  return key != NULL;
}

struct sb_key *sb_keys_stream(struct sb_keys *keys, struct sb_bytes name, uint64_t now_ms) {
  uint64_t hash = sb_name_hash(name);
  struct sb_key *key = find(keys, name, hash);
  if (key && !gone(key, now_ms)) return key->kind == SB_KEY_STREAM ? key : NULL;
  key = begin(keys, key, name, hash, SB_KEY_STREAM, sb_bytes(NULL, 0));
  if (key) sb_keys_set_expiry(keys, key, 0);
  return key;
}

/* ---- SNAPSHOT ---- */

struct sb_key_text sb_key_text_of(const struct sb_key *key) {
  return (struct sb_key_text){.kind = key->kind,
                              .name = name_of(key),
                              .value = sb_bytes(key->value, key->value_len),
                              .stream = key->stream,
                              .expires_ms = key->expires_ms,
                              .asked_ms = key->asked_ms};
}

static void write_key(const struct sb_key *key, struct sb_buf *out) {
  struct sb_bytes args[SB_KEY_TEXT_ARGS_MAX];
  struct sb_key_text_scratch scratch;
  const struct sb_key_text text = sb_key_text_of(key);
  sb_entry_append(out, args, sb_key_text_args(&text, &scratch, args));
}

/* A reader whose hashes are the same begins with a smaller table. If keys came in the order of this table, it
 * would fill from one side, and each key would walk past all before it. So the slots are taken in steps of
 * the golden section, which spread over a table of any size. The step is odd and the table's size a power of
 * two, so that each slot is taken once. */
void sb_keys_write(const struct sb_keys *keys, uint64_t now_ms, struct sb_buf *out) {
  size_t cap = keys->table.cap, step = (size_t)(cap * UINT64_C(0x9e3779b9) >> 32) | 1;
  for (size_t i = 0, at = 0; i < cap; i++, at = (at + step) & (cap - 1)) {
    const struct sb_key *key = keys->table.slots[at].item;
    if (key && !gone(key, now_ms)) write_key(key, out);
  }
}

bool sb_keys_add(struct sb_keys *keys, const struct sb_key_text *text) {
  uint64_t hash = sb_name_hash(text->name);
  if (find(keys, text->name, hash)) return false;
  struct sb_key *key = begin(keys, NULL, text->name, hash, text->kind, text->value);
  if (!key) return false;
  key->stream = text->stream;
  sb_keys_set_expiry(keys, key, text->expires_ms);
  sb_keys_set_asked(key, text->asked_ms);
  return true;
}

bool sb_keys_read(struct sb_keys *keys, const struct sb_bytes *args, uint32_t count) {
  struct sb_key_text text;
  return sb_key_text_read(args, count, &text) && sb_keys_add(keys, &text);
}

/* ---- comparing ---- */

static bool key_equal(const struct sb_key *a, const struct sb_key *b) {
  return a->kind == b->kind && a->expires_ms == b->expires_ms && a->asked_ms == b->asked_ms &&
         sb_bytes_equal(sb_bytes(a->value, a->value_len), sb_bytes(b->value, b->value_len)) &&
         sb_id_compare(a->stream.last, b->stream.last) == 0 &&
         sb_id_compare(a->stream.max_deleted, b->stream.max_deleted) == 0 &&
         a->stream.added == b->stream.added;
}

static size_t count_at(const struct sb_keys *keys, uint64_t now_ms) {
  size_t count = keys->table.count;
  for (size_t i = 0; i < keys->expiring_count; i++) count -= gone(keys->expiring[i], now_ms);
  return count;
}

bool sb_keys_equal(const struct sb_keys *a, const struct sb_keys *b, uint64_t now_ms) {
  if (count_at(a, now_ms) != count_at(b, now_ms)) return false;
  const struct sb_key *key;
  for (size_t at = 0; (key = sb_table_each(&a->table, &at));) {
    if (gone(key, now_ms)) continue;
    const struct sb_key *other = sb_keys_find(b, name_of(key), now_ms);
    if (!other || !key_equal(key, other)) return false;
  }
  return true;
}
