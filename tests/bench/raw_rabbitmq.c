/* What RabbitMQ gives a program that uses rabbitmq-c directly, one AMQP message per publish: the yardstick
 * beside redis-server that tests/bench/compare holds sidebus against. Options, payload and checks are those
 * of `sidebus bench`; -s names the broker as host:port, user and password are guest.
 *
 * Written as somebody would who knows the library: a stream, one connection per client, confirms counted in a
 * window, no wait but for a full window, prefetch far above what one read brings, multiple acks. */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "bridge/cli/bench.h"
#include "bridge/cli/bench_payload.h"

#define CHANNEL            1
#define PREFETCH           2000
#define ACK_EVERY          200
#define STREAM_MAX_BYTES   INT64_C(2000000000) /* old segments go, so that no run fills the disk */
#define STREAM_SEGMENT     INT64_C(100000000)
#define STREAM_NAME_LENGTH 64

struct link {
  amqp_connection_state_t state;
  double patience;
};

static void stream_name(const struct sb_bench_plan *plan, char out[STREAM_NAME_LENGTH]) {
  snprintf(out, STREAM_NAME_LENGTH, "sidebus-bench-raw-%08x", plan->run);
}

static int fail(struct sb_error *error, const char *what, int status) {
  return sb_error_set(error, SB_ERR_LINK, "%s: %s", what, amqp_error_string2(status));
}

static int check_reply(struct link *link, const char *what, struct sb_error *error) {
  amqp_rpc_reply_t reply = amqp_get_rpc_reply(link->state);
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return 0;
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) return fail(error, what, reply.library_error);
  if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const amqp_channel_close_t *close = reply.reply.decoded;
    return sb_error_set(error, SB_ERR_REFUSED, "%s: %.*s", what, (int)close->reply_text.len,
                        (const char *)close->reply_text.bytes);
  }
  return sb_error_set(error, SB_ERR_REFUSED, "%s: the broker closed the connection", what);
}

static struct timeval as_timeval(double seconds) {
  return (struct timeval){.tv_sec = (time_t)seconds,
                          .tv_usec = (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};
}

static int link_open(struct link *link, const struct sb_bench_plan *plan, const char *where,
                     struct sb_error *error) {
  char host[256];
  uint64_t port = 5672;
  const char *colon = strrchr(where, ':');
  size_t host_len = colon ? (size_t)(colon - where) : strlen(where);
  *link = (struct link){.patience = plan->patience};
  if (host_len >= sizeof host || (colon && !sb_bytes_u64(sb_bytes_of(colon + 1), 65535, &port))) {
    return sb_error_set(error, SB_ERR_INVALID, "\"%s\" is not host:port", where);
  }
  memcpy(host, where, host_len);
  host[host_len] = '\0';
  link->state = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(link->state); /* sets TCP_NODELAY */
  struct timeval patience = as_timeval(plan->patience);
  int status = socket ? amqp_socket_open_noblock(socket, host, (int)port, &patience) : AMQP_STATUS_NO_MEMORY;
  if (status != AMQP_STATUS_OK) return fail(error, where, status);
  amqp_set_rpc_timeout(link->state, &patience);
  amqp_rpc_reply_t login =
      amqp_login(link->state, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
  if (login.reply_type != AMQP_RESPONSE_NORMAL) {
    return sb_error_set(error, SB_ERR_REFUSED, "%s: the login failed", where);
  }
  amqp_channel_open(link->state, CHANNEL);
  return check_reply(link, "opening a channel", error);
}

static void link_close(struct link *link) {
  if (!link->state) return;
  amqp_connection_close(link->state, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(link->state);
  link->state = NULL;
}

static int prepare(const struct sb_bench_plan *plan, struct sb_error *error) {
  char stream[STREAM_NAME_LENGTH];
  struct link link;
  amqp_table_entry_t entries[] = {
      {.key = amqp_cstring_bytes("x-queue-type"),
       .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("stream")}},
      {.key = amqp_cstring_bytes("x-max-length-bytes"),
       .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = STREAM_MAX_BYTES}},
      {.key = amqp_cstring_bytes("x-stream-max-segment-size-bytes"),
       .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = STREAM_SEGMENT}},
  };
  amqp_table_t arguments = {.num_entries = 3, .entries = entries};
  stream_name(plan, stream);
  int rc = link_open(&link, plan, sb_bench_publish_socket(plan, 0), error);
  if (rc == 0) {
    amqp_queue_declare(link.state, CHANNEL, amqp_cstring_bytes(stream), 0, 1, 0, 0, arguments);
    rc = check_reply(&link, "declaring the stream", error);
  }
  link_close(&link);
  return rc;
}

