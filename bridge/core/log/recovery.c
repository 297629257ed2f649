/* What a node that starts takes from a log that can be read back. A founder takes the keys; every node takes
 * the entries that were published before it came. If the keys cannot be found, the GENESIS says that there
 * are none; the history says where it begins. */
#include "bridge/core/log/recovery.h"

#include "bridge/base/assert.h"
#include "bridge/base/body.h"
#include "bridge/base/log.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/joining.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/replay.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/wire/id.h"

/* A founder's generation must be above all earlier ones. A node that starts alone with a clock that is behind
 * learns of those only by reading the log. */
static void learn_generation(struct sb_partition *part) {
  const struct sb_replay *replay = &part->recovery.replay;
  uint64_t highest = replay->generation;
  if (replay->based && replay->state.generation > highest) highest = replay->state.generation;
  sb_partition_know_generation(part, highest);
}

static void begin(struct sb_partition *part) {
  const struct sb_back_log log = sb_partition_back_log(part);
  const struct sb_back_ask ask = {.to = part->joining.hello_at, .wanted = UINT64_MAX};
  sb_back_begin(&part->recovery, &log, &ask, NULL);
}

bool sb_recovery_is_over(struct sb_partition *part) {
  struct sb_back *recovery = &part->recovery;
  if (!part->logs->io.read_back || part->joining.before == SB_BEFORE_NOTHING ||
      sb_partition_log_is_bare(part))
    return true;
  if (recovery->state == SB_BACK_IDLE || recovery->ask.to != part->joining.hello_at) begin(part);
  sb_partition_back_turn(part, recovery);
  if (recovery->state != SB_BACK_DONE) return false;
  learn_generation(part);
  if (recovery->failed && !recovery->told && recovery->replay.first < part->joining.hello_at)
    sb_logs_say(part->logs, SB_LOG_WARN, "partition %u: shared keys cannot be recovered from the log: %s",
                part->index, recovery->failed);
  recovery->told = true;
  return true;
}

void sb_recovery_take_keys(struct sb_partition *part, uint64_t sequence) {
  struct sb_replay *replay = &part->recovery.replay;
  struct sb_kept *kept;
  SB_ASSERT(!sb_partition_is_ready(part) && part->state.keys.table.count == 0);
  if (part->recovery.state != SB_BACK_DONE || part->recovery.failed) return;
  while ((kept = sb_kept_take(&part->joining.kept))) {
    const struct sb_message message = sb_kept_message(kept);
    if (kept->sequence < sequence) {
      sb_body_ref(kept->body);
      if (kept->channel) sb_body_ref(kept->channel);
      sb_replay_take(replay, &message);
    }
    sb_kept_free(kept);
  }
  part->state.keys = replay->state.keys;
  replay->state.keys = (struct sb_keys){0};
  sb_logs_say(part->logs, SB_LOG_INFO, "partition %u: recovered %zu shared keys from the log", part->index,
              part->state.keys.table.count);
}

/* ---- the history ---- */

void sb_prefill_begin(struct sb_partition *part) {
  struct sb_logs *logs = part->logs;
  uint64_t age_ms = logs->settings.history_age_ms, now_ms = sb_partition_log_time(part);
  if (!logs->io.read_back || !logs->settings.history_prefill || part->history.max_bytes == 0 ||
      part->history.begin.ms == 0)
    return;
  const struct sb_back_ask ask = {
      .to = part->joined_at,
      .old_ms = age_ms > 0 && now_ms > age_ms ? now_ms - age_ms : 0,
      .history_bytes = part->history.max_bytes,
  };
  const struct sb_back_log log = sb_partition_back_log(part);
  SB_ASSERT(part->applied == part->joined_at);
  sb_back_begin(&part->prefill, &log, &ask, &part->state);
  sb_history_record(&part->history, true);
}

/* What came meanwhile is put behind what was read back. */
static void take_history(struct sb_partition *part) {
  struct sb_back *prefill = &part->prefill;
  struct sb_id joined = sb_id_end_of(prefill->replay.state.generation, part->joined_at);
  bool whole = sb_id_compare(part->history.begin, joined) <= 0;
  if (prefill->short_of_wanted && prefill->replay.based)
    sb_partition_log_begins(part, prefill->replay.history.floor);
  if (!prefill->failed && whole && sb_history_prepend(&part->history, &prefill->replay.history)) {
    sb_logs_say(part->logs, SB_LOG_INFO,
                "partition %u: with what the log held from before, the history has %llu entries", part->index,
                (unsigned long long)part->history.entries);
    return;
  }
  sb_logs_say(part->logs, SB_LOG_INFO, "partition %u: the history begins where this node joined: %s",
              part->index, prefill->failed ? prefill->failed : "it has moved on meanwhile");
}

void sb_prefill_drop(struct sb_partition *part) {
  sb_back_drop(&part->prefill, part->logs);
  part->logs->events->readable(part->logs);
}

void sb_prefill_turn(struct sb_partition *part) {
  sb_partition_back_turn(part, &part->prefill);
  if (part->prefill.state != SB_BACK_DONE) return;
  take_history(part);
  sb_history_record(&part->history, false);
  sb_prefill_drop(part);
  part->logs->events->changed(part); /* what is still missing can be asked for by a range now */
  sb_logs_want_look(part->logs);
}
