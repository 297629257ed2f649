/* What is asked for and not done here: counted by what it was and by who asked, told once, and bounded. */
#include "tests/unit/redis_fixture.h"

#include "bridge/redis/commands/refused.h"

#define SILENT "-ERR there are no keyspace events here: a subscription to '"

static unsigned logged;
static char last_line[1024];

static void note_log(void *owner, enum sb_log_level level, const char *area, const char *cause,
                     const char *line) {
  (void)owner;
  (void)cause;
  (void)level;
  (void)area;
  if (!strstr(line, "refused")) return;
  logged++;
  snprintf(last_line, sizeof last_line, "%s", line);
}

static void begin(struct fixture *f) {
  fixture_init(f);
  logged = 0;
  sb_log_to(note_log, NULL, SB_LOG_NOTICE);
  fixture_start(f);
}

/* All that comes until `end` has come; to be freed. */
static char *ask(struct fixture *f, int fd, const char *request, const char *end) {
  struct sb_buf got = {0};
  say(f, fd, request);
  for (bool over = false; !over;) {
    until(f, (over = hear(fd, &got, 1)) || (got.len > 0 && got.data[got.len - 1] == '\n'));
    sb_buf_append(&got, "", 1);
    if (strstr((char *)got.data, end)) break;
    got.len--;
  }
  return (char *)got.data;
}

static void assert_says(const char *text, const char *what) {
  if (!strstr(text, what)) fail_msg("<%s> does not say <%s>", text, what);
}

/* ---- by sessions ---- */

static void test_each_kind_is_counted_by_library_and_logged_once(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int one = join(&f), two = join(&f);
  say(&f, one, "CLIENT SETINFO LIB-NAME lib\r\nhset user password secret\r\nHSET a b c\r\n");
  say(&f, two, "HGET a b\r\nCLIENT SETNAME app\r\nHSET a b c\r\n");
  char *text = ask(&f, one, "PING end\r\n", "end");
  free(text);
  text = ask(&f, two, "PING end\r\n", "end");
  free(text);
  text = ask(&f, one, "INFO REFUSED\r\nPING end\r\n", "end");
  assert_says(text, "refused_total:4\r\nrefused_kinds:3\r\nrefused_without_a_row:0\r\n");
  assert_says(text, "refused_0:what=hset,client=lib,count=2\r\n");
  assert_says(text, "what=hget,client=unknown,count=1\r\n");
  assert_says(text, "what=hset,client=app,count=1\r\n");
  free(text);
  text = ask(&f, one, "SIDEBUS REFUSED\r\nPING end\r\n", "end");
  assert_says(text,
              "*3\r\n*12\r\n$4\r\nwhat\r\n$4\r\nhset\r\n$6\r\nclient\r\n$3\r\nlib\r\n$5\r\ncount\r\n:2\r\n");
  assert_says(text, "$5\r\nerror\r\n$20\r\n-ERR unknown command\r\n");
  free(text);
  assert_int_equal(logged, 3);
  assert_null(strstr(last_line, "secret"));
  close(one);
  close(two);
  fixture_close(&f);
}

static void test_whatever_is_not_done_has_a_name(void **state) {
  (void)state;
  static const struct {
    const char *request, *what;
  } kinds[] = {
      {"WATCH k", "watch"},
      {"XGROUP CREATE s g 0", "xgroup|create"},
      {"XREADGROUP GROUP g c STREAMS s >", "xreadgroup"},
      {"XSETID s 1-1", "xsetid"},
      {"XADD s 1-1 f v", "xadd explicit id"},
      {"XINFO STREAM s FULL", "xinfo|stream FULL"},
      {"CLIENT TRACKING on", "client|tracking"},
      {"CONFIG SET maxmemory 1", "config|set maxmemory"},
      {"SELECT 1", "select other databases"},
      {"EVAL \"return 1\" 0", "script e0e1f9fabfc9d4800c877a703b823ac0578ff8db"},
      {"SCRIPT LOAD \"return 1\"", "script e0e1f9fabfc9d4800c877a703b823ac0578ff8db"},
      {"SUBSCRIBE __keyevent@0__:expired", "subscribe keyspace events"},
      {"\"a\\x01,=\\\"\"", "a\\x01\\x2c\\x3d\\x22"},
  };
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    char line[128];
    say(&f, fd, kinds[i].request);
    char *text = ask(&f, fd, "\r\nINFO REFUSED\r\nPING end\r\n", "end");
    snprintf(line, sizeof line, "what=%s,client=unknown,count=", kinds[i].what);
    assert_says(text, line);
    free(text);
  }
  char *text =
      ask(&f, fd, "MULTI\r\nXADD s 1-1 f v\r\nINFO\r\nDISCARD\r\nINFO REFUSED\r\nPING end\r\n", "end");
  assert_says(text, "what=xadd explicit id,client=unknown,count=2\r\n");
  assert_says(text, "what=info inside MULTI,client=unknown,count=1\r\n");
  free(text);
  close(fd);
  fixture_close(&f);
}

