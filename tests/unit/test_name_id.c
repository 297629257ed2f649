/* Ids of names: SipHash-2-4 with 128 bits, as its authors' vectors have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bridge/base/name_id.h"
#include "bridge/base/table.h"
#include "bridge/core/state/counts.h"
#include "bridge/core/wire/name.h"

static struct sb_name_key key_of(uint8_t first) {
  struct sb_name_key key;
  for (size_t i = 0; i < sizeof key.bytes; i++) key.bytes[i] = (uint8_t)(first + i);
  return key;
}

/* Of the bytes 0, 1, 2 … under the key 0, 1, 2 …: lines of the reference's vectors, by the number of bytes.
 */
static void ids_are_those_of_the_reference(void **state) {
  (void)state;
  static const struct {
    size_t len;
    struct sb_name_id right;
  } vectors[] = {
      {0, {UINT64_C(0xe6a825ba047f81a3), UINT64_C(0x930255c71472f66d)}},
      {1, {UINT64_C(0x44af996bd8c187da), UINT64_C(0x45fc229b11597634)}},
      {15, {UINT64_C(0x11a8b03399e99354), UINT64_C(0xd9c3cf970fec087e)}},
      {16, {UINT64_C(0xbb54b067caa4e26e), UINT64_C(0x77052385bf1533fd)}},
      {63, {UINT64_C(0x4a83502f77d15051), UINT64_C(0x7cbd3f979a063e50)}},
  };
  uint8_t text[63];
  const struct sb_name_key key = key_of(0);
  for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)i;
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
    assert_true(sb_name_id_equal(sb_name_id(&key, sb_bytes(text, vectors[i].len)), vectors[i].right));
}

static void each_key_gives_other_ids(void **state) {
  (void)state;
  const struct sb_name_key one = key_of(0), other = key_of(1);
  struct sb_bytes name = sb_bytes_of("room:1");
  struct sb_name_id id = sb_name_id(&one, name);
  assert_false(sb_name_id_equal(id, sb_name_id(&other, name)));
  assert_true(sb_name_id_equal(id, sb_name_id(&one, name))); /* whatever was asked meanwhile */
  assert_false(sb_name_id_equal(id, sb_name_id(&one, sb_bytes_of("room:2"))));
}

/* Two ids that have one half in common are two channels. */
static void half_an_id_is_no_id(void **state) {
  (void)state;
  struct sb_counts counts = {0};
  const struct sb_name_id ids[] = {{7, 1}, {7, 2}, {8, 1}};
  for (uint32_t i = 0; i < 3; i++) assert_true(sb_counts_set_id(&counts, ids[i], 1, i + 1));
  assert_int_equal(counts.count, 3);
  for (uint32_t i = 0; i < 3; i++) assert_int_equal(sb_counts_channel(&counts, ids[i]), i + 1);
  assert_true(sb_counts_set_id(&counts, ids[1], 1, 0));
  assert_int_equal(sb_counts_channel(&counts, ids[0]), 1);
  assert_int_equal(sb_counts_channel(&counts, ids[2]), 3);
  sb_counts_close(&counts);
}

static void a_key_is_written_as_it_is_read(void **state) {
  (void)state;
  const struct sb_name_key key = key_of(0xf8);
  struct sb_name_key read;
  char text[SB_NAME_KEY_TEXT];
  sb_name_key_text(&key, text);
  assert_memory_equal(text, "f8f9fafbfcfdfeff0001020304050607", sizeof text);
  assert_true(sb_name_key_parse(sb_bytes(text, sizeof text), &read));
  assert_true(sb_name_key_equal(&key, &read));
  assert_false(sb_name_key_parse(sb_bytes(text, sizeof text - 1), &read));
  static const char wrong[] = "Gg/:`\0 F";
  for (size_t i = 0; i < sizeof wrong - 1; i++) {
    text[5] = wrong[i];
    assert_false(sb_name_key_parse(sb_bytes(text, sizeof text), &read));
  }
}

/* Names of 32 bytes that all have one hash by XXH3 as everybody knows it: their first eight bytes cancel a
 * factor. They crowd in no table of a process that has a secret. */
static void names_that_were_chosen_to_collide_do_not(void **state) {
  (void)state;
  enum { NAMES = 1000 };
  uint8_t secret[SB_NAME_SECRET_BYTES];
  uint64_t hashes[NAMES];
  for (int seeded = 0; seeded < 2; seeded++) {
    size_t alike = 0;
    for (size_t i = 0; i < NAMES; i++) {
      char name[33] = "\xb8\xfe\x6c\x39\x23\xa4\x4b\xbe";
      snprintf(name + 8, sizeof name - 8, "%08zu0123456789abcdef", i);
      hashes[i] = sb_name_hash(sb_bytes(name, 32));
      for (size_t k = 0; k < i; k++) alike += hashes[k] == hashes[i];
    }
    assert_int_equal(alike, seeded ? 0 : NAMES * (NAMES - 1) / 2);
    for (size_t i = 0; i < sizeof secret; i++) secret[i] = (uint8_t)(i * 151 + 77);
    sb_name_secret(secret);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ids_are_those_of_the_reference),
      cmocka_unit_test(each_key_gives_other_ids),
      cmocka_unit_test(half_an_id_is_no_id),
      cmocka_unit_test(a_key_is_written_as_it_is_read),
      cmocka_unit_test(names_that_were_chosen_to_collide_do_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
