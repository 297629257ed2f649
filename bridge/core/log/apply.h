/* What a message does at a node that is ready. */
#ifndef SB_CORE_LOG_APPLY_H
#define SB_CORE_LOG_APPLY_H

#include "bridge/core/log/kept.h"

struct sb_partition;

/* What follows from a message for its caller. */
enum sb_follows {
  SB_FOLLOWS_NOTHING,
  SB_FOLLOWS_REJOIN,   /* our row vanished, and this node has more to say */
  SB_FOLLOWS_GIVE_WAY, /* another node differs, and this one takes the state anew */
  SB_FOLLOWS_LOSS,     /* another has seen what this node was not shown: it is lost from sight */
};

enum sb_follows sb_partition_apply(struct sb_partition *part, const struct sb_message *message);

#endif
