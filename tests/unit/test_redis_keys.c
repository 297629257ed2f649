/* Keys, streams, transactions and scripts as sessions meet them: order, blocking, refusals. */
#include "tests/unit/redis_fixture.h"

#include "bridge/base/limits.h"

#define CROSS_SLOT "-CROSSSLOT Keys in request don't hash to the same slot\r\n"
#define ABORTED    "-EXECABORT Transaction discarded because of previous errors.\r\n"
#define NO_WATCH   "-ERR WATCH is not supported: conditions are decided in log order, use SET with NX or XX\r\n"
#define OTHER      "b" /* of another partition than "a" */
#define NUMBER                                                                                               \
  "local newId = redis.call('INCR', KEYS[1]) local payload = newId .. ' ' .. ARGV[1] "                       \
  "redis.call('PUBLISH', KEYS[1], payload) return {newId, ARGV[1], payload}"
#define NUMBER_SHA1 "7abda6371505d860df48852c6bc727c15f62bb4c"
#define EACH        "for i = 2, #ARGV do redis.call('publish', ARGV[i], ARGV[1]) end"

static void begin(struct fixture *f) {
  fixture_init(f);
  f->core_settings.history_bytes = 8 * MIB;
  fixture_start(f);
}

/* The commands are read and judged: nothing is left to be taken but what is held up. */
static void let_it_read(struct fixture *f) {
  for (int i = 0; i < 20; i++) turn(f);
}

static bool has_lines(const struct sb_buf *got, unsigned lines) {
  for (size_t i = 0; i < got->len; i++)
    if (got->data[i] == '\n') lines--;
  return lines == 0;
}

/* What comes up to the `lines`-th end of a line, with a zero behind it; to be closed. */
static struct sb_buf hear_lines(struct fixture *f, int fd, unsigned lines) {
  struct sb_buf got = {0};
  bool end = false;
  until(f, end || has_lines(&got, lines) || (end = hear(fd, &got, 1)));
  sb_buf_append(&got, "", 1);
  return got;
}

/* A bulk string that is an id. */
static void expect_id(struct fixture *f, int fd, char id[static 64]) {
  struct sb_buf got = hear_lines(f, fd, 2);
  const char *line = strchr((char *)got.data, '\n');
  const char *at = line ? line + 1 : "";
  char want[96];
  snprintf(id, 64, "%.*s", (int)strspn(at, "0123456789-"), at);
  snprintf(want, sizeof want, "$%zu\r\n%s\r\n", strlen(id), id);
  assert_string_equal((char *)got.data, want);
  assert_non_null(strchr(id, '-'));
  sb_buf_close(&got);
}

/* ---- keys ---- */

