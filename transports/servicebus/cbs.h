/* Claims-based security: puts tokens to the node `$cbs` of a connection, one at a time, and again before
 * they expire. A topic's token is put twice, under the name of the topic and under that of our subscription.
 * When the service ends the links to the node they are opened again: the tokens that it took belong to the
 * connection. */
#ifndef SB_TRANSPORTS_SERVICEBUS_CBS_H
#define SB_TRANSPORTS_SERVICEBUS_CBS_H

#include <proton/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "transports/servicebus/board.h"

struct sb_servicebus_cbs;

/* `authorised` is called when both tokens of a partition were taken, on a new connection or after _again. All
 * is the I/O thread's; an error means that the connection must be given up. */
struct sb_servicebus_cbs *sb_servicebus_cbs_new(struct sb_servicebus_board *board,
                                                void (*authorised)(void *owner, uint32_t partition),
                                                void *owner);
void sb_servicebus_cbs_free(struct sb_servicebus_cbs *cbs);

/* The connection is open; `session` carries the links. */
void sb_servicebus_cbs_connected(struct sb_servicebus_cbs *cbs, pn_session_t *session);
void sb_servicebus_cbs_lost(struct sb_servicebus_cbs *cbs);

/* The service wants new tokens for a partition. */
void sb_servicebus_cbs_again(struct sb_servicebus_cbs *cbs, uint32_t partition);

/* Makes and puts all tokens anew: the secrets that they are made with may be others. */
void sb_servicebus_cbs_renew(struct sb_servicebus_cbs *cbs, int64_t now_ms);

int sb_servicebus_cbs_turn(struct sb_servicebus_cbs *cbs, int64_t now_ms, struct sb_error *error);
int64_t sb_servicebus_cbs_due_ms(const struct sb_servicebus_cbs *cbs);

/* Events of links and deliveries of the session. */
int sb_servicebus_cbs_detached(struct sb_servicebus_cbs *cbs, pn_link_t *link, struct sb_error *error);
int sb_servicebus_cbs_delivery(struct sb_servicebus_cbs *cbs, pn_delivery_t *delivery,
                               struct sb_error *error);

#endif
