/* What the logs of all partitions have in common. The clock, the settings and the links are told by its
 * owner, between two events; all else belongs to the logs. */
#ifndef SB_CORE_LOG_LOGS_H
#define SB_CORE_LOG_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/error.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/outside.h"
#include "bridge/core/wire/entry.h"

struct sb_partition;

#define SB_GAPS_KEPT 64

struct sb_gap {
  uint64_t unix_ms, generation, after, before;
  uint32_t partition;
  const char *why;
};

struct sb_logs {
  struct sb_core_settings settings;
  struct sb_core_io io;
  uint64_t now_ms, unix_ms;
  struct sb_partition *partitions;
  uint64_t outbox_bytes; /* of all partitions, with limbo; those count them (outbox.h) */
  bool room_wanted;
  bool readers_wait;       /* for what a log holds; they need no room */
  uint64_t incarnation_ms; /* the last one used */
  size_t entry_max;        /* of an entry that travels in one message */
  size_t whole_max;        /* of one that may travel in fragments */
  struct sb_core_stats stats;
  struct sb_gap gaps[SB_GAPS_KEPT];
  uint64_t gap_count;
  uint32_t sides_down; /* of all links; above zero is an outage */
  uint64_t outage_since_unix_ms;
  char outage_reason[SB_ERROR_TEXT_MAX];
  bool stopping;
  bool failed;             /* io.fatal was called */
  uint64_t stood_at_ms;    /* when the bridge left the logs alone last, for sessions to follow; 0: never */
  uint32_t ranges;         /* that are read back for somebody, or wait for their owner */
  uint64_t ranges_room_ms; /* when everybody who waits is offered room again (range.c) */
  uint64_t rate_at_ms, rate_credit; /* of sends, in thousandths */
  uint32_t turn_first;              /* the partition that may send first: the others had their share */
  struct sb_entry *entries;         /* SB_BATCH_ENTRIES_MAX, the batch being applied */
  struct sb_bytes *args;            /* of the command being run */
  uint32_t args_cap;
  struct sb_buf reply;     /* of the command being run */
  uint64_t readers_due_ms; /* when those who wait must be asked again at the latest; UINT64_MAX: nobody is */

  const struct sb_log_events *events;
  const uint32_t
      *readers; /* sessions that wait for entries: while there are none, nobody is told of added ones */
  const size_t *patterns; /* of sessions here: while there are any, messages are delivered one by one */
};

/* ---- what their owner tells ---- */

/* Takes the settings, and `partitions`, as many as they say. */
void sb_logs_init(struct sb_logs *logs, const struct sb_core_settings *settings, const struct sb_core_io *io,
                  struct sb_partition *partitions, uint64_t now_ms, uint64_t unix_ms);
void sb_logs_close(struct sb_logs *logs);

/* The settings that may change while they are followed (core.h). */
void sb_logs_reload(struct sb_logs *logs, const struct sb_core_settings *settings);

/* What one message holds, and so the largest entry. */
void sb_logs_set_entry_max(struct sb_logs *logs, size_t bytes);

void sb_logs_now(struct sb_logs *logs, uint64_t now_ms, uint64_t unix_ms);

/* A link went up or down; a sentence about why it is down; nothing was taken from the logs up to now; the
 * bridge stops. */
void sb_logs_side_changed(struct sb_logs *logs, bool up);
void sb_logs_outage_reason(struct sb_logs *logs, const char *why);
void sb_logs_stood(struct sb_logs *logs);
void sb_logs_stop(struct sb_logs *logs);

/* At the end of a turn, before the logs have their turns: who waits to read until a time that has come is
 * asked again. And after them: whether io.room is to be called, for whoever waits. Who waits on says so
 * again. */
void sb_logs_wake_readers(struct sb_logs *logs);
bool sb_logs_room_is_due(struct sb_logs *logs);

/* ---- what the logs do ---- */

__attribute__((format(printf, 3, 4))) void sb_logs_say(struct sb_logs *logs, enum sb_log_level level,
                                                       const char *format, ...);

/* How long to wait for an own echo, or for the next piece of a text, before sending again. */
static inline uint64_t sb_logs_echo_ms(const struct sb_logs *logs) {
  return (uint64_t)logs->settings.found_ms / 2 + 1;
}

/* δ: between the k-th member and the next, where one of them acts for all. */
static inline uint64_t sb_logs_delta_ms(const struct sb_logs *logs) {
  return (uint64_t)logs->settings.found_ms / 8 + 1;
}

/* ---- what the sessions tell, and who waits ---- */

/* Whom to tell of what happens in the logs, and two counters that say what nobody needs to be told. */
static inline void sb_logs_report_to(struct sb_logs *logs, const struct sb_log_events *events,
                                     const uint32_t *readers, const size_t *patterns) {
  logs->events = events;
  logs->readers = readers;
  logs->patterns = patterns;
}

/* Somebody waits for room, or to read what a log will hold: io.room is called when there is some, or at the
 * end of the turn; in any case at `ms`. */
static inline void sb_logs_want_room(struct sb_logs *logs) {
  logs->room_wanted = true;
}

static inline void sb_logs_want_look(struct sb_logs *logs) {
  logs->readers_wait = true;
}

static inline void sb_logs_want_look_by(struct sb_logs *logs, uint64_t ms) {
  if (ms < logs->readers_due_ms) logs->readers_due_ms = ms;
}

/* ---- what becomes of entries and logs ---- */

/* Everybody who waits for this batch of a log is told. */
void sb_logs_settle(struct sb_logs *logs, struct sb_partition *part, const struct sb_batch *batch,
                    enum sb_outcome outcome, struct sb_bytes reply);
/* The same for a list of them, which is freed; the reply is empty. */
void sb_logs_settle_all(struct sb_logs *logs, struct sb_partition *part, struct sb_batch *list,
                        enum sb_outcome outcome);

/* A log went on without this node: what it knows of that, but when. It is over as of the sequence `before`.
 */
void sb_logs_gap(struct sb_logs *logs, const struct sb_gap *gap);
void sb_logs_gap_over(struct sb_logs *logs, uint32_t partition, uint64_t before);

uint32_t sb_logs_partition(const struct sb_logs *logs, struct sb_bytes key);

#endif
