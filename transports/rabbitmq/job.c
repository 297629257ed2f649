#include "transports/rabbitmq/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bridge/base/clock.h"
#include "transports/rabbitmq/topology.h"

/* Messages that are on their way when the range ends were sent in vain, so this is less than the reader's.
 * With fewer the broker would wait for acknowledgements. */
#define PREFETCH     64
#define CONSUMER_TAG "sb"

void sb_rabbitmq_job_init(struct sb_rabbitmq_job *job, struct sb_rabbitmq_board *board,
                          struct sb_rabbitmq_link *link, amqp_channel_t channel) {
  *job = (struct sb_rabbitmq_job){.board = board, .link = link, .channel = channel, .due_ms = INT64_MAX};
  atomic_init(&job->unwanted, false);
}

static void enter(struct sb_rabbitmq_job *job, enum sb_rabbitmq_job_state state, int64_t due_ms) {
  job->state = state;
  job->due_ms = due_ms;
}

static int64_t rpc_deadline_ms(const struct sb_rabbitmq_job *job) {
  return sb_clock_ms() + job->board->settings.rpc_timeout_ms;
}

static int64_t silence_deadline_ms(const struct sb_rabbitmq_job *job) {
  return sb_clock_ms() + job->board->settings.read_back_silence_ms;
}

static bool is_open(const struct sb_rabbitmq_job *job) {
  return job->state == SB_JOB_OPENING || job->state == SB_JOB_READING;
}

static bool unwanted(const struct sb_rabbitmq_job *job) {
  return atomic_load_explicit(&job->unwanted, memory_order_relaxed);
}

/* ---- begin and end ---- */

static amqp_table_entry_t start_argument(uint64_t from) {
  amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-stream-offset")};
  if (from == 0) {
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes("first");
  } else {
    entry.value.kind = AMQP_FIELD_KIND_I64;
    entry.value.value.i64 = (int64_t)from;
  }
  return entry;
}

/* Sends the requests without waiting for answers, so that one stream does not hold up another. */
int sb_rabbitmq_job_begin(struct sb_rabbitmq_job *job, const struct sb_rabbitmq_range *range,
                          struct sb_error *error) {
  char name[SB_RABBITMQ_STREAM_NAME];
  sb_rabbitmq_stream_name(job->board, range->partition, name);
  amqp_table_entry_t argument = start_argument(range->from);
  amqp_channel_open_t open = {0};
  amqp_basic_qos_t qos = {.prefetch_count = PREFETCH};
  amqp_basic_consume_t consume = {.queue = amqp_cstring_bytes(name),
                                  .consumer_tag = amqp_cstring_bytes(CONSUMER_TAG),
                                  .arguments = {1, &argument}};
  job->range = *range;
  job->unacked = 0;
  job->outcome = SB_STORED_FAILED;
  job->why[0] = 0;
  enter(job, SB_JOB_OPENING, rpc_deadline_ms(job));
  int rc = sb_rabbitmq_link_send(job->link, job->channel, AMQP_CHANNEL_OPEN_METHOD, &open, error);
  if (rc == 0) rc = sb_rabbitmq_link_send(job->link, job->channel, AMQP_BASIC_QOS_METHOD, &qos, error);
  if (rc == 0)
    rc = sb_rabbitmq_link_send(job->link, job->channel, AMQP_BASIC_CONSUME_METHOD, &consume, error);
  return rc;
}

static void shut(struct sb_rabbitmq_job *job) {
  sb_rabbitmq_content_close(&job->content);
  enter(job, SB_JOB_SHUT, INT64_MAX);
}

static int finish(struct sb_rabbitmq_job *job, enum sb_stored outcome, struct sb_error *error) {
  amqp_channel_close_t close_method = {.reply_code = AMQP_REPLY_SUCCESS};
  job->outcome = outcome;
  sb_rabbitmq_content_close(&job->content);
  enter(job, SB_JOB_CLOSING, rpc_deadline_ms(job));
  return sb_rabbitmq_link_send(job->link, job->channel, AMQP_CHANNEL_CLOSE_METHOD, &close_method, error);
}

/* `why` is about the stream and does not name it. */
static int fail(struct sb_rabbitmq_job *job, const char *why, struct sb_error *error) {
  snprintf(job->why, sizeof job->why, "%s", why);
  return finish(job, SB_STORED_FAILED, error);
}

void sb_rabbitmq_job_lost(struct sb_rabbitmq_job *job) {
  shut(job);
}

/* ---- time ---- */

static int no_answer(const struct sb_rabbitmq_job *job, const char *to, struct sb_error *error) {
  return sb_error_set(error, SB_ERR_TIMEOUT, "stream %s.%" PRIu32 ": no answer to %s within %" PRIu32 " ms",
                      job->board->exchange, job->range.partition, to, job->board->settings.rpc_timeout_ms);
}

