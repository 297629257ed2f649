/* Shared keys: they are those of a plain array, whatever comes, goes and expires; all nodes refuse the same
 * ones; and a SNAPSHOT says exactly the keys, as seen at log time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/base/limits.h"
#include "bridge/core/sessions/interest.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/wire/entry.h"
#include "tests/unit/seed.h"

static struct sb_bytes text(const char *at) {
  return sb_bytes_of(at);
}

static bool set(struct sb_keys *keys, const char *name, const char *value, uint64_t expires_ms) {
  return sb_keys_set_string(keys, text(name), text(value), expires_ms);
}

static struct sb_bytes value_of(const struct sb_key *key) {
  return sb_bytes(key->value, key->value_len);
}

static void assert_string(const struct sb_keys *keys, const char *name, uint64_t now_ms, const char *value,
                          uint64_t expires_ms) {
  const struct sb_key *key = sb_keys_find(keys, text(name), now_ms);
  assert_non_null(key);
  assert_int_equal(key->kind, SB_KEY_STRING);
  assert_true(sb_bytes_equal(sb_bytes(key->name, key->name_len), text(name)));
  assert_true(sb_bytes_equal(value_of(key), text(value)));
  assert_true(key->expires_ms == expires_ms);
}

/* What the fields of struct sb_keys say of one another, and the sum of what is there. */
static void assert_sound(const struct sb_keys *keys) {
  const struct sb_key *key;
  size_t bytes = 0, expiring = 0;
  for (size_t at = 0; (key = sb_table_each(&keys->table, &at));) {
    bytes += SB_KEY_OVERHEAD + key->name_len + key->value_len;
    expiring += key->expires_ms != 0;
    assert_int_equal(key->heap_at != 0, key->expires_ms != 0);
    if (key->heap_at) assert_ptr_equal(keys->expiring[key->heap_at - 1], key);
    if (key->heap_at > 1) assert_true(keys->expiring[key->heap_at / 2 - 1]->expires_ms <= key->expires_ms);
  }
  assert_int_equal(keys->bytes, bytes);
  assert_int_equal(keys->expiring_count, expiring);
  assert_true(bytes <= SB_KEYS_BYTES_MAX);
}

/* ---- strings ---- */

static void a_string_is_what_was_set_last(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  assert_null(sb_keys_find(&keys, text("k"), 0));
  assert_true(set(&keys, "k", "one", 0));
  assert_string(&keys, "k", UINT64_MAX, "one", 0);
  assert_true(set(&keys, "k", "another", 50));
  assert_string(&keys, "k", 49, "another", 50);
  assert_true(set(&keys, "k", "", 0)); /* the expiry goes too */
  assert_string(&keys, "k", UINT64_MAX, "", 0);
  assert_null(sb_keys_find(&keys, text("K"), 0));
  assert_int_equal(keys.table.count, 1);
  assert_sound(&keys);
  sb_keys_close(&keys);
  assert_int_equal(keys.bytes, 0);
}

static void names_and_values_are_any_bytes(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  const struct sb_bytes none = {NULL, 0}, zero = sb_bytes("\0", 1), zeros = sb_bytes("\0\0", 2);
  assert_true(sb_keys_set_string(&keys, none, zeros, 0));
  assert_true(sb_keys_set_string(&keys, zero, none, 0));
  assert_true(sb_keys_set_string(&keys, zeros, sb_bytes("\r\n$", 3), 0));
  assert_true(sb_bytes_equal(value_of(sb_keys_find(&keys, none, 0)), zeros));
  assert_true(sb_bytes_equal(value_of(sb_keys_find(&keys, zero, 0)), none));
  assert_true(sb_bytes_equal(value_of(sb_keys_find(&keys, zeros, 0)), sb_bytes("\r\n$", 3)));
  assert_int_equal(keys.bytes, 3 * SB_KEY_OVERHEAD + 0 + 1 + 2 + 2 + 0 + 3);
  sb_keys_close(&keys);
}

static void a_value_may_be_set_from_a_view_of_itself(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  set(&keys, "k", "0123456789", 0);
  struct sb_key *key = sb_keys_find(&keys, text("k"), 0);
  assert_true(sb_keys_set_string(&keys, text("k"), value_of(key), 9));
  assert_string(&keys, "k", 0, "0123456789", 9);
  key = sb_keys_find(&keys, text("k"), 0);
  assert_true(sb_keys_set_string(&keys, text("k"), sb_bytes(key->value + 2, 5), 0));
  assert_string(&keys, "k", 0, "23456", 0);
  key = sb_keys_find(&keys, text("k"), 0); /* the name may be one as well */
  assert_true(sb_keys_set_string(&keys, sb_bytes(key->name, key->name_len), text("x"), 0));
  assert_string(&keys, "k", 0, "x", 0);
  assert_int_equal(keys.table.count, 1);
  sb_keys_close(&keys);
}

