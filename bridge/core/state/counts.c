#include "bridge/core/state/counts.h"

#include <stdlib.h>

#include "bridge/base/limits.h"

#define FIRST_CAP  16
#define SHARD_SALT UINT64_C(0x9e3779b97f4a7c15)

struct sb_name_id sb_counts_id(const struct sb_counts *counts, enum sb_sub_kind kind, struct sb_bytes name) {
  struct sb_name_id id = sb_name_id(&counts->key, name);
  if (kind == SB_SUB_SHARD) id.low ^= SHARD_SALT;
  return id;
}

static void pattern_free(struct sb_pattern *pattern) {
  free(pattern->members);
  free(pattern);
}

void sb_counts_close(struct sb_counts *counts) {
  size_t at = 0;
  struct sb_pattern *pattern;
  while ((pattern = sb_table_each(&counts->patterns, &at))) pattern_free(pattern);
  sb_table_close(&counts->patterns);
  sb_glob_index_close(&counts->globs);
  free(counts->slots);
  *counts = (struct sb_counts){0};
}

/* ---- channels ---- */

/* Where the row of an id belongs in the table. Rows often arrive in the order of another table: that of a
 * SNAPSHOT's sender, or that of a member's topics when it announces them. If our own order were the same, a
 * table that is still small would fill from one side, and each new row would walk past all before it. So the
 * home depends on the size of the table. */
static size_t home(const struct sb_counts *counts, struct sb_name_id id) {
  uint64_t mixed = id.low * UINT64_C(0x9e3779b97f4a7c15);
  mixed += mixed * counts->cap * 2;
  return (size_t)((mixed >> 32) * counts->cap >> 32);
}

static size_t behind(const struct sb_counts *counts, size_t at) {
  return at + 1 < counts->cap ? at + 1 : 0;
}

/* How many slots it is from `from` on to `to`. */
static size_t way(const struct sb_counts *counts, size_t from, size_t to) {
  return to >= from ? to - from : to + counts->cap - from;
}

static void put(struct sb_counts *counts, struct sb_count row) {
  size_t at = home(counts, row.id);
  while (counts->slots[at].count) at = behind(counts, at);
  counts->slots[at] = row;
}

static void resize(struct sb_counts *counts, size_t cap) {
  struct sb_count *old = counts->slots;
  size_t old_cap = counts->cap;
  counts->slots = sb_calloc(cap, sizeof *counts->slots);
  counts->cap = cap;
  for (size_t i = 0; i < old_cap; i++)
    if (old[i].count) put(counts, old[i]);
  free(old);
}

static struct sb_count *find(const struct sb_counts *counts, struct sb_name_id id, uint32_t member) {
  if (counts->cap == 0) return NULL;
  for (size_t at = home(counts, id);; at = behind(counts, at)) {
    struct sb_count *row = &counts->slots[at];
    if (row->count == 0) return NULL;
    if (row->member == member && sb_name_id_equal(row->id, id)) return row;
  }
}

/* Removes a row. Rows behind the gap move back into it, unless they stand at home or would pass it. */
static void remove_row(struct sb_counts *counts, struct sb_count *row) {
  size_t at = (size_t)(row - counts->slots);
  for (size_t next = behind(counts, at); counts->slots[next].count; next = behind(counts, next)) {
    if (way(counts, home(counts, counts->slots[next].id), next) < way(counts, at, next)) continue;
    counts->slots[at] = counts->slots[next];
    at = next;
  }
  counts->slots[at] = (struct sb_count){0};
  counts->count--;
}

/* Keeps the table three fifths full at least: a row must not cost more than 40 bytes after many have left. */
static void shrink(struct sb_counts *counts) {
  if (counts->cap <= FIRST_CAP || counts->count * 5 >= counts->cap * 3) return;
  size_t cap = counts->count + counts->count / 3 + 1; /* room to grow before the next time */
  resize(counts, cap > FIRST_CAP ? cap : FIRST_CAP);
}

