#include "bridge/core/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge/core/internal.h"
#include "bridge/core/wire/slot.h"

void sb_core_log(struct sb_core *core, enum sb_log_level level, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  core->io.log(core->io.owner, level, format, line);
}

enum sb_result sb_core_refuse(struct sb_core *core, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(core->refusal, sizeof core->refusal, format, args);
  va_end(args);
  return SB_REFUSED;
}

enum sb_result sb_core_too_large(struct sb_core *core, size_t len) {
  sb_core_refuse(core, "message of %zu bytes is larger than the %zu bytes that the log takes", len,
                 core->whole_max);
  return SB_TOO_LARGE;
}

const char *sb_core_refusal(const struct sb_core *core) {
  return core->refusal;
}

/* Zero is as much as all nodes carry. */
static void set_name_limits(struct sb_core *core, const struct sb_core_settings *settings) {
  size_t channel = settings->channel_bytes, pattern = settings->pattern_bytes;
  core->settings.channel_bytes =
      channel > 0 && channel < SB_CHANNEL_LENGTH_MAX ? channel : SB_CHANNEL_LENGTH_MAX;
  core->settings.pattern_bytes =
      pattern > 0 && pattern < SB_PATTERN_LENGTH_MAX ? pattern : SB_PATTERN_LENGTH_MAX;
  core->settings.patterns_max = settings->patterns_max > 0 ? settings->patterns_max : SIZE_MAX;
}

static void set_gate(struct sb_core *core) {
  core->gated = core->stopping || (core->settings.refuse_in_outage && core->sides_down > 0);
}

struct sb_core *sb_core_new(const struct sb_core_settings *settings, const struct sb_core_io *io,
                            uint64_t now_ms, uint64_t unix_ms) {
  struct sb_core *core = sb_calloc(1, sizeof *core);
  core->settings = *settings;
  set_name_limits(core, settings);
  core->io = *io;
  core->now_ms = now_ms;
  core->unix_ms = unix_ms;
  core->dirty_end = &core->dirty_first;
  core->outputs_max = SIZE_MAX;
  core->entries = sb_calloc(SB_BATCH_ENTRIES_MAX, sizeof *core->entries);
  core->partitions = sb_calloc(settings->partitions, sizeof *core->partitions);
  core->sides_down = 2 * settings->partitions;
  core->outage_since_unix_ms = unix_ms;
  sb_core_set_entry_max(core, settings->outbox_bytes);
  core->rate_at_ms = now_ms;
  core->readers_due_ms = UINT64_MAX;
  sb_interest_init(&core->interest, settings->partitions);
  sb_blocking_init(&core->blocking);
  set_gate(core);
  snprintf(core->outage_reason, sizeof core->outage_reason, "not connected yet");
  for (uint32_t i = 0; i < settings->partitions; i++) {
    struct sb_partition *part = &core->partitions[i];
    part->core = core;
    part->index = i;
    sb_kept_init(&part->kept);
    part->nobody_before = !settings->hides_tail;
    part->read_from = UINT64_MAX;
    sb_outbox_init(&part->outbox,
                   settings->window_step_bytes ? settings->window_step_bytes : SB_WINDOW_STEP_BYTES);
    sb_history_init(&part->history, settings->history_bytes / settings->partitions, settings->history_age_ms);
    if (io->read_back) sb_history_mark(&part->history);
    sb_partition_accepted(part); /* first values of the time-outs */
    sb_partition_hello(part);    /* leaves when the link is up */
  }
  return core;
}

/* Nothing will answer these any more: sessions that closed meanwhile are released, the others get nothing. */
static void abandon(struct sb_core *core, struct sb_batch *list) {
  while (list) {
    struct sb_batch *next = list->next;
    for (uint32_t i = 0; i < list->waiters_count; i++) {
      const struct sb_waiter *waiter = &list->waiters[i];
      switch (waiter->what) {
      case SB_WAITS_INTEGER:
      case SB_WAITS_REPLY:
        sb_ring_answer_each(core, waiter, sb_bytes(NULL, 0));
        break;
      case SB_WAITS_JOINED:
      case SB_WAITS_LEFT:
        sb_subscription_abandoned(core, waiter);
        break;
      case SB_WAITS_ANSWER:
        sb_ring_count_down(core, waiter->session, waiter->slot);
        break;
      }
    }
    sb_batch_free(list);
    list = next;
  }
}

