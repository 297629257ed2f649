/* A subscription is active from its echo on, but its confirmation may have to wait: for the logs of the other
 * channels of the same request, or for replies to earlier requests. Until it is written, whatever comes from
 * that log goes into a hold behind it; other logs flow on. In one log, echoes come in the order of the
 * requests, so a hold never waits for one that was begun behind it. */
#include "bridge/core/sessions/outlet.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"

void sb_outputs_init(struct sb_outputs *outputs, void *owner,
                     void (*full)(void *owner, struct sb_outlet *outlet, size_t more)) {
  *outputs = (struct sb_outputs){.max_bytes = SIZE_MAX, .owner = owner, .full = full};
  outputs->dirty_end = &outputs->dirty_first;
}

void sb_outputs_set_limits(struct sb_outputs *outputs, size_t hard_bytes, size_t mark_bytes) {
  outputs->hard_bytes = hard_bytes;
  outputs->mark_bytes = mark_bytes;
}

void sb_outputs_set_max(struct sb_outputs *outputs, size_t max_bytes) {
  outputs->max_bytes = outputs->full ? max_bytes : SIZE_MAX;
}

bool sb_outputs_rose(struct sb_outputs *outputs) {
  bool rose = outputs->rose;
  outputs->rose = false;
  return rose;
}

/* ---- who has something to write ---- */

static void mark_dirty(struct sb_outputs *outputs, struct sb_outlet *outlet) {
  if (outlet->dirty_prev) return;
  outlet->dirty_next = NULL;
  outlet->dirty_prev = outputs->dirty_end;
  *outputs->dirty_end = outlet;
  outputs->dirty_end = &outlet->dirty_next;
}

static void clean(struct sb_outputs *outputs, struct sb_outlet *outlet) {
  if (!outlet->dirty_prev) return;
  SB_ASSERT(*outlet->dirty_prev == outlet);
  SB_ASSERT(outlet->dirty_next || outputs->dirty_end == &outlet->dirty_next);
  *outlet->dirty_prev = outlet->dirty_next;
  if (outlet->dirty_next)
    outlet->dirty_next->dirty_prev = outlet->dirty_prev;
  else
    outputs->dirty_end = outlet->dirty_prev;
  outlet->dirty_prev = NULL;
  SB_ASSERT((outputs->dirty_first == NULL) == (outputs->dirty_end == &outputs->dirty_first));
}

struct sb_outlet *sb_outputs_next(struct sb_outputs *outputs) {
  struct sb_outlet *outlet = outputs->dirty_first;
  if (outlet) clean(outputs, outlet);
  return outlet;
}

/* ---- the life of an outlet ---- */

static inline bool may_move(enum sb_outlet_state from, enum sb_outlet_state to) {
  switch (to) {
  case SB_OUTLET_OPEN:
    return from == SB_OUTLET_NEW;
  case SB_OUTLET_OVER_LIMIT:
    return from == SB_OUTLET_OPEN;
  case SB_OUTLET_CLOSED:
    return from == SB_OUTLET_OPEN || from == SB_OUTLET_OVER_LIMIT;
  case SB_OUTLET_NEW:
    break;
  }
  return false;
}

/* Only an open outlet has something to write: a new one has nothing yet, any other has given up what it had.
 */
static void move(struct sb_outlet *outlet, enum sb_outlet_state to) {
  SB_ASSERT(may_move((enum sb_outlet_state)outlet->state, to));
  SB_ASSERT(outlet->out.bytes == 0 && !outlet->holds && outlet->held_bytes == 0);
  outlet->state = (uint8_t)to;
}

static void forget_all(struct sb_outlet *outlet) {
  for (struct sb_hold *hold = outlet->holds, *next; hold; hold = next) {
    next = hold->next;
    sb_output_close(&hold->out);
    free(hold);
  }
  outlet->holds = NULL;
  outlet->held_bytes = 0;
  sb_output_close(&outlet->out);
}

void sb_outlet_open(struct sb_outlet *outlet) {
  move(outlet, SB_OUTLET_OPEN);
}

/* What its ring keeps counts as gone from now on, for its session is closed next. */
void sb_outlet_drop(struct sb_outputs *outputs, struct sb_outlet *outlet) {
  if (!sb_outlet_is_open(outlet)) return;
  sb_output_memory_remove(outlet->kept_bytes);
  forget_all(outlet);
  move(outlet, SB_OUTLET_OVER_LIMIT);
  mark_dirty(outputs, outlet);
}

void sb_outlet_close(struct sb_outputs *outputs, struct sb_outlet *outlet) {
  SB_ASSERT(outlet->kept_bytes == 0);
  clean(outputs, outlet);
  forget_all(outlet);
  move(outlet, SB_OUTLET_CLOSED);
}

/* ---- limits ---- */

