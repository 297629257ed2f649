/* An envelope to send through a transport's form of it, and a comparison of all of two envelopes. */
#ifndef SB_TESTS_UNIT_ENVELOPE_FIXTURE_H
#define SB_TESTS_UNIT_ENVELOPE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/base/envelope.h"

/* Of a batch, without signature and claim. */
static inline struct sb_envelope batch_envelope(void) {
  return (struct sb_envelope){.lz4 = true,
                              .version = 1,
                              .count = 4096,
                              .attempt = 3,
                              .number = UINT64_C(1) << 40,
                              .base = 17,
                              .generation = UINT64_C(1790000000000),
                              .time_ms = UINT64_C(1790000000123),
                              .incarnation = {UINT64_C(1790000000001), UINT64_C(0xfedcba9876543210)},
                              .node = "web-01.example_x"};
}

static inline void assert_same_envelope(const struct sb_envelope *got, const struct sb_envelope *want) {
  assert_int_equal(got->foreign, want->foreign);
  assert_int_equal(got->malformed, want->malformed);
  assert_int_equal(got->lz4, want->lz4);
  assert_int_equal(got->version, want->version);
  assert_int_equal(got->count, want->count);
  assert_int_equal(got->attempt, want->attempt);
  assert_int_equal(got->number, want->number);
  assert_int_equal(got->base, want->base);
  assert_int_equal(got->generation, want->generation);
  assert_int_equal(got->time_ms, want->time_ms);
  assert_int_equal(got->incarnation.start_ms, want->incarnation.start_ms);
  assert_int_equal(got->incarnation.nonce, want->incarnation.nonce);
  assert_string_equal(got->node, want->node);
  assert_true(sb_claim_equal(got->claim, want->claim));
  assert_int_equal(got->has_mac, want->has_mac);
  assert_memory_equal(got->mac, want->mac, SB_MAC_BYTES);
}

#endif
