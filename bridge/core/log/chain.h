/* The chain of a log: what this node accepted, place by place, to be compared with what other nodes claim to
 * have accepted. Rules: docs/log.md, "The chain". Pure: it knows no partition, and sends nothing.
 *
 * It is told of every accepted message and every claim. It says when this node is to claim something itself,
 * whether a claim fits, and when one does not, who of the two gives way. */
#ifndef SB_CORE_LOG_CHAIN_H
#define SB_CORE_LOG_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"

struct sb_chain_link {
  uint64_t at, sum; /* as in a claim */
};

/* A GENESIS, by what a claim says of it, and where it stands. */
struct sb_chain_founding {
  uint32_t id; /* 0: there is none */
  uint64_t at;
};

/* Zeroed is empty: nothing is known, and nothing claimed. */
struct sb_chain {
  struct sb_chain_link *links; /* of the present founding, a ring */
  uint32_t count, cap, next;
  uint64_t turned_ms; /* when the ring's first link was written last */
  struct sb_chain_founding founding, before, refused;

  /* what others are told */
  uint64_t claimed_ms; /* when a batch with a claim left last; 0: none has */
  uint32_t silent;     /* batches that left without one since */
  uint64_t untold_at;  /* the last place that others ought to hear of, … */
  uint64_t untold_ms;  /* … and since when no claim has covered it; 0: one has */
  uint64_t speak_ms;   /* when this node has to say its claim, because another's differed; 0: it has not */
  uint64_t speak_at;   /* … until it is of this place at least: before it both may agree */

  /* a difference */
  uint64_t differed_ms;              /* when one was seen last; 0: never */
  uint64_t left_ms[SB_CHAIN_LEAVES]; /* when this node gave way, the last times, in turn */
  uint32_t left_next;
  bool tired; /* it ought to give way, and does not any more: that was told */
};

void sb_chain_close(struct sb_chain *chain);

/* The state was taken from somebody, or founded: its chain stands here. Who gave way lately is not
 * forgotten. */
void sb_chain_begin(struct sb_chain *chain, struct sb_claim own, uint64_t now_ms);

/* A message was accepted, and `own` is the chain with it. `heartbeat`: it says nothing, so that nobody needs
 * to hear that it was accepted. */
void sb_chain_add(struct sb_chain *chain, struct sb_claim own, bool heartbeat, uint64_t now_ms);

/* A GENESIS was not accepted: what its chain would have been. */
void sb_chain_refused(struct sb_chain *chain, struct sb_claim genesis);

enum sb_chain_says {
  SB_CHAIN_SILENT, /* nothing can be said: of another founding, or of a place before all that is kept */
  SB_CHAIN_AGREES,
  SB_CHAIN_DIFFERS,
};

/* Another's claim in a message at `sequence`, before that message is applied. DIFFERS: `*own` is what stands
 * here, at that place or at the last one before it. */
enum sb_chain_says sb_chain_compare(const struct sb_chain *chain, struct sb_claim claim, uint64_t sequence,
                                    struct sb_claim *own);

/* A claim up to that place was read by everybody: one that agrees, or our own that came back. */
void sb_chain_covered(struct sb_chain *chain, uint64_t at, uint64_t now_ms);

/* A batch leaves: true when it is to carry a claim, which counts as said. */
bool sb_chain_claims(struct sb_chain *chain, uint64_t now_ms, uint64_t lease_ms);

/* When a heartbeat with a claim is due at the latest, if nothing else leaves; UINT64_MAX: not at any time.
 * `turn_ms`: how much longer this node waits than the first that may. */
uint64_t sb_chain_due(const struct sb_chain *chain, uint64_t lease_ms, uint64_t turn_ms);

enum sb_chain_act {
  SB_CHAIN_STAY,  /* the other one gives way when it reads our claim */
  SB_CHAIN_LEAVE, /* this node gives way: it joins anew */
  SB_CHAIN_TIRED, /* it ought to, and has done so SB_CHAIN_LEAVES times within SB_CHAIN_LEAVES_MS: it stays */
};

/* A claim of that place differed. `higher`: our incarnation is above that of who claims. `*first`: the
 * difference, or that this node is tired, is to be told; it goes on until nothing differed for two leases. */
enum sb_chain_act sb_chain_differed(struct sb_chain *chain, bool higher, uint64_t at, uint64_t now_ms,
                                    uint64_t lease_ms, uint64_t turn_ms, bool *first);

#endif
