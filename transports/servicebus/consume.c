#include "transports/servicebus/consume.h"

#include <inttypes.h>
#include <proton/condition.h>
#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/link.h>
#include <proton/session.h>
#include <proton/terminus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/base/clock.h"
#include "bridge/base/log.h"
#include "transports/servicebus/order.h"
#include "transports/signing.h"

/* In the mode receive-and-delete a message that did not arrive never comes again. So this waits only for
 * messages that come out of order. */
#define UNLOCKED_PATIENCE_MS 1000
/* A receiver that flowed for so long had no trouble. */
#define HELD_MS              5000
#define SWEEP_MS             1000
#define LINK_NAME_TEXT       64
#define ASIDE_MAX            256

enum receiver_state { RECEIVER_IDLE, RECEIVER_WAITING, RECEIVER_OPENING, RECEIVER_FLOWING };

/* Deliveries that are not completed yet, oldest first: a ring. */
struct handed {
  struct sb_servicebus_handle *at; /* cap is zero or a power of two */
  size_t cap;
  uint64_t first, next;
};

struct receiver {
  struct sb_servicebus_consume *consume;
  uint32_t partition;
  atomic_bool wanted;

  enum receiver_state state;
  int64_t due_ms;        /* of WAITING and OPENING */
  int64_t not_before_ms; /* a link that is allowed again waits until then */
  bool allowed;
  bool gone; /* the service said that the subscription is not there */
  bool began;
  enum sb_attach how; /* what the bridge is told at the next open */
  bool reopening;     /* the next open is not told to the bridge */
  uint32_t failures;
  int64_t flowing_since_ms;

  pn_link_t *link;
  uint32_t life; /* of the link: a handle of another life is void */
  struct sb_buf incoming;
  bool overlong;
  size_t usual_bytes; /* of the larger messages lately */
  int64_t last_arrival_ms, sweep_due_ms;
  size_t completing; /* completions that the service has not confirmed */
  bool blocked;      /* the bridge has no room */

  struct sb_servicebus_order order;
  struct handed handed; /* deliveries that the bridge has, and may be at work on */
  struct handed aside;  /* deliveries to be given back when there is room */
};

struct sb_servicebus_consume {
  struct sb_servicebus_board *board;
  sb_servicebus_stuck *stuck;
  void *owner;
  pn_session_t *session; /* NULL: not connected */
  struct receiver *receivers;
  uint64_t links;
  unsigned jitter_seed;
};

/* ---- life ---- */

static bool locks(const struct sb_servicebus_consume *c) {
  return c->board->settings.receive == SB_SERVICEBUS_PEEK_LOCK;
}

struct sb_servicebus_consume *sb_servicebus_consume_new(struct sb_servicebus_board *board,
                                                        sb_servicebus_stuck *stuck, void *owner) {
  struct sb_servicebus_consume *c = sb_calloc(1, sizeof *c);
  c->board = board;
  c->stuck = stuck;
  c->owner = owner;
  c->jitter_seed = (unsigned)board->nonce;
  c->receivers = sb_calloc(board->partitions, sizeof *c->receivers);
  int64_t lock_ms = (int64_t)board->settings.lock_s * 1000;
  for (uint32_t i = 0; i < board->partitions; i++) {
    struct receiver *r = &c->receivers[i];
    r->consume = c;
    r->partition = i;
    r->due_ms = INT64_MAX;
    r->how = SB_ATTACH_FRESH;
    atomic_init(&r->wanted, false);
    sb_servicebus_order_init(&r->order,
                             locks(c) ? lock_ms + SB_SERVICEBUS_LOCK_MARGIN_MS : UNLOCKED_PATIENCE_MS);
  }
  return c;
}

void sb_servicebus_consume_free(struct sb_servicebus_consume *c) {
  if (!c) return;
  for (uint32_t i = 0; i < c->board->partitions; i++) {
    sb_servicebus_order_close(&c->receivers[i].order);
    sb_buf_close(&c->receivers[i].incoming);
    free(c->receivers[i].handed.at);
    free(c->receivers[i].aside.at);
  }
  free(c->receivers);
  free(c);
}

