#include "bridge/core/sessions/interest.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/glob.h"
#include "bridge/base/limits.h"
#include "bridge/base/table.h"
#include "bridge/core/state/glob_index.h"
#include "bridge/core/wire/name.h"

void sb_interest_init(struct sb_interest *interest, uint32_t partitions) {
  *interest = (struct sb_interest){.partitions = partitions};
}

static struct sb_topic *find(const struct sb_interest *interest, enum sb_sub_kind kind, struct sb_bytes name,
                             uint64_t hash) {
  const struct sb_table *table = &interest->topics[kind];
  size_t at = sb_table_start(table, hash);
  struct sb_topic *topic;
  while ((topic = sb_table_probe(table, hash, &at)))
    if (sb_bytes_equal(sb_topic_name(topic), name)) return topic;
  return NULL;
}

struct sb_topic *sb_interest_find(const struct sb_interest *interest, enum sb_sub_kind kind,
                                  struct sb_bytes name) {
  return interest->topics[kind].count ? find(interest, kind, name, sb_name_hash(name)) : NULL;
}

/* Walks both lists until one ends: many sessions on one channel and one session on many channels are both
 * usual. */
static struct sb_sub *find_sub(const struct sb_subs *owner, enum sb_sub_kind kind,
                               const struct sb_topic *topic) {
  struct sb_sub *of_topic = topic->subs, *of_owner = owner->first[kind];
  while (of_topic && of_owner) {
    if (of_topic->owner == owner) return of_topic;
    if (of_owner->topic == topic) return of_owner;
    of_topic = of_topic->topic_next;
    of_owner = of_owner->owner_next;
  }
  return NULL;
}

struct sb_sub *sb_interest_sub(const struct sb_interest *interest, const struct sb_subs *owner,
                               enum sb_sub_kind kind, struct sb_bytes name) {
  const struct sb_topic *topic = sb_interest_find(interest, kind, name);
  return topic ? find_sub(owner, kind, topic) : NULL;
}

static struct sb_topic *add_topic(struct sb_interest *interest, enum sb_sub_kind kind, struct sb_bytes name,
                                  uint64_t hash, uint32_t partition) {
  struct sb_topic *topic = sb_malloc(offsetof(struct sb_topic, name) + name.len);
  topic->subs = NULL;
  topic->sub_count = topic->asked = 0;
  topic->name_len = (uint32_t)name.len;
  topic->partition = (uint16_t)partition;
  if (name.len) memcpy(topic->name, name.at, name.len);
  sb_table_add(&interest->topics[kind], hash, topic);
  if (kind == SB_SUB_PATTERN) {
    struct sb_glob *glob = sb_glob_new(name);
    if (!glob) abort(); /* who asks has looked at its length */
    sb_table_add(&interest->places, hash, sb_glob_index_add(&interest->globs, glob, topic));
    SB_ASSERT(interest->globs.count == interest->topics[kind].count);
  }
  return topic;
}

static struct sb_sub *add_sub(struct sb_interest *interest, struct sb_subs *owner, enum sb_sub_kind kind,
                              struct sb_topic *topic) {
  size_t words = kind == SB_SUB_PATTERN ? (interest->partitions + 63) / 64 : 0;
  struct sb_sub *sub = sb_calloc(1, sizeof *sub + words * sizeof sub->active_in[0]);
  sub->owner = owner;
  sub->topic = topic;
  sub->kind = (uint8_t)kind;
  sub->topic_next = topic->subs;
  sub->owner_next = owner->first[kind];
  if (topic->subs) topic->subs->topic_prev = sub;
  if (owner->first[kind]) owner->first[kind]->owner_prev = sub;
  topic->subs = owner->first[kind] = sub;
  topic->sub_count++;
  return sub;
}

struct sb_sub *sb_interest_ask(struct sb_interest *interest, struct sb_subs *owner, enum sb_sub_kind kind,
                               struct sb_bytes name, uint32_t partition) {
  uint64_t hash = sb_name_hash(name);
  struct sb_topic *topic = find(interest, kind, name, hash);
  struct sb_sub *sub = topic ? find_sub(owner, kind, topic) : NULL;
  if (sub && sub->asked) return NULL;
  if (!topic) topic = add_topic(interest, kind, name, hash, partition);
  SB_ASSERT(topic->partition == partition);
  if (!sub) sub = add_sub(interest, owner, kind, topic);
  sub->asked = true;
  if (topic->asked++ == 0) interest->topic_count[kind]++;
  owner->count[kind]++;
  owner->bytes += SB_SUB_OVERHEAD + name.len;
  interest->sub_count[kind]++;
  return sub;
}

