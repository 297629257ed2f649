#include "transports/event_queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "bridge/base/bytes.h"

/* Between bursts a list keeps no more room than this, so that an idle bridge is small. */
#define IDLE_EVENTS 64

/* Events [taken, count) are still there. */
struct list {
  struct sb_event *at;
  size_t taken, count, cap;
};

/* `arrived` and the flags belong to the lock; `current` belongs to the consumer alone. The two counters are
 * atomic because the consumer gives room back without the lock: a producer that waits says so in `waiting`
 * before it looks at them, the consumer lowers them before it looks at `waiting`, all sequentially
 * consistent, so one of the two sees the other. */
struct sb_event_queue {
  size_t events_max, bytes_max;
  void (*wake)(void *owner);
  void *wake_owner;

  pthread_mutex_t lock;
  pthread_cond_t room;
  struct list arrived;
  bool drained; /* the consumer was told that there is nothing, and was not woken since */
  bool stopped;

  atomic_size_t deliveries, bytes; /* not yet taken */
  atomic_uint waiting;

  struct list current;
};

struct sb_event_queue *sb_event_queue_new(size_t events_max, size_t bytes_max, void (*wake)(void *owner),
                                          void *wake_owner) {
  struct sb_event_queue *queue = sb_calloc(1, sizeof *queue);
  queue->events_max = events_max;
  queue->bytes_max = bytes_max;
  queue->wake = wake;
  queue->wake_owner = wake_owner;
  queue->drained = true;
  atomic_init(&queue->deliveries, 0);
  atomic_init(&queue->bytes, 0);
  atomic_init(&queue->waiting, 0);
  pthread_mutex_init(&queue->lock, NULL);
  /* Deadlines are on the monotonic clock: a step of the wall clock must not prolong a wait. */
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&queue->room, &monotonic);
  pthread_condattr_destroy(&monotonic);
  return queue;
}

static void list_close(struct list *list) {
  for (size_t i = list->taken; i < list->count; i++) sb_event_close(&list->at[i]);
  free(list->at);
  *list = (struct list){0};
}

void sb_event_queue_free(struct sb_event_queue *queue) {
  if (!queue) return;
  list_close(&queue->arrived);
  list_close(&queue->current);
  pthread_cond_destroy(&queue->room);
  pthread_mutex_destroy(&queue->lock);
  free(queue);
}

static void list_append(struct list *list, const struct sb_event *event) {
  if (list->count == list->cap) {
    list->cap = list->cap ? list->cap * 2 : IDLE_EVENTS;
    list->at = sb_realloc(list->at, list->cap * sizeof *list->at);
  }
  list->at[list->count++] = *event;
}

/* Under the lock: until it is released, the answer can only turn from no to yes. */
static bool fits(struct sb_event_queue *queue, size_t bytes) {
  size_t deliveries = atomic_load(&queue->deliveries);
  if (deliveries == 0) return true;
  if (deliveries >= queue->events_max) return false;
  size_t queued = atomic_load(&queue->bytes);
  return queued <= queue->bytes_max && bytes <= queue->bytes_max - queued;
}

/* A confirmation is no news: the delivery is the proof. It waits for an event that is, or for many of its
 * kind. */
static bool can_wait(const struct list *arrived, const struct sb_event *event) {
  return event->kind == SB_EVENT_SETTLED && event->settled.outcome == SB_SETTLE_CONFIRMED &&
         arrived->count < IDLE_EVENTS;
}

bool sb_event_queue_push(struct sb_event_queue *queue, struct sb_event *event) {
  bool delivery = event->kind == SB_EVENT_DELIVERY;
  pthread_mutex_lock(&queue->lock);
  if (delivery && (queue->stopped || !fits(queue, event->delivery.body->len))) {
    pthread_mutex_unlock(&queue->lock);
    return false;
  }
  if (delivery) {
    atomic_fetch_add(&queue->bytes, event->delivery.body->len);
    atomic_fetch_add(&queue->deliveries, 1);
  }
  list_append(&queue->arrived, event);
  bool wake = queue->drained && !can_wait(&queue->arrived, event);
  if (wake) queue->drained = false;
  pthread_mutex_unlock(&queue->lock);
  if (wake) queue->wake(queue->wake_owner);
  return true;
}

static struct timespec deadline_after(int timeout_ms) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_sec += timeout_ms / 1000;
  at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
  if (at.tv_nsec >= 1000000000) {
    at.tv_sec++;
    at.tv_nsec -= 1000000000;
  }
  return at;
}

bool sb_event_queue_wait_room(struct sb_event_queue *queue, size_t bytes, int timeout_ms) {
  struct timespec deadline = deadline_after(timeout_ms > 0 ? timeout_ms : 0);
  pthread_mutex_lock(&queue->lock);
  atomic_fetch_add(&queue->waiting, 1);
  bool room = fits(queue, bytes);
  bool in_time = true;
  while (!room && !queue->stopped && in_time) {
    in_time = pthread_cond_timedwait(&queue->room, &queue->lock, &deadline) == 0;
    room = fits(queue, bytes);
  }
  room = room && !queue->stopped;
  atomic_fetch_sub(&queue->waiting, 1);
  pthread_mutex_unlock(&queue->lock);
  return room;
}

bool sb_event_queue_has_room(struct sb_event_queue *queue, size_t bytes) {
  pthread_mutex_lock(&queue->lock);
  bool room = !queue->stopped && fits(queue, bytes);
  pthread_mutex_unlock(&queue->lock);
  return room;
}

void sb_event_queue_stop(struct sb_event_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  queue->stopped = true;
  pthread_cond_broadcast(&queue->room);
  pthread_mutex_unlock(&queue->lock);
}

/* Producers are woken from half full downwards, not for every event: at a full queue that would be a change
 * of threads per event. */
static void give_room(struct sb_event_queue *queue, size_t bytes) {
  size_t bytes_left = atomic_fetch_sub(&queue->bytes, bytes) - bytes;
  size_t deliveries_left = atomic_fetch_sub(&queue->deliveries, 1) - 1;
  if (bytes_left > queue->bytes_max / 2 || deliveries_left > queue->events_max / 2) return;
  if (atomic_load(&queue->waiting) == 0) return;
  pthread_mutex_lock(&queue->lock);
  pthread_cond_broadcast(&queue->room);
  pthread_mutex_unlock(&queue->lock);
}

/* True when `current` holds events again. */
static bool take_arrived(struct sb_event_queue *queue) {
  struct list empty = queue->current;
  if (empty.cap > IDLE_EVENTS && empty.count <= empty.cap / 8) list_close(&empty);
  empty.taken = empty.count = 0;
  pthread_mutex_lock(&queue->lock);
  queue->current = queue->arrived;
  queue->arrived = empty;
  if (queue->current.count == 0) queue->drained = true;
  pthread_mutex_unlock(&queue->lock);
  return queue->current.count > 0;
}

bool sb_event_queue_next(struct sb_event_queue *queue, struct sb_event *event) {
  if (queue->current.taken == queue->current.count && !take_arrived(queue)) return false;
  *event = queue->current.at[queue->current.taken++];
  if (event->kind == SB_EVENT_DELIVERY) give_room(queue, event->delivery.body->len);
  return true;
}
