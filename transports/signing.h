/* Who may speak in the logs of a hub: with a key, nodes sign what they send, and what comes without a
 * signature of that key is marked as refused before the bridge sees it. HMAC-SHA-256 over what
 * sb_envelope_signed_head says, then the body as it travels. The key is the text of its file.
 *
 * A node without a key has no sb_signing: it refuses what is signed, so that hubs with and without a key do
 * not mix in one log. Any thread may sign and judge while another sets the keys. */
#ifndef SB_TRANSPORTS_SIGNING_H
#define SB_TRANSPORTS_SIGNING_H

#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/envelope.h"
#include "bridge/base/error.h"
#include "transports/transport.h"

struct sb_signing;

/* Copies all. `other` is accepted beside `key` and signs nothing; NULL: there is none. NULL and an error when
 * OpenSSL does not do it. */
struct sb_signing *sb_signing_new(const char *prefix, const char *key, const char *other,
                                  struct sb_error *error);

/* NULL is allowed. Nobody may use it any more. */
void sb_signing_free(struct sb_signing *signing);

/* From now on these are the keys. On an error those before stay. */
int sb_signing_set(struct sb_signing *signing, const char *key, const char *other, struct sb_error *error);

/* Puts the signature into the envelope. */
void sb_signing_sign(struct sb_signing *signing, uint32_t partition, struct sb_envelope *envelope,
                     const struct sb_body *body);

/* Sets `refused` in the envelope of a delivery that may not be in this log, unless it is set already.
 * `signing` is NULL at a node without a key. */
void sb_signing_judge(struct sb_signing *signing, uint32_t partition, struct sb_delivery *delivery);

#endif
