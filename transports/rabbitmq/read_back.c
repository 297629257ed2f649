#include "transports/rabbitmq/read_back.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/clock.h"
#include "bridge/base/log.h"
#include "transports/rabbitmq/connect.h"

#define FRAMES_PER_TURN 256 /* then other work is looked at */

/* `asked` and `range` belong to the lock. The slot is taken from the asking until the bridge is told the
 * end; meanwhile its job belongs to the thread. */
struct slot {
  bool asked;
  struct sb_rabbitmq_range range;
  bool begun; /* the thread's */
  struct sb_rabbitmq_job job;
};

struct sb_rabbitmq_read_back {
  struct sb_rabbitmq_board *board;
  struct sb_rabbitmq_link link;
  char complaint[SB_ERROR_TEXT_MAX]; /* the failure that was logged last, since a reading back succeeded */
  int64_t idle_since_ms;

  pthread_mutex_t lock;
  bool ended;
  int64_t not_before_ms; /* a connection that failed is not tried again earlier */
  struct slot slots[SB_TRANSPORT_READ_BACKS_MAX];
};

struct sb_rabbitmq_read_back *sb_rabbitmq_read_back_new(struct sb_rabbitmq_board *board,
                                                        struct sb_error *error) {
  struct sb_rabbitmq_read_back *rb = sb_calloc(1, sizeof *rb);
  rb->board = board;
  if (sb_rabbitmq_link_init(&rb->link, board, "read-back", error) != 0) {
    free(rb);
    return NULL;
  }
  pthread_mutex_init(&rb->lock, NULL);
  for (size_t i = 0; i < SB_TRANSPORT_READ_BACKS_MAX; i++)
    sb_rabbitmq_job_init(&rb->slots[i].job, board, &rb->link, (amqp_channel_t)(i + 1));
  return rb;
}

void sb_rabbitmq_read_back_free(struct sb_rabbitmq_read_back *rb) {
  if (!rb) return;
  sb_rabbitmq_link_close(&rb->link);
  pthread_mutex_destroy(&rb->lock);
  free(rb);
}

struct sb_rabbitmq_link *sb_rabbitmq_read_back_link(struct sb_rabbitmq_read_back *rb) {
  return &rb->link;
}

/* ---- any thread ---- */

/* Under the lock. */
static int take_slot(struct sb_rabbitmq_read_back *rb, const struct sb_rabbitmq_range *range) {
  struct slot *free_slot = NULL;
  for (size_t i = 0; i < SB_TRANSPORT_READ_BACKS_MAX; i++) {
    struct slot *slot = &rb->slots[i];
    if (slot->asked && slot->range.partition == range->partition) return SB_ERR_FULL;
    if (!slot->asked) free_slot = slot;
  }
  if (!free_slot) return SB_ERR_FULL;
  free_slot->asked = true;
  free_slot->range = *range;
  atomic_store(&free_slot->job.unwanted, false);
  return 0;
}

int sb_rabbitmq_read_back_ask(struct sb_rabbitmq_read_back *rb, const struct sb_rabbitmq_range *range) {
  size_t host;
  if (!sb_rabbitmq_board_is_up(rb->board, SB_LINK_CONSUME, &host)) return SB_ERR_LINK;
  pthread_mutex_lock(&rb->lock);
  bool can = !rb->ended && sb_clock_ms() >= rb->not_before_ms;
  int rc = can ? take_slot(rb, range) : SB_ERR_LINK;
  pthread_mutex_unlock(&rb->lock);
  if (rc == 0) sb_rabbitmq_link_wake(&rb->link);
  return rc;
}

void sb_rabbitmq_read_back_unask(struct sb_rabbitmq_read_back *rb, uint64_t token) {
  pthread_mutex_lock(&rb->lock);
  for (size_t i = 0; i < SB_TRANSPORT_READ_BACKS_MAX; i++)
    if (rb->slots[i].asked && rb->slots[i].range.token == token)
      atomic_store(&rb->slots[i].job.unwanted, true);
  pthread_mutex_unlock(&rb->lock);
  sb_rabbitmq_link_wake(&rb->link);
}

/* ---- the thread: ranges that were asked for, and their ends ---- */

