#include "transports/servicebus/socket.h"

#include <inttypes.h>
#include <poll.h>
#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/sasl.h>
#include <proton/transport.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "bridge/base/clock.h"
#include "transports/net/greeting.h"
#include "transports/servicebus/condition.h"

#define READS_PER_WAIT 8 /* then other work is looked at */
#define CONTAINER_TEXT 160

/* ---- waiting ---- */

/* Called before the thread looks for work, so that a later wake is not lost. */
static void drain_wakes(struct sb_servicebus_board *board) {
  eventfd_t count;
  if (eventfd_read(board->wake_fd, &count) == 0) atomic_store(&board->woken, false);
}

static bool stopping(void *owner) {
  return sb_servicebus_board_stopping(owner);
}

static void woken(void *owner) {
  drain_wakes(owner);
}

static struct sb_net_wait wait_of(struct sb_servicebus_board *board) {
  return (struct sb_net_wait){
      .stopping = stopping, .wake_fd = board->wake_fd, .woken = woken, .owner = board};
}

struct sleeper {
  struct sb_servicebus_board *board;
  unsigned retries;
};

static bool cut_short(void *owner) {
  const struct sleeper *sleeper = owner;
  return sb_servicebus_board_stopping(sleeper->board) ||
         atomic_load(&sleeper->board->retries) != sleeper->retries;
}

static void sleeper_woken(void *owner) {
  const struct sleeper *sleeper = owner;
  drain_wakes(sleeper->board);
}

void sb_servicebus_sleep(struct sb_servicebus_board *board, int64_t ms, unsigned retries) {
  struct sleeper sleeper = {board, retries};
  struct sb_net_wait wait = {
      .stopping = cut_short, .wake_fd = board->wake_fd, .woken = sleeper_woken, .owner = &sleeper};
  sb_net_await(&wait, -1, 0, sb_clock_ms() + ms);
}

/* ---- the engine ---- */

/* proton would use EXTERNAL wherever it is offered, and then fail, so the mechanism is named. proton does not
 * know of the TLS below it, and would not send a password without the first setting. */
static void set_up_login(struct sb_servicebus_socket *s) {
  const struct sb_servicebus_settings *settings = &s->board->settings;
  pn_sasl_t *sasl = pn_sasl(s->driver.transport);
  pn_sasl_set_allow_insecure_mechs(sasl, true);
  if (settings->auth == SB_SERVICEBUS_CBS) {
    pn_sasl_allowed_mechs(sasl, "ANONYMOUS");
    return;
  }
  pn_sasl_allowed_mechs(sasl, "PLAIN");
  struct sb_servicebus_credentials now;
  sb_servicebus_credentials_now(&settings->credentials, &now);
  pn_connection_set_user(s->driver.connection, now.key_name);
  pn_connection_set_password(s->driver.connection, now.key);
  sb_servicebus_credentials_close(&now);
}

static int set_up(struct sb_servicebus_socket *s, struct sb_error *error) {
  const struct sb_servicebus_settings *settings = &s->board->settings;
  if (pn_connection_driver_init(&s->driver, NULL, NULL) != 0)
    return sb_error_set(error, SB_ERR_SYSTEM, "proton: no memory");
  s->open = true;
  char container[CONTAINER_TEXT];
  snprintf(container, sizeof container, "%.100s-%016" PRIx64, settings->container, s->board->nonce);
  pn_connection_set_container(s->driver.connection, container);
  pn_connection_set_hostname(s->driver.connection, settings->host);
  pn_transport_set_max_frame(s->driver.transport, SB_SERVICEBUS_FRAME_BYTES);
  pn_transport_set_idle_timeout(s->driver.transport, settings->idle_timeout_ms);
  set_up_login(s);
  pn_connection_driver_bind(&s->driver);
  pn_connection_open(s->driver.connection);
  return 0;
}

void sb_servicebus_socket_init(struct sb_servicebus_socket *s, struct sb_servicebus_board *board) {
  *s = (struct sb_servicebus_socket){.board = board};
  sb_net_stream_init(&s->stream);
}

int sb_servicebus_socket_open(struct sb_servicebus_socket *s, struct sb_error *error) {
  const struct sb_servicebus_settings *settings = &s->board->settings;
  const struct sb_net_tls_settings tls = {
      .ca_file = settings->tls.ca_file, .source = settings->tls.source, .verify = settings->tls.verify};
  struct sb_net_wait wait = wait_of(s->board);
  int64_t until_ms = sb_clock_ms() + settings->connect_timeout_ms;
  s->lost.code = 0;
  s->head_len = 0;
  s->tick_due_ms = 0;
  int fd = sb_net_connect(settings->host, settings->port, &wait, until_ms, NULL, error);
  if (fd < 0) return fd;
  int rc = sb_net_stream_open(&s->stream, fd, settings->plain ? NULL : &tls, settings->host, &wait, until_ms,
                              error);
  return rc ? rc : set_up(s, error);
}

void sb_servicebus_socket_drop(struct sb_servicebus_socket *s) {
  if (s->open) pn_connection_driver_destroy(&s->driver);
  s->open = false;
  sb_net_stream_close(&s->stream);
}

pn_event_t *sb_servicebus_socket_event(struct sb_servicebus_socket *s) {
  return pn_connection_driver_next_event(&s->driver);
}

/* ---- bytes ---- */

static void lose(struct sb_servicebus_socket *s, const struct sb_error *why) {
  if (!s->lost.code) s->lost = *why;
  pn_connection_driver_close(&s->driver);
}

