#include "transports/rabbitmq/reader.h"

#include <inttypes.h>
#include <string.h>

#include "bridge/base/clock.h"
#include "bridge/base/hash.h"
#include "transports/rabbitmq/headers.h"
#include "transports/rabbitmq/topology.h"

/* The message at the last offset comes back within a few ms. When it takes longer than this, the reader finds
 * out why. */
#define PATIENCE_MIN_MS   500
#define PATIENCE_MAX_MS   30000
/* The last chunk of a stream may hold several messages. When none follows for so long, the last one has
 * come. */
#define PROBE_QUIET_MS    500
/* A copy that is catching up is done within this time as a rule. */
#define PROBE_GROWS_MS    2000
/* The broker sends it with every delivery; it must be unique within a channel only. */
#define CONSUMER_TAG      "sb"
/* After so many failures in a row the stream is tried on another host. */
#define FAILURES_PER_HOST 5
/* RabbitMQ closes a channel whose deliveries stay unacknowledged for long (consumer_timeout, 30 min by
 * default). So the last few are acknowledged when no more have come for this time. */
#define ACK_REST_MS       1000
/* While other frames come, the answer may stand behind a large message: it may take so many times the limit
 * of an echo. With the default that is a minute, in which the largest message comes at 2 Mbit/s. */
#define BUSY_LIMITS       12

void sb_rabbitmq_reader_init(struct sb_rabbitmq_reader *reader, struct sb_rabbitmq_board *board,
                             struct sb_rabbitmq_link *link, uint32_t partition) {
  *reader = (struct sb_rabbitmq_reader){.board = board,
                                        .link = link,
                                        .partition = partition,
                                        .due_ms = INT64_MAX,
                                        .patience_ms = PATIENCE_MIN_MS};
  reader->main.channel = (amqp_channel_t)(partition + 1);
  reader->probe.channel = (amqp_channel_t)(board->partitions + partition + 1);
}

static void enter(struct sb_rabbitmq_reader *reader, enum sb_rabbitmq_reader_state state, int64_t due_ms) {
  reader->state = state;
  reader->due_ms = due_ms;
}

static int64_t rpc_deadline_ms(const struct sb_rabbitmq_reader *reader) {
  return sb_clock_ms() + reader->board->settings.rpc_timeout_ms;
}

static void tell_link(struct sb_rabbitmq_reader *reader, bool up) {
  if (reader->link_up == up) return;
  reader->link_up = up;
  sb_rabbitmq_board_link(reader->board, reader->partition, SB_LINK_CONSUME, up);
}

/* ---- channels ---- */

struct start {
  const char *word; /* "first", "last"; NULL: the offset */
  uint64_t offset;
};

bool sb_rabbitmq_reader_is_well(const struct sb_rabbitmq_reader *reader) {
  return reader->link_up;
}

static struct sb_rabbitmq_echo *echo_of(const struct sb_rabbitmq_reader *reader) {
  return &reader->board->echoes[reader->partition];
}

static struct start start_of(const struct sb_rabbitmq_reader *reader) {
  if (!reader->began) return (struct start){.word = "last"};
  if (reader->anew) return (struct start){.word = "first"};
  /* It was attached, and the connection was lost before a message came: either the log was empty, or its
   * tail did not arrive. No message is known that must come back, so only a start at the beginning misses
   * nothing. */
  if (!reader->has_last) return (struct start){.word = "first"};
  return (struct start){.offset = reader->last};
}

static amqp_table_entry_t start_argument(struct start start) {
  amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-stream-offset")};
  if (start.word) {
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes(start.word);
  } else {
    entry.value.kind = AMQP_FIELD_KIND_I64;
    entry.value.value.i64 = (int64_t)start.offset;
  }
  return entry;
}

static amqp_basic_qos_t qos_of(const struct sb_rabbitmq_reader *reader) {
  return (amqp_basic_qos_t){.prefetch_count = (uint16_t)reader->board->settings.prefetch};
}

