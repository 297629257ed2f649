/* PUBSUB NUMSUB, SHARDNUMSUB, NUMPAT. */
#ifndef SB_CORE_SESSIONS_QUESTION_H
#define SB_CORE_SESSIONS_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/wire/name.h"

struct sb_logs;
struct sb_partition;
struct sb_question;

size_t sb_question_size(const struct sb_bytes *names, uint32_t count);
struct sb_question *sb_question_new(const struct sb_logs *logs, enum sb_sub_kind kind,
                                    const struct sb_bytes *names, uint32_t count);

/* Sets those of the logs that it concerns. */
void sb_question_concerns(const struct sb_question *question, bool *concerned);

/* What one log knows of it. */
void sb_question_look(struct sb_question *question, const struct sb_partition *part);
void sb_question_reply(const struct sb_question *question, struct sb_buf *out);
void sb_question_free(struct sb_question *question);

#endif
