/* Why the requests of a session are not taken for now (connection.h), and who waits for room. */
#ifndef SB_REDIS_SOCKETS_HOLD_H
#define SB_REDIS_SOCKETS_HOLD_H

#include "bridge/redis/sockets/requests.h"

struct sb_connection;
struct sb_link;
struct sb_waiting;

void sb_waiting_init(struct sb_waiting *waiting);

/* The request that stands at the front of its input is not taken. Whoever waits for room, or for its next
 * turn, stands behind those that wait for that already. */
void sb_connection_hold(struct sb_connection *c, enum sb_held why);

/* It is tried again, or the session is closed. */
void sb_connection_unhold(struct sb_connection *c);

/* Moves all that wait to `batch`, to be tried one after the other; each leaves by being tried. */
void sb_waiting_take(struct sb_waiting *waiting, struct sb_link *batch);

/* It was tried in vain: it waits again among `refused`, in the order of the batch. */
void sb_waiting_refuse(struct sb_connection *c, struct sb_link *refused);

/* Those that were tried in vain, and those that were not tried, wait on in front of those that begin to wait
 * now. Who was not tried comes first: those that were tried may wait for something that does not come. */
void sb_waiting_put_back(struct sb_waiting *waiting, struct sb_link *batch, struct sb_link *refused);

#endif
