/* Whatever a log may hold, through the core and through each of its readers. The first byte of an input
 * chooses:
 *
 *   0x80 set    the rest goes to one reader: entries, control messages, a SNAPSHOT's state, an LZ4 frame
 *   0x80 clear  the rest is a script, one byte per step and then what the step needs, for a node with one log
 * and a few sessions. Its own messages come back, get lost, come late or altered; strangers write to the log.
 *
 * Checked besides what the sanitizers see: sessions receive well-formed pushes only, and those of a
 * subscription only between its confirmation and that of its end; every request that was taken is answered
 * once at most; what is held is what is counted; the state, written and read, is the state; when nothing is
 * under way and nobody else spoke in the node's name, the log counts what its sessions asked for; sessions
 * are released once. */
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge/base/error.h"
#include "bridge/core/core.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/wire/codec.h"
#include "tests/fuzz/grammar.h"
#include "tests/fuzz/node.h"
#include "tests/fuzz/readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 200

/* ---- a node ---- */

static int on_publish(void *owner, uint32_t partition, const struct sb_envelope *envelope,
                      struct sb_body *body, uint64_t token) {
  struct node *node = owner;
  REQUIRE(partition == 0);
  if (node->queued == QUEUE_MAX) return SB_ERR_FULL;
  if (body->len > (node->takes_little ? 200 : 4096)) return SB_ERR_TOO_LARGE;
  node->queue[node->queued++] = (struct queued){*envelope, sb_body_ref(body), token};
  return 0;
}

static void on_room(void *owner) {
  (void)owner;
}

static void on_released(void *owner, struct sb_session *session) {
  struct node *node = owner;
  node->released++;
  free(session);
}

static void on_fatal(void *owner, const char *why) {
  (void)why;
  ((struct node *)owner)->failed = true;
}

static int on_read_back(void *owner, uint32_t partition, uint64_t from, uint64_t to, uint64_t token) {
  struct node *node = owner;
  REQUIRE(partition == 0 && from <= to && to <= node->sequence && token != 0);
  if (node->reading) return SB_ERR_FULL;
  node->reading = token;
  return 0;
}

static void on_read_back_stop(void *owner, uint64_t token) {
  struct node *node = owner;
  if (node->reading == token) node->reading = 0;
}

static void on_log(void *owner, enum sb_log_level level, const char *cause, const char *line) {
  (void)cause;
  (void)owner;
  (void)level;
  REQUIRE(line[0] != 0);
}

/* ---- requests ---- */

static void taken(struct client *client, uint8_t what, uint8_t mask) {
  if (client->end == client->cap) {
    client->cap = client->cap ? client->cap * 2 : 16;
    client->requests = sb_realloc(client->requests, client->cap * sizeof *client->requests);
  }
  client->requests[client->end++] = (struct request){what, mask};
}

/* SUBSCRIBE or UNSUBSCRIBE, as far as one request goes: of one kind. */
static void change(struct node *node, struct client *client, bool join, uint8_t mask) {
  struct sb_bytes names[TOPICS];
  uint32_t count = 0;
  enum sb_sub_kind kind = SB_SUB_KINDS;
  uint8_t of_kind = 0;
  for (int t = 0; t < TOPICS; t++)
    if ((mask >> t & 1) && (kind == SB_SUB_KINDS || topics[t].kind == kind)) {
      kind = topics[t].kind;
      names[count++] = sb_bytes_of(topics[t].name);
      of_kind |= (uint8_t)(1 << t);
    }
  if (count == 0) return;
  if ((join ? sb_core_subscribing(node->core, client->session, kind, names, count)
            : sb_core_unsubscribing(node->core, client->session)) != SB_DONE)
    return;
  taken(client, join ? JOIN : LEAVE, of_kind);
  for (uint32_t i = 0; i < count; i++)
    if (join)
      sb_core_subscribe(node->core, client->session, kind, names[i]);
    else
      sb_core_unsubscribe(node->core, client->session, kind, names[i]);
  sb_core_confirm(node->core, client->session, sb_bytes_of(join ? "+joined\r\n" : "+left\r\n"));
}

static void ask(struct node *node, struct client *client, uint8_t choice) {
  struct sb_bytes name = sb_bytes_of(choice & 1 ? "c" : "s");
  enum sb_sub_kind kind = choice & 2 ? SB_SUB_PATTERN : choice & 1 ? SB_SUB_CHANNEL : SB_SUB_SHARD;
  if (sb_core_ask(node->core, client->session, kind, &name, kind == SB_SUB_PATTERN ? 0 : 1) == SB_DONE)
    taken(client, OTHER, 0);
}

