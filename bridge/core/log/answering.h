/* HELLOs that this node, which is ready, is to answer: all with one SNAPSHOT. */
#ifndef SB_CORE_LOG_ANSWERING_H
#define SB_CORE_LOG_ANSWERING_H

#include <stdbool.h>
#include <stdint.h>

struct sb_answering {
  bool due;
  uint64_t at_ms; /* when */
  uint64_t after; /* the highest position of one */
};

/* There is one at that position. Unless others wait already, it is answered at `at_ms`. */
void sb_answering_want(struct sb_answering *answering, uint64_t hello_at, uint64_t at_ms);
/* A piece of somebody's SNAPSHOT, of the state as of that position. A complete one is the answer, if all who
 * wait stand before it. As long as pieces come, ours is put off until `at_ms`: two large ones side by side
 * serve nobody. */
void sb_answering_seen(struct sb_answering *answering, uint64_t as_of, bool complete, uint64_t at_ms);
/* All are answered, or cannot be any more. */
void sb_answering_end(struct sb_answering *answering);

static inline uint64_t sb_answering_deadline(const struct sb_answering *answering) {
  return answering->due ? answering->at_ms : UINT64_MAX;
}

#endif
