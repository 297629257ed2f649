/* Shared keys in a SNAPSHOT: their lines, what is not exactly such a line, and that keys are equal when they
 * say the same, however they came to be. */
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

#define ARGS_MAX 8

static struct sb_bytes text(const char *at) {
  return sb_bytes_of(at);
}

static void set(struct sb_keys *keys, const char *name, const char *value, uint64_t expires_ms) {
  assert_true(sb_keys_set_string(keys, text(name), text(value), expires_ms));
}

static struct sb_key *stream(struct sb_keys *keys, const char *name, struct sb_stream position) {
  struct sb_key *key = sb_keys_stream(keys, text(name), 0);
  assert_non_null(key);
  key->stream = position;
  return key;
}

static bool read_line(struct sb_keys *keys, const char *const *words) {
  struct sb_bytes args[ARGS_MAX];
  uint32_t count = 0;
  while (words[count]) {
    args[count] = text(words[count]);
    count++;
  }
  return sb_keys_read(keys, args, count);
}

static void read_all(struct sb_keys *keys, const struct sb_buf *lines) {
  struct sb_bytes args[ARGS_MAX];
  uint32_t off = 0;
  while (off < lines->len) {
    uint32_t count = sb_entry_args(sb_buf_bytes(lines), &off, args, ARGS_MAX);
    assert_true(count > 0);
    assert_true(sb_keys_read(keys, args, count));
  }
}

/* ---- lines ---- */

static void assert_written(const struct sb_keys *keys, uint64_t now_ms, const char *want) {
  struct sb_buf lines = {0};
  sb_keys_write(keys, now_ms, &lines);
  if (!sb_bytes_equal(sb_buf_bytes(&lines), text(want)))
    fail_msg("written: %.*s", (int)lines.len, (const char *)lines.data);
  sb_buf_close(&lines);
}

static void a_line_has_the_documented_form(void **state) {
  (void)state;
  static const struct sb_stream position = {{1732000000000, 4101}, {1732000000000, 7}, 12};
  struct sb_keys keys = {0};
  assert_written(&keys, 0, "");
  set(&keys, "k", "a value", 0);
  assert_written(&keys, UINT64_MAX, "*4\r\n$6\r\nSTRING\r\n$1\r\nk\r\n$7\r\na value\r\n$1\r\n0\r\n");
  set(&keys, "k", "", 1500);
  assert_written(&keys, 1499, "*4\r\n$6\r\nSTRING\r\n$1\r\nk\r\n$0\r\n\r\n$4\r\n1500\r\n");
  sb_keys_close(&keys);
  struct sb_key *key = stream(&keys, "events", position);
  assert_written(&keys, 0,
                 "*6\r\n$6\r\nSTREAM\r\n$6\r\nevents\r\n$18\r\n1732000000000-4101\r\n$15\r\n1732000000000-7"
                 "\r\n$2\r\n12\r\n$1\r\n0\r\n");
  sb_keys_set_expiry(&keys, key, 9);
  assert_written(&keys, 8,
                 "*6\r\n$6\r\nSTREAM\r\n$6\r\nevents\r\n$18\r\n1732000000000-4101\r\n$15\r\n1732000000000-7"
                 "\r\n$2\r\n12\r\n$1\r\n9\r\n");
  sb_keys_set_asked(key, 17);
  assert_written(&keys, 8,
                 "*7\r\n$6\r\nSTREAM\r\n$6\r\nevents\r\n$18\r\n1732000000000-4101\r\n$15\r\n1732000000000-7"
                 "\r\n$2\r\n12\r\n$1\r\n9\r\n$2\r\n17\r\n");
  sb_keys_close(&keys);
  set(&keys, "k", "", 1500);
  sb_keys_set_asked(sb_keys_find(&keys, text("k"), 0), 1497);
  assert_written(&keys, 1499, "*5\r\n$6\r\nSTRING\r\n$1\r\nk\r\n$0\r\n\r\n$4\r\n1500\r\n$4\r\n1497\r\n");
  sb_keys_close(&keys);
}