static int open_consumer(struct sb_rabbitmq_reader *reader, struct sb_rabbitmq_consumer *consumer,
                         struct start start, struct sb_error *error) {
  char name[SB_RABBITMQ_STREAM_NAME];
  sb_rabbitmq_stream_name(reader->board, reader->partition, name);
  amqp_table_entry_t argument = start_argument(start);
  amqp_channel_open_t open = {0};
  amqp_basic_qos_t qos = qos_of(reader);
  amqp_basic_consume_t consume = {.queue = amqp_cstring_bytes(name),
                                  .consumer_tag = amqp_cstring_bytes(CONSUMER_TAG),
                                  .arguments = {1, &argument}};
  consumer->state = SB_CONSUMER_OPEN;
  consumer->consuming = false;
  if (consumer == &reader->main) reader->asked_ms = 0;
  int rc = sb_rabbitmq_link_send(reader->link, consumer->channel, AMQP_CHANNEL_OPEN_METHOD, &open, error);
  if (rc == 0)
    rc = sb_rabbitmq_link_send(reader->link, consumer->channel, AMQP_BASIC_QOS_METHOD, &qos, error);
  if (rc == 0)
    rc = sb_rabbitmq_link_send(reader->link, consumer->channel, AMQP_BASIC_CONSUME_METHOD, &consume, error);
  return rc;
}

static int close_consumer(struct sb_rabbitmq_reader *reader, struct sb_rabbitmq_consumer *consumer,
                          struct sb_error *error) {
  if (consumer->state != SB_CONSUMER_OPEN) return 0;
  amqp_channel_close_t close_method = {.reply_code = AMQP_REPLY_SUCCESS};
  consumer->state = SB_CONSUMER_CLOSING;
  sb_rabbitmq_content_close(&consumer->content);
  return sb_rabbitmq_link_send(reader->link, consumer->channel, AMQP_CHANNEL_CLOSE_METHOD, &close_method,
                               error);
}

static void shut_consumer(struct sb_rabbitmq_consumer *consumer) {
  consumer->state = SB_CONSUMER_SHUT;
  consumer->consuming = false;
  sb_rabbitmq_content_close(&consumer->content);
}

static bool both_shut(const struct sb_rabbitmq_reader *reader) {
  return reader->main.state == SB_CONSUMER_SHUT && reader->probe.state == SB_CONSUMER_SHUT;
}

/* Opens again as soon as the channels are closed. */
static int close_all(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  int rc = close_consumer(reader, &reader->main, error);
  if (rc == 0) rc = close_consumer(reader, &reader->probe, error);
  if (both_shut(reader))
    enter(reader, SB_READER_WAITING, 0);
  else
    enter(reader, SB_READER_CLOSING, rpc_deadline_ms(reader));
  return rc;
}

static int ack(struct sb_rabbitmq_reader *reader, struct sb_rabbitmq_consumer *consumer,
               struct sb_error *error) {
  amqp_basic_ack_t method = {.delivery_tag = consumer->delivery_tag, .multiple = 1};
  return sb_rabbitmq_link_send(reader->link, consumer->channel, AMQP_BASIC_ACK_METHOD, &method, error);
}

static int ack_all(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  reader->due_ms = INT64_MAX;
  if (reader->unacked == 0) return 0;
  reader->unacked = 0;
  return ack(reader, &reader->main, error);
}

/* Acknowledging is what gives the broker new credit. */
static int count_unacked(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  if (reader->unacked++ == 0) reader->due_ms = sb_clock_coarse_ms() + ACK_REST_MS;
  return reader->unacked < (reader->board->settings.prefetch + 3) / 4 ? 0 : ack_all(reader, error);
}

/* ---- the connection comes and goes ---- */

static void await_opening(struct sb_rabbitmq_reader *reader) {
  reader->ensure = true;
  enter(reader, SB_READER_WAITING, 0);
}

void sb_rabbitmq_reader_want(struct sb_rabbitmq_reader *reader, bool connected) {
  if (reader->wanted) return;
  reader->wanted = true;
  if (connected) await_opening(reader);
}

/* Nobody reads this partition: its link counts as up as long as there is a connection. */
void sb_rabbitmq_reader_connected(struct sb_rabbitmq_reader *reader) {
  reader->failures = 0;
  if (reader->wanted)
    await_opening(reader);
  else
    tell_link(reader, true);
}

