/* Who may have died, as this node has noted it for one log, and what it has to say about itself there. Who is
 * noted and when, silence.c decides. */
#ifndef SB_CORE_LOG_LEASE_H
#define SB_CORE_LOG_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/envelope.h"

struct sb_suspicion {
  char name[SB_NODE_NAME_MAX + 1];
  uint64_t since_ms; /* partition 0: an own echo was read then, and no word of it since; others: act then */
};

struct sb_lease {
  struct sb_suspicion *suspicions; /* who may have died (partition 0), who is to be followed out (others) */
  uint32_t count, cap;
  bool goodbye_said; /* we said our own BYE, and our row has not vanished since */
  bool time_asked; /* another member says that it is later than log time may become before we, the eldest, say
                      so */
};

void sb_lease_close(struct sb_lease *lease);

/* The note about that member, or NULL. */
struct sb_suspicion *sb_lease_find(const struct sb_lease *lease, const char *name);
/* Notes a member that is not noted. */
void sb_lease_suspect(struct sb_lease *lease, const char *name, uint64_t since_ms);
void sb_lease_renew(struct sb_suspicion *suspicion, uint64_t since_ms);
void sb_lease_forget(struct sb_lease *lease, struct sb_suspicion *suspicion);
void sb_lease_clear(struct sb_lease *lease); /* nobody is suspected */

/* Our BYE was said; or it has no effect any more, for the row that it speaks of is gone. */
void sb_lease_goodbye(struct sb_lease *lease, bool said);
/* Somebody wants to hear from us what time it is; or has heard it. */
void sb_lease_time_asked(struct sb_lease *lease, bool asked);

#endif
