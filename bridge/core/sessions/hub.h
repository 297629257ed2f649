/* The whole of the core: the logs, and the sessions above them. */
#ifndef SB_CORE_SESSIONS_HUB_H
#define SB_CORE_SESSIONS_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/blocked.h"
#include "bridge/core/sessions/interest.h"
#include "bridge/core/sessions/sessions.h"

struct sb_core {
  struct sb_logs logs; /* first: who is told of a log finds the core by it */
  struct sb_interest interest;
  uint32_t change_slot, change_left; /* of the SUBSCRIBE or UNSUBSCRIBE that is being taken */
  struct sb_session *dirty_first, **dirty_end;
  size_t outputs_max;  /* above it io.outputs_full is called */
  char refusal[192];   /* why the last request was SB_REFUSED */
  bool gated;          /* publishes are not simply taken: stopping, or an outage with refuse_in_outage */
  bool output_rose;    /* what a log brought has filled an output above output_mark_bytes */
  struct sb_buf entry; /* that is being made */
  struct sb_blocking blocking;
};

_Static_assert(offsetof(struct sb_core, logs) == 0, "the logs stand first");

static inline struct sb_core *sb_core_of(const struct sb_partition *part) {
  return (struct sb_core *)part->logs;
}

/* SB_REFUSED, with the reason for its client. */
__attribute__((format(printf, 2, 3))) enum sb_result sb_core_refuse(struct sb_core *core, const char *format,
                                                                    ...);
enum sb_result sb_core_too_large(struct sb_core *core, size_t len); /* likewise; SB_TOO_LARGE */

/* Why an entry of `len` bytes that is not simply taken is not taken; SB_DONE: it is after all. */
enum sb_result sb_core_judge(struct sb_core *core, size_t len);
/* The same for several entries that have `len` bytes together. */
enum sb_result sb_core_judge_all(struct sb_core *core, size_t len);

#endif
