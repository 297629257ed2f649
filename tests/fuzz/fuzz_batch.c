/* Whatever a log may hold, through the core and through each of its readers. The first byte of an input
 * chooses:
 *
 *   0x80 set    the rest goes to one reader: entries, control messages, a SNAPSHOT's state, an LZ4 frame
 *   0x80 clear  the rest is a script, one byte per step and then what the step needs, for a node with one log
 * and a few sessions. Its own messages come back, get lost, come late or altered; strangers write to the log.
 *
 * Checked besides what the sanitizers see: subscribers receive well-formed pushes only; every publish that
 * was taken is answered once at most; what is held is what is counted; the state, written and read, is the
 * state; sessions are released once. */
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge/base/error.h"
#include "bridge/core/codec.h"
#include "bridge/core/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(what)                                                                                        \
  do {                                                                                                       \
    if (!(what)) {                                                                                           \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                                     \
      abort();                                                                                               \
    }                                                                                                        \
  } while (0)

#define STEPS_MAX 200
#define QUEUE_MAX 16

/* ---- the input as a source of choices ---- */

struct input {
  const uint8_t *at;
  size_t left;
};

static uint8_t take(struct input *in) {
  if (in->left == 0) return 0;
  in->left--;
  return *in->at++;
}

static uint64_t take_number(struct input *in, int bytes) {
  uint64_t value = 0;
  while (bytes-- > 0) value = value << 8 | take(in);
  return value;
}

/* A length byte and as many bytes as there are. */
static struct sb_bytes take_bytes(struct input *in) {
  size_t len = take(in);
  if (len > in->left) len = in->left;
  struct sb_bytes bytes = sb_bytes(in->at, len);
  in->at += len;
  in->left -= len;
  return bytes;
}

/* ---- one reader ---- */

static void read_entries(struct sb_bytes body) {
  struct sb_entry plain, hinted, before;
  uint32_t off = 0, hinted_off = 0;
  for (bool first = true;; first = false) {
    bool good = sb_entry_next(body, &off, NULL, &plain);
    REQUIRE(sb_entry_next(body, &hinted_off, first ? NULL : &before, &hinted) == good);
    if (!good) return;
    REQUIRE(off == hinted_off && plain.kind == hinted.kind && plain.key_off == hinted.key_off);
    REQUIRE(plain.off + plain.len == off && off <= body.len);
    REQUIRE(plain.kind == SB_ENTRY_PING || plain.key_off + plain.key_len <= off);
    before = hinted;
  }
}

static void read_state(struct sb_bytes text) {
  struct sb_state state = {0};
  if (!sb_state_read(&state, text)) return;
  struct sb_buf again = {0};
  sb_state_write(&state, &again);
  REQUIRE(sb_bytes_equal(text, sb_buf_bytes(&again)));
  sb_buf_close(&again);
  sb_state_close(&state);
}

static void unpack(struct sb_bytes frame) {
  struct sb_body *packed = sb_body_new(frame.len);
  memcpy(packed->data, frame.at, frame.len);
  struct sb_body *plain = sb_codec_unpack(packed);
  if (plain) REQUIRE(plain->len <= SB_BODY_BYTES_MAX && plain->len / 256 <= packed->len);
  sb_body_unref(plain);
  sb_body_unref(packed);
}

static void read_one(uint8_t choice, struct sb_bytes bytes) {
  struct sb_control control;
  uint8_t *exact = sb_malloc(bytes.len); /* so that a sanitizer sees a read beyond it */
  if (bytes.len) memcpy(exact, bytes.at, bytes.len);
  bytes.at = exact;
  if (choice % 4 == 0) read_entries(bytes);
  if (choice % 4 == 1) sb_control_read(bytes, &control);
  if (choice % 4 == 2) read_state(bytes);
  if (choice % 4 == 3) unpack(bytes);
  free(exact);
}

/* ---- a node ---- */

