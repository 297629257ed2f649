/* How a node comes to know the state of a log: HELLO, then the SNAPSHOT of somebody who is ready, or GENESIS
 * when there is nobody. Rules: docs/log.md, "Joining" and "Gaps".
 * The phases and their moves are drawn in phase.c. */
#include "bridge/core/log/join.h"

#include <stdio.h>
#include <stdlib.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/apply.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/checkpoint.h"
#include "bridge/core/log/held.h"
#include "bridge/core/log/interpret.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/lease.h"
#include "bridge/core/log/limbo.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/phase.h"
#include "bridge/core/log/range.h"
#include "bridge/core/log/recovery.h"
#include "bridge/core/log/sending.h"
#include "bridge/core/log/standing.h"
#include "bridge/core/state/genesis.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/id.h"

#define HELLO_TRIES_MAX 6  /* doublings */
#define RETRY_MS        20 /* the transport's queue was full */

static uint64_t hello_wait_ms(const struct sb_partition *part) {
  return sb_logs_echo_ms(part->logs) << part->joining.hello_tries;
}

static bool links_up(const struct sb_partition *part) {
  return part->publish_up && part->consume_up;
}

/* ---- HELLO ---- */

/* What stands under our name in the log is higher than ours. A start above all that clocks say is one that
 * somebody forged: it is gone with this log, and no reason to use up those of others. */
static void go_above(struct sb_partition *part, uint64_t start_ms) {
  if (start_ms < SB_START_MS_LEAP_MAX && start_ms > part->logs->incarnation_ms)
    part->logs->incarnation_ms = start_ms;
  part->joining.taken_ms = start_ms < SB_START_MS_LEAP_MAX ? 0 : start_ms;
}

/* Higher than every incarnation of ours and than what stands under our name in the log. */
static struct sb_incarnation next_incarnation(struct sb_partition *part) {
  struct sb_logs *logs = part->logs;
  const struct sb_row *row =
      sb_partition_is_ready(part) ? sb_state_row(&part->state, logs->settings.node) : NULL;
  if (sb_partition_is_ready(part)) go_above(part, row ? row->incarnation.start_ms : 0);
  uint64_t start = logs->unix_ms > logs->incarnation_ms ? logs->unix_ms : logs->incarnation_ms + 1;
  if (start > SB_START_MS_LEAP_MAX) start = SB_START_MS_LEAP_MAX;
  logs->incarnation_ms = start;
  return (struct sb_incarnation){part->joining.taken_ms ? part->joining.taken_ms + 1 : start,
                                 logs->settings.nonce};
}

static void send_hello(struct sb_partition *part) {
  const struct sb_logs *logs = part->logs;
  const struct sb_control hello = {
      .kind = SB_CONTROL_HELLO,
      .partitions = logs->settings.partitions,
      .version = SB_WIRE_VERSION,
      .about = sb_bytes_of(logs->settings.about),
      .met = part->joining.met,
      .since = part->joining.since,
      .since_lost = part->joining.since_lost,
      .holds = part->held.upto,
  };
  if (sb_partition_send_control(part, &hello) == 0)
    sb_phase_move(part, sb_partition_is_ready(part) ? SB_PHASE_RETURNING : SB_PHASE_GREETING);
  part->joining.hello_ms = logs->now_ms;
}

void sb_partition_hello(struct sb_partition *part) {
  part->incarnation = next_incarnation(part);
  part->sending.piece.piece = 0; /* the pieces of one state have one incarnation in common */
  if (!sb_partition_is_ready(part)) part->sending.active = false;
  part->joining.keys_sent = false;
  part->joining.log_was_empty = part->joining.log_was_new = false;
  sb_kept_drop(&part->joining.kept);
  sb_assembler_clear(&part->joining.assembler);
  sb_phase_move(part, sb_partition_is_ready(part) ? SB_PHASE_DISPLACED : SB_PHASE_NEW);
  send_hello(part);
}

void sb_partition_restamp(struct sb_partition *part) {
  size_t before = sb_partition_held(part);
  sb_outbox_put_back(&part->outbox, sb_outbox_take(&part->outbox, false));
  part->pace.resend_wanted = false;
  part->lease.goodbye_said = false;
  sb_partition_account(part, before);
}

/* Everything that was not accepted under the old incarnation never will be: it is numbered again under the
 * new one. */
