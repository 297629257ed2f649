/* What the entries of an accepted batch do, one after the other, and the replies that this node's sessions
 * wait for. The body of a received batch is rewritten in place: PUBLISH becomes message and SPUBLISH
 * smessage, names of one length, and from then on the bytes that the publisher's client sent are what
 * subscribers receive. */
#include "bridge/core/log/entries.h"

#include <stdlib.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/log.h"
#include "bridge/base/reply.h"
#include "bridge/core/commands/errors.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/history/history.h"
#include "bridge/core/log/events.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/run_op.h"
#include "bridge/core/state/counts.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/state/state.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/fragment.h"
#include "bridge/core/wire/id.h"
#include "bridge/core/wire/key_text.h"
#include "bridge/core/wire/name.h"
#include "bridge/core/wire/sidebus.h"

/* ---- reading ---- */

bool sb_entry_is_bye(struct sb_bytes body, const struct sb_entry *entry) {
  struct sb_sidebus said;
  return entry->kind == SB_ENTRY_SIDEBUS && sb_sidebus_read(body, entry->off, &said) &&
         said.word == SB_SIDEBUS_BYE;
}

static bool is_xadd(struct sb_bytes body, const struct sb_entry *entry) {
  static const char name[] = "$4\r\nXADD\r\n"; /* behind "*n CRLF" */
  const uint8_t *at = memchr(body.at + entry->off, '\n', entry->len);
  size_t left = entry->len - (size_t)(at - (body.at + entry->off)) - 1;
  return left > sizeof name - 1 && memcmp(at + 1, name, sizeof name - 1) == 0;
}

/* How many ids an entry takes; `off` is behind the head of a MULTI's arguments. */
static uint32_t visible_in(struct sb_bytes body, const struct sb_entry *entry) {
  if (entry->kind == SB_ENTRY_PUBLISH) return 1;
  return entry->kind == SB_ENTRY_OP && is_xadd(body, entry);
}

/* The next command of a MULTI: an entry that fills an argument, which begins at *off. */
static bool next_in_multi(struct sb_bytes body, uint32_t *off, struct sb_entry *out) {
  const uint8_t *end = memchr(body.at + *off, '\n', body.len - *off);
  if (!end) return false;
  *off = (uint32_t)(end + 1 - body.at);
  if (!sb_entry_in_multi(body, off, out)) return false;
  *off += 2;
  return true;
}

/* Where the first command of a MULTI begins, and how many there are. */
static uint32_t multi_commands(struct sb_bytes body, const struct sb_entry *entry, uint32_t *off) {
  uint32_t skip = entry->off, count = sb_entry_skip(body, &skip) - 1;
  *off = entry->key_off - 3; /* back over CRLF to the '$' of the first one's length, whatever its digits */
  while (body.at[*off] != '$') --*off;
  return count;
}

static bool check_multi(struct sb_bytes body, const struct sb_entry *entry, uint32_t *visible) {
  struct sb_entry inner;
  uint32_t off, count = multi_commands(body, entry, &off), end = entry->off + entry->len;
  if (count > SB_MULTI_COMMANDS_MAX) return false;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t length_at = off;
    if (!next_in_multi(sb_bytes(body.at, end), &off, &inner)) return false;
    /* The argument holds this entry and nothing else. */
    uint64_t len;
    const uint8_t *digits = body.at + length_at + 1;
    if (!sb_bytes_u64(sb_bytes(digits, (size_t)(body.at + inner.off - 2 - digits)), end, &len) ||
        len != inner.len)
      return false;
    *visible += visible_in(body, &inner);
  }
  return off == end;
}

static bool check_sidebus(struct sb_bytes body, const struct sb_entry *entry, uint32_t *visible) {
  struct sb_sidebus said;
  if (!sb_sidebus_read(body, entry->off, &said)) return false;
  *visible += said.word == SB_SIDEBUS_NUMBER;
  return said.word != SB_SIDEBUS_PART || (entry->off == 0 && entry->len == body.len);
}

/* What is no PUBLISH or SPUBLISH. */
static bool check_other(struct sb_bytes body, const struct sb_entry *entry, uint32_t *visible) {
  if (entry->kind == SB_ENTRY_SIDEBUS) return check_sidebus(body, entry, visible);
  if (entry->kind == SB_ENTRY_MULTI) return check_multi(body, entry, visible);
  *visible += visible_in(body, entry);
  return true;
}

