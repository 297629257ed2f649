/* What happens to a log, and what follows from it: everything from outside comes in here. What is read goes
 * to one of two: apply.c while the state is known, join.c while it is not. Both say what follows, and it is
 * done here: so neither needs the other. */
#include "bridge/core/log/machine.h"

#include <string.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"
#include "bridge/base/link.h"
#include "bridge/base/log.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/admit.h"
#include "bridge/core/log/answering.h"
#include "bridge/core/log/apply.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/chain.h"
#include "bridge/core/log/dispatch.h"
#include "bridge/core/log/entries.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/held_keys.h"
#include "bridge/core/log/hello.h"
#include "bridge/core/log/join.h"
#include "bridge/core/log/joining.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/lease.h"
#include "bridge/core/log/limbo.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/phase.h"
#include "bridge/core/log/ranges.h"
#include "bridge/core/log/recovery.h"
#include "bridge/core/log/replay.h"
#include "bridge/core/log/restore.h"
#include "bridge/core/log/seen.h"
#include "bridge/core/log/sending.h"
#include "bridge/core/log/silence.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/id.h"

/* ---- its life ---- */

void sb_partition_init(struct sb_partition *part, struct sb_logs *logs, uint32_t index) {
  const struct sb_core_settings *settings = &logs->settings;
  part->logs = logs;
  part->index = index;
  sb_seen_init(&part->seen, settings->hides_tail);
  sb_joining_init(&part->joining);
  size_t step = settings->window_step_bytes ? settings->window_step_bytes : SB_WINDOW_STEP_BYTES;
  sb_outbox_init(&part->outbox, step, &logs->outbox_bytes);
  sb_history_init(&part->history, settings->history_bytes / settings->partitions, settings->history_age_ms);
  if (logs->io.read_back) sb_history_mark(&part->history);
  sb_dispatch_accepted(&part->dispatch, settings->found_ms); /* first values of the time-outs */
  sb_partition_hello(part);                                  /* leaves when the link is up */
}

void sb_partition_abandon(struct sb_partition *part) {
  sb_logs_settle_all(part->logs, part, sb_limbo_abandon(&part->limbo), SB_OUTCOME_ABANDONED);
  sb_logs_settle_all(part->logs, part, sb_outbox_take(&part->outbox, false), SB_OUTCOME_ABANDONED);
}

void sb_partition_close(struct sb_partition *part) {
  sb_back_drop(&part->recovery, part->logs);
  sb_back_drop(&part->prefill, part->logs);
  sb_range_drop(part);
  sb_joining_close(&part->joining);
  sb_assembler_clear(&part->brought);
  sb_held_keys_drop(&part->held);
  sb_sending_close(&part->sending);
  sb_outbox_close(&part->outbox);
  sb_state_close(&part->state);
  sb_history_close(&part->history);
  sb_lease_close(&part->lease);
  sb_chain_close(&part->chain);
}

/* ---- losing the log from sight ---- */

static void note_gap(struct sb_partition *part, const char *why) {
  const struct sb_gap gap = {
      .generation = part->state.generation,
      .after = part->applied,
      .partition = part->index,
      .why = why,
  };
  sb_logs_gap(part->logs, &gap);
  part->logs->events->passed(part);
}

/* The log went on without us, or is another one. Rule: docs/log.md, "Gaps". */
static void lose(struct sb_partition *part, bool same_log, const char *why) {
  if (sb_partition_is_ready(part)) note_gap(part, why);
  sb_limbo_enter(&part->limbo, &part->outbox, part->dispatch.incarnation, same_log);
  if (same_log) sb_seen_lost(&part->seen);
  sb_joining_lost(&part->joining, same_log, part->known_generation);
  if (!same_log) sb_partition_outlive_generation(part);
  sb_partition_hold_keys(part);
  sb_state_close(&part->state);
  sb_partition_others_hold_nothing(part);
  sb_assembler_clear(&part->brought);
  sb_back_drop(&part->recovery, part->logs); /* what comes may be of another log */
  sb_prefill_drop(part);
  sb_range_drop(part);
  if (!same_log) sb_partition_log_begins(part, (struct sb_id){0});
  sb_dispatch_resend_done(&part->dispatch);
  sb_answering_end(&part->answering);
  sb_sending_end(&part->sending);
  sb_lease_goodbye(&part->lease, false);
  sb_lease_clear(&part->lease);
  sb_partition_move(part, SB_PHASE_NEW);
  sb_partition_hello(part);
}

