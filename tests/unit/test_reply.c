/* The reply writer: every type in both protocols, byte for byte as redis-server 7.0.15 writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "bridge/base/bytes.h"
#include "bridge/base/reply.h"

/* Compares what was written with the literal `expected`, and begins anew. */
#define EXPECT(buf, expected)                                                                                \
  do {                                                                                                       \
    sb_buf_append((buf), "", 1);                                                                             \
    assert_int_equal((buf)->len, sizeof(expected));                                                          \
    assert_memory_equal((buf)->data, expected, sizeof(expected));                                            \
    sb_buf_clear(buf);                                                                                       \
  } while (0)

static int open_buf(void **state) {
  *state = sb_calloc(1, sizeof(struct sb_buf));
  return 0;
}

static int close_buf(void **state) {
  sb_buf_close(*state);
  free(*state);
  return 0;
}

static void simple_strings_and_integers(void **state) {
  struct sb_buf *buf = *state;
  sb_reply_simple(buf, "OK");
  EXPECT(buf, "+OK\r\n");
  sb_reply_integer(buf, 0);
  EXPECT(buf, ":0\r\n");
  sb_reply_integer(buf, 9);
  EXPECT(buf, ":9\r\n");
  sb_reply_integer(buf, 10);
  EXPECT(buf, ":10\r\n");
  sb_reply_integer(buf, -1);
  EXPECT(buf, ":-1\r\n");
  sb_reply_integer(buf, INT64_MAX);
  EXPECT(buf, ":9223372036854775807\r\n");
  sb_reply_integer(buf, INT64_MIN);
  EXPECT(buf, ":-9223372036854775808\r\n");
}

static void errors_get_a_code_unless_they_bring_one(void **state) {
  struct sb_buf *buf = *state;
  sb_reply_error_text(buf, "unknown command");
  EXPECT(buf, "-ERR unknown command\r\n");
  sb_reply_error_text(buf, "-NOPROTO unsupported protocol version");
  EXPECT(buf, "-NOPROTO unsupported protocol version\r\n");
  sb_reply_error_text(buf, "");
  EXPECT(buf, "-ERR \r\n");
  sb_reply_errorf(buf, "unknown subcommand '%s'. Try %s HELP.", "x", "CLIENT");
  EXPECT(buf, "-ERR unknown subcommand 'x'. Try CLIENT HELP.\r\n");
  sb_reply_errorf(buf, "-BUSY since %d s", 3);
  EXPECT(buf, "-BUSY since 3 s\r\n");
  sb_reply_errorf(buf, "%s", "");
  EXPECT(buf, "-ERR \r\n");
}

static void an_error_cannot_break_the_stream(void **state) {
  struct sb_buf *buf = *state;
  sb_reply_error_text(buf, "unknown command 'a\r\n+OK\r\n'");
  EXPECT(buf, "-ERR unknown command 'a  +OK  '\r\n");
  sb_reply_error_text(buf, "\r\n-BUSY ends in a line\n\r\n");
  EXPECT(buf, "-BUSY ends in a line\r\n");
  sb_reply_error_text(buf, "\r\n");
  EXPECT(buf, "-ERR \r\n");
  sb_reply_error(buf, sb_bytes("a\0b\n c", 6));
  EXPECT(buf, "-ERR a\0b  c\r\n");
  sb_reply_errorf(buf, "expected '$', got '%c'", '\n');
  EXPECT(buf, "-ERR expected '$', got ' '\r\n");
}

static void strings_are_binary_safe(void **state) {
  struct sb_buf *buf = *state;
  sb_reply_bulk(buf, sb_bytes("\r\n\0$", 4));
  EXPECT(buf, "$4\r\n\r\n\0$\r\n");
  sb_reply_bulk(buf, sb_bytes(NULL, 0));
  EXPECT(buf, "$0\r\n\r\n");
  sb_reply_bulk_text(buf, "0123456789");
  EXPECT(buf, "$10\r\n0123456789\r\n");
  sb_reply_verbatim(buf, 2, "txt", sb_bytes("a:1\r\n", 5));
  EXPECT(buf, "$5\r\na:1\r\n\r\n");
  sb_reply_verbatim(buf, 3, "txt", sb_bytes("a:1\r\n", 5));
  EXPECT(buf, "=9\r\ntxt:a:1\r\n\r\n");
  sb_reply_verbatim(buf, 3, "txt", sb_bytes(NULL, 0));
  EXPECT(buf, "=4\r\ntxt:\r\n");
}