bool sb_entries_index(struct sb_logs *logs, struct sb_bytes body, uint32_t count) {
  uint32_t off = 0, visible = 0;
  if (count == 0 || count > SB_BATCH_ENTRIES_MAX) return false;
  for (uint32_t i = 0; i < count; i++) {
    struct sb_entry *entry = &logs->entries[i];
    if (!sb_entry_next(body, &off, i > 0 ? entry - 1 : NULL, entry)) return false;
    if (entry->kind == SB_ENTRY_PUBLISH)
      visible++;
    else if (entry->kind != SB_ENTRY_SPUBLISH && !check_other(body, entry, &visible))
      return false;
  }
  return off == body.len && visible <= SB_BATCH_ENTRIES_MAX;
}

/* ---- who waits ---- */

/* Where we are in the waiters of an own batch, while its entries are run. */
struct answering {
  const struct sb_batch *batch; /* NULL: it was not ours */
  uint32_t waiter, done;
};

struct run {
  const struct sb_applying *of;
  struct sb_views views;
  struct answering answering;
  struct sb_applied applied;
  uint32_t index; /* of the next entry that gets an id */
  bool large;     /* a range of this MULTI did not fit */
};

static struct sb_bytes bytes_of(const struct run *run) {
  return sb_bytes(run->of->body->data, run->of->body->len);
}

static void answer(struct run *run, uint32_t count, uint64_t receivers, struct sb_bytes reply) {
  struct answering *answering = &run->answering;
  const struct sb_log_events *events = run->of->logs->events;
  struct sb_partition *part = run->of->part;
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
      events->settled(part, waiter, SB_OUTCOME_RAN, reply);
    else if (waiter->session)
      events->counted(part, waiter, slot, take, receivers);
  }
}

/* The version of RESP in which the entry that is run now is answered; 0: nobody waits for its reply. */
static uint8_t proto_of_reply(const struct run *run) {
  const struct sb_batch *batch = run->answering.batch;
  if (!batch || run->answering.waiter >= batch->waiters_count) return 0;
  return run->of->logs->events->proto(&batch->waiters[run->answering.waiter]);
}

/* ---- what they do ---- */

/* The cluster's subscribers of a PUBLISH or SPUBLISH at this position of the log. */
static uint64_t receivers_of(const struct sb_applying *of, const struct sb_entry *entry) {
  const struct sb_counts *counts = &of->state->counts;
  struct sb_bytes channel = sb_bytes(of->body->data + entry->key_off, entry->key_len);
  enum sb_sub_kind kind = entry->kind == SB_ENTRY_SPUBLISH ? SB_SUB_SHARD : SB_SUB_CHANNEL;
  uint64_t receivers = counts->count ? sb_counts_channel(counts, sb_counts_id(counts, kind, channel)) : 0;
  if (kind == SB_SUB_CHANNEL && counts->patterns.count > 0) receivers += sb_counts_matching(counts, channel);
  return receivers;
}

static struct sb_id next_id(const struct run *run) {
  return sb_id_at(run->of->state->generation, run->of->sequence, run->index);
}

static void begin_history(const struct run *run, struct sb_body *body) {
  sb_history_batch(run->of->history, run->of->state->generation, run->of->sequence, body, run->of->now_ms);
}

static void signal_added(const struct run *run, struct sb_bytes key) {
  const struct sb_logs *logs = run->of->logs;
  if (run->of->part && *logs->readers > 0) logs->events->added(run->of->part, key);
}

/* `count` PUBLISHes or SPUBLISHes of one channel that lie end to end. */
static void publish_run(struct run *run, const struct sb_entry *first, uint32_t count) {
  const struct sb_applying *of = run->of;
  run->views.id = (struct sb_id){0};
  if (first->kind == SB_ENTRY_PUBLISH) {
    run->views.id = next_id(run);
    sb_history_add_messages(of->history, first->off, first->key_off, first->key_len, run->index, count);
    signal_added(run, sb_bytes(of->body->data + first->key_off, first->key_len));
    run->index += count;
  }
  if (of->part) of->logs->events->delivered(of->part, &run->views, first, count);
}

