#include "transports/rabbitmq/publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/clock.h"
#include "transports/rabbitmq/connect.h"
#include "transports/rabbitmq/content.h"
#include "transports/rabbitmq/headers.h"
#include "transports/rabbitmq/topology.h"

#define FRAMES_PER_TURN      256 /* then other work is looked at */
#define REPAIR_PAUSE_MS      1000 /* between two tries to bind a stream again that the exchange does not reach */
#define CONFIRM_WAIT_BASE_MS 10000
/* No stream is bound by this key. A message with it comes back as unroutable, unless publishing itself is
 * refused. */
#define PROOF_KEY            "sidebus-proof"

/* A message that was sent and is not settled; or that is settled, but behind one that is not. */
struct flight {
  uint64_t token;
  size_t len;
  int64_t sent_ms;
  bool settled;
  bool returned; /* the broker sent it back: its confirm will not mean that it is stored */
  struct sb_envelope envelope;
};

/* Flight of tag t is at flights[t % SB_TRANSPORT_PUBLISH_MAX]; tags [first, next) are known. */
struct lane {
  struct flight flights[SB_TRANSPORT_PUBLISH_MAX];
  uint64_t first, next;
  uint64_t echo_tag; /* whose echo is looked for, 0: none of this connection */
  struct sb_rabbitmq_content returned;
  bool unroutable; /* this was logged, and nothing was confirmed since */
  bool repair;
  atomic_uint unsettled; /* taken by submit and not settled */
};

struct item {
  uint32_t partition;
  uint64_t token;
  struct sb_body *body;
  struct sb_envelope envelope;
};

struct items {
  struct item *at;
  size_t taken, count, cap;
};

struct sb_rabbitmq_publish {
  struct sb_rabbitmq_board *board;
  struct sb_rabbitmq_link link;

  pthread_mutex_t lock; /* of the next three */
  bool accepting;
  bool sleeping; /* the thread will not look at `submitted` before it is woken */
  struct items submitted;

  /* the thread's */
  struct items pending;
  struct lane *lanes;
  size_t in_flight; /* of all lanes, not settled */
  int64_t confirm_wait_ms;
  bool repair_wanted; /* by some lane */
  int64_t repair_due_ms;
  bool blocked;
  bool refused;         /* the broker took a login but no message: the next connection must prove itself */
  int64_t proof_due_ms; /* the proof must have come by then, 0: none is awaited */
};

static amqp_channel_t lane_channel(uint32_t partition) {
  return (amqp_channel_t)(partition + 1);
}

static amqp_channel_t topology_channel(const struct sb_rabbitmq_publish *p) {
  return (amqp_channel_t)(p->board->partitions + 1);
}

/* ---- life ---- */

struct sb_rabbitmq_publish *sb_rabbitmq_publish_new(struct sb_rabbitmq_board *board, struct sb_error *error) {
  struct sb_rabbitmq_publish *p = sb_calloc(1, sizeof *p);
  p->board = board;
  if (sb_rabbitmq_link_init(&p->link, board, "publish", error) != 0) {
    free(p);
    return NULL;
  }
  pthread_mutex_init(&p->lock, NULL);
  p->lanes = sb_calloc(board->partitions, sizeof *p->lanes);
  for (uint32_t i = 0; i < board->partitions; i++) atomic_init(&p->lanes[i].unsettled, 0);
  const struct sb_rabbitmq_settings *settings = &board->settings;
  /* With other hosts to try, waiting for this one is worth less. */
  p->confirm_wait_ms = CONFIRM_WAIT_BASE_MS;
  if (board->host_count == 1) p->confirm_wait_ms += 2 * (int64_t)settings->heartbeat_s * 1000;
  return p;
}

void sb_rabbitmq_publish_free(struct sb_rabbitmq_publish *p) {
  if (!p) return;
  free(p->submitted.at);
  free(p->pending.at);
  free(p->lanes);
  pthread_mutex_destroy(&p->lock);
  sb_rabbitmq_link_close(&p->link);
  free(p);
}

struct sb_rabbitmq_link *sb_rabbitmq_publish_link(struct sb_rabbitmq_publish *p) {
  return &p->link;
}

/* ---- from the bridge's thread to ours ---- */

static void items_append(struct items *items, const struct item *item) {
  if (items->count == items->cap) {
    items->cap = items->cap ? items->cap * 2 : 16;
    items->at = sb_realloc(items->at, items->cap * sizeof *items->at);
  }
  items->at[items->count++] = *item;
}