static void open_session(struct node *node, int which) {
  struct client *client = &node->clients[which];
  free(client->requests);
  *client = (struct client){.session = sb_calloc(1, sizeof *client->session)};
  sb_core_session_open(node->core, client->session, which == THREE ? 3 : 2);
  client->session->ids = which == THREE && node->opened % 2 == 0;
  node->opened++;
  if (which == TWO || which == THREE) {
    change(node, client, true, 1 << TOPIC_C);
    change(node, client, true, 1 << TOPIC_S);
  }
  if (which == THREE) change(node, client, true, 1 << TOPIC_D);
  if (which == PATTERN) change(node, client, true, 1 << TOPIC_P);
}

static void begin(struct node *node, uint8_t choice) {
  struct sb_core_settings settings = {.node = "a",
                                      .nonce = 7,
                                      .partitions = 1,
                                      .batch_bytes = choice & 1 ? 100 : 4096,
                                      .outbox_bytes = choice & 2 ? 500 : 1 << 20,
                                      .output_hard_bytes = choice & 4 ? 200 : 0,
                                      .lease_ms = 1500,
                                      .found_ms = 300,
                                      .window_step_bytes = 50,
                                      .snapshot_piece_bytes = choice & 8 ? 40 : 0,
                                      .linger_ms = choice & 16 ? 5 : 0,
                                      .compress = choice & 32,
                                      .history_bytes = choice & 2 ? 3000 : 1 << 20,
                                      .history_age_ms = choice & 16 ? 500 : 0,
                                      .history_prefill = true,
                                      .checkpoint_messages = 6};
  struct sb_core_io io = {.owner = node,
                          .publish = on_publish,
                          .room = on_room,
                          .released = on_released,
                          .fatal = on_fatal,
                          .log = on_log};
  if (choice & 1) {
    io.read_back = on_read_back;
    io.read_back_stop = on_read_back_stop;
  }
  node->now_ms = 1000;
  node->core = sb_core_new(&settings, &io, node->now_ms, 1000000);
  node->part = &node->core->logs.partitions[0];
  for (int i = 0; i < SESSIONS; i++) open_session(node, i);
  sb_core_attached(node->core, 0, SB_ATTACH_FRESH);
  sb_core_link(node->core, 0, SB_LINK_PUBLISH, true);
  sb_core_link(node->core, 0, SB_LINK_CONSUME, true);
}

/* ---- what sessions receive ---- */

