/* What messages mean to whoever reads them, live or once more. */
#ifndef SB_CORE_LOG_INTERPRET_H
#define SB_CORE_LOG_INTERPRET_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/control.h"

/* The PUBLISH that a foreign message is; what a GENESIS says, with the keys that it brings, which are the
 * caller's. */
struct sb_body *sb_foreign_entry(const struct sb_message *message);
struct sb_genesis sb_genesis_of(const struct sb_message *message, const struct sb_control *control,
                                const struct sb_assembler *brought, struct sb_keys *keys);
/* sb_state_apply_genesis, with what follows for a history. */
bool sb_genesis_apply(struct sb_state *state, struct sb_history *history, const struct sb_genesis *genesis);

#endif