static void apply_bye(const struct run *run, const struct sb_bye *bye) {
  const struct sb_applying *of = run->of;
  if (!sb_state_bye(of->state, bye->name, bye->incarnation, bye->number) || !of->part) return;
  sb_logs_say(of->logs, SB_LOG_INFO, "partition %u: node %s left", of->partition, bye->name);
}

static void apply_interest(struct run *run, const struct sb_said_interest *entry) {
  if (!run->of->part) return; /* what is read once more has no subscribers */
  if (!sb_state_interest(run->of->state, run->of->sender, entry->kind, entry->name, entry->count))
    run->applied.interest_is_full = true;
}

/* Publishes a message that stands in no entry in this form: from a body of its own, with the id of the
 * entry's place. */
static void publish_made(struct run *run, struct sb_bytes channel, struct sb_bytes payload) {
  const struct sb_bytes args[] = {sb_bytes_of("PUBLISH"), channel, payload};
  struct sb_body *body = sb_body_new(sb_entry_size(args, 3));
  struct sb_entry entry;
  uint32_t off = 0;
  sb_entry_write(body->data, args, 3);
  if (sb_entry_next(sb_bytes(body->data, body->len), &off, NULL, &entry)) {
    struct sb_applying inner = *run->of;
    inner.body = body;
    struct run made = {.of = &inner, .views = {.resp2 = body}, .index = run->index};
    begin_history(run, body);
    publish_run(&made, &entry, 1);
    sb_body_unref(made.views.resp3);
    run->index = made.index;
    begin_history(run, run->of->body);
  }
  sb_body_unref(body);
}

/* The number comes from the place in the log, so it never falls within a log. In the next log it is higher
 * still, because that has a higher generation: only a log that took 16 batches in every millisecond of its
 * life could have come further. */
static void apply_number(struct run *run, struct sb_bytes name, struct sb_bytes payload,
                         struct sb_buf *reply) {
  struct sb_keys *keys = &run->of->state->keys;
  struct sb_id id = next_id(run);
  uint64_t number = (id.ms << 16) + id.seq;
  int64_t before = 0;
  const struct sb_key *key = sb_keys_find(keys, name, run->of->state->time_ms);
  const char *error = NULL;
  if (name.len > SB_KEY_NAME_MAX)
    error = sb_op_errorf("key is longer than %zu bytes", SB_KEY_NAME_MAX);
  else if (key && key->kind != SB_KEY_STRING)
    error = SB_OP_WRONG_TYPE;
  else if (key && !sb_bytes_i64(sb_bytes(key->value, key->value_len), &before))
    error = SB_OP_NOT_INTEGER;
  if (before > 0 && (uint64_t)before >= number) number = (uint64_t)before + 1;
  if (!error && (number > INT64_MAX || id.ms > INT64_MAX >> 16)) error = SB_OP_OVERFLOW;
  char digits[20];
  struct sb_bytes text = sb_bytes(digits, sb_u64_text(number, digits));
  uint64_t expires_ms = key ? key->expires_ms : 0, asked_ms = key ? key->asked_ms : 0;
  if (!error && !sb_keys_set_string(keys, name, text, expires_ms)) error = SB_OP_KEYS_FULL;
  if (!error && asked_ms) sb_keys_set_asked(sb_keys_find(keys, name, run->of->state->time_ms), asked_ms);
  if (error) {
    run->index++; /* an error takes its place too, so that all nodes give the same ids to what follows */
    if (reply) sb_reply_error_text(reply, error);
    return;
  }
  struct sb_buf message = {0};
  sb_buf_append(&message, text.at, text.len);
  sb_buf_text(&message, " ");
  sb_buf_append(&message, payload.at, payload.len);
  publish_made(run, name, sb_buf_bytes(&message));
  if (reply) {
    sb_reply_array(reply, 3);
    sb_reply_integer(reply, (int64_t)number);
    sb_reply_bulk(reply, payload);
    sb_reply_bulk(reply, sb_buf_bytes(&message));
  }
  sb_buf_close(&message);
}

