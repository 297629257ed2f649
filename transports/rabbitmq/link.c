#include "transports/rabbitmq/link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/base/bytes.h"
#include "bridge/base/clock.h"
#include "transports/signing.h"

#define POLITE_CLOSE_MS       500
/* While a thread waits for room it stops to send heartbeats. Without heartbeats it waits for so long at a
 * time. */
#define WITHOUT_HEARTBEATS_MS 60000

/* ---- life ---- */

int sb_rabbitmq_link_init(struct sb_rabbitmq_link *link, struct sb_rabbitmq_board *board, const char *purpose,
                          struct sb_error *error) {
  *link = (struct sb_rabbitmq_link){
      .board = board, .purpose = purpose, .host = board->first_host, .fd = -1, .watch_fd = -1};
  link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (link->wake_fd < 0) return sb_error_errno(error, errno, "eventfd");
  atomic_init(&link->stopping, false);
  atomic_init(&link->hurried, false);
  atomic_init(&link->hung, false);
  atomic_init(&link->inside_since_ms, 0);
  pthread_mutex_init(&link->watch_lock, NULL);
  if (getrandom(&link->seed, sizeof link->seed, 0) < 0) link->seed = (unsigned)getpid();
  link->tries = sb_calloc(board->host_count, sizeof *link->tries);
  for (size_t i = 0; i < board->host_count; i++) link->tries[i].backoff.seed = link->seed + (unsigned)i;
  return 0;
}

void sb_rabbitmq_link_close(struct sb_rabbitmq_link *link) {
  assert(!link->conn);
  close(link->wake_fd);
  free(link->tries);
  pthread_mutex_destroy(&link->watch_lock);
}

/* ---- any thread ---- */

void sb_rabbitmq_link_wake(struct sb_rabbitmq_link *link) {
  /* It can only fail when the counter is full, and then the thread is as good as woken. */
  eventfd_write(link->wake_fd, 1);
}

void sb_rabbitmq_link_stop(struct sb_rabbitmq_link *link) {
  atomic_store(&link->stopping, true);
  sb_rabbitmq_link_wake(link);
}

void sb_rabbitmq_link_hurry(struct sb_rabbitmq_link *link) {
  atomic_store(&link->hurried, true);
  sb_rabbitmq_link_wake(link);
}

void sb_rabbitmq_link_shut(struct sb_rabbitmq_link *link) {
  pthread_mutex_lock(&link->watch_lock);
  if (link->watch_fd >= 0) shutdown(link->watch_fd, SHUT_RDWR);
  pthread_mutex_unlock(&link->watch_lock);
}

void sb_rabbitmq_link_check(struct sb_rabbitmq_link *link, int64_t now_ms, int64_t limit_ms) {
  int64_t since_ms = atomic_load(&link->inside_since_ms);
  if (since_ms == 0 || now_ms - since_ms <= limit_ms) return;
  atomic_store(&link->hung, true);
  sb_rabbitmq_link_shut(link);
}

void sb_rabbitmq_link_enter(struct sb_rabbitmq_link *link) {
  atomic_store_explicit(&link->inside_since_ms, sb_clock_coarse_ms(), memory_order_relaxed);
}

void sb_rabbitmq_link_leave(struct sb_rabbitmq_link *link) {
  atomic_store_explicit(&link->inside_since_ms, 0, memory_order_relaxed);
}

void sb_rabbitmq_link_watch(struct sb_rabbitmq_link *link, int fd) {
  pthread_mutex_lock(&link->watch_lock);
  if (link->watch_fd >= 0) close(link->watch_fd);
  link->watch_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
  pthread_mutex_unlock(&link->watch_lock);
}

/* ---- waiting without a connection ---- */

static bool drain_wakes(struct sb_rabbitmq_link *link) {
  eventfd_t count;
  return eventfd_read(link->wake_fd, &count) == 0;
}

static bool stopping(void *owner) {
  return sb_rabbitmq_link_stopping(owner);
}

static void woken(void *owner) {
  drain_wakes(owner);
}

