/* A state as text and back: what a SNAPSHOT and a CHECKPOINT carry. The lines: docs/wire.md, "The state in a
 * SNAPSHOT". "STATE version generation partitions time mark restore_until name_key elder chain" stands first,
 * then "MEMBER …" and "GONE …" in their order, then "PART member next count <bytes>" of what is unfinished,
 * then "COUNTS member <id and count of each channel>" and "PATTERN member name count", then the keys
 * (keys.h). */
#include <stdlib.h>

#include "bridge/core/state/state.h"
#include "bridge/core/wire/entry.h"

#define ROW_ARGS     8
#define STATE_ARGS   10
#define PART_ARGS    5
#define COUNTS_ARGS  3
#define PATTERN_ARGS 4
#define COUNT_BYTES  (SB_NAME_ID_BYTES + 4)       /* of the id, and 4 of the count, the lowest first */
#define COUNTS_BYTES ((size_t)2400 * COUNT_BYTES) /* of one command */

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
    put_number(bytes, count->id.low, 8);
    put_number(bytes + 8, count->id.high, 8);
    put_number(bytes + SB_NAME_ID_BYTES, count->count, 4);
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
  struct number_text t[7];
  char name_key[SB_NAME_KEY_TEXT], chain[SB_CLAIM_TEXT];
  sb_claim_text(&state->chain, chain);
  sb_name_key_text(&state->counts.key, name_key);
  const struct sb_bytes args[STATE_ARGS] = {
      sb_bytes_of("STATE"),
      number(SB_WIRE_VERSION, &t[0]),
      number(state->generation, &t[1]),
      number(state->partitions, &t[2]),
      number(state->time_ms, &t[3]),
      number(state->mark, &t[4]),
      number(state->restore_until_ms, &t[5]),
      sb_bytes(name_key, sizeof name_key),
      number(state->elder_ms, &t[6]),
      sb_bytes_of(chain),
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
      !sb_bytes_u64(args[3], SB_NUMBER_MAX, &row.number) ||
      !sb_incarnation_parse((const char *)args[4].at, args[4].len, &row.previous) ||
      !sb_bytes_u64(args[5], SB_NUMBER_MAX, &row.previous_number) ||
      !sb_incarnation_parse((const char *)args[6].at, args[6].len, &row.other) ||
      !sb_bytes_u64(args[7], SB_NUMBER_MAX, &row.other_number) || sb_state_row(state, row.name))
    return false;
  row.id = ++state->last_id;
  sb_rows_append(rows, &row);
  return true;
}

/* The member that a line of counts is about, or NULL. */
static struct sb_row *read_member(const struct sb_state *state, struct sb_bytes name) {
  char text[SB_NODE_NAME_MAX + 1];
  if (name.len > SB_NODE_NAME_MAX) return NULL;
  memcpy(text, name.at, name.len);
  text[name.len] = 0;
  struct sb_row *row = sb_rows_find(&state->members, text);
  return row && strlen(row->name) == name.len ? row : NULL; /* there may be a zero in it */
}

static bool read_counts(struct sb_state *state, const struct sb_bytes *args, uint32_t count) {
  struct sb_row *member = count == COUNTS_ARGS ? read_member(state, args[1]) : NULL;
  if (!member || args[2].len % COUNT_BYTES != 0) return false;
  for (size_t i = 0; i < args[2].len; i += COUNT_BYTES) {
    const uint8_t *at = args[2].at + i;
    const struct sb_name_id id = {get_number(at, 8), get_number(at + 8, 8)};
    uint64_t sessions = get_number(at + SB_NAME_ID_BYTES, 4);
    if (sessions == 0 || sessions > SB_INTEREST_COUNT_MAX ||
        sb_counts_get(&state->counts, id, member->id) != 0 ||
        !sb_counts_set_id(&state->counts, id, member->id, (uint32_t)sessions))
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
  uint64_t next, fragments;
  if (!member || member->unfinished.next > 0 || !sb_bytes_u64(args[3], SB_FRAGMENTS_MAX, &fragments) ||
      !sb_bytes_u64(args[2], fragments, &next) || next < 2 || args[4].len == 0 ||
      !sb_state_has_room(state, &member->unfinished, args[4].len))
    return false;
  member->unfinished.count = (uint32_t)fragments;
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
      !sb_bytes_u64(args[4], SB_TIME_MS_MAX, &state->time_ms) ||
      !sb_bytes_u64(args[5], UINT64_MAX, &state->mark) ||
      !sb_bytes_u64(args[6], UINT64_MAX, &state->restore_until_ms) ||
      !sb_name_key_parse(args[7], &state->counts.key) ||
      !sb_bytes_u64(args[8], state->time_ms, &state->elder_ms))
    return false;
  sb_claim_parse((const char *)args[9].at, args[9].len, &state->chain);
  state->partitions = (uint32_t)partitions;
  return state->chain.founding != 0;
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
