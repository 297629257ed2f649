/* One budget for the memory of all sessions: what they sent and was not used, what waits to be written to
 * them, what they subscribe to. Above it the session that takes most goes first, as with Redis's
 * maxmemory-clients.
 *
 * What a session has for itself is charged to it whenever it was read from or written to. What waits to be
 * written is shared between sessions (a message to ten thousand of them is in memory once), so it is counted
 * by the bodies that outputs refer to (bridge/base/output.h). The core asks before more is kept than there is
 * room for, so that the budget holds whatever one request or one message brings. Who is dropped for it counts
 * as gone from then on. */
#ifndef SB_REDIS_SOCKETS_MEMORY_H
#define SB_REDIS_SOCKETS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct sb_connection;
struct sb_server;
struct sb_session;

/* After whatever may have changed it. */
void sb_memory_charge(struct sb_connection *c);

/* It is closed. */
void sb_memory_release(struct sb_connection *c);

/* Of all sessions. */
size_t sb_memory_used(const struct sb_server *server);

/* Of one, with all that waits for it. */
size_t sb_memory_of(const struct sb_connection *c);

/* Closes sessions when all together are above the budget, until they are somewhat below it. Where no session
 * is being served. */
void sb_memory_enforce(struct sb_server *server);

/* For io.outputs_full of the core, when so much more is to be kept for one of them: likewise, but the turn
 * closes them. */
void sb_memory_make_room(struct sb_server *server, const struct sb_session *session, size_t more);

/* The budget, or what is charged, has changed: tells the core what is left for outputs. */
void sb_memory_tell(struct sb_server *server);

#endif
