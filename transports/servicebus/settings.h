/* How a Service Bus is reached and used: what the bridge says at construction. */
#ifndef SB_TRANSPORTS_SERVICEBUS_SETTINGS_H
#define SB_TRANSPORTS_SERVICEBUS_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/error.h"
#include "transports/net/tls_source.h"
#include "transports/servicebus/credentials.h"

#define SB_SERVICEBUS_HOST_MAX 253 /* bytes, without the zero; RFC 1035, as text */

enum sb_servicebus_auth {
  SB_SERVICEBUS_PLAIN, /* SASL PLAIN with name and key of a rule */
  SB_SERVICEBUS_CBS,   /* tokens over $cbs, renewed in time */
};

enum sb_servicebus_receive {
  SB_SERVICEBUS_PEEK_LOCK,
  SB_SERVICEBUS_RECEIVE_AND_DELETE, /* cheaper; what is on its way when the link is lost is a gap */
};

struct sb_servicebus_settings {
  const char *host;         /* "acme.servicebus.windows.net": also the name in the certificate */
  uint16_t port;            /* AMQP: 5671 */
  uint16_t management_port; /* HTTPS: 443 */
  bool plain;               /* no TLS, plain HTTP: for emulators and tests only */
  struct {
    const char *ca_file;         /* PEM; NULL: the system's authorities */
    struct sb_tls_source source; /* in place of the file, for each connection */
    bool verify;                 /* the service's certificate and the name in it */
  } tls;
  struct sb_servicebus_credentials credentials;
  enum sb_servicebus_auth auth;
  const char *container;    /* begin of the container id, such as the node's name */
  const char *subscription; /* this life's own, 1 to 50 bytes */
  const char *leftovers; /* subscriptions whose names begin so, and are as long as ours, were made by earlier
                            lives of this node; NULL: none */
  bool manage;           /* make topics and subscriptions; false: they are there */
  bool remove_on_stop;   /* our subscriptions, with `manage` */
  uint32_t lock_s;       /* of a delivery; without `manage`, what the subscriptions have; 1 to 300 */
  uint32_t ttl_s;
  uint32_t auto_delete_idle_s; /* of our subscriptions; 0: never */
  uint32_t max_size_mb;        /* of a topic */
  enum sb_servicebus_receive receive;
  uint32_t prefetch;           /* messages of one partition that may be here and not applied; 1 to 2000 */
  uint32_t connect_timeout_ms; /* for TCP and TLS, and once more for login and open */
  uint32_t rpc_timeout_ms;     /* for one question: attach, token, management; three times that for a send */
  uint32_t backoff_min_ms, backoff_max_ms;
  uint32_t token_check_ms;   /* how soon a token that was put into the file is used, at most */
  uint32_t busy_pause_ms;    /* how long not to send after server-busy */
  uint32_t idle_timeout_ms;  /* a service that is silent for so long is gone */
  uint32_t receive_quiet_ms; /* a receiver without a message for so long is attached anew; 0: never */
};

/* Sensible values for everything but host, credentials, container and subscription. */
void sb_servicebus_settings_default(struct sb_servicebus_settings *settings);

int sb_servicebus_settings_check(const struct sb_servicebus_settings *settings, struct sb_error *error);

/* Copies all texts. */
void sb_servicebus_settings_copy(struct sb_servicebus_settings *to,
                                 const struct sb_servicebus_settings *from);

/* Of a copy: frees the texts, and wipes what is secret. */
void sb_servicebus_settings_close(struct sb_servicebus_settings *copy);

#endif
