/* The door of a log: what happens to it from outside. What can be asked of it is in partition.h. */
#ifndef SB_CORE_LOG_MACHINE_H
#define SB_CORE_LOG_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/envelope.h"
#include "bridge/base/link.h"

struct sb_logs;
struct sb_partition;

/* Storage zeroed by the caller. Sends the first HELLO when the links are up. */
void sb_partition_init(struct sb_partition *part, struct sb_logs *logs, uint32_t index);
/* Whoever waits for an entry gets nothing any more. To be done for all partitions before the first is closed.
 */
void sb_partition_abandon(struct sb_partition *part);
void sb_partition_close(struct sb_partition *part);

/* What link.h tells. False: that side was so already. Where one came up, _links_up follows when the caller
 * has noted it. */
bool sb_partition_link(struct sb_partition *part, enum sb_link_side side, bool up);
void sb_partition_links_up(struct sb_partition *part);
void sb_partition_attached(struct sb_partition *part, enum sb_attach how);

/* What the transport brings; as sb_core_delivery, sb_core_stored and sb_core_stored_end. */
void sb_partition_delivery(struct sb_partition *part, uint64_t sequence, const struct sb_envelope *envelope,
                           struct sb_body *channel, struct sb_body *body);
void sb_partition_stored(struct sb_partition *part, uint64_t token, uint64_t sequence,
                         const struct sb_envelope *envelope, struct sb_body *channel, struct sb_body *body);
void sb_partition_stored_end(struct sb_partition *part, uint64_t token, bool done);

/* What is due, and then what may leave; or only what may leave. */
void sb_partition_turn(struct sb_partition *part);
void sb_partition_send(struct sb_partition *part);
/* When it has a turn at the latest. */
uint64_t sb_partition_deadline(const struct sb_partition *part);
/* For `ms` up to now nothing was taken from the logs. */
void sb_partition_stood(struct sb_partition *part, uint64_t ms);

/* Says BYE when all else is said. True: it has come back, or there is none to say. */
bool sb_partition_stop(struct sb_partition *part);

#endif
