/* What one session may take of a turn of the loop, and what memory a turn may take, whatever it brings. */
#include "tests/unit/redis_fixture.h"

#include "bridge/base/limits.h"
#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/server_struct.h"

#define CROWD       40
#define VALUE_BYTES 1000000

static void set_big(struct fixture *f, int fd) {
  struct sb_buf text = {0};
  sb_buf_printf(&text, "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n", VALUE_BYTES);
  while (text.len < VALUE_BYTES + 40) sb_buf_text(&text, "xxxxxxxxxx");
  text.len = strlen("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$1000000\r\n") + VALUE_BYTES;
  sb_buf_text(&text, "\r\n");
  say_bytes(f, fd, text.data, text.len);
  expect(f, fd, "+OK\r\n");
  sb_buf_close(&text);
}

static void offer_all(int fd, const char *request, int times) {
  struct sb_buf text = {0};
  for (int i = 0; i < times; i++) sb_buf_text(&text, request);
  assert_int_equal(offer(fd, text.data, text.len), text.len);
  sb_buf_close(&text);
}

/* Reads so many bytes of replies. */
static void take(struct fixture *f, int fd, size_t bytes) {
  struct sb_buf got = {0};
  size_t left = bytes;
  bool end = false;
  until(f, (got.len = 0, end = hear(fd, &got, left < MIB ? left : MIB), left -= got.len, left == 0 || end));
  assert_false(end);
  sb_buf_close(&got);
}

#define VALUE_REPLY_BYTES (strlen("$1000000\r\n") + VALUE_BYTES + 2)

static void a_session_that_is_over_its_output_limit_is_served_no_more(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.settings.output_hard_bytes = f.core_settings.output_hard_bytes = 4 * MIB;
  fixture_start(&f);
  int app = join(&f), hog = join(&f);
  set_big(&f, app);
  uint64_t before = stats_of(&f).commands;
  offer_all(hog, "GET big\r\n", 1000); /* and reads nothing */
  until(&f, stats_of(&f).closed_for_output == 1);
  assert_true(stats_of(&f).commands - before <= 6);
  say(&f, app, "PING\r\n");
  expect(&f, app, "+PONG\r\n");
  close(app);
  close(hog);
  fixture_close(&f);
}

static void requests_with_large_replies_are_taken_a_share_at_a_time(void **state) {
  (void)state;
  struct fixture f;
  enum { REQUESTS = 30 };
  fixture_begin(&f);
  int hog = join(&f), app = join(&f);
  set_big(&f, app);
  uint64_t before = stats_of(&f).commands;
  offer_all(hog, "GET big\r\n", REQUESTS);
  offer_all(app, "PING\r\n", 1);
  uv_run(&f.loop, UV_RUN_NOWAIT);
  assert_true(stats_of(&f).commands - before <= 3); /* one share, and the other's */
  expect(&f, app, "+PONG\r\n");
  take(&f, hog, REQUESTS * VALUE_REPLY_BYTES);
  say(&f, hog, "ECHO behind-all\r\n");
  expect(&f, hog, "$10\r\nbehind-all\r\n");
  close(hog);
  close(app);
  fixture_close(&f);
}

static void all_sessions_together_take_no_more_than_a_turn(void **state) {
  (void)state;
  struct fixture f;
  int crowd[CROWD];
  fixture_begin(&f);
  int app = join(&f);
  set_big(&f, app);
  for (int i = 0; i < CROWD; i++) crowd[i] = join(&f);
  uint64_t before = stats_of(&f).commands;
  for (int i = 0; i < CROWD; i++) offer_all(crowd[i], "GET big\r\nPING\r\n", 1);
  uv_run(&f.loop, UV_RUN_NOWAIT);
  assert_true(stats_of(&f).commands - before <= SB_TURN_BYTES_MAX / VALUE_BYTES * 2 + 2);
  for (int i = 0; i < CROWD; i++) {
    take(&f, crowd[i], VALUE_REPLY_BYTES);
    expect(&f, crowd[i], "+PONG\r\n");
    close(crowd[i]);
  }
  close(app);
  fixture_close(&f);
}

