/* Writes what a session has to be told. */
#ifndef SB_REDIS_SOCKETS_WRITING_H
#define SB_REDIS_SOCKETS_WRITING_H

#include "bridge/redis/sockets/connection.h"

/* Writes as much as the socket takes. Closes the session when nothing more is to be expected of it. */
void sb_connection_flush(struct sb_connection *c);

/* The same, when the socket takes more again. */
void sb_connection_writable(struct sb_connection *c);

#endif