static void test_a_read_sees_the_writes_before_it(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  f.log_stands = true;
  say(&f, fd, "SET k v\r\nGET k\r\nINCR n\r\nDEL k\r\nGET k\r\nGET n\r\n");
  expect_silence(&f, fd);
  f.log_stands = false;
  expect(&f, fd, "+OK\r\n$1\r\nv\r\n:1\r\n:1\r\n$-1\r\n$1\r\n1\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_writes_do_not_wait_for_each_other(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  f.log_stands = true;
  static char value[4096];
  memset(value, 'v', sizeof value - 1);
  for (int i = 0; i < 3; i++) {
    say(&f, fd, "SET k ");
    say(&f, fd, value);
    say(&f, fd, "\r\n");
  }
  let_it_read(&f);
  assert_int_equal(stats_of(&f).commands, 3);
  f.log_stands = false;
  expect(&f, fd, "+OK\r\n+OK\r\n+OK\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_keys_of_two_partitions_are_refused(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  assert_int_not_equal(sb_core_partition(f.core, sb_bytes_of("a")),
                       sb_core_partition(f.core, sb_bytes_of(OTHER)));
  int fd = join(&f);
  say(&f, fd, "DEL a " OTHER "\r\nDEL {a}1 {a}2\r\nEXISTS a " OTHER "\r\nXREAD STREAMS a " OTHER " 0 0\r\n");
  expect(&f, fd, CROSS_SLOT ":0\r\n" CROSS_SLOT "*-1\r\n");
  say(&f, fd,
      "MULTI\r\nSET a 1\r\nPUBLISH " OTHER " x\r\nEXEC\r\nMULTI\r\nDEL a " OTHER "\r\nEXEC\r\nGET a\r\n");
  expect(&f, fd, "+OK\r\n+QUEUED\r\n" CROSS_SLOT ABORTED "+OK\r\n" CROSS_SLOT ABORTED "$-1\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_consumer_groups_are_refused(void **state) {
  (void)state;
  static const char refused[] =
      "-ERR consumer groups are not supported: every reader keeps its own position\r\n";
  static const char *const lines[] = {
      "XGROUP CREATE s g 0\r\n",  "XREADGROUP GROUP g c STREAMS s >\r\n",
      "XACK s g 1-1\r\n",         "XCLAIM s g c 0 1-1\r\n",
      "XAUTOCLAIM s g c 0 0\r\n", "XPENDING s g\r\n",
      "XINFO GROUPS s\r\n",       "XINFO CONSUMERS s g\r\n",
  };
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    say(&f, fd, lines[i]);
    expect(&f, fd, refused);
  }
  say(&f, fd, "XSETID s 1-1\r\n");
  expect(&f, fd, "-ERR XSETID is not supported: ids come from the log\r\n");
  close(fd);
  fixture_close(&f);
}

/* ---- XREAD that blocks ---- */

static void test_who_blocks_is_not_read_until_an_entry_comes(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int reader = join(&f), writer = join(&f);
  say(&f, reader, "XREAD BLOCK 0 STREAMS s $\r\nPING\r\nSET k v\r\n");
  expect_silence(&f, reader);
  uint64_t commands = stats_of(&f).commands;
  say(&f, writer, "GET k\r\nPUBLISH s x\r\n");
  expect(&f, writer, "$-1\r\n:0\r\n");
  expect(&f, reader, "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n");
  char id[64];
  expect_id(&f, reader, id);
  expect(&f, reader, "*2\r\n$4\r\ndata\r\n$1\r\nx\r\n+PONG\r\n+OK\r\n");
  assert_int_equal(stats_of(&f).commands, commands + 4);
  close(reader);
  close(writer);
  fixture_close(&f);
}

static void test_who_blocks_goes_on_when_the_time_is_over(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd, "XREAD BLOCK 30 STREAMS s $\r\nPING\r\n");
  expect_silence(&f, fd);
  expect(&f, fd, "*-1\r\n+PONG\r\n");
  say(&f, fd, "XREAD BLOCK 1 STREAMS s $\r\n");
  expect(&f, fd, "*-1\r\n");
  say(&f, fd, "PING\r\n");
  expect(&f, fd, "+PONG\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_a_protocol_error_waits_for_the_answer_before_it(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd, "XREAD BLOCK 50 STREAMS s $\r\n*1\r\n!\r\n");
  expect_silence(&f, fd);
  expect(&f, fd, "*-1\r\n-ERR Protocol error: expected '$', got '!'\r\n");
  expect_end(&f, fd);
  close(fd);
  fixture_close(&f);
}

static void test_who_hangs_up_while_blocked_is_closed(void **state) {
  (void)state;
  static const char *const behind[] = {"", "PING\r\n"}; /* the second is held up behind the first */
  struct fixture f;
  begin(&f);
  for (size_t i = 0; i < 4; i++) {
    int fd = join(&f);
    say(&f, fd, "XREAD BLOCK 0 STREAMS s $\r\n");
    say(&f, fd, behind[i % 2]);
    expect_silence(&f, fd);
    assert_int_equal(stats_of(&f).sessions, 1);
    if (i < 2)
      shutdown(fd, SHUT_WR);
    else
      close(fd);
    until(&f, stats_of(&f).sessions == 0);
    if (i < 2) close(fd);
  }
  fixture_close(&f);
}

static void test_in_a_transaction_xread_does_not_block(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd,
      "MULTI\r\nXREAD BLOCK 0 STREAMS s $\r\nEXEC\r\nMULTI\r\nXREAD BLOCK 0 STREAMS s $\r\nSET s "
      "v\r\nEXEC\r\n");
  expect(&f, fd, "+OK\r\n+QUEUED\r\n*1\r\n*-1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n*-1\r\n+OK\r\n");
  close(fd);
  fixture_close(&f);
}

