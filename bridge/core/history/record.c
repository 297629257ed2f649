#include "bridge/core/history/record.h"

#include <stdlib.h>

/* Above these the record is given up, and with it what is being read back. */
#define REMOVALS_MAX       4096
#define REMOVALS_NAMES_MAX ((size_t)1024 * 1024)

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

static struct sb_removal *latest_of(const struct sb_history_record *record, struct sb_bytes name) {
  for (uint32_t i = record->count; i > 0; i--) {
    struct sb_removal *removal = &record->at[i - 1];
    if (sb_bytes_equal(sb_bytes(removal->name, removal->name_len), name)) return removal;
  }
  return NULL;
}

/* Makes the latest removal from the same key say this one too, if it can: many trim with each XADD. */
static bool joins(struct sb_removal *latest, const struct sb_removal *removal) {
  if (latest->what == SB_KEEP_NEWEST && latest->keep == 0) return true;
  if (latest->what != removal->what || latest->what == SB_REMOVE_ENTRY) return false;
  if (removal->keep < latest->keep) latest->keep = removal->keep;
  latest->id = sb_id_later(latest->id, removal->id);
  return true;
}

static void record(struct sb_history *history, struct sb_bytes name, struct sb_removal removal) {
  struct sb_history_record *all = history->record;
  if (!all || all->full) return;
  struct sb_removal *latest = latest_of(all, name);
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
  if (sb_id_compare(id, history->begin) > 0) return; /* it is in this history, or nowhere */
  record(history, name, (struct sb_removal){.what = SB_REMOVE_ENTRY, .id = id});
}

void sb_history_record_below(struct sb_history *history, struct sb_bytes name, struct sb_id id) {
  record(history, name, (struct sb_removal){.what = SB_REMOVE_BELOW, .id = id});
}

void sb_history_record_keep(struct sb_history *history, struct sb_bytes name, uint64_t keep) {
  record(history, name, (struct sb_removal){.what = SB_KEEP_NEWEST, .keep = keep});
}
