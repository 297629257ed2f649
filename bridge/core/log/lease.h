/* Who is silent for too long. */
#ifndef SB_CORE_LOG_LEASE_H
#define SB_CORE_LOG_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/envelope.h"

struct sb_partition;

struct sb_suspicion {
  char name[SB_NODE_NAME_MAX + 1];
  uint64_t since_ms; /* partition 0: an own echo was read then, and no word of it since; others: act then */
};

struct sb_lease {
  struct sb_suspicion *suspicions; /* who may have died (partition 0), who is to be followed out (others) */
  uint32_t count, cap;
  bool goodbye_said; /* our own BYE was */
  bool time_asked;   /* another says that it is later than the log will have without a word of ours */
};

void sb_lease_clear(struct sb_lease *lease); /* nobody is suspected */
void sb_lease_close(struct sb_lease *lease);

void sb_partition_heard(struct sb_partition *part, const char *name);
/* An accepted batch said that it is so late. The eldest member says what its own clock says, where the log
 * waits for that; others go by log time. */
void sb_partition_time_heard(struct sb_partition *part, uint64_t time_ms);
void sb_partition_own_echo(struct sb_partition *part, uint64_t sent_ms);
void sb_partition_lease_timers(struct sb_partition *part);
uint64_t sb_partition_lease_deadline(const struct sb_partition *part);
void sb_partition_goodbye(struct sb_partition *part);

#endif
