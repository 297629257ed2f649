#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/base/sha1.h"

static void expect_sha1(struct sb_bytes text, const char *sha1) {
  char out[SB_SHA1_TEXT + 1];
  sb_sha1_text(text, out);
  assert_string_equal(out, sha1);
}

static void test_the_examples_of_fips_180(void **state) {
  (void)state;
  expect_sha1(sb_bytes(NULL, 0), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  expect_sha1(sb_bytes_of("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  expect_sha1(sb_bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  struct sb_buf million = {0};
  for (int i = 0; i < 1000000; i++) sb_buf_append(&million, "a", 1);
  expect_sha1(sb_buf_bytes(&million), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  sb_buf_close(&million);
}

/* Digests of so many 'x' as sha1sum gives them: the padding begins anew at each of these lengths. */
static void test_lengths_around_the_end_of_a_block(void **state) {
  (void)state;
  static const struct {
    size_t len;
    const char *sha1;
  } cases[] = {
      {55, "cef734ba81a024479e09eb5a75b6ddae62e6abf1"},  {56, "901305367c259952f4e7af8323f480d59f81335b"},
      {63, "0ddc4e0cccd9a12850deb5abb0853a4425559fec"},  {64, "bb2fa3ee7afb9f54c6dfb5d021f14b1ffe40c163"},
      {65, "78c741ddc482e4cdf8c474a0876347a0905b6233"},  {119, "4300320394f7ee239bcdce7d3b8bcee173a0cd5c"},
      {120, "ceb2821639c4b6dcb10bce0e522ca2e608ce056d"}, {127, "e463484d274607e1897d4099497cbf2aedcf8206"},
      {128, "150fa3fbdc899bd0b8f95a9fb6027f564d953762"},
  };
  uint8_t text[128];
  memset(text, 'x', sizeof text);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    expect_sha1(sb_bytes(text, cases[i].len), cases[i].sha1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_examples_of_fips_180),
      cmocka_unit_test(test_lengths_around_the_end_of_a_block),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
