/* Batches and messages of others as AMQP 1.0 messages (docs/wire.md, "Over Service Bus"). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/envelope_fixture.h"
#include "transports/servicebus/amqp.h"
#include "transports/servicebus/message.h"

#define BYTES(text) sb_bytes(text, sizeof(text) - 1)

static struct sb_servicebus_message decode(const struct sb_buf *bytes) {
  uint8_t *copy = sb_malloc(bytes->len ? bytes->len : 1); /* exactly so long: a read beyond it is seen */
  if (bytes->len) memcpy(copy, bytes->data, bytes->len);
  struct sb_servicebus_message message;
  sb_servicebus_message_decode(sb_bytes(copy, bytes->len), &message);
  free(copy);
  assert_non_null(message.body);
  return message;
}

static bool body_is(const struct sb_body *body, const char *text) {
  return sb_bytes_equal(sb_bytes(body->data, body->len), sb_bytes_of(text));
}

/* ---- batches ---- */

static void put_batch(struct sb_buf *out, const struct sb_envelope *envelope, const char *body) {
  struct sb_buf head = {0};
  sb_servicebus_message_encode(envelope, "0123456789abcdef-1", strlen(body), &head);
  sb_buf_append(out, head.data, head.len);
  sb_buf_text(out, body);
  sb_buf_close(&head);
}

static void a_signature_and_a_claim_survive_both_ways_and_have_room(void **state) {
  (void)state;
  static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                           "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  struct sb_envelope envelope = batch_envelope();
  struct sb_buf bytes = {0};
  envelope.incarnation.start_ms = UINT64_MAX;
  memset(envelope.node, 'n', SB_NODE_NAME_MAX);
  envelope.node[SB_NODE_NAME_MAX] = 0;
  envelope.has_mac = true;
  envelope.claim = (struct sb_claim){UINT64_MAX, UINT64_MAX, UINT32_MAX};
  for (size_t i = 0; i < SB_MAC_BYTES; i++) envelope.mac[i] = (uint8_t)(i * 9);
  sb_servicebus_message_encode(&envelope, id, 0, &bytes);
  assert_true(bytes.len <= SB_SERVICEBUS_HEAD_MAX);
  struct sb_servicebus_message message = decode(&bytes);
  assert_false(message.envelope.malformed);
  assert_true(message.envelope.has_mac);
  assert_memory_equal(message.envelope.mac, envelope.mac, SB_MAC_BYTES);
  assert_true(sb_claim_equal(message.envelope.claim, envelope.claim));
  sb_servicebus_message_close(&message);
  envelope.has_mac = false;
  envelope.claim = (struct sb_claim){0};
  sb_servicebus_message_encode(&envelope, id, 0, &bytes);
  message = decode(&bytes);
  assert_false(message.envelope.has_mac || message.envelope.malformed);
  assert_true(sb_claim_equal(message.envelope.claim, envelope.claim));
  sb_servicebus_message_close(&message);
  sb_buf_close(&bytes);
}

static void a_batch_survives_both_ways(void **state) {
  (void)state;
  for (int lz4 = 0; lz4 < 2; lz4++) {
    struct sb_envelope envelope = batch_envelope();
    envelope.lz4 = lz4;
    struct sb_buf bytes = {0};
    put_batch(&bytes, &envelope, "the body");
    struct sb_servicebus_message message = decode(&bytes);
    assert_same_envelope(&message.envelope, &envelope);
    assert_true(body_is(message.body, "the body"));
    assert_null(message.channel);
    assert_false(message.has_number || message.has_sequence);
    sb_servicebus_message_close(&message);
    sb_buf_close(&bytes);
  }
}

