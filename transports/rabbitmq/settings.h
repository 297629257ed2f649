/* How a RabbitMQ is reached and used: what the bridge says at construction. */
#ifndef SB_TRANSPORTS_RABBITMQ_SETTINGS_H
#define SB_TRANSPORTS_RABBITMQ_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/error.h"
#include "transports/net/login.h"
#include "transports/net/tls_source.h"

#define SB_RABBITMQ_USER_MAX 255 /* AMQP 0-9-1: a short string */

/* Users of the broker who may speak for nodes; none: anybody who may write. */
struct sb_rabbitmq_trust {
  const char *const *users;
  size_t count;
};

struct sb_rabbitmq_settings {
  const char *const *hosts; /* "amqp://host[:port]" or "amqps://host[:port]"; an IPv6 address in brackets */
  size_t host_count;        /* at least 1 */
  const char *vhost;
  const char *user, *password;
  struct sb_login_source login; /* used in place of these two, for each attempt */
  struct sb_rabbitmq_trust trust;
  struct {
    const char *ca_file;              /* PEM; NULL: the system's authorities */
    const char *cert_file, *key_file; /* PEM; NULL: no client certificate */
    struct sb_tls_source source;      /* in place of the files, for each connection */
    bool verify;                      /* the broker's certificate and the name in it */
  } tls;
  uint32_t heartbeat_s;   /* 0: none; the broker may lower it */
  bool declare;           /* make the exchange and the streams; false: only look whether they are there */
  bool foreign_exchange;  /* other programs have an exchange of their own, "<prefix>.foreign" */
  const char *max_age;    /* x-max-age, such as "1h"; NULL: no limit */
  uint64_t max_bytes;     /* x-max-length-bytes; 0: no limit */
  uint64_t segment_bytes; /* x-stream-max-segment-size-bytes; 0: the broker's default */
  uint32_t prefetch;      /* deliveries of one stream that may be unacknowledged; 1 to 65535 */
  uint32_t connect_timeout_ms; /* for the TCP and TLS connection, and once more for the login */
  uint32_t rpc_timeout_ms;     /* for one question to the broker */
  uint32_t backoff_min_ms, backoff_max_ms;
  uint32_t read_back_silence_ms; /* a reading back to which nothing comes for so long fails; 0: 5 s */
  uint32_t read_back_idle_ms;    /* its connection is kept for so long without one; 0: 30 s */
  uint32_t echo_limit_ms;        /* what was confirmed must come to the reader within it; 0: 5 s */
  uint32_t behind_ms;            /* a stream that ends too early may be a copy for so long; 0: 30 s */
  uint32_t remind_ms;            /* an outage that lasts is told so often; 0: 5 min */
  const char *connection_name;   /* shown by the broker's tools; NULL: none */
};

/* Sensible values for everything but hosts. */
void sb_rabbitmq_settings_default(struct sb_rabbitmq_settings *settings);

/* Whether they can be used together; the hosts are looked at when they are parsed. */
int sb_rabbitmq_settings_check(const struct sb_rabbitmq_settings *settings, struct sb_error *error);

/* Copies all texts but the hosts, which stay those of `from`, and puts a default where 0 stands for one. */
void sb_rabbitmq_settings_copy(struct sb_rabbitmq_settings *to, const struct sb_rabbitmq_settings *from);

/* Of a copy: wipes the password, frees the texts. */
void sb_rabbitmq_settings_close(struct sb_rabbitmq_settings *copy);

#endif
