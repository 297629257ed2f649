/* What a partition sends: numbered batches by the window rule, again from the oldest when something says so,
 * and control messages. Rules: docs/log.md, "Sending". */
#include "bridge/core/log/outgoing.h"

#include "bridge/base/assert.h"
#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/error.h"
#include "bridge/base/limits.h"
#include "bridge/base/link.h"
#include "bridge/base/log.h"
#include "bridge/core/log/chain.h"
#include "bridge/core/log/dispatch.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/state/glob_index.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/fragment.h"

#define CONTROL_TOKEN (UINT64_C(1) << 63)

static void fill_envelope(const struct sb_partition *part, struct sb_envelope *envelope) {
  *envelope = (struct sb_envelope){
      .version = SB_WIRE_VERSION,
      .count = 1,
      .attempt = part->outbox.attempt,
      .generation = sb_partition_is_ready(part) ? part->state.generation : part->known_generation,
      .time_ms = sb_partition_stamp(part),
      .incarnation = part->incarnation,
  };
  memcpy(envelope->node, part->logs->settings.node, sizeof envelope->node);
}

int sb_partition_send_control(struct sb_partition *part, const struct sb_control *control) {
  struct sb_logs *logs = part->logs;
  struct sb_envelope envelope;
  if (!part->publish_up) return SB_ERR_LINK;
  struct sb_body *body = sb_control_write(control);
  fill_envelope(part, &envelope);
  /* Whoever accepts a HELLO learns from it how high generations have been (docs/log.md). */
  if (part->known_generation > envelope.generation) envelope.generation = part->known_generation;
  int result = logs->io.publish(logs->io.owner, part->index, &envelope, body,
                                CONTROL_TOKEN | sb_dispatch_token(&part->dispatch));
  sb_body_unref(body);
  return result;
}

/* The rate limit's bucket holds a second's worth of sends; false: it is empty. */
static bool rate_allows(struct sb_logs *logs) {
  uint64_t rate = logs->settings.rate_per_s;
  if (rate == 0) return true;
  logs->rate_credit += (logs->now_ms - logs->rate_at_ms) * rate;
  logs->rate_at_ms = logs->now_ms;
  if (logs->rate_credit > rate * 1000) logs->rate_credit = rate * 1000;
  return logs->rate_credit >= 1000;
}

/* One was sent. Next time the other partitions come first, so that a flooded log leaves them their share. */
static void rate_take(struct sb_partition *part) {
  struct sb_logs *logs = part->logs;
  if (logs->settings.rate_per_s == 0) return;
  logs->rate_credit -= 1000;
  logs->turn_first = (part->index + 1) % logs->settings.partitions;
}

static bool lingers(const struct sb_partition *part) {
  const struct sb_logs *logs = part->logs;
  const struct sb_outbox *outbox = &part->outbox;
  return logs->settings.linger_ms > 0 && !outbox->unsent && outbox->open && !outbox->open->urgent &&
         outbox->collected.len < logs->settings.batch_bytes &&
         logs->now_ms < outbox->open_since_ms + logs->settings.linger_ms;
}

static const char too_large[] = "-ERR the broker's message limit became lower than this message\r\n";

/* One entry that is larger than the broker takes that we are connected to now. It is refused, but its number
 * must not stay a hole, so a heartbeat is sent under it. If a broker with a higher limit had taken the entry
 * before, whichever of the two stands first in the log counts. */
static void refuse_batch(struct sb_partition *part, struct sb_batch *batch) {
  sb_logs_say(part->logs, SB_LOG_ERROR,
              "partition %u: %u entries refused: %zu bytes are more than the broker takes", part->index,
              batch->count, batch->body->len);
  sb_logs_settle(part->logs, part, batch, SB_OUTCOME_REFUSED, sb_bytes(too_large, sizeof too_large - 1));
  sb_outbox_blank(&part->outbox, batch, sb_bytes(SB_ENTRY_HEARTBEAT, sizeof SB_ENTRY_HEARTBEAT - 1));
}

/* How many bytes of the entry go into each fragment, when the broker does not take the batch that is to leave
 * next as it is; 0: it cannot travel in fragments. What we know of the broker's limit may be old, so each
 * attempt is at most half as large as the one before. */
