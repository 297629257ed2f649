#include "config/connection_string.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/base/wipe.h"
#include "config/config_keys.h"
#include "config/suggest.h"

#define RULE_BYTES_MAX 256 /* of Service Bus */
#define NAME_SHOWN_MAX 30  /* a longer "name" may be a secret in the wrong place: keys have 44 letters */

enum key { ENDPOINT, RULE, KEY, SIGNATURE, ENTITY_PATH, EMULATOR, KEY_COUNT };

static const char *const names[KEY_COUNT] = {
    [ENDPOINT] = "Endpoint",      [RULE] = "SharedAccessKeyName",
    [KEY] = "SharedAccessKey",    [SIGNATURE] = "SharedAccessSignature",
    [ENTITY_PATH] = "EntityPath", [EMULATOR] = "UseDevelopmentEmulator",
};

/* Views into the text. */
struct parts {
  bool has[KEY_COUNT];
  struct sb_bytes values[KEY_COUNT];
};

static struct sb_bytes trimmed(const char *at, size_t len) {
  while (len > 0 && isspace((unsigned char)at[len - 1])) len--;
  for (; len > 0 && isspace((unsigned char)*at); at++) len--;
  return sb_bytes(at, len);
}

static bool same(struct sb_bytes text, const char *name) {
  return text.len == strlen(name) && strncasecmp((const char *)text.at, name, text.len) == 0;
}

static int none_at_all(struct sb_error *error) {
  return sb_error_set(error, SB_ERR_INVALID,
                      "is no connection string: expected Endpoint=sb://…;SharedAccessKeyName=…;"
                      "SharedAccessKey=…");
}

static int unknown(struct sb_bytes name, struct sb_error *error) {
  char shown[NAME_SHOWN_MAX + 1];
  bool looks_like_a_name = name.len > 0 && name.len <= NAME_SHOWN_MAX;
  for (size_t i = 0; i < name.len; i++) looks_like_a_name &= isalpha(name.at[i]) != 0;
  if (!looks_like_a_name) return none_at_all(error);
  memcpy(shown, name.at, name.len);
  shown[name.len] = 0;
  struct sb_suggestion near = {.wrote = shown};
  for (size_t i = 0; i < KEY_COUNT; i++) sb_suggest(&near, names[i]);
  if (near.best)
    return sb_error_set(error, SB_ERR_INVALID, "has an unknown key \"%s\"; did you mean \"%s\"?", shown,
                        near.best);
  return sb_error_set(error, SB_ERR_INVALID, "has an unknown key \"%s\"; leave it out", shown);
}

static int take_part(struct parts *parts, struct sb_bytes part, struct sb_error *error) {
  const char *at = (const char *)part.at, *equals = memchr(at, '=', part.len);
  struct sb_bytes name = trimmed(at, equals ? (size_t)(equals - at) : 0);
  size_t key = 0;
  while (key < KEY_COUNT && !(equals && same(name, names[key]))) key++;
  if (key == KEY_COUNT) return unknown(name, error);
  struct sb_bytes value = trimmed(equals + 1, part.len - (size_t)(equals - at) - 1);
  if (parts->has[key]) return sb_error_set(error, SB_ERR_INVALID, "has %s twice", names[key]);
  if (value.len == 0) return sb_error_set(error, SB_ERR_INVALID, "has an empty %s", names[key]);
  parts->has[key] = true;
  parts->values[key] = value;
  return 0;
}

static int split(const char *text, struct parts *parts, struct sb_error *error) {
  while (*text) {
    size_t len = strcspn(text, ";");
    struct sb_bytes part = trimmed(text, len);
    int rc = part.len ? take_part(parts, part, error) : 0;
    if (rc) return rc;
    text += len;
    if (*text) text++;
  }
  return 0;
}

