#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "tests/unit/envelope_fixture.h"
#include "transports/rabbitmq/headers.h"

static const struct sb_rabbitmq_trust everybody = {0};

static amqp_field_value_t *header(struct sb_rabbitmq_headers *headers, const char *name) {
  for (int i = 0; i < headers->properties.headers.num_entries; i++) {
    amqp_table_entry_t *entry = &headers->properties.headers.entries[i];
    if (sb_bytes_equal(sb_bytes(entry->key.bytes, entry->key.len), sb_bytes_of(name))) return &entry->value;
  }
  fail_msg("there is no header %s", name);
  return NULL;
}

static void set_text(amqp_field_value_t *value, const char *text) {
  value->kind = AMQP_FIELD_KIND_UTF8;
  value->value.bytes = amqp_cstring_bytes(text);
}

static void set_i64(amqp_field_value_t *value, int64_t number) {
  value->kind = AMQP_FIELD_KIND_I64;
  value->value.i64 = number;
}

static bool is_malformed(const struct sb_rabbitmq_headers *headers) {
  struct sb_rabbitmq_meta meta;
  sb_rabbitmq_headers_decode(&headers->properties, &everybody, false, &meta);
  assert_false(meta.envelope.foreign);
  assert_null(meta.channel);
  return meta.envelope.malformed;
}

static void assert_decodes_to(const struct sb_rabbitmq_headers *headers, const struct sb_envelope *want) {
  struct sb_rabbitmq_meta meta;
  sb_rabbitmq_headers_decode(&headers->properties, &everybody, false, &meta);
  assert_same_envelope(&meta.envelope, want);
}

static void an_envelope_survives_both_ways(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  struct sb_rabbitmq_headers headers;
  sb_rabbitmq_headers_encode(&headers, &envelope);
  assert_decodes_to(&headers, &envelope);
  envelope.lz4 = false;
  envelope.number = envelope.base = 0;
  sb_rabbitmq_headers_encode(&headers, &envelope);
  assert_decodes_to(&headers, &envelope);
}

static void the_wire_form_is_flat_and_persistent(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  struct sb_rabbitmq_headers headers;
  sb_rabbitmq_headers_encode(&headers, &envelope);
  assert_int_equal(headers.properties.delivery_mode, 2);
  assert_int_equal(header(&headers, "sb-v")->kind, AMQP_FIELD_KIND_I32);
  assert_int_equal(header(&headers, "sb-count")->kind, AMQP_FIELD_KIND_I32);
  assert_int_equal(header(&headers, "sb-try")->kind, AMQP_FIELD_KIND_I32);
  static const char *const wide[] = {"sb-num", "sb-base", "sb-gen", "sb-time"};
  for (size_t i = 0; i < 4; i++) assert_int_equal(header(&headers, wide[i])->kind, AMQP_FIELD_KIND_I64);
  const amqp_bytes_t incarnation = header(&headers, "sb-inc")->value.bytes;
  static const char text[] = "1790000000001-fedcba9876543210";
  assert_int_equal(incarnation.len, sizeof text - 1);
  assert_memory_equal(incarnation.bytes, text, sizeof text - 1);
}

static void a_signature_travels_as_hex_and_a_wrong_one_is_there_too(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  struct sb_rabbitmq_headers headers;
  struct sb_rabbitmq_meta meta;
  static const uint8_t zero[SB_MAC_BYTES];
  sb_rabbitmq_headers_encode(&headers, &envelope);
  sb_rabbitmq_headers_decode(&headers.properties, &everybody, false, &meta);
  assert_int_equal(headers.properties.headers.num_entries, SB_RABBITMQ_HEADERS);
  assert_false(meta.envelope.has_mac);
  envelope.has_mac = true;
  for (size_t i = 0; i < SB_MAC_BYTES; i++) envelope.mac[i] = (uint8_t)(i * 9);
  sb_rabbitmq_headers_encode(&headers, &envelope);
  assert_decodes_to(&headers, &envelope);
  sb_rabbitmq_headers_decode(&headers.properties, &everybody, false, &meta);
  assert_true(meta.envelope.has_mac);
  assert_memory_equal(meta.envelope.mac, envelope.mac, SB_MAC_BYTES);
  set_text(header(&headers, "sb-mac"), "0123");
  sb_rabbitmq_headers_decode(&headers.properties, &everybody, false, &meta);
  assert_true(meta.envelope.has_mac && !meta.envelope.malformed);
  assert_memory_equal(meta.envelope.mac, zero, SB_MAC_BYTES);
  set_i64(header(&headers, "sb-mac"), 5);
  sb_rabbitmq_headers_decode(&headers.properties, &everybody, false, &meta);
  assert_true(meta.envelope.has_mac);
  assert_memory_equal(meta.envelope.mac, zero, SB_MAC_BYTES);
}

