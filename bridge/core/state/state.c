#include "bridge/core/state/state.h"

#include "bridge/base/assert.h"

#include <stdio.h>

#include "bridge/core/wire/sum.h"

static void append_member(struct sb_state *state, const struct sb_row *row) {
  struct sb_row *added = sb_rows_append(&state->members, row);
  added->id = ++state->last_id;
}

static void drop_unfinished(struct sb_state *state, struct sb_row *row) {
  SB_ASSERT(state->unfinished_bytes >= row->unfinished.bytes.len);
  state->unfinished_bytes -= row->unfinished.bytes.len;
  sb_buf_close(&row->unfinished.bytes);
  row->unfinished = (struct sb_unfinished){0};
}

void sb_state_close(struct sb_state *state) {
  sb_rows_close(&state->members);
  sb_rows_close(&state->departed);
  sb_counts_close(&state->counts);
  sb_keys_close(&state->keys);
  *state = (struct sb_state){0};
}

int sb_state_member(const struct sb_state *state, const char *name) {
  const struct sb_row *row = sb_rows_find(&state->members, name);
  return row ? (int)(row - state->members.at) : -1;
}

const struct sb_row *sb_state_row(const struct sb_state *state, const char *name) {
  const struct sb_row *row = sb_rows_find(&state->members, name);
  return row ? row : sb_rows_find(&state->departed, name);
}

bool sb_state_is_eldest(const struct sb_state *state, const char *name) {
  return state->members.count > 0 && strcmp(state->members.at[0].name, name) == 0;
}

static void advance(struct sb_state *state, const struct sb_row *row, uint64_t time_ms) {
  uint64_t room = UINT64_MAX - state->elder_ms;
  uint64_t most = state->elder_ms + (room < SB_TIME_AHEAD_MS ? room : SB_TIME_AHEAD_MS);
  if (row == state->members.at) {
    if (time_ms > state->elder_ms) state->elder_ms = time_ms;
  } else if (time_ms > most) {
    time_ms = most;
  }
  if (time_ms > state->time_ms) state->time_ms = time_ms;
}

enum sb_verdict sb_state_batch(struct sb_state *state, const struct sb_envelope *envelope) {
  struct sb_row *row = sb_rows_find(&state->members, envelope->node);
  if (!row || envelope->generation != state->generation ||
      sb_incarnation_compare(row->incarnation, envelope->incarnation) != 0)
    return SB_VERDICT_STRANGER;
  if (envelope->number <= row->number) return SB_VERDICT_DUPLICATE;
  if (envelope->number != row->number + 1)
    return envelope->base > row->number + 1 && envelope->base <= envelope->number ? SB_VERDICT_LOSS
                                                                                  : SB_VERDICT_HOLE;
  row->number++;
  advance(state, row, envelope->time_ms);
  return SB_VERDICT_ACCEPTED;
}

void sb_state_accepted(struct sb_state *state, uint64_t sequence, const struct sb_envelope *envelope) {
  sb_sum_add(&state->chain, sequence, envelope->node, envelope->incarnation, envelope->number);
}

void sb_state_heard(struct sb_state *state, const char *name, uint64_t now_ms) {
  struct sb_row *row = sb_rows_find(&state->members, name);
  if (row) row->heard_ms = now_ms;
}

void sb_state_agreed(struct sb_state *state, const char *name, uint64_t at) {
  struct sb_row *row = sb_rows_find(&state->members, name);
  if (row && at > row->agreed_at) row->agreed_at = at;
}

static void forget_interest(struct sb_state *state, const struct sb_row *row) {
  if (row->channels > 0 || row->patterns > 0) sb_counts_forget(&state->counts, row->id);
}

bool sb_state_hello(struct sb_state *state, const char *name, struct sb_incarnation incarnation,
                    uint32_t partitions, uint64_t known_generation) {
  struct sb_row *member = sb_rows_find(&state->members, name);
  struct sb_row *old = member ? member : sb_rows_find(&state->departed, name);
  if (partitions != state->partitions) return false;
  if (old && sb_incarnation_compare(old->incarnation, incarnation) >= 0) return false;
  if (incarnation.start_ms > SB_START_MS_LEAP_MAX &&
      (!old || incarnation.start_ms - old->incarnation.start_ms > 1))
    return false;
  if (!member && state->members.count >= SB_MEMBERS_MAX) return false;
  struct sb_row row = {.incarnation = incarnation};
  snprintf(row.name, sizeof row.name, "%s", name);
  if (old) sb_row_remember(&row, old);
  if (member) {
    forget_interest(state, member);
    drop_unfinished(state, member);
  }
  if (member && member == state->members.at) state->elder_ms = state->time_ms; /* another is the eldest now */
  if (old) sb_rows_remove(member ? &state->members : &state->departed, old);
  append_member(state, &row);
  if (known_generation > state->generation)
    state->generation = known_generation < SB_GENERATION_MAX ? known_generation + 1 : SB_GENERATION_MAX;
  return true;
}

