/* One request for entries of streams that are older than the history: read back for its session alone. */
#ifndef SB_CORE_LOG_RANGE_H
#define SB_CORE_LOG_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/history/slice.h"
#include "bridge/core/log/back.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/id.h"

struct sb_range {
  const void *owner; /* the session; NULL: nobody's turn */
  struct sb_history_slice what;
  struct sb_back back;
  uint64_t log_ms;            /* log time when it was begun: what had expired then is not read */
  uint64_t nudge_ms, drop_ms; /* DONE: when it is offered again; how long it waits for its owner */
};

/* Entries of some streams, of each those at `from` or behind it and not behind `to`. */
struct sb_range_ask {
  const struct sb_bytes *names;
  const struct sb_id *from;
  uint32_t count;
  struct sb_id to;
  bool backwards;
  uint64_t limit;
};

enum sb_range_says {
  SB_RANGE_HERE,  /* nothing that is not in the history */
  SB_RANGE_WAITS, /* logs->readers_wait will be set */
  SB_RANGE_READ,  /* sb_range_place says where it is, until sb_ranges_end */
  SB_RANGE_FAILED /* *why says it, for an error reply */
};

/* That stream is in the log with this number. */
bool sb_range_is_of(const struct sb_logs *logs, uint32_t partition, struct sb_bytes name);

/* Begins to read back what that session asks of this log, from a state before `oldest`. `state` is as of the
 * message `applied`, up to which is read; `messages` is how far back `oldest` may lie. */
struct sb_range_begin {
  struct sb_id oldest;
  const struct sb_state *state;
  uint64_t applied, messages;
};
void sb_range_begin(struct sb_range *range, const struct sb_back_log *log, const void *session,
                    const struct sb_range_ask *ask, const struct sb_range_begin *from);
void sb_range_end(struct sb_range *range, struct sb_logs *logs);

/* It was begun for a request of this session that asks the same of this log. */
bool sb_range_is_same(const struct sb_range *range, const struct sb_logs *logs, uint32_t partition,
                      const struct sb_range_ask *ask);
/* What came of it. */
enum sb_range_says sb_range_outcome(const struct sb_range *range, const char **why);

/* Its reading is done, and whoever asked was not told. */
bool sb_range_has_ended(const struct sb_range *range);
/* From now on its owner is offered it, so often and so long. */
void sb_range_offer(struct sb_range *range, uint64_t now_ms);
/* It is time to offer it once more; *gone: and for the last time, for its owner does not come. */
bool sb_range_nudges(struct sb_range *range, uint64_t now_ms, bool *gone);
uint64_t sb_range_due_ms(const struct sb_range *range);

#endif
