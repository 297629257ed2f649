/* What the entries of an accepted batch do. */
#ifndef SB_CORE_LOG_ENTRIES_H
#define SB_CORE_LOG_ENTRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/entry.h"

struct sb_logs;
struct sb_partition;

/* Finds all entries of a batch before any of them is applied: a malformed batch has no effect at all. */
bool sb_entries_index(struct sb_logs *logs, struct sb_bytes body, uint32_t count);

/* Whether it says that a member leaves. */
bool sb_entry_is_bye(struct sb_bytes body, const struct sb_entry *entry);

/* A batch that is applied to a state and a history. */
struct sb_applying {
  struct sb_logs *logs;
  struct sb_state *state;
  struct sb_history *history;
  uint32_t partition;
  struct sb_partition
      *part; /* whose sessions get messages and replies; NULL: nobody does, it is read again */
  const char *sender;
  uint64_t sequence, now_ms;
  struct sb_body *body;
  const struct sb_batch *own; /* the batch as this node sent it, with its waiters; NULL: it is not ours */
};

/* What has expired at that log time goes, and what a stream held with it. */
void sb_keys_expire_here(struct sb_state *state, struct sb_history *history, uint64_t now_ms);

/* What came of it. */
struct sb_applied {
  uint32_t entries;      /* how many there were: none in a fragment but the last */
  bool restored;         /* somebody has restored the keys of the log before */
  bool interest_is_full; /* more is subscribed to than is counted */
};

/* Applies the entries that sb_entries_index has found. */
struct sb_applied sb_entries_apply(const struct sb_applying *of, uint32_t count);

#endif
