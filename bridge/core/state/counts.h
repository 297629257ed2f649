/* Who in the cluster subscribes to what, as one log tells it: for each member the number of its sessions on
 * each channel, shard channel and pattern. Channels are kept by id (name_id.h), so that one that another node
 * subscribes to costs a table slot and not its name; patterns are kept by name, for they are matched. Part of
 * the state (state.h): the same log gives the same counts everywhere. One thread. */
#ifndef SB_CORE_COUNTS_H
#define SB_CORE_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/name_id.h"
#include "bridge/base/table.h"
#include "bridge/core/state/glob_index.h"
#include "bridge/core/wire/name.h"

/* A member's sessions on one channel; count 0: an empty slot of the table. */
struct sb_count {
  struct sb_name_id id;
  uint32_t member; /* the id of its row */
  uint32_t count;
};

struct sb_pattern_count {
  uint32_t member, count;
};

struct sb_pattern {
  uint64_t hash;
  uint64_t total; /* sessions of all members */
  struct sb_glob_place *place;
  struct sb_pattern_count *members;
  uint32_t members_count, members_cap;
  uint32_t name_len;
  uint8_t name[];
};

struct sb_counts {
  struct sb_name_key key; /* of ids, the same on every node; it stays as it is while there are channels */
  struct sb_count *slots; /* open addressing, linear probing; members of one channel stand side by side */
  size_t cap, count;
  struct sb_table patterns;           /* of struct sb_pattern */
  struct sb_glob_index globs;         /* the same, to be matched */
  size_t pattern_rows, pattern_bytes; /* one of each pattern and member, and of their names and bit maps */
};

/* The same on every node: it travels in SNAPSHOTs. Shard channels and channels of one name differ. */
struct sb_name_id sb_counts_id(const struct sb_counts *counts, enum sb_sub_kind kind, struct sb_bytes name);

void sb_counts_close(struct sb_counts *counts);

/* Sets a member's sessions on a channel or pattern; 0 removes it. False: a limit of limits.h is reached and
 * nothing changed. */
bool sb_counts_set(struct sb_counts *counts, enum sb_sub_kind kind, struct sb_bytes name, uint32_t member,
                   uint32_t count);

/* The same for a channel whose id is known. */
bool sb_counts_set_id(struct sb_counts *counts, struct sb_name_id id, uint32_t member, uint32_t count);

/* What a member has on a channel; 0: nothing. */
uint32_t sb_counts_get(const struct sb_counts *counts, struct sb_name_id id, uint32_t member);

/* Everything of a member goes. */
void sb_counts_forget(struct sb_counts *counts, uint32_t member);

/* Sessions of all members: on one channel; on patterns that match a channel. */
uint64_t sb_counts_channel(const struct sb_counts *counts, struct sb_name_id id);
uint64_t sb_counts_matching(const struct sb_counts *counts, struct sb_bytes channel);

/* How much room new patterns would take. */
struct sb_pattern_load {
  size_t rows, bytes; /* again for each member that has the pattern */
  uint64_t work;      /* once for all members */
};
void sb_pattern_load_add(struct sb_pattern_load *load, const struct sb_glob *glob, size_t name_len);

/* Whether there is room for them; and whether there is such a pattern, whoever has it. */
bool sb_counts_has_room(const struct sb_counts *counts, const struct sb_pattern_load *load);
bool sb_counts_has_pattern(const struct sb_counts *counts, struct sb_bytes name);

/* Sessions of a member on a pattern. */
uint32_t sb_counts_pattern(const struct sb_counts *counts, struct sb_bytes name, uint32_t member);

#endif
