/* Who writes to the logs and is no node: garbage, messages to channels, and words in the names of members,
 * plausible and not. In a hub with a key nothing comes of any of them but of messages to channels that come
 * by their own way. Without one nodes believe a word that is possible at its place, and must stay in
 * agreement. Whoever takes a member's number takes its promises too: what that process was answered in that
 * log is not judged from then on. Claims of another chain may make nodes join anew. What a state says is not
 * forged where nobody signs: who joins believes it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bridge/core/wire/control.h"
#include "bridge/core/wire/sidebus.h"
#include "tests/sim/world.h"

static void say(struct stored *message, struct sb_bytes body) {
  message->len = body.len;
  message->body = memcpy(sb_malloc(body.len + 1), body.at, body.len);
}

static struct stored as_a_node(void) {
  return (struct stored){.outsider = true, .envelope = {.version = SB_WIRE_VERSION, .count = 1}};
}

static void say_hello(const struct world *world, struct stored *message) {
  char number[16], body[64];
  int digits = snprintf(number, sizeof number, "%u", world->options.partitions);
  snprintf(body, sizeof body, "*4\r\n$7\r\nSIDEBUS\r\n$5\r\nHELLO\r\n$%d\r\n%s\r\n$1\r\n1\r\n", digits,
           number);
  say(message, sb_bytes_of(body));
}

/* One of the channels that live in a partition; false: none does. */
static bool channel_in(struct world *world, uint32_t partition, uint8_t *channel) {
  *channel = (uint8_t)sim_below(world, CHANNELS);
  for (uint32_t i = 0; sim_partition(world, *channel) != partition; i++) {
    if (i == CHANNELS) return false;
    *channel = (uint8_t)((*channel + 1) % CHANNELS);
  }
  return true;
}

/* Another program publishes: to a channel that lives in this partition. False: none does. */
static bool foreign(struct world *world, uint32_t partition, struct stored *message) {
  char text[32];
  struct published entry = {.process = UINT32_MAX};
  if (!channel_in(world, partition, &entry.channel)) return false;
  entry.len = (uint16_t)snprintf(text, sizeof text, "u%u ", world->published_count);
  message->len = entry.len;
  message->body = memcpy(sb_malloc(entry.len), text, entry.len);
  message->channel = memcpy(sb_malloc(2), "c0", 2);
  message->channel[1] = (uint8_t)('0' + entry.channel);
  message->channel_len = 2;
  /* In a hub with a key it must come by the way that is kept for other programs. */
  message->envelope.outside = world->options.sign && sim_chance(world, 0.5);
  message->outsider = !message->envelope.outside;
  sim_published_add(world, &entry);
  return true;
}