static bool items_left(const struct items *items) {
  return items->taken < items->count;
}

int sb_rabbitmq_publish_submit(struct sb_rabbitmq_publish *p, uint32_t partition,
                               const struct sb_envelope *envelope, struct sb_body *body, uint64_t token) {
  if (body->len > atomic_load_explicit(&p->board->max_body, memory_order_relaxed)) return SB_ERR_TOO_LARGE;
  struct lane *lane = &p->lanes[partition];
  pthread_mutex_lock(&p->lock);
  if (!p->accepting) {
    pthread_mutex_unlock(&p->lock);
    return SB_ERR_LINK;
  }
  if (atomic_load(&lane->unsettled) >= SB_TRANSPORT_PUBLISH_MAX) {
    pthread_mutex_unlock(&p->lock);
    return SB_ERR_FULL;
  }
  atomic_fetch_add(&lane->unsettled, 1);
  struct item item = {
      .partition = partition, .token = token, .body = sb_body_ref(body), .envelope = *envelope};
  items_append(&p->submitted, &item);
  bool wake = p->sleeping;
  p->sleeping = false;
  pthread_mutex_unlock(&p->lock);
  if (wake) sb_rabbitmq_link_wake(&p->link);
  return 0;
}

/* Puts what was submitted behind what is pending. */
static void take_submitted(struct sb_rabbitmq_publish *p) {
  pthread_mutex_lock(&p->lock);
  if (!items_left(&p->pending)) {
    struct items empty = p->pending;
    empty.taken = empty.count = 0;
    p->pending = p->submitted;
    p->submitted = empty;
  } else {
    for (size_t i = 0; i < p->submitted.count; i++) items_append(&p->pending, &p->submitted.at[i]);
    p->submitted.count = 0;
  }
  p->sleeping = !items_left(&p->pending);
  pthread_mutex_unlock(&p->lock);
}

static void set_accepting(struct sb_rabbitmq_publish *p, bool accepting) {
  pthread_mutex_lock(&p->lock);
  bool changed = p->accepting != accepting;
  p->accepting = accepting;
  pthread_mutex_unlock(&p->lock);
  if (!changed) return;
  for (uint32_t i = 0; i < p->board->partitions; i++)
    sb_rabbitmq_board_link(p->board, i, SB_LINK_PUBLISH, accepting);
}

/* ---- echoes ---- */

static struct flight *flight_at(struct lane *lane, uint64_t tag) {
  return &lane->flights[tag % SB_TRANSPORT_PUBLISH_MAX];
}

/* Lets the reader look for this message, if it has begun to read before. One message at a time is enough. */
static void look_for_echo(struct sb_rabbitmq_publish *p, uint32_t partition, uint64_t tag,
                          const struct sb_envelope *envelope) {
  struct sb_rabbitmq_echo *echo = &p->board->echoes[partition];
  if (!atomic_load_explicit(&echo->wanted, memory_order_relaxed) || atomic_load(&echo->print) != 0) return;
  p->lanes[partition].echo_tag = tag;
  atomic_store(&echo->confirmed_at_ms, 0);
  atomic_store(&echo->print, sb_rabbitmq_fingerprint(envelope, NULL, NULL));
}

/* Only a message that was confirmed must come back; the reader need not look for others. */
static void judge_echo(struct sb_rabbitmq_publish *p, uint32_t partition, const struct flight *flight,
                       enum sb_settle outcome) {
  struct lane *lane = &p->lanes[partition];
  struct sb_rabbitmq_echo *echo = &p->board->echoes[partition];
  if (lane->echo_tag == 0 || flight != flight_at(lane, lane->echo_tag)) return;
  lane->echo_tag = 0;
  if (outcome == SB_SETTLE_CONFIRMED)
    atomic_store(&echo->confirmed_at_ms, sb_clock_ms());
  else
    atomic_store(&echo->print, 0);
}

/* ---- settling ---- */

static void settle(struct sb_rabbitmq_publish *p, uint32_t partition, uint64_t token,
                   enum sb_settle outcome) {
  /* Given back before the bridge hears of the settlement, since it may use the room at once. */
  atomic_fetch_sub(&p->lanes[partition].unsettled, 1);
  if (outcome == SB_SETTLE_CONFIRMED)
    atomic_fetch_add_explicit(&p->board->confirmed, 1, memory_order_relaxed);
  sb_rabbitmq_board_settled(p->board, partition, token, outcome);
}