void sb_state_snapshot_seen(struct sb_state *state, uint64_t sequence) {
  state->mark = sequence + 1;
}

enum sb_genesis_verdict sb_state_judge_genesis(const struct sb_state *state,
                                               const struct sb_genesis *genesis) {
  return sb_genesis_judge(genesis, &(const struct sb_genesis_view){.mark = state->mark});
}

static void keys_of_genesis(struct sb_state *state, const struct sb_genesis *genesis) {
  if (!genesis->keeps_keys && genesis->lost) {
    *genesis->lost = state->keys;
    state->keys = (struct sb_keys){0};
  }
  if (!genesis->keeps_keys) sb_keys_close(&state->keys);
  if (genesis->brought) {
    state->keys = *genesis->brought;
    *genesis->brought = (struct sb_keys){0};
  }
  sb_keys_expire(&state->keys, state->time_ms);
  bool has_keys = genesis->keeps_keys || genesis->brings_keys;
  state->restore_until_ms = has_keys ? 0 : state->time_ms + SB_RESTORE_MS;
}

bool sb_state_apply_genesis(struct sb_state *state, const struct sb_genesis *genesis) {
  enum sb_genesis_verdict verdict = sb_state_judge_genesis(state, genesis);
  if (verdict != SB_GENESIS_ABSENT) state->mark = genesis->sequence + 1;
  if (verdict != SB_GENESIS_ACCEPTED) return false;
  struct sb_row row = {.incarnation = genesis->incarnation};
  snprintf(row.name, sizeof row.name, "%s", genesis->name);
  state->generation = genesis->generation;
  state->partitions = genesis->partitions;
  state->time_ms = state->elder_ms = genesis->time_ms;
  state->chain = sb_sum_begin(genesis->sequence, genesis->name, genesis->incarnation, genesis->generation);
  for (uint32_t i = 0; i < state->members.count; i++) drop_unfinished(state, &state->members.at[i]);
  state->members.count = 0;
  state->departed.count = 0;
  sb_counts_close(&state->counts);
  state->counts.key = genesis->name_key;
  keys_of_genesis(state, genesis);
  append_member(state, &row);
  return true;
}

bool sb_state_stands_at(const struct sb_state *state, uint64_t as_of) {
  return state->chain.at <= as_of && state->mark <= as_of + 1;
}

bool sb_state_restores(const struct sb_state *state) {
  return state->restore_until_ms > 0 && state->time_ms <= state->restore_until_ms;
}

void sb_state_restore(struct sb_state *state, const struct sb_key_text *key) {
  struct sb_key_text text = *key;
  if (!sb_state_restores(state)) return;
  if (text.expires_ms > UINT64_MAX - state->time_ms) return;
  if (text.expires_ms > 0) text.expires_ms += state->time_ms;
  sb_keys_add(&state->keys, &text);
}

void sb_state_restored(struct sb_state *state) {
  state->restore_until_ms = 0;
}

bool sb_state_bye(struct sb_state *state, const char *name, struct sb_incarnation incarnation,
                  uint64_t number) {
  struct sb_row *row = sb_rows_find(&state->members, name);
  if (!row || sb_incarnation_compare(row->incarnation, incarnation) != 0 || row->number != number)
    return false;
  drop_unfinished(state, row);
  if (row == state->members.at) state->elder_ms = state->time_ms;
  struct sb_row gone = *row;
  gone.channels = gone.patterns = 0;
  forget_interest(state, row);
  sb_rows_remove(&state->members, row);
  if (state->departed.count == SB_DEPARTED_MAX) sb_rows_remove_at(&state->departed, 0);
  sb_rows_append(&state->departed, &gone);
  return true;
}

/* Adds to the row how many channels and patterns came since the counts had `channels` and `patterns`, or
 * takes away how many went. */
