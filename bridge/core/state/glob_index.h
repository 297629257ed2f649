/* Many compiled patterns, and those among them that match a text. They are found by what a text must begin
 * and end with. Patterns that fix equally many bytes at both ends have one shape, and a text is looked up
 * once in each shape. So ten thousand patterns "user:<number>:*" cost a text a handful of look-ups. Patterns
 * that begin and end alike are tried one after the other.
 *
 * Storage that the caller holds; zeroed is empty. Globs are owned by it, items are not. One thread. */
#ifndef SB_CORE_GLOB_INDEX_H
#define SB_CORE_GLOB_INDEX_H

#include "bridge/base/bytes.h"
#include "bridge/base/glob.h"
#include "bridge/base/table.h"

struct sb_glob_shape;
struct sb_glob_place;

struct sb_glob_index {
  struct sb_table buckets; /* of struct bucket: patterns of one shape, begin and end */
  struct sb_glob_shape *shapes;
  uint32_t shapes_count, shapes_cap;
  size_t count;
  uint64_t alike; /* the largest bucket that each shape ever had, summed: a text tries no more patterns */
  uint64_t work;  /* steps for each byte of a text, of all patterns together */
};

void sb_glob_index_close(struct sb_glob_index *index);

/* Takes ownership of the glob. Returns its place, for sb_glob_index_remove. */
struct sb_glob_place *sb_glob_index_add(struct sb_glob_index *index, struct sb_glob *glob, void *item);

/* Frees the glob and the place. */
void sb_glob_index_remove(struct sb_glob_index *index, struct sb_glob_place *place);

/* What to match a text of that length costs at most, in steps of about a nanosecond. */
uint64_t sb_glob_index_steps(const struct sb_glob_index *index, size_t text_len);

const struct sb_glob *sb_glob_of(const struct sb_glob_place *place);
const void *sb_glob_item(const struct sb_glob_place *place);

/* Calls each(owner, item) for all that match, in no order; nothing may be added or removed meanwhile. A text
 * longer than SB_CHANNEL_LENGTH_MAX matches nothing: nobody can publish to it. */
void sb_glob_index_each(const struct sb_glob_index *index, struct sb_bytes text,
                        void (*each)(void *owner, void *item), void *owner);

#endif
