/* One request at a time to the service's HTTPS interface, with a fresh token each, over libcurl. Every wait
 * is bounded, and so is what is taken of an answer. */
#ifndef SB_TRANSPORTS_SERVICEBUS_HTTP_H
#define SB_TRANSPORTS_SERVICEBUS_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/error.h"
#include "transports/net/tls_source.h"
#include "transports/servicebus/credentials.h"

struct sb_servicebus_management {
  const char *host;            /* "acme.servicebus.windows.net" */
  uint16_t port;               /* 443; an emulator's is 5300 */
  bool tls;                    /* false: plain HTTP, for emulators and tests only */
  const char *ca_file;         /* PEM; NULL: the system's authorities */
  struct sb_tls_source source; /* in place of it */
  bool verify;                 /* the server's certificate and the name in it */
  uint32_t connect_timeout_ms; /* for the name, TCP and TLS */
  uint32_t request_timeout_ms; /* for one request with everything */
  const atomic_bool *stop;     /* may be NULL */
  struct sb_servicebus_credentials credentials;
};

struct sb_servicebus_http;

/* Copies everything but *stop, which must live as long. Does not connect. NULL and an error when a setting is
 * unusable. */
struct sb_servicebus_http *sb_servicebus_http_new(const struct sb_servicebus_management *settings,
                                                  struct sb_error *error);
void sb_servicebus_http_free(struct sb_servicebus_http *http);

enum sb_servicebus_method { SB_SERVICEBUS_GET, SB_SERVICEBUS_PUT, SB_SERVICEBUS_DELETE };

struct sb_servicebus_request {
  enum sb_servicebus_method method;
  const char *path;  /* "hub-0/Subscriptions/web-01": of characters that need no encoding */
  const char *query; /* behind the api-version: "&$top=100"; "" for none */
  struct sb_bytes body;
};

/* Whatever status the answer has is a success. `answer` is replaced. Otherwise SB_ERR_LINK or SB_ERR_TIMEOUT;
 * SB_ERR_PROTOCOL for an answer that is none; SB_ERR_TOO_LARGE; or what sb_servicebus_token_make returns. */
int sb_servicebus_http_do(struct sb_servicebus_http *http, const struct sb_servicebus_request *request,
                          long *status, struct sb_buf *answer, struct sb_error *error);

/* Whether *stop is true. */
bool sb_servicebus_http_stopped(const struct sb_servicebus_http *http);

#endif
