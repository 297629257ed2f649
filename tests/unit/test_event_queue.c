/* The queue between a transport's threads and the bridge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "bridge/base/bytes.h"
#include "transports/event_queue.h"

#define DEADLINE_MS 20000

/* What wake() tells the consumer's thread. */
struct bell {
  pthread_mutex_t lock;
  pthread_cond_t rung;
  unsigned waiting; /* rings not yet heard */
  unsigned total;
};

static void bell_init(struct bell *bell) {
  memset(bell, 0, sizeof *bell);
  pthread_mutex_init(&bell->lock, NULL);
  pthread_cond_init(&bell->rung, NULL);
}

static void bell_close(struct bell *bell) {
  pthread_cond_destroy(&bell->rung);
  pthread_mutex_destroy(&bell->lock);
}

static void ring(void *owner) {
  struct bell *bell = owner;
  pthread_mutex_lock(&bell->lock);
  bell->waiting++;
  bell->total++;
  pthread_cond_signal(&bell->rung);
  pthread_mutex_unlock(&bell->lock);
}

/* False when nothing rang within the deadline. */
static bool bell_wait(struct bell *bell) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += DEADLINE_MS / 1000;
  int rc = 0;
  pthread_mutex_lock(&bell->lock);
  while (bell->waiting == 0 && rc == 0) rc = pthread_cond_timedwait(&bell->rung, &bell->lock, &until);
  bool heard = bell->waiting > 0;
  bell->waiting = 0;
  pthread_mutex_unlock(&bell->lock);
  return heard;
}

static struct sb_event delivery(uint32_t partition, uint64_t sequence, size_t bytes) {
  struct sb_event event = {.kind = SB_EVENT_DELIVERY, .partition = partition};
  event.delivery.sequence = sequence;
  event.delivery.body = sb_body_new(bytes);
  memset(event.delivery.body->data, 'x', bytes);
  return event;
}

static struct sb_event settled(uint64_t token) {
  struct sb_event event = {.kind = SB_EVENT_SETTLED};
  event.settled.token = token;
  event.settled.outcome = SB_SETTLE_CONFIRMED;
  return event;
}

static struct sb_event stored(uint64_t token, size_t bytes) {
  struct sb_event event = {.kind = SB_EVENT_STORED};
  event.stored.token = token;
  event.stored.message.body = sb_body_new(bytes);
  memset(event.stored.message.body->data, 's', bytes);
  return event;
}

static bool push_stored(struct sb_event_queue *queue, uint64_t token, size_t bytes) {
  struct sb_event event = stored(token, bytes);
  if (sb_event_queue_push(queue, &event)) return true;
  sb_event_close(&event);
  return false;
}

/* Whether a producer would find room for a delivery at once. */
static bool waits_no_longer(struct sb_event_queue *queue, size_t bytes, int timeout_ms) {
  struct sb_event event = delivery(0, 0, bytes);
  bool room = sb_event_queue_wait_room(queue, &event, timeout_ms);
  sb_event_close(&event);
  return room;
}

static bool push_delivery(struct sb_event_queue *queue, uint64_t sequence, size_t bytes) {
  struct sb_event event = delivery(0, sequence, bytes);
  if (sb_event_queue_push(queue, &event)) return true;
  sb_event_close(&event);
  return false;
}

static void take_delivery(struct sb_event_queue *queue, uint64_t sequence) {
  struct sb_event event;
  assert_true(sb_event_queue_next(queue, &event));
  assert_int_equal(event.kind, SB_EVENT_DELIVERY);
  assert_int_equal(event.delivery.sequence, sequence);
  sb_event_close(&event);
}