void sb_partition_rejoin(struct sb_partition *part) {
  part->logs->stats.rejoins++;
  if (part->joining.met.start_ms == 0)
    sb_logs_say(part->logs, SB_LOG_NOTICE, "partition %u: this node was taken for dead; it joins again",
                part->index);
  sb_partition_restamp(part);
  part->joining.hello_tries = 0;
  if (part->logs->stopping && sb_outbox_empty(&part->outbox)) { /* nothing is left to say under that name */
    part->lease.goodbye_said = true;
    sb_phase_move(part, SB_PHASE_LEFT);
    return;
  }
  sb_partition_hello(part);
}

/* Whether this process was ready before the other one. Both compare the same two places, so one of them
 * stays. Whoever was ready in a log that is no more was so before anybody in this one. */
static bool came_first(const struct sb_partition *part, const struct sb_envelope *envelope,
                       const struct sb_control *hello) {
  struct sb_id ours = part->joining.since, theirs = hello->since;
  if (part->joining.since_lost != hello->since_lost) return part->joining.since_lost;
  if (sb_id_is_none(ours) || sb_id_is_none(theirs)) return !sb_id_is_none(ours);
  if (!part->joining.since_lost) ours.ms = theirs.ms; /* within one log the sequence counts */
  int order = sb_id_compare(ours, theirs);
  return order < 0 || (order == 0 && part->logs->settings.nonce < envelope->incarnation.nonce);
}

/* Partition 0 decides: two that began at the same time may have come first in one log each. */
bool sb_partition_may_stay(struct sb_partition *part, const struct sb_envelope *envelope,
                           const struct sb_control *hello) {
  struct sb_logs *logs = part->logs;
  char why[SB_NODE_NAME_MAX + SB_ABOUT_MAX + 160];
  if (part->index != 0 || strcmp(envelope->node, logs->settings.node) != 0 ||
      envelope->incarnation.nonce == logs->settings.nonce || hello->met.nonce != logs->settings.nonce ||
      hello->met.start_ms == 0)
    return true;
  if (came_first(part, envelope, hello)) return true;
  snprintf(why, sizeof why,
           "another running node has the name \"%s\" and was there before this one: %.*s. Give each its own "
           "`node`",
           envelope->node, (int)hello->about.len, (const char *)hello->about.at);
  logs->failed = true;
  logs->io.fatal(logs->io.owner, why);
  return false;
}

/* ---- losing the log from sight ---- */

static void note_gap(struct sb_partition *part, const char *why) {
  struct sb_logs *logs = part->logs;
  logs->gaps[logs->gap_count++ % SB_GAPS_KEPT] = (struct sb_gap){
      .unix_ms = logs->unix_ms,
      .generation = part->state.generation,
      .after = part->applied,
      .partition = part->index,
      .why = why,
  };
  logs->stats.gaps++;
  sb_logs_say(logs, SB_LOG_WARN, "partition %u: gap behind %llu: %s", part->index,
              (unsigned long long)part->applied, why);
}

static void close_gaps(struct sb_partition *part, uint64_t before) {
  struct sb_logs *logs = part->logs;
  for (uint64_t i = 0; i < SB_GAPS_KEPT && i < logs->gap_count; i++)
    if (logs->gaps[i].partition == part->index && logs->gaps[i].before == 0) logs->gaps[i].before = before;
}

void sb_partition_lost(struct sb_partition *part, bool same_log, const char *why) {
  if (sb_partition_is_ready(part)) note_gap(part, why);
  if (sb_partition_is_ready(part)) part->logs->events->passed(part);
  sb_limbo_enter(part, same_log);
  if (same_log) {
    part->seen.nobody_before = part->seen.last_left = false; /* what was missed may have been a HELLO */
  } else {
    part->joining.lost_generation = part->known_generation;
    /* The new log's must be higher than the old one's, not as high. */
    if (part->known_generation < SB_GENERATION_MAX) part->known_generation++;
    part->seen.any = part->seen.last_left = false;
  }
  sb_held_keep(part);
  sb_state_close(&part->state);
  part->joining.log_anew |= !same_log;
  part->joining.only_hellos = !same_log;
  part->best_held = (struct sb_id){0};
  part->joining.read_from = UINT64_MAX;
  part->joining.mark = 0;
  sb_assembler_clear(&part->brought);
  sb_back_drop(part, &part->recovery); /* what comes may be of another log */
  sb_prefill_drop(part);
  sb_range_drop(part);
  if (!same_log) part->log_begin = (struct sb_id){0};
  if (!same_log && !sb_id_is_none(part->joining.since)) part->joining.since_lost = true;
  part->joining.taken_ms = 0; /* our own incarnations may stand there; a SNAPSHOT will tell */
  sb_phase_move(part, SB_PHASE_NEW);
  part->pace.resend_wanted = part->answering.due = part->lease.goodbye_said = false;
  part->sending.active = false;
  sb_lease_clear(&part->lease);
  part->joining.hello_tries = 0;
  sb_partition_hello(part);
}

