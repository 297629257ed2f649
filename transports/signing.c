#include "transports/signing.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "bridge/base/bytes.h"

/* Contexts that have read their key. They are only copied: each signature begins with a copy, which saves it
 * hashing the key. */
struct keys {
  EVP_MAC_CTX *own, *other; /* other: NULL when there is none */
};

struct sb_signing {
  char *prefix;
  pthread_mutex_t lock; /* of the keys; not held while anything is signed */
  struct keys keys;
};

static void close_keys(struct keys *keys) {
  EVP_MAC_CTX_free(keys->own);
  EVP_MAC_CTX_free(keys->other);
  *keys = (struct keys){0};
}

static EVP_MAC_CTX *new_context(const char *key) {
  char digest[] = "SHA256";
  const OSSL_PARAM how[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                            OSSL_PARAM_construct_end()};
  EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  EVP_MAC_CTX *context = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
  EVP_MAC_free(hmac); /* the context holds it */
  if (context && EVP_MAC_init(context, (const unsigned char *)key, strlen(key), how)) return context;
  EVP_MAC_CTX_free(context);
  return NULL;
}

static int open_keys(struct keys *keys, const char *key, const char *other, struct sb_error *error) {
  *keys = (struct keys){new_context(key), other ? new_context(other) : NULL};
  if (keys->own && !other == !keys->other) return 0;
  close_keys(keys);
  return sb_error_set(error, SB_ERR_INVALID, "hub.key_file: OpenSSL has no HMAC-SHA-256");
}

struct sb_signing *sb_signing_new(const char *prefix, const char *key, const char *other,
                                  struct sb_error *error) {
  struct keys keys;
  if (open_keys(&keys, key, other, error) != 0) return NULL;
  struct sb_signing *signing = sb_calloc(1, sizeof *signing);
  pthread_mutex_init(&signing->lock, NULL);
  signing->prefix = sb_strdup(prefix);
  signing->keys = keys;
  return signing;
}

void sb_signing_free(struct sb_signing *signing) {
  if (!signing) return;
  close_keys(&signing->keys);
  pthread_mutex_destroy(&signing->lock);
  free(signing->prefix);
  free(signing);
}

int sb_signing_set(struct sb_signing *signing, const char *key, const char *other, struct sb_error *error) {
  struct keys fresh;
  if (open_keys(&fresh, key, other, error) != 0) return error->code;
  pthread_mutex_lock(&signing->lock);
  struct keys before = signing->keys;
  signing->keys = fresh;
  pthread_mutex_unlock(&signing->lock);
  close_keys(&before);
  return 0;
}

static EVP_MAC_CTX *copy_of(const EVP_MAC_CTX *context) {
  return context ? EVP_MAC_CTX_dup(context) : NULL;
}

static struct keys take_keys(struct sb_signing *signing, bool with_other) {
  pthread_mutex_lock(&signing->lock);
  struct keys keys = {copy_of(signing->keys.own), with_other ? copy_of(signing->keys.other) : NULL};
  bool failed = !keys.own || (with_other && signing->keys.other && !keys.other);
  pthread_mutex_unlock(&signing->lock);
  if (failed) {
    fprintf(stderr, "sidebus: out of memory (a signature)\n");
    abort();
  }
  return keys;
}

static bool compute(EVP_MAC_CTX *context, const uint8_t *head, size_t head_len, const struct sb_body *body,
                    uint8_t mac[SB_MAC_BYTES]) {
  size_t len;
  return EVP_MAC_update(context, head, head_len) && EVP_MAC_update(context, body->data, body->len) &&
         EVP_MAC_final(context, mac, &len, SB_MAC_BYTES) && len == SB_MAC_BYTES;
}

void sb_signing_sign(struct sb_signing *signing, uint32_t partition, struct sb_envelope *envelope,
                     const struct sb_body *body) {
  uint8_t head[SB_SIGNED_HEAD_MAX];
  size_t len = sb_envelope_signed_head(envelope, signing->prefix, partition, body->len, head);
  struct keys keys = take_keys(signing, false);
  if (!compute(keys.own, head, len, body, envelope->mac)) abort(); /* only memory could be lacking */
  envelope->has_mac = true;
  close_keys(&keys);
}

static bool fits(EVP_MAC_CTX *context, const uint8_t *head, size_t head_len,
                 const struct sb_delivery *delivery) {
  uint8_t mac[SB_MAC_BYTES];
  return context && compute(context, head, head_len, delivery->body, mac) &&
         CRYPTO_memcmp(mac, delivery->envelope.mac, sizeof mac) == 0;
}

static bool is_genuine(struct sb_signing *signing, uint32_t partition, const struct sb_delivery *delivery) {
  uint8_t head[SB_SIGNED_HEAD_MAX];
  size_t len =
      sb_envelope_signed_head(&delivery->envelope, signing->prefix, partition, delivery->body->len, head);
  struct keys keys = take_keys(signing, true);
  bool good = fits(keys.own, head, len, delivery) || fits(keys.other, head, len, delivery);
  close_keys(&keys);
  return good;
}

void sb_signing_judge(struct sb_signing *signing, uint32_t partition, struct sb_delivery *delivery) {
  struct sb_envelope *envelope = &delivery->envelope;
  if (envelope->outside || envelope->refused || (!signing && !envelope->has_mac)) return;
  if (signing && !envelope->has_mac)
    envelope->refused = SB_REFUSED_UNSIGNED;
  else if (!signing || envelope->malformed || !is_genuine(signing, partition, delivery))
    envelope->refused = SB_REFUSED_FORGED;
}
