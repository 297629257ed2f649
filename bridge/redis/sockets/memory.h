/* The memory of all sessions: what they sent and was not used, what waits to be written to them, what they
 * subscribe to. evict.h keeps it within one budget.
 *
 * What a session has for itself is charged to it whenever it was read from or written to. What waits to be
 * written is shared between sessions (a message to ten thousand of them is in memory once), so it is counted
 * by the bodies that outputs refer to (bridge/base/output.h). */
#ifndef SB_REDIS_SOCKETS_MEMORY_H
#define SB_REDIS_SOCKETS_MEMORY_H

#include <stddef.h>

struct sb_connection;
struct sb_server;
struct sb_session;

/* To be called after whatever may have changed what the session has for itself. */
void sb_memory_charge(struct sb_connection *c);

/* It is closed. */
void sb_memory_release(struct sb_connection *c);

/* Of all sessions. */
size_t sb_memory_used(const struct sb_server *server);

/* Of one, with all that waits for it; and what waits for it alone. */
size_t sb_memory_of(const struct sb_connection *c);
size_t sb_memory_of_output(const struct sb_session *session);

/* The budget, or what is charged, has changed: tells the core what is left for outputs. */
void sb_memory_tell(struct sb_server *server);

#endif
