/* The keys of a log that was lost from sight, held for whoever founds it anew. */
#ifndef SB_CORE_LOG_HELD_KEYS_H
#define SB_CORE_LOG_HELD_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/state/keys.h"
#include "bridge/core/wire/id.h"

struct sb_held_keys {
  struct sb_keys keys;
  struct sb_id upto; /* the generation, and the sequence up to which it was applied; 0-0: it holds nothing */
  uint64_t time_ms;  /* log time … */
  uint64_t at_ms;    /* … at this monotonic time */
  bool adds; /* the state still waited for the keys held before it when it was lost: they are held on with its
                own */
  uint64_t restore_until_ms; /* of the state that was lost; if the next state has another value, it was
                                founded anew */
  uint64_t restore_ms;       /* when it is restored into a log that another has founded; 0: not at any time */
};

/* Something is held, if only that there were no keys. */
static inline bool sb_held_keys_is_there(const struct sb_held_keys *held) {
  return !sb_id_is_none(held->upto);
}

void sb_held_keys_drop(struct sb_held_keys *held);
/* It has keys that have not expired. */
bool sb_held_keys_any(const struct sb_held_keys *held, uint64_t now_ms);
/* Log time of that log, carried on; 0: nothing is held. */
uint64_t sb_held_keys_log_time(const struct sb_held_keys *held, uint64_t now_ms);

/* `taken` takes its place, with its keys. Where `taken` adds, what was held is held on for names that it does
 * not have, each with the time that it has left. */
void sb_held_keys_take(struct sb_held_keys *held, const struct sb_held_keys *taken, uint64_t now_ms);

/* It is restored at that time; UINT64_MAX: it was, or nobody will. */
void sb_held_keys_restore_at(struct sb_held_keys *held, uint64_t at_ms);

#endif
