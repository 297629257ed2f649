/* When the state is written to the log once more. */
#ifndef SB_CORE_LOG_CHECKPOINT_H
#define SB_CORE_LOG_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/wire/control.h"

struct sb_partition;

/* When the state must be written to the log again, for those who read it back (checkpoint.c). */
struct sb_checkpoints {
  uint64_t messages, bytes; /* applied since the last one */
  uint64_t since_ms;        /* of it, or of the first message since; monotonic */
  size_t last_bytes;        /* of its text */
  size_t piece_bytes;       /* of the pieces seen of one that is not complete */
  bool had_keys;            /* it may have had some: they are in the log until the next one */
};

void sb_checkpoint_count(struct sb_partition *part, size_t bytes); /* a message was applied */
void sb_checkpoint_seen(struct sb_partition *part, const struct sb_control *control);
void sb_checkpoint_want(struct sb_partition *part); /* soon: the last one may be far back */
/* It is time for one, and this member's turn to write it. */
bool sb_checkpoint_is_due(const struct sb_partition *part);
uint64_t sb_checkpoint_deadline(const struct sb_partition *part);

#endif
