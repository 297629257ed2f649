/* Log records and the escaping of bytes from anywhere. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridge/logging/escape.h"
#include "bridge/logging/log_sink.h"

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
  sb_log_stderr_close(&sink);
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

/* ---- stderr that is not read, or late ---- */

struct pipe_log {
  struct sb_log_stderr sink;
  int ends[2], saved;
  pthread_t reader;
  struct sb_buf text; /* what was read */
};

static void pipe_log_open(struct pipe_log *log) {
  assert_int_equal(pipe(log->ends), 0);
  log->saved = dup(STDERR_FILENO);
  assert_true(dup2(log->ends[1], STDERR_FILENO) >= 0);
  sb_log_stderr_open(&log->sink, false, "web-01", SB_LOG_DEBUG);
}

static void *read_to_the_end(void *argument) {
  struct pipe_log *log = argument;
  char piece[65536];
  ssize_t n;
  while ((n = read(log->ends[0], piece, sizeof piece)) > 0) sb_buf_append(&log->text, piece, (size_t)n);
  sb_buf_append(&log->text, "", 1);
  return NULL;
}

static void pipe_log_read(struct pipe_log *log) {
  pthread_create(&log->reader, NULL, read_to_the_end, log);
}

/* Waits until the sink's thread has written all, and ended; somebody reads. */
static void pipe_log_close(struct pipe_log *log) {
  sb_log_stderr_close(&log->sink);
  pthread_mutex_lock(&log->sink.lock);
  while (!log->sink.closed) pthread_cond_wait(&log->sink.written, &log->sink.lock);
  pthread_mutex_unlock(&log->sink.lock);
  dup2(log->saved, STDERR_FILENO);
  close(log->saved);
  close(log->ends[1]);
  pthread_join(log->reader, NULL);
  close(log->ends[0]);
}

static size_t lines_with(const struct sb_buf *text, const char *word) {
  size_t count = 0;
  for (const char *at = (const char *)text->data; (at = strstr(at, word)); at += strlen(word)) count++;
  return count;
}

/* Far more than the pipe and the queue hold. */
static void log_a_lot(void) {
  for (int i = 0; i < 20000; i++) sb_log(SB_LOG_DEBUG, "core", "%060d", i);
}

static void test_who_logs_never_waits_and_what_is_dropped_is_told(void **state) {
  (void)state;
  static const char told[] = "Z warn log: ";
  static struct pipe_log log;
  uint64_t before = sb_log_losses().dropped, sum = 0;
  pipe_log_open(&log);
  log_a_lot();
  pipe_log_read(&log);
  pipe_log_close(&log);
  uint64_t dropped = sb_log_losses().dropped - before;
  assert_true(dropped > 0);
  assert_int_equal(lines_with(&log.text, "Z debug core: "), 20000 - dropped);
  for (const char *at = (const char *)log.text.data; (at = strstr(at, told));) {
    char *end;
    sum += strtoull(at += sizeof told - 1, &end, 10);
    assert_memory_equal(end, " log lines were dropped", 23);
  }
  assert_int_equal(sum, dropped);
  sb_buf_close(&log.text);
}

static void test_lines_that_find_no_room_on_a_disk_count_as_dropped(void **state) {
  (void)state;
  static struct sb_log_stderr sink;
  uint64_t before = sb_log_losses().dropped;
  int saved = dup(STDERR_FILENO), full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full < 0) skip();
  dup2(full, STDERR_FILENO);
  sb_log_stderr_open(&sink, false, "web-01", SB_LOG_DEBUG);
  for (int i = 0; i < 10; i++) sb_log(SB_LOG_DEBUG, "core", "line %d", i);
  sb_log_stderr_close(&sink);
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(full);
  assert_true(sb_log_losses().dropped - before >= 10); /* and lines that tell of them */
}

static void test_a_stop_does_not_wait_for_who_reads_no_log(void **state) {
  (void)state;
  static struct pipe_log log;
  pipe_log_open(&log);
  log_a_lot();
  sb_log_stderr_close(&log.sink);
  bool closed = log.sink.closed;
  pipe_log_read(&log);
  pipe_log_close(&log);
  assert_false(closed);
  sb_buf_close(&log.text);
}

