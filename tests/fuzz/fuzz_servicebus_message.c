/* Any bytes as a message from a Service Bus topic. Checked besides what the sanitizers see:
 *   - a message is a batch or one of others; only one of others has a channel, of a bounded length;
 *   - what is well-formed of a batch survives being encoded and decoded again;
 *   - the body is no longer than the bytes it came with, and the print depends on nothing but them. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/fuzz/require.h"
#include "transports/servicebus/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_body(const struct sb_body *a, const struct sb_body *b) {
  return sb_bytes_equal(sb_bytes(a->data, a->len), sb_bytes(b->data, b->len));
}

static void check_same(const struct sb_servicebus_message *a, const struct sb_servicebus_message *b) {
  const struct sb_envelope *x = &a->envelope, *y = &b->envelope;
  REQUIRE(x->foreign == y->foreign && x->malformed == y->malformed && x->lz4 == y->lz4);
  REQUIRE(x->version == y->version && x->count == y->count && x->attempt == y->attempt);
  REQUIRE(x->number == y->number && x->base == y->base && x->generation == y->generation);
  REQUIRE(x->time_ms == y->time_ms && sb_incarnation_compare(x->incarnation, y->incarnation) == 0);
  REQUIRE(strcmp(x->node, y->node) == 0 && sb_claim_equal(x->claim, y->claim));
  REQUIRE(x->has_mac == y->has_mac && memcmp(x->mac, y->mac, sizeof x->mac) == 0);
  REQUIRE(same_body(a->body, b->body));
}

/* Only numbers that fit a long: nobody else's batches have others. */
static bool can_be_encoded(const struct sb_envelope *e) {
  return e->version <= INT32_MAX && e->count <= INT32_MAX && e->attempt <= INT32_MAX &&
         (e->number | e->base | e->generation | e->time_ms) <= INT64_MAX;
}

static void check_batch(const struct sb_servicebus_message *message) {
  struct sb_buf bytes = {0};
  struct sb_servicebus_message again;
  REQUIRE(message->envelope.node[0]);
  if (!can_be_encoded(&message->envelope)) return;
  sb_servicebus_message_encode(&message->envelope, "id", message->body->len, &bytes);
  if (message->body->len) sb_buf_append(&bytes, message->body->data, message->body->len);
  sb_servicebus_message_decode(sb_buf_bytes(&bytes), &again);
  check_same(message, &again);
  sb_servicebus_message_close(&again);
  sb_buf_close(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct sb_servicebus_message message, again;
  sb_servicebus_message_decode(sb_bytes(data, size), &message);
  sb_servicebus_message_decode(sb_bytes(data, size), &again);
  check_same(&message, &again);
  REQUIRE(message.print == again.print);
  REQUIRE(message.body->len <= size);
  REQUIRE(message.envelope.foreign || !message.channel);
  if (message.channel) REQUIRE(message.channel->len >= 1 && message.channel->len <= SB_FOREIGN_CHANNEL_MAX);
  if (message.envelope.foreign) REQUIRE(message.envelope.malformed || message.channel);
  if (!message.envelope.foreign && !message.envelope.malformed) check_batch(&message);
  sb_servicebus_message_close(&message);
  sb_servicebus_message_close(&again);
  return 0;
}