static void apply_sidebus(struct run *run, const struct sb_entry *entry, struct sb_buf *reply) {
  struct sb_sidebus said;
  if (!sb_sidebus_read(bytes_of(run), entry->off, &said)) return;
  switch (said.word) {
  case SB_SIDEBUS_BYE:
    apply_bye(run, &said.bye);
    break;
  case SB_SIDEBUS_INTEREST:
    apply_interest(run, &said.interest);
    break;
  case SB_SIDEBUS_NUMBER:
    apply_number(run, said.number.key, said.number.payload, reply);
    break;
  case SB_SIDEBUS_RESTORE:
    sb_state_restore(run->of->state, &said.restore);
    break;
  case SB_SIDEBUS_RESTORED:
    sb_state_restored(run->of->state);
    run->applied.restored = true;
    break;
  default: /* a fragment never comes here */
    break;
  }
}

static void apply_op(struct run *run, const struct sb_entry *entry, uint8_t proto, struct sb_buf *reply) {
  const struct sb_applying *of = run->of;
  struct sb_op_place place = {
      .keys = &of->state->keys,
      .history = of->history,
      .now_ms = of->state->time_ms,
      .id = next_id(run),
      .applied = next_id(run),
      .body = bytes_of(run),
      .proto = proto,
      .reply = reply,
      .reply_max = sb_reply_max(of->logs),
      .large = run->large,
  };
  sb_id_previous(&place.applied);
  sb_op_entry_run(of->logs, entry, &place);
  run->large = place.large;
  if (place.added) signal_added(run, sb_bytes(of->body->data + entry->key_off, entry->key_len));
  if (visible_in(bytes_of(run), entry)) run->index++; /* whether or not it was added */
}

/* Whether there is room for all that a MULTI stores, even if it removes nothing. Else none of it is run, as
 * Redis refuses a transaction when its memory is full. */
static bool has_room_for(struct run *run, const struct sb_entry *entry, uint32_t off, uint32_t count) {
  const struct sb_keys *keys = &run->of->state->keys;
  size_t room = SB_KEYS_BYTES_MAX - keys->bytes, needs = 0;
  struct sb_entry inner;
  if (entry->len + (size_t)count * SB_OP_STORED_MAX <= room) return true;
  for (uint32_t i = 0; i < count && next_in_multi(bytes_of(run), &off, &inner); i++)
    if (inner.kind == SB_ENTRY_OP)
      needs += sb_op_entry_stores(run->of->logs, bytes_of(run), &inner, keys, run->of->state->time_ms);
  return needs <= room;
}

static void apply_multi(struct run *run, const struct sb_entry *entry, uint8_t proto, struct sb_buf *reply) {
  struct sb_entry inner;
  uint32_t off, count = multi_commands(bytes_of(run), entry, &off);
  if (!has_room_for(run, entry, off, count)) {
    if (reply) sb_reply_error_text(reply, SB_OP_MULTI_FULL);
    return;
  }
  if (reply) sb_reply_array(reply, count);
  for (uint32_t i = 0; i < count && next_in_multi(bytes_of(run), &off, &inner); i++) {
    uint64_t receivers = 0;
    switch (inner.kind) {
    case SB_ENTRY_PUBLISH:
    case SB_ENTRY_SPUBLISH:
      if (reply) receivers = receivers_of(run->of, &inner);
      publish_run(run, &inner, 1);
      if (reply) sb_reply_integer(reply, (int64_t)receivers);
      break;
    case SB_ENTRY_OP:
      apply_op(run, &inner, proto, reply);
      break;
    default:
      if (reply) sb_op_entry_echo(bytes_of(run), &inner, reply);
    }
  }
}

/* How many entries from `first` on go to one channel and may go out as one piece. A session may subscribe to
 * a channel and to a pattern that matches it: where there are patterns, entries go out one by one, in the
 * log's order. */
static uint32_t run_length(const struct sb_logs *logs, const struct sb_entry *first, uint32_t left) {
  uint32_t count = 1;
  if (*logs->patterns > 0) return 1;
  while (count < left && first[count].same_head) count++;
  return count;
}

