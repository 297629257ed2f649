#include "bridge/logging/log_rate.h"

#include <stdio.h>

#define REFILL_MS 1000 /* for one line more */

static struct sb_log_cause *find(struct sb_log_rate *rate, const char *cause) {
  size_t first = (size_t)(((uintptr_t)cause >> 3) % SB_LOG_RATE_CAUSES);
  for (size_t i = 0; i < SB_LOG_RATE_CAUSES; i++) {
    struct sb_log_cause *at = &rate->causes[(first + i) % SB_LOG_RATE_CAUSES];
    if (!at->cause || at->cause == cause) return at;
  }
  return NULL;
}

static void refill(struct sb_log_cause *at, uint64_t now_ms) {
  uint64_t lines = (now_ms - at->filled_ms) / REFILL_MS;
  if (at->room + lines >= SB_LOG_RATE_LINES) {
    at->room = SB_LOG_RATE_LINES;
    at->filled_ms = now_ms;
  } else {
    at->room += (uint32_t)lines;
    at->filled_ms += lines * REFILL_MS;
  }
}

bool sb_log_rate_take(struct sb_log_rate *rate, uint64_t now_ms, enum sb_log_level level, const char *area,
                      const char *cause, const char *line) {
  struct sb_log_cause *at = level >= SB_LOG_INFO ? NULL : find(rate, cause);
  if (!at) return true;
  if (!at->cause) *at = (struct sb_log_cause){.cause = cause, .room = SB_LOG_RATE_LINES, .filled_ms = now_ms};
  at->area = area;
  at->level = level;
  refill(at, now_ms);
  /* Lines that were left out are reported first, so that this line does not seem to be the first. */
  if (at->room > 0 && at->over == 0) {
    at->room--;
    return true;
  }
  if (at->over++ == 0) at->tell_ms = now_ms + SB_LOG_RATE_TELL_MS;
  snprintf(at->last, sizeof at->last, "%s", line);
  sb_log_count_losses(1, 0);
  return false;
}

struct sb_log_cause *sb_log_rate_due(struct sb_log_rate *rate, uint64_t now_ms) {
  for (size_t i = 0; i < SB_LOG_RATE_CAUSES; i++) {
    struct sb_log_cause *at = &rate->causes[i];
    if (at->over > 0 && at->tell_ms <= now_ms) return at;
  }
  return NULL;
}

uint64_t sb_log_rate_deadline(const struct sb_log_rate *rate) {
  uint64_t due = UINT64_MAX;
  for (size_t i = 0; i < SB_LOG_RATE_CAUSES; i++)
    if (rate->causes[i].over > 0 && rate->causes[i].tell_ms < due) due = rate->causes[i].tell_ms;
  return due;
}
