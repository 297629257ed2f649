#include "transports/servicebus/order.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/base/clock.h"

/* A quarter of what may be held is kept for probes and for what they find. */
#define ASKED_MAX        ((size_t)SB_SERVICEBUS_HELD_MAX / 4 * 3)
#define ASKED_BYTES_MAX  (SB_SERVICEBUS_HELD_BYTES_MAX / 4 * 3)
/* Probes come closer to each other towards the end of the wait, when locks end; and seldom enough that there
 * is room for what they bring. */
#define PROBE_PAUSE_MS   250
#define PROBE_PAUSE_PART 16

/* The longest that the service offers. */
#define LOCK_MAX_MS ((int64_t)300 * 1000)
/* A lost link prolongs the wait for a missing message, because its lock may have begun just then. Links that
 * are lost again and again prolong it to this many waits at most. */
#define WAITS_MAX   8

void sb_servicebus_order_init(struct sb_servicebus_order *order, int64_t patience_ms) {
  *order = (struct sb_servicebus_order){.patience_ms = patience_ms, .probe = 1, .ask_due_ms = INT64_MAX};
}

static void drop_held(struct sb_servicebus_order *order) {
  for (size_t i = 0; i < order->held_count; i++) sb_servicebus_message_close(&order->held[i].message);
  order->held_count = order->held_bytes = 0;
}

void sb_servicebus_order_close(struct sb_servicebus_order *order) {
  drop_held(order);
  free(order->held);
  order->held = NULL;
  order->held_cap = 0;
}

void sb_servicebus_order_cut(struct sb_servicebus_order *order, int64_t now_ms) {
  order->cut_ms = now_ms;
  if (order->expected == 0) order->patient = true;
}

void sb_servicebus_order_restart(struct sb_servicebus_order *order, uint64_t first, bool new_topic) {
  drop_held(order);
  order->expected = first;
  order->patient = first == 0;
  order->made_again = true;
  order->broken = 0;
  order->untold = SB_ORDER_NONE;
  order->lock_most_ms = order->lock_least_ms = 0;
  if (new_topic) order->has_last = false;
  memset(order->prints, 0, sizeof order->prints);
}

/* ---- how long locks last ---- */

/* The lock began after the message came to the topic (by the service's clock) and before it came here (by
 * ours). So it lasts at most from the one and at least from the other to its end, if our clock is right. A
 * message that took no time on its way shows it exactly, so the closest pair counts. */
void sb_servicebus_order_learn_lock(struct sb_servicebus_order *order,
                                    const struct sb_servicebus_message *message, int64_t wall_ms) {
  uint64_t until_ms = message->locked_until_ms, from_ms = message->enqueued_ms;
  if (until_ms > INT64_MAX || from_ms == 0 || until_ms <= from_ms) return;
  int64_t most_ms = (int64_t)(until_ms - from_ms), least_ms = (int64_t)until_ms - wall_ms;
  if (most_ms > LOCK_MAX_MS) most_ms = LOCK_MAX_MS;
  if (least_ms > LOCK_MAX_MS) least_ms = LOCK_MAX_MS;
  if (order->lock_most_ms == 0 || most_ms < order->lock_most_ms) order->lock_most_ms = most_ms;
  if (least_ms > order->lock_least_ms) order->lock_least_ms = least_ms;
}

static int64_t patience_ms(const struct sb_servicebus_order *order) {
  int64_t lock_ms = order->lock_least_ms < order->lock_most_ms ? order->lock_least_ms : order->lock_most_ms;
  int64_t shown_ms = lock_ms + SB_SERVICEBUS_LOCK_MARGIN_MS;
  return lock_ms > 0 && shown_ms > order->patience_ms ? shown_ms : order->patience_ms;
}

/* ---- in ---- */

static struct sb_servicebus_print *print_at(struct sb_servicebus_order *order, uint64_t number) {
  return &order->prints[number % SB_SERVICEBUS_PRINTS];
}

