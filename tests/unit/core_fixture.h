/* Cores on a simulated hub: one log per partition in memory, nodes that read them from where they joined. A
 * test says when a node may read (core_run, core_read) and what time it is (core_pass); nothing else moves.
 */
#ifndef SB_TESTS_UNIT_CORE_FIXTURE_H
#define SB_TESTS_UNIT_CORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/base/error.h"
#include "bridge/core/core.h"
#include "bridge/core/wire/entry.h"

#define LOGS_MAX  4
#define NODES_MAX 3
#define NAMES_MAX 8 /* of one request */
#define LEASE_MS  UINT64_C(15000)
#define FOUND_MS  UINT64_C(3000)

struct message {
  uint64_t sequence;
  struct sb_envelope envelope;
  struct sb_body *channel, *body;
};

struct core_log {
  struct message at[1024];
  size_t count;
};

struct core_hub;

struct node {
  struct core_hub *hub;
  struct sb_core *core;
  size_t read[LOGS_MAX]; /* index of the next message to read */
  bool up;
  bool lose;          /* what it publishes is taken and never seen again */
  uint32_t lose_nth;  /* counts down with each publish: the one that makes it 0 is lost */
  int publish_result; /* what the transport says instead of taking it; 0: it takes it */
  size_t takes_bytes; /* the largest body that the broker takes; 0: any */
  size_t keeps_bytes; /* it takes larger ones, and drops them; 0: it keeps all */
  size_t dropped;     /* bytes of the first one */
  uint32_t deaf;      /* 1 + the partition of which it is brought nothing; 0: none */
  uint32_t refuses;   /* 1 + the partition of which it does not take the next batch; 0: none */
  uint64_t token;     /* the last one taken */
  uint32_t published, room, released;
  struct sb_session *last_released;
  char fatal[600];
  char error_line[512]; /* the last that it logged at level error */
};

struct core_hub {
  uint32_t partitions;
  uint64_t now_ms;
  struct core_log logs[LOGS_MAX];
  struct node nodes[NODES_MAX];
};

/* ---- the logs ---- */

static struct sb_body *body_of(struct sb_bytes bytes) {
  struct sb_body *body = sb_body_new(bytes.len);
  if (bytes.len) memcpy(body->data, bytes.at, bytes.len);
  return body;
}

static inline struct message *core_append(struct core_hub *hub, uint32_t partition,
                                          const struct sb_envelope *envelope, struct sb_bytes body) {
  struct core_log *log = &hub->logs[partition];
  assert_true(log->count < 1024);
  struct message *message = &log->at[log->count++];
  *message = (struct message){.sequence = 10 * log->count, .envelope = *envelope, .body = body_of(body)};
  return message;
}

static inline int on_publish(void *owner, uint32_t partition, const struct sb_envelope *envelope,
                             struct sb_body *body, uint64_t token) {
  struct node *node = owner;
  if (node->publish_result) return node->publish_result;
  if (!node->up) return SB_ERR_LINK;
  if (node->takes_bytes && body->len > node->takes_bytes) return SB_ERR_TOO_LARGE;
  if (node->refuses == partition + 1 && envelope->number > 0) {
    node->refuses = 0;
    return SB_ERR_TOO_LARGE;
  }
  node->token = token;
  node->published++;
  if (node->lose_nth > 0 && --node->lose_nth == 0) return 0;
  if (node->keeps_bytes && body->len > node->keeps_bytes) {
    if (node->dropped == 0) node->dropped = body->len;
    return 0;
  }
  if (!node->lose) core_append(node->hub, partition, envelope, sb_bytes(body->data, body->len));
  return 0;
}

static inline void on_room(void *owner) {
  ((struct node *)owner)->room++;
}

static inline void on_released(void *owner, struct sb_session *session) {
  struct node *node = owner;
  node->released++;
  node->last_released = session;
}

static inline void on_fatal(void *owner, const char *why) {
  struct node *node = owner;
  snprintf(node->fatal, sizeof node->fatal, "%s", why);
}

