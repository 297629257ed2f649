/* Levelled log lines. Any thread may log; a line is written with one call, so lines never mix. The sink is
 * set once at the start (bridge/ops/log_sink.h); before that, lines go to stderr as text. */
#ifndef SB_BASE_LOG_H
#define SB_BASE_LOG_H

enum sb_log_level { SB_LOG_ERROR, SB_LOG_WARN, SB_LOG_NOTICE, SB_LOG_INFO, SB_LOG_DEBUG };

typedef void sb_log_sink(void *owner, enum sb_log_level level, const char *area, const char *line);

/* Not while other threads log. */
void sb_log_to(sb_log_sink *sink, void *owner, enum sb_log_level threshold);
void sb_log_threshold(enum sb_log_level threshold); /* any time, for a reload */
int sb_log_enabled(enum sb_log_level level);

/* `area` names the part that speaks ("rabbitmq", "core"). One line, no newline at its end. */
__attribute__((format(printf, 3, 4))) void sb_log(enum sb_log_level level, const char *area,
                                                  const char *format, ...);

const char *sb_log_level_name(enum sb_log_level level);

#endif