bool sb_counts_set_id(struct sb_counts *counts, struct sb_name_id id, uint32_t member, uint32_t count) {
  struct sb_count *row = find(counts, id, member);
  if (row && count) {
    row->count = count;
  } else if (row) {
    remove_row(counts, row);
    shrink(counts);
  } else if (count) {
    if (counts->count >= SB_INTEREST_ROWS_MAX) return false;
    /* The table is seven eighths full at most, and two thirds when it has just grown: a row has 24 bytes, and
     * a subscription of another node may cost 40. */
    if ((counts->count + 1) * 8 > counts->cap * 7)
      resize(counts, counts->cap ? counts->cap + counts->cap / 3 : FIRST_CAP);
    put(counts, (struct sb_count){id, member, count});
    counts->count++;
  }
  return true;
}

uint32_t sb_counts_get(const struct sb_counts *counts, struct sb_name_id id, uint32_t member) {
  const struct sb_count *row = find(counts, id, member);
  return row ? row->count : 0;
}

uint64_t sb_counts_channel(const struct sb_counts *counts, struct sb_name_id id) {
  uint64_t total = 0;
  if (counts->count == 0) return 0;
  for (size_t at = home(counts, id); counts->slots[at].count; at = behind(counts, at))
    if (sb_name_id_equal(counts->slots[at].id, id)) total += counts->slots[at].count;
  return total;
}

/* ---- patterns ---- */

static struct sb_pattern *find_pattern(const struct sb_counts *counts, struct sb_bytes name, uint64_t hash) {
  size_t at = sb_table_start(&counts->patterns, hash);
  struct sb_pattern *pattern;
  while ((pattern = sb_table_probe(&counts->patterns, hash, &at)))
    if (sb_bytes_equal(sb_bytes(pattern->name, pattern->name_len), name)) return pattern;
  return NULL;
}

/* What a row counts against SB_PATTERN_BYTES_MAX. */
static size_t row_bytes(const struct sb_glob *glob, size_t name_len) {
  return name_len + sb_glob_set_bytes(glob);
}

void sb_pattern_load_add(struct sb_pattern_load *load, const struct sb_glob *glob, size_t name_len) {
  load->rows++;
  load->bytes += row_bytes(glob, name_len);
  load->work += sb_glob_work(glob);
}

bool sb_counts_has_room(const struct sb_counts *counts, const struct sb_pattern_load *load) {
  return counts->pattern_rows + load->rows <= SB_PATTERN_ROWS_MAX &&
         counts->pattern_bytes + load->bytes <= SB_PATTERN_BYTES_MAX &&
         counts->globs.work + load->work <= SB_PATTERN_WORK_MAX;
}

bool sb_counts_has_pattern(const struct sb_counts *counts, struct sb_bytes name) {
  return find_pattern(counts, name, sb_name_hash(name)) != NULL;
}

/* NULL: it is too long, or there is no room for it. */
static struct sb_pattern *add_pattern(struct sb_counts *counts, struct sb_bytes name, uint64_t hash) {
  struct sb_pattern_load load = {0};
  struct sb_glob *glob = sb_glob_new(name);
  if (glob) sb_pattern_load_add(&load, glob, name.len);
  if (!glob || !sb_counts_has_room(counts, &load)) {
    sb_glob_free(glob);
    return NULL;
  }
  struct sb_pattern *pattern = sb_malloc(sizeof *pattern + name.len);
  *pattern = (struct sb_pattern){.hash = hash, .name_len = (uint32_t)name.len};
  if (name.len) memcpy(pattern->name, name.at, name.len);
  pattern->place = sb_glob_index_add(&counts->globs, glob, pattern);
  sb_table_add(&counts->patterns, hash, pattern);
  return pattern;
}

static void drop_pattern_member(struct sb_counts *counts, struct sb_pattern *pattern, uint32_t at) {
  pattern->total -= pattern->members[at].count;
  pattern->members[at] = pattern->members[--pattern->members_count];
  counts->pattern_rows--;
  counts->pattern_bytes -= row_bytes(sb_glob_of(pattern->place), pattern->name_len);
  if (pattern->members_count > 0) return;
  sb_table_remove(&counts->patterns, pattern->hash, pattern);
  sb_glob_index_remove(&counts->globs, pattern->place);
  pattern_free(pattern);
}

