#include "transports/net/stream.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the socket under TLS ---- */

/* OpenSSL's own writes with write(2), which would raise SIGPIPE. */
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;
static BIO_METHOD *bio_method;

static int bio_write(BIO *bio, const char *bytes, int len) {
  int fd = -1;
  BIO_get_fd(bio, &fd);
  ssize_t n = send(fd, bytes, (size_t)len, MSG_NOSIGNAL);
  BIO_clear_retry_flags(bio);
  if (n < 0 && BIO_sock_should_retry((int)n)) BIO_set_retry_write(bio);
  return (int)n;
}

static void make_bio_method(void) {
  const BIO_METHOD *base = BIO_s_socket();
  BIO_METHOD *made =
      BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "socket, no signal");
  if (!made) return;
  BIO_meth_set_write(made, bio_write);
  BIO_meth_set_read(made, BIO_meth_get_read(base));
  BIO_meth_set_ctrl(made, BIO_meth_get_ctrl(base));
  BIO_meth_set_create(made, BIO_meth_get_create(base));
  BIO_meth_set_destroy(made, BIO_meth_get_destroy(base));
  bio_method = made;
}

/* ---- opening ---- */

void sb_net_stream_init(struct sb_net_stream *stream) {
  *stream = (struct sb_net_stream){.fd = -1};
}

static int no_memory(struct sb_error *error) {
  return sb_error_set(error, SB_ERR_SYSTEM, "TLS: no memory");
}

static int make_tls(struct sb_net_stream *stream, const struct sb_net_tls_settings *tls, const char *host,
                    struct sb_error *error) {
  pthread_once(&bio_once, make_bio_method);
  stream->ctx = SSL_CTX_new(TLS_client_method());
  if (!stream->ctx || !bio_method) return no_memory(error);
  int rc = sb_net_tls_set_up(stream->ctx, tls, host, &stream->peer, error);
  if (rc) return rc;
  SSL_CTX_set_mode(stream->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  /* The protocol above shows whether something is missing at the end. */
  SSL_CTX_set_options(stream->ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
  stream->ssl = SSL_new(stream->ctx);
  BIO *bio = stream->ssl ? BIO_new(bio_method) : NULL;
  if (!bio) return no_memory(error);
  BIO_set_fd(bio, stream->fd, BIO_NOCLOSE);
  SSL_set_bio(stream->ssl, bio, bio);
  return 0;
}

static int shake_hands(struct sb_net_stream *stream, const struct sb_net_wait *wait, int64_t until_ms,
                       struct sb_error *error) {
  for (;;) {
    ERR_clear_error();
    int done = SSL_connect(stream->ssl);
    if (done == 1) return 0;
    int what = SSL_get_error(stream->ssl, done);
    if (what != SSL_ERROR_WANT_READ && what != SSL_ERROR_WANT_WRITE)
      return sb_net_tls_explain(&stream->peer, error);
    int rc = sb_net_await(wait, stream->fd, what == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until_ms);
    if (rc == SB_ERR_TIMEOUT)
      return sb_error_set(error, SB_ERR_LINK,
                          "TLS: the server took the connection and does not answer: is it a port for TLS?");
    if (rc) return sb_error_set(error, rc, "given up, since the transport stops");
  }
}

int sb_net_stream_open(struct sb_net_stream *stream, int fd, const struct sb_net_tls_settings *tls,
                       const char *host, const struct sb_net_wait *wait, int64_t until_ms,
                       struct sb_error *error) {
  assert(stream->fd < 0);
  stream->fd = fd;
  if (!tls) return 0;
  int rc = make_tls(stream, tls, host, error);
  return rc ? rc : shake_hands(stream, wait, until_ms, error);
}

void sb_net_stream_close(struct sb_net_stream *stream) {
  ERR_clear_error();
  if (stream->ssl && SSL_is_init_finished(stream->ssl)) SSL_shutdown(stream->ssl);
  SSL_free(stream->ssl);
  SSL_CTX_free(stream->ctx);
  if (stream->fd >= 0) close(stream->fd);
  sb_net_stream_init(stream);
  ERR_clear_error();
}

/* ---- reading and writing ---- */

static int broken(int number, struct sb_error *error) {
  sb_error_set(error, SB_ERR_LINK, "%s", strerror(number));
  return SB_NET_BROKEN;
}

/* `n` is what OpenSSL returned; the socket's errno is still there. */
static ssize_t judge(struct sb_net_stream *stream, int n, bool *wants_other, int own,
                     struct sb_error *error) {
  int number = errno, what = SSL_get_error(stream->ssl, n);
  *wants_other = (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE) && what != own;
  switch (what) {
  case SSL_ERROR_NONE:
    return n;
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_WRITE:
    return SB_NET_AGAIN;
  case SSL_ERROR_ZERO_RETURN:
    return 0;
  case SSL_ERROR_SYSCALL:
    return number ? broken(number, error) : 0;
  default:
    sb_net_tls_explain(&stream->peer, error);
    return SB_NET_BROKEN;
  }
}

ssize_t sb_net_stream_read(struct sb_net_stream *stream, void *out, size_t size, struct sb_error *error) {
  if (stream->ssl) {
    ERR_clear_error();
    errno = 0;
    int n = SSL_read(stream->ssl, out, size > INT_MAX ? INT_MAX : (int)size);
    return judge(stream, n, &stream->read_wants_write, SSL_ERROR_WANT_READ, error);
  }
  for (;;) {
    ssize_t n = recv(stream->fd, out, size, 0);
    if (n >= 0) return n;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return SB_NET_AGAIN;
    if (errno != EINTR) return broken(errno, error);
  }
}

ssize_t sb_net_stream_write(struct sb_net_stream *stream, const void *bytes, size_t size,
                            struct sb_error *error) {
  if (stream->ssl) {
    ERR_clear_error();
    errno = 0;
    int n = SSL_write(stream->ssl, bytes, size > INT_MAX ? INT_MAX : (int)size);
    ssize_t rc = judge(stream, n, &stream->write_wants_read, SSL_ERROR_WANT_WRITE, error);
    return rc == 0 ? broken(EPIPE, error) : rc;
  }
  for (;;) {
    ssize_t n = send(stream->fd, bytes, size, MSG_NOSIGNAL);
    if (n >= 0) return n;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return SB_NET_AGAIN;
    if (errno != EINTR) return broken(errno, error);
  }
}

short sb_net_stream_events(const struct sb_net_stream *stream, bool read, bool write) {
  bool in = read || (write && stream->write_wants_read);
  bool out = (write && !stream->write_wants_read) || (read && stream->read_wants_write);
  return (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0));
}

bool sb_net_stream_buffered(const struct sb_net_stream *stream) {
  return stream->ssl && SSL_pending(stream->ssl) > 0;
}
