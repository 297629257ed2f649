/* What a signature covers, and who is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/base/thread.h"
#include "transports/signing.h"

#define KEY_A "ZmFrZSBrZXkgb25lIGZvciB0ZXN0cyBvbmx5ISEhISE="
#define KEY_B "YW5vdGhlciBmYWtlIGtleSBmb3IgdGVzdHMgb25seSE="

static struct sb_envelope batch(void) {
  return (struct sb_envelope){.number = 7,
                              .base = 5,
                              .generation = UINT64_C(1795349268285),
                              .time_ms = UINT64_C(1795349293296),
                              .incarnation = {UINT64_C(1795349293899), UINT64_C(0xed1e062683a8bc95)},
                              .version = 1,
                              .count = 2,
                              .attempt = 3,
                              .node = "web-1"};
}

static struct sb_body *body_of(const char *text) {
  struct sb_body *body = sb_body_new(strlen(text));
  memcpy(body->data, text, strlen(text));
  return body;
}

static struct sb_signing *open_keys(const char *prefix, const char *key, const char *other) {
  struct sb_error error;
  struct sb_signing *signing = sb_signing_new(prefix, key, other, &error);
  assert_non_null(signing);
  return signing;
}

static enum sb_refusal judged(struct sb_signing *signing, uint32_t partition, struct sb_envelope envelope,
                              struct sb_body *body) {
  struct sb_delivery delivery = {.envelope = envelope, .body = body};
  sb_signing_judge(signing, partition, &delivery);
  return delivery.envelope.refused;
}

static struct sb_envelope signed_with(const char *key, uint32_t partition, struct sb_body *body) {
  struct sb_envelope envelope = batch();
  struct sb_signing *signing = open_keys("hub", key, NULL);
  sb_signing_sign(signing, partition, &envelope, body);
  sb_signing_free(signing);
  return envelope;
}

/* The bytes of docs/wire.md, so that a change of them is a change of the wire. */
static void test_what_is_signed_is_what_the_wire_says(void **state) {
  (void)state;
  static const uint8_t want[] = "\x0fsidebus batch 1"
                                "\x03hub"
                                "\x05web-1"
                                "\0\0\0\0\0\0\0\x02"               /* partition */
                                "\0\0\0\0\0\0\0\x01"               /* sb-v */
                                "\0\0\x01\xa2\x03\x28\x2b\x4b"     /* sb-inc: start */
                                "\xed\x1e\x06\x26\x83\xa8\xbc\x95" /* sb-inc: nonce */
                                "\0\0\0\0\0\0\0\x07"               /* sb-num */
                                "\0\0\0\0\0\0\0\x05"               /* sb-base */
                                "\0\0\x01\xa2\x03\x27\xc7\x3d"     /* sb-gen */
                                "\0\0\x01\xa2\x03\x28\x28\xf0"     /* sb-time */
                                "\0\0\0\0\0\0\0\x02"               /* sb-count */
                                "\0\0\0\0\0\0\0\x03"               /* sb-try */
                                "\0\0\0\0\0\0\0\0"                 /* lz4 */
                                "\0\0\0\0\0\0\0\x4c";              /* bytes of the body */
  uint8_t head[SB_SIGNED_HEAD_MAX];
  struct sb_envelope envelope = batch();
  size_t len = sb_envelope_signed_head(&envelope, "hub", 2, 0x4c, head);
  assert_int_equal(len, sizeof want - 1);
  assert_memory_equal(head, want, len);

  static const char claim[] = "\0\0\0\0\0\0\x12\x67"              /* sb-sum: position */
                              "\0\0\0\0\x1f\x3a\x9c\x02"          /* sb-sum: founding */
                              "\x9f\x86\xd0\x81\x88\x4c\x7d\x65"; /* sb-sum: sum */
  envelope.claim = (struct sb_claim){.at = 4711, .sum = UINT64_C(0x9f86d081884c7d65), .founding = 0x1f3a9c02};
  assert_int_equal(sb_envelope_signed_head(&envelope, "hub", 2, 0x4c, head), len + sizeof claim - 1);
  assert_memory_equal(head, want, len);
  assert_memory_equal(head + len, claim, sizeof claim - 1);
}

