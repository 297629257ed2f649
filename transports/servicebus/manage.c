#include "transports/servicebus/manage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bridge/base/clock.h"
#include "bridge/base/log.h"
#include "bridge/base/thread.h"

/* Subscriptions that could not be removed within this time go by themselves when they have been idle for
 * long (AutoDeleteOnIdle). */
#define REMOVAL_MAX_MS 5000
#define LIFE_DIGITS    8

enum question { QUESTION_NONE, QUESTION_ASKED, QUESTION_ANSWERED };

struct desk {
  enum question question;
  struct sb_servicebus_answer answer;
  char created[SB_SERVICEBUS_TIME_TEXT]; /* the topic, as far as we know; the thread's */
  bool cleared;                          /* leftovers were looked for; the thread's */
  bool made;                             /* our subscription exists, as far as we know; the thread's */
};

struct sb_servicebus_manage {
  struct sb_servicebus_board *board;
  struct sb_servicebus_entities *entities;
  atomic_bool stop; /* of the request under way */
  pthread_t thread;
  bool started;

  pthread_mutex_t lock; /* of questions, answers and the next fields */
  pthread_cond_t asked;
  pthread_cond_t end;
  bool ending;  /* no more questions are taken up */
  bool overdue; /* the request that is under way at the end has had its time */
  bool ended;
  struct desk *desks; /* one per partition */
};

bool sb_servicebus_answer_good(const struct sb_servicebus_answer *answer) {
  return (answer->topic == SB_SERVICEBUS_EXISTS || answer->topic == SB_SERVICEBUS_CREATED) &&
         (answer->subscription == SB_SERVICEBUS_EXISTS || answer->subscription == SB_SERVICEBUS_CREATED);
}

/* ---- leftovers ---- */

struct leftovers {
  const char *own;
  size_t stem_len;
  char names[SB_SERVICEBUS_LEFTOVERS_MAX][SB_SERVICEBUS_SUBSCRIPTION_MAX + 1];
  size_t count;
};

/* Whether the text is the number of a life, as we write it. */
static bool is_life(const char *text) {
  return strlen(text) == LIFE_DIGITS && strspn(text, "0123456789abcdef") == LIFE_DIGITS;
}

/* Our subscriptions are named "web." and a life. "web." also begins the names of a node "web.eu"; and a
 * subscription that a person named "web.frontend" is as long as ours are. */
static void on_leftover(void *owner, const char *name) {
  struct leftovers *leftovers = owner;
  if (strlen(name) != strlen(leftovers->own) || strcasecmp(name, leftovers->own) == 0) return;
  if (!is_life(name + leftovers->stem_len)) return;
  if (leftovers->count == SB_SERVICEBUS_LEFTOVERS_MAX) return;
  snprintf(leftovers->names[leftovers->count++], sizeof *leftovers->names, "%s", name);
}

static void clear_leftovers(struct sb_servicebus_manage *m, const char *topic) {
  const struct sb_servicebus_settings *settings = &m->board->settings;
  if (!settings->leftovers) return;
  struct leftovers *found = sb_calloc(1, sizeof *found);
  struct sb_error error = {0};
  found->own = settings->subscription;
  found->stem_len = strlen(settings->leftovers);
  enum sb_servicebus_result result =
      sb_servicebus_subscriptions_list(m->entities, topic, settings->leftovers, on_leftover, found, &error);
  if (result != SB_SERVICEBUS_EXISTS)
    sb_log(SB_LOG_INFO, SB_SERVICEBUS_AREA, "leftovers are not looked for: %s", error.text);
  for (size_t i = 0; i < found->count; i++) {
    result = sb_servicebus_subscription_remove(m->entities, topic, found->names[i], &error);
    if (result == SB_SERVICEBUS_REMOVED)
      sb_log(SB_LOG_NOTICE, SB_SERVICEBUS_AREA, "removed subscription %s of an earlier life from topic %s",
             found->names[i], topic);
  }
  free(found);
}

/* ---- one question ---- */

/* Finds out whether ours is the only subscription, and whether the topic is still the one that we knew. If
 * others deleted the topic, our subscription went with it, and is made again as if it alone had been
 * deleted. */
