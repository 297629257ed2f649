/* Subscriptions in the log. A node says how many of its sessions subscribe to a channel now, in the channel's
 * own log, and to a pattern in every log; the number is absolute, so that saying it twice changes nothing.
 * What a session asked for becomes active, and is confirmed, when the entry has come back. Rules:
 * docs/log.md, "Interest and counts". */
#include "bridge/core/sessions/subscribe.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/glob.h"
#include "bridge/base/limits.h"
#include "bridge/base/table.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/intake.h"
#include "bridge/core/sessions/interest.h"
#include "bridge/core/sessions/outlet.h"
#include "bridge/core/sessions/replies.h"
#include "bridge/core/sessions/ring.h"
#include "bridge/core/sessions/room.h"
#include "bridge/core/sessions/session.h"
#include "bridge/core/sessions/sessions.h"
#include "bridge/core/state/counts.h"
#include "bridge/core/wire/name.h"
#include "bridge/core/wire/sidebus.h"

/* ---- the entry ---- */

static struct sb_sidebus interest_of(enum sb_sub_kind kind, struct sb_bytes name, uint32_t count) {
  return (struct sb_sidebus){.word = SB_SIDEBUS_INTEREST, .interest = {kind, name, count}};
}

static size_t entry_size(enum sb_sub_kind kind, struct sb_bytes name) {
  const struct sb_sidebus said = interest_of(kind, name, SB_INTEREST_COUNT_MAX);
  return sb_sidebus_size(&said);
}

static void append(struct sb_partition *part, enum sb_sub_kind kind, const struct sb_topic *topic,
                   const struct sb_waiter *waiter) {
  const struct sb_sidebus said = interest_of(kind, sb_topic_name(topic), topic->asked);
  sb_sidebus_write(sb_intake(part, sb_sidebus_size(&said), waiter), &said);
}

void sb_subscription_say_again(struct sb_partition *part, const struct sb_topic *topic,
                               enum sb_sub_kind kind) {
  append(part, kind, topic, &(const struct sb_waiter){.count = 1});
}

/* Into every log that the subscription concerns; returns how many those are. */
static uint32_t say(struct sb_core *core, struct sb_sub *sub, struct sb_waiter waiter) {
  enum sb_sub_kind kind = (enum sb_sub_kind)sub->kind;
  uint32_t first = sub->topic->partition, end = first + 1;
  if (kind == SB_SUB_PATTERN) {
    first = 0;
    end = core->logs.settings.partitions;
  }
  waiter.sub = sub;
  waiter.count = 1;
  for (uint32_t i = first; i < end; i++) append(&core->logs.partitions[i], kind, sub->topic, &waiter);
  sb_sub_said(sub, end - first);
  return end - first;
}

/* ---- requests ---- */

/* Matching costs work for each byte of a channel's name. So a node that takes longer names takes fewer
 * patterns: what a message with the longest name may cost is the same for all settings. */
static uint64_t work_max(const struct sb_core *core) {
  uint64_t max = SB_MESSAGE_STEPS_MAX / core->logs.settings.channel_bytes;
  return max < SB_PATTERN_WORK_MAX ? max : SB_PATTERN_WORK_MAX;
}

/* What a request would add by its patterns that nobody here has subscribed to yet. */
struct added_patterns {
  struct sb_pattern_load here;
  uint64_t unknown_work; /* of those that nobody in the cluster has subscribed to */
};

static bool fit(const struct sb_core *core, const struct added_patterns *added) {
  const struct sb_interest *interest = &core->interest;
  const struct sb_counts *counts =
      &core->logs.partitions[0].state.counts; /* all logs count the same patterns */
  const struct sb_pattern_load cluster = {added->here.rows, added->here.bytes, added->unknown_work};
  return interest->globs.work + added->here.work <= work_max(core) &&
         counts->globs.work + added->unknown_work <= work_max(core) && sb_counts_has_room(counts, &cluster);
}

