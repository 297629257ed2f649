#include "bridge/core/state.h"

#include <stdio.h>
#include <stdlib.h>

#include "bridge/core/wire/entry.h"

static struct sb_row *find(const struct sb_rows *rows, const char *name) {
  for (uint32_t i = 0; i < rows->count; i++)
    if (strcmp(rows->at[i].name, name) == 0) return &rows->at[i];
  return NULL;
}

static struct sb_row *append(struct sb_rows *rows, const struct sb_row *row) {
  if (rows->count == rows->cap) {
    rows->cap = rows->cap ? rows->cap * 2 : 8;
    rows->at = sb_realloc(rows->at, rows->cap * sizeof *rows->at);
  }
  rows->at[rows->count] = *row;
  return &rows->at[rows->count++];
}

static void append_member(struct sb_state *state, const struct sb_row *row) {
  struct sb_row *added = append(&state->members, row);
  added->id = ++state->last_id;
}

static void remove_at(struct sb_rows *rows, uint32_t index) {
  rows->count--;
  memmove(&rows->at[index], &rows->at[index + 1], (rows->count - index) * sizeof *rows->at);
}

static void remove_row(struct sb_rows *rows, const struct sb_row *row) {
  remove_at(rows, (uint32_t)(row - rows->at));
}

static void drop_unfinished(struct sb_state *state, struct sb_row *row) {
  state->unfinished_bytes -= row->unfinished.bytes.len;
  sb_buf_close(&row->unfinished.bytes);
  row->unfinished = (struct sb_unfinished){0};
}

static void close_rows(struct sb_rows *rows) {
  for (uint32_t i = 0; i < rows->count; i++) sb_buf_close(&rows->at[i].unfinished.bytes);
  free(rows->at);
  *rows = (struct sb_rows){0};
}

void sb_state_close(struct sb_state *state) {
  close_rows(&state->members);
  close_rows(&state->departed);
  sb_counts_close(&state->counts);
  sb_keys_close(&state->keys);
  *state = (struct sb_state){0};
}

int sb_state_member(const struct sb_state *state, const char *name) {
  const struct sb_row *row = find(&state->members, name);
  return row ? (int)(row - state->members.at) : -1;
}

const struct sb_row *sb_state_row(const struct sb_state *state, const char *name) {
  const struct sb_row *row = find(&state->members, name);
  return row ? row : find(&state->departed, name);
}

uint64_t sb_row_ordered(const struct sb_row *row, struct sb_incarnation earlier) {
  if (sb_incarnation_compare(row->previous, earlier) == 0) return row->previous_number;
  return sb_incarnation_compare(row->other, earlier) == 0 ? row->other_number : 0;
}

enum sb_verdict sb_state_batch(struct sb_state *state, const struct sb_envelope *envelope) {
  struct sb_row *row = find(&state->members, envelope->node);
  if (!row || envelope->generation != state->generation ||
      sb_incarnation_compare(row->incarnation, envelope->incarnation) != 0)
    return SB_VERDICT_STRANGER;
  if (envelope->number <= row->number) return SB_VERDICT_DUPLICATE;
  if (envelope->number != row->number + 1)
    return envelope->base > row->number + 1 && envelope->base <= envelope->number ? SB_VERDICT_LOSS
                                                                                  : SB_VERDICT_HOLE;
  row->number++;
  if (envelope->time_ms > state->time_ms) state->time_ms = envelope->time_ms;
  return SB_VERDICT_ACCEPTED;
}

void sb_state_heard(struct sb_state *state, const char *name, uint64_t now_ms) {
  struct sb_row *row = find(&state->members, name);
  if (row) row->heard_ms = now_ms;
}

static void forget_interest(struct sb_state *state, const struct sb_row *row) {
  if (row->channels > 0 || row->patterns > 0) sb_counts_forget(&state->counts, row->id);
}

/* What a new row says of the one before. Two processes may have one name by turns, and each of them asks for
 * its own past. */
static void remember(struct sb_row *row, const struct sb_row *old) {
  bool ordered = old->number > 0; /* else what was before still counts */
  bool turns = ordered && old->previous.nonce != old->incarnation.nonce;
  row->previous = ordered ? old->incarnation : old->previous;
  row->previous_number = ordered ? old->number : old->previous_number;
  row->other = turns ? old->previous : old->other;
  row->other_number = turns ? old->previous_number : old->other_number;
}