void sb_servicebus_consume_attach(struct sb_servicebus_consume *c, uint32_t partition) {
  atomic_store(&c->receivers[partition].wanted, true);
  sb_servicebus_board_wake(c->board);
}

/* ---- completing ---- */

static void settle_now(pn_delivery_t *delivery) {
  pn_delivery_set_context(delivery, NULL);
  pn_delivery_settle(delivery);
}

/* The service confirms a completion by settling the delivery. Only then may we forget it (part 2, 2.6.12:
 * receiver settle mode second). */
static void finish(struct receiver *r, struct sb_servicebus_handle handle, uint64_t outcome) {
  if (handle.life != r->life || !handle.delivery) return;
  pn_delivery_t *delivery = handle.delivery;
  pn_delivery_update(delivery, outcome);
  if (pn_delivery_settled(delivery)) {
    settle_now(delivery);
    return;
  }
  pn_delivery_set_context(delivery, (void *)(uintptr_t)sb_clock_coarse_ms());
  r->completing++;
}

static void complete(struct receiver *r, struct sb_servicebus_handle handle) {
  finish(r, handle, PN_ACCEPTED);
}

static void on_completed(struct receiver *r, pn_delivery_t *delivery) {
  if (!pn_delivery_get_context(delivery)) return;
  r->completing--;
  settle_now(delivery);
}

/* Forgets completions that were not confirmed within a lock: when the lock has expired there is nothing left
 * to confirm. */
static void sweep(struct receiver *r, int64_t now_ms) {
  if (r->completing == 0 || now_ms < r->sweep_due_ms) return;
  r->sweep_due_ms = now_ms + SWEEP_MS;
  int64_t oldest_ms = now_ms - (int64_t)r->consume->board->settings.lock_s * 1000;
  for (pn_delivery_t *next, *d = pn_unsettled_head(r->link); d; d = next) {
    next = pn_unsettled_next(d);
    int64_t since_ms = (int64_t)(uintptr_t)pn_delivery_get_context(d);
    if (since_ms && since_ms <= oldest_ms) on_completed(r, d);
  }
}

static void handed_grow(struct handed *handed) {
  size_t cap = handed->cap ? handed->cap * 2 : 16;
  struct sb_servicebus_handle *at = sb_calloc(cap, sizeof *at);
  for (uint64_t n = handed->first; handed->cap && n < handed->next; n++)
    at[n % cap] = handed->at[n % handed->cap];
  free(handed->at);
  handed->at = at;
  handed->cap = cap;
}

static void handed_append(struct handed *handed, struct sb_servicebus_handle handle) {
  if (handed->next - handed->first == handed->cap) handed_grow(handed);
  handed->at[handed->next++ % handed->cap] = handle;
}

static void complete_applied(struct receiver *r) {
  uint64_t applied =
      atomic_load_explicit(&r->consume->board->lanes[r->partition].applied, memory_order_acquire);
  for (; r->handed.first < applied; r->handed.first++)
    complete(r, r->handed.at[r->handed.first % r->handed.cap]);
}

/* ---- links ---- */

static void enter(struct receiver *r, enum receiver_state state, int64_t due_ms) {
  r->state = state;
  r->due_ms = due_ms;
}

static void tell_link(struct receiver *r, bool up) {
  sb_servicebus_board_link(r->consume->board, r->partition, SB_LINK_CONSUME, up);
}

/* The link is lost. Messages that were sent on it and did not arrive come again, out of order. In the mode
 * receive-and-delete they do not come again; and as long as no number is known nothing shows that they are
 * missing, so a gap is told. */
static void cut_order(struct receiver *r) {
  bool blind = !locks(r->consume) && r->order.expected == 0;
  sb_servicebus_order_cut(&r->order, sb_clock_ms());
  if (blind && r->began && r->how == SB_ATTACH_CONTINUED) r->how = SB_ATTACH_GAP;
}