struct sb_net_wait sb_rabbitmq_link_patience(struct sb_rabbitmq_link *link) {
  return (struct sb_net_wait){.stopping = stopping, .wake_fd = link->wake_fd, .woken = woken, .owner = link};
}

/* To be called right after the call that failed, because errno says more about a socket than rabbitmq-c
 * does. */
static int library_error(const struct sb_rabbitmq_link *link, int status, struct sb_error *error) {
  int number = errno;
  if (atomic_load(&link->hung))
    return sb_error_set(error, SB_ERR_TIMEOUT, "the broker takes no bytes, a call that hung was ended");
  if (status == AMQP_STATUS_SOCKET_ERROR && number)
    return sb_error_set(error, SB_ERR_LINK, "%s", strerror(number));
  if (status == AMQP_STATUS_SSL_ERROR) return sb_net_tls_explain(&link->peer, error);
  return sb_error_set(error, SB_ERR_LINK, "%s", amqp_error_string2(status));
}

/* ---- the connection ---- */

void sb_rabbitmq_link_held(struct sb_rabbitmq_link *link) {
  atomic_store(&link->hurried, false);
  link->up_since_ms = sb_clock_ms();
}

void sb_rabbitmq_link_drop(struct sb_rabbitmq_link *link, bool polite) {
  if (!link->conn) return;
  if (polite) {
    struct timeval little = {.tv_usec = (suseconds_t)POLITE_CLOSE_MS * 1000};
    amqp_set_rpc_timeout(link->conn, &little);
    sb_rabbitmq_link_enter(link);
    amqp_connection_close(link->conn, AMQP_REPLY_SUCCESS);
    sb_rabbitmq_link_leave(link);
  }
  sb_rabbitmq_link_watch(link, -1);
  amqp_destroy_connection(link->conn);
  link->conn = NULL;
  link->fd = -1;
}

/* ---- back-off ---- */

int64_t sb_rabbitmq_link_failed(struct sb_rabbitmq_link *link, const struct sb_error *why) {
  const struct sb_rabbitmq_settings *settings = &link->board->settings;
  const struct sb_backoff_limits limits = {settings->backoff_min_ms, settings->backoff_max_ms,
                                           (uint32_t)link->board->host_count};
  int64_t now_ms = sb_clock_ms(), up_ms = link->up_since_ms ? now_ms - link->up_since_ms : 0;
  /* A broker that is stopping closes new connections with this code: it is about to be away, and refuses
   * nobody. */
  bool away =
      why->code == SB_ERR_LINK || why->code == SB_ERR_TIMEOUT || link->refusal == AMQP_CONNECTION_FORCED;
  enum sb_failure failure = away ? SB_FAILURE_AWAY : SB_FAILURE_REFUSED;
  if (link->up_since_ms) failure = SB_FAILURE_LOST;
  return sb_backoff_next(link->tries, &limits, &link->host, failure, up_ms, now_ms);
}

void sb_rabbitmq_link_forget_failures(struct sb_rabbitmq_link *link) {
  for (size_t i = 0; i < link->board->host_count; i++)
    link->tries[i].backoff.since_ms = link->tries[i].due_ms = 0;
}

static bool cut_short(void *owner) {
  struct sb_rabbitmq_link *link = owner;
  return sb_rabbitmq_link_stopping(link) || atomic_load(&link->hurried);
}

void sb_rabbitmq_link_try_later(struct sb_rabbitmq_link *link, enum sb_link_side side,
                                const struct sb_error *why) {
  size_t host = link->host;
  int64_t pause_ms = sb_rabbitmq_link_failed(link, why);
  sb_rabbitmq_board_down(link->board, side, host, why, pause_ms);
  struct sb_net_wait wait = sb_rabbitmq_link_patience(link);
  wait.stopping = cut_short;
  sb_net_await(&wait, -1, 0, sb_clock_ms() + pause_ms);
  if (atomic_exchange(&link->hurried, false)) sb_rabbitmq_link_forget_failures(link);
}

