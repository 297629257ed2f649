/* The id by which nodes know a name of which they keep nothing else: 128 bits of SipHash-2-4 under a key that
 * no client knows. So nobody can choose two names that are taken for one. */
#ifndef SB_BASE_NAME_ID_H
#define SB_BASE_NAME_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "bridge/base/bytes.h"

#define SB_NAME_KEY_BYTES 16
#define SB_NAME_ID_BYTES  16
#define SB_NAME_KEY_TEXT  ((size_t)2 * SB_NAME_KEY_BYTES) /* hex digits */

struct sb_name_key {
  uint8_t bytes[SB_NAME_KEY_BYTES];
};

struct sb_name_id {
  uint64_t low, high; /* the first eight bytes and the last, each with the lowest byte first */
};

static inline bool sb_name_id_equal(struct sb_name_id a, struct sb_name_id b) {
  return a.low == b.low && a.high == b.high;
}

static inline bool sb_name_key_equal(const struct sb_name_key *a, const struct sb_name_key *b) {
  return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

struct sb_name_id sb_name_id(const struct sb_name_key *key, struct sb_bytes name);

/* SB_NAME_KEY_TEXT hex digits in lower case, and back; false: it is not of that form. */
void sb_name_key_text(const struct sb_name_key *key, char out[SB_NAME_KEY_TEXT]);
bool sb_name_key_parse(struct sb_bytes text, struct sb_name_key *out);

#endif
