/* HELLO: how a node asks to be a member of a log, and what it does when another HELLO has its name. */
#ifndef SB_CORE_LOG_HELLO_H
#define SB_CORE_LOG_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/envelope.h"
#include "bridge/core/wire/control.h"

struct sb_partition;

void sb_partition_hello(struct sb_partition *part);  /* with a new, higher incarnation */
void sb_partition_rejoin(struct sb_partition *part); /* our row vanished */
/* That start stands under our name in the log: the next HELLO goes above it. */
void sb_partition_go_above(struct sb_partition *part, uint64_t start_ms);
/* What is not accepted under the incarnation before will never be: it is numbered again. */
void sb_partition_restamp(struct sb_partition *part);

/* Whether that message is of this incarnation of ours. */
bool sb_partition_sent(const struct sb_partition *part, const struct sb_envelope *envelope);

/* Somebody's HELLO. False: it says that another process with our name ran before this one, which stops. */
bool sb_partition_may_stay(struct sb_partition *part, const struct sb_envelope *envelope,
                           const struct sb_control *hello);
/* False after io.fatal: the nodes that run have another number of partitions. */
bool sb_partitions_agree(struct sb_partition *part, uint32_t theirs);

#endif