static void what_has_expired_is_not_written(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  set(&keys, "string", "v", 100);
  sb_keys_set_expiry(&keys, stream(&keys, "stream", (struct sb_stream){0}), 100);
  assert_written(&keys, 100, "");
  assert_int_equal(keys.table.count, 2); /* the memory is still there */
  sb_keys_close(&keys);
}

static void what_a_line_says_is_read(void **state) {
  (void)state;
  static const char *const string[] = {"STRING", "k", "v", "18446744073709551615", NULL};
  static const char *const empty[] = {"STRING", "", "", "0", NULL};
  static const char *const all[] = {"STREAM", "s", "9-8", "9-8", "18446744073709551615", "7", NULL};
  static const char *const none[] = {"STREAM", "t", "0-0", "0-0", "0", "0", NULL};
  static const char *const asked[] = {"STRING", "asked", "", "7", "9223372036854775807", NULL};
  static const char *const stream_asked[] = {"STREAM", "u", "0-0", "0-0", "0", "7", "6", NULL};
  struct sb_keys keys = {0};
  assert_true(read_line(&keys, string) && read_line(&keys, empty));
  assert_true(read_line(&keys, all) && read_line(&keys, none));
  const struct sb_key *key = sb_keys_find(&keys, text("k"), UINT64_MAX - 1);
  assert_true(key->kind == SB_KEY_STRING && key->value_len == 1 && key->expires_ms == UINT64_MAX);
  key = sb_keys_find(&keys, text(""), UINT64_MAX);
  assert_true(key->kind == SB_KEY_STRING && key->value_len == 0);
  key = sb_keys_find(&keys, text("s"), 6);
  assert_true(key->kind == SB_KEY_STREAM && key->stream.added == UINT64_MAX && key->expires_ms == 7);
  assert_true(key->stream.last.ms == 9 && key->stream.max_deleted.seq == 8);
  assert_non_null(sb_keys_find(&keys, text("t"), UINT64_MAX));
  assert_int_equal(keys.expiring_count, 2);
  assert_int_equal(keys.bytes, 4 * SB_KEY_OVERHEAD + 3 + 1);
  assert_true(read_line(&keys, asked) && read_line(&keys, stream_asked));
  key = sb_keys_find(&keys, text("asked"), 6);
  assert_true(key->expires_ms == 7 && key->asked_ms == INT64_MAX);
  key = sb_keys_find(&keys, text("u"), 6);
  assert_true(key->expires_ms == 7 && key->asked_ms == 6);
  sb_keys_close(&keys);
}