/* The names alone, before any is compiled. */
static enum sb_result judge_lengths(struct sb_core *core, const struct sb_bytes *names, uint32_t count) {
  size_t total = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (names[i].len > core->logs.settings.pattern_bytes)
      return sb_core_refuse(core, "pattern of %zu bytes is longer than the %zu bytes of limits.pattern_bytes",
                            names[i].len, core->logs.settings.pattern_bytes);
    total += names[i].len;
  }
  if (total <= SB_PATTERN_BYTES_MAX) return SB_DONE;
  return sb_core_refuse(core,
                        "patterns of %zu bytes together are more than the %zu bytes that one request "
                        "may have",
                        total, SB_PATTERN_BYTES_MAX);
}

/* Compiles one pattern after the other, and stops when they do not fit. */
static enum sb_result judge_patterns(struct sb_core *core, const struct sb_bytes *names, uint32_t count) {
  const struct sb_interest *interest = &core->interest;
  const struct sb_counts *counts = &core->logs.partitions[0].state.counts;
  struct added_patterns added = {0};
  enum sb_result result = judge_lengths(core, names, count);
  for (uint32_t i = 0; i < count && result == SB_DONE; i++) {
    const struct sb_topic *topic = sb_interest_find(interest, SB_SUB_PATTERN, names[i]);
    if (topic && topic->asked > 0) continue;
    struct sb_glob *glob = sb_glob_new(names[i]);
    sb_pattern_load_add(&added.here, glob, names[i].len);
    if (!sb_counts_has_pattern(counts, names[i])) added.unknown_work += sb_glob_work(glob);
    sb_glob_free(glob);
    if (interest->topic_count[SB_SUB_PATTERN] + added.here.rows > core->logs.settings.patterns_max)
      result =
          sb_core_refuse(core, "there would be more than the %zu patterns of limits.patterns on this node",
                         core->logs.settings.patterns_max);
    else if (!fit(core, &added))
      result =
          sb_core_refuse(core, "the cluster has no room for more patterns, or for what matching them costs");
  }
  return result;
}

static enum sb_result judge_limits(struct sb_core *core, enum sb_sub_kind kind, const struct sb_bytes *names,
                                   uint32_t count) {
  enum sb_result result = SB_DONE;
  if (kind == SB_SUB_PATTERN) return judge_patterns(core, names, count);
  for (uint32_t i = 0; i < count && result == SB_DONE; i++) result = sb_core_channel(core, names[i]);
  return result;
}

static enum sb_result judge_names(struct sb_core *core, enum sb_sub_kind kind, size_t have,
                                  const struct sb_bytes *names, uint32_t count) {
  size_t total = 0, logs = kind == SB_SUB_PATTERN ? core->logs.settings.partitions : 1;
  if (judge_limits(core, kind, names, count) != SB_DONE) return SB_REFUSED;
  for (uint32_t i = 0; i < count; i++) {
    size_t len = entry_size(kind, names[i]);
    if (len > core->logs.entry_max)
      return sb_core_refuse(core, "subscription of %zu bytes is larger than the %zu bytes that the log takes",
                            len, core->logs.entry_max);
    total += len * logs;
  }
  if (total > core->logs.settings.outbox_bytes)
    return sb_core_refuse(core,
                          "%u subscriptions of %zu bytes together are more than the %zu bytes of "
                          "outbox.max_bytes, use fewer in one request",
                          count, total, core->logs.settings.outbox_bytes);
  /* All that a session has may be taken back by one request. */
  if ((have + count) * logs > SB_SLOT_LEFT_MAX)
    return sb_core_refuse(core, "there would be more than the %zu subscriptions that one session may have",
                          SB_SLOT_LEFT_MAX / logs);
  /* While the outbox is half empty a request of any size is taken. Else publishers, who need less room each,
   * would keep a large one out for ever. */
  bool full = core->logs.outbox_bytes > core->logs.settings.outbox_bytes / 2 &&
              core->logs.outbox_bytes + total > core->logs.settings.outbox_bytes;
  if (!full && !core->logs.stopping) return SB_DONE;
  return sb_core_wait_for_room(core);
}