static struct sb_buf drained(struct sb_session *session) {
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

/* The end of the line that begins at `off`. */
static size_t line_end(const struct sb_buf *text, size_t off) {
  const uint8_t *end = memchr(text->data + off, '\n', text->len - off);
  REQUIRE(end && end > text->data && end[-1] == '\r');
  return (size_t)(end + 1 - text->data);
}

static size_t check_push(const struct client *client, int which, struct sb_buf *text, size_t off) {
  struct sb_bytes args[4];
  uint32_t end = (uint32_t)off;
  REQUIRE(text->data[off] == (which == THREE ? '>' : '*'));
  text->data[off] = '*';
  uint32_t count = sb_entry_args(sb_buf_bytes(text), &end, args, 4);
  int topic = TOPIC_P;
  if (count == 4) {
    REQUIRE(sb_bytes_equal(args[0], sb_bytes_of("pmessage")));
    REQUIRE(sb_bytes_equal(args[1], sb_bytes_of(topics[TOPIC_P].name)));
  } else {
    REQUIRE(count == 3 && args[1].len == 1);
    topic = args[1].at[0] == 'c' ? TOPIC_C : args[1].at[0] == 'd' ? TOPIC_D : TOPIC_S;
    REQUIRE(sb_bytes_equal(args[1], sb_bytes_of(topics[topic].name)));
    REQUIRE(sb_bytes_equal(args[0], sb_bytes_of(topic == TOPIC_S ? "smessage" : "message")));
  }
  REQUIRE((client->confirmed | client->doubtful) >> topic & 1);
  return end;
}

static void answered(struct client *client, const uint8_t *reply) {
  REQUIRE(client->first < client->end);
  struct request request = client->requests[client->first++];
  if (request.what == OTHER) return;
  if (*reply == '-') {
    client->doubtful |= request.mask;
    return;
  }
  REQUIRE(reply[0] == '+' && reply[1] == (request.what == JOIN ? 'j' : 'l'));
  client->doubtful &= (uint8_t)~request.mask;
  if (request.what == JOIN)
    client->confirmed |= request.mask;
  else
    client->confirmed &= (uint8_t)~request.mask;
}

/* The end of the value that begins at `off`. */
static size_t value_end(const struct sb_buf *text, size_t off) {
  uint8_t type = text->data[off];
  size_t end = line_end(text, off);
  if (type == '+' || type == '-' || type == ':' || type == '_' || text->data[off + 1] == '-') return end;
  uint64_t count;
  REQUIRE(type == '$' || type == '*' || type == '%');
  REQUIRE(sb_bytes_u64(sb_bytes(text->data + off + 1, end - off - 3), text->len, &count));
  if (type == '$') {
    REQUIRE(text->len - end >= count + 2 && memcmp(text->data + end + count, "\r\n", 2) == 0);
    return end + count + 2;
  }
  for (count = type == '%' ? 2 * count : count; count > 0; count--) end = value_end(text, end);
  return end;
}

/* A reply to a command on keys or streams is next, and no push. */
static bool next_is_value(const struct client *client, const struct sb_buf *text, size_t off) {
  static const char *const pushes[] = {"*3\r\n$7\r\nmessage\r\n", "*3\r\n$8\r\nsmessage\r\n",
                                       "*4\r\n$8\r\npmessage\r\n"};
  if (client->first == client->end || client->requests[client->first].what != KEYS) return false;
  for (int i = 0; i < 3; i++)
    if (text->len - off > strlen(pushes[i]) && memcmp(text->data + off, pushes[i], strlen(pushes[i])) == 0)
      return false;
  return text->data[off] != '>' && text->data[off] != '|';
}

/* "|1 id <id>" before a push; returns where that begins. */
static size_t check_id(const struct sb_buf *text, size_t off) {
  size_t id = off;
  for (int i = 0; i < 4; i++) id = line_end(text, id);
  size_t end = line_end(text, id);
  struct sb_id read;
  REQUIRE(memcmp(text->data + off, "|1\r\n$2\r\nid\r\n$", 13) == 0 && end < text->len);
  REQUIRE(sb_id_parse(sb_bytes(text->data + id, end - id - 2), 0, &read) && text->data[end] == '>');
  return end;
}

static void check_output(struct client *client, int which) {
  static const char numsub[] = "*2\r\n";
  struct sb_buf text = drained(client->session);
  for (size_t off = 0; off < text.len;) {
    uint8_t first = text.data[off];
    if (next_is_value(client, &text, off)) {
      client->first++;
      off = value_end(&text, off);
      continue;
    }
    if (first == '|') {
      REQUIRE(client->session->ids);
      off = check_id(&text, off);
      first = '>';
    }
    bool counts = text.len - off > 4 && memcmp(text.data + off, numsub, 4) == 0;
    if (!counts && (first == '*' || first == '>')) {
      off = check_push(client, which, &text, off);
      continue;
    }
    REQUIRE(counts || first == ':' || first == '-' || first == '+');
    answered(client, text.data + off);
    for (int lines = counts ? 4 : 1; lines > 0; lines--) off = line_end(&text, off);
  }
  sb_buf_close(&text);
  if (!sb_session_is_over_limit(client->session))
    REQUIRE(client->end - client->first == sb_session_waiting(client->session));
}

static size_t bytes_held(const struct sb_partition *part) {
  size_t bytes = part->outbox.open ? part->outbox.open->plain_bytes : 0;
  for (int i = 0; i < 2; i++)
    for (const struct sb_batch *b = i ? part->limbo.batches : part->outbox.first; b; b = b->next)
      bytes += !b->whole ? b->plain_bytes : b->fragment == b->fragments ? b->whole->len : 0;
  return bytes;
}

static void check(struct node *node) {
  struct sb_core_stats stats;
  struct sb_core_log_info info;
  sb_core_stats(node->core, &stats);
  sb_core_log_info(node->core, 0, &info);
  REQUIRE(stats.outbox_bytes == info.waiting_bytes && info.waiting_bytes == bytes_held(node->part));
  REQUIRE(!info.ready || !sb_limbo_is_active(&node->part->limbo));
  REQUIRE(info.in_flight <= SB_WINDOW_BATCHES_MAX);
  for (int i = 0; i < SESSIONS; i++) check_output(&node->clients[i], i);
}

/* Each subscription, as the log counts it and as it is active. */
static void check_interest(struct node *node) {
  const struct sb_partition *part = node->part;
  const struct sb_counts *counts = &part->state.counts;
  size_t channels = 0, patterns = 0;
  for (uint32_t i = 0; i < part->state.members.count; i++) {
    channels += part->state.members.at[i].channels;
    patterns += part->state.members.at[i].patterns;
  }
  REQUIRE(!sb_partition_is_ready(part) || (channels == counts->count && patterns == counts->pattern_rows));
  if (node->forged || sb_limbo_is_active(&part->limbo) || !sb_outbox_empty(&part->outbox) ||
      !sb_partition_has_row(part))
    return;
  if (node->core->logs.stopping) return;
  const struct sb_row *row = sb_state_row(&part->state, "a");
  uint32_t found[SB_SUB_KINDS] = {0};
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) {
    const struct sb_topic *topic;
    for (size_t at = 0; (topic = sb_table_each(&node->core->interest.topics[kind], &at)); found[kind]++) {
      struct sb_name_id id = sb_counts_id(counts, (enum sb_sub_kind)kind, sb_topic_name(topic));
      REQUIRE(topic->asked > 0 && topic->asked == topic->sub_count);
      REQUIRE(topic->asked == sb_topic_active(topic, 0));
      REQUIRE(topic->asked == (kind == SB_SUB_PATTERN
                                   ? sb_counts_pattern(counts, sb_topic_name(topic), row->id)
                                   : sb_counts_get(counts, id, row->id)));
    }
  }
  REQUIRE(row->channels == found[SB_SUB_CHANNEL] + found[SB_SUB_SHARD] &&
          row->patterns == found[SB_SUB_PATTERN]);
}

