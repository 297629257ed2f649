/* What subscribers get of a batch. */
#ifndef SB_CORE_SESSIONS_FANOUT_H
#define SB_CORE_SESSIONS_FANOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/log/events.h"

struct sb_partition;

/* Pushes `count` neighbouring entries of one channel to its subscribers here. Where there are patterns, count
 * is 1. */
void sb_fan_out(struct sb_partition *part, struct sb_views *views, const struct sb_entry *first,
                uint32_t count);

#endif