void sb_rabbitmq_reader_lost(struct sb_rabbitmq_reader *reader) {
  shut_consumer(&reader->main);
  shut_consumer(&reader->probe);
  enter(reader, SB_READER_IDLE, INT64_MAX);
  atomic_store(&echo_of(reader)->wanted, false);
  tell_link(reader, false);
}

/* ---- trouble with this stream only ---- */

static int64_t retry_pause_ms(const struct sb_rabbitmq_reader *reader) {
  const struct sb_rabbitmq_settings *settings = &reader->board->settings;
  const struct sb_backoff_limits limits = {settings->backoff_min_ms, settings->backoff_max_ms, 1};
  return sb_backoff_share_ms(&limits, reader->failing_since_ms, sb_clock_ms(), &reader->link->seed);
}

/* A broker that starts needs a moment until it has its streams. What lasts longer is logged once. */
static void tell_trouble(struct sb_rabbitmq_reader *reader, const char *why) {
  uint64_t trouble = sb_hash_text(why) | 1;
  bool lasts = sb_clock_ms() - reader->failing_since_ms >= SB_RABBITMQ_TELL_AFTER_MS;
  bool news = lasts && trouble != reader->trouble;
  if (news) reader->trouble = trouble;
  sb_rabbitmq_board_trouble(reader->board, reader->partition, why, news);
}

static int give_up(const struct sb_rabbitmq_reader *reader, const char *why, struct sb_error *error) {
  return sb_error_set(error, SB_ERR_REFUSED, "stream %s.%" PRIu32 ": %s", reader->board->exchange,
                      reader->partition, why);
}

/* `why` is about the stream and does not name it. Closes what is open and tries again later. */
static int stream_failed(struct sb_rabbitmq_reader *reader, const char *why, struct sb_error *error) {
  tell_link(reader, false);
  atomic_store(&echo_of(reader)->wanted, false);
  if (reader->failures++ == 0) reader->failing_since_ms = sb_clock_ms();
  if (reader->failures >= FAILURES_PER_HOST && reader->board->host_count > 1)
    return give_up(reader, why, error);
  tell_trouble(reader, why);
  int rc = close_all(reader, error);
  reader->ensure = true;
  if (reader->state == SB_READER_WAITING) reader->due_ms = sb_clock_ms() + retry_pause_ms(reader);
  return rc;
}

/* ---- whether it is alive ---- */

static void forget_echo(struct sb_rabbitmq_reader *reader) {
  atomic_store(&echo_of(reader)->print, 0);
}

static void heard(struct sb_rabbitmq_reader *reader) {
  reader->heard_ms = sb_clock_coarse_ms();
  reader->asked_ms = 0;
  if (!reader->suspect && reader->deaths == 0) return;
  reader->suspect = false;
  reader->deaths = 0;
  tell_link(reader, true);
}

/* Called before the delivery, because the bridge may take its time with that. */
static void look_at_echo(struct sb_rabbitmq_reader *reader, const struct sb_envelope *envelope) {
  uint64_t print = atomic_load_explicit(&echo_of(reader)->print, memory_order_relaxed);
  if (print && sb_rabbitmq_fingerprint(envelope, NULL, NULL) == print) forget_echo(reader);
}

/* What was confirmed has not come. Opens the stream again here, the next time on another host, and so on.
 * When no host has it, the broker must have lost it after all: then reading goes on. */
static int died(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  static const char why[] = "what the broker has confirmed does not come back";
  bool first = reader->deaths == 0;
  if (reader->deaths++ > reader->board->host_count) {
    forget_echo(reader);
    heard(reader);
    return 0;
  }
  tell_link(reader, false);
  atomic_store(&echo_of(reader)->wanted, false);
  reader->suspect = true;
  if (!first) return give_up(reader, why, error);
  sb_rabbitmq_board_trouble(reader->board, reader->partition, why, true);
  return close_all(reader, error);
}

/* Asks something whose answer changes nothing. What the broker sent on this channel before comes before the
 * answer. */
static int ask_whether_all_came(struct sb_rabbitmq_reader *reader, int64_t now_ms, struct sb_error *error) {
  amqp_basic_qos_t qos = qos_of(reader);
  reader->asked_ms = now_ms;
  reader->answered = false;
  return sb_rabbitmq_link_send(reader->link, reader->main.channel, AMQP_BASIC_QOS_METHOD, &qos, error);
}

