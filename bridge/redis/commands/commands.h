/* What the commands of one server keep: the index of commands, the scripts that were sent, what was refused.
 * run.c makes it. */
#ifndef SB_REDIS_COMMANDS_COMMANDS_H
#define SB_REDIS_COMMANDS_COMMANDS_H

#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/redis/commands/command.h"
#include "bridge/redis/commands/refused.h"
#include "bridge/redis/commands/script.h"
#include "bridge/redis/sockets/list.h"

struct sb_connection;
struct sb_core;

struct sb_commands {
  struct sb_command_index index;
  const struct sb_command *publish; /* of the index */
  struct sb_scripts scripts;
  struct sb_link monitors; /* monitor.c: the words of sessions in MONITOR mode */
  uint32_t monitor_count;
  struct sb_buf scratch; /* within a command */
  struct sb_refused refused;
  char refusal[SB_REFUSED_WHAT_TEXT]; /* what the command that runs now refuses (answer.h); empty: nothing */
};

/* Of the server that the session belongs to: what its commands keep, its core, and the reply to the request
 * that is being run. Most commands need nothing else of it. */
struct sb_commands *sb_commands_of(const struct sb_connection *c);
struct sb_core *sb_hub_of(const struct sb_connection *c);
struct sb_buf *sb_reply_of(const struct sb_connection *c);

#endif
