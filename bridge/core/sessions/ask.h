/* Asking the logs a question. */
#ifndef SB_CORE_SESSIONS_ASK_H
#define SB_CORE_SESSIONS_ASK_H

#include "bridge/core/log/outbox.h"

struct sb_partition;

/* A question whose entry will not come back by itself goes out again. */
void sb_question_again(struct sb_partition *part, const struct sb_waiter *waiter);

#endif
