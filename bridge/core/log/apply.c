/* The one place where a message of a log is judged; what its entries do is in entries.c. */
#include "bridge/core/log/apply.h"

#include "bridge/base/assert.h"
#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/checkpoint.h"
#include "bridge/core/log/entries.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/held.h"
#include "bridge/core/log/interpret.h"
#include "bridge/core/log/join.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/log/lease.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/phase.h"
#include "bridge/core/log/range.h"
#include "bridge/core/log/recovery.h"
#include "bridge/core/log/replay.h"
#include "bridge/core/log/sending.h"
#include "bridge/core/log/standing.h"
#include "bridge/core/state/genesis.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/codec.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/id.h"

/* ---- applying ---- */

static bool is_own(const struct sb_partition *part, const struct sb_envelope *envelope) {
  return sb_incarnation_compare(envelope->incarnation, part->pace.incarnation) == 0 &&
         strcmp(envelope->node, part->logs->settings.node) == 0;
}

static bool dropped(struct sb_partition *part, const struct sb_message *message, const char *why) {
  sb_logs_say(part->logs, SB_LOG_WARN, "partition %u: message at %llu dropped: %s", part->index,
              (unsigned long long)message->sequence, why);
  struct sb_core_stats *stats = &part->logs->stats;
  switch (message->envelope->refused) {
  case SB_REFUSED_NOT:
    stats->batches_malformed++;
    break;
  case SB_REFUSED_UNSIGNED:
    stats->batches_unsigned++;
    break;
  case SB_REFUSED_FORGED:
    stats->batches_forged++;
    break;
  case SB_REFUSED_UNTRUSTED:
    stats->batches_untrusted++;
    break;
  }
  return false;
}

static struct sb_batch *accept_own(struct sb_partition *part, const struct sb_envelope *envelope) {
  size_t before = sb_partition_held(part);
  struct sb_batch *own = sb_outbox_accept(&part->outbox, envelope->number);
  sb_partition_account(part, before);
  sb_partition_accepted(part);
  return own;
}

static void apply_entries(struct sb_partition *part, const char *sender, uint64_t sequence,
                          struct sb_body *body, uint32_t count, const struct sb_batch *own) {
  struct sb_logs *logs = part->logs;
  const struct sb_applying applying = {
      .logs = logs,
      .state = &part->state,
      .history = &part->history,
      .part = part,
      .sender = sender,
      .sequence = sequence,
      .now_ms = logs->now_ms,
      .body = body,
      .own = own,
  };
  logs->stats.entries_delivered += sb_entries_apply(&applying, count);
}

static void accept_batch(struct sb_partition *part, const struct sb_message *message) {
  struct sb_batch *own = NULL;
  part->logs->stats.batches_accepted++;
  sb_partition_time_heard(part, message->envelope->time_ms);
  sb_keys_expire_here(&part->state, &part->history, part->state.time_ms);
  sb_state_heard(&part->state, message->envelope->node, part->logs->now_ms);
  if (is_own(part, message->envelope))
    own = accept_own(part, message->envelope);
  else
    sb_partition_heard(part, message->envelope->node);
  bool whole = own && own->count == message->envelope->count;
  apply_entries(part, message->envelope->node, message->sequence, message->body, message->envelope->count,
                whole ? own : NULL);
  if (!own) return;
  /* Its number is gone, whoever used it. Sending it again under a new incarnation while this row stands would
   * order what flies behind it twice. */
  if (!whole) sb_partition_settle(part, own, SB_OUTCOME_UNKNOWN, sb_bytes(NULL, 0));
  sb_partition_own_echo(part, own->first_sent_ms); /* which sending came back is not known */
  sb_batch_free(own);
}

/* An own batch was dropped. Drops of an earlier attempt say nothing new: what is missing was sent again
 * since. */
static void go_back(struct sb_partition *part, const struct sb_envelope *envelope) {
  if (is_own(part, envelope) && envelope->attempt == part->outbox.attempt) sb_partition_resend(part, false);
}

/* `before` is the sequence of the message before it. */
static void apply_batch(struct sb_partition *part, const struct sb_message *message, uint64_t before) {
  struct sb_logs *logs = part->logs;
  const struct sb_envelope *envelope = message->envelope;
  if (!sb_entries_index(logs, sb_bytes(message->body->data, message->body->len), envelope->count)) {
    dropped(part, message, "its body is not what its headers say");
    return;
  }
  switch (sb_state_batch(&part->state, envelope)) {
  case SB_VERDICT_ACCEPTED:
    accept_batch(part, message);
    break;
  case SB_VERDICT_DUPLICATE:
    logs->stats.batches_duplicate++;
    break;
  case SB_VERDICT_STRANGER:
    logs->stats.batches_stranger++;
    if (sb_partition_has_row(part)) go_back(part, envelope); /* the generation rose while it was on its way */
    break;
  case SB_VERDICT_LOSS:
    logs->stats.losses_shown++;
    part->applied = before;
    sb_partition_lost(part, true, "the broker did not deliver what another node has read");
    break;
  case SB_VERDICT_HOLE:
    logs->stats.batches_hole++;
    go_back(part, envelope);
    break;
  }
}

