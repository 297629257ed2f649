/* Threads, conditions, the clock and files of bridge/base. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridge/base/clock.h"
#include "bridge/base/file.h"
#include "bridge/base/hash.h"
#include "bridge/base/thread.h"

static void *look_at_mask(void *arg) {
  pthread_sigmask(SIG_BLOCK, NULL, arg);
  return NULL;
}

static void a_thread_leaves_signals_to_who_started_it(void **state) {
  (void)state;
  sigset_t before, after, its;
  pthread_t thread;
  pthread_sigmask(SIG_BLOCK, NULL, &before);
  assert_int_equal(sb_thread_start(&thread, look_at_mask, &its), 0);
  pthread_join(thread, NULL);
  pthread_sigmask(SIG_BLOCK, NULL, &after);
  assert_int_equal(sigismember(&its, SIGTERM), 1);
  assert_int_equal(sigismember(&its, SIGHUP), 1);
  assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

struct flag {
  pthread_mutex_t lock;
  pthread_cond_t set;
  bool is_set;
};

static void *set_flag(void *arg) {
  struct flag *flag = arg;
  pthread_mutex_lock(&flag->lock);
  flag->is_set = true;
  pthread_cond_signal(&flag->set);
  pthread_mutex_unlock(&flag->lock);
  return NULL;
}

static void a_condition_is_waited_for_until_it_is_signalled_or_until_the_deadline(void **state) {
  (void)state;
  static struct flag flag; /* of the test, since nobody joins the thread */
  pthread_mutex_init(&flag.lock, NULL);
  sb_condition_init(&flag.set);
  pthread_mutex_lock(&flag.lock);
  int64_t until_ms = sb_clock_ms() + 20;
  while (sb_condition_wait(&flag.set, &flag.lock, until_ms)) continue;
  assert_true(sb_clock_ms() >= until_ms);
  assert_int_equal(sb_thread_start_detached(set_flag, &flag), 0);
  until_ms = sb_clock_ms() + 30000;
  while (!flag.is_set) assert_true(sb_condition_wait(&flag.set, &flag.lock, until_ms));
  pthread_mutex_unlock(&flag.lock);
}

static void a_deadline_is_what_poll_takes(void **state) {
  (void)state;
  int64_t now_ms = sb_clock_ms();
  assert_int_equal(sb_clock_poll_ms(INT64_MAX), -1);
  assert_int_equal(sb_clock_poll_ms(INT64_MAX - 1), INT_MAX);
  assert_int_equal(sb_clock_poll_ms(now_ms), 0);
  assert_int_equal(sb_clock_poll_ms(0), 0);
  assert_in_range(sb_clock_poll_ms(now_ms + 60000), 1, 60000);
  assert_int_equal(sb_sooner(now_ms, INT64_MAX), now_ms);
}

static void a_file_is_read_up_to_its_end_or_to_what_fits(void **state) {
  (void)state;
  char name[] = "/tmp/sidebus-test-file-XXXXXX", text[16];
  size_t len = 99;
  int fd = mkstemp(name);
  assert_true(fd >= 0);
  unlink(name);
  assert_int_equal(write(fd, "0123456789", 10), 10);
  lseek(fd, 0, SEEK_SET);
  assert_int_equal(sb_file_read(fd, text, 4, &len), 0);
  assert_int_equal(len, 4);
  assert_int_equal(sb_file_read(fd, text, sizeof text, &len), 0);
  assert_int_equal(len, 6);
  assert_memory_equal(text, "456789", 6);
  close(fd);
  assert_int_equal(sb_file_read(-1, text, sizeof text, &len), EBADF);
  assert_int_equal(len, 0);
}

static void only_a_regular_file_is_opened(void **state) {
  (void)state;
  char name[] = "/tmp/sidebus-test-file-XXXXXX";
  struct stat is;
  struct sb_error error = {0};
  int made = mkstemp(name);
  assert_true(made >= 0);
  close(made);
  int fd = sb_file_open("", name, &is, &error);
  assert_true(fd >= 0);
  assert_int_equal(is.st_size, 0);
  close(fd);
  unlink(name);
  assert_int_equal(sb_file_open("the token file ", name, &is, &error), SB_ERR_SYSTEM);
  assert_non_null(strstr(error.text, "cannot read the token file /tmp/sidebus-test-file-"));
  assert_int_equal(mkfifo(name, 0600), 0); /* nobody writes to it, and nobody waits */
  assert_int_equal(sb_file_open("", name, &is, &error), SB_ERR_INVALID);
  unlink(name);
}

/* Names of subscriptions are made of it: it must stay what it is. */
static void the_hash_of_a_text_is_fnv_1a(void **state) {
  (void)state;
  assert_true(sb_hash_text("") == UINT64_C(0xcbf29ce484222325));
  assert_true(sb_hash_text("a") == UINT64_C(0xaf63dc4c8601ec8c));
  assert_true(sb_hash_text("foobar") == UINT64_C(0x85944171f73967e8));
  assert_true(sb_hash_add(sb_hash_text("foo"), "bar", 3) == sb_hash_text("foobar"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_thread_leaves_signals_to_who_started_it),
      cmocka_unit_test(a_condition_is_waited_for_until_it_is_signalled_or_until_the_deadline),
      cmocka_unit_test(a_deadline_is_what_poll_takes),
      cmocka_unit_test(a_file_is_read_up_to_its_end_or_to_what_fits),
      cmocka_unit_test(only_a_regular_file_is_opened),
      cmocka_unit_test(the_hash_of_a_text_is_fnv_1a),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
