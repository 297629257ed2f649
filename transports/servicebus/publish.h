/* The publishing side: a sender link per partition on one session.
 *
 *   submit -> submitted (locked) -> a flight of its sender -> sent -> accepted, rejected, lost: settled
 *
 *             allowed            remote open
 *   IDLE ---------------> WAITING ----> OPENING -----------> UP
 *     ^ connection lost      ^  due        |                 |
 *     +---- from any state   +-------------+-----------------+ detached
 *
 * A sender that is detached while nothing is on its way, as the service does to idle ones, is attached again
 * without a word. Otherwise what was on its way is lost and the bridge is told. */
#ifndef SB_TRANSPORTS_SERVICEBUS_PUBLISH_H
#define SB_TRANSPORTS_SERVICEBUS_PUBLISH_H

#include <proton/types.h>
#include <stdint.h>

#include "transports/servicebus/board.h"

struct sb_servicebus_publish;

/* `missing` is called when the service says that the partition's topic is not there; the sender waits until
 * it is allowed again. */
struct sb_servicebus_publish *sb_servicebus_publish_new(struct sb_servicebus_board *board,
                                                        sb_servicebus_stuck *stuck, void *owner);
void sb_servicebus_publish_free(struct sb_servicebus_publish *publish); /* not while the I/O thread runs */

/* The bridge's thread; as sb_transport_publish. */
int sb_servicebus_publish_submit(struct sb_servicebus_publish *publish, uint32_t partition,
                                 const struct sb_envelope *envelope, struct sb_body *body, uint64_t token);

/* ---- the I/O thread's; an error means that the connection must be given up ---- */

/* The connection is open; `session` carries the links. */
void sb_servicebus_publish_connected(struct sb_servicebus_publish *publish, pn_session_t *session);

/* The partition's topic is there and we are authorised for it. */
void sb_servicebus_publish_allow(struct sb_servicebus_publish *publish, uint32_t partition);

/* The connection is gone: settles everything as lost. */
void sb_servicebus_publish_lost(struct sb_servicebus_publish *publish);

/* What is due, and everything that can be sent now. */
int sb_servicebus_publish_turn(struct sb_servicebus_publish *publish, int64_t now_ms, struct sb_error *error);

/* When _turn has something to do by itself; INT64_MAX: never. */
int64_t sb_servicebus_publish_due_ms(const struct sb_servicebus_publish *publish);

/* Events of links and deliveries of the session. */
void sb_servicebus_publish_opened(struct sb_servicebus_publish *publish, pn_link_t *link);
int sb_servicebus_publish_detached(struct sb_servicebus_publish *publish, pn_link_t *link,
                                   struct sb_error *error);
int sb_servicebus_publish_outcome(struct sb_servicebus_publish *publish, pn_delivery_t *delivery,
                                  struct sb_error *error);

#endif
