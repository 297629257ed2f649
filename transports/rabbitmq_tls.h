/* TLS for a rabbitmq-c socket. rabbitmq-c says of a failed handshake only that it failed; so OpenSSL itself
 * checks chain and name here, on the context that rabbitmq-c uses, and what it found is kept for people. */
#ifndef SB_TRANSPORTS_RABBITMQ_TLS_H
#define SB_TRANSPORTS_RABBITMQ_TLS_H

#include "bridge/base/error.h"
#include "transports/rabbitmq.h"
#include "transports/rabbitmq_amqp.h"

struct sb_rabbitmq_tls_verdict {
  char text[256]; /* why the broker's certificate was refused; empty: it was not */
};

/* Before the socket is opened. `verdict` must live as long as the socket. */
int sb_rabbitmq_tls_prepare(amqp_socket_t *socket, const struct sb_rabbitmq_settings *settings,
                            const char *host, struct sb_rabbitmq_tls_verdict *verdict,
                            struct sb_error *error);

/* Right after a call on this thread failed in TLS, to say why. Returns the code. */
int sb_rabbitmq_tls_explain(const struct sb_rabbitmq_tls_verdict *verdict, struct sb_error *error);

#endif
