/* What waits to be written to one session, within its limit, and which sessions have something to write.
 *
 * An outlet is one session's. It has the bytes that wait for its socket, the pushes that must wait for a
 * confirmation (holds), and a count of what is kept for the session elsewhere, in its ring of replies. All of
 * that together stays within the hard limit. An outlet that would exceed it loses what it has and takes
 * nothing any more; its owner finds it by sb_outputs_next and closes it:
 *
 *     new ──▶ open ──▶ over limit ──▶ closed
 *              └────────────────────────▲
 *
 * The outputs are those of all sessions: their limits, and the list of those with something to write. When
 * all together would need more memory than there is for them, `full` is called before more is kept, and drops
 * whom it chooses. */
#ifndef SB_CORE_SESSIONS_OUTLET_H
#define SB_CORE_SESSIONS_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/output.h"

enum sb_outlet_state {
  SB_OUTLET_NEW, /* storage that the caller has zeroed */
  SB_OUTLET_OPEN,
  SB_OUTLET_OVER_LIMIT,
  SB_OUTLET_CLOSED,
};

/* Pushes of one log that wait until the reply in `slot` is written. */
struct sb_hold {
  struct sb_hold *next;
  uint32_t partition, slot;
  struct sb_output out;
};

struct sb_outlet {
  struct sb_output out; /* the socket side takes bytes from here with sb_output_peek and sb_output_drop */
  struct sb_hold *holds;
  size_t held_bytes;                          /* in the holds */
  size_t kept_bytes;                          /* in the ring: replies and questions */
  struct sb_outlet *dirty_next, **dirty_prev; /* in the list of outputs; dirty_prev NULL: it is not there */
  uint8_t state;                              /* enum sb_outlet_state */
};

struct sb_outputs {
  struct sb_outlet *dirty_first, **dirty_end;
  size_t hard_bytes; /* of one session; 0: no limit */
  size_t mark_bytes; /* what a log brings and fills an outlet above this is told by sb_outputs_rose */
  size_t max_bytes;  /* of memory, of all; above it `full` is called */
  bool rose;
  uint64_t over_limit; /* how many have exceeded theirs */
  void *owner;

  /* So much more is about to be kept for this session: may drop outlets with sb_outlet_drop, until there is
   * room or it is this one. NULL: there is no such limit. */
  void (*full)(void *owner, struct sb_outlet *outlet, size_t more);
};

void sb_outputs_init(struct sb_outputs *outputs, void *owner,
                     void (*full)(void *owner, struct sb_outlet *outlet, size_t more));
void sb_outputs_set_limits(struct sb_outputs *outputs, size_t hard_bytes, size_t mark_bytes);
void sb_outputs_set_max(struct sb_outputs *outputs, size_t max_bytes);

/* The next that has something to write or is over its limit, taken off the list; NULL: there is none. */
struct sb_outlet *sb_outputs_next(struct sb_outputs *outputs);

/* True when what came from a log has filled an outlet above the mark since this was asked last. */
bool sb_outputs_rose(struct sb_outputs *outputs);

/* ---- one session's ---- */

void sb_outlet_open(struct sb_outlet *outlet);

/* What it has goes, and it leaves the list. Nothing may be kept elsewhere any more. */
void sb_outlet_close(struct sb_outputs *outputs, struct sb_outlet *outlet);

/* As if it had exceeded its limit; it comes with sb_outputs_next. */
void sb_outlet_drop(struct sb_outputs *outputs, struct sb_outlet *outlet);

static inline bool sb_outlet_is_open(const struct sb_outlet *outlet) {
  return outlet->state == SB_OUTLET_OPEN;
}

/* Whether `len` more bytes stay within the limits. If not it is over its limit from now on. */
bool sb_outlet_has_room(struct sb_outputs *outputs, struct sb_outlet *outlet, size_t len);

/* A reply. Dropped when the outlet is not open or has no room for it. */
void sb_outlet_copy(struct sb_outputs *outputs, struct sb_outlet *outlet, const void *at, size_t len);

/* So many bytes are kept for it elsewhere, or are not kept any more. */
void sb_outlet_keep(struct sb_outlet *outlet, size_t bytes);
void sb_outlet_unkeep(struct sb_outlet *outlet, size_t bytes);

/* A push that a log brings: behind the confirmations that it must not overtake. */
void sb_outlet_push_copy(struct sb_outputs *outputs, struct sb_outlet *outlet, uint32_t partition,
                         const void *at, size_t len);
void sb_outlet_push_ref(struct sb_outputs *outputs, struct sb_outlet *outlet, uint32_t partition,
                        struct sb_body *body, size_t off, size_t len);

/* From now on pushes of this log wait until the reply in `slot` is written; it is written now. */
void sb_outlet_hold(struct sb_outlet *outlet, uint32_t partition, uint32_t slot);
void sb_outlet_release(struct sb_outlet *outlet, uint32_t slot);

#endif
