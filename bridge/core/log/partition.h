/* One log, as this node follows it. */
#ifndef SB_CORE_LOG_PARTITION_H
#define SB_CORE_LOG_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/link.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/checkpoint.h"
#include "bridge/core/log/held.h"
#include "bridge/core/log/join.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/lease.h"
#include "bridge/core/log/limbo.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/phase.h"
#include "bridge/core/log/range.h"
#include "bridge/core/log/sending.h"
#include "bridge/core/state/state.h"

/* Where reading stands, also while the state is not known. */
struct sb_seen {
  bool any;           /* a message was read since the log began or began anew */
  uint64_t last;      /* its sequence */
  uint64_t heard_ms;  /* when anything came last, or the links came up */
  bool last_left;     /* it said that the last member left */
  bool nobody_before; /* where nothing was read yet, nobody has written who could answer */
};

struct sb_partition {
  struct sb_logs *logs;
  uint32_t index;
  bool publish_up, consume_up;
  struct sb_seen seen;
  struct sb_incarnation incarnation; /* ours, of the last HELLO */
  uint64_t known_generation;         /* the highest ever seen, also in other lives of the log */

  enum sb_phase phase; /* phase.h */

  /* the state, once known */
  struct sb_state state;
  uint64_t joined_at;  /* sequence as of which the state was taken: what is before it is not known here */
  uint64_t applied;    /* sequence of the last message applied */
  uint64_t time_base;  /* log time … */
  uint64_t time_at_ms; /* … at this monotonic time */
  bool interest_full;  /* said once */
  struct sb_checkpoints checkpoints;

  /* how it comes to be known, and how others are told */
  struct sb_joining joining;
  struct sb_answering answering;
  struct sb_sending sending;
  struct sb_lease lease;

  /* the keys of the log before */
  struct sb_held held;
  struct sb_id best_held;      /* of all HELLOs that were read since the log began anew */
  struct sb_assembler brought; /* keys that founders bring */
  struct sb_back recovery;     /* of the keys, by a founder */

  /* what can be read of streams */
  struct sb_history history;
  struct sb_back prefill; /* of the history, by one who has just become ready */
  struct sb_range range;
  struct sb_id followed_from; /* nothing that came behind it was missed, since it is ready */
  struct sb_id log_begin; /* what the log held up to there can be read by nobody any more; 0-0: not known */

  /* publishing */
  struct sb_outbox outbox;
  struct sb_pace pace;
  struct sb_limbo limbo;
};

/* It knows the state. */
static inline bool sb_partition_is_ready(const struct sb_partition *part) {
  return sb_phase_is_ready(part->phase);
}

/* Storage zeroed by the caller. Sends the first HELLO when the links are up. */
void sb_partition_init(struct sb_partition *part, struct sb_logs *logs, uint32_t index);

/* Whoever waits for an entry gets nothing any more. To be done for all partitions before the first is closed.
 */
void sb_partition_abandon(struct sb_partition *part);
void sb_partition_close(struct sb_partition *part);

/* What link.h tells. False: that side was so already. When both have come up, _links_up follows. */
bool sb_partition_link(struct sb_partition *part, enum sb_link_side side, bool up);
void sb_partition_links_up(struct sb_partition *part);
void sb_partition_attached(struct sb_partition *part, enum sb_attach how);

/* For `ms` up to now nothing was taken from the logs. */
void sb_partition_stood(struct sb_partition *part, uint64_t ms);

static inline struct sb_partition *sb_part_of(struct sb_logs *logs, struct sb_bytes key) {
  return &logs->partitions[sb_logs_partition(logs, key)];
}

#endif
