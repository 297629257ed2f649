/* One log, as this node follows it. */
#ifndef SB_CORE_LOG_PARTITION_H
#define SB_CORE_LOG_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/core/history/history.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/checkpoint.h"
#include "bridge/core/log/held.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/lease.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/range.h"
#include "bridge/core/log/sending.h"
#include "bridge/core/state/state.h"

struct sb_partition {
  struct sb_logs *logs;
  uint32_t index;
  bool publish_up, consume_up;

  /* the state, once known */
  bool ready;
  struct sb_state state;
  uint64_t joined_at;  /* sequence as of which the state was taken: what is before it is not known here */
  uint64_t applied;    /* sequence of the last message applied */
  uint64_t time_base;  /* log time … */
  uint64_t time_at_ms; /* … at this monotonic time */
  uint64_t known_generation; /* the highest ever seen, also in other lives of the log */

  bool interest_full; /* said once */

  struct sb_history history;
  struct sb_checkpoints checkpoints;
  struct sb_back recovery; /* of the keys, by a founder */
  struct sb_back prefill;  /* of the history, by one who has just become ready */
  struct sb_range range;
  struct sb_id followed_from; /* nothing that came behind it was missed, since it is ready */
  struct sb_id log_begin; /* what the log held up to there can be read by nobody any more; 0-0: not known */

  /* reading */
  bool any_seen;      /* a message was read since the log began or began anew */
  uint64_t last_seen; /* its sequence */
  uint64_t heard_ms;  /* when anything came last, or the links came up */
  bool last_left;     /* it said that the last member left */
  bool nobody_before; /* where nothing was read yet, nobody has written who could answer */

  /* joining */
  struct sb_incarnation incarnation;
  struct sb_incarnation met; /* of another process with our name that displaced us; until we stand again */
  struct sb_id since; /* the generation and sequence at which this process was ready first; 0-0: never */
  bool since_lost;    /* in a log that is no more */
  uint64_t taken_ms;  /* the start that stands under our name there, where it is above all that clocks say */
  bool hello_wanted;  /* as soon as the link is up */
  uint32_t hello_tries; /* HELLOs that brought nothing: an echo may take longer than we waited for the last */
  uint64_t hello_ms;
  bool hello_seen;
  uint64_t hello_at, hello_seen_ms;
  bool log_was_empty; /* when our HELLO came back, nobody could have answered it */
  bool log_was_new;   /* and nothing was ever in it, as far as can be known */
  bool sf_seen;       /* a SNAPSHOT or FOUND since */
  bool found_sent;
  uint64_t found_sent_ms;
  struct sb_kept_list kept;
  struct sb_assembler assembler;
  struct sb_assembler brought; /* keys that founders bring */
  struct sb_held held;
  bool keys_sent;           /* with this HELLO */
  struct sb_id best_held;   /* of all HELLOs that were read since the log began anew */
  uint64_t read_from;       /* everything from this sequence on was read; UINT64_MAX: nothing was yet */
  uint64_t sf_mark;         /* sequence + 1 of the last SNAPSHOT or FOUND in it; 0: there was none */
  bool log_anew;            /* the log was made anew while this process ran */
  bool only_hellos;         /* nothing else of its members was read in it */
  uint64_t lost_generation; /* of the log before, and of all before that */
  bool behind_equal;        /* a HELLO before ours holds as much */
  uint64_t keys_seen_ms;    /* when a part of keys came last that somebody else brings */

  /* answering */
  bool answer_due;
  uint64_t answer_ms, answer_after; /* when; the highest HELLO position to answer */
  struct sb_sending sending;

  /* publishing */
  struct sb_outbox outbox;
  uint64_t match_steps; /* that the messages of its open batch will cost, so far as is known */
  struct sb_incarnation outbox_incarnation; /* under which its batches are numbered */
  bool resend_wanted;
  uint64_t resend_not_before_ms, resend_pause_ms;
  uint64_t rto_ms;
  uint64_t tokens;
  uint64_t last_append_ms; /* a batch of ours, for heartbeats: control messages clear nobody of suspicion */
  bool goodbye_said;

  /* batches sent under an incarnation whose fate is not known, since the log was lost from sight */
  struct sb_batch *limbo;
  size_t limbo_bytes;
  struct sb_incarnation limbo_incarnation;
  bool limbo_same_log;
  bool in_limbo; /* from the loss until a state is found again */

  /* who may have died (partition 0), who is to be followed out (others) */
  struct sb_suspicion *suspicions;
  uint32_t suspicions_count, suspicions_cap;
};

static inline struct sb_partition *sb_part_of(struct sb_logs *logs, struct sb_bytes key) {
  return &logs->partitions[sb_logs_partition(logs, key)];
}

#endif