static void events_leave_in_the_order_they_came(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(1000, 100000, ring, &bell);
  struct sb_event event;
  assert_false(sb_event_queue_next(queue, &event));
  for (uint64_t i = 0; i < 300; i++) {
    assert_true(push_delivery(queue, i, 8));
    event = settled(i);
    assert_true(sb_event_queue_push(queue, &event));
  }
  for (uint64_t i = 0; i < 300; i++) {
    take_delivery(queue, i);
    assert_true(sb_event_queue_next(queue, &event));
    assert_int_equal(event.kind, SB_EVENT_SETTLED);
    assert_int_equal(event.settled.token, i);
  }
  assert_false(sb_event_queue_next(queue, &event));
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void wake_comes_once_each_time_the_queue_stops_being_empty(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(10, 1000, ring, &bell);
  struct sb_event event;
  for (unsigned round = 1; round <= 3; round++) {
    assert_true(push_delivery(queue, 1, 1));
    assert_true(push_delivery(queue, 2, 1));
    assert_int_equal(bell.total, round);
    take_delivery(queue, 1);
    take_delivery(queue, 2);
    assert_false(sb_event_queue_next(queue, &event));
    assert_int_equal(bell.total, round);
  }
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void confirmations_wait_for_news_or_for_many_of_them(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(10, 1000, ring, &bell);
  struct sb_event event = settled(1);
  assert_true(sb_event_queue_push(queue, &event));
  assert_int_equal(bell.total, 0);
  assert_true(push_delivery(queue, 1, 1));
  assert_int_equal(bell.total, 1);
  assert_true(sb_event_queue_next(queue, &event));
  assert_int_equal(event.settled.token, 1);
  take_delivery(queue, 1);
  assert_false(sb_event_queue_next(queue, &event));

  event = settled(2);
  event.settled.outcome = SB_SETTLE_REJECTED;
  assert_true(sb_event_queue_push(queue, &event));
  assert_int_equal(bell.total, 2);
  while (sb_event_queue_next(queue, &event)) continue;

  for (uint64_t i = 0; i < 1000; i++) {
    event = settled(i);
    assert_true(sb_event_queue_push(queue, &event));
  }
  assert_int_equal(bell.total, 3);
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void deliveries_are_refused_beyond_the_number_of_events(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(2, 1000, ring, &bell);
  assert_true(push_delivery(queue, 1, 1));
  assert_true(sb_event_queue_has_room(queue, 1));
  assert_true(push_delivery(queue, 2, 1));
  assert_false(sb_event_queue_has_room(queue, 0));
  assert_false(waits_no_longer(queue, 0, 0));
  assert_false(push_delivery(queue, 3, 0));
  take_delivery(queue, 1);
  assert_true(push_delivery(queue, 3, 1));
  take_delivery(queue, 2);
  take_delivery(queue, 3);
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void deliveries_are_refused_beyond_the_number_of_bytes(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(10, 100, ring, &bell);
  assert_true(push_delivery(queue, 1, 60));
  assert_true(sb_event_queue_has_room(queue, 40));
  assert_false(sb_event_queue_has_room(queue, 41));
  assert_false(sb_event_queue_has_room(queue, SIZE_MAX));
  assert_false(push_delivery(queue, 2, 41));
  assert_true(push_delivery(queue, 2, 40));
  take_delivery(queue, 1);
  assert_true(push_delivery(queue, 3, 60));
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void a_body_above_the_whole_limit_fits_an_empty_queue(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(10, 100, ring, &bell);
  assert_true(push_delivery(queue, 1, 500));
  assert_false(push_delivery(queue, 2, 1));
  take_delivery(queue, 1);
  assert_true(push_delivery(queue, 2, 1));
  assert_false(push_delivery(queue, 3, 500));
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void stored_messages_and_deliveries_have_room_of_their_own(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(1, 100, ring, &bell);
  const size_t half = SB_TRANSPORT_STORED_BYTES_MAX / 2;
  assert_true(push_stored(queue, 1, half));
  assert_true(push_stored(queue, 2, half));
  assert_false(push_stored(queue, 3, 1));
  assert_true(push_delivery(queue, 4, 100));
  assert_false(push_delivery(queue, 5, 1));
  struct sb_event event;
  for (uint64_t token = 1; token <= 2; token++) {
    assert_true(sb_event_queue_next(queue, &event));
    assert_int_equal(event.kind, SB_EVENT_STORED);
    assert_int_equal(event.stored.token, token);
    sb_event_close(&event);
  }
  assert_false(push_delivery(queue, 5, 1));
  assert_true(push_stored(queue, 6, SB_TRANSPORT_STORED_BYTES_MAX + 1));
  assert_false(push_stored(queue, 7, 1));
  take_delivery(queue, 4);
  assert_true(push_delivery(queue, 5, 1));
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void stored_messages_are_refused_beyond_their_number(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(1, 100, ring, &bell);
  for (uint64_t i = 0; i < SB_TRANSPORT_STORED_MAX; i++) assert_true(push_stored(queue, i, 0));
  assert_false(push_stored(queue, SB_TRANSPORT_STORED_MAX, 0));
  struct sb_event end = {.kind = SB_EVENT_STORED_END};
  assert_true(sb_event_queue_push(queue, &end));
  struct sb_event event;
  assert_true(sb_event_queue_next(queue, &event));
  sb_event_close(&event);
  assert_true(push_stored(queue, SB_TRANSPORT_STORED_MAX, 0));
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void other_events_find_room_in_a_full_and_in_a_stopped_queue(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(1, 100, ring, &bell);
  assert_true(push_delivery(queue, 1, 1));
  struct sb_event event = settled(7);
  assert_true(sb_event_queue_push(queue, &event));
  sb_event_queue_stop(queue);
  event = (struct sb_event){.kind = SB_EVENT_CLOSED};
  assert_true(sb_event_queue_push(queue, &event));
  take_delivery(queue, 1);
  assert_false(push_delivery(queue, 2, 1));
  assert_false(push_stored(queue, 3, 1));
  assert_false(sb_event_queue_has_room(queue, 1));
  assert_false(waits_no_longer(queue, 1, DEADLINE_MS));
  assert_true(sb_event_queue_next(queue, &event));
  assert_int_equal(event.settled.token, 7);
  assert_true(sb_event_queue_next(queue, &event));
  assert_int_equal(event.kind, SB_EVENT_CLOSED);
  sb_event_queue_free(queue);
  bell_close(&bell);
}

struct producer {
  pthread_t thread;
  struct sb_event_queue *queue;
  uint64_t count;
  uint32_t id;
  bool failed;
};

static void *produce(void *arg) {
  struct producer *me = arg;
  for (uint64_t i = 0; i < me->count; i++) {
    struct sb_event event = delivery(me->id, i, 1 + i % 40);
    while (!sb_event_queue_push(me->queue, &event))
      if (!sb_event_queue_wait_room(me->queue, &event, DEADLINE_MS)) {
        sb_event_close(&event);
        me->failed = true;
        return NULL;
      }
    if (i % 5 == 0) {
      struct sb_event other = settled(i);
      other.partition = me->id;
      sb_event_queue_push(me->queue, &other);
    }
  }
  return NULL;
}

static void producers_wait_for_room_and_nothing_is_lost_or_reordered(void **state) {
  (void)state;
  enum { PRODUCERS = 4, EACH = 20000 };
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(16, 200, ring, &bell);
  struct producer producers[PRODUCERS];
  for (uint32_t i = 0; i < PRODUCERS; i++) {
    producers[i] = (struct producer){.queue = queue, .id = i, .count = EACH};
    assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
  }
  uint64_t next[PRODUCERS] = {0}, settlements = 0, total = 0;
  while (total < (uint64_t)PRODUCERS * EACH || settlements < (uint64_t)PRODUCERS * EACH / 5) {
    assert_true(bell_wait(&bell));
    struct sb_event event;
    while (sb_event_queue_next(queue, &event)) {
      if (event.kind == SB_EVENT_SETTLED) {
        settlements++;
        continue;
      }
      assert_int_equal(event.delivery.sequence, next[event.partition]++);
      assert_int_equal(event.delivery.body->len, 1 + event.delivery.sequence % 40);
      sb_event_close(&event);
      total++;
    }
  }
  for (uint32_t i = 0; i < PRODUCERS; i++) {
    pthread_join(producers[i].thread, NULL);
    assert_false(producers[i].failed);
  }
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void *produce_stored(void *arg) {
  struct producer *me = arg;
  for (uint64_t i = 0; i < me->count && !me->failed; i++) {
    struct sb_event event = stored(i, SB_TRANSPORT_STORED_BYTES_MAX / 3);
    while (!me->failed && !sb_event_queue_push(me->queue, &event))
      me->failed = !sb_event_queue_wait_room(me->queue, &event, DEADLINE_MS);
    if (me->failed) sb_event_close(&event);
  }
  return NULL;
}

static void both_kinds_wait_beside_each_other(void **state) {
  (void)state;
  enum { DELIVERIES = 20000, STORED = 300 };
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(16, 200, ring, &bell);
  struct producer live = {.queue = queue, .count = DELIVERIES}, back = {.queue = queue, .count = STORED};
  assert_int_equal(pthread_create(&live.thread, NULL, produce, &live), 0);
  assert_int_equal(pthread_create(&back.thread, NULL, produce_stored, &back), 0);
  uint64_t deliveries = 0, messages = 0;
  while (deliveries < DELIVERIES || messages < STORED) {
    assert_true(bell_wait(&bell));
    struct sb_event event;
    while (sb_event_queue_next(queue, &event)) {
      if (event.kind == SB_EVENT_DELIVERY) assert_int_equal(event.delivery.sequence, deliveries++);
      if (event.kind == SB_EVENT_STORED) assert_int_equal(event.stored.token, messages++);
      sb_event_close(&event);
    }
  }
  pthread_join(live.thread, NULL);
  pthread_join(back.thread, NULL);
  assert_false(live.failed || back.failed);
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void stopping_frees_producers_that_wait(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(1, 100, ring, &bell);
  struct producer producer = {.queue = queue, .count = 2};
  assert_int_equal(pthread_create(&producer.thread, NULL, produce, &producer), 0);
  assert_true(bell_wait(&bell));
  sb_event_queue_stop(queue);
  pthread_join(producer.thread, NULL);
  assert_true(producer.failed);
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void one_reason_is_in_the_queue_until_it_is_taken(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(10, 1000, ring, &bell);
  struct sb_event event;
  for (int i = 0; i < 2; i++) {
    sb_event_queue_tell_reason(queue);
    sb_event_queue_tell_reason(queue);
    assert_true(sb_event_queue_next(queue, &event));
    assert_int_equal(event.kind, SB_EVENT_REASON);
    assert_false(sb_event_queue_next(queue, &event));
  }
  sb_event_queue_free(queue);
  bell_close(&bell);
}

static void freeing_releases_what_nobody_took(void **state) {
  (void)state;
  struct bell bell;
  bell_init(&bell);
  struct sb_event_queue *queue = sb_event_queue_new(10, 100, ring, &bell);
  struct sb_event event = delivery(0, 1, 5);
  struct sb_body *taken = sb_body_ref(event.delivery.body);
  struct sb_body *channel = sb_body_new(3);
  event.delivery.channel = sb_body_ref(channel);
  assert_true(sb_event_queue_push(queue, &event));
  event = stored(1, 5);
  struct sb_body *read_back = sb_body_ref(event.stored.message.body);
  event.stored.message.channel = sb_body_ref(channel);
  assert_true(sb_event_queue_push(queue, &event));
  sb_event_queue_free(queue);
  assert_int_equal(atomic_load(&taken->refs), 1);
  assert_int_equal(atomic_load(&read_back->refs), 1);
  assert_int_equal(atomic_load(&channel->refs), 1);
  sb_body_unref(read_back);
  sb_body_unref(taken);
  sb_body_unref(channel);
  bell_close(&bell);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(events_leave_in_the_order_they_came),
      cmocka_unit_test(wake_comes_once_each_time_the_queue_stops_being_empty),
      cmocka_unit_test(confirmations_wait_for_news_or_for_many_of_them),
      cmocka_unit_test(deliveries_are_refused_beyond_the_number_of_events),
      cmocka_unit_test(deliveries_are_refused_beyond_the_number_of_bytes),
      cmocka_unit_test(a_body_above_the_whole_limit_fits_an_empty_queue),
      cmocka_unit_test(stored_messages_and_deliveries_have_room_of_their_own),
      cmocka_unit_test(stored_messages_are_refused_beyond_their_number),
      cmocka_unit_test(other_events_find_room_in_a_full_and_in_a_stopped_queue),
      cmocka_unit_test(producers_wait_for_room_and_nothing_is_lost_or_reordered),
      cmocka_unit_test(both_kinds_wait_beside_each_other),
      cmocka_unit_test(stopping_frees_producers_that_wait),
      cmocka_unit_test(one_reason_is_in_the_queue_until_it_is_taken),
      cmocka_unit_test(freeing_releases_what_nobody_took),
  };
  return cmocka_run_group_tests_name("event queue", tests, NULL, NULL);
}