/* There is no answer yet, but other frames come: it may stand behind a large message on a slow line. */
static bool may_be_behind(const struct sb_rabbitmq_reader *reader,
                          const struct sb_rabbitmq_progress *progress) {
  int64_t limit_ms = reader->board->settings.echo_limit_ms;
  return !reader->answered && progress->read_up_to_ms - progress->arrived_ms < limit_ms &&
         progress->read_up_to_ms - reader->asked_ms < BUSY_LIMITS * limit_ms;
}

int sb_rabbitmq_reader_watch(struct sb_rabbitmq_reader *reader, const struct sb_rabbitmq_progress *progress,
                             struct sb_error *error) {
  const struct sb_rabbitmq_echo *echo = echo_of(reader);
  int64_t limit_ms = reader->board->settings.echo_limit_ms;
  if (reader->state != SB_READER_FLOWING || atomic_load(&echo->print) == 0) return 0;
  int64_t since_ms = atomic_load(&echo->confirmed_at_ms);
  if (since_ms == 0) return 0;
  if (since_ms < reader->heard_ms) since_ms = reader->heard_ms;
  if (since_ms < progress->held_up_ms) since_ms = progress->held_up_ms;
  int64_t quiet_ms = progress->read_up_to_ms - since_ms;
  if (quiet_ms <= limit_ms / 2) return 0;
  if (reader->asked_ms == 0) return ask_whether_all_came(reader, progress->read_up_to_ms, error);
  return quiet_ms > limit_ms && !may_be_behind(reader, progress) ? died(reader, error) : 0;
}

/* ---- attaching ---- */

static const char *told_as(const struct sb_rabbitmq_reader *reader, enum sb_attach how) {
  if (how == SB_ATTACH_GAP) return "retention has passed what would have come next";
  if (how == SB_ATTACH_NEW_LOG) return "it was emptied or made again, reading starts anew";
  if (reader->cancelled)
    return "the broker ended reading for a moment, as it does when a policy or the leader changes; nothing "
           "is "
           "missing";
  return NULL;
}

static void attached(struct sb_rabbitmq_reader *reader, enum sb_attach how) {
  const char *text = told_as(reader, how);
  sb_rabbitmq_board_is_stream(reader->board, reader->partition);
  if (text) sb_rabbitmq_board_trouble(reader->board, reader->partition, text, true);
  if (how != SB_ATTACH_CONTINUED) {
    reader->suspect = false; /* the message that must come may be gone */
    reader->deaths = 0;
    forget_echo(reader);
  }
  if (how == SB_ATTACH_FRESH || how == SB_ATTACH_NEW_LOG) reader->has_last = false;
  reader->began = true;
  reader->anew = reader->cancelled = false;
  reader->behind_since_ms = 0;
  reader->patience_ms = PATIENCE_MIN_MS;
  reader->failures = 0;
  reader->trouble = 0;
  reader->heard_ms = sb_clock_coarse_ms();
  enter(reader, SB_READER_FLOWING, INT64_MAX);
  if (!reader->suspect) tell_link(reader, true);
  sb_rabbitmq_board_attached(reader->board, reader->partition, how);
  atomic_store(&echo_of(reader)->wanted, true);
}

static void on_consuming(struct sb_rabbitmq_reader *reader) {
  reader->main.consuming = true;
  reader->unacked = 0;
  reader->below_since_ms = 0;
  reader->awaits_new = false;
  if (!reader->began)
    attached(reader, SB_ATTACH_FRESH);
  else if (reader->anew)
    attached(reader, SB_ATTACH_NEW_LOG);
  else if (!reader->has_last)
    attached(reader, SB_ATTACH_CONTINUED);
  else
    enter(reader, SB_READER_CHECKING, sb_clock_ms() + reader->patience_ms);
}

static int start_anew(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  tell_link(reader, false);
  reader->anew = true;
  return close_all(reader, error);
}

/* The stream ends below what was read last. If there is one broker, it has lost the end, or the stream is
 * another one. In a cluster another broker may have a copy that is whole. */
