#include "transports/servicebus_order.h"

#include <stdlib.h>
#include <string.h>

void sb_servicebus_order_init(struct sb_servicebus_order *order, int64_t patience_ms) {
  *order = (struct sb_servicebus_order){.patience_ms = patience_ms};
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

void sb_servicebus_order_cut(struct sb_servicebus_order *order) {
  if (order->expected == 0) order->patient = true;
}

void sb_servicebus_order_restart(struct sb_servicebus_order *order, uint64_t first, bool new_topic) {
  drop_held(order);
  order->expected = first;
  order->patient = first == 0;
  order->made_again = true;
  order->broken = 0;
  order->untold = SB_ORDER_NONE;
  if (new_topic) order->has_last = false;
  memset(order->prints, 0, sizeof order->prints);
}

/* ---- in ---- */

static struct sb_servicebus_print *print_at(struct sb_servicebus_order *order, uint64_t number) {
  return &order->prints[number % SB_SERVICEBUS_PRINTS];
}

static bool above_last(const struct sb_servicebus_order *order, const struct sb_servicebus_message *message) {
  return !order->has_last || message->sequence > order->last;
}

/* For one whose number has passed: whether it can only be of another life of the subscription. */
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

/* Where a number is among those held, or would be. */
static size_t place_of(const struct sb_servicebus_order *order, uint64_t number) {
  size_t at = order->held_count;
  while (at > 0 && order->held[at - 1].message.number >= number) at--;
  return at;
}

enum sb_servicebus_verdict sb_servicebus_order_take(struct sb_servicebus_order *order,
                                                    struct sb_servicebus_arrival *arrival) {
  const struct sb_servicebus_message *message = &arrival->message;
  if (order->expected && message->number < order->expected) {
    if (!is_other(order, message)) return SB_ORDER_DUPLICATE;
    begin_other(order, message);
  }
  size_t at = place_of(order, message->number);
  if (at < order->held_count && order->held[at].message.number == message->number) return SB_ORDER_DUPLICATE;
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

static bool full(const struct sb_servicebus_order *order) {
  return order->held_count >= SB_SERVICEBUS_HELD_MAX || order->held_bytes >= SB_SERVICEBUS_HELD_BYTES_MAX;
}

/* It is missing at least since the first of those behind it came. */
int64_t sb_servicebus_order_due_ms(const struct sb_servicebus_order *order) {
  if (order->held_count == 0 || !waits(order)) return INT64_MAX;
  int64_t since_ms = INT64_MAX;
  for (size_t i = 0; i < order->held_count; i++)
    if (order->held[i].arrived_ms < since_ms) since_ms = order->held[i].arrived_ms;
  return since_ms + order->patience_ms;
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
    if (!full(order) && now_ms < sb_servicebus_order_due_ms(order)) return SB_ORDER_NONE;
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
