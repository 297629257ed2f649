/* The memory of all sessions: what they sent and was not used yet, what waits to be written to them, what
 * they subscribe to. evict.h keeps it within one budget.
 *
 * A session is charged for what it has to itself, whenever it was read from or written to. Sessions share
 * what waits to be written: a message to ten thousand of them is in memory once. So that is counted by the
 * bodies to which outputs refer (bridge/base/output.h). */
#ifndef SB_REDIS_SOCKETS_MEMORY_H
#define SB_REDIS_SOCKETS_MEMORY_H

#include <stddef.h>

struct sb_connection;
struct sb_server;
struct sb_session;

/* Call it after anything that may have changed what the session has to itself. */
void sb_memory_charge(struct sb_connection *c);

/* Call it when the session is closed. */
void sb_memory_release(struct sb_connection *c);

/* Of all sessions. */
size_t sb_memory_used(const struct sb_server *server);

/* What one session takes, with all that waits for it; and what waits for it and for no other. */
size_t sb_memory_of(const struct sb_connection *c);
size_t sb_memory_of_output(const struct sb_session *session);

/* The budget, or what is charged, has changed: tells the core what is left for outputs. */
void sb_memory_tell(struct sb_server *server);

#endif