static void forget_link(struct receiver *r, bool connection_lost) {
  if (r->link && !connection_lost) {
    pn_link_set_context(r->link, NULL);
    pn_link_close(r->link);
    pn_link_free(r->link);
  }
  if (r->link) cut_order(r);
  r->link = NULL;
  r->life++;
  r->completing = 0;
  r->overlong = false;
  sb_buf_clear(&r->incoming);
}

static void open_link(struct receiver *r, int64_t now_ms) {
  struct sb_servicebus_consume *c = r->consume;
  char name[LINK_NAME_TEXT], address[SB_SERVICEBUS_ADDRESS_TEXT];
  sb_servicebus_subscription_address(c->board, r->partition, address);
  snprintf(name, sizeof name, "receive-%" PRIu32 "-%" PRIx64 "-%" PRIu64, r->partition, c->board->nonce,
           ++c->links);
  r->link = pn_receiver(c->session, name);
  pn_link_set_context(r->link, r);
  pn_terminus_set_address(pn_link_source(r->link), address);
  pn_terminus_set_address(pn_link_target(r->link), name);
  pn_link_set_snd_settle_mode(r->link, locks(c) ? PN_SND_UNSETTLED : PN_SND_SETTLED);
  pn_link_set_rcv_settle_mode(r->link, locks(c) ? PN_RCV_SECOND : PN_RCV_FIRST);
  pn_link_open(r->link);
  enter(r, RECEIVER_OPENING, now_ms + c->board->settings.rpc_timeout_ms);
}

void sb_servicebus_consume_opened(struct sb_servicebus_consume *c, pn_link_t *link) {
  struct receiver *r = pn_link_get_context(link);
  if (!r || r->link != link || r->state != RECEIVER_OPENING) return;
  /* A refusal is an open without a source, and a detach that says why. */
  if (pn_terminus_get_type(pn_link_remote_source(link)) == PN_UNSPECIFIED) return;
  enter(r, RECEIVER_FLOWING, INT64_MAX);
  r->flowing_since_ms = r->last_arrival_ms = sb_clock_ms();
  r->gone = false;
  tell_link(r, true);
  if (!r->reopening) {
    if (r->how == SB_ATTACH_GAP || r->how == SB_ATTACH_NEW_LOG)
      atomic_fetch_add_explicit(&c->board->gaps, 1, memory_order_relaxed);
    sb_servicebus_board_attached(c->board, r->partition, r->how);
  }
  r->began = true;
  r->reopening = false;
  r->how = SB_ATTACH_CONTINUED;
}

static int64_t next_pause_ms(struct receiver *r) {
  if (r->flowing_since_ms && sb_clock_ms() - r->flowing_since_ms >= HELD_MS) r->failures = 0;
  r->flowing_since_ms = 0;
  r->failures++;
  if (r->failures == 1) return 0;
  return sb_backoff_doubled_ms(&r->consume->board->pauses, r->failures - 1, &r->consume->jitter_seed);
}

static void tell_detached(struct receiver *r, enum sb_servicebus_cure cure, pn_condition_t *condition) {
  const struct sb_servicebus_board *board = r->consume->board;
  char why[SB_ERROR_TEXT_MAX];
  const char *name = pn_condition_get_name(condition), *text = pn_condition_get_description(condition);
  const char *advice =
      cure == SB_CURE_ENTITY && !board->settings.manage ? "; make it, or set manage = true" : "";
  snprintf(why, sizeof why, "reading subscription %s was ended by the service: %s%s%s%s",
           board->settings.subscription, name ? name : "no reason given", text ? ": " : "", text ? text : "",
           advice);
  sb_servicebus_board_trouble(r->consume->board, r->partition, SB_SOURCE_CONSUME, why);
}

