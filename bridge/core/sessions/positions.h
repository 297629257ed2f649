/* Positions in streams that a session waits for before it reads. Few sessions do, so what is kept is made on
 * first use, and hangs on the session by a pointer; NULL: nothing is waited for. */
#ifndef SB_CORE_SESSIONS_POSITIONS_H
#define SB_CORE_SESSIONS_POSITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/commands/op.h"
#include "bridge/core/wire/id.h"

struct sb_positions;

/* Where the "$" of the streams of this XREAD stand, in the order of its keys: 0-0 until that is known, and
 * the caller sets it. They belong to this very request: what another one left, which was told to wait and did
 * not come again, is dropped. */
struct sb_id *sb_positions_last_ids(struct sb_positions **positions, const struct sb_op *op);

/* The same when they are kept; else NULL. */
const struct sb_id *sb_positions_kept_ids(const struct sb_positions *positions);
void sb_positions_forget_last_ids(struct sb_positions **positions);

/* A request names a position that this node has not come to. True: it waits for that, until *until_ms. False:
 * it has waited for long enough, or did so in vain a moment ago. */
bool sb_positions_wait_ahead(struct sb_positions **positions, uint64_t now_ms, uint64_t *until_ms);

/* The request is served now: the next one may wait again. */
void sb_positions_go_on(struct sb_positions *positions);

void sb_positions_close(struct sb_positions **positions);

#endif