static void look_at_topic(struct sb_servicebus_manage *m, const char *topic,
                          struct sb_servicebus_answer *answer) {
  struct desk *desk = &m->desks[answer->partition];
  struct sb_servicebus_topic_state is = {0};
  struct sb_error error = {0};
  bool known = sb_servicebus_topic_look(m->entities, topic, &is, &error) == SB_SERVICEBUS_EXISTS;
  atomic_store(&m->board->lanes[answer->partition].alone, known && is.subscriptions == 1);
  if (answer->topic == SB_SERVICEBUS_CREATED) *desk->created = 0;
  if (!known || !*is.created) return;
  answer->other_topic = *desk->created && strcmp(desk->created, is.created) != 0;
  memcpy(desk->created, is.created, sizeof desk->created);
}

static void work(struct sb_servicebus_manage *m, uint32_t partition, struct sb_servicebus_answer *answer) {
  const struct sb_servicebus_settings *settings = &m->board->settings;
  const struct sb_servicebus_topic topic = {.ttl_s = settings->ttl_s, .max_size_mb = settings->max_size_mb};
  const struct sb_servicebus_subscription subscription = {.lock_s = settings->lock_s,
                                                          .ttl_s = settings->ttl_s,
                                                          .auto_delete_idle_s = settings->auto_delete_idle_s};
  char name[SB_SERVICEBUS_TOPIC_TEXT];
  struct desk *desk = &m->desks[partition];
  sb_servicebus_topic_name(m->board, partition, name);
  *answer = (struct sb_servicebus_answer){.partition = partition, .subscription = SB_SERVICEBUS_NOT_FOUND};
  answer->topic = sb_servicebus_topic_ensure(m->entities, name, &topic, &answer->error);
  if (answer->topic != SB_SERVICEBUS_EXISTS && answer->topic != SB_SERVICEBUS_CREATED) return;
  answer->subscription = sb_servicebus_subscription_ensure(m->entities, name, settings->subscription,
                                                           &subscription, &answer->error);
  if (!sb_servicebus_answer_good(answer)) return;
  desk->made = true;
  if (!desk->cleared) clear_leftovers(m, name);
  desk->cleared = true;
  look_at_topic(m, name, answer);
}

/* ---- the thread ---- */

static bool next_question(struct sb_servicebus_manage *m, uint32_t *partition) {
  for (*partition = 0; *partition < m->board->partitions; ++*partition)
    if (m->desks[*partition].question == QUESTION_ASKED) return true;
  return false;
}

static void remove_own(struct sb_servicebus_manage *m) {
  char name[SB_SERVICEBUS_TOPIC_TEXT];
  struct sb_error error = {0};
  for (uint32_t i = 0; i < m->board->partitions; i++) {
    if (!m->desks[i].made) continue;
    sb_servicebus_topic_name(m->board, i, name);
    enum sb_servicebus_result result =
        sb_servicebus_subscription_remove(m->entities, name, m->board->settings.subscription, &error);
    if (result == SB_SERVICEBUS_REMOVED || result == SB_SERVICEBUS_NOT_FOUND) continue;
    sb_log(SB_LOG_WARN, SB_SERVICEBUS_AREA, "our subscriptions stay: %s", error.text);
    return;
  }
}

static void *manage_main(void *arg) {
  struct sb_servicebus_manage *m = arg;
  pthread_mutex_lock(&m->lock);
  while (!m->ending) {
    uint32_t partition;
    if (!next_question(m, &partition)) {
      pthread_cond_wait(&m->asked, &m->lock);
      continue;
    }
    pthread_mutex_unlock(&m->lock);
    struct sb_servicebus_answer answer;
    work(m, partition, &answer);
    pthread_mutex_lock(&m->lock);
    m->desks[partition].answer = answer;
    m->desks[partition].question = QUESTION_ANSWERED;
    sb_servicebus_board_wake(m->board);
  }
  atomic_store(&m->stop, m->overdue);
  pthread_mutex_unlock(&m->lock);
  if (m->board->settings.remove_on_stop) remove_own(m);
  pthread_mutex_lock(&m->lock);
  m->ended = true;
  pthread_cond_signal(&m->end);
  pthread_mutex_unlock(&m->lock);
  return NULL;
}