static void a_large_string_is_whole(void **state) {
  struct sb_buf *buf = *state;
  enum { LEN = 1 << 20 };
  uint8_t *bytes = sb_malloc(LEN);
  for (size_t i = 0; i < LEN; i++) bytes[i] = (uint8_t)(i * 7);
  sb_reply_bulk(buf, sb_bytes(bytes, LEN));
  assert_int_equal(buf->len, 10 + LEN + 2);
  assert_memory_equal(buf->data, "$1048576\r\n", 10);
  assert_memory_equal(buf->data + 10, bytes, LEN);
  assert_memory_equal(buf->data + 10 + LEN, "\r\n", 2);
  free(bytes);
}

static void missing_values_differ_by_protocol(void **state) {
  struct sb_buf *buf = *state;
  sb_reply_null(buf, 2);
  EXPECT(buf, "$-1\r\n");
  sb_reply_null_array(buf, 2);
  EXPECT(buf, "*-1\r\n");
  sb_reply_null(buf, 3);
  EXPECT(buf, "_\r\n");
  sb_reply_null_array(buf, 3);
  EXPECT(buf, "_\r\n");
}

static void headers_differ_by_protocol(void **state) {
  struct sb_buf *buf = *state;
  sb_reply_array(buf, 0);
  EXPECT(buf, "*0\r\n");
  sb_reply_array(buf, 1234567890123);
  EXPECT(buf, "*1234567890123\r\n");
  sb_reply_map(buf, 2, 7);
  EXPECT(buf, "*14\r\n");
  sb_reply_map(buf, 3, 7);
  EXPECT(buf, "%7\r\n");
  sb_reply_set(buf, 2, 2);
  EXPECT(buf, "*2\r\n");
  sb_reply_set(buf, 3, 2);
  EXPECT(buf, "~2\r\n");
  sb_reply_push(buf, 2, 3);
  EXPECT(buf, "*3\r\n");
  sb_reply_push(buf, 3, 3);
  EXPECT(buf, ">3\r\n");
}

static void doubles_and_booleans_differ_by_protocol(void **state) {
  struct sb_buf *buf = *state;
  sb_reply_double(buf, 3, 0.1);
  EXPECT(buf, ",0.10000000000000001\r\n");
  sb_reply_double(buf, 2, 0.1);
  EXPECT(buf, "$19\r\n0.10000000000000001\r\n");
  sb_reply_double(buf, 3, 3);
  EXPECT(buf, ",3\r\n");
  sb_reply_double(buf, 3, -1.5e300);
  EXPECT(buf, ",-1.5000000000000001e+300\r\n");
  sb_reply_double(buf, 3, (double)INFINITY);
  EXPECT(buf, ",inf\r\n");
  sb_reply_double(buf, 2, -(double)INFINITY);
  EXPECT(buf, "$4\r\n-inf\r\n");
  sb_reply_double(buf, 3, -(double)NAN);
  EXPECT(buf, ",nan\r\n");
  sb_reply_bool(buf, 3, true);
  EXPECT(buf, "#t\r\n");
  sb_reply_bool(buf, 3, false);
  EXPECT(buf, "#f\r\n");
  sb_reply_bool(buf, 2, true);
  EXPECT(buf, ":1\r\n");
  sb_reply_bool(buf, 2, false);
  EXPECT(buf, ":0\r\n");
}

static void replies_are_laid_end_to_end(void **state) {
  struct sb_buf *buf = *state;
  sb_reply_push(buf, 3, 3);
  sb_reply_bulk_text(buf, "subscribe");
  sb_reply_bulk_text(buf, "news");
  sb_reply_integer(buf, 1);
  EXPECT(buf, ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(simple_strings_and_integers, open_buf, close_buf),
      cmocka_unit_test_setup_teardown(errors_get_a_code_unless_they_bring_one, open_buf, close_buf),
      cmocka_unit_test_setup_teardown(an_error_cannot_break_the_stream, open_buf, close_buf),
      cmocka_unit_test_setup_teardown(strings_are_binary_safe, open_buf, close_buf),
      cmocka_unit_test_setup_teardown(a_large_string_is_whole, open_buf, close_buf),
      cmocka_unit_test_setup_teardown(missing_values_differ_by_protocol, open_buf, close_buf),
      cmocka_unit_test_setup_teardown(headers_differ_by_protocol, open_buf, close_buf),
      cmocka_unit_test_setup_teardown(doubles_and_booleans_differ_by_protocol, open_buf, close_buf),
      cmocka_unit_test_setup_teardown(replies_are_laid_end_to_end, open_buf, close_buf),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