/* ---- a joiner reads ---- */

static void become_ready(struct sb_partition *part, uint64_t applied) {
  struct sb_logs *logs = part->logs;
  sb_phase_move(part, part->phase == SB_PHASE_NEW ? SB_PHASE_DISPLACED : SB_PHASE_RETURNING);
  if (sb_partition_has_row(part)) sb_phase_move(part, SB_PHASE_READY);
  if (!sb_restore_is_due(part)) sb_held_let_go(part);
  part->joining.log_anew = part->sending.active = false;
  part->joining.hello_tries = 0;
  sb_back_drop(part, &part->recovery);
  sb_prefill_drop(part);
  sb_range_drop(part);
  part->checkpoints = (struct sb_checkpoints){.had_keys = part->state.keys.table.count > 0};
  part->joined_at = part->applied = applied;
  part->followed_from = sb_id_end_of(part->state.generation, applied);
  part->time_base = 0; /* of an earlier life */
  sb_partition_set_time(part, part->state.time_ms);
  if (part->state.generation > part->known_generation) part->known_generation = part->state.generation;
  sb_assembler_clear(&part->joining.assembler);
  for (uint32_t i = 0; i < part->state.members.count; i++) part->state.members.at[i].heard_ms = logs->now_ms;
  if (sb_id_is_none(part->joining.since))
    part->joining.since = (struct sb_id){part->state.generation, applied};
  if (sb_partition_has_row(part)) part->joining.met = (struct sb_incarnation){0};
  close_gaps(part, applied);
  bool whole = part->joining.log_was_new && logs->settings.log_begins_here;
  /* What was missed cannot be told from what never was: nothing before this is readable. */
  sb_history_restart(&part->history,
                     whole ? (struct sb_id){0} : sb_id_end_of(part->state.generation, applied));
  sb_prefill_begin(part);
  if (!sb_back_is_running(&part->prefill)) logs->events->changed(part);
  logs->room_wanted = true;
  sb_logs_say(logs, SB_LOG_INFO, "partition %u: ready at %llu, generation %llu, %u members", part->index,
              (unsigned long long)applied, (unsigned long long)part->state.generation,
              part->state.members.count);
}

bool sb_partitions_agree(struct sb_partition *part, uint32_t theirs) {
  struct sb_logs *logs = part->logs;
  if (theirs == logs->settings.partitions) return true;
  char why[160];
  snprintf(why, sizeof why,
           "topics.partitions is %u here and %u on the nodes that are running: make them the same",
           logs->settings.partitions, theirs);
  logs->failed = true;
  logs->io.fatal(logs->io.owner, why);
  return false;
}

/* Applies what was kept behind `applied`. */
static void replay_kept(struct sb_partition *part) {
  struct sb_kept_list list = part->joining.kept;
  struct sb_kept *kept;
  sb_kept_init(&part->joining.kept);
  while ((kept = sb_kept_take(&list))) {
    const struct sb_message message = sb_kept_message(kept);
    if (sb_partition_is_ready(part) && kept->sequence > part->applied) sb_partition_apply(part, &message);
    sb_kept_free(kept);
  }
}

/* `time_ms` is the log time at which its sender wrote the state. */
static void install(struct sb_partition *part, const struct sb_state *state, uint64_t as_of,
                    uint64_t time_ms) {
  part->state = *state;
  part->joining.log_was_new = false; /* others may have written before the SNAPSHOT */
  become_ready(part, as_of);
  sb_partition_set_time(part, time_ms);
  sb_limbo_leave(part, sb_state_row(&part->state, part->logs->settings.node));
  sb_partition_announce(part);
  bool had_row = sb_partition_has_row(part);
  replay_kept(part); /* joins again by itself when our row vanishes in there */
  /* Somebody said BYE to us between our HELLO and the SNAPSHOT. */
  if (!had_row && sb_partition_is_ready(part) && !sb_partition_has_row(part)) sb_partition_rejoin(part);
}