void sb_interest_take_back(struct sb_interest *interest, struct sb_sub *sub) {
  SB_ASSERT(sub->asked && sub->owner);
  SB_ASSERT(sub->topic->asked > 0 && sub->topic->asked <= sub->topic->sub_count);
  SB_ASSERT(sub->owner->count[sub->kind] > 0);
  SB_ASSERT(sub->owner->bytes >= SB_SUB_OVERHEAD + sub->topic->name_len);
  sub->asked = false;
  if (--sub->topic->asked == 0) interest->topic_count[sub->kind]--;
  sub->owner->count[sub->kind]--;
  sub->owner->bytes -= SB_SUB_OVERHEAD + sub->topic->name_len;
  interest->sub_count[sub->kind]--;
}

void sb_interest_detach(struct sb_sub *sub) {
  SB_ASSERT(sub->owner && !sub->asked);
  if (sub->owner_prev)
    sub->owner_prev->owner_next = sub->owner_next;
  else
    sub->owner->first[sub->kind] = sub->owner_next;
  if (sub->owner_next) sub->owner_next->owner_prev = sub->owner_prev;
  sub->owner = NULL;
  sub->owner_next = sub->owner_prev = NULL;
}

void sb_sub_said(struct sb_sub *sub, uint32_t logs) {
  sub->pending += logs;
}

void sb_sub_heard(struct sb_sub *sub) {
  SB_ASSERT(sub->pending > 0);
  sub->pending--;
}

struct sb_sub *sb_subs_next(const struct sb_subs *owner, enum sb_sub_kind kind, const struct sb_sub *after) {
  struct sb_sub *sub = after ? after->owner_next : owner->first[kind];
  while (sub && !sub->asked) sub = sub->owner_next;
  return sub;
}

static void remove_glob(struct sb_interest *interest, uint64_t hash, const struct sb_topic *topic) {
  size_t at = sb_table_start(&interest->places, hash);
  struct sb_glob_place *place;
  while ((place = sb_table_probe(&interest->places, hash, &at)))
    if (sb_glob_item(place) == topic) break;
  SB_ASSERT(place != NULL);
  sb_table_remove(&interest->places, hash, place);
  sb_glob_index_remove(&interest->globs, place);
}

uint32_t sb_topic_active(const struct sb_topic *topic, uint32_t partition) {
  uint32_t count = 0;
  for (const struct sb_sub *sub = topic->subs; sub; sub = sub->topic_next)
    count += sb_sub_active(sub, partition);
  return count;
}

static bool is_active(const struct sb_interest *interest, const struct sb_sub *sub) {
  if (sub->kind != SB_SUB_PATTERN) return sub->active;
  for (size_t i = 0; i < (interest->partitions + 63) / 64; i++)
    if (sub->active_in[i]) return true;
  return false;
}

void sb_interest_tidy(struct sb_interest *interest, struct sb_sub *sub) {
  struct sb_topic *topic = sub->topic;
  if (sub->asked || sub->pending > 0 || is_active(interest, sub)) return;
  if (sub->owner) sb_interest_detach(sub);
  if (sub->topic_prev)
    sub->topic_prev->topic_next = sub->topic_next;
  else
    topic->subs = sub->topic_next;
  if (sub->topic_next) sub->topic_next->topic_prev = sub->topic_prev;
  SB_ASSERT(topic->sub_count > 0);
  topic->sub_count--;
  enum sb_sub_kind kind = (enum sb_sub_kind)sub->kind;
  free(sub);
  SB_ASSERT((topic->subs == NULL) == (topic->sub_count == 0));
  if (topic->subs) return;
  SB_ASSERT(topic->asked == 0);
  uint64_t hash = sb_name_hash(sb_topic_name(topic));
  if (kind == SB_SUB_PATTERN) remove_glob(interest, hash, topic);
  sb_table_remove(&interest->topics[kind], hash, topic);
  SB_ASSERT(interest->places.count == interest->topics[SB_SUB_PATTERN].count);
  SB_ASSERT(interest->globs.count == interest->topics[SB_SUB_PATTERN].count);
  SB_ASSERT(interest->topic_count[kind] <= interest->topics[kind].count);
  free(topic);
}

void sb_interest_close(struct sb_interest *interest) {
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) {
    size_t at = 0;
    struct sb_topic *topic;
    while ((topic = sb_table_each(&interest->topics[kind], &at))) {
      while (topic->subs) {
        struct sb_sub *next = topic->subs->topic_next;
        free(topic->subs);
        topic->subs = next;
      }
      free(topic);
    }
    sb_table_close(&interest->topics[kind]);
  }
  sb_table_close(&interest->places);
  sb_glob_index_close(&interest->globs);
}
