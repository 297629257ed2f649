/* Who is silent for too long. */
#ifndef SB_CORE_LOG_SILENCE_H
#define SB_CORE_LOG_SILENCE_H

#include <stdint.h>

struct sb_partition;

/* A member said something: in a batch or a HELLO that was accepted. */
void sb_partition_heard(struct sb_partition *part, const char *name);
/* An accepted batch said that it is so late. The eldest member says what its own clock says, where the log
 * waits for that; others go by log time. */
void sb_partition_time_heard(struct sb_partition *part, uint64_t time_ms);
void sb_partition_own_echo(struct sb_partition *part, uint64_t sent_ms);
void sb_partition_lease_timers(struct sb_partition *part);
uint64_t sb_partition_lease_deadline(const struct sb_partition *part);
void sb_partition_goodbye(struct sb_partition *part);

#endif