static void apply_foreign(struct sb_partition *part, const struct sb_message *message) {
  struct sb_logs *logs = part->logs;
  struct sb_body *body = sb_foreign_entry(message);
  logs->stats.foreign_messages++;
  if (sb_entries_index(logs, sb_bytes(body->data, body->len), 1))
    apply_entries(part, "", message->sequence, body, 1, NULL);
  sb_body_unref(body);
}

/* Another process with our name took our place. Our next HELLO names it: who reads its own incarnation there
 * knows that we were alive when it had come already. */
static void displaced(struct sb_partition *part, const struct sb_envelope *envelope,
                      const struct sb_control *hello) {
  part->joining.met = envelope->incarnation;
  sb_logs_say(part->logs, SB_LOG_WARN, "partition %u: another process came under the name of this node: %.*s",
              part->index, (int)hello->about.len, (const char *)hello->about.at);
}

static void apply_hello(struct sb_partition *part, const struct sb_message *message,
                        const struct sb_control *hello) {
  struct sb_logs *logs = part->logs;
  const struct sb_envelope *envelope = message->envelope;
  bool same_name = strcmp(envelope->node, logs->settings.node) == 0;
  bool accepted = sb_state_hello(&part->state, envelope->node, envelope->incarnation, hello->partitions,
                                 envelope->generation);
  if (part->state.generation > part->known_generation) part->known_generation = part->state.generation;
  if (same_name && envelope->incarnation.nonce == logs->settings.nonce) {
    sb_state_heard(&part->state, envelope->node, logs->now_ms);
    if (accepted && sb_partition_has_row(part)) {
      sb_phase_move(part, SB_PHASE_READY);
      part->joining.met = (struct sb_incarnation){0};
      sb_partition_restamp(part);
      sb_partition_announce(part);
    }
    return;
  }
  if (accepted) {
    part->best_held = sb_id_later(part->best_held, hello->holds);
    sb_logs_say(logs, SB_LOG_INFO, "partition %u: node %s joined", part->index, envelope->node);
    sb_partition_heard(part, envelope->node);
    sb_state_heard(&part->state, envelope->node, logs->now_ms);
  }
  if (!sb_partition_may_stay(part, envelope, hello)) return;
  if (accepted && same_name) displaced(part, envelope, hello);
  sb_partition_answer(part, message->sequence);
}

/* Ids have fallen: what is read back of before would stand above what comes. */
static void forget_what_was_before(struct sb_partition *part) {
  part->log_begin = part->history.begin;
  part->followed_from = part->history.begin;
  sb_range_drop(part);
  sb_prefill_drop(part);
  sb_history_record(&part->history, false);
  part->logs->readers_wait = true;
}

static void apply_genesis(struct sb_partition *part, const struct sb_message *message,
                          const struct sb_control *control) {
  const struct sb_envelope *envelope = message->envelope;
  struct sb_keys brought = {0};
  struct sb_genesis genesis = sb_genesis_of(message, control, &part->brought, &brought);
  struct sb_held lost = sb_held_of(part, message->sequence - 1);
  uint64_t before = part->state.generation;
  genesis.lost = &lost.keys;
  bool accepted = sb_genesis_apply(&part->state, &part->history, &genesis);
  sb_keys_close(&brought);
  if (!accepted) return;
  if (genesis.generation < before) forget_what_was_before(part);
  if (!genesis.keeps_keys && !genesis.brings_keys) {
    part->best_held = (struct sb_id){0};
    sb_held_take(part, &lost);
  } else {
    sb_keys_close(&lost.keys);
  }
  sb_state_heard(&part->state, envelope->node, part->logs->now_ms);
  if (!sb_partitions_agree(part, genesis.partitions)) return; /* nobody here would get a row again */
  if (control->generation > part->known_generation) part->known_generation = control->generation;
  sb_logs_say(part->logs, SB_LOG_NOTICE, "partition %u: node %s founded the log anew, generation %llu",
              part->index, envelope->node, (unsigned long long)control->generation);
}

static void apply_control(struct sb_partition *part, const struct sb_message *message) {
  struct sb_control control;
  if (!sb_control_read(sb_bytes(message->body->data, message->body->len), &control)) {
    dropped(part, message, "not a control message that this version knows");
    return;
  }
  switch (control.kind) {
  case SB_CONTROL_HELLO:
    apply_hello(part, message, &control);
    break;
  case SB_CONTROL_GENESIS:
    apply_genesis(part, message, &control);
    break;
  case SB_CONTROL_SNAPSHOT:
    sb_state_snapshot_seen(&part->state, message->sequence);
    if (control.as_of < message->sequence)
      sb_partition_snapshot_seen(part, control.as_of, control.piece + 1 == control.pieces);
    sb_checkpoint_seen(part, &control);
    break;
  case SB_CONTROL_CHECKPOINT:
    sb_checkpoint_seen(part, &control);
    break;
  case SB_CONTROL_KEYS:
    sb_brought_take(&part->brought, message->envelope, &control, message->sequence);
    break;
  }
}