static void who_asks_for_little_does_not_stand_behind_those_who_ask_for_much(void **state) {
  (void)state;
  struct fixture f;
  int crowd[CROWD];
  fixture_begin(&f);
  int app = join(&f), other = join(&f);
  set_big(&f, app);
  for (int i = 0; i < CROWD; i++) crowd[i] = join(&f);
  for (int i = 0; i < CROWD; i++) offer_all(crowd[i], "GET big\r\n", 10);
  for (int i = 0; i < CROWD; i++) turn(&f); /* by now all of them wait for their turns */
  assert_true(sb_link_linked(&f.server->shares.waiting));
  offer_all(other, "PING\r\n", 1);
  turn(&f);
  struct sb_buf got = {0};
  assert_false(hear(other, &got, 100));
  assert_int_equal(got.len, strlen("+PONG\r\n"));
  sb_buf_close(&got);
  for (int i = 0; i < CROWD; i++) close(crowd[i]);
  close(app);
  close(other);
  fixture_close(&f);
}

/* What it has sent is still done, as it is of one whose replies are awaited. */
static void who_goes_while_it_waits_for_its_turn_is_done_with_first(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int hog = join(&f), app = join(&f);
  set_big(&f, app);
  offer_all(hog, "GET big\r\nGET big\r\nGET big\r\n", 1);
  offer_all(hog, "SET last 1\r\n", 1);
  close(hog);
  until(&f, stats_of(&f).sessions == 1);
  until(&f, f.first == NULL);
  say(&f, app, "GET last\r\n");
  expect(&f, app, "$1\r\n1\r\n");
  close(app);
  fixture_close(&f);
}

static void a_turn_that_waits_ends_with_its_session(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int hog = join(&f), app = join(&f);
  set_big(&f, app);
  offer_all(hog, "GET big\r\n", 30);
  uv_run(&f.loop, UV_RUN_NOWAIT);
  assert_true(sb_link_linked(&f.server->shares.waiting));
  say(&f, app, "CLIENT KILL TYPE normal\r\n");
  expect(&f, app, ":1\r\n");
  until(&f, stats_of(&f).sessions == 1);
  assert_true(is_idle(&f));
  assert_false(sb_link_linked(&f.server->shares.waiting));
  assert_false(uv_is_active((uv_handle_t *)&f.server->shares.idle));
  close(hog);
  close(app);
  fixture_close(&f);
}

static uint32_t blocked_count(const struct fixture *f) {
  uint32_t count = 0;
  for (const struct sb_link *at = f->server->roster.open.next; at != &f->server->roster.open; at = at->next)
    count += SB_OF_LINK(at, struct sb_connection, link)->session.blocked != NULL;
  return count;
}

static void who_waits_for_one_large_entry_is_served_a_turn_at_a_time(void **state) {
  (void)state;
  struct fixture f;
  int readers[CROWD];
  struct sb_buf add = {0};
  fixture_init(&f);
  f.core_settings.history_bytes = 8 * MIB;
  fixture_start(&f);
  int app = join(&f);
  for (int i = 0; i < CROWD; i++) {
    readers[i] = join(&f);
    say(&f, readers[i], "XREAD BLOCK 0 STREAMS s $\r\n");
  }
  until(&f, blocked_count(&f) == CROWD);
  f.log_stands = true;
  sb_buf_printf(&add, "*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\nf\r\n$%d\r\n%0*d\r\n", VALUE_BYTES,
                VALUE_BYTES, 0);
  say_bytes(&f, app, add.data, add.len);
  until(&f, f.first != NULL);
  log_deliver(&f);
  sb_core_turn(f.core);
  assert_in_range(CROWD - blocked_count(&f), 1, SB_TURN_BYTES_MAX / VALUE_BYTES + 1);
  f.log_stands = false;
  for (int i = 0; i < CROWD; i++) {
    take(&f, readers[i], VALUE_BYTES);
    close(readers[i]);
  }
  sb_buf_close(&add);
  close(app);
  fixture_close(&f);
}

/* ---- memory ---- */

static void the_budget_holds_while_replies_are_composed(void **state) {
  (void)state;
  struct fixture f;
  int crowd[CROWD];
  fixture_init(&f);
  f.settings.memory_bytes = 8 * MIB;
  fixture_start(&f);
  int app = join(&f);
  set_big(&f, app);
  for (int i = 0; i < CROWD; i++) crowd[i] = join(&f);
  for (int i = 0; i < CROWD; i++) offer_all(crowd[i], "GET big\r\n", 4);
  for (int i = 0; i < 10; i++) {
    uv_run(&f.loop, UV_RUN_NOWAIT); /* nothing is written out between */
    assert_true(sb_memory_used(f.server) <= 8 * MIB);
  }
  until(&f, stats_of(&f).evicted > CROWD / 2);
  for (int i = 0; i < 20; i++) turn(&f);
  assert_true(stats_of(&f).evicted < CROWD); /* some have their replies, or wait for them */
  say(&f, app, "PING\r\n");
  expect(&f, app, "+PONG\r\n");
  for (int i = 0; i < CROWD; i++) close(crowd[i]);
  close(app);
  until(&f, stats_of(&f).sessions == 0);
  assert_int_equal(sb_memory_used(f.server), 0);
  fixture_close(&f);
}