/* ---- transactions ---- */

static void test_a_transaction_is_answered_as_one(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  f.log_stands = true;
  say(&f, fd,
      "MULTI\r\nset k 1\r\nIncr k\r\nGET k\r\nPUBLISH k x\r\nPING\r\nPING a\r\nECHO b\r\nEXEC\r\nPING\r\n");
  expect(&f, fd, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
  expect_silence(&f, fd);
  f.log_stands = false;
  expect(&f, fd, "*7\r\n+OK\r\n:2\r\n$1\r\n2\r\n:0\r\n+PONG\r\n$1\r\na\r\n$1\r\nb\r\n+PONG\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_a_transaction_that_only_reads_waits_for_the_writes_before_it(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  f.log_stands = true;
  say(&f, fd, "SET k v\r\nMULTI\r\nGET k\r\nXLEN k\r\nPING\r\nEXEC\r\nMULTI\r\nEXEC\r\n");
  expect_silence(&f, fd);
  f.log_stands = false;
  expect(&f, fd,
         "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n$1\r\nv\r\n"
         "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n+PONG\r\n+OK\r\n*0\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_what_is_wrong_in_a_transaction_is_found_when_redis_finds_it(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd, "MULTI\r\nSET k\r\nEXEC\r\nMULTI\r\nNOSUCH\r\nSET k v\r\nEXEC\r\nEXEC\r\nDISCARD\r\nGET k\r\n");
  expect(&f, fd,
         "+OK\r\n-ERR wrong number of arguments for 'set' command\r\n" ABORTED
         "+OK\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n+QUEUED\r\n" ABORTED
         "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n$-1\r\n");
  say(&f, fd,
      "MULTI\r\nSET k v\r\nMULTI\r\nWATCH k\r\nset k x PX 0\r\nset k x nosuch\r\nGET k\r\nEXEC\r\nGET k\r\n");
  expect(&f, fd,
         "+OK\r\n+QUEUED\r\n-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not allowed\r\n"
         "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n+OK\r\n-ERR invalid expire time in 'set' command\r\n"
         "-ERR syntax error\r\n$1\r\nv\r\n$1\r\nv\r\n");
  say(&f, fd, "MULTI\r\nset k x PX 0\r\nEXEC\r\nGET k\r\nMULTI\r\nSET k 2\r\nEXEC a\r\nEXEC\r\nGET k\r\n");
  expect(&f, fd,
         "+OK\r\n+QUEUED\r\n*1\r\n-ERR invalid expire time in 'set' command\r\n$1\r\nv\r\n+OK\r\n+QUEUED\r\n"
         "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n"
         "-ERR EXEC without MULTI\r\n$1\r\nv\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_other_commands_cannot_be_in_a_transaction(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd, "MULTI\r\nCLIENT GETNAME\r\nSUBSCRIBE a\r\nEXEC\r\nPUBSUB NUMPAT\r\n");
  expect(&f, fd,
         "+OK\r\n-ERR 'client|getname' cannot be used inside MULTI here\r\n"
         "-ERR 'subscribe' cannot be used inside MULTI here\r\n" ABORTED ":0\r\n");
  close(fd);
  fixture_close(&f);
}

/* Clients send WATCH, reads, MULTI … EXEC without looking at each reply: what they believe to be conditional
 * must not be done without its condition. */
static void test_after_a_refused_watch_the_next_exec_fails(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd,
      "SET k 1\r\nWATCH k\r\nGET k\r\nMULTI\r\nSET k 9\r\nEXEC\r\nGET k\r\nMULTI\r\nSET k 2\r\nEXEC\r\n");
  expect(&f, fd,
         "+OK\r\n" NO_WATCH "$1\r\n1\r\n+OK\r\n+QUEUED\r\n" ABORTED
         "$1\r\n1\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
  say(&f, fd, "WATCH k\r\nEXEC\r\nDISCARD\r\nMULTI\r\nGET k\r\nEXEC\r\n"); /* there was no transaction yet */
  expect(&f, fd,
         NO_WATCH "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n+OK\r\n+QUEUED\r\n" ABORTED);
  say(&f, fd, "WATCH k\r\nMULTI\r\nEXEC a\r\nMULTI\r\nEXEC\r\n");
  expect(&f, fd,
         NO_WATCH "+OK\r\n-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
                  "command\r\n+OK\r\n*0\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_what_ends_a_watch_in_redis_ends_a_refused_one(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f), other = join(&f);
  say(&f, fd, "WATCH k\r\nUNWATCH\r\nMULTI\r\nEXEC\r\nWATCH k\r\nMULTI\r\nDISCARD\r\nMULTI\r\nEXEC\r\n");
  expect(&f, fd, NO_WATCH "+OK\r\n+OK\r\n*0\r\n" NO_WATCH "+OK\r\n+OK\r\n+OK\r\n*0\r\n");
  say(&f, fd, "WATCH k\r\nRESET\r\nMULTI\r\nEXEC\r\nWATCH k\r\n");
  expect(&f, fd, NO_WATCH "+RESET\r\n+OK\r\n*0\r\n" NO_WATCH);
  say(&f, other, "MULTI\r\nEXEC\r\n"); /* it is that session's affair */
  expect(&f, other, "+OK\r\n*0\r\n");
  close(other);
  close(fd);
  fixture_close(&f);
}

static void test_unwatch_is_queued_as_in_redis(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd, "MULTI\r\nUNWATCH\r\nSET k 1\r\nunwatch\r\nEXEC\r\nMULTI\r\nUNWATCH\r\nPING\r\nEXEC\r\n");
  expect(&f, fd,
         "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n+OK\r\n+OK\r\n"
         "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+PONG\r\n");
  say(&f, fd, "WATCH k\r\nMULTI\r\nUNWATCH\r\nEXEC\r\n"); /* too late for this transaction */
  expect(&f, fd, NO_WATCH "+OK\r\n+QUEUED\r\n" ABORTED);
  close(fd);
  fixture_close(&f);
}

static void test_a_watch_that_is_refused_while_subscribed_fails_the_next_exec(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd, "SUBSCRIBE a\r\nWATCH k\r\nUNSUBSCRIBE a\r\nMULTI\r\nSET k 1\r\nEXEC\r\nGET k\r\n");
  expect(&f, fd,
         "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
         "-ERR Can't execute 'watch': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
         "allowed in "
         "this context\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n+OK\r\n+QUEUED\r\n" ABORTED "$-1\r\n");
  close(fd);
  fixture_close(&f);
}

/* What Redis would queue and run, and a bridge does not, must not be missing from a transaction unnoticed. */
static void test_what_is_refused_between_multi_and_exec_fails_exec(void **state) {
  (void)state;
  static const char *const lines[] = {
      "HSET h f v",     "SET k",
      "XADD s 1-1 f v", "XINFO STREAM s FULL",
      "EVAL x 0",       "EVALSHA x 0",
      "SUBSCRIBE c",    "XREADGROUP GROUP g c STREAMS s >",
      "CONFIG SET a b", "CLIENT TRACKING on",
      "SCRIPT LOAD x",  "SELECT 1",
      "PUBSUB NUMPAT",  "XSETID s 1-1",
      ("DEL a " OTHER), "SUBSCRIBE __keyevent@0__:del",
  };
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    say(&f, fd, "MULTI\r\nSET k v\r\n");
    say(&f, fd, lines[i]);
    say(&f, fd, "\r\nEXEC\r\nGET k\r\n");
    struct sb_buf got = hear_lines(&f, fd, 5);
    const char *error = strstr((char *)got.data, "QUEUED\r\n");
    assert_non_null(error);
    assert_int_equal(error[8], '-');
    assert_non_null(strstr(error, ABORTED "$-1\r\n"));
    sb_buf_close(&got);
  }
  close(fd);
  fixture_close(&f);
}

static void test_discard_reset_and_the_end_forget_a_transaction(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd, "MULTI\r\nSET k v\r\nDISCARD\r\nEXEC\r\nMULTI\r\nSET k v\r\nRESET\r\nEXEC\r\nGET k\r\n");
  expect(&f, fd,
         "+OK\r\n+QUEUED\r\n+OK\r\n-ERR EXEC without MULTI\r\n+OK\r\n+QUEUED\r\n+RESET\r\n"
         "-ERR EXEC without MULTI\r\n$-1\r\n");
  say(&f, fd, "MULTI\r\nSET k v\r\nQUIT\r\nEXEC\r\n");
  expect(&f, fd, "+OK\r\n+QUEUED\r\n+OK\r\n");
  expect_end(&f, fd);
  close(fd);
  fixture_close(&f);
}

static void test_a_transaction_is_bounded(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  sb_core_set_entry_max(f.core, 127); /* too little for parts */
  int fd = join(&f);
  static char value[64];
  memset(value, 'v', sizeof value - 1);
  say(&f, fd, "MULTI\r\nSET k ");
  say(&f, fd, value);
  say(&f, fd, "\r\nSET k ");
  say(&f, fd, value);
  say(&f, fd, "\r\nEXEC\r\n");
  expect(&f, fd,
         "+OK\r\n+QUEUED\r\n-ERR transaction of 228 bytes is larger than the 127 bytes that the log "
         "takes\r\n" ABORTED);

  sb_core_set_entry_max(f.core, 4 * MIB);
  struct sb_buf all = {0}, want = {0};
  sb_buf_text(&all, "MULTI\r\n");
  sb_buf_text(&want, "+OK\r\n");
  for (int i = 0; i < SB_MULTI_COMMANDS_MAX; i++) {
    sb_buf_text(&all, "GET k\r\n");
    sb_buf_text(&want, "+QUEUED\r\n");
  }
  sb_buf_text(&all, "GET k\r\nEXEC\r\n");
  sb_buf_text(&want, "-ERR transaction of more than 4096 commands\r\n" ABORTED);
  say_bytes(&f, fd, all.data, all.len);
  expect_bytes(&f, fd, want.data, want.len);
  sb_buf_close(&all);
  sb_buf_close(&want);
  close(fd);
  fixture_close(&f);
}

static void test_a_transaction_waits_for_the_broker_as_one(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd, "MULTI\r\nSET k 1\r\nINCR k\r\n");
  expect(&f, fd, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
  set_link(&f, false);
  say(&f, fd, "EXEC\r\nGET k\r\n");
  expect_silence(&f, fd);
  set_link(&f, true);
  for (uint32_t p = 0; p < PARTITIONS; p++) sb_core_attached(f.core, p, SB_ATTACH_CONTINUED);
  expect(&f, fd, "*2\r\n+OK\r\n:2\r\n$1\r\n2\r\n");
  close(fd);
  fixture_close(&f);
}

/* ---- scripts ---- */

static void say_script(struct fixture *f, int fd, const char *command, const char *script, const char *rest) {
  struct sb_buf line = {0};
  sb_buf_printf(&line, "%s \"%s\" %s\r\n", command, script, rest);
  say_bytes(f, fd, line.data, line.len);
  sb_buf_close(&line);
}

/* "[<number>, p, <number> p]"; returns the number. */
static unsigned long long expect_number(struct fixture *f, int fd) {
  struct sb_buf got = hear_lines(f, fd, 6);
  const char *at = strchr((char *)got.data, ':');
  unsigned long long number = at ? strtoull(at + 1, NULL, 10) : 0;
  char text[64], want[128];
  int len = snprintf(text, sizeof text, "%llu p", number);
  snprintf(want, sizeof want, "*3\r\n:%llu\r\n$1\r\np\r\n$%d\r\n%s\r\n", number, len, text);
  assert_string_equal((char *)got.data, want);
  sb_buf_close(&got);
  return number;
}

static void test_signalr_gets_growing_numbers(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd, "EVALSHA " NUMBER_SHA1 " 1 k p\r\n");
  expect(&f, fd, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
  say_script(&f, fd, "EVAL", NUMBER, "1 k p");
  unsigned long long first = expect_number(&f, fd);
  say(&f, fd, "EVALSHA " NUMBER_SHA1 " 1 k p\r\n");
  assert_true(expect_number(&f, fd) > first);
  say(&f, fd,
      "EVALSHA " NUMBER_SHA1 " 0 p\r\nEVALSHA " NUMBER_SHA1 " 1 k\r\nEVALSHA " NUMBER_SHA1 " 3 k\r\n");
  expect(&f, fd,
         "-ERR this script needs a key and an argument\r\n-ERR this script needs a key and an argument\r\n"
         "-ERR Number of keys can't be greater than number of args\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_laravel_publishes_to_each_channel(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f), listener = join(&f);
  say(&f, listener, "SUBSCRIBE a " OTHER "\r\n");
  expect(&f, listener,
         "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\n" OTHER "\r\n:2\r\n");
  f.log_stands = true;
  say_script(&f, fd, "EVAL", EACH, "0 p a");
  say_script(&f, fd, "EVAL", EACH, "0 p a " OTHER);
  say_script(&f, fd, "EVAL", EACH, "0");
  expect_silence(&f, fd);
  f.log_stands = false;
  expect(&f, fd, "$-1\r\n$-1\r\n$-1\r\n");
  struct sb_buf got = {0};
  static const char a[] = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\np\r\n",
                    other[] = "*3\r\n$7\r\nmessage\r\n$1\r\n" OTHER "\r\n$1\r\np\r\n";
  size_t whole = 2 * strlen(a) + strlen(other);
  until(&f, got.len == whole || hear(listener, &got, whole - got.len));
  assert_non_null(memmem(got.data, got.len, other, strlen(other)));
  sb_buf_close(&got);
  close(fd);
  close(listener);
  fixture_close(&f);
}

static void test_other_scripts_are_refused(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  static const char unknown[] = "-ERR sidebus runs no scripts but those of ASP.NET SignalR and of Laravel's "
                                "broadcaster; this one is unknown\r\n";
  say(&f, fd, "EVAL \"return 1\" 0\r\nSCRIPT LOAD \"return 1\"\r\n");
  expect(&f, fd, unknown);
  expect(&f, fd, unknown);
  say_script(&f, fd, "SCRIPT LOAD", NUMBER, "");
  expect(&f, fd, "$40\r\n" NUMBER_SHA1 "\r\n");
  say(&f, fd, "SCRIPT EXISTS " NUMBER_SHA1 " x\r\nSCRIPT FLUSH\r\nSCRIPT EXISTS " NUMBER_SHA1 "\r\n");
  expect(&f, fd, "*2\r\n:1\r\n:0\r\n+OK\r\n*1\r\n:0\r\n");
  close(fd);
  fixture_close(&f);
}

/* ---- ids ---- */

#define PUSHED(text) ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n" text "\r\n"

static void expect_hello_3(struct fixture *f, int fd) {
  struct sb_buf got = {0};
  until(f, (got.len > 4 && memcmp(got.data + got.len - 4, "*0\r\n", 4) == 0) || hear(fd, &got, 1));
  sb_buf_close(&got);
}

static void test_ids_come_before_messages_when_asked_for(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  say(&f, fd, "SIDEBUS IDS ON\r\nSIDEBUS IDS OFF\r\nSIDEBUS IDS x\r\n");
  expect(&f, fd, "-ERR ids are attributes, which need RESP3: send HELLO 3\r\n+OK\r\n-ERR syntax error\r\n");
  say(&f, fd, "HELLO 3\r\n");
  expect_hello_3(&f, fd);
  say(&f, fd, "SUBSCRIBE a\r\nPUBLISH a 1\r\n");
  expect(&f, fd, ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" PUSHED("1") ":1\r\n");
  say(&f, fd, "SIDEBUS IDS on\r\nPUBLISH a 2\r\n");
  expect(&f, fd, "+OK\r\n|1\r\n");
  expect(&f, fd, "$2\r\nid\r\n");
  char id[64], at[128];
  expect_id(&f, fd, id);
  expect(&f, fd, PUSHED("2") ":1\r\n");
  snprintf(at, sizeof at, "XRANGE a %s +\r\n", id);
  say(&f, fd, at);
  expect(&f, fd, "*1\r\n*2\r\n");
  char again[64];
  expect_id(&f, fd, again);
  assert_string_equal(again, id);
  expect(&f, fd, "*2\r\n$4\r\ndata\r\n$1\r\n2\r\n");
  say(&f, fd, "SIDEBUS IDS OFF\r\nPUBLISH a 3\r\n");
  expect(&f, fd, "+OK\r\n" PUSHED("3") ":1\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_hello_2_and_reset_switch_ids_off(void **state) {
  (void)state;
  static const char *const ends[] = {"HELLO 2\r\n", "RESET\r\n"};
  struct fixture f;
  begin(&f);
  for (size_t i = 0; i < 2; i++) {
    int fd = join(&f);
    say(&f, fd, "HELLO 3\r\nSIDEBUS IDS ON\r\n");
    expect_hello_3(&f, fd);
    expect(&f, fd, "+OK\r\n");
    say(&f, fd, ends[i]);
    if (i == 0)
      expect_hello_3(&f, fd);
    else
      expect(&f, fd, "+RESET\r\n");
    say(&f, fd, "HELLO 3\r\nSUBSCRIBE a\r\nPUBLISH a 1\r\n");
    expect_hello_3(&f, fd);
    expect(&f, fd, ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" PUSHED("1") ":1\r\n");
    close(fd);
    until(&f, stats_of(&f).sessions == 0 && counted(&f) == 0);
  }
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_read_sees_the_writes_before_it),
      cmocka_unit_test(test_writes_do_not_wait_for_each_other),
      cmocka_unit_test(test_keys_of_two_partitions_are_refused),
      cmocka_unit_test(test_consumer_groups_are_refused),
      cmocka_unit_test(test_who_blocks_is_not_read_until_an_entry_comes),
      cmocka_unit_test(test_who_blocks_goes_on_when_the_time_is_over),
      cmocka_unit_test(test_a_protocol_error_waits_for_the_answer_before_it),
      cmocka_unit_test(test_who_hangs_up_while_blocked_is_closed),
      cmocka_unit_test(test_in_a_transaction_xread_does_not_block),
      cmocka_unit_test(test_a_transaction_is_answered_as_one),
      cmocka_unit_test(test_a_transaction_that_only_reads_waits_for_the_writes_before_it),
      cmocka_unit_test(test_what_is_wrong_in_a_transaction_is_found_when_redis_finds_it),
      cmocka_unit_test(test_other_commands_cannot_be_in_a_transaction),
      cmocka_unit_test(test_after_a_refused_watch_the_next_exec_fails),
      cmocka_unit_test(test_what_ends_a_watch_in_redis_ends_a_refused_one),
      cmocka_unit_test(test_unwatch_is_queued_as_in_redis),
      cmocka_unit_test(test_a_watch_that_is_refused_while_subscribed_fails_the_next_exec),
      cmocka_unit_test(test_what_is_refused_between_multi_and_exec_fails_exec),
      cmocka_unit_test(test_discard_reset_and_the_end_forget_a_transaction),
      cmocka_unit_test(test_a_transaction_is_bounded),
      cmocka_unit_test(test_a_transaction_waits_for_the_broker_as_one),
      cmocka_unit_test(test_signalr_gets_growing_numbers),
      cmocka_unit_test(test_laravel_publishes_to_each_channel),
      cmocka_unit_test(test_other_scripts_are_refused),
      cmocka_unit_test(test_ids_come_before_messages_when_asked_for),
      cmocka_unit_test(test_hello_2_and_reset_switch_ids_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
