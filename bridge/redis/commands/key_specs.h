/* Where the keys of a command are, for COMMAND INFO and COMMAND GETKEYS. */
#ifndef SB_REDIS_COMMANDS_KEY_SPECS_H
#define SB_REDIS_COMMANDS_KEY_SPECS_H

#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/redis/commands/command.h"

/* Finds the keys in the arguments of a command that has keys and the right number of arguments. Returns how
 * many there are, which follow one another, and in *first where; -1: there is no telling. */
int sb_command_keys(const struct sb_command *command, const struct sb_bytes *args, uint32_t count,
                    uint32_t *first);

/* What COMMAND INFO says of keys: the specifications; and the positions of the old form. */
void sb_command_write_key_specs(struct sb_buf *reply, int proto, const struct sb_command *command);
void sb_command_write_key_range(struct sb_buf *reply, const struct sb_command *command);

/* Words between blanks as a set of simple strings. */
void sb_command_write_words(struct sb_buf *reply, int proto, const char *words);

#endif