void sim_garbage(struct world *world) {
  static const char *const bodies[] = {
      "*9\r\n$",
      "*5\r\n$7\r\nSIDEBUS\r\n$8\r\nINTEREST\r\n$7\r\nchannel\r\n$2\r\nc0\r\n$2\r\n-1\r\n",
      "*5\r\n$7\r\nSIDEBUS\r\n$8\r\nINTEREST\r\n$7\r\nchannel\r\n$2\r\nc0\r\n$10\r\n2147483648\r\n",
      "*5\r\n$7\r\nSIDEBUS\r\n$8\r\nINTEREST\r\n$5\r\ntopic\r\n$2\r\nc0\r\n$1\r\n1\r\n",
      "*2\r\n$5\r\nMULTI\r\n$22\r\n*2\r\n$4\r\nINCR\r\n$2\r\nc0\r\nx\r\n",
      "*3\r\n$5\r\nMULTI\r\n$22\r\n*2\r\n$4\r\nINCR\r\n$2\r\nc0\r\n\r\n$1\r\nx\r\n",
      "*2\r\n$5\r\nMULTI\r\n$44\r\n*2\r\n$5\r\nMULTI\r\n$22\r\n*2\r\n$4\r\nINCR\r\n$2\r\nc0\r\n\r\n\r\n",
      "*2\r\n$8\r\nFLUSHALL\r\n$2\r\nc0\r\n",
      "*5\r\n$7\r\nSIDEBUS\r\n$4\r\nPART\r\n$1\r\n0\r\n$1\r\n2\r\n$1\r\nx\r\n",
      "*5\r\n$7\r\nSIDEBUS\r\n$4\r\nPART\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\nx\r\n",
      "*5\r\n$7\r\nSIDEBUS\r\n$4\r\nPART\r\n$1\r\n3\r\n$1\r\n2\r\n$1\r\nx\r\n",
      "*5\r\n$7\r\nSIDEBUS\r\n$4\r\nPART\r\n$1\r\n1\r\n$1\r\n2\r\n$0\r\n\r\n",
      "*5\r\n$7\r\nSIDEBUS\r\n$4\r\nPART\r\n$1\r\n1\r\n$4\r\n4097\r\n$1\r\nx\r\n",
      "*5\r\n$7\r\nSIDEBUS\r\n$4\r\nPART\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\nx\r\n*1\r\n$4\r\nPING\r\n",
  };
  uint32_t partition = sim_below(world, world->options.partitions);
  const char *body = bodies[sim_below(world, 14)];
  struct stored message = {.outsider = true};
  say(&message, sb_bytes_of(body));
  struct node *node = &world->nodes[sim_below(world, world->options.nodes)];
  switch (sim_below(world, 4)) {
  case 0:
    message.envelope.malformed = true;
    break;
  case 1:
    message.envelope.foreign = true;
    free(message.body);
    if (!foreign(world, partition, &message)) return;
    break;
  default: /* looks like the next batch or a control message of a node, but for its body */
    message.envelope.version = SB_WIRE_VERSION;
    message.envelope.count = body == bodies[13] ? 2 : 1;
    snprintf(message.envelope.node, sizeof message.envelope.node, "%s", node->name);
    if (node->up && sb_partition_is_ready(&node->core->logs.partitions[partition])) {
      const struct sb_partition *part = &node->core->logs.partitions[partition];
      message.envelope.incarnation = part->incarnation;
      message.envelope.generation = part->state.generation;
      if (sim_chance(world, 0.7)) message.envelope.number = part->outbox.next_number;
    }
  }
  sim_append(world, partition, &message);
}

/* Another program says HELLO in the name of a node, as one that has just started, or with the highest start
 * that there can be: the name must not be lost by that. */
void sim_forge_hello(struct world *world) {
  const uint64_t limit = UINT64_C(1) << 52;
  const uint64_t starts[] = {2 * limit - 1,
                             2 * limit - 2,
                             limit,
                             limit + 1,
                             1700000000000 + world->step * STEP_MS,
                             1700000100000 + world->step * STEP_MS};
  struct stored message = as_a_node();
  say_hello(world, &message);
  snprintf(message.envelope.node, sizeof message.envelope.node, "%s",
           sim_chance(world, 0.1) ? "other" : world->nodes[sim_below(world, world->options.nodes)].name);
  message.envelope.incarnation.start_ms = starts[sim_below(world, 6)];
  message.envelope.incarnation.nonce = sim_chance(world, 0.5) ? UINT64_MAX : sim_random(world);
  sim_append(world, sim_below(world, world->options.partitions), &message);
}

/* A program that has joined like any node says, in its first batch, that it is tomorrow. */
void sim_forge_time(struct world *world) {
  uint32_t partition = sim_below(world, world->options.partitions);
  const struct node *node = &world->nodes[sim_below(world, world->options.nodes)];
  if (!node->up || !sb_partition_is_ready(&node->core->logs.partitions[partition])) return;
  const struct sb_state *state = &node->core->logs.partitions[partition].state;
  struct stored message = as_a_node();
  say_hello(world, &message);
  snprintf(message.envelope.node, sizeof message.envelope.node, "tomorrow");
  message.envelope.incarnation.start_ms = 1700000000000 + world->step * STEP_MS;
  message.envelope.incarnation.nonce = sim_random(world);
  sim_append(world, partition, &message);
  say(&message, sb_bytes_of("*1\r\n$4\r\nPING\r\n"));
  message.envelope.number = message.envelope.base = 1;
  message.envelope.generation = state->generation;
  message.envelope.time_ms = state->time_ms + 86400000;
  sim_append(world, partition, &message);
}

