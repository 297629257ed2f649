/* How a node comes to know the state of a log. Rules: docs/log.md, "Joining". */
#ifndef SB_CORE_LOG_JOIN_H
#define SB_CORE_LOG_JOIN_H

#include <stdint.h>

#include "bridge/core/log/kept.h"

struct sb_partition;

/* What follows from a message for its caller. */
enum sb_joined {
  SB_JOINED_NOT,             /* nothing: the state is not known yet, or nothing was kept behind it */
  SB_JOINED_BEHIND_SNAPSHOT, /* the state is known; what was kept is to be applied to it */
};

/* A message, while the state is not known. */
enum sb_joined sb_partition_join(struct sb_partition *part, const struct sb_message *message);

/* HELLO again, GENESIS, and what one who is ready owes to others, when it is due. */
void sb_partition_join_timers(struct sb_partition *part);
uint64_t sb_partition_join_deadline(const struct sb_partition *part);

/* Waiting for others begins anew: both links are up again. */
void sb_partition_join_again(struct sb_partition *part);

#endif