static int ends_below(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  int64_t now_ms = sb_clock_ms();
  if (reader->board->host_count == 1 || reader->cancelled) return start_anew(reader, error);
  if (reader->behind_since_ms == 0) reader->behind_since_ms = now_ms;
  if (now_ms - reader->behind_since_ms >= reader->board->settings.behind_ms) return start_anew(reader, error);
  return give_up(reader,
                 "it ends before what was read from it last: this broker is behind, or it was made again",
                 error);
}

static int start_probe(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  if (reader->probe.state != SB_CONSUMER_SHUT) { /* the one before is not closed yet */
    reader->due_ms = sb_clock_ms() + reader->patience_ms;
    return 0;
  }
  enter(reader, SB_READER_PROBING, sb_clock_ms() + reader->board->settings.rpc_timeout_ms / 2);
  return open_consumer(reader, &reader->probe, (struct start){.word = reader->awaits_new ? "next" : "last"},
                       error);
}

/* Opens the probe again, where it did not begin the last time: at the tail, or where only new messages
 * come. */
static int probe_again(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  reader->awaits_new = !reader->awaits_new;
  reader->below_since_ms = 0;
  enter(reader, SB_READER_CHECKING, 0);
  return close_consumer(reader, &reader->probe, error);
}

/* The stream is as long as it should be, so the message that was asked for is only slow to come. */
static int be_patient(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  reader->below_since_ms = 0;
  reader->awaits_new = false;
  reader->patience_ms *= 2;
  if (reader->patience_ms > PATIENCE_MAX_MS) reader->patience_ms = PATIENCE_MAX_MS;
  enter(reader, SB_READER_CHECKING, sb_clock_ms() + reader->patience_ms);
  return close_consumer(reader, &reader->probe, error);
}

static int no_answer(const struct sb_rabbitmq_reader *reader, const char *to, struct sb_error *error) {
  return sb_error_set(error, SB_ERR_TIMEOUT, "stream %s.%" PRIu32 ": no answer to %s within %" PRIu32 " ms",
                      reader->board->exchange, reader->partition, to, reader->board->settings.rpc_timeout_ms);
}

int sb_rabbitmq_reader_ensure(struct sb_rabbitmq_reader *reader, amqp_channel_t topology_channel,
                              struct sb_error *error) {
  reader->ensure = false;
  int rc = sb_rabbitmq_topology_stream(reader->link, topology_channel, reader->partition, error);
  if (rc == 0) reader->due_ms = atomic_load(&reader->board->usable_from_ms);
  if (rc != SB_ERR_REFUSED) return rc;
  char why[SB_ERROR_TEXT_MAX];
  memcpy(why, error->text, sizeof why);
  return stream_failed(reader, why, error);
}

/* A message has begun to come. However slow the line is, this is no silence to judge. */
static bool is_on_its_way(const struct sb_rabbitmq_reader *reader) {
  bool judges = reader->state == SB_READER_CHECKING || reader->state == SB_READER_PROBING;
  return judges &&
         (reader->main.content.state != SB_CONTENT_NONE || reader->probe.content.state != SB_CONTENT_NONE);
}

int sb_rabbitmq_reader_tick(struct sb_rabbitmq_reader *reader, int64_t now_ms, struct sb_error *error) {
  if (now_ms < reader->due_ms) return 0;
  if (is_on_its_way(reader)) {
    reader->due_ms = now_ms + PROBE_QUIET_MS;
    return 0;
  }
  switch (reader->state) {
  case SB_READER_WAITING:
    enter(reader, SB_READER_OPENING, rpc_deadline_ms(reader));
    return open_consumer(reader, &reader->main, start_of(reader), error);
  case SB_READER_OPENING:
    return no_answer(reader, "basic.consume", error);
  case SB_READER_CLOSING:
    return no_answer(reader, "channel.close", error);
  case SB_READER_CHECKING:
    return start_probe(reader, error);
  case SB_READER_PROBING:
    if (!reader->probe.consuming) return no_answer(reader, "basic.consume", error);
    return reader->awaits_new ? probe_again(reader, error) : ends_below(reader, error);
  case SB_READER_FLOWING:
    return ack_all(reader, error);
  case SB_READER_IDLE:
    reader->due_ms = INT64_MAX;
    return 0;
  }
  return 0;
}

/* ---- messages ---- */

