#include "transports/event_queue.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/base/clock.h"
#include "bridge/base/thread.h"

/* Between bursts a list keeps no more room than this, so that an idle bridge is small. */
#define IDLE_EVENTS 64

/* Events [taken, count) were not taken yet. */
struct list {
  struct sb_event *at;
  size_t taken, count, cap;
};

/* How much waits of one kind of events, deliveries or stored messages, and how much of it may wait. */
struct quota {
  size_t events_max, bytes_max;
  atomic_size_t events, bytes; /* not yet taken */
};

/* `arrived` and the flags belong to the lock; `current` belongs to the consumer alone. The counters are
 * atomic because the consumer gives room back without the lock. A producer that must wait says so in
 * `waiting` before it looks at the counters; the consumer lowers the counters before it looks at `waiting`.
 * Both are sequentially consistent, so one of the two sees what the other did. */
struct sb_event_queue {
  void (*wake)(void *owner);
  void *wake_owner;

  pthread_mutex_t lock;
  pthread_cond_t room;
  struct list arrived;
  bool drained; /* the consumer was told that there is nothing, and was not woken since */
  bool stopped;

  struct quota deliveries, stored;
  atomic_uint waiting;
  atomic_bool reason; /* an SB_EVENT_REASON is in the queue */

  struct list current;
};

static void quota_init(struct quota *quota, size_t events_max, size_t bytes_max) {
  quota->events_max = events_max;
  quota->bytes_max = bytes_max;
  atomic_init(&quota->events, 0);
  atomic_init(&quota->bytes, 0);
}

struct sb_event_queue *sb_event_queue_new(size_t events_max, size_t bytes_max, void (*wake)(void *owner),
                                          void *wake_owner) {
  struct sb_event_queue *queue = sb_calloc(1, sizeof *queue);
  quota_init(&queue->deliveries, events_max, bytes_max);
  quota_init(&queue->stored, SB_TRANSPORT_STORED_MAX, SB_TRANSPORT_STORED_BYTES_MAX);
  queue->wake = wake;
  queue->wake_owner = wake_owner;
  queue->drained = true;
  atomic_init(&queue->waiting, 0);
  atomic_init(&queue->reason, false);
  pthread_mutex_init(&queue->lock, NULL);
  sb_condition_init(&queue->room);
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

/* NULL: events of this kind always find room. */
static struct quota *quota_of(struct sb_event_queue *queue, const struct sb_event *event) {
  if (event->kind == SB_EVENT_DELIVERY) return &queue->deliveries;
  return event->kind == SB_EVENT_STORED ? &queue->stored : NULL;
}

static size_t bytes_of(const struct sb_event *event) {
  return event->kind == SB_EVENT_STORED ? event->stored.message.body->len : event->delivery.body->len;
}

/* Under the lock: until it is released, the answer can only turn from no to yes. */
static bool fits(struct quota *quota, size_t bytes) {
  size_t events = atomic_load(&quota->events);
  if (events == 0) return true;
  if (events >= quota->events_max) return false;
  size_t queued = atomic_load(&quota->bytes);
  return queued <= quota->bytes_max && bytes <= quota->bytes_max - queued;
}

/* A confirmation decides nothing, since the delivery is the proof. So it waits for another kind of event, or
 * for many confirmations. */
static bool can_wait(const struct list *arrived, const struct sb_event *event) {
  return event->kind == SB_EVENT_SETTLED && event->settled.outcome == SB_SETTLE_CONFIRMED &&
         arrived->count < IDLE_EVENTS;
}

bool sb_event_queue_push(struct sb_event_queue *queue, struct sb_event *event) {
  struct quota *quota = quota_of(queue, event);
  pthread_mutex_lock(&queue->lock);
  if (quota && (queue->stopped || !fits(quota, bytes_of(event)))) {
    pthread_mutex_unlock(&queue->lock);
    return false;
  }
  if (quota) {
    atomic_fetch_add(&quota->bytes, bytes_of(event));
    atomic_fetch_add(&quota->events, 1);
  }
  list_append(&queue->arrived, event);
  bool wake = queue->drained && !can_wait(&queue->arrived, event);
  if (wake) queue->drained = false;
  pthread_mutex_unlock(&queue->lock);
  if (wake) queue->wake(queue->wake_owner);
  return true;
}

void sb_event_queue_tell_reason(struct sb_event_queue *queue) {
  if (atomic_exchange(&queue->reason, true)) return;
  struct sb_event event = {.kind = SB_EVENT_REASON};
  sb_event_queue_push(queue, &event);
}

bool sb_event_queue_wait_room(struct sb_event_queue *queue, const struct sb_event *event, int timeout_ms) {
  struct quota *quota = quota_of(queue, event);
  size_t bytes = bytes_of(event);
  int64_t until_ms = sb_clock_ms() + timeout_ms;
  pthread_mutex_lock(&queue->lock);
  atomic_fetch_add(&queue->waiting, 1);
  bool room = fits(quota, bytes);
  bool in_time = true;
  while (!room && !queue->stopped && in_time) {
    in_time = sb_condition_wait(&queue->room, &queue->lock, until_ms);
    room = fits(quota, bytes);
  }
  room = room && !queue->stopped;
  atomic_fetch_sub(&queue->waiting, 1);
  pthread_mutex_unlock(&queue->lock);
  return room;
}

bool sb_event_queue_has_room(struct sb_event_queue *queue, size_t bytes) {
  pthread_mutex_lock(&queue->lock);
  bool room = !queue->stopped && fits(&queue->deliveries, bytes);
  pthread_mutex_unlock(&queue->lock);
  return room;
}

void sb_event_queue_stop(struct sb_event_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  queue->stopped = true;
  pthread_cond_broadcast(&queue->room);
  pthread_mutex_unlock(&queue->lock);
}

/* Producers are woken once the queue is half empty, not at every event: at a full queue that would be a
 * change of threads for each event. */
static void give_room(struct sb_event_queue *queue, struct quota *quota, size_t bytes) {
  size_t bytes_left = atomic_fetch_sub(&quota->bytes, bytes) - bytes;
  size_t events_left = atomic_fetch_sub(&quota->events, 1) - 1;
  if (bytes_left > quota->bytes_max / 2 || events_left > quota->events_max / 2) return;
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
  if (event->kind == SB_EVENT_REASON) atomic_store(&queue->reason, false);
  struct quota *quota = quota_of(queue, event);
  if (quota) give_room(queue, quota, bytes_of(event));
  return true;
}
