#include "transports/servicebus/credentials.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/base/file.h"
#include "bridge/base/wipe.h"
#include "transports/servicebus/sas.h"

void sb_servicebus_credentials_copy(struct sb_servicebus_credentials *to,
                                    const struct sb_servicebus_credentials *from) {
  *to = *from;
  if (from->key_name) to->key_name = sb_strdup(from->key_name);
  if (from->key) to->key = sb_strdup(from->key);
  if (from->token_file) to->token_file = sb_strdup(from->token_file);
  if (from->token) to->token = sb_strdup(from->token);
}

void sb_servicebus_credentials_close(struct sb_servicebus_credentials *copy) {
  sb_wipe_free((char *)copy->key_name);
  sb_wipe_free((char *)copy->key);
  sb_wipe_free((char *)copy->token_file);
  sb_wipe_free((char *)copy->token);
  *copy = (struct sb_servicebus_credentials){0};
}

void sb_servicebus_credentials_now(const struct sb_servicebus_credentials *credentials,
                                   struct sb_servicebus_credentials *copy) {
  if (!credentials->login.read) {
    sb_servicebus_credentials_copy(copy, credentials);
    return;
  }
  struct sb_login who = {0};
  credentials->login.read(credentials->login.owner, &who);
  *copy = (struct sb_servicebus_credentials){.kind = SB_SERVICEBUS_KEY,
                                             .key_name = who.name,
                                             .key = who.secret,
                                             .token_file = who.token_file,
                                             .sas_lifetime_s = credentials->sas_lifetime_s};
  if (who.token_file) {
    copy->kind = SB_SERVICEBUS_TOKEN_FILE;
  } else if (!who.name) {
    copy->kind = SB_SERVICEBUS_TOKEN;
    copy->token = who.secret;
    copy->key = NULL;
  }
}

static bool within(const char *text, size_t most) {
  return text && *text && strlen(text) <= most;
}

static int check_texts(const struct sb_servicebus_credentials *credentials, struct sb_error *error) {
  switch (credentials->kind) {
  case SB_SERVICEBUS_KEY:
    if (!within(credentials->key_name, SB_SERVICEBUS_KEY_NAME_MAX))
      return sb_error_set(error, SB_ERR_INVALID, "the name of the key has no or more than %d bytes",
                          SB_SERVICEBUS_KEY_NAME_MAX);
    if (!within(credentials->key, SB_SERVICEBUS_KEY_MAX))
      return sb_error_set(error, SB_ERR_INVALID, "the key has no or more than %d bytes",
                          SB_SERVICEBUS_KEY_MAX);
    return 0;
  case SB_SERVICEBUS_TOKEN_FILE:
    if (credentials->token_file && *credentials->token_file) return 0;
    return sb_error_set(error, SB_ERR_INVALID, "there is no token file");
  case SB_SERVICEBUS_TOKEN:
    if (within(credentials->token, SB_SERVICEBUS_TOKEN_BYTES_MAX)) return 0;
    return sb_error_set(error, SB_ERR_INVALID, "the token has no or more than %d bytes",
                        SB_SERVICEBUS_TOKEN_BYTES_MAX);
  }
  return sb_error_set(error, SB_ERR_INVALID, "there are no credentials");
}

int sb_servicebus_credentials_check(const struct sb_servicebus_credentials *credentials,
                                    struct sb_error *error) {
  struct sb_servicebus_credentials now;
  sb_servicebus_credentials_now(credentials, &now);
  int rc = check_texts(&now, error);
  sb_servicebus_credentials_close(&now);
  return rc;
}

