/* What was read back is put before what came meanwhile, without what was taken away since. */
#include "bridge/core/history/merge.h"

#include "bridge/core/history/record.h"

static void apply(struct sb_history *history, const struct sb_history_record *record) {
  for (uint32_t i = 0; i < record->count; i++) {
    const struct sb_removal *removal = &record->at[i];
    struct sb_bytes name = sb_bytes(removal->name, removal->name_len);
    switch (removal->what) {
    case SB_REMOVE_ENTRY:
      sb_history_delete(history, name, removal->id);
      break;
    case SB_REMOVE_BELOW:
      sb_history_trim_below(history, name, removal->id);
      break;
    case SB_KEEP_NEWEST:
      sb_history_trim_length(history, name, removal->keep);
      break;
    }
  }
}

bool sb_history_prepend(struct sb_history *history, struct sb_history *older) {
  struct sb_history_record *record = history->record;
  if (!record || record->full) return false;
  apply(older, record);
  sb_history_record(history, false);
  struct sb_history newer = *history;
  *history = *older;
  history->marks_wanted = newer.marks_wanted;
  sb_history_init(older, older->max_bytes, older->max_age_ms);
  while (newer.first) sb_history_move_first(&newer, history);
  history->floor = history->begin; /* nothing is known of what `older` had to drop */
  sb_history_close(&newer);
  return true;
}
