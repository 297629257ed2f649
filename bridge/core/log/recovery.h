/* What a node that starts takes from the log where logs can be read back. */
#ifndef SB_CORE_LOG_RECOVERY_H
#define SB_CORE_LOG_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

struct sb_partition;

/* True: nothing more is to be learnt about keys, and a GENESIS may go. Begins to look when it did not. */
bool sb_recovery_is_over(struct sb_partition *part);
/* Moves the keys as of the message before `sequence` into the state; what came behind the HELLO was kept. */
void sb_recovery_take_keys(struct sb_partition *part, uint64_t sequence);

/* The history of one who has just become ready begins there: what lies before it is fetched. */
void sb_prefill_begin(struct sb_partition *part);
void sb_prefill_turn(struct sb_partition *part);
void sb_prefill_drop(struct sb_partition *part);

#endif