int sb_servicebus_consume_detached(struct sb_servicebus_consume *c, pn_link_t *link, struct sb_error *error) {
  struct receiver *r = pn_link_get_context(link);
  if (!r || r->link != link) return 0;
  pn_condition_t *condition = pn_link_remote_condition(link);
  const char *name = pn_condition_get_name(condition), *text = pn_condition_get_description(condition);
  enum sb_servicebus_cure cure = pn_condition_is_set(condition) ? sb_servicebus_cure_of(name) : SB_CURE_LINK;
  if (cure == SB_CURE_TOKEN && c->board->settings.auth != SB_SERVICEBUS_CBS) cure = SB_CURE_PERSON;
  if (cure == SB_CURE_CONNECTION)
    return sb_error_set(error, SB_ERR_LINK, "reading from %s-%" PRIu32 ": %s: %s", c->board->prefix,
                        r->partition, name ? name : "detached", text ? text : "");
  tell_link(r, false);
  r->reopening = false;
  tell_detached(r, cure, condition);
  forget_link(r, false);
  int64_t pause_ms = next_pause_ms(r);
  if (cure == SB_CURE_PAUSE) pause_ms = c->board->settings.busy_pause_ms;
  if (cure == SB_CURE_PERSON) pause_ms = c->board->settings.backoff_max_ms;
  r->not_before_ms = sb_clock_ms() + pause_ms;
  enter(r, RECEIVER_WAITING, r->not_before_ms);
  if (cure != SB_CURE_ENTITY && cure != SB_CURE_TOKEN) return 0;
  enter(r, RECEIVER_IDLE, INT64_MAX);
  r->allowed = false;
  r->gone = r->gone || cure == SB_CURE_ENTITY;
  c->stuck(c->owner, r->partition, cure);
  return 0;
}

/* ---- messages ---- */

/* Nothing of this topic can be delivered before a person has changed it. */
static void refuse_topic(struct receiver *r, const char *why) {
  sb_servicebus_board_trouble(r->consume->board, r->partition, SB_SOURCE_CONSUME, why);
  tell_link(r, false);
  forget_link(r, false);
  enter(r, RECEIVER_WAITING, sb_clock_ms() + r->consume->board->settings.backoff_max_ms);
}

static void count_duplicate(struct receiver *r) {
  atomic_fetch_add_explicit(&r->consume->board->duplicates, 1, memory_order_relaxed);
}

static int64_t wall_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A whole message stands in `incoming`, and its delivery was taken off the link. False when the link is
 * gone. */
static bool on_message(struct receiver *r, struct sb_servicebus_handle handle, int64_t now_ms) {
  struct sb_servicebus_arrival arrival = {.arrived_ms = now_ms, .handle = handle};
  sb_servicebus_message_decode(sb_buf_bytes(&r->incoming), &arrival.message);
  const struct sb_servicebus_message *message = &arrival.message;
  const char *wrong = NULL;
  if (!message->has_number || !message->has_sequence)
    wrong = "its messages carry no sequence numbers: it is not a subscription of Service Bus";
  else if (message->sequence > SB_SEQUENCE_MAX)
    wrong = "its sequence numbers are out of range: make it without partitioning (EnablePartitioning)";
  if (wrong) {
    sb_servicebus_message_close(&arrival.message);
    refuse_topic(r, wrong);
    return false;
  }
  if (locks(r->consume)) sb_servicebus_order_learn_lock(&r->order, message, wall_ms());
  if (sb_servicebus_order_take(&r->order, &arrival) != SB_ORDER_DUPLICATE) return true;
  count_duplicate(r);
  complete(r, arrival.handle);
  sb_servicebus_message_close(&arrival.message);
  return true;
}

static void hand_over(struct receiver *r, struct sb_servicebus_arrival *arrival) {
  struct sb_event event = {.kind = SB_EVENT_DELIVERY,
                           .partition = r->partition,
                           .delivery = {.sequence = arrival->message.sequence,
                                        .envelope = arrival->message.envelope,
                                        .channel = arrival->message.channel,
                                        .body = arrival->message.body}};
  sb_signing_judge(r->consume->board->signing, r->partition, &event.delivery);
  handed_append(&r->handed, arrival->handle);
  atomic_fetch_add_explicit(&r->consume->board->delivered, 1, memory_order_relaxed);
  /* There is room: this thread has looked, and no other fills the queue. Only a queue that was stopped
   * meanwhile refuses, and then nobody is left to apply the message. */
  if (!sb_event_queue_push(r->consume->board->events, &event)) sb_event_close(&event);
}

