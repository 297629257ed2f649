/* Remembers what commands take away from a history while older entries are read back: they may mean entries
 * that are not here yet. */
#ifndef SB_CORE_HISTORY_RECORD_H
#define SB_CORE_HISTORY_RECORD_H

#include "bridge/core/history/history.h"

struct sb_removal {
  enum { SB_REMOVE_ENTRY, SB_REMOVE_BELOW, SB_KEEP_NEWEST } what;
  struct sb_id id;
  uint64_t keep;
  uint32_t name_len;
  uint8_t *name;
};

struct sb_history_record {
  struct sb_removal *at;
  uint32_t count, cap;
  size_t names_bytes;
  bool full; /* too much was taken away: the record is given up, and with it what is being read back */
};

/* For a history that records. */
void sb_history_record_delete(struct sb_history *history, struct sb_bytes name, struct sb_id id);
void sb_history_record_below(struct sb_history *history, struct sb_bytes name, struct sb_id id);
void sb_history_record_keep(struct sb_history *history, struct sb_bytes name, uint64_t keep);

#endif
