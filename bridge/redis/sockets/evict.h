/* Which sessions are dropped when all together take more memory than their budget: those that take most, as
 * with Redis's maxmemory-clients. The core asks before it keeps more than there is room for, so one request
 * or one message cannot break the budget. A session that is dropped counts as gone from then on. */
#ifndef SB_REDIS_SOCKETS_EVICT_H
#define SB_REDIS_SOCKETS_EVICT_H

#include <stdbool.h>
#include <stddef.h>

struct sb_connection;
struct sb_server;
struct sb_session;

/* The session asks not to be evicted, or takes that back. */
void sb_evict_spare(struct sb_connection *c, bool spare);

/* Closes sessions when all together are above the budget, until they are somewhat below it. To be called
 * where no session is being served. */
void sb_evict_over_budget(struct sb_server *server);

/* For io.outputs_full of the core, when `more` bytes are to be kept for one session: drops sessions likewise,
 * but closes them only at the end of the turn. */
void sb_evict_for_output(struct sb_server *server, const struct sb_session *session, size_t more);

#endif
