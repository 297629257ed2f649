#include "bridge/core/state/glob_index.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/base/limits.h"
#include "bridge/core/wire/name.h"

#define END_MAX     48 /* bytes of a pattern's begin that are looked at, and of its end */
#define NO_SHAPE    UINT32_MAX
#define FIRST_CAP   4
#define SHAPE_STEPS 20  /* looking up one shape */
#define TRY_STEPS   30  /* trying one pattern, apart from what floats in it */
#define LEAST_BYTES 128 /* what floats costs as much in a shorter text */
#define MIX         UINT64_C(0x9e3779b97f4a7c15)

/* The patterns that fix so many bytes at the begin of a text, and so many at its end. */
struct sb_glob_shape {
  uint8_t prefix, suffix;
  uint32_t buckets, largest;
};

struct bucket {
  struct sb_glob_place *first;
  uint32_t count;
  uint64_t hash;
  uint8_t prefix, suffix;
};

struct sb_glob_place {
  struct sb_glob *glob;
  void *item;
  struct bucket *bucket;
  struct sb_glob_place *next, *previous;
};

/* ---- hashes ---- */

/* Of the begins and ends of one text, each made when it is first needed. */
struct ends {
  struct sb_bytes text;
  uint64_t known[2]; /* a bit for each length */
  uint64_t prefix[END_MAX + 1], suffix[END_MAX + 1];
};

static uint64_t hash_of_prefix(struct ends *ends, uint8_t len) {
  if (!(ends->known[0] >> len & 1)) {
    ends->prefix[len] = sb_name_hash(sb_bytes(ends->text.at, len));
    ends->known[0] |= UINT64_C(1) << len;
  }
  return ends->prefix[len];
}

static uint64_t hash_of_suffix(struct ends *ends, uint8_t len) {
  if (!(ends->known[1] >> len & 1)) {
    ends->suffix[len] = sb_name_hash(sb_bytes(ends->text.at + ends->text.len - len, len));
    ends->known[1] |= UINT64_C(1) << len;
  }
  return ends->suffix[len];
}

static uint64_t mixed(uint64_t prefix_hash, uint64_t suffix_hash, uint8_t prefix, uint8_t suffix) {
  uint64_t hash = (prefix_hash ^ prefix) * MIX;
  hash = (hash ^ hash >> 29 ^ suffix_hash ^ (uint64_t)suffix << 8) * MIX;
  return hash ^ hash >> 32;
}

static uint8_t at_most(size_t len) {
  return (uint8_t)(len < END_MAX ? len : END_MAX);
}

/* ---- shapes and buckets ---- */

static uint32_t find_shape(const struct sb_glob_index *index, uint8_t prefix, uint8_t suffix) {
  for (uint32_t i = 0; i < index->shapes_count; i++)
    if (index->shapes[i].prefix == prefix && index->shapes[i].suffix == suffix) return i;
  return NO_SHAPE;
}

static struct sb_glob_shape *take_shape(struct sb_glob_index *index, uint8_t prefix, uint8_t suffix) {
  uint32_t at = find_shape(index, prefix, suffix);
  if (at != NO_SHAPE) return &index->shapes[at];
  if (index->shapes_count == index->shapes_cap) {
    index->shapes_cap = index->shapes_cap ? index->shapes_cap * 2 : FIRST_CAP;
    index->shapes = sb_realloc(index->shapes, index->shapes_cap * sizeof *index->shapes);
  }
  at = index->shapes_count++;
  index->shapes[at] = (struct sb_glob_shape){.prefix = prefix, .suffix = suffix};
  return &index->shapes[at];
}

static void add_to_shape(struct sb_glob_index *index, const struct bucket *bucket) {
  struct sb_glob_shape *shape = take_shape(index, bucket->prefix, bucket->suffix);
  if (bucket->count == 1) shape->buckets++;
  if (bucket->count <= shape->largest) return;
  index->alike += bucket->count - shape->largest;
  shape->largest = bucket->count;
}

/* Its last pattern has left the bucket. */
static void remove_from_shape(struct sb_glob_index *index, const struct bucket *bucket) {
  struct sb_glob_shape *shape = &index->shapes[find_shape(index, bucket->prefix, bucket->suffix)];
  if (--shape->buckets > 0) return;
  index->alike -= shape->largest;
  *shape = index->shapes[--index->shapes_count];
}

