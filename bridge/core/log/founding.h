/* GENESIS: a node that nobody answers founds the log anew. Rules: docs/log.md, "Joining" (4) and "Keys that
 * outlive their log". */
#ifndef SB_CORE_LOG_FOUNDING_H
#define SB_CORE_LOG_FOUNDING_H

#include <stdbool.h>
#include <stdint.h>

struct sb_partition;

/* While it waits for others: founds when it has waited long enough. */
void sb_founding_timers(struct sb_partition *part);
/* When that is, or when it is to be tried again. */
uint64_t sb_founding_deadline(const struct sb_partition *part);
/* A reading of the keys, or the sending of them, is under way. */
bool sb_founding_is_busy(const struct sb_partition *part);

#endif