static void malformed_lines_are_refused(void **state) {
  (void)state;
  static const char *const bad[][ARGS_MAX] = {
      {"STRING"},
      {"STRING", "k"},
      {"STRING", "k", "v"},
      {"STRING", "k", "v", "0", "0"},
      {"STRING", "k", "v", "0", "5"},
      {"STRING", "k", "v", "5", "0"},
      {"STRING", "k", "v", "5", "-1"},
      {"STRING", "k", "v", "5", "9223372036854775808"},
      {"STRING", "k", "v", "5", "5", "5"},
      {"STREAM", "k", "0-0", "0-0", "0", "0", "5"},
      {"STREAM", "k", "0-0", "0-0", "0", "5", "05"},
      {"STRING", "k", "0-0", "0-0", "0", "0"},
      {"string", "k", "v", "0"},
      {"STRINGS", "k", "v", "0"},
      {"", "k", "v", "0"},
      {"STRING", "k", "v", ""},
      {"STRING", "k", "v", "x"},
      {"STRING", "k", "v", "-1"},
      {"STRING", "k", "v", "+1"},
      {"STRING", "k", "v", " 1"},
      {"STRING", "k", "v", "01"},
      {"STRING", "k", "v", "00"},
      {"STRING", "k", "v", "1.0"},
      {"STRING", "k", "v", "18446744073709551616"},
      {"STRING", "there", "v", "0"},
      {"STRING", "expiring", "v", "0"},
      {"STREAM", "k", "1-1", "0-0", "1"},
      {"STREAM", "k", "1-1", "0-0", "1", "0", "0"},
      {"STREAM", "k", "v", "0"},
      {"stream", "k", "1-1", "0-0", "1", "0"},
      {"STREAM", "k", "1", "0-0", "1", "0"},
      {"STREAM", "k", "1-1", "0", "1", "0"},
      {"STREAM", "k", "1-", "0-0", "1", "0"},
      {"STREAM", "k", "-1", "0-0", "1", "0"},
      {"STREAM", "k", "", "0-0", "1", "0"},
      {"STREAM", "k", "1-1", "", "1", "0"},
      {"STREAM", "k", "01-1", "0-0", "1", "0"},
      {"STREAM", "k", "1-01", "0-0", "1", "0"},
      {"STREAM", "k", "1-1", "0-00", "1", "0"},
      {"STREAM", "k", "18446744073709551616-1", "0-0", "1", "0"},
      {"STREAM", "k", "1-18446744073709551616", "0-0", "1", "0"},
      {"STREAM", "k", "1-1", "1-2", "1", "0"}, /* deleted behind the last */
      {"STREAM", "k", "1-1", "2-0", "1", "0"},
      {"STREAM", "k", "0-0", "0-1", "0", "0"},
      {"STREAM", "k", "1-1", "0-0", "", "0"},
      {"STREAM", "k", "1-1", "0-0", "01", "0"},
      {"STREAM", "k", "1-1", "0-0", "-1", "0"},
      {"STREAM", "k", "1-1", "0-0", "18446744073709551616", "0"},
      {"STREAM", "k", "1-1", "0-0", "1", ""},
      {"STREAM", "k", "1-1", "0-0", "1", "00"},
      {"STREAM", "k", "1-1", "0-0", "1", "18446744073709551616"},
      {"STREAM", "there", "1-1", "0-0", "1", "0"},
      {"STREAM", "expiring", "1-1", "0-0", "1", "0"},
      {"MEMBER", "k", "v", "0"},
  };
  struct sb_keys keys = {0}, before = {0};
  struct sb_buf lines = {0};
  set(&keys, "there", "v", 0);
  set(&keys, "expiring", "v", 1); /* it stands there, although its time may have come */
  sb_keys_write(&keys, 0, &lines);
  read_all(&before, &lines);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (read_line(&keys, bad[i])) fail_msg("taken: line %zu, %s of %s", i, bad[i][0], bad[i][1]);
    assert_true(sb_keys_equal(&keys, &before, 0));
    assert_int_equal(keys.bytes, before.bytes);
  }
  assert_false(sb_keys_read(&keys, NULL, 0));
  sb_buf_close(&lines);
  sb_keys_close(&keys);
  sb_keys_close(&before);
}

static void lines_beyond_the_limits_are_refused(void **state) {
  (void)state;
  struct sb_keys keys = {0};
  uint8_t *long_bytes = calloc(1, SB_KEYS_BYTES_MAX);
  assert_non_null(long_bytes);
  struct sb_bytes string[] = {text("STRING"), sb_bytes(long_bytes, SB_KEY_NAME_MAX + 1), text("v"),
                              text("0")};
  struct sb_bytes stream_args[] = {text("STREAM"), string[1], text("0-0"), text("0-0"), text("0"), text("0")};
  assert_false(sb_keys_read(&keys, string, 4));
  assert_false(sb_keys_read(&keys, stream_args, 6));
  string[1].len = stream_args[1].len = SB_KEY_NAME_MAX;
  assert_true(sb_keys_read(&keys, string, 4));
  sb_keys_close(&keys);
  assert_true(sb_keys_read(&keys, stream_args, 6));
  sb_keys_close(&keys);
  string[1] = text("k");
  string[2] = sb_bytes(long_bytes, SB_KEYS_BYTES_MAX - SB_KEY_OVERHEAD);
  assert_false(sb_keys_read(&keys, string, 4));
  assert_int_equal(keys.table.count, 0);
  string[2].len--;
  assert_true(sb_keys_read(&keys, string, 4));
  assert_int_equal(keys.bytes, SB_KEYS_BYTES_MAX);
  stream_args[1] = text("");
  assert_false(sb_keys_read(&keys, stream_args, 6));
  assert_int_equal(keys.table.count, 1);
  free(long_bytes);
  sb_keys_close(&keys);
}

