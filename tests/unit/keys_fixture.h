/* Cores whose logs can be read back, and sessions that send commands on keys and streams as words. */
#ifndef SB_TESTS_UNIT_KEYS_FIXTURE_H
#define SB_TESTS_UNIT_KEYS_FIXTURE_H

#include "bridge/core/core.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "tests/unit/core_fixture.h"

#define WORDS_MAX 16
#define READS_MAX 4

/* What is read back of one log by one node; the log holds what lies from `retired` on. */
struct reading {
  struct node *node;
  uint32_t partition;
  uint64_t token, from, to;
};

struct keys_world {
  struct core_hub *hub;
  struct reading readings[READS_MAX];
  uint32_t readings_count;
  size_t retired[LOGS_MAX];
  uint32_t asked;         /* how often something was read back */
  uint32_t fails;         /* so many readings end before their time */
  bool silent;            /* nothing that is asked for comes */
  uint64_t asked_from;    /* of the last reading */
  uint64_t unix_ahead_ms; /* of the next node's clock */
};

static struct keys_world keys_world; /* of the test that runs */

static inline int keys_set_up_with(void **state, uint32_t partitions) {
  *state = core_hub(partitions);
  keys_world = (struct keys_world){.hub = *state};
  return 0;
}

static inline int keys_set_up(void **state) {
  return keys_set_up_with(state, 1);
}

static inline int keys_tear_down(void **state) {
  core_hub_free(*state);
  return 0;
}

/* ---- reading back ---- */

static inline int keys_read_back(void *owner, uint32_t partition, uint64_t from, uint64_t to,
                                 uint64_t token) {
  assert_true(keys_world.readings_count < READS_MAX);
  keys_world.readings[keys_world.readings_count++] = (struct reading){owner, partition, token, from, to};
  keys_world.asked++;
  keys_world.asked_from = from;
  return 0;
}

static inline void keys_read_back_stop(void *owner, uint64_t token) {
  for (uint32_t i = 0; i < keys_world.readings_count; i++)
    if (keys_world.readings[i].node == owner && keys_world.readings[i].token == token)
      keys_world.readings[i] = keys_world.readings[--keys_world.readings_count];
}

static inline void keys_serve(const struct reading *reading) {
  const struct core_log *log = &keys_world.hub->logs[reading->partition];
  bool fails = keys_world.fails > 0;
  if (fails) keys_world.fails--;
  for (size_t i = keys_world.retired[reading->partition]; i < log->count && !fails; i++) {
    const struct message *message = &log->at[i];
    if (message->sequence < reading->from || message->sequence > reading->to) continue;
    struct sb_body *channel = NULL, *body = body_of(sb_bytes(message->body->data, message->body->len));
    if (message->channel) channel = body_of(sb_bytes(message->channel->data, message->channel->len));
    sb_core_stored(reading->node->core, reading->partition, reading->token, message->sequence,
                   &message->envelope, channel, body);
  }
  sb_core_stored_end(reading->node->core, reading->partition, reading->token, !fails);
}

/* Until nothing moves any more, what is read back included. */
static inline void keys_run(struct core_hub *hub) {
  core_run(hub);
  while (keys_world.readings_count > 0 && !keys_world.silent) {
    const struct reading reading = keys_world.readings[--keys_world.readings_count];
    keys_serve(&reading);
    core_run(hub);
  }
}

static inline void keys_pass(struct core_hub *hub, uint64_t ms) {
  for (uint64_t step = 0; step < ms; step += 50) {
    core_pass(hub, ms - step < 50 ? ms - step : 50);
    keys_run(hub);
  }
}

/* ---- nodes ---- */

static inline struct sb_core_settings keys_settings(const struct core_hub *hub, const char *name) {
  struct sb_core_settings settings = core_settings(hub, name);
  settings.nonce = (uint64_t)name[0] << 32 | hub->logs[0].count; /* each start is another process */
  settings.history_bytes = (size_t)1024 * 1024;
  settings.checkpoint_messages = 1000;
  return settings;
}

