/* What the logs report, for the sessions: answers, refusals, messages. */
#ifndef SB_CORE_SESSIONS_ANSWERS_H
#define SB_CORE_SESSIONS_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/log/events.h"

extern const struct sb_log_events sb_answers;

#endif
