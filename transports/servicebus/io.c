#include "transports/servicebus/io.h"

#include <inttypes.h>
#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/event.h>
#include <proton/link.h>
#include <proton/session.h>
#include <stdlib.h>

#include "bridge/base/clock.h"
#include "bridge/base/log.h"
#include "bridge/base/thread.h"
#include "transports/net/backoff.h"
#include "transports/servicebus/cbs.h"
#include "transports/servicebus/manage.h"
#include "transports/servicebus/socket.h"

#define REMIND_LOOK_MS 10000 /* between two looks whether an outage lasts */
#define POLITE_MS      1000  /* for a goodbye */
#define ENTITY_CALM_MS 60000 /* an entity that was not missing for so long counts as there */

/* What has to be there before a partition's links can be. */
struct entity {
  bool authorised; /* on this connection */
  enum { ENTITY_THERE, ENTITY_ASKED, ENTITY_WAITING } state;
  int64_t due_ms;                 /* of WAITING */
  enum sb_servicebus_entity news; /* what the receiver has not been told yet */
  uint32_t failures;
  int64_t missed_ms;
};

struct sb_servicebus_io {
  struct sb_servicebus_board *board;
  struct sb_servicebus_publish *publish;
  struct sb_servicebus_consume *consume;
  struct sb_servicebus_cbs *cbs;       /* NULL: SASL PLAIN says all */
  struct sb_servicebus_manage *manage; /* NULL: entities are there */
  pthread_t thread;

  struct sb_servicebus_socket socket;
  bool connected;
  int64_t remind_due_ms;
  int64_t connected_ms; /* since when, on this connection; 0: it was not */
  pn_session_t *sends, *reads, *tokens;
  struct entity *entities;
  struct sb_backoff backoff;
  unsigned retries, entity_retries; /* up to which _retry the connection, and the entities, have followed */
  unsigned jitter_seed;
};

/* ---- entities ---- */

static void allow_if_ready(struct sb_servicebus_io *io, uint32_t partition) {
  struct entity *entity = &io->entities[partition];
  if (!io->connected || !entity->authorised || entity->state != ENTITY_THERE) return;
  sb_servicebus_publish_allow(io->publish, partition);
  sb_servicebus_consume_allow(io->consume, partition, entity->news);
  entity->news = SB_ENTITY_AS_BEFORE;
}

static void on_authorised(void *owner, uint32_t partition) {
  struct sb_servicebus_io *io = owner;
  io->entities[partition].authorised = true;
  allow_if_ready(io, partition);
}

static void ask_for_entity(struct sb_servicebus_io *io, uint32_t partition) {
  io->entities[partition].state = ENTITY_ASKED;
  sb_servicebus_manage_ensure(io->manage, partition);
}

static void wait_for_entity(struct sb_servicebus_io *io, uint32_t partition, int64_t pause_ms) {
  io->entities[partition].state = ENTITY_WAITING;
  io->entities[partition].due_ms = sb_clock_ms() + pause_ms;
}

/* Asks for the entity, the first time at once. If the service says again and again that something is missing
 * that was just made, it gets more and more time. */
static void on_missing(struct sb_servicebus_io *io, uint32_t partition) {
  struct entity *entity = &io->entities[partition];
  if (entity->state != ENTITY_THERE) return;
  int64_t now_ms = sb_clock_ms();
  if (now_ms - entity->missed_ms >= ENTITY_CALM_MS) entity->failures = 0;
  entity->missed_ms = now_ms;
  if (io->manage && entity->failures++ == 0)
    ask_for_entity(io, partition);
  else
    wait_for_entity(io, partition,
                    sb_backoff_doubled_ms(&io->board->pauses, entity->failures, &io->jitter_seed));
  if (!io->manage) entity->failures++;
}

static void on_stuck(void *owner, uint32_t partition, enum sb_servicebus_cure cure) {
  struct sb_servicebus_io *io = owner;
  if (cure == SB_CURE_ENTITY) {
    on_missing(io, partition);
  } else {
    io->entities[partition].authorised = false;
    sb_servicebus_cbs_again(io->cbs, partition);
  }
}

