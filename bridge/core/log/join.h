/* How a node comes to know the state of a log. Rules: docs/log.md, "Joining" and "Gaps". */
#ifndef SB_CORE_LOG_JOIN_H
#define SB_CORE_LOG_JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/envelope.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/wire/id.h"

struct sb_logs;
struct sb_partition;

struct sb_joining {
  struct sb_incarnation met; /* of another process with our name that displaced us; until we stand again */
  struct sb_id since; /* the generation and sequence at which this process was ready first; 0-0: never */
  bool since_lost;    /* in a log that is no more */
  uint64_t taken_ms;  /* the start that stands under our name there, where it is above all that clocks say */
  uint32_t hello_tries; /* HELLOs that brought nothing: an echo may take longer than we waited for the last */
  uint64_t hello_ms;
  uint64_t hello_at, hello_seen_ms;
  bool log_was_empty; /* when our HELLO came back, nobody could have answered it */
  bool log_was_new;   /* and nothing was ever in it, as far as can be known */
  uint64_t genesis_sent_ms;
  struct sb_kept_list kept;
  struct sb_assembler assembler;
  bool keys_sent;           /* with this HELLO */
  uint64_t read_from;       /* everything from this sequence on was read; UINT64_MAX: nothing was yet */
  uint64_t mark;            /* sequence + 1 of the last SNAPSHOT or GENESIS in it; 0: there was none */
  bool log_anew;            /* the log was made anew while this process ran */
  bool only_hellos;         /* nothing else of its members was read in it */
  uint64_t lost_generation; /* of the log before, and of all before that */
  bool behind_equal;        /* a HELLO before ours holds as much */
  uint64_t keys_seen_ms;    /* when a part of keys came last that somebody else brings */
};

void sb_partition_hello(struct sb_partition *part);  /* with a new, higher incarnation */
void sb_partition_rejoin(struct sb_partition *part); /* our row vanished */
/* Somebody's HELLO. False: it says that another process with our name ran before this one, which stops. */
bool sb_partition_may_stay(struct sb_partition *part, const struct sb_envelope *envelope,
                           const struct sb_control *hello);
/* False after io.fatal: the nodes that run have another number of partitions. */
bool sb_partitions_agree(struct sb_partition *part, uint32_t theirs);
/* What is not accepted under the incarnation before will never be: it is numbered again. */
void sb_partition_restamp(struct sb_partition *part);
void sb_partition_lost(struct sb_partition *part, bool same_log,
                       const char *why); /* the log went on without us */
void sb_partition_joining(struct sb_partition *part, struct sb_message *message); /* takes the bodies */
void sb_partition_join_timers(struct sb_partition *part);
uint64_t sb_partition_join_deadline(const struct sb_partition *part);

/* Waiting for others begins anew: both links are up again. Or it is put off, for `ms` were no time to answer
 * in. */
void sb_partition_join_again(struct sb_partition *part);
void sb_partition_join_put_off(struct sb_partition *part, uint64_t ms);

/* The moment at `*at_ms` becomes so much later, but not later than now. */
void sb_put_off(const struct sb_logs *logs, uint64_t *at_ms, uint64_t ms);

#endif
