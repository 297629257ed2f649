#include "bridge/cli/bench_payload.h"

#include <stdio.h>
#include <time.h>

_Static_assert(sizeof(struct sb_bench_stamp) == SB_BENCH_STAMP_BYTES, "the stamp has no padding");

uint64_t sb_bench_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}

static void fill_with_json(uint8_t *block, uint64_t *seed) {
  static const char *const words[] = {"orders", "price",  "chat",   "presence",
                                      "typing", "alerts", "cursor", "score"};
  size_t at = 0;
  while (at < SB_BENCH_BLOCK_BYTES) {
    char text[160];
    uint64_t r = next_random(seed);
    int len = snprintf(text, sizeof text,
                       "{\"type\":1,\"target\":\"%s\",\"arguments\":[{\"user\":%u,\"value\":%u.%02u}]}\x1e",
                       words[r & 7], (unsigned)(r >> 8 & 0xffff), (unsigned)(r >> 24 & 0xffff),
                       (unsigned)(r >> 40) % 100);
    size_t take = (size_t)len < SB_BENCH_BLOCK_BYTES - at ? (size_t)len : SB_BENCH_BLOCK_BYTES - at;
    memcpy(block + at, text, take);
    at += take;
  }
}

uint8_t *sb_bench_block_new(bool compressible) {
  uint8_t *block = sb_malloc(SB_BENCH_BLOCK_BYTES);
  uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
  if (compressible) {
    fill_with_json(block, &seed);
    return block;
  }
  for (size_t i = 0; i < SB_BENCH_BLOCK_BYTES; i += sizeof seed) {
    uint64_t r = next_random(&seed);
    memcpy(block + i, &r, sizeof r);
  }
  return block;
}

/* Consecutive messages of a publisher take consecutive slices; publishers start far from each other. */
static size_t slice_start(const struct sb_bench_stamp *stamp, size_t len) {
  return (size_t)(stamp->number * len + stamp->publisher * UINT64_C(199999)) % SB_BENCH_BLOCK_BYTES;
}

void sb_bench_payload_write(uint8_t *out, size_t len, const struct sb_bench_stamp *stamp,
                            const uint8_t *block) {
  memcpy(out, stamp, SB_BENCH_STAMP_BYTES);
  out += SB_BENCH_STAMP_BYTES;
  len -= SB_BENCH_STAMP_BYTES;
  size_t from = slice_start(stamp, len);
  while (len > 0) {
    size_t part = SB_BENCH_BLOCK_BYTES - from < len ? SB_BENCH_BLOCK_BYTES - from : len;
    memcpy(out, block + from, part);
    out += part;
    len -= part;
    from = 0;
  }
}

bool sb_bench_payload_read(struct sb_bytes payload, struct sb_bench_stamp *stamp) {
  if (payload.len < SB_BENCH_STAMP_BYTES) return false;
  memcpy(stamp, payload.at, SB_BENCH_STAMP_BYTES);
  return true;
}

bool sb_bench_payload_intact(struct sb_bytes payload, const struct sb_bench_stamp *stamp,
                             const uint8_t *block) {
  const uint8_t *at = payload.at + SB_BENCH_STAMP_BYTES;
  size_t len = payload.len - SB_BENCH_STAMP_BYTES;
  size_t from = slice_start(stamp, len);
  while (len > 0) {
    size_t part = SB_BENCH_BLOCK_BYTES - from < len ? SB_BENCH_BLOCK_BYTES - from : len;
    if (memcmp(at, block + from, part) != 0) return false;
    at += part;
    len -= part;
    from = 0;
  }
  return true;
}
