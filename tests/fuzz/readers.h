/* What is read from a log, each reader by itself: the same bytes give the same however they are read, and
 * what was read can be written and read again. */
#ifndef SB_TESTS_FUZZ_READERS_H
#define SB_TESTS_FUZZ_READERS_H

#include <stdlib.h>

#include "bridge/core/core.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/wire/codec.h"
#include "tests/fuzz/grammar.h"

static inline void read_entries(struct sb_bytes body) {
  struct sb_entry plain, hinted, before;
  uint32_t off = 0, hinted_off = 0;
  for (bool first = true;; first = false) {
    bool good = sb_entry_next(body, &off, NULL, &plain);
    REQUIRE(sb_entry_next(body, &hinted_off, first ? NULL : &before, &hinted) == good);
    if (!good) return;
    REQUIRE(off == hinted_off && plain.kind == hinted.kind && plain.key_off == hinted.key_off);
    REQUIRE(plain.off + plain.len == off && off <= body.len);
    REQUIRE(plain.kind == SB_ENTRY_PING || plain.key_off + plain.key_len <= off);
    before = hinted;
  }
}

static inline void read_state(struct sb_bytes text) {
  struct sb_state state = {0};
  if (!sb_state_read(&state, text)) return;
  struct sb_buf again = {0};
  sb_state_write(&state, &again);
  /* Channels come in any order, and patterns, and keys. */
  if (state.counts.count == 0 && state.counts.pattern_rows == 0 && state.keys.table.count == 0) {
    /* a line of no channels says nothing */
    REQUIRE(memmem(text.at, text.len, "COUNTS", 6) || sb_bytes_equal(text, sb_buf_bytes(&again)));
  }
  struct sb_state back = {0};
  REQUIRE(sb_state_read(&back, sb_buf_bytes(&again)) && sb_state_equal(&state, &back));
  sb_state_close(&back);
  sb_buf_close(&again);
  sb_state_close(&state);
}

static inline void unpack(struct sb_bytes frame) {
  struct sb_body *packed = sb_body_new(frame.len);
  memcpy(packed->data, frame.at, frame.len);
  struct sb_body *plain = sb_codec_unpack(packed);
  if (plain) REQUIRE(plain->len <= SB_BODY_BYTES_MAX && plain->len / 256 <= packed->len);
  sb_body_unref(plain);
  sb_body_unref(packed);
}

static inline void read_one(uint8_t choice, struct sb_bytes bytes) {
  struct sb_control control;
  uint8_t *exact = sb_malloc(bytes.len); /* so that a sanitizer sees a read beyond it */
  if (bytes.len) memcpy(exact, bytes.at, bytes.len);
  bytes.at = exact;
  if (choice % 4 == 0) read_entries(bytes);
  if (choice % 4 == 1) sb_control_read(bytes, &control);
  if (choice % 4 == 2) read_state(bytes);
  if (choice % 4 == 3) unpack(bytes);
  free(exact);
}

#endif