static void test_the_longest_names_fit(void **state) {
  (void)state;
  char prefix[SB_PREFIX_BYTES_MAX + 1];
  uint8_t head[SB_SIGNED_HEAD_MAX];
  struct sb_envelope envelope = batch();
  memset(prefix, 'p', sizeof prefix - 1);
  prefix[sizeof prefix - 1] = 0;
  memset(envelope.node, 'n', SB_NODE_NAME_MAX);
  envelope.node[SB_NODE_NAME_MAX] = 0;
  envelope.claim = (struct sb_claim){UINT64_MAX, UINT64_MAX, UINT32_MAX};
  assert_int_equal(sb_envelope_signed_head(&envelope, prefix, 255, SIZE_MAX, head), 16 + 201 + 65 + 15 * 8);
}

/* HMAC-SHA-256 by another program: openssl dgst -sha256 -hmac KEY over the bytes above and the body. */
static void test_a_signature_is_hmac_sha_256(void **state) {
  (void)state;
  struct sb_body *body = body_of("hello");
  struct sb_envelope envelope = signed_with(KEY_A, 2, body);
  char text[SB_MAC_TEXT];
  sb_mac_text(envelope.mac, text);
  assert_string_equal(text, "32fe81549d8b8f4f624844eb030c5bfaa00f48a0a1603129ba6fe58dfb57ea66");
  sb_body_unref(body);
}

static void test_what_a_key_signed_that_key_believes(void **state) {
  (void)state;
  struct sb_body *body = body_of("hello"), *empty = body_of("");
  struct sb_signing *signing = open_keys("hub", KEY_A, NULL);
  assert_int_equal(judged(signing, 2, signed_with(KEY_A, 2, body), body), SB_REFUSED_NOT);
  assert_int_equal(judged(signing, 0, signed_with(KEY_A, 0, empty), empty), SB_REFUSED_NOT);
  assert_int_equal(judged(signing, 2, signed_with(KEY_B, 2, body), body), SB_REFUSED_FORGED);
  sb_signing_free(signing);
  sb_body_unref(body);
  sb_body_unref(empty);
}

static void test_no_field_can_be_changed(void **state) {
  (void)state;
  struct sb_body *body = body_of("hello"), *other = body_of("hellp"), *longer = body_of("hello!");
  struct sb_signing *signing = open_keys("hub", KEY_A, NULL);
  const struct sb_envelope sound = signed_with(KEY_A, 2, body);
  struct sb_envelope all[13];
  for (size_t i = 0; i < 13; i++) all[i] = sound;
  all[0].number++;
  all[1].base--;
  all[2].generation ^= UINT64_C(1) << 52;
  all[3].time_ms++;
  all[4].incarnation.start_ms++;
  all[5].incarnation.nonce ^= 1;
  all[6].version++;
  all[7].count++;
  all[8].attempt++;
  all[9].lz4 = true;
  all[10].node[4] = '2';
  all[11].node[4] = 0;
  all[12].number = 0; /* a control message */
  for (size_t i = 0; i < 13; i++) {
    if (judged(signing, 2, all[i], body) != SB_REFUSED_FORGED) print_message("field %zu\n", i);
    assert_int_equal(judged(signing, 2, all[i], body), SB_REFUSED_FORGED);
  }
  assert_int_equal(judged(signing, 2, sound, other), SB_REFUSED_FORGED);
  assert_int_equal(judged(signing, 2, sound, longer), SB_REFUSED_FORGED);
  for (size_t i = 0; i < SB_MAC_BYTES; i++) {
    struct sb_envelope bent = sound;
    bent.mac[i] ^= 1;
    assert_int_equal(judged(signing, 2, bent, body), SB_REFUSED_FORGED);
  }
  sb_signing_free(signing);
  sb_body_unref(body);
  sb_body_unref(other);
  sb_body_unref(longer);
}

static void test_a_claim_cannot_be_added_changed_or_taken_away(void **state) {
  (void)state;
  struct sb_body *body = body_of("hello");
  struct sb_signing *signing = open_keys("hub", KEY_A, NULL);
  struct sb_envelope plain = signed_with(KEY_A, 2, body), claims = batch();
  claims.claim = (struct sb_claim){.at = 5, .sum = 6, .founding = 7};
  sb_signing_sign(signing, 2, &claims, body);
  assert_int_equal(judged(signing, 2, claims, body), SB_REFUSED_NOT);
  struct sb_envelope all[] = {plain, claims, claims, claims, claims};
  all[0].claim = claims.claim;
  all[1].claim.at++;
  all[2].claim.sum++;
  all[3].claim.founding++;
  all[4].claim = (struct sb_claim){0};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    assert_int_equal(judged(signing, 2, all[i], body), SB_REFUSED_FORGED);
  sb_signing_free(signing);
  sb_body_unref(body);
}

