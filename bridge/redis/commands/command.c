#include "bridge/redis/commands/command.h"

#include <ctype.h>
#include <string.h>

static uint32_t hash_name(struct sb_bytes name) {
  uint32_t hash = (uint32_t)name.len;
  for (size_t i = 0; i < name.len; i++) hash = hash * 31 + (name.at[i] | 0x20u);
  return hash ^ hash >> 7;
}

static bool has_name(const struct sb_command *command, struct sb_bytes name) {
  const char *own = sb_command_short_name(command);
  if (strlen(own) != name.len) return false;
  for (size_t i = 0; i < name.len; i++)
    if (tolower(name.at[i]) != own[i]) return false;
  return true;
}

void sb_command_index_init(struct sb_command_index *index, const struct sb_command *table) {
  memset(index, 0, sizeof *index);
  index->table = table;
  for (const struct sb_command *command = table; command->name; command++) {
    uint32_t at = hash_name(sb_bytes_of(command->name));
    while (index->slots[at % SB_COMMAND_SLOTS]) at++;
    index->slots[at % SB_COMMAND_SLOTS] = command;
  }
}

const struct sb_command *sb_command_find(const struct sb_command_index *index, struct sb_bytes name) {
  if (name.len > 16) return NULL; /* longer than any of the table */
  const struct sb_command *command;
  for (uint32_t at = hash_name(name); (command = index->slots[at % SB_COMMAND_SLOTS]); at++)
    if (has_name(command, name)) return command;
  return NULL;
}

const char *sb_command_short_name(const struct sb_command *command) {
  const char *bar = strchr(command->name, '|');
  return bar ? bar + 1 : command->name;
}

const struct sb_command *sb_command_find_sub(const struct sb_command *command, struct sb_bytes name) {
  for (const struct sb_command *sub = command->subs; sub && sub->name; sub++)
    if (has_name(sub, name)) return sub;
  return NULL;
}

bool sb_command_arity_fits(const struct sb_command *command, uint32_t count) {
  return command->arity > 0 ? count == (uint32_t)command->arity : count >= (uint32_t)-command->arity;
}
