#include "tests/conformance/rabbitmq_admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "transports/rabbitmq/amqp.h"

#define PUBLISH_CHANNEL 1
#define LOOK_CHANNEL    2
#define WAIT_S          20
#define FRAME_BYTES     131072
#define HEADERS_MAX     9

static amqp_bytes_t text(const char *at) {
  return amqp_cstring_bytes(at);
}

static void check(struct admin *admin, const char *what) {
  amqp_rpc_reply_t reply = amqp_get_rpc_reply(admin->connection);
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
    fail_msg("%s: %s", what, amqp_error_string2(reply.library_error));
  if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const amqp_channel_close_t *closed = reply.reply.decoded;
    fail_msg("%s: %.*s", what, (int)closed->reply_text.len, (const char *)closed->reply_text.bytes);
  }
  fail_msg("%s: the broker ended the connection", what);
}

/* ---- connection ---- */

void admin_disconnect(struct admin *admin) {
  if (admin->connection) amqp_destroy_connection(admin->connection);
  admin->connection = NULL;
}

static bool log_in(struct admin *admin) {
  struct timeval wait = {.tv_sec = WAIT_S};
  amqp_connection_state_t connection = amqp_new_connection();
  admin->connection = connection;
  admin->published = 0;
  amqp_socket_t *socket = amqp_tcp_socket_new(connection);
  if (!socket || amqp_socket_open_noblock(socket, "127.0.0.1", admin->port, &wait) != AMQP_STATUS_OK)
    return false;
  amqp_set_rpc_timeout(connection, &wait);
  amqp_rpc_reply_t reply =
      amqp_login(connection, "/", 0, FRAME_BYTES, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
  return reply.reply_type == AMQP_RESPONSE_NORMAL;
}

bool admin_try(struct admin *admin) {
  admin_disconnect(admin);
  bool there = log_in(admin);
  admin_disconnect(admin);
  return there;
}

static amqp_connection_state_t connected(struct admin *admin) {
  if (admin->connection) return admin->connection;
  if (!log_in(admin)) fail_msg("no connection to the broker at port %u", admin->port);
  amqp_channel_open(admin->connection, PUBLISH_CHANNEL);
  check(admin, "channel.open");
  amqp_confirm_select(admin->connection, PUBLISH_CHANNEL);
  check(admin, "confirm.select");
  return admin->connection;
}

/* ---- topology ---- */

struct names {
  char stream[80], key[12];
};

static struct names names_of(const struct admin *admin, uint32_t partition) {
  struct names names;
  snprintf(names.key, sizeof names.key, "%" PRIu32, partition);
  snprintf(names.stream, sizeof names.stream, "%s.%" PRIu32, admin->prefix, partition);
  return names;
}

void admin_remove_all(struct admin *admin, uint32_t partitions) {
  amqp_connection_state_t connection = connected(admin);
  for (uint32_t p = 0; p < partitions; p++) {
    struct names names = names_of(admin, p);
    amqp_queue_delete(connection, PUBLISH_CHANNEL, text(names.stream), false, false);
    check(admin, "queue.delete");
  }
  amqp_exchange_delete(connection, PUBLISH_CHANNEL, text(admin->prefix), false);
  check(admin, "exchange.delete");
}

void admin_bind(struct admin *admin, uint32_t partition, bool bound) {
  amqp_connection_state_t connection = connected(admin);
  struct names names = names_of(admin, partition);
  amqp_bytes_t stream = text(names.stream), exchange = text(admin->prefix), key = text(names.key);
  if (bound)
    amqp_queue_bind(connection, PUBLISH_CHANNEL, stream, exchange, key, amqp_empty_table);
  else
    amqp_queue_unbind(connection, PUBLISH_CHANNEL, stream, exchange, key, amqp_empty_table);
  check(admin, bound ? "queue.bind" : "queue.unbind");
}

static amqp_table_entry_t number(const char *name, uint64_t value) {
  return (amqp_table_entry_t){text(name), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = (int64_t)value}};
}

