/* The running sum over what a node accepted in a log (docs/wire.md, "Claims"). Nodes that accepted the same
 * messages hold the same sum. Once one of them has accepted a message that another has not, their sums stay
 * different. */
#ifndef SB_CORE_WIRE_SUM_H
#define SB_CORE_WIRE_SUM_H

#include <stdint.h>

#include "bridge/base/envelope.h"

/* The sum after a GENESIS of that generation was accepted at `sequence`: it begins anew there. */
struct sb_claim sb_sum_begin(uint64_t sequence, const char *name, struct sb_incarnation incarnation,
                             uint64_t generation);

/* Adds an accepted message. A foreign one has an empty name, and zero for the rest. Before a founding nothing
 * is added. */
void sb_sum_add(struct sb_claim *sum, uint64_t sequence, const char *name, struct sb_incarnation incarnation,
                uint64_t number);

#endif
