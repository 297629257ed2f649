/* What TLS means here, for every link and whichever library makes it. At least TLS 1.2, with a server that
 * is authenticated by a certificate and a cipher that encrypts; this also holds when the certificate is not
 * verified. Names are looked for where RFC 6125 wants them, in the subject alternative names: never in the
 * common name, with no wildcard but a whole left-most label, and addresses only as addresses.
 *
 * Files are read at each set-up, so a changed authority or certificate holds from the next connection on. */
#ifndef SB_TRANSPORTS_NET_TLS_H
#define SB_TRANSPORTS_NET_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/error.h"
#include "transports/net/tls_source.h"

#define SB_NET_TLS_HEAD_BYTES 5 /* a record's header */

struct sb_net_tls_settings {
  const char *ca_file;              /* PEM; NULL: the system's authorities */
  const char *cert_file, *key_file; /* PEM; NULL: no client certificate */
  struct sb_tls_source source;      /* in place of the files */
  bool verify;                      /* the server's certificate and the name in it */
};

/* One connection's other side: whom we want to meet, and what was seen, for people. */
struct sb_net_tls_peer {
  void (*began)(void *owner, int fd); /* a handshake begins on this socket; NULL: nobody wants to know */
  void *owner;

  /* ---- this module's ---- */
  char name[256];    /* in the certificate: a name without a dot at its end, or an address without a zone */
  bool numeric;      /* it is an address */
  char verdict[384]; /* why the certificate was refused; empty: it was not */
  uint8_t head[SB_NET_TLS_HEAD_BYTES]; /* the first bytes that the peer sent */
  size_t head_len;
  bool established; /* the handshake is done */
};

/* Sets `ctx`, fresh from SSL_CTX_new, up for one connection to `host` (without brackets). `peer` must live
 * as long as `ctx`; `began` and `owner` are the caller's to set before. */
int sb_net_tls_set_up(SSL_CTX *ctx, const struct sb_net_tls_settings *settings, const char *host,
                      struct sb_net_tls_peer *peer, struct sb_error *error);

/* Right after a call on this thread failed in TLS, to say why. Returns the code. */
int sb_net_tls_explain(const struct sb_net_tls_peer *peer, struct sb_error *error);

/* For a connection that ended after the handshake (if it had one), before the server said a word. With TLS
 * 1.3 a server refuses a client's certificate only then, and the alert that says so may be lost with the
 * connection. Adds this to `error`, which holds the reason that is known, and returns the code. */
int sb_net_tls_explain_silence(const struct sb_net_tls_peer *peer, struct sb_error *error);

#endif
