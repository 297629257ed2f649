/* Which sessions may hold the log up, and whether it is left alone for them (pace.h). */
#ifndef SB_REDIS_SOCKETS_PACING_H
#define SB_REDIS_SOCKETS_PACING_H

#include <stdbool.h>
#include <stddef.h>

struct sb_connection;
struct sb_server;

/* To be called when a session begins; when something was written to it, or more waits; when it is closed. */
void sb_pacing_open(struct sb_connection *c);
void sb_pacing_wrote(struct sb_connection *c, size_t bytes);
void sb_pacing_leave(struct sb_connection *c);

/* As in server.h. */
bool sb_pacing_log_stands(struct sb_server *server, bool more);
void sb_pacing_log_goes_on(struct sb_server *server);

void sb_pacing_init(struct sb_server *server);
void sb_pacing_reload(struct sb_server *server);

#endif