static bool any_asked(struct sb_rabbitmq_read_back *rb) {
  bool any = false;
  pthread_mutex_lock(&rb->lock);
  for (size_t i = 0; i < SB_TRANSPORT_READ_BACKS_MAX; i++) any = any || rb->slots[i].asked;
  pthread_mutex_unlock(&rb->lock);
  return any;
}

/* Warns once of each reason; a reason that repeats is logged at the debug level. */
static void tell_failure(struct sb_rabbitmq_read_back *rb, const char *why) {
  bool news = strcmp(rb->complaint, why) != 0;
  memcpy(rb->complaint, why, strlen(why) + 1);
  sb_log(news ? SB_LOG_WARN : SB_LOG_DEBUG, SB_RABBITMQ_AREA, "reading back: %s", why);
}

static void tell_stream_failure(struct sb_rabbitmq_read_back *rb, const struct sb_rabbitmq_job *job) {
  struct sb_error error = {0};
  sb_error_set(&error, SB_ERR_REFUSED, "stream %s.%" PRIu32 ": %s", rb->board->exchange, job->range.partition,
               job->why);
  tell_failure(rb, error.text);
}

/* Frees the slot before the bridge hears of the end, because then it may ask again. */
static void end(struct sb_rabbitmq_read_back *rb, struct slot *slot, enum sb_stored outcome) {
  pthread_mutex_lock(&rb->lock);
  struct sb_rabbitmq_range range = slot->range;
  slot->asked = false;
  pthread_mutex_unlock(&rb->lock);
  slot->begun = false;
  rb->idle_since_ms = sb_clock_ms();
  if (outcome == SB_STORED_DONE) rb->complaint[0] = 0;
  sb_rabbitmq_board_stored_end(rb->board, range.partition, range.token, outcome);
}

static void end_shut(struct sb_rabbitmq_read_back *rb) {
  for (size_t i = 0; i < SB_TRANSPORT_READ_BACKS_MAX; i++) {
    struct slot *slot = &rb->slots[i];
    if (!slot->begun || slot->job.state != SB_JOB_SHUT) continue;
    if (slot->job.why[0]) tell_stream_failure(rb, &slot->job);
    end(rb, slot, slot->job.outcome);
  }
}

/* Fails all ranges: there is no connection any more, or none could be made. */
static void end_all(struct sb_rabbitmq_read_back *rb) {
  for (size_t i = 0; i < SB_TRANSPORT_READ_BACKS_MAX; i++) {
    struct slot *slot = &rb->slots[i];
    bool asked;
    pthread_mutex_lock(&rb->lock);
    asked = slot->asked;
    pthread_mutex_unlock(&rb->lock);
    if (!asked) continue;
    enum sb_stored outcome = slot->begun ? slot->job.outcome : SB_STORED_FAILED;
    sb_rabbitmq_job_lost(&slot->job);
    end(rb, slot, outcome);
  }
}

static int begin_asked(struct sb_rabbitmq_read_back *rb, struct sb_error *error) {
  for (size_t i = 0; i < SB_TRANSPORT_READ_BACKS_MAX; i++) {
    struct slot *slot = &rb->slots[i];
    pthread_mutex_lock(&rb->lock);
    bool begin = slot->asked && !slot->begun;
    struct sb_rabbitmq_range range = slot->range;
    pthread_mutex_unlock(&rb->lock);
    if (!begin) continue;
    slot->begun = true;
    int rc = sb_rabbitmq_job_begin(&slot->job, &range, error);
    if (rc) return rc;
  }
  return 0;
}

/* ---- the thread: its connection ---- */

static int on_frame(struct sb_rabbitmq_read_back *rb, const amqp_frame_t *frame, struct sb_error *error) {
  if (frame->channel == 0 || frame->channel > SB_TRANSPORT_READ_BACKS_MAX) return 0;
  int64_t began_ms = sb_clock_ms();
  int rc = sb_rabbitmq_job_frame(&rb->slots[frame->channel - 1u].job, frame, error);
  /* This may have waited for the bridge, and then all other jobs waited with it. */
  int64_t paused_ms = sb_clock_ms() - began_ms;
  for (size_t i = 0; paused_ms > 0 && i < SB_TRANSPORT_READ_BACKS_MAX; i++)
    sb_rabbitmq_job_pause(&rb->slots[i].job, paused_ms);
  return rc;
}