static enum sb_result begin(struct sb_core *core, struct sb_session *session) {
  if (!sb_session_expect(session, 1, &core->change_slot)) return sb_core_wait_for_room(core);
  core->change_left = 0;
  return SB_DONE;
}

enum sb_result sb_core_subscribing(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                                   const struct sb_bytes *names, uint32_t count) {
  enum sb_result result = judge_names(core, kind, session->subs.count[kind], names, count);
  return result == SB_DONE ? begin(core, session) : result;
}

/* An UNSUBSCRIBE is taken however full the outbox is. There will be less to do after it, and it makes at most
 * one entry for each subscription and log. */
enum sb_result sb_core_unsubscribing(struct sb_core *core, struct sb_session *session) {
  return core->logs.stopping ? SB_WAIT : begin(core, session);
}

bool sb_core_subscribe(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                       struct sb_bytes name) {
  uint32_t partition = kind == SB_SUB_PATTERN ? 0 : sb_logs_partition(&core->logs, name);
  struct sb_sub *sub = sb_interest_ask(&core->interest, &session->subs, kind, name, partition);
  if (!sub) return false;
  const struct sb_waiter waiter = {.session = session, .slot = core->change_slot, .what = SB_WAITS_JOINED};
  core->change_left += say(core, sub, waiter);
  return true;
}

bool sb_core_unsubscribe(struct sb_core *core, struct sb_session *session, enum sb_sub_kind kind,
                         struct sb_bytes name) {
  struct sb_sub *sub = sb_interest_sub(&core->interest, &session->subs, kind, name);
  if (!sub || !sub->asked) return false;
  sb_interest_take_back(&core->interest, sub);
  const struct sb_waiter waiter = {.session = session, .slot = core->change_slot, .what = SB_WAITS_LEFT};
  core->change_left += say(core, sub, waiter);
  return true;
}

void sb_core_confirm(struct sb_core *core, struct sb_session *session, struct sb_bytes confirmation) {
  SB_ASSERT(core->change_slot == session->ring.expected - 1); /* it is ended before anything else begins */
  SB_ASSERT(core->change_left <= SB_SLOT_LEFT_MAX);
  sb_session_prepare(core, session, core->change_slot, confirmation, core->change_left);
}

/* Takes back all that the session subscribes to. Returns how many entries say so; `waiter` waits for each. */
static uint32_t leave(struct sb_core *core, struct sb_session *session, struct sb_waiter waiter) {
  uint32_t said = 0;
  for (int kind = 0; kind < SB_SUB_KINDS; kind++)
    while (session->subs.first[kind]) {
      struct sb_sub *sub = session->subs.first[kind];
      bool asked = sub->asked;
      if (asked) sb_interest_take_back(&core->interest, sub);
      sb_interest_detach(sub);
      if (asked && !core->logs.stopping) /* else our BYE says it for all of them */
        said += say(core, sub, waiter);
    }
  return said;
}

void sb_core_unsubscribe_all(struct sb_core *core, struct sb_session *session) {
  leave(core, session, (struct sb_waiter){.what = SB_WAITS_LEFT});
}

void sb_core_reset(struct sb_core *core, struct sb_session *session) {
  const struct sb_waiter waiter = {.session = session, .slot = core->change_slot, .what = SB_WAITS_LEFT};
  core->change_left += leave(core, session, waiter);
}

/* ---- what comes of them ---- */

void sb_subscription_changed(struct sb_core *core, uint32_t partition, const struct sb_waiter *waiter) {
  struct sb_session *session = waiter->session;
  bool joined = waiter->what == SB_WAITS_JOINED;
  sb_sub_heard(waiter->sub);
  sb_sub_set_active(waiter->sub, partition, joined);
  sb_interest_tidy(&core->interest, waiter->sub);
  if (!session || sb_session_count_down(core, session, waiter->slot)) return;
  if (joined) sb_outlet_hold(&session->outlet, partition, waiter->slot);
}

