/* A connected socket, with TLS over it or without, whose user reads and writes when poll says so. Nothing
 * here blocks but _open, which waits for the handshake. One thread. */
#ifndef SB_TRANSPORTS_NET_STREAM_H
#define SB_TRANSPORTS_NET_STREAM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "bridge/base/error.h"
#include "transports/net/connect.h"
#include "transports/net/tls.h"

struct sb_net_stream {
  int fd;   /* -1: none */
  SSL *ssl; /* NULL: plain */
  SSL_CTX *ctx;
  bool read_wants_write, write_wants_read; /* TLS has something of its own to say first */
  struct sb_net_tls_peer peer;
};

/* What _read and _write return beside a number of bytes. */
enum { SB_NET_AGAIN = -1, SB_NET_BROKEN = -2 };

/* No socket yet: _close is allowed. */
void sb_net_stream_init(struct sb_net_stream *stream);

/* Takes `fd`, connected and non-blocking, also on an error. With `tls` (NULL: plain) it does the handshake
 * with `host`; on an error only _close is left to call. */
int sb_net_stream_open(struct sb_net_stream *stream, int fd, const struct sb_net_tls_settings *tls,
                       const char *host, const struct sb_net_wait *wait, int64_t until_ms,
                       struct sb_error *error);

/* Says goodbye as far as that does not block. */
void sb_net_stream_close(struct sb_net_stream *stream);

/* Bytes; 0 when the peer has ended; SB_NET_AGAIN; or SB_NET_BROKEN and an error. */
ssize_t sb_net_stream_read(struct sb_net_stream *stream, void *out, size_t size, struct sb_error *error);

/* After SB_NET_AGAIN the caller must offer the same bytes again. They may stand in another place, and more
 * may follow them. */
ssize_t sb_net_stream_write(struct sb_net_stream *stream, const void *bytes, size_t size,
                            struct sb_error *error);

/* What to poll for, so that reading or writing goes on. */
short sb_net_stream_events(const struct sb_net_stream *stream, bool read, bool write);

/* True when a read may have bytes though the socket has none. */
bool sb_net_stream_buffered(const struct sb_net_stream *stream);

#endif
