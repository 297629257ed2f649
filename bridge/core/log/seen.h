/* Where the reading of a log stands, also while the state is not known, and whether anybody can be there. */
#ifndef SB_CORE_LOG_SEEN_H
#define SB_CORE_LOG_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/link.h"

struct sb_seen {
  enum {
    SB_SEEN_NOTHING,   /* nothing was read since the log began, or began anew; somebody may have written */
    SB_SEEN_EMPTY,     /* likewise, and nobody has written who could answer */
    SB_SEEN_MESSAGES,  /* a message was */
    SB_SEEN_LAST_LEFT, /* the last one said that the last member left */
  } state;
  uint64_t last;     /* the sequence of the last message */
  uint64_t heard_ms; /* when anything came last, or the links came up */
};

/* `hides_tail`: an attach does not show what a log holds. */
void sb_seen_init(struct sb_seen *seen, bool hides_tail);
/* A reader is attached to the log that is followed, or to one that was made anew. */
void sb_seen_attached(struct sb_seen *seen, enum sb_attach how, bool hides_tail);
/* The log is lost from sight: what was missed may have been a HELLO. */
void sb_seen_lost(struct sb_seen *seen);
/* Something came, or the links came up. */
void sb_seen_heard(struct sb_seen *seen, uint64_t now_ms);
/* That message was read. */
void sb_seen_message(struct sb_seen *seen, uint64_t sequence, bool last_left);
/* One was that is as if it were not in the log. */
void sb_seen_unfit(struct sb_seen *seen, uint64_t sequence);

static inline bool sb_seen_any(const struct sb_seen *seen) {
  return seen->state >= SB_SEEN_MESSAGES;
}

/* It was read before. */
static inline bool sb_seen_before(const struct sb_seen *seen, uint64_t sequence) {
  return sb_seen_any(seen) && sequence <= seen->last;
}

/* As far as can be known, nobody is there who could answer a HELLO. */
static inline bool sb_seen_nobody(const struct sb_seen *seen) {
  return seen->state == SB_SEEN_EMPTY || seen->state == SB_SEEN_LAST_LEFT;
}

#endif