static void a_key_that_was_removed_is_gone(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  set(&keys, "a", "1", 70);
  set(&keys, "b", "2", 60);
  sb_keys_stream(&keys, text("s"), 0);
  sb_keys_remove(&keys, sb_keys_find(&keys, text("b"), 0));
  assert_null(sb_keys_find(&keys, text("b"), 0));
  assert_sound(&keys);
  sb_keys_remove(&keys, sb_keys_find(&keys, text("s"), 0));
  assert_string(&keys, "a", 0, "1", 70);
  sb_keys_remove(&keys, sb_keys_find(&keys, text("a"), 0));
  assert_int_equal(keys.bytes, 0);
  assert_int_equal(keys.expiring_count, 0);
  assert_int_equal(keys.table.count, 0);
  sb_keys_close(&keys);
}

/* ---- streams ---- */

static void a_stream_is_made_once_and_kept(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  struct sb_key *key = sb_keys_stream(&keys, text("s"), 5);
  assert_non_null(key);
  assert_int_equal(key->kind, SB_KEY_STREAM);
  assert_true(key->expires_ms == 0 && key->value_len == 0);
  assert_true(sb_id_compare(key->stream.last, (struct sb_id){0, 0}) == 0 && key->stream.added == 0);
  key->stream = (struct sb_stream){{9, 8}, {7, 6}, 5};
  sb_keys_set_expiry(&keys, key, 100);
  assert_ptr_equal(sb_keys_stream(&keys, text("s"), 99), key);
  assert_ptr_equal(sb_keys_find(&keys, text("s"), 99), key);
  assert_true(key->stream.last.seq == 8 && key->stream.added == 5 && key->expires_ms == 100);
  assert_int_equal(keys.bytes, SB_KEY_OVERHEAD + 1);
  sb_keys_close(&keys);
}

static void a_string_is_no_stream_but_a_stream_can_become_a_string(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  set(&keys, "k", "v", 10);
  assert_null(sb_keys_stream(&keys, text("k"), 9));
  assert_string(&keys, "k", 9, "v", 10);
  sb_keys_stream(&keys, text("s"), 9)->stream = (struct sb_stream){{9, 8}, {7, 6}, 5};
  assert_true(set(&keys, "s", "now a string", 0));
  assert_string(&keys, "s", 9, "now a string", 0);
  sb_keys_remove(&keys, sb_keys_find(&keys, text("s"), 9));
  assert_true(sb_keys_stream(&keys, text("s"), 9)->stream.added == 0);
  assert_sound(&keys);
  sb_keys_close(&keys);
}

/* ---- expiry ---- */

static void a_key_is_gone_when_its_time_has_come_not_before(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  set(&keys, "k", "v", 100);
  assert_non_null(sb_keys_find(&keys, text("k"), 99));
  assert_null(sb_keys_find(&keys, text("k"), 100));
  assert_null(sb_keys_find(&keys, text("k"), UINT64_MAX));
  sb_keys_expire(&keys, 99);
  assert_int_equal(keys.table.count, 1);
  sb_keys_expire(&keys, 100);
  assert_int_equal(keys.table.count, 0);
  assert_int_equal(keys.bytes, 0);
  sb_keys_close(&keys);
}

static void what_comes_after_an_expired_key_begins_anew(void **state) {
  (void)state;
  for (int expired = 0; expired < 2; expired++) {
    struct sb_keys keys = {0};
    set(&keys, "string", "v", 100);
    struct sb_key *key = sb_keys_stream(&keys, text("stream"), 0);
    key->stream = (struct sb_stream){{9, 8}, {7, 6}, 5};
    sb_keys_set_expiry(&keys, key, 100);
    if (expired) sb_keys_expire(&keys, 100);
    key = sb_keys_stream(&keys, text("string"), 100);
    assert_non_null(key);
    assert_true(key->kind == SB_KEY_STREAM && key->value_len == 0 && key->expires_ms == 0);
    key = sb_keys_stream(&keys, text("stream"), 100);
    assert_true(key->stream.added == 0 && key->stream.last.ms == 0 && key->stream.max_deleted.ms == 0);
    assert_true(key->expires_ms == 0);
    assert_int_equal(keys.bytes, 2 * SB_KEY_OVERHEAD + 12);
    assert_sound(&keys);
    sb_keys_close(&keys);
  }
}