/* ---- in the names of members ---- */

/* A member as some node knows it; the others may know more of it already. */
struct guise {
  uint32_t partition;
  const struct sb_state *state;
  const struct sb_row *row;
};

static bool find_guise(struct world *world, struct guise *out) {
  const struct node *node = &world->nodes[sim_below(world, world->options.nodes)];
  out->partition = sim_below(world, world->options.partitions);
  if (!node->up) return false;
  const struct sb_partition *part = &node->core->logs.partitions[out->partition];
  if (!sb_partition_is_ready(part) || part->state.members.count == 0) return false;
  out->state = &part->state;
  out->row = &part->state.members.at[sim_below(world, part->state.members.count)];
  return true;
}

static uint64_t extreme(struct world *world, uint64_t right) {
  static const uint64_t far[] = {0,
                                 1,
                                 UINT64_C(1) << 31,
                                 UINT64_C(1) << 32,
                                 SB_SEQUENCE_MAX,
                                 SB_SEQUENCE_MAX + 1,
                                 SB_START_MS_LEAP_MAX,
                                 SB_START_MS_LEAP_MAX + 1,
                                 SB_GENERATION_MAX - 1,
                                 SB_GENERATION_MAX,
                                 SB_GENERATION_MAX + 1,
                                 UINT64_C(1) << 63,
                                 UINT64_MAX};
  if (sim_chance(world, 0.4)) return right;
  if (sim_chance(world, 0.3)) return sim_chance(world, 0.5) ? right + 1 : right - 1;
  return far[sim_below(world, sizeof far / sizeof far[0])];
}

static struct stored in_the_name_of(struct world *world, const struct guise *guise) {
  struct stored message = as_a_node();
  struct sb_envelope *envelope = &message.envelope;
  memcpy(envelope->node, guise->row->name, sizeof envelope->node);
  envelope->incarnation = guise->row->incarnation;
  envelope->generation = guise->state->generation;
  envelope->time_ms = guise->state->time_ms;
  if (sim_chance(world, 0.2)) {
    const struct sb_claim *chain = &guise->state->chain;
    envelope->claim = (struct sb_claim){.at = extreme(world, chain->at),
                                        .sum = sim_chance(world, 0.3) ? chain->sum : sim_random(world),
                                        .founding = chain->founding};
    if (sim_chance(world, 0.2)) envelope->claim.founding = (uint32_t)sim_random(world);
  }
  if (!sim_chance(world, world->options.sign ? 0.5 : 0.1)) return message;
  envelope->has_mac = true; /* without a key, too: who has none takes nothing that is signed */
  for (size_t i = 0; i < sizeof envelope->mac; i++) envelope->mac[i] = (uint8_t)sim_random(world);
  return message;
}

/* ---- batches ---- */

static void add_interest(struct world *world, const struct guise *guise, struct sb_buf *body) {
  static const uint32_t counts[] = {0, 1, 7, 1000000, 1000001, UINT32_MAX};
  uint8_t channel;
  if (!channel_in(world, guise->partition, &channel)) channel = 2 * CHANNELS; /* a pattern */
  struct sb_sidebus entry = {.word = SB_SIDEBUS_INTEREST};
  entry.interest = (struct sb_said_interest){sim_topic_kind(channel), sim_topic_name(channel),
                                             counts[sim_below(world, 6)]};
  sb_sidebus_append(body, &entry);
}

