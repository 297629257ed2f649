#include "transports/rabbitmq/consume.h"

#include <stdlib.h>

#include "bridge/base/clock.h"
#include "transports/rabbitmq/connect.h"
#include "transports/rabbitmq/reader.h"
#include "transports/rabbitmq/topology.h"

#define FRAMES_PER_TURN   256 /* then other work is looked at */
#define WATCHES_PER_LIMIT 4
#define HELD_UP_MS        100 /* a turn that took so long was held up: the bridge did not take what came */

struct sb_rabbitmq_consume {
  struct sb_rabbitmq_board *board;
  struct sb_rabbitmq_link link;
  atomic_bool *asked; /* per partition, by attach */
  struct sb_rabbitmq_reader *readers;
  bool well; /* every stream that is wanted is read */
  int64_t watch_due_ms;
  struct sb_rabbitmq_progress progress;
};

static amqp_channel_t topology_channel(const struct sb_rabbitmq_consume *c) {
  return (amqp_channel_t)(SB_RABBITMQ_READER_CHANNELS(c->board->partitions) + 1);
}

struct sb_rabbitmq_consume *sb_rabbitmq_consume_new(struct sb_rabbitmq_board *board, struct sb_error *error) {
  struct sb_rabbitmq_consume *c = sb_calloc(1, sizeof *c);
  c->board = board;
  if (sb_rabbitmq_link_init(&c->link, board, "consume", error) != 0) {
    free(c);
    return NULL;
  }
  c->asked = sb_calloc(board->partitions, sizeof *c->asked);
  c->readers = sb_calloc(board->partitions, sizeof *c->readers);
  for (uint32_t i = 0; i < board->partitions; i++) {
    atomic_init(&c->asked[i], false);
    sb_rabbitmq_reader_init(&c->readers[i], board, &c->link, i);
  }
  return c;
}

void sb_rabbitmq_consume_free(struct sb_rabbitmq_consume *c) {
  if (!c) return;
  sb_rabbitmq_link_close(&c->link);
  free(c->asked);
  free(c->readers);
  free(c);
}

struct sb_rabbitmq_link *sb_rabbitmq_consume_link(struct sb_rabbitmq_consume *c) {
  return &c->link;
}

void sb_rabbitmq_consume_attach(struct sb_rabbitmq_consume *c, uint32_t partition) {
  atomic_store(&c->asked[partition], true);
  sb_rabbitmq_link_wake(&c->link);
}

/* ---- the thread ---- */

static void take_asked(struct sb_rabbitmq_consume *c, bool connected) {
  for (uint32_t i = 0; i < c->board->partitions; i++)
    if (atomic_load(&c->asked[i])) sb_rabbitmq_reader_want(&c->readers[i], connected);
}

static int connect_all(struct sb_rabbitmq_consume *c, struct sb_error *error) {
  uint32_t channels = SB_RABBITMQ_READER_CHANNELS(c->board->partitions) + 1;
  int rc = sb_rabbitmq_connect(&c->link, channels, error);
  if (rc == 0) rc = sb_rabbitmq_link_open_channel(&c->link, topology_channel(c), error);
  if (rc == 0) rc = sb_rabbitmq_topology_exchange(&c->link, topology_channel(c), error);
  return rc;
}

/* Asks everything about the topology before the first stream is opened: while rabbitmq-c waits for an answer,
 * it keeps whatever else arrives in memory. */
static int ensure_due(struct sb_rabbitmq_consume *c, int64_t now_ms, struct sb_error *error) {
  for (uint32_t i = 0; i < c->board->partitions; i++) {
    struct sb_rabbitmq_reader *reader = &c->readers[i];
    if (!reader->ensure || reader->state != SB_READER_WAITING || now_ms < reader->due_ms) continue;
    int rc = sb_rabbitmq_reader_ensure(reader, topology_channel(c), error);
    if (rc) return rc;
  }
  return 0;
}

/* Puts into *next_ms when to come again. */
static int tick_all(struct sb_rabbitmq_consume *c, int64_t *next_ms, struct sb_error *error) {
  int64_t now_ms = sb_clock_ms();
  int rc = ensure_due(c, now_ms, error);
  *next_ms = INT64_MAX;
  for (uint32_t i = 0; rc == 0 && i < c->board->partitions; i++) {
    rc = sb_rabbitmq_reader_tick(&c->readers[i], now_ms, error);
    if (c->readers[i].due_ms < *next_ms) *next_ms = c->readers[i].due_ms;
  }
  return rc;
}