struct queued {
  struct sb_envelope envelope;
  struct sb_body *body;
  uint64_t token;
};

enum { TWO, THREE, PATTERN, PUBLISHER, SESSIONS };

struct node {
  struct sb_core *core;
  struct sb_partition *part;
  uint64_t now_ms, sequence;
  struct queued queue[QUEUE_MAX]; /* published and not seen by the log yet, oldest first */
  uint32_t queued;
  struct sb_session *sessions[SESSIONS];
  uint64_t taken, answered; /* requests of the present publisher */
  uint32_t opened, released;
  bool failed;
};

static int on_publish(void *owner, uint32_t partition, const struct sb_envelope *envelope,
                      struct sb_body *body, uint64_t token) {
  struct node *node = owner;
  REQUIRE(partition == 0);
  if (node->queued == QUEUE_MAX) return SB_ERR_FULL;
  if (body->len > 4096) return SB_ERR_TOO_LARGE;
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

static void on_log(void *owner, enum sb_log_level level, const char *line) {
  (void)owner;
  (void)level;
  REQUIRE(line[0] != 0);
}

static void open_session(struct node *node, int which) {
  struct sb_session *session = node->sessions[which] = sb_calloc(1, sizeof *session);
  sb_core_session_open(node->core, session, which == THREE ? 3 : 2);
  node->opened++;
  if (which == TWO || which == THREE) {
    sb_core_subscribe(node->core, session, SB_SUB_CHANNEL, sb_bytes_of("c"));
    sb_core_subscribe(node->core, session, SB_SUB_SHARD, sb_bytes_of("s"));
  }
  if (which == THREE) sb_core_subscribe(node->core, session, SB_SUB_CHANNEL, sb_bytes_of("d"));
  if (which == PATTERN) sb_core_subscribe(node->core, session, SB_SUB_PATTERN, sb_bytes_of("[d-f]*"));
  if (which == PUBLISHER) node->taken = node->answered = 0;
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
                                      .snapshot_part_bytes = choice & 8 ? 40 : 0,
                                      .linger_ms = choice & 16 ? 5 : 0,
                                      .compress = choice & 32};
  const struct sb_core_io io = {node, on_publish, on_room, on_released, on_fatal, on_log};
  node->now_ms = 1000;
  node->core = sb_core_new(&settings, &io, node->now_ms, 1000000);
  node->part = &node->core->partitions[0];
  for (int i = 0; i < SESSIONS; i++) open_session(node, i);
  sb_core_attached(node->core, 0, SB_CORE_FRESH);
  sb_core_link(node->core, 0, SB_CORE_PUBLISH, true);
  sb_core_link(node->core, 0, SB_CORE_CONSUME, true);
}

/* ---- what sessions receive ---- */

static struct sb_buf drained(struct sb_session *session) {
  struct iovec vec[SB_OUTPUT_IOV_MAX];
  struct sb_buf text = {0};
  while (session->out.bytes > 0) {
    int n = sb_output_peek(&session->out, vec, SB_OUTPUT_IOV_MAX);
    size_t len = 0;
    for (int i = 0; i < n; len += vec[i++].iov_len) sb_buf_append(&text, vec[i].iov_base, vec[i].iov_len);
    sb_output_drop(&session->out, len);
  }
  return text;
}

static void check_pushes(struct sb_session *session, int which) {
  struct sb_buf text = drained(session);
  for (uint32_t off = 0; off < text.len;) {
    struct sb_bytes args[4];
    REQUIRE(text.data[off] == (which == THREE ? '>' : '*'));
    text.data[off] = '*';
    uint32_t count = sb_entry_args(sb_buf_bytes(&text), &off, args, 4);
    REQUIRE(count == (which == PATTERN ? 4 : 3));
    if (which == PATTERN)
      REQUIRE(sb_bytes_equal(args[0], sb_bytes_of("pmessage")));
    else
      REQUIRE(sb_bytes_equal(args[0], sb_bytes_of(args[1].at[0] == 's' ? "smessage" : "message")));
  }
  sb_buf_close(&text);
}

