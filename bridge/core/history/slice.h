/* A history that follows a log for one request only keeps a slice of it. */
#ifndef SB_CORE_HISTORY_SLICE_H
#define SB_CORE_HISTORY_SLICE_H

#include "bridge/core/history/history.h"

/* What is kept by a history that follows a log for one request only: entries of some names, each from an id
 * on, up to one id. Over its bytes it keeps the first, or backwards the last. What lies behind is counted,
 * because trims by length count it. Bodies are held by the piece. Storage that the caller holds and closes
 * behind the history; zeroed is empty. */
struct sb_history_slice {
  struct sb_table names;
  struct sb_id to;
  bool backwards;
  uint64_t limit;   /* of each name so many are wanted */
  struct sb_id end; /* what is kept ends there: at `to`, or before it for want of room */
  bool unsure;      /* a trim counted what cannot be counted here */
};
void sb_history_slice_close(struct sb_history_slice *slice);
void sb_history_slice_add(struct sb_history_slice *slice, struct sb_bytes name, struct sb_id from);
/* Whether this slice has the name, from that id on or before it. */
bool sb_history_slice_has(const struct sb_history_slice *slice, struct sb_bytes name, struct sb_id from);

/* Of each name it holds as many as `limit`; or all that is wanted, if what it follows reaches that far. */
bool sb_history_slice_has_limit(const struct sb_history *history);
bool sb_history_slice_is_met(const struct sb_history *history);

/* ---- for the history that keeps it ---- */

/* Whether `count` entries from `first` on are kept; counts them when they lie behind. */
bool sb_history_slice_takes(const struct sb_history *history, struct sb_bytes name, struct sb_id first,
                            uint32_t count);
/* A message begins: for want of room nothing more may be kept. */
void sb_history_slice_message(struct sb_history *history, struct sb_id base);
/* Nothing is kept of what comes from now on, or behind: begins anew. */
void sb_history_slice_restart(struct sb_history_slice *slice);
/* How many of a name are kept when `keep` of all are. */
uint64_t sb_history_slice_trim(const struct sb_history *history, struct sb_bytes name, uint64_t length,
                               uint64_t keep);
/* One was deleted, or all below it, that is not here. */
void sb_history_slice_deleted(const struct sb_history *history, struct sb_bytes name, struct sb_id id,
                              bool below);

#endif