static void tell_gap(struct receiver *r, enum sb_attach how) {
  struct sb_servicebus_board *board = r->consume->board;
  atomic_fetch_add_explicit(&board->gaps, 1, memory_order_relaxed);
  sb_log(SB_LOG_WARN, SB_SERVICEBUS_AREA, "topic %s-%" PRIu32 ": %s", board->prefix, r->partition,
         how == SB_ATTACH_GAP ? "messages are missing and did not come again: a gap"
                              : "it was made again, reading starts anew");
  sb_servicebus_board_attached(board, r->partition, how);
}

static bool room(const struct receiver *r) {
  const struct sb_servicebus_order *order = &r->order;
  size_t bytes = order->held_count ? order->held[0].message.body->len : 0;
  return sb_event_queue_has_room(r->consume->board->events, bytes);
}

/* Hands on everything that is in order, as long as the bridge has room. */
static void hand_on(struct receiver *r, int64_t now_ms) {
  struct sb_servicebus_arrival arrival;
  while (!(r->blocked = !room(r))) {
    switch (sb_servicebus_order_next(&r->order, now_ms, &arrival)) {
    case SB_ORDER_DELIVER:
      hand_over(r, &arrival);
      break;
    case SB_ORDER_GAP:
      tell_gap(r, SB_ATTACH_GAP);
      break;
    case SB_ORDER_NEW_LOG:
      tell_gap(r, SB_ATTACH_NEW_LOG);
      break;
    case SB_ORDER_BROKEN:
      complete(r, arrival.handle);
      sb_servicebus_message_close(&arrival.message);
      break;
    case SB_ORDER_NONE:
    case SB_ORDER_KEPT:
    case SB_ORDER_DUPLICATE:
      return;
    }
  }
}

static void give_back(struct receiver *r, uint64_t keep) {
  for (; r->aside.next - r->aside.first > keep; r->aside.first++)
    finish(r, r->aside.at[r->aside.first % r->aside.cap], PN_RELEASED);
}

/* Messages for which the order has no room are given back; the service sends them again, at the latest when
 * their lock ends. In the mode receive-and-delete it would not, so there they are kept. */
static void set_surplus_aside(struct receiver *r) {
  struct sb_servicebus_arrival arrival;
  while (locks(r->consume) && sb_servicebus_order_surplus(&r->order, &arrival)) {
    handed_append(&r->aside, arrival.handle);
    sb_servicebus_message_close(&arrival.message);
  }
  give_back(r, sb_servicebus_order_has_room(&r->order) ? 0 : ASIDE_MAX);
}

/* ---- reading ---- */

static void read_bytes(struct receiver *r, pn_delivery_t *delivery) {
  size_t pending = pn_delivery_pending(delivery);
  if (pending > SB_SERVICEBUS_MESSAGE_BYTES_MAX - r->incoming.len) r->overlong = true;
  if (r->overlong) sb_buf_clear(&r->incoming);
  sb_buf_reserve(&r->incoming, pending);
  ssize_t n = pn_link_recv(r->link, (char *)r->incoming.data + r->incoming.len, pending);
  if (n > 0) r->incoming.len += (size_t)n;
}

static void learn_size(struct receiver *r) {
  r->usual_bytes -= r->usual_bytes / 64;
  if (r->incoming.len > r->usual_bytes) r->usual_bytes = r->incoming.len;
}