/* Errors that Redis would give as well say nothing about what is missing here. */
static void test_what_redis_refuses_too_is_not_counted(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  char *text = ask(
      &f, fd,
      "GET\r\nSET k v NX XX\r\nEXEC\r\nEVALSHA 0123456789012345678901234567890123456789 0\r\nCLUSTER INFO\r\n"
      "MULTI\r\nWATCH k\r\nDISCARD\r\nAUTH a b c\r\nUNWATCH\r\nINFO REFUSED\r\nPING end\r\n",
      "end");
  assert_says(text, "refused_total:0\r\n");
  free(text);
  assert_int_equal(logged, 0);
  close(fd);
  fixture_close(&f);
}

static void test_one_that_waits_for_its_turn_is_counted_once(void **state) {
  (void)state;
  struct fixture f;
  begin(&f);
  int fd = join(&f);
  f.log_stands = true;
  say(&f, fd, "PUBLISH a b\r\nXINFO STREAM s FULL\r\nCONFIG SET save x\r\n");
  expect_silence(&f, fd);
  f.log_stands = false;
  char *text = ask(&f, fd, "INFO REFUSED\r\nPING end\r\n", "end");
  assert_says(text, "refused_total:2\r\n");
  free(text);
  close(fd);
  fixture_close(&f);
}

/* ---- keyspace events ---- */

static void test_a_subscription_that_would_stay_silent_is_refused(void **state) {
  (void)state;
  static const char *const refused[][2] = {
      {"SUBSCRIBE", "__keyevent@0__:expired"},
      {"SUBSCRIBE", "__keyspace@0__:k"},
      {"SSUBSCRIBE", "__keyspace@0__:k"},
      {"PSUBSCRIBE", "__keyevent@*"},
      {"PSUBSCRIBE", "__key*@*__:*"},
      {"PSUBSCRIBE", "__key*"},
      {"PSUBSCRIBE", "__key[es]*"},
      {"PSUBSCRIBE", "__keyspace?0__:*"},
      {"PSUBSCRIBE", "\\_\\_keyevent@*"},
      {"PSUBSCRIBE", "__k*"},
      {"PSUBSCRIBE", "[_]_k*"},
      {"PSUBSCRIBE", "__[k]*"},
      {"PSUBSCRIBE", "__k?y*"},
      {"PSUBSCRIBE", "[_]_keyspace@0__:x"},
      {"PSUBSCRIBE", "[_-_][^!-^`-~]keyevent@*"},
      {"PSUBSCRIBE", "?_keyspace@0__:x"},
      {"PSUBSCRIBE", "??keyspace@*"},
      {"PSUBSCRIBE", "__[k]eyevent@0__:expired"},
      {"PSUBSCRIBE", "__[a-z]ey[se][pv][ae][cn][et]@*"},
      {"PSUBSCRIBE", "__?eyspace@0__:*"},
      {"PSUBSCRIBE", "__key?????@*"},
      {"PSUBSCRIBE", "__keyspace[@"},
      {"PSUBSCRIBE", "__keyspace[^a]*"},
  };
  static const char *const taken[][2] = {
      {"subscribe", "__keyspace"},  {"subscribe", "__keyevent"},
      {"subscribe", "__key*"},      {"subscribe", "__keyring@x"},
      {"psubscribe", "__keyring*"}, {"psubscribe", "*"},
      {"psubscribe", "__*"},        {"psubscribe", "__keyspace"},
      {"psubscribe", "_*"},         {"psubscribe", "?*"},
      {"psubscribe", "__?*"},       {"psubscribe", "__[a-z]*"},
      {"psubscribe", "?_keys*"},    {"psubscribe", "???????????*"},
      {"psubscribe", "__kv*"},      {"psubscribe", "__keyspace[^@]*"},
      {"psubscribe", "__k??"},      {"psubscribe", "__KEYSPACE@*"},
      {"psubscribe", "__key[]*"},   {"psubscribe", "*__keyspace@*"},
      {"psubscribe", "_"},          {"psubscribe", "__keyspace\\"},
  };
  struct fixture f;
  char text[200];
  begin(&f);
  int fd = join(&f);
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    snprintf(text, sizeof text, "%s a %s\r\n", refused[i][0], refused[i][1]);
    say(&f, fd, text);
    snprintf(text, sizeof text, SILENT "%s' would stay silent\r\n", refused[i][1]);
    expect(&f, fd, text);
  }
  say(&f, fd,
      "CONFIG GET notify-keyspace-events\r\nCONFIG SET notify-keyspace-events KEA\r\n"
      "CONFIG SET notify-keyspace-events \"\"\r\n");
  expect(&f, fd,
         "*2\r\n$22\r\nnotify-keyspace-events\r\n$0\r\n\r\n"
         "-ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - there are no "
         "keyspace "
         "events here\r\n+OK\r\n");
  for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
    snprintf(text, sizeof text, "%s %s\r\n", taken[i][0], taken[i][1]);
    say(&f, fd, text);
    snprintf(text, sizeof text, "*3\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n:%zu\r\n", strlen(taken[i][0]),
             taken[i][0], strlen(taken[i][1]), taken[i][1], i + 1);
    expect(&f, fd, text);
  }
  close(fd);
  fixture_close(&f);
}

