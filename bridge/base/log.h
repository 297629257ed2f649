/* Levelled log lines. Any thread may log, and is not held up by it; lines never mix. The sink is set once at
 * the start (bridge/logging/log_sink.h); before that, lines go to stderr as text.
 *
 * Lines of one *cause* have a rate, which the sink keeps: what a peer can cause a thousand times a second
 * must not fill a disk. The cause of a line is its format, by address. */
#ifndef SB_BASE_LOG_H
#define SB_BASE_LOG_H

#include <stdint.h>

enum sb_log_level { SB_LOG_ERROR, SB_LOG_WARN, SB_LOG_NOTICE, SB_LOG_INFO, SB_LOG_DEBUG };

/* `cause` has static storage and stands for all lines of its kind. */
typedef void sb_log_sink(void *owner, enum sb_log_level level, const char *area, const char *cause,
                         const char *line);

/* Not while other threads log. */
void sb_log_to(sb_log_sink *sink, void *owner, enum sb_log_level threshold);
void sb_log_threshold(enum sb_log_level threshold); /* any time, for a reload */
int sb_log_enabled(enum sb_log_level level);

/* `area` names the part that speaks ("rabbitmq", "core"). One line, no newline at its end. */
__attribute__((format(printf, 3, 4))) void sb_log(enum sb_log_level level, const char *area,
                                                  const char *format, ...);

/* A line that is made already, of this cause. */
void sb_log_line(enum sb_log_level level, const char *area, const char *cause, const char *line);

const char *sb_log_level_name(enum sb_log_level level);

/* How many lines were not written: over the rate of their cause; or because stderr took no more. */
struct sb_log_losses {
  uint64_t over_rate, dropped;
};

void sb_log_count_losses(uint64_t over_rate, uint64_t dropped); /* for a sink */
struct sb_log_losses sb_log_losses(void);

#endif
