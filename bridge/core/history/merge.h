/* Two histories become one. */
#ifndef SB_CORE_HISTORY_MERGE_H
#define SB_CORE_HISTORY_MERGE_H

#include "bridge/core/history/history.h"

/* Moves the oldest batch of one history behind the newest of the other. */
void sb_history_move_first(struct sb_history *from, struct sb_history *to);

#endif