static int deliver(struct sb_rabbitmq_reader *reader, uint64_t print, struct sb_error *error) {
  struct sb_rabbitmq_content *content = &reader->main.content;
  struct sb_event event = {.kind = SB_EVENT_DELIVERY,
                           .partition = reader->partition,
                           .delivery = {.sequence = content->meta.offset,
                                        .envelope = content->meta.envelope,
                                        .channel = content->meta.channel,
                                        .body = content->body}};
  content->meta.channel = NULL;
  content->body = NULL;
  uint64_t sequence = event.delivery.sequence;
  int rc = sb_rabbitmq_link_hand_over(reader->link, &event, error);
  if (rc <= 0) return rc; /* the next resume brings it again */
  atomic_fetch_add_explicit(&reader->board->delivered, 1, memory_order_relaxed);
  reader->has_last = true;
  reader->last = sequence;
  reader->last_print = print;
  return 0;
}

/* Judges the first message of a resume: 1 when it is to be delivered, 0 when it is the one that was read
 * last. */
static int judge_first(struct sb_rabbitmq_reader *reader, uint64_t offset, uint64_t print,
                       struct sb_error *error) {
  bool other = offset < reader->last || (offset == reader->last && print != reader->last_print);
  if (other) return start_anew(reader, error);
  int rc = close_consumer(reader, &reader->probe, error);
  if (rc) return rc;
  bool passed = offset > reader->last;
  attached(reader, passed ? SB_ATTACH_GAP : SB_ATTACH_CONTINUED);
  return passed;
}

static int on_message(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  struct sb_rabbitmq_consumer *consumer = &reader->main;
  const struct sb_rabbitmq_content *content = &consumer->content;
  if (!content->meta.has_offset)
    return stream_failed(reader, "a message came without an offset: it is not a stream", error);
  uint64_t offset = content->meta.offset;
  uint64_t print = sb_rabbitmq_fingerprint(&content->meta.envelope, content->meta.channel, content->body);
  int wanted = !reader->has_last || offset > reader->last;
  if (reader->state == SB_READER_CHECKING || reader->state == SB_READER_PROBING)
    wanted = judge_first(reader, offset, print, error);
  int rc = wanted < 0 ? wanted : 0;
  if (wanted > 0) {
    look_at_echo(reader, &content->meta.envelope);
    rc = deliver(reader, print, error);
    if (rc == 0) heard(reader);
  }
  sb_rabbitmq_content_close(&consumer->content);
  return rc || reader->state != SB_READER_FLOWING ? rc : count_unacked(reader, error);
}

static bool probe_reaches(const struct sb_rabbitmq_reader *reader) {
  const struct sb_rabbitmq_meta *meta = &reader->probe.content.meta;
  return !meta->has_offset || meta->offset >= reader->last;
}

/* A message's header says enough for the probe; waiting for its body would only delay what is wanted. If the
 * probe gets only new messages and one stands below the last message, the stream ended below a moment ago. */
static int on_probe_header(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  if (reader->state != SB_READER_PROBING) return 0;
  if (probe_reaches(reader)) return be_patient(reader, error);
  return reader->awaits_new ? ends_below(reader, error) : 0;
}

/* The probe was given a message below the last one. More may follow; silence would show the end of the
 * stream, but a stream that grows all the time has none. */
static int on_probe_message(struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  int rc = on_probe_header(reader, error);
  sb_rabbitmq_content_close(&reader->probe.content);
  if (rc || reader->state != SB_READER_PROBING) return rc;
  int64_t now_ms = sb_clock_ms();
  if (reader->below_since_ms == 0) reader->below_since_ms = now_ms;
  if (now_ms - reader->below_since_ms >= PROBE_GROWS_MS) return probe_again(reader, error);
  reader->due_ms = now_ms + PROBE_QUIET_MS;
  return ack(reader, &reader->probe, error);
}

/* ---- frames ---- */

static int on_cancelled(struct sb_rabbitmq_reader *reader, struct sb_rabbitmq_consumer *consumer,
                        struct sb_error *error) {
  if (consumer == &reader->probe) return close_consumer(reader, consumer, error);
  tell_link(reader, false);
  sb_rabbitmq_board_trouble(reader->board, reader->partition,
                            "the broker ended reading: its policy or leader changed, or it was deleted",
                            false);
  reader->ensure = true;
  reader->cancelled = true;
  /* No message is known by which to recognise the log, so it must count as a new one. */
  if (reader->began && !reader->has_last) reader->anew = true;
  return close_all(reader, error);
}