/* It comes up and waits for whatever it waits for. */
static inline struct node *keys_start(struct core_hub *hub, const struct sb_core_settings *settings) {
  struct node *node = hub->nodes;
  while (node->core) node++;
  *node = (struct node){.hub = hub};
  const struct sb_core_io io = {node,           on_publish,          on_room, on_released, on_fatal, on_log,
                                keys_read_back, keys_read_back_stop, NULL};
  node->core = sb_core_new(settings, &io, hub->now_ms, 1700000000000 + hub->now_ms);
  for (uint32_t p = 0; p < hub->partitions; p++) {
    node->read[p] = hub->logs[p].count > 0 ? hub->logs[p].count - 1 : 0;
    sb_core_attached(node->core, p, SB_ATTACH_FRESH);
  }
  core_links(node, true);
  keys_run(hub);
  return node;
}

static inline struct node *keys_join_with(struct core_hub *hub, const struct sb_core_settings *settings) {
  struct node *node = keys_start(hub, settings);
  assert_true(sb_core_ready(node->core));
  return node;
}

static inline struct node *keys_join(struct core_hub *hub, const char *name) {
  const struct sb_core_settings settings = keys_settings(hub, name);
  return keys_join_with(hub, &settings);
}

/* Nobody answers a founder: it waits for that, and for what it reads back. */
static inline struct node *keys_found_with(struct core_hub *hub, const struct sb_core_settings *settings) {
  struct node *node = keys_start(hub, settings);
  keys_pass(hub, FOUND_MS + 2000);
  assert_true(sb_core_ready(node->core));
  return node;
}

static inline struct node *keys_found(struct core_hub *hub, const char *name) {
  const struct sb_core_settings settings = keys_settings(hub, name);
  return keys_found_with(hub, &settings);
}

static inline void kill_node(struct node *node) {
  for (uint32_t i = 0; i < keys_world.readings_count; i++)
    if (keys_world.readings[i].node == node)
      keys_world.readings[i--] = keys_world.readings[--keys_world.readings_count];
  sb_core_free(node->core);
  node->core = NULL;
}

static inline struct sb_partition *keys_part(const struct node *node) {
  return &node->core->logs.partitions[0];
}

static inline void assert_equal_states(const struct node *a, const struct node *b) {
  assert_true(sb_partition_is_ready(keys_part(a)) && sb_partition_is_ready(keys_part(b)));
  assert_int_equal(keys_part(a)->applied, keys_part(b)->applied);
  assert_true(sb_state_equal(&keys_part(a)->state, &keys_part(b)->state));
}

/* Whether the last GENESIS in the log says "keys". */
static inline bool last_genesis_keeps_keys(const struct core_hub *hub) {
  struct sb_control control;
  const struct message *genesis = last_control(hub, "GENESIS");
  assert_non_null(genesis);
  assert_true(sb_control_read(sb_bytes(genesis->body->data, genesis->body->len), &control));
  return control.keeps_keys;
}

/* ---- commands ---- */

static inline uint32_t split_words(const char *text, struct sb_bytes *args) {
  uint32_t count = 0;
  for (; *text; text += strspn(text, " ")) {
    size_t len = strcspn(text, " ");
    assert_true(count < WORDS_MAX);
    args[count++] = sb_bytes(text, len);
    text += len;
  }
  return count;
}

/* Sends it, whatever it is; what is read is answered at once, what blocks later. */
static inline enum sb_result send_command(struct node *node, struct sb_session *session, const char *text) {
  struct sb_bytes args[WORDS_MAX];
  struct sb_op op;
  struct sb_buf reply = {0};
  const char *error = sb_op_parse(args, split_words(text, args), false, &op);
  if (error) fail_msg("%s: %s", text, error);
  enum sb_result result = SB_DONE;
  if (op.writes)
    result = sb_core_write(node->core, session, &op);
  else if (op.name == SB_OP_XREAD)
    result = sb_core_read_streams(node->core, session, &op, &reply);
  else
    result = sb_core_read(node->core, session, &op, &reply);
  if (reply.len > 0) assert_true(sb_core_reply(node->core, session, sb_buf_bytes(&reply)));
  sb_buf_close(&reply);
  return result;
}

/* Its whole reply, from a session of its own, with a zero behind it; to be closed. What has to be read back
 * is asked for again as often as it is told to. */
