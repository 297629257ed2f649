/* How a node comes to know the state of a log, and how one who is ready answers. */
#ifndef SB_CORE_LOG_JOIN_H
#define SB_CORE_LOG_JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/envelope.h"
#include "bridge/core/log/kept.h"

struct sb_partition;

void sb_partition_hello(struct sb_partition *part); /* with a new, higher incarnation */
/* The log was made anew while this process ran, and nothing but HELLOs came since. */
bool sb_partition_log_is_bare(const struct sb_partition *part);
void sb_partition_rejoin(struct sb_partition *part); /* our row vanished */
/* Somebody's HELLO. False: it says that another process with our name ran before this one, which stops. */
bool sb_partition_may_stay(struct sb_partition *part, const struct sb_envelope *envelope,
                           const struct sb_control *hello);
/* False after io.fatal: the nodes that run have another number of partitions. */
bool sb_partitions_agree(struct sb_partition *part, uint32_t theirs);
/* What is not accepted under the incarnation before will never be: it is numbered again. */
void sb_partition_restamp(struct sb_partition *part);
void sb_partition_lost(struct sb_partition *part, bool same_log,
                       const char *why); /* the log went on without us */
void sb_partition_joining(struct sb_partition *part, struct sb_message *message); /* takes the bodies */
void sb_partition_answer(struct sb_partition *part,
                         uint64_t hello_at); /* somebody's HELLO, as one who is ready */
/* A piece of somebody's SNAPSHOT. */
void sb_partition_snapshot_seen(struct sb_partition *part, uint64_t as_of, bool complete);
/* Of a SNAPSHOT that is kept nothing is needed but that it was there. */
void sb_snapshot_drop_text(struct sb_message *message, const struct sb_control *control);
void sb_partition_join_timers(struct sb_partition *part);
uint64_t sb_partition_join_deadline(const struct sb_partition *part);
void sb_partition_join_close(struct sb_partition *part);

/* Our row is new: what belongs to it is said again, before anything else. */
void sb_partition_announce(struct sb_partition *part);

#endif
