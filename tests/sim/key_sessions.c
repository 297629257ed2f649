/* What sessions do with keys and streams: commands that write, alone and in EXEC, and commands that read. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

#define ARGS_MAX 12

#define LARGE_BYTES 380 /* more than some brokers take in one message, at times */

/* Bytes that do not compress. */
static struct sb_bytes large_value(struct world *world) {
  static uint8_t bytes[LARGE_BYTES];
  for (size_t i = 0; i < LARGE_BYTES; i++) bytes[i] = (uint8_t)('a' + (i * i * 7 + i / 16) % 26);
  return sb_bytes(bytes, 1 + sim_below(world, LARGE_BYTES));
}

struct command {
  struct sb_bytes args[ARGS_MAX];
  uint32_t count;
  char texts[ARGS_MAX][48]; /* of those that are made here */
};

static void add_word(struct command *command, const char *word) {
  command->args[command->count++] = sb_bytes_of(word);
}

static void add_key(struct command *command, uint32_t key) {
  command->args[command->count++] = sim_key_name(key);
}

__attribute__((format(printf, 2, 3))) static void add_text(struct command *command, const char *format, ...) {
  va_list args;
  char *text = command->texts[command->count];
  va_start(args, format);
  vsnprintf(text, sizeof command->texts[0], format, args);
  va_end(args);
  command->args[command->count++] = sb_bytes_of(text);
}

static void add_id(struct command *command, struct sb_id id) {
  add_text(command, "%llu-%llu", (unsigned long long)id.ms, (unsigned long long)id.seq);
}

/* ---- commands ---- */

/* An entry may have the time that was asked for behind the relative one. */
static void add_asked(struct world *world, struct command *command) {
  if (!sim_chance(world, 0.5)) return;
  add_word(command, "PXAT");
  add_text(command, "%u", 1 + sim_below(world, 1000));
}

static void make_set(struct world *world, struct command *command, uint32_t key, bool entry) {
  bool timed = false;
  add_word(command, "SET");
  add_key(command, key);
  add_text(command, "%u", sim_below(world, 1000));
  if (sim_chance(world, 0.2)) command->args[2] = sb_bytes_of("text");
  if (sim_chance(world, 0.1)) command->args[2] = large_value(world);
  if (sim_chance(world, 0.3)) add_word(command, "NX");
  if (sim_chance(world, 0.4)) {
    add_word(command, "PX");
    add_text(command, "%u", 1 + sim_below(world, 6000));
    timed = true;
  }
  if (sim_chance(world, 0.3)) add_word(command, "GET");
  if (timed && entry) add_asked(world, command);
}

static void make_xadd(struct world *world, struct command *command, uint32_t key) {
  add_word(command, "XADD");
  add_key(command, key);
  if (sim_chance(world, 0.1)) add_word(command, "NOMKSTREAM");
  if (sim_chance(world, 0.3)) {
    add_word(command, "MAXLEN");
    add_word(command, sim_chance(world, 0.7) ? "~" : "=");
    add_text(command, "%u", sim_below(world, 20));
  }
  add_word(command, "*");
  add_word(command, "n");
  add_text(command, "%llu", (unsigned long long)(sim_random(world) % 1000000));
  if (sim_chance(world, 0.2)) {
    add_word(command, "");
    add_word(command, "a longer value that needs two digits");
    if (sim_chance(world, 0.5)) command->args[command->count - 1] = large_value(world);
  }
}

static void make_write(struct world *world, struct command *command, uint32_t channel, bool entry) {
  static const uint8_t weights[] = {0, 0, 0, 1, 2, 2, 3, 4, 5, 5, 5, 5, 5, 6, 6};
  uint32_t what = weights[sim_below(world, sizeof weights)];
  uint32_t key = channel * KEYS_PER_CHANNEL + sim_below(world, KEYS_PER_CHANNEL);
  command->count = 0;
  if (what >= 5 && sim_chance(world, 0.7)) key = channel * KEYS_PER_CHANNEL + 2 + sim_below(world, 2);
  if (what == 0) make_set(world, command, key, entry);
  if (what == 5) make_xadd(world, command, key);
  if (what == 0 || what == 5) return;
  static const char *const words[] = {"", "GETDEL", "INCR", "DEL", "PEXPIRE", "", "XDEL"};
  add_word(command, words[what]);
  add_key(command, key);
  if (what == 4) add_text(command, "%u", sim_chance(world, 0.1) ? 0 : 1 + sim_below(world, 6000));
  if (what == 4 && entry) add_asked(world, command);
  if (what == 6) add_id(command, world->ids[key]);
}

