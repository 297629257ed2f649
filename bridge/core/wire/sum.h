/* The running sum over what a node accepted in a log (docs/wire.md, "Claims"). Nodes that accepted the same
 * messages hold the same sum; from the first one on that they do not have in common, never again. */
#ifndef SB_CORE_WIRE_SUM_H
#define SB_CORE_WIRE_SUM_H

#include <stdint.h>

#include "bridge/base/envelope.h"

/* A GENESIS of that generation was accepted at `sequence`: the sum begins there, whatever was before. */
struct sb_claim sb_sum_begin(uint64_t sequence, const char *name, struct sb_incarnation incarnation,
                             uint64_t generation);

/* Another message was accepted. A foreign one has an empty name, and zero for the rest. Nothing happens while
 * there is no founding. */
void sb_sum_add(struct sb_claim *sum, uint64_t sequence, const char *name, struct sb_incarnation incarnation,
                uint64_t number);

#endif