/* The example of docs/wire.md. */
static void a_batch_has_the_bytes_that_are_documented(void **state) {
  (void)state;
  static const char documented[] =
      "\x00\x53\x73\xd0\x00\x00\x00\x3b\x00\x00\x00\x07\xa1\x12"
      "9c3f2a60d1e7b845-7"
      "\x40\x40\x40\x40\x40\xa3\x1c"
      "application/vnd.sidebus.resp"
      "\x00\x53\x74\xd1\x00\x00\x00\xa9\x00\x00\x00\x12\xa1\x04sb-vq\x00\x00\x00\x01\xa1\x07sb-"
      "node\xa1\x05web-1"
      "\xa1\x06sb-inc\xa1\x1e"
      "1795349293899-ed1e062683a8bc95\xa1\x06sb-num\x81\x00\x00\x00\x00\x00\x00\x00\x01"
      "\xa1\x07sb-base\x81\x00\x00\x00\x00\x00\x00\x00\x01\xa1\x06sb-gen\x81\x00\x00\x01\xa2\x03\x27\xc7\x3d"
      "\xa1\x07sb-time\x81\x00\x00\x01\xa2\x03\x28\x28\xf0\xa1\x08sb-countq\x00\x00\x00\x02\xa1\x06sb-tryq"
      "\x00\x00\x00\x00\x00\x53\x75\xb0\x00\x00\x00\x4c";
  const struct sb_envelope envelope = {.version = 1,
                                       .count = 2,
                                       .number = 1,
                                       .base = 1,
                                       .generation = UINT64_C(0x1a20327c73d),
                                       .time_ms = UINT64_C(0x1a2032828f0),
                                       .incarnation = {UINT64_C(1795349293899), UINT64_C(0xed1e062683a8bc95)},
                                       .node = "web-1"};
  struct sb_buf head = {0};
  sb_servicebus_message_encode(&envelope, "9c3f2a60d1e7b845-7", 0x4c, &head);
  assert_int_equal(head.len, sizeof documented - 1);
  assert_memory_equal(head.data, documented, head.len);
  sb_buf_close(&head);
}

static void the_largest_head_has_its_limit(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  char id[129];
  memset(envelope.node, 'n', SB_NODE_NAME_MAX);
  memset(id, 'i', sizeof id - 1);
  id[sizeof id - 1] = 0;
  envelope.incarnation = (struct sb_incarnation){SB_START_MS_MAX, UINT64_MAX};
  struct sb_buf head = {0};
  sb_servicebus_message_encode(&envelope, id, UINT32_MAX, &head);
  assert_in_range(head.len, 300, SB_SERVICEBUS_HEAD_MAX);
  sb_buf_close(&head);
}

static void a_batch_that_is_cut_anywhere_is_malformed(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  struct sb_buf bytes = {0};
  put_batch(&bytes, &envelope, "the body");
  for (size_t len = 0; len < bytes.len; len++) {
    struct sb_buf cut = {.data = bytes.data, .len = len};
    struct sb_servicebus_message message = decode(&cut);
    assert_true(message.envelope.malformed);
    assert_int_equal(message.body->len, 0);
    sb_servicebus_message_close(&message);
  }
  sb_buf_close(&bytes);
}

/* ---- messages that are made piece by piece ---- */

struct property {
  const char *key;
  enum { AS_STRING, AS_SYMBOL, AS_BINARY, AS_UINT, AS_LONG, AS_NEGATIVE, AS_BOOLEAN } as;
  const char *text;
  uint64_t number;
};

static void put_value(struct sb_buf *out, const struct property *property) {
  switch (property->as) {
  case AS_STRING:
    sb_amqp_put_string(out, sb_bytes_of(property->text));
    return;
  case AS_SYMBOL:
    sb_amqp_put_symbol(out, property->text);
    return;
  case AS_BINARY:
    sb_buf_append(out, (uint8_t[]){0xa0, (uint8_t)strlen(property->text)}, 2);
    sb_buf_text(out, property->text);
    return;
  case AS_UINT:
    sb_buf_append(out, (uint8_t[]){0x52, (uint8_t)property->number}, 2);
    return;
  case AS_LONG:
    sb_amqp_put_long(out, property->number);
    return;
  case AS_NEGATIVE:
    sb_buf_append(out, (uint8_t[]){0x55, 0xff}, 2);
    return;
  case AS_BOOLEAN:
    sb_buf_append(out, (uint8_t[]){0x41}, 1);
    return;
  }
}

static void put_map(struct sb_buf *out, enum sb_amqp_section section, const struct property *properties,
                    size_t count) {
  sb_amqp_put_section(out, section);
  struct sb_amqp_mark map = sb_amqp_begin_map(out);
  for (size_t i = 0; i < count; i++) {
    sb_amqp_put_string(out, sb_bytes_of(properties[i].key));
    put_value(out, &properties[i]);
  }
  sb_amqp_end(out, map, 2 * (uint32_t)count);
}

