/* Streams from before the history begins, where logs can be read back. A log is read back for one request at
 * a time; the others wait for their turn. It is read from a state before the range up to where this node is
 * now, so that whatever was deleted since is deleted again. The result is kept for the session until its
 * request is made again. A request that needs several logs takes them in the order of their numbers, so that
 * no two requests wait for one another. */
#include "bridge/core/log/ranges.h"

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/core/commands/errors.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/commands/run.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/range.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/wire/id.h"

#define ROOM_MS 20 /* how often everybody who waits is offered room while ranges are read back */

/* ---- what is not in the history ---- */

static bool is_of(const struct sb_partition *part, struct sb_bytes name) {
  return sb_range_is_of(part->logs, part->index, name);
}

/* Where to begin to look: nobody can read any more what lies before log_begin. */
static struct sb_id readable_from(const struct sb_partition *part, struct sb_id from) {
  struct sb_id first = part->log_begin;
  return !sb_id_is_none(first) && sb_id_next(&first) ? sb_id_later(from, first) : from;
}

/* Only the last few entries are wanted, and the history has as many. */
static bool has_the_last(const struct sb_partition *part, const struct sb_range_ask *ask) {
  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  uint64_t count = 0;
  if (!ask->backwards || ask->limit > sb_history_length(&part->history, ask->names[0])) return false;
  sb_history_seek(&part->history, ask->names[0], ask->from[0], ask->to, true, &cursor);
  while (count < ask->limit && sb_history_next(&cursor, &entry)) count++;
  return count == ask->limit;
}

static bool lacks(const struct sb_partition *part, const struct sb_range_ask *ask, uint32_t at) {
  struct sb_id from = readable_from(part, ask->from[at]);
  uint64_t now_ms = sb_partition_log_time(part);
  if (!sb_partition_is_ready(part) || part->history.max_bytes == 0 || sb_id_compare(from, ask->to) > 0)
    return false;
  if (sb_keys_hide(&part->state.keys, ask->names[at], now_ms)) return false;
  if (!sb_history_lacks(&part->history, ask->names[at], from)) return false;
  return !sb_op_is_string(sb_keys_find(&part->state.keys, ask->names[at], now_ms)) &&
         !has_the_last(part, ask);
}

/* ---- one log ---- */

/* Readers that wait are offered to read again: their range is there, or the log is free for the next one. */
static void tell_readers(struct sb_logs *logs) {
  sb_logs_want_look(logs);
  sb_logs_want_look_by(logs, logs->now_ms);
  logs->events->readable(logs);
}

void sb_range_drop(struct sb_partition *part) {
  if (!part->range.owner) return;
  sb_range_end(&part->range, part->logs);
  SB_ASSERT(part->logs->ranges > 0);
  part->logs->ranges--;
  tell_readers(part->logs);
}

/* How many messages back that position lies. If its generation is another one, it may be of another log, and
 * this is a guess. */
static uint64_t messages_behind(const struct sb_partition *part, struct sb_id from) {
  uint64_t sequence = from.seq / SB_BATCH_ENTRIES_MAX;
  return sequence < part->applied ? part->applied - sequence : part->applied;
}

static void begin(struct sb_partition *part, const void *session, const struct sb_range_ask *ask) {
  struct sb_logs *logs = part->logs;
  struct sb_id oldest = SB_ID_MAX;
  for (uint32_t i = 0; i < ask->count; i++)
    if (is_of(part, ask->names[i]) && sb_id_compare(ask->from[i], oldest) < 0) oldest = ask->from[i];
  oldest = readable_from(part, oldest);
  const struct sb_range_begin from = {oldest, &part->state, part->applied, messages_behind(part, oldest)};
  const struct sb_back_log log = sb_partition_back_log(part);
  SB_ASSERT(sb_partition_is_ready(part));
  sb_range_begin(&part->range, &log, session, ask, &from);
  if (logs->ranges++ == 0) logs->ranges_room_ms = logs->now_ms + ROOM_MS; /* nobody waits yet */
  logs->stats.ranges_read_back++;
}

/* The reading reached the log's begin, so it is known now what can be read at all. If no state was met on the
 * way, nothing before its end can be judged; a state may have been written behind that. If the history begins
 * before that point, the reading gives less than the history has, and is dropped. */
static void note_begin(struct sb_partition *part) {
  const struct sb_back *back = &part->range.back;
  struct sb_id read_to =
      sb_id_end_of(back->generation, back->ask.to); /* the generation may have risen since */
  if (!back->short_of_wanted) return;
  sb_partition_log_begins(part, back->failed ? read_to : back->replay.history.floor);
  if (sb_id_compare(part->history.begin, part->log_begin) <= 0) sb_range_drop(part);
}

