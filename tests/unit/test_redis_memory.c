/* The memory that sessions may have together, and who goes when they have more. */
#include "tests/unit/redis_fixture.h"

#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/memory.h"
#include "bridge/redis/sockets/server_struct.h"

#define SUBSCRIBED(name, count) "*3\r\n$9\r\nsubscribe\r\n$1\r\n" name "\r\n:" count "\r\n"

/* Sends the begin of a request of 2 MB, and of that so much. */
static int begin_large_request(struct fixture *f, size_t bytes) {
  int fd = join(f);
  struct sb_buf text = {0};
  uint64_t read = f->server->stats.bytes_read;
  sb_buf_text(&text, "*2\r\n$4\r\nECHO\r\n$2000000\r\n");
  while (text.len < bytes) sb_buf_text(&text, "x");
  say_bytes(f, fd, text.data, text.len);
  until(f, f->server->stats.bytes_read == read + text.len);
  sb_buf_close(&text);
  return fd;
}

static void limit_memory(struct fixture *f, size_t bytes) {
  f->settings.memory_bytes = bytes;
  sb_server_reload(f->server, &f->settings);
}

static void test_above_the_memory_of_all_sessions_the_largest_goes_first(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int small = begin_large_request(&f, 100000), large = begin_large_request(&f, 1900000);
  int middle = begin_large_request(&f, 600000), app = join(&f);
  size_t used = sb_memory_used(f.server);
  assert_true(used > 2600000);
  limit_memory(&f, used - 1);
  expect_end(&f, large);
  assert_int_equal(f.server->stats.evicted, 1);
  assert_true(sb_memory_used(f.server) < used - 1900000);
  limit_memory(&f, 600000);
  expect_end(&f, middle);
  assert_int_equal(f.server->stats.evicted, 2);
  say(&f, app, "PING\r\n");
  expect(&f, app, "+PONG\r\n");
  expect_silence(&f, small);
  int fds[] = {small, large, middle, app};
  for (int i = 0; i < 4; i++) close(fds[i]);
  until(&f, f.server->roster.count == 0);
  assert_int_equal(sb_memory_used(f.server), 0);
  fixture_close(&f);
}

static void test_who_asked_not_to_be_evicted_is_spared_while_others_take_nearly_as_much(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int other = begin_large_request(&f, 400000), kept = begin_large_request(&f, 700000), app = join(&f);
  struct sb_link *large = f.server->roster.open.next->next;
  SB_OF_LINK(large, struct sb_connection, link)->no_evict = true;
  limit_memory(&f, sb_memory_used(f.server) - 1);
  expect_end(&f, other);
  expect_silence(&f, kept);
  other = begin_large_request(&f, 100000); /* which is not to go for one that takes seven times as much */
  limit_memory(&f, sb_memory_used(f.server) - 1);
  expect_end(&f, kept);
  expect_silence(&f, other);
  say(&f, app, "PING\r\n");
  expect(&f, app, "+PONG\r\n");
  int fds[] = {kept, other, app};
  for (int i = 0; i < 3; i++) close(fds[i]);
  fixture_close(&f);
}

static void test_an_xread_that_waits_counts_with_its_names(void **state) {
  (void)state;
  struct fixture f;
  enum { NAMES = 1000 };
  fixture_init(&f);
  f.core_settings.history_bytes = 8 * MIB;
  fixture_start(&f);
  int fd = join(&f);
  struct sb_buf text = {0};
  say(&f, fd, "PING\r\n");
  expect(&f, fd, "+PONG\r\n");
  sb_buf_printf(&text, "*%d\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n", 4 + 2 * NAMES);
  for (int i = 0; i < NAMES; i++) sb_buf_printf(&text, "$100\r\n%0100d\r\n", i);
  for (int i = 0; i < NAMES; i++) sb_buf_text(&text, "$1\r\n$\r\n");
  say_bytes(&f, fd, text.data, text.len);
  sb_buf_close(&text);
  const struct sb_connection *c = SB_OF_LINK(f.server->roster.open.next, struct sb_connection, link);
  until(&f, c->session.blocked != NULL);
  size_t waiting = sb_memory_used(f.server);
  assert_true(waiting > (size_t)NAMES * 200);
  int writer = join(&f);
  say(&f, writer, "*5\r\n$4\r\nXADD\r\n$100\r\n");
  char name[101];
  snprintf(name, sizeof name, "%0100d", 7);
  say(&f, writer, name);
  say(&f, writer, "\r\n$1\r\n*\r\n$1\r\na\r\n$1\r\nb\r\n");
  until(&f, c->session.blocked == NULL && c->session.outlet.out.bytes == 0);
  assert_true(sb_memory_used(f.server) < waiting - (size_t)NAMES * 150);
  close(fd);
  close(writer);
  until(&f, f.server->roster.count == 0);
  assert_int_equal(sb_memory_used(f.server), 0);
  fixture_close(&f);
}

static void test_a_message_that_waits_for_many_sessions_counts_once(void **state) {
  (void)state;
  struct fixture f;
  enum { READERS = 50 };
  int readers[READERS];
  fixture_init(&f);
  f.settings.memory_bytes = 4 * MIB;
  fixture_start(&f);
  int writer = join(&f);
  for (int i = 0; i < READERS; i++) {
    readers[i] = join(&f);
    say(&f, readers[i], "SUBSCRIBE a\r\n");
    expect(&f, readers[i], SUBSCRIBED("a", "1"));
  }
  static char payload[1000001]; /* 50 times that is far above the limit */
  memset(payload, 'p', sizeof payload - 1);
  say(&f, writer, "*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$1000000\r\n");
  say(&f, writer, payload);
  say(&f, writer, "\r\n");
  expect(&f, writer, ":50\r\n");
  assert_true(sb_memory_used(f.server) > 1000000);
  for (int i = 0; i < READERS; i++) {
    expect(&f, readers[i], "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1000000\r\n");
    expect(&f, readers[i], payload);
    expect(&f, readers[i], "\r\n");
    close(readers[i]);
  }
  assert_int_equal(f.server->stats.evicted, 0);
  close(writer);
  fixture_close(&f);
}

static void test_names_count_to_the_memory_of_sessions(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  say(&f, fd, "PING\r\n");
  expect(&f, fd, "+PONG\r\n");
  size_t before = sb_memory_used(f.server);
  say(&f, fd, "SUBSCRIBE a\r\n");
  expect(&f, fd, SUBSCRIBED("a", "1"));
  assert_true(sb_memory_used(f.server) >= before + SB_SUB_OVERHEAD + 1);
  say(&f, fd, "UNSUBSCRIBE a\r\n");
  expect(&f, fd, "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n");
  assert_true(sb_memory_used(f.server) < before + SB_SUB_OVERHEAD);
  close(fd);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_above_the_memory_of_all_sessions_the_largest_goes_first),
      cmocka_unit_test(test_who_asked_not_to_be_evicted_is_spared_while_others_take_nearly_as_much),
      cmocka_unit_test(test_an_xread_that_waits_counts_with_its_names),
      cmocka_unit_test(test_a_message_that_waits_for_many_sessions_counts_once),
      cmocka_unit_test(test_names_count_to_the_memory_of_sessions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