bool sb_state_hello(struct sb_state *state, const char *name, struct sb_incarnation incarnation,
                    uint32_t partitions, uint64_t known_generation) {
  struct sb_row *member = find(&state->members, name);
  struct sb_row *old = member ? member : find(&state->departed, name);
  if (partitions != state->partitions) return false;
  if (old && sb_incarnation_compare(old->incarnation, incarnation) >= 0) return false;
  if (incarnation.start_ms > SB_START_MS_LEAP_MAX &&
      (!old || incarnation.start_ms - old->incarnation.start_ms > 1))
    return false;
  if (!member && state->members.count >= SB_MEMBERS_MAX) return false;
  struct sb_row row = {.incarnation = incarnation};
  snprintf(row.name, sizeof row.name, "%s", name);
  if (old) remember(&row, old);
  if (member) {
    forget_interest(state, member);
    drop_unfinished(state, member);
  }
  if (old) remove_row(member ? &state->members : &state->departed, old);
  append_member(state, &row);
  if (known_generation > state->generation)
    state->generation = known_generation < SB_GENERATION_MAX ? known_generation + 1 : SB_GENERATION_MAX;
  return true;
}

void sb_state_snapshot_seen(struct sb_state *state, uint64_t sequence) {
  state->sf_mark = sequence + 1;
}

bool sb_state_may_found(const struct sb_found *found) {
  return found->hello_at < found->sequence && found->incarnation.start_ms <= SB_START_MS_LEAP_MAX;
}

bool sb_state_accepts_found(const struct sb_state *state, const struct sb_found *found) {
  return sb_state_may_found(found) && state->sf_mark <= found->hello_at + 1 && !sb_found_lacks_keys(found);
}

static void found_keys(struct sb_state *state, const struct sb_found *found) {
  if (!found->keeps_keys && found->lost) {
    *found->lost = state->keys;
    state->keys = (struct sb_keys){0};
  }
  if (!found->keeps_keys) sb_keys_close(&state->keys);
  if (found->brought) {
    state->keys = *found->brought;
    *found->brought = (struct sb_keys){0};
  }
  sb_keys_expire(&state->keys, state->time_ms);
  bool has_keys = found->keeps_keys || found->brings_keys;
  state->restore_until_ms = has_keys ? 0 : state->time_ms + SB_RESTORE_MS;
}

bool sb_state_found(struct sb_state *state, const struct sb_found *found) {
  bool accepted = sb_state_accepts_found(state, found), is_void = state->sf_mark > found->hello_at + 1;
  if (accepted || (sb_state_may_found(found) && is_void)) state->sf_mark = found->sequence + 1;
  if (!accepted) return false;
  struct sb_row row = {.incarnation = found->incarnation};
  snprintf(row.name, sizeof row.name, "%s", found->name);
  state->generation = found->generation;
  state->partitions = found->partitions;
  state->time_ms = found->time_ms;
  for (uint32_t i = 0; i < state->members.count; i++) drop_unfinished(state, &state->members.at[i]);
  state->members.count = 0;
  state->departed.count = 0;
  sb_counts_close(&state->counts);
  found_keys(state, found);
  append_member(state, &row);
  return true;
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
  struct sb_row *row = find(&state->members, name);
  if (!row || sb_incarnation_compare(row->incarnation, incarnation) != 0 || row->number != number)
    return false;
  drop_unfinished(state, row);
  struct sb_row gone = *row;
  gone.channels = gone.patterns = 0;
  forget_interest(state, row);
  remove_row(&state->members, row);
  if (state->departed.count == SB_DEPARTED_MAX) remove_at(&state->departed, 0);
  append(&state->departed, &gone);
  return true;
}

/* What came or went since the counts had so many. */
static void tally(const struct sb_state *state, struct sb_row *row, size_t channels, size_t patterns) {
  row->channels += (uint32_t)(state->counts.count - channels);
  row->patterns += (uint32_t)(state->counts.pattern_rows - patterns);
}

