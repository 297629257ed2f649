#include "bridge/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bridge/base/bytes.h"
#include "bridge/base/thread.h"

/* The thread fills in all but `over`. The thread that loads and the caller who gives up both leave it: the
 * second one to leave frees it. */
struct sb_reload {
  char *path;
  int wake_fd; /* the thread's own duplicate: the loop may end before a thread that hangs */
  int result;
  struct sb_config config;
  struct sb_config_report report;
  pthread_mutex_t lock;
  bool over; /* loaded, or given up */
};

static void free_reload(struct sb_reload *reload) {
  pthread_mutex_destroy(&reload->lock);
  free(reload->path);
  free(reload);
}

/* True when the other one has left already. */
static bool leave(struct sb_reload *reload) {
  pthread_mutex_lock(&reload->lock);
  bool second = reload->over;
  reload->over = true;
  pthread_mutex_unlock(&reload->lock);
  return second;
}

static void drop(struct sb_reload *reload) {
  sb_config_free(&reload->config);
  sb_config_report_close(&reload->report);
  free_reload(reload);
}

static void *reload_main(void *arg) {
  struct sb_reload *reload = arg;
  int wake_fd = reload->wake_fd;
  reload->result = sb_config_load(reload->path, &reload->config, &reload->report);
  if (leave(reload)) drop(reload);
  eventfd_write(wake_fd, 1); /* `reload` may be gone already */
  close(wake_fd);
  return NULL;
}

struct sb_reload *sb_reload_begin(const char *path, int wake_fd, struct sb_error *error) {
  struct sb_reload *reload = sb_calloc(1, sizeof *reload);
  int own = fcntl(wake_fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) {
    sb_error_errno(error, errno, "cannot watch the reading");
    free(reload);
    return NULL;
  }
  reload->wake_fd = own;
  reload->path = sb_strdup(path);
  pthread_mutex_init(&reload->lock, NULL);
  int rc = sb_thread_start_detached(reload_main, reload);
  if (rc == 0) return reload;
  sb_error_errno(error, rc, "cannot start a thread");
  close(own);
  free_reload(reload);
  return NULL;
}

bool sb_reload_take(struct sb_reload *reload, int *result, struct sb_config *config,
                    struct sb_config_report *report) {
  pthread_mutex_lock(&reload->lock);
  bool over = reload->over;
  pthread_mutex_unlock(&reload->lock);
  if (!over) return false;
  *result = reload->result;
  *config = reload->config;
  *report = reload->report;
  free_reload(reload);
  return true;
}

void sb_reload_abandon(struct sb_reload *reload) {
  if (reload && leave(reload)) drop(reload);
}
