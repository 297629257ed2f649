/* The envelope of a batch as AMQP 0-9-1 basic properties, both ways (docs/wire.md). Pure: no connection. */
#ifndef SB_TRANSPORTS_RABBITMQ_HEADERS_H
#define SB_TRANSPORTS_RABBITMQ_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/envelope.h"
#include "transports/rabbitmq/amqp.h"
#include "transports/rabbitmq/settings.h"

#define SB_RABBITMQ_HEADERS     9  /* of every batch */
#define SB_RABBITMQ_HEADERS_MAX 11 /* and sb-sum, where it claims something; sb-mac, where it is signed */

/* What the properties point to; must not move or end before they were sent. */
struct sb_rabbitmq_headers {
  amqp_basic_properties_t properties;
  amqp_table_entry_t entries[SB_RABBITMQ_HEADERS_MAX];
  char incarnation[SB_INCARNATION_TEXT];
  char node[SB_NODE_NAME_MAX + 1];
  char claim[SB_CLAIM_TEXT];
  char mac[SB_MAC_TEXT];
};

/* A foreign envelope has no such form: only what this hub sends is encoded. */
void sb_rabbitmq_headers_encode(struct sb_rabbitmq_headers *headers, const struct sb_envelope *envelope);

/* Names the user that sends it. The broker refuses the message when another user has logged in. The text must
 * live until the message was sent. */
void sb_rabbitmq_headers_say_user(struct sb_rabbitmq_headers *headers, const char *user);

struct sb_rabbitmq_meta {
  struct sb_envelope envelope;
  struct sb_body *channel; /* of a foreign message that names a usable one, else NULL; the caller's */
  bool has_offset;
  uint64_t offset; /* x-stream-offset */
};

/* Never fails: what cannot be understood is marked in the envelope as malformed. What speaks for a node, but
 * names no user of `trust` or came `outside`, through the exchange of other programs, is marked as refused.
 */
void sb_rabbitmq_headers_decode(const amqp_basic_properties_t *properties,
                                const struct sb_rabbitmq_trust *trust, bool outside,
                                struct sb_rabbitmq_meta *meta);

/* Tells a message from another one at the same offset. It takes only both ends of the body: batches that
 * differ in between differ in number, time or length as well. */
uint64_t sb_rabbitmq_fingerprint(const struct sb_envelope *envelope, const struct sb_body *channel,
                                 const struct sb_body *body);

#endif