static void a_claim_travels_where_there_is_one(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  struct sb_rabbitmq_headers headers;
  envelope.claim = (struct sb_claim){.at = 4711, .sum = UINT64_C(0x9f86d081884c7d65), .founding = 0x1f3a9c02};
  sb_rabbitmq_headers_encode(&headers, &envelope);
  assert_int_equal(headers.properties.headers.num_entries, SB_RABBITMQ_HEADERS + 1);
  const amqp_field_value_t *value = header(&headers, "sb-sum");
  static const char text[] = "4711-1f3a9c02-9f86d081884c7d65";
  assert_int_equal(value->kind, AMQP_FIELD_KIND_UTF8);
  assert_true(sb_bytes_equal(sb_bytes(value->value.bytes.bytes, value->value.bytes.len), sb_bytes_of(text)));
  assert_decodes_to(&headers, &envelope);
  envelope.has_mac = true;
  sb_rabbitmq_headers_encode(&headers, &envelope);
  assert_int_equal(headers.properties.headers.num_entries, SB_RABBITMQ_HEADERS_MAX);
  assert_decodes_to(&headers, &envelope);
  set_text(header(&headers, "sb-sum"), "4711-1f3a9c02");
  envelope.claim = (struct sb_claim){0};
  assert_decodes_to(&headers, &envelope); /* it claims nothing, and is sound otherwise */
  set_i64(header(&headers, "sb-sum"), 5);
  assert_decodes_to(&headers, &envelope);
}

static void only_trusted_users_speak_for_nodes(void **state) {
  (void)state;
  static const char *const users[] = {"node-1", "node-2"};
  const struct sb_rabbitmq_trust trust = {users, 2};
  static const struct {
    const char *user;
    bool trusted;
  } cases[] = {{"node-1", true},   {"node-2", true}, {"node-", false},
               {"node-11", false}, {"", false},      {NULL, false}};
  struct sb_envelope envelope = batch_envelope();
  struct sb_rabbitmq_headers headers;
  struct sb_rabbitmq_meta meta;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    sb_rabbitmq_headers_encode(&headers, &envelope);
    if (cases[i].user) sb_rabbitmq_headers_say_user(&headers, cases[i].user);
    sb_rabbitmq_headers_decode(&headers.properties, &trust, false, &meta);
    assert_int_equal(meta.envelope.refused, cases[i].trusted ? SB_REFUSED_NOT : SB_REFUSED_UNTRUSTED);
    assert_decodes_to(&headers, &envelope);
  }
  amqp_table_entry_t channel = {amqp_cstring_bytes("channel"), {.kind = AMQP_FIELD_KIND_UTF8}};
  channel.value.value.bytes = amqp_cstring_bytes("room:1");
  amqp_basic_properties_t foreign = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {1, &channel}};
  sb_rabbitmq_headers_decode(&foreign, &trust, false, &meta);
  assert_true(meta.envelope.foreign && !meta.envelope.malformed);
  assert_int_equal(meta.envelope.refused, SB_REFUSED_NOT);
  sb_body_unref(meta.channel);
}

static void what_comes_by_the_way_of_other_programs_is_theirs_and_no_nodes(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  struct sb_rabbitmq_headers headers;
  struct sb_rabbitmq_meta meta;
  sb_rabbitmq_headers_encode(&headers, &envelope);
  sb_rabbitmq_headers_decode(&headers.properties, &everybody, true, &meta);
  assert_int_equal(meta.envelope.refused, SB_REFUSED_UNTRUSTED);
  assert_false(meta.envelope.outside);
  amqp_table_entry_t channel = {amqp_cstring_bytes("channel"), {.kind = AMQP_FIELD_KIND_UTF8}};
  channel.value.value.bytes = amqp_cstring_bytes("room:1");
  amqp_basic_properties_t foreign = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {1, &channel}};
  for (int outside = 0; outside < 2; outside++) {
    sb_rabbitmq_headers_decode(&foreign, &everybody, outside, &meta);
    assert_true(meta.envelope.foreign && !meta.envelope.malformed);
    assert_int_equal(meta.envelope.outside, outside);
    assert_int_equal(meta.envelope.refused, SB_REFUSED_NOT);
    sb_body_unref(meta.channel);
  }
}

