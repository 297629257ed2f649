/* Which entries a history keeps when it is filled for one request only. Those that lie behind what it keeps
 * are only counted: at least so many, and at most so many. */
#include "bridge/core/history/slice.h"

#include <stdlib.h>

#include "bridge/core/history/pieces.h"
#include "bridge/core/wire/name.h"

struct wanted {
  struct sb_id from;
  uint64_t least, most; /* how many entries lie behind what is kept */
  uint32_t name_len;
  uint8_t name[];
};

static struct wanted *find(const struct sb_history_slice *slice, struct sb_bytes name) {
  uint64_t hash = sb_name_hash(name);
  size_t at = sb_table_start(&slice->names, hash);
  struct wanted *wanted;
  while ((wanted = sb_table_probe(&slice->names, hash, &at)))
    if (sb_bytes_equal(sb_bytes(wanted->name, wanted->name_len), name)) return wanted;
  return NULL;
}

void sb_history_slice_close(struct sb_history_slice *slice) {
  struct wanted *wanted;
  for (size_t at = 0; (wanted = sb_table_each(&slice->names, &at));) free(wanted);
  sb_table_close(&slice->names);
  *slice = (struct sb_history_slice){0};
}

void sb_history_slice_add(struct sb_history_slice *slice, struct sb_bytes name, struct sb_id from) {
  struct wanted *wanted = find(slice, name);
  if (!wanted) {
    wanted = sb_calloc(1, sizeof *wanted + name.len);
    wanted->from = from;
    wanted->name_len = (uint32_t)name.len;
    if (name.len) memcpy(wanted->name, name.at, name.len);
    sb_table_add(&slice->names, sb_name_hash(name), wanted);
  } else if (sb_id_compare(from, wanted->from) < 0) {
    wanted->from = from;
  }
}

bool sb_history_slice_has(const struct sb_history_slice *slice, struct sb_bytes name, struct sb_id from) {
  const struct wanted *wanted = find(slice, name);
  return wanted && sb_id_compare(wanted->from, from) <= 0;
}

void sb_history_slice_restart(struct sb_history_slice *slice) {
  struct wanted *wanted;
  for (size_t at = 0; (wanted = sb_table_each(&slice->names, &at));) wanted->least = wanted->most = 0;
  slice->end = slice->to;
  slice->unsure = false;
}

/* A run of which only a part is wanted is kept whole: its reader knows the bounds. */
bool sb_history_slice_takes(const struct sb_history *history, struct sb_bytes name, struct sb_id first,
                            uint32_t count) {
  struct wanted *wanted = find(history->slice, name);
  if (!wanted || sb_id_compare((struct sb_id){first.ms, first.seq + count - 1}, wanted->from) < 0)
    return false;
  if (sb_id_compare(first, history->slice->end) <= 0) return true;
  wanted->least += count;
  wanted->most += count;
  return false;
}

void sb_history_slice_message(struct sb_history *history, struct sb_id base) {
  struct sb_history_slice *slice = history->slice;
  if (slice->backwards || history->bytes < history->max_bytes || sb_id_compare(slice->end, base) < 0) return;
  if (history->last && sb_id_compare(history->last->base, base) == 0) return; /* it is kept already */
  slice->end = base;
  sb_id_previous(&slice->end);
}

uint64_t sb_history_slice_trim(const struct sb_history *history, struct sb_bytes name, uint64_t length,
                               uint64_t keep) {
  struct wanted *wanted = find(history->slice, name);
  if (!wanted) return keep;
  uint64_t here_most = keep > wanted->least ? keep - wanted->least : 0;
  uint64_t here_least = keep > wanted->most ? keep - wanted->most : 0;
  if (here_least != here_most && here_least < length) history->slice->unsure = true;
  if (wanted->least > keep) wanted->least = keep;
  if (wanted->most > keep) wanted->most = keep;
  return here_most;
}

void sb_history_slice_deleted(const struct sb_history *history, struct sb_bytes name, struct sb_id id,
                              bool below) {
  struct wanted *wanted = find(history->slice, name);
  if (!wanted || sb_id_compare(id, history->slice->end) <= 0 || wanted->least == 0) return;
  wanted->least = below ? 0 : wanted->least - 1;
}

/* Counts no further than the limit. */
static bool has_as_many(const struct sb_history *history, const struct wanted *wanted) {
  const struct sb_history_slice *slice = history->slice;
  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  uint64_t count = 0;
  sb_history_seek(history, sb_bytes(wanted->name, wanted->name_len), wanted->from, slice->end,
                  slice->backwards, &cursor);
  while (count < slice->limit && sb_history_next(&cursor, &entry)) count++;
  return count == slice->limit;
}

bool sb_history_slice_has_limit(const struct sb_history *history) {
  const struct wanted *wanted;
  for (size_t at = 0; (wanted = sb_table_each(&history->slice->names, &at));)
    if (!has_as_many(history, wanted) && (history->slice->backwards || wanted->most > 0)) return false;
  return true;
}

bool sb_history_slice_is_met(const struct sb_history *history) {
  bool whole = sb_id_compare(history->slice->end, history->slice->to) == 0 &&
               sb_id_compare(history->begin, history->floor) == 0;
  return whole || sb_history_slice_has_limit(history);
}
