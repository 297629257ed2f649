/* Threads that leave signals to the loop's thread, and conditions with deadlines on the monotonic clock: a
 * step of the wall clock must not prolong a wait. */
#ifndef SB_BASE_THREAD_H
#define SB_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* 0 or an errno. The thread has all signals blocked. */
int sb_thread_start(pthread_t *thread, void *(*main)(void *arg), void *arg);

/* The same for a thread that nobody joins. */
int sb_thread_start_detached(void *(*main)(void *arg), void *arg);

/* For pthread_cond_destroy. */
void sb_condition_init(pthread_cond_t *condition);

/* Waits under the lock until the condition is signalled; false when `until_ms` (sb_clock_ms) came first. As
 * with any condition, it may return true for nothing. */
bool sb_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ms);

#endif