static int read_frames(struct sb_rabbitmq_read_back *rb, struct sb_error *error) {
  amqp_frame_t frame;
  for (int i = 0; i < FRAMES_PER_TURN && !sb_rabbitmq_link_stopping(&rb->link); i++) {
    int rc = sb_rabbitmq_link_frame(&rb->link, &frame, error);
    if (rc <= 0) return rc;
    rc = on_frame(rb, &frame, error);
    if (rc) return rc;
    sb_rabbitmq_link_release(&rb->link, frame.channel);
  }
  return 0;
}

/* Puts into *next_ms when to come again. */
static int tick_all(struct sb_rabbitmq_read_back *rb, int64_t *next_ms, struct sb_error *error) {
  int64_t now_ms = sb_clock_ms();
  int rc = 0;
  *next_ms = INT64_MAX;
  for (size_t i = 0; rc == 0 && i < SB_TRANSPORT_READ_BACKS_MAX; i++) {
    struct sb_rabbitmq_job *job = &rb->slots[i].job;
    rc = sb_rabbitmq_job_tick(job, now_ms, error);
    if (job->due_ms < *next_ms) *next_ms = job->due_ms;
  }
  end_shut(rb);
  return rc;
}

/* Runs until it is stopped, or nothing was asked for a while (both return 0). */
static int run(struct sb_rabbitmq_read_back *rb, struct sb_error *error) {
  rb->idle_since_ms = sb_clock_ms();
  while (!sb_rabbitmq_link_stopping(&rb->link)) {
    int rc = begin_asked(rb, error);
    if (rc == 0) rc = read_frames(rb, error);
    int64_t next_ms;
    if (rc == 0) rc = tick_all(rb, &next_ms, error);
    if (rc) return rc;
    if (!any_asked(rb)) {
      next_ms = rb->idle_since_ms + rb->board->settings.read_back_idle_ms;
      if (sb_clock_ms() >= next_ms) break;
    }
    sb_rabbitmq_link_wait(&rb->link, false, next_ms);
  }
  sb_rabbitmq_link_forget_failures(&rb->link);
  return 0;
}

static int connect_and_run(struct sb_rabbitmq_read_back *rb, struct sb_error *error) {
  int rc = sb_rabbitmq_connect(&rb->link, SB_TRANSPORT_READ_BACKS_MAX, error);
  if (rc == 0) {
    sb_rabbitmq_link_held(&rb->link);
    rc = run(rb, error);
  }
  if (rc) sb_error_wrap(error, "%s", rb->board->hosts[rb->link.host].text);
  return rc;
}

static void link_failed(struct sb_rabbitmq_read_back *rb, const struct sb_error *error) {
  size_t host = rb->link.host;
  sb_rabbitmq_link_failed(&rb->link, error);
  int64_t not_before_ms = rb->link.tries[host].due_ms; /* it reads where the deliveries come from */
  pthread_mutex_lock(&rb->lock);
  rb->not_before_ms = not_before_ms;
  pthread_mutex_unlock(&rb->lock);
  tell_failure(rb, error->text);
}

void *sb_rabbitmq_read_back_main(void *arg) {
  struct sb_rabbitmq_read_back *rb = arg;
  while (!sb_rabbitmq_link_stopping(&rb->link)) {
    if (!any_asked(rb)) {
      sb_rabbitmq_link_wait(&rb->link, false, INT64_MAX);
      continue;
    }
    struct sb_error error = {0};
    bool reachable = sb_rabbitmq_board_is_up(rb->board, SB_LINK_CONSUME, &rb->link.host);
    int rc = reachable ? connect_and_run(rb, &error) : 0;
    sb_rabbitmq_link_drop(&rb->link, rc == 0);
    if (sb_rabbitmq_link_stopping(&rb->link)) break;
    if (rc) link_failed(rb, &error);
    if (rc || !reachable) end_all(rb);
  }
  pthread_mutex_lock(&rb->lock);
  rb->ended = true;
  pthread_mutex_unlock(&rb->lock);
  end_all(rb);
  sb_rabbitmq_board_ended(rb->board);
  return NULL;
}