/* Reads one delivery as far as it has come. False when it is not whole, or the link is gone. */
static bool read_one(struct receiver *r, pn_delivery_t *delivery, int64_t now_ms) {
  if (pn_delivery_aborted(delivery)) {
    sb_buf_clear(&r->incoming);
    r->overlong = false;
    pn_delivery_settle(delivery);
    return true;
  }
  read_bytes(r, delivery);
  if (pn_delivery_partial(delivery)) return false;
  pn_link_advance(r->link);
  if (r->failures) sb_servicebus_board_well(r->consume->board, r->partition, SB_SOURCE_CONSUME);
  r->failures = 0;
  r->last_arrival_ms = now_ms;
  struct sb_servicebus_handle handle = {.delivery = delivery, .life = r->life};
  if (!locks(r->consume)) {
    pn_delivery_settle(delivery);
    handle.delivery = NULL;
  }
  bool good = true;
  if (r->overlong) {
    sb_servicebus_board_trouble(r->consume->board, r->partition, SB_SOURCE_CONSUME,
                                "a message over 128 MiB was dropped");
    complete(r, handle);
  } else {
    learn_size(r);
    good = on_message(r, handle, now_ms);
  }
  r->overlong = false;
  sb_buf_clear(&r->incoming);
  if (r->incoming.cap > SB_SERVICEBUS_IDLE_BYTES) sb_buf_close(&r->incoming);
  return good;
}

static void read_all(struct receiver *r, int64_t now_ms) {
  pn_delivery_t *delivery;
  hand_on(r, now_ms);
  set_surplus_aside(r);
  while (!r->blocked && r->link && (delivery = pn_link_current(r->link))) {
    if (!read_one(r, delivery, now_ms)) return;
    hand_on(r, now_ms);
    set_surplus_aside(r);
  }
}

static bool is_here(const struct receiver *r, struct sb_servicebus_handle handle) {
  return handle.delivery && handle.life == r->life;
}

/* How many deliveries of this link wait for a missing message. */
static size_t waiting_here(const struct receiver *r) {
  size_t count = 0;
  for (uint64_t n = r->aside.first; n < r->aside.next; n++)
    if (is_here(r, r->aside.at[n % r->aside.cap])) count++;
  for (size_t i = 0; i < r->order.held_count; i++)
    if (is_here(r, r->order.held[i].handle)) count++;
  return count;
}

/* Gives the service credit for as many messages as may still come. */
static void top_up(struct receiver *r, int64_t now_ms) {
  const struct sb_servicebus_board *board = r->consume->board;
  if (r->blocked || r->state != RECEIVER_FLOWING) return;
  size_t fit = r->usual_bytes ? SB_SERVICEBUS_PREFETCH_BYTES / board->partitions / r->usual_bytes : SIZE_MAX;
  size_t most = sb_least(board->settings.prefetch, fit < INT32_MAX ? fit + 1 : INT32_MAX);
  size_t granted = (size_t)pn_link_remote_credit(r->link);
  size_t taken = (size_t)pn_link_unsettled(r->link) - waiting_here(r) + granted;
  size_t orderly = sb_servicebus_order_credit(&r->order, now_ms, granted, r->usual_bytes);
  size_t more = taken < most ? sb_least(most - taken, orderly) : 0;
  if (more > 0 && (more >= most / 4 || granted == 0)) pn_link_flow(r->link, (int)more);
}

/* ---- time ---- */

static int64_t quiet_due_ms(const struct receiver *r) {
  uint32_t quiet_ms = r->consume->board->settings.receive_quiet_ms;
  if (r->state != RECEIVER_FLOWING || quiet_ms == 0) return INT64_MAX;
  return r->last_arrival_ms + quiet_ms;
}

/* Attaches anew a link that has brought nothing for long: the service may have forgotten it. */
static void renew_quiet(struct receiver *r, int64_t now_ms) {
  if (now_ms < quiet_due_ms(r)) return;
  r->last_arrival_ms = now_ms;
  if (pn_link_unsettled(r->link) > 0) return;
  forget_link(r, false);
  r->reopening = r->how == SB_ATTACH_CONTINUED;
  enter(r, RECEIVER_WAITING, now_ms);
}

static void look_at_wish(struct receiver *r) {
  if (r->state != RECEIVER_IDLE || !r->allowed) return;
  if (atomic_load(&r->wanted))
    enter(r, RECEIVER_WAITING, r->not_before_ms);
  else
    tell_link(r, true); /* a partition that nobody reads has a link as long as there is a connection */
}

