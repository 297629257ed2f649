/* The one place where a message of a log is judged and its entries are applied. The body of a received batch
 * is rewritten in place: PUBLISH becomes message and SPUBLISH smessage, names of one length, and from then on
 * the bytes that the publisher's client sent are what subscribers receive. */
#include "bridge/core/internal.h"

/* ---- reading ---- */

#define BYE_ARGS 6 /* SIDEBUS BYE name incarnation number last|more */

struct bye {
  char name[SB_NODE_NAME_MAX + 1];
  struct sb_incarnation incarnation;
  uint64_t number;
};

static bool read_bye(struct sb_bytes body, uint32_t off, struct bye *out) {
  struct sb_bytes args[BYE_ARGS];
  if (sb_entry_args(body, &off, args, BYE_ARGS) != BYE_ARGS || !sb_bytes_equal(args[1], sb_bytes_of("BYE")) ||
      !sb_node_name_valid((const char *)args[2].at, args[2].len))
    return false;
  memcpy(out->name, args[2].at, args[2].len);
  out->name[args[2].len] = 0;
  return sb_incarnation_parse((const char *)args[3].at, args[3].len, &out->incarnation) &&
         sb_bytes_u64(args[4], UINT64_MAX, &out->number) &&
         (sb_bytes_equal(args[5], sb_bytes_of("last")) || sb_bytes_equal(args[5], sb_bytes_of("more")));
}

/* Finds all entries of a batch before any of them is applied: a malformed batch has no effect at all. */
static bool index_entries(struct sb_core *core, struct sb_bytes body, uint32_t count) {
  uint32_t off = 0;
  struct bye bye;
  struct sb_interest_entry interest;
  if (count == 0 || count > SB_BATCH_ENTRIES_MAX) return false;
  for (uint32_t i = 0; i < count; i++) {
    struct sb_entry *entry = &core->entries[i];
    if (!sb_entry_next(body, &off, i > 0 ? entry - 1 : NULL, entry)) return false;
    if (entry->kind == SB_ENTRY_SIDEBUS && !read_bye(body, entry->off, &bye) &&
        !sb_interest_entry_read(body, entry->off, &interest))
      return false;
  }
  return off == body.len;
}

#define CONTROL_ARGS 8

bool sb_control_read(struct sb_bytes body, struct sb_control *out) {
  struct sb_bytes args[CONTROL_ARGS];
  uint32_t off = 0;
  uint64_t a, b;
  uint32_t count = sb_entry_args(body, &off, args, CONTROL_ARGS);
  *out = (struct sb_control){0};
  if (count < 4 || off != body.len || !sb_bytes_equal(args[0], sb_bytes_of("SIDEBUS"))) return false;
  if (count == 4 && sb_bytes_equal(args[1], sb_bytes_of("HELLO"))) {
    out->kind = SB_CONTROL_HELLO;
    if (!sb_bytes_u64(args[2], SB_PARTITIONS_MAX, &a) || a == 0 ||
        !sb_bytes_u64(args[3], UINT64_MAX, &out->version))
      return false;
    out->partitions = (uint32_t)a;
    return true;
  }
  if (count == 6 && sb_bytes_equal(args[1], sb_bytes_of("SNAPSHOT"))) {
    out->kind = SB_CONTROL_SNAPSHOT;
    if (!sb_bytes_u64(args[2], SB_SEQUENCE_MAX, &out->as_of) ||
        !sb_bytes_u64(args[3], SB_SNAPSHOT_PARTS_MAX, &a) ||
        !sb_bytes_u64(args[4], SB_SNAPSHOT_PARTS_MAX, &b) || a >= b)
      return false;
    out->part = (uint32_t)a;
    out->parts = (uint32_t)b;
    out->text = args[5];
    return true;
  }
  if (count == 5 && sb_bytes_equal(args[1], sb_bytes_of("FOUND"))) {
    out->kind = SB_CONTROL_FOUND;
    if (!sb_bytes_u64(args[2], SB_SEQUENCE_MAX, &out->hello_at) ||
        !sb_bytes_u64(args[3], SB_GENERATION_MAX, &out->generation) ||
        !sb_bytes_u64(args[4], SB_PARTITIONS_MAX, &a) || a == 0)
      return false;
    out->partitions = (uint32_t)a;
    return true;
  }
  return false;
}

/* ---- applying ---- */

static void apply_bye(struct sb_partition *part, struct sb_bytes body, const struct sb_entry *entry) {
  struct sb_core *core = part->core;
  struct bye bye;
  if (!read_bye(body, entry->off, &bye)) return;
  if (!sb_state_bye(&part->state, bye.name, bye.incarnation, bye.number)) return;
  sb_core_log(core, SB_LOG_INFO, "partition %u: node %s left", part->index, bye.name);
}

