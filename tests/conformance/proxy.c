#include "tests/conformance/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bridge/base/bytes.h"

#define PAIRS_MAX    64
#define BUFFER_BYTES 65536
#define SLICE_MS     20 /* of a slow line */

enum side { CLIENT, BROKER };

/* Bytes that came from one side and are to go to the other. */
struct flow {
  uint8_t bytes[BUFFER_BYTES];
  size_t at, len;
};

struct pair {
  int fd[2];           /* by side */
  size_t taken;        /* of the broker's bytes in this slice */
  struct flow flow[2]; /* by the side that sends */
};

struct proxy {
  uint16_t port, target_port;
  int listener;
  int bell[2]; /* a pipe: a byte asks the thread to look at the orders */
  pthread_t thread;

  pthread_mutex_t lock;
  pthread_cond_t obeyed;
  unsigned orders, done; /* counted */
  bool hold[2];          /* by the side that sends */
  bool away, cut, stop;
  size_t pace;        /* bytes of the broker in each SLICE_MS on each connection, 0: as they come */
  size_t connections; /* this and the next: when the latest order was obeyed */
  uint64_t carried;

  struct pair *pairs[PAIRS_MAX]; /* the thread's own, like what follows */
  size_t pair_count;
  bool holding[2], refusing;
  size_t pacing;
  struct timespec slice_end;
  uint64_t sent[2]; /* by the side that sends */
};

/* ---- the thread ---- */

static void pair_close(struct proxy *proxy, size_t index) {
  struct pair *pair = proxy->pairs[index];
  close(pair->fd[CLIENT]);
  close(pair->fd[BROKER]);
  free(pair);
  proxy->pairs[index] = proxy->pairs[--proxy->pair_count];
}

static void set_up(int fd) {
  int one = 1;
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int connect_to(uint16_t port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0) return fd;
  close(fd);
  return -1;
}

static void accept_pair(struct proxy *proxy) {
  int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
  if (client < 0) return;
  int broker = -1;
  if (!proxy->refusing && proxy->pair_count < PAIRS_MAX) broker = connect_to(proxy->target_port);
  if (broker < 0) {
    close(client);
    return;
  }
  struct pair *pair = sb_calloc(1, sizeof *pair);
  pair->fd[CLIENT] = client;
  pair->fd[BROKER] = broker;
  set_up(client);
  set_up(broker);
  proxy->pairs[proxy->pair_count++] = pair;
}

static bool obey(struct proxy *proxy) {
  char rings[64];
  while (read(proxy->bell[0], rings, sizeof rings) > 0) {
  }
  pthread_mutex_lock(&proxy->lock);
  proxy->holding[CLIENT] = proxy->hold[CLIENT];
  proxy->holding[BROKER] = proxy->hold[BROKER];
  proxy->refusing = proxy->away;
  proxy->pacing = proxy->pace;
  if (proxy->cut || proxy->away || proxy->stop)
    while (proxy->pair_count) pair_close(proxy, 0);
  proxy->cut = false;
  proxy->connections = proxy->pair_count;
  proxy->carried = proxy->sent[BROKER];
  bool go_on = !proxy->stop;
  proxy->done = proxy->orders;
  pthread_cond_broadcast(&proxy->obeyed);
  pthread_mutex_unlock(&proxy->lock);
  return go_on;
}

static bool try_again(ssize_t rc) {
  return rc < 0 && (errno == EAGAIN || errno == EINTR);
}

/* False when the connection ended. */
static bool forward(struct proxy *proxy, struct pair *pair, enum side from) {
  struct flow *flow = &pair->flow[from];
  if (flow->len == 0) {
    size_t room = sizeof flow->bytes;
    if (from == BROKER && proxy->pacing) room = proxy->pacing < room ? proxy->pacing : room;
    ssize_t got = read(pair->fd[from], flow->bytes, room);
    if (try_again(got)) return true;
    if (got <= 0) return false;
    flow->at = 0;
    flow->len = (size_t)got;
    if (from == BROKER) pair->taken += (size_t)got;
  }
  ssize_t put = send(pair->fd[!from], flow->bytes + flow->at, flow->len, MSG_NOSIGNAL);
  if (try_again(put)) return true;
  if (put < 0) return false;
  proxy->sent[from] += (uint64_t)put;
  flow->at += (size_t)put;
  flow->len -= (size_t)put;
  return true;
}

/* It has had its share of this slice. */
static bool is_paced(const struct proxy *proxy, const struct pair *pair, enum side from) {
  return from == BROKER && proxy->pacing && pair->flow[from].len == 0 && pair->taken >= proxy->pacing;
}

static int64_t slice_left_ms(const struct proxy *proxy) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)(proxy->slice_end.tv_sec - now.tv_sec) * 1000 +
         (proxy->slice_end.tv_nsec - now.tv_nsec) / 1000000;
}

/* How long to wait for something to forward; -1: for ever. */
static int begin_slice(struct proxy *proxy) {
  if (!proxy->pacing) return -1;
  int64_t left_ms = slice_left_ms(proxy);
  if (left_ms > 0) return (int)left_ms;
  clock_gettime(CLOCK_MONOTONIC, &proxy->slice_end);
  proxy->slice_end.tv_nsec += SLICE_MS * 1000000L;
  for (size_t i = 0; i < proxy->pair_count; i++) proxy->pairs[i]->taken = 0;
  return SLICE_MS;
}

