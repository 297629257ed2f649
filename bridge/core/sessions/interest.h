/* What the sessions of this node subscribe to: channels, shard channels, patterns, each with its sessions.
 * One object per (session, name) stands in two lists, that of the name and that of the session. One thread.
 *
 * A subscription has two lives. The session *asked* for it or not, in the order of its requests: that is what
 * confirmations and RESP2's subscribed mode go by. It is *active* or not, in the order of the log: that is
 * what gets messages, and what the cluster counts. Between the two, entries are under way (`pending`). A
 * session that closes leaves its subscriptions behind without a session until the log has taken them back. */
#ifndef SB_CORE_SESSIONS_INTEREST_H
#define SB_CORE_SESSIONS_INTEREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/table.h"
#include "bridge/core/state/glob_index.h"
#include "bridge/core/wire/name.h"

struct sb_topic {      /* a channel, a shard channel or a pattern */
  struct sb_sub *subs; /* newest first */
  uint32_t sub_count;  /* objects in the list */
  uint32_t asked;      /* of them, those that are asked for: what the cluster will count */
  uint32_t name_len;
  uint16_t partition; /* whose log it lives in; patterns live in all */
  uint8_t name[];
};

struct sb_sub {
  struct sb_subs *owner; /* NULL: its session closed */
  struct sb_topic *topic;
  struct sb_sub *topic_next, *topic_prev;
  struct sb_sub *owner_next, *owner_prev;
  uint32_t pending; /* entries about it under way, in all logs */
  uint8_t kind;     /* enum sb_sub_kind */
  bool asked;
  bool active;          /* channels */
  uint64_t active_in[]; /* patterns: a bit for each log */
};

/* Of one session. Zeroed: none. */
struct sb_subs {
  struct sb_sub *first[SB_SUB_KINDS];
  uint32_t count[SB_SUB_KINDS]; /* what it asked for, in the order of its requests */
  size_t bytes;                 /* what these cost, with their names, as if nobody shared them */
};

/* Of all. */
struct sb_interest {
  uint32_t partitions;
  struct sb_table topics[SB_SUB_KINDS];
  struct sb_glob_index globs;         /* the patterns among them, to be matched */
  struct sb_table places;             /* where each of them stands in `globs`, by its name */
  uint64_t sub_count[SB_SUB_KINDS];   /* asked for */
  uint64_t topic_count[SB_SUB_KINDS]; /* with a session that asked for it */
};

static inline struct sb_bytes sb_topic_name(const struct sb_topic *topic) {
  return sb_bytes(topic->name, topic->name_len);
}

void sb_interest_init(struct sb_interest *interest, uint32_t partitions);
void sb_interest_close(struct sb_interest *interest);

struct sb_topic *sb_interest_find(const struct sb_interest *interest, enum sb_sub_kind kind,
                                  struct sb_bytes name);

/* What a session has under a name: asked for, active or under way; or NULL. */
struct sb_sub *sb_interest_sub(const struct sb_interest *interest, const struct sb_subs *owner,
                               enum sb_sub_kind kind, struct sb_bytes name);

/* The session asks: the subscription, or NULL when it was asked for already. `partition` is that of a
 * channel. A pattern has SB_PATTERN_LENGTH_MAX bytes at most. */
struct sb_sub *sb_interest_ask(struct sb_interest *interest, struct sb_subs *owner, enum sb_sub_kind kind,
                               struct sb_bytes name, uint32_t partition);

/* The session takes it back. The object stays until it is inactive and nothing is pending. */
void sb_interest_take_back(struct sb_interest *interest, struct sb_sub *sub);

/* The subscription was taken back, and its session is not to be reached by it any more. */
void sb_interest_detach(struct sb_sub *sub);

static inline bool sb_sub_active(const struct sb_sub *sub, uint32_t partition) {
  if (sub->kind != SB_SUB_PATTERN) return sub->active;
  return sub->active_in[partition / 64] >> (partition % 64) & 1;
}

/* `logs` entries about it are on their way; one has come back, or never will. */
void sb_sub_said(struct sb_sub *sub, uint32_t logs);
void sb_sub_heard(struct sb_sub *sub);

static inline void sb_sub_set_active(struct sb_sub *sub, uint32_t partition, bool active) {
  uint64_t bit = UINT64_C(1) << (partition % 64);
  if (sub->kind != SB_SUB_PATTERN)
    sub->active = active;
  else if (active)
    sub->active_in[partition / 64] |= bit;
  else
    sub->active_in[partition / 64] &= ~bit;
}

/* The next that the session asks for, newest first, behind `after` or from the begin (NULL); NULL: none. */
struct sb_sub *sb_subs_next(const struct sb_subs *owner, enum sb_sub_kind kind, const struct sb_sub *after);

/* How many of a topic's subscriptions are active in one log. */
uint32_t sb_topic_active(const struct sb_topic *topic, uint32_t partition);

/* Frees the subscription, and its topic, when nobody needs it any more. */
void sb_interest_tidy(struct sb_interest *interest, struct sb_sub *sub);

#endif