static void test_a_batch_of_one_log_is_none_of_another(void **state) {
  (void)state;
  struct sb_body *body = body_of("hello");
  struct sb_signing *signing = open_keys("hub", KEY_A, NULL), *other = open_keys("hu", KEY_A, NULL);
  struct sb_envelope sound = signed_with(KEY_A, 2, body);
  assert_int_equal(judged(signing, 3, sound, body), SB_REFUSED_FORGED);
  assert_int_equal(judged(other, 2, sound, body), SB_REFUSED_FORGED);
  sb_signing_free(signing);
  sb_signing_free(other);
  sb_body_unref(body);
}

static void test_what_is_unsigned_or_foreign_has_no_right_where_there_is_a_key(void **state) {
  (void)state;
  struct sb_body *body = body_of("hello");
  struct sb_signing *signing = open_keys("hub", KEY_A, NULL);
  struct sb_envelope foreign = {.foreign = true}, broken = {.malformed = true, .has_mac = true};
  struct sb_envelope foreign_signed = signed_with(KEY_A, 2, body);
  foreign_signed.foreign = true;
  foreign_signed.mac[0] ^= 1;
  assert_int_equal(judged(signing, 2, batch(), body), SB_REFUSED_UNSIGNED);
  assert_int_equal(judged(signing, 2, foreign, body), SB_REFUSED_UNSIGNED);
  assert_int_equal(judged(signing, 2, broken, body), SB_REFUSED_FORGED);
  assert_int_equal(judged(signing, 2, foreign_signed, body), SB_REFUSED_FORGED);
  broken.refused = SB_REFUSED_UNTRUSTED;
  assert_int_equal(judged(signing, 2, broken, body), SB_REFUSED_UNTRUSTED);
  foreign.outside = true;
  assert_int_equal(judged(signing, 2, foreign, body), SB_REFUSED_NOT);
  sb_signing_free(signing);
  sb_body_unref(body);
}

static void test_a_node_without_a_key_takes_nothing_that_is_signed(void **state) {
  (void)state;
  struct sb_body *body = body_of("hello");
  assert_int_equal(judged(NULL, 2, batch(), body), SB_REFUSED_NOT);
  assert_int_equal(judged(NULL, 2, signed_with(KEY_A, 2, body), body), SB_REFUSED_FORGED);
  sb_body_unref(body);
}

/* Each step of docs/operations.md: at any two steps next to each other, all nodes believe one another. */
static void test_a_rotation_in_steps_refuses_nobody(void **state) {
  (void)state;
  static const struct {
    const char *key, *other;
  } steps[] = {{KEY_A, NULL}, {KEY_A, KEY_B}, {KEY_B, KEY_A}, {KEY_B, NULL}};
  struct sb_body *body = body_of("hello");
  struct sb_error error;
  for (size_t i = 0; i + 1 < sizeof steps / sizeof *steps; i++) {
    struct sb_signing *late = open_keys("hub", steps[i].key, steps[i].other);
    struct sb_signing *early = open_keys("hub", steps[i].key, steps[i].other);
    assert_int_equal(sb_signing_set(early, steps[i + 1].key, steps[i + 1].other, &error), 0);
    struct sb_envelope of_late = batch(), of_early = batch();
    sb_signing_sign(late, 2, &of_late, body);
    sb_signing_sign(early, 2, &of_early, body);
    assert_int_equal(judged(early, 2, of_late, body), SB_REFUSED_NOT);
    assert_int_equal(judged(late, 2, of_early, body), SB_REFUSED_NOT);
    sb_signing_free(late);
    sb_signing_free(early);
  }
  struct sb_signing *last = open_keys("hub", KEY_B, NULL);
  assert_int_equal(judged(last, 2, signed_with(KEY_A, 2, body), body), SB_REFUSED_FORGED);
  sb_signing_free(last);
  sb_body_unref(body);
}