void sb_core_free(struct sb_core *core) {
  if (!core) return;
  for (uint32_t i = 0; i < core->settings.partitions; i++) {
    struct sb_partition *part = &core->partitions[i];
    abandon(core, part->limbo);
    part->limbo = NULL;
    abandon(core, sb_outbox_take(&part->outbox, false));
  }
  for (uint32_t i = 0; i < core->settings.partitions; i++) {
    struct sb_partition *part = &core->partitions[i];
    sb_partition_join_close(part);
    sb_outbox_close(&part->outbox);
    sb_state_close(&part->state);
    sb_history_close(&part->history);
    free(part->suspicions);
  }
  sb_interest_close(&core->interest);
  sb_blocking_close(&core->blocking);
  sb_buf_close(&core->reply);
  sb_buf_close(&core->entry);
  free(core->partitions);
  free(core->entries);
  free(core->args);
  free(core);
}

void sb_core_reload(struct sb_core *core, const struct sb_core_settings *settings) {
  core->settings.outbox_bytes = settings->outbox_bytes;
  core->settings.output_hard_bytes = settings->output_hard_bytes;
  core->settings.output_mark_bytes = settings->output_mark_bytes;
  core->settings.refuse_in_outage = settings->refuse_in_outage;
  set_name_limits(core, settings);
  core->room_wanted = true;
  set_gate(core);
}

/* ---- time ---- */

void sb_core_now(struct sb_core *core, uint64_t now_ms, uint64_t unix_ms) {
  if (now_ms > core->now_ms) core->now_ms = now_ms;
  core->unix_ms = unix_ms;
}

static void put_off(const struct sb_core *core, uint64_t *at_ms, uint64_t ms) {
  if (*at_ms < core->now_ms) *at_ms = core->now_ms - *at_ms > ms ? *at_ms + ms : core->now_ms;
}

void sb_core_logs_stood(struct sb_core *core, uint64_t ms) {
  if (ms == 0) return;
  core->stood_at_ms = core->now_ms;
  for (uint32_t i = 0; i < core->settings.partitions; i++) {
    struct sb_partition *part = &core->partitions[i];
    put_off(core, &part->hello_ms, ms);
    put_off(core, &part->hello_seen_ms, ms);
    put_off(core, &part->found_sent_ms, ms);
    for (struct sb_batch *batch = part->outbox.first; batch != part->outbox.unsent; batch = batch->next)
      put_off(core, &batch->sent_ms, ms);
  }
}

static bool has_room(const struct sb_core *core) {
  return core->outbox_bytes <= core->settings.outbox_bytes - core->settings.outbox_bytes / 8;
}