static size_t fragment_bytes(const struct sb_logs *logs, const struct sb_batch *batch) {
  enum sb_waits what = batch->waiters[0].what;
  size_t whole = batch->whole ? batch->whole->len : batch->plain_bytes;
  size_t tried = batch->refused_bytes ? batch->refused_bytes : whole;
  size_t half = ((batch->whole ? batch->fragment_bytes : tried) + 1) / 2,
         bytes = sb_fragment_bytes(logs->entry_max);
  if (batch->count > 1 || what == SB_WAITS_JOINED || what == SB_WAITS_LEFT || whole > SB_PAYLOAD_BYTES_MAX)
    return 0;
  if (bytes > half) bytes = half;
  return bytes < SB_FRAGMENT_BYTES_MIN || (whole - 1) / bytes >= SB_FRAGMENTS_MAX ? 0 : bytes;
}

enum divided { DIVIDED, NEEDS_INCARNATION, CANNOT_BE_DIVIDED };

/* The broker does not take what is to leave next. It may have been made when the limit was higher, or it is
 * an entry that needs several messages. It is divided. But if its number may stand in the log already, it
 * must not mean something else now: then this node needs a new incarnation first. */
static enum divided divide(struct sb_partition *part) {
  struct sb_batch *batch = part->outbox.unsent, *last = batch;
  size_t bytes = fragment_bytes(part->logs, batch);
  if (batch->count == 1 && !batch->whole && bytes == 0) return CANNOT_BE_DIVIDED;
  if (!batch->token && batch->fragment <= 1) {
    if (batch->count > 1) return sb_outbox_halve(&part->outbox) ? DIVIDED : CANNOT_BE_DIVIDED;
    if (batch->whole) sb_outbox_uncut(&part->outbox);
    return bytes > 0 && sb_outbox_cut(&part->outbox, bytes) ? DIVIDED : CANNOT_BE_DIVIDED;
  }
  sb_logs_say(
      part->logs, SB_LOG_NOTICE,
      "partition %u: the broker's message limit became lower; this node joins again to divide %zu bytes",
      part->index, batch->body->len);
  while (last->fragment < last->fragments) last = last->next; /* what the fragments become again */
  if (batch->count == 1) last->refused_bytes = batch->whole ? batch->fragment_bytes : batch->plain_bytes;
  return NEEDS_INCARNATION;
}

static int publish(struct sb_partition *part, struct sb_batch *batch) {
  SB_ASSERT(sb_partition_has_row(part)); /* nothing numbered is sent without a row */
  struct sb_logs *logs = part->logs;
  struct sb_envelope envelope;
  fill_envelope(part, &envelope);
  envelope.number = batch->number;
  envelope.base = part->outbox.first->number;
  envelope.count = batch->count;
  envelope.lz4 = batch->lz4;
  if (sb_chain_claims(&part->chain, logs->now_ms, logs->settings.lease_ms)) sb_batch_claim(batch);
  if (batch->claims) envelope.claim = part->state.chain;
  uint64_t token = sb_dispatch_token(&part->dispatch);
  int result = logs->io.publish(logs->io.owner, part->index, &envelope, batch->body, token);
  if (result != 0) return result;
  if (batch->token)
    logs->stats.batches_resent++;
  else
    logs->stats.batches_published++;
  logs->stats.bytes_published += batch->body->len;
  sb_outbox_sent(&part->outbox, batch, token, logs->now_ms);
  sb_dispatch_sent(&part->dispatch, logs->now_ms);
  return 0;
}

static bool may_send(struct sb_partition *part) {
  if (!part->publish_up || !sb_partition_is_ready(part) || sb_outbox_empty(&part->outbox)) return false;
  if (sb_dispatch_pauses(&part->dispatch, part->logs->now_ms)) return false;
  return sb_partition_has_row(part);
}

/* Under an incarnation that has sent nothing yet. Its row may have numbers all the same, when somebody spoke
 * in our name while we joined. */
static void begin_numbers(struct sb_partition *part) {
  if (sb_incarnation_compare(part->dispatch.incarnation, part->incarnation) == 0) return;
  const struct sb_row *row = sb_state_row(&part->state, part->logs->settings.node);
  sb_outbox_skip(&part->outbox, row->number);
  sb_dispatch_number_under(&part->dispatch, part->incarnation);
}