/* ---- what is read ---- */

static void apply(struct sb_partition *part, const struct sb_message *message) {
  switch (sb_partition_apply(part, message)) {
  case SB_FOLLOWS_NOTHING:
    break;
  case SB_FOLLOWS_REJOIN:
    sb_partition_rejoin(part);
    break;
  case SB_FOLLOWS_LOSS:
    lose(part, true, "the broker did not deliver what another node has read");
    break;
  case SB_FOLLOWS_GIVE_WAY:
    lose(part, true, "this node and another had accepted different messages");
    break;
  }
}

/* Applies what was kept behind the SNAPSHOT. */
static void apply_kept(struct sb_partition *part) {
  bool had_row = sb_partition_has_row(part);
  struct sb_kept_list list = part->joining.kept;
  struct sb_kept *kept;
  sb_kept_init(&part->joining.kept);
  while ((kept = sb_kept_take(&list))) {
    const struct sb_message message = sb_kept_message(kept);
    if (sb_partition_is_ready(part) && kept->sequence > part->applied) apply(part, &message);
    sb_kept_free(kept);
  }
  /* Somebody said BYE to us between our HELLO and the SNAPSHOT. */
  if (!had_row && sb_partition_is_ready(part) && part->phase != SB_PHASE_LEFT && !sb_partition_has_row(part))
    sb_partition_rejoin(part);
}

/* Whether a batch ends with the BYE of the last member: then nobody is left to answer a HELLO. */
static bool says_last_left(struct sb_logs *logs, const struct sb_message *message) {
  struct sb_bytes body = sb_bytes(message->body->data, message->body->len);
  static const char tail[] = "$4\r\nlast\r\n";
  size_t tail_len = sizeof tail - 1;
  if (message->envelope->foreign || message->envelope->number == 0 || body.len < tail_len) return false;
  if (memcmp(body.at + body.len - tail_len, tail, tail_len) != 0) return false;
  return sb_entries_index(logs, body, message->envelope->count) &&
         sb_entry_is_bye(body, &logs->entries[message->envelope->count - 1]);
}

static void join(struct sb_partition *part, const struct sb_message *message) {
  if (sb_partition_join(part, message) == SB_JOINED_BEHIND_SNAPSHOT) apply_kept(part);
}

/* Nodes of two versions do not hear each other. Whoever still waits to be answered may wait for one. */
static void say_version(struct sb_partition *part, const struct sb_envelope *envelope) {
  const char *name = envelope->node[0] ? envelope->node : "unknown";
  part->logs->stats.wire_version_met = envelope->version;
  if (sb_partition_is_ready(part))
    sb_logs_say(part->logs, SB_LOG_WARN,
                "partition %u: node %s speaks wire version %u, this node %d: neither hears the other",
                part->index, name, envelope->version, SB_WIRE_VERSION);
  else
    sb_logs_say(part->logs, SB_LOG_ERROR,
                "partition %u: node %s speaks wire version %u, this node %d: it cannot join such nodes; run "
                "one version, or give each its own topics.prefix",
                part->index, name, envelope->version, SB_WIRE_VERSION);
}

/* Looked at before the body is unpacked: so it is compared as it travelled. */
static bool is_strange(const struct sb_partition *part, const struct sb_message *message) {
  const struct sb_envelope *envelope = message->envelope;
  return !envelope->foreign && envelope->number > 0 &&
         sb_incarnation_compare(envelope->incarnation, part->dispatch.incarnation) == 0 &&
         !sb_outbox_sent_this(&part->outbox, envelope->number, envelope->lz4, message->body);
}

static bool check_message(struct sb_partition *part, struct sb_message *message) {
  message->strange = is_strange(part, message);
  const char *why = sb_message_unfit(message);
  if (why && message->envelope->refused == SB_REFUSED_NOT && sb_message_of_another_version(message->envelope))
    say_version(part, message->envelope);
  if (why) sb_message_dropped(part->logs, part->index, message, why);
  return !why;
}

static void read_message(struct sb_partition *part, const struct sb_message *message) {
  /* Nobody asks while the state is known. */
  bool last_left = !sb_partition_is_ready(part) && says_last_left(part->logs, message);
  sb_partition_know_generation(part, message->envelope->generation);
  if (sb_partition_is_ready(part))
    apply(part, message);
  else
    join(part, message);
  sb_seen_message(&part->seen, message->sequence, last_left);
}

