/* What keeps the requests of a session from being taken (connection.h), and who waits for room. */
#ifndef SB_REDIS_SOCKETS_HOLD_H
#define SB_REDIS_SOCKETS_HOLD_H

#include "bridge/redis/sockets/requests.h"

struct sb_connection;
struct sb_link;
struct sb_waiting;

void sb_waiting_init(struct sb_waiting *waiting);

/* Holds the session: the request at the front of its input is not taken, because of `why`. A session that
 * waits for room, or for its next turn, stands behind those that do already. */
void sb_connection_hold(struct sb_connection *c, enum sb_held why);

/* Ends the hold: its request is tried again, or the session is closed. */
void sb_connection_unhold(struct sb_connection *c);

/* Moves all sessions that wait to `batch`. They are to be tried one after the other; trying takes one out. */
void sb_waiting_take(struct sb_waiting *waiting, struct sb_link *batch);

/* Puts a session that was tried in vain at the end of `refused`. */
void sb_waiting_refuse(struct sb_connection *c, struct sb_link *refused);

/* Puts back those that were not tried, then those that were tried in vain, in front of any that began to wait
 * meanwhile. The untried come first, because those that were tried may wait for something that does not come.
 */
void sb_waiting_put_back(struct sb_waiting *waiting, struct sb_link *batch, struct sb_link *refused);

#endif
