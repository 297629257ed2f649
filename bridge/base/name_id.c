#include "bridge/base/name_id.h"

#include <sodium.h>

_Static_assert(SB_NAME_KEY_BYTES == crypto_shorthash_siphashx24_KEYBYTES, "a key of SipHash");
_Static_assert(SB_NAME_ID_BYTES == crypto_shorthash_siphashx24_BYTES, "128 bits of SipHash");

static const char digits[] = "0123456789abcdef";

static uint64_t word_at(const uint8_t *at) {
  uint64_t value = 0;
  for (int i = 8; i > 0; i--) value = value << 8 | at[i - 1];
  return value;
}

struct sb_name_id sb_name_id(const struct sb_name_key *key, struct sb_bytes name) {
  uint8_t out[SB_NAME_ID_BYTES]; /* this function of libsodium only computes, it needs no sodium_init() */
  crypto_shorthash_siphashx24(out, name.at, name.len, key->bytes);
  return (struct sb_name_id){word_at(out), word_at(out + 8)};
}

void sb_name_key_text(const struct sb_name_key *key, char out[SB_NAME_KEY_TEXT]) {
  for (size_t i = 0; i < SB_NAME_KEY_BYTES; i++) {
    out[2 * i] = digits[key->bytes[i] >> 4];
    out[2 * i + 1] = digits[key->bytes[i] & 15];
  }
}

bool sb_name_key_parse(struct sb_bytes text, struct sb_name_key *out) {
  if (text.len != SB_NAME_KEY_TEXT) return false;
  for (size_t i = 0; i < SB_NAME_KEY_TEXT; i++) {
    const char *digit = text.at[i] ? strchr(digits, text.at[i]) : NULL;
    if (!digit) return false;
    out->bytes[i / 2] = (uint8_t)(out->bytes[i / 2] << 4 | (digit - digits));
  }
  return true;
}
