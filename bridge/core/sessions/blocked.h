/* XREADs that wait for entries. */
#ifndef SB_CORE_SESSIONS_BLOCKED_H
#define SB_CORE_SESSIONS_BLOCKED_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/table.h"
#include "bridge/core/commands/read_streams.h"
#include "bridge/core/sessions/session.h"

struct sb_core;
struct sb_logs;
struct sb_partition;

struct sb_blocking {
  struct sb_table keys;      /* that somebody waits for */
  struct sb_blocked **timed; /* those that do not wait for ever: a heap, the next to end on top */
  uint32_t timed_count, timed_cap;
  struct sb_blocked *signalled, **signalled_end; /* something came for them */
  struct sb_blocked *aside;                      /* and must be read back first */
  size_t served_bytes;                           /* of replies in this turn */
  uint32_t count;
};

void sb_blocking_init(struct sb_blocking *blocking);
void sb_blocking_close(struct sb_blocking *blocking);

/* Makes the session wait, for so long or for ever (0); it waits for nothing else. */
void sb_blocked_begin(struct sb_core *core, struct sb_session *session, const struct sb_streams *streams,
                      uint64_t block_ms);

/* The session closes: its slot is filled with nothing. */
void sb_blocked_drop(struct sb_core *core, struct sb_session *session);

void sb_blocked_wake(struct sb_partition *part, struct sb_bytes key); /* an entry was added to it */
void sb_blocked_wake_all(struct sb_partition *part); /* entries may have come to any stream of this log */
void sb_blocked_pass(struct sb_partition *part);     /* what comes now may be missed */

/* At the end of a turn: replies to those that something came for, or whose time has come. */
void sb_blocked_serve(struct sb_core *core);
uint64_t sb_blocked_deadline(const struct sb_core *core);
void sb_blocked_again(struct sb_logs *logs); /* something may have been read back */

#endif