static bool is_within_its_limit(struct sb_outputs *outputs, struct sb_outlet *outlet, size_t len) {
  size_t limit = outputs->hard_bytes;
  if (!sb_outlet_is_open(outlet)) return false;
  if (limit == 0 || outlet->out.bytes + outlet->held_bytes + outlet->kept_bytes + len <= limit) return true;
  outputs->over_limit++;
  sb_outlet_drop(outputs, outlet);
  return false;
}

/* Whether all of them together are, with so much more. */
static inline bool are_within_theirs(struct sb_outputs *outputs, struct sb_outlet *outlet, size_t more) {
  if (sb_output_memory() + more <= outputs->max_bytes) return true;
  outputs->full(outputs->owner, outlet, more);
  return sb_outlet_is_open(outlet);
}

bool sb_outlet_has_room(struct sb_outputs *outputs, struct sb_outlet *outlet, size_t len) {
  return is_within_its_limit(outputs, outlet, len) && are_within_theirs(outputs, outlet, len);
}

void sb_outlet_keep(struct sb_outlet *outlet, size_t bytes) {
  SB_ASSERT(outlet->state == SB_OUTLET_OPEN || outlet->state == SB_OUTLET_OVER_LIMIT || bytes == 0);
  outlet->kept_bytes += bytes;
  if (sb_outlet_is_open(outlet)) sb_output_memory_add(bytes);
}

void sb_outlet_unkeep(struct sb_outlet *outlet, size_t bytes) {
  SB_ASSERT(outlet->kept_bytes >= bytes);
  outlet->kept_bytes -= bytes;
  if (sb_outlet_is_open(outlet)) sb_output_memory_remove(bytes);
}

void sb_outlet_copy(struct sb_outputs *outputs, struct sb_outlet *outlet, const void *at, size_t len) {
  if (!sb_outlet_has_room(outputs, outlet, len)) return;
  sb_output_copy(&outlet->out, at, len);
  mark_dirty(outputs, outlet);
}

/* ---- holds ---- */

static struct sb_hold *last_hold(const struct sb_outlet *outlet, uint32_t partition) {
  struct sb_hold *last = NULL;
  for (struct sb_hold *hold = outlet->holds; hold; hold = hold->next)
    if (hold->partition == partition) last = hold;
  return last;
}

/* A hold that is still empty is moved on to the later confirmation: a flood of SUBSCRIBEs has one hold for
 * each log and not one for each request. */
void sb_outlet_hold(struct sb_outlet *outlet, uint32_t partition, uint32_t slot) {
  if (!sb_outlet_is_open(outlet)) return;
  struct sb_hold *last = last_hold(outlet, partition), **end = &outlet->holds;
  if (last && (last->slot == slot || last->out.bytes == 0)) {
    last->slot = slot;
    return;
  }
  while (*end) end = &(*end)->next;
  *end = sb_calloc(1, sizeof **end);
  (*end)->partition = partition;
  (*end)->slot = slot;
}

void sb_outlet_release(struct sb_outlet *outlet, uint32_t slot) {
  for (struct sb_hold **at = &outlet->holds; *at;) {
    struct sb_hold *hold = *at;
    if (hold->slot != slot) {
      at = &hold->next;
      continue;
    }
    SB_ASSERT(outlet->held_bytes >= hold->out.bytes);
    outlet->held_bytes -= hold->out.bytes;
    for (uint32_t i = 0; i < hold->out.count; i++) {
      const struct sb_piece *piece = &hold->out.pieces[hold->out.head + i];
      sb_output_ref(&outlet->out, piece->body, piece->off, piece->len);
    }
    sb_output_close(&hold->out);
    *at = hold->next;
    free(hold);
  }
  SB_ASSERT(outlet->holds || outlet->held_bytes == 0);
}

/* ---- pushes ---- */

/* Where a push from this log goes; NULL: the session takes no more. `copied`: what of it takes memory of its
 * own. */
static struct sb_output *push_into(struct sb_outputs *outputs, struct sb_outlet *outlet, uint32_t partition,
                                   size_t len, size_t copied) {
  if (!is_within_its_limit(outputs, outlet, len) || !are_within_theirs(outputs, outlet, copied)) return NULL;
  struct sb_hold *hold = outlet->holds ? last_hold(outlet, partition) : NULL;
  if (hold) {
    outlet->held_bytes += len;
    return &hold->out;
  }
  size_t mark = outputs->mark_bytes;
  if (outlet->out.bytes <= mark && len > mark - outlet->out.bytes) outputs->rose = true;
  mark_dirty(outputs, outlet);
  return &outlet->out;
}

void sb_outlet_push_copy(struct sb_outputs *outputs, struct sb_outlet *outlet, uint32_t partition,
                         const void *at, size_t len) {
  struct sb_output *out = push_into(outputs, outlet, partition, len, len);
  if (out) sb_output_copy(out, at, len);
}

void sb_outlet_push_ref(struct sb_outputs *outputs, struct sb_outlet *outlet, uint32_t partition,
                        struct sb_body *body, size_t off, size_t len) {
  struct sb_output *out = push_into(outputs, outlet, partition, len, 0);
  if (out) sb_output_ref(out, body, off, len);
}