static void integers_of_every_width_are_read(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  envelope.base = 17;
  struct sb_rabbitmq_headers headers;
  const amqp_field_value_t widths[] = {
      {.kind = AMQP_FIELD_KIND_I8, .value.i8 = 17},   {.kind = AMQP_FIELD_KIND_U8, .value.u8 = 17},
      {.kind = AMQP_FIELD_KIND_I16, .value.i16 = 17}, {.kind = AMQP_FIELD_KIND_U16, .value.u16 = 17},
      {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 17}, {.kind = AMQP_FIELD_KIND_U32, .value.u32 = 17},
      {.kind = AMQP_FIELD_KIND_I64, .value.i64 = 17}, {.kind = AMQP_FIELD_KIND_U64, .value.u64 = 17},
  };
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    sb_rabbitmq_headers_encode(&headers, &envelope);
    *header(&headers, "sb-base") = widths[i];
    assert_decodes_to(&headers, &envelope);
  }
}

static void negative_and_too_large_numbers_are_malformed(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  static const char *const all[] = {"sb-v", "sb-num", "sb-base", "sb-gen", "sb-time", "sb-count", "sb-try"};
  struct sb_rabbitmq_headers headers;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    sb_rabbitmq_headers_encode(&headers, &envelope);
    set_i64(header(&headers, all[i]), -1);
    assert_true(is_malformed(&headers));
  }
  static const char *const narrow[] = {"sb-v", "sb-count", "sb-try"};
  for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++) {
    sb_rabbitmq_headers_encode(&headers, &envelope);
    set_i64(header(&headers, narrow[i]), (int64_t)UINT32_MAX + 1);
    assert_true(is_malformed(&headers));
  }
}

static void a_missing_header_is_malformed(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  for (int i = 1; i < SB_RABBITMQ_HEADERS; i++) { /* without the first, sb-v, it is foreign */
    struct sb_rabbitmq_headers headers;
    sb_rabbitmq_headers_encode(&headers, &envelope);
    headers.entries[i] = headers.entries[SB_RABBITMQ_HEADERS - 1];
    headers.properties.headers.num_entries--;
    assert_true(is_malformed(&headers));
  }
}

static void a_header_of_another_type_is_malformed(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  struct sb_rabbitmq_headers headers;
  sb_rabbitmq_headers_encode(&headers, &envelope);
  for (int i = 0; i < SB_RABBITMQ_HEADERS; i++) {
    sb_rabbitmq_headers_encode(&headers, &envelope);
    headers.entries[i].value = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1};
    assert_true(is_malformed(&headers));
    sb_rabbitmq_headers_encode(&headers, &envelope);
    headers.entries[i].value = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_VOID};
    assert_true(is_malformed(&headers));
  }
}

static void bad_names_and_incarnations_are_malformed(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  char long_name[SB_NODE_NAME_MAX + 2];
  memset(long_name, 'x', sizeof long_name - 1);
  long_name[sizeof long_name - 1] = 0;
  const char *const names[] = {"", "a b", "a/b", "\xc3\xa4", long_name};
  struct sb_rabbitmq_headers headers;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    sb_rabbitmq_headers_encode(&headers, &envelope);
    set_text(header(&headers, "sb-node"), names[i]);
    assert_true(is_malformed(&headers));
  }
  static const char *const incarnations[] = {"", "1", "-0123456789abcdef", "1-0123456789abcdeF",
                                             "1790000000001-0123456789abcdef0123456789abcdef"};
  for (size_t i = 0; i < sizeof incarnations / sizeof *incarnations; i++) {
    sb_rabbitmq_headers_encode(&headers, &envelope);
    set_text(header(&headers, "sb-inc"), incarnations[i]);
    assert_true(is_malformed(&headers));
  }
}

static void unknown_content_is_malformed(void **state) {
  (void)state;
  struct sb_envelope envelope = batch_envelope();
  struct sb_rabbitmq_headers headers;
  sb_rabbitmq_headers_encode(&headers, &envelope);
  headers.properties.content_type = amqp_cstring_bytes("text/plain");
  assert_true(is_malformed(&headers));
  sb_rabbitmq_headers_encode(&headers, &envelope);
  headers.properties._flags &= ~(amqp_flags_t)AMQP_BASIC_CONTENT_TYPE_FLAG;
  assert_true(is_malformed(&headers));
  sb_rabbitmq_headers_encode(&headers, &envelope);
  headers.properties.content_encoding = amqp_cstring_bytes("gzip");
  assert_true(is_malformed(&headers));
}

static struct sb_rabbitmq_meta decode_foreign(amqp_field_value_t *channel) {
  amqp_table_entry_t entries[2] = {
      {amqp_cstring_bytes("x-stream-offset"), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = 9}}};
  amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {1, entries}};
  if (channel) {
    entries[1] = (amqp_table_entry_t){amqp_cstring_bytes("channel"), *channel};
    properties.headers.num_entries = 2;
  }
  struct sb_rabbitmq_meta meta;
  sb_rabbitmq_headers_decode(&properties, &everybody, false, &meta);
  assert_true(meta.envelope.foreign);
  assert_true(meta.has_offset);
  assert_int_equal(meta.offset, 9);
  return meta;
}