void sb_partition_delivery(struct sb_partition *part, uint64_t sequence, const struct sb_envelope *envelope,
                           struct sb_body *channel, struct sb_body *body) {
  struct sb_logs *logs = part->logs;
  struct sb_message message = {.sequence = sequence, .envelope = envelope, .channel = channel, .body = body};
  logs->stats.bytes_delivered += body->len;
  sb_seen_heard(&part->seen, logs->now_ms);
  if (logs->failed) {
    /* nothing is looked at any more */
  } else if (sb_seen_before(&part->seen, sequence)) {
    logs->stats.batches_duplicate++; /* a redelivery of the broker */
  } else if (check_message(part, &message)) {
    read_message(part, &message);
  } else {
    sb_seen_unfit(&part->seen, sequence);
  }
  sb_body_unref(message.channel);
  sb_body_unref(message.body);
  sb_partition_check(part);
}

void sb_partition_stored(struct sb_partition *part, uint64_t token, uint64_t sequence,
                         const struct sb_envelope *envelope, struct sb_body *channel, struct sb_body *body) {
  struct sb_back *back = sb_partition_back(part, token);
  struct sb_message message = {.sequence = sequence, .envelope = envelope, .channel = channel, .body = body};
  if (back && !sb_message_unfit(&message)) {
    sb_replay_take(&back->replay, &message);
    return;
  }
  sb_body_unref(message.channel);
  sb_body_unref(message.body);
}

void sb_partition_stored_end(struct sb_partition *part, uint64_t token, bool done) {
  struct sb_back *back = sb_partition_back(part, token);
  if (back) sb_back_ended(back, part->logs->now_ms, done);
}

/* ---- the links ---- */

/* Waiting begins anew, for what ran out meanwhile proves nothing. */
static void links_up(struct sb_partition *part) {
  sb_seen_heard(&part->seen, part->logs->now_ms);
  if (part->index == 0) sb_lease_clear(&part->lease);
  sb_outbox_wait_anew(&part->outbox, part->logs->now_ms);
  sb_sending_connected(&part->sending);
  sb_partition_join_again(part);
}

bool sb_partition_link(struct sb_partition *part, enum sb_link_side side, bool up) {
  bool *at = side == SB_LINK_PUBLISH ? &part->publish_up : &part->consume_up;
  if (*at == up) return false;
  *at = up;
  return true;
}

void sb_partition_links_up(struct sb_partition *part) {
  if (sb_partition_is_linked(part)) links_up(part);
}

void sb_partition_attached(struct sb_partition *part, enum sb_attach how) {
  sb_seen_attached(&part->seen, how, part->logs->settings.hides_tail);
  if (how == SB_ATTACH_GAP) lose(part, true, "it was lost, or retention passed it, before it was read");
  if (how == SB_ATTACH_NEW_LOG) lose(part, false, "the log was emptied or made anew");
  sb_partition_check(part);
}

/* ---- time ---- */

void sb_partition_stood(struct sb_partition *part, uint64_t ms) {
  sb_joining_put_off(&part->joining, part->logs->now_ms, ms);
  sb_outbox_put_off(&part->outbox, part->logs->now_ms, ms);
}

void sb_partition_send(struct sb_partition *part) {
  if (sb_outgoing_send(part) != SB_SENT_JOINS_AGAIN) return;
  sb_joining_tries_over(&part->joining);
  sb_partition_hello(part);
}

void sb_partition_turn(struct sb_partition *part) {
  sb_history_age(&part->history, part->logs->now_ms);
  sb_partition_join_timers(part);
  sb_partition_lease_timers(part);
  sb_partition_send_timers(part);
  sb_partition_send(part);
  sb_partition_check(part);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

uint64_t sb_partition_deadline(const struct sb_partition *part) {
  uint64_t due = earlier(sb_partition_join_deadline(part), sb_partition_lease_deadline(part));
  return earlier(due, earlier(sb_partition_send_deadline(part), sb_range_deadline(part)));
}

/* ---- a clean stop ---- */

bool sb_partition_stop(struct sb_partition *part) {
  sb_partition_goodbye(part);
  sb_partition_send(part);
  if (sb_partition_has_row(part)) return false; /* until the BYE came back */
  return sb_outbox_empty(&part->outbox) && !sb_limbo_is_active(&part->limbo);
}
