/* What the core does with all sessions: their begin, their end, their part of a turn. */
#ifndef SB_CORE_SESSIONS_LIFE_H
#define SB_CORE_SESSIONS_LIFE_H

#include <stdint.h>

#include "bridge/core/log/outside.h"

struct sb_core;

/* Once, when the logs have their settings. The sessions register what the logs report to them. */
void sb_sessions_init(struct sb_core *core);

/* All sessions are closed, and nobody waits for a log any more. */
void sb_sessions_close(struct sb_core *core);

/* The settings of the logs have changed, or what is known of their links, or the bridge stops. */
void sb_sessions_reload(struct sb_core *core);

/* At the end of a turn; and when it wants to be called at the latest. */
void sb_sessions_turn(struct sb_core *core);
uint64_t sb_sessions_deadline(const struct sb_core *core);

/* Sets what the sessions count. */
void sb_sessions_stats(const struct sb_core *core, struct sb_core_stats *out);

#endif