static struct bucket *find_bucket(const struct sb_glob_index *index, uint64_t hash, uint8_t prefix,
                                  uint8_t suffix) {
  size_t at = sb_table_start(&index->buckets, hash);
  struct bucket *bucket;
  while ((bucket = sb_table_probe(&index->buckets, hash, &at)))
    if (bucket->prefix == prefix && bucket->suffix == suffix) break;
  return bucket;
}

struct sb_glob_place *sb_glob_index_add(struct sb_glob_index *index, struct sb_glob *glob, void *item) {
  struct sb_bytes begin = sb_glob_prefix(glob), end = sb_glob_suffix(glob);
  uint8_t prefix = at_most(begin.len), suffix = at_most(end.len);
  uint64_t hash = mixed(sb_name_hash(sb_bytes(begin.at, prefix)),
                        sb_name_hash(sb_bytes(end.at + end.len - suffix, suffix)), prefix, suffix);
  struct bucket *bucket = find_bucket(index, hash, prefix, suffix);
  struct sb_glob_place *place = sb_calloc(1, sizeof *place);
  if (!bucket) {
    bucket = sb_calloc(1, sizeof *bucket);
    *bucket = (struct bucket){.hash = hash, .prefix = prefix, .suffix = suffix};
    sb_table_add(&index->buckets, hash, bucket);
  }
  *place = (struct sb_glob_place){.glob = glob, .item = item, .bucket = bucket, .next = bucket->first};
  if (place->next) place->next->previous = place;
  bucket->first = place;
  bucket->count++;
  add_to_shape(index, bucket);
  index->count++;
  index->work += sb_glob_work(glob);
  return place;
}

void sb_glob_index_remove(struct sb_glob_index *index, struct sb_glob_place *place) {
  struct bucket *bucket = place->bucket;
  bucket->count--;
  index->count--;
  index->work -= sb_glob_work(place->glob);
  if (place->next) place->next->previous = place->previous;
  if (place->previous)
    place->previous->next = place->next;
  else
    bucket->first = place->next;
  sb_glob_free(place->glob);
  free(place);
  if (bucket->first) return;
  remove_from_shape(index, bucket);
  sb_table_remove(&index->buckets, bucket->hash, bucket);
  free(bucket);
}

void sb_glob_index_close(struct sb_glob_index *index) {
  struct bucket *bucket;
  for (size_t at = 0; (bucket = sb_table_each(&index->buckets, &at));) {
    for (struct sb_glob_place *place = bucket->first, *next; place; place = next) {
      next = place->next;
      sb_glob_free(place->glob);
      free(place);
    }
    free(bucket);
  }
  sb_table_close(&index->buckets);
  free(index->shapes);
  *index = (struct sb_glob_index){0};
}

const struct sb_glob *sb_glob_of(const struct sb_glob_place *place) {
  return place->glob;
}

const void *sb_glob_item(const struct sb_glob_place *place) {
  return place->item;
}

/* ---- matching ---- */

void sb_glob_index_each(const struct sb_glob_index *index, struct sb_bytes text,
                        void (*each)(void *owner, void *item), void *owner) {
  struct ends ends;
  if (text.len > SB_CHANNEL_LENGTH_MAX) return;
  ends.text = text;
  ends.known[0] = ends.known[1] = 0;
  for (uint32_t i = 0; i < index->shapes_count; i++) {
    uint8_t prefix = index->shapes[i].prefix, suffix = index->shapes[i].suffix;
    if (prefix > text.len || suffix > text.len) continue;
    uint64_t hash = mixed(hash_of_prefix(&ends, prefix), hash_of_suffix(&ends, suffix), prefix, suffix);
    const struct bucket *bucket = find_bucket(index, hash, prefix, suffix);
    for (const struct sb_glob_place *place = bucket ? bucket->first : NULL; place; place = place->next)
      if (sb_glob_matches(place->glob, text)) each(owner, place->item);
  }
}

uint64_t sb_glob_index_steps(const struct sb_glob_index *index, size_t text_len) {
  size_t len = text_len > LEAST_BYTES ? text_len : LEAST_BYTES;
  return index->work * len + index->alike * TRY_STEPS + (uint64_t)index->shapes_count * SHAPE_STEPS;
}
