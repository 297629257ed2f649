/* The one place where a message of a log is judged. */
#ifndef SB_CORE_LOG_APPLY_H
#define SB_CORE_LOG_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/envelope.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/state/state.h"

struct sb_logs;
struct sb_partition;

/* Applies one message to a partition that is ready. */
void sb_partition_apply(struct sb_partition *part, const struct sb_message *message);

/* What the transport brings; as sb_core_delivery, sb_core_stored and sb_core_stored_end. */
void sb_partition_delivery(struct sb_partition *part, uint64_t sequence, const struct sb_envelope *envelope,
                           struct sb_body *channel, struct sb_body *body);
void sb_partition_stored(struct sb_partition *part, uint64_t token, uint64_t sequence,
                         const struct sb_envelope *envelope, struct sb_body *channel, struct sb_body *body);
void sb_partition_stored_end(struct sb_partition *part, uint64_t token, bool done);

#endif
