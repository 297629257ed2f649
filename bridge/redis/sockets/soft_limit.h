/* Sessions whose output is above the soft limit. Whoever stays there for too long is closed. */
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

/* To be called when its output has changed: it goes above the limit, or comes below. */
void sb_soft_limit_watch(struct sb_connection *c);

/* It is closed. */
void sb_soft_limit_leave(struct sb_connection *c);

/* The limit was changed: those that are not above it any more leave. */
void sb_soft_limit_reload(struct sb_server *server);

/* The next that has been above it for too long; NULL: there is none. */
struct sb_connection *sb_soft_limit_next(struct sb_server *server);

/* Sets the timer for when somebody will have been there for too long. */
void sb_soft_limit_arm(struct sb_server *server, uv_timer_cb due);

#endif