static void name_refusal(const struct sb_rabbitmq_reader *reader, struct sb_error *error) {
  if (reader->link->refusal == AMQP_ACCESS_REFUSED) sb_error_wrap(error, "no permission to read it");
  if (strstr(error->text, "x-stream-offset")) sb_error_wrap(error, "it is no stream");
}

static int on_closed(struct sb_rabbitmq_reader *reader, struct sb_rabbitmq_consumer *consumer,
                     const amqp_channel_close_t *close_method, struct sb_error *error) {
  bool asked = consumer->state == SB_CONSUMER_CLOSING; /* then close-ok is still to come */
  int rc = sb_rabbitmq_link_channel_closed(reader->link, consumer->channel, close_method, error);
  if (rc != SB_ERR_REFUSED) return rc;
  if (asked) return 0;
  shut_consumer(consumer);
  name_refusal(reader, error);
  char why[SB_ERROR_TEXT_MAX];
  memcpy(why, error->text, sizeof why);
  if (consumer == &reader->main) return stream_failed(reader, why, error);
  if (reader->state == SB_READER_PROBING)
    enter(reader, SB_READER_CHECKING, sb_clock_ms() + reader->patience_ms);
  return 0;
}

static void on_close_ok(struct sb_rabbitmq_reader *reader, struct sb_rabbitmq_consumer *consumer) {
  shut_consumer(consumer);
  if (reader->state != SB_READER_CLOSING || !both_shut(reader)) return;
  enter(reader, SB_READER_WAITING, reader->failures ? sb_clock_ms() + retry_pause_ms(reader) : 0);
}

static int on_method(struct sb_rabbitmq_reader *reader, struct sb_rabbitmq_consumer *consumer,
                     const amqp_method_t *method, struct sb_error *error) {
  if (method->id == AMQP_CHANNEL_CLOSE_METHOD) return on_closed(reader, consumer, method->decoded, error);
  if (method->id == AMQP_CHANNEL_CLOSE_OK_METHOD) on_close_ok(reader, consumer);
  if (consumer->state != SB_CONSUMER_OPEN) return 0;
  switch (method->id) {
  case AMQP_BASIC_CONSUME_OK_METHOD:
    if (consumer == &reader->probe)
      consumer->consuming = true;
    else if (reader->state == SB_READER_OPENING)
      on_consuming(reader);
    return 0;
  case AMQP_BASIC_QOS_OK_METHOD:
    if (consumer == &reader->main) reader->answered = true;
    return 0;
  case AMQP_BASIC_DELIVER_METHOD: {
    const amqp_basic_deliver_t *delivery = method->decoded;
    consumer->delivery_tag = delivery->delivery_tag;
    sb_rabbitmq_content_begin(&consumer->content, consumer == &reader->main, &reader->board->settings.trust,
                              sb_rabbitmq_board_is_outside(
                                  reader->board, sb_bytes(delivery->exchange.bytes, delivery->exchange.len)));
    return 0;
  }
  case AMQP_BASIC_CANCEL_METHOD:
    return on_cancelled(reader, consumer, error);
  default:
    return 0;
  }
}

int sb_rabbitmq_reader_frame(struct sb_rabbitmq_reader *reader, const amqp_frame_t *frame,
                             struct sb_error *error) {
  struct sb_rabbitmq_consumer *consumer =
      frame->channel == reader->main.channel ? &reader->main : &reader->probe;
  if (frame->frame_type == AMQP_FRAME_METHOD)
    return on_method(reader, consumer, &frame->payload.method, error);
  if (consumer->state != SB_CONSUMER_OPEN) return 0;
  int rc = sb_rabbitmq_content_feed(&consumer->content, frame, error);
  if (rc == 0 && consumer == &reader->probe) return on_probe_header(reader, error);
  if (rc <= 0) return rc;
  return consumer == &reader->main ? on_message(reader, error) : on_probe_message(reader, error);
}
