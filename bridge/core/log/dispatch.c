#include "bridge/core/log/dispatch.h"

#include "bridge/base/assert.h"
#include "bridge/base/limits.h"

#define RTO_MAX_MS     60000
#define PAUSE_FIRST_MS 100 /* after the broker refused a batch */
#define PAUSE_MAX_MS   5000
#define RETRY_FULL_MS  20

uint64_t sb_dispatch_token(struct sb_dispatch *dispatch) {
  return ++dispatch->tokens;
}

void sb_dispatch_number_under(struct sb_dispatch *dispatch, struct sb_incarnation incarnation) {
  dispatch->incarnation = incarnation;
}

void sb_dispatch_sent(struct sb_dispatch *dispatch, uint64_t now_ms) {
  SB_ASSERT(now_ms >= dispatch->last_append_ms);
  dispatch->last_append_ms = now_ms;
}

void sb_dispatch_accepted(struct sb_dispatch *dispatch, uint32_t found_ms) {
  dispatch->rto_ms = found_ms;
  dispatch->pause_ms = PAUSE_FIRST_MS;
}

void sb_dispatch_resend(struct sb_dispatch *dispatch, bool in_flight, uint64_t now_ms, bool pause) {
  if (dispatch->resend_wanted) return; /* sixteen nacks at once are one reason to pause, not sixteen */
  dispatch->resend_wanted = in_flight;
  dispatch->not_before_ms = now_ms;
  if (!pause) return;
  dispatch->not_before_ms += dispatch->pause_ms;
  dispatch->pause_ms *= 2;
  if (dispatch->pause_ms > PAUSE_MAX_MS) dispatch->pause_ms = PAUSE_MAX_MS;
}

void sb_dispatch_resend_done(struct sb_dispatch *dispatch) {
  dispatch->resend_wanted = false;
}

bool sb_dispatch_pauses(const struct sb_dispatch *dispatch, uint64_t now_ms) {
  return dispatch->resend_wanted && now_ms < dispatch->not_before_ms;
}

void sb_dispatch_timed_out(struct sb_dispatch *dispatch) {
  SB_ASSERT(!dispatch->resend_wanted);
  dispatch->rto_ms = dispatch->rto_ms * 2 < RTO_MAX_MS ? dispatch->rto_ms * 2 : RTO_MAX_MS;
}

bool sb_dispatch_match(struct sb_dispatch *dispatch, bool open, uint64_t steps) {
  if (!open) dispatch->match_steps = 0;
  dispatch->match_steps += steps;
  if (dispatch->match_steps <= SB_BATCH_STEPS_MAX) return false;
  dispatch->match_steps = steps;
  return true;
}

uint64_t sb_dispatch_retry_ms(uint64_t now_ms) {
  return now_ms + RETRY_FULL_MS;
}

void sb_dispatch_full(struct sb_dispatch *dispatch, uint64_t now_ms) {
  dispatch->not_before_ms = sb_dispatch_retry_ms(now_ms);
}
