/* AMQP 1.0 values: every constructor of the specification, whole and cut, and what is written read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "transports/servicebus/amqp.h"

#define INIT(text)                                                                                           \
  { (const uint8_t *)(text), sizeof(text) - 1 } /* also for what is static */
#define BYTES(text) ((struct sb_bytes)INIT(text))

struct encoding {
  struct sb_bytes bytes;
  enum sb_amqp_type type;
  uint64_t number;
  int64_t whole;
  const char *text; /* of bytes */
  uint32_t count;
};

static const struct encoding encodings[] = {
    {INIT("\x40"), SB_AMQP_NULL, 0, 0, NULL, 0},
    {INIT("\x41"), SB_AMQP_BOOLEAN, 1, 0, NULL, 0},
    {INIT("\x42"), SB_AMQP_BOOLEAN, 0, 0, NULL, 0},
    {INIT("\x56\x01"), SB_AMQP_BOOLEAN, 1, 0, NULL, 0},
    {INIT("\x43"), SB_AMQP_UNSIGNED, 0, 0, NULL, 0},
    {INIT("\x44"), SB_AMQP_UNSIGNED, 0, 0, NULL, 0},
    {INIT("\x50\xff"), SB_AMQP_UNSIGNED, 255, 0, NULL, 0},
    {INIT("\x52\x80"), SB_AMQP_UNSIGNED, 128, 0, NULL, 0},
    {INIT("\x53\x74"), SB_AMQP_UNSIGNED, 0x74, 0, NULL, 0},
    {INIT("\x60\x01\x02"), SB_AMQP_UNSIGNED, 0x102, 0, NULL, 0},
    {INIT("\x70\xff\0\0\x01"), SB_AMQP_UNSIGNED, 0xff000001, 0, NULL, 0},
    {INIT("\x80\xff\xff\xff\xff\xff\xff\xff\xff"), SB_AMQP_UNSIGNED, UINT64_MAX, 0, NULL, 0},
    {INIT("\x51\xff"), SB_AMQP_SIGNED, 0, -1, NULL, 0},
    {INIT("\x54\x7f"), SB_AMQP_SIGNED, 0, 127, NULL, 0},
    {INIT("\x55\x80"), SB_AMQP_SIGNED, 0, -128, NULL, 0},
    {INIT("\x61\x80\0"), SB_AMQP_SIGNED, 0, INT16_MIN, NULL, 0},
    {INIT("\x71\x80\0\0\0"), SB_AMQP_SIGNED, 0, INT32_MIN, NULL, 0},
    {INIT("\x81\x80\0\0\0\0\0\0\0"), SB_AMQP_SIGNED, 0, INT64_MIN, NULL, 0},
    {INIT("\x83\0\0\x01\xa2\x03\x27\xc7\x3d"), SB_AMQP_SIGNED, 0, 0x1a20327c73d, NULL, 0},
    {INIT("\xa0\x02hi"), SB_AMQP_BINARY, 0, 0, "hi", 0},
    {INIT("\xb0\0\0\0\x02hi"), SB_AMQP_BINARY, 0, 0, "hi", 0},
    {INIT("\xa1\0"), SB_AMQP_STRING, 0, 0, "", 0},
    {INIT("\xb1\0\0\0\x03one"), SB_AMQP_STRING, 0, 0, "one", 0},
    {INIT("\xa3\x03one"), SB_AMQP_SYMBOL, 0, 0, "one", 0},
    {INIT("\xb3\0\0\0\x03one"), SB_AMQP_SYMBOL, 0, 0, "one", 0},
    {INIT("\x45"), SB_AMQP_LIST, 0, 0, NULL, 0},
    {INIT("\xc0\x03\x02\x40\x41"), SB_AMQP_LIST, 0, 0, "\x40\x41", 2},
    {INIT("\xd0\0\0\0\x06\0\0\0\x02\x40\x41"), SB_AMQP_LIST, 0, 0, "\x40\x41", 2},
    {INIT("\xc1\x05\x02\xa1\x01k\x41"), SB_AMQP_MAP, 0, 0, "\xa1\x01k\x41", 2},
    {INIT("\xd1\0\0\0\x06\0\0\0\x02\x40\x41"), SB_AMQP_MAP, 0, 0, "\x40\x41", 2},
    /* those that are skipped: float, double, decimals, char, uuid, arrays */
    {INIT("\x72\x3f\x80\0\0"), SB_AMQP_OTHER, 0, 0, NULL, 0},
    {INIT("\x82\x3f\xf0\0\0\0\0\0\0"), SB_AMQP_OTHER, 0, 0, NULL, 0},
    {INIT("\x74\0\0\0\0"), SB_AMQP_OTHER, 0, 0, NULL, 0},
    {INIT("\x94\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), SB_AMQP_OTHER, 0, 0, NULL, 0},
    {INIT("\x73\0\0\0A"), SB_AMQP_OTHER, 0, 0, NULL, 0},
    {INIT("\x98\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"), SB_AMQP_OTHER, 0, 0, NULL,
     0},
    {INIT("\xe0\x04\x02\x50\x01\x02"), SB_AMQP_OTHER, 0, 0, NULL, 0},
    {INIT("\xf0\0\0\0\x07\0\0\0\x02\x50\x01\x02"), SB_AMQP_OTHER, 0, 0, NULL, 0},
    /* described: by a number, by a symbol, and what is described is described in turn */
    {INIT("\0\x53\x74\x45"), SB_AMQP_OTHER, 0, 0, NULL, 0},
    {INIT("\0\xa3\x03one\0\x53\x01\x40"), SB_AMQP_OTHER, 0, 0, NULL, 0},
};

static const size_t encoding_count = sizeof encodings / sizeof encodings[0];

/* In an allocation of its own, so that a read beyond it is seen. */
static uint8_t *copy_of(struct sb_bytes bytes) {
  uint8_t *copy = sb_malloc(bytes.len ? bytes.len : 1);
  memcpy(copy, bytes.at, bytes.len);
  return copy;
}

static void every_constructor_is_read(void **state) {
  (void)state;
  for (size_t i = 0; i < encoding_count; i++) {
    const struct encoding *is = &encodings[i];
    uint8_t *copy = copy_of(is->bytes);
    struct sb_bytes rest = sb_bytes(copy, is->bytes.len);
    struct sb_amqp_value value;
    assert_true(sb_amqp_take(&rest, &value));
    assert_int_equal(rest.len, 0);
    assert_int_equal(value.type, is->type);
    assert_int_equal(value.number, is->number);
    assert_int_equal(value.whole, is->whole);
    assert_int_equal(value.count, is->count);
    if (is->text) assert_true(sb_bytes_equal(value.bytes, sb_bytes_of(is->text)));
    free(copy);
  }
}

static void what_is_cut_is_refused_and_left_alone(void **state) {
  (void)state;
  for (size_t i = 0; i < encoding_count; i++)
    for (size_t len = 0; len < encodings[i].bytes.len; len++) {
      uint8_t *copy = copy_of(sb_bytes(encodings[i].bytes.at, len));
      struct sb_bytes rest = sb_bytes(copy, len);
      struct sb_amqp_value value;
      assert_false(sb_amqp_take(&rest, &value));
      assert_ptr_equal(rest.at, copy);
      assert_int_equal(rest.len, len);
      free(copy);
    }
}

static void what_follows_stays(void **state) {
  (void)state;
  struct sb_bytes rest = BYTES("\xa1\x03one\x52\x07\x40");
  struct sb_amqp_value value;
  assert_true(sb_amqp_take(&rest, &value));
  assert_true(sb_bytes_equal(value.bytes, sb_bytes_of("one")));
  assert_true(sb_amqp_take(&rest, &value));
  assert_int_equal(value.number, 7);
  assert_int_equal(rest.len, 1);
}

static void what_is_no_amqp_is_refused(void **state) {
  (void)state;
  static const struct sb_bytes none[] = {
      INIT("\x01"),       /* no such constructor */
      INIT("\x3f\0\0\0"), /* nor this */
      INIT("\xb0\xff\xff\xff\xff"
           "abc"),                                              /* longer than there is */
      INIT("\xd1\xff\xff\xff\xff\0\0\0\x02@@"),                 /* so is its size */
      INIT("\xd0\0\0\0\x03\0\0\0\x02"),                         /* no room for the count within the size */
      INIT("\xc1\0"),                                           /* nor here */
      INIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), /* described without end */
  };
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    struct sb_bytes rest = none[i];
    struct sb_amqp_value value;
    assert_false(sb_amqp_take(&rest, &value));
    assert_ptr_equal(rest.at, none[i].at);
  }
}