/* ---- waiting and frames ---- */

static bool buffered(const struct sb_rabbitmq_link *link) {
  return link->conn && (amqp_frames_enqueued(link->conn) || amqp_data_in_buffer(link->conn));
}

unsigned sb_rabbitmq_link_wait(struct sb_rabbitmq_link *link, bool writable, int64_t until_ms) {
  if (link->conn && link->service_ms && link->service_due_ms < until_ms) until_ms = link->service_due_ms;
  int timeout = buffered(link) ? 0 : sb_clock_poll_ms(until_ms);
  struct pollfd fds[] = {{.fd = link->fd, .events = (short)(writable ? POLLIN | POLLOUT : POLLIN)},
                         {.fd = link->wake_fd, .events = POLLIN}};
  int n = poll(fds, 2, timeout);
  if (n <= 0) return 0;
  unsigned ready = 0;
  if (fds[0].revents & ~POLLOUT) link->readable = true;
  if (fds[0].revents & POLLOUT) ready |= SB_RABBITMQ_WRITABLE;
  if (fds[1].revents && drain_wakes(link)) ready |= SB_RABBITMQ_WOKEN;
  return ready;
}

static int connection_closed(struct sb_rabbitmq_link *link, const amqp_connection_close_t *close_method,
                             struct sb_error *error) {
  link->refusal = close_method->reply_code;
  sb_error_set(error, SB_ERR_REFUSED, "closed by the broker: %.*s", (int)close_method->reply_text.len,
               (const char *)close_method->reply_text.bytes);
  amqp_connection_close_ok_t ok = {0};
  sb_rabbitmq_link_send(link, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok, NULL);
  return SB_ERR_REFUSED;
}

/* When poll announced nothing and nothing is buffered, there is nothing to ask rabbitmq-c for, and asking
 * would cost two system calls per message. Inside the call it sends heartbeats and notices missed ones. */
int sb_rabbitmq_link_frame(struct sb_rabbitmq_link *link, amqp_frame_t *frame, struct sb_error *error) {
  if (!buffered(link)) {
    bool due = link->service_ms && sb_clock_ms() >= link->service_due_ms;
    if (!link->readable && !due) return 0;
    link->readable = false;
    if (due) link->service_due_ms = sb_clock_ms() + link->service_ms;
  }
  static const struct timeval now = {0};
  sb_rabbitmq_link_enter(link);
  int status = amqp_simple_wait_frame_noblock(link->conn, frame, &now);
  sb_rabbitmq_link_leave(link);
  if (status == AMQP_STATUS_TIMEOUT) return 0;
  if (status != AMQP_STATUS_OK) return library_error(link, status, error);
  if (frame->frame_type == AMQP_FRAME_METHOD && frame->payload.method.id == AMQP_CONNECTION_CLOSE_METHOD)
    return connection_closed(link, frame->payload.method.decoded, error);
  return 1;
}

void sb_rabbitmq_link_release(struct sb_rabbitmq_link *link, amqp_channel_t channel) {
  amqp_maybe_release_buffers_on_channel(link->conn, channel);
}

/* ---- sending ---- */

int sb_rabbitmq_link_send(struct sb_rabbitmq_link *link, amqp_channel_t channel, amqp_method_number_t id,
                          void *method, struct sb_error *error) {
  sb_rabbitmq_link_enter(link);
  int status = amqp_send_method(link->conn, channel, id, method);
  sb_rabbitmq_link_leave(link);
  return status == AMQP_STATUS_OK ? 0 : library_error(link, status, error);
}

static int send_heartbeat(struct sb_rabbitmq_link *link, struct sb_error *error) {
  amqp_frame_t frame = {.frame_type = AMQP_FRAME_HEARTBEAT, .channel = 0};
  sb_rabbitmq_link_enter(link);
  int status = amqp_send_frame(link->conn, &frame);
  sb_rabbitmq_link_leave(link);
  return status == AMQP_STATUS_OK ? 0 : library_error(link, status, error);
}

