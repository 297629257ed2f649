/* What one who is ready tells others, SNAPSHOTs and CHECKPOINTs; and whatever is written to a log piece by
 * piece. */
#ifndef SB_CORE_LOG_SENDING_H
#define SB_CORE_LOG_SENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/wire/control.h"

struct sb_partition;

/* HELLOs that are to be answered, all with one SNAPSHOT. */
struct sb_answering {
  bool due;
  uint64_t at_ms; /* when */
  uint64_t after; /* the highest position of one */
};

/* A SNAPSHOT or CHECKPOINT that is being sent, piece by piece, or the keys that a founder brings. */
struct sb_sending {
  bool active;
  struct sb_control piece; /* the next one, but for its text */
  struct sb_buf text;
};

void sb_partition_answer(struct sb_partition *part,
                         uint64_t hello_at); /* somebody's HELLO, as one who is ready */
/* A piece of somebody's SNAPSHOT. */
void sb_partition_snapshot_seen(struct sb_partition *part, uint64_t as_of, bool complete);

/* Begins to send what stands in the text: `piece` says what it is, and is completed. */
void sb_sending_begin(struct sb_partition *part, const struct sb_control *piece);
/* As much of it as the transport takes. */
void sb_sending_go_on(struct sb_partition *part);

/* What is due of answers and checkpoints. */
void sb_partition_answer_timers(struct sb_partition *part);

#endif