static inline void on_log(void *owner, enum sb_log_level level, const char *cause, const char *line) {
  struct node *node = owner;
  (void)cause;
  if (level == SB_LOG_ERROR) snprintf(node->error_line, sizeof node->error_line, "%s", line);
  if (getenv("SB_TEST_VERBOSE")) printf("%s %s\n", sb_log_level_name(level), line);
}

/* ---- time and reading ---- */

static inline void deliver(struct node *node, uint32_t partition, const struct message *message) {
  struct sb_body *channel = NULL, *body = body_of(sb_bytes(message->body->data, message->body->len));
  if (message->channel) channel = body_of(sb_bytes(message->channel->data, message->channel->len));
  sb_core_delivery(node->core, partition, message->sequence, &message->envelope, channel, body);
}

/* Reads what is in one log; true when there was something. */
static inline bool core_read(struct node *node, uint32_t partition) {
  const struct core_log *log = &node->hub->logs[partition];
  bool any = node->read[partition] < log->count;
  while (node->read[partition] < log->count) deliver(node, partition, &log->at[node->read[partition]++]);
  return any;
}

/* Turns and reads until nothing moves any more. */
static inline void core_run(struct core_hub *hub) {
  for (bool moved = true; moved;) {
    moved = false;
    for (int n = 0; n < NODES_MAX; n++) {
      struct node *node = &hub->nodes[n];
      if (!node->core) continue;
      sb_core_turn(node->core);
      for (uint32_t p = 0; node->up && p < hub->partitions; p++)
        if (node->deaf != p + 1) moved |= core_read(node, p);
    }
  }
}

static inline void core_pass(struct core_hub *hub, uint64_t ms) {
  for (uint64_t until = hub->now_ms + ms; hub->now_ms < until;) {
    hub->now_ms += until - hub->now_ms < 50 ? until - hub->now_ms : 50;
    for (int n = 0; n < NODES_MAX; n++)
      if (hub->nodes[n].core) sb_core_now(hub->nodes[n].core, hub->now_ms, 1700000000000 + hub->now_ms);
    core_run(hub);
  }
}

/* ---- nodes ---- */

static inline void core_links(struct node *node, bool up) {
  node->up = up;
  for (uint32_t p = 0; p < node->hub->partitions; p++) {
    sb_core_link(node->core, p, SB_LINK_PUBLISH, up);
    sb_core_link(node->core, p, SB_LINK_CONSUME, up);
  }
}

static inline struct sb_core_settings core_settings(const struct core_hub *hub, const char *name) {
  struct sb_core_settings settings = {.nonce = (uint64_t)name[0],
                                      .partitions = hub->partitions,
                                      .batch_bytes = SB_BATCH_BYTES_DEFAULT,
                                      .outbox_bytes = 1 << 20,
                                      .lease_ms = LEASE_MS,
                                      .found_ms = FOUND_MS};
  snprintf(settings.node, sizeof settings.node, "%s", name);
  return settings;
}

/* The first node at a free place; its links are down, it reads from the last message of each log. */
static inline struct node *core_start(struct core_hub *hub, const struct sb_core_settings *settings) {
  struct node *node = hub->nodes;
  while (node->core) node++;
  *node = (struct node){.hub = hub};
  const struct sb_core_io io = {node, on_publish, on_room, on_released, on_fatal, on_log, NULL, NULL, NULL};
  node->core = sb_core_new(settings, &io, hub->now_ms, 1700000000000 + hub->now_ms);
  for (uint32_t p = 0; p < hub->partitions; p++)
    node->read[p] = hub->logs[p].count > 0 ? hub->logs[p].count - 1 : 0;
  return node;
}

/* With links up and its state known. */
static inline struct node *core_join_with(struct core_hub *hub, const struct sb_core_settings *settings) {
  struct node *node = core_start(hub, settings);
  for (uint32_t p = 0; p < hub->partitions; p++) sb_core_attached(node->core, p, SB_ATTACH_FRESH);
  core_links(node, true);
  core_run(hub);
  assert_true(sb_core_ready(node->core));
  return node;
}

static inline struct node *core_join(struct core_hub *hub, const char *name) {
  struct sb_core_settings settings = core_settings(hub, name);
  return core_join_with(hub, &settings);
}