enum sb_sent sb_outgoing_send(struct sb_partition *part) {
  struct sb_logs *logs = part->logs;
  /* The linger begins here and not when the first entry came, for now_ms may have been old then. */
  if (part->outbox.open && part->outbox.open_since_ms == 0) part->outbox.open_since_ms = logs->now_ms;
  if (!may_send(part)) return SB_SENT;
  if (part->dispatch.resend_wanted) {
    sb_dispatch_resend_done(&part->dispatch);
    sb_outbox_resend(&part->outbox);
  }
  begin_numbers(part);
  /* The rate is asked first, so that a batch that has to wait for it goes on collecting. */
  while (!lingers(part) && rate_allows(logs)) {
    struct sb_batch *batch = sb_outbox_next(&part->outbox, logs->settings.compress);
    if (!batch) return SB_SENT;
    int result = publish(part, batch);
    if (result == 0) {
      rate_take(part);
    } else if (result == SB_ERR_TOO_LARGE && batch->body->len > sizeof SB_ENTRY_HEARTBEAT) {
      enum divided divided = divide(part);
      if (divided == NEEDS_INCARNATION) return SB_SENT_JOINS_AGAIN;
      if (divided == CANNOT_BE_DIVIDED) refuse_batch(part, part->outbox.unsent);
    } else if (result != 0) {
      sb_dispatch_full(&part->dispatch, logs->now_ms);
      return SB_SENT;
    }
  }
  return SB_SENT;
}

static void resend(struct sb_partition *part, bool pause) {
  sb_dispatch_resend(&part->dispatch, part->outbox.in_flight > 0, part->logs->now_ms, pause);
}

void sb_partition_resend(struct sb_partition *part) {
  resend(part, false);
}

void sb_partition_settled(struct sb_partition *part, uint64_t token, enum sb_settle outcome) {
  if (outcome == SB_SETTLE_CONFIRMED || (token & CONTROL_TOKEN)) return; /* the echo is the proof */
  for (struct sb_batch *batch = part->outbox.first; batch != part->outbox.unsent; batch = batch->next)
    if (batch->token == token) {
      resend(part, outcome == SB_SETTLE_REJECTED);
      return;
    }
}

/* The last resort, when nothing said that something is missing: only while the log can be read and written.
 */
void sb_partition_send_timers(struct sb_partition *part) {
  if (!sb_partition_is_ready(part) || !part->publish_up || !part->consume_up || part->outbox.in_flight == 0 ||
      part->dispatch.resend_wanted)
    return;
  if (part->logs->now_ms - part->outbox.first->sent_ms < part->dispatch.rto_ms) return;
  sb_logs_say(part->logs, SB_LOG_INFO,
              "partition %u: batch %llu did not come back within %llu ms; sending again", part->index,
              (unsigned long long)part->outbox.first->number, (unsigned long long)part->dispatch.rto_ms);
  sb_dispatch_timed_out(&part->dispatch);
  resend(part, false);
}

uint64_t sb_partition_send_deadline(const struct sb_partition *part) {
  const struct sb_logs *logs = part->logs;
  const struct sb_outbox *outbox = &part->outbox;
  uint64_t due = UINT64_MAX;
  if (!part->publish_up || sb_outbox_empty(outbox) || !sb_partition_has_row(part)) return due;
  if (outbox->in_flight > 0 && part->consume_up && !part->dispatch.resend_wanted)
    due = outbox->first->sent_ms + part->dispatch.rto_ms;
  if (outbox->in_flight > 0 && !part->dispatch.resend_wanted) return due;
  /* Something could leave, but waits for a pause, a full queue, the rate limit or the linger. */
  uint64_t next = part->dispatch.not_before_ms;
  if (lingers(part)) next = outbox->open_since_ms + logs->settings.linger_ms;
  if (next <= logs->now_ms) next = sb_dispatch_retry_ms(logs->now_ms);
  return next < due ? next : due;
}

void sb_partition_make_room_to_match(struct sb_partition *part, struct sb_bytes channel, uint32_t count) {
  const struct sb_glob_index *globs = &part->state.counts.globs;
  if (globs->count == 0) return;
  uint64_t steps = sb_glob_index_steps(globs, channel.len) * count;
  if (sb_dispatch_match(&part->dispatch, part->outbox.open != NULL, steps))
    sb_outbox_seal(&part->outbox, part->logs->settings.compress);
}
