/* The moves, as docs/log.md ("Joining", "Leaving and dying") has them:
 *
 *            sent             echo at H             none for T
 *   NEW ──────────▶ GREETING ──────────▶ WAITING ──────────────▶ FOUNDING
 *    ▲                                      │ a SNAPSHOT or GENESIS    │
 *    │ again, when nothing came             └────────▶ ANSWERED ◀────┘
 *    └───────────────────────────────────────────────────┤ the state is in it
 *                                                        ▼
 *              sent              HELLO accepted, or our row is in the state
 *   DISPLACED ──────▶ RETURNING ────────────────────────────────────────────▶ READY ─────▶ LEFT
 *       ▲                 └── again, when nothing came ──┐                      │    BYE
 *       └────────────────────────────────────────────────┴── the row is gone ──┘
 *
 * A GENESIS of another that is accepted for certain is a state for whoever reads it: NEW, which has sent
 * nothing, becomes DISPLACED by it, and all others that wait RETURNING. A log that is lost from sight makes
 * everybody NEW. A node that has left stands again when a late copy of its HELLO is accepted. */
#include "bridge/core/log/phase.h"

#include <stdint.h>

#include "bridge/base/assert.h"

#define TO(phase) (1u << SB_PHASE_##phase)

static const uint16_t allowed[SB_PHASES] = {
    [SB_PHASE_NEW] = TO(NEW) | TO(GREETING) | TO(DISPLACED),
    [SB_PHASE_GREETING] = TO(NEW) | TO(WAITING) | TO(RETURNING),
    [SB_PHASE_WAITING] = TO(NEW) | TO(FOUNDING) | TO(ANSWERED) | TO(RETURNING),
    [SB_PHASE_FOUNDING] = TO(NEW) | TO(ANSWERED) | TO(RETURNING),
    [SB_PHASE_ANSWERED] = TO(NEW) | TO(ANSWERED) | TO(RETURNING),
    [SB_PHASE_RETURNING] = TO(NEW) | TO(READY) | TO(DISPLACED) | TO(LEFT),
    [SB_PHASE_READY] = TO(NEW) | TO(DISPLACED) | TO(LEFT),
    [SB_PHASE_DISPLACED] = TO(NEW) | TO(DISPLACED) | TO(RETURNING) | TO(READY),
    [SB_PHASE_LEFT] = TO(NEW) | TO(READY),
};

bool sb_phase_may(enum sb_phase from, enum sb_phase to) {
  SB_ASSERT(from < SB_PHASES && to < SB_PHASES);
  return allowed[from] & 1u << to;
}