static void founded(struct sb_partition *part, const struct sb_message *message,
                    const struct sb_control *control, const struct sb_genesis *genesis) {
  sb_state_apply_genesis(&part->state, genesis);
  if (control->keeps_keys) sb_recovery_take_keys(part, message->sequence);
  sb_keys_expire(&part->state.keys, part->state.time_ms);
  become_ready(part, message->sequence);
  if (part->joining.log_was_new) part->log_begin = sb_id_end_of(part->state.generation, message->sequence);
  if (control->keeps_keys || control->brings_keys) sb_checkpoint_want(part);
  sb_kept_drop(&part->joining.kept);
  sb_limbo_leave(part, NULL);
  sb_partition_announce(part);
}

/* Another's GENESIS that is accepted, as is known for certain: everything from its HELLO on was read. Who
 * follows the log from here on, without a row, misses nothing that is answered in it. */
static void follow(struct sb_partition *part, const struct sb_message *message,
                   const struct sb_genesis *genesis) {
  bool before = sb_phase_has_echo(part->phase);
  if (!sb_partitions_agree(part, genesis->partitions)) return;
  sb_state_apply_genesis(&part->state, genesis);
  become_ready(part, message->sequence);
  sb_kept_drop(&part->joining.kept);
  sb_limbo_leave(part, NULL);
  if (before) sb_partition_hello(part);
}

/* A state that answers our HELLO knows our incarnation. One that does not is late word, perhaps from a log
 * that was deleted and is no more; one that knows a higher incarnation under our name refused ours. */
static bool answers_us(struct sb_partition *part, const struct sb_state *state) {
  struct sb_logs *logs = part->logs;
  const struct sb_row *row = sb_state_row(state, logs->settings.node);
  int compared = row ? sb_incarnation_compare(row->incarnation, part->incarnation) : -1;
  if (compared == 0 || !sb_partitions_agree(part, state->partitions)) return compared == 0;
  if (compared > 0) {
    go_above(part, row->incarnation.start_ms);
    sb_partition_hello(part);
  } else if (state->members.count >= SB_MEMBERS_MAX) {
    sb_logs_say(logs, SB_LOG_ERROR, "partition %u: there are %d members already; this node waits",
                part->index, SB_MEMBERS_MAX);
  }
  return false;
}

/* One part of a SNAPSHOT that answers our HELLO; true when it made us ready. */
static bool take_part(struct sb_partition *part, const struct sb_message *message,
                      const struct sb_control *control) {
  if (control->as_of < part->joining.hello_at || control->as_of >= message->sequence) return false;
  struct sb_bytes text;
  enum sb_assembled got =
      sb_assembler_take(&part->joining.assembler, message->envelope, control, message->sequence, &text);
  if (got == SB_ASSEMBLED_NOT) return false;
  part->joining.hello_ms = part->logs->now_ms; /* as long as parts come, there is no reason to ask again */
  if (got == SB_ASSEMBLED_MORE) return false;
  struct sb_state state = {0};
  if (!sb_state_read(&state, text)) {
    sb_logs_say(part->logs, SB_LOG_WARN, "partition %u: the SNAPSHOT of %s is malformed", part->index,
                message->envelope->node);
    part->logs->stats.batches_malformed++;
    return false;
  }
  if (!answers_us(part, &state)) {
    sb_state_close(&state);
    return false;
  }
  install(part, &state, control->as_of, message->envelope->time_ms);
  return true;
}

static bool is_ours(const struct sb_partition *part, const struct sb_envelope *envelope) {
  return sb_incarnation_compare(envelope->incarnation, part->incarnation) == 0 &&
         strcmp(envelope->node, part->logs->settings.node) == 0;
}