static void check_replies(struct node *node, struct sb_session *session) {
  struct sb_buf text = drained(session);
  for (size_t off = 0; off < text.len; node->answered++) {
    const uint8_t *end = memchr(text.data + off, '\n', text.len - off);
    REQUIRE(end && (text.data[off] == ':' || text.data[off] == '-' || text.data[off] == '+'));
    off = (size_t)(end + 1 - text.data);
  }
  sb_buf_close(&text);
  if (!session->over_limit) REQUIRE(node->answered + sb_session_waiting(session) == node->taken);
}

static size_t bytes_held(const struct sb_partition *part) {
  size_t bytes = part->outbox.open ? part->outbox.open->plain_bytes : 0;
  for (const struct sb_batch *batch = part->outbox.first; batch; batch = batch->next)
    bytes += batch->plain_bytes;
  for (const struct sb_batch *batch = part->limbo; batch; batch = batch->next) bytes += batch->plain_bytes;
  return bytes;
}

static void check(struct node *node) {
  struct sb_core_stats stats;
  struct sb_core_log_info info;
  sb_core_stats(node->core, &stats);
  sb_core_log_info(node->core, 0, &info);
  REQUIRE(stats.outbox_bytes == info.waiting_bytes && info.waiting_bytes == bytes_held(node->part));
  REQUIRE(!info.ready || !node->part->in_limbo);
  REQUIRE(info.in_flight <= SB_WINDOW_BATCHES_MAX);
  for (int i = 0; i < PUBLISHER; i++) check_pushes(node->sessions[i], i);
  check_replies(node, node->sessions[PUBLISHER]);
}

