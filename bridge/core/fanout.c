/* What subscribers get of a batch. Its body is rewritten in place: PUBLISH becomes message and SPUBLISH
 * smessage, names of one length, and from then on the bytes that the publisher's client sent are what
 * subscribers receive, by reference. RESP2 and RESP3 differ in the first byte of a push; the second form is
 * made when the first session that wants it is met. */
#include "bridge/core/internal.h"

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

/* Neighbouring entries of one channel go to each of its subscribers as one piece. */
static void push_to_topic(struct sb_core *core, const struct sb_topic *topic, struct sb_views *views,
                          const struct sb_entry *first, uint32_t count) {
  struct sb_body *resp3 = NULL;
  const struct sb_entry *last = &first[count - 1];
  uint32_t len = last->off + last->len - first->off;
  for (uint32_t i = 0; i < count; i++) rename_to_message(views->resp2->data + first[i].off, first->kind);
  for (struct sb_sub *sub = topic->subs; sub; sub = sub->topic_next) {
    bool second = sub->session->proto == 3;
    if (second && !resp3) resp3 = resp3_view(views, first, count);
    sb_session_ref(core, sub->session, second ? resp3 : views->resp2, first->off, len);
  }
}

/* "*4 pmessage <pattern>" and then, by reference, the channel and the payload as they stand in the entry. */
static void push_to_pattern(struct sb_core *core, const struct sb_topic *topic, struct sb_body *body,
                            const struct sb_entry *entry) {
  char head[48] = "*4\r\n$8\r\npmessage\r\n$";
  size_t len = strlen(head);
  len += sb_u64_text(topic->name_len, head + len);
  memcpy(head + len, "\r\n", 2);
  len += 2;
  for (struct sb_sub *sub = topic->subs; sub; sub = sub->topic_next) {
    head[0] = sub->session->proto == 2 ? '*' : '>';
    sb_session_copy(core, sub->session, head, len);
    sb_session_copy(core, sub->session, topic->name, topic->name_len);
    sb_session_copy(core, sub->session, "\r\n", 2);
    sb_session_ref(core, sub->session, body, entry->tail_off, entry->off + entry->len - entry->tail_off);
  }
}

static uint64_t push_to_patterns(struct sb_core *core, struct sb_body *body, const struct sb_entry *entry) {
  struct sb_bytes channel = sb_bytes(body->data + entry->key_off, entry->key_len);
  uint64_t receivers = 0;
  size_t at = 0;
  struct sb_topic *topic;
  while ((topic = sb_table_each(&core->interest.topics[SB_SUB_PATTERN], &at))) {
    if (!sb_glob_match(sb_bytes(topic->name, topic->name_len), channel)) continue;
    push_to_pattern(core, topic, body, entry);
    receivers += topic->sub_count;
  }
  return receivers;
}

uint64_t sb_fan_out(struct sb_core *core, struct sb_views *views, const struct sb_entry *first,
                    uint32_t count) {
  struct sb_bytes channel = sb_bytes(views->resp2->data + first->key_off, first->key_len);
  enum sb_sub_kind kind = first->kind == SB_ENTRY_SPUBLISH ? SB_SUB_SHARD : SB_SUB_CHANNEL;
  const struct sb_topic *topic = sb_interest_find(&core->interest, kind, channel);
  uint64_t receivers = 0;
  if (topic) {
    push_to_topic(core, topic, views, first, count);
    receivers = topic->sub_count;
  }
  if (kind == SB_SUB_CHANNEL && core->interest.topics[SB_SUB_PATTERN].count > 0)
    receivers += push_to_patterns(core, views->resp2, first); /* count is 1 where there are patterns */
  core->stats.messages_sent += receivers * count;
  return receivers;
}
