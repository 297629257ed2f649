/* The payload of a measured message: who sent it, as which number, and when. Only for one host: integers in
 * native byte order, time from CLOCK_MONOTONIC.
 *
 *     0        4      6      8                16               24
 *     | run    | publ.| kind | number         | sent, ns       | filling … |
 *
 * The filling is a slice of a block of SB_BENCH_BLOCK_BYTES that publishers and subscribers make alike from
 * one seed; it is longer than any compressor's window here, so slices of the random block do not compress. */
#ifndef SB_CLI_BENCH_PAYLOAD_H
#define SB_CLI_BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"

#define SB_BENCH_STAMP_BYTES       24
#define SB_BENCH_PAYLOAD_BYTES_MAX 8388608
#define SB_BENCH_BLOCK_BYTES       1048576 /* lz4 looks back 64 KiB */

enum sb_bench_kind { SB_BENCH_DATA, SB_BENCH_END };

struct sb_bench_stamp {
  uint32_t run;       /* tells the messages of this run from others on the same channels */
  uint16_t publisher; /* SB_BENCH_END: 0 */
  uint16_t kind;
  uint64_t number; /* counts from 0 per publisher; SB_BENCH_END: the channel that ends */
  uint64_t sent_ns;
};

uint64_t sb_bench_now_ns(void);

/* A block of SB_BENCH_BLOCK_BYTES, to be freed by the caller: random bytes, or JSON when `compressible`. */
uint8_t *sb_bench_block_new(bool compressible);

/* Fills out[0, len); len is at least SB_BENCH_STAMP_BYTES. */
void sb_bench_payload_write(uint8_t *out, size_t len, const struct sb_bench_stamp *stamp,
                            const uint8_t *block);

/* False when it is too short. */
bool sb_bench_payload_read(struct sb_bytes payload, struct sb_bench_stamp *stamp);

/* Whether the filling is what sb_bench_payload_write put there. */
bool sb_bench_payload_intact(struct sb_bytes payload, const struct sb_bench_stamp *stamp,
                             const uint8_t *block);

#endif