static bool add_pattern_member(struct sb_counts *counts, struct sb_pattern *pattern, struct sb_bytes name,
                               uint64_t hash, struct sb_pattern_count row) {
  if (pattern) {
    const struct sb_pattern_load load = {1, row_bytes(sb_glob_of(pattern->place), name.len), 0};
    if (!sb_counts_has_room(counts, &load)) return false;
  }
  if (!pattern) pattern = add_pattern(counts, name, hash);
  if (!pattern) return false;
  if (pattern->members_count == pattern->members_cap) {
    pattern->members_cap = pattern->members_cap ? pattern->members_cap * 2 : 2;
    pattern->members = sb_realloc(pattern->members, pattern->members_cap * sizeof *pattern->members);
  }
  pattern->members[pattern->members_count++] = row;
  pattern->total += row.count;
  counts->pattern_rows++;
  counts->pattern_bytes += row_bytes(sb_glob_of(pattern->place), name.len);
  return true;
}

static bool set_pattern(struct sb_counts *counts, struct sb_bytes name, uint32_t member, uint32_t count) {
  uint64_t hash = sb_name_hash(name);
  struct sb_pattern *pattern = find_pattern(counts, name, hash);
  for (uint32_t i = 0; pattern && i < pattern->members_count; i++) {
    struct sb_pattern_count *row = &pattern->members[i];
    if (row->member != member) continue;
    if (count == 0) {
      drop_pattern_member(counts, pattern, i);
      return true;
    }
    pattern->total = pattern->total - row->count + count;
    row->count = count;
    return true;
  }
  if (count == 0) return true;
  return add_pattern_member(counts, pattern, name, hash, (struct sb_pattern_count){member, count});
}

uint32_t sb_counts_pattern(const struct sb_counts *counts, struct sb_bytes name, uint32_t member) {
  const struct sb_pattern *pattern = find_pattern(counts, name, sb_name_hash(name));
  for (uint32_t i = 0; pattern && i < pattern->members_count; i++)
    if (pattern->members[i].member == member) return pattern->members[i].count;
  return 0;
}

static void add_total(void *owner, void *item) {
  uint64_t *total = owner;
  *total += ((const struct sb_pattern *)item)->total;
}

uint64_t sb_counts_matching(const struct sb_counts *counts, struct sb_bytes channel) {
  uint64_t total = 0;
  sb_glob_index_each(&counts->globs, channel, add_total, &total);
  return total;
}

/* ---- both ---- */

bool sb_counts_set(struct sb_counts *counts, enum sb_sub_kind kind, struct sb_bytes name, uint32_t member,
                   uint32_t count) {
  if (kind == SB_SUB_PATTERN) return set_pattern(counts, name, member, count);
  return sb_counts_set_id(counts, sb_counts_id(counts, kind, name), member, count);
}

void sb_counts_forget(struct sb_counts *counts, uint32_t member) {
  struct sb_count *old = counts->slots;
  size_t old_cap = counts->cap;
  bool any = false;
  for (size_t i = 0; i < old_cap && !any; i++) any = old[i].count && old[i].member == member;
  if (any) { /* rows that stay go into a new table: cheaper than closing one hole after another */
    counts->slots = sb_calloc(old_cap, sizeof *counts->slots);
    counts->count = 0;
    for (size_t i = 0; i < old_cap; i++)
      if (old[i].count && old[i].member != member) {
        put(counts, old[i]);
        counts->count++;
      }
    free(old);
    shrink(counts);
  }
  for (size_t at = 0; at < counts->patterns.cap;) {
    struct sb_pattern *pattern = counts->patterns.slots[at].item;
    size_t count = counts->patterns.count, cap = counts->patterns.cap;
    for (uint32_t i = 0; pattern && i < pattern->members_count; i++)
      if (pattern->members[i].member == member) {
        drop_pattern_member(counts, pattern, i);
        break;
      }
    if (counts->patterns.cap != cap)
      at = 0; /* the table has shrunk: begin again */
    else if (counts->patterns.count == count)
      at++; /* after a removal another row may have moved up to here */
  }
}
