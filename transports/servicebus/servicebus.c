#include "transports/servicebus/servicebus.h"

#include <assert.h>
#include <stdlib.h>

#include "transports/servicebus/board.h"
#include "transports/servicebus/io.h"

/* The bridge takes events one by one. Asking for the next one tells that the last was applied. The I/O
 * thread hears of so many at once, so that waking it costs little. */
#define APPLIED_PER_WAKE 32
#define NOTHING_HANDED   UINT32_MAX

enum stage { STAGE_NEW, STAGE_RUNNING, STAGE_CLOSING };

struct sb_servicebus {
  struct sb_transport transport;
  struct sb_servicebus_board board;
  struct sb_servicebus_io *io;
  enum stage stage;
  uint32_t handed;  /* partition of the delivery that the bridge is at work on */
  unsigned applied; /* not told to the I/O thread */
};

static const struct sb_transport_ops servicebus_ops;

static struct sb_servicebus *servicebus_of(struct sb_transport *t) {
  assert(t->ops == &servicebus_ops);
  return (struct sb_servicebus *)t;
}

/* ---- the vtable ---- */

static int start(struct sb_transport *t, struct sb_error *error) {
  struct sb_servicebus *s = servicebus_of(t);
  assert(s->stage == STAGE_NEW);
  if (sb_servicebus_io_start(s->io, error) != 0) return sb_error_wrap(error, "servicebus");
  s->stage = STAGE_RUNNING;
  return 0;
}

static void attach(struct sb_transport *t, uint32_t partition) {
  struct sb_servicebus *s = servicebus_of(t);
  assert(partition < s->board.partitions);
  sb_servicebus_consume_attach(sb_servicebus_io_consume(s->io), partition);
}

static int publish(struct sb_transport *t, uint32_t partition, const struct sb_envelope *envelope,
                   struct sb_body *body, uint64_t token) {
  struct sb_servicebus *s = servicebus_of(t);
  assert(partition < s->board.partitions);
  return sb_servicebus_publish_submit(sb_servicebus_io_publish(s->io), partition, envelope, body, token);
}

static size_t max_body(const struct sb_transport *t) {
  return atomic_load_explicit(&((const struct sb_servicebus *)t)->board.max_body, memory_order_relaxed);
}

static bool next(struct sb_transport *t, struct sb_event *event) {
  struct sb_servicebus *s = servicebus_of(t);
  if (s->handed != NOTHING_HANDED) {
    atomic_fetch_add_explicit(&s->board.lanes[s->handed].applied, 1, memory_order_release);
    s->handed = NOTHING_HANDED;
    s->applied++;
  }
  bool any = sb_event_queue_next(s->board.events, event);
  if (any && event->kind == SB_EVENT_DELIVERY) s->handed = event->partition;
  if (s->applied >= APPLIED_PER_WAKE || (!any && s->applied)) {
    s->applied = 0;
    sb_servicebus_board_wake(&s->board);
  }
  return any;
}

static void status(struct sb_transport *t, struct sb_buf *out) {
  sb_servicebus_board_status(&servicebus_of(t)->board, out);
}

static void retry(struct sb_transport *t) {
  sb_servicebus_board_retry(&servicebus_of(t)->board);
}

static void close_servicebus(struct sb_transport *t) {
  struct sb_servicebus *s = servicebus_of(t);
  if (s->stage != STAGE_RUNNING) return;
  s->stage = STAGE_CLOSING;
  sb_event_queue_stop(s->board.events);
  sb_servicebus_io_stop(s->io);
}

static void free_servicebus(struct sb_transport *t) {
  struct sb_servicebus *s = servicebus_of(t);
  close_servicebus(t);
  if (s->stage == STAGE_CLOSING) sb_servicebus_io_join(s->io);
  sb_servicebus_io_free(s->io);
  sb_servicebus_board_close(&s->board);
  free(s);
}

static const struct sb_transport_ops servicebus_ops = {
    .name = "servicebus",
    .hides_tail = true,
    .start = start,
    .attach = attach,
    .publish = publish,
    .max_body = max_body,
    .next = next,
    .status = status,
    .retry = retry,
    .close = close_servicebus,
    .free = free_servicebus,
};

/* ---- construction ---- */

struct sb_transport *sb_servicebus_new(const struct sb_transport_common *common,
                                       const struct sb_servicebus_settings *settings,
                                       struct sb_error *error) {
  struct sb_servicebus *s = sb_calloc(1, sizeof *s);
  s->transport.ops = &servicebus_ops;
  s->handed = NOTHING_HANDED;
  if (sb_servicebus_board_init(&s->board, common, settings, error) != 0) goto refused;
  s->io = sb_servicebus_io_new(&s->board, error);
  if (s->io) return &s->transport;
  sb_servicebus_board_close(&s->board);
refused:
  sb_error_wrap(error, "servicebus");
  free(s);
  return NULL;
}
