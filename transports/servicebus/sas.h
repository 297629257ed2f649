/* Shared access signatures of Azure Service Bus, and what a token tells about itself. Pure: no clock, no
 * file. */
#ifndef SB_TRANSPORTS_SERVICEBUS_SAS_H
#define SB_TRANSPORTS_SERVICEBUS_SAS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"

#define SB_SERVICEBUS_URI_MAX      1024 /* a host name of 253 bytes, a topic path of 260, a subscription of 50 */
#define SB_SERVICEBUS_KEY_NAME_MAX 256  /* of a rule, in bytes */
#define SB_SERVICEBUS_KEY_MAX      1024 /* as displayed; the portal's have 44 */

/* Replaces what `out` holds by "SharedAccessSignature sr=…&sig=…&se=…&skn=…" for `uri`, such as
 * "amqps://acme.servicebus.windows.net/hub-0" or "https://…", and everything below it. The key is its raw
 * text as displayed, not what base64 makes of it. The signature is a secret until it expires: wipe it when
 * done. Returns 0, or SB_ERR_INVALID when a text is empty or too long, SB_ERR_SYSTEM when OpenSSL refused. */
int sb_servicebus_sas(const char *uri, const char *key_name, const char *key, uint64_t expiry_unix_s,
                      struct sb_buf *out);

/* What a token that somebody else made says of itself: "SharedAccessSignature …&se=<seconds>…" or a JWT with
 * an `exp` claim. False when it is neither, or has no expiry that can be read. The signature is not checked:
 * the service does that. */
bool sb_servicebus_token_read(struct sb_bytes token, bool *jwt, uint64_t *expiry_unix_s);

#endif