static void add_bye(struct world *world, const struct guise *guise, struct sb_buf *body) {
  const struct sb_row *row = &guise->state->members.at[sim_below(world, guise->state->members.count)];
  struct sb_sidebus entry = {.word = SB_SIDEBUS_BYE};
  memcpy(entry.bye.name, row->name, sizeof entry.bye.name);
  entry.bye.incarnation = row->incarnation;
  entry.bye.number = sim_chance(world, 0.7) ? row->number : extreme(world, row->number);
  entry.bye.last = sim_chance(world, 0.3);
  sb_sidebus_append(body, &entry);
}

static void add_publish(struct world *world, const struct guise *guise, struct sb_buf *body) {
  char payload[32];
  struct published entry = {.process = UINT32_MAX};
  if (!channel_in(world, guise->partition, &entry.channel)) return;
  entry.len = (uint16_t)snprintf(payload, sizeof payload, "u%u ", world->published_count);
  const struct sb_bytes args[] = {sb_bytes_of("PUBLISH"), sim_topic_name(entry.channel),
                                  sb_bytes_of(payload)};
  sb_entry_append(body, args, 3);
  sim_published_add(world, &entry);
}

static void add_write(struct world *world, const struct guise *guise, struct sb_buf *body) {
  uint8_t channel;
  if (!channel_in(world, guise->partition, &channel)) return;
  struct sb_bytes key = sim_key_name(channel * KEYS_PER_CHANNEL + sim_below(world, KEYS_PER_CHANNEL));
  const struct sb_bytes set[] = {sb_bytes_of("SET"), key, sb_bytes_of("forged")};
  const struct sb_bytes del[] = {sb_bytes_of("DEL"), key};
  if (sim_chance(world, 0.7))
    sb_entry_append(body, set, 3);
  else
    sb_entry_append(body, del, 2);
}

/* Entries of a batch; returns how many. */
static uint32_t some_entries(struct world *world, const struct guise *guise, struct sb_buf *body) {
  static void (*const kinds[])(struct world *, const struct guise *,
                               struct sb_buf *) = {add_publish, add_interest, add_bye, add_write};
  static const char ping[] = "*1\r\n$4\r\nPING\r\n", restored[] = "*2\r\n$7\r\nSIDEBUS\r\n$8\r\nRESTORED\r\n";
  uint32_t count = 1 + sim_below(world, 3);
  sb_buf_text(body, sim_chance(world, 0.1) ? restored : ping);
  for (uint32_t i = 1; i < count; i++) {
    size_t before = body->len;
    kinds[sim_below(world, 4)](world, guise, body);
    if (body->len == before) sb_buf_text(body, ping);
  }
  return count;
}

static void append_batch(struct world *world, const struct guise *guise, struct stored *message) {
  struct sb_buf body = {0};
  message->envelope.count = some_entries(world, guise, &body);
  say(message, sb_buf_bytes(&body));
  sb_buf_close(&body);
}

/* With a number that may be the member's next: from now on its process has no promises in this log. */
static void forge_next(struct world *world, const struct guise *guise) {
  struct stored message = in_the_name_of(world, guise);
  append_batch(world, guise, &message);
  message.envelope.number = guise->row->number + 1 + sim_below(world, 3);
  message.envelope.base =
      sim_chance(world, 0.8) ? guise->row->number + 1 : extreme(world, message.envelope.number);
  message.envelope.time_ms = extreme(world, guise->state->time_ms);
  for (uint32_t n = 0; n < world->options.nodes; n++)
    if (world->nodes[n].up && world->nodes[n].nonce == guise->row->incarnation.nonce)
      world->nodes[n].forged |= UINT64_C(1) << guise->partition;
  sim_append(world, guise->partition, &message);
}

/* What is nobody's next batch, whatever the others have read: nothing may come of it but that all begin anew,
 * where it says that something was lost. */
