/* The rate at which lines of one cause are written: LINES at once, then one a second. Lines above it are left
 * out and counted. One line reports how many, when the burst has ended or has lasted. Pure; the owner locks.
 * Debug and info lines have no rate: whoever turns them on wants all. */
#ifndef SB_LOGGING_LOG_RATE_H
#define SB_LOGGING_LOG_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/limits.h"
#include "bridge/base/log.h"

#define SB_LOG_RATE_CAUSES  128 /* more than there are lines in the program that have a rate */
#define SB_LOG_RATE_LINES   32
#define SB_LOG_RATE_TELL_MS 10000 /* how often lines that were left out are reported */
#define SB_LOG_RATE_EXAMPLE 200   /* bytes of the last line, which the report quotes */

struct sb_log_cause {
  const char *cause; /* NULL: free */
  const char *area;
  enum sb_log_level level;
  uint32_t room;      /* lines that may be written now */
  uint64_t filled_ms; /* when room was counted */
  uint64_t over;      /* lines that were left out since the last report */
  uint64_t tell_ms;   /* when to report them, while over > 0 */
  char last[SB_LOG_RATE_EXAMPLE];
};

/* Zeroed before its first use. */
struct sb_log_rate {
  struct sb_log_cause causes[SB_LOG_RATE_CAUSES];
};

/* Whether the line may be written now. If not, counts it. `now_ms` never goes back. */
bool sb_log_rate_take(struct sb_log_rate *rate, uint64_t now_ms, enum sb_log_level level, const char *area,
                      const char *cause, const char *line);

/* The next cause with lines to report at `now_ms` (UINT64_MAX: any that has some), or NULL. The caller
 * reports them and sets `over` to 0. */
struct sb_log_cause *sb_log_rate_due(struct sb_log_rate *rate, uint64_t now_ms);

/* When sb_log_rate_due has something; UINT64_MAX: nothing waits. */
uint64_t sb_log_rate_deadline(const struct sb_log_rate *rate);

#endif
