/* What one who does not know the state of a log has sent and read so far. join.c says what it does with it.
 */
#ifndef SB_CORE_LOG_JOINING_H
#define SB_CORE_LOG_JOINING_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/envelope.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/id.h"

/* In which log this process was ready first. */
enum sb_first {
  SB_FIRST_NEVER, /* in none yet */
  SB_FIRST_IN_THIS_LOG,
  SB_FIRST_IN_LOST_LOG, /* in one that is no more */
};

struct sb_joining {
  /* this process, among those of its name */
  struct sb_incarnation met; /* of another one that displaced us; until we stand again */
  enum sb_first first;
  struct sb_id since; /* the generation and sequence of that; 0-0: never */
  uint64_t taken_ms;  /* the start that stands under our name there, where it is above all that clocks say */

  /* the HELLO under way */
  uint32_t tries;    /* HELLOs that brought nothing; each doubles the wait for the next, for the echo may have
                        been slow */
  uint64_t hello_ms; /* when it was sent, or should have been */
  uint64_t hello_at; /* where it stands */
  uint64_t hello_seen_ms;
  enum {
    SB_BEFORE_SOMEBODY, /* somebody may be there who answers */
    SB_BEFORE_NOBODY,   /* when it came back, nobody could have answered it */
    SB_BEFORE_NOTHING,  /* and nothing was ever in the log, as far as can be known */
  } before;
  bool behind_equal; /* a HELLO before it holds as much of the log before as this node */
  bool keys_sent;    /* all that this node brings */
  uint64_t genesis_sent_ms;

  /* what was read since the log is read */
  struct sb_kept_list kept;
  struct sb_assembler assembler;
  uint64_t read_from;       /* everything from this sequence on was read; UINT64_MAX: nothing was yet */
  uint64_t mark;            /* sequence + 1 of the last SNAPSHOT or GENESIS in it; 0: there was none */
  bool log_is_bare;         /* the log was made anew while this process ran, and only HELLOs came since */
  uint64_t lost_generation; /* of the log before, and of all before that */
  uint64_t keys_seen_ms;    /* when a part of keys came last that somebody else brings */
};

void sb_joining_init(struct sb_joining *joining);
void sb_joining_close(struct sb_joining *joining);

/* ---- HELLO ---- */

/* A HELLO with a new incarnation is to be sent: what came behind the last one is of no use. */
void sb_joining_anew(struct sb_joining *joining);
/* It was sent, or it could not be. In both cases it is tried again some time after `now_ms`. */
void sb_joining_hello_sent(struct sb_joining *joining, uint64_t now_ms);
/* It came back: what is known of it then. */
struct sb_hello_echo {
  uint64_t at, now_ms;
  bool nobody, nothing; /* nobody can have answered it; nor was anything in the log */
  bool behind_equal;
};
void sb_joining_hello_seen(struct sb_joining *joining, const struct sb_hello_echo *echo);
/* Others may have written before it after all. */
void sb_joining_not_alone(struct sb_joining *joining);
/* One more brought nothing; the next ones are waited for longer. Or: one brought something. */
void sb_joining_tried(struct sb_joining *joining);
void sb_joining_tries_over(struct sb_joining *joining);
/* An answer is coming, piece by piece: there is no reason to say it again yet. */
void sb_joining_progress(struct sb_joining *joining, uint64_t now_ms);
/* Waiting for others begins anew; or `ms` were no time to answer in, up to now. */
void sb_joining_wait_anew(struct sb_joining *joining, uint64_t now_ms);
void sb_joining_put_off(struct sb_joining *joining, uint64_t now_ms, uint64_t ms);

/* ---- other processes of our name ---- */

void sb_joining_met(struct sb_joining *joining, struct sb_incarnation other);
void sb_joining_taken(struct sb_joining *joining, uint64_t start_ms); /* 0: no such start stands there */
/* Whether this process, of that nonce, was ready before the one that sent that HELLO. Both compare the same
 * two places, so one of them stays. */
bool sb_joining_came_first(const struct sb_joining *joining, uint64_t nonce, const struct sb_control *hello,
                           uint64_t hello_nonce);

/* ---- reading ---- */

/* A message was read while the state was not known; `control` is NULL when it is none. */
void sb_joining_read(struct sb_joining *joining, const struct sb_message *message,
                     const struct sb_control *control);
/* It is a SNAPSHOT or GENESIS, which moves the mark. */
void sb_joining_mark(struct sb_joining *joining, uint64_t sequence);
void sb_joining_keys_seen(struct sb_joining *joining, uint64_t now_ms);
void sb_joining_keys_sent(struct sb_joining *joining);
void sb_joining_genesis_sent(struct sb_joining *joining, uint64_t now_ms);

/* The log is lost from sight. */
void sb_joining_lost(struct sb_joining *joining, bool same_log, uint64_t known_generation);
/* The state is known as of that place. `stands`: and our row stands in it. */
void sb_joining_ready(struct sb_joining *joining, struct sb_id at, bool stands);

#endif
