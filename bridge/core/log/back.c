/* Reading a log back. Where a state stands in it is not known beforehand: what lies a little way back is read
 * first, and when there is no state in it, or not one that is old enough, it is begun again from further
 * back, until the log's begin. Each attempt is eight times as long, so that all of them together cost little
 * more than the last. */
#include "bridge/core/log/back.h"

#include "bridge/base/error.h"
#include "bridge/core/history/slice.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/replay.h"
#include "bridge/core/wire/id.h"

#define SPAN_FIRST  8192 /* messages: more than lie between two checkpoints as a rule */
#define SPAN_GROWS  8
#define RETRY_MS    500 /* no link, or it broke */
#define FULL_MS     20  /* the transport has no place for one more reading */
#define GIVE_UP_MS  60000
/* Apart from those of publishes, and from those of other partitions. */
#define TOKEN(part) (UINT64_C(1) << 62 | (uint64_t)(part)->index << 48 | ++(part)->pace.tokens)

static void stop(struct sb_partition *part, struct sb_back *back) {
  if (back->state == SB_BACK_READING) part->logs->io.read_back_stop(part->logs->io.owner, back->token);
}

void sb_back_drop(struct sb_partition *part, struct sb_back *back) {
  if (back->state == SB_BACK_IDLE) return;
  stop(part, back);
  sb_replay_close(&back->replay);
  *back = (struct sb_back){0};
}

void sb_back_begin(struct sb_partition *part, struct sb_back *back, uint64_t to, uint64_t wanted,
                   size_t history_bytes) {
  sb_back_drop(part, back);
  *back = (struct sb_back){
      .state = SB_BACK_WAITING,
      .to = to,
      .span = SPAN_FIRST,
      .wanted = wanted,
      .due_ms = part->logs->now_ms,
      .give_up_ms = part->logs->now_ms + GIVE_UP_MS,
      .known = sb_partition_is_ready(part) && to == part->applied,
      .generation = part->state.generation,
      .time_ms = part->state.time_ms,
      .mark = part->state.mark,
      .history_bytes = history_bytes,
  };
  sb_replay_open(&back->replay, part, history_bytes, NULL);
}

static void finish(struct sb_back *back, const char *failed) {
  back->state = SB_BACK_DONE;
  back->failed = failed;
}

static void ask(struct sb_partition *part, struct sb_back *back) {
  struct sb_logs *logs = part->logs;
  uint64_t from = back->to > back->span ? back->to - back->span : 0;
  sb_replay_close(&back->replay);
  sb_replay_open(&back->replay, part, back->history_bytes, back->only);
  back->token = TOKEN(part);
  int result = logs->io.read_back(logs->io.owner, part->index, from, back->to, back->token);
  back->state = result == 0 ? SB_BACK_READING : SB_BACK_WAITING;
  back->due_ms = logs->now_ms + (result == SB_ERR_FULL ? FULL_MS : RETRY_MS);
}

void sb_back_turn(struct sb_partition *part, struct sb_back *back) {
  uint64_t now_ms = part->logs->now_ms;
  if (!sb_back_is_running(back)) return;
  if (now_ms >= back->give_up_ms) {
    stop(part, back);
    finish(back, "the broker did not give it in time");
  } else if (back->state == SB_BACK_WAITING && now_ms >= back->due_ms) {
    ask(part, back);
  }
}

uint64_t sb_back_deadline(const struct sb_back *back) {
  if (back->state == SB_BACK_WAITING) return back->due_ms;
  return back->state == SB_BACK_READING ? back->give_up_ms : UINT64_MAX;
}

struct sb_back *sb_back_of(struct sb_partition *part, uint64_t token) {
  struct sb_back *all[] = {&part->recovery, &part->prefill, &part->range.back};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    if (all[i]->state == SB_BACK_READING && all[i]->token == token) return all[i];
  return NULL;
}

static bool reaches_far_enough(const struct sb_back *back) {
  const struct sb_replay *replay = &back->replay;
  if (!replay->based) return false;
  if (back->only && sb_id_compare(replay->history.floor, back->before) < 0) return true;
  if (replay->base <= back->wanted || replay->base_ms <= back->old_ms) return true;
  if (back->only && back->only->backwards && sb_history_slice_has_limit(&replay->history)) return true;
  /* It holds as much as may be kept. */
  return sb_id_compare(replay->history.begin, sb_id_end_of(replay->state.generation, replay->base)) > 0 &&
         replay->history.entries > 0;
}

/* The log may have been deleted and made anew since, and this node was not told yet. */
static bool is_of_another_log(const struct sb_back *back) {
  const struct sb_state *state = &back->replay.state;
  return back->known && (state->generation != back->generation || state->time_ms != back->time_ms ||
                         state->mark != back->mark);
}

void sb_back_ended(struct sb_partition *part, struct sb_back *back, bool done) {
  back->state = SB_BACK_WAITING;
  back->due_ms = part->logs->now_ms;
  if (!done) {
    back->due_ms += RETRY_MS;
  } else if (back->replay.based && is_of_another_log(back)) {
    finish(back, "the log was made anew meanwhile");
  } else if (reaches_far_enough(back)) {
    finish(back, NULL);
  } else if (back->span >= back->to) {
    back->short_of_wanted = true;
    finish(back, back->replay.based ? NULL : "it holds no state any more");
  } else {
    back->span *= SPAN_GROWS;
  }
}
