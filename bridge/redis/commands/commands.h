/* What the commands of one server keep: the index of commands, the scripts that were sent, what was refused.
 * run.c makes it. */
#ifndef SB_REDIS_COMMANDS_COMMANDS_H
#define SB_REDIS_COMMANDS_COMMANDS_H

#include "bridge/base/limits.h"
#include "bridge/redis/commands/command.h"
#include "bridge/redis/commands/refused.h"
#include "bridge/redis/commands/script.h"

struct sb_commands {
  struct sb_command_index index;
  struct sb_scripts scripts;
  struct sb_refused refused;
  char refusal[SB_REFUSED_WHAT_TEXT]; /* what the command that runs now refuses (answer.h); empty: nothing */
};

#endif
