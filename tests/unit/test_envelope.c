/* Incarnations as text and in their order, and what may be the name of a node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "tests/unit/seed.h"

static bool parses(const char *text) {
  struct sb_incarnation out;
  return sb_incarnation_parse(text, strlen(text), &out);
}

static void an_incarnation_has_one_text(void **state) {
  (void)state;
  char text[SB_INCARNATION_TEXT];
  sb_incarnation_text((struct sb_incarnation){1732271000123, 0xab}, text);
  assert_string_equal(text, "1732271000123-00000000000000ab");
  sb_incarnation_text((struct sb_incarnation){0, 0}, text);
  assert_string_equal(text, "0-0000000000000000");
  sb_incarnation_text((struct sb_incarnation){UINT64_MAX, UINT64_MAX}, text);
  assert_string_equal(text, "18446744073709551615-ffffffffffffffff");
}

static void an_incarnation_written_is_the_one_read(void **state) {
  (void)state;
  for (int i = 0; i < 500; i++) {
    struct sb_incarnation in = {((uint64_t)random() << 33 ^ (uint64_t)random()) >> below(64),
                                (uint64_t)random() << 33 ^ (uint64_t)random() << 2};
    struct sb_incarnation out = {0};
    char text[SB_INCARNATION_TEXT];
    sb_incarnation_text(in, text);
    assert_true(sb_incarnation_parse(text, strlen(text), &out));
    assert_int_equal(sb_incarnation_compare(in, out), 0);
  }
}

static void what_is_not_exactly_that_text_is_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "1",
                                    "-",
                                    "-00000000000000ab",
                                    "-0000000000000000",
                                    "1-",
                                    "1-000000000000000",
                                    "1-00000000000000000",
                                    "1 0000000000000000",
                                    "1-000000000000000A",
                                    "1-000000000000000g",
                                    "1-000000000000000 ",
                                    "01-0000000000000000",
                                    "+1-0000000000000000",
                                    "a-0000000000000000",
                                    "18446744073709551616-0000000000000000",
                                    "1--000000000000000",
                                    "1-0000000000000000\n"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (parses(bad[i])) fail_msg("\"%s\" was taken for an incarnation", bad[i]);
  }
  assert_true(parses("1-0000000000000000"));
}

static void a_claim_has_one_text_and_comes_back(void **state) {
  (void)state;
  char text[SB_CLAIM_TEXT];
  struct sb_claim claim = {.at = 4711, .sum = 0xab, .founding = 0x1f3a9c02}, back;
  sb_claim_text(&claim, text);
  assert_string_equal(text, "4711-1f3a9c02-00000000000000ab");
  sb_claim_text(&(const struct sb_claim){UINT64_MAX, UINT64_MAX, UINT32_MAX}, text);
  assert_string_equal(text, "18446744073709551615-ffffffff-ffffffffffffffff");
  for (int i = 0; i < 500; i++) {
    claim = (struct sb_claim){.at = (uint64_t)random() << 33 >> below(64),
                              .sum = (uint64_t)random() << 33 ^ (uint64_t)random() << 2,
                              .founding = (uint32_t)random() | 1};
    sb_claim_text(&claim, text);
    sb_claim_parse(text, strlen(text), &back);
    assert_true(sb_claim_equal(back, claim));
  }
}

static void what_is_not_exactly_such_a_text_claims_nothing(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "-",
                                    "-1f3a9c02-00000000000000ab",
                                    "1-1f3a9c02-00000000000000a",
                                    "1-1f3a9c02-00000000000000abc",
                                    "1-1f3a9c0-00000000000000ab",
                                    "1-1f3a9c021-00000000000000ab",
                                    "1-1F3a9c02-00000000000000ab",
                                    "1-1f3a9c02-00000000000000aB",
                                    "1-1f3a9c02-00000000000000ag",
                                    "1-00000000-00000000000000ab",
                                    "01-1f3a9c02-00000000000000ab",
                                    "+1-1f3a9c02-00000000000000ab",
                                    "1 1f3a9c02-00000000000000ab",
                                    "1-1f3a9c02 00000000000000ab",
                                    "18446744073709551616-1f3a9c02-00000000000000ab"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct sb_claim claim = {1, 2, 3};
    sb_claim_parse(bad[i], strlen(bad[i]), &claim);
    if (claim.founding || claim.at || claim.sum) fail_msg("\"%s\" was taken for a claim", bad[i]);
  }
}

static void incarnations_are_ordered_by_start_then_by_nonce(void **state) {
  (void)state;
  const struct sb_incarnation sorted[] = {{0, 0}, {0, 9}, {1, 0}, {1, 1}, {1, UINT64_MAX}, {2, 0}};
  for (int i = 0; i < 6; i++)
    for (int k = 0; k < 6; k++)
      assert_int_equal(sb_incarnation_compare(sorted[i], sorted[k]), i < k ? -1 : i > k ? 1 : 0);
}

static void a_node_name_is_of_few_characters(void **state) {
  (void)state;
  for (int c = 0; c < 256; c++) {
    char name[] = {'n', (char)c};
    bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                c == '_' || c == '.';
    assert_int_equal(sb_node_name_valid(name, 2), good);
  }
}

static void a_node_name_has_1_to_64_bytes(void **state) {
  (void)state;
  char name[SB_NODE_NAME_MAX + 1];
  memset(name, 'x', sizeof name);
  assert_false(sb_node_name_valid(name, 0));
  assert_true(sb_node_name_valid(name, 1));
  assert_true(sb_node_name_valid(name, SB_NODE_NAME_MAX));
  assert_false(sb_node_name_valid(name, SB_NODE_NAME_MAX + 1));
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_incarnation_has_one_text),
      cmocka_unit_test(an_incarnation_written_is_the_one_read),
      cmocka_unit_test(what_is_not_exactly_that_text_is_refused),
      cmocka_unit_test(a_claim_has_one_text_and_comes_back),
      cmocka_unit_test(what_is_not_exactly_such_a_text_claims_nothing),
      cmocka_unit_test(incarnations_are_ordered_by_start_then_by_nonce),
      cmocka_unit_test(a_node_name_is_of_few_characters),
      cmocka_unit_test(a_node_name_has_1_to_64_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
