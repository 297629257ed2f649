/* What subscribers get of a batch. Its body is rewritten in place: PUBLISH becomes message and SPUBLISH
 * smessage, names of one length, and from then on the bytes that the publisher's client sent are what
 * subscribers receive, by reference. RESP2 and RESP3 differ in the first byte of a push; the second form is
 * made when the first session that wants it is met. */
#include "bridge/core/sessions/fanout.h"

#include "bridge/base/assert.h"
#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/interest.h"
#include "bridge/core/sessions/outlet.h"
#include "bridge/core/sessions/session.h"
#include "bridge/core/state/glob_index.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/id.h"
#include "bridge/core/wire/name.h"

static inline void rename_to_message(uint8_t *entry, enum sb_entry_kind kind) {
  memcpy(entry + SB_ENTRY_NAME_OFF, kind == SB_ENTRY_SPUBLISH ? "smessage" : "message\r", 8);
}

static struct sb_body *resp3_view(struct sb_views *views, const struct sb_entry *first, uint32_t count) {
  if (!views->resp3) {
    views->resp3 = sb_body_new(views->resp2->len);
    memcpy(views->resp3->data, views->resp2->data, views->resp2->len);
  }
  for (uint32_t i = 0; i < count; i++) {
    uint8_t *at = views->resp3->data + first[i].off;
    at[0] = '>';
    rename_to_message(at, first->kind);
  }
  return views->resp3;
}

/* What precedes a message for a session that wants to know its position: an attribute "id". */
static size_t id_attribute(struct sb_id id, char out[SB_ID_TEXT + 32]) {
  char text[SB_ID_TEXT];
  size_t len = sb_id_text(id, text), at;
  memcpy(out, "|1\r\n$2\r\nid\r\n$", 13);
  at = 13 + sb_u64_text(len, out + 13);
  memcpy(out + at, "\r\n", 2);
  memcpy(out + at + 2, text, len);
  memcpy(out + at + 2 + len, "\r\n", 2);
  return at + len + 4;
}

static bool wants_ids(const struct sb_session *session, const struct sb_views *views) {
  return session->ids && session->proto == 3 && views->id.ms > 0;
}

static void push_id(struct sb_partition *part, struct sb_session *session, struct sb_id id, uint32_t place) {
  char text[SB_ID_TEXT + 32];
  id.seq += place;
  sb_outlet_push_copy(&sb_core_of(part)->outputs, &session->outlet, part->index, text,
                      id_attribute(id, text));
}

/* The same as one piece, each message behind its id. */
static void push_with_ids(struct sb_partition *part, struct sb_session *session, const struct sb_views *views,
                          const struct sb_entry *first, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    push_id(part, session, views->id, i);
    sb_outlet_push_ref(&sb_core_of(part)->outputs, &session->outlet, part->index, views->resp3, first[i].off,
                       first[i].len);
  }
}

/* Neighbouring entries of one channel go to each of its subscribers as one piece. */
static void push_to_topic(struct sb_partition *part, const struct sb_topic *topic, struct sb_views *views,
                          const struct sb_entry *first, uint32_t count) {
  struct sb_core *core = sb_core_of(part);
  struct sb_body *resp3 = NULL;
  uint64_t receivers = 0;
  const struct sb_entry *last = &first[count - 1];
  uint32_t len = last->off + last->len - first->off;
  for (uint32_t i = 0; i < count; i++) rename_to_message(views->resp2->data + first[i].off, first->kind);
  for (struct sb_sub *sub = topic->subs; sub; sub = sub->topic_next) {
    if (!sub->active || !sub->owner) continue;
    struct sb_session *session = sb_session_of_sub(sub);
    bool second = session->proto == 3;
    if (second && !resp3) resp3 = resp3_view(views, first, count);
    if (wants_ids(session, views))
      push_with_ids(part, session, views, first, count);
    else
      sb_outlet_push_ref(&core->outputs, &session->outlet, part->index, second ? resp3 : views->resp2,
                         first->off, len);
    receivers++;
  }
  core->messages_sent += receivers * count;
}

/* "*4 pmessage <pattern>" and then, by reference, the channel and the payload as they stand in the entry. */
static void push_to_pattern(struct sb_partition *part, const struct sb_topic *topic,
                            const struct sb_views *views, const struct sb_entry *entry) {
  struct sb_core *core = sb_core_of(part);
  uint32_t from = part->index;
  char head[48] = "*4\r\n$8\r\npmessage\r\n$";
  size_t len = strlen(head);
  len += sb_u64_text(topic->name_len, head + len);
  memcpy(head + len, "\r\n", 2);
  len += 2;
  for (struct sb_sub *sub = topic->subs; sub; sub = sub->topic_next) {
    if (!sub->owner || !sb_sub_active(sub, from)) continue;
    struct sb_session *session = sb_session_of_sub(sub);
    struct sb_outlet *outlet = &session->outlet;
    if (wants_ids(session, views)) push_id(part, session, views->id, 0);
    head[0] = session->proto == 2 ? '*' : '>';
    sb_outlet_push_copy(&core->outputs, outlet, from, head, len);
    sb_outlet_push_copy(&core->outputs, outlet, from, topic->name, topic->name_len);
    sb_outlet_push_copy(&core->outputs, outlet, from, "\r\n", 2);
    sb_outlet_push_ref(&core->outputs, outlet, from, views->resp2, entry->tail_off,
                       entry->off + entry->len - entry->tail_off);
    core->messages_sent++;
  }
}

struct pushing {
  struct sb_partition *part;
  const struct sb_views *views;
  const struct sb_entry *entry;
};

static void push_matching(void *owner, void *item) {
  const struct pushing *pushing = owner;
  push_to_pattern(pushing->part, item, pushing->views, pushing->entry);
}

static void push_to_patterns(struct sb_partition *part, const struct sb_views *views,
                             const struct sb_entry *entry) {
  struct sb_bytes channel = sb_bytes(views->resp2->data + entry->key_off, entry->key_len);
  struct pushing pushing = {part, views, entry};
  sb_glob_index_each(&sb_core_of(part)->interest.globs, channel, push_matching, &pushing);
}

void sb_fan_out(struct sb_partition *part, struct sb_views *views, const struct sb_entry *first,
                uint32_t count) {
  const struct sb_interest *interest = &sb_core_of(part)->interest;
  struct sb_bytes channel = sb_bytes(views->resp2->data + first->key_off, first->key_len);
  enum sb_sub_kind kind = first->kind == SB_ENTRY_SPUBLISH ? SB_SUB_SHARD : SB_SUB_CHANNEL;
  const struct sb_topic *topic = sb_interest_find(interest, kind, channel);
  if (topic) push_to_topic(part, topic, views, first, count);
  if (kind != SB_SUB_CHANNEL || interest->topics[SB_SUB_PATTERN].count == 0) return;
  SB_ASSERT(count == 1); /* where there are patterns */
  push_to_patterns(part, views, first);
}