static int turn_receiver(struct receiver *r, int64_t now_ms, struct sb_error *error) {
  const struct sb_servicebus_board *board = r->consume->board;
  complete_applied(r);
  look_at_wish(r);
  if (r->state == RECEIVER_WAITING && now_ms >= r->due_ms) open_link(r, now_ms);
  if (r->state == RECEIVER_OPENING && now_ms >= r->due_ms)
    return sb_error_set(error, SB_ERR_TIMEOUT,
                        "reading from %s-%" PRIu32 ": no answer to attach within %" PRIu32 " ms",
                        board->prefix, r->partition, board->settings.rpc_timeout_ms);
  if (r->state != RECEIVER_FLOWING) return 0;
  read_all(r, now_ms);
  if (r->state != RECEIVER_FLOWING) return 0;
  sweep(r, now_ms);
  top_up(r, now_ms);
  renew_quiet(r, now_ms);
  return 0;
}

int sb_servicebus_consume_turn(struct sb_servicebus_consume *c, int64_t now_ms, struct sb_error *error) {
  int rc = 0;
  for (uint32_t i = 0; rc == 0 && i < c->board->partitions; i++)
    rc = turn_receiver(&c->receivers[i], now_ms, error);
  return rc;
}

int64_t sb_servicebus_consume_due_ms(const struct sb_servicebus_consume *c) {
  int64_t due_ms = INT64_MAX;
  for (uint32_t i = 0; i < c->board->partitions; i++) {
    const struct receiver *r = &c->receivers[i];
    due_ms = sb_sooner(due_ms, sb_sooner(r->due_ms, quiet_due_ms(r)));
    if (r->state != RECEIVER_FLOWING) continue;
    if (!r->blocked) due_ms = sb_sooner(due_ms, sb_servicebus_order_due_ms(&r->order));
    if (!r->blocked) due_ms = sb_sooner(due_ms, sb_servicebus_order_ask_due_ms(&r->order));
    if (r->completing) due_ms = sb_sooner(due_ms, r->sweep_due_ms);
  }
  return due_ms;
}

void sb_servicebus_consume_delivery(struct sb_servicebus_consume *c, pn_delivery_t *delivery) {
  (void)c;
  struct receiver *r = pn_link_get_context(pn_delivery_link(delivery));
  if (!r || r->link != pn_delivery_link(delivery)) return;
  if (pn_delivery_settled(delivery)) on_completed(r, delivery);
}

/* ---- the connection comes and goes ---- */

void sb_servicebus_consume_connected(struct sb_servicebus_consume *c, pn_session_t *session) {
  c->session = session;
}

/* A link to a subscription that was deleted brings nothing any more, whether the service told us or not. */
static void leave_old(struct receiver *r) {
  if (!r->link) return;
  tell_link(r, false);
  forget_link(r, false);
  r->reopening = false;
  enter(r, RECEIVER_WAITING, sb_clock_ms());
}

void sb_servicebus_consume_allow(struct sb_servicebus_consume *c, uint32_t partition,
                                 enum sb_servicebus_entity entity) {
  struct receiver *r = &c->receivers[partition];
  bool made = entity != SB_ENTITY_AS_BEFORE, topic_too = entity == SB_ENTITY_MADE_BOTH;
  r->allowed = true;
  if (made || r->gone) {
    leave_old(r);
    sb_servicebus_order_restart(&r->order, made ? 1 : 0, topic_too || !r->began);
    if (r->began) r->how = topic_too || r->how == SB_ATTACH_NEW_LOG ? SB_ATTACH_NEW_LOG : SB_ATTACH_GAP;
  }
}

void sb_servicebus_consume_lost(struct sb_servicebus_consume *c) {
  c->session = NULL;
  for (uint32_t i = 0; i < c->board->partitions; i++) {
    struct receiver *r = &c->receivers[i];
    tell_link(r, false);
    forget_link(r, true);
    r->allowed = r->reopening = r->blocked = false;
    r->failures = 0;
    r->flowing_since_ms = r->not_before_ms = 0;
    enter(r, RECEIVER_IDLE, INT64_MAX);
  }
}
