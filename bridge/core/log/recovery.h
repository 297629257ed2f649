/* What a node that starts takes from the log where logs can be read back. Rules: docs/log.md, "Checkpoints"
 * and "Prefill". */
#ifndef SB_CORE_LOG_RECOVERY_H
#define SB_CORE_LOG_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

struct sb_partition;

/* Whether a founder knows all that it can know about keys, so that its GENESIS may be sent. Begins to read
 * back when that was not begun. */
bool sb_recovery_is_over(struct sb_partition *part);
/* Moves the keys as of the message before `sequence` into the state; what came behind the HELLO was kept. */
void sb_recovery_take_keys(struct sb_partition *part, uint64_t sequence);

/* This node has just become ready, and its history begins there: begins to read back what lies before. */
void sb_prefill_begin(struct sb_partition *part);
void sb_prefill_turn(struct sb_partition *part);
void sb_prefill_drop(struct sb_partition *part);

#endif