static void check_state(struct node *node) {
  if (!sb_partition_is_ready(node->part)) return;
  struct sb_buf text = {0};
  struct sb_state back = {0};
  sb_state_write(&node->part->state, &text);
  REQUIRE(sb_state_read(&back, sb_buf_bytes(&text)) && sb_state_equal(&node->part->state, &back));
  sb_state_close(&back);
  sb_buf_close(&text);
}

/* ---- messages that come from the log ---- */

static struct sb_body *packed(struct sb_body *plain) {
  LZ4F_preferences_t preferences = {.frameInfo = {.contentSize = plain->len}};
  struct sb_body *body = sb_body_new(LZ4F_compressFrameBound(plain->len, &preferences));
  body->len = LZ4F_compressFrame(body->data, body->len, plain->data, plain->len, &preferences);
  REQUIRE(!LZ4F_isError(body->len));
  sb_body_unref(plain);
  return body;
}

static struct sb_body *body_of(struct sb_bytes bytes) {
  struct sb_body *body = sb_body_new(bytes.len);
  if (bytes.len) memcpy(body->data, bytes.at, bytes.len);
  return body;
}

/* Mostly what would be accepted, so that what is not gets judged by each rule alone. */
static struct sb_envelope take_envelope(struct node *node, struct input *in, uint32_t count) {
  static const char *const names[] = {"b", "a", "cc", "d"};
  uint8_t choice = take(in), odd = take(in);
  struct sb_envelope envelope = {.version = SB_WIRE_VERSION, .count = count, .time_ms = 1000000 + take(in)};
  snprintf(envelope.node, sizeof envelope.node, "%s", names[choice & 3]);
  if ((choice & 3) == 1) node->forged = true;
  const struct sb_row *row =
      sb_partition_is_ready(node->part) ? sb_state_row(&node->part->state, envelope.node) : NULL;
  envelope.incarnation = row ? row->incarnation : (struct sb_incarnation){5, 5};
  if (choice & 4) envelope.incarnation.start_ms += 1;
  if (choice & 8) envelope.incarnation = node->part->incarnation;
  envelope.generation =
      sb_partition_is_ready(node->part) ? node->part->state.generation : node->part->known_generation;
  if (choice & 16) envelope.number = (row ? row->number : 0) + 1;
  if (choice & 32) envelope.attempt = node->part->outbox.attempt;
  envelope.base = envelope.number;
  if (odd & 1) envelope.number = take_number(in, 8);
  if (odd & 2) envelope.generation = take_number(in, 8);
  if (odd & 4) envelope.incarnation.start_ms = take_number(in, 8);
  if (odd & 8) envelope.count = (uint32_t)take_number(in, 4);
  if (odd & 16) envelope.version = take(in);
  if (odd & 32) envelope.malformed = true;
  if (odd & 64) envelope.time_ms = take_number(in, 8);
  if (odd & 128) envelope.lz4 = true;
  return envelope;
}