static void on_answer(struct sb_servicebus_io *io, const struct sb_servicebus_answer *answer) {
  struct entity *entity = &io->entities[answer->partition];
  const struct sb_servicebus_settings *settings = &io->board->settings;
  if (answer->topic == SB_SERVICEBUS_CREATED || answer->other_topic)
    entity->news = SB_ENTITY_MADE_BOTH;
  else if (answer->subscription == SB_SERVICEBUS_CREATED && entity->news == SB_ENTITY_AS_BEFORE)
    entity->news = SB_ENTITY_MADE;
  if (sb_servicebus_answer_good(answer)) {
    entity->state = ENTITY_THERE;
    sb_servicebus_board_well(io->board, answer->partition, SB_SOURCE_ENTITY);
    allow_if_ready(io, answer->partition);
    return;
  }
  enum sb_servicebus_result failed =
      answer->topic == SB_SERVICEBUS_EXISTS || answer->topic == SB_SERVICEBUS_CREATED ? answer->subscription
                                                                                      : answer->topic;
  if (failed == SB_SERVICEBUS_STOPPED) return;
  entity->failures++;
  int64_t pause_ms = sb_backoff_doubled_ms(&io->board->pauses, entity->failures, &io->jitter_seed);
  if (failed == SB_SERVICEBUS_BUSY && pause_ms < settings->busy_pause_ms) pause_ms = settings->busy_pause_ms;
  bool passes = sb_servicebus_result_passes(failed) || failed == SB_SERVICEBUS_NOT_FOUND;
  sb_servicebus_board_trouble(io->board, answer->partition, SB_SOURCE_ENTITY, answer->error.text);
  wait_for_entity(io, answer->partition, passes ? pause_ms : settings->backoff_max_ms);
}

static void look_at_entities(struct sb_servicebus_io *io, int64_t now_ms) {
  struct sb_servicebus_answer answer;
  while (io->manage && sb_servicebus_manage_answer(io->manage, &answer)) on_answer(io, &answer);
  for (uint32_t i = 0; i < io->board->partitions; i++) {
    if (io->entities[i].state != ENTITY_WAITING || now_ms < io->entities[i].due_ms) continue;
    if (io->manage) {
      ask_for_entity(io, i);
    } else {
      io->entities[i].state = ENTITY_THERE;
      allow_if_ready(io, i);
    }
  }
}

static int64_t entities_due_ms(const struct sb_servicebus_io *io) {
  int64_t due_ms = INT64_MAX;
  for (uint32_t i = 0; i < io->board->partitions; i++)
    if (io->entities[i].state == ENTITY_WAITING && io->entities[i].due_ms < due_ms)
      due_ms = io->entities[i].due_ms;
  return due_ms;
}

/* ---- events ---- */

static pn_session_t *begin(struct sb_servicebus_io *io) {
  pn_session_t *session = pn_session(io->socket.driver.connection);
  pn_session_set_incoming_capacity(session, SB_SERVICEBUS_SESSION_BYTES);
  pn_session_open(session);
  return session;
}

static void on_open(struct sb_servicebus_io *io) {
  io->connected = true;
  io->connected_ms = sb_clock_ms();
  io->sends = begin(io);
  io->reads = begin(io);
  sb_servicebus_publish_connected(io->publish, io->sends);
  sb_servicebus_consume_connected(io->consume, io->reads);
  if (io->cbs) {
    io->tokens = begin(io);
    sb_servicebus_cbs_connected(io->cbs, io->tokens);
    return;
  }
  for (uint32_t i = 0; i < io->board->partitions; i++) on_authorised(io, i);
}

static void on_link_open(struct sb_servicebus_io *io, pn_link_t *link) {
  if (pn_link_session(link) == io->sends) sb_servicebus_publish_opened(io->publish, link);
  if (pn_link_session(link) == io->reads) sb_servicebus_consume_opened(io->consume, link);
}

static int on_link_closed(struct sb_servicebus_io *io, pn_link_t *link, struct sb_error *error) {
  if (pn_link_session(link) == io->sends) return sb_servicebus_publish_detached(io->publish, link, error);
  if (pn_link_session(link) == io->reads) return sb_servicebus_consume_detached(io->consume, link, error);
  return io->cbs ? sb_servicebus_cbs_detached(io->cbs, link, error) : 0;
}

static int on_delivery(struct sb_servicebus_io *io, pn_delivery_t *delivery, struct sb_error *error) {
  pn_link_t *link = pn_delivery_link(delivery);
  if (pn_link_session(link) == io->sends) return sb_servicebus_publish_outcome(io->publish, delivery, error);
  if (io->cbs && pn_link_session(link) == io->tokens)
    return sb_servicebus_cbs_delivery(io->cbs, delivery, error);
  sb_servicebus_consume_delivery(io->consume, delivery);
  return 0;
}

static int on_session_closed(pn_session_t *session, struct sb_error *error) {
  pn_condition_t *condition = pn_session_remote_condition(session);
  const char *name = pn_condition_get_name(condition), *text = pn_condition_get_description(condition);
  return sb_error_set(error, SB_ERR_LINK, "the service ended a session: %s: %s",
                      name ? name : "no reason given", text ? text : "");
}

