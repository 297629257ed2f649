#include "bridge/core/log/pace.h"

#include "bridge/base/assert.h"
#include "bridge/base/limits.h"

#define RTO_MAX_MS     60000
#define PAUSE_FIRST_MS 100 /* after the broker refused a batch */
#define PAUSE_MAX_MS   5000
#define RETRY_FULL_MS  20

uint64_t sb_pace_token(struct sb_pace *pace) {
  return ++pace->tokens;
}

void sb_pace_number_under(struct sb_pace *pace, struct sb_incarnation incarnation) {
  pace->incarnation = incarnation;
}

void sb_pace_sent(struct sb_pace *pace, uint64_t now_ms) {
  SB_ASSERT(now_ms >= pace->last_append_ms);
  pace->last_append_ms = now_ms;
}

void sb_pace_accepted(struct sb_pace *pace, uint32_t found_ms) {
  pace->rto_ms = found_ms;
  pace->pause_ms = PAUSE_FIRST_MS;
}

void sb_pace_resend(struct sb_pace *pace, bool in_flight, uint64_t now_ms, bool pause) {
  if (pace->resend_wanted) return; /* sixteen nacks at once are one reason to pause, not sixteen */
  pace->resend_wanted = in_flight;
  pace->not_before_ms = now_ms;
  if (!pause) return;
  pace->not_before_ms += pace->pause_ms;
  pace->pause_ms *= 2;
  if (pace->pause_ms > PAUSE_MAX_MS) pace->pause_ms = PAUSE_MAX_MS;
}

void sb_pace_resend_done(struct sb_pace *pace) {
  pace->resend_wanted = false;
}

bool sb_pace_pauses(const struct sb_pace *pace, uint64_t now_ms) {
  return pace->resend_wanted && now_ms < pace->not_before_ms;
}

void sb_pace_timed_out(struct sb_pace *pace) {
  SB_ASSERT(!pace->resend_wanted);
  pace->rto_ms = pace->rto_ms * 2 < RTO_MAX_MS ? pace->rto_ms * 2 : RTO_MAX_MS;
}

bool sb_pace_match(struct sb_pace *pace, bool open, uint64_t steps) {
  if (!open) pace->match_steps = 0;
  pace->match_steps += steps;
  if (pace->match_steps <= SB_BATCH_STEPS_MAX) return false;
  pace->match_steps = steps;
  return true;
}

uint64_t sb_pace_retry_ms(uint64_t now_ms) {
  return now_ms + RETRY_FULL_MS;
}

void sb_pace_full(struct sb_pace *pace, uint64_t now_ms) {
  pace->not_before_ms = sb_pace_retry_ms(now_ms);
}
