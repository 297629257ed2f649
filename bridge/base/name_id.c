#include "bridge/base/name_id.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

static const char digits[] = "0123456789abcdef";

static void give_up(void) {
  fprintf(stderr, "sidebus: libcrypto has no SipHash with 128 bits\n");
  abort();
}

/* A library context of its own: what the machine's openssl.cnf sets up for others does not count here. */
static EVP_MAC_CTX *context_new(void) {
  OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
  EVP_MAC *mac = library ? EVP_MAC_fetch(library, "SIPHASH", NULL) : NULL;
  EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
  size_t size = SB_NAME_ID_BYTES;
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                               OSSL_PARAM_construct_end()};
  if (!context || !EVP_MAC_CTX_set_params(context, params)) give_up();
  EVP_MAC_free(mac); /* the context holds it */
  return context;
}

static uint64_t word_at(const uint8_t *at) {
  uint64_t value = 0;
  for (int i = 8; i > 0; i--) value = value << 8 | at[i - 1];
  return value;
}

struct sb_name_id sb_name_id(const struct sb_name_key *key, struct sb_bytes name) {
  static EVP_MAC_CTX *context;
  uint8_t out[SB_NAME_ID_BYTES];
  size_t len = 0;
  if (!context) context = context_new();
  if (!EVP_MAC_init(context, key->bytes, sizeof key->bytes, NULL) ||
      (name.len > 0 && !EVP_MAC_update(context, name.at, name.len)) ||
      !EVP_MAC_final(context, out, &len, sizeof out) || len != sizeof out)
    give_up();
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
