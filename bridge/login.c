#include "bridge/login.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bridge/base/bytes.h"
#include "bridge/base/error.h"
#include "bridge/base/log.h"
#include "bridge/base/wipe.h"
#include "config/connection_string.h"
#include "config/secret.h"

#define AREA "bridge"

/* Where the secret is read from. */
enum origin {
  FROM_ELSEWHERE, /* the environment, or a token file that is read where it is used: nothing to read here */
  FROM_FILE,
  FROM_CONNECTION_STRING,
};

struct sb_login_keeper {
  pthread_mutex_t lock; /* of all below; never held while a file is read */
  enum origin origin;
  const char *key; /* of the configuration: names the file in the log */
  char *path;      /* NULL: FROM_ELSEWHERE */
  char *host;      /* a connection string for another host is refused */
  bool needs_key;  /* a token will not do */
  struct sb_login now;
  unsigned version;                  /* how often sb_login_keeper_set was called */
  char complaint[SB_ERROR_TEXT_MAX]; /* what was wrong when the file was read last; empty: nothing */
};

static void copy_login(struct sb_login *to, const struct sb_login *from) {
  *to = (struct sb_login){sb_strdup_or_null(from->name), sb_strdup_or_null(from->secret),
                          sb_strdup_or_null(from->token_file)};
}

/* ---- what the configuration says ---- */

static void take_rabbitmq(struct sb_login_keeper *keeper, const struct sb_config *config) {
  keeper->origin = config->rabbitmq.password_file ? FROM_FILE : FROM_ELSEWHERE;
  keeper->key = "rabbitmq.password_file";
  keeper->path = sb_strdup_or_null(config->rabbitmq.password_file);
  keeper->now.name = sb_strdup_or_null(config->rabbitmq.user);
  keeper->now.secret = sb_strdup_or_null(config->rabbitmq.password);
}

static void take_servicebus(struct sb_login_keeper *keeper, const struct sb_config *config) {
  bool string = config->servicebus.connection_string_file != NULL;
  keeper->key = string ? "servicebus.connection_string_file" : "servicebus.key_file";
  keeper->path =
      sb_strdup_or_null(string ? config->servicebus.connection_string_file : config->servicebus.key_file);
  keeper->origin = string ? FROM_CONNECTION_STRING : keeper->path ? FROM_FILE : FROM_ELSEWHERE;
  keeper->host = sb_strdup_or_null(config->servicebus.resolved.host);
  keeper->needs_key = config->servicebus.auth == SB_CONFIG_SERVICEBUS_PLAIN;
  keeper->now.name = sb_strdup_or_null(config->servicebus.resolved.rule);
  keeper->now.secret = sb_strdup_or_null(config->servicebus.resolved.key ? config->servicebus.resolved.key
                                                                         : config->servicebus.resolved.token);
  keeper->now.token_file = sb_strdup_or_null(config->servicebus.token_file);
}

static void forget(struct sb_login_keeper *keeper) {
  sb_login_close(&keeper->now);
  free(keeper->path);
  free(keeper->host);
  keeper->path = keeper->host = NULL;
}

void sb_login_keeper_set(struct sb_login_keeper *keeper, const struct sb_config *config) {
  pthread_mutex_lock(&keeper->lock);
  forget(keeper);
  keeper->version++;
  keeper->complaint[0] = 0;
  if (config->broker == SB_CONFIG_RABBITMQ) take_rabbitmq(keeper, config);
  if (config->broker == SB_CONFIG_SERVICEBUS) take_servicebus(keeper, config);
  pthread_mutex_unlock(&keeper->lock);
}

struct sb_login_keeper *sb_login_keeper_new(const struct sb_config *config) {
  struct sb_login_keeper *keeper = sb_calloc(1, sizeof *keeper);
  pthread_mutex_init(&keeper->lock, NULL);
  sb_login_keeper_set(keeper, config);
  return keeper;
}

void sb_login_keeper_free(struct sb_login_keeper *keeper) {
  if (!keeper) return;
  forget(keeper);
  pthread_mutex_destroy(&keeper->lock);
  free(keeper);
}