static bool is_space(uint8_t c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void trim(struct sb_buf *text) {
  size_t from = 0;
  while (text->len > 0 && is_space(text->data[text->len - 1])) text->len--;
  while (from < text->len && is_space(text->data[from])) from++;
  memmove(text->data, text->data + from, text->len - from);
  text->len -= from;
}

/* `out` has room for SB_SERVICEBUS_TOKEN_BYTES_MAX and two more bytes. */
static int read_file(const char *path, struct sb_buf *out, struct sb_error *error) {
  struct stat stat;
  int rc = 0, fd = sb_file_open("the token file ", path, &stat, error);
  if (fd < 0) return fd;
  int failed = sb_file_read(fd, out->data, SB_SERVICEBUS_TOKEN_BYTES_MAX + 1, &out->len);
  if (failed) {
    rc = sb_error_errno(error, failed, "cannot read the token file %s", path);
    goto out;
  }
  if (out->len > SB_SERVICEBUS_TOKEN_BYTES_MAX) {
    rc = sb_error_set(error, SB_ERR_INVALID, "the token file %s is larger than %d bytes: not a token", path,
                      SB_SERVICEBUS_TOKEN_BYTES_MAX);
    goto out;
  }
  trim(out);
out:
  close(fd);
  return rc;
}

/* Judges a token that somebody else made: it must be one, and must not have expired. */
static int judge(struct sb_servicebus_token *token, const char *from, uint64_t now, struct sb_error *error) {
  if (!sb_servicebus_token_read(sb_buf_bytes(&token->text), &token->jwt, &token->expiry_unix_s))
    return sb_error_set(error, SB_ERR_INVALID,
                        "%s holds no token: expected \"SharedAccessSignature …&se=…\" or a JWT with an exp "
                        "claim, alone",
                        from);
  if (token->expiry_unix_s <= now)
    return sb_error_set(error, SB_ERR_REFUSED,
                        "the token in %s expired %" PRIu64 " s ago: see what should renew it", from,
                        now - token->expiry_unix_s);
  return 0;
}

static int make(const struct sb_servicebus_credentials *credentials, const char *uri, uint64_t now,
                struct sb_servicebus_token *out, struct sb_error *error) {
  uint32_t lifetime = credentials->sas_lifetime_s;
  int rc;
  switch (credentials->kind) {
  case SB_SERVICEBUS_KEY:
    out->jwt = false;
    out->expiry_unix_s = now + (lifetime ? lifetime : SB_SERVICEBUS_SAS_LIFETIME_S);
    rc = sb_servicebus_sas(uri, credentials->key_name, credentials->key, out->expiry_unix_s, &out->text);
    return rc ? sb_error_set(error, rc, "cannot sign a token for %s", uri) : 0;
  case SB_SERVICEBUS_TOKEN_FILE:
    rc = read_file(credentials->token_file, &out->text, error);
    if (rc) return rc;
    return judge(out, credentials->token_file, now, error);
  case SB_SERVICEBUS_TOKEN:
    sb_buf_text(&out->text, credentials->token);
    return judge(out, "the connection string", now, error);
  }
  return SB_ERR_INVALID;
}

int sb_servicebus_token_make(const struct sb_servicebus_credentials *credentials, const char *uri,
                             uint64_t now_unix_s, struct sb_servicebus_token *out, struct sb_error *error) {
  struct sb_servicebus_credentials now;
  sb_servicebus_credentials_now(credentials, &now);
  sb_buf_clear(&out->text);
  /* At once, so that no growth leaves a copy behind: a signed token has three times the URI and 400 bytes. */
  sb_buf_reserve(&out->text, SB_SERVICEBUS_TOKEN_BYTES_MAX + 2);
  int rc = check_texts(&now, error);
  if (rc == 0) rc = make(&now, uri, now_unix_s, out, error);
  sb_servicebus_credentials_close(&now);
  if (rc)
    sb_servicebus_token_close(out);
  else
    out->text.data[out->text.len] = 0;
  return rc;
}

void sb_servicebus_token_close(struct sb_servicebus_token *token) {
  if (token->text.data) explicit_bzero(token->text.data, token->text.cap);
  sb_buf_close(&token->text);
  *token = (struct sb_servicebus_token){0};
}
