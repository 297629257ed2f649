/* From a name to a connected socket: in which order addresses are tried, that one that does not answer costs
 * the others little, and that a resolver that hangs holds up nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "bridge/base/clock.h"
#include "transports/net/connect.h"

#define FILLERS_MAX   64
#define UNANSWERED_MS 300
#define TIMEOUT_MS    20000

/* ---- peers ---- */

struct peer {
  int fd;
  struct sb_net_address at;
  int fillers[FILLERS_MAX]; /* connections that nobody accepts */
  size_t filler_count;
};

/* False when this machine does not have the address. */
static bool open_peer(struct peer *peer, const char *numeric) {
  *peer = (struct peer){.at = {.at.v4 = {.sin_family = AF_INET}, .len = sizeof peer->at.at.v4}};
  if (inet_pton(AF_INET, numeric, &peer->at.at.v4.sin_addr) != 1) {
    peer->at = (struct sb_net_address){.at.v6 = {.sin6_family = AF_INET6}, .len = sizeof peer->at.at.v6};
    assert_int_equal(inet_pton(AF_INET6, numeric, &peer->at.at.v6.sin6_addr), 1);
  }
  peer->fd = socket(peer->at.at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (peer->fd < 0) return false;
  if (bind(peer->fd, &peer->at.at.any, peer->at.len) != 0) {
    close(peer->fd);
    return false;
  }
  assert_int_equal(listen(peer->fd, 0), 0);
  assert_int_equal(getsockname(peer->fd, &peer->at.at.any, &peer->at.len), 0);
  return true;
}

/* Its queue is full: what comes then gets no answer, like from a host that is down. */
static void fall_silent(struct peer *peer) {
  for (int answered = 1; answered;) {
    assert_true(peer->filler_count < FILLERS_MAX);
    int fd = socket(peer->at.at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    peer->fillers[peer->filler_count++] = fd;
    struct pollfd connected = {.fd = fd, .events = POLLOUT};
    assert_true(connect(fd, &peer->at.at.any, peer->at.len) == 0 || errno == EINPROGRESS);
    answered = poll(&connected, 1, UNANSWERED_MS);
  }
}

static void speak_again(struct peer *peer) {
  struct pollfd waiting = {.fd = peer->fd, .events = POLLIN};
  while (poll(&waiting, 1, 0) > 0) close(accept(peer->fd, NULL, NULL));
}

static void close_peer(struct peer *peer) {
  for (size_t i = 0; i < peer->filler_count; i++) close(peer->fillers[i]);
  close(peer->fd);
}

/* An address where nobody listens. */
static struct sb_net_address deserted(void) {
  struct peer peer;
  assert_true(open_peer(&peer, "127.0.0.1"));
  close_peer(&peer);
  return peer.at;
}

/* ---- the thread that waits ---- */

struct owner {
  unsigned asked, stop_at, revive_at; /* 0: never */
  struct peer *revived;
};

static bool stopping(void *arg) {
  struct owner *owner = arg;
  owner->asked++;
  if (owner->asked == owner->revive_at) speak_again(owner->revived);
  return owner->stop_at && owner->asked >= owner->stop_at;
}

static struct sb_net_wait wait_of(struct owner *owner) {
  return (struct sb_net_wait){.stopping = stopping, .wake_fd = -1, .owner = owner};
}

static int race(struct sb_net_addresses addresses, struct owner *owner, int64_t timeout_ms, size_t *met,
                struct sb_error *error) {
  struct sb_net_wait wait = wait_of(owner);
  return sb_net_race(&addresses, &wait, sb_clock_ms() + timeout_ms, met, error);
}

/* ---- order ---- */

static struct sb_net_address numbered(sa_family_t family, uint16_t number) {
  struct sb_net_address address = {.at.v4 = {.sin_family = family, .sin_port = number}};
  return address;
}

static void the_families_take_turns_and_the_first_one_stays_first(void **state) {
  (void)state;
  struct sb_net_addresses addresses = {
      .count = 6,
      .list = {numbered(AF_INET6, 1), numbered(AF_INET6, 2), numbered(AF_INET6, 3), numbered(AF_INET6, 4),
               numbered(AF_INET, 5), numbered(AF_INET, 6)},
  };
  static const uint16_t expected[] = {1, 5, 2, 6, 3, 4};
  sb_net_interleave(&addresses);
  for (size_t i = 0; i < addresses.count; i++)
    assert_int_equal(addresses.list[i].at.v4.sin_port, expected[i]);
  addresses.count = 1;
  sb_net_interleave(&addresses);
  assert_int_equal(addresses.list[0].at.v4.sin_port, 1);
}

/* ---- the race ---- */

static void one_that_does_not_answer_leaves_time_to_the_next(void **state) {
  (void)state;
  struct peer silent, good;
  struct owner owner = {0};
  struct sb_error error = {0};
  size_t met = 9;
  assert_true(open_peer(&silent, "127.0.0.1") && open_peer(&good, "127.0.0.9"));
  fall_silent(&silent);
  int64_t since_ms = sb_clock_ms();
  int fd = race((struct sb_net_addresses){2, {silent.at, good.at}}, &owner, TIMEOUT_MS, &met, &error);
  assert_true(fd >= 0);
  assert_int_equal(met, 1);
  assert_in_range(sb_clock_ms() - since_ms, 0, TIMEOUT_MS / 2 - 1);
  close(fd);
  close_peer(&silent);
  close_peer(&good);
}

static void the_other_family_is_tried_while_one_is_silent(void **state) {
  (void)state;
  struct peer silent, good;
  struct owner owner = {0};
  struct sb_error error = {0};
  size_t met = 9;
  if (!open_peer(&silent, "::1")) skip();
  assert_true(open_peer(&good, "127.0.0.1"));
  fall_silent(&silent);
  struct sb_net_addresses addresses = {4, {silent.at, silent.at, silent.at, good.at}};
  sb_net_interleave(&addresses);
  int fd = race(addresses, &owner, TIMEOUT_MS, &met, &error);
  assert_true(fd >= 0);
  assert_int_equal(met, 1);
  close(fd);
  close_peer(&silent);
  close_peer(&good);
}

static void one_that_is_slow_goes_on_while_the_next_is_tried(void **state) {
  (void)state;
  struct peer slow, silent;
  /* Late enough for the second to have been started: each ask but the first follows a wait. */
  struct owner owner = {.revive_at = 4, .revived = &slow};
  struct sb_error error = {0};
  size_t met = 9;
  assert_true(open_peer(&slow, "127.0.0.1") && open_peer(&silent, "127.0.0.9"));
  fall_silent(&slow);
  fall_silent(&silent);
  int fd = race((struct sb_net_addresses){2, {slow.at, silent.at}}, &owner, TIMEOUT_MS, &met, &error);
  assert_true(fd >= 0);
  assert_int_equal(met, 0);
  close(fd);
  close_peer(&slow);
  close_peer(&silent);
}

static void one_that_refuses_is_followed_by_the_next(void **state) {
  (void)state;
  struct peer good;
  struct owner owner = {0};
  struct sb_error error = {0};
  size_t met = 9;
  assert_true(open_peer(&good, "127.0.0.9"));
  int fd =
      race((struct sb_net_addresses){3, {deserted(), deserted(), good.at}}, &owner, TIMEOUT_MS, &met, &error);
  assert_true(fd >= 0);
  assert_int_equal(met, 2);
  close(fd);
  close_peer(&good);
}

static void all_that_do_not_answer_take_no_longer_than_one(void **state) {
  (void)state;
  struct peer silent;
  struct owner owner = {0};
  struct sb_error error = {0};
  assert_true(open_peer(&silent, "127.0.0.1"));
  fall_silent(&silent);
  int64_t since_ms = sb_clock_ms();
  int rc = race((struct sb_net_addresses){3, {silent.at, silent.at, silent.at}}, &owner, 900, NULL, &error);
  assert_int_equal(rc, SB_ERR_LINK);
  assert_in_range(sb_clock_ms() - since_ms, 890, 900 + TIMEOUT_MS);
  assert_non_null(strstr(error.text, "timed out"));
  close_peer(&silent);
}

static void what_became_of_each_address_is_told(void **state) {
  (void)state;
  struct peer silent;
  struct owner owner = {0};
  struct sb_error error = {0};
  assert_true(open_peer(&silent, "127.0.0.9"));
  fall_silent(&silent);
  int rc = race((struct sb_net_addresses){2, {silent.at, deserted()}}, &owner, 600, NULL, &error);
  assert_int_equal(rc, SB_ERR_LINK);
  assert_non_null(strstr(error.text, "none of its 2 addresses"));
  assert_non_null(strstr(error.text, "127.0.0.9: Connection timed out"));
  assert_non_null(strstr(error.text, "127.0.0.1: Connection refused"));
  rc = race((struct sb_net_addresses){1, {deserted()}}, &owner, TIMEOUT_MS, NULL, &error);
  assert_int_equal(rc, SB_ERR_LINK);
  assert_string_equal(error.text, "Connection refused");
  close_peer(&silent);
}

static void a_stop_ends_it(void **state) {
  (void)state;
  struct peer silent;
  struct owner owner = {.stop_at = 3};
  struct sb_error error = {0};
  assert_true(open_peer(&silent, "127.0.0.1"));
  fall_silent(&silent);
  int64_t since_ms = sb_clock_ms();
  int rc = race((struct sb_net_addresses){1, {silent.at}}, &owner, TIMEOUT_MS, NULL, &error);
  assert_int_equal(rc, SB_ERR_LINK);
  assert_in_range(sb_clock_ms() - since_ms, 0, TIMEOUT_MS / 2 - 1);
  close_peer(&silent);
}

/* ---- names ---- */

#define HANGING "hangs.example"

typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static sem_t released;

/* In place of the C library's: a name server that is silent until it is released. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **chain) {
  if (strcmp(host, HANGING) == 0 && !(hints->ai_flags & AI_NUMERICHOST)) {
    while (sem_wait(&released) != 0) continue;
    return EAI_AGAIN;
  }
  void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
  resolver *real;
  memcpy(&real, &symbol, sizeof real);
  return real(host, port, hints, chain);
}

/* Lets `count` questions end, and waits until they were told. */
static void release(unsigned count) {
  int left = 1;
  int64_t until_ms = sb_clock_ms() + TIMEOUT_MS;
  for (unsigned i = 0; i < count; i++) sem_post(&released);
  while (sem_getvalue(&released, &left) == 0 && left > 0) assert_true(sb_clock_ms() < until_ms);
}

static int resolve(const char *host, struct owner *owner, int64_t timeout_ms, struct sb_net_addresses *found,
                   struct sb_error *error) {
  struct sb_net_wait wait = wait_of(owner);
  return sb_net_resolve(host, 5672, &wait, sb_clock_ms() + timeout_ms, found, error);
}

static void names_and_numeric_addresses_are_resolved(void **state) {
  (void)state;
  struct owner owner = {0};
  struct sb_error error = {0};
  struct sb_net_addresses found;
  char numeric[SB_NET_NUMERIC_TEXT];
  static const char *const hosts[] = {"127.0.0.9", "::1"};
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(resolve(hosts[i], &owner, TIMEOUT_MS, &found, &error), 0);
    assert_int_equal(found.count, 1);
    sb_net_numeric(&found.list[0], numeric);
    assert_string_equal(numeric, hosts[i]);
  }
  assert_int_equal(resolve("localhost", &owner, TIMEOUT_MS, &found, &error), 0);
  assert_true(found.count > 0);
  assert_int_equal(ntohs(found.list[0].at.v4.sin_port), 5672);
  assert_int_equal(resolve("no such name", &owner, TIMEOUT_MS, &found, &error), SB_ERR_LINK);
  assert_non_null(strstr(error.text, "cannot resolve the name: "));
}

static void a_resolver_that_hangs_holds_up_neither_the_deadline_nor_a_stop(void **state) {
  (void)state;
  struct owner patient = {0}, stopped = {.stop_at = 2};
  struct sb_error error = {0};
  struct sb_net_addresses found;
  assert_int_equal(resolve(HANGING, &patient, 300, &found, &error), SB_ERR_TIMEOUT);
  assert_non_null(strstr(error.text, "no answer from the resolver"));
  assert_int_equal(resolve(HANGING, &stopped, TIMEOUT_MS, &found, &error), SB_ERR_LINK);
  release(2);
}

/* The threads of the questions before may still be ending. */
static void await_room(void) {
  struct owner owner = {0};
  struct sb_error error = {0};
  struct sb_net_addresses found;
  int64_t until_ms = sb_clock_ms() + TIMEOUT_MS;
  while (resolve("localhost", &owner, TIMEOUT_MS, &found, &error) != 0) assert_true(sb_clock_ms() < until_ms);
}

static void questions_that_hang_are_limited_and_room_comes_back(void **state) {
  (void)state;
  struct owner owner = {0};
  struct sb_error error = {0};
  struct sb_net_addresses found;
  unsigned hanging = 0;
  while (resolve(HANGING, &owner, 10, &found, &error) == SB_ERR_TIMEOUT) hanging++;
  assert_in_range(hanging, SB_NET_LOOKUPS_MAX - 2, SB_NET_LOOKUPS_MAX);
  assert_non_null(strstr(error.text, "the resolver does not answer"));
  assert_int_equal(resolve("127.0.0.1", &owner, TIMEOUT_MS, &found, &error), 0);
  release(hanging);
  await_room();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_families_take_turns_and_the_first_one_stays_first),
      cmocka_unit_test(one_that_does_not_answer_leaves_time_to_the_next),
      cmocka_unit_test(the_other_family_is_tried_while_one_is_silent),
      cmocka_unit_test(one_that_is_slow_goes_on_while_the_next_is_tried),
      cmocka_unit_test(one_that_refuses_is_followed_by_the_next),
      cmocka_unit_test(all_that_do_not_answer_take_no_longer_than_one),
      cmocka_unit_test(what_became_of_each_address_is_told),
      cmocka_unit_test(a_stop_ends_it),
      cmocka_unit_test(names_and_numeric_addresses_are_resolved),
      cmocka_unit_test(a_resolver_that_hangs_holds_up_neither_the_deadline_nor_a_stop),
      cmocka_unit_test(questions_that_hang_are_limited_and_room_comes_back),
  };
  sem_init(&released, 0, 0);
  return cmocka_run_group_tests_name("net_connect", tests, NULL, NULL);
}