static void an_expiry_can_be_moved_and_taken_away(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  set(&keys, "a", "v", 100);
  set(&keys, "b", "v", 200);
  set(&keys, "c", "v", 300);
  sb_keys_set_expiry(&keys, sb_keys_find(&keys, text("a"), 0), 400);
  sb_keys_set_expiry(&keys, sb_keys_find(&keys, text("b"), 0), 0);
  sb_keys_set_expiry(&keys, sb_keys_find(&keys, text("b"), 0), 0);
  sb_keys_set_expiry(&keys, sb_keys_find(&keys, text("c"), 0), 50);
  assert_sound(&keys);
  sb_keys_expire(&keys, 399);
  assert_string(&keys, "a", 399, "v", 400);
  assert_string(&keys, "b", UINT64_MAX, "v", 0);
  assert_int_equal(keys.table.count, 2);
  sb_keys_expire(&keys, UINT64_MAX);
  assert_int_equal(keys.table.count, 1);
  assert_int_equal(keys.expiring_count, 0);
  sb_keys_close(&keys);
}

static void many_keys_expire_each_at_its_time_and_give_their_memory_back(void **state) {
  (void)state;
  enum { COUNT = 20000 };
  struct sb_keys keys = {0};
  char name[16];
  for (uint32_t i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "%u", i);
    assert_true(set(&keys, name, "v", 1 + i * 7919u % COUNT)); /* each of 1 … COUNT once */
  }
  for (uint32_t now = 0; now < COUNT; now += 1 + below(300)) {
    sb_keys_expire(&keys, now);
    assert_int_equal(keys.table.count, COUNT - now);
    if (keys.expiring_count) assert_true(keys.expiring[0]->expires_ms > now);
  }
  assert_sound(&keys);
  sb_keys_expire(&keys, COUNT);
  assert_int_equal(keys.bytes, 0);
  assert_in_range(keys.expiring_cap, 1, 64);
  assert_in_range(keys.table.cap, 1, 64);
  sb_keys_close(&keys);
}

/* ---- the limit ---- */

/* Leaves room for exactly `room` bytes. */
static void fill(struct sb_keys *keys, size_t room) {
  size_t len = SB_KEYS_BYTES_MAX - keys->bytes - SB_KEY_OVERHEAD - 4 - room;
  uint8_t *value = calloc(1, len);
  assert_non_null(value);
  assert_true(sb_keys_set_string(keys, text("fill"), sb_bytes(value, len), 0));
  assert_int_equal(keys->bytes, SB_KEYS_BYTES_MAX - room);
  free(value);
}

static void the_limit_is_exact_and_what_exceeds_it_changes_nothing(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  set(&keys, "k", "12345", 77);
  fill(&keys, SB_KEY_OVERHEAD + 3);
  assert_false(set(&keys, "new", "1", 0));
  assert_false(set(&keys, "new!", "", 0));
  assert_null(sb_keys_stream(&keys, text("new!"), 0));
  assert_null(sb_keys_find(&keys, text("new!"), 0));
  assert_true(set(&keys, "new", "", 0));
  assert_int_equal(keys.bytes, SB_KEYS_BYTES_MAX);
  assert_false(set(&keys, "", "", 0));
  assert_null(sb_keys_stream(&keys, text(""), 0));
  assert_false(set(&keys, "k", "123456", 0));
  assert_string(&keys, "k", 0, "12345", 77);
  assert_true(set(&keys, "k", "abcde", 78)); /* in the place of the old one */
  assert_true(set(&keys, "k", "", 0));
  assert_true(set(&keys, "new", "12345", 0));
  assert_false(set(&keys, "k", "1", 0));
  sb_keys_remove(&keys, sb_keys_find(&keys, text("new"), 0));
  assert_non_null(sb_keys_stream(&keys, text("new-one!"), 0));
  assert_sound(&keys);
  sb_keys_close(&keys);
}

