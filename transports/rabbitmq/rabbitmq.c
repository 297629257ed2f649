#include "transports/rabbitmq/rabbitmq.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/clock.h"
#include "bridge/base/limits.h"
#include "bridge/base/thread.h"
#include "transports/rabbitmq/board.h"
#include "transports/rabbitmq/consume.h"
#include "transports/rabbitmq/publish.h"
#include "transports/rabbitmq/read_back.h"

/* How long the threads may take to say goodbye before their sockets are shut. */
#define CLOSE_GRACE_MS             1000
#define CHECK_WITHOUT_HEARTBEAT_MS 30000

enum stage { STAGE_NEW, STAGE_RUNNING, STAGE_CLOSING };

struct sb_rabbitmq {
  struct sb_transport transport;
  struct sb_rabbitmq_board board;
  struct sb_rabbitmq_publish *publish;
  struct sb_rabbitmq_consume *consume;
  struct sb_rabbitmq_read_back *read_back;
  pthread_t publish_thread, consume_thread, read_back_thread, supervisor_thread;
  enum stage stage;
  bool closing; /* under the board's lock */
};

static const struct sb_transport_ops rabbitmq_ops;

static struct sb_rabbitmq *rabbitmq_of(struct sb_transport *t) {
  assert(t->ops == &rabbitmq_ops);
  return (struct sb_rabbitmq *)t;
}

/* ---- supervision ---- */

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* Waits for a thread to end or for close; false when `until_ms` came first. Under the lock. */
static bool await_change(struct sb_rabbitmq *r, int64_t until_ms) {
  return sb_condition_wait(&r->board.ended, &r->board.lock, until_ms);
}

static void check_links(struct sb_rabbitmq *r) {
  const struct sb_rabbitmq_settings *settings = &r->board.settings;
  int64_t limit_ms = larger(settings->rpc_timeout_ms, (int64_t)settings->heartbeat_s * 1000);
  int64_t now_ms = sb_clock_coarse_ms();
  sb_rabbitmq_link_check(sb_rabbitmq_publish_link(r->publish), now_ms, limit_ms);
  sb_rabbitmq_link_check(sb_rabbitmq_consume_link(r->consume), now_ms, limit_ms);
  sb_rabbitmq_link_check(sb_rabbitmq_read_back_link(r->read_back), now_ms, limit_ms);
}

static void *supervise(void *arg) {
  struct sb_rabbitmq *r = arg;
  uint32_t heartbeat_s = r->board.settings.heartbeat_s;
  int64_t pause_ms = heartbeat_s ? (int64_t)heartbeat_s * 1000 / 2 : CHECK_WITHOUT_HEARTBEAT_MS;
  pause_ms = sb_sooner(pause_ms, r->board.settings.remind_ms);
  pthread_mutex_lock(&r->board.lock);
  while (!r->closing) {
    if (await_change(r, sb_clock_ms() + pause_ms)) continue;
    pthread_mutex_unlock(&r->board.lock);
    check_links(r);
    sb_rabbitmq_board_remind(&r->board);
    pthread_mutex_lock(&r->board.lock);
  }
  int64_t until_ms = sb_clock_ms() + CLOSE_GRACE_MS;
  while (r->board.running > 0 && (await_change(r, until_ms) || sb_clock_ms() < until_ms)) continue;
  pthread_mutex_unlock(&r->board.lock);

  sb_rabbitmq_link_shut(sb_rabbitmq_publish_link(r->publish));
  sb_rabbitmq_link_shut(sb_rabbitmq_consume_link(r->consume));
  sb_rabbitmq_link_shut(sb_rabbitmq_read_back_link(r->read_back));
  pthread_join(r->publish_thread, NULL);
  pthread_join(r->consume_thread, NULL);
  pthread_join(r->read_back_thread, NULL);
  struct sb_event closed = {.kind = SB_EVENT_CLOSED};
  sb_event_queue_push(r->board.events, &closed);
  return NULL;
}

/* ---- the vtable ---- */

static void stop_threads(struct sb_rabbitmq *r) {
  sb_event_queue_stop(r->board.events);
  sb_rabbitmq_link_stop(sb_rabbitmq_publish_link(r->publish));
  sb_rabbitmq_link_stop(sb_rabbitmq_consume_link(r->consume));
  sb_rabbitmq_link_stop(sb_rabbitmq_read_back_link(r->read_back));
}

static int start_threads(struct sb_rabbitmq *r, struct sb_error *error) {
  r->board.running = 3;
  int rc = sb_thread_start(&r->publish_thread, sb_rabbitmq_publish_main, r->publish);
  if (rc) return sb_error_errno(error, rc, "rabbitmq: cannot start a thread");
  rc = sb_thread_start(&r->consume_thread, sb_rabbitmq_consume_main, r->consume);
  if (rc) goto join_publish;
  rc = sb_thread_start(&r->read_back_thread, sb_rabbitmq_read_back_main, r->read_back);
  if (rc) goto join_consume;
  rc = sb_thread_start(&r->supervisor_thread, supervise, r);
  if (rc == 0) return 0;
  stop_threads(r);
  pthread_join(r->read_back_thread, NULL);
join_consume:
  stop_threads(r);
  pthread_join(r->consume_thread, NULL);
join_publish:
  stop_threads(r);
  pthread_join(r->publish_thread, NULL);
  return sb_error_errno(error, rc, "rabbitmq: cannot start a thread");
}

