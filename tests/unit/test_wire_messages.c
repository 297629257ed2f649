/* What nodes write about themselves is read as it was written: control messages and SIDEBUS entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bridge/core/wire/control.h"
#include "bridge/core/wire/sidebus.h"

static bool body_is(const struct sb_body *body, const char *text) {
  return sb_bytes_equal(sb_bytes(body->data, body->len), sb_bytes_of(text));
}

static void write_and_read(const struct sb_control *control, const char *text, struct sb_control *read) {
  struct sb_body *body = sb_control_write(control);
  assert_true(body_is(body, text));
  assert_true(sb_control_read(sb_bytes_of(text), read));
  sb_body_unref(body);
}

static void test_hello(void **state) {
  (void)state;
  struct sb_control read;
  const struct sb_control hello = {.kind = SB_CONTROL_HELLO,
                                   .partitions = 4,
                                   .version = 1,
                                   .about = sb_bytes_of("pid 7 on a"),
                                   .met = {12, 0xab},
                                   .since = {17, 9},
                                   .since_lost = true,
                                   .holds = {17, 8}};
  write_and_read(&hello,
                 "*8\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n4\r\n$1\r\n1\r\n$10\r\npid 7 on a\r\n"
                 "$19\r\n12-00000000000000ab\r\n$4\r\n17-9\r\n$4\r\n17-8\r\n",
                 &read);
  assert_int_equal(read.partitions, 4);
  assert_true(sb_bytes_equal(read.about, hello.about));
  assert_int_equal(sb_incarnation_compare(read.met, hello.met), 0);
  assert_int_equal(sb_id_compare(read.since, hello.since), 0);
  assert_true(read.since_lost);
  assert_int_equal(sb_id_compare(read.holds, hello.holds), 0);
}

static void test_a_hello_within_one_log(void **state) {
  (void)state;
  struct sb_control read;
  const struct sb_control hello = {
      .kind = SB_CONTROL_HELLO, .partitions = 1, .version = 1, .about = sb_bytes_of(""), .since = {0, 9}};
  write_and_read(&hello,
                 "*8\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n1\r\n$1\r\n1\r\n$0\r\n\r\n"
                 "$18\r\n0-0000000000000000\r\n$1\r\n9\r\n$3\r\n0-0\r\n",
                 &read);
  assert_false(read.since_lost);
  assert_int_equal(read.since.seq, 9);
}

static void test_pieces_of_a_text(void **state) {
  (void)state;
  static const struct {
    int kind;
    const char *text;
  } cases[] = {
      {SB_CONTROL_SNAPSHOT,
       "*6\r\n$7\r\nSIDEBUS\r\n$8\r\nSNAPSHOT\r\n$2\r\n31\r\n$1\r\n1\r\n$1\r\n3\r\n$2\r\nab\r\n"},
      {SB_CONTROL_CHECKPOINT,
       "*6\r\n$7\r\nSIDEBUS\r\n$10\r\nCHECKPOINT\r\n$2\r\n31\r\n$1\r\n1\r\n$1\r\n3\r\n$2\r\nab\r\n"},
      {SB_CONTROL_KEYS,
       "*6\r\n$7\r\nSIDEBUS\r\n$4\r\nKEYS\r\n$2\r\n31\r\n$1\r\n1\r\n$1\r\n3\r\n$2\r\nab\r\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_control read, piece = {.as_of = 31, .piece = 1, .pieces = 3, .text = sb_bytes_of("ab")};
    piece.kind = (unsigned)cases[i].kind;
    write_and_read(&piece, cases[i].text, &read);
    assert_int_equal(read.kind, piece.kind);
    assert_int_equal(read.as_of, 31);
    assert_int_equal(read.piece, 1);
    assert_int_equal(read.pieces, 3);
    assert_true(sb_bytes_equal(read.text, piece.text));
  }
}

#define GENESIS(words, rest)                                                                                 \
  words "\r\n$7\r\nSIDEBUS\r\n$7\r\nGENESIS\r\n$1\r\n5\r\n$2\r\n99\r\n$1\r\n2\r\n" rest
#define NAME_KEY "$32\r\n00112233445566778899aabbccddeeff\r\n"

static void test_genesis(void **state) {
  (void)state;
  static const struct {
    bool keeps, brings;
    const char *text;
  } cases[] = {
      {true, false, GENESIS("*7", "$4\r\nkeys\r\n" NAME_KEY)},
      {false, true, GENESIS("*7", "$7\r\nbrought\r\n" NAME_KEY)},
      {false, false, GENESIS("*7", "$5\r\nempty\r\n" NAME_KEY)},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_control read;
    const struct sb_control genesis = {.kind = SB_CONTROL_GENESIS,
                                       .hello_at = 5,
                                       .generation = 99,
                                       .partitions = 2,
                                       .keeps_keys = cases[i].keeps,
                                       .brings_keys = cases[i].brings,
                                       .name_key = {{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
                                                     0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}}};
    write_and_read(&genesis, cases[i].text, &read);
    assert_int_equal(read.hello_at, 5);
    assert_int_equal(read.generation, 99);
    assert_int_equal(read.keeps_keys, cases[i].keeps);
    assert_int_equal(read.brings_keys, cases[i].brings);
    assert_true(sb_name_key_equal(&read.name_key, &genesis.name_key));
  }
}

static void test_what_is_no_control_message(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",
      "*1\r\n$4\r\nPING\r\n",
      "*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$1\r\n0\r\n$1\r\n1\r\n",
      "*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$3\r\n257\r\n$1\r\n1\r\n",
      "*4\r\n$7\r\nSIDEBUS\r\n$5\r\nGREET\r\n$1\r\n1\r\n$1\r\n1\r\n",
      "*6\r\n$7\r\nSIDEBUS\r\n$8\r\nSNAPSHOT\r\n$1\r\n1\r\n$1\r\n3\r\n$1\r\n3\r\n$0\r\n\r\n",
      GENESIS("*7", "$5\r\nsome!\r\n" NAME_KEY),
      GENESIS("*7", "$5\r\nempty\r\n" NAME_KEY "."),
      GENESIS("*6", "$5\r\nempty\r\n"),
      GENESIS("*8", "$5\r\nempty\r\n" NAME_KEY "$1\r\n0\r\n"),
      GENESIS("*7", "$5\r\nempty\r\n$31\r\n00112233445566778899aabbccddeef\r\n"),
      GENESIS("*7", "$5\r\nempty\r\n$32\r\n00112233445566778899aabbccddeefg\r\n"),
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct sb_control read;
    assert_false(sb_control_read(sb_bytes_of(texts[i]), &read));
  }
}

static void test_sidebus_entries(void **state) {
  (void)state;
  static const struct sb_sidebus entries[] = {
      {.word = SB_SIDEBUS_BYE,
       .bye = {.name = "web-1", .incarnation = {12, 0xab}, .number = 5, .last = true}},
      {.word = SB_SIDEBUS_INTEREST, .interest = {SB_SUB_PATTERN, {(const uint8_t *)"a*", 2}, 3}},
      {.word = SB_SIDEBUS_NUMBER, .number = {{(const uint8_t *)"k", 1}, {(const uint8_t *)"p", 1}}},
      {.word = SB_SIDEBUS_RESTORE,
       .restore = {.kind = SB_KEY_STREAM, .name = {(const uint8_t *)"s", 1}, .stream = {{2, 1}, {1, 1}, 9}}},
      {.word = SB_SIDEBUS_RESTORE,
       .restore = {.name = {(const uint8_t *)"s", 1},
                   .value = {(const uint8_t *)"v", 1},
                   .expires_ms = 7,
                   .asked_ms = 8}},
      {.word = SB_SIDEBUS_RESTORED},
      {.word = SB_SIDEBUS_PART, .fragment = {2, 3, {(const uint8_t *)"xyz", 3}}},
  };
  static const char *const texts[] = {
      "*6\r\n$7\r\nSIDEBUS\r\n$3\r\nBYE\r\n$5\r\nweb-1\r\n$19\r\n12-00000000000000ab\r\n$1\r\n5\r\n$"
      "4\r\nlast\r\n",
      "*5\r\n$7\r\nSIDEBUS\r\n$8\r\nINTEREST\r\n$7\r\npattern\r\n$2\r\na*\r\n$1\r\n3\r\n",
      "*4\r\n$7\r\nSIDEBUS\r\n$6\r\nNUMBER\r\n$1\r\nk\r\n$1\r\np\r\n",
      "*8\r\n$7\r\nSIDEBUS\r\n$7\r\nRESTORE\r\n$6\r\nSTREAM\r\n$1\r\ns\r\n$3\r\n2-1\r\n$3\r\n1-1\r\n$"
      "1\r\n9\r\n$1\r\n0\r\n",
      "*7\r\n$7\r\nSIDEBUS\r\n$7\r\nRESTORE\r\n$6\r\nSTRING\r\n$1\r\ns\r\n$1\r\nv\r\n$1\r\n7\r\n$1\r\n8\r\n",
      "*2\r\n$7\r\nSIDEBUS\r\n$8\r\nRESTORED\r\n",
      "*5\r\n$7\r\nSIDEBUS\r\n$4\r\nPART\r\n$1\r\n2\r\n$1\r\n3\r\n$3\r\nxyz\r\n",
  };
  for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
    struct sb_buf written = {0}, again = {0};
    struct sb_sidebus read;
    sb_sidebus_append(&written, &entries[i]);
    assert_true(sb_bytes_equal(sb_buf_bytes(&written), sb_bytes_of(texts[i])));
    assert_int_equal(sb_sidebus_size(&entries[i]), written.len);
    assert_true(sb_sidebus_read(sb_buf_bytes(&written), 0, &read));
    assert_int_equal(read.word, entries[i].word);
    sb_sidebus_append(&again, &read);
    assert_true(sb_bytes_equal(sb_buf_bytes(&written), sb_buf_bytes(&again)));
    sb_buf_close(&written);
    sb_buf_close(&again);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hello),
      cmocka_unit_test(test_a_hello_within_one_log),
      cmocka_unit_test(test_pieces_of_a_text),
      cmocka_unit_test(test_genesis),
      cmocka_unit_test(test_what_is_no_control_message),
      cmocka_unit_test(test_sidebus_entries),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