/* ---- many ---- */

#define REGIONS 8

/* How many of the first lines have their home in each eighth of a table of this size: about as many in all.
 */
static void assert_spread(const struct sb_buf *lines, uint32_t first, size_t cap) {
  struct sb_bytes args[ARGS_MAX];
  uint32_t in[REGIONS] = {0}, off = 0;
  for (uint32_t i = 0; i < first; i++) {
    assert_true(sb_entry_args(sb_buf_bytes(lines), &off, args, ARGS_MAX) > 0);
    in[(sb_name_hash(args[1]) & (cap - 1)) * REGIONS / cap]++;
  }
  for (uint32_t i = 0; i < REGIONS; i++)
    assert_in_range(in[i], first / REGIONS * 2 / 3, first / REGIONS * 3 / 2);
}

static void lines_come_in_an_order_that_crowds_no_table(void **state) {
  (void)state;
  enum { COUNT = 20000 };
  struct sb_keys keys = {0}, back = {0};
  struct sb_buf lines = {0};
  char name[16];
  for (uint32_t i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "%u", i);
    set(&keys, name, "v", i);
  }
  sb_keys_write(&keys, 0, &lines);
  for (uint32_t eighths = 1; eighths <= 8; eighths++)
    for (size_t cap = keys.table.cap; cap >= keys.table.cap / 16; cap /= 2)
      assert_spread(&lines, COUNT / 8 * eighths, cap);
  read_all(&back, &lines);
  assert_true(sb_keys_equal(&keys, &back, 0));
  sb_buf_close(&lines);
  sb_keys_close(&keys);
  sb_keys_close(&back);
}

static void a_value_of_many_parts_is_written_and_read(void **state) {
  (void)state;
  size_t len = SB_KEYS_BYTES_MAX - (size_t)2 * SB_KEY_OVERHEAD - 8;
  struct sb_keys keys = {0}, back = {0};
  struct sb_buf lines = {0};
  uint8_t *value = malloc(len);
  assert_non_null(value);
  for (size_t i = 0; i < len; i++) value[i] = (uint8_t)(i * 31 >> 3);
  assert_true(sb_keys_set_string(&keys, text("long"), sb_bytes(value, len), 0));
  set(&keys, "too", "v", 5);
  sb_keys_write(&keys, 0, &lines);
  read_all(&back, &lines);
  assert_true(sb_keys_equal(&keys, &back, 0));
  free(value);
  sb_buf_close(&lines);
  sb_keys_close(&keys);
  sb_keys_close(&back);
}

/* ---- equality ---- */

static void assert_equal(const struct sb_keys *a, const struct sb_keys *b, uint64_t now_ms, bool equal) {
  assert_int_equal(sb_keys_equal(a, b, now_ms), equal);
  assert_int_equal(sb_keys_equal(b, a, now_ms), equal);
}

