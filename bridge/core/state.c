#include "bridge/core/state.h"

#include <stdio.h>
#include <stdlib.h>

#include "bridge/core/entry.h"

static struct sb_row *find(const struct sb_rows *rows, const char *name) {
  for (uint32_t i = 0; i < rows->count; i++)
    if (strcmp(rows->at[i].name, name) == 0) return &rows->at[i];
  return NULL;
}

static void append(struct sb_rows *rows, const struct sb_row *row) {
  if (rows->count == rows->cap) {
    rows->cap = rows->cap ? rows->cap * 2 : 8;
    rows->at = sb_realloc(rows->at, rows->cap * sizeof *rows->at);
  }
  rows->at[rows->count++] = *row;
}

static void remove_at(struct sb_rows *rows, uint32_t index) {
  rows->count--;
  memmove(&rows->at[index], &rows->at[index + 1], (rows->count - index) * sizeof *rows->at);
}

static void remove_row(struct sb_rows *rows, const struct sb_row *row) {
  remove_at(rows, (uint32_t)(row - rows->at));
}

static void close_rows(struct sb_rows *rows) {
  free(rows->at);
  *rows = (struct sb_rows){0};
}

void sb_state_close(struct sb_state *state) {
  close_rows(&state->members);
  close_rows(&state->departed);
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

enum sb_verdict sb_state_batch(struct sb_state *state, const struct sb_envelope *envelope) {
  struct sb_row *row = find(&state->members, envelope->node);
  if (!row || envelope->generation != state->generation ||
      sb_incarnation_compare(row->incarnation, envelope->incarnation) != 0)
    return SB_VERDICT_STRANGER;
  if (envelope->number <= row->number) return SB_VERDICT_DUPLICATE;
  if (envelope->number != row->number + 1) return SB_VERDICT_HOLE;
  row->number++;
  if (envelope->time_ms > state->time_ms) state->time_ms = envelope->time_ms;
  return SB_VERDICT_ACCEPTED;
}

bool sb_state_hello(struct sb_state *state, const char *name, struct sb_incarnation incarnation,
                    uint32_t partitions, uint64_t known_generation) {
  struct sb_row *member = find(&state->members, name);
  struct sb_row *old = member ? member : find(&state->departed, name);
  if (partitions != state->partitions) return false;
  if (old && sb_incarnation_compare(old->incarnation, incarnation) >= 0) return false;
  if (!member && state->members.count >= SB_MEMBERS_MAX) return false;
  struct sb_row row = {.incarnation = incarnation};
  snprintf(row.name, sizeof row.name, "%s", name);
  if (old && old->number > 0) {
    row.previous = old->incarnation;
    row.previous_number = old->number;
  } else if (old) { /* nothing was accepted under it: what was before still counts */
    row.previous = old->previous;
    row.previous_number = old->previous_number;
  }
  if (old) remove_row(member ? &state->members : &state->departed, old);
  append(&state->members, &row);
  if (known_generation > state->generation)
    state->generation = known_generation < SB_GENERATION_MAX ? known_generation + 1 : SB_GENERATION_MAX;
  return true;
}

void sb_state_snapshot_seen(struct sb_state *state, uint64_t sequence) {
  state->sf_mark = sequence + 1;
}

bool sb_state_found(struct sb_state *state, const struct sb_found *found) {
  if (found->hello_at >= found->sequence) return false; /* late word from a log that is no more */
  bool first = state->sf_mark <= found->hello_at + 1;
  state->sf_mark = found->sequence + 1;
  if (!first) return false;
  struct sb_row row = {.incarnation = found->incarnation};
  snprintf(row.name, sizeof row.name, "%s", found->name);
  state->generation = found->generation;
  state->partitions = found->partitions;
  state->time_ms = found->time_ms;
  state->members.count = 0;
  state->departed.count = 0;
  append(&state->members, &row);
  return true;
}

bool sb_state_bye(struct sb_state *state, const char *name, struct sb_incarnation incarnation,
                  uint64_t number) {
  struct sb_row *row = find(&state->members, name);
  if (!row || sb_incarnation_compare(row->incarnation, incarnation) != 0 || row->number != number)
    return false;
  struct sb_row gone = *row;
  remove_row(&state->members, row);
  if (state->departed.count == SB_DEPARTED_MAX) remove_at(&state->departed, 0);
  append(&state->departed, &gone);
  return true;
}

/* ---- SNAPSHOT: "STATE version generation partitions time sf_mark", then "MEMBER …" and "GONE …" in their
 * order ---- */

#define ROW_ARGS   6
#define STATE_ARGS 6

struct number_text {
  char digits[20];
};

static struct sb_bytes number(uint64_t value, struct number_text *text) {
  return sb_bytes(text->digits, sb_u64_text(value, text->digits));
}

static void write_rows(const struct sb_rows *rows, const char *command, struct sb_buf *out) {
  for (uint32_t i = 0; i < rows->count; i++) {
    const struct sb_row *row = &rows->at[i];
    char incarnation[SB_INCARNATION_TEXT], previous[SB_INCARNATION_TEXT];
    struct number_text n, pn;
    sb_incarnation_text(row->incarnation, incarnation);
    sb_incarnation_text(row->previous, previous);
    const struct sb_bytes args[ROW_ARGS] = {
        sb_bytes_of(command),    sb_bytes_of(row->name), sb_bytes_of(incarnation),
        number(row->number, &n), sb_bytes_of(previous),  number(row->previous_number, &pn),
    };
    sb_entry_append(out, args, ROW_ARGS);
  }
}

void sb_state_write(const struct sb_state *state, struct sb_buf *out) {
  struct number_text t[5];
  const struct sb_bytes args[STATE_ARGS] = {
      sb_bytes_of("STATE"),
      number(SB_WIRE_VERSION, &t[0]),
      number(state->generation, &t[1]),
      number(state->partitions, &t[2]),
      number(state->time_ms, &t[3]),
      number(state->sf_mark, &t[4]),
  };
  sb_entry_append(out, args, STATE_ARGS);
  write_rows(&state->members, "MEMBER", out);
  write_rows(&state->departed, "GONE", out);
}

static bool read_row(const struct sb_state *state, struct sb_rows *rows, uint32_t max,
                     const struct sb_bytes *args, uint32_t count) {
  struct sb_row row = {0};
  if (count != ROW_ARGS || rows->count >= max || !sb_node_name_valid((const char *)args[1].at, args[1].len))
    return false;
  memcpy(row.name, args[1].at, args[1].len);
  if (!sb_incarnation_parse((const char *)args[2].at, args[2].len, &row.incarnation) ||
      !sb_bytes_u64(args[3], UINT64_MAX, &row.number) ||
      !sb_incarnation_parse((const char *)args[4].at, args[4].len, &row.previous) ||
      !sb_bytes_u64(args[5], UINT64_MAX, &row.previous_number) || sb_state_row(state, row.name))
    return false;
  append(rows, &row);
  return true;
}

static bool read_head(struct sb_state *state, const struct sb_bytes *args, uint32_t count) {
  uint64_t version, partitions;
  if (count != STATE_ARGS || !sb_bytes_equal(args[0], sb_bytes_of("STATE")) ||
      !sb_bytes_u64(args[1], SB_WIRE_VERSION, &version) || version != SB_WIRE_VERSION ||
      !sb_bytes_u64(args[2], SB_GENERATION_MAX, &state->generation) ||
      !sb_bytes_u64(args[3], SB_PARTITIONS_MAX, &partitions) || partitions == 0 ||
      !sb_bytes_u64(args[4], UINT64_MAX, &state->time_ms) ||
      !sb_bytes_u64(args[5], UINT64_MAX, &state->sf_mark))
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
    bool member = count > 0 && sb_bytes_equal(args[0], sb_bytes_of("MEMBER"));
    bool gone = count > 0 && sb_bytes_equal(args[0], sb_bytes_of("GONE"));
    if (!(member && read_row(state, &state->members, SB_MEMBERS_MAX, args, count)) &&
        !(gone && read_row(state, &state->departed, SB_DEPARTED_MAX, args, count)))
      return false;
  }
  return true;
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
        x->previous_number != y->previous_number)
      return false;
  }
  return true;
}

bool sb_state_equal(const struct sb_state *a, const struct sb_state *b) {
  return a->generation == b->generation && a->partitions == b->partitions && a->time_ms == b->time_ms &&
         a->sf_mark == b->sf_mark && rows_equal(&a->members, &b->members) &&
         rows_equal(&a->departed, &b->departed);
}
