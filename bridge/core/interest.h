/* What the sessions of this node subscribe to: channels, shard channels, patterns, each with its sessions.
 * One object per (session, name) stands in two lists, that of the name and that of the session. One thread.
 */
#ifndef SB_CORE_INTEREST_H
#define SB_CORE_INTEREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/table.h"
#include "bridge/core/session.h"

struct sb_topic {      /* a channel, a shard channel or a pattern */
  struct sb_sub *subs; /* newest first */
  uint32_t sub_count;
  uint32_t name_len;
  uint64_t hash;
  uint8_t name[];
};

struct sb_sub {
  struct sb_session *session;
  struct sb_topic *topic;
  struct sb_sub *topic_next, *topic_prev;
  struct sb_sub *session_next, *session_prev;
};

struct sb_interest {
  struct sb_table topics[SB_SUB_KINDS];
  uint64_t sub_count[SB_SUB_KINDS];
};

/* The hash by which topics are found. The same on every node. */
uint64_t sb_topic_hash(struct sb_bytes name);

void sb_interest_close(struct sb_interest *interest);

struct sb_topic *sb_interest_find(const struct sb_interest *interest, enum sb_sub_kind kind,
                                  struct sb_bytes name);

/* False: it is there already / it is not there. */
bool sb_interest_add(struct sb_interest *interest, struct sb_session *session, enum sb_sub_kind kind,
                     struct sb_bytes name);
bool sb_interest_remove(struct sb_interest *interest, struct sb_session *session, enum sb_sub_kind kind,
                        struct sb_bytes name);

/* Ends all subscriptions of a session. */
void sb_interest_leave(struct sb_interest *interest, struct sb_session *session);

#endif