static void apply_interest(struct sb_partition *part, const char *sender,
                           const struct sb_interest_entry *entry) {
  if (sb_state_interest(&part->state, sender, entry->kind, entry->name, entry->count) || part->interest_full)
    return;
  part->interest_full = true;
  sb_core_log(
      part->core, SB_LOG_ERROR,
      "partition %u: there are more subscriptions in the cluster than are counted; counts are too low",
      part->index);
}

static void apply_sidebus(struct sb_partition *part, const char *sender, struct sb_bytes body,
                          const struct sb_entry *entry) {
  struct sb_interest_entry interest;
  if (sb_interest_entry_read(body, entry->off, &interest))
    apply_interest(part, sender, &interest);
  else
    apply_bye(part, body, entry);
}

/* Walks the waiters of an own batch, some entries after the others. */
struct answering {
  const struct sb_batch *batch; /* NULL: it was not ours */
  uint32_t waiter, done;
};

static void answer_one(struct sb_partition *part, const struct sb_waiter *waiter) {
  if (waiter->what == SB_WAITS_ANSWER) {
    struct sb_question *question = sb_ring_question(waiter->session, waiter->slot);
    if (question) sb_question_look(question, part); /* else it was refused elsewhere, or its session closed */
    sb_ring_count_down(part->core, waiter->session, waiter->slot);
  } else {
    sb_subscription_changed(part->core, part->index, waiter);
  }
}

static void answer(struct sb_partition *part, struct answering *answering, uint32_t count,
                   uint64_t receivers) {
  const struct sb_batch *batch = answering->batch;
  while (batch && count > 0 && answering->waiter < batch->waiters_count) {
    const struct sb_waiter *waiter = &batch->waiters[answering->waiter];
    uint32_t slot = waiter->slot + answering->done, take = waiter->count - answering->done;
    if (take > count) take = count;
    count -= take;
    answering->done += take;
    if (answering->done == waiter->count) {
      answering->waiter++;
      answering->done = 0;
    }
    if (waiter->what != SB_WAITS_INTEGER)
      answer_one(part, waiter);
    else if (waiter->session)
      sb_ring_answer_integers(part->core, waiter->session, slot, take, receivers);
  }
}

/* The cluster's subscribers of a PUBLISH or SPUBLISH at this position of the log. */
static uint64_t receivers_of(const struct sb_partition *part, const struct sb_body *body,
                             const struct sb_entry *entry) {
  const struct sb_counts *counts = &part->state.counts;
  struct sb_bytes channel = sb_bytes(body->data + entry->key_off, entry->key_len);
  enum sb_sub_kind kind = entry->kind == SB_ENTRY_SPUBLISH ? SB_SUB_SHARD : SB_SUB_CHANNEL;
  uint64_t receivers = counts->count ? sb_counts_channel(counts, sb_counts_hash(kind, channel)) : 0;
  if (kind == SB_SUB_CHANNEL && counts->patterns.count > 0) receivers += sb_counts_matching(counts, channel);
  return receivers;
}

/* How many entries from `first` on go to one channel and may go out as one piece. A session may subscribe to
 * a channel and to a pattern that matches it: where there are patterns, entries go out one by one, in the
 * log's order. */
static uint32_t run_length(const struct sb_core *core, const struct sb_entry *first, uint32_t left) {
  uint32_t count = 1;
  if (core->interest.topics[SB_SUB_PATTERN].count > 0) return 1;
  while (count < left && first[count].same_head) count++;
  return count;
}

static void apply_entries(struct sb_partition *part, const char *sender, struct sb_body *body, uint32_t count,
                          const struct sb_batch *own) {
  struct sb_core *core = part->core;
  struct sb_views views = {.resp2 = body};
  struct answering answering = {.batch = own};
  uint32_t run;
  for (uint32_t i = 0; i < count; i += run) {
    const struct sb_entry *entry = &core->entries[i];
    uint64_t receivers = 0;
    run = 1;
    if (entry->kind <= SB_ENTRY_SPUBLISH) {
      run = run_length(core, entry, count - i);
      if (own) receivers = receivers_of(part, body, entry);
      sb_fan_out(part, &views, entry, run);
    } else if (entry->kind == SB_ENTRY_SIDEBUS) {
      apply_sidebus(part, sender, sb_bytes(body->data, body->len), entry);
    }
    answer(part, &answering, run, receivers);
  }
  core->stats.entries_delivered += count;
  sb_body_unref(views.resp3);
}

static bool is_own(const struct sb_partition *part, const struct sb_envelope *envelope) {
  return sb_incarnation_compare(envelope->incarnation, part->outbox_incarnation) == 0 &&
         strcmp(envelope->node, part->core->settings.node) == 0;
}

