/* Batches that were sent and not seen accepted when the log was lost from sight: they may stand in the
 * stretch of it that is not read. They wait apart until a state says how far our row had come. Rule:
 * docs/log.md, "Gaps". */
#ifndef SB_CORE_LOG_LIMBO_H
#define SB_CORE_LOG_LIMBO_H

#include <stdbool.h>
#include <stddef.h>

#include "bridge/base/envelope.h"
#include "bridge/core/log/outbox.h"

struct sb_row;

struct sb_limbo {
  enum {
    SB_LIMBO_NONE,     /* the log is not lost from sight; no batch is here */
    SB_LIMBO_SAME_LOG, /* it is, and still the one in which they were sent */
    SB_LIMBO_NEW_LOG,  /* it was made anew since */
  } state;
  struct sb_batch *batches;
  size_t bytes;
  uint64_t *total;                   /* as that of the outbox, from which they came */
  struct sb_incarnation incarnation; /* under which they were sent */
};

static inline bool sb_limbo_is_active(const struct sb_limbo *limbo) {
  return limbo->state != SB_LIMBO_NONE;
}

/* The log is lost from sight, perhaps once more: takes all that is in the outbox, which was numbered under
 * that incarnation. */
void sb_limbo_enter(struct sb_limbo *limbo, struct sb_outbox *outbox, struct sb_incarnation incarnation,
                    bool same_log);

/* A state was found. `row` is ours in it, or NULL when it knows nothing of our past. Nothing is left here:
 * returns the batches that were ordered where nobody here read them, and *again has those that were not, to
 * be put back. */
struct sb_batch *sb_limbo_leave(struct sb_limbo *limbo, const struct sb_row *row, struct sb_batch **again);

/* All of them, for whom nothing comes back any more. */
struct sb_batch *sb_limbo_abandon(struct sb_limbo *limbo);

#endif
