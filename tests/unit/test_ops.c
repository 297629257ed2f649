/* Log records and the escaping of bytes from anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridge/ops/escape.h"
#include "bridge/ops/log_sink.h"

static void expect_text(struct sb_buf *out, const char *expected) {
  assert_int_equal(out->len, strlen(expected));
  if (out->len) assert_memory_equal(out->data, expected, out->len);
  sb_buf_close(out);
}

#define BYTES(literal) sb_bytes((literal), sizeof(literal) - 1)

static void test_json_keeps_utf8_and_replaces_the_rest(void **state) {
  (void)state;
  static const struct {
    struct sb_bytes in;
    const char *out;
  } cases[] = {
      {{(const uint8_t *)"", 0}, ""},
      {{(const uint8_t *)"a\"b\\c", 5}, "a\\\"b\\\\c"},
      {{(const uint8_t *)"\n\x00\x1f\x7f", 4}, "\\u000a\\u0000\\u001f\\u007f"},
      {{(const uint8_t *)"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9}, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
      {{(const uint8_t *)"\xff", 1}, "\xef\xbf\xbd"},
      {{(const uint8_t *)"\xc3", 1}, "\xef\xbf\xbd"},                                 /* cut off */
      {{(const uint8_t *)"\xc0\xaf", 2}, "\xef\xbf\xbd\xef\xbf\xbd"},                 /* too long a form */
      {{(const uint8_t *)"\xed\xa0\x80", 3}, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
      {{(const uint8_t *)"\xf4\x90\x80\x80", 4},
       "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* too high */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_buf out = {0};
    sb_escape_json(cases[i].in, &out);
    expect_text(&out, cases[i].out);
  }
}

static void test_a_terminal_gets_no_control_characters(void **state) {
  (void)state;
  struct sb_buf out = {0};
  sb_escape_terminal(BYTES("a\n\r\t\\\x1b[2J\x00\xff\xc2\x9b \xc3\xa9"), &out);
  expect_text(&out, "a\\n\\r\\t\\\\\\x1b[2J\\x00\\xff\\xc2\\x9b \xc3\xa9");
  for (int c = 0; c < 256; c++) {
    uint8_t byte = (uint8_t)c;
    sb_escape_terminal(sb_bytes(&byte, 1), &out);
    for (size_t i = 0; i < out.len; i++) assert_true(out.data[i] >= ' ' && out.data[i] < 127);
    sb_buf_close(&out);
  }
}

static void test_a_text_record_has_time_level_area_and_message(void **state) {
  (void)state;
  const struct sb_log_stderr sink = {.node = "web-01"};
  struct sb_buf out = {0};
  sb_log_record(&out, &sink, 1795341600123, SB_LOG_NOTICE, "rabbitmq", "mq-1 is up");
  expect_text(&out, "2026-11-22T10:00:00.123Z notice rabbitmq: mq-1 is up\n");
}

static void test_a_json_record_is_one_escaped_line(void **state) {
  (void)state;
  const struct sb_log_stderr sink = {.json = true, .node = "web-01"};
  struct sb_buf out = {0};
  sb_log_record(&out, &sink, 1795341600007, SB_LOG_ERROR, "core", "a \"b\" \xff\n");
  expect_text(
      &out,
      "{\"ts\":\"2026-11-22T10:00:00.007Z\",\"level\":\"error\",\"area\":\"core\",\"msg\":\"a \\\"b\\\" "
      "\xef\xbf\xbd\\u000a\",\"node\":\"web-01\"}\n");
}

static void test_an_opened_sink_writes_whole_lines_above_its_threshold(void **state) {
  (void)state;
  static struct sb_log_stderr sink;
  int ends[2];
  char text[4096];
  assert_int_equal(pipe(ends), 0);
  int saved = dup(STDERR_FILENO);
  assert_true(saved >= 0);
  assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
  sb_log_stderr_open(&sink, false, "web-01", SB_LOG_WARN);
  sb_log(SB_LOG_WARN, "core", "number %d", 7);
  sb_log(SB_LOG_NOTICE, "core", "too quiet");
  sb_log_threshold(SB_LOG_DEBUG);
  sb_log(SB_LOG_DEBUG, "core", "heard");
  sb_log_to(NULL, NULL, SB_LOG_NOTICE);
  assert_true(dup2(saved, STDERR_FILENO) >= 0);
  close(saved);
  close(ends[1]);
  ssize_t len = read(ends[0], text, sizeof text - 1);
  close(ends[0]);
  assert_true(len > 0);
  text[len] = 0;
  assert_non_null(strstr(text, "Z warn core: number 7\n"));
  assert_non_null(strstr(text, "Z debug core: heard\n"));
  assert_null(strstr(text, "too quiet"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_json_keeps_utf8_and_replaces_the_rest),
      cmocka_unit_test(test_a_terminal_gets_no_control_characters),
      cmocka_unit_test(test_a_text_record_has_time_level_area_and_message),
      cmocka_unit_test(test_a_json_record_is_one_escaped_line),
      cmocka_unit_test(test_an_opened_sink_writes_whole_lines_above_its_threshold),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