void sb_subscription_refused(struct sb_partition *part, const struct sb_waiter *waiter,
                             struct sb_bytes error) {
  struct sb_core *core = sb_core_of(part);
  struct sb_sub *sub = waiter->sub;
  SB_ASSERT(sub->kind == SB_SUB_PATTERN || sub->topic->partition == part->index);
  sb_sub_heard(sub);
  if (waiter->what == SB_WAITS_LEFT) sb_sub_set_active(sub, part->index, false);
  bool last = sub->pending == 0 || sub->kind == SB_SUB_PATTERN; /* else a later request decides */
  if (waiter->what == SB_WAITS_JOINED && sub->asked && last) {
    sb_interest_take_back(&core->interest, sub);
    say(core, sub, (struct sb_waiter){.what = SB_WAITS_LEFT});
  } else {
    sb_subscription_say_again(part, sub->topic, (enum sb_sub_kind)sub->kind);
  }
  sb_interest_tidy(&core->interest, sub);
  if (waiter->session) sb_session_fail(core, waiter->session, waiter->slot, error);
}

void sb_subscription_abandoned(struct sb_core *core, const struct sb_waiter *waiter) {
  sb_sub_heard(waiter->sub);
  sb_interest_tidy(&core->interest, waiter->sub);
  if (waiter->session) sb_session_count_down(core, waiter->session, waiter->slot);
}

/* ---- a new row ---- */

static void announce_topics(struct sb_partition *part, enum sb_sub_kind kind, struct sb_outbox *outbox) {
  struct sb_core *core = sb_core_of(part);
  const struct sb_topic *topic;
  for (size_t at = 0; (topic = sb_table_each(&core->interest.topics[kind], &at));) {
    if (kind != SB_SUB_PATTERN && topic->partition != part->index) continue;
    uint32_t count = sb_topic_active(topic, part->index);
    if (count == 0) continue;
    const struct sb_sidebus said = interest_of(kind, sb_topic_name(topic), count);
    uint8_t *to = sb_outbox_append_for(outbox, sb_sidebus_size(&said), core->logs.settings.batch_bytes,
                                       core->logs.settings.compress, &(const struct sb_waiter){.count = 1});
    sb_sidebus_write(to, &said);
  }
}

void sb_subscriptions_announce(struct sb_partition *part, struct sb_outbox *outbox) {
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) announce_topics(part, (enum sb_sub_kind)kind, outbox);
}

/* ---- what this node has ---- */

struct sb_sub *sb_session_next_sub(const struct sb_session *session, enum sb_sub_kind kind,
                                   struct sb_sub *after, struct sb_bytes *name) {
  struct sb_sub *sub = sb_subs_next(&session->subs, kind, after);
  if (sub) *name = sb_topic_name(sub->topic);
  return sub;
}

enum sb_result sb_core_channels(struct sb_core *core, enum sb_sub_kind kind, struct sb_bytes pattern,
                                void (*each)(void *owner, struct sb_bytes name), void *owner) {
  if (pattern.at && pattern.len > core->logs.settings.pattern_bytes)
    return sb_core_refuse(core, "pattern of %zu bytes is longer than the %zu bytes of limits.pattern_bytes",
                          pattern.len, core->logs.settings.pattern_bytes);
  struct sb_glob *glob = pattern.at ? sb_glob_new(pattern) : NULL;
  const struct sb_topic *topic;
  uint64_t steps = 0;
  for (size_t at = 0; (topic = sb_table_each(&core->interest.topics[kind], &at));) {
    struct sb_bytes name = sb_topic_name(topic);
    if (topic->asked == 0) continue;
    if (glob && (steps += sb_glob_steps(glob, name.len)) > SB_LIST_STEPS_MAX) break;
    if (!glob || sb_glob_matches(glob, name)) each(owner, name);
  }
  sb_glob_free(glob);
  if (steps <= SB_LIST_STEPS_MAX) return SB_DONE;
  return sb_core_refuse(core, "pattern is too costly to try it on the %zu channels of this node",
                        core->interest.topics[kind].count);
}
