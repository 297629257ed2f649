/* Keys that outlive their log: held when it is lost from sight, restored into one that another has founded.
 * Rule: docs/log.md, "Restoring". */
#ifndef SB_CORE_LOG_RESTORE_H
#define SB_CORE_LOG_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/log/held_keys.h"

struct sb_outbox;
struct sb_partition;

/* The log is lost from sight: what is known of its keys is held for who founds. */
void sb_partition_hold_keys(struct sb_partition *part);
/* A founding takes the keys away: describes what is to be held of the state as it is, but for the keys. The
 * caller adds them and gives all to sb_held_keys_take. */
struct sb_held_keys sb_held_keys_of(const struct sb_partition *part, uint64_t upto);

/* The log was founded by a node that had no keys: members that hold some restore them. A member that has read
 * that another holds more waits for that one first. */
bool sb_restore_is_due(
    const struct sb_partition *part); /* the state still takes keys of before, and some are held here */
void sb_restore_begin(struct sb_partition *part, struct sb_outbox *first); /* the row is new */
void sb_restore_let_go(
    struct sb_partition *part); /* nothing is held any more; says so if keys are lost by it */
void sb_restore_timers(struct sb_partition *part);
uint64_t sb_restore_deadline(const struct sb_partition *part);

/* Our row is new: what belongs to it is said again, before anything else. */
void sb_partition_announce(struct sb_partition *part);

#endif
