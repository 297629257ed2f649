#include "bridge/cli/bench_run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bridge/cli/bench_payload.h"

struct crew {
  const struct sb_bench_plan *plan;
  const struct sb_bench_roles *roles;
  struct sb_bench_result *result;
  int ready[2]; /* a byte from each process that is ready */
  int go[2];    /* closing the end that only the parent holds is the start signal */
  pid_t publishers[SB_BENCH_CLIENTS_MAX], subscribers[SB_BENCH_CLIENTS_MAX]; /* 0: has ended */
};

static uint64_t cpu_ns(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * UINT64_C(1000000000) +
         (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * UINT64_C(1000);
}

int sb_bench_ready(struct sb_bench_seat *seat, struct sb_error *error) {
  seat->cpu_start_ns = cpu_ns();
  if (write(seat->ready_fd, "", 1) == 1) return 0;
  return sb_error_errno(error, errno, "saying that it is ready");
}

int sb_bench_go(struct sb_bench_seat *seat, struct sb_error *error) {
  char nothing;
  int rc = sb_bench_ready(seat, error);
  if (rc != 0) return rc;
  while (read(seat->go_fd, &nothing, 1) < 0) {
    if (errno != EINTR) return sb_error_errno(error, errno, "waiting for the start");
  }
  seat->cpu_start_ns = cpu_ns();
  return 0;
}

uint64_t sb_bench_sent(const struct sb_bench_plan *plan, const struct sb_bench_result *result) {
  uint64_t sent = 0;
  for (unsigned i = 0; i < plan->publishers; i++) sent += result->publishers[i].sent;
  return sent;
}

uint64_t sb_bench_due_ns(const struct sb_bench_plan *plan, unsigned index, uint64_t start_ns, uint64_t n) {
  return start_ns + (uint64_t)((double)(n * plan->publishers + index) / plan->rate * 1e9);
}

void sb_bench_sleep_until(uint64_t due_ns) {
  struct timespec due = {.tv_sec = (time_t)(due_ns / UINT64_C(1000000000)),
                         .tv_nsec = (long)(due_ns % UINT64_C(1000000000))};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR) continue;
}

/* Never returns. */
static void play(struct crew *crew, bool publisher, unsigned index, pid_t parent) {
  struct sb_bench_client *client =
      publisher ? &crew->result->publishers[index] : &crew->result->subscribers[index];
  struct sb_bench_seat seat = {.index = index,
                               .client = client,
                               .result = crew->result,
                               .ready_fd = crew->ready[1],
                               .go_fd = crew->go[0]};
  struct sb_error error = {0};
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);
  prctl(PR_SET_TIMERSLACK, 1UL); /* the default adds 50 µs to every sleep between messages at a fixed rate */
  close(crew->ready[0]);
  close(crew->go[1]);
  int rc = publisher ? crew->roles->publish(crew->plan, &seat, &error)
                     : crew->roles->subscribe(crew->plan, &seat, &error);
  client->cpu_ns = cpu_ns() - seat.cpu_start_ns;
  if (rc != 0) memcpy(client->text, error.text, sizeof client->text);
  client->code = rc;
  _exit(rc == 0 ? 0 : 1);
}

static int start(struct crew *crew, bool publisher, unsigned count, struct sb_error *error) {
  pid_t *pids = publisher ? crew->publishers : crew->subscribers;
  pid_t parent = getpid();
  for (unsigned i = 0; i < count; i++) {
    pid_t pid = fork();
    if (pid < 0) return sb_error_errno(error, errno, "fork");
    if (pid == 0) play(crew, publisher, i, parent);
    pids[i] = pid;
  }
  return 0;
}

/* Waits for one process to end, or looks whether one has. Returns a code when it failed. */
static int reap(struct crew *crew, int flags, bool *ended, struct sb_error *error) {
  int status = 0;
  pid_t pid = waitpid(-1, &status, flags);
  *ended = pid > 0;
  if (pid == 0 || (pid < 0 && errno == EINTR)) return 0;
  if (pid < 0) return sb_error_errno(error, errno, "waiting for the clients");
  for (unsigned i = 0; i < SB_BENCH_CLIENTS_MAX; i++) {
    bool publisher = crew->publishers[i] == pid;
    if (!publisher && crew->subscribers[i] != pid) continue;
    *(publisher ? &crew->publishers[i] : &crew->subscribers[i]) = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    const char *kind = publisher ? "publisher" : "subscriber";
    if (WIFSIGNALED(status)) {
      return sb_error_set(error, SB_ERR_SYSTEM, "%s %u: killed by signal %d", kind, i, WTERMSIG(status));
    }
    const struct sb_bench_client *client =
        publisher ? &crew->result->publishers[i] : &crew->result->subscribers[i];
    return sb_error_set(error, client->code, "%s %u: %.400s", kind, i, client->text);
  }
  return 0;
}

