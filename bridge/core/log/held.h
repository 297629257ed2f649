/* Keys that outlive their log. */
#ifndef SB_CORE_LOG_HELD_H
#define SB_CORE_LOG_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/log/kept.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/state/keys.h"

struct sb_partition;

/* What a member of a log held when that was lost from sight, for a founder (held.c). */
struct sb_held {
  struct sb_keys keys;
  struct sb_id upto; /* the generation, and the sequence up to which it was applied; 0-0: it holds nothing */
  uint64_t time_ms;  /* log time … */
  uint64_t at_ms;    /* … at this monotonic time */
  bool adds;         /* when it was taken, that state still waited for what was held then */
  uint64_t restore_until_ms; /* of its state: another one in the next tells of another founding */
  uint64_t restore_ms;       /* when it is restored into a log that another has founded; 0: not at any time */
};

/* The log is lost from sight: what is known of its keys is kept for who founds. */
void sb_held_keep(struct sb_partition *part);
void sb_held_drop(struct sb_partition *part);
void sb_held_let_go(struct sb_partition *part); /* the same, and says so where keys are lost by it */
/* It has keys that have not expired. */
bool sb_held_any(const struct sb_partition *part);

/* The same in two steps, for keys that a founding takes away: what is to be held of the state as it is, but
 * for the keys; and then with them, which it takes over. */
struct sb_held sb_held_of(const struct sb_partition *part, uint64_t upto);
void sb_held_take(struct sb_partition *part, const struct sb_held *held);

/* Into a log that one has founded who had no keys: a member that holds some restores them. Whoever it is that
 * reads of a member that holds more waits for that one first. */
bool sb_restore_is_due(const struct sb_partition *part); /* its state waits for what is held here */
void sb_restore_begin(struct sb_partition *part, struct sb_outbox *first); /* the row is new */
void sb_restore_timers(struct sb_partition *part);
uint64_t sb_restore_deadline(const struct sb_partition *part);

/* A piece of the keys that somebody brings. */
void sb_brought_take(struct sb_assembler *brought, const struct sb_envelope *envelope,
                     const struct sb_control *control, uint64_t sequence);
/* The text of those that a GENESIS brings, as it was put together or kept; false: they are not complete, or
 * none. */
bool sb_brought_text(const struct sb_assembler *brought, const struct sb_message *genesis,
                     const struct sb_control *control, struct sb_bytes *text);
/* The same, as keys. */
bool sb_brought_read(const struct sb_assembler *brought, const struct sb_message *genesis,
                     const struct sb_control *control, struct sb_keys *keys);
/* For a GENESIS that is kept: others may take the place of its keys before it is applied. A body of its own;
 * NULL when it speaks of none. */
struct sb_body *sb_brought_copy(const struct sb_assembler *brought, const struct sb_message *genesis,
                                const struct sb_control *control);

/* Our row is new: what belongs to it is said again, before anything else. */
void sb_partition_announce(struct sb_partition *part);

#endif
