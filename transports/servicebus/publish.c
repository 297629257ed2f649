#include "transports/servicebus/publish.h"

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

#include "bridge/base/clock.h"
#include "bridge/base/log.h"
#include "transports/servicebus/message.h"

/* A link that lasted so long had no trouble. */
#define HELD_MS             5000
/* So many refused sends in a row are tried again at once; after them comes a pause. */
#define REFUSALS_IN_A_ROW   3
#define MESSAGE_BYTES_UNSET ((size_t)256 * 1024) /* of a link that names no limit: what every tier takes */
#define MESSAGE_ID_TEXT     64
#define LINK_NAME_TEXT      64

/* A message that is not settled; or that is settled, but behind one that is not. */
struct flight {
  uint64_t token;
  struct sb_body *body; /* until it is sent */
  size_t body_bytes;
  struct sb_envelope envelope;
  int64_t sent_ms;
  bool settled;
};

enum sender_state { SENDER_IDLE, SENDER_WAITING, SENDER_OPENING, SENDER_UP };

/* Flight of number n is at flights[n % SB_TRANSPORT_PUBLISH_MAX]: [first, unsent) was sent, [unsent, next)
 * waits. */
struct sender {
  struct flight flights[SB_TRANSPORT_PUBLISH_MAX];
  uint64_t first, unsent, next;
  atomic_uint window; /* numbers that are taken, also of messages that were not looked at yet */
  bool accepting;     /* under the lock */

  enum sender_state state;
  int64_t due_ms;        /* of WAITING and OPENING */
  int64_t not_before_ms; /* a link that is allowed again waits until then */
  pn_link_t *link;
  size_t max_body;                      /* of its link, 0: not known yet */
  bool asked_max_body;                  /* a size was refused, and this link was opened after that */
  size_t refused_body;                  /* the smallest that was refused nevertheless; SIZE_MAX: none */
  int64_t up_since_ms, paused_until_ms; /* 0: not */
  int64_t starved_since_ms; /* something waits, nothing is on its way, and there is no credit; 0: not so */
  uint32_t failures, refusals;
  uint32_t famines; /* since something was sent */
};

struct item {
  uint32_t partition;
  uint64_t token;
  struct sb_body *body;
  struct sb_envelope envelope;
};

struct sb_servicebus_publish {
  struct sb_servicebus_board *board;
  sb_servicebus_stuck *stuck;
  void *owner;

  pthread_mutex_t lock; /* of the next, and of `accepting` */
  struct {
    struct item *at;
    size_t count, cap;
  } submitted;

  /* the I/O thread's */
  pn_session_t *session; /* NULL: not connected */
  struct sender *senders;
  struct sb_buf head;
  uint64_t links, sends;
  unsigned jitter_seed;
};

static bool is_final(uint64_t state) {
  return state == PN_ACCEPTED || state == PN_REJECTED || state == PN_RELEASED || state == PN_MODIFIED;
}

static struct flight *flight_at(struct sender *sender, uint64_t number) {
  return &sender->flights[number % SB_TRANSPORT_PUBLISH_MAX];
}

static uint32_t partition_of(const struct sb_servicebus_publish *p, const struct sender *sender) {
  return (uint32_t)(sender - p->senders);
}

/* ---- life ---- */

struct sb_servicebus_publish *sb_servicebus_publish_new(struct sb_servicebus_board *board,
                                                        sb_servicebus_stuck *stuck, void *owner) {
  struct sb_servicebus_publish *p = sb_calloc(1, sizeof *p);
  p->board = board;
  p->stuck = stuck;
  p->owner = owner;
  p->jitter_seed = (unsigned)board->nonce;
  pthread_mutex_init(&p->lock, NULL);
  p->senders = sb_calloc(board->partitions, sizeof *p->senders);
  for (uint32_t i = 0; i < board->partitions; i++) {
    atomic_init(&p->senders[i].window, 0);
    p->senders[i].due_ms = INT64_MAX;
    p->senders[i].refused_body = SIZE_MAX;
  }
  return p;
}

