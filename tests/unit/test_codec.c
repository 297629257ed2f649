/* Bodies packed as LZ4 frames and back; what lies or is cut is refused. */
#include <lz4frame.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cmocka.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/core/wire/codec.h"
#include "tests/unit/seed.h"

/* An LZ4 frame: magic 4, flags 1, block size 1, content size 8, checksum of the header 1, blocks, end mark 4.
 */
#define CONTENT_SIZE_AT 6
#define HEADER_CHECK_AT 14
#define HEADER_BYTES    15

static struct sb_body *text_body(size_t len) {
  static const char words[] = "*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$12\r\nhello world!\r\n";
  struct sb_body *body = sb_body_new(len);
  for (size_t i = 0; i < len; i++) body->data[i] = (uint8_t)words[i % (sizeof words - 1)];
  for (size_t i = 0; i < len; i += 101) body->data[i] = (uint8_t)random();
  return body;
}

static struct sb_body *noise_body(size_t len) {
  struct sb_body *body = sb_body_new(len);
  for (size_t i = 0; i < len; i++) body->data[i] = (uint8_t)random();
  return body;
}

static struct sb_body *packed_text(size_t len) {
  struct sb_codec codec = {0};
  struct sb_body *plain = text_body(len), *packed = sb_codec_pack(&codec, plain);
  assert_non_null(packed);
  sb_body_unref(plain);
  return packed;
}

/* A copy of exactly `len` bytes, so that a sanitizer sees a read beyond them. */
static struct sb_body *first_bytes(const struct sb_body *body, size_t len) {
  struct sb_body *part = sb_body_new(len);
  memcpy(part->data, body->data, len < body->len ? len : body->len);
  return part;
}

/* Announces another size, with a header that is right by itself. */
static void announce(struct sb_body *packed, uint64_t size) {
  for (int i = 0; i < 8; i++) packed->data[CONTENT_SIZE_AT + i] = (uint8_t)(size >> 8 * i);
  uint32_t check = XXH32(packed->data + 4, HEADER_CHECK_AT - 4, 0);
  packed->data[HEADER_CHECK_AT] = (uint8_t)(check >> 8);
}

static void assert_refused(struct sb_body *packed) {
  assert_null(sb_codec_unpack(packed));
  sb_body_unref(packed);
}

/* ---- packing ---- */

static void a_body_packed_is_the_body_unpacked(void **state) {
  (void)state;
  static const size_t sizes[] = {1024, 1025, 4096, 65535, 65536, 65537, 200000, 3000000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct sb_codec codec = {0};
    struct sb_body *plain = text_body(sizes[i]), *packed = sb_codec_pack(&codec, plain);
    assert_non_null(packed);
    struct sb_body *back = sb_codec_unpack(packed);
    assert_non_null(back);
    assert_int_equal(back->len, plain->len);
    assert_memory_equal(back->data, plain->data, plain->len);
    sb_body_unref(back);
    sb_body_unref(packed);
    sb_body_unref(plain);
  }
}

static void a_packed_body_is_a_fifth_smaller_at_least(void **state) {
  (void)state;
  for (uint32_t noise = 0; noise <= 100; noise += 5) {
    struct sb_codec codec = {0};
    struct sb_body *plain = text_body(20000);
    for (size_t i = 0; i < plain->len * noise / 100; i++) plain->data[i] = (uint8_t)random();
    struct sb_body *packed = sb_codec_pack(&codec, plain);
    if (noise == 0) assert_non_null(packed);
    if (noise == 100) assert_null(packed);
    if (packed) assert_true(packed->len <= plain->len - plain->len / 5);
    sb_body_unref(packed);
    sb_body_unref(plain);
  }
}

static void a_short_body_travels_as_it_is(void **state) {
  (void)state;
  struct sb_codec codec = {0};
  struct sb_body *plain = text_body(1023);
  assert_null(sb_codec_pack(&codec, plain));
  assert_int_equal(codec.skip, 0); /* and teaches nothing */
  sb_body_unref(plain);
}

/* How many bodies go plain before one is packed. */
static uint32_t plain_before_packed(struct sb_codec *codec, const struct sb_body *good) {
  for (uint32_t n = 0; n < 1000; n++) {
    struct sb_body *packed = sb_codec_pack(codec, good);
    if (!packed) continue;
    sb_body_unref(packed);
    return n;
  }
  fail_msg("never tried again");
  return 0;
}

static void a_body_that_does_not_shrink_postpones_the_next_try(void **state) {
  (void)state;
  struct sb_codec codec = {0};
  struct sb_body *noise = noise_body(4000), *text = text_body(4000);
  assert_null(sb_codec_pack(&codec, noise));
  assert_int_equal(plain_before_packed(&codec, text), 4);
  sb_body_unref(text);
  sb_body_unref(noise);
}

