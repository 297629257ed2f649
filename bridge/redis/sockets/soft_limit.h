/* Sessions whose output is above the soft limit. One that stays there for too long is closed. */
#ifndef SB_REDIS_SOCKETS_SOFT_LIMIT_H
#define SB_REDIS_SOCKETS_SOFT_LIMIT_H

#include <uv.h>

struct sb_connection;
struct sb_server;
struct sb_soft_limit;

/* Once, before there are sessions; then the timer, which calls `due` with the server as its data. */
void sb_soft_limit_init(struct sb_soft_limit *limit);
void sb_soft_limit_begin(struct sb_server *server);
void sb_soft_limit_end(struct sb_server *server);

/* Call it when the session's output has changed: it may have gone above the limit, or below. */
void sb_soft_limit_watch(struct sb_connection *c);

/* Call it when the session is closed. */
void sb_soft_limit_leave(struct sb_connection *c);

/* The limit was changed: those that are not above it any more leave. */
void sb_soft_limit_reload(struct sb_server *server);

/* A session that has been above the limit for too long, or NULL. */
struct sb_connection *sb_soft_limit_next(struct sb_server *server);

/* Sets the timer to when the next session will have been above the limit for too long. */
void sb_soft_limit_arm(struct sb_server *server, uv_timer_cb due);

#endif