static struct sb_body *copy_of(const struct sb_body *body) {
  return body ? body_of(sb_bytes(body->data, body->len)) : NULL;
}

static void store(struct node *node, const struct sb_envelope *envelope, const struct sb_body *channel,
                  const struct sb_body *body) {
  if (node->stored_count == STORED_MAX) return;
  node->stored[node->stored_count++] =
      (struct stored){node->sequence + 1, *envelope, copy_of(channel), copy_of(body)};
}

/* Some of what was asked for comes, perhaps not all, and perhaps an end. */
static void read_back(struct node *node, struct input *in) {
  uint8_t choice = take(in);
  uint64_t token = node->reading;
  if (token == 0 || node->failed) return;
  for (uint32_t i = choice & 7; i < node->stored_count && node->reading == token; i++) {
    const struct stored *stored = &node->stored[i];
    if ((choice & 8) && i % 5 == 0) continue;
    sb_core_stored(node->core, 0, token, stored->sequence, &stored->envelope, copy_of(stored->channel),
                   copy_of(stored->body));
  }
  if (choice & 16) return;
  node->reading = 0;
  sb_core_stored_end(node->core, 0, token, !(choice & 32));
}

static void deliver(struct node *node, const struct sb_envelope *envelope, struct sb_body *channel,
                    struct sb_body *body) {
  if (node->failed) { /* the daemon stops: nothing is delivered any more */
    sb_body_unref(channel);
    sb_body_unref(body);
    return;
  }
  store(node, envelope, channel, body);
  sb_core_delivery(node->core, 0, ++node->sequence, envelope, channel, body);
}

static void deliver_raw(struct node *node, struct input *in) {
  struct sb_envelope envelope = take_envelope(node, in, 1);
  deliver(node, &envelope, NULL, body_of(take_bytes(in)));
}

static void add_entry(struct node *node, struct input *in, struct sb_buf *out) {
  static const char *const kinds[] = {"channel", "pattern", "shard", "none"};
  uint8_t choice = take(in);
  char incarnation[SB_INCARNATION_TEXT], digits[20];
  if (choice % 8 < 2) {
    add_op(in, out);
  } else if (choice % 8 < 5) {
    static const char *const channels[] = {"c", "d", "e", "s"};
    const char *channel = channels[choice >> 3 & 3];
    const struct sb_bytes args[] = {sb_bytes_of(*channel == 's' ? "SPUBLISH" : "PUBLISH"),
                                    sb_bytes_of(channel), take_bytes(in)};
    sb_entry_append(out, args, 3);
  } else if (choice % 8 == 5 && !(choice & 32)) {
    sb_buf_text(out, "*1\r\n$4\r\nPING\r\n");
  } else if (choice % 8 == 5) {
    const struct sb_bytes args[] = {
        sb_bytes_of("SIDEBUS"), sb_bytes_of("INTEREST"), sb_bytes_of(kinds[choice >> 3 & 3]),
        choice & 128 ? take_bytes(in) : sb_bytes_of(topics[choice >> 6 & 1].name),
        sb_bytes(digits, sb_u64_text(choice & 64 ? take(in) % 3 : take_number(in, 5), digits))};
    sb_entry_append(out, args, 5);
  } else if (choice % 8 == 6) {
    struct sb_bytes bytes = take_bytes(in);
    sb_buf_append(out, bytes.at, bytes.len);
  } else {
    const struct sb_rows *members = &node->part->state.members;
    if (members->count == 0) return;
    const struct sb_row *row = &members->at[(choice >> 3) % members->count];
    sb_incarnation_text(row->incarnation, incarnation);
    const struct sb_bytes args[] = {sb_bytes_of("SIDEBUS"),
                                    sb_bytes_of("BYE"),
                                    sb_bytes_of(row->name),
                                    sb_bytes_of(incarnation),
                                    sb_bytes(digits, sb_u64_text(row->number + (choice >> 6), digits)),
                                    sb_bytes_of(choice & 32 ? "last" : "more")};
    sb_entry_append(out, args, 6);
  }
}