/* ---- the publisher ---- */

struct publisher {
  const struct sb_bench_plan *plan;
  struct sb_bench_seat *seat;
  struct link link;
  char stream[STREAM_NAME_LENGTH];
  uint8_t *block, *payload;
  bool *early;              /* by tag modulo window: confirmed before an earlier one */
  uint64_t sent, confirmed; /* confirmed: all tags up to this one */
};

static int send_one(struct publisher *p, uint64_t now_ns, struct sb_error *error) {
  const struct sb_bench_plan *plan = p->plan;
  struct sb_bench_stamp stamp = {.run = plan->run,
                                 .publisher = (uint16_t)p->seat->index,
                                 .kind = SB_BENCH_DATA,
                                 .number = p->sent,
                                 .sent_ns = now_ns};
  sb_bench_payload_write(p->payload, plan->payload_bytes, &stamp, p->block);
  amqp_bytes_t body = {.len = plan->payload_bytes, .bytes = p->payload};
  int status = amqp_basic_publish(p->link.state, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(p->stream), 0,
                                  0, NULL, body);
  if (status != AMQP_STATUS_OK) return fail(error, "publishing", status);
  p->sent++;
  return 0;
}

static int count_confirm(struct publisher *p, const amqp_frame_t *frame, struct sb_error *error) {
  if (frame->frame_type != AMQP_FRAME_METHOD || frame->payload.method.id != AMQP_BASIC_ACK_METHOD) {
    return sb_error_set(error, SB_ERR_PROTOCOL, "something else than a confirm came");
  }
  const amqp_basic_ack_t *ack = frame->payload.method.decoded;
  if (ack->delivery_tag > p->sent) return sb_error_set(error, SB_ERR_PROTOCOL, "a confirm of nothing came");
  if (!ack->multiple) p->early[ack->delivery_tag % p->plan->window] = true;
  while (p->confirmed < p->sent) {
    bool *early = &p->early[(p->confirmed + 1) % p->plan->window];
    if (!*early && !(ack->multiple && p->confirmed < ack->delivery_tag)) break;
    *early = false;
    p->confirmed++;
  }
  amqp_maybe_release_buffers_on_channel(p->link.state, CHANNEL);
  return 0;
}

/* Takes the confirms that are there; waits for the first when `wait` is true. */
static int take_confirms(struct publisher *p, bool wait, struct sb_error *error) {
  struct timeval patience = as_timeval(wait ? p->link.patience : 0);
  for (;;) {
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame_noblock(p->link.state, &frame, &patience);
    if (status == AMQP_STATUS_TIMEOUT && !wait) return 0;
    if (status != AMQP_STATUS_OK) return fail(error, "waiting for confirms", status);
    int rc = count_confirm(p, &frame, error);
    if (rc != 0) return rc;
    if (!amqp_frames_enqueued(p->link.state) && !amqp_data_in_buffer(p->link.state)) return 0;
  }
}

