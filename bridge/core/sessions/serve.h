/* XREADs that wait for entries begin here, and are answered at the end of a turn: in the order in which
 * things came for them, and those whose replies are too much for one turn in the next. */
#ifndef SB_CORE_SESSIONS_SERVE_H
#define SB_CORE_SESSIONS_SERVE_H

#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/core/commands/read_streams.h"

struct sb_core;
struct sb_logs;
struct sb_partition;
struct sb_session;

/* Makes the session wait, for so long or for ever (0); it waits for nothing else. */
void sb_session_block(struct sb_core *core, struct sb_session *session, const struct sb_streams *streams,
                      uint64_t block_ms);

/* The session closes: its slot is filled with nothing. */
void sb_session_unblock(struct sb_core *core, struct sb_session *session);

/* ---- what the logs report (log/events.h) ---- */

void sb_serve_added(struct sb_partition *part, struct sb_bytes key);
void sb_serve_changed(struct sb_partition *part);
void sb_serve_passed(struct sb_partition *part);
void sb_serve_readable(struct sb_logs *logs);

/* ---- the end of a turn ---- */

void sb_serve_blocked(struct sb_core *core);
uint64_t sb_serve_deadline(const struct sb_core *core);

#endif