static inline struct sb_buf reply_to(struct node *node, const char *text) {
  struct sb_session session;
  session_open(node, &session, 2);
  enum sb_result result = send_command(node, &session, text);
  for (int i = 0; i < 3000 && result == SB_WAIT; i++) {
    uint32_t room = node->room;
    keys_pass(node->hub, 50);
    if (node->room != room) result = send_command(node, &session, text);
  }
  assert_int_equal(result, SB_DONE);
  core_run(node->hub);
  struct sb_buf reply = take_output(&session);
  sb_buf_append(&reply, "", 1);
  session_close(node, &session);
  return reply;
}

static inline void assert_reply(struct node *node, const char *text, const char *expected) {
  struct sb_buf reply = reply_to(node, text);
  if (strcmp((const char *)reply.data, expected) != 0) print_message("%s\n", text);
  assert_string_equal((const char *)reply.data, expected);
  sb_buf_close(&reply);
}

/* The id that XADD replies. */
static inline struct sb_id added_id(struct node *node, const char *text) {
  struct sb_buf reply = reply_to(node, text);
  struct sb_id id;
  const char *line = strchr((const char *)reply.data, '\n');
  assert_non_null(line);
  assert_true(sb_id_parse(sb_bytes(line + 1, strcspn(line + 1, "\r")), 0, &id));
  sb_buf_close(&reply);
  return id;
}

/* ---- a log that is made anew ---- */

/* The log is deleted, and a new one stands in its place. */
static inline void renew(struct core_hub *hub) {
  struct core_log *log = &hub->logs[0];
  while (log->count > 0) sb_body_unref(log->at[--log->count].body);
}

static inline void notices(struct node *node) {
  node->read[0] = 0;
  sb_core_attached(node->core, 0, SB_ATTACH_NEW_LOG);
}

/* ---- what somebody else writes ---- */

/* A member that is no node here: it says what a test wants to be said. */
static inline void ghost_joins(struct core_hub *hub) {
  struct sb_buf hello = {0};
  const struct sb_bytes args[] = {sb_bytes_of("SIDEBUS"), sb_bytes_of("HELLO"), sb_bytes_of("1"),
                                  sb_bytes_of("1")};
  struct sb_envelope envelope = {.version = SB_WIRE_VERSION, .count = 1, .node = "ghost"};
  envelope.incarnation = (struct sb_incarnation){1700000000000, 99};
  sb_entry_append(&hello, args, 4);
  core_append(hub, 0, &envelope, sb_buf_bytes(&hello));
  sb_buf_close(&hello);
  core_run(hub);
}

/* `ahead_ms` of the log's time, as a node that knows it sees it. */
static inline void ghost_says(const struct node *node, uint64_t number, uint32_t count, struct sb_bytes body,
                              uint64_t ahead_ms) {
  const struct sb_envelope envelope = {.version = SB_WIRE_VERSION,
                                       .count = count,
                                       .number = number,
                                       .base = number,
                                       .generation = keys_part(node)->state.generation,
                                       .time_ms = keys_part(node)->state.time_ms + ahead_ms,
                                       .incarnation = {1700000000000, 99},
                                       .node = "ghost"};
  core_append(node->hub, 0, &envelope, body);
  core_run(node->hub);
}

static inline void append_command(struct sb_buf *out, const char *text) {
  struct sb_bytes args[WORDS_MAX];
  sb_entry_append(out, args, split_words(text, args));
}

/* "MULTI <entry> …". */
static inline void append_multi(struct sb_buf *out, const char *const *commands, uint32_t count) {
  struct sb_bytes args[WORDS_MAX] = {sb_bytes_of("MULTI")};
  struct sb_buf entries[WORDS_MAX] = {0};
  assert_true(count < WORDS_MAX);
  for (uint32_t i = 0; i < count; i++) {
    append_command(&entries[i], commands[i]);
    args[i + 1] = sb_buf_bytes(&entries[i]);
  }
  sb_entry_append(out, args, count + 1);
  for (uint32_t i = 0; i < count; i++) sb_buf_close(&entries[i]);
}

#endif