static void lengths_beyond_all_bounds_are_refused(void **state) {
  (void)state;
  static const uint8_t byte[1];
  struct sb_keys keys = {0};
  const size_t lengths[] = {
      SB_KEYS_BYTES_MAX - SB_KEY_OVERHEAD, SB_KEYS_BYTES_MAX, UINT32_MAX, (size_t)UINT32_MAX + 1,
      SIZE_MAX - SB_KEY_OVERHEAD,          SIZE_MAX};
  set(&keys, "k", "v", 0);
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    assert_false(sb_keys_set_string(&keys, text("new"), sb_bytes(byte, lengths[i]), 0));
    assert_false(sb_keys_set_string(&keys, text("k"), sb_bytes(byte, lengths[i]), 0));
  }
  assert_string(&keys, "k", 0, "v", 0);
  assert_int_equal(keys.table.count, 1);
  sb_keys_close(&keys);
}

static void a_name_is_as_long_as_a_snapshot_takes_it(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  uint8_t *name = calloc(1, SB_KEY_NAME_MAX + 1);
  assert_false(sb_keys_set_string(&keys, sb_bytes(name, SB_KEY_NAME_MAX + 1), text("v"), 0));
  assert_null(sb_keys_stream(&keys, sb_bytes(name, SB_KEY_NAME_MAX + 1), 0));
  assert_int_equal(keys.table.count, 0);
  assert_true(sb_keys_set_string(&keys, sb_bytes(name, SB_KEY_NAME_MAX), text("v"), 0));
  assert_non_null(sb_keys_find(&keys, sb_bytes(name, SB_KEY_NAME_MAX), 0));
  assert_null(sb_keys_find(&keys, sb_bytes(name, SB_KEY_NAME_MAX + 1), 0));
  free(name);
  sb_keys_close(&keys);
}

/* ---- a plain array ---- */

enum { NAMES = 60 };

struct model_key {
  bool there, stream;
  uint8_t value[64];
  size_t value_len;
  uint64_t expires_ms;
  struct sb_stream position;
};

struct model {
  struct model_key keys[NAMES];
  uint64_t now_ms;
};

static struct sb_bytes name_at(uint32_t i, char out[16]) {
  return sb_bytes(out, (size_t)snprintf(out, 16, "name %u", i));
}

static void model_advance(struct model *model, uint64_t by_ms) {
  model->now_ms += by_ms;
  for (int i = 0; i < NAMES; i++)
    if (model->keys[i].expires_ms && model->keys[i].expires_ms <= model->now_ms)
      model->keys[i] = (struct model_key){0};
}

static void assert_is_the_model(const struct sb_keys *keys, const struct model *model) {
  char text_of_name[16];
  for (uint32_t i = 0; i < NAMES; i++) {
    const struct model_key *want = &model->keys[i];
    const struct sb_key *key = sb_keys_find(keys, name_at(i, text_of_name), model->now_ms);
    if (!want->there != !key) fail_msg("name %u is %s", i, key ? "there" : "gone");
    if (!key) continue;
    assert_int_equal(key->kind, want->stream ? SB_KEY_STREAM : SB_KEY_STRING);
    assert_true(key->expires_ms == want->expires_ms);
    assert_true(sb_bytes_equal(value_of(key), sb_bytes(want->value, want->value_len)));
    assert_memory_equal(&key->stream, &want->position, sizeof want->position);
  }
  assert_sound(keys);
}

static void step_set(struct sb_keys *keys, struct model_key *model, struct sb_bytes name, uint64_t expires) {
  *model = (struct model_key){.there = true, .value_len = below(64), .expires_ms = expires};
  for (size_t i = 0; i < model->value_len; i++) model->value[i] = (uint8_t)random();
  assert_true(sb_keys_set_string(keys, name, sb_bytes(model->value, model->value_len), expires));
}

static void step_add(struct sb_keys *keys, struct model_key *model, struct sb_bytes name, uint64_t now_ms) {
  struct sb_key *key = sb_keys_stream(keys, name, now_ms);
  assert_int_equal(!key, model->there && !model->stream);
  if (!key) return;
  model->there = model->stream = true;
  model->position.last.ms += 1 + below(100);
  model->position.added++;
  if (below(3) == 0) model->position.max_deleted = model->position.last;
  key->stream = model->position;
}

