/* What others claim to have accepted, judged for a log that this node follows, and what follows from a
 * difference. Rules: docs/log.md, "The chain". */
#ifndef SB_CORE_LOG_CLAIMS_H
#define SB_CORE_LOG_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/log/kept.h"

struct sb_partition;

/* A message was applied: where it was accepted, the chain goes on. */
void sb_claims_follow(struct sb_partition *part, const struct sb_message *message);

/* Judges what a message claims, before it is applied, whether it will be accepted or not. True: this node and
 * its sender have accepted different messages, and this node gives way: it must lose the log. *agreed_at is
 * the last place where both agreed, as far as is known, or the one as of which this node was ready. */
bool sb_claims_judge(struct sb_partition *part, const struct sb_message *message, uint64_t *agreed_at);

/* When a heartbeat with a claim is due, if nothing else leaves; UINT64_MAX: not at any time. */
uint64_t sb_claims_due(const struct sb_partition *part);

#endif