/* ---- life ---- */

struct sb_servicebus_manage *sb_servicebus_manage_new(struct sb_servicebus_board *board,
                                                      struct sb_error *error) {
  const struct sb_servicebus_settings *settings = &board->settings;
  struct sb_servicebus_manage *m = sb_calloc(1, sizeof *m);
  m->board = board;
  atomic_init(&m->stop, false);
  const struct sb_servicebus_management management = {.host = settings->host,
                                                      .port = settings->management_port,
                                                      .tls = !settings->plain,
                                                      .ca_file = settings->tls.ca_file,
                                                      .source = settings->tls.source,
                                                      .verify = settings->tls.verify,
                                                      .connect_timeout_ms = settings->connect_timeout_ms,
                                                      .request_timeout_ms = settings->rpc_timeout_ms,
                                                      .stop = &m->stop,
                                                      .credentials = settings->credentials};
  m->entities = sb_servicebus_entities_new(&management, error);
  if (!m->entities) {
    free(m);
    return NULL;
  }
  pthread_mutex_init(&m->lock, NULL);
  pthread_cond_init(&m->asked, NULL);
  sb_condition_init(&m->end);
  m->desks = sb_calloc(board->partitions, sizeof *m->desks);
  return m;
}

void sb_servicebus_manage_free(struct sb_servicebus_manage *m) {
  if (!m) return;
  sb_servicebus_entities_free(m->entities);
  free(m->desks);
  pthread_cond_destroy(&m->asked);
  pthread_cond_destroy(&m->end);
  pthread_mutex_destroy(&m->lock);
  free(m);
}

int sb_servicebus_manage_start(struct sb_servicebus_manage *m, struct sb_error *error) {
  int rc = sb_thread_start(&m->thread, manage_main, m);
  if (rc) return sb_error_errno(error, rc, "cannot start a thread");
  m->started = true;
  return 0;
}

void sb_servicebus_manage_stop(struct sb_servicebus_manage *m) {
  pthread_mutex_lock(&m->lock);
  m->ending = true;
  atomic_store(&m->stop, true);
  pthread_cond_signal(&m->asked);
  pthread_mutex_unlock(&m->lock);
}

/* The removal as a whole has a limit, and one request alone may take longer than that. */
static void break_off_late_removal(struct sb_servicebus_manage *m) {
  int64_t until_ms = sb_clock_ms() + REMOVAL_MAX_MS;
  pthread_mutex_lock(&m->lock);
  while (!m->ended && sb_condition_wait(&m->end, &m->lock, until_ms)) continue;
  m->overdue = !m->ended;
  if (m->overdue) atomic_store(&m->stop, true);
  pthread_mutex_unlock(&m->lock);
}

void sb_servicebus_manage_finish(struct sb_servicebus_manage *m) {
  if (!m->started) return;
  break_off_late_removal(m);
  pthread_join(m->thread, NULL);
  m->started = false;
}

/* ---- questions and answers ---- */

void sb_servicebus_manage_ensure(struct sb_servicebus_manage *m, uint32_t partition) {
  pthread_mutex_lock(&m->lock);
  if (m->desks[partition].question == QUESTION_NONE) m->desks[partition].question = QUESTION_ASKED;
  pthread_cond_signal(&m->asked);
  pthread_mutex_unlock(&m->lock);
}

bool sb_servicebus_manage_answer(struct sb_servicebus_manage *m, struct sb_servicebus_answer *answer) {
  bool any = false;
  pthread_mutex_lock(&m->lock);
  for (uint32_t i = 0; i < m->board->partitions && !any; i++) {
    if (m->desks[i].question != QUESTION_ANSWERED) continue;
    *answer = m->desks[i].answer;
    m->desks[i].question = QUESTION_NONE;
    any = true;
  }
  pthread_mutex_unlock(&m->lock);
  return any;
}
