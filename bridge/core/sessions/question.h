/* PUBSUB NUMSUB, SHARDNUMSUB, NUMPAT. */
#ifndef SB_CORE_SESSIONS_QUESTION_H
#define SB_CORE_SESSIONS_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/log/outbox.h"

struct sb_partition;
struct sb_question;

/* What one log knows of it. */
void sb_question_look(struct sb_question *question, const struct sb_partition *part);
/* A question whose entry will not come back by itself goes out again. */
void sb_question_again(struct sb_partition *part, const struct sb_waiter *waiter);
void sb_question_reply(const struct sb_question *question, struct sb_buf *out);
void sb_question_free(struct sb_question *question);

#endif
