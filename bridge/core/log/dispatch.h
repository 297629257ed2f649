/* When what is in the outbox of a log leaves. */
#ifndef SB_CORE_LOG_DISPATCH_H
#define SB_CORE_LOG_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/envelope.h"

struct sb_dispatch {
  uint64_t match_steps;              /* that the messages of its open batch will cost, so far as is known */
  struct sb_incarnation incarnation; /* under which its batches are numbered */
  bool resend_wanted;                /* from the oldest batch, not before the pause below is over */
  uint64_t not_before_ms, pause_ms;
  uint64_t rto_ms; /* how long the oldest batch may stay away before it is sent again */
  uint64_t tokens;
  uint64_t last_append_ms; /* a batch of ours, for heartbeats: control messages clear nobody of suspicion */
};

/* Another token, for a sending. */
uint64_t sb_dispatch_token(struct sb_dispatch *dispatch);

/* Batches may be sent under that incarnation from now on. */
void sb_dispatch_number_under(struct sb_dispatch *dispatch, struct sb_incarnation incarnation);
/* A batch was handed to the transport. */
void sb_dispatch_sent(struct sb_dispatch *dispatch, uint64_t now_ms);
/* An own batch was accepted, or nothing was sent yet: the waits are the first ones. */
void sb_dispatch_accepted(struct sb_dispatch *dispatch, uint32_t found_ms);

/* Everything is to be sent again from the oldest on: at once, or after a pause that doubles. `in_flight`:
 * whether anything is on its way. Where that is wanted already nothing changes. */
void sb_dispatch_resend(struct sb_dispatch *dispatch, bool in_flight, uint64_t now_ms, bool pause);
/* It was sent again, or nothing that was on its way still is. */
void sb_dispatch_resend_done(struct sb_dispatch *dispatch);
/* Nothing may leave yet, for a resend waits for the end of its pause. */
bool sb_dispatch_pauses(const struct sb_dispatch *dispatch, uint64_t now_ms);
/* The oldest batch did not come back in time: next time it has twice as long. */
void sb_dispatch_timed_out(struct sb_dispatch *dispatch);

/* Messages that will cost so many steps to match are to be appended. True: the open batch would cost too much
 * with them, and is to be ended first. `open`: there is one. */
bool sb_dispatch_match(struct sb_dispatch *dispatch, bool open, uint64_t steps);

/* The transport's queue is full: to be tried again at what this returns; a settlement usually comes first. */
uint64_t sb_dispatch_retry_ms(uint64_t now_ms);
void sb_dispatch_full(struct sb_dispatch *dispatch, uint64_t now_ms);

#endif
