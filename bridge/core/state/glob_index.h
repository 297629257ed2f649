/* Many compiled patterns, and those among them that match a text. They are found by what a text must begin
 * and end with: patterns of the same two lengths make a shape, and of each shape that there is a text meets
 * those of its own begin and end. So ten thousand patterns "user:<number>:*" cost a text a handful of
 * look-ups. Who makes all patterns alike gets them tried one after the other.
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
  uint64_t alike; /* of each shape the largest bucket that it had: so many are tried at most */
  uint64_t work;  /* of all together: steps for each byte of a text */
};

void sb_glob_index_close(struct sb_glob_index *index);

/* Takes the glob. The place is where it stands, for sb_glob_index_remove. */
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
