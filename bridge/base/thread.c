#include "bridge/base/thread.h"

#include <signal.h>
#include <time.h>

int sb_thread_start(pthread_t *thread, void *(*main)(void *arg), void *arg) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(thread, NULL, main, arg);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed;
}

int sb_thread_start_detached(void *(*main)(void *arg), void *arg) {
  pthread_t thread;
  int failed = sb_thread_start(&thread, main, arg);
  if (failed == 0) pthread_detach(thread);
  return failed;
}

void sb_condition_init(pthread_cond_t *condition) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(condition, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

bool sb_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ms) {
  struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
  return pthread_cond_timedwait(condition, lock, &until) == 0;
}
