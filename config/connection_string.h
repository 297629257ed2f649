/* The connection string of a Service Bus namespace, as portals and SDKs have it:
 *
 *   Endpoint=sb://<host>[:<port>][/];SharedAccessKeyName=<rule>;SharedAccessKey=<key>
 *   Endpoint=sb://<host>[:<port>][/];SharedAccessSignature=SharedAccessSignature sr=…&sig=…&se=…&skn=…
 *
 * and UseDevelopmentEmulator=true. Names in any case and order; a value ends at the next ';'. */
#ifndef SB_CONFIG_CONNECTION_STRING_H
#define SB_CONFIG_CONNECTION_STRING_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/error.h"

#define SB_CONNECTION_STRING_MAX 1024 /* bytes; a real one has about 200 */

/* Texts are its own. Either rule and key, or token. */
struct sb_connection_string {
  char *host;
  uint16_t port; /* 0: the string has none */
  char *rule, *key;
  char *token; /* a shared access signature */
  bool emulator;
};

/* Returns 0, or SB_ERR_INVALID with a text that names keys but never shows a value; then `out` is empty. */
int sb_connection_string_parse(const char *text, struct sb_connection_string *out, struct sb_error *error);

/* Wipes and frees the texts. */
void sb_connection_string_close(struct sb_connection_string *string);

#endif