static void deliver_batch(struct node *node, struct input *in) {
  struct sb_buf text = {0};
  uint8_t choice = take(in);
  uint32_t count = 1 + choice % 8;
  for (uint32_t i = 0; i < count; i++) add_entry(node, in, &text);
  struct sb_envelope envelope = take_envelope(node, in, count);
  if (!(choice & 64) && envelope.number == 0) envelope.number = 1;
  struct sb_body *body = body_of(sb_buf_bytes(&text));
  sb_buf_close(&text);
  if (envelope.lz4 && !(choice & 8)) body = packed(body);
  if ((choice & 16) && body->len > 0) body->data[take(in) % body->len] ^= (uint8_t)(1 << (choice >> 5));
  deliver(node, &envelope, NULL, body);
}

/* A state that answers our HELLO, and another member with channels and patterns. */
static void other_state(const struct node *node, struct sb_buf *out) {
  struct sb_state state = {.generation = 9, .partitions = 1, .time_ms = 7, .mark = 3};
  sb_state_hello(&state, "b", (struct sb_incarnation){5, 5}, 1, 0);
  sb_state_hello(&state, "a", node->part->incarnation, 1, 0);
  for (uint32_t i = 0; i < 5; i++) {
    const char name[] = {(char)('a' + i)};
    sb_state_interest(&state, "b", SB_SUB_CHANNEL, sb_bytes(name, 1), 1 + i);
    if (i < 2) sb_state_interest(&state, i ? "a" : "b", SB_SUB_PATTERN, sb_bytes(name, 1), 1 + i);
  }
  sb_state_write(&state, out);
  sb_state_close(&state);
}

static void deliver_control(struct node *node, struct input *in) {
  uint8_t choice = take(in);
  struct sb_buf state = {0};
  char a[20], b[20], c[20];
  uint64_t position = choice & 4   ? take_number(in, 2)
                      : choice & 8 ? node->part->joining.hello_at
                                   : node->sequence;
  struct sb_bytes args[7] = {sb_bytes_of("SIDEBUS")};
  uint32_t count = 0;
  if (choice % 4 == 0) {
    args[count = 1] = sb_bytes_of("HELLO");
    args[++count] = sb_bytes(a, sb_u64_text(choice & 16 ? take(in) : 1, a));
    args[++count] = sb_bytes(b, sb_u64_text(SB_WIRE_VERSION, b));
  } else if (choice % 4 == 1) {
    args[count = 1] = sb_bytes_of("GENESIS");
    args[++count] = sb_bytes(a, sb_u64_text(position, a));
    args[++count] =
        sb_bytes(b, sb_u64_text(choice & 32 ? take_number(in, 8) : node->part->known_generation + 1, b));
    args[++count] = sb_bytes(c, sb_u64_text(choice & 16 ? take(in) : 1, c));
    args[++count] = sb_bytes_of(choice & 64 ? "keys" : "empty");
    if (choice & 128) args[count] = take_bytes(in);
    args[++count] = sb_bytes_of("00112233445566778899aabbccddeeff");
  } else {
    /* The state that there is, or one of another life; in one part, or one of several. */
    if (sb_partition_is_ready(node->part))
      sb_state_write(&node->part->state, &state);
    else
      other_state(node, &state);
    node->forged = true; /* it may tell of us what it likes */
    if ((choice & 16) && state.len) state.data[take_number(in, 2) % state.len] = take(in);
    args[count = 1] = sb_bytes_of(choice & 128 ? "CHECKPOINT" : "SNAPSHOT");
    args[++count] = sb_bytes(a, sb_u64_text(position, a));
    args[++count] = sb_bytes(b, sb_u64_text(choice & 32 ? take(in) % 4 : 0, b));
    args[++count] = sb_bytes(c, sb_u64_text(choice & 32 ? take(in) % 5 : 1, c));
    args[++count] = choice & 64 ? take_bytes(in) : sb_buf_bytes(&state);
  }
  struct sb_buf text = {0};
  sb_entry_append(&text, args, count + 1);
  struct sb_envelope envelope = take_envelope(node, in, 1);
  envelope.number = 0;
  deliver(node, &envelope, NULL, body_of(sb_buf_bytes(&text)));
  sb_buf_close(&text);
  sb_buf_close(&state);
}

static void deliver_foreign(struct node *node, struct input *in) {
  const struct sb_envelope foreign = {.foreign = true};
  uint8_t choice = take(in);
  struct sb_body *channel = choice & 1 ? body_of(sb_bytes_of(choice & 2 ? "c" : "d")) : NULL;
  if (choice & 4) {
    sb_body_unref(channel);
    channel = body_of(take_bytes(in));
    if (channel->len && channel->data[0] == 's')
      channel->data[0] = 'c'; /* an 's' is what tells a shard channel here */
  }
  deliver(node, &foreign, channel, body_of(take_bytes(in)));
}