static inline void core_leave(struct node *node) {
  sb_core_free(node->core);
  node->core = NULL;
}

static inline struct sb_core_stats core_stats(const struct node *node) {
  struct sb_core_stats stats;
  sb_core_stats(node->core, &stats);
  return stats;
}

/* ---- the first log ---- */

static inline struct sb_core_log_info info_of(const struct node *node) {
  struct sb_core_log_info info;
  sb_core_log_info(node->core, 0, &info);
  return info;
}

/* The last message of the log with the second argument `word`, or NULL. */
static inline const struct message *last_control(const struct core_hub *hub, const char *word) {
  for (size_t i = hub->logs[0].count; i > 0; i--) {
    const struct message *message = &hub->logs[0].at[i - 1];
    struct sb_bytes args[8];
    uint32_t off = 0;
    uint32_t count = sb_entry_args(sb_bytes(message->body->data, message->body->len), &off, args, 8);
    if (count > 1 && sb_bytes_equal(args[1], sb_bytes_of(word))) return message;
  }
  return NULL;
}

static inline void assert_same_state(const struct node *a, const struct node *b) {
  struct sb_core_member_info x, y;
  assert_int_equal(info_of(a).generation, info_of(b).generation);
  assert_int_equal(info_of(a).members, info_of(b).members);
  assert_int_equal(info_of(a).applied, info_of(b).applied);
  for (uint32_t i = 0; sb_core_member_info(a->core, 0, i, &x); i++) {
    assert_true(sb_core_member_info(b->core, 0, i, &y));
    assert_string_equal(x.name, y.name);
    assert_string_equal(x.incarnation, y.incarnation);
    assert_int_equal(x.number, y.number);
    assert_int_equal(x.channels, y.channels);
    assert_int_equal(x.patterns, y.patterns);
  }
}

/* ---- the hub of a test ---- */

static inline struct core_hub *core_hub(uint32_t partitions) {
  struct core_hub *hub = sb_calloc(1, sizeof *hub);
  hub->partitions = partitions;
  hub->now_ms = 1000;
  return hub;
}

static inline void core_hub_free(struct core_hub *hub) {
  for (int n = 0; n < NODES_MAX; n++) sb_core_free(hub->nodes[n].core);
  for (uint32_t p = 0; p < hub->partitions; p++)
    for (size_t i = 0; i < hub->logs[p].count; i++) {
      sb_body_unref(hub->logs[p].at[i].channel);
      sb_body_unref(hub->logs[p].at[i].body);
    }
  free(hub);
}

/* ---- sessions ---- */

static inline void session_open(struct node *node, struct sb_session *session, uint8_t proto) {
  *session = (struct sb_session){0};
  sb_core_session_open(node->core, session, proto);
}

/* A session of a test's own stack must not wait for anything any more. */
static inline void session_close(struct node *node, struct sb_session *session) {
  assert_int_equal(sb_session_waiting(session), 0);
  sb_core_session_close(node->core, session);
}

/* A SUBSCRIBE or UNSUBSCRIBE, or their kin, of some names; returns how many of them it changed. */
static inline uint32_t session_change(struct node *node, struct sb_session *session, bool join,
                                      enum sb_sub_kind kind, const char *const *names, uint32_t count,
                                      const char *confirmation) {
  struct sb_bytes list[NAMES_MAX];
  uint32_t changed = 0;
  assert_true(count <= NAMES_MAX);
  for (uint32_t i = 0; i < count; i++) list[i] = sb_bytes_of(names[i]);
  if (join)
    assert_int_equal(sb_core_subscribing(node->core, session, kind, list, count), SB_DONE);
  else
    assert_int_equal(sb_core_unsubscribing(node->core, session), SB_DONE);
  for (uint32_t i = 0; i < count; i++)
    changed += join ? sb_core_subscribe(node->core, session, kind, list[i])
                    : sb_core_unsubscribe(node->core, session, kind, list[i]);
  sb_core_confirm(node->core, session, sb_bytes_of(confirmation));
  return changed;
}

