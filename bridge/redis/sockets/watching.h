/* What libuv watches for at the socket of a session. */
#ifndef SB_REDIS_SOCKETS_WATCHING_H
#define SB_REDIS_SOCKETS_WATCHING_H

#include <stdbool.h>

struct sb_connection;

/* Call it after anything that may have changed what the session waits for: charges its memory, closes it when
 * it is done, and watches its socket for what comes next. False when the session is gone. */
bool sb_connection_settle(struct sb_connection *c);

/* Whether its socket is read from: not while a request is held, and not when it takes no more. */
bool sb_connection_is_reading(const struct sb_connection *c);

/* Call it when the peer has ended its sending side, and all that it sent has been read. */
void sb_connection_peer_ended(struct sb_connection *c);
void sb_connection_read_to_end(struct sb_connection *c);

/* Call it when libuv has stopped watching, because the connection was reset. */
void sb_connection_unwatched(struct sb_connection *c);

/* Call it when the peer is gone for good, and all that it sent has been read. */
void sb_connection_peer_gone(struct sb_connection *c);

#endif
