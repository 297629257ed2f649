/* What a peer that is no AMQP broker says first, so that a wrong port has a clear error. Pure. */
#ifndef SB_TRANSPORTS_NET_GREETING_H
#define SB_TRANSPORTS_NET_GREETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many bytes are enough to tell. */
#define SB_NET_GREETING_BYTES 8

/* A record of TLS 1.0 to 1.3, such as an alert. */
bool sb_net_greeting_is_tls(const uint8_t *head, size_t len);

#define SB_NET_GREETING_AMQP_0_9_1 "AMQP 0-9-1"
#define SB_NET_GREETING_AMQP_1_0   "AMQP 1.0"
#define SB_NET_GREETING_TLS        "TLS"

/* One of these, "HTTP", "Redis", "SSH" and the like, or "no protocol that is known". */
const char *sb_net_greeting_name(const uint8_t *head, size_t len);

#endif
