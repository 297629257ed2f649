/* How this node shows the service who it is, shared by the AMQP side (PLAIN, or claims over $cbs) and the
 * management over HTTPS. */
#ifndef SB_TRANSPORTS_SERVICEBUS_CREDENTIALS_H
#define SB_TRANSPORTS_SERVICEBUS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/error.h"
#include "transports/net/login.h"

#define SB_SERVICEBUS_SAS_LIFETIME_S  3600  /* of the tokens that we sign, as the SDKs have it */
#define SB_SERVICEBUS_TOKEN_BYTES_MAX 16384 /* of a token; those of Entra ID have 1 to 4 KiB */

enum sb_servicebus_credentials_kind {
  SB_SERVICEBUS_KEY,        /* key_name and key: we sign our own tokens; the only kind that PLAIN takes */
  SB_SERVICEBUS_TOKEN_FILE, /* token_file holds a signature or a JWT that something else renews */
  SB_SERVICEBUS_TOKEN,      /* token is a signature that nobody renews: it ends at its expiry */
};

/* Texts belong to whoever filled it in; those of other kinds are NULL. With a source, which must live as long
 * as the transport, kind and texts are what it gives, anew each time. */
struct sb_servicebus_credentials {
  struct sb_login_source login;
  enum sb_servicebus_credentials_kind kind;
  const char *key_name, *key;
  const char *token_file;
  const char *token;
  uint32_t sas_lifetime_s; /* of the tokens that we sign; 0: SB_SERVICEBUS_SAS_LIFETIME_S */
};

/* Zeroed is empty. */
struct sb_servicebus_token {
  struct sb_buf text; /* ended by a zero that text.len does not count */
  bool jwt;           /* $cbs type "jwt", HTTP "Bearer <text>"; else "servicebus.windows.net:sastoken" and the
                         text alone */
  uint64_t expiry_unix_s; /* later than `now_unix_s` */
};

/* What holds now: a copy without a source. */
void sb_servicebus_credentials_now(const struct sb_servicebus_credentials *credentials,
                                   struct sb_servicebus_credentials *copy);

/* A deep copy whose texts are the copy's own: settings are often gone after a constructor. */
void sb_servicebus_credentials_copy(struct sb_servicebus_credentials *to,
                                    const struct sb_servicebus_credentials *from);
/* Wipes and frees the texts; only for copies. */
void sb_servicebus_credentials_close(struct sb_servicebus_credentials *copy);

/* Whether the fields that the kind needs are there and of a sane length. */
int sb_servicebus_credentials_check(const struct sb_servicebus_credentials *credentials,
                                    struct sb_error *error);

/* A token that is good for `uri` and everything below it: signed now, or read from the file anew, so call it
 * again for a renewal. Replaces what `out` held. Returns 0, or SB_ERR_SYSTEM when the file cannot be read,
 * SB_ERR_INVALID when it holds no token, SB_ERR_REFUSED when the token has expired and waits for its renewal;
 * no text ever tells what is in it. Reads one small file, nothing else blocks. Any thread. */
int sb_servicebus_token_make(const struct sb_servicebus_credentials *credentials, const char *uri,
                             uint64_t now_unix_s, struct sb_servicebus_token *out, struct sb_error *error);

/* Wipes it. */
void sb_servicebus_token_close(struct sb_servicebus_token *token);

#endif