static int on_frame(struct sb_rabbitmq_consume *c, const amqp_frame_t *frame, struct sb_error *error) {
  uint32_t partitions = c->board->partitions;
  if (frame->channel == 0 || frame->channel > SB_RABBITMQ_READER_CHANNELS(partitions)) return 0;
  return sb_rabbitmq_reader_frame(&c->readers[(frame->channel - 1u) % partitions], frame, error);
}

/* Reads what has arrived, FRAMES_PER_TURN at most. *all: nothing is left. */
static int read_frames(struct sb_rabbitmq_consume *c, bool *all, struct sb_error *error) {
  amqp_frame_t frame;
  *all = false;
  for (int i = 0; i < FRAMES_PER_TURN && !sb_rabbitmq_link_stopping(&c->link); i++) {
    int rc = sb_rabbitmq_link_frame(&c->link, &frame, error);
    *all = rc == 0;
    if (rc <= 0) return rc;
    c->progress.arrived_ms = sb_clock_coarse_ms();
    rc = on_frame(c, &frame, error);
    if (rc) return rc;
    sb_rabbitmq_link_release(&c->link, frame.channel);
  }
  return 0;
}

/* Lets each reader judge, a few times within the limit, whether what was published has come back. */
static int watch_all(struct sb_rabbitmq_consume *c, struct sb_error *error) {
  int rc = 0;
  if (c->progress.read_up_to_ms < c->watch_due_ms) return 0;
  c->watch_due_ms = c->progress.read_up_to_ms + c->board->settings.echo_limit_ms / WATCHES_PER_LIMIT + 1;
  for (uint32_t i = 0; rc == 0 && i < c->board->partitions; i++)
    rc = sb_rabbitmq_reader_watch(&c->readers[i], &c->progress, error);
  return rc;
}

static void tell_well(struct sb_rabbitmq_consume *c) {
  if (c->well) return;
  for (uint32_t i = 0; i < c->board->partitions; i++)
    if (!sb_rabbitmq_reader_is_well(&c->readers[i])) return;
  c->well = true;
  sb_rabbitmq_board_well(c->board, SB_LINK_CONSUME);
  sb_rabbitmq_link_held(&c->link);
}

static int run(struct sb_rabbitmq_consume *c, struct sb_error *error) {
  c->well = false;
  while (!sb_rabbitmq_link_stopping(&c->link)) {
    int64_t next_ms;
    tell_well(c);
    int rc = tick_all(c, &next_ms, error);
    if (rc) return rc;
    if (c->watch_due_ms < next_ms) next_ms = c->watch_due_ms;
    if (sb_rabbitmq_link_wait(&c->link, false, next_ms) & SB_RABBITMQ_WOKEN) take_asked(c, true);
    bool all;
    c->progress.read_up_to_ms = sb_clock_ms();
    rc = read_frames(c, &all, error);
    int64_t now_ms = sb_clock_ms();
    if (now_ms - c->progress.read_up_to_ms > HELD_UP_MS) c->progress.held_up_ms = now_ms;
    if (rc == 0 && all) rc = watch_all(c, error);
    if (rc) return rc;
  }
  return 0;
}

void *sb_rabbitmq_consume_main(void *arg) {
  struct sb_rabbitmq_consume *c = arg;
  while (!sb_rabbitmq_link_stopping(&c->link)) {
    struct sb_error error = {0};
    int rc = connect_all(c, &error);
    if (rc == 0) {
      sb_rabbitmq_board_up(c->board, SB_LINK_CONSUME, c->link.host);
      take_asked(c, false);
      for (uint32_t i = 0; i < c->board->partitions; i++) sb_rabbitmq_reader_connected(&c->readers[i]);
      rc = run(c, &error);
    }
    for (uint32_t i = 0; i < c->board->partitions; i++) sb_rabbitmq_reader_lost(&c->readers[i]);
    sb_rabbitmq_link_drop(&c->link, rc == 0);
    if (rc == 0 || sb_rabbitmq_link_stopping(&c->link)) break;
    sb_rabbitmq_link_try_later(&c->link, SB_LINK_CONSUME, &error);
  }
  sb_rabbitmq_board_ended(c->board);
  return NULL;
}
