/* The reading side: a receiver link per partition on one session.
 *
 *             wanted and allowed            remote open
 *   IDLE ----------------------> WAITING ----> OPENING -----------> FLOWING
 *     ^ connection lost             ^  due        |                    |
 *     +---- from any state          +-------------+--------------------+ detached, or silent for long
 *
 * A message is read when the bridge has room for it. Then it is put into order (order.h), handed on, and
 * completed when the bridge has applied it. Two kinds of messages are bounded, and credit keeps to both
 * bounds: those that the bridge has and that are not completed, by prefetch; those that are held behind a
 * missing one, by the order. */
#ifndef SB_TRANSPORTS_SERVICEBUS_CONSUME_H
#define SB_TRANSPORTS_SERVICEBUS_CONSUME_H

#include <proton/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "transports/servicebus/board.h"

struct sb_servicebus_consume;

/* Calls `stuck` when the service says that the subscription is not there, or wants a new token; the receiver
 * waits until it is allowed again. */
struct sb_servicebus_consume *sb_servicebus_consume_new(struct sb_servicebus_board *board,
                                                        sb_servicebus_stuck *stuck, void *owner);
void sb_servicebus_consume_free(struct sb_servicebus_consume *consume); /* not while the I/O thread runs */

/* The bridge's thread; wakes the I/O thread. */
void sb_servicebus_consume_attach(struct sb_servicebus_consume *consume, uint32_t partition);

/* ---- the I/O thread's; an error means that the connection must be given up ---- */

/* The connection is open; `session` carries the links. */
void sb_servicebus_consume_connected(struct sb_servicebus_consume *consume, pn_session_t *session);

/* How the subscription is now. */
enum sb_servicebus_entity {
  SB_ENTITY_AS_BEFORE,
  SB_ENTITY_MADE,      /* just now, by us: its first message has number 1 */
  SB_ENTITY_MADE_BOTH, /* the topic too */
};

/* The partition's subscription is there and we are authorised for it. */
void sb_servicebus_consume_allow(struct sb_servicebus_consume *consume, uint32_t partition,
                                 enum sb_servicebus_entity entity);

/* The connection is gone. */
void sb_servicebus_consume_lost(struct sb_servicebus_consume *consume);

/* What is due, what was applied, and everything that can be read now. */
int sb_servicebus_consume_turn(struct sb_servicebus_consume *consume, int64_t now_ms, struct sb_error *error);

/* When _turn has something to do by itself; INT64_MAX: never. */
int64_t sb_servicebus_consume_due_ms(const struct sb_servicebus_consume *consume);

/* Events of links and deliveries of the session. */
void sb_servicebus_consume_opened(struct sb_servicebus_consume *consume, pn_link_t *link);
int sb_servicebus_consume_detached(struct sb_servicebus_consume *consume, pn_link_t *link,
                                   struct sb_error *error);
void sb_servicebus_consume_delivery(struct sb_servicebus_consume *consume, pn_delivery_t *delivery);

#endif