static void make_publish(struct world *world, struct command *command, const struct published *entry,
                         uint32_t uid) {
  command->count = 0;
  add_word(command, entry->shard ? "SPUBLISH" : "PUBLISH");
  add_key(command, (uint32_t)entry->channel * KEYS_PER_CHANNEL + KEYS_PER_CHANNEL - 1);
  add_text(command, "u%u ", uid);
  (void)world;
}

/* Where a session that follows a stream goes on, for each key. */
static void make_xread(struct node *node, struct client *client, struct command *command, uint32_t channel) {
  struct world *world = node->world;
  uint32_t first = channel * KEYS_PER_CHANNEL + 2 + sim_below(world, 2),
           keys = sim_chance(world, 0.2) ? 2 : 1;
  bool blocks = sim_chance(world, 0.6);
  uint32_t block_ms = 1 + sim_below(world, 2000);
  add_word(command, "XREAD");
  if (sim_chance(world, 0.5)) {
    add_word(command, "COUNT");
    add_text(command, "%u", 1 + sim_below(world, 5));
  }
  if (blocks) {
    add_word(command, "BLOCK");
    add_text(command, "%u", block_ms);
  }
  client->pending.ends_ms = blocks ? node->core->logs.now_ms + block_ms : node->core->logs.now_ms;
  add_word(command, "STREAMS");
  for (uint32_t i = 0; i < keys; i++) add_key(command, i ? (first ^ 1) : first);
  for (uint32_t i = 0; i < keys; i++) {
    uint32_t key = i ? (first ^ 1) : first;
    const struct sb_partition *part = &node->core->logs.partitions[sim_partition(world, (uint8_t)channel)];
    struct sb_id now = {part->state.generation, part->applied * 4096 + 4095};
    if (sb_id_compare(client->cursors[key], now) > 0 || sim_chance(world, 0.1)) client->cursors[key] = now;
    if (sim_chance(world, 0.05)) client->cursors[key] = (struct sb_id){0};
    add_id(command, client->cursors[key]);
  }
}

static void make_read(struct node *node, struct client *client, struct command *command, uint32_t channel) {
  static const char *const words[] = {"GET", "PTTL", "XLEN", "XRANGE", "XREVRANGE"};
  struct world *world = node->world;
  command->count = 0;
  client->pending.ends_ms = 0;
  if (sim_chance(world, 0.5)) {
    make_xread(node, client, command, channel);
    return;
  }
  uint32_t what = sim_below(world, 5);
  add_word(command, words[what]);
  add_key(command, channel * KEYS_PER_CHANNEL + sim_below(world, KEYS_PER_CHANNEL));
  if (what < 3) return;
  const struct sb_id about = world->ids[channel * KEYS_PER_CHANNEL + sim_below(world, KEYS_PER_CHANNEL)];
  bool cut = about.ms > 0 && sim_chance(world, 0.5), first = sim_chance(world, 0.5);
  for (int i = 0; i < 2; i++)
    if (cut && (i == 0) == first)
      add_id(command, about);
    else
      add_word(command, (what == 3) == (i == 0) ? "-" : "+");
  if (sim_chance(world, 0.7)) {
    add_word(command, "COUNT");
    add_text(command, "%u", 1 + sim_below(world, 8));
  }
}

/* ---- inventing ---- */

static void add_published(struct node *node, uint32_t channel, bool op, bool shard, uint32_t len) {
  const struct published entry = {.channel = (uint8_t)channel,
                                  .shard = shard,
                                  .op = op,
                                  .len = (uint16_t)len,
                                  .process = node->process,
                                  .node = (uint8_t)(node - node->world->nodes)};
  sim_published_add(node->world, &entry);
}

static void invent_exec(struct node *node, struct client *client, struct sb_buf *text, uint32_t channel) {
  struct world *world = node->world;
  uint32_t count = 1 + sim_below(world, 6);
  bool writes = false;
  for (uint32_t i = 0; i < count; i++) {
    struct command command = {0};
    if (sim_chance(world, 0.3)) {
      char payload[16];
      uint32_t uid = world->published_count;
      int len = snprintf(payload, sizeof payload, "u%u ", uid);
      add_published(node, channel, false, sim_chance(world, 0.3), (uint32_t)len);
      make_publish(world, &command, &world->published[uid], uid);
      client->pending.publishes++;
      writes = true;
    } else if (writes && sim_chance(world, 0.3)) {
      add_word(&command, "GET");
      add_key(&command, channel * KEYS_PER_CHANNEL + sim_below(world, KEYS_PER_CHANNEL));
    } else {
      make_write(world, &command, channel, true);
      writes = true;
    }
    sb_entry_append(text, command.args, command.count);
  }
  client->pending.entries = count;
}