static void test_a_signature_in_hex_is_read_as_it_was_written(void **state) {
  (void)state;
  uint8_t mac[SB_MAC_BYTES], back[SB_MAC_BYTES];
  static const uint8_t zero[SB_MAC_BYTES];
  char text[SB_MAC_TEXT];
  for (size_t i = 0; i < sizeof mac; i++) mac[i] = (uint8_t)(i * 9 + 1);
  sb_mac_text(mac, text);
  sb_mac_parse(text, strlen(text), back);
  assert_memory_equal(mac, back, sizeof mac);
  sb_mac_parse(text, strlen(text) - 2, back);
  assert_memory_equal(zero, back, sizeof mac);
  sb_mac_parse("", 0, back);
  assert_memory_equal(zero, back, sizeof mac);
  text[63] = 'G';
  sb_mac_parse(text, strlen(text), back);
  assert_memory_equal(zero, back, sizeof mac);
}

/* ---- threads: those that read from a broker judge, the loop signs, a reload sets the keys ---- */

#define READERS   2
#define ROTATIONS 500

struct reader {
  struct sb_signing *signing;
  struct sb_body *body;
  struct sb_envelope good, forged;
  atomic_bool *over;
  unsigned judged, wrong; /* read when the thread has ended */
};

static void *judge_all_the_time(void *arg) {
  struct reader *reader = arg;
  do {
    reader->wrong += judged(reader->signing, 0, reader->good, reader->body) != SB_REFUSED_NOT;
    reader->wrong += judged(reader->signing, 0, reader->forged, reader->body) != SB_REFUSED_FORGED;
    reader->judged++;
  } while (!atomic_load(reader->over));
  return NULL;
}

static void
test_keys_that_are_rotated_while_threads_judge_refuse_nobody_and_believe_nobody_else(void **state) {
  (void)state;
  struct sb_body *body = body_of("hello");
  struct sb_signing *signing = open_keys("hub", KEY_A, KEY_B);
  struct sb_error error;
  struct reader readers[READERS];
  pthread_t threads[READERS];
  atomic_bool over = false;
  for (unsigned i = 0; i < READERS; i++) {
    readers[i] = (struct reader){.signing = signing,
                                 .body = body,
                                 .good = signed_with(i == 0 ? KEY_A : KEY_B, 0, body),
                                 .forged = signed_with("another key", 0, body),
                                 .over = &over};
    assert_int_equal(sb_thread_start(&threads[i], judge_all_the_time, &readers[i]), 0);
  }
  for (unsigned i = 0; i < ROTATIONS; i++) {
    struct sb_envelope sent = batch();
    assert_int_equal(sb_signing_set(signing, i % 2 ? KEY_A : KEY_B, i % 2 ? KEY_B : KEY_A, &error), 0);
    sb_signing_sign(signing, 0, &sent, body);
    assert_int_equal(judged(signing, 0, sent, body), SB_REFUSED_NOT);
  }
  atomic_store(&over, true);
  for (unsigned i = 0; i < READERS; i++) {
    pthread_join(threads[i], NULL);
    assert_true(readers[i].judged > 0);
    assert_int_equal(readers[i].wrong, 0);
  }
  sb_signing_free(signing);
  sb_body_unref(body);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_signed_is_what_the_wire_says),
      cmocka_unit_test(test_the_longest_names_fit),
      cmocka_unit_test(test_a_signature_is_hmac_sha_256),
      cmocka_unit_test(test_what_a_key_signed_that_key_believes),
      cmocka_unit_test(test_no_field_can_be_changed),
      cmocka_unit_test(test_a_claim_cannot_be_added_changed_or_taken_away),
      cmocka_unit_test(test_a_batch_of_one_log_is_none_of_another),
      cmocka_unit_test(test_what_is_unsigned_or_foreign_has_no_right_where_there_is_a_key),
      cmocka_unit_test(test_a_node_without_a_key_takes_nothing_that_is_signed),
      cmocka_unit_test(test_a_rotation_in_steps_refuses_nobody),
      cmocka_unit_test(test_a_signature_in_hex_is_read_as_it_was_written),
      cmocka_unit_test(test_keys_that_are_rotated_while_threads_judge_refuse_nobody_and_believe_nobody_else),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
