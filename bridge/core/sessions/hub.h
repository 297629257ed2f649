/* The whole of the core: the logs, and what all sessions have in common. Each member is written by the module
 * whose header it comes from; those that stand here alone, by the file that is named beside them. Only files
 * that bring sessions and logs together include this. */
#ifndef SB_CORE_SESSIONS_HUB_H
#define SB_CORE_SESSIONS_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/blocked.h"
#include "bridge/core/sessions/interest.h"
#include "bridge/core/sessions/outlet.h"

struct sb_core {
  struct sb_logs logs; /* first: who is told of a log finds the core by it */
  struct sb_interest interest;
  struct sb_outputs outputs;
  struct sb_blocking blocking;

  bool gated;                        /* room.c: publishes are not simply taken */
  char refusal[192];                 /* room.c: why the last request was SB_REFUSED */
  uint64_t entries_published;        /* intake.h: accepted from sessions */
  uint64_t messages_sent;            /* fanout.c: pushes to subscribers here */
  uint32_t change_slot, change_left; /* subscribe.c: of the SUBSCRIBE or UNSUBSCRIBE that is being taken */
  struct sb_buf entry;               /* requests.c: that is being made */
};

_Static_assert(offsetof(struct sb_core, logs) == 0, "the logs stand first");

static inline struct sb_core *sb_core_of_logs(struct sb_logs *logs) {
  return (struct sb_core *)logs;
}

static inline struct sb_core *sb_core_of(const struct sb_partition *part) {
  return sb_core_of_logs(part->logs);
}

#endif