static void settle_flight(struct sb_rabbitmq_publish *p, uint32_t partition, struct flight *flight,
                          enum sb_settle outcome) {
  if (flight->settled) return;
  flight->settled = true;
  p->in_flight--;
  if (outcome == SB_SETTLE_CONFIRMED && flight->returned) outcome = SB_SETTLE_REJECTED;
  judge_echo(p, partition, flight, outcome);
  if (outcome == SB_SETTLE_CONFIRMED) p->lanes[partition].unroutable = false;
  settle(p, partition, flight->token, outcome);
}

/* Tag 0 with `multiple` means all (AMQP 0-9-1, basic.ack). */
static void on_confirm(struct sb_rabbitmq_publish *p, uint32_t partition, uint64_t tag, bool multiple,
                       enum sb_settle outcome) {
  struct lane *lane = &p->lanes[partition];
  uint64_t last = tag == 0 && multiple ? lane->next - 1 : tag;
  if (last >= lane->next) return;
  for (uint64_t t = multiple ? lane->first : last; t >= lane->first && t <= last; t++)
    settle_flight(p, partition, flight_at(lane, t), outcome);
  while (lane->first < lane->next && flight_at(lane, lane->first)->settled) lane->first++;
}

/* basic.return does not say which message it is about. It comes before the message's ack, and with the
 * message's own headers. */
static void on_returned(struct sb_rabbitmq_publish *p, uint32_t partition) {
  struct lane *lane = &p->lanes[partition];
  uint64_t print = sb_rabbitmq_fingerprint(&lane->returned.meta.envelope, NULL, NULL);
  for (uint64_t tag = lane->first; tag < lane->next; tag++) {
    struct flight *flight = flight_at(lane, tag);
    if (flight->settled || flight->returned || flight->len != lane->returned.size) continue;
    if (sb_rabbitmq_fingerprint(&flight->envelope, NULL, NULL) != print) continue;
    flight->returned = true;
    break;
  }
  sb_rabbitmq_content_close(&lane->returned);
  lane->repair = p->board->settings.declare;
  p->repair_wanted = p->repair_wanted || lane->repair;
  if (lane->unroutable) return;
  lane->unroutable = true;
  bool may_not = atomic_load(&p->board->may_not_bind);
  sb_rabbitmq_board_trouble(
      p->board, partition,
      may_not ? "the exchange has no binding to it, publishes are refused; no permission to "
                "make one"
              : "the exchange has no binding to it, publishes are refused",
      true);
}

/* ---- sending ---- */

static struct item *next_item(struct sb_rabbitmq_publish *p) {
  if (p->blocked || !items_left(&p->pending)) return NULL;
  struct item *item = &p->pending.at[p->pending.taken];
  const struct lane *lane = &p->lanes[item->partition];
  /* The window is full only when confirms come much out of order: one unsettled tag holds back all of it. */
  return lane->next - lane->first < SB_TRANSPORT_PUBLISH_MAX ? item : NULL;
}

/* When a message of this size, handed to the socket now, has been sent, also over a slow line. The time for
 * its confirm begins then. */
static int64_t sent_ms(size_t len) {
  return sb_clock_coarse_ms() + (int64_t)(len / SB_TRANSPORT_LINE_BYTES_PER_MS);
}

static int send_item(struct sb_rabbitmq_publish *p, const struct item *item, struct sb_error *error) {
  struct lane *lane = &p->lanes[item->partition];
  *flight_at(lane, lane->next) = (struct flight){.token = item->token,
                                                 .len = item->body->len,
                                                 .sent_ms = sent_ms(item->body->len),
                                                 .envelope = item->envelope};
  look_for_echo(p, item->partition, lane->next, &item->envelope);
  lane->next++;
  p->in_flight++;
  p->pending.taken++;
  struct sb_rabbitmq_headers headers;
  sb_rabbitmq_headers_encode(&headers, &item->envelope);
  if (p->board->settings.trust.count) sb_rabbitmq_headers_say_user(&headers, p->link.user);
  char key[SB_RABBITMQ_ROUTING_KEY];
  sb_rabbitmq_routing_key(item->partition, key);
  int rc =
      sb_rabbitmq_link_publish(&p->link, lane_channel(item->partition), p->board->exchange, key,
                               &headers.properties, (amqp_bytes_t){item->body->len, item->body->data}, error);
  atomic_fetch_add_explicit(&p->board->published, 1, memory_order_relaxed);
  sb_body_unref(item->body);
  return rc;
}