static size_t fill_poll(const struct proxy *proxy, struct pollfd *polled) {
  size_t count = 0;
  polled[count++] = (struct pollfd){.fd = proxy->bell[0], .events = POLLIN};
  polled[count++] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
  for (size_t i = 0; i < proxy->pair_count; i++)
    for (int side = CLIENT; side <= BROKER; side++) {
      struct pollfd *entry = &polled[count++];
      *entry = (struct pollfd){.fd = proxy->pairs[i]->fd[side]};
      bool waits = proxy->holding[side] || is_paced(proxy, proxy->pairs[i], (enum side)side);
      if (!waits && proxy->pairs[i]->flow[side].len == 0) entry->events |= POLLIN;
      if (!proxy->holding[!side] && proxy->pairs[i]->flow[!side].len > 0) entry->events |= POLLOUT;
      if (!entry->events) entry->fd = -1; /* or a hang-up that must wait would keep the thread busy */
    }
  return count;
}

static void *run(void *arg) {
  struct proxy *proxy = arg;
  struct pollfd polled[2 + 2 * PAIRS_MAX];
  for (;;) {
    int timeout = begin_slice(proxy);
    size_t count = fill_poll(proxy, polled);
    if (poll(polled, (nfds_t)count, timeout) < 0 && errno != EINTR) abort();
    if (polled[0].revents) {
      if (!obey(proxy)) return NULL;
      continue;
    }
    for (size_t i = (count - 2) / 2; i-- > 0;) { /* from the end: closing moves the last pair */
      bool ready = polled[2 + 2 * i].revents || polled[3 + 2 * i].revents;
      bool open = true;
      for (int side = CLIENT; ready && open && side <= BROKER; side++)
        if (!proxy->holding[side] && !is_paced(proxy, proxy->pairs[i], (enum side)side))
          open = forward(proxy, proxy->pairs[i], (enum side)side);
      if (!open) pair_close(proxy, i);
    }
    if (polled[1].revents) accept_pair(proxy);
  }
}

/* ---- the caller's side ---- */

static int listen_on_free_port(uint16_t *port) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, PAIRS_MAX) == 0 &&
      getsockname(fd, (struct sockaddr *)&at, &len) == 0) {
    *port = ntohs(at.sin_port);
    return fd;
  }
  close(fd);
  return -1;
}

struct proxy *proxy_new(uint16_t target_port) {
  struct proxy *proxy = sb_calloc(1, sizeof *proxy);
  proxy->target_port = target_port;
  pthread_mutex_init(&proxy->lock, NULL);
  pthread_cond_init(&proxy->obeyed, NULL);
  proxy->listener = listen_on_free_port(&proxy->port);
  if (proxy->listener < 0) goto no_listener;
  if (pipe2(proxy->bell, O_CLOEXEC | O_NONBLOCK) != 0) goto no_bell;
  if (pthread_create(&proxy->thread, NULL, run, proxy) == 0) return proxy;
  close(proxy->bell[0]);
  close(proxy->bell[1]);
no_bell:
  close(proxy->listener);
no_listener:
  pthread_cond_destroy(&proxy->obeyed);
  pthread_mutex_destroy(&proxy->lock);
  free(proxy);
  return NULL;
}

/* With the lock, which it releases. */
static void order(struct proxy *proxy) {
  unsigned mine = ++proxy->orders;
  if (write(proxy->bell[1], "", 1) < 0 && errno != EAGAIN) abort();
  while (proxy->done < mine) pthread_cond_wait(&proxy->obeyed, &proxy->lock);
  pthread_mutex_unlock(&proxy->lock);
}

void proxy_free(struct proxy *proxy) {
  if (!proxy) return;
  pthread_mutex_lock(&proxy->lock);
  proxy->stop = true;
  order(proxy);
  pthread_join(proxy->thread, NULL);
  close(proxy->listener);
  close(proxy->bell[0]);
  close(proxy->bell[1]);
  pthread_cond_destroy(&proxy->obeyed);
  pthread_mutex_destroy(&proxy->lock);
  free(proxy);
}

uint16_t proxy_port(const struct proxy *proxy) {
  return proxy->port;
}

void proxy_hold(struct proxy *proxy, bool requests, bool replies) {
  pthread_mutex_lock(&proxy->lock);
  proxy->hold[CLIENT] = requests;
  proxy->hold[BROKER] = replies;
  order(proxy);
}

void proxy_cut(struct proxy *proxy) {
  pthread_mutex_lock(&proxy->lock);
  proxy->cut = true;
  proxy->hold[CLIENT] = proxy->hold[BROKER] = false;
  order(proxy);
}

size_t proxy_connections(struct proxy *proxy) {
  pthread_mutex_lock(&proxy->lock);
  order(proxy);
  pthread_mutex_lock(&proxy->lock);
  size_t connections = proxy->connections;
  pthread_mutex_unlock(&proxy->lock);
  return connections;
}

uint64_t proxy_carried(struct proxy *proxy) {
  pthread_mutex_lock(&proxy->lock);
  order(proxy);
  pthread_mutex_lock(&proxy->lock);
  uint64_t carried = proxy->carried;
  pthread_mutex_unlock(&proxy->lock);
  return carried;
}

void proxy_away(struct proxy *proxy, bool away) {
  pthread_mutex_lock(&proxy->lock);
  proxy->away = away;
  order(proxy);
}

void proxy_slow(struct proxy *proxy, size_t bytes_per_s) {
  pthread_mutex_lock(&proxy->lock);
  proxy->pace = bytes_per_s * SLICE_MS / 1000;
  order(proxy);
}