void sb_core_turn(struct sb_core *core) {
  uint32_t first = core->turn_first, count = core->settings.partitions;
  if (core->ranges > 0) sb_ranges_turn(core);
  sb_blocked_serve(core);
  if (core->now_ms >= core->readers_due_ms) {
    core->readers_due_ms = UINT64_MAX; /* who waits on says so again */
    core->readers_wait = true;
  }
  for (uint32_t i = 0; i < count && !core->failed; i++) {
    struct sb_partition *part = &core->partitions[(first + i) % count];
    sb_history_age(&part->history, core->now_ms);
    sb_partition_join_timers(part);
    sb_partition_lease_timers(part);
    sb_partition_send_timers(part);
    sb_partition_send(part);
  }
  bool room = core->room_wanted && has_room(core);
  if (!room && !core->readers_wait) return;
  core->readers_wait = false;
  if (room) core->room_wanted = false;
  core->io.room(core->io.owner);
  for (uint32_t i = 0; i < count; i++) sb_partition_send(&core->partitions[(first + i) % count]);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

uint64_t sb_core_deadline(const struct sb_core *core) {
  uint64_t due = earlier(sb_blocked_deadline(core), core->readers_due_ms);
  for (uint32_t i = 0; i < core->settings.partitions; i++) {
    const struct sb_partition *part = &core->partitions[i];
    due = earlier(due, sb_partition_join_deadline(part));
    due = earlier(due, sb_partition_lease_deadline(part));
    due = earlier(due, sb_partition_send_deadline(part));
    due = earlier(due, sb_range_deadline(part));
  }
  return due;
}

/* ---- the logs ---- */

static void side_changed(struct sb_core *core, bool up) {
  bool was_outage = core->sides_down > 0;
  if (up)
    core->sides_down--;
  else
    core->sides_down++;
  if (!was_outage) core->outage_since_unix_ms = core->unix_ms;
  if (core->sides_down == 0) core->outage_reason[0] = 0;
  set_gate(core);
}

void sb_core_link(struct sb_core *core, uint32_t partition, enum sb_link_side side, bool up) {
  struct sb_partition *part = &core->partitions[partition];
  bool *at = side == SB_LINK_PUBLISH ? &part->publish_up : &part->consume_up;
  if (*at == up) return;
  *at = up;
  side_changed(core, up);
  if (!up || !part->publish_up || !part->consume_up) return;
  /* Both are up: waiting begins anew, for what ran out meanwhile proves nothing. */
  part->hello_seen_ms = part->heard_ms = core->now_ms;
  part->hello_tries = 0;
  if (part->index == 0) part->suspicions_count = 0;
  if (part->outbox.in_flight > 0) part->outbox.first->sent_ms = core->now_ms;
  if (part->hello_wanted || (!part->hello_seen && !part->ready))
    sb_partition_hello(part);
  else
    part->hello_ms = core->now_ms;
}

void sb_core_attached(struct sb_core *core, uint32_t partition, enum sb_attach how) {
  struct sb_partition *part = &core->partitions[partition];
  if (how == SB_ATTACH_NEW_LOG) part->nobody_before = !core->settings.hides_tail;
  if (how == SB_ATTACH_ALONE) part->nobody_before = true;
  if (how == SB_ATTACH_GAP)
    sb_partition_lost(part, true, "it was lost, or retention passed it, before it was read");
  if (how == SB_ATTACH_NEW_LOG) sb_partition_lost(part, false, "the log was emptied or made anew");
}

void sb_core_settled(struct sb_core *core, uint32_t partition, uint64_t token, enum sb_settle outcome) {
  sb_partition_settled(&core->partitions[partition], token, outcome);
}

/* ---- sessions ---- */

void sb_core_session_open(struct sb_core *core, struct sb_session *session, uint8_t proto) {
  (void)core;
  session->proto = proto;
  session->open = true;
}

void sb_core_session_close(struct sb_core *core, struct sb_session *session) {
  if (session->blocked) sb_blocked_drop(core, session);
  sb_ranges_end(core, session);
  sb_session_forget_last_ids(session);
  session->open = false;
  sb_core_unsubscribe_all(core, session);
  sb_session_clean(core, session);
  sb_output_close(&session->out);
  sb_session_drop_holds(session);
  sb_ring_forget(session);
  if (sb_session_waiting(session) > 0) return; /* released with its last answer */
  sb_ring_close(session);
  core->io.released(core->io.owner, session);
}

void sb_core_set_outputs_max(struct sb_core *core, size_t bytes) {
  core->outputs_max = core->io.outputs_full ? bytes : SIZE_MAX;
}

uint32_t sb_core_partition(const struct sb_core *core, struct sb_bytes key) {
  return core->settings.partitions == 1 ? 0 : sb_slot(key) % core->settings.partitions;
}

enum sb_result sb_core_channel(struct sb_core *core, struct sb_bytes channel) {
  if (channel.len <= core->settings.channel_bytes) return SB_DONE;
  return sb_core_refuse(core,
                        "channel name of %zu bytes is longer than the %zu bytes of limits.channel_bytes",
                        channel.len, core->settings.channel_bytes);
}

static size_t publish_size(enum sb_publish_kind kind, struct sb_bytes channel, struct sb_bytes payload) {
  const struct sb_bytes args[] = {sb_bytes_of(kind == SB_PUBLISH ? "PUBLISH" : "SPUBLISH"), channel, payload};
  return sb_entry_size(args, 3);
}

static void write_publish(uint8_t *at, enum sb_publish_kind kind, struct sb_bytes channel,
                          struct sb_bytes payload) {
  const struct sb_bytes args[] = {sb_bytes_of(kind == SB_PUBLISH ? "PUBLISH" : "SPUBLISH"), channel, payload};
  sb_entry_write(at, args, 3);
}

enum sb_result sb_core_judge_all(struct sb_core *core, size_t len) {
  bool refuse = core->settings.refuse_in_outage;
  if (refuse && core->sides_down > 0) return SB_BUSY;
  bool full = core->outbox_bytes + len > core->settings.outbox_bytes;
  /* An empty outbox takes any entry, so that one of nearly its size is not kept out for ever. */
  if (!core->stopping && (!full || core->outbox_bytes == 0)) return SB_DONE;
  if (refuse && !core->stopping) return SB_BUSY;
  core->room_wanted = true;
  return SB_WAIT;
}

__attribute__((cold)) enum sb_result sb_core_judge(struct sb_core *core, size_t len) {
  return len > core->whole_max ? sb_core_too_large(core, len) : sb_core_judge_all(core, len);
}

void sb_partition_make_room_to_match(struct sb_partition *part, struct sb_bytes channel, uint32_t count) {
  const struct sb_glob_index *globs = &part->state.counts.globs;
  if (globs->count == 0) return;
  uint64_t steps = sb_glob_index_steps(globs, channel.len) * count;
  if (!part->outbox.open) part->match_steps = 0;
  part->match_steps += steps;
  if (part->match_steps <= SB_BATCH_STEPS_MAX) return;
  sb_outbox_seal(&part->outbox, part->core->settings.compress);
  part->match_steps = steps;
}

/* Taken one by one each may stand in a batch of its own. */
static bool costs_too_much_together(const struct sb_core *core, struct sb_bytes channel, uint32_t count) {
  const struct sb_glob_index *globs = &core->partitions[sb_core_partition(core, channel)].state.counts.globs;
  return globs->count > 0 && count * sb_glob_index_steps(globs, channel.len) > SB_BATCH_STEPS_MAX;
}

/* Room for `count` entries of `len` bytes together, all to one channel. */
static inline enum sb_result take_room(struct sb_core *core, struct sb_session *session,
                                       struct sb_bytes channel, size_t len, uint32_t count, uint8_t **at) {
  uint32_t slot;
  if (core->gated || len > core->entry_max || core->outbox_bytes + len > core->settings.outbox_bytes ||
      channel.len > core->settings.channel_bytes) {
    enum sb_result result = sb_core_channel(core, channel);
    if (result == SB_DONE) result = sb_core_judge(core, len);
    if (result != SB_DONE) return result;
  }
  if (!sb_ring_expect(session, count, &slot)) { /* its own answers make room */
    core->room_wanted = true;
    return SB_WAIT;
  }
  struct sb_partition *part = &core->partitions[sb_core_partition(core, channel)];
  sb_partition_make_room_to_match(part, channel, count);
  *at = sb_outbox_append(&part->outbox, len, core->settings.batch_bytes, core->settings.compress, session,
                         slot, count);
  core->outbox_bytes += len;
  core->stats.entries_published += count;
  return SB_DONE;
}

enum sb_result sb_core_publish(struct sb_core *core, struct sb_session *session, enum sb_publish_kind kind,
                               struct sb_bytes channel, struct sb_bytes payload) {
  uint8_t *at;
  enum sb_result result = take_room(core, session, channel, publish_size(kind, channel, payload), 1, &at);
  if (result == SB_DONE) write_publish(at, kind, channel, payload);
  return result;
}

enum sb_result sb_core_publish_raw(struct sb_core *core, struct sb_session *session, struct sb_bytes channel,
                                   struct sb_bytes raw, uint32_t count) {
  uint8_t *at;
  if (count > 1 && costs_too_much_together(core, channel, count)) return SB_TOO_LARGE;
  enum sb_result result = take_room(core, session, channel, raw.len, count, &at);
  if (result == SB_DONE) memcpy(at, raw.at, raw.len);
  return result;
}

/* ---- a clean stop ---- */

bool sb_core_stop(struct sb_core *core) {
  bool done = true;
  core->stopping = core->gated = true;
  for (uint32_t i = 0; i < core->settings.partitions; i++) {
    struct sb_partition *part = &core->partitions[i];
    sb_partition_goodbye(part);
    sb_partition_send(part);
    if (part->ready && sb_partition_has_row(part)) done = false; /* until the BYE came back */
    if (!sb_outbox_empty(&part->outbox) || part->in_limbo) done = false;
  }
  return done;
}