static void a_foreign_message_names_its_channel(void **state) {
  (void)state;
  char name[SB_FOREIGN_CHANNEL_MAX + 2];
  memset(name, 'c', sizeof name - 1);
  name[SB_FOREIGN_CHANNEL_MAX] = 0;
  amqp_field_value_t value;
  set_text(&value, name);
  struct sb_rabbitmq_meta meta = decode_foreign(&value);
  assert_false(meta.envelope.malformed);
  assert_int_equal(meta.channel->len, SB_FOREIGN_CHANNEL_MAX);
  assert_memory_equal(meta.channel->data, name, SB_FOREIGN_CHANNEL_MAX);
  sb_body_unref(meta.channel);
}

static void a_foreign_message_without_a_usable_channel_is_malformed(void **state) {
  (void)state;
  char name[SB_FOREIGN_CHANNEL_MAX + 2];
  memset(name, 'c', sizeof name - 1);
  name[sizeof name - 1] = 0;
  amqp_field_value_t values[3];
  set_text(&values[0], name);
  set_text(&values[1], "");
  set_i64(&values[2], 5);
  for (size_t i = 0; i < 3; i++) {
    struct sb_rabbitmq_meta meta = decode_foreign(&values[i]);
    assert_true(meta.envelope.malformed);
    assert_null(meta.channel);
  }
  assert_true(decode_foreign(NULL).envelope.malformed);
}

static void a_message_without_any_header_is_foreign(void **state) {
  (void)state;
  amqp_basic_properties_t properties = {0};
  struct sb_rabbitmq_meta meta;
  sb_rabbitmq_headers_decode(&properties, &everybody, false, &meta);
  assert_true(meta.envelope.foreign);
  assert_true(meta.envelope.malformed);
  assert_false(meta.has_offset);
}

static struct sb_body *filled(size_t len, uint8_t first, uint8_t last) {
  struct sb_body *body = sb_body_new(len);
  memset(body->data, 'm', len);
  if (len) {
    body->data[0] = first;
    body->data[len - 1] = last;
  }
  return body;
}

static uint64_t print_of(const struct sb_envelope *envelope, size_t len, uint8_t first, uint8_t last) {
  struct sb_body *body = filled(len, first, last);
  uint64_t print = sb_rabbitmq_fingerprint(envelope, NULL, body);
  sb_body_unref(body);
  return print;
}

static void a_fingerprint_tells_messages_apart(void **state) {
  (void)state;
  struct sb_envelope one = batch_envelope(), other = batch_envelope();
  uint64_t print = print_of(&one, 1000, 'a', 'z');
  assert_true(print == print_of(&other, 1000, 'a', 'z'));
  assert_true(print != print_of(&one, 1001, 'a', 'z'));
  assert_true(print != print_of(&one, 1000, 'b', 'z'));
  assert_true(print != print_of(&one, 1000, 'a', 'y'));
  assert_true(print_of(&one, 0, 0, 0) != print_of(&one, 1, 0, 0));
  other.number++;
  assert_true(print != print_of(&other, 1000, 'a', 'z'));
  other = batch_envelope();
  other.incarnation.nonce++;
  assert_true(print != print_of(&other, 1000, 'a', 'z'));
  other = batch_envelope();
  other.node[0] = 'v';
  assert_true(print != print_of(&other, 1000, 'a', 'z'));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_envelope_survives_both_ways),
      cmocka_unit_test(the_wire_form_is_flat_and_persistent),
      cmocka_unit_test(a_signature_travels_as_hex_and_a_wrong_one_is_there_too),
      cmocka_unit_test(a_claim_travels_where_there_is_one),
      cmocka_unit_test(only_trusted_users_speak_for_nodes),
      cmocka_unit_test(what_comes_by_the_way_of_other_programs_is_theirs_and_no_nodes),
      cmocka_unit_test(integers_of_every_width_are_read),
      cmocka_unit_test(negative_and_too_large_numbers_are_malformed),
      cmocka_unit_test(a_missing_header_is_malformed),
      cmocka_unit_test(a_header_of_another_type_is_malformed),
      cmocka_unit_test(bad_names_and_incarnations_are_malformed),
      cmocka_unit_test(unknown_content_is_malformed),
      cmocka_unit_test(a_foreign_message_names_its_channel),
      cmocka_unit_test(a_foreign_message_without_a_usable_channel_is_malformed),
      cmocka_unit_test(a_message_without_any_header_is_foreign),
      cmocka_unit_test(a_fingerprint_tells_messages_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