static void own_hello(struct sb_partition *part, uint64_t sequence) {
  part->joining.hello_at = sequence;
  part->joining.hello_seen_ms = part->logs->now_ms;
  part->joining.log_was_empty = part->seen.any ? part->seen.last_left : part->seen.nobody_before;
  part->joining.log_was_new = !part->seen.any && part->seen.nobody_before && part->known_generation == 0;
  part->joining.behind_equal = sb_id_compare(part->best_held, part->held.upto) == 0;
  sb_phase_move(part, SB_PHASE_WAITING);
}

static void joining_hello(struct sb_partition *part, const struct sb_message *message,
                          const struct sb_control *control) {
  if (is_ours(part, message->envelope)) {
    if (part->phase == SB_PHASE_GREETING) own_hello(part, message->sequence);
  } else if (sb_partition_may_stay(part, message->envelope, control)) {
    part->best_held = sb_id_later(part->best_held, control->holds);
  }
}

/* True when it made us ready or changed what we wait for. */
static bool joining_genesis(struct sb_partition *part, const struct sb_message *message,
                            const struct sb_control *control, const struct sb_genesis *genesis) {
  bool first = part->phase != SB_PHASE_ANSWERED, ours = is_ours(part, message->envelope);
  const struct sb_genesis_view view = {part->joining.mark, part->joining.read_from, part->joining.read_from};
  enum sb_genesis_verdict verdict = sb_genesis_judge(genesis, &view);
  if (verdict == SB_GENESIS_ABSENT) return false;
  part->joining.mark = message->sequence + 1;
  part->joining.taken_ms = 0; /* the founder knows of none; where it is void a SNAPSHOT will tell again */
  if (genesis->generation > part->known_generation) part->known_generation = genesis->generation;
  if (verdict == SB_GENESIS_ACCEPTED && !ours && !genesis->keeps_keys) {
    follow(part, message, genesis);
    return true;
  }
  if (!sb_phase_has_echo(part->phase)) return false;
  sb_phase_move(part, SB_PHASE_ANSWERED);
  if (!first) return false;
  if (ours)
    founded(part, message, control, genesis);
  else /* another founder came first and knows only itself */
    sb_partition_hello(part);
  return true;
}

/* A control message while we wait; true when it made us ready or changed what we wait for. */
static bool joining_control(struct sb_partition *part, const struct sb_message *message,
                            const struct sb_control *control) {
  struct sb_keys brought = {0};
  bool changed = false;
  switch (control->kind) {
  case SB_CONTROL_CHECKPOINT:
    break;
  case SB_CONTROL_KEYS:
    sb_brought_take(&part->brought, message->envelope, control, message->sequence);
    if (!is_ours(part, message->envelope)) part->joining.keys_seen_ms = part->logs->now_ms;
    break;
  case SB_CONTROL_HELLO:
    joining_hello(part, message, control);
    break;
  case SB_CONTROL_SNAPSHOT:
    part->joining.mark = message->sequence + 1;
    if (!sb_phase_has_echo(part->phase)) break;
    sb_phase_move(part, SB_PHASE_ANSWERED);
    changed = take_part(part, message, control);
    break;
  case SB_CONTROL_GENESIS: {
    const struct sb_genesis genesis = sb_genesis_of(message, control, &part->brought, &brought);
    changed = joining_genesis(part, message, control, &genesis);
    sb_keys_close(&brought);
    break;
  }
  }
  return changed;
}

void sb_partition_joining(struct sb_partition *part, struct sb_message *message) {
  struct sb_control control;
  const struct sb_envelope *envelope = message->envelope;
  bool keeping = sb_phase_has_echo(part->phase); /* what comes behind our HELLO */
  if (part->joining.read_from == UINT64_MAX) part->joining.read_from = message->sequence;
  if (!envelope->foreign && envelope->number > 0 && envelope->generation > part->joining.lost_generation)
    part->joining.only_hellos = false; /* those of before were on their way when the log went */
  if (!envelope->foreign && envelope->number == 0 &&
      sb_control_read(sb_bytes(message->body->data, message->body->len), &control)) {
    /* Kept first: the state that a part completes is applied to what was kept, this message included. */
    struct sb_message copy = *message;
    sb_body_ref(copy.body);
    if (control.kind == SB_CONTROL_CHECKPOINT) keeping = false; /* it changes nothing */
    if (control.kind == SB_CONTROL_KEYS) keeping = false;       /* they are put together as they pass */
    if (keeping) message->brought = sb_brought_copy(&part->brought, message, &control);
    if (control.kind != SB_CONTROL_HELLO && control.kind != SB_CONTROL_KEYS)
      part->joining.only_hellos = false;
    if (keeping && control.kind == SB_CONTROL_SNAPSHOT) sb_snapshot_drop_text(message, &control);
    if (keeping) sb_kept_add(&part->joining.kept, message);
    joining_control(part, &copy, &control);
    sb_body_unref(copy.body);
    if (!keeping) {
      sb_body_unref(message->channel);
      sb_body_unref(message->body);
    }
  } else if (keeping) {
    sb_kept_add(&part->joining.kept, message);
  } else {
    sb_body_unref(message->channel);
    sb_body_unref(message->body);
  }
  if (!sb_partition_is_ready(part) && part->joining.kept.bytes > SB_JOIN_BUFFER_BYTES) {
    sb_logs_say(part->logs, SB_LOG_WARN, "partition %u: no SNAPSHOT within %zu MiB of log; joining anew",
                part->index, SB_JOIN_BUFFER_BYTES / 1048576);
    sb_partition_hello(part);
  }
}