/* Entries that are no publishes: the reply is gathered for the session that waits for it. */
static void apply_other(struct run *run, const struct sb_entry *entry) {
  struct sb_logs *logs = run->of->logs;
  uint8_t waits = proto_of_reply(run), proto = waits ? waits : 2;
  struct sb_buf *reply = waits ? &logs->reply : NULL;
  run->large = false;
  sb_buf_clear(&logs->reply);
  if (entry->kind == SB_ENTRY_SIDEBUS)
    apply_sidebus(run, entry, reply);
  else if (entry->kind == SB_ENTRY_OP)
    apply_op(run, entry, proto, reply);
  else if (entry->kind == SB_ENTRY_MULTI)
    apply_multi(run, entry, proto, reply);
  answer(run, 1, 0, sb_buf_bytes(&logs->reply));
  if (logs->reply.cap > SB_OUTPUT_CHUNK_BYTES) sb_buf_close(&logs->reply);
}

void sb_keys_expire_here(struct sb_state *state, struct sb_history *history, uint64_t now_ms) {
  struct sb_key *key;
  while ((key = sb_keys_next_expired(&state->keys, now_ms))) {
    if (key->kind == SB_KEY_STREAM) sb_history_forget(history, sb_bytes(key->name, key->name_len));
    sb_keys_remove(&state->keys, key);
  }
}

static struct sb_applied apply_all(const struct sb_applying *of, uint32_t count) {
  struct sb_logs *logs = of->logs;
  struct run run = {
      .of = of, .views = {.resp2 = of->body}, .answering = {.batch = of->own}, .applied = {.entries = count}};
  uint32_t length;
  begin_history(&run, of->body);
  for (uint32_t i = 0; i < count; i += length) {
    const struct sb_entry *entry = &logs->entries[i];
    length = 1;
    if (entry->kind <= SB_ENTRY_SPUBLISH) {
      length = run_length(logs, entry, count - i);
      uint64_t receivers = of->own ? receivers_of(of, entry) : 0;
      publish_run(&run, entry, length);
      answer(&run, length, receivers, sb_bytes(NULL, 0));
    } else {
      apply_other(&run, entry);
    }
  }
  sb_body_unref(run.views.resp3);
  return run.applied;
}

/* ---- entries in fragments ---- */

static void release_data(void *data) {
  free(data);
}

static void refuse(const struct sb_applying *of, const char *error) {
  if (of->own) sb_logs_settle(of->logs, of->part, of->own, SB_OUTCOME_REFUSED, sb_bytes_of(error));
}

/* The entry that has been put together, as if it stood in the place of its last fragment. */
static struct sb_applied apply_whole(const struct sb_applying *of, struct sb_buf *bytes) {
  struct sb_fragment fragment;
  uint8_t *data = sb_realloc(bytes->data, bytes->len); /* the history counts what it holds */
  struct sb_body *body = sb_body_wrap(data, bytes->len, release_data, data);
  struct sb_bytes entry = sb_bytes(body->data, body->len);
  struct sb_applying whole = *of;
  whole.body = body;
  bool good = sb_entries_index(of->logs, entry, 1) && !sb_fragment_read(entry, &fragment);
  struct sb_applied applied = {0};
  if (good) {
    applied = apply_all(&whole, 1);
  } else {
    of->logs->stats.batches_malformed += of->part != NULL;
    refuse(of, "-ERR what its fragments make is no entry\r\n");
  }
  sb_body_unref(body);
  return applied;
}

static struct sb_applied apply_fragment(const struct sb_applying *of, const struct sb_fragment *fragment) {
  struct sb_buf whole;
  switch (sb_state_fragment(of->state, of->sender, fragment, &whole)) {
  case SB_FRAGMENTS_MORE:
    break;
  case SB_FRAGMENTS_WHOLE:
    return apply_whole(of, &whole);
  case SB_FRAGMENTS_VOID:
    refuse(of, "-BUSY too many large messages are on their way in this log\r\n");
    break;
  }
  return (struct sb_applied){0};
}

struct sb_applied sb_entries_apply(const struct sb_applying *of, uint32_t count) {
  struct sb_fragment fragment;
  if (count == 1 && of->logs->entries[0].kind == SB_ENTRY_SIDEBUS &&
      sb_fragment_read(sb_bytes(of->body->data, of->body->len), &fragment))
    return apply_fragment(of, &fragment);
  if (of->state->unfinished_bytes > 0) sb_state_fragments_end(of->state, of->sender);
  return apply_all(of, count);
}