static void a_descriptor_is_a_number_or_nothing_known(void **state) {
  (void)state;
  static const struct {
    struct sb_bytes bytes;
    bool good;
    uint64_t descriptor;
  } cases[] = {
      {INIT("\0\x53\x74"), true, SB_AMQP_APPLICATION_PROPERTIES},
      {INIT("\0\x80\0\0\0\0\0\0\0\x75"), true, SB_AMQP_DATA},
      {INIT("\0\xa3\x10"
            "amqp:data:binary"),
       true, 0},
      {INIT("\x53\x74"), false, 0},
      {INIT("\0"), false, 0},
      {INIT(""), false, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_bytes rest = cases[i].bytes;
    uint64_t descriptor = 7;
    assert_int_equal(sb_amqp_take_descriptor(&rest, &descriptor), cases[i].good);
    assert_int_equal(rest.len, cases[i].good ? 0 : cases[i].bytes.len);
    if (cases[i].good) assert_int_equal(descriptor, cases[i].descriptor);
  }
}

/* ---- maps ---- */

static struct sb_amqp_value map_of(struct sb_bytes items, uint32_t count) {
  return (struct sb_amqp_value){.type = SB_AMQP_MAP, .bytes = items, .count = count};
}

static void a_key_is_found_as_string_and_as_symbol(void **state) {
  (void)state;
  struct sb_amqp_value map = map_of(BYTES("\xa1\x01"
                                          "a\x52\x01\xa3\x01"
                                          "b\x52\x02\x52\x05\x40\xa0\x01"
                                          "c\x41"),
                                    8);
  struct sb_amqp_value value;
  uint64_t number;
  assert_true(sb_amqp_find(&map, "a", &value) && sb_amqp_u64(&value, &number) && number == 1);
  assert_true(sb_amqp_find(&map, "b", &value) && sb_amqp_u64(&value, &number) && number == 2);
  assert_false(sb_amqp_find(&map, "c", &value)); /* binary is no name */
  assert_false(sb_amqp_find(&map, "", &value));
  assert_false(sb_amqp_find(&map, "ab", &value));
}

static void a_map_that_lies_about_its_pairs_is_read_as_far_as_it_goes(void **state) {
  (void)state;
  struct sb_amqp_value value, map = map_of(BYTES("\xa1\x01"
                                                 "a\x52\x01\xa1\x01"
                                                 "b"),
                                           UINT32_MAX);
  assert_true(sb_amqp_find(&map, "a", &value));
  assert_false(sb_amqp_find(&map, "b", &value));
  map.count = 3; /* the value of the second is missing */
  assert_false(sb_amqp_find(&map, "b", &value));
  map.count = 1;
  assert_false(sb_amqp_find(&map, "a", &value));
  map.count = 2;
  map.type = SB_AMQP_LIST;
  assert_false(sb_amqp_find(&map, "a", &value));
}

static void numbers_below_zero_are_none_and_texts_have_three_types(void **state) {
  (void)state;
  uint64_t number = 7;
  struct sb_bytes text;
  assert_true(sb_amqp_u64(&(struct sb_amqp_value){.type = SB_AMQP_SIGNED, .whole = INT64_MAX}, &number));
  assert_int_equal(number, INT64_MAX);
  assert_false(sb_amqp_u64(&(struct sb_amqp_value){.type = SB_AMQP_SIGNED, .whole = -1}, &number));
  assert_false(sb_amqp_u64(&(struct sb_amqp_value){.type = SB_AMQP_BOOLEAN, .number = 1}, &number));
  assert_false(sb_amqp_u64(&(struct sb_amqp_value){.type = SB_AMQP_STRING}, &number));
  static const enum sb_amqp_type texts[] = {SB_AMQP_STRING, SB_AMQP_SYMBOL, SB_AMQP_BINARY};
  for (size_t i = 0; i < 3; i++) assert_true(sb_amqp_text(&(struct sb_amqp_value){.type = texts[i]}, &text));
  assert_false(sb_amqp_text(&(struct sb_amqp_value){.type = SB_AMQP_LIST}, &text));
  assert_false(sb_amqp_text(&(struct sb_amqp_value){.type = SB_AMQP_UNSIGNED}, &text));
}

/* ---- writing ---- */

static void what_is_written_is_read_again(void **state) {
  (void)state;
  struct sb_buf out = {0};
  sb_amqp_put_section(&out, SB_AMQP_PROPERTIES);
  struct sb_amqp_mark list = sb_amqp_begin_list(&out);
  sb_amqp_put_null(&out);
  sb_amqp_put_int(&out, INT32_MAX);
  sb_amqp_put_long(&out, INT64_MAX);
  sb_amqp_put_timestamp(&out, 1700000000000);
  sb_amqp_put_symbol(&out, "lz4");
  struct sb_amqp_mark map = sb_amqp_begin_map(&out);
  sb_amqp_put_string(&out, sb_bytes_of("k"));
  sb_amqp_put_string(&out, sb_bytes_of("v"));
  sb_amqp_end(&out, map, 2);
  sb_amqp_end(&out, list, 6);
  struct sb_bytes rest = sb_buf_bytes(&out), text = {0};
  struct sb_amqp_value outer, value;
  uint64_t descriptor, number;
  assert_true(sb_amqp_take_descriptor(&rest, &descriptor) && descriptor == SB_AMQP_PROPERTIES);
  assert_true(sb_amqp_take(&rest, &outer) && rest.len == 0);
  assert_int_equal(outer.count, 6);
  rest = outer.bytes;
  assert_true(sb_amqp_take(&rest, &value) && value.type == SB_AMQP_NULL);
  assert_true(sb_amqp_take(&rest, &value) && sb_amqp_u64(&value, &number) && number == INT32_MAX);
  assert_true(sb_amqp_take(&rest, &value) && sb_amqp_u64(&value, &number) && number == INT64_MAX);
  assert_true(sb_amqp_take(&rest, &value) && value.whole == 1700000000000);
  assert_true(sb_amqp_take(&rest, &value) && value.type == SB_AMQP_SYMBOL);
  assert_true(sb_amqp_take(&rest, &outer) && rest.len == 0 && outer.count == 2);
  assert_true(sb_amqp_find(&outer, "k", &value) && sb_amqp_text(&value, &text));
  assert_true(sb_bytes_equal(text, sb_bytes_of("v")));
  sb_buf_close(&out);
}

static void texts_of_every_length_are_read_again(void **state) {
  (void)state;
  char text[300];
  memset(text, 'x', sizeof text);
  for (size_t len = 0; len <= sizeof text; len++) {
    struct sb_buf out = {0};
    sb_amqp_put_string(&out, sb_bytes(text, len));
    assert_int_equal(out.len, len + (len < 256 ? 2 : 5));
    struct sb_bytes rest = sb_buf_bytes(&out);
    struct sb_amqp_value value;
    assert_true(sb_amqp_take(&rest, &value) && rest.len == 0);
    assert_true(sb_bytes_equal(value.bytes, sb_bytes(text, len)));
    sb_buf_close(&out);
  }
}

static void a_data_head_tells_the_length_of_what_follows(void **state) {
  (void)state;
  struct sb_buf out = {0};
  sb_amqp_put_data_head(&out, 3);
  assert_true(sb_bytes_equal(sb_buf_bytes(&out), BYTES("\0\x53\x75\xb0\0\0\0\x03")));
  sb_buf_close(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_constructor_is_read),
      cmocka_unit_test(what_is_cut_is_refused_and_left_alone),
      cmocka_unit_test(what_follows_stays),
      cmocka_unit_test(what_is_no_amqp_is_refused),
      cmocka_unit_test(a_descriptor_is_a_number_or_nothing_known),
      cmocka_unit_test(a_key_is_found_as_string_and_as_symbol),
      cmocka_unit_test(a_map_that_lies_about_its_pairs_is_read_as_far_as_it_goes),
      cmocka_unit_test(numbers_below_zero_are_none_and_texts_have_three_types),
      cmocka_unit_test(what_is_written_is_read_again),
      cmocka_unit_test(texts_of_every_length_are_read_again),
      cmocka_unit_test(a_data_head_tells_the_length_of_what_follows),
  };
  return cmocka_run_group_tests_name("servicebus_amqp", tests, NULL, NULL);
}
