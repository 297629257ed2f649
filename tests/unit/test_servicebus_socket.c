/* Connecting to a name with several addresses: each has its share of the time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transports/servicebus_socket.h"

#define FILLERS_MAX   64
#define UNANSWERED_MS 300
#define TIMEOUT_MS    4000

struct peer {
  int fd;
  struct sockaddr_in at;
  int fillers[FILLERS_MAX]; /* connections that nobody accepts */
  size_t filler_count;
};

static void open_peer(struct peer *peer) {
  socklen_t len = sizeof peer->at;
  *peer = (struct peer){.at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
  peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(peer->fd >= 0);
  assert_int_equal(bind(peer->fd, (struct sockaddr *)&peer->at, sizeof peer->at), 0);
  assert_int_equal(listen(peer->fd, 0), 0);
  assert_int_equal(getsockname(peer->fd, (struct sockaddr *)&peer->at, &len), 0);
}

/* Its queue is full: what comes then gets no answer. */
static void fall_silent(struct peer *peer) {
  for (int answered = 1; answered;) {
    assert_true(peer->filler_count < FILLERS_MAX);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    peer->fillers[peer->filler_count++] = fd;
    struct pollfd connected = {.fd = fd, .events = POLLOUT};
    assert_true(connect(fd, (struct sockaddr *)&peer->at, sizeof peer->at) == 0 || errno == EINPROGRESS);
    answered = poll(&connected, 1, UNANSWERED_MS);
  }
}

static void close_peer(struct peer *peer) {
  for (size_t i = 0; i < peer->filler_count; i++) close(peer->fillers[i]);
  close(peer->fd);
}

static struct addrinfo address_of(struct peer *peer, struct addrinfo *next) {
  return (struct addrinfo){.ai_family = AF_INET,
                           .ai_socktype = SOCK_STREAM,
                           .ai_addr = (struct sockaddr *)&peer->at,
                           .ai_addrlen = sizeof peer->at,
                           .ai_next = next};
}

static void open_board(struct sb_servicebus_board *board) {
  memset(board, 0, sizeof *board);
  atomic_init(&board->stopping, false);
  board->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  assert_true(board->wake_fd >= 0);
}

static void one_that_does_not_answer_leaves_time_to_the_next(void **state) {
  (void)state;
  struct peer silent, good;
  struct sb_servicebus_board board;
  struct sb_error error = {0};
  open_board(&board);
  open_peer(&silent);
  open_peer(&good);
  fall_silent(&silent);
  struct addrinfo second = address_of(&good, NULL), first = address_of(&silent, &second);
  int64_t since_ms = sb_servicebus_now_ms();
  int fd = sb_servicebus_connect(&board, &first, since_ms + TIMEOUT_MS, &error);
  assert_true(fd >= 0);
  assert_in_range(sb_servicebus_now_ms() - since_ms, TIMEOUT_MS / 2, TIMEOUT_MS);
  close(fd);
  close_peer(&silent);
  close_peer(&good);
  close(board.wake_fd);
}

static void all_that_do_not_answer_take_no_longer_than_one(void **state) {
  (void)state;
  struct peer silent;
  struct sb_servicebus_board board;
  struct sb_error error = {0};
  open_board(&board);
  open_peer(&silent);
  fall_silent(&silent);
  struct addrinfo third = address_of(&silent, NULL), second = address_of(&silent, &third),
                  first = address_of(&silent, &second);
  int64_t since_ms = sb_servicebus_now_ms();
  assert_int_equal(sb_servicebus_connect(&board, &first, since_ms + 900, &error), SB_ERR_LINK);
  assert_in_range(sb_servicebus_now_ms() - since_ms, 890, 900 + TIMEOUT_MS);
  assert_non_null(strstr(error.text, "timed out"));
  close_peer(&silent);
  close(board.wake_fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_that_does_not_answer_leaves_time_to_the_next),
      cmocka_unit_test(all_that_do_not_answer_take_no_longer_than_one),
  };
  return cmocka_run_group_tests_name("servicebus_socket", tests, NULL, NULL);
}
