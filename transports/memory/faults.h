/* Faults of the embedded broker, for tests: what networks and brokers do, on demand. `t` is a started
 * transport of sb_memory_new; the same thread as for its other calls. */
#ifndef SB_TRANSPORTS_MEMORY_FAULTS_H
#define SB_TRANSPORTS_MEMORY_FAULTS_H

#include "transports/transport.h"

/* One side of a partition's link. Down on the publish side settles what is unsettled there as lost. Up on the
 * consume side attaches again what was attached. No change is no event. */
void sb_memory_fault_link(struct sb_transport *t, uint32_t partition, enum sb_link_side side, bool up);

/* What happens to publishes from now on, on all partitions. */
enum sb_memory_fate {
  SB_MEMORY_STORE,  /* stored and confirmed at once: no fault. Publishes that waited catch up, in order */
  SB_MEMORY_REFUSE, /* rejected, not stored */
  SB_MEMORY_HOLD_REQUEST, /* on the way to the broker: neither stored nor settled */
  SB_MEMORY_HOLD_REPLY,   /* stored, and the confirm is on its way */
};
void sb_memory_fault_publishes(struct sb_transport *t, enum sb_memory_fate fate);

/* Retention removes what is below `sequence`, read or not. */
void sb_memory_fault_retention(struct sb_transport *t, uint32_t partition, uint64_t sequence);

/* The log loses everything; the next message gets `sequence`: 0 as if it was made again, higher as if it was
 * emptied. */
void sb_memory_fault_new_log(struct sb_transport *t, uint32_t partition, uint64_t sequence);

/* Puts a message of somebody else into the log, with any envelope; `channel` may be NULL. Also while links
 * are down. */
void sb_memory_fault_append(struct sb_transport *t, uint32_t partition, const struct sb_envelope *envelope,
                            struct sb_body *channel, struct sb_body *body);

#endif