int sb_rabbitmq_link_hand_over(struct sb_rabbitmq_link *link, struct sb_event *event,
                               struct sb_error *error) {
  struct sb_event_queue *events = link->board->events;
  struct sb_delivery *message = event->kind == SB_EVENT_STORED ? &event->stored.message : &event->delivery;
  sb_signing_judge(link->board->signing, event->partition, message);
  int64_t slice_ms = link->service_ms ? link->service_ms : WITHOUT_HEARTBEATS_MS;
  while (!sb_event_queue_push(events, event)) {
    bool room = sb_event_queue_wait_room(events, event, (int)slice_ms);
    bool stopping = sb_rabbitmq_link_stopping(link);
    int rc = room || stopping || !link->service_ms ? 0 : send_heartbeat(link, error);
    if (rc == 0 && !stopping) continue;
    sb_event_close(event);
    return rc;
  }
  return 1;
}

int sb_rabbitmq_link_publish(struct sb_rabbitmq_link *link, amqp_channel_t channel, const char *exchange,
                             const char *routing_key, const amqp_basic_properties_t *properties,
                             amqp_bytes_t body, struct sb_error *error) {
  int64_t on_its_way_ms = (int64_t)(body.len / SB_TRANSPORT_LINE_BYTES_PER_MS);
  atomic_store_explicit(&link->inside_since_ms, sb_clock_coarse_ms() + on_its_way_ms, memory_order_relaxed);
  int status = amqp_basic_publish(link->conn, channel, amqp_cstring_bytes(exchange),
                                  amqp_cstring_bytes(routing_key), 1, 0, properties, body);
  sb_rabbitmq_link_leave(link);
  if (status != AMQP_STATUS_OK) return library_error(link, status, error);
  if (body.len > 0 && body.len % link->frame_body_max == 0) {
    /* rabbitmq-c has told the kernel that more of the body follows; setting the option again sends it now. */
    int on = 1;
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return 0;
}

/* ---- questions and answers ---- */

int sb_rabbitmq_link_channel_closed(struct sb_rabbitmq_link *link, amqp_channel_t channel,
                                    const amqp_channel_close_t *close_method, struct sb_error *error) {
  link->refusal = close_method->reply_code;
  sb_error_set(error, SB_ERR_REFUSED, "%.*s", (int)close_method->reply_text.len,
               (const char *)close_method->reply_text.bytes);
  amqp_channel_close_ok_t ok = {0};
  int rc = sb_rabbitmq_link_send(link, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok, NULL);
  return rc ? sb_error_set(error, rc, "the connection was lost") : SB_ERR_REFUSED;
}

int sb_rabbitmq_link_answered(struct sb_rabbitmq_link *link, amqp_channel_t channel, amqp_rpc_reply_t reply,
                              struct sb_error *error) {
  sb_rabbitmq_link_leave(link);
  int rc = 0;
  switch (reply.reply_type) {
  case AMQP_RESPONSE_NORMAL:
    break;
  case AMQP_RESPONSE_SERVER_EXCEPTION:
    if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
      rc = sb_rabbitmq_link_channel_closed(link, channel, reply.reply.decoded, error);
    } else if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
      connection_closed(link, reply.reply.decoded, error);
      rc = SB_ERR_LINK;
    } else {
      rc = sb_error_set(error, SB_ERR_PROTOCOL, "unexpected answer 0x%08" PRIx32, reply.reply.id);
    }
    break;
  case AMQP_RESPONSE_NONE:
  case AMQP_RESPONSE_LIBRARY_EXCEPTION:
    rc = library_error(link, reply.library_error, error);
    break;
  }
  sb_rabbitmq_link_release(link, channel);
  return rc;
}

int sb_rabbitmq_link_open_channel(struct sb_rabbitmq_link *link, amqp_channel_t channel,
                                  struct sb_error *error) {
  sb_rabbitmq_link_enter(link);
  amqp_channel_open(link->conn, channel);
  return sb_rabbitmq_link_answered(link, channel, amqp_get_rpc_reply(link->conn), error);
}