/* message-id, subject, content-type, content-encoding: NULL is null. */
static void put_properties(struct sb_buf *out, const char *const fields[4]) {
  static const int at[] = {0, 3, 6, 7};
  sb_amqp_put_section(out, SB_AMQP_PROPERTIES);
  struct sb_amqp_mark list = sb_amqp_begin_list(out);
  for (int i = 0, field = 0; i < 8; i++) {
    const char *text = i == at[field] ? fields[field] : NULL;
    if (text)
      sb_amqp_put_string(out, sb_bytes_of(text));
    else
      sb_amqp_put_null(out);
    if (i == at[field]) field++;
  }
  sb_amqp_end(out, list, 8);
}

static void put_data(struct sb_buf *out, const char *text) {
  sb_amqp_put_data_head(out, (uint32_t)strlen(text));
  sb_buf_text(out, text);
}

#define NINE 9
static const struct property nine[NINE] = {
    {"sb-v", AS_UINT, NULL, 1},
    {"sb-node", AS_SYMBOL, "a", 0},
    {"sb-inc", AS_BINARY, "1-0123456789abcdef", 0},
    {"sb-num", AS_UINT, NULL, 1},
    {"sb-base", AS_LONG, NULL, 1},
    {"sb-gen", AS_LONG, NULL, 1},
    {"sb-time", AS_LONG, NULL, 1},
    {"sb-count", AS_LONG, NULL, 1},
    {"sb-try", AS_UINT, NULL, 0},
};

static bool is_malformed(const struct property properties[NINE], size_t count, const char *type,
                         const char *encoding) {
  struct sb_buf bytes = {0};
  put_properties(&bytes, (const char *const[]){"id", NULL, type, encoding});
  put_map(&bytes, SB_AMQP_APPLICATION_PROPERTIES, properties, count);
  put_data(&bytes, "body");
  struct sb_servicebus_message message = decode(&bytes);
  bool malformed = message.envelope.malformed;
  assert_false(message.envelope.foreign);
  assert_null(message.channel);
  sb_servicebus_message_close(&message);
  sb_buf_close(&bytes);
  return malformed;
}

#define TYPE "application/vnd.sidebus.resp"

static void numbers_and_texts_of_every_type_are_taken(void **state) {
  (void)state;
  assert_false(is_malformed(nine, NINE, TYPE, NULL));
  assert_false(is_malformed(nine, NINE, TYPE, "lz4"));
  assert_false(is_malformed(nine, NINE, TYPE, ""));
}

static void another_content_is_malformed(void **state) {
  (void)state;
  assert_true(is_malformed(nine, NINE, NULL, NULL));
  assert_true(is_malformed(nine, NINE, "text/plain", NULL));
  assert_true(is_malformed(nine, NINE, TYPE, "gzip"));
}

static void none_of_the_nine_may_be_missing(void **state) {
  (void)state;
  for (size_t missing = 1; missing < NINE; missing++) { /* without the version it is a foreign message */
    struct property some[NINE];
    memcpy(some, nine, sizeof nine);
    memmove(some + missing, some + missing + 1, (NINE - 1 - missing) * sizeof *some);
    assert_true(is_malformed(some, NINE - 1, TYPE, NULL));
  }
}

static void none_of_the_nine_may_have_another_type(void **state) {
  (void)state;
  for (size_t i = 0; i < NINE; i++) {
    struct property some[NINE];
    memcpy(some, nine, sizeof nine);
    some[i] = (struct property){.key = nine[i].key, .as = AS_BOOLEAN};
    assert_true(is_malformed(some, NINE, TYPE, NULL));
    some[i].as = AS_NEGATIVE;
    assert_true(is_malformed(some, NINE, TYPE, NULL));
  }
}

static void values_beyond_their_range_are_malformed(void **state) {
  (void)state;
  static const struct property wrong[] = {
      {"sb-v", AS_LONG, NULL, UINT64_C(1) << 32},
      {"sb-count", AS_LONG, NULL, UINT64_C(1) << 32},
      {"sb-try", AS_LONG, NULL, UINT64_C(1) << 32},
      {"sb-node", AS_STRING, "", 0},
      {"sb-node", AS_STRING, "no spaces please", 0},
      {"sb-inc", AS_STRING, "1-0123456789abcdeg", 0},
      {"sb-inc", AS_STRING, "1", 0},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    struct property some[NINE];
    memcpy(some, nine, sizeof nine);
    for (size_t n = 0; n < NINE; n++)
      if (strcmp(some[n].key, wrong[i].key) == 0) some[n] = wrong[i];
    assert_true(is_malformed(some, NINE, TYPE, NULL));
  }
}