static bool dropped(struct sb_partition *part, const struct sb_message *message, const char *why) {
  sb_core_log(part->core, SB_LOG_WARN, "partition %u: message at %llu dropped: %s", part->index,
              (unsigned long long)message->sequence, why);
  part->core->stats.batches_malformed++;
  return false;
}

static struct sb_batch *accept_own(struct sb_partition *part, const struct sb_envelope *envelope) {
  size_t before = sb_partition_held(part);
  struct sb_batch *own = sb_outbox_accept(&part->outbox, envelope->number);
  sb_partition_account(part, before);
  sb_partition_accepted(part);
  return own;
}

static void accept_batch(struct sb_partition *part, const struct sb_message *message) {
  struct sb_batch *own = NULL;
  part->core->stats.batches_accepted++;
  sb_state_heard(&part->state, message->envelope->node, part->core->now_ms);
  if (is_own(part, message->envelope))
    own = accept_own(part, message->envelope);
  else
    sb_partition_heard(part, message->envelope->node);
  bool whole = own && own->count == message->envelope->count;
  apply_entries(part, message->envelope->node, message->body, message->envelope->count, whole ? own : NULL);
  if (!own) return;
  /* Its number is gone, whoever used it. Sending it again under a new incarnation while this row stands would
   * order what flies behind it twice. */
  if (!whole) sb_partition_answer_unknown(part, own);
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
  struct sb_core *core = part->core;
  const struct sb_envelope *envelope = message->envelope;
  if (!index_entries(core, sb_bytes(message->body->data, message->body->len), envelope->count)) {
    dropped(part, message, "its body is not what its headers say");
    return;
  }
  switch (sb_state_batch(&part->state, envelope)) {
  case SB_VERDICT_ACCEPTED:
    accept_batch(part, message);
    break;
  case SB_VERDICT_DUPLICATE:
    core->stats.batches_duplicate++;
    break;
  case SB_VERDICT_STRANGER:
    core->stats.batches_stranger++;
    if (sb_partition_has_row(part)) go_back(part, envelope); /* the generation rose while it was on its way */
    break;
  case SB_VERDICT_LOSS:
    core->stats.losses_shown++;
    part->applied = before;
    sb_partition_lost(part, true, "the broker did not deliver what another node has read");
    break;
  case SB_VERDICT_HOLE:
    core->stats.batches_hole++;
    go_back(part, envelope);
    break;
  }
}

static void apply_foreign(struct sb_partition *part, const struct sb_message *message) {
  struct sb_core *core = part->core;
  const struct sb_bytes args[] = {sb_bytes_of("PUBLISH"),
                                  sb_bytes(message->channel->data, message->channel->len),
                                  sb_bytes(message->body->data, message->body->len)};
  struct sb_buf text = {0};
  sb_entry_append(&text, args, 3);
  struct sb_body *body = sb_body_new(text.len);
  memcpy(body->data, text.data, text.len);
  sb_buf_close(&text);
  core->stats.foreign_messages++;
  if (index_entries(core, sb_bytes(body->data, body->len), 1)) apply_entries(part, "", body, 1, NULL);
  sb_body_unref(body);
}

static void apply_hello(struct sb_partition *part, const struct sb_message *message,
                        const struct sb_control *hello) {
  struct sb_core *core = part->core;
  const struct sb_envelope *envelope = message->envelope;
  bool same_name = strcmp(envelope->node, core->settings.node) == 0;
  bool stood = sb_partition_has_row(part); /* a twin that repeats itself displaces nobody twice */
  bool accepted = sb_state_hello(&part->state, envelope->node, envelope->incarnation, hello->partitions,
                                 envelope->generation);
  if (part->state.generation > part->known_generation) part->known_generation = part->state.generation;
  if (same_name && envelope->incarnation.nonce == core->settings.nonce) {
    sb_state_heard(&part->state, envelope->node, core->now_ms);
    if (accepted && sb_partition_has_row(part)) {
      sb_partition_restamp(part);
      sb_partition_announce(part);
    }
    return;
  }
  if (accepted) {
    sb_core_log(core, SB_LOG_INFO, "partition %u: node %s joined", part->index, envelope->node);
    sb_partition_heard(part, envelope->node);
    sb_state_heard(&part->state, envelope->node, core->now_ms);
  }
  /* Partition 0 decides: two logs could turn out one of the twins each. */
  if (accepted && same_name && stood && part->index == 0 && ++part->displaced >= 2) {
    core->io.fatal(core->io.owner, "another running node has the same name: give each its own `node`");
    core->failed = true;
    return;
  }
  sb_partition_answer(part, message->sequence);
}

