/* Numbers are read strictly, names without regard to case, buffers grow and keep what they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/base/bytes.h"
#include "tests/unit/seed.h"

static void a_number_is_read_up_to_its_bound(void **state) {
  (void)state;
  uint64_t value = 7;
  assert_true(sb_bytes_u64(sb_bytes_of("0"), 0, &value));
  assert_int_equal(value, 0);
  assert_true(sb_bytes_u64(sb_bytes_of("4096"), 4096, &value));
  assert_int_equal(value, 4096);
  assert_false(sb_bytes_u64(sb_bytes_of("4097"), 4096, &value));
  assert_true(sb_bytes_u64(sb_bytes_of("18446744073709551615"), UINT64_MAX, &value));
  assert_true(value == UINT64_MAX);
  assert_false(sb_bytes_u64(sb_bytes_of("18446744073709551616"), UINT64_MAX, &value));
  assert_false(sb_bytes_u64(sb_bytes_of("99999999999999999999"), UINT64_MAX, &value));
}

static void what_is_not_a_canonical_number_is_refused(void **state) {
  (void)state;
  static const char *const texts[] = {"",   "00", "01",  "+1", "-1",  " 1", "1 ",
                                      "1a", "a",  "0x1", "/",  "1:0", ":",  "184467440737095516150"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    uint64_t value = 42;
    assert_false(sb_bytes_u64(sb_bytes_of(texts[i]), UINT64_MAX, &value));
    assert_int_equal(value, 42);
  }
}

static void signed_numbers_are_those_of_redis(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t value;
  } good[] = {{"0", 0},
              {"-1", -1},
              {"17", 17},
              {"9223372036854775807", INT64_MAX},
              {"-9223372036854775808", INT64_MIN},
              {"-9223372036854775807", INT64_MIN + 1}};
  static const char *const bad[] = {
      "", "-", "-0", "--1", "01", "-01", "+1", "9223372036854775808", "-9223372036854775809", "1-"};
  int64_t value = 0;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_true(sb_bytes_i64(sb_bytes_of(good[i].text), &value));
    assert_true(value == good[i].value);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_false(sb_bytes_i64(sb_bytes_of(bad[i]), &value));
}

static void a_number_written_is_the_number_read(void **state) {
  (void)state;
  for (int i = 0; i < 1000; i++) {
    uint64_t value = ((uint64_t)random() << 33 ^ (uint64_t)random() << 11) >> below(64), back = 0;
    char text[20];
    size_t len = sb_u64_text(value, text);
    assert_true(len >= 1 && len <= 20);
    assert_true(sb_bytes_u64(sb_bytes(text, len), UINT64_MAX, &back));
    assert_true(back == value);
  }
  char widest[20];
  assert_int_equal(sb_u64_text(UINT64_MAX, widest), 20);
  assert_memory_equal(widest, "18446744073709551615", 20);
}

static void a_name_is_known_in_any_case_and_only_whole(void **state) {
  (void)state;
  assert_true(sb_bytes_is(sb_bytes_of("publish"), "PUBLISH"));
  assert_true(sb_bytes_is(sb_bytes_of("PuBlIsH"), "PUBLISH"));
  assert_true(sb_bytes_is(sb_bytes(NULL, 0), ""));
  assert_false(sb_bytes_is(sb_bytes_of("publis"), "PUBLISH"));
  assert_false(sb_bytes_is(sb_bytes_of("publishx"), "PUBLISH"));
  assert_false(sb_bytes_is(sb_bytes("publish\0", 8), "PUBLISH"));
  assert_false(sb_bytes_is(sb_bytes_of("@"), "`"));
}

static void views_are_equal_by_content(void **state) {
  (void)state;
  assert_true(sb_bytes_equal(sb_bytes(NULL, 0), sb_bytes_of("")));
  assert_true(sb_bytes_equal(sb_bytes("a\0b", 3), sb_bytes("a\0b", 3)));
  assert_false(sb_bytes_equal(sb_bytes("a\0b", 3), sb_bytes("a\0c", 3)));
  assert_false(sb_bytes_equal(sb_bytes_of("ab"), sb_bytes_of("a")));
}

static void a_buffer_keeps_what_was_appended(void **state) {
  (void)state;
  struct sb_buf buf = {0};
  sb_buf_append(&buf, NULL, 0);
  assert_int_equal(buf.len, 0);
  uint8_t expected[5000];
  size_t len = 0;
  while (len < 4900) {
    uint8_t piece[97];
    uint32_t more = below(sizeof piece);
    for (uint32_t i = 0; i < more; i++) piece[i] = (uint8_t)random();
    sb_buf_append(&buf, piece, more);
    memcpy(expected + len, piece, more);
    len += more;
  }
  assert_int_equal(buf.len, len);
  assert_true(buf.cap >= buf.len);
  assert_memory_equal(buf.data, expected, len);
  sb_buf_clear(&buf);
  assert_int_equal(buf.len, 0);
  sb_buf_close(&buf);
  assert_null(buf.data);
}

static void text_and_numbers_are_appended_without_a_zero(void **state) {
  (void)state;
  struct sb_buf buf = {0};
  sb_buf_text(&buf, "a=");
  sb_buf_u64(&buf, UINT64_MAX);
  sb_buf_printf(&buf, " %s %d", "b", -1);
  sb_buf_printf(&buf, "%s", "");
  assert_int_equal(buf.len, strlen("a=18446744073709551615 b -1"));
  assert_memory_equal(buf.data, "a=18446744073709551615 b -1", buf.len);
  for (int i = 0; i < 40; i++) sb_buf_printf(&buf, "%0*d", 30, i);
  assert_int_equal(buf.len, 27 + 40 * 30);
  assert_memory_equal(buf.data + buf.len - 30, "000000000000000000000000000039", 30);
  sb_buf_close(&buf);
}

static void reserving_does_not_change_the_content(void **state) {
  (void)state;
  struct sb_buf buf = {0};
  sb_buf_text(&buf, "abc");
  sb_buf_reserve(&buf, 100000);
  assert_true(buf.cap - buf.len >= 100000);
  assert_int_equal(buf.len, 3);
  assert_memory_equal(buf.data, "abc", 3);
  sb_buf_close(&buf);
}

static void texts_are_equal_by_content_and_none_is_equal_to_none(void **state) {
  (void)state;
  char *copy = sb_strdup_or_null("abc");
  assert_true(sb_text_equal(copy, "abc"));
  assert_false(sb_text_equal(copy, "abd"));
  assert_false(sb_text_equal(copy, NULL));
  assert_false(sb_text_equal(NULL, ""));
  assert_true(sb_text_equal(NULL, NULL));
  assert_null(sb_strdup_or_null(NULL));
  free(copy);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_number_is_read_up_to_its_bound),
      cmocka_unit_test(what_is_not_a_canonical_number_is_refused),
      cmocka_unit_test(signed_numbers_are_those_of_redis),
      cmocka_unit_test(a_number_written_is_the_number_read),
      cmocka_unit_test(a_name_is_known_in_any_case_and_only_whole),
      cmocka_unit_test(views_are_equal_by_content),
      cmocka_unit_test(texts_are_equal_by_content_and_none_is_equal_to_none),
      cmocka_unit_test(a_buffer_keeps_what_was_appended),
      cmocka_unit_test(text_and_numbers_are_appended_without_a_zero),
      cmocka_unit_test(reserving_does_not_change_the_content),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
