/* Which messages of a log are looked at: all others are as if they were not in it (docs/log.md, "How nodes
 * agree"). */
#ifndef SB_CORE_LOG_ADMIT_H
#define SB_CORE_LOG_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/envelope.h"
#include "bridge/core/log/kept.h"

struct sb_logs;

/* Why the message must not be looked at; NULL: it may be, and its body is plain. */
const char *sb_message_unfit(struct sb_message *message);
/* It is of a node that speaks another version of the wire. */
bool sb_message_of_another_version(const struct sb_envelope *envelope);
/* It was dropped: counts it, and says why. */
void sb_message_dropped(struct sb_logs *logs, uint32_t partition, const struct sb_message *message,
                        const char *why);

#endif
