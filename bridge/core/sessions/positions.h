/* Positions in streams that a session waits for before it reads. */
#ifndef SB_CORE_SESSIONS_POSITIONS_H
#define SB_CORE_SESSIONS_POSITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/commands/op.h"
#include "bridge/core/wire/id.h"

/* Where the "$" of the streams of an XREAD stand, as far as that is known. They belong to this very request:
 * what another one left, which was told to wait and did not come again, is dropped. */
struct sb_last_ids {
  uint64_t request; /* a hash of its names and ids */
  uint32_t count;
  struct sb_id at[];
};

/* Storage that the caller holds; zeroed: nothing is waited for. */
struct sb_positions {
  struct sb_last_ids *last_ids; /* NULL: no XREAD with a "$" waits */
  uint64_t ahead_until_ms;      /* a position is waited for until then; 0: none is */
  uint64_t ahead_again_ms;      /* the last one did not come: none is waited for before then */
};

/* Those of this request; made when it is asked for the first time, with no position known. */
struct sb_last_ids *sb_positions_last_ids(struct sb_positions *positions, const struct sb_op *op);
void sb_positions_forget_last_ids(struct sb_positions *positions);

/* A request names a position that this node has not come to. True: it waits for that, until *until_ms. False:
 * it has waited for long enough, or did so in vain a moment ago. */
bool sb_positions_wait_ahead(struct sb_positions *positions, uint64_t now_ms, uint64_t *until_ms);

/* The request is served now: the next one may wait again. */
void sb_positions_go_on(struct sb_positions *positions);

#endif