static bool above_last(const struct sb_servicebus_order *order, const struct sb_servicebus_message *message) {
  return !order->has_last || message->sequence > order->last;
}

/* For a message whose number has passed: whether it can only belong to another life of the subscription. */
static bool is_other(struct sb_servicebus_order *order, const struct sb_servicebus_message *message) {
  const struct sb_servicebus_print *known = print_at(order, message->number);
  if (known->number == message->number) return known->print != message->print;
  return above_last(order, message);
}

static void begin_other(struct sb_servicebus_order *order, const struct sb_servicebus_message *message) {
  bool same_topic = above_last(order, message);
  drop_held(order);
  order->untold = same_topic ? SB_ORDER_GAP : SB_ORDER_NEW_LOG;
  if (!same_topic) order->has_last = false;
  order->expected = 0;
  order->patient = true;
  memset(order->prints, 0, sizeof order->prints);
}

/* The place of a number among those that are held, or the place where it would stand. */
static size_t place_of(const struct sb_servicebus_order *order, uint64_t number) {
  size_t at = order->held_count;
  while (at > 0 && order->held[at - 1].message.number >= number) at--;
  return at;
}

/* A message that is not above all others came from the front of the subscription. */
static void look_at_place(struct sb_servicebus_order *order, bool front) {
  if (!front)
    order->probe = 1;
  else if (order->probe < SB_SERVICEBUS_HELD_MAX)
    order->probe *= 2;
  if (front) order->probe_after_ms = 0;
}

static void swap_handles(struct sb_servicebus_handle *a, struct sb_servicebus_handle *b) {
  struct sb_servicebus_handle kept = *a;
  *a = *b;
  *b = kept;
}

enum sb_servicebus_verdict sb_servicebus_order_take(struct sb_servicebus_order *order,
                                                    struct sb_servicebus_arrival *arrival) {
  const struct sb_servicebus_message *message = &arrival->message;
  if (order->expected && message->number < order->expected) {
    if (!is_other(order, message)) {
      look_at_place(order, true);
      return SB_ORDER_DUPLICATE;
    }
    begin_other(order, message);
  }
  size_t at = place_of(order, message->number);
  look_at_place(order, at < order->held_count);
  if (at < order->held_count && order->held[at].message.number == message->number) {
    swap_handles(&order->held[at].handle, &arrival->handle);
    return SB_ORDER_DUPLICATE;
  }
  if (order->held_count == order->held_cap) {
    order->held_cap = order->held_cap ? order->held_cap * 2 : 16;
    order->held = sb_realloc(order->held, order->held_cap * sizeof *order->held);
  }
  memmove(order->held + at + 1, order->held + at, (order->held_count - at) * sizeof *order->held);
  order->held[at] = *arrival;
  order->held_count++;
  order->held_bytes += message->body->len;
  return SB_ORDER_KEPT;
}

/* ---- out ---- */

static bool waits(const struct sb_servicebus_order *order) {
  uint64_t number = order->held[0].message.number;
  return order->expected ? number > order->expected : order->patient && number > 1;
}

/* The message is missing at least since the first of those behind it came. If a link was lost after that, it
 * may have been on that link, and its lock began then. */
int64_t sb_servicebus_order_due_ms(const struct sb_servicebus_order *order) {
  if (order->held_count == 0 || !waits(order)) return INT64_MAX;
  int64_t since_ms = INT64_MAX;
  for (size_t i = 0; i < order->held_count; i++) since_ms = sb_sooner(since_ms, order->held[i].arrived_ms);
  int64_t wait_ms = patience_ms(order), latest_ms = since_ms + (WAITS_MAX - 1) * wait_ms;
  if (order->cut_ms > since_ms) since_ms = sb_sooner(order->cut_ms, latest_ms);
  return since_ms + wait_ms;
}

static void pop(struct sb_servicebus_order *order, struct sb_servicebus_arrival *arrival) {
  *arrival = order->held[0];
  order->held_count--;
  order->held_bytes -= arrival->message.body->len;
  memmove(order->held, order->held + 1, order->held_count * sizeof *order->held);
  order->expected = arrival->message.number + 1;
  *print_at(order, arrival->message.number) =
      (struct sb_servicebus_print){arrival->message.number, arrival->message.print};
}