/* ---- what the file says ---- */

/* A copy of what is needed to read the file, which is done without the lock. */
struct question {
  enum origin origin;
  char *path, *host, *name;
  bool needs_key;
  unsigned version;
};

static int read_string(const struct question *about, const char *text, struct sb_login *out,
                       struct sb_error *error) {
  struct sb_connection_string string;
  int rc = sb_connection_string_parse(text, &string, error);
  if (rc) return sb_error_wrap(error, "the connection string in %s", about->path);
  if (!about->host || strcasecmp(string.host, about->host) != 0) {
    rc = sb_error_set(error, SB_ERR_INVALID, "%s is for the namespace %s now, which needs a restart",
                      about->path, string.host);
  } else if (about->needs_key && !string.key) {
    rc = sb_error_set(error, SB_ERR_INVALID,
                      "%s holds a token now, and servicebus.auth = \"plain\" needs a key", about->path);
  } else {
    *out = (struct sb_login){sb_strdup_or_null(string.rule),
                             sb_strdup_or_null(string.key ? string.key : string.token), NULL};
  }
  sb_connection_string_close(&string);
  return rc;
}

static int read_file(const struct question *about, struct sb_login *out, struct sb_error *error) {
  char *text = sb_secret_read(about->path, NULL, error);
  if (!text) return error->code;
  if (about->origin == FROM_CONNECTION_STRING) {
    int rc = read_string(about, text, out, error);
    sb_wipe_free(text);
    return rc;
  }
  *out = (struct sb_login){sb_strdup_or_null(about->name), text, NULL};
  return 0;
}

/* Under the lock. */
static void take_failure(struct sb_login_keeper *keeper, const struct sb_error *error) {
  bool again = strcmp(keeper->complaint, error->text) == 0;
  snprintf(keeper->complaint, sizeof keeper->complaint, "%s", error->text);
  sb_log(again ? SB_LOG_DEBUG : SB_LOG_WARN, AREA, "%s: %s; what it held before is used", keeper->key,
         error->text);
}

/* Under the lock. */
static void take_success(struct sb_login_keeper *keeper, struct sb_login *fresh) {
  bool changed =
      !sb_text_equal(keeper->now.secret, fresh->secret) || !sb_text_equal(keeper->now.name, fresh->name);
  if (changed)
    sb_log(SB_LOG_NOTICE, AREA, "%s: %s has changed, what it holds now is used", keeper->key, keeper->path);
  else if (keeper->complaint[0])
    sb_log(SB_LOG_NOTICE, AREA, "%s: %s can be read again, and holds what it held", keeper->key,
           keeper->path);
  keeper->complaint[0] = 0;
  sb_login_close(&keeper->now);
  keeper->now = *fresh;
  *fresh = (struct sb_login){0};
}

/* Under the lock. */
static struct question question_of(const struct sb_login_keeper *keeper) {
  return (struct question){keeper->origin,
                           sb_strdup_or_null(keeper->path),
                           sb_strdup_or_null(keeper->host),
                           sb_strdup_or_null(keeper->now.name),
                           keeper->needs_key,
                           keeper->version};
}

static void read_now(void *owner, struct sb_login *out) {
  struct sb_login_keeper *keeper = owner;
  struct sb_login fresh = {0};
  struct sb_error error = {0};
  pthread_mutex_lock(&keeper->lock);
  struct question about = question_of(keeper);
  pthread_mutex_unlock(&keeper->lock);
  int rc = about.origin == FROM_ELSEWHERE ? 0 : read_file(&about, &fresh, &error);
  pthread_mutex_lock(&keeper->lock);
  if (about.origin != FROM_ELSEWHERE && about.version == keeper->version) {
    if (rc)
      take_failure(keeper, &error);
    else
      take_success(keeper, &fresh);
  }
  copy_login(out, &keeper->now);
  pthread_mutex_unlock(&keeper->lock);
  sb_login_close(&fresh);
  free(about.path);
  free(about.host);
  free(about.name);
}

struct sb_login_source sb_login_keeper_source(struct sb_login_keeper *keeper) {
  return (struct sb_login_source){keeper, read_now};
}
