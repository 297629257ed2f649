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
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/standing.h"

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

static void check(const struct sb_partition *part) {
  const struct sb_joining *joining = &part->joining;
  (void)joining;
  if (!sb_phase_is_ready(part->phase)) SB_ASSERT(part->state.members.count == 0);
  switch (part->phase) {
  case SB_PHASE_GREETING:
    SB_ASSERT(joining->kept.first == NULL);
    break;
  case SB_PHASE_WAITING:
  case SB_PHASE_FOUNDING:
  case SB_PHASE_ANSWERED:
    SB_ASSERT(joining->read_from <= joining->hello_at);
    break;
  case SB_PHASE_READY:
    SB_ASSERT(sb_partition_has_row(part));
    break;
  case SB_PHASE_LEFT:
    SB_ASSERT(!sb_partition_has_row(part) && sb_outbox_empty(&part->outbox));
    break;
  default:
    break;
  }
}

void sb_phase_move(struct sb_partition *part, enum sb_phase to) {
  SB_ASSERT(allowed[part->phase] & 1u << to);
  (void)allowed;
  part->phase = to;
  check(part);
}
