/* GENESIS: a log is founded anew. Whether one is accepted is decided here, for a ready node, for one that
 * joins and for one that reads the log back. Rule: docs/log.md, "Messages". */
#ifndef SB_CORE_STATE_GENESIS_H
#define SB_CORE_STATE_GENESIS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/envelope.h"
#include "bridge/base/name_id.h"

struct sb_keys;

/* What a GENESIS at `sequence` says, by a node whose HELLO was at `hello_at`. */
struct sb_genesis {
  uint64_t sequence, hello_at, generation, time_ms;
  uint32_t partitions;
  struct sb_name_key name_key; /* of the counts from then on */
  bool keeps_keys;             /* as they were; else there are none, or those that it brings */
  bool brings_keys;
  struct sb_keys *brought; /* NULL: not all of them are in the log. Taken when it is accepted */
  struct sb_keys *lost;    /* where to put those that were there and go; NULL: they are dropped */
  const char *name;
  struct sb_incarnation incarnation;
};

/* What is known of the log before it. Zeroed but for the mark: everything, as a ready node knows it. */
struct sb_genesis_view {
  uint64_t mark;       /* sequence + 1 of the last SNAPSHOT or GENESIS, accepted or not; 0: none is known */
  uint64_t marks_from; /* from this sequence on each SNAPSHOT and GENESIS was seen */
  uint64_t keys_from;  /* from this sequence on all KEYS were seen */
};

enum sb_genesis_verdict {
  SB_GENESIS_ABSENT,   /* it is as if it were not in the log: even the mark stays */
  SB_GENESIS_VOID,     /* not accepted; it moves the mark */
  SB_GENESIS_UNKNOWN,  /* what decides lies before what was read; whichever it is, the mark moves */
  SB_GENESIS_ACCEPTED, /* and it moves the mark */
};

/* ABSENT are three kinds:
 * - a GENESIS whose HELLO does not stand before it: it was written for a log that is no more;
 * - one by a founder whose start is above SB_START_MS_LEAP_MAX: such a start must follow the last one of the
 *   name, and in a new log no name has one;
 * - one that would be accepted, but the keys that it says it brings are not all in the log. */
enum sb_genesis_verdict sb_genesis_judge(const struct sb_genesis *genesis,
                                         const struct sb_genesis_view *view);

#endif
