#include "transports/servicebus/sas.h"

#include <ctype.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/error.h"

#define SIGNATURE_BYTES  32 /* SHA-256 */
#define SIGNATURE_BASE64 44 /* of that many, without the zero */

static const char sas_prefix[] = "SharedAccessSignature ";

/* Everything but RFC 3986's unreserved characters becomes %xx. */
static void url_encode(const char *text, bool lower, struct sb_buf *out) {
  static const char hex_lower[] = "0123456789abcdef", hex_upper[] = "0123456789ABCDEF";
  const char *hex = lower ? hex_lower : hex_upper;
  for (const char *c = text; *c; c++) {
    unsigned char byte = (unsigned char)*c;
    bool plain = byte < 128 && (isalnum(byte) || strchr("-_.~", byte));
    char plain_as = (char)(lower ? tolower(byte) : byte);
    const char coded[3] = {'%', hex[byte >> 4], hex[byte & 15]};
    sb_buf_append(out, plain ? &plain_as : coded, plain ? 1 : sizeof coded);
  }
}

static bool sane(const char *text, size_t most) {
  return text && *text && strnlen(text, most + 1) <= most;
}

int sb_servicebus_sas(const char *uri, const char *key_name, const char *key, uint64_t expiry_unix_s,
                      struct sb_buf *out) {
  if (!sane(uri, SB_SERVICEBUS_URI_MAX) || !sane(key_name, SB_SERVICEBUS_KEY_NAME_MAX) ||
      !sane(key, SB_SERVICEBUS_KEY_MAX))
    return SB_ERR_INVALID;
  struct sb_buf resource = {0};
  url_encode(uri, true, &resource);
  size_t resource_len = resource.len;
  sb_buf_printf(&resource, "\n%" PRIu64, expiry_unix_s);

  unsigned char mac[SIGNATURE_BYTES];
  unsigned mac_len = sizeof mac;
  char base64[SIGNATURE_BASE64 + 1];
  int rc = SB_ERR_SYSTEM;
  if (HMAC(EVP_sha256(), key, (int)strlen(key), resource.data, resource.len, mac, &mac_len)) {
    EVP_EncodeBlock((unsigned char *)base64, mac, (int)sizeof mac);
    sb_buf_clear(out);
    sb_buf_printf(out, "%ssr=%.*s&sig=", sas_prefix, (int)resource_len, (const char *)resource.data);
    url_encode(base64, false, out);
    sb_buf_printf(out, "&se=%" PRIu64 "&skn=", expiry_unix_s);
    url_encode(key_name, false, out);
    rc = 0;
  }
  OPENSSL_cleanse(mac, sizeof mac);
  OPENSSL_cleanse(base64, sizeof base64);
  sb_buf_close(&resource);
  return rc;
}

/* ---- what a token says of itself ---- */

static bool read_sas(struct sb_bytes token, uint64_t *expiry) {
  const size_t skip = sizeof sas_prefix - 1;
  const uint8_t *at = token.at + skip, *end = token.at + token.len;
  while (at < end) {
    const uint8_t *stop = memchr(at, '&', (size_t)(end - at));
    if (!stop) stop = end;
    if (stop - at > 3 && memcmp(at, "se=", 3) == 0)
      return sb_bytes_u64(sb_bytes(at + 3, (size_t)(stop - at - 3)), INT64_MAX, expiry);
    at = stop < end ? stop + 1 : end;
  }
  return false;
}

static int base64url_value(uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* RFC 7515: without padding. */
static bool base64url_decode(struct sb_bytes text, struct sb_buf *out) {
  unsigned bits = 0, count = 0;
  if (text.len % 4 == 1) return false;
  for (size_t i = 0; i < text.len; i++) {
    int value = base64url_value(text.at[i]);
    if (value < 0) return false;
    bits = bits << 6 | (unsigned)value;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    uint8_t byte = (uint8_t)(bits >> count);
    sb_buf_append(out, &byte, 1);
  }
  return true;
}

/* The end of the JSON string that begins at `at` with a quote, behind its closing quote; NULL: none. */
static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end) {
  for (at++; at < end; at++) {
    if (*at == '"') return at + 1;
    if (*at == '\\' && ++at == end) return NULL;
  }
  return NULL;
}

static const uint8_t *skip_space(const uint8_t *at, const uint8_t *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
  return at;
}

/* RFC 7519, section 4.1.4: a NumericDate, which may have a fraction. */
static bool read_numeric_date(const uint8_t *at, const uint8_t *end, uint64_t *out) {
  const uint8_t *stop = at;
  while (stop < end && isdigit(*stop)) stop++;
  if (!sb_bytes_u64(sb_bytes(at, (size_t)(stop - at)), INT64_MAX, out)) return false;
  return stop < end && *stop != 'e' && *stop != 'E';
}

/* The member "exp" of the outermost object. Names inside other objects, and texts, do not count. */
static bool read_exp(struct sb_bytes json, uint64_t *expiry) {
  if (json.len == 0) return false;
  const uint8_t *at = json.at, *end = json.at + json.len;
  unsigned depth = 0;
  while (at < end) {
    const uint8_t *start = at;
    if (*at != '"') {
      if (*at == '{' || *at == '[') depth++;
      if ((*at == '}' || *at == ']') && depth-- == 0) return false;
      at++;
      continue;
    }
    at = skip_string(at, end);
    if (!at) return false;
    const uint8_t *colon = skip_space(at, end);
    if (depth == 1 && at - start == 5 && memcmp(start, "\"exp\"", 5) == 0 && colon < end && *colon == ':')
      return read_numeric_date(skip_space(colon + 1, end), end, expiry);
  }
  return false;
}

static bool read_jwt(struct sb_bytes token, uint64_t *expiry) {
  const uint8_t *first = memchr(token.at, '.', token.len);
  if (!first) return false;
  const uint8_t *end = token.at + token.len;
  const uint8_t *second = memchr(first + 1, '.', (size_t)(end - first - 1));
  if (!second || first == token.at || end - second < 2) return false;
  struct sb_buf json = {0};
  bool ok = base64url_decode(sb_bytes(first + 1, (size_t)(second - first - 1)), &json) &&
            read_exp(sb_buf_bytes(&json), expiry);
  sb_buf_close(&json);
  return ok;
}

bool sb_servicebus_token_read(struct sb_bytes token, bool *jwt, uint64_t *expiry_unix_s) {
  const size_t skip = sizeof sas_prefix - 1;
  bool sas = token.len > skip && memcmp(token.at, sas_prefix, skip) == 0;
  /* It goes into a header of HTTP as it is: nothing that could begin another one. */
  for (size_t i = sas ? skip : 0; i < token.len; i++)
    if (token.at[i] <= ' ' || token.at[i] > '~') return false;
  *jwt = !sas;
  return sas ? read_sas(token, expiry_unix_s) : read_jwt(token, expiry_unix_s);
}
