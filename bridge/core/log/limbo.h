/* Batches that were sent and not seen accepted when the log was lost from sight: they may stand in the
 * stretch of it that is not read. They wait apart until a state says how far our row had come. */
#ifndef SB_CORE_LOG_LIMBO_H
#define SB_CORE_LOG_LIMBO_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge/base/envelope.h"
#include "bridge/core/log/outbox.h"

struct sb_partition;
struct sb_row;

struct sb_limbo {
  struct sb_batch *batches;
  size_t bytes;
  struct sb_incarnation incarnation; /* under which they were sent */
  bool same_log;
  bool active; /* from the loss until a state is found again */
};

void sb_limbo_enter(struct sb_partition *part, bool same_log);

/* `row` is ours in the state that was found, or NULL when it knows nothing of our past. */
void sb_limbo_leave(struct sb_partition *part, const struct sb_row *row);

#endif