static int publish_all(struct publisher *p, uint64_t until_ns, struct sb_error *error) {
  int rc = 0;
  while (rc == 0) {
    uint64_t now = sb_bench_now_ns();
    bool more = now < until_ns && p->sent < p->plan->messages;
    if (!more && p->confirmed == p->sent) return 0;
    while (more && rc == 0 && p->sent < p->plan->messages && p->sent - p->confirmed < p->plan->window) {
      rc = send_one(p, now, error);
    }
    if (rc == 0) rc = take_confirms(p, true, error);
  }
  return rc;
}

/* Stamps as the publisher of `sidebus bench` does (bridge/cli/bench_redis.c). */
static int publish_paced(struct publisher *p, uint64_t start_ns, uint64_t until_ns, struct sb_error *error) {
  bool behind = false;
  int rc = 0;
  while (rc == 0 && p->sent < p->plan->messages) {
    uint64_t now = sb_bench_now_ns(), due = sb_bench_due_ns(p->plan, p->seat->index, start_ns, p->sent);
    if (due >= until_ns) break;
    if (p->sent - p->confirmed >= p->plan->window) {
      behind = true;
      rc = take_confirms(p, true, error);
      continue;
    }
    if (due <= now) {
      rc = send_one(p, behind ? due : now, error);
      continue;
    }
    behind = false;
    rc = take_confirms(p, false, error);
    sb_bench_sleep_until(due);
  }
  while (rc == 0 && p->confirmed < p->sent) rc = take_confirms(p, true, error);
  return rc;
}

static int publish(const struct sb_bench_plan *plan, struct sb_bench_seat *seat, struct sb_error *error) {
  struct publisher p = {.plan = plan, .seat = seat};
  p.block = sb_bench_block_new(plan->compressible);
  p.payload = sb_malloc(plan->payload_bytes);
  p.early = sb_calloc(plan->window, sizeof *p.early);
  stream_name(plan, p.stream);
  int rc = link_open(&p.link, plan, sb_bench_publish_socket(plan, seat->index), error);
  if (rc == 0) {
    amqp_confirm_select(p.link.state, CHANNEL);
    rc = check_reply(&p.link, "confirm.select", error);
  }
  if (rc == 0) rc = sb_bench_go(seat, error);
  if (rc == 0) {
    uint64_t start = seat->client->first_ns = sb_bench_now_ns();
    uint64_t until = plan->seconds > 0 ? start + (uint64_t)(plan->seconds * 1e9) : UINT64_MAX;
    rc = plan->rate > 0 ? publish_paced(&p, start, until, error) : publish_all(&p, until, error);
  }
  seat->client->sent = p.confirmed;
  link_close(&p.link);
  free(p.payload);
  free(p.early);
  free(p.block);
  return rc;
}

static int finish(const struct sb_bench_plan *plan, struct sb_error *error) {
  struct sb_bench_stamp stamp = {.run = plan->run, .kind = SB_BENCH_END};
  char stream[STREAM_NAME_LENGTH];
  struct link link;
  stream_name(plan, stream);
  int rc = link_open(&link, plan, sb_bench_publish_socket(plan, 0), error);
  if (rc == 0) {
    amqp_bytes_t body = {.len = sizeof stamp, .bytes = &stamp};
    int status = amqp_basic_publish(link.state, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(stream), 0, 0,
                                    NULL, body);
    if (status != AMQP_STATUS_OK) rc = fail(error, "publishing", status);
  }
  link_close(&link);
  return rc;
}

/* ---- the subscriber ---- */

static int consume(struct link *link, const char *stream, struct sb_error *error) {
  amqp_table_entry_t next = {
      .key = amqp_cstring_bytes("x-stream-offset"),
      .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("next")}};
  amqp_table_t arguments = {.num_entries = 1, .entries = &next};
  amqp_basic_qos(link->state, CHANNEL, 0, PREFETCH, 0);
  int rc = check_reply(link, "basic.qos", error);
  if (rc != 0) return rc;
  amqp_basic_consume(link->state, CHANNEL, amqp_cstring_bytes(stream), amqp_empty_bytes, 0, 0, 0, arguments);
  return check_reply(link, "basic.consume", error);
}

