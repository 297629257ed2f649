/* Puts what a subscription hands out back into the order of the log, and finds out what is missing in it.
 * Pure: no connection, no clock; the time comes in as an argument.
 *
 * Two numbers come with every message. The subscription counts its own messages without holes, so a jump
 * means that one is missing: it was sent and got lost on the way, and comes again when its lock expires.
 * What stands behind it is held until then, but no longer than a lock lasts; only after that a gap is
 * declared. What is held is bounded, since no more is asked for: the service keeps the rest. The topic's
 * number is the position in the log, the same for all its subscriptions; it has holes by its nature.
 *
 *  own number          topic's number      it is                                      the bridge is told
 *  the next            above the last      next: handed on
 *  above the next      any                 held
 *  below, same print   any                 a duplicate: dropped
 *  below, unknown      not above the last  late, after a gap was told: dropped
 *  below, other        above the last      of a subscription that was made again      SB_ATTACH_GAP
 *  below, other print  not above the last  of a topic that was made again             SB_ATTACH_NEW_LOG
 *  the next            not above the last  broken: dropped                            SB_ATTACH_GAP
 *                                          if the subscription was made again, or
 *                                          this happens twice: of another topic       SB_ATTACH_NEW_LOG */
#ifndef SB_TRANSPORTS_SERVICEBUS_ORDER_H
#define SB_TRANSPORTS_SERVICEBUS_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/limits.h"
#include "transports/servicebus/message.h"
#include "transports/transport.h"

/* Added to the lock, because the service looks for expired locks in its own time. */
#define SB_SERVICEBUS_LOCK_MARGIN_MS 2000

/* What to do with the arrival that was handed in, or that came out. */
enum sb_servicebus_verdict {
  SB_ORDER_NONE,      /* nothing to hand on now */
  SB_ORDER_KEPT,      /* the order has taken it; ask _next */
  SB_ORDER_DUPLICATE, /* settle and drop it */
  SB_ORDER_DELIVER,   /* hand it on */
  SB_ORDER_GAP,       /* tell SB_ATTACH_GAP, then ask again */
  SB_ORDER_NEW_LOG,   /* tell SB_ATTACH_NEW_LOG, then ask again */
  SB_ORDER_BROKEN,    /* settle and drop it */
};

/* With this the receiver completes a delivery. It is good as long as its link is the same. */
struct sb_servicebus_handle {
  void *delivery;
  uint32_t life;
};

/* A message that was received, and the delivery that it came with. */
struct sb_servicebus_arrival {
  struct sb_servicebus_message message;
  int64_t arrived_ms;
  struct sb_servicebus_handle handle;
};

/* Numbers of messages that were handed on, to tell a duplicate from another message with its number. */
struct sb_servicebus_print {
  uint64_t number, print;
};

struct sb_servicebus_order {
  int64_t patience_ms;                 /* how long to wait for a missing message, at least */
  int64_t lock_most_ms, lock_least_ms; /* bounds of a lock's length, from arrivals; 0: not known */
  int64_t cut_ms;                      /* when the link was lost last */

  uint64_t expected; /* the subscription's next number, 0: not known */
  bool patient;      /* while `expected` is not known: a lower number may be on its way */
  bool has_last;
  uint64_t last;   /* the topic's number that was handed on last */
  bool made_again; /* the subscription was, since the last message */
  uint64_t broken; /* the topic's number of a message dropped as broken just before, 0: none */
  enum sb_servicebus_verdict untold; /* GAP or NEW_LOG that comes before what is held; else NONE */
  struct sb_servicebus_print prints[SB_SERVICEBUS_PRINTS];

  struct sb_servicebus_arrival
      *held; /* [0, held_count), by number; a heap is not worth it: nearly in order */
  size_t held_count, held_cap, held_bytes;

  size_t probe;           /* how many the next probe asks for, see _credit */
  int64_t probe_after_ms; /* the earliest time of it */
  int64_t ask_due_ms;     /* when to ask for it */
};

void sb_servicebus_order_init(struct sb_servicebus_order *order, int64_t patience_ms);
void sb_servicebus_order_close(struct sb_servicebus_order *order);

/* Takes *arrival unless the verdict is DUPLICATE. When a message comes that is held already, its later
 * delivery has the lock: the order keeps that handle, and *arrival gets the earlier one. */
enum sb_servicebus_verdict sb_servicebus_order_take(struct sb_servicebus_order *order,
                                                    struct sb_servicebus_arrival *arrival);

/* What comes next in order: DELIVER or BROKEN with *arrival, which is the caller's then; or GAP, NEW_LOG,
 * NONE. */
enum sb_servicebus_verdict sb_servicebus_order_next(struct sb_servicebus_order *order, int64_t now_ms,
                                                    struct sb_servicebus_arrival *arrival);

/* How much credit the service may get on top of the `granted` that it has, for messages of `usual_bytes`, so
 * that no more is held than may be.
 *
 * When all of that is held, only probes are left. The missing message stands at the front of the
 * subscription once its lock has ended, so asking for one message tells whether it has. If the probe brings
 * a message from the front, the next probe asks for twice as many; if not, the next one comes after a
 * pause. */
size_t sb_servicebus_order_credit(struct sb_servicebus_order *order, int64_t now_ms, size_t granted,
                                  size_t usual_bytes);

/* When _credit has more to give without anything happening; INT64_MAX: never. */
int64_t sb_servicebus_order_ask_due_ms(const struct sb_servicebus_order *order);

/* Takes out the message that is furthest behind, while more is held than may be. The caller must give it
 * back to the service, but not before there is room again, or it would come again at once. False when there
 * is none. */
bool sb_servicebus_order_surplus(struct sb_servicebus_order *order, struct sb_servicebus_arrival *arrival);

bool sb_servicebus_order_has_room(const struct sb_servicebus_order *order);

/* When _next will give up waiting for what is missing; INT64_MAX: nothing is. */
int64_t sb_servicebus_order_due_ms(const struct sb_servicebus_order *order);

/* The link was lost. What was sent and did not arrive comes again, out of order; its lock may have begun
 * just now. */
void sb_servicebus_order_cut(struct sb_servicebus_order *order, int64_t now_ms);

/* A message came at `wall_ms`. Its lock tells how long locks really last: where others made the subscription
 * that may be longer than the settings say. */
void sb_servicebus_order_learn_lock(struct sb_servicebus_order *order,
                                    const struct sb_servicebus_message *message, int64_t wall_ms);

/* The subscription was made, maybe again. `first` is its first number, 0 when that is not known. Drops what
 * is held, since a gap is told anyway. `new_topic`: the topic was made too, so there is no last message. */
void sb_servicebus_order_restart(struct sb_servicebus_order *order, uint64_t first, bool new_topic);

#endif
