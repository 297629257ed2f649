/* Writes what a session has to be told, and says which sessions read too slowly. */
#ifndef SB_REDIS_SOCKETS_WRITING_H
#define SB_REDIS_SOCKETS_WRITING_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/redis/sockets/connection.h"

/* Writes as much as the socket takes. Closes the session when nothing more is to be expected of it. */
void sb_connection_flush(struct sb_connection *c);

/* Whether more waits to be written to it than the mark of the pace, and it may hold the log up. */
bool sb_connection_is_behind(const struct sb_connection *c);

/* Whether, at `now_ms` of the loop's clock, it has been above the soft limit for too long. */
bool sb_connection_is_over_soft(const struct sb_connection *c, uint64_t now_ms);

#endif