static void tries_become_rare_but_never_end_and_success_forgets(void **state) {
  (void)state;
  struct sb_codec codec = {0};
  struct sb_body *noise = noise_body(4000), *text = text_body(4000);
  for (uint32_t wait = 4; wait <= 256; wait *= 2) {
    assert_null(sb_codec_pack(&codec, noise));
    assert_int_equal(codec.skip, wait);
    for (uint32_t i = 0; i < wait; i++) assert_null(sb_codec_pack(&codec, text));
  }
  assert_null(sb_codec_pack(&codec, noise));
  assert_int_equal(plain_before_packed(&codec, text), 256);
  assert_null(sb_codec_pack(&codec, noise));
  assert_int_equal(plain_before_packed(&codec, text), 4);
  sb_body_unref(text);
  sb_body_unref(noise);
}

/* ---- unpacking what somebody else made ---- */

static void a_cut_frame_is_refused_wherever_it_is_cut(void **state) {
  (void)state;
  struct sb_body *packed = packed_text(5000);
  for (size_t len = 0; len < packed->len; len++) assert_refused(first_bytes(packed, len));
  sb_body_unref(packed);
}

static void a_byte_behind_the_frame_is_refused(void **state) {
  (void)state;
  struct sb_body *packed = packed_text(5000), *longer = first_bytes(packed, packed->len + 1);
  longer->data[packed->len] = 0;
  assert_refused(longer);
  sb_body_unref(packed);
}

static void a_frame_that_announces_another_size_is_refused(void **state) {
  (void)state;
  static const uint64_t lies[] = {
      0, 1, 4999, 5001, 65536, 1000000, SB_BODY_BYTES_MAX, UINT64_C(1) << 32, UINT64_MAX};
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    struct sb_body *packed = packed_text(5000);
    announce(packed, lies[i]);
    assert_refused(packed);
  }
  struct sb_body *honest = packed_text(5000);
  announce(honest, 5000);
  struct sb_body *plain = sb_codec_unpack(honest);
  assert_non_null(plain);
  sb_body_unref(plain);
  sb_body_unref(honest);
}

static void a_frame_that_announces_no_size_is_refused(void **state) {
  (void)state;
  struct sb_body *plain = text_body(5000), *packed = sb_body_new(LZ4F_compressFrameBound(5000, NULL));
  packed->len = LZ4F_compressFrame(packed->data, packed->len, plain->data, plain->len, NULL);
  assert_false(LZ4F_isError(packed->len));
  assert_refused(packed);
  sb_body_unref(plain);
}

static void a_body_larger_than_the_limit_is_refused(void **state) {
  (void)state;
  struct sb_body *plain = sb_body_new((size_t)SB_BODY_BYTES_MAX + 1);
  struct sb_codec codec = {0};
  memset(plain->data, 'a', plain->len);
  struct sb_body *packed = sb_codec_pack(&codec, plain);
  assert_non_null(packed);
  assert_refused(packed);
  plain->len--;
  packed = sb_codec_pack(&codec, plain);
  struct sb_body *back = sb_codec_unpack(packed);
  assert_non_null(back);
  assert_int_equal(back->len, SB_BODY_BYTES_MAX);
  sb_body_unref(back);
  sb_body_unref(packed);
  sb_body_unref(plain);
}

static void what_is_no_frame_is_refused(void **state) {
  (void)state;
  assert_refused(sb_body_new(0));
  assert_refused(text_body(5000));
  for (int i = 0; i < 200; i++) {
    struct sb_body *noise = noise_body(HEADER_BYTES + below(100));
    memcpy(noise->data, "\x04\x22\x4d\x18", 4);
    assert_refused(noise);
  }
}

static void an_altered_frame_is_refused_or_as_long_as_announced(void **state) {
  (void)state;
  struct sb_body *packed = packed_text(3000);
  uint32_t taken = 0;
  for (size_t at = 0; at < packed->len; at++) {
    struct sb_body *altered = first_bytes(packed, packed->len);
    altered->data[at] = (uint8_t)(altered->data[at] ^ (1U << below(8)));
    struct sb_body *plain = sb_codec_unpack(altered);
    if (at < HEADER_BYTES) assert_null(plain);
    if (plain) assert_int_equal(plain->len, 3000);
    taken += plain != NULL;
    sb_body_unref(plain);
    sb_body_unref(altered);
  }
  assert_true(taken > 0); /* literals carry no check of their own */
  sb_body_unref(packed);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_body_packed_is_the_body_unpacked),
      cmocka_unit_test(a_packed_body_is_a_fifth_smaller_at_least),
      cmocka_unit_test(a_short_body_travels_as_it_is),
      cmocka_unit_test(a_body_that_does_not_shrink_postpones_the_next_try),
      cmocka_unit_test(tries_become_rare_but_never_end_and_success_forgets),
      cmocka_unit_test(a_cut_frame_is_refused_wherever_it_is_cut),
      cmocka_unit_test(a_byte_behind_the_frame_is_refused),
      cmocka_unit_test(a_frame_that_announces_another_size_is_refused),
      cmocka_unit_test(a_frame_that_announces_no_size_is_refused),
      cmocka_unit_test(a_body_larger_than_the_limit_is_refused),
      cmocka_unit_test(what_is_no_frame_is_refused),
      cmocka_unit_test(an_altered_frame_is_refused_or_as_long_as_announced),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