static int on_event(struct sb_servicebus_io *io, pn_event_t *event, struct sb_error *error) {
  switch (pn_event_type(event)) {
  case PN_CONNECTION_REMOTE_OPEN:
    on_open(io);
    return 0;
  case PN_SESSION_REMOTE_CLOSE:
    return on_session_closed(pn_event_session(event), error);
  case PN_LINK_REMOTE_OPEN:
    on_link_open(io, pn_event_link(event));
    return 0;
  case PN_LINK_REMOTE_CLOSE:
  case PN_LINK_REMOTE_DETACH:
    return on_link_closed(io, pn_event_link(event), error);
  case PN_DELIVERY:
    return on_delivery(io, pn_event_delivery(event), error);
  default:
    return 0;
  }
}

static int take_events(struct sb_servicebus_io *io, struct sb_error *error) {
  int rc = 0;
  pn_event_t *event;
  while (rc == 0 && (event = sb_servicebus_socket_event(&io->socket))) rc = on_event(io, event, error);
  if (rc == 0 && sb_servicebus_socket_ended(&io->socket, error)) rc = error->code;
  return rc;
}

/* ---- the connection's life ---- */

/* After _retry secrets may have changed: tokens are made anew, and what was refused is asked again. `retries`
 * stays as it is until there is a connection, so that a _retry during an attempt also cuts short the pause
 * behind it. */
static void heed_retry(struct sb_servicebus_io *io, int64_t now_ms) {
  unsigned retries = atomic_load(&io->board->retries);
  if (retries != io->entity_retries)
    for (uint32_t i = 0; i < io->board->partitions; i++)
      if (io->entities[i].state == ENTITY_WAITING) io->entities[i].due_ms = now_ms;
  io->entity_retries = retries;
  if (!io->connected || retries == io->retries) return;
  io->retries = retries;
  if (io->cbs) sb_servicebus_cbs_renew(io->cbs, now_ms);
}

/* Also reminds of an outage of one partition alone, whose own attempts wake this thread from time to time. */
static void remind(struct sb_servicebus_io *io, int64_t now_ms) {
  if (now_ms < io->remind_due_ms) return;
  io->remind_due_ms = now_ms + REMIND_LOOK_MS;
  sb_servicebus_board_remind(io->board);
}

static int turn(struct sb_servicebus_io *io, struct sb_error *error) {
  int64_t now_ms = sb_clock_ms();
  heed_retry(io, now_ms);
  look_at_entities(io, now_ms);
  remind(io, now_ms);
  if (!io->connected) return 0;
  int rc = io->cbs ? sb_servicebus_cbs_turn(io->cbs, now_ms, error) : 0;
  if (rc == 0) rc = sb_servicebus_publish_turn(io->publish, now_ms, error);
  if (rc == 0) rc = sb_servicebus_consume_turn(io->consume, now_ms, error);
  return rc;
}

static int64_t due_ms(const struct sb_servicebus_io *io) {
  int64_t due = entities_due_ms(io);
  if (!io->connected) return due;
  if (io->cbs) due = sb_sooner(due, sb_servicebus_cbs_due_ms(io->cbs));
  due = sb_sooner(due, sb_servicebus_publish_due_ms(io->publish));
  return sb_sooner(due, sb_servicebus_consume_due_ms(io->consume));
}

/* Runs until the connection is lost (an error) or the transport stops (0). */
static int run(struct sb_servicebus_io *io, struct sb_error *error) {
  int64_t open_due_ms = sb_clock_ms() + io->board->settings.connect_timeout_ms;
  while (!sb_servicebus_board_stopping(io->board)) {
    int rc = take_events(io, error);
    if (rc == 0) rc = turn(io, error);
    if (rc) return rc;
    if (!io->connected && sb_clock_ms() >= open_due_ms)
      return sb_error_set(error, SB_ERR_TIMEOUT, "no answer within %" PRIu32 " ms: is port %u right?",
                          io->board->settings.connect_timeout_ms, (unsigned)io->board->settings.port);
    sb_servicebus_socket_wait(&io->socket, sb_sooner(due_ms(io), io->connected ? INT64_MAX : open_due_ms));
  }
  return 0;
}

static void say_goodbye(struct sb_servicebus_io *io) {
  int64_t until_ms = sb_clock_ms() + POLITE_MS;
  struct sb_error error;
  pn_connection_close(io->socket.driver.connection);
  while (sb_clock_ms() < until_ms) {
    while (sb_servicebus_socket_event(&io->socket)) continue;
    if (sb_servicebus_socket_ended(&io->socket, &error)) return;
    sb_servicebus_socket_wait(&io->socket, until_ms);
  }
}

static void lose_all(struct sb_servicebus_io *io) {
  io->connected = false;
  io->sends = io->reads = io->tokens = NULL;
  for (uint32_t i = 0; i < io->board->partitions; i++) io->entities[i].authorised = false;
  sb_servicebus_publish_lost(io->publish);
  sb_servicebus_consume_lost(io->consume);
  if (io->cbs) sb_servicebus_cbs_lost(io->cbs);
}