void sb_partition_apply(struct sb_partition *part, const struct sb_message *message) {
  bool had_row = sb_partition_has_row(part);
  uint64_t before = part->applied;
  SB_ASSERT(sb_partition_is_ready(part) && message->sequence > before);
  part->applied = message->sequence;
  sb_checkpoint_count(part, message->body->len);
  if (message->envelope->foreign)
    apply_foreign(part, message);
  else if (message->envelope->number == 0)
    apply_control(part, message);
  else
    apply_batch(part, message, before);
  if (!had_row || !sb_partition_is_ready(part) || sb_partition_has_row(part) || part->logs->failed) return;
  if (part->lease.goodbye_said && sb_outbox_empty(&part->outbox))
    sb_phase_move(part, SB_PHASE_LEFT);
  else
    sb_partition_rejoin(part);
}

/* ---- what comes from the transport ---- */

static const char *refusal(const struct sb_envelope *envelope) {
  switch (envelope->refused) {
  case SB_REFUSED_NOT:
    return NULL;
  case SB_REFUSED_UNSIGNED:
    return "it is not signed, and this node has a hub.key_file";
  case SB_REFUSED_FORGED:
    return "its signature is of no key that this node has in hub.key_file or hub.other_key_file";
  case SB_REFUSED_UNTRUSTED:
    return "it speaks for a node, and is of none of rabbitmq.trusted_users or came through the exchange of "
           "other programs";
  }
  return NULL;
}

static bool of_another_version(const struct sb_envelope *envelope) {
  return !envelope->foreign && envelope->version > 0 && envelope->version != SB_WIRE_VERSION;
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

/* Why the message must not be looked at; NULL: it may be, and its body is plain. */
static const char *unfit(struct sb_message *message) {
  const struct sb_envelope *envelope = message->envelope;
  const char *refused = refusal(envelope);
  if (refused) return refused;
  if (message->sequence > SB_SEQUENCE_MAX) return "its sequence is out of range";
  if (of_another_version(envelope)) return "it is of another wire version";
  if (envelope->malformed || (envelope->foreign && !message->channel))
    return "its headers are not of docs/wire.md";
  if (envelope->foreign) return NULL;
  if (envelope->version != SB_WIRE_VERSION || envelope->generation > SB_GENERATION_MAX ||
      envelope->incarnation.start_ms > SB_START_MS_MAX)
    return "its version, generation or incarnation is out of range";
  if (!envelope->lz4) return NULL;
  struct sb_body *plain = sb_codec_unpack(message->body);
  if (!plain) return "its body is not a valid LZ4 frame";
  sb_body_unref(message->body);
  message->body = plain;
  return NULL;
}

static bool check_message(struct sb_partition *part, struct sb_message *message) {
  const char *why = unfit(message);
  if (why && message->envelope->refused == SB_REFUSED_NOT && of_another_version(message->envelope))
    say_version(part, message->envelope);
  return !why || dropped(part, message, why);
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

void sb_partition_delivery(struct sb_partition *part, uint64_t sequence, const struct sb_envelope *envelope,
                           struct sb_body *channel, struct sb_body *body) {
  struct sb_logs *logs = part->logs;
  struct sb_message message = {.sequence = sequence, .envelope = envelope, .channel = channel, .body = body};
  logs->stats.bytes_delivered += body->len;
  part->seen.heard_ms = logs->now_ms;
  if (logs->failed) {
    sb_body_unref(channel);
    sb_body_unref(body);
    return;
  }
  if (part->seen.any && sequence <= part->seen.last) {
    logs->stats.batches_duplicate++; /* a redelivery of the broker */
  } else if (check_message(part, &message)) {
    if (envelope->generation > part->known_generation) part->known_generation = envelope->generation;
    if (sb_partition_is_ready(part)) {
      sb_partition_apply(part, &message);
      part->seen.any = true;
      part->seen.last = sequence;
    } else {
      bool left = says_last_left(logs, &message);
      sb_partition_joining(part, &message); /* takes the bodies */
      part->seen.any = true;
      part->seen.last = sequence;
      part->seen.last_left = left;
      return;
    }
  } else {
    part->seen.any = true;
    part->seen.last = sequence;
  }
  sb_body_unref(message.channel);
  sb_body_unref(message.body);
}

/* ---- what is read back ---- */

void sb_partition_stored(struct sb_partition *part, uint64_t token, uint64_t sequence,
                         const struct sb_envelope *envelope, struct sb_body *channel, struct sb_body *body) {
  struct sb_back *back = sb_back_of(part, token);
  struct sb_message message = {.sequence = sequence, .envelope = envelope, .channel = channel, .body = body};
  if (back && !unfit(&message)) {
    sb_replay_take(&back->replay, &message);
    return;
  }
  sb_body_unref(message.channel);
  sb_body_unref(message.body);
}

void sb_partition_stored_end(struct sb_partition *part, uint64_t token, bool done) {
  struct sb_back *back = sb_back_of(part, token);
  if (back) sb_back_ended(part, back, done);
}