/* ---- what becomes of the node's own messages ---- */

static struct queued unqueue(struct node *node) {
  struct queued first = node->queue[0];
  memmove(node->queue, node->queue + 1, --node->queued * sizeof *node->queue);
  return first;
}

/* The first `count` of them come back. */
static void echo(struct node *node, uint32_t count) {
  for (; count > 0 && node->queued > 0; count--) {
    struct queued first = unqueue(node);
    deliver(node, &first.envelope, NULL, body_of(sb_bytes(first.body->data, first.body->len)));
    sb_core_settled(node->core, 0, first.token, SB_SETTLE_CONFIRMED);
    sb_body_unref(first.body);
  }
}

static void lose(struct node *node, struct input *in) {
  if (node->queued == 0) return;
  struct queued first = unqueue(node);
  uint8_t choice = take(in);
  sb_core_settled(node->core, 0, first.token, choice & 1 ? SB_SETTLE_LOST : SB_SETTLE_REJECTED);
  if (choice & 2) { /* it came through after all, perhaps not as it was sent */
    struct sb_body *body = body_of(sb_bytes(first.body->data, first.body->len));
    if (choice & 4) body->data[take(in) % body->len] = take(in);
    if (choice & 4) node->forged = true;
    deliver(node, &first.envelope, NULL, body);
  }
  sb_body_unref(first.body);
}

static void redeliver(struct node *node, struct input *in) {
  if (node->queued == 0 || node->failed) return;
  const struct queued *some = &node->queue[take(in) % node->queued];
  uint64_t sequence = node->sequence - take(in) % (node->sequence + 1);
  sb_core_delivery(node->core, 0, sequence, &some->envelope, NULL,
                   body_of(sb_bytes(some->body->data, some->body->len)));
}

/* ---- the rest of the world ---- */

static void publish(struct node *node, struct input *in) {
  static const char *const channels[] = {"c", "d", "e", "s"};
  uint8_t choice = take(in);
  const char *channel = channels[choice & 3];
  struct client *client = &node->clients[PUBLISHER];
  if (client->session->blocked) return;
  if ((choice & 12) == 12) {
    ask(node, client, choice >> 4);
    return;
  }
  if (choice & 4) {
    taken(client, OTHER, 0);
    if (!sb_core_reply(node->core, client->session, sb_bytes_of("+OK\r\n"))) client->end--;
    return;
  }
  for (uint32_t i = 1 + (choice >> 3); i > 0; i--)
    if (sb_core_publish(node->core, client->session, *channel == 's' ? SB_SPUBLISH : SB_PUBLISH,
                        sb_bytes_of(channel), take_bytes(in)) == SB_DONE)
      taken(client, OTHER, 0);
}

static void change_link(struct node *node, uint8_t choice) {
  sb_core_link(node->core, 0, choice & 1 ? SB_LINK_PUBLISH : SB_LINK_CONSUME, choice & 2);
  if ((choice & 0xe0) == 0xe0) sb_core_stop(node->core);
  if ((choice & 0xe0) == 0xc0) {
    node->takes_little = choice & 16;
    if (choice & 8) sb_core_set_entry_max(node->core, node->takes_little ? 200 : 4096);
  }
  if (choice & 4) {
    enum sb_attach how = choice & 8 ? SB_ATTACH_GAP : choice & 16 ? SB_ATTACH_NEW_LOG : SB_ATTACH_CONTINUED;
    sb_core_attached(node->core, 0, how);
  }
}

static void turn(struct node *node, uint8_t choice) {
  static const uint16_t waits[] = {0, 1, 20, 110, 310, 600, 1600, 40};
  node->now_ms += waits[choice & 7];
  sb_core_now(node->core, node->now_ms, choice & 8 ? 1000000 - node->now_ms : 1000000 + node->now_ms);
  sb_core_turn(node->core);
  REQUIRE(sb_core_deadline(node->core) > 0);
}

