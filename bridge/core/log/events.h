/* What the logs report to whoever holds the sessions: it registers these functions. Each is called from
 * within the event of the log that it tells of, and may append to outboxes, but must not feed events. */
#ifndef SB_CORE_LOG_EVENTS_H
#define SB_CORE_LOG_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/id.h"

struct sb_logs;
struct sb_partition;

/* A batch in the two forms that sessions read; resp3 is made when it is needed and belongs to who made the
 * struct. */
struct sb_views {
  struct sb_body *resp2, *resp3;
  struct sb_id id; /* of the entry that is pushed first; those behind it follow. 0-0: they have none */
};

/* What becomes of an entry that somebody here waits for. */
enum sb_outcome {
  SB_OUTCOME_RAN,       /* it has come back and was run; the reply is what it made */
  SB_OUTCOME_REFUSED,   /* it will have no effect; the reply is the error */
  SB_OUTCOME_UNKNOWN,   /* it was ordered in the log, and nobody here saw where */
  SB_OUTCOME_ABANDONED, /* the bridge ends: nothing will come back any more */
};

struct sb_log_events {
  /* Who waits for an entry is told what became of it. */
  void (*settled)(struct sb_partition *part, const struct sb_waiter *waiter, enum sb_outcome outcome,
                  struct sb_bytes reply);

  /* The same for `count` messages that ran, which the waiter expects in the slots from `slot` on: each had so
   * many receivers in the cluster. A function of its own, for every PUBLISH comes here. */
  void (*counted)(struct sb_partition *part, const struct sb_waiter *waiter, uint32_t slot, uint32_t count,
                  uint64_t receivers);

  /* The version of RESP in which the reply is to be made for who waits; 0: nobody does. */
  uint8_t (*proto)(const struct sb_waiter *waiter);

  /* `count` neighbouring messages of one channel, for its subscribers here. */
  void (*delivered)(struct sb_partition *part, struct sb_views *views, const struct sb_entry *first,
                    uint32_t count);

  void (*added)(struct sb_partition *part, struct sb_bytes key); /* an entry, to a stream */
  void (*changed)(struct sb_partition *part); /* entries may have come to any stream of this log */
  void (*passed)(struct sb_partition *part);  /* what comes now may be missed */
  void (*readable)(struct sb_logs *logs);     /* something may have been read back */

  /* Our row is new and has no interest yet: what is active in this log is to be said again, into this outbox.
   */
  void (*announce)(struct sb_partition *part, struct sb_outbox *outbox);
};

#endif