bool sb_state_interest(struct sb_state *state, const char *name, enum sb_sub_kind kind, struct sb_bytes topic,
                       uint32_t count) {
  struct sb_row *row = find(&state->members, name);
  if (!row) return true;
  size_t channels = state->counts.count, patterns = state->counts.pattern_rows;
  bool set = sb_counts_set(&state->counts, kind, topic, row->id, count);
  tally(state, row, channels, patterns);
  return set;
}

/* ---- entries in parts ---- */

static bool has_room(const struct sb_state *state, const struct sb_unfinished *unfinished, size_t len) {
  return len <= SB_PAYLOAD_BYTES_MAX - unfinished->bytes.len &&
         len <= SB_UNFINISHED_BYTES_MAX - state->unfinished_bytes;
}

enum sb_fragments sb_state_fragment(struct sb_state *state, const char *name, const struct sb_fragment *part,
                                    struct sb_buf *whole) {
  struct sb_row *row = find(&state->members, name);
  if (!row) return SB_FRAGMENTS_VOID;
  struct sb_unfinished *unfinished = &row->unfinished;
  bool goes_on = part->index == 1 || (part->index == unfinished->next && part->count == unfinished->count);
  if (part->index == 1 || !goes_on) drop_unfinished(state, row);
  if (!goes_on) return SB_FRAGMENTS_VOID;
  if (!has_room(state, unfinished, part->bytes.len)) {
    drop_unfinished(state, row);
    return SB_FRAGMENTS_VOID;
  }
  sb_buf_append(&unfinished->bytes, part->bytes.at, part->bytes.len);
  state->unfinished_bytes += part->bytes.len;
  unfinished->count = part->count;
  unfinished->next = part->index + 1;
  if (part->index < part->count) return SB_FRAGMENTS_MORE;
  *whole = unfinished->bytes;
  state->unfinished_bytes -= whole->len;
  *unfinished = (struct sb_unfinished){0};
  return SB_FRAGMENTS_WHOLE;
}

void sb_state_fragments_end(struct sb_state *state, const char *name) {
  struct sb_row *row = find(&state->members, name);
  if (row) drop_unfinished(state, row);
}

/* ---- SNAPSHOT: "STATE version generation partitions time sf_mark restore_until", then "MEMBER …" and "GONE
 * …" in their order, then "PART member next count <bytes>" of what is unfinished, then "COUNTS member <hash
 * and count of each channel>" and "PATTERN member name count", then the keys (keys.h) ---- */

#define ROW_ARGS     8
#define STATE_ARGS   7
#define PART_ARGS    5
#define COUNTS_ARGS  3
#define PATTERN_ARGS 4
#define COUNT_BYTES  12                           /* 8 of the hash, 4 of the count, the lowest first */
#define COUNTS_BYTES ((size_t)4000 * COUNT_BYTES) /* of one command */

struct number_text {
  char digits[20];
};

static struct sb_bytes number(uint64_t value, struct number_text *text) {
  return sb_bytes(text->digits, sb_u64_text(value, text->digits));
}

static void write_rows(const struct sb_rows *rows, const char *command, struct sb_buf *out) {
  for (uint32_t i = 0; i < rows->count; i++) {
    const struct sb_row *row = &rows->at[i];
    char incarnation[SB_INCARNATION_TEXT], previous[SB_INCARNATION_TEXT], other[SB_INCARNATION_TEXT];
    struct number_text n, pn, on;
    sb_incarnation_text(row->incarnation, incarnation);
    sb_incarnation_text(row->previous, previous);
    sb_incarnation_text(row->other, other);
    const struct sb_bytes args[ROW_ARGS] = {
        sb_bytes_of(command),    sb_bytes_of(row->name),         sb_bytes_of(incarnation),
        number(row->number, &n), sb_bytes_of(previous),          number(row->previous_number, &pn),
        sb_bytes_of(other),      number(row->other_number, &on),
    };
    sb_entry_append(out, args, ROW_ARGS);
  }
}

static void write_unfinished(const struct sb_state *state, struct sb_buf *out) {
  for (uint32_t i = 0; i < state->members.count; i++) {
    const struct sb_unfinished *unfinished = &state->members.at[i].unfinished;
    struct number_text next, count;
    if (unfinished->next == 0) continue;
    const struct sb_bytes args[PART_ARGS] = {
        sb_bytes_of("PART"), sb_bytes_of(state->members.at[i].name), number(unfinished->next, &next),
        number(unfinished->count, &count), sb_buf_bytes(&unfinished->bytes)};
    sb_entry_append(out, args, PART_ARGS);
  }
}