int sb_rabbitmq_job_tick(struct sb_rabbitmq_job *job, int64_t now_ms, struct sb_error *error) {
  if (is_open(job) && unwanted(job)) return finish(job, SB_STORED_FAILED, error);
  if (now_ms < job->due_ms) return 0;
  char why[64];
  switch (job->state) {
  case SB_JOB_OPENING:
    return no_answer(job, "basic.consume", error);
  case SB_JOB_READING:
    snprintf(why, sizeof why, "nothing came within %" PRIu32 " ms",
             job->board->settings.read_back_silence_ms);
    return fail(job, why, error);
  case SB_JOB_CLOSING:
    return no_answer(job, "channel.close", error);
  case SB_JOB_SHUT:
    return 0;
  }
  return 0;
}

void sb_rabbitmq_job_pause(struct sb_rabbitmq_job *job, int64_t paused_ms) {
  if (job->due_ms != INT64_MAX) job->due_ms += paused_ms;
}

/* ---- messages ---- */

static int ack(struct sb_rabbitmq_job *job, struct sb_error *error) {
  if (++job->unacked < PREFETCH / 4) return 0;
  job->unacked = 0;
  amqp_basic_ack_t method = {.delivery_tag = job->delivery_tag, .multiple = 1};
  return sb_rabbitmq_link_send(job->link, job->channel, AMQP_BASIC_ACK_METHOD, &method, error);
}

/* As sb_rabbitmq_link_hand_over. */
static int give(struct sb_rabbitmq_job *job, struct sb_error *error) {
  struct sb_rabbitmq_content *content = &job->content;
  struct sb_event event = {.kind = SB_EVENT_STORED,
                           .partition = job->range.partition,
                           .stored = {.token = job->range.token,
                                      .message = {.sequence = content->meta.offset,
                                                  .envelope = content->meta.envelope,
                                                  .channel = content->meta.channel,
                                                  .body = content->body}}};
  content->meta.channel = NULL;
  content->body = NULL;
  int rc = sb_rabbitmq_link_hand_over(job->link, &event, error);
  if (rc > 0) atomic_fetch_add_explicit(&job->board->read_back, 1, memory_order_relaxed);
  return rc;
}

static int on_message(struct sb_rabbitmq_job *job, struct sb_error *error) {
  const struct sb_rabbitmq_meta *meta = &job->content.meta;
  if (unwanted(job)) return finish(job, SB_STORED_FAILED, error);
  if (!meta->has_offset) return fail(job, "a message came without an offset: it is not a stream", error);
  uint64_t offset = meta->offset;
  if (offset > job->range.to) return finish(job, SB_STORED_DONE, error);
  if (offset >= job->range.from) {
    int rc = give(job, error);
    if (rc <= 0) return rc;
  }
  sb_rabbitmq_content_close(&job->content);
  if (offset == job->range.to) return finish(job, SB_STORED_DONE, error);
  return ack(job, error);
}

/* ---- frames ---- */

static int on_closed(struct sb_rabbitmq_job *job, const amqp_channel_close_t *close_method,
                     struct sb_error *error) {
  int rc = sb_rabbitmq_link_channel_closed(job->link, job->channel, close_method, error);
  if (rc != SB_ERR_REFUSED) return rc;
  if (job->state == SB_JOB_CLOSING) return 0; /* close-ok is still to come */
  memcpy(job->why, error->text, sizeof job->why);
  shut(job);
  return 0;
}

static int on_method(struct sb_rabbitmq_job *job, const amqp_method_t *method, struct sb_error *error) {
  if (method->id == AMQP_CHANNEL_CLOSE_METHOD) return on_closed(job, method->decoded, error);
  if (method->id == AMQP_CHANNEL_CLOSE_OK_METHOD) shut(job);
  if (!is_open(job)) return 0;
  switch (method->id) {
  case AMQP_BASIC_CONSUME_OK_METHOD:
    enter(job, SB_JOB_READING, silence_deadline_ms(job));
    return 0;
  case AMQP_BASIC_DELIVER_METHOD: {
    const amqp_basic_deliver_t *delivery = method->decoded;
    job->delivery_tag = delivery->delivery_tag;
    sb_rabbitmq_content_begin(
        &job->content, true, &job->board->settings.trust,
        sb_rabbitmq_board_is_outside(job->board, sb_bytes(delivery->exchange.bytes, delivery->exchange.len)));
    return 0;
  }
  case AMQP_BASIC_CANCEL_METHOD:
    return fail(job, "the broker ended reading, it may have been deleted", error);
  default:
    return 0;
  }
}

int sb_rabbitmq_job_frame(struct sb_rabbitmq_job *job, const amqp_frame_t *frame, struct sb_error *error) {
  if (job->state == SB_JOB_READING) job->due_ms = silence_deadline_ms(job);
  if (frame->frame_type == AMQP_FRAME_METHOD) return on_method(job, &frame->payload.method, error);
  if (!is_open(job)) return 0;
  int rc = sb_rabbitmq_content_feed(&job->content, frame, error);
  return rc > 0 ? on_message(job, error) : rc;
}