/* One connection from its beginning to its end; 0 when we are stopping. */
static int live_once(struct sb_servicebus_io *io, struct sb_error *error) {
  int rc = sb_servicebus_socket_open(&io->socket, error);
  if (rc == 0) rc = run(io, error);
  bool said_open = io->connected;
  lose_all(io);
  if (rc == 0 && said_open) say_goodbye(io);
  sb_servicebus_socket_drop(&io->socket);
  return rc;
}

static int64_t next_try_ms(struct sb_servicebus_io *io, const struct sb_error *error) {
  int64_t now_ms = sb_clock_ms(), up_ms = io->connected_ms ? now_ms - io->connected_ms : 0;
  bool refused = error->code == SB_ERR_REFUSED;
  enum sb_failure failure = refused ? SB_FAILURE_REFUSED : SB_FAILURE_AWAY;
  if (io->connected_ms && !refused) failure = SB_FAILURE_LOST;
  return sb_backoff_ms(&io->backoff, &io->board->pauses, failure, up_ms, now_ms);
}

static void pause_before_next(struct sb_servicebus_io *io, int64_t pause_ms) {
  sb_servicebus_sleep(io->board, pause_ms, io->retries);
  unsigned retries = atomic_load(&io->board->retries);
  if (retries != io->retries) io->backoff.since_ms = 0;
  io->retries = retries;
}

static void *io_main(void *arg) {
  struct sb_servicebus_io *io = arg;
  for (uint32_t i = 0; io->manage && i < io->board->partitions; i++) ask_for_entity(io, i);
  while (!sb_servicebus_board_stopping(io->board)) {
    struct sb_error error = {0};
    io->connected_ms = 0;
    int rc = live_once(io, &error);
    if (rc == 0 || sb_servicebus_board_stopping(io->board)) break;
    int64_t pause_ms = next_try_ms(io, &error);
    sb_servicebus_board_down(io->board, &error, pause_ms);
    remind(io, sb_clock_ms());
    pause_before_next(io, pause_ms);
  }
  if (io->manage) sb_servicebus_manage_finish(io->manage);
  struct sb_event closed = {.kind = SB_EVENT_CLOSED};
  sb_event_queue_push(io->board->events, &closed);
  return NULL;
}

/* ---- life ---- */

struct sb_servicebus_io *sb_servicebus_io_new(struct sb_servicebus_board *board, struct sb_error *error) {
  struct sb_servicebus_io *io = sb_calloc(1, sizeof *io);
  io->board = board;
  io->jitter_seed = io->backoff.seed = (unsigned)(board->nonce >> 32);
  io->entities = sb_calloc(board->partitions, sizeof *io->entities);
  sb_servicebus_socket_init(&io->socket, board);
  if (board->settings.manage) {
    io->manage = sb_servicebus_manage_new(board, error);
    if (!io->manage) {
      sb_servicebus_io_free(io);
      return NULL;
    }
  }
  if (board->settings.auth == SB_SERVICEBUS_CBS) io->cbs = sb_servicebus_cbs_new(board, on_authorised, io);
  io->publish = sb_servicebus_publish_new(board, on_stuck, io);
  io->consume = sb_servicebus_consume_new(board, on_stuck, io);
  return io;
}

void sb_servicebus_io_free(struct sb_servicebus_io *io) {
  if (!io) return;
  sb_servicebus_publish_free(io->publish);
  sb_servicebus_consume_free(io->consume);
  sb_servicebus_cbs_free(io->cbs);
  sb_servicebus_manage_free(io->manage);
  free(io->entities);
  free(io);
}

int sb_servicebus_io_start(struct sb_servicebus_io *io, struct sb_error *error) {
  if (io->manage) {
    int rc = sb_servicebus_manage_start(io->manage, error);
    if (rc) return rc;
  }
  int failed = sb_thread_start(&io->thread, io_main, io);
  if (failed == 0) return 0;
  if (io->manage) {
    sb_servicebus_manage_stop(io->manage);
    sb_servicebus_manage_finish(io->manage);
  }
  return sb_error_errno(error, failed, "cannot start a thread");
}

void sb_servicebus_io_stop(struct sb_servicebus_io *io) {
  atomic_store(&io->board->stopping, true);
  if (io->manage) sb_servicebus_manage_stop(io->manage);
  sb_servicebus_board_wake(io->board);
}

void sb_servicebus_io_join(struct sb_servicebus_io *io) {
  pthread_join(io->thread, NULL);
}

struct sb_servicebus_publish *sb_servicebus_io_publish(struct sb_servicebus_io *io) {
  return io->publish;
}

struct sb_servicebus_consume *sb_servicebus_io_consume(struct sb_servicebus_io *io) {
  return io->consume;
}