static enum sb_servicebus_verdict out_of_log(struct sb_servicebus_order *order,
                                             struct sb_servicebus_arrival *arrival) {
  uint64_t sequence = order->held[0].message.sequence;
  if (order->made_again || (order->broken && sequence > order->broken)) {
    order->has_last = order->made_again = false;
    order->broken = 0;
    return SB_ORDER_NEW_LOG;
  }
  order->broken = sequence;
  order->untold = SB_ORDER_GAP;
  pop(order, arrival);
  return SB_ORDER_BROKEN;
}

enum sb_servicebus_verdict sb_servicebus_order_next(struct sb_servicebus_order *order, int64_t now_ms,
                                                    struct sb_servicebus_arrival *arrival) {
  enum sb_servicebus_verdict untold = order->untold;
  order->untold = SB_ORDER_NONE;
  if (untold != SB_ORDER_NONE) return untold;
  if (order->held_count == 0) return SB_ORDER_NONE;
  if (waits(order)) {
    if (now_ms < sb_servicebus_order_due_ms(order)) return SB_ORDER_NONE;
    bool known = order->expected != 0;
    order->expected = order->held[0].message.number;
    if (known) return SB_ORDER_GAP;
  }
  if (!above_last(order, &order->held[0].message)) return out_of_log(order, arrival);
  pop(order, arrival);
  order->has_last = true;
  order->last = arrival->message.sequence;
  order->made_again = false;
  order->broken = 0;
  return SB_ORDER_DELIVER;
}

/* ---- bounds ---- */

bool sb_servicebus_order_has_room(const struct sb_servicebus_order *order) {
  return order->held_count < ASKED_MAX && order->held_bytes < ASKED_BYTES_MAX;
}

/* How many more messages may be held behind the missing one. */
static size_t room_for(const struct sb_servicebus_order *order, size_t usual_bytes) {
  if (!sb_servicebus_order_has_room(order)) return 0;
  size_t fit = usual_bytes ? (ASKED_BYTES_MAX - order->held_bytes) / usual_bytes : SIZE_MAX;
  if (order->held_count == 0 && fit == 0) fit = 1; /* one may be as large as it likes */
  return sb_least(ASKED_MAX - order->held_count, fit);
}

static int64_t probe_pause_ms(const struct sb_servicebus_order *order, int64_t now_ms) {
  int64_t pause_ms = (sb_servicebus_order_due_ms(order) - now_ms) / PROBE_PAUSE_PART;
  return pause_ms > PROBE_PAUSE_MS ? pause_ms : PROBE_PAUSE_MS;
}

size_t sb_servicebus_order_credit(struct sb_servicebus_order *order, int64_t now_ms, size_t granted,
                                  size_t usual_bytes) {
  size_t room = room_for(order, usual_bytes);
  order->ask_due_ms = INT64_MAX;
  if (granted < room) return room - granted;
  if (granted > 0 || order->held_count == 0 || !waits(order)) return 0;
  if (now_ms < order->probe_after_ms) {
    order->ask_due_ms = order->probe_after_ms;
    return 0;
  }
  order->probe_after_ms = now_ms + probe_pause_ms(order, now_ms);
  return order->probe;
}

int64_t sb_servicebus_order_ask_due_ms(const struct sb_servicebus_order *order) {
  return order->ask_due_ms;
}

bool sb_servicebus_order_surplus(struct sb_servicebus_order *order, struct sb_servicebus_arrival *arrival) {
  bool over = order->held_count > SB_SERVICEBUS_HELD_MAX || order->held_bytes > SB_SERVICEBUS_HELD_BYTES_MAX;
  if (!over || order->held_count == 1) return false;
  *arrival = order->held[--order->held_count];
  order->held_bytes -= arrival->message.body->len;
  return true;
}
