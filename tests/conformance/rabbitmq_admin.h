/* The suite's own way to the broker, past the transport: puts messages into streams and does to streams what
 * people do to them. One blocking connection, made when it is first needed. Whatever goes wrong fails the
 * running test. */
#ifndef SB_TESTS_CONFORMANCE_RABBITMQ_ADMIN_H
#define SB_TESTS_CONFORMANCE_RABBITMQ_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/body.h"
#include "bridge/base/envelope.h"

struct admin {
  uint16_t port;
  char prefix[64];
  uint64_t max_bytes, segment_bytes; /* of the streams, as the transport declares them */
  void *connection;
  uint64_t published; /* on this connection */
};

void admin_disconnect(struct admin *admin);

/* True when the broker takes connections. */
bool admin_try(struct admin *admin);

void admin_remove_all(struct admin *admin, uint32_t partitions); /* streams and exchange, if they are there */
void admin_remake(struct admin *admin, uint32_t partition);
void admin_bind(struct admin *admin, uint32_t partition, bool bound);

/* All return after the broker has confirmed. */
void admin_append(struct admin *admin, uint32_t partition, const struct sb_envelope *envelope,
                  const struct sb_body *body);
void admin_append_foreign(struct admin *admin, uint32_t partition, const char *channel,
                          const struct sb_body *body);
bool admin_append_malformed(struct admin *admin, uint32_t partition, unsigned n, const struct sb_body *body);

/* Whether the first message that the stream still has is a foreign one. */
bool admin_first_is_foreign(struct admin *admin, uint32_t partition);

#endif