/* One change of the keys and of the model. */
static void step(struct sb_keys *keys, struct model *model, uint32_t choice, uint32_t which) {
  char text_of_name[16];
  struct sb_bytes name = name_at(which, text_of_name);
  struct model_key *want = &model->keys[which];
  uint64_t expires = below(2) ? model->now_ms + 1 + below(400) : 0;
  struct sb_key *key = sb_keys_find(keys, name, model->now_ms);
  if (choice < 4)
    step_set(keys, want, name, expires);
  else if (choice < 7)
    step_add(keys, want, name, model->now_ms);
  else if (choice < 9 && key)
    sb_keys_set_expiry(keys, key, want->expires_ms = expires);
  else if (choice < 10 && key) {
    sb_keys_remove(keys, key);
    *want = (struct model_key){0};
  }
}

static void read_all(struct sb_keys *keys, const struct sb_buf *lines) {
  struct sb_bytes args[SB_ENTRY_ARGS_MAX];
  uint32_t off = 0;
  while (off < lines->len) {
    uint32_t count = sb_entry_args(sb_buf_bytes(lines), &off, args, SB_ENTRY_ARGS_MAX);
    assert_true(count > 0);
    assert_true(sb_keys_read(keys, args, count));
  }
}

static void assert_survives_a_snapshot(const struct sb_keys *keys, const struct model *model) {
  struct sb_keys back = {0};
  struct sb_buf lines = {0};
  sb_keys_write(keys, model->now_ms, &lines);
  read_all(&back, &lines);
  assert_is_the_model(&back, model);
  assert_true(sb_keys_equal(keys, &back, model->now_ms));
  assert_true(sb_keys_equal(&back, keys, model->now_ms));
  sb_buf_close(&lines);
  sb_keys_close(&back);
}

static void keys_are_those_of_a_plain_array(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  struct model model = {.now_ms = 1};
  for (int i = 0; i < 20000; i++) {
    model_advance(&model, below(4) ? 0 : below(30));
    if (below(3) == 0)
      assert_is_the_model(&keys, &model); /* before the memory of what expired is given back */
    sb_keys_expire(&keys, model.now_ms);
    step(&keys, &model, below(11), below(NAMES));
    assert_is_the_model(&keys, &model);
    if (i % 50 == 0) assert_survives_a_snapshot(&keys, &model);
  }
  sb_keys_close(&keys);
}

/* One is asked to give memory back only where it must, the other at any time. */
static void nothing_depends_on_when_memory_is_given_back(void **state) {
  (void)state;
  struct sb_keys rarely = {0}, often = {0};
  struct model models[2] = {{.now_ms = 1}, {.now_ms = 1}};
  for (int i = 0; i < 5000; i++) {
    uint64_t by = below(30);
    uint32_t choice = below(11), which = below(NAMES);
    long seed = random();
    model_advance(&models[0], by);
    model_advance(&models[1], by);
    sb_keys_expire(&often, models[1].now_ms);
    if (choice < 7) sb_keys_expire(&rarely, models[0].now_ms);
    srandom((unsigned)seed);
    step(&rarely, &models[0], choice, which);
    srandom((unsigned)seed);
    step(&often, &models[1], choice, which);
    assert_true(sb_keys_equal(&rarely, &often, models[0].now_ms));
    assert_true(sb_keys_equal(&often, &rarely, models[0].now_ms));
    if (choice < 7) assert_int_equal(rarely.bytes, often.bytes);
    assert_is_the_model(&rarely, &models[1]);
  }
  sb_keys_close(&rarely);
  sb_keys_close(&often);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_string_is_what_was_set_last),
      cmocka_unit_test(names_and_values_are_any_bytes),
      cmocka_unit_test(a_value_may_be_set_from_a_view_of_itself),
      cmocka_unit_test(a_key_that_was_removed_is_gone),
      cmocka_unit_test(a_stream_is_made_once_and_kept),
      cmocka_unit_test(a_string_is_no_stream_but_a_stream_can_become_a_string),
      cmocka_unit_test(a_key_is_gone_when_its_time_has_come_not_before),
      cmocka_unit_test(what_comes_after_an_expired_key_begins_anew),
      cmocka_unit_test(an_expiry_can_be_moved_and_taken_away),
      cmocka_unit_test(many_keys_expire_each_at_its_time_and_give_their_memory_back),
      cmocka_unit_test(the_limit_is_exact_and_what_exceeds_it_changes_nothing),
      cmocka_unit_test(lengths_beyond_all_bounds_are_refused),
      cmocka_unit_test(a_name_is_as_long_as_a_snapshot_takes_it),
      cmocka_unit_test(keys_are_those_of_a_plain_array),
      cmocka_unit_test(nothing_depends_on_when_memory_is_given_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