/* ---- messages of others ---- */

static struct sb_servicebus_message foreign(const char *subject, const struct property *channel) {
  struct sb_buf bytes = {0};
  put_properties(&bytes, (const char *const[]){NULL, subject, NULL, NULL});
  put_map(&bytes, SB_AMQP_APPLICATION_PROPERTIES, channel, channel ? 1 : 0);
  put_data(&bytes, "hello");
  struct sb_servicebus_message message = decode(&bytes);
  assert_true(message.envelope.foreign);
  assert_int_equal(message.envelope.malformed, message.channel == NULL);
  sb_buf_close(&bytes);
  return message;
}

static void check_channel(const char *subject, const struct property *property, const char *channel) {
  struct sb_servicebus_message message = foreign(subject, property);
  if (channel)
    assert_true(body_is(message.channel, channel));
  else
    assert_null(message.channel);
  sb_servicebus_message_close(&message);
}

static void a_message_of_others_names_its_channel_in_a_property_or_its_subject(void **state) {
  (void)state;
  char longest[SB_FOREIGN_CHANNEL_MAX + 2];
  memset(longest, 'c', sizeof longest);
  longest[SB_FOREIGN_CHANNEL_MAX] = 0;
  check_channel("news", NULL, "news");
  check_channel(NULL, &(struct property){"channel", AS_STRING, "sport", 0}, "sport");
  check_channel("news", &(struct property){"channel", AS_SYMBOL, "sport", 0}, "sport");
  check_channel("news", &(struct property){"channel", AS_UINT, NULL, 1}, "news");
  check_channel("news", &(struct property){"Channel", AS_STRING, "sport", 0}, "news");
  check_channel(longest, NULL, longest);
  check_channel(NULL, NULL, NULL);
  check_channel("", NULL, NULL);
  longest[SB_FOREIGN_CHANNEL_MAX] = 'c';
  longest[SB_FOREIGN_CHANNEL_MAX + 1] = 0;
  check_channel(longest, NULL, NULL);
}

/* `sections` are those of the body. */
static void check_body(struct sb_bytes sections, const char *body) {
  struct sb_buf bytes = {0};
  put_properties(&bytes, (const char *const[]){NULL, "news", NULL, NULL});
  sb_buf_append(&bytes, sections.at, sections.len);
  struct sb_servicebus_message message = decode(&bytes);
  assert_true(message.envelope.foreign);
  assert_int_equal(message.envelope.malformed, body == NULL);
  assert_true(body_is(message.body, body ? body : ""));
  sb_servicebus_message_close(&message);
  sb_buf_close(&bytes);
}

static void a_body_is_data_or_one_value_of_bytes(void **state) {
  (void)state;
  check_body(BYTES(""), "");
  check_body(BYTES("\0\x53\x75\xa0\0"), "");
  check_body(BYTES("\0\x53\x75\xa0\x02"
                   "ab"),
             "ab");
  check_body(BYTES("\0\x53\x75\xa0\x02"
                   "ab\0\x53\x75\xa0\0\0\x53\x75\xb0\0\0\0\x01"
                   "c"),
             "abc");
  check_body(BYTES("\0\x53\x77\xa1\x02"
                   "ab"),
             "ab");
  check_body(BYTES("\0\x53\x77\xa0\x02"
                   "ab"),
             "ab");
  check_body(BYTES("\0\x53\x77\x52\x07"), NULL); /* a number */
  check_body(BYTES("\0\x53\x77\x40"), NULL);     /* null */
  check_body(BYTES("\0\x53\x76\x45"), NULL);     /* a sequence */
  check_body(BYTES("\0\x53\x76\xa0\x02"
                   "ab"),
             NULL); /* not even that */
  check_body(BYTES("\0\x53\x75\xa1\x02"
                   "ab"),
             NULL); /* a string as data */
  check_body(BYTES("\0\x53\x77\xa0\x01"
                   "a\0\x53\x77\xa0\x01"
                   "b"),
             NULL); /* two values */
  check_body(BYTES("\0\x53\x75\xa0\x01"
                   "a\0\x53\x77\xa0\x01"
                   "b"),
             NULL); /* data and a value */
  check_body(BYTES("\0\x53\x77\xa0\x01"
                   "a\0\x53\x75\xa0\x01"
                   "b"),
             NULL); /* and the other way */
  check_body(BYTES("\0\x53\x75\xa0\x02"
                   "ab\0\x53\x78\xc1\x01\0"),
             "ab"); /* with a footer */
  check_body(BYTES("\0\x53\x75\xa0\x02"
                   "ab\xff"),
             NULL); /* something behind it */
}