static int take_one(struct link *link, struct sb_bench_tracker *tracker, uint64_t wait_ns, uint64_t *now_ns,
                    uint64_t *tag, struct sb_error *error) {
  bool waiting = !amqp_frames_enqueued(link->state) && !amqp_data_in_buffer(link->state);
  struct timeval patience = as_timeval((double)wait_ns / 1e9);
  amqp_envelope_t envelope;
  amqp_rpc_reply_t reply = amqp_consume_message(link->state, &envelope, &patience, 0);
  if (waiting) *now_ns = sb_bench_now_ns(); /* one clock reading for all that came with one read */
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
    bool late = reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
                reply.library_error == AMQP_STATUS_TIMEOUT && tracker->open_channels == 0;
    return late ? 0
                : sb_error_set(error, SB_ERR_LINK, "consuming: %s", amqp_error_string2(reply.library_error));
  }
  amqp_bytes_t body = envelope.message.body;
  sb_bench_tracker_take(tracker, sb_buf_bytes(&tracker->plan->names[0]), sb_bytes(body.bytes, body.len),
                        *now_ns);
  *tag = envelope.delivery_tag;
  amqp_destroy_envelope(&envelope);
  amqp_maybe_release_buffers_on_channel(link->state, CHANNEL);
  return 0;
}

static int listen_to_the_end(struct link *link, struct sb_bench_tracker *tracker,
                             const struct sb_bench_seat *seat, struct sb_error *error) {
  uint64_t now = sb_bench_now_ns(), tag = 0, acked = 0;
  for (;;) {
    uint64_t wait = sb_bench_listen_ns(tracker, sb_bench_sent(tracker->plan, seat->result), now);
    if (wait == 0) return 0;
    int rc = take_one(link, tracker, wait, &now, &tag, error);
    if (rc != 0) return rc;
    if (tag < acked + ACK_EVERY) continue;
    int status = amqp_basic_ack(link->state, CHANNEL, tag, 1);
    if (status != AMQP_STATUS_OK) return fail(error, "acknowledging", status);
    acked = tag;
  }
}

static int subscribe(const struct sb_bench_plan *plan, struct sb_bench_seat *seat, struct sb_error *error) {
  struct sb_bench_tracker tracker;
  struct link link;
  char stream[STREAM_NAME_LENGTH];
  stream_name(plan, stream);
  sb_bench_tracker_init(&tracker, plan, &seat->result->tallies[seat->index]);
  int rc = link_open(&link, plan, sb_bench_subscribe_socket(plan, seat->index), error);
  if (rc == 0) rc = consume(&link, stream, error);
  if (rc == 0) rc = sb_bench_ready(seat, error);
  if (rc == 0) rc = listen_to_the_end(&link, &tracker, seat, error);
  link_close(&link);
  sb_bench_tracker_close(&tracker);
  return rc;
}

static int clean_up(const struct sb_bench_plan *plan, struct sb_error *error) {
  char stream[STREAM_NAME_LENGTH];
  struct link link;
  stream_name(plan, stream);
  int rc = link_open(&link, plan, sb_bench_publish_socket(plan, 0), error);
  if (rc == 0) {
    amqp_queue_delete(link.state, CHANNEL, amqp_cstring_bytes(stream), 0, 0);
    rc = check_reply(&link, "deleting the stream", error);
  }
  link_close(&link);
  return rc;
}

static const struct sb_bench_roles raw_rabbitmq = {prepare, publish, subscribe, finish, clean_up};

int main(int argc, char **argv) {
  const struct sb_bench_program program = {
      .name = "raw_rabbitmq",
      .usage = "usage: raw_rabbitmq -s HOST:PORT [options]\n"
               "What `sidebus bench` measures, on plain RabbitMQ: one message per publish on one stream.\n",
      .roles = &raw_rabbitmq};
  return sb_bench_main(&program, argc, argv);
}
