/* Reading a log back. To follow a log once more, a state is needed to begin with, and nobody knows beforehand
 * where one stands. So a short stretch at the end is read first. If it holds no state, or none that is old
 * enough, a stretch eight times as long is read, and so on, up to the whole log. All attempts together cost
 * little more than the last one. */
#include "bridge/core/log/back.h"

#include "bridge/base/assert.h"
#include "bridge/base/error.h"
#include "bridge/core/history/slice.h"
#include "bridge/core/log/dispatch.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/replay.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/id.h"

#define SPAN_FIRST 8192 /* messages: more than lie between two checkpoints as a rule */
#define SPAN_GROWS 8
#define RETRY_MS   500 /* no link, or it broke */
#define FULL_MS    20  /* the transport has no place for one more reading */
#define GIVE_UP_MS 60000

static void stop(struct sb_back *back, struct sb_logs *logs) {
  if (back->state == SB_BACK_READING) logs->io.read_back_stop(logs->io.owner, back->token);
}

void sb_back_drop(struct sb_back *back, struct sb_logs *logs) {
  if (back->state == SB_BACK_IDLE) return;
  stop(back, logs);
  sb_replay_close(&back->replay);
  *back = (struct sb_back){0};
}

/* What is read of it goes here. */
static void open_replay(struct sb_back *back, const struct sb_back_log *log) {
  sb_replay_open(&back->replay, log->logs, log->log_now_ms, back->ask.history_bytes, back->ask.only);
}

void sb_back_begin(struct sb_back *back, const struct sb_back_log *log, const struct sb_back_ask *ask,
                   const struct sb_state *known) {
  uint64_t now_ms = log->logs->now_ms;
  sb_back_drop(back, log->logs);
  *back = (struct sb_back){
      .state = SB_BACK_WAITING,
      .ask = *ask,
      .span = SPAN_FIRST + ask->span,
      .due_ms = now_ms,
      .give_up_ms = now_ms + (ask->give_up_ms ? ask->give_up_ms : GIVE_UP_MS),
      .known = known != NULL,
  };
  if (known) {
    back->generation = known->generation;
    back->time_ms = known->time_ms;
    back->mark = known->mark;
  }
  open_replay(back, log);
}

static void finish(struct sb_back *back, const char *failed) {
  SB_ASSERT(failed || back->replay.based);
  back->state = SB_BACK_DONE;
  back->failed = failed;
}

/* Bit 62 sets it apart from tokens of publishes, the partition's number from those of other partitions. */
static uint64_t next_token(const struct sb_back_log *log) {
  return UINT64_C(1) << 62 | (uint64_t)log->partition << 48 | sb_dispatch_token(log->dispatch);
}

static void ask_transport(struct sb_back *back, const struct sb_back_log *log) {
  struct sb_logs *logs = log->logs;
  SB_ASSERT(back->state == SB_BACK_WAITING && logs->io.read_back);
  uint64_t to = back->ask.to, from = to > back->span ? to - back->span : 0;
  sb_replay_close(&back->replay);
  open_replay(back, log);
  back->token = next_token(log);
  int result = logs->io.read_back(logs->io.owner, log->partition, from, to, back->token);
  back->state = result == 0 ? SB_BACK_READING : SB_BACK_WAITING;
  back->due_ms = logs->now_ms + (result == SB_ERR_FULL ? FULL_MS : RETRY_MS);
}

void sb_back_turn(struct sb_back *back, const struct sb_back_log *log) {
  uint64_t now_ms = log->logs->now_ms;
  if (!sb_back_is_running(back)) return;
  if (now_ms >= back->give_up_ms) {
    stop(back, log->logs);
    finish(back, "the broker did not give it in time");
  } else if (back->state == SB_BACK_WAITING && now_ms >= back->due_ms) {
    ask_transport(back, log);
  }
}

uint64_t sb_back_deadline(const struct sb_back *back) {
  if (back->state == SB_BACK_WAITING) return back->due_ms;
  return back->state == SB_BACK_READING ? back->give_up_ms : UINT64_MAX;
}

static bool reaches_far_enough(const struct sb_back *back) {
  const struct sb_replay *replay = &back->replay;
  if (!replay->based) return false;
  if (back->ask.only && sb_id_compare(replay->history.floor, back->ask.before) < 0) return true;
  if (replay->base <= back->ask.wanted || replay->base_ms <= back->ask.old_ms) return true;
  if (back->ask.only && back->ask.only->backwards && sb_history_slice_has_limit(&replay->history))
    return true;
  /* The history is full: older entries would not be kept anyway. */
  return sb_id_compare(replay->history.begin, sb_id_end_of(replay->state.generation, replay->base)) > 0 &&
         replay->history.entries > 0;
}

/* The log may have been deleted and made anew since, and this node was not told yet. */
static bool is_of_another_log(const struct sb_back *back) {
  const struct sb_state *state = &back->replay.state;
  return back->known && (state->generation != back->generation || state->time_ms != back->time_ms ||
                         state->mark != back->mark);
}

void sb_back_ended(struct sb_back *back, uint64_t now_ms, bool done) {
  SB_ASSERT(back->state == SB_BACK_READING);
  back->state = SB_BACK_WAITING;
  back->due_ms = now_ms;
  if (!done) {
    back->due_ms += RETRY_MS;
  } else if (back->replay.based && is_of_another_log(back)) {
    finish(back, "the log was made anew meanwhile");
  } else if (reaches_far_enough(back)) {
    finish(back, NULL);
  } else if (back->span >= back->ask.to) {
    back->short_of_wanted = true;
    finish(back, back->replay.based ? NULL : "it holds no state any more");
  } else {
    back->span *= SPAN_GROWS;
  }
}
