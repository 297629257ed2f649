/* Which sessions are dropped when all together take more memory than their budget: those that take most, as
 * with Redis's maxmemory-clients. The core asks before more is kept than there is room for, so the budget
 * holds whatever one request or one message brings. A session that is dropped for it counts as gone from then
 * on. */
#ifndef SB_REDIS_SOCKETS_EVICT_H
#define SB_REDIS_SOCKETS_EVICT_H

#include <stddef.h>

struct sb_server;
struct sb_session;

/* Closes sessions when all together are above the budget, until they are somewhat below it. To be called
 * where no session is being served. */
void sb_evict_over_budget(struct sb_server *server);

/* For io.outputs_full of the core, when so much more is to be kept for one session: drops sessions likewise,
 * but leaves it to the end of the turn to close them. */
void sb_evict_for_output(struct sb_server *server, const struct sb_session *session, size_t more);

#endif
