/* The envelope of a batch as an AMQP 1.0 message, both ways (docs/wire.md). Pure: no connection. */
#ifndef SB_TRANSPORTS_SERVICEBUS_MESSAGE_H
#define SB_TRANSPORTS_SERVICEBUS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/bytes.h"
#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"

/* Replaces what `out` holds by all of a message but the bytes of its body, which follow: at most
 * SB_SERVICEBUS_HEAD_MAX. `id` is the message-id, at most 128 bytes. A foreign envelope has no such form:
 * only what this hub sends is encoded. */
void sb_servicebus_message_encode(const struct sb_envelope *envelope, const char *id, size_t body_len,
                                  struct sb_buf *out);

struct sb_servicebus_message {
  struct sb_envelope envelope;
  struct sb_body *channel; /* of a foreign message that names a usable one, else NULL; the taker's */
  struct sb_body *body;    /* never NULL; the taker's */
  bool has_number, has_sequence;
  uint64_t number;          /* x-opt-sequence-number: the subscription's own, without holes */
  uint64_t sequence;        /* x-opt-enqueue-sequence-number: the topic's */
  uint64_t enqueued_ms;     /* the service's time; 0: not told */
  uint64_t locked_until_ms; /* the same */
  uint64_t print;           /* tells this message from another with the same numbers */
};

/* Never fails: what cannot be understood is marked in the envelope as malformed. */
void sb_servicebus_message_decode(struct sb_bytes bytes, struct sb_servicebus_message *message);
void sb_servicebus_message_close(struct sb_servicebus_message *message);

#endif
