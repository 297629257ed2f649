/* MONITOR: sessions that see what the sessions of this node send. */
#ifndef SB_REDIS_COMMANDS_MONITOR_H
#define SB_REDIS_COMMANDS_MONITOR_H

#include "bridge/redis/commands/command.h"

/* Shows the sessions in MONITOR mode a request that `c` sent. */
/* Takes the session out of MONITOR mode, if it is in it. */
void sb_monitor_stop(struct sb_connection *c);

void sb_monitor_feed(struct sb_connection *c, const struct sb_request *request);

#endif