static amqp_table_entry_t string(const char *name, const char *value) {
  return (amqp_table_entry_t){text(name), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text(value)}};
}

void admin_remake(struct admin *admin, uint32_t partition) {
  amqp_connection_state_t connection = connected(admin);
  struct names names = names_of(admin, partition);
  amqp_table_entry_t arguments[3] = {string("x-queue-type", "stream")};
  int count = 1;
  if (admin->max_bytes) arguments[count++] = number("x-max-length-bytes", admin->max_bytes);
  if (admin->segment_bytes)
    arguments[count++] = number("x-stream-max-segment-size-bytes", admin->segment_bytes);
  amqp_queue_delete(connection, PUBLISH_CHANNEL, text(names.stream), false, false);
  check(admin, "queue.delete");
  amqp_queue_declare(connection, PUBLISH_CHANNEL, text(names.stream), false, true, false, false,
                     (amqp_table_t){count, arguments});
  check(admin, "queue.declare");
  admin_bind(admin, partition, true);
}

/* ---- messages ---- */

static void await_confirm(struct admin *admin) {
  amqp_connection_state_t connection = admin->connection;
  for (;;) {
    amqp_maybe_release_buffers(connection);
    amqp_frame_t frame;
    struct timeval wait = {.tv_sec = WAIT_S};
    int status = amqp_simple_wait_frame_noblock(connection, &frame, &wait);
    if (status != AMQP_STATUS_OK) fail_msg("waiting for a confirm: %s", amqp_error_string2(status));
    if (frame.frame_type != AMQP_FRAME_METHOD || frame.channel != PUBLISH_CHANNEL) continue;
    if (frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
      fail_msg("%s instead of a confirm", amqp_method_name(frame.payload.method.id));
    const amqp_basic_ack_t *ack = frame.payload.method.decoded;
    if (ack->delivery_tag == admin->published) return;
  }
}

static void publish(struct admin *admin, uint32_t partition, amqp_basic_properties_t *properties,
                    const struct sb_body *body) {
  amqp_connection_state_t connection = connected(admin);
  struct names names = names_of(admin, partition);
  amqp_bytes_t bytes = {body->len, body->data};
  int status = amqp_basic_publish(connection, PUBLISH_CHANNEL, text(admin->prefix), text(names.key), true,
                                  false, properties, bytes);
  if (status != AMQP_STATUS_OK) fail_msg("basic.publish: %s", amqp_error_string2(status));
  admin->published++;
  await_confirm(admin);
}

static void publish_batch(struct admin *admin, uint32_t partition, amqp_table_entry_t *headers, int count,
                          const struct sb_body *body) {
  amqp_basic_properties_t properties = {._flags = AMQP_BASIC_CONTENT_TYPE_FLAG |
                                                  AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_HEADERS_FLAG,
                                        .content_type = text("application/vnd.sidebus.resp"),
                                        .delivery_mode = 2,
                                        .headers = {count, headers}};
  publish(admin, partition, &properties, body);
}

/* Written from docs/wire.md and not with the transport's code, so that a mistake there does not hide itself.
 */
static void fill_headers(amqp_table_entry_t headers[HEADERS_MAX], const struct sb_envelope *envelope,
                         char incarnation[SB_INCARNATION_TEXT]) {
  snprintf(incarnation, SB_INCARNATION_TEXT, "%" PRIu64 "-%016" PRIx64, envelope->incarnation.start_ms,
           envelope->incarnation.nonce);
  headers[0] = number("sb-v", envelope->version);
  headers[1] = string("sb-node", envelope->node);
  headers[2] = string("sb-inc", incarnation);
  headers[3] = number("sb-num", envelope->number);
  headers[4] = number("sb-base", envelope->base);
  headers[5] = number("sb-gen", envelope->generation);
  headers[6] = number("sb-count", envelope->count);
  headers[7] = number("sb-time", envelope->time_ms);
  headers[8] = number("sb-try", envelope->attempt);
}

void admin_append(struct admin *admin, uint32_t partition, const struct sb_envelope *envelope,
                  const struct sb_body *body) {
  amqp_table_entry_t headers[HEADERS_MAX];
  char incarnation[SB_INCARNATION_TEXT];
  fill_headers(headers, envelope, incarnation);
  publish_batch(admin, partition, headers, HEADERS_MAX, body);
}

void admin_append_foreign(struct admin *admin, uint32_t partition, const char *channel,
                          const struct sb_body *body) {
  amqp_basic_properties_t properties = {0};
  amqp_table_entry_t header;
  if (channel) {
    header = string("channel", channel);
    properties._flags = AMQP_BASIC_HEADERS_FLAG;
    properties.headers = (amqp_table_t){1, &header};
  }
  publish(admin, partition, &properties, body);
}

bool admin_append_malformed(struct admin *admin, uint32_t partition, unsigned n, const struct sb_body *body) {
  char long_name[SB_NODE_NAME_MAX + 2];
  memset(long_name, 'n', sizeof long_name - 1);
  long_name[sizeof long_name - 1] = 0;
  const amqp_table_entry_t wrong[] = {
      string("sb-v", "one"),
      string("sb-node", ""),
      string("sb-node", long_name),
      string("sb-node", "a b"),
      number("sb-node", 1),
      string("sb-inc", "1700000000002"),
      string("sb-inc", "x-0123456789abcdef"),
      string("sb-inc", "1-0123456789ABCDEF"),
      string("sb-num", "1"),
      number("sb-num", UINT64_MAX), /* -1 */
      number("sb-base", UINT64_MAX),
      number("sb-count", UINT64_C(1) << 32),
      string("sb-gen", ""),
      number("sb-time", UINT64_C(1) << 63),
  };
  const unsigned wrong_count = sizeof wrong / sizeof *wrong;
  struct sb_envelope good = {.version = 1, .count = 1, .number = 1, .base = 1, .generation = 1, .node = "n"};
  amqp_table_entry_t headers[HEADERS_MAX];
  char incarnation[SB_INCARNATION_TEXT];
  fill_headers(headers, &good, incarnation);

  if (n < wrong_count) {
    for (int i = 0; i < HEADERS_MAX; i++)
      if (headers[i].key.len == wrong[n].key.len &&
          !memcmp(headers[i].key.bytes, wrong[n].key.bytes, wrong[n].key.len))
        headers[i] = wrong[n];
    publish_batch(admin, partition, headers, HEADERS_MAX, body);
    return true;
  }
  unsigned missing = n - wrong_count + 1; /* without the first there is no batch at all */
  if (missing >= HEADERS_MAX) return false;
  headers[missing] = headers[HEADERS_MAX - 1];
  publish_batch(admin, partition, headers, HEADERS_MAX - 1, body);
  return true;
}

bool admin_first_is_foreign(struct admin *admin, uint32_t partition) {
  amqp_connection_state_t connection = connected(admin);
  struct names names = names_of(admin, partition);
  amqp_table_entry_t first = string("x-stream-offset", "first");
  amqp_channel_open(connection, LOOK_CHANNEL);
  check(admin, "channel.open");
  amqp_basic_qos(connection, LOOK_CHANNEL, 0, 1, false);
  check(admin, "basic.qos");
  amqp_basic_consume(connection, LOOK_CHANNEL, text(names.stream), amqp_empty_bytes, false, false, false,
                     (amqp_table_t){1, &first});
  check(admin, "basic.consume");
  amqp_envelope_t envelope;
  struct timeval wait = {.tv_sec = WAIT_S};
  amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, &wait, 0);
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail_msg("the stream has no message");
  bool foreign = true;
  const amqp_table_t *headers = &envelope.message.properties.headers;
  for (int i = 0; i < headers->num_entries; i++)
    if (headers->entries[i].key.len == 4 && !memcmp(headers->entries[i].key.bytes, "sb-v", 4))
      foreign = false;
  amqp_destroy_envelope(&envelope);
  amqp_channel_close(connection, LOOK_CHANNEL, AMQP_REPLY_SUCCESS);
  return foreign;
}
