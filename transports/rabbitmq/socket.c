#include "transports/rabbitmq/socket.h"

#include <inttypes.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "bridge/base/clock.h"
#include "transports/net/address.h"
#include "transports/net/connect.h"
#include "transports/net/greeting.h"
#include "transports/net/stream.h"

static struct sb_rabbitmq_host *host_of(struct sb_rabbitmq_link *link) {
  return &link->board->hosts[link->host];
}

static struct sb_net_tls_settings tls_of(const struct sb_rabbitmq_link *link) {
  const struct sb_rabbitmq_settings *settings = &link->board->settings;
  return (struct sb_net_tls_settings){.ca_file = settings->tls.ca_file,
                                      .cert_file = settings->tls.cert_file,
                                      .key_file = settings->tls.key_file,
                                      .source = settings->tls.source,
                                      .verify = settings->tls.verify};
}

static int connect_tcp(struct sb_rabbitmq_link *link, int64_t until_ms, struct sb_net_address *met,
                       struct sb_error *error) {
  const struct sb_rabbitmq_host *host = host_of(link);
  struct sb_net_wait wait = sb_rabbitmq_link_patience(link);
  return sb_net_connect(host->name, host->port, &wait, until_ms, met, error);
}

/* ---- opening ---- */

static int no_memory(struct sb_error *error) {
  return sb_error_set(error, SB_ERR_SYSTEM, "rabbitmq-c: no memory");
}

static int open_plain(struct sb_rabbitmq_link *link, int64_t until_ms, struct sb_error *error) {
  int fd = connect_tcp(link, until_ms, NULL, error);
  if (fd < 0) return fd;
  amqp_socket_t *socket = amqp_tcp_socket_new(link->conn);
  if (!socket) {
    close(fd);
    return no_memory(error);
  }
  amqp_tcp_socket_set_sockfd(socket, fd);
  return 0;
}

/* From here on sb_rabbitmq_link_shut ends the handshake too. */
static void on_began(void *owner, int fd) {
  sb_rabbitmq_link_watch(owner, fd);
}

static int tls_failed(const struct sb_rabbitmq_link *link, int status, struct sb_error *error) {
  switch (status) {
  case AMQP_STATUS_TIMEOUT:
    return sb_error_set(error, SB_ERR_LINK,
                        "no TLS connection within %" PRIu32
                        " ms: the server took the connection and does not answer: is it a port for TLS?",
                        link->board->settings.connect_timeout_ms);
  case AMQP_STATUS_SSL_ERROR:
  case AMQP_STATUS_SSL_CONNECTION_FAILED:
  case AMQP_STATUS_SSL_PEER_VERIFY_FAILED:
  case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED:
    return sb_net_tls_explain(&link->peer, error);
  default:
    return sb_error_set(error, SB_ERR_LINK, "the connection could not be made: %s",
                        amqp_error_string2(status));
  }
}

/* For TLS rabbitmq-c takes no connected socket. It connects by itself, to any address of a name, and cannot
 * be stopped. So an address that answers is found first, and rabbitmq-c gets that one. */
static int open_tls(struct sb_rabbitmq_link *link, int64_t until_ms, struct sb_error *error) {
  const struct sb_net_tls_settings tls = tls_of(link);
  const struct sb_rabbitmq_host *host = host_of(link);
  struct sb_net_address met;
  char numeric[SB_NET_NUMERIC_TEXT];
  amqp_socket_t *socket = amqp_ssl_socket_new(link->conn);
  if (!socket) return no_memory(error);
  link->peer.began = on_began;
  link->peer.owner = link;
  /* Its own checks come after the handshake, and would look for the address in the certificate instead of
   * the name. */
  amqp_ssl_socket_set_verify_hostname(socket, 0);
  amqp_ssl_socket_set_verify_peer(socket, tls.verify);
  int rc = sb_net_tls_set_up(amqp_ssl_socket_get_context(socket), &tls, host->name, &link->peer, error);
  if (rc) return rc;
  int fd = connect_tcp(link, until_ms, &met, error);
  if (fd < 0) return fd;
  close(fd);
  sb_net_numeric(&met, numeric);
  int64_t left_ms = until_ms - sb_clock_ms();
  if (left_ms < 0) left_ms = 0;
  struct timeval timeout = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000};
  int status = amqp_socket_open_noblock(socket, numeric, host->port, &timeout);
  return status == AMQP_STATUS_OK ? 0 : tls_failed(link, status, error);
}

int sb_rabbitmq_socket_open(struct sb_rabbitmq_link *link, struct sb_error *error) {
  int64_t until_ms = sb_clock_ms() + link->board->settings.connect_timeout_ms;
  return host_of(link)->tls ? open_tls(link, until_ms, error) : open_plain(link, until_ms, error);
}