/* ---- timers: counted only while the log can be read and written ---- */

static bool has_recovered(const struct sb_partition *part) {
  return part->recovery.state == SB_BACK_DONE && !part->recovery.failed;
}

static bool brings_keys(const struct sb_partition *part) {
  return !has_recovered(part) && sb_held_any(part);
}

/* The keys that it brings. False: some are still to be sent. */
static bool send_keys(struct sb_partition *part) {
  struct sb_sending *sending = &part->sending;
  if (part->joining.keys_sent) return true;
  if (!sending->active) {
    sb_buf_clear(&sending->text);
    sb_keys_write(&part->held.keys, sb_held_log_time(part), &sending->text);
    sb_logs_say(part->logs, SB_LOG_NOTICE,
                "partition %u: brings the shared keys of the log that was lost: %zu", part->index,
                part->held.keys.table.count);
    sb_sending_begin(part,
                     &(const struct sb_control){.kind = SB_CONTROL_KEYS, .as_of = part->joining.hello_at});
  }
  sb_sending_go_on(part);
  part->joining.keys_sent = !sending->active && sending->piece.piece == sending->piece.pieces;
  return part->joining.keys_sent;
}

static void send_genesis(struct sb_partition *part) {
  struct sb_logs *logs = part->logs;
  uint64_t generation = logs->unix_ms > part->known_generation ? logs->unix_ms : part->known_generation + 1;
  const struct sb_control genesis = {
      .kind = SB_CONTROL_GENESIS,
      .hello_at = part->joining.hello_at,
      .generation = generation < SB_GENERATION_MAX ? generation : SB_GENERATION_MAX,
      .partitions = logs->settings.partitions,
      .keeps_keys = has_recovered(part),
      .brings_keys = part->joining.keys_sent,
      .name_key = logs->settings.name_key,
  };
  if (sb_partition_send_control(part, &genesis) == 0) sb_phase_move(part, SB_PHASE_FOUNDING);
  part->joining.genesis_sent_ms = logs->now_ms;
}

/* Whoever founds brings a start that needs nothing below it. */
static void begin_anew(struct sb_partition *part) {
  if (part->joining.taken_ms == 0) {
    if (!brings_keys(part) || send_keys(part)) send_genesis(part);
    return;
  }
  part->joining.taken_ms = 0;
  sb_partition_hello(part);
}

/* How long to wait for others before founding. After a log was deleted its members come back at about the
 * same time. Each says in its HELLO how much of the old log it holds; the one that holds most founds first,
 * one that holds nothing last. */
static uint64_t founding_wait_ms(const struct sb_partition *part) {
  uint64_t all = part->logs->settings.found_ms, delta = sb_logs_delta_ms(part->logs);
  if (!sb_partition_log_is_bare(part)) return part->joining.log_was_empty ? 0 : all;
  if (sb_id_compare(part->best_held, part->held.upto) > 0) return all;
  return sb_id_is_none(part->held.upto) || part->joining.behind_equal ? 2 * delta : delta;
}

static uint64_t founding_due(const struct sb_partition *part) {
  uint64_t due = part->joining.hello_seen_ms + founding_wait_ms(part),
           keys = part->joining.keys_seen_ms + sb_logs_echo_ms(part->logs);
  return part->joining.keys_seen_ms > 0 && keys > due ? keys : due;
}

