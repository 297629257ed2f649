#include "bridge/core/interest.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t sb_topic_hash(struct sb_bytes name) {
  return XXH3_64bits(name.at, name.len);
}

static struct sb_topic *find(const struct sb_interest *interest, enum sb_sub_kind kind, struct sb_bytes name,
                             uint64_t hash) {
  const struct sb_table *table = &interest->topics[kind];
  size_t at = sb_table_start(table, hash);
  struct sb_topic *topic;
  while ((topic = sb_table_probe(table, hash, &at)))
    if (sb_bytes_equal(sb_bytes(topic->name, topic->name_len), name)) return topic;
  return NULL;
}

struct sb_topic *sb_interest_find(const struct sb_interest *interest, enum sb_sub_kind kind,
                                  struct sb_bytes name) {
  return interest->topics[kind].count ? find(interest, kind, name, sb_topic_hash(name)) : NULL;
}

/* Walks the shorter of the two lists: many sessions on one channel and one session on many channels are both
 * usual. */
static struct sb_sub *find_sub(const struct sb_session *session, enum sb_sub_kind kind,
                               const struct sb_topic *topic) {
  struct sb_sub *sub;
  if (topic->sub_count < session->sub_count[kind]) {
    for (sub = topic->subs; sub && sub->session != session; sub = sub->topic_next) {
    }
  } else {
    for (sub = session->subs[kind]; sub && sub->topic != topic; sub = sub->session_next) {
    }
  }
  return sub;
}

bool sb_interest_add(struct sb_interest *interest, struct sb_session *session, enum sb_sub_kind kind,
                     struct sb_bytes name) {
  uint64_t hash = sb_topic_hash(name);
  struct sb_topic *topic = find(interest, kind, name, hash);
  if (topic && find_sub(session, kind, topic)) return false;
  if (!topic) {
    topic = sb_malloc(sizeof *topic + name.len);
    *topic = (struct sb_topic){.name_len = (uint32_t)name.len, .hash = hash};
    if (name.len) memcpy(topic->name, name.at, name.len);
    sb_table_add(&interest->topics[kind], hash, topic);
  }
  struct sb_sub *sub = sb_malloc(sizeof *sub);
  *sub = (struct sb_sub){
      .session = session, .topic = topic, .topic_next = topic->subs, .session_next = session->subs[kind]};
  if (topic->subs) topic->subs->topic_prev = sub;
  if (session->subs[kind]) session->subs[kind]->session_prev = sub;
  topic->subs = session->subs[kind] = sub;
  topic->sub_count++;
  session->sub_count[kind]++;
  interest->sub_count[kind]++;
  return true;
}

static void remove_sub(struct sb_interest *interest, enum sb_sub_kind kind, struct sb_sub *sub) {
  struct sb_topic *topic = sub->topic;
  struct sb_session *session = sub->session;
  if (sub->topic_prev)
    sub->topic_prev->topic_next = sub->topic_next;
  else
    topic->subs = sub->topic_next;
  if (sub->topic_next) sub->topic_next->topic_prev = sub->topic_prev;
  if (sub->session_prev)
    sub->session_prev->session_next = sub->session_next;
  else
    session->subs[kind] = sub->session_next;
  if (sub->session_next) sub->session_next->session_prev = sub->session_prev;
  session->sub_count[kind]--;
  interest->sub_count[kind]--;
  free(sub);
  if (--topic->sub_count > 0) return;
  sb_table_remove(&interest->topics[kind], topic->hash, topic);
  free(topic);
}

bool sb_interest_remove(struct sb_interest *interest, struct sb_session *session, enum sb_sub_kind kind,
                        struct sb_bytes name) {
  struct sb_topic *topic = sb_interest_find(interest, kind, name);
  struct sb_sub *sub = topic ? find_sub(session, kind, topic) : NULL;
  if (!sub) return false;
  remove_sub(interest, kind, sub);
  return true;
}

void sb_interest_leave(struct sb_interest *interest, struct sb_session *session) {
  for (int kind = 0; kind < SB_SUB_KINDS; kind++)
    for (struct sb_sub *sub = session->subs[kind], *next; sub; sub = next) {
      next = sub->session_next;
      remove_sub(interest, (enum sb_sub_kind)kind, sub);
    }
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
}
