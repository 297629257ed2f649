/* Any text where Service Bus, or a person who uses it, gives us one. The first byte of the input chooses:
 *   c  a connection string: it has a host and one kind of credentials, or an error and nothing
 *   t  a token: what is taken for one can stand in a header of HTTP
 *   d  a duration: written and read again it is the same
 *   otherwise an answer of the management: values fit and errors are one line */
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/connection_string.h"
#include "tests/fuzz/require.h"
#include "transports/servicebus/atom.h"
#include "transports/servicebus/sas.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool filled(const char *text) {
  return text && *text;
}

static void read_connection_string(struct sb_bytes input) {
  struct sb_connection_string string;
  struct sb_error error = {0};
  char *text = sb_malloc(input.len + 1);
  if (input.len) memcpy(text, input.at, input.len);
  text[input.len] = 0;
  int rc = sb_connection_string_parse(text, &string, &error);
  if (rc == 0) {
    REQUIRE(filled(string.host));
    REQUIRE(filled(string.token) ? !string.rule && !string.key : filled(string.rule) && filled(string.key));
  } else {
    REQUIRE(rc == SB_ERR_INVALID && filled(error.text));
    REQUIRE(!string.host && !string.rule && !string.key && !string.token);
  }
  sb_connection_string_close(&string);
  free(text);
}

static void read_token(struct sb_bytes input) {
  static const char prefix[] = "SharedAccessSignature ";
  bool jwt;
  uint64_t expiry;
  if (!sb_servicebus_token_read(input, &jwt, &expiry)) return;
  REQUIRE(expiry <= INT64_MAX);
  for (size_t i = 0; i < input.len; i++) REQUIRE(input.at[i] >= ' ' && input.at[i] <= '~');
  bool signature = input.len >= sizeof prefix - 1 && memcmp(input.at, prefix, sizeof prefix - 1) == 0;
  REQUIRE(jwt != signature);
}

static void read_duration(struct sb_bytes input) {
  uint64_t ms, again;
  struct sb_buf text = {0};
  if (!sb_servicebus_duration_read(input, &ms)) return;
  sb_servicebus_duration_write(ms / 1000, &text);
  REQUIRE(sb_servicebus_duration_read(sb_buf_bytes(&text), &again));
  REQUIRE(again == ms / 1000 * 1000);
  sb_buf_close(&text);
}

static void on_title(void *owner, const char *title) {
  size_t *titles = owner;
  REQUIRE(strlen(title) > 0 && strlen(title) < 256);
  ++*titles;
}

static bool ends_within(const char *text, size_t size) {
  return memchr(text, 0, size) != NULL;
}

static void read_answer(struct sb_bytes input) {
  struct sb_servicebus_atom atom;
  struct sb_error error = {0};
  size_t titles = 0;
  int rc = sb_servicebus_atom_read(input, on_title, &titles, &atom, &error);
  REQUIRE(rc == 0 || (rc == SB_ERR_PROTOCOL && filled(error.text)));
  const struct sb_servicebus_description *is = &atom.description;
  REQUIRE(ends_within(is->status, sizeof is->status) && ends_within(is->created, sizeof is->created));
  REQUIRE(ends_within(atom.detail, sizeof atom.detail));
  for (const char *c = atom.detail; *c; c++) REQUIRE(!iscntrl((unsigned char)*c));
  if (atom.entries == 0) REQUIRE(is->kind == SB_SERVICEBUS_NO_ENTITY && titles == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  struct sb_bytes input = sb_bytes(data + 1, size - 1);
  switch (data[0]) {
  case 'c':
    read_connection_string(input);
    return 0;
  case 't':
    read_token(input);
    return 0;
  case 'd':
    read_duration(input);
    return 0;
  default:
    read_answer(input);
    return 0;
  }
}
