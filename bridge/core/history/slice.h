/* A history that follows a log for one request only, and so keeps a slice of it. */
#ifndef SB_CORE_HISTORY_SLICE_H
#define SB_CORE_HISTORY_SLICE_H

#include "bridge/core/history/history.h"

/* What such a history keeps: entries of some names, each from its own id on, all up to one id. When there are
 * more than its bytes hold, it keeps the first of them; backwards, the last. Entries behind these are
 * counted, because trims by length count them. Storage that the caller holds, and closes after the history;
 * zeroed is empty. */
struct sb_history_slice {
  struct sb_table names;
  struct sb_id to;
  bool backwards;
  uint64_t limit;   /* how many entries of each name are wanted */
  struct sb_id end; /* the last id that is kept: `to`, or less for want of room */
  bool unsure;      /* a trim by length may have taken more, or less, than was taken here */
};
void sb_history_slice_close(struct sb_history_slice *slice);
void sb_history_slice_add(struct sb_history_slice *slice, struct sb_bytes name, struct sb_id from);
/* Whether this slice keeps the name from that id on, or from an earlier one. */
bool sb_history_slice_has(const struct sb_history_slice *slice, struct sb_bytes name, struct sb_id from);

/* Whether `limit` entries of each name are here; whether they are, or all that was wanted is here. */
bool sb_history_slice_has_limit(const struct sb_history *history);
bool sb_history_slice_is_met(const struct sb_history *history);

/* ---- for the history that keeps it ---- */

/* Whether `count` entries from `first` on are kept; counts them when they lie behind. */
bool sb_history_slice_takes(const struct sb_history *history, struct sb_bytes name, struct sb_id first,
                            uint32_t count);
/* A message begins. If there is no room for more, what is kept ends before it. */
void sb_history_slice_message(struct sb_history *history, struct sb_id base);
/* Begins anew, with nothing counted. */
void sb_history_slice_restart(struct sb_history_slice *slice);
/* A trim leaves the newest `keep` entries of a name, counted ones too: how many of those are here. */
uint64_t sb_history_slice_trim(const struct sb_history *history, struct sb_bytes name, uint64_t length,
                               uint64_t keep);
/* An entry was deleted, or with `below` all before it: corrects what is counted. */
void sb_history_slice_deleted(const struct sb_history *history, struct sb_bytes name, struct sb_id id,
                              bool below);

#endif