/* A message is copied for each session that has it by a pattern. */
static void the_budget_holds_while_messages_are_handed_out(void **state) {
  (void)state;
  struct fixture f;
  int readers[CROWD];
  struct sb_buf flood = {0};
  fixture_init(&f);
  f.settings.memory_bytes = 4 * MIB;
  fixture_start(&f);
  int app = join(&f);
  for (int i = 0; i < CROWD; i++) {
    readers[i] = join(&f);
    say(&f, readers[i], "PSUBSCRIBE a*\r\n");
    expect(&f, readers[i], "*3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:1\r\n");
  }
  f.log_stands = true;
  for (int i = 0; i < 2000; i++) sb_buf_printf(&flood, "PUBLISH a%04d %050d\r\n", i, i);
  say_bytes(&f, app, flood.data, flood.len);
  until(&f, stats_of(&f).commands >= 2000 + CROWD);
  for (int i = 0; i < 5; i++) turn(&f);
  log_deliver(&f); /* 40 times 200 KB */
  assert_true(sb_memory_used(f.server) <= 4 * MIB);
  f.log_stands = false;
  until(&f, stats_of(&f).evicted > 0);
  for (int i = 0; i < 2000; i++) {
    char reply[32];
    snprintf(reply, sizeof reply, ":%d\r\n", CROWD);
    expect(&f, app, reply);
  }
  sb_buf_close(&flood);
  for (int i = 0; i < CROWD; i++) close(readers[i]);
  close(app);
  until(&f, stats_of(&f).sessions == 0);
  assert_int_equal(sb_memory_used(f.server), 0);
  fixture_close(&f);
}

/* Replies that stand behind one that is awaited. How many of the requests one turn takes depends on time, so
 * there may be many turns; nothing is written out between them. */
static void what_waits_in_rings_counts_at_once(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int app = join(&f);
  f.log_stands = true;
  offer_all(app, "SET a 1\r\n", 1);
  until(&f, f.first != NULL);
  size_t before = sb_memory_used(f.server);
  char echo[920];
  snprintf(echo, sizeof echo, "ECHO %0900d\r\n", 0);
  offer_all(app, echo, 150);
  const struct sb_connection *c = SB_OF_LINK(f.server->roster.open.next, struct sb_connection, link);
  uint64_t start = steady_ms();
  while (c->session.outlet.kept_bytes <= 100000) {
    if (steady_ms() - start > DEADLINE_MS) fail_msg("its requests are not taken");
    uv_run(&f.loop, UV_RUN_NOWAIT);
    assert_true(sb_memory_used(f.server) >= before + c->session.outlet.kept_bytes);
  }
  f.settings.memory_bytes = before + 1;
  sb_server_reload(f.server, &f.settings);
  f.log_stands = false;
  until(&f, stats_of(&f).sessions == 0);
  assert_int_equal(stats_of(&f).evicted, 1);
  until(&f, f.first == NULL);
  assert_int_equal(sb_memory_used(f.server), 0);
  close(app);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_session_that_is_over_its_output_limit_is_served_no_more),
      cmocka_unit_test(requests_with_large_replies_are_taken_a_share_at_a_time),
      cmocka_unit_test(all_sessions_together_take_no_more_than_a_turn),
      cmocka_unit_test(who_asks_for_little_does_not_stand_behind_those_who_ask_for_much),
      cmocka_unit_test(who_goes_while_it_waits_for_its_turn_is_done_with_first),
      cmocka_unit_test(a_turn_that_waits_ends_with_its_session),
      cmocka_unit_test(who_waits_for_one_large_entry_is_served_a_turn_at_a_time),
      cmocka_unit_test(the_budget_holds_while_replies_are_composed),
      cmocka_unit_test(the_budget_holds_while_messages_are_handed_out),
      cmocka_unit_test(what_waits_in_rings_counts_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
