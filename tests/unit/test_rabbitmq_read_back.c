/* What is asked of the RabbitMQ transport's reading back and how it ends, as far as that needs no broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transports/rabbitmq/read_back.h"

#define PARTITIONS (SB_TRANSPORT_READ_BACKS_MAX + 1)

struct fixture {
  struct sb_rabbitmq_board board;
  struct sb_rabbitmq_read_back *rb;
};

static void no_wake(void *owner) {
  (void)owner;
}

static int setup(void **state) {
  static struct fixture fixture;
  static const char *const hosts[] = {"amqp://127.0.0.1:1"};
  struct sb_rabbitmq_settings settings;
  sb_rabbitmq_settings_default(&settings);
  settings.hosts = hosts;
  settings.host_count = 1;
  struct sb_transport_common common = {.partitions = PARTITIONS, .prefix = "p", .wake = no_wake};
  if (sb_rabbitmq_board_init(&fixture.board, &common, &settings, NULL) != 0) return -1;
  fixture.rb = sb_rabbitmq_read_back_new(&fixture.board, NULL);
  *state = &fixture;
  return fixture.rb ? 0 : -1;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  sb_rabbitmq_read_back_free(f->rb);
  sb_rabbitmq_board_close(&f->board);
  return 0;
}

static int ask(struct fixture *f, uint32_t partition, uint64_t token) {
  return sb_rabbitmq_read_back_ask(f->rb, &(struct sb_rabbitmq_range){partition, 0, 1, token});
}

/* The thread's function as it runs when the link is stopped already. */
static void run_to_the_end(struct fixture *f) {
  f->board.running = 1;
  sb_rabbitmq_link_stop(sb_rabbitmq_read_back_link(f->rb));
  sb_rabbitmq_read_back_main(f->rb);
  assert_int_equal(f->board.running, 0);
}

/* Returns the set of tokens; each has failed, once. */
static uint64_t take_ends(struct fixture *f) {
  uint64_t tokens = 0;
  struct sb_event event;
  while (sb_event_queue_next(f->board.events, &event)) {
    assert_int_equal(event.kind, SB_EVENT_STORED_END);
    assert_int_equal(event.stored_end.outcome, SB_STORED_FAILED);
    uint64_t bit = UINT64_C(1) << event.stored_end.token;
    assert_int_equal(tokens & bit, 0);
    tokens |= bit;
  }
  return tokens;
}

static void without_a_link_nothing_is_taken(void **state) {
  struct fixture *f = *state;
  assert_int_equal(ask(f, 0, 1), SB_ERR_LINK);
  run_to_the_end(f);
  assert_int_equal(take_ends(f), 0);
}

static void each_partition_is_taken_once_and_only_so_many(void **state) {
  struct fixture *f = *state;
  sb_rabbitmq_board_up(&f->board, SB_LINK_CONSUME, 0);
  for (uint32_t p = 0; p < SB_TRANSPORT_READ_BACKS_MAX; p++) {
    assert_int_equal(ask(f, p, p), 0);
    assert_int_equal(ask(f, p, 40), SB_ERR_FULL);
  }
  assert_int_equal(ask(f, SB_TRANSPORT_READ_BACKS_MAX, 40), SB_ERR_FULL);
  run_to_the_end(f);
  assert_int_equal(take_ends(f), (UINT64_C(1) << SB_TRANSPORT_READ_BACKS_MAX) - 1);
}

static void what_is_stopped_ends_once(void **state) {
  struct fixture *f = *state;
  sb_rabbitmq_board_up(&f->board, SB_LINK_CONSUME, 0);
  assert_int_equal(ask(f, 0, 3), 0);
  sb_rabbitmq_read_back_unask(f->rb, 3);
  sb_rabbitmq_read_back_unask(f->rb, 3);
  sb_rabbitmq_read_back_unask(f->rb, 9);
  run_to_the_end(f);
  assert_int_equal(take_ends(f), UINT64_C(1) << 3);
}

static void behind_the_end_nothing_is_taken(void **state) {
  struct fixture *f = *state;
  sb_rabbitmq_board_up(&f->board, SB_LINK_CONSUME, 0);
  run_to_the_end(f);
  assert_int_equal(ask(f, 0, 1), SB_ERR_LINK);
  assert_int_equal(take_ends(f), 0);
}

#define READ_BACK_CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      READ_BACK_CASE(without_a_link_nothing_is_taken),
      READ_BACK_CASE(each_partition_is_taken_once_and_only_so_many),
      READ_BACK_CASE(what_is_stopped_ends_once),
      READ_BACK_CASE(behind_the_end_nothing_is_taken),
  };
  return cmocka_run_group_tests_name("rabbitmq read back", tests, NULL, NULL);
}