static int check(const struct parts *parts, struct sb_error *error) {
  const bool *has = parts->has;
  if (has[ENTITY_PATH])
    return sb_error_set(
        error, SB_ERR_INVALID,
        "has EntityPath, which names one entity; leave it out: topics are named by topics.prefix");
  if (!has[ENDPOINT])
    return sb_error_set(error, SB_ERR_INVALID, "has no Endpoint; write Endpoint=sb://<namespace host>");
  if (has[SIGNATURE] && (has[RULE] || has[KEY]))
    return sb_error_set(error, SB_ERR_INVALID, "has SharedAccessSignature beside %s; one of them is enough",
                        has[KEY] ? names[KEY] : names[RULE]);
  if (!has[SIGNATURE] && !has[RULE]) return sb_error_set(error, SB_ERR_INVALID, "has no %s", names[RULE]);
  if (!has[SIGNATURE] && !has[KEY]) return sb_error_set(error, SB_ERR_INVALID, "has no %s", names[KEY]);
  if (has[RULE] && parts->values[RULE].len > RULE_BYTES_MAX)
    return sb_error_set(error, SB_ERR_INVALID, "has a %s of more than %d bytes", names[RULE], RULE_BYTES_MAX);
  return 0;
}

static char *copy_of(struct sb_bytes value) {
  char *text = sb_malloc(value.len + 1);
  if (value.len) memcpy(text, value.at, value.len);
  text[value.len] = 0;
  return text;
}

static int read_endpoint(struct sb_bytes value, struct sb_connection_string *out, struct sb_error *error) {
  static const char scheme[] = "sb://";
  char *text = copy_of(value), *host = text + sizeof scheme - 1;
  bool ours = value.len >= sizeof scheme && strncasecmp(text, scheme, sizeof scheme - 1) == 0;
  if (ours && text[value.len - 1] == '/') text[value.len - 1] = 0;
  struct sb_config_host parsed;
  const char *wrong = ours ? sb_config_namespace_parse(host, &parsed) : "";
  free(text);
  if (wrong)
    return sb_error_set(
        error, SB_ERR_INVALID,
        "has an Endpoint that is none; write Endpoint=sb://<namespace host>, or with :<port>");
  out->host = parsed.name;
  out->port = parsed.port;
  return 0;
}

static int read_emulator(struct sb_bytes value, bool *out, struct sb_error *error) {
  *out = same(value, "true");
  if (*out || same(value, "false")) return 0;
  return sb_error_set(error, SB_ERR_INVALID, "has a %s that is neither true nor false", names[EMULATOR]);
}

int sb_connection_string_parse(const char *text, struct sb_connection_string *out, struct sb_error *error) {
  struct parts parts = {0};
  *out = (struct sb_connection_string){0};
  if (strnlen(text, SB_CONNECTION_STRING_MAX + 1) > SB_CONNECTION_STRING_MAX)
    return sb_error_set(error, SB_ERR_INVALID, "has more than %d bytes", SB_CONNECTION_STRING_MAX);
  /* A key alone ends with '=', and must not pass for the name of something. */
  if (!strchr(text, ';')) return none_at_all(error);
  int rc = split(text, &parts, error);
  if (rc == 0) rc = check(&parts, error);
  if (rc == 0) rc = read_endpoint(parts.values[ENDPOINT], out, error);
  if (rc == 0 && parts.has[EMULATOR]) rc = read_emulator(parts.values[EMULATOR], &out->emulator, error);
  if (rc) {
    sb_connection_string_close(out);
    return rc;
  }
  if (parts.has[RULE]) out->rule = copy_of(parts.values[RULE]);
  if (parts.has[KEY]) out->key = copy_of(parts.values[KEY]);
  if (parts.has[SIGNATURE]) out->token = copy_of(parts.values[SIGNATURE]);
  return 0;
}

void sb_connection_string_close(struct sb_connection_string *string) {
  free(string->host);
  free(string->rule);
  sb_wipe_free(string->key);
  sb_wipe_free(string->token);
  *string = (struct sb_connection_string){0};
}