/* ---- what the service adds ---- */

struct annotations {
  uint64_t number, sequence, enqueued_ms;
};

static struct sb_servicebus_message annotated(const struct annotations *a, const char *id, const char *body) {
  const struct property properties[] = {{"x-opt-enqueue-sequence-number", AS_LONG, NULL, a->sequence},
                                        {"x-opt-enqueued-time", AS_LONG, NULL, a->enqueued_ms},
                                        {"x-opt-sequence-number", AS_LONG, NULL, a->number}};
  struct sb_buf bytes = {0};
  put_map(&bytes, SB_AMQP_MESSAGE_ANNOTATIONS, properties, 3);
  put_properties(&bytes, (const char *const[]){id, "news", NULL, NULL});
  put_data(&bytes, body);
  struct sb_servicebus_message message = decode(&bytes);
  sb_buf_close(&bytes);
  return message;
}

static uint64_t print_of(struct annotations a, const char *id, const char *body) {
  struct sb_servicebus_message message = annotated(&a, id, body);
  uint64_t print = message.print;
  sb_servicebus_message_close(&message);
  return print;
}

static void both_numbers_are_read(void **state) {
  (void)state;
  struct sb_servicebus_message message = annotated(&(struct annotations){7, UINT64_C(1) << 40, 1}, "id", "b");
  assert_true(message.has_number && message.has_sequence);
  assert_int_equal(message.number, 7);
  assert_int_equal(message.sequence, UINT64_C(1) << 40);
  sb_servicebus_message_close(&message);
}

static void a_message_that_comes_again_has_its_print_and_no_other_has(void **state) {
  (void)state;
  uint64_t print = print_of((struct annotations){7, 70, 1000}, "id", "body");
  assert_int_equal(print_of((struct annotations){7, 70, 1000}, "id", "body"), print);
  assert_int_not_equal(print_of((struct annotations){7, 71, 1000}, "id", "body"), print);
  assert_int_not_equal(print_of((struct annotations){7, 70, 1001}, "id", "body"), print);
  assert_int_not_equal(print_of((struct annotations){7, 70, 1000}, "ie", "body"), print);
  assert_int_not_equal(print_of((struct annotations){7, 70, 1000}, NULL, "body"), print);
  assert_int_not_equal(print_of((struct annotations){7, 70, 1000}, "id", "bodies"), print);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_batch_survives_both_ways),
      cmocka_unit_test(a_signature_and_a_claim_survive_both_ways_and_have_room),
      cmocka_unit_test(a_batch_has_the_bytes_that_are_documented),
      cmocka_unit_test(the_largest_head_has_its_limit),
      cmocka_unit_test(a_batch_that_is_cut_anywhere_is_malformed),
      cmocka_unit_test(numbers_and_texts_of_every_type_are_taken),
      cmocka_unit_test(another_content_is_malformed),
      cmocka_unit_test(none_of_the_nine_may_be_missing),
      cmocka_unit_test(none_of_the_nine_may_have_another_type),
      cmocka_unit_test(values_beyond_their_range_are_malformed),
      cmocka_unit_test(a_message_of_others_names_its_channel_in_a_property_or_its_subject),
      cmocka_unit_test(a_body_is_data_or_one_value_of_bytes),
      cmocka_unit_test(both_numbers_are_read),
      cmocka_unit_test(a_message_that_comes_again_has_its_print_and_no_other_has),
  };
  return cmocka_run_group_tests_name("servicebus_message", tests, NULL, NULL);
}