static int start(struct sb_transport *t, struct sb_error *error) {
  struct sb_rabbitmq *r = rabbitmq_of(t);
  assert(r->stage == STAGE_NEW);
  int rc = start_threads(r, error);
  if (rc == 0) r->stage = STAGE_RUNNING;
  return rc;
}

static void attach(struct sb_transport *t, uint32_t partition) {
  struct sb_rabbitmq *r = rabbitmq_of(t);
  assert(partition < r->board.partitions);
  sb_rabbitmq_consume_attach(r->consume, partition);
}

static int publish(struct sb_transport *t, uint32_t partition, const struct sb_envelope *envelope,
                   struct sb_body *body, uint64_t token) {
  struct sb_rabbitmq *r = rabbitmq_of(t);
  assert(partition < r->board.partitions);
  return sb_rabbitmq_publish_submit(r->publish, partition, envelope, body, token);
}

static int read_back(struct sb_transport *t, uint32_t partition, uint64_t from, uint64_t to, uint64_t token) {
  struct sb_rabbitmq *r = rabbitmq_of(t);
  assert(partition < r->board.partitions && from <= to && to <= INT64_MAX);
  return sb_rabbitmq_read_back_ask(r->read_back, &(struct sb_rabbitmq_range){partition, from, to, token});
}

static void read_back_stop(struct sb_transport *t, uint64_t token) {
  sb_rabbitmq_read_back_unask(rabbitmq_of(t)->read_back, token);
}

static size_t max_body(const struct sb_transport *t) {
  return atomic_load_explicit(&((const struct sb_rabbitmq *)t)->board.max_body, memory_order_relaxed);
}

static bool next(struct sb_transport *t, struct sb_event *event) {
  return sb_event_queue_next(rabbitmq_of(t)->board.events, event);
}

static void status(struct sb_transport *t, struct sb_buf *out) {
  sb_rabbitmq_board_status(&rabbitmq_of(t)->board, out);
}

static void retry(struct sb_transport *t) {
  struct sb_rabbitmq *r = rabbitmq_of(t);
  sb_rabbitmq_link_hurry(sb_rabbitmq_publish_link(r->publish));
  sb_rabbitmq_link_hurry(sb_rabbitmq_consume_link(r->consume));
}

static void close_rabbitmq(struct sb_transport *t) {
  struct sb_rabbitmq *r = rabbitmq_of(t);
  if (r->stage != STAGE_RUNNING) return;
  r->stage = STAGE_CLOSING;
  stop_threads(r);
  pthread_mutex_lock(&r->board.lock);
  r->closing = true;
  pthread_cond_broadcast(&r->board.ended);
  pthread_mutex_unlock(&r->board.lock);
}

static void free_rabbitmq(struct sb_transport *t) {
  struct sb_rabbitmq *r = rabbitmq_of(t);
  close_rabbitmq(t);
  if (r->stage == STAGE_CLOSING) pthread_join(r->supervisor_thread, NULL);
  sb_rabbitmq_publish_free(r->publish);
  sb_rabbitmq_consume_free(r->consume);
  sb_rabbitmq_read_back_free(r->read_back);
  sb_rabbitmq_board_close(&r->board);
  free(r);
}

static const struct sb_transport_ops rabbitmq_ops = {
    .name = "rabbitmq",
    .reads_back = true,
    .start = start,
    .attach = attach,
    .publish = publish,
    .read_back = read_back,
    .read_back_stop = read_back_stop,
    .max_body = max_body,
    .next = next,
    .status = status,
    .retry = retry,
    .close = close_rabbitmq,
    .free = free_rabbitmq,
};

/* ---- construction ---- */

struct sb_transport *sb_rabbitmq_new(const struct sb_transport_common *common,
                                     const struct sb_rabbitmq_settings *settings, struct sb_error *error) {
  if (strlen(common->prefix) > SB_PREFIX_BYTES_MAX || common->prefix[0] == 0) {
    sb_error_set(error, SB_ERR_INVALID, "rabbitmq: the prefix must have 1 to %d bytes", SB_PREFIX_BYTES_MAX);
    return NULL;
  }
  if (common->partitions == 0 || common->partitions > SB_PARTITIONS_MAX) {
    sb_error_set(error, SB_ERR_INVALID, "rabbitmq: there must be 1 to %d partitions", SB_PARTITIONS_MAX);
    return NULL;
  }
  struct sb_rabbitmq *r = sb_calloc(1, sizeof *r);
  r->transport.ops = &rabbitmq_ops;
  if (sb_rabbitmq_board_init(&r->board, common, settings, error) != 0) {
    sb_error_wrap(error, "rabbitmq");
    free(r);
    return NULL;
  }
  r->publish = sb_rabbitmq_publish_new(&r->board, error);
  if (r->publish) r->consume = sb_rabbitmq_consume_new(&r->board, error);
  if (r->consume) r->read_back = sb_rabbitmq_read_back_new(&r->board, error);
  if (r->read_back) return &r->transport;
  sb_error_wrap(error, "rabbitmq");
  free_rabbitmq(&r->transport);
  return NULL;
}