/* ---- alarms ---- */

static void on_blocked(struct sb_rabbitmq_publish *p, const amqp_connection_blocked_t *blocked) {
  if (p->blocked) return;
  char why[256];
  snprintf(why, sizeof why, "%.*s", (int)blocked->reason.len, (const char *)blocked->reason.bytes);
  p->blocked = true;
  sb_rabbitmq_board_blocked(p->board, p->link.host, true, why);
  set_accepting(p, false);
}

static void on_unblocked(struct sb_rabbitmq_publish *p) {
  if (!p->blocked) return;
  p->blocked = false;
  int64_t now_ms = sb_clock_coarse_ms();
  for (uint32_t i = 0; i < p->board->partitions; i++)
    for (uint64_t tag = p->lanes[i].first; tag < p->lanes[i].next; tag++) {
      struct flight *flight = flight_at(&p->lanes[i], tag);
      flight->sent_ms = sent_ms(flight->len);
    }
  sb_rabbitmq_board_blocked(p->board, p->link.host, false, "");
  if (p->proof_due_ms)
    p->proof_due_ms = now_ms + p->board->settings.rpc_timeout_ms;
  else
    set_accepting(p, true);
}

/* ---- the right to publish ---- */

/* That a connection may not publish shows only at its first message. So after a refused one the next
 * connection first has to prove itself, with a message that is stored nowhere: the bridge sees one outage
 * for as long as it lasts, not a link that comes up again and again. */
static int ask_for_proof(struct sb_rabbitmq_publish *p, struct sb_error *error) {
  static const amqp_basic_properties_t none = {0};
  p->proof_due_ms = sb_clock_ms() + p->board->settings.rpc_timeout_ms;
  return sb_rabbitmq_link_publish(&p->link, topology_channel(p), p->board->exchange, PROOF_KEY, &none,
                                  amqp_empty_bytes, error);
}

static void begin_accepting(struct sb_rabbitmq_publish *p) {
  p->refused = false;
  p->proof_due_ms = 0;
  sb_rabbitmq_board_well(p->board, SB_LINK_PUBLISH);
  sb_rabbitmq_link_held(&p->link);
  set_accepting(p, true);
}

static void on_proved(struct sb_rabbitmq_publish *p) {
  if (p->proof_due_ms) begin_accepting(p);
}

static int check_proof(const struct sb_rabbitmq_publish *p, struct sb_error *error) {
  if (!p->proof_due_ms || p->blocked || sb_clock_ms() < p->proof_due_ms) return 0;
  return sb_error_set(error, SB_ERR_TIMEOUT, "no answer to a publish that comes back, within %" PRIu32 " ms",
                      p->board->settings.rpc_timeout_ms);
}

/* ---- frames ---- */

/* "PRECONDITION_FAILED - message size 20000000 is larger than configured max size 16777216" */
static void learn_max_body(struct sb_rabbitmq_board *board, const char *text) {
  static const char words[] = "max size ";
  const char *at = strstr(text, words);
  if (!at) return;
  at += sizeof words - 1;
  uint64_t size;
  if (!sb_bytes_u64(sb_bytes(at, strspn(at, "0123456789")), (uint64_t)SB_BODY_BYTES_MAX, &size)) return;
  atomic_store(&board->max_body_learnt, (size_t)size);
  if (size < atomic_load(&board->max_body)) atomic_store(&board->max_body, (size_t)size);
}

static int on_channel_closed(struct sb_rabbitmq_publish *p, amqp_channel_t channel,
                             const amqp_channel_close_t *close_method, struct sb_error *error) {
  sb_rabbitmq_link_channel_closed(&p->link, channel, close_method, error);
  learn_max_body(p->board, error->text);
  if (p->link.refusal == AMQP_ACCESS_REFUSED) {
    p->refused = true;
    sb_error_wrap(error, "no permission to write to exchange %s", p->board->exchange);
  } else if (channel <= p->board->partitions) {
    sb_error_wrap(error, "publishing to %s.%u", p->board->exchange, (unsigned)channel - 1);
  }
  return error->code;
}