bool sim_keys_invent(struct node *node, struct client *client) {
  struct world *world = node->world;
  struct sb_buf text = {0};
  struct command command = {0};
  uint32_t channel = sim_below(world, CHANNELS), dice = sim_below(world, 10);
  bool reads = sb_session_waiting(&client->session) == 0 && !client->sleeps && dice < 6;
  client->pending = (struct request){.channel = (uint8_t)channel, .proto = client->session.proto};
  if (reads) {
    client->pending.what = REQUEST_READ;
    make_read(node, client, &command, channel);
    sb_entry_append(&text, command.args, command.count);
  } else {
    client->pending.uid = world->published_count;
    add_published(node, channel, true, false, 0);
    client->pending.what = dice == 9 ? REQUEST_EXEC : REQUEST_WRITE;
    if (dice == 9) {
      invent_exec(node, client, &text, channel);
    } else {
      make_write(world, &command, channel, false);
      sb_entry_append(&text, command.args, command.count);
    }
  }
  client->pending.text = text.data;
  client->pending.text_len = (uint32_t)text.len;
  return true;
}

/* ---- offering ---- */

static void parse(struct node *node, const struct request *request, struct sb_bytes *args, struct sb_op *op) {
  uint32_t off = 0;
  uint32_t count = sb_entry_args(sb_bytes(request->text, request->text_len), &off, args, ARGS_MAX);
  const char *error = sb_op_parse(args, count, false, op);
  if (error) sim_fail(node->world, "%s: a command is refused: %s", node->name, error);
}

/* What is written at once must be known before. */
static void answered_at_once(struct node *node, struct client *client, const struct request *request,
                             const struct sb_buf *reply) {
  sim_request_add(client, request, client->session.ring.expected)->slotless = true;
  if (!sb_core_reply(node->core, &client->session, sb_buf_bytes(reply)))
    sim_fail(node->world, "%s: no room for a reply", node->name);
}

static enum sb_result offer_read(struct node *node, struct client *client, const struct request *request) {
  struct sb_bytes args[ARGS_MAX];
  struct sb_buf reply = {0};
  struct sb_op op;
  uint32_t slot = client->session.ring.expected;
  struct view view = sim_view(node, sim_partition(node->world, request->channel));
  struct request asked = *request;
  parse(node, request, args, &op);
  if (sb_session_waiting(&client->session) > 0) sim_fail(node->world, "%s: something waits", node->name);
  enum sb_result result = op.name == SB_OP_XREAD
                              ? sb_core_read_streams(node->core, &client->session, &op, &reply)
                              : sb_core_read(node->core, &client->session, &op, &reply);
  if (result == SB_DONE && client->session.blocked) {
    if (reply.len > 0 || !op.blocks) sim_fail(node->world, "%s: XREAD blocks and answers", node->name);
    if (view.reader == &client->session) asked.passed = view;
    sim_request_add(client, &asked, slot);
  } else if (result == SB_DONE) {
    asked.read_to = sim_view_read_to(&view, &client->session, sb_buf_bytes(&reply));
    asked.read_ms = view.read_ms;
    asked.reach = view.read_reach;
    if (view.reader == &client->session && asked.read_to == 0) asked.passed = view;
    node->world->ranges += asked.read_to > 0;
    answered_at_once(node, client, &asked, &reply);
  }
  sb_buf_close(&reply);
  node->world->reads += result == SB_DONE;
  return result;
}

static enum sb_result offer_write(struct node *node, struct client *client, const struct request *request) {
  uint32_t slot = client->session.ring.expected;
  struct sb_buf reply = {0};
  enum sb_result result;
  if (request->what == REQUEST_EXEC) {
    result = sb_core_exec(node->core, &client->session, sim_partition(node->world, request->channel),
                          sb_bytes(request->text, request->text_len), request->entries, true, &reply);
  } else {
    struct sb_bytes args[ARGS_MAX];
    struct sb_op op;
    parse(node, request, args, &op);
    result = sb_core_write(node->core, &client->session, &op);
  }
  if (reply.len > 0) sim_fail(node->world, "%s: EXEC answers at once", node->name);
  if (result == SB_DONE) sim_request_add(client, request, slot);
  if (result == SB_BUSY || result == SB_TOO_LARGE)
    for (uint32_t i = 0; i <= request->publishes; i++)
      node->world->published[request->uid + i].outcome = OUTCOME_REFUSED;
  node->world->writes += result == SB_DONE;
  return result;
}

enum sb_result sim_keys_offer(struct node *node, struct client *client) {
  struct request *request = &client->pending;
  enum sb_result result =
      request->what == REQUEST_READ ? offer_read(node, client, request) : offer_write(node, client, request);
  if (result == SB_BUSY || result == SB_TOO_LARGE) free(request->text);
  return result;
}
