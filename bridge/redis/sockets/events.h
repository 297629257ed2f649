/* The begin of a session, and what happens when its socket is ready or its turn has come. */
#ifndef SB_REDIS_SOCKETS_EVENTS_H
#define SB_REDIS_SOCKETS_EVENTS_H

#include "bridge/redis/sockets/connection.h"

struct sb_server;

/* Once, before sessions are opened and when the loop is there. sb_shares_close ends it. */
void sb_sessions_begin(struct sb_server *server);

/* There may be room: sessions that wait for it are tried again, first come, first served. */
void sb_sessions_room(struct sb_server *server);

/* Takes the descriptor. NULL when the loop does not take it; the descriptor is closed then. */
struct sb_connection *sb_connection_open(struct sb_server *server, struct sb_listener *listener, int fd);

#endif