static void test_lines_of_one_cause_have_a_rate_and_the_rest_is_told(void **state) {
  (void)state;
  static struct pipe_log log;
  pipe_log_open(&log);
  for (int i = 0; i < 3000; i++) sb_log(SB_LOG_WARN, "core", "message at %d dropped: malformed", i);
  sb_log(SB_LOG_WARN, "core", "something else");
  pipe_log_read(&log);
  pipe_log_close(&log);
  assert_int_equal(lines_with(&log.text, "dropped: malformed"), SB_LOG_RATE_LINES + 1);
  assert_int_equal(
      lines_with(&log.text, "2968 more lines like the last one of them: message at 2999 dropped"), 1);
  assert_int_equal(lines_with(&log.text, "something else"), 1);
  sb_buf_close(&log.text);
}

static void test_a_rate_lets_lines_through_again_after_it_told_what_was_over(void **state) {
  (void)state;
  static struct sb_log_rate rate;
  static const char cause[] = "x %d";
  for (int i = 0; i < SB_LOG_RATE_LINES; i++)
    assert_true(sb_log_rate_take(&rate, 1000, SB_LOG_WARN, "core", cause, "x"));
  assert_false(sb_log_rate_take(&rate, 1000, SB_LOG_WARN, "core", cause, "x 1"));
  assert_false(
      sb_log_rate_take(&rate, 9000, SB_LOG_WARN, "core", cause, "x 2")); /* something waits to be told */
  assert_true(sb_log_rate_take(&rate, 1000, SB_LOG_DEBUG, "core", cause, "x")); /* has no rate */
  assert_true(sb_log_rate_take(&rate, 1000, SB_LOG_WARN, "core", "another", "y"));
  assert_int_equal(sb_log_rate_deadline(&rate), 1000 + SB_LOG_RATE_TELL_MS);
  assert_null(sb_log_rate_due(&rate, 1000 + SB_LOG_RATE_TELL_MS - 1));
  struct sb_log_cause *due = sb_log_rate_due(&rate, 1000 + SB_LOG_RATE_TELL_MS);
  assert_non_null(due);
  assert_int_equal(due->over, 2);
  assert_string_equal(due->last, "x 2");
  due->over = 0;
  assert_int_equal(sb_log_rate_deadline(&rate), UINT64_MAX);
  for (int i = 0; i < 10; i++) /* a line for each second since */
    assert_true(sb_log_rate_take(&rate, 11000, SB_LOG_WARN, "core", cause, "x"));
  assert_false(sb_log_rate_take(&rate, 11000, SB_LOG_WARN, "core", cause, "x"));
}

static void test_more_causes_than_are_kept_have_no_rate(void **state) {
  (void)state;
  static struct sb_log_rate rate;
  static const char causes[SB_LOG_RATE_CAUSES + 1];
  for (int round = 0; round < SB_LOG_RATE_LINES + 1; round++)
    for (size_t i = 0; i < sizeof causes; i++)
      assert_int_equal(sb_log_rate_take(&rate, 1000, SB_LOG_WARN, "core", &causes[i], "x"),
                       i == SB_LOG_RATE_CAUSES || round < SB_LOG_RATE_LINES);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_json_keeps_utf8_and_replaces_the_rest),
      cmocka_unit_test(test_a_terminal_gets_no_control_characters),
      cmocka_unit_test(test_a_text_record_has_time_level_area_and_message),
      cmocka_unit_test(test_a_json_record_is_one_escaped_line),
      cmocka_unit_test(test_an_opened_sink_writes_whole_lines_above_its_threshold),
      cmocka_unit_test(test_lines_that_find_no_room_on_a_disk_count_as_dropped),
      cmocka_unit_test(test_who_logs_never_waits_and_what_is_dropped_is_told),
      cmocka_unit_test(test_a_stop_does_not_wait_for_who_reads_no_log),
      cmocka_unit_test(test_lines_of_one_cause_have_a_rate_and_the_rest_is_told),
      cmocka_unit_test(test_a_rate_lets_lines_through_again_after_it_told_what_was_over),
      cmocka_unit_test(test_more_causes_than_are_kept_have_no_rate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