/* Notes that the reading has ended. Either the turn sees it first, or the request that is made again. */
static void end_reading(struct sb_partition *part) {
  if (!sb_range_has_ended(&part->range)) return;
  sb_range_offer(&part->range, part->logs->now_ms);
  note_begin(part);
}

static enum sb_range_says ask_log(struct sb_partition *part, const void *session,
                                  const struct sb_range_ask *ask, const char **why) {
  struct sb_range *range = &part->range;
  if (range->owner == session && !sb_range_is_same(range, part->logs, part->index, ask)) sb_range_drop(part);
  if (range->owner == session) return sb_range_outcome(range, why);
  if (!range->owner) begin(part, session, ask);
  return SB_RANGE_WAITS;
}

/* ---- all of a request ---- */

static bool needs(const struct sb_partition *part, const void *session, const struct sb_range_ask *ask) {
  bool needed = false;
  if (part->range.owner == session) return true;
  for (uint32_t i = 0; i < ask->count && !needed; i++)
    needed = is_of(part, ask->names[i]) && lacks(part, ask, i);
  return needed;
}

static bool any_needs(struct sb_logs *logs, const void *session, const struct sb_range_ask *ask) {
  bool needed = false;
  for (uint32_t i = 0; i < ask->count && !needed; i++) {
    const struct sb_partition *part = sb_part_of(logs, ask->names[i]);
    needed = part->range.owner == session || lacks(part, ask, i);
  }
  return needed;
}

enum sb_range_says sb_ranges_ask(struct sb_logs *logs, const void *session, const struct sb_range_ask *ask,
                                 const char **why) {
  enum sb_range_says says = SB_RANGE_READ;
  for (uint32_t p = 0; p < logs->settings.partitions && logs->ranges > 0; p++)
    if (logs->partitions[p].range.owner == session) end_reading(&logs->partitions[p]);
  if (!logs->io.read_back || ask->limit == 0 || !any_needs(logs, session, ask)) return SB_RANGE_HERE;
  for (uint32_t p = 0; p < logs->settings.partitions; p++) {
    struct sb_partition *part = &logs->partitions[p];
    if (!needs(part, session, ask)) continue;
    switch (ask_log(part, session, ask, why)) {
    case SB_RANGE_FAILED:
      *why = sb_op_errorf("the range is older than what this node holds in memory, and it could not be read "
                          "back: %s",
                          *why);
      return SB_RANGE_FAILED;
    case SB_RANGE_WAITS:
      if (part->range.owner != session)
        return SB_RANGE_WAITS; /* logs with higher numbers are not taken before this one */
      says = SB_RANGE_WAITS;
      break;
    default:
      break;
    }
  }
  return says;
}

bool sb_range_place(struct sb_partition *part, const void *session, struct sb_op_place *place) {
  struct sb_range *range = &part->range;
  if (range->owner != session || range->back.state != SB_BACK_DONE || range->back.failed) return false;
  place->now_ms = range->log_ms;
  place->keys = &range->back.replay.state.keys;
  place->history = &range->back.replay.history;
  place->applied = sb_id_end_of(range->back.replay.state.generation, range->back.ask.to);
  return true;
}

void sb_ranges_end(struct sb_logs *logs, const void *session) {
  for (uint32_t p = 0; p < logs->settings.partitions && logs->ranges > 0; p++)
    if (logs->partitions[p].range.owner == session) sb_range_drop(&logs->partitions[p]);
}

/* ---- time ---- */

static void turn(struct sb_partition *part) {
  struct sb_range *range = &part->range;
  bool gone = false;
  if (!range->owner) return;
  sb_partition_back_turn(part, &range->back);
  end_reading(part);
  if (!sb_range_nudges(range, part->logs->now_ms, &gone)) return;
  tell_readers(part->logs);
  if (gone) sb_range_drop(part);
}

/* Requests that were told to wait are offered again in their order, and only so many at once. When all of
 * those wait for ranges, a publisher behind them is not asked, whatever room there is. So while a range is
 * read back everybody is offered room from time to time. */
void sb_ranges_turn(struct sb_logs *logs) {
  for (uint32_t p = 0; p < logs->settings.partitions; p++) turn(&logs->partitions[p]);
  if (logs->now_ms < logs->ranges_room_ms) return;
  logs->ranges_room_ms = logs->now_ms + ROOM_MS;
  sb_logs_want_look(logs);
}

uint64_t sb_range_deadline(const struct sb_partition *part) {
  if (!part->range.owner) return UINT64_MAX;
  uint64_t due = sb_range_due_ms(&part->range);
  return due < part->logs->ranges_room_ms ? due : part->logs->ranges_room_ms;
}