static int on_method(struct sb_rabbitmq_publish *p, const amqp_frame_t *frame, struct sb_error *error) {
  void *decoded = frame->payload.method.decoded;
  bool is_lane = frame->channel >= 1 && frame->channel <= p->board->partitions;
  uint32_t partition = frame->channel - 1u;
  switch (frame->payload.method.id) {
  case AMQP_BASIC_ACK_METHOD: {
    const amqp_basic_ack_t *ack = decoded;
    if (is_lane) on_confirm(p, partition, ack->delivery_tag, ack->multiple, SB_SETTLE_CONFIRMED);
    return 0;
  }
  case AMQP_BASIC_NACK_METHOD: {
    const amqp_basic_nack_t *nack = decoded;
    if (is_lane) on_confirm(p, partition, nack->delivery_tag, nack->multiple, SB_SETTLE_REJECTED);
    return 0;
  }
  case AMQP_BASIC_RETURN_METHOD:
    if (frame->channel == topology_channel(p)) on_proved(p);
    if (is_lane)
      sb_rabbitmq_content_begin(&p->lanes[partition].returned, false, &p->board->settings.trust, false);
    return 0;
  case AMQP_CHANNEL_CLOSE_METHOD:
    return on_channel_closed(p, frame->channel, decoded, error);
  case AMQP_CONNECTION_BLOCKED_METHOD:
    on_blocked(p, decoded);
    return 0;
  case AMQP_CONNECTION_UNBLOCKED_METHOD:
    on_unblocked(p);
    return 0;
  default:
    return 0;
  }
}

static int on_frame(struct sb_rabbitmq_publish *p, const amqp_frame_t *frame, struct sb_error *error) {
  if (frame->frame_type == AMQP_FRAME_METHOD) return on_method(p, frame, error);
  if (frame->channel == 0 || frame->channel > p->board->partitions) return 0;
  uint32_t partition = frame->channel - 1u;
  int rc = sb_rabbitmq_content_feed(&p->lanes[partition].returned, frame, error);
  if (rc == 1) on_returned(p, partition);
  return rc < 0 ? rc : 0;
}

static int read_frames(struct sb_rabbitmq_publish *p, struct sb_error *error) {
  amqp_frame_t frame;
  for (int i = 0; i < FRAMES_PER_TURN; i++) {
    int rc = sb_rabbitmq_link_frame(&p->link, &frame, error);
    if (rc <= 0) return rc;
    rc = on_frame(p, &frame, error);
    if (rc) return rc;
    sb_rabbitmq_link_release(&p->link, frame.channel);
  }
  return 0;
}

/* ---- the connection's life ---- */

static int prepare_lane(struct sb_rabbitmq_publish *p, uint32_t partition, struct sb_error *error) {
  struct lane *lane = &p->lanes[partition];
  lane->first = lane->next = 1;
  lane->echo_tag = 0;
  lane->repair = false;
  amqp_channel_t channel = lane_channel(partition);
  int rc = sb_rabbitmq_link_open_channel(&p->link, channel, error);
  if (rc) return rc;
  sb_rabbitmq_link_enter(&p->link);
  amqp_confirm_select(p->link.conn, channel);
  return sb_rabbitmq_link_answered(&p->link, channel, amqp_get_rpc_reply(p->link.conn), error);
}

static int ensure_stream(struct sb_rabbitmq_publish *p, uint32_t partition, struct sb_error *error) {
  int rc = sb_rabbitmq_topology_stream(&p->link, topology_channel(p), partition, error);
  if (rc) sb_error_wrap(error, "stream %s.%" PRIu32, p->board->exchange, partition);
  return rc;
}

static int connect_all(struct sb_rabbitmq_publish *p, struct sb_error *error) {
  int rc = sb_rabbitmq_connect(&p->link, p->board->partitions + 1, error);
  if (rc == 0) rc = sb_rabbitmq_link_open_channel(&p->link, topology_channel(p), error);
  if (rc == 0) rc = sb_rabbitmq_topology_exchange(&p->link, topology_channel(p), error);
  for (uint32_t i = 0; rc == 0 && i < p->board->partitions; i++) rc = ensure_stream(p, i, error);
  for (uint32_t i = 0; rc == 0 && i < p->board->partitions; i++) rc = prepare_lane(p, i, error);
  return rc;
}

static int repair(struct sb_rabbitmq_publish *p, struct sb_error *error) {
  if (!p->repair_wanted || sb_clock_ms() < p->repair_due_ms) return 0;
  p->repair_wanted = false;
  p->repair_due_ms = sb_clock_ms() + REPAIR_PAUSE_MS;
  for (uint32_t i = 0; i < p->board->partitions; i++) {
    if (!p->lanes[i].repair) continue;
    p->lanes[i].repair = false;
    int rc = sb_rabbitmq_topology_exchange(&p->link, topology_channel(p), error);
    if (rc == 0) rc = ensure_stream(p, i, error);
    if (rc) return rc;
  }
  return 0;
}