static void check_state(struct node *node) {
  if (!node->part->ready) return;
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
  const struct sb_row *row = node->part->ready ? sb_state_row(&node->part->state, envelope.node) : NULL;
  envelope.incarnation = row ? row->incarnation : (struct sb_incarnation){5, 5};
  if (choice & 4) envelope.incarnation.start_ms += 1;
  if (choice & 8) envelope.incarnation = node->part->incarnation;
  envelope.generation = node->part->ready ? node->part->state.generation : node->part->known_generation;
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

static void deliver(struct node *node, const struct sb_envelope *envelope, struct sb_body *channel,
                    struct sb_body *body) {
  if (node->failed) { /* the daemon stops: nothing is delivered any more */
    sb_body_unref(channel);
    sb_body_unref(body);
    return;
  }
  sb_core_delivery(node->core, 0, ++node->sequence, envelope, channel, body);
}

static void deliver_raw(struct node *node, struct input *in) {
  struct sb_envelope envelope = take_envelope(node, in, 1);
  deliver(node, &envelope, NULL, body_of(take_bytes(in)));
}

static void add_entry(struct node *node, struct input *in, struct sb_buf *out) {
  uint8_t choice = take(in);
  char incarnation[SB_INCARNATION_TEXT], digits[20];
  if (choice % 8 < 5) {
    static const char *const channels[] = {"c", "d", "e", "s"};
    const char *channel = channels[choice >> 3 & 3];
    const struct sb_bytes args[] = {sb_bytes_of(*channel == 's' ? "SPUBLISH" : "PUBLISH"),
                                    sb_bytes_of(channel), take_bytes(in)};
    sb_entry_append(out, args, 3);
  } else if (choice % 8 == 5) {
    sb_buf_text(out, "*1\r\n$4\r\nPING\r\n");
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

static void deliver_control(struct node *node, struct input *in) {
  uint8_t choice = take(in);
  struct sb_buf state = {0};
  char a[20], b[20], c[20];
  uint64_t position = choice & 4 ? take_number(in, 2) : choice & 8 ? node->part->hello_at : node->sequence;
  struct sb_bytes args[6] = {sb_bytes_of("SIDEBUS")};
  uint32_t count = 0;
  if (choice % 4 == 0) {
    args[count = 1] = sb_bytes_of("HELLO");
    args[++count] = sb_bytes(a, sb_u64_text(choice & 16 ? take(in) : 1, a));
    args[++count] = sb_bytes(b, sb_u64_text(SB_WIRE_VERSION, b));
  } else if (choice % 4 == 1) {
    args[count = 1] = sb_bytes_of("FOUND");
    args[++count] = sb_bytes(a, sb_u64_text(position, a));
    args[++count] =
        sb_bytes(b, sb_u64_text(choice & 32 ? take_number(in, 8) : node->part->known_generation + 1, b));
    args[++count] = sb_bytes(c, sb_u64_text(choice & 16 ? take(in) : 1, c));
  } else {
    /* The state that there is, or one of another life; in one part, or one of several. */
    if (node->part->ready)
      sb_state_write(&node->part->state, &state);
    else
      sb_buf_text(&state, "*6\r\n$5\r\nSTATE\r\n$1\r\n1\r\n$1\r\n9\r\n$1\r\n1\r\n$1\r\n7\r\n$1\r\n3\r\n");
    if ((choice & 16) && state.len) state.data[take(in) % state.len] = take(in);
    args[count = 1] = sb_bytes_of("SNAPSHOT");
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
    sb_core_settled(node->core, 0, first.token, SB_CORE_CONFIRMED);
    sb_body_unref(first.body);
  }
}

static void lose(struct node *node, struct input *in) {
  if (node->queued == 0) return;
  struct queued first = unqueue(node);
  uint8_t choice = take(in);
  sb_core_settled(node->core, 0, first.token, choice & 1 ? SB_CORE_LOST : SB_CORE_REJECTED);
  if (choice & 2) { /* it came through after all, perhaps not as it was sent */
    struct sb_body *body = body_of(sb_bytes(first.body->data, first.body->len));
    if (choice & 4) body->data[take(in) % body->len] = take(in);
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
  struct sb_session *session = node->sessions[PUBLISHER];
  if (choice & 4) {
    if (sb_core_reply(node->core, session, sb_bytes_of("+OK\r\n"))) node->taken++;
    return;
  }
  for (uint32_t i = 1 + (choice >> 3); i > 0; i--)
    if (sb_core_publish(node->core, session, *channel == 's' ? SB_SPUBLISH : SB_PUBLISH, sb_bytes_of(channel),
                        take_bytes(in)) == SB_DONE)
      node->taken++;
}

static void change_link(struct node *node, uint8_t choice) {
  sb_core_link(node->core, 0, choice & 1 ? SB_CORE_PUBLISH : SB_CORE_CONSUME, choice & 2);
  if ((choice & 0xe0) == 0xe0) sb_core_stop(node->core);
  if (choice & 4) {
    enum sb_core_attach how = choice & 8 ? SB_CORE_GAP : choice & 16 ? SB_CORE_NEW_LOG : SB_CORE_CONTINUED;
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

static void reopen(struct node *node, uint8_t choice) {
  int which = choice % SESSIONS;
  sb_core_session_close(node->core, node->sessions[which]);
  open_session(node, which);
}

static void step(struct node *node, struct input *in) {
  uint8_t choice = take(in);
  switch (choice % 12) {
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
    echo(node, 1 + choice / 12);
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
    reopen(node, take(in));
    break;
  default:
    turn(node, choice / 12);
  }
}

static void end(struct node *node) {
  for (int i = 0; i < SESSIONS; i++) sb_core_session_close(node->core, node->sessions[i]);
  sb_core_free(node->core);
  REQUIRE(node->released == node->opened);
  while (node->queued > 0) sb_body_unref(unqueue(node).body);
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
    if (i % 8 == 0) check_state(&node);
  }
  check_state(&node);
  end(&node);
  return 0;
}