/* ---- bounds ---- */

static void test_rows_are_bounded_and_the_rest_is_counted_together(void **state) {
  (void)state;
  static struct sb_refused refused;
  const struct sb_refused_row *row = NULL, *rows[SB_REFUSED_ROWS];
  unsigned kinds = 0, full = 0;
  for (unsigned i = 0; i < 3 * SB_REFUSED_ROWS; i++) {
    char what[16];
    snprintf(what, sizeof what, "c%u", i);
    enum sb_refused_news news = sb_refused_count(&refused, what, "lib", sb_bytes_of("-ERR no\r\n"), i, &row);
    kinds += news == SB_REFUSED_NEW;
    full += news == SB_REFUSED_FULL;
  }
  assert_int_equal(kinds, SB_REFUSED_ROWS);
  assert_int_equal(full, 1); /* it is told once */
  assert_int_equal(refused.uncounted, 2 * SB_REFUSED_ROWS);
  assert_int_equal(refused.total, 3 * SB_REFUSED_ROWS);
  assert_int_equal(sb_refused_count(&refused, "c7", "lib", sb_bytes_of("-ERR other"), 999, &row),
                   SB_REFUSED_KNOWN);
  assert_int_equal(sb_refused_sorted(&refused, rows), SB_REFUSED_ROWS);
  assert_string_equal(rows[0]->what, "c7");
  assert_int_equal(rows[0]->count, 2);
  assert_int_equal(rows[0]->first_ms, 7);
  assert_int_equal(rows[0]->last_ms, 999);
  assert_string_equal(rows[0]->error, "-ERR no");
  assert_string_equal(rows[1]->what, "c0");
  struct sb_buf info = {0};
  sb_refused_info(&refused, &info);
  assert_true(info.len < 2000);
  sb_buf_close(&info);
}

static void test_a_name_of_any_length_fits(void **state) {
  (void)state;
  char name[20] = "", small[8] = "";
  sb_refused_name(name, sizeof name, sb_bytes("ab\0\xff", 4));
  assert_string_equal(name, "ab\\x00\\xff");
  sb_refused_name(name, sizeof name, sb_bytes_of("cdefghijkl"));
  assert_string_equal(name, "ab\\x00\\xffcdefgh...");
  sb_refused_name(name, sizeof name, sb_bytes_of("more"));
  assert_string_equal(name, "ab\\x00\\xffcdefgh...");
  sb_refused_name(small, sizeof small, sb_bytes_of("\n\n"));
  assert_string_equal(small, "\\x0a...");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_kind_is_counted_by_library_and_logged_once),
      cmocka_unit_test(test_whatever_is_not_done_has_a_name),
      cmocka_unit_test(test_what_redis_refuses_too_is_not_counted),
      cmocka_unit_test(test_one_that_waits_for_its_turn_is_counted_once),
      cmocka_unit_test(test_a_subscription_that_would_stay_silent_is_refused),
      cmocka_unit_test(test_rows_are_bounded_and_the_rest_is_counted_together),
      cmocka_unit_test(test_a_name_of_any_length_fits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