/* Of one name: whether it changed anything. */
static inline bool session_ask(struct node *node, struct sb_session *session, enum sb_sub_kind kind,
                               const char *name, const char *confirmation) {
  return session_change(node, session, true, kind, &name, 1, confirmation) == 1;
}

static inline bool session_take_back(struct node *node, struct sb_session *session, enum sb_sub_kind kind,
                                     const char *name, const char *confirmation) {
  return session_change(node, session, false, kind, &name, 1, confirmation) == 1;
}

/* It is subscribed and the log knows it, and nothing was said about it. */
static inline void session_subscribe(struct node *node, struct sb_session *session, enum sb_sub_kind kind,
                                     const char *name) {
  assert_true(session_ask(node, session, kind, name, ""));
  core_run(node->hub);
  assert_int_equal(sb_session_waiting(session), 0);
}

static inline enum sb_result session_publish(struct node *node, struct sb_session *session,
                                             const char *channel, const char *payload) {
  return sb_core_publish(node->core, session, SB_PUBLISH, sb_bytes_of(channel), sb_bytes_of(payload));
}

/* A name of one letter or digit, whose log is that of the partition: the first, the second … of them. */
static inline const char *name_in(const struct node *node, uint32_t partition, uint32_t nth) {
  static char names[128][2];
  for (int c = '0'; c <= 'z'; c++) {
    names[c][0] = (char)c;
    if ((c <= '9' || (c >= 'A' && c <= 'Z') || c >= 'a') &&
        sb_core_partition(node->core, sb_bytes_of(names[c])) == partition && nth-- == 0)
      return names[c];
  }
  fail_msg("there are not so many names in partition %u", partition);
  return NULL;
}

/* Takes what waits to be written to the session. */
static inline struct sb_buf take_output(struct sb_session *session) {
  struct iovec vec[SB_OUTPUT_IOV_MAX];
  struct sb_buf text = {0};
  while (session->outlet.out.bytes > 0) {
    int n = sb_output_peek(&session->outlet.out, vec, SB_OUTPUT_IOV_MAX);
    size_t len = 0;
    for (int i = 0; i < n; len += vec[i++].iov_len) sb_buf_append(&text, vec[i].iov_base, vec[i].iov_len);
    sb_output_drop(&session->outlet.out, len);
  }
  return text;
}

/* The same, and compares it. */
static inline void assert_output(struct sb_session *session, const char *expected) {
  struct sb_buf text = take_output(session);
  sb_buf_append(&text, "", 1);
  assert_string_equal((const char *)text.data, expected);
  assert_int_equal(text.len, strlen(expected) + 1);
  sb_buf_close(&text);
}

/* ---- what the cluster knows, asked at one node ---- */

/* PUBSUB NUMSUB or SHARDNUMSUB of one name. */
static inline uint64_t numsub(struct node *node, enum sb_sub_kind kind, const char *name) {
  struct sb_session session;
  struct sb_bytes asked = sb_bytes_of(name);
  session_open(node, &session, 2);
  assert_int_equal(sb_core_ask(node->core, &session, kind, &asked, 1), SB_DONE);
  core_run(node->hub);
  assert_int_equal(sb_session_waiting(&session), 0);
  struct sb_buf text = take_output(&session);
  sb_buf_append(&text, "", 1);
  const char *colon = strrchr((const char *)text.data, ':');
  assert_non_null(colon);
  uint64_t count = strtoull(colon + 1, NULL, 10);
  sb_buf_close(&text);
  session_close(node, &session);
  return count;
}

static inline uint64_t numpat(struct node *node) {
  struct sb_session session;
  session_open(node, &session, 2);
  assert_int_equal(sb_core_ask(node->core, &session, SB_SUB_PATTERN, NULL, 0), SB_DONE);
  core_run(node->hub);
  assert_int_equal(sb_session_waiting(&session), 0);
  struct sb_buf text = take_output(&session);
  sb_buf_append(&text, "", 1);
  uint64_t count = strtoull((const char *)text.data + 1, NULL, 10);
  sb_buf_close(&text);
  session_close(node, &session);
  return count;
}

#endif