static void apply_found(struct sb_partition *part, const struct sb_message *message,
                        const struct sb_control *control) {
  const struct sb_envelope *envelope = message->envelope;
  const struct sb_found found = {
      .sequence = message->sequence,
      .hello_at = control->hello_at,
      .generation = control->generation,
      .time_ms = envelope->time_ms,
      .partitions = control->partitions,
      .name = envelope->node,
      .incarnation = envelope->incarnation,
  };
  if (!sb_state_found(&part->state, &found)) return;
  sb_state_heard(&part->state, envelope->node, part->core->now_ms);
  if (!sb_partitions_agree(part, found.partitions)) return; /* nobody here would get a row again */
  if (control->generation > part->known_generation) part->known_generation = control->generation;
  sb_core_log(part->core, SB_LOG_NOTICE, "partition %u: node %s founded the log anew, generation %llu",
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
  case SB_CONTROL_FOUND:
    apply_found(part, message, &control);
    break;
  case SB_CONTROL_SNAPSHOT:
    sb_state_snapshot_seen(&part->state, message->sequence);
    if (control.as_of < message->sequence)
      sb_partition_snapshot_seen(part, control.as_of, control.part + 1 == control.parts);
    break;
  }
}

void sb_partition_apply(struct sb_partition *part, const struct sb_message *message) {
  bool had_row = sb_partition_has_row(part);
  uint64_t before = part->applied;
  part->applied = message->sequence;
  if (message->envelope->foreign)
    apply_foreign(part, message);
  else if (message->envelope->number == 0)
    apply_control(part, message);
  else
    apply_batch(part, message, before);
  if (had_row && part->ready && !sb_partition_has_row(part) && !part->core->failed &&
      !sb_partition_left(part))
    sb_partition_rejoin(part);
}

/* ---- what comes from the transport ---- */

/* True when the message may be looked at further; its body is then plain. */
static bool check_message(struct sb_partition *part, struct sb_message *message) {
  const struct sb_envelope *envelope = message->envelope;
  if (message->sequence > SB_SEQUENCE_MAX) return dropped(part, message, "its sequence is out of range");
  if (envelope->malformed || (envelope->foreign && !message->channel))
    return dropped(part, message, "its headers are not of docs/wire.md");
  if (envelope->foreign) return true;
  if (envelope->version != SB_WIRE_VERSION || envelope->generation > SB_GENERATION_MAX ||
      envelope->incarnation.start_ms > SB_START_MS_MAX)
    return dropped(part, message, "its version or generation is unknown to this node");
  if (!envelope->lz4) return true;
  struct sb_body *plain = sb_codec_unpack(message->body);
  if (!plain) return dropped(part, message, "its body is not a valid LZ4 frame");
  sb_body_unref(message->body);
  message->body = plain;
  return true;
}

/* Whether a batch ends with the BYE of the last member: then nobody is left to answer a HELLO. */
static bool says_last_left(struct sb_core *core, const struct sb_message *message) {
  struct sb_bytes body = sb_bytes(message->body->data, message->body->len);
  static const char tail[] = "$4\r\nlast\r\n";
  size_t tail_len = sizeof tail - 1;
  if (message->envelope->foreign || message->envelope->number == 0 || body.len < tail_len) return false;
  if (memcmp(body.at + body.len - tail_len, tail, tail_len) != 0) return false;
  return index_entries(core, body, message->envelope->count) &&
         core->entries[message->envelope->count - 1].kind == SB_ENTRY_SIDEBUS;
}

void sb_core_delivery(struct sb_core *core, uint32_t partition, uint64_t sequence,
                      const struct sb_envelope *envelope, struct sb_body *channel, struct sb_body *body) {
  struct sb_partition *part = &core->partitions[partition];
  struct sb_message message = {.sequence = sequence, .envelope = envelope, .channel = channel, .body = body};
  core->stats.bytes_delivered += body->len;
  if (part->any_seen && sequence <= part->last_seen) {
    core->stats.batches_duplicate++; /* a redelivery of the broker */
  } else if (check_message(part, &message)) {
    if (envelope->generation > part->known_generation) part->known_generation = envelope->generation;
    if (part->ready) {
      sb_partition_apply(part, &message);
      part->any_seen = true;
      part->last_seen = sequence;
    } else {
      bool left = says_last_left(core, &message);
      sb_partition_joining(part, &message); /* takes the bodies */
      part->any_seen = true;
      part->last_seen = sequence;
      part->last_left = left;
      return;
    }
  } else {
    part->any_seen = true;
    part->last_seen = sequence;
  }
  sb_body_unref(message.channel);
  sb_body_unref(message.body);
}
