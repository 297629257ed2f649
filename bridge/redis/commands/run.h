/* Judges the requests of sessions and runs them. */
#ifndef SB_REDIS_COMMANDS_RUN_H
#define SB_REDIS_COMMANDS_RUN_H

#include <stdint.h>

struct sb_server;

/* Makes server->commands and sets server->requests: from now on requests of sessions are run. */
void sb_commands_begin(struct sb_server *server);

/* Call it when there are no sessions any more. */
void sb_commands_end(struct sb_server *server);

/* How many sessions are in MONITOR mode. */
uint32_t sb_commands_monitors(const struct sb_server *server);

#endif
