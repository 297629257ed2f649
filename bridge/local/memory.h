/* One budget for the memory of all sessions: what they sent and was not used, what waits to be written to
 * them, what they subscribe to. Above it the session that takes most goes first, as with Redis's
 * maxmemory-clients.
 *
 * What a session has for itself is charged to it whenever it was read from or written to. What waits to be
 * written is shared between sessions (a message to ten thousand of them is in memory once), so it is counted
 * by the bodies that outputs refer to (bridge/base/output.h). */
#ifndef SB_LOCAL_MEMORY_H
#define SB_LOCAL_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct sb_connection;
struct sb_local;

/* After whatever may have changed it. */
void sb_memory_charge(struct sb_connection *c);

/* It is closed. */
void sb_memory_release(struct sb_connection *c);

/* Of all sessions. */
size_t sb_memory_used(const struct sb_local *local);

/* Of one, with all that waits for it. */
size_t sb_memory_of(const struct sb_connection *c);

/* At the end of a turn: closes sessions until the rest is within the budget, SB_EVICTIONS_PER_TURN at most.
 */
void sb_memory_enforce(struct sb_local *local);

#endif