/* A stream whose leader is gone confirms nothing, and neither does a broker that hangs. All that can be
 * tried is another connection, maybe to another host. */
static int check_confirms(const struct sb_rabbitmq_publish *p, struct sb_error *error) {
  if (p->in_flight == 0 || p->blocked) return 0;
  int64_t oldest_ms = sb_clock_coarse_ms() - p->confirm_wait_ms;
  for (uint32_t i = 0; i < p->board->partitions; i++) {
    struct lane *lane = &p->lanes[i];
    if (lane->first == lane->next || flight_at(lane, lane->first)->sent_ms >= oldest_ms) continue;
    return sb_error_set(error, SB_ERR_TIMEOUT,
                        "stream %s.%" PRIu32 " has confirmed nothing for %" PRId64 " s", p->board->exchange,
                        i, p->confirm_wait_ms / 1000);
  }
  return 0;
}

static int64_t wait_until(const struct sb_rabbitmq_publish *p) {
  int64_t until_ms = INT64_MAX;
  if (p->in_flight && !p->blocked) until_ms = sb_clock_ms() + p->confirm_wait_ms;
  if (p->repair_wanted && p->repair_due_ms < until_ms) until_ms = p->repair_due_ms;
  if (p->proof_due_ms && !p->blocked && p->proof_due_ms < until_ms) until_ms = p->proof_due_ms;
  return until_ms;
}

static int run(struct sb_rabbitmq_publish *p, struct sb_error *error) {
  int64_t check_due_ms = 0;
  while (!sb_rabbitmq_link_stopping(&p->link)) {
    take_submitted(p);
    const struct item *item = next_item(p);
    /* When everything is confirmed the socket surely has room. Not asking it lets a lone message leave a
     * system call earlier. */
    unsigned ready = SB_RABBITMQ_WRITABLE;
    if (!item || p->in_flight) ready = sb_rabbitmq_link_wait(&p->link, item != NULL, wait_until(p));
    int rc = 0;
    if (item && (ready & SB_RABBITMQ_WRITABLE)) rc = send_item(p, item, error);
    if (rc == 0) rc = read_frames(p, error);
    if (rc == 0) rc = repair(p, error);
    if (rc == 0) rc = check_proof(p, error);
    if (rc == 0 && p->in_flight && sb_clock_coarse_ms() >= check_due_ms) {
      rc = check_confirms(p, error);
      check_due_ms = sb_clock_coarse_ms() + p->confirm_wait_ms / 2;
    }
    if (rc) return rc;
  }
  return 0;
}

/* Whatever was not confirmed may or may not be stored. */
static void lose_all(struct sb_rabbitmq_publish *p) {
  set_accepting(p, false);
  take_submitted(p);
  for (uint32_t i = 0; i < p->board->partitions; i++) {
    struct lane *lane = &p->lanes[i];
    for (uint64_t tag = lane->first; tag < lane->next; tag++)
      settle_flight(p, i, flight_at(lane, tag), SB_SETTLE_LOST);
    lane->first = lane->next;
    sb_rabbitmq_content_close(&lane->returned);
  }
  for (; items_left(&p->pending); p->pending.taken++) {
    const struct item *item = &p->pending.at[p->pending.taken];
    sb_body_unref(item->body);
    settle(p, item->partition, item->token, SB_SETTLE_LOST);
  }
}

void *sb_rabbitmq_publish_main(void *arg) {
  struct sb_rabbitmq_publish *p = arg;
  while (!sb_rabbitmq_link_stopping(&p->link)) {
    struct sb_error error = {0};
    int rc = connect_all(p, &error);
    if (rc == 0) {
      p->blocked = p->repair_wanted = false;
      p->proof_due_ms = 0;
      sb_rabbitmq_board_up(p->board, SB_LINK_PUBLISH, p->link.host);
      if (p->refused)
        rc = ask_for_proof(p, &error);
      else
        begin_accepting(p);
      if (rc == 0) rc = run(p, &error);
    }
    lose_all(p);
    sb_rabbitmq_link_drop(&p->link, rc == 0);
    if (rc == 0 || sb_rabbitmq_link_stopping(&p->link)) break;
    sb_rabbitmq_link_try_later(&p->link, SB_LINK_PUBLISH, &error);
  }
  sb_rabbitmq_board_ended(p->board);
  return NULL;
}
