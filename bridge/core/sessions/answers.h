/* What the logs report, for the sessions: answers, refusals, messages. */
#ifndef SB_CORE_SESSIONS_ANSWERS_H
#define SB_CORE_SESSIONS_ANSWERS_H

#include <stdint.h>

#include "bridge/core/log/events.h"
#include "bridge/core/log/outbox.h"

/* How many requests of sessions wait by this waiter for a reply. What tells the logs of subscriptions is
 * none. */
uint32_t sb_answers_awaited(const struct sb_waiter *waiter);

extern const struct sb_log_events sb_answers;

#endif