static int await_ready(struct crew *crew, unsigned count, struct sb_error *error) {
  uint64_t deadline = sb_bench_now_ns() + (uint64_t)(crew->plan->patience * 1e9);
  while (count > 0) {
    char bytes[SB_BENCH_CLIENTS_MAX];
    struct pollfd wait = {.fd = crew->ready[0], .events = POLLIN};
    bool ended = false;
    if (poll(&wait, 1, 50) > 0) {
      ssize_t got = read(crew->ready[0], bytes, count < sizeof bytes ? count : sizeof bytes);
      if (got > 0) count -= (unsigned)got;
    }
    int rc = reap(crew, WNOHANG, &ended, error);
    if (rc != 0) return rc;
    if (sb_bench_now_ns() > deadline) {
      return sb_error_set(error, SB_ERR_TIMEOUT, "%u clients were not ready after %.0f s", count,
                          crew->plan->patience);
    }
  }
  return 0;
}

static bool any(const pid_t *pids) {
  for (unsigned i = 0; i < SB_BENCH_CLIENTS_MAX; i++) {
    if (pids[i] != 0) return true;
  }
  return false;
}

/* Every process gives up by itself when it makes no progress, so this ends. */
static int await_end(struct crew *crew, const pid_t *pids, struct sb_error *error) {
  while (any(pids)) {
    bool ended = false;
    int rc = reap(crew, 0, &ended, error);
    if (rc != 0) return rc;
  }
  return 0;
}

static void stop_all(struct crew *crew) {
  for (unsigned i = 0; i < SB_BENCH_CLIENTS_MAX; i++) {
    if (crew->publishers[i] > 0) kill(crew->publishers[i], SIGTERM);
    if (crew->subscribers[i] > 0) kill(crew->subscribers[i], SIGTERM);
  }
  for (unsigned i = 0; i < SB_BENCH_CLIENTS_MAX; i++) {
    if (crew->publishers[i] > 0) waitpid(crew->publishers[i], NULL, 0);
    if (crew->subscribers[i] > 0) waitpid(crew->subscribers[i], NULL, 0);
  }
}

static int measure(struct crew *crew, struct sb_error *error) {
  unsigned subscribers = sb_bench_subscribers(crew->plan);
  int rc = crew->roles->prepare ? crew->roles->prepare(crew->plan, error) : 0;
  if (rc == 0) rc = start(crew, false, subscribers, error);
  if (rc == 0) rc = await_ready(crew, subscribers, error);
  if (rc == 0) rc = start(crew, true, crew->plan->publishers, error);
  if (rc == 0) rc = await_ready(crew, crew->plan->publishers, error);
  if (rc != 0) return rc;
  close(crew->go[1]);
  crew->go[1] = -1;
  rc = await_end(crew, crew->publishers, error);
  if (rc != 0) return rc;
  rc = crew->roles->finish(crew->plan, error);
  if (rc != 0) return sb_error_wrap(error, "marking the end");
  return await_end(crew, crew->subscribers, error);
}

int sb_bench_run(const struct sb_bench_plan *plan, const struct sb_bench_roles *roles,
                 struct sb_bench_result **result, struct sb_error *error) {
  size_t size = sizeof **result + sb_bench_subscribers(plan) * sizeof(struct sb_bench_tally);
  struct crew crew = {.plan = plan, .roles = roles, .ready = {-1, -1}, .go = {-1, -1}};
  *result = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (*result == MAP_FAILED) {
    *result = NULL;
    return sb_error_errno(error, errno, "sharing memory");
  }
  (*result)->size = size;
  crew.result = *result;
  fflush(NULL); /* or each process prints what waits in the buffers once more */
  int rc = 0;
  if (pipe(crew.ready) != 0 || pipe(crew.go) != 0) rc = sb_error_errno(error, errno, "pipe");
  if (rc == 0) rc = measure(&crew, error);
  stop_all(&crew);
  if (roles->clean_up) {
    struct sb_error left;
    int left_rc = roles->clean_up(plan, &left);
    if (rc == 0 && left_rc != 0) rc = sb_error_set(error, left_rc, "cleaning up: %.400s", left.text);
  }
  for (int i = 0; i < 2; i++) {
    if (crew.ready[i] >= 0) close(crew.ready[i]);
    if (crew.go[i] >= 0) close(crew.go[i]);
  }
  return rc;
}

void sb_bench_result_free(struct sb_bench_result *result) {
  if (result) munmap(result, result->size);
}