/* True when the socket takes no more and there is more. */
static bool write_some(struct sb_servicebus_socket *s) {
  pn_bytes_t bytes = pn_connection_driver_write_buffer(&s->driver);
  struct sb_error error = {0};
  while (bytes.size > 0) {
    ssize_t n = sb_net_stream_write(&s->stream, bytes.start, bytes.size, &error);
    if (n == SB_NET_AGAIN) return true;
    if (n < 0) {
      lose(s, &error);
      return false;
    }
    pn_connection_driver_write_done(&s->driver, (size_t)n);
    bytes = pn_connection_driver_write_buffer(&s->driver);
  }
  return false;
}

static void keep_head(struct sb_servicebus_socket *s, const void *bytes, size_t len) {
  size_t room = sizeof s->head - s->head_len;
  memcpy(s->head + s->head_len, bytes, len < room ? len : room);
  s->head_len += len < room ? len : room;
}

static void read_some(struct sb_servicebus_socket *s) {
  struct sb_error error = {0};
  for (int i = 0; i < READS_PER_WAIT; i++) {
    pn_rwbytes_t room = pn_connection_driver_read_buffer(&s->driver);
    if (room.size == 0) return;
    ssize_t n = sb_net_stream_read(&s->stream, room.start, room.size, &error);
    if (n == SB_NET_AGAIN) return;
    if (n < 0) {
      lose(s, &error);
      return;
    }
    if (n == 0) {
      pn_connection_driver_read_close(&s->driver);
      return;
    }
    keep_head(s, room.start, (size_t)n);
    pn_connection_driver_read_done(&s->driver, (size_t)n);
  }
}

/* proton sends keepalives in here, and notices when the service's are missing. */
static void tick(struct sb_servicebus_socket *s) {
  int64_t now_ms = sb_clock_ms();
  int64_t next_ms = pn_transport_tick(s->driver.transport, now_ms);
  s->tick_due_ms = next_ms > 0 ? next_ms : INT64_MAX;
}

void sb_servicebus_socket_wait(struct sb_servicebus_socket *s, int64_t until_ms) {
  tick(s);
  bool more = write_some(s);
  if (pn_connection_driver_has_event(&s->driver)) until_ms = 0;
  if (s->tick_due_ms < until_ms) until_ms = s->tick_due_ms;
  bool reads = pn_connection_driver_read_buffer(&s->driver).size > 0;
  bool here = reads && sb_net_stream_buffered(&s->stream);
  if (here) until_ms = 0;
  short events = sb_net_stream_events(&s->stream, reads, more);
  struct pollfd fds[] = {{.fd = s->stream.fd, .events = events}, {.fd = s->board->wake_fd, .events = POLLIN}};
  int n = poll(fds, 2, sb_clock_poll_ms(until_ms));
  if (n > 0 && fds[1].revents) drain_wakes(s->board);
  if (here || (n > 0 && fds[0].revents)) read_some(s);
}

/* ---- the end ---- */

/* proton has one condition for all that goes wrong below AMQP, and quotes bytes in it. */
static void describe_below(const struct sb_servicebus_socket *s, const char *text, struct sb_error *error) {
  const char *says = sb_net_greeting_name(s->head, s->head_len);
  if (strcmp(text, "connection aborted") == 0)
    sb_error_set(error, SB_ERR_LINK, "the service ended it without a word");
  else if (s->head_len >= 4 && strcmp(says, SB_NET_GREETING_AMQP_1_0) != 0)
    sb_error_set(error, SB_ERR_REFUSED, "no AMQP 1.0 is spoken there, but %s: is port %u right?%s", says,
                 (unsigned)s->board->settings.port,
                 strcmp(says, SB_NET_GREETING_TLS) == 0 ? " It expects TLS, which an emulator's port does not"
                                                        : "");
  else
    sb_error_set(error, SB_ERR_LINK, "%s", text);
}

static bool describe(const struct sb_servicebus_socket *s, pn_condition_t *condition,
                     struct sb_error *error) {
  if (!condition || !pn_condition_is_set(condition)) return false;
  const char *name = pn_condition_get_name(condition), *text = pn_condition_get_description(condition);
  if (!text) text = "";
  if (strcmp(name, "amqp:connection:framing-error") == 0) {
    describe_below(s, text, error);
    return true;
  }
  /* This is proton's own word for a silent peer. The service may send it too, and then means something
   * else. */
  if (strstr(text, "local-idle-timeout")) {
    sb_error_set(error, SB_ERR_TIMEOUT, "the service is silent");
    return true;
  }
  enum sb_servicebus_cure cure = sb_servicebus_cure_of(name);
  bool person = cure == SB_CURE_PERSON || cure == SB_CURE_TOKEN;
  sb_error_set(error, person ? SB_ERR_REFUSED : SB_ERR_LINK, "%s: %s", name, text);
  return true;
}

static void explain(struct sb_servicebus_socket *s, struct sb_error *error) {
  if (describe(s, pn_connection_remote_condition(s->driver.connection), error)) return;
  if (s->lost.code) {
    sb_error_set(error, s->lost.code, "%s", s->lost.text);
    return;
  }
  if (describe(s, pn_transport_condition(s->driver.transport), error)) return;
  sb_error_set(error, SB_ERR_LINK, "closed by the service");
}

bool sb_servicebus_socket_ended(struct sb_servicebus_socket *s, struct sb_error *error) {
  bool closed = pn_connection_state(s->driver.connection) & PN_REMOTE_CLOSED;
  bool deaf = pn_connection_driver_read_closed(&s->driver) && !pn_connection_driver_has_event(&s->driver);
  if (!closed && !deaf && !pn_connection_driver_finished(&s->driver)) return false;
  explain(s, error);
  return true;
}