/* ---- what else speaks at that port ---- */

enum answer { ANSWER_NONE, ANSWER_CLOSED, ANSWER_BYTES };

struct inquiry {
  struct sb_rabbitmq_link *link;
  struct sb_net_wait wait;
  int64_t until_ms;
  uint8_t head[SB_NET_GREETING_BYTES];
  size_t head_len;
};

/* Reads until there are enough bytes to tell what speaks there, or none has come for a while. */
static enum answer listen_to(struct inquiry *q, struct sb_net_stream *stream) {
  int64_t quiet_ms = sb_clock_ms() + SB_NET_GREETING_QUIET_MS;
  while (q->head_len < sizeof q->head) {
    ssize_t n = sb_net_stream_read(stream, q->head + q->head_len, sizeof q->head - q->head_len, NULL);
    if (n == 0 || n == SB_NET_BROKEN) return q->head_len ? ANSWER_BYTES : ANSWER_CLOSED;
    if (n > 0) q->head_len += (size_t)n;
    if (n == SB_NET_AGAIN && sb_net_await(&q->wait, stream->fd, POLLIN, quiet_ms) != 0) break;
  }
  return q->head_len ? ANSWER_BYTES : ANSWER_NONE;
}

static enum answer say(struct inquiry *q, bool tls, const void *words, size_t len) {
  const struct sb_net_tls_settings settings = tls_of(q->link);
  struct sb_net_stream stream;
  enum answer answer = ANSWER_NONE;
  sb_net_stream_init(&stream);
  int fd = connect_tcp(q->link, q->until_ms, NULL, NULL);
  if (fd < 0) return ANSWER_NONE;
  if (sb_net_stream_open(&stream, fd, tls ? &settings : NULL, host_of(q->link)->name, &q->wait, q->until_ms,
                         NULL) == 0 &&
      sb_net_stream_write(&stream, words, len, NULL) == (ssize_t)len)
    answer = listen_to(q, &stream);
  sb_net_stream_close(&stream);
  return answer;
}

/* Whether there is TLS at the port: such a server may close without a word what does not begin with a
 * handshake. */
static bool takes_tls(struct inquiry *q) {
  const struct sb_net_tls_settings settings = {.verify = false};
  struct sb_net_stream stream;
  sb_net_stream_init(&stream);
  int fd = connect_tcp(q->link, q->until_ms, NULL, NULL);
  bool taken = fd >= 0 && sb_net_stream_open(&stream, fd, &settings, host_of(q->link)->name, &q->wait,
                                             q->until_ms, NULL) == 0;
  bool alert = stream.peer.head_len && sb_net_greeting_is_tls(stream.peer.head, stream.peer.head_len);
  sb_net_stream_close(&stream);
  return taken || alert;
}

/* Sends AMQP's own header first: a broker takes us for a client that left. A server that stays silent may
 * wait for the end of a line, so it gets one. */
static const char *find_out(struct inquiry *q) {
  static const char header[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1}, line[] = "PING\r\n\r\n";
  bool tls = host_of(q->link)->tls;
  enum answer answer = say(q, tls, header, sizeof header);
  if (answer == ANSWER_NONE) answer = say(q, tls, line, sizeof line - 1);
  if (answer == ANSWER_CLOSED && !tls && takes_tls(q)) return SB_NET_GREETING_TLS;
  if (answer != ANSWER_BYTES || q->head_len < 4) return NULL;
  const char *name = sb_net_greeting_name(q->head, q->head_len);
  return strcmp(name, SB_NET_GREETING_AMQP_0_9_1) == 0 ? NULL : name;
}

void sb_rabbitmq_socket_doubt(struct sb_rabbitmq_link *link, struct sb_error *error) {
  const struct sb_rabbitmq_host *host = host_of(link);
  if (atomic_load(&host->proven) || sb_rabbitmq_link_stopping(link)) return;
  struct inquiry q = {
      .link = link, .wait = sb_rabbitmq_link_patience(link), .until_ms = sb_clock_ms() + SB_NET_GREETING_MS};
  sb_rabbitmq_link_shut(link); /* a server that takes one connection at a time is free for the question */
  const char *says = find_out(&q);
  if (!says) return;
  if (strcmp(says, SB_NET_GREETING_TLS) == 0 && !host->tls)
    sb_error_set(error, SB_ERR_REFUSED, "the server expects TLS at this port: write amqps://%s", host->text);
  else
    sb_error_set(error, SB_ERR_REFUSED, "no AMQP 0-9-1 broker: %s is spoken there: is %s the right port?",
                 says, host->text);
}

void sb_rabbitmq_socket_trust(struct sb_rabbitmq_link *link) {
  atomic_store(&host_of(link)->proven, true);
}