/* Only what a session of the daemon asks for gets here: what parses. */
static void use_keys(struct node *node, struct input *in) {
  uint8_t choice = take(in);
  struct client *client = &node->clients[choice % SESSIONS];
  struct sb_bytes args[COMMAND_ARGS_MAX];
  struct sb_op op;
  struct sb_buf reply = {0};
  if (client->session->blocked) return;
  if (choice & 64) { /* EXEC */
    struct sb_buf entries = {0};
    uint32_t count = 1 + (choice >> 3 & 3);
    for (uint32_t i = 0; i < count; i++) sb_entry_append(&entries, args, take_good_command(in, args));
    if (sb_core_exec(node->core, client->session, 0, sb_buf_bytes(&entries), count, true, &reply) == SB_DONE)
      taken(client, KEYS, 0);
    REQUIRE(reply.len == 0);
    sb_buf_close(&entries);
    return;
  }
  uint32_t count = !(choice & 32) ? take_command(in, args, WRITES + 4)
                   : choice & 16  ? take_good_read(in, args)
                                  : take_good_command(in, args);
  if (sb_op_parse(args, count, false, &op)) return;
  enum sb_result result = SB_WAIT;
  if (op.writes)
    result = sb_core_write(node->core, client->session, &op);
  else if (sb_session_waiting(client->session) > 0)
    return;
  else if (op.name == SB_OP_XREAD)
    result = sb_core_read_streams(node->core, client->session, &op, &reply);
  else
    result = sb_core_read(node->core, client->session, &op, &reply);
  if (result == SB_DONE) taken(client, KEYS, 0);
  REQUIRE(result != SB_DONE || op.writes || reply.len > 0 || client->session->blocked);
  if (reply.len > 0) REQUIRE(sb_core_reply(node->core, client->session, sb_buf_bytes(&reply)));
  sb_buf_close(&reply);
}

/* One session subscribes, ends that, asks, resets, or goes and another comes. */
static void use_session(struct node *node, uint8_t choice) {
  int which = choice % SESSIONS;
  struct client *client = &node->clients[which];
  uint8_t mask = choice >> 4 & 7;
  if (mask == 7) mask = 1 << TOPIC_P;
  if (client->session->blocked && (choice & 0x88)) return; /* it may only go */
  if (choice & 128) {
    change(node, client, choice & 4, mask);
    if (choice & 8) change(node, client, !(choice & 4), mask);
  } else if ((choice & 12) == 12) {
    ask(node, client, choice >> 4);
  } else if ((choice & 12) == 8) {
    if (sb_session_waiting(client->session) > 0) return;
    sb_core_unsubscribe_all(node->core, client->session);
    client->confirmed = client->doubtful = 0;
  } else {
    sb_core_session_close(node->core, client->session);
    open_session(node, which);
  }
}

static void step(struct node *node, struct input *in) {
  uint8_t choice = take(in);
  switch (choice % 14) {
  case 0:
    deliver_raw(node, in);
    break;
  case 1:
    deliver_control(node, in);
    break;
  case 2:
  case 3:
    deliver_batch(node, in);
    break;
  case 4:
    deliver_foreign(node, in);
    break;
  case 5:
    echo(node, 1 + choice / 14);
    break;
  case 6:
    lose(node, in);
    break;
  case 7:
    redeliver(node, in);
    break;
  case 8:
    publish(node, in);
    break;
  case 9:
    change_link(node, take(in));
    break;
  case 10:
    use_session(node, take(in));
    break;
  case 11:
    use_keys(node, in);
    break;
  case 12:
    read_back(node, in);
    break;
  default:
    turn(node, choice / 14);
  }
}

static void end(struct node *node) {
  for (int i = 0; i < SESSIONS; i++) {
    sb_core_session_close(node->core, node->clients[i].session);
    free(node->clients[i].requests);
  }
  sb_core_free(node->core);
  REQUIRE(node->released == node->opened);
  while (node->queued > 0) sb_body_unref(unqueue(node).body);
  while (node->stored_count > 0) {
    sb_body_unref(node->stored[--node->stored_count].channel);
    sb_body_unref(node->stored[node->stored_count].body);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  if (size == 0) return 0;
  uint8_t choice = take(&in);
  if (choice & 0x80) {
    read_one(choice, sb_bytes(in.at, in.left));
    return 0;
  }
  struct node node = {0};
  begin(&node, choice);
  if (choice & 64) { /* ready at once, as the founder */
    for (int i = 0; i < 3; i++) {
      echo(&node, QUEUE_MAX);
      turn(&node, 0);
    }
  }
  for (int i = 0; i < STEPS_MAX && in.left > 0 && !node.failed; i++) {
    step(&node, &in);
    check(&node);
    check_interest(&node);
    if (i % 8 == 0) check_state(&node);
  }
  check_state(&node);
  end(&node);
  return 0;
}
