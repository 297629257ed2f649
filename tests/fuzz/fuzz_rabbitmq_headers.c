/* Properties of a message as any AMQP program may set them. The first byte chooses: as librabbitmq reads them
 * from the wire, or put together from the names that we look for and values of all kinds. What is made of
 * them is foreign, malformed, or an envelope that the wire format allows and that survives being written and
 * read. */
#include <string.h>

#include "bridge/base/limits.h"
#include "tests/fuzz/grammar.h"
#include "transports/rabbitmq/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ENTRIES_MAX 16

static const char *const names[] = {"sb-v",   "sb-inc",  "sb-num",  "sb-count", "sb-try",          "sb-base",
                                    "sb-gen", "sb-node", "sb-time", "channel",  "x-stream-offset", "x-other",
                                    "",       "sb-mac",  "sb-sum"};

/* What this hub sends fits signed numbers; what is above them is read all the same. */
static bool is_one_of_ours(const struct sb_envelope *envelope) {
  uint64_t wide = envelope->number | envelope->base | envelope->generation | envelope->time_ms;
  return wide <= INT64_MAX && (envelope->count | envelope->attempt | envelope->version) <= INT32_MAX;
}

static void check(const amqp_basic_properties_t *properties) {
  struct sb_rabbitmq_meta meta, again;
  struct sb_rabbitmq_headers headers;
  static const char *const users[] = {"n1"};
  const struct sb_rabbitmq_trust trust = {users, 1};
  sb_rabbitmq_headers_decode(properties, &trust, false, &meta);
  const struct sb_envelope *envelope = &meta.envelope;
  REQUIRE(!meta.channel || (envelope->foreign && meta.channel->len <= SB_FOREIGN_CHANNEL_MAX));
  struct sb_body *body = sb_body_new(3);
  memcpy(body->data, "abc", 3);
  (void)sb_rabbitmq_fingerprint(envelope, meta.channel, body);
  sb_body_unref(body);
  sb_body_unref(meta.channel);
  if (envelope->foreign || envelope->malformed) return;
  REQUIRE(sb_node_name_valid(envelope->node, strlen(envelope->node)));
  if (!is_one_of_ours(envelope)) return;
  sb_rabbitmq_headers_encode(&headers, envelope);
  sb_rabbitmq_headers_say_user(&headers, users[0]);
  sb_rabbitmq_headers_decode(&headers.properties, &trust, false, &again);
  REQUIRE(again.envelope.refused == SB_REFUSED_NOT && again.envelope.has_mac == envelope->has_mac &&
          memcmp(again.envelope.mac, envelope->mac, sizeof envelope->mac) == 0);
  REQUIRE(!again.envelope.foreign && !again.envelope.malformed && !again.channel);
  REQUIRE(again.envelope.number == envelope->number && again.envelope.count == envelope->count &&
          again.envelope.version == envelope->version && again.envelope.attempt == envelope->attempt &&
          again.envelope.base == envelope->base && again.envelope.generation == envelope->generation &&
          again.envelope.time_ms == envelope->time_ms && again.envelope.lz4 == envelope->lz4 &&
          sb_incarnation_compare(again.envelope.incarnation, envelope->incarnation) == 0 &&
          strcmp(again.envelope.node, envelope->node) == 0 &&
          sb_claim_equal(again.envelope.claim, envelope->claim));
}

static amqp_bytes_t take_text(struct input *in) {
  struct sb_bytes bytes = take_bytes(in);
  return (amqp_bytes_t){bytes.len, (void *)(uintptr_t)bytes.at};
}

static void take_value(struct input *in, amqp_field_value_t *value) {
  static const uint8_t kinds[] = {
      AMQP_FIELD_KIND_UTF8, AMQP_FIELD_KIND_BYTES, AMQP_FIELD_KIND_I64,     AMQP_FIELD_KIND_U64,
      AMQP_FIELD_KIND_I32,  AMQP_FIELD_KIND_U32,   AMQP_FIELD_KIND_I16,     AMQP_FIELD_KIND_U16,
      AMQP_FIELD_KIND_I8,   AMQP_FIELD_KIND_U8,    AMQP_FIELD_KIND_BOOLEAN, AMQP_FIELD_KIND_VOID,
      AMQP_FIELD_KIND_F64,  AMQP_FIELD_KIND_TABLE, AMQP_FIELD_KIND_ARRAY,   AMQP_FIELD_KIND_TIMESTAMP,
  };
  memset(value, 0, sizeof *value);
  value->kind = kinds[take(in) % sizeof kinds];
  if (value->kind == AMQP_FIELD_KIND_UTF8 || value->kind == AMQP_FIELD_KIND_BYTES)
    value->value.bytes = take_text(in);
  else if (value->kind != AMQP_FIELD_KIND_TABLE && value->kind != AMQP_FIELD_KIND_ARRAY)
    value->value.u64 = take_number(in, 1 + take(in) % 8);
}

static void check_made(struct input *in) {
  amqp_table_entry_t entries[ENTRIES_MAX];
  amqp_basic_properties_t properties = {0};
  uint8_t flags = take(in);
  int count = 0;
  /* A good one, some headers of which are changed, dropped or come twice. */
  struct sb_envelope envelope = {.version = 1, .count = 1, .attempt = 1, .number = 7, .node = "n1"};
  struct sb_rabbitmq_headers good;
  if (flags & 1) {
    sb_rabbitmq_headers_encode(&good, &envelope);
    properties = good.properties;
    for (; count < properties.headers.num_entries; count++)
      entries[count] = properties.headers.entries[count];
  }
  while (in->left > 0 && count < ENTRIES_MAX) {
    uint8_t choice = take(in);
    int at = choice & 128 && count > 0 ? (choice & 15) % count : count++;
    if (at == count - 1 || !(choice & 64))
      entries[at].key = amqp_cstring_bytes(names[take(in) % (sizeof names / sizeof names[0])]);
    take_value(in, &entries[at].value);
  }
  properties._flags |= AMQP_BASIC_HEADERS_FLAG;
  if (flags & 2) {
    properties._flags |= AMQP_BASIC_CONTENT_ENCODING_FLAG | AMQP_BASIC_CONTENT_TYPE_FLAG;
    properties.content_encoding = flags & 4 ? amqp_cstring_bytes("lz4") : take_text(in);
    properties.content_type = take_text(in);
  }
  if (flags & 8) {
    properties._flags |= AMQP_BASIC_TIMESTAMP_FLAG;
    properties.timestamp = take_number(in, 8);
  }
  if (flags & 16) {
    properties._flags |= AMQP_BASIC_USER_ID_FLAG;
    properties.user_id = take_text(in);
  }
  properties.headers.num_entries = count;
  properties.headers.entries = entries;
  check(&properties);
}

static void check_sent(struct sb_bytes bytes) {
  amqp_pool_t pool;
  void *decoded;
  init_amqp_pool(&pool, 4096);
  const amqp_bytes_t encoded = {bytes.len, (void *)(uintptr_t)bytes.at};
  if (bytes.len >= 2 && amqp_decode_properties(AMQP_BASIC_CLASS, &pool, encoded, &decoded) >= 0)
    check(decoded);
  empty_amqp_pool(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct input in = {data, size};
  if (take(&in) & 1)
    check_sent(sb_bytes(in.at, in.left));
  else
    check_made(&in);
  return 0;
}