static uint64_t hello_due(const struct sb_partition *part) {
  const struct sb_joining *joining = &part->joining;
  bool busy = sb_back_is_running(&part->recovery) || part->sending.active;
  switch (part->phase) {
  case SB_PHASE_NEW:
  case SB_PHASE_DISPLACED:
    return joining->hello_ms + RETRY_MS;
  case SB_PHASE_ANSWERED:
    return joining->hello_ms + 2 * hello_wait_ms(part);
  case SB_PHASE_FOUNDING:
    return busy ? UINT64_MAX : joining->genesis_sent_ms + hello_wait_ms(part);
  case SB_PHASE_WAITING:
    return busy ? UINT64_MAX : joining->hello_seen_ms + part->logs->settings.found_ms + hello_wait_ms(part);
  default:
    return joining->hello_ms + hello_wait_ms(part);
  }
}

void sb_partition_join_timers(struct sb_partition *part) {
  struct sb_logs *logs = part->logs;
  if (part->phase == SB_PHASE_LEFT) return;
  sb_prefill_turn(part); /* also to give it up */
  if (!links_up(part)) return;
  if (!sb_partition_is_ready(part) || !sb_partition_has_row(part)) {
    if (part->phase == SB_PHASE_WAITING && logs->now_ms >= founding_due(part) && sb_recovery_is_over(part))
      begin_anew(part);
    if (logs->now_ms >= hello_due(part)) {
      if (!sb_phase_wants_hello(part->phase) && part->joining.hello_tries < HELLO_TRIES_MAX)
        part->joining.hello_tries++;
      sb_partition_hello(part);
    }
  }
  if (!sb_partition_is_ready(part)) return;
  sb_restore_timers(part);
  sb_partition_answer_timers(part);
}

/* Its time has come and it is not sent: keys are looked for, or the transport's queue was full. */
static uint64_t founding_retry(const struct sb_partition *part) {
  return sb_back_is_running(&part->recovery) ? sb_back_deadline(&part->recovery)
                                             : part->logs->now_ms + RETRY_MS;
}

uint64_t sb_partition_join_deadline(const struct sb_partition *part) {
  const struct sb_logs *logs = part->logs;
  uint64_t due = sb_back_deadline(&part->prefill);
  if (part->phase == SB_PHASE_LEFT) return UINT64_MAX;
  if (!links_up(part)) return due;
  if (!sb_partition_is_ready(part) || !sb_partition_has_row(part)) {
    if (hello_due(part) < due) due = hello_due(part);
    if (part->phase == SB_PHASE_WAITING && founding_due(part) > logs->now_ms && founding_due(part) < due)
      due = founding_due(part);
    else if (part->phase == SB_PHASE_WAITING && founding_retry(part) < due)
      due = founding_retry(part);
  }
  if (part->sending.active) return logs->now_ms + RETRY_MS < due ? logs->now_ms + RETRY_MS : due;
  if (sb_checkpoint_deadline(part) < due) due = sb_checkpoint_deadline(part);
  if (sb_restore_deadline(part) < due) due = sb_restore_deadline(part);
  if (sb_partition_is_ready(part) && part->answering.due && part->answering.at_ms < due)
    due = part->answering.at_ms;
  return due;
}

void sb_partition_join_again(struct sb_partition *part) {
  struct sb_joining *joining = &part->joining;
  joining->hello_seen_ms = part->logs->now_ms;
  joining->hello_tries = 0;
  if (sb_phase_wants_hello(part->phase) || part->phase == SB_PHASE_GREETING)
    sb_partition_hello(part);
  else
    joining->hello_ms = part->logs->now_ms;
}

void sb_put_off(const struct sb_logs *logs, uint64_t *at_ms, uint64_t ms) {
  if (*at_ms < logs->now_ms) *at_ms = logs->now_ms - *at_ms > ms ? *at_ms + ms : logs->now_ms;
}

void sb_partition_join_put_off(struct sb_partition *part, uint64_t ms) {
  sb_put_off(part->logs, &part->joining.hello_ms, ms);
  sb_put_off(part->logs, &part->joining.hello_seen_ms, ms);
  sb_put_off(part->logs, &part->joining.genesis_sent_ms, ms);
}