static void forge_impossible(struct world *world, const struct guise *guise) {
  struct stored message = in_the_name_of(world, guise);
  struct sb_envelope *envelope = &message.envelope;
  append_batch(world, guise, &message);
  envelope->number = guise->row->number + 100000;
  switch (sim_below(world, 5)) {
  case 0:
    envelope->number = guise->row->number > 0 ? 1 + sim_random(world) % guise->row->number : UINT64_MAX;
    envelope->time_ms = UINT64_MAX;
    break;
  case 1:
    envelope->number = sim_chance(world, 0.5) ? UINT64_MAX : UINT64_C(1) << 63;
    envelope->base = extreme(world, envelope->number);
    break;
  case 2:
    envelope->incarnation.nonce = sim_random(world);
    envelope->incarnation.start_ms = extreme(world, envelope->incarnation.start_ms);
    break;
  case 3:
    envelope->generation = extreme(world, envelope->generation);
    break;
  default:
    envelope->count = (uint32_t)extreme(world, 0);
    envelope->lz4 = sim_chance(world, 0.5);
    envelope->attempt = UINT32_MAX;
  }
  sim_append(world, guise->partition, &message);
}

/* A program joins as any node does, and then speaks for itself. */
static void forge_guest(struct world *world, const struct guise *guise) {
  struct stored message = in_the_name_of(world, guise);
  snprintf(message.envelope.node, sizeof message.envelope.node, "guest");
  message.envelope.incarnation.start_ms = 1700000000000 + world->step * STEP_MS;
  message.envelope.incarnation.nonce = sim_random(world);
  say_hello(world, &message);
  sim_append(world, guise->partition, &message);
  for (uint64_t number = 1, count = sim_below(world, 4); number <= count; number++) {
    append_batch(world, guise, &message);
    message.envelope.number = message.envelope.base = number;
    message.envelope.time_ms = extreme(world, guise->state->time_ms);
    sim_append(world, guise->partition, &message);
  }
}

/* ---- control messages ---- */

static void append_control(struct world *world, const struct guise *guise, struct stored *message,
                           const struct sb_control *control) {
  struct sb_body *body = sb_control_write(control);
  say(message, sb_bytes(body->data, body->len));
  sb_body_unref(body);
  sim_append(world, guise->partition, message);
}

static void forge_any_hello(struct world *world, const struct guise *guise) {
  struct stored message = in_the_name_of(world, guise);
  struct sb_envelope *envelope = &message.envelope;
  envelope->incarnation.start_ms = extreme(world, envelope->incarnation.start_ms);
  envelope->incarnation.nonce = sim_chance(world, 0.3) ? extreme(world, 0) : sim_random(world);
  envelope->generation = extreme(world, envelope->generation);
  envelope->time_ms = extreme(world, envelope->time_ms);
  struct sb_control control = {.kind = SB_CONTROL_HELLO,
                               .partitions = sim_chance(world, 0.8) ? world->options.partitions
                                                                    : 1 + sim_below(world, 64),
                               .version = extreme(world, 1),
                               .about = sb_bytes_of("a forger"),
                               .since = {extreme(world, 0), extreme(world, 1)},
                               .holds = {extreme(world, 0), extreme(world, 0)}};
  control.since_lost = sim_chance(world, 0.5);
  append_control(world, guise, &message, &control);
}

/* A founding that may be accepted: what members knew is gone for all alike. That nodes count partitions in
 * another way makes them stop, so it is said only where it must not be believed. */
