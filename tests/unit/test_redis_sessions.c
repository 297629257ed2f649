/* Sessions: the order of replies, back-pressure, ends of connections, limits. */
#include "tests/unit/redis_fixture.h"

#include <dlfcn.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bridge/base/limits.h"

#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/server_struct.h"

#define SUBSCRIBED(name, count) "*3\r\n$9\r\nsubscribe\r\n$1\r\n" name "\r\n:" count "\r\n"
#define MESSAGE(name, text)     "*3\r\n$7\r\nmessage\r\n$1\r\n" name "\r\n$1\r\n" text "\r\n"

/* ---- order ---- */

static void test_replies_keep_the_order_of_the_requests(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  f.log_stands = true;
  say(&f, fd, "PING 1\r\nPUBLISH a x\r\nPING 2\r\nNOSUCH\r\nSUBSCRIBE a\r\nPING\r\n");
  expect(&f, fd, "$1\r\n1\r\n");
  expect_silence(&f, fd);
  f.log_stands = false;
  expect(&f, fd,
         ":0\r\n$1\r\n2\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n" SUBSCRIBED(
             "a", "1") "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_a_subscription_begins_behind_the_publishes_before_it(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  say(&f, fd, "HELLO 3\r\nPUBLISH a 1\r\nSUBSCRIBE a\r\nPUBLISH a 2\r\nUNSUBSCRIBE a\r\nPUBLISH a 3\r\n");
  struct sb_buf got = {0};
  static const char tail[] = ":0\r\n"
                             ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
                             ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n2\r\n:1\r\n"
                             ">3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n"
                             ":0\r\n";
  size_t hello = strlen(
      "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\n"
      "id\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n"
      "*0\r\n");
  size_t whole = hello + strlen(tail);
  until(&f, got.len >= whole || hear(fd, &got, whole - got.len));
  assert_int_equal(got.len, whole);
  assert_memory_equal(got.data + hello, tail, strlen(tail));
  sb_buf_close(&got);
  close(fd);
  fixture_close(&f);
}

static void test_a_full_ring_stops_reading_and_goes_on_when_replies_come(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  f.log_stands = true;
  enum { COUNT = SB_RING_SLOTS_MAX + 5000 };
  static const char request[] = "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$1\r\nx\r\n";
  struct sb_buf all = {0};
  for (int i = 0; i < COUNT; i++) sb_buf_text(&all, request);
  size_t sent = 0;
  while (stats_of(&f).commands < SB_RING_SLOTS_MAX) {
    sent += offer(fd, all.data + sent, all.len - sent);
    turn(&f);
  }
  for (int i = 0; i < 20; i++) {
    sent += offer(fd, all.data + sent, all.len - sent);
    turn(&f);
  }
  assert_int_equal(stats_of(&f).commands, SB_RING_SLOTS_MAX);
  f.log_stands = false;
  struct sb_buf got = {0};
  while (got.len < (size_t)COUNT * 4) {
    if (sent < all.len) sent += offer(fd, all.data + sent, all.len - sent);
    turn(&f);
    assert_false(hear(fd, &got, (size_t)COUNT * 4 - got.len));
  }
  for (size_t i = 0; i < got.len; i += 4) assert_memory_equal(got.data + i, ":0\r\n", 4);
  sb_buf_close(&got);
  sb_buf_close(&all);
  close(fd);
  fixture_close(&f);
}

static void test_a_large_reply_does_not_wait_in_the_ring(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  f.log_stands = true;
  static char word[4096];
  memset(word, 'e', sizeof word - 1);
  say(&f, fd, "PUBLISH a x\r\nECHO ");
  say(&f, fd, word);
  say(&f, fd, "\r\nPING\r\n");
  expect_silence(&f, fd);
  assert_int_equal(stats_of(&f).commands, 1);
  f.log_stands = false;
  expect(&f, fd, ":0\r\n$4095\r\n");
  expect(&f, fd, word);
  expect(&f, fd, "\r\n+PONG\r\n");
  close(fd);
  fixture_close(&f);
}

/* ---- waiting ---- */

static void test_nobody_subscribes_before_the_bridge_is_ready(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  fixture_open(&f);
  int fd = join(&f);
  say(&f, fd, "PING\r\nSUBSCRIBE a\r\nPING\r\n");
  expect(&f, fd, "+PONG\r\n");
  expect_silence(&f, fd);
  assert_int_equal(counted(&f), 0);
  fixture_ready(&f);
  expect(&f, fd, SUBSCRIBED("a", "1") "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_info_says_loading_until_the_bridge_is_ready(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  fixture_open(&f);
  int fd = join(&f);
  struct sb_buf got = {0};
  say(&f, fd, "INFO persistence\r\n");
  until(&f, got.len > 0 || hear(fd, &got, 4096));
  assert_non_null(memmem(got.data, got.len, "\r\nloading:1\r\n", 13));
  assert_non_null(memmem(got.data, got.len, "\r\nloading_eta_seconds:1\r\n", 25));
  fixture_ready(&f);
  sb_buf_clear(&got);
  say(&f, fd, "INFO\r\n");
  until(&f, got.len > 1000 || hear(fd, &got, 8192));
  assert_non_null(memmem(got.data, got.len, "\r\nloading:0\r\n", 13));
  assert_non_null(memmem(got.data, got.len, "\r\nrole:master\r\n", 15));
  assert_non_null(memmem(got.data, got.len, "\r\nbroker_state:loopback\r\n", 25));
  sb_buf_close(&got);
  close(fd);
  fixture_close(&f);
}

/* Publishers against a full outbox: not read, then served in the order in which they came to wait. */
static void test_publishers_wait_while_the_outbox_is_full(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.core_settings.outbox_bytes = 100000;
  fixture_start(&f);
  int reader = join(&f), writers[3];
  say(&f, reader, "SUBSCRIBE a\r\n");
  expect(&f, reader, SUBSCRIBED("a", "1"));
  f.log_stands = true;
  static char big[60001];
  memset(big, 'b', sizeof big - 1);
  for (int i = 0; i < 3; i++) {
    writers[i] = join(&f);
    say(&f, writers[i], "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$60000\r\n");
    big[0] = (char)('1' + i);
    say(&f, writers[i], big);
    say(&f, writers[i], "\r\n");
    until(&f, stats_of(&f).bytes_read >= (uint64_t)(i + 1) * 60000);
    for (int k = 0; k < 5; k++) turn(&f);
    assert_int_equal(stats_of(&f).waiting, i);
  }
  assert_true(is_idle(&f));
  f.log_stands = false;
  for (int i = 0; i < 3; i++) {
    big[0] = (char)('1' + i);
    expect(&f, reader, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$60000\r\n");
    expect(&f, reader, big);
    expect(&f, reader, "\r\n");
    expect(&f, writers[i], ":1\r\n");
    close(writers[i]);
  }
  assert_int_equal(stats_of(&f).waiting, 0);
  close(reader);
  fixture_close(&f);
}

static void test_in_an_outage_refusal_says_why_and_since_when(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.core_settings.refuse_in_outage = true;
  fixture_start(&f);
  int fd = join(&f);
  set_link(&f, false);
  sb_core_outage_reason(f.core, "it was unplugged");
  say(&f, fd, "PUBLISH a x\r\nPING\r\n");
  struct sb_buf got = {0};
  until(&f, got.len > 7 || hear(fd, &got, 4096));
  static const char begin[] = "-BUSY broker unreachable since 2", end[] = "Z: it was unplugged\r\n+PONG\r\n";
  assert_memory_equal(got.data, begin, sizeof begin - 1);
  assert_memory_equal(got.data + got.len - (sizeof end - 1), end, sizeof end - 1);
  sb_buf_close(&got);
  close(fd);
  fixture_close(&f);
}

static void test_what_no_log_takes_is_refused_with_the_limit(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  sb_core_set_entry_max(f.core, 100);
  int fd = join(&f);
  static char payload[200];
  memset(payload, 'x', sizeof payload - 1);
  say(&f, fd, "PUBLISH a ");
  say(&f, fd, payload);
  say(&f, fd, "\r\nPUBLISH a y\r\n");
  expect(&f, fd, "-ERR message of 231 bytes is larger than the 100 bytes that the log takes\r\n:0\r\n");
  close(fd);
  fixture_close(&f);
}

/* ---- ends ---- */

static void test_who_ends_his_side_gets_all_answers_first(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  f.log_stands = true;
  say(&f, fd, "PUBLISH a x\r\nSUBSCRIBE a\r\nUNSUBSCRIBE\r\nPING\r\nPIN");
  assert_int_equal(shutdown(fd, SHUT_WR), 0);
  expect_silence(&f, fd);
  assert_true(is_idle(&f)); /* an end is level-triggered: whoever watches for it is woken for ever */
  f.log_stands = false;
  expect(&f, fd, ":0\r\n" SUBSCRIBED("a", "1") "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n+PONG\r\n");
  expect_end(&f, fd);
  until(&f, stats_of(&f).sessions == 0);
  close(fd);
  fixture_close(&f);
}

static void test_a_subscriber_that_ends_his_side_is_closed(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  say(&f, fd, "SUBSCRIBE a\r\n");
  expect(&f, fd, SUBSCRIBED("a", "1"));
  shutdown(fd, SHUT_WR);
  expect_end(&f, fd);
  until(&f, counted(&f) == 0);
  close(fd);
  fixture_close(&f);
}

static void test_a_waiting_session_notices_that_its_peer_is_gone(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  say(&f, fd, "SUBSCRIBE b\r\n");
  expect(&f, fd, SUBSCRIBED("b", "1"));
  say(&f, fd, "RESET\r\n");
  expect(&f, fd, "+RESET\r\n");
  set_link(&f, false);
  say(&f, fd, "PUBLISH a x\r\nSUBSCRIBE a\r\nRESET\r\n"); /* which waits for the answers before it */
  until(&f, stats_of(&f).commands == 4);
  assert_true(is_idle(&f));
  close(fd);
  until(&f, stats_of(&f).sessions == 0);
  assert_int_equal(stats_of(&f).commands, 4);
  fixture_close(&f);
}

/* Who fires and forgets has been heard, unless it would take long. */
static void test_what_a_peer_sent_before_it_went_is_done(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int reader = join(&f), writer = join(&f);
  say(&f, reader, "SUBSCRIBE a\r\n");
  expect(&f, reader, SUBSCRIBED("a", "1"));
  f.log_stands = true;
  say(&f, writer, "PUBLISH a 1\r\nHELLO 3\r\nPUBLISH a 2\r\nRESET\r\nPUBLISH a 3\r\n");
  until(&f, stats_of(&f).commands == 2);
  close(writer);
  for (int i = 0; i < 20; i++) turn(&f);
  assert_true(is_idle(&f));
  f.log_stands = false;
  expect(&f, reader, MESSAGE("a", "1") MESSAGE("a", "2") MESSAGE("a", "3"));
  until(&f, stats_of(&f).sessions == 1);
  close(reader);
  fixture_close(&f);
}

/* A peer that goes with replies unread resets the connection. */
static void test_a_reset_connection_is_read_to_its_end(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int reader = join(&f), writer = join(&f);
  say(&f, reader, "SUBSCRIBE a\r\n");
  expect(&f, reader, SUBSCRIBED("a", "1"));
  say(&f, writer, "PING\r\n");
  until(&f, stats_of(&f).commands == 2 && stats_of(&f).bytes_written >= 30 + 7);
  assert_int_equal(offer(writer, "PUBLISH a 1\r\n", 13), 13);
  close(writer); /* the +PONG was not read */
  expect(&f, reader, MESSAGE("a", "1"));
  until(&f, stats_of(&f).sessions == 1);
  close(reader);
  fixture_close(&f);
}

static void test_quit_is_answered_behind_what_was_asked_before(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  f.log_stands = true;
  say(&f, fd, "PUBLISH a x\r\nQUIT\r\nPUBLISH a y\r\n");
  expect_silence(&f, fd);
  f.log_stands = false;
  expect(&f, fd, ":0\r\n+OK\r\n");
  expect_end(&f, fd);
  assert_int_equal(stats_of(&f).commands, 2);
  close(fd);
  fixture_close(&f);
}

static void test_a_session_closed_with_replies_outstanding_is_freed_when_they_come(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f), other = join(&f);
  f.log_stands = true;
  say(&f, fd, "PUBLISH a x\r\n");
  until(&f, stats_of(&f).commands == 1);
  say(&f, other, "CLIENT KILL ID 1\r\n");
  expect(&f, other, ":1\r\n");
  expect_end(&f, fd);
  f.log_stands = false;
  say(&f, other, "PUBLISH a y\r\n");
  expect(&f, other, ":0\r\n");
  close(fd);
  close(other);
  fixture_close(&f); /* the sanitizers judge */
}

/* ---- limits ---- */

static void test_a_slow_subscriber_is_closed_and_disturbs_nobody(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.core_settings.output_hard_bytes = 1000000;
  fixture_start(&f);
  int slow = join(&f), quick = join(&f), writer = join(&f);
  say(&f, slow, "SUBSCRIBE a\r\n");
  say(&f, quick, "SUBSCRIBE a\r\n");
  expect(&f, quick, SUBSCRIBED("a", "1"));
  static char payload[10001];
  memset(payload, 'p', sizeof payload - 1);
  int sent = 0;
  while (stats_of(&f).closed_for_output == 0) {
    assert_true(sent++ < 1000);
    say(&f, writer, "PUBLISH a ");
    say(&f, writer, payload);
    say(&f, writer, "\r\n");
    expect(&f, writer, stats_of(&f).closed_for_output ? ":1\r\n" : ":2\r\n");
    expect(&f, quick, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$10000\r\n");
    expect(&f, quick, payload);
    expect(&f, quick, "\r\n");
  }
  assert_true(sent > 100);
  assert_int_equal(stats_of(&f).sessions, 2);
  say(&f, writer, "PUBLISH a z\r\n");
  expect(&f, quick, MESSAGE("a", "z"));
  expect(&f, writer, ":1\r\n");
  close(slow);
  close(quick);
  close(writer);
  fixture_close(&f);
}

/* The log is asked whether it should stand as the daemon does: before a message is taken, and after sessions
 * had their turn. */
static bool log_stands(struct fixture *f) {
  uv_run(&f->loop, UV_RUN_NOWAIT);
  return sb_server_log_stands(f->server, true);
}

static int fill_until_it_stands(struct fixture *f, int writer, const char *payload) {
  int sent = 0;
  for (; !log_stands(f); sent++) {
    assert_true(sent < 1000);
    say(f, writer, "PUBLISH a ");
    say(f, writer, payload);
    say(f, writer, "\r\n");
    expect(f, writer, ":1\r\n");
  }
  return sent;
}

static void expect_line_that_begins(struct fixture *f, int fd, const char *begin) {
  struct sb_buf got = {0};
  until(f, hear(fd, &got, 1) || (got.len > 0 && got.data[got.len - 1] == '\n'));
  sb_buf_append(&got, "", 1);
  assert_int_equal(strncmp((const char *)got.data, begin, strlen(begin)), 0);
  sb_buf_close(&got);
}

static void test_who_was_refused_in_an_outage_is_closed_when_it_is_over(void **state) {
  (void)state;
  struct fixture f;
  char busy[80];
  fixture_init(&f);
  f.core_settings.refuse_in_outage = true;
  fixture_start(&f);
  int told = join(&f), again = join(&f), spared = join(&f);
  set_link(&f, false);
  say(&f, told, "PUBLISH a x\r\n");
  say(&f, again, "PUBLISH a x\r\n");
  say(&f, spared, "PING\r\n");
  expect(&f, spared, "+PONG\r\n");
  until(&f, f.server->busy_sessions == 2);
  snprintf(busy, sizeof busy, "-BUSY broker unreachable since ");
  expect_line_that_begins(&f, told, busy);
  expect_line_that_begins(&f, again, busy);
  say(&f, again, "PUBLISH a y\r\n"); /* told twice, closed once */
  expect_line_that_begins(&f, again, busy);
  set_link(&f, true);
  expect_end(&f, told);
  expect_end(&f, again);
  assert_int_equal(f.server->busy_sessions, 0);
  say(&f, spared, "PUBLISH a x\r\n");
  expect(&f, spared, ":0\r\n");
  close(told);
  close(again);
  close(spared);
  fixture_close(&f);
}

static void test_the_log_stands_while_a_session_that_reads_is_behind(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.settings.output_hard_bytes = f.core_settings.output_hard_bytes = 4000000;
  fixture_start(&f);
  int reader = join(&f), writer = join(&f);
  say(&f, reader, "SUBSCRIBE a\r\n");
  expect(&f, reader, SUBSCRIBED("a", "1"));
  static char payload[10001];
  memset(payload, 'p', sizeof payload - 1);
  int sent = fill_until_it_stands(&f, writer, payload);
  assert_true(sent >= 100); /* the mark is a quarter of the limit */
  assert_true(sent < 200);
  for (int i = 0; i < sent; i++) {
    expect(&f, reader, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$10000\r\n");
    expect(&f, reader, payload);
    expect(&f, reader, "\r\n");
  }
  assert_false(log_stands(&f));
  assert_int_equal(stats_of(&f).closed_for_output, 0);
  close(reader);
  close(writer);
  fixture_close(&f);
}

static void test_who_does_not_read_is_not_waited_for_long_nor_who_only_asks(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.settings.output_hard_bytes = f.core_settings.output_hard_bytes = 4000000;
  fixture_start(&f);
  int idle = join(&f), writer = join(&f);
  static char payload[10001];
  memset(payload, 'p', sizeof payload - 1);
  for (int i = 0; i < 200; i++) { /* replies do not come from the log */
    say(&f, idle, "ECHO ");
    say(&f, idle, payload);
    say(&f, idle, "\r\n");
  }
  until(&f, stats_of(&f).commands == 200);
  assert_false(log_stands(&f));
  for (int i = 0; i < 200; i++) {
    expect(&f, idle, "$10000\r\n");
    expect(&f, idle, payload);
    expect(&f, idle, "\r\n");
  }
  say(&f, idle, "SUBSCRIBE a\r\n");
  expect(&f, idle, SUBSCRIBED("a", "1"));
  fill_until_it_stands(&f, writer, payload);
  until(&f, !log_stands(&f));
  for (int sent = 0; stats_of(&f).closed_for_output == 0; sent++) {
    assert_true(sent < 1000);
    assert_false(log_stands(&f));
    say(&f, writer, "PUBLISH a ");
    say(&f, writer, payload);
    say(&f, writer, "\r\n");
    expect(&f, writer, stats_of(&f).closed_for_output ? ":0\r\n" : ":1\r\n");
  }
  assert_false(log_stands(&f));
  close(idle);
  close(writer);
  fixture_close(&f);
}

static void test_an_output_above_the_soft_limit_for_its_seconds_ends_the_session(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.settings.output_soft_bytes = 100000;
  f.settings.output_soft_seconds = 1;
  fixture_start(&f);
  int slow = join(&f), brief = join(&f), writer = join(&f);
  say(&f, slow, "SUBSCRIBE a\r\n");
  say(&f, brief, "SUBSCRIBE a\r\n");
  until(&f, stats_of(&f).commands == 2 && counted(&f) == 1);
  static char payload[400001];
  memset(payload, 'p', sizeof payload - 1);
  uint64_t start = steady_ms();
  say(&f, writer, "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$400000\r\n");
  say(&f, writer, payload);
  say(&f, writer, "\r\n");
  expect(&f, writer, ":2\r\n");
  expect(&f, brief, SUBSCRIBED("a", "1") "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$400000\r\n");
  expect(&f, brief, payload); /* it was above the limit, and came down in time */
  until(&f, stats_of(&f).closed_for_output == 1);
  assert_true(steady_ms() - start >= 1000);
  assert_int_equal(stats_of(&f).sessions, 2);
  close(slow);
  close(brief);
  close(writer);
  fixture_close(&f);
}

static void test_malformed_input_gets_its_error_and_the_end(void **state) {
  (void)state;
  struct fixture f;
  static const struct {
    const char *input, *reply;
  } cases[] = {
      {"*1\r\n$4\r\nPING\r\n*x\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"},
      {"*1\r\nPING\r\n", "-ERR Protocol error: expected '$', got 'P'\r\n"},
      {"*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
      {"*2000000\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
      {"PING \"open\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
      {"*1\r\n$100000000\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
  };
  fixture_begin(&f);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int fd = join(&f);
    say(&f, fd, cases[i].input);
    expect(&f, fd, cases[i].reply);
    expect_end(&f, fd);
    close(fd);
  }
  assert_int_equal(stats_of(&f).protocol_errors, sizeof cases / sizeof *cases);
  assert_int_equal(stats_of(&f).sessions, 0);
  fixture_close(&f);
}

static void test_a_protocol_error_is_told_behind_the_replies_before_it(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  f.log_stands = true;
  say(&f, fd, "PUBLISH a x\r\n*1\r\nPING\r\n");
  expect_silence(&f, fd);
  f.log_stands = false;
  expect(&f, fd, ":0\r\n-ERR Protocol error: expected '$', got 'P'\r\n");
  expect_end(&f, fd);
  close(fd);
  fixture_close(&f);
}

/* ---- large and split requests ---- */

static void test_requests_arrive_whole_however_they_are_cut(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f), reader = join(&f);
  say(&f, reader, "SUBSCRIBE a\r\n");
  expect(&f, reader, SUBSCRIBED("a", "1"));
  static const size_t sizes[] = {0, 1, 1000, 16384, 65536, 1048576, 3000000};
  unsigned seed = 7;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct sb_buf all = {0}, message = {0};
    sb_buf_printf(&all, "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$%zu\r\n", sizes[i]);
    sb_buf_printf(&message, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$%zu\r\n", sizes[i]);
    for (size_t k = 0; k < sizes[i]; k++) {
      uint8_t byte = (uint8_t)(k * 31 + i);
      sb_buf_append(&all, &byte, 1);
      sb_buf_append(&message, &byte, 1);
    }
    sb_buf_text(&all, "\r\n*1\r\n$4\r\nPING\r\n");
    sb_buf_text(&message, "\r\n");
    for (size_t at = 0; at < all.len;) {
      seed = seed * 1103515245 + 12345;
      size_t most = at < 200 ? 3 : 100000, cut = 1 + seed / 65536 % most;
      if (cut > all.len - at) cut = all.len - at;
      say_bytes(&f, fd, all.data + at, cut);
      turn(&f);
      at += cut;
    }
    expect_bytes(&f, reader, message.data, message.len);
    expect(&f, fd, ":1\r\n+PONG\r\n");
    sb_buf_close(&all);
    sb_buf_close(&message);
  }
  close(fd);
  close(reader);
  fixture_close(&f);
}

static void test_an_announced_length_costs_no_memory(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  say(&f, fd, "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$4000000\r\nabc");
  say(&f, fd, "def");
  for (int i = 0; i < 20; i++) turn(&f);
  struct sb_buf got = {0};
  int other = join(&f);
  say(&f, other, "CLIENT LIST\r\n");
  until(&f, got.len > 0 || hear(other, &got, 8192));
  sb_buf_append(&got, "", 1);
  const char *at = strstr((const char *)got.data, "qbuf-free=");
  assert_non_null(at);
  assert_true(strtoul(at + strlen("qbuf-free="), NULL, 10) <= (size_t)2 * SB_READ_BYTES);
  sb_buf_close(&got);
  close(fd);
  close(other);
  fixture_close(&f);
}

/* ---- many sessions ---- */

/* The clients, in a process of their own so that both sides have their descriptors. Each does a little, then
 * rests until the pipe closes. The exit code says how it went. */
static int be_idle_clients(const char *path, int count, int resting) {
  static const char request[] = "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$1\r\nx\r\nPING\r\n",
                    reply[] = ":0\r\n+PONG\r\n";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int *fds = sb_malloc((size_t)count * sizeof *fds);
  char got[sizeof reply];
  for (int i = 0; i < count; i++) {
    fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&address, sizeof address) != 0) return 1;
    if (send(fds[i], request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1) return 2;
  }
  for (int i = 0; i < count; i++)
    if (recv(fds[i], got, sizeof reply - 1, MSG_WAITALL) != (ssize_t)sizeof reply - 1 ||
        memcmp(got, reply, sizeof reply - 1) != 0)
      return 3;
  free(fds);
  return read(resting, got, 1) == 0 ? 0 : 4;
}

/* malloc's own count, or that of a sanitizer that stands in for it. */
static size_t heap_bytes(void) {
  size_t (*count)(void);
  void *found = dlsym(RTLD_DEFAULT, "__sanitizer_get_current_allocated_bytes");
  if (found) {
    memcpy(&count, &found, sizeof count);
    return count();
  }
  struct mallinfo2 heap = mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

static void test_ten_thousand_idle_sessions_cost_less_than_4_kib_each(void **state) {
  (void)state;
  enum { COUNT = 10000 };
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < COUNT + 100) {
    print_message("skipped: needs %d descriptors, may have %lu\n", COUNT + 100,
                  (unsigned long)limit.rlim_max);
    skip();
  }
  struct rlimit raised = {limit.rlim_max, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &raised);
  struct fixture f;
  fixture_init(&f);
  f.settings.sessions_max = COUNT;
  fixture_start(&f);
  size_t before = heap_bytes();
  int rest[2];
  assert_int_equal(pipe2(rest, O_CLOEXEC), 0);
  pid_t child = fork();
  if (child == 0) {
    close(rest[1]);
    _exit(be_idle_clients(f.path, COUNT, rest[0]));
  }
  close(rest[0]);
  until(&f, stats_of(&f).commands == (uint64_t)2 * COUNT && stats_of(&f).sessions == COUNT);
  for (int i = 0; i < 20; i++) turn(&f);
  size_t each = (heap_bytes() - before) / COUNT;
  print_message("%zu bytes for each idle session\n", each);
  assert_true(each < 4096);
  close(rest[1]);
  int status = -1;
  until(&f, waitpid(child, &status, WNOHANG) == child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  until(&f, stats_of(&f).sessions == 0);
  fixture_close(&f);
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_replies_keep_the_order_of_the_requests),
      cmocka_unit_test(test_a_subscription_begins_behind_the_publishes_before_it),
      cmocka_unit_test(test_a_full_ring_stops_reading_and_goes_on_when_replies_come),
      cmocka_unit_test(test_a_large_reply_does_not_wait_in_the_ring),
      cmocka_unit_test(test_nobody_subscribes_before_the_bridge_is_ready),
      cmocka_unit_test(test_info_says_loading_until_the_bridge_is_ready),
      cmocka_unit_test(test_publishers_wait_while_the_outbox_is_full),
      cmocka_unit_test(test_in_an_outage_refusal_says_why_and_since_when),
      cmocka_unit_test(test_what_no_log_takes_is_refused_with_the_limit),
      cmocka_unit_test(test_who_ends_his_side_gets_all_answers_first),
      cmocka_unit_test(test_a_subscriber_that_ends_his_side_is_closed),
      cmocka_unit_test(test_a_waiting_session_notices_that_its_peer_is_gone),
      cmocka_unit_test(test_what_a_peer_sent_before_it_went_is_done),
      cmocka_unit_test(test_a_reset_connection_is_read_to_its_end),
      cmocka_unit_test(test_quit_is_answered_behind_what_was_asked_before),
      cmocka_unit_test(test_a_session_closed_with_replies_outstanding_is_freed_when_they_come),
      cmocka_unit_test(test_a_slow_subscriber_is_closed_and_disturbs_nobody),
      cmocka_unit_test(test_who_was_refused_in_an_outage_is_closed_when_it_is_over),
      cmocka_unit_test(test_the_log_stands_while_a_session_that_reads_is_behind),
      cmocka_unit_test(test_who_does_not_read_is_not_waited_for_long_nor_who_only_asks),
      cmocka_unit_test(test_an_output_above_the_soft_limit_for_its_seconds_ends_the_session),
      cmocka_unit_test(test_malformed_input_gets_its_error_and_the_end),
      cmocka_unit_test(test_a_protocol_error_is_told_behind_the_replies_before_it),
      cmocka_unit_test(test_requests_arrive_whole_however_they_are_cut),
      cmocka_unit_test(test_an_announced_length_costs_no_memory),
      cmocka_unit_test(test_ten_thousand_idle_sessions_cost_less_than_4_kib_each),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