void sb_servicebus_publish_free(struct sb_servicebus_publish *p) {
  if (!p) return;
  free(p->submitted.at);
  free(p->senders);
  sb_buf_close(&p->head);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

/* ---- from the bridge's thread to ours ---- */

/* `window` bounds what is submitted: a window of each partition. */
static void append(struct sb_servicebus_publish *p, const struct item *item) {
  if (p->submitted.count == p->submitted.cap) {
    p->submitted.cap = p->submitted.cap ? p->submitted.cap * 2 : 16;
    p->submitted.at = sb_realloc(p->submitted.at, p->submitted.cap * sizeof *p->submitted.at);
  }
  p->submitted.at[p->submitted.count++] = *item;
}

int sb_servicebus_publish_submit(struct sb_servicebus_publish *p, uint32_t partition,
                                 const struct sb_envelope *envelope, struct sb_body *body, uint64_t token) {
  if (body->len > atomic_load_explicit(&p->board->max_body, memory_order_relaxed)) return SB_ERR_TOO_LARGE;
  struct sender *sender = &p->senders[partition];
  int rc = 0;
  pthread_mutex_lock(&p->lock);
  if (!sender->accepting) {
    rc = SB_ERR_LINK;
  } else if (atomic_load(&sender->window) >= SB_TRANSPORT_PUBLISH_MAX) {
    rc = SB_ERR_FULL;
  } else {
    atomic_fetch_add(&sender->window, 1);
    append(p, &(struct item){partition, token, sb_body_ref(body), *envelope});
  }
  pthread_mutex_unlock(&p->lock);
  if (rc == 0) sb_servicebus_board_wake(p->board);
  return rc;
}

static void take_submitted(struct sb_servicebus_publish *p) {
  pthread_mutex_lock(&p->lock);
  for (size_t i = 0; i < p->submitted.count; i++) {
    const struct item *item = &p->submitted.at[i];
    struct sender *sender = &p->senders[item->partition];
    *flight_at(sender, sender->next++) = (struct flight){
        .token = item->token, .body = item->body, .body_bytes = item->body->len, .envelope = item->envelope};
  }
  p->submitted.count = 0;
  pthread_mutex_unlock(&p->lock);
}

static void set_accepting(struct sb_servicebus_publish *p, struct sender *sender, bool accepting) {
  pthread_mutex_lock(&p->lock);
  sender->accepting = accepting;
  pthread_mutex_unlock(&p->lock);
  sb_servicebus_board_link(p->board, partition_of(p, sender), SB_LINK_PUBLISH, accepting);
}

/* ---- settling ---- */

static void settle(struct sb_servicebus_publish *p, struct sender *sender, struct flight *flight,
                   enum sb_settle outcome) {
  if (flight->settled) return;
  flight->settled = true;
  sb_body_unref(flight->body);
  flight->body = NULL;
  while (sender->first < sender->next && flight_at(sender, sender->first)->settled) {
    sender->first++;
    /* Given back before the bridge hears of the settlement, since it may use the room at once. */
    atomic_fetch_sub(&sender->window, 1);
  }
  if (sender->unsent < sender->first) sender->unsent = sender->first;
  if (outcome == SB_SETTLE_CONFIRMED)
    atomic_fetch_add_explicit(&p->board->confirmed, 1, memory_order_relaxed);
  else if (outcome == SB_SETTLE_REJECTED)
    atomic_fetch_add_explicit(&p->board->refused, 1, memory_order_relaxed);
  sb_servicebus_board_settled(p->board, partition_of(p, sender), flight->token, outcome);
}

static void settle_range(struct sb_servicebus_publish *p, struct sender *sender, uint64_t from, uint64_t to,
                         enum sb_settle outcome) {
  for (uint64_t n = from; n < to; n++) settle(p, sender, flight_at(sender, n), outcome);
}

static bool anything_sent(struct sender *sender) {
  for (uint64_t n = sender->first; n < sender->unsent; n++)
    if (!flight_at(sender, n)->settled) return true;
  return false;
}

static size_t largest_sent(struct sender *sender) {
  size_t largest = 0;
  for (uint64_t n = sender->first; n < sender->unsent; n++) {
    const struct flight *flight = flight_at(sender, n);
    if (!flight->settled && flight->body_bytes > largest) largest = flight->body_bytes;
  }
  return largest;
}

/* Nothing more of this sender is taken or sent until it is up again. */
static void stop_sender(struct sb_servicebus_publish *p, struct sender *sender, enum sb_settle sent,
                        enum sb_settle unsent) {
  set_accepting(p, sender, false);
  take_submitted(p);
  uint64_t first_unsent = sender->unsent;
  settle_range(p, sender, sender->first, first_unsent, sent);
  settle_range(p, sender, first_unsent, sender->next, unsent);
}

/* ---- links ---- */

static void enter(struct sender *sender, enum sender_state state, int64_t due_ms) {
  sender->state = state;
  sender->due_ms = due_ms;
  sender->starved_since_ms = 0;
}

static void forget_link(struct sender *sender) {
  if (!sender->link) return;
  pn_link_set_context(sender->link, NULL);
  pn_link_close(sender->link);
  pn_link_free(sender->link);
  sender->link = NULL;
}

static void open_link(struct sb_servicebus_publish *p, struct sender *sender, int64_t now_ms) {
  char name[LINK_NAME_TEXT], topic[SB_SERVICEBUS_TOPIC_TEXT];
  uint32_t partition = partition_of(p, sender);
  sb_servicebus_topic_name(p->board, partition, topic);
  snprintf(name, sizeof name, "send-%" PRIu32 "-%" PRIx64 "-%" PRIu64, partition, p->board->nonce,
           ++p->links);
  sender->link = pn_sender(p->session, name);
  pn_link_set_context(sender->link, sender);
  pn_terminus_set_address(pn_link_target(sender->link), topic);
  pn_terminus_set_address(pn_link_source(sender->link), name);
  pn_link_set_snd_settle_mode(sender->link, PN_SND_UNSETTLED);
  pn_link_set_rcv_settle_mode(sender->link, PN_RCV_FIRST);
  pn_link_open(sender->link);
  enter(sender, SENDER_OPENING, now_ms + p->board->settings.rpc_timeout_ms);
}

/* The smallest that any of the links takes. */
static void publish_max_body(struct sb_servicebus_publish *p) {
  size_t max = SB_BODY_BYTES_MAX;
  for (uint32_t i = 0; i < p->board->partitions; i++) {
    const struct sender *sender = &p->senders[i];
    if (sender->max_body && sender->max_body < max) max = sender->max_body;
    if (sender->refused_body <= max) max = sender->refused_body - 1;
  }
  atomic_store(&p->board->max_body, max);
}

/* A message was refused for its size. If the limit became lower, the link that is opened next says so. If
 * that link does not take the message either, its size is above the limit whatever the link says; otherwise
 * the bridge would send the same message for ever. */
static void on_size_refused(struct sb_servicebus_publish *p, struct sender *sender, size_t body_bytes) {
  if (sender->asked_max_body && body_bytes > 1 && body_bytes < sender->refused_body) {
    sender->refused_body = body_bytes;
    publish_max_body(p);
  }
  sender->asked_max_body = true;
}

void sb_servicebus_publish_opened(struct sb_servicebus_publish *p, pn_link_t *link) {
  struct sender *sender = pn_link_get_context(link);
  if (!sender || sender->link != link || sender->state != SENDER_OPENING) return;
  /* A refusal is an open without a target, and a detach that says why. */
  if (pn_terminus_get_type(pn_link_remote_target(link)) == PN_UNSPECIFIED) return;
  uint64_t max = pn_link_remote_max_message_size(link);
  size_t message = max == 0 || max > SIZE_MAX ? MESSAGE_BYTES_UNSET : (size_t)max;
  sender->max_body = message > SB_SERVICEBUS_HEAD_MAX ? message - SB_SERVICEBUS_HEAD_MAX : 1;
  publish_max_body(p);
  enter(sender, SENDER_UP, INT64_MAX);
  sender->up_since_ms = sb_clock_ms();
  if (!sender->paused_until_ms) set_accepting(p, sender, true);
}

/* `why` is about the topic and does not name it. */
static void tell(struct sb_servicebus_publish *p, const struct sender *sender, const char *what,
                 pn_condition_t *condition) {
  char why[SB_ERROR_TEXT_MAX];
  const char *name = pn_condition_get_name(condition), *text = pn_condition_get_description(condition);
  snprintf(why, sizeof why, "%s: %s%s%s", what, name ? name : "no reason given", text ? ": " : "",
           text ? text : "");
  sb_servicebus_board_trouble(p->board, partition_of(p, sender), SB_SOURCE_PUBLISH, why);
}

/* Waits until it is allowed again, but at least for the pause. */
static void get_stuck(struct sb_servicebus_publish *p, struct sender *sender, enum sb_servicebus_cure cure,
                      int64_t pause_ms) {
  forget_link(sender);
  sender->not_before_ms = sb_clock_ms() + pause_ms;
  enter(sender, SENDER_IDLE, INT64_MAX);
  p->stuck(p->owner, partition_of(p, sender), cure);
}

static bool is_too_large(pn_condition_t *condition) {
  const char *name = pn_condition_get_name(condition);
  return name && (strcmp(name, "amqp:link:message-size-exceeded") == 0 ||
                  strcmp(name, "com.microsoft:message-size-exceeded") == 0);
}

/* What cures this condition. Without tokens a new token is no cure. */
static enum sb_servicebus_cure cure_of(const struct sb_servicebus_publish *p, pn_condition_t *condition) {
  if (is_too_large(condition)) return SB_CURE_LINK;
  enum sb_servicebus_cure cure = sb_servicebus_cure_of(pn_condition_get_name(condition));
  bool tokens = p->board->settings.auth == SB_SERVICEBUS_CBS;
  return cure == SB_CURE_TOKEN && !tokens ? SB_CURE_PERSON : cure;
}

static void fail_link(struct sender *sender, int64_t pause_ms) {
  forget_link(sender);
  enter(sender, SENDER_WAITING, sb_clock_ms() + pause_ms);
}

static int64_t next_pause_ms(struct sb_servicebus_publish *p, struct sender *sender) {
  if (sender->up_since_ms && sb_clock_ms() - sender->up_since_ms >= HELD_MS) sender->failures = 0;
  sender->up_since_ms = 0;
  sender->failures++;
  if (sender->failures == 1) return 0;
  return sb_backoff_doubled_ms(&p->board->pauses, sender->failures - 1, &p->jitter_seed);
}

static int connection_error(struct sb_servicebus_publish *p, const struct sender *sender,
                            pn_condition_t *condition, struct sb_error *error) {
  const char *name = pn_condition_get_name(condition), *text = pn_condition_get_description(condition);
  return sb_error_set(error, SB_ERR_LINK, "sending to %s-%" PRIu32 ": %s: %s", p->board->prefix,
                      partition_of(p, sender), name ? name : "detached", text ? text : "");
}

int sb_servicebus_publish_detached(struct sb_servicebus_publish *p, pn_link_t *link, struct sb_error *error) {
  struct sender *sender = pn_link_get_context(link);
  if (!sender || sender->link != link) return 0;
  pn_condition_t *condition = pn_link_remote_condition(link);
  enum sb_servicebus_cure cure = pn_condition_is_set(condition) ? cure_of(p, condition) : SB_CURE_LINK;
  if (cure == SB_CURE_CONNECTION) return connection_error(p, sender, condition, error);
  if (is_too_large(condition)) on_size_refused(p, sender, largest_sent(sender));
  bool silent =
      sender->state == SENDER_UP && !anything_sent(sender) && (cure == SB_CURE_LINK || cure == SB_CURE_AGAIN);
  if (!silent) {
    stop_sender(p, sender, SB_SETTLE_LOST, SB_SETTLE_LOST);
    tell(p, sender, "sending was ended by the service", condition);
  }
  int64_t pause_ms = next_pause_ms(p, sender);
  if (cure == SB_CURE_PAUSE) pause_ms = p->board->settings.busy_pause_ms;
  if (cure == SB_CURE_PERSON) pause_ms = p->board->settings.backoff_max_ms;
  if (cure == SB_CURE_ENTITY || cure == SB_CURE_TOKEN)
    get_stuck(p, sender, cure, pause_ms);
  else
    fail_link(sender, pause_ms);
  return 0;
}

/* ---- outcomes ---- */

/* Messages that are on their way keep their outcome. Those that were not sent are certainly not in the log:
 * they are settled as rejected. */
static void pause_sender(struct sb_servicebus_publish *p, struct sender *sender, int64_t pause_ms) {
  if (!sender->paused_until_ms) {
    set_accepting(p, sender, false);
    take_submitted(p);
    settle_range(p, sender, sender->unsent, sender->next, SB_SETTLE_REJECTED);
    sender->unsent = sender->next;
  }
  sender->paused_until_ms = sb_clock_ms() + pause_ms;
}

static void resume_sender(struct sb_servicebus_publish *p, struct sender *sender) {
  sender->paused_until_ms = 0;
  if (sender->state == SENDER_UP) set_accepting(p, sender, true);
}

static void on_refused_again(struct sb_servicebus_publish *p, struct sender *sender) {
  if (++sender->refusals < REFUSALS_IN_A_ROW) return;
  pause_sender(
      p, sender,
      sb_backoff_doubled_ms(&p->board->pauses, sender->refusals - REFUSALS_IN_A_ROW + 1, &p->jitter_seed));
}

static void on_too_large(struct sb_servicebus_publish *p, struct sender *sender, pn_condition_t *condition,
                         size_t body_bytes) {
  on_size_refused(p, sender, body_bytes);
  stop_sender(p, sender, SB_SETTLE_LOST, SB_SETTLE_LOST);
  tell(p, sender, "a message was too large", condition);
  fail_link(sender, next_pause_ms(p, sender));
}

static int on_refused(struct sb_servicebus_publish *p, struct sender *sender, pn_condition_t *condition,
                      struct sb_error *error) {
  enum sb_servicebus_cure cure = pn_condition_is_set(condition)
                                     ? sb_servicebus_cure_of(pn_condition_get_name(condition))
                                     : SB_CURE_AGAIN;
  switch (cure) {
  case SB_CURE_AGAIN:
    on_refused_again(p, sender);
    return 0;
  case SB_CURE_PAUSE:
    atomic_fetch_add_explicit(&p->board->busy, 1, memory_order_relaxed);
    tell(p, sender, "sending pauses", condition);
    pause_sender(p, sender, p->board->settings.busy_pause_ms);
    return 0;
  case SB_CURE_PERSON:
    tell(p, sender, "it takes no messages", condition);
    pause_sender(p, sender, p->board->settings.backoff_max_ms);
    return 0;
  case SB_CURE_LINK:
    stop_sender(p, sender, SB_SETTLE_LOST, SB_SETTLE_LOST);
    fail_link(sender, next_pause_ms(p, sender));
    return 0;
  case SB_CURE_ENTITY:
  case SB_CURE_TOKEN:
    stop_sender(p, sender, SB_SETTLE_LOST, SB_SETTLE_LOST);
    tell(p, sender, "it takes no messages", condition);
    get_stuck(p, sender, cure, next_pause_ms(p, sender));
    return 0;
  case SB_CURE_CONNECTION:
    break;
  }
  return connection_error(p, sender, condition, error);
}

int sb_servicebus_publish_outcome(struct sb_servicebus_publish *p, pn_delivery_t *delivery,
                                  struct sb_error *error) {
  struct sender *sender = pn_link_get_context(pn_delivery_link(delivery));
  if (!sender || sender->link != pn_delivery_link(delivery)) return 0;
  if (!pn_delivery_updated(delivery)) return 0;
  uint64_t state = pn_delivery_remote_state(delivery);
  if (!is_final(state) && !pn_delivery_settled(delivery)) return 0;
  uint64_t number = (uint64_t)(uintptr_t)pn_delivery_get_context(delivery);
  if (number < sender->first || number >= sender->unsent) return 0;
  struct flight *flight = flight_at(sender, number);
  int rc = 0;
  if (state == PN_ACCEPTED) {
    sender->refusals = sender->failures = 0;
    sb_servicebus_board_well(p->board, partition_of(p, sender), SB_SOURCE_PUBLISH);
    settle(p, sender, flight, SB_SETTLE_CONFIRMED);
  } else if (!is_final(state)) {
    settle(p, sender, flight, SB_SETTLE_LOST); /* settled without a word */
  } else {
    pn_condition_t *condition = pn_disposition_condition(pn_delivery_remote(delivery));
    settle(p, sender, flight, SB_SETTLE_REJECTED);
    if (is_too_large(condition))
      on_too_large(p, sender, condition, flight->body_bytes);
    else
      rc = on_refused(p, sender, condition, error);
  }
  if (sender->link) pn_delivery_settle(delivery);
  return rc;
}

/* ---- sending ---- */

static void send_flight(struct sb_servicebus_publish *p, struct sender *sender, uint64_t number,
                        int64_t now_ms) {
  struct flight *flight = flight_at(sender, number);
  char id[MESSAGE_ID_TEXT];
  snprintf(id, sizeof id, "%016" PRIx64 "-%" PRIu64, p->board->nonce, ++p->sends);
  sb_servicebus_message_encode(&flight->envelope, id, flight->body->len, &p->head);
  pn_delivery_t *delivery = pn_delivery(sender->link, pn_dtag((const char *)&p->sends, sizeof p->sends));
  pn_delivery_set_context(delivery, (void *)(uintptr_t)number);
  pn_link_send(sender->link, (const char *)p->head.data, p->head.len);
  pn_link_send(sender->link, (const char *)flight->body->data, flight->body->len);
  pn_link_advance(sender->link);
  flight->sent_ms = now_ms;
  sender->famines = 0;
  sb_body_unref(flight->body);
  flight->body = NULL;
  atomic_fetch_add_explicit(&p->board->published, 1, memory_order_relaxed);
}

static void send_all(struct sb_servicebus_publish *p, struct sender *sender, int64_t now_ms) {
  if (sender->state != SENDER_UP || sender->paused_until_ms) return;
  while (sender->unsent < sender->next && pn_link_credit(sender->link) > 0 &&
         pn_session_outgoing_bytes(p->session) < SB_SERVICEBUS_SENDING_BYTES)
    send_flight(p, sender, sender->unsent++, now_ms);
}

/* ---- credit that does not come ---- */

/* Notes since when there has been no credit. While a message is on its way this does not count, because its
 * outcome may bring credit. */
static void note_credit(struct sender *sender, int64_t now_ms) {
  bool starved = sender->state == SENDER_UP && !sender->paused_until_ms && sender->first == sender->unsent &&
                 sender->unsent < sender->next && pn_link_credit(sender->link) <= 0;
  if (!starved) sender->starved_since_ms = 0;
  if (starved && !sender->starved_since_ms) sender->starved_since_ms = now_ms;
}

static int64_t famine_due_ms(const struct sb_servicebus_publish *p, const struct sender *sender) {
  if (!sender->starved_since_ms) return INT64_MAX;
  return sender->starved_since_ms + p->board->settings.rpc_timeout_ms;
}

/* Tries a new link first, and a new connection when that did not help. After that only links again: one
 * topic without credit must not end the links of all others time and again. What waits is settled as lost,
 * and the bridge sends it again. */
static int end_famine(struct sb_servicebus_publish *p, struct sender *sender, struct sb_error *error) {
  char why[SB_ERROR_TEXT_MAX];
  snprintf(why, sizeof why, "no credit to send within %" PRIu32 " ms", p->board->settings.rpc_timeout_ms);
  if (++sender->famines == 2)
    return sb_error_set(error, SB_ERR_TIMEOUT, "sending to %s-%" PRIu32 ": %s", p->board->prefix,
                        partition_of(p, sender), why);
  stop_sender(p, sender, SB_SETTLE_LOST, SB_SETTLE_LOST);
  sb_servicebus_board_trouble(p->board, partition_of(p, sender), SB_SOURCE_PUBLISH, why);
  fail_link(sender, next_pause_ms(p, sender));
  return 0;
}

/* ---- time ---- */

static int64_t outcome_wait_ms(const struct sb_servicebus_publish *p) {
  return 3 * (int64_t)p->board->settings.rpc_timeout_ms;
}

/* When the oldest that was sent should have its outcome. */
static int64_t outcome_due_ms(const struct sb_servicebus_publish *p, struct sender *sender) {
  if (sender->first == sender->unsent) return INT64_MAX;
  return flight_at(sender, sender->first)->sent_ms + outcome_wait_ms(p);
}

static int turn_sender(struct sb_servicebus_publish *p, struct sender *sender, int64_t now_ms,
                       struct sb_error *error) {
  if (sender->paused_until_ms && now_ms >= sender->paused_until_ms) resume_sender(p, sender);
  if (sender->state == SENDER_WAITING && now_ms >= sender->due_ms) open_link(p, sender, now_ms);
  if (sender->state == SENDER_OPENING && now_ms >= sender->due_ms)
    return sb_error_set(error, SB_ERR_TIMEOUT,
                        "sending to %s-%" PRIu32 ": no answer to attach within %" PRIu32 " ms",
                        p->board->prefix, partition_of(p, sender), p->board->settings.rpc_timeout_ms);
  if (now_ms >= outcome_due_ms(p, sender))
    return sb_error_set(error, SB_ERR_TIMEOUT, "sending to %s-%" PRIu32 ": no outcome within %" PRId64 " ms",
                        p->board->prefix, partition_of(p, sender), outcome_wait_ms(p));
  send_all(p, sender, now_ms);
  note_credit(sender, now_ms);
  return now_ms >= famine_due_ms(p, sender) ? end_famine(p, sender, error) : 0;
}

int sb_servicebus_publish_turn(struct sb_servicebus_publish *p, int64_t now_ms, struct sb_error *error) {
  take_submitted(p);
  int rc = 0;
  for (uint32_t i = 0; rc == 0 && i < p->board->partitions; i++)
    rc = turn_sender(p, &p->senders[i], now_ms, error);
  return rc;
}

int64_t sb_servicebus_publish_due_ms(const struct sb_servicebus_publish *p) {
  int64_t due_ms = INT64_MAX;
  for (uint32_t i = 0; i < p->board->partitions; i++) {
    struct sender *sender = &p->senders[i];
    due_ms = sb_sooner(due_ms, sb_sooner(sender->due_ms, outcome_due_ms(p, sender)));
    due_ms = sb_sooner(due_ms, famine_due_ms(p, sender));
    if (sender->paused_until_ms) due_ms = sb_sooner(due_ms, sender->paused_until_ms);
  }
  return due_ms;
}

/* ---- the connection comes and goes ---- */

void sb_servicebus_publish_connected(struct sb_servicebus_publish *p, pn_session_t *session) {
  p->session = session;
}

void sb_servicebus_publish_allow(struct sb_servicebus_publish *p, uint32_t partition) {
  struct sender *sender = &p->senders[partition];
  if (sender->state == SENDER_IDLE) enter(sender, SENDER_WAITING, sender->not_before_ms);
}

void sb_servicebus_publish_lost(struct sb_servicebus_publish *p) {
  p->session = NULL;
  for (uint32_t i = 0; i < p->board->partitions; i++) {
    struct sender *sender = &p->senders[i];
    stop_sender(p, sender, SB_SETTLE_LOST, SB_SETTLE_LOST);
    sender->link = NULL; /* freed with its connection */
    sender->failures = sender->refusals = 0;
    sender->asked_max_body = false;
    sender->refused_body = SIZE_MAX;
    sender->up_since_ms = sender->not_before_ms = 0;
    enter(sender, SENDER_IDLE, INT64_MAX);
  }
}