static void tally(const struct sb_state *state, struct sb_row *row, size_t channels, size_t patterns) {
  row->channels += (uint32_t)(state->counts.count - channels);
  row->patterns += (uint32_t)(state->counts.pattern_rows - patterns);
}

bool sb_state_interest(struct sb_state *state, const char *name, enum sb_sub_kind kind, struct sb_bytes topic,
                       uint32_t count) {
  struct sb_row *row = sb_rows_find(&state->members, name);
  if (!row) return true;
  size_t channels = state->counts.count, patterns = state->counts.pattern_rows;
  bool set = sb_counts_set(&state->counts, kind, topic, row->id, count);
  tally(state, row, channels, patterns);
  return set;
}

/* ---- entries in fragments ---- */

bool sb_state_has_room(const struct sb_state *state, const struct sb_unfinished *unfinished, size_t len) {
  return len <= SB_PAYLOAD_BYTES_MAX - unfinished->bytes.len &&
         len <= SB_UNFINISHED_BYTES_MAX - state->unfinished_bytes;
}

enum sb_fragments sb_state_fragment(struct sb_state *state, const char *name,
                                    const struct sb_fragment *fragment, struct sb_buf *whole) {
  struct sb_row *row = sb_rows_find(&state->members, name);
  if (!row) return SB_FRAGMENTS_VOID;
  struct sb_unfinished *unfinished = &row->unfinished;
  bool goes_on =
      fragment->index == 1 || (fragment->index == unfinished->next && fragment->count == unfinished->count);
  if (fragment->index == 1 || !goes_on) drop_unfinished(state, row);
  if (!goes_on) return SB_FRAGMENTS_VOID;
  if (!sb_state_has_room(state, unfinished, fragment->bytes.len)) {
    drop_unfinished(state, row);
    return SB_FRAGMENTS_VOID;
  }
  sb_buf_append(&unfinished->bytes, fragment->bytes.at, fragment->bytes.len);
  state->unfinished_bytes += fragment->bytes.len;
  unfinished->count = fragment->count;
  unfinished->next = fragment->index + 1;
  if (fragment->index < fragment->count) return SB_FRAGMENTS_MORE;
  *whole = unfinished->bytes;
  SB_ASSERT(state->unfinished_bytes >= whole->len);
  state->unfinished_bytes -= whole->len;
  *unfinished = (struct sb_unfinished){0};
  return SB_FRAGMENTS_WHOLE;
}

void sb_state_fragments_end(struct sb_state *state, const char *name) {
  struct sb_row *row = sb_rows_find(&state->members, name);
  if (row) drop_unfinished(state, row);
}

/* ---- comparing ---- */

/* The id that the member with this id in `a` has in `b`: members stand in the same order in both. */
static uint32_t same_member(const struct sb_state *a, const struct sb_state *b, uint32_t id) {
  for (uint32_t i = 0; i < a->members.count; i++)
    if (a->members.at[i].id == id) return b->members.at[i].id;
  return 0;
}

static bool counts_equal(const struct sb_state *a, const struct sb_state *b) {
  const struct sb_counts *x = &a->counts, *y = &b->counts;
  if (!sb_name_key_equal(&x->key, &y->key)) return false;
  if (x->count != y->count || x->pattern_rows != y->pattern_rows) return false;
  for (size_t i = 0; i < x->cap; i++) {
    const struct sb_count *row = &x->slots[i];
    if (row->count && sb_counts_get(y, row->id, same_member(a, b, row->member)) != row->count) return false;
  }
  const struct sb_pattern *pattern;
  for (size_t at = 0; (pattern = sb_table_each(&x->patterns, &at));)
    for (uint32_t i = 0; i < pattern->members_count; i++)
      if (sb_counts_pattern(y, sb_bytes(pattern->name, pattern->name_len),
                            same_member(a, b, pattern->members[i].member)) != pattern->members[i].count)
        return false;
  return true;
}

bool sb_state_equal(const struct sb_state *a, const struct sb_state *b) {
  return a->generation == b->generation && a->partitions == b->partitions && a->time_ms == b->time_ms &&
         sb_claim_equal(a->chain, b->chain) && a->mark == b->mark && a->elder_ms == b->elder_ms &&
         a->restore_until_ms == b->restore_until_ms && sb_rows_equal(&a->members, &b->members) &&
         sb_rows_equal(&a->departed, &b->departed) && counts_equal(a, b) &&
         sb_keys_equal(&a->keys, &b->keys, a->time_ms);
}
