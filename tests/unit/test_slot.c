/* Slots are those of Redis Cluster. The examples are from its specification and from CLUSTER KEYSLOT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/core/wire/slot.h"

static uint16_t slot_of(const char *key) {
  return sb_slot(sb_bytes_of(key));
}

/* CRC16/XMODEM by its definition, bit by bit. */
static uint16_t crc16(const uint8_t *at, size_t len) {
  uint16_t crc = 0;
  for (size_t i = 0; i < len; i++) {
    crc = (uint16_t)(crc ^ at[i] << 8);
    for (int bit = 0; bit < 8; bit++) crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
  }
  return crc;
}

static void the_crc_is_xmodem(void **state) {
  (void)state;
  assert_int_equal(crc16((const uint8_t *)"123456789", 9), 0x31c3);
  assert_int_equal(slot_of("123456789"), 0x31c3 % SB_SLOTS);
}

static void every_table_entry_follows_the_definition(void **state) {
  (void)state;
  for (unsigned a = 0; a < 256; a++)
    for (unsigned b = 0; b < 256; b++) {
      const uint8_t key[] = {'k', (uint8_t)a, (uint8_t)b};
      if (a == '{') continue;
      assert_int_equal(sb_slot(sb_bytes(key, 3)), crc16(key, 3) % SB_SLOTS);
    }
}

static void published_examples_hold(void **state) {
  (void)state;
  assert_int_equal(slot_of("foo"), 12182);
  assert_int_equal(slot_of("bar"), 5061);
  assert_int_equal(slot_of("hello"), 866);
  assert_int_equal(slot_of("somekey"), 11058);
  assert_int_equal(slot_of("foo{hash_tag}"), 2515);
  assert_int_equal(slot_of(""), 0);
}

static void keys_of_one_tag_share_a_slot(void **state) {
  (void)state;
  assert_int_equal(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
  assert_int_equal(slot_of("{user1000}.following"), slot_of("user1000"));
  assert_int_equal(slot_of("a{x}b"), slot_of("x"));
  assert_int_not_equal(slot_of("{user1000}.following"), slot_of("{user1001}.following"));
}

static void the_first_brace_and_the_first_closing_one_behind_it_make_the_tag(void **state) {
  (void)state;
  assert_int_equal(slot_of("foo{{bar}}zap"), slot_of("{bar"));
  assert_int_equal(slot_of("foo{bar}{zap}"), slot_of("bar"));
  assert_int_equal(slot_of("}{a}"), slot_of("a"));
}

static void an_empty_or_unclosed_tag_is_no_tag(void **state) {
  (void)state;
  const char *const keys[] = {"foo{}{bar}", "{}", "{", "{bar", "foo{", "}", "a}b{", "{}x"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    assert_int_equal(slot_of(keys[i]), crc16((const uint8_t *)keys[i], strlen(keys[i])) % SB_SLOTS);
}

static void bytes_of_any_value_count_also_within_a_tag(void **state) {
  (void)state;
  const uint8_t key[] = {0, '{', 0, 0xff, '}', 7};
  assert_int_equal(sb_slot(sb_bytes(key, sizeof key)), crc16(key + 2, 2) % SB_SLOTS);
  assert_int_equal(sb_slot(sb_bytes(NULL, 0)), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_crc_is_xmodem),
      cmocka_unit_test(every_table_entry_follows_the_definition),
      cmocka_unit_test(published_examples_hold),
      cmocka_unit_test(keys_of_one_tag_share_a_slot),
      cmocka_unit_test(the_first_brace_and_the_first_closing_one_behind_it_make_the_tag),
      cmocka_unit_test(an_empty_or_unclosed_tag_is_no_tag),
      cmocka_unit_test(bytes_of_any_value_count_also_within_a_tag),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
