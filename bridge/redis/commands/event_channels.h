/* Channels on which Redis tells of changes of keys: __keyspace@… and __keyevent@…. There are no such events
 * here, and a confirmed subscription that stays silent for ever would be worse than an error. Pure. */
#ifndef SB_REDIS_COMMANDS_EVENT_CHANNELS_H
#define SB_REDIS_COMMANDS_EVENT_CHANNELS_H

#include <stdbool.h>

#include "bridge/base/bytes.h"

/* Whether a subscription to this name asks for them. */
bool sb_is_event_channel(struct sb_bytes name);

/* The same for a pattern, which may name them with sets, `?` and escapes. A pattern that plainly stands for
 * other channels too, as `*` and `__*`, does not count. The rule is in docs/commands.md. */
bool sb_means_event_channels(struct sb_bytes pattern);

#endif