static void put_number(uint8_t *at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_number(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = bytes; i > 0; i--) value = value << 8 | at[i - 1];
  return value;
}

static void flush_counts(const struct sb_row *member, struct sb_buf *gathered, struct sb_buf *out) {
  if (gathered->len == 0) return;
  const struct sb_bytes args[COUNTS_ARGS] = {sb_bytes_of("COUNTS"), sb_bytes_of(member->name),
                                             sb_buf_bytes(gathered)};
  sb_entry_append(out, args, COUNTS_ARGS);
  sb_buf_clear(gathered);
}

static int by_id(const void *a, const void *b) {
  const struct sb_row *const *x = a, *const *y = b;
  return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

/* The members in the order of their ids; to be freed. */
static const struct sb_row **rows_by_id(const struct sb_state *state) {
  const struct sb_row **rows = sb_calloc(state->members.count + 1, sizeof(const struct sb_row *));
  for (uint32_t i = 0; i < state->members.count; i++) rows[i] = &state->members.at[i];
  qsort(rows, state->members.count, sizeof(const struct sb_row *), by_id);
  return rows;
}

static uint32_t place_of(const struct sb_row *const *rows, uint32_t count, uint32_t id) {
  uint32_t low = 0;
  while (count > 1) {
    uint32_t half = count / 2;
    if (rows[low + half]->id <= id) low += half;
    count -= half;
  }
  return low;
}

static void write_counts(const struct sb_state *state, struct sb_buf *out) {
  uint32_t members = state->members.count;
  const struct sb_row **rows = rows_by_id(state);
  struct sb_buf *gathered = sb_calloc(members + 1, sizeof *gathered);
  for (size_t i = 0; i < state->counts.cap; i++) {
    const struct sb_count *count = &state->counts.slots[i];
    if (count->count == 0) continue;
    uint32_t at = place_of(rows, members, count->member);
    uint8_t bytes[COUNT_BYTES];
    put_number(bytes, count->hash, 8);
    put_number(bytes + 8, count->count, 4);
    sb_buf_append(&gathered[at], bytes, sizeof bytes);
    if (gathered[at].len >= COUNTS_BYTES) flush_counts(rows[at], &gathered[at], out);
  }
  for (uint32_t i = 0; i < members; i++) {
    flush_counts(rows[i], &gathered[i], out);
    sb_buf_close(&gathered[i]);
  }
  const struct sb_pattern *pattern;
  for (size_t at = 0; (pattern = sb_table_each(&state->counts.patterns, &at));)
    for (uint32_t i = 0; i < pattern->members_count; i++) {
      struct number_text n;
      const struct sb_bytes args[PATTERN_ARGS] = {
          sb_bytes_of("PATTERN"),
          sb_bytes_of(rows[place_of(rows, members, pattern->members[i].member)]->name),
          sb_bytes(pattern->name, pattern->name_len), number(pattern->members[i].count, &n)};
      sb_entry_append(out, args, PATTERN_ARGS);
    }
  free(gathered);
  free(rows);
}

static void write_state(const struct sb_state *state, bool counts, struct sb_buf *out) {
  struct number_text t[6];
  const struct sb_bytes args[STATE_ARGS] = {
      sb_bytes_of("STATE"),
      number(SB_WIRE_VERSION, &t[0]),
      number(state->generation, &t[1]),
      number(state->partitions, &t[2]),
      number(state->time_ms, &t[3]),
      number(state->sf_mark, &t[4]),
      number(state->restore_until_ms, &t[5]),
  };
  sb_entry_append(out, args, STATE_ARGS);
  write_rows(&state->members, "MEMBER", out);
  write_rows(&state->departed, "GONE", out);
  write_unfinished(state, out);
  if (counts) write_counts(state, out);
  sb_keys_write(&state->keys, state->time_ms, out);
}

void sb_state_write(const struct sb_state *state, struct sb_buf *out) {
  write_state(state, true, out);
}

void sb_state_write_checkpoint(const struct sb_state *state, struct sb_buf *out) {
  write_state(state, false, out);
}

static bool read_row(struct sb_state *state, struct sb_rows *rows, uint32_t max, const struct sb_bytes *args,
                     uint32_t count) {
  struct sb_row row = {0};
  if (count != ROW_ARGS || rows->count >= max || !sb_node_name_valid((const char *)args[1].at, args[1].len))
    return false;
  memcpy(row.name, args[1].at, args[1].len);
  if (!sb_incarnation_parse((const char *)args[2].at, args[2].len, &row.incarnation) ||
      !sb_bytes_u64(args[3], UINT64_MAX, &row.number) ||
      !sb_incarnation_parse((const char *)args[4].at, args[4].len, &row.previous) ||
      !sb_bytes_u64(args[5], UINT64_MAX, &row.previous_number) ||
      !sb_incarnation_parse((const char *)args[6].at, args[6].len, &row.other) ||
      !sb_bytes_u64(args[7], UINT64_MAX, &row.other_number) || sb_state_row(state, row.name))
    return false;
  row.id = ++state->last_id;
  append(rows, &row);
  return true;
}

/* The member that a line of counts is about, or NULL. */
static struct sb_row *read_member(const struct sb_state *state, struct sb_bytes name) {
  char text[SB_NODE_NAME_MAX + 1];
  if (name.len > SB_NODE_NAME_MAX) return NULL;
  memcpy(text, name.at, name.len);
  text[name.len] = 0;
  struct sb_row *row = find(&state->members, text);
  return row && strlen(row->name) == name.len ? row : NULL; /* there may be a zero in it */
}

static bool read_counts(struct sb_state *state, const struct sb_bytes *args, uint32_t count) {
  struct sb_row *member = count == COUNTS_ARGS ? read_member(state, args[1]) : NULL;
  if (!member || args[2].len % COUNT_BYTES != 0) return false;
  for (size_t i = 0; i < args[2].len; i += COUNT_BYTES) {
    uint64_t hash = get_number(args[2].at + i, 8), sessions = get_number(args[2].at + i + 8, 4);
    if (sessions == 0 || sessions > SB_INTEREST_COUNT_MAX ||
        sb_counts_get(&state->counts, hash, member->id) != 0 ||
        !sb_counts_set_hash(&state->counts, hash, member->id, (uint32_t)sessions))
      return false;
    member->channels++;
  }
  return true;
}

static bool read_pattern(struct sb_state *state, const struct sb_bytes *args, uint32_t count) {
  struct sb_row *member = count == PATTERN_ARGS ? read_member(state, args[1]) : NULL;
  uint64_t sessions;
  if (!member || !sb_bytes_u64(args[3], SB_INTEREST_COUNT_MAX, &sessions) || sessions == 0 ||
      sb_counts_pattern(&state->counts, args[2], member->id) != 0 ||
      !sb_counts_set(&state->counts, SB_SUB_PATTERN, args[2], member->id, (uint32_t)sessions))
    return false;
  member->patterns++;
  return true;
}

static bool read_unfinished(struct sb_state *state, const struct sb_bytes *args, uint32_t count) {
  struct sb_row *member = count == PART_ARGS ? read_member(state, args[1]) : NULL;
  uint64_t next, parts;
  if (!member || member->unfinished.next > 0 || !sb_bytes_u64(args[3], SB_FRAGMENTS_MAX, &parts) ||
      !sb_bytes_u64(args[2], parts, &next) || next < 2 || args[4].len == 0 ||
      !has_room(state, &member->unfinished, args[4].len))
    return false;
  member->unfinished.count = (uint32_t)parts;
  member->unfinished.next = (uint32_t)next;
  sb_buf_append(&member->unfinished.bytes, args[4].at, args[4].len);
  state->unfinished_bytes += args[4].len;
  return true;
}

static bool read_line(struct sb_state *state, const struct sb_bytes *args, uint32_t count) {
  if (count == 0) return false;
  if (sb_bytes_equal(args[0], sb_bytes_of("MEMBER")))
    return read_row(state, &state->members, SB_MEMBERS_MAX, args, count);
  if (sb_bytes_equal(args[0], sb_bytes_of("GONE")))
    return read_row(state, &state->departed, SB_DEPARTED_MAX, args, count);
  if (sb_bytes_equal(args[0], sb_bytes_of("PART"))) return read_unfinished(state, args, count);
  if (sb_bytes_equal(args[0], sb_bytes_of("COUNTS"))) return read_counts(state, args, count);
  if (sb_bytes_equal(args[0], sb_bytes_of("PATTERN"))) return read_pattern(state, args, count);
  return sb_keys_read(&state->keys, args, count);
}

static bool read_head(struct sb_state *state, const struct sb_bytes *args, uint32_t count) {
  uint64_t version, partitions;
  if (count != STATE_ARGS || !sb_bytes_equal(args[0], sb_bytes_of("STATE")) ||
      !sb_bytes_u64(args[1], SB_WIRE_VERSION, &version) || version != SB_WIRE_VERSION ||
      !sb_bytes_u64(args[2], SB_GENERATION_MAX, &state->generation) ||
      !sb_bytes_u64(args[3], SB_PARTITIONS_MAX, &partitions) || partitions == 0 ||
      !sb_bytes_u64(args[4], UINT64_MAX, &state->time_ms) ||
      !sb_bytes_u64(args[5], UINT64_MAX, &state->sf_mark) ||
      !sb_bytes_u64(args[6], UINT64_MAX, &state->restore_until_ms))
    return false;
  state->partitions = (uint32_t)partitions;
  return true;
}

static bool read_all(struct sb_state *state, struct sb_bytes text) {
  struct sb_bytes args[SB_ENTRY_ARGS_MAX];
  uint32_t off = 0;
  uint32_t count = sb_entry_args(text, &off, args, SB_ENTRY_ARGS_MAX);
  if (!read_head(state, args, count)) return false;
  while (off < text.len) {
    count = sb_entry_args(text, &off, args, SB_ENTRY_ARGS_MAX);
    if (!read_line(state, args, count)) return false;
  }
  /* A key whose time has come is not part of a state, and nobody writes it. */
  return state->keys.expiring_count == 0 || state->keys.expiring[0]->expires_ms > state->time_ms;
}

bool sb_state_read(struct sb_state *state, struct sb_bytes text) {
  struct sb_state read = {0};
  bool good = read_all(&read, text);
  sb_state_close(state);
  if (good)
    *state = read;
  else
    sb_state_close(&read);
  return good;
}

static bool rows_equal(const struct sb_rows *a, const struct sb_rows *b) {
  if (a->count != b->count) return false;
  for (uint32_t i = 0; i < a->count; i++) {
    const struct sb_row *x = &a->at[i], *y = &b->at[i];
    if (strcmp(x->name, y->name) != 0 || sb_incarnation_compare(x->incarnation, y->incarnation) != 0 ||
        x->number != y->number || sb_incarnation_compare(x->previous, y->previous) != 0 ||
        x->previous_number != y->previous_number || sb_incarnation_compare(x->other, y->other) != 0 ||
        x->other_number != y->other_number || x->unfinished.next != y->unfinished.next ||
        x->unfinished.count != y->unfinished.count ||
        !sb_bytes_equal(sb_buf_bytes(&x->unfinished.bytes), sb_buf_bytes(&y->unfinished.bytes)))
      return false;
  }
  return true;
}

/* Of the member at the same place in both states. */
static uint32_t same_member(const struct sb_state *a, const struct sb_state *b, uint32_t id) {
  for (uint32_t i = 0; i < a->members.count; i++)
    if (a->members.at[i].id == id) return b->members.at[i].id;
  return 0;
}

static bool counts_equal(const struct sb_state *a, const struct sb_state *b) {
  const struct sb_counts *x = &a->counts, *y = &b->counts;
  if (x->count != y->count || x->pattern_rows != y->pattern_rows) return false;
  for (size_t i = 0; i < x->cap; i++) {
    const struct sb_count *row = &x->slots[i];
    if (row->count && sb_counts_get(y, row->hash, same_member(a, b, row->member)) != row->count) return false;
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
         a->sf_mark == b->sf_mark && a->restore_until_ms == b->restore_until_ms &&
         rows_equal(&a->members, &b->members) && rows_equal(&a->departed, &b->departed) &&
         counts_equal(a, b) && sb_keys_equal(&a->keys, &b->keys, a->time_ms);
}
