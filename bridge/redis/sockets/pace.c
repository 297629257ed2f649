#include "bridge/redis/sockets/pace.h"

#include "bridge/base/limits.h"

static uint64_t lower(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

size_t sb_pace_mark(size_t hard_bytes, size_t soft_bytes) {
  size_t hard = hard_bytes ? hard_bytes / 4 : SIZE_MAX;
  size_t soft = soft_bytes ? soft_bytes / 2 : SIZE_MAX;
  return hard < soft ? hard : soft;
}

void sb_pace_limits(struct sb_pace *pace, size_t hard_bytes, size_t soft_bytes) {
  size_t rate = hard_bytes ? hard_bytes / 32 : SB_PACE_RATE_BYTES;
  pace->mark_bytes = sb_pace_mark(hard_bytes, soft_bytes);
  pace->rate_bytes = rate < SB_PACE_RATE_BYTES ? rate + 1 : SB_PACE_RATE_BYTES;
}

void sb_pace_init(struct sb_pace *pace, uint64_t now_ms, size_t hard_bytes, size_t soft_bytes) {
  *pace = (struct sb_pace){
      .now_ms = now_ms, .taken_ms = now_ms, .budget = (uint64_t)SB_PACE_BUDGET_MS * SB_PACE_REGAIN};
  sb_pace_limits(pace, hard_bytes, soft_bytes);
}

/* ---- sessions ---- */

void sb_pace_session_init(const struct sb_pace *pace, struct sb_pace_session *session) {
  session->patience_until_us = (pace->stood_ms + SB_PACE_PATIENCE_MS) * 1000;
}

void sb_pace_has_read(const struct sb_pace *pace, struct sb_pace_session *session, size_t bytes) {
  uint64_t begin = pace->stood_ms * 1000, most = begin + (uint64_t)SB_PACE_PATIENCE_MS * 1000;
  uint64_t earned = (uint64_t)bytes * 1000000 / pace->rate_bytes;
  if (session->patience_until_us > begin) begin = session->patience_until_us;
  session->patience_until_us = lower(begin + earned, most);
}

/* The patience has to last until the next look, as the log stands for at least that long. Else a session that
 * reads a few bytes at a time would be given that time again and again. */
bool sb_pace_is_patient(const struct sb_pace *pace, const struct sb_pace_session *session) {
  return session->patience_until_us >= (pace->stood_ms + SB_PACE_LOOK_MS) * 1000;
}

/* ---- the log ---- */

uint64_t sb_pace_tell_time(struct sb_pace *pace, uint64_t now_ms) {
  uint64_t passed = now_ms > pace->now_ms ? now_ms - pace->now_ms : 0;
  uint64_t base = (uint64_t)SB_PACE_BUDGET_MS * SB_PACE_REGAIN;
  pace->now_ms += passed;
  if (!pace->stands) {
    if (pace->budget < base) pace->budget = lower(pace->budget + passed, base);
    return 0;
  }
  pace->stood_ms += passed;
  pace->taken_ms = pace->now_ms; /* nothing was taken because we let the log stand */
  pace->budget -= lower(pace->budget, passed * SB_PACE_REGAIN);
  return passed;
}

bool sb_pace_decide(struct sb_pace *pace, bool held_up) {
  bool enough = pace->budget >= (uint64_t)SB_PACE_LOOK_MS * SB_PACE_REGAIN, stands = held_up && enough;
  if (stands && !pace->stands) pace->times++;
  if (held_up && !enough && !pace->empty) {
    pace->empty = true;
    pace->used_up++;
  }
  if (pace->budget >= (uint64_t)SB_PACE_BUDGET_MS * SB_PACE_REGAIN / 4) pace->empty = false;
  pace->stands = stands;
  return stands;
}

bool sb_pace_was_silent(const struct sb_pace *pace) {
  return pace->now_ms - pace->taken_ms >= SB_PACE_SILENCE_MS;
}

void sb_pace_goes_on(struct sb_pace *pace, uint64_t unheard_ms) {
  uint64_t silent_ms = pace->now_ms - pace->taken_ms;
  uint64_t lost_ms = pace->lost_ms ? pace->now_ms - pace->lost_ms : 0;
  uint64_t outage_ms = lower(silent_ms, lost_ms > unheard_ms ? lost_ms : unheard_ms);
  uint64_t most = (uint64_t)SB_PACE_OUTAGE_MS * SB_PACE_REGAIN;
  if (outage_ms >= SB_PACE_SILENCE_MS)
    pace->budget = lower(pace->budget + outage_ms * SB_PACE_OUTAGE_TIMES * SB_PACE_REGAIN, most);
  pace->taken_ms = pace->now_ms;
  pace->lost_ms = 0;
}

void sb_pace_link_lost(struct sb_pace *pace) {
  if (pace->lost_ms == 0) pace->lost_ms = pace->now_ms;
}
