/* The table of commands. */
#ifndef SB_REDIS_COMMANDS_TABLE_H
#define SB_REDIS_COMMANDS_TABLE_H

#include "bridge/redis/commands/command.h"

/* Ends with a NULL name. */
extern const struct sb_command sb_command_table[];

#endif
