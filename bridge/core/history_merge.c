/* Putting what was read back before what came meanwhile. What was taken away meanwhile is recorded, for it
 * may concern what was not there yet. */
#include <stdlib.h>

#include "bridge/core/history_parts.h"

/* Above these the record is given up, and with it what is being read back. */
#define REMOVALS_MAX       4096
#define REMOVALS_NAMES_MAX ((size_t)1024 * 1024)

struct removal {
  enum { REMOVE_ENTRY, REMOVE_BELOW, KEEP_NEWEST } what;
  struct sb_id id;
  uint64_t keep;
  uint32_t name_len;
  uint8_t *name;
};

struct sb_history_record {
  struct removal *at;
  uint32_t count, cap;
  size_t names_bytes;
  bool full;
};

static void forget_record(struct sb_history *history) {
  struct sb_history_record *record = history->record;
  if (!record) return;
  for (uint32_t i = 0; i < record->count; i++) free(record->at[i].name);
  free(record->at);
  free(record);
  history->record = NULL;
}

void sb_history_record(struct sb_history *history, bool on) {
  forget_record(history);
  if (on) history->record = sb_calloc(1, sizeof *history->record);
}

static struct removal *latest_of(const struct sb_history_record *record, struct sb_bytes name) {
  for (uint32_t i = record->count; i > 0; i--) {
    struct removal *removal = &record->at[i - 1];
    if (sb_bytes_equal(sb_bytes(removal->name, removal->name_len), name)) return removal;
  }
  return NULL;
}

/* Whether the latest removal from the same key comes to say this too: many trim with each XADD. */
static bool joins(struct removal *latest, const struct removal *removal) {
  if (latest->what == KEEP_NEWEST && latest->keep == 0) return true;
  if (latest->what != removal->what || latest->what == REMOVE_ENTRY) return false;
  if (removal->keep < latest->keep) latest->keep = removal->keep;
  latest->id = sb_id_later(latest->id, removal->id);
  return true;
}

static void record(struct sb_history *history, struct sb_bytes name, struct removal removal) {
  struct sb_history_record *all = history->record;
  if (!all || all->full) return;
  struct removal *latest = latest_of(all, name);
  if (latest && joins(latest, &removal)) return;
  if (all->count == REMOVALS_MAX || name.len > REMOVALS_NAMES_MAX - all->names_bytes) {
    all->full = true;
    return;
  }
  if (all->count == all->cap) {
    all->cap = all->cap ? all->cap * 2 : 16;
    all->at = sb_realloc(all->at, all->cap * sizeof *all->at);
  }
  removal.name_len = (uint32_t)name.len;
  removal.name = sb_malloc(name.len + 1);
  if (name.len) memcpy(removal.name, name.at, name.len);
  all->names_bytes += name.len;
  all->at[all->count++] = removal;
}

void sb_history_record_delete(struct sb_history *history, struct sb_bytes name, struct sb_id id) {
  if (sb_id_compare(id, history->begin) > 0) return; /* it is here, or nowhere */
  record(history, name, (struct removal){.what = REMOVE_ENTRY, .id = id});
}

void sb_history_record_below(struct sb_history *history, struct sb_bytes name, struct sb_id id) {
  record(history, name, (struct removal){.what = REMOVE_BELOW, .id = id});
}

void sb_history_record_keep(struct sb_history *history, struct sb_bytes name, uint64_t keep) {
  record(history, name, (struct removal){.what = KEEP_NEWEST, .keep = keep});
}

static void apply(struct sb_history *history, const struct sb_history_record *record) {
  for (uint32_t i = 0; i < record->count; i++) {
    const struct removal *removal = &record->at[i];
    struct sb_bytes name = sb_bytes(removal->name, removal->name_len);
    switch (removal->what) {
    case REMOVE_ENTRY:
      sb_history_delete(history, name, removal->id);
      break;
    case REMOVE_BELOW:
      sb_history_trim_below(history, name, removal->id);
      break;
    case KEEP_NEWEST:
      sb_history_trim_length(history, name, removal->keep);
      break;
    }
  }
}

bool sb_history_prepend(struct sb_history *history, struct sb_history *older) {
  struct sb_history_record *record = history->record;
  if (!record || record->full) return false;
  apply(older, record);
  forget_record(history);
  struct sb_history newer = *history;
  *history = *older;
  history->marks_wanted = newer.marks_wanted;
  sb_history_init(older, older->max_bytes, older->max_age_ms);
  while (newer.first) sb_history_move_first(&newer, history);
  history->floor = history->begin; /* of what had to go before nothing is known */
  sb_history_close(&newer);
  return true;
}
