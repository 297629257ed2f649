/* Reads from a session and has its requests run, in order. What cannot be used yet is kept. */
#ifndef SB_REDIS_SOCKETS_READING_H
#define SB_REDIS_SOCKETS_READING_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge/base/limits.h"
#include "bridge/redis/sockets/connection.h"

/* What is read of one session in one wake-up, so that others get their turn. */
#define SB_READ_BUDGET_BYTES ((size_t)4 * SB_READ_BYTES)

/* To be called once, when the session begins. */
void sb_connection_begin_reading(struct sb_connection *c);

/* Reads up to `budget` bytes, as long as its requests are taken. */
void sb_connection_read(struct sb_connection *c, size_t budget);

/* The connection broke: reads what the peer sent before, then takes the peer for gone. */
void sb_connection_read_last_words(struct sb_connection *c);

/* Tries again the request that was held. Returns true when at least one request was taken. */
bool sb_connection_go_on(struct sb_connection *c);

#endif