static void forge_genesis(struct world *world, const struct guise *guise) {
  const struct sim_log *log = &world->logs[guise->partition];
  struct stored message = in_the_name_of(world, guise);
  struct sb_envelope *envelope = &message.envelope;
  envelope->incarnation.start_ms = extreme(world, envelope->incarnation.start_ms);
  envelope->incarnation.nonce = sim_random(world);
  envelope->time_ms = extreme(world, envelope->time_ms);
  struct sb_control control = {.kind = SB_CONTROL_GENESIS,
                               .partitions = world->options.partitions,
                               .hello_at = extreme(world, log->next_sequence),
                               .generation = extreme(world, envelope->generation),
                               .keeps_keys = sim_chance(world, 0.4)};
  control.brings_keys = !control.keeps_keys && sim_chance(world, 0.3);
  if (world->options.sign) control.partitions = 1 + sim_below(world, 64);
  for (size_t i = 0; i < sizeof control.name_key.bytes; i++)
    control.name_key.bytes[i] = (uint8_t)sim_random(world);
  if (control.generation < guise->state->generation) world->ids_fell |= UINT64_C(1) << guise->partition;
  append_control(world, guise, &message, &control);
}

static void forge_piece(struct world *world, const struct guise *guise) {
  static const char *const texts[] = {"", "x", "*2\r\n$6\r\nSTRING\r\n$1\r\nk\r\n"};
  const struct sim_log *log = &world->logs[guise->partition];
  struct stored message = in_the_name_of(world, guise);
  uint64_t pieces = sim_chance(world, 0.5) ? 1 : SB_SNAPSHOT_PIECES_MAX;
  struct sb_control control = {.kind = SB_CONTROL_SNAPSHOT + sim_below(world, 3), /* CHECKPOINT, KEYS */
                               .as_of = extreme(world, log->next_sequence),
                               .piece = (uint32_t)(sim_random(world) % pieces),
                               .pieces = (uint32_t)pieces,
                               .text = sb_bytes_of(texts[sim_below(world, 3)])};
  append_control(world, guise, &message, &control);
}

/* A message that a node has signed, with something else in it. */
static void tamper(struct world *world, const struct guise *guise) {
  const struct sim_log *log = &world->logs[guise->partition];
  if (log->count == log->begin) return;
  const struct stored *from = &log->at[log->begin + sim_random(world) % (log->count - log->begin)];
  if (from->outsider || from->envelope.foreign || from->len == 0) return;
  struct stored message = {.outsider = true, .envelope = from->envelope};
  struct sb_envelope *envelope = &message.envelope;
  uint32_t partition = guise->partition;
  say(&message, sb_bytes(from->body, from->len));
  switch (sim_below(world, 8)) {
  case 0:
    message.body[sim_below(world, (uint32_t)message.len)] ^= 1;
    break;
  case 1:
    envelope->number++;
    break;
  case 2:
    envelope->generation++;
    break;
  case 3:
    envelope->incarnation.start_ms++;
    break;
  case 4:
    envelope->time_ms++;
    break;
  case 5:
    envelope->base++;
    break;
  case 6:
    envelope->has_mac = false;
    break;
  default: /* as it is, into another log */
    if (world->options.partitions == 1)
      envelope->mac[sim_below(world, SB_MAC_BYTES)] ^= 1;
    else
      partition = (partition + 1) % world->options.partitions;
  }
  sim_append(world, partition, &message);
}

void sim_forge(struct world *world) {
  static const struct {
    void (*write)(struct world *, const struct guise *);
    const char *name;
  } kinds[] = {
      {forge_impossible, "an impossible batch"},
      {forge_guest, "a guest"},
      {forge_any_hello, "a HELLO"},
      {forge_genesis, "a GENESIS"},
      {forge_piece, "a piece of a text"},
      {forge_next, "the next batch"},
      {tamper, "another text"},
  };
  struct guise guise;
  if (!find_guise(world, &guise)) return;
  uint32_t kind = sim_below(world, world->options.sign ? 7 : 6);
  kinds[kind].write(world, &guise);
  world->forged++;
  if (world->options.verbose)
    printf("%7llu another program: partition %u: %s in the name of %s, up to %llu\n",
           (unsigned long long)world->step, guise.partition, kinds[kind].name, guise.row->name,
           (unsigned long long)world->logs[guise.partition].next_sequence);
}