static void keys_are_equal_in_whatever_order_they_came(void **state) {
  (void)state;
  enum { COUNT = 500, MORE = 1500 };
  struct sb_keys a = {0}, b = {0};
  char name[16];
  for (uint32_t i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "%u", i);
    set(&a, name, name, i % 3 ? i : 0);
  }
  for (uint32_t i = 0; i < MORE; i++) { /* a larger table, of others first */
    snprintf(name, sizeof name, "%u", COUNT + i);
    stream(&b, name, (struct sb_stream){0});
  }
  for (uint32_t i = COUNT; i-- > 0;) {
    snprintf(name, sizeof name, "%u", i);
    set(&b, name, "another", 1 + below(2000));
    set(&b, name, name, i % 3 ? i : 0);
  }
  assert_equal(&a, &b, 0, false);
  for (uint32_t i = MORE; i-- > 0;) {
    snprintf(name, sizeof name, "%u", COUNT + i);
    sb_keys_remove(&b, sb_keys_find(&b, text(name), 0));
  }
  for (uint64_t now = 0; now < COUNT + 2; now += 1 + below(20)) {
    assert_equal(&a, &b, now, true);
    sb_keys_expire(&b, now); /* what has expired there still stands in a */
  }
  sb_keys_expire(&a, COUNT);
  sb_keys_expire(&b, COUNT);
  assert_int_equal(a.bytes, b.bytes);
  sb_keys_close(&a);
  sb_keys_close(&b);
}

static void keys_that_differ_anywhere_are_not_equal(void **state) {
  (void)state;
  static const struct sb_stream position = {{9, 8}, {7, 6}, 5};
  struct sb_keys a = {0}, b = {0};
  set(&a, "k", "v", 0);
  set(&b, "k", "v", 0);
  stream(&a, "s", position);
  struct sb_key *key = stream(&b, "s", position);
  assert_equal(&a, &b, 0, true);
  uint64_t *const numbers[] = {&key->stream.last.ms, &key->stream.last.seq, &key->stream.max_deleted.ms,
                               &key->stream.max_deleted.seq, &key->stream.added};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    ++*numbers[i];
    assert_equal(&a, &b, 0, false);
    --*numbers[i];
  }
  sb_keys_set_expiry(&b, key, 50);
  assert_equal(&a, &b, 0, false);
  sb_keys_set_expiry(&b, key, 0);
  set(&b, "k", "w", 0);
  assert_equal(&a, &b, 0, false);
  set(&b, "k", "v!", 0);
  assert_equal(&a, &b, 0, false);
  set(&b, "k", "v", 50);
  assert_equal(&a, &b, 0, false);
  set(&b, "k", "v", 0);
  assert_equal(&a, &b, 0, true);
  set(&b, "more", "v", 50);
  assert_equal(&a, &b, 49, false);
  assert_equal(&a, &b, 50, true);
  set(&a, "more too", "v", 60); /* as many, of other names */
  assert_equal(&a, &b, 49, false);
  assert_equal(&a, &b, 59, false);
  assert_equal(&a, &b, 60, true);
  sb_keys_close(&a);
  sb_keys_close(&b);
}

static void a_string_and_a_stream_of_nothing_are_not_equal(void **state) {
  (void)state;
  struct sb_keys a = {0}, b = {0};
  set(&a, "k", "", 0);
  stream(&b, "k", (struct sb_stream){0});
  assert_equal(&a, &b, 0, false);
  sb_keys_close(&a);
  assert_equal(&a, &b, 0, false);
  sb_keys_close(&b);
  assert_equal(&a, &b, 0, true);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_line_has_the_documented_form),
      cmocka_unit_test(what_has_expired_is_not_written),
      cmocka_unit_test(what_a_line_says_is_read),
      cmocka_unit_test(malformed_lines_are_refused),
      cmocka_unit_test(lines_beyond_the_limits_are_refused),
      cmocka_unit_test(lines_come_in_an_order_that_crowds_no_table),
      cmocka_unit_test(a_value_of_many_parts_is_written_and_read),
      cmocka_unit_test(keys_are_equal_in_whatever_order_they_came),
      cmocka_unit_test(keys_that_differ_anywhere_are_not_equal),
      cmocka_unit_test(a_string_and_a_stream_of_nothing_are_not_equal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
