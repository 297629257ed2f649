#include "bridge/tls_keeper.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/base/log.h"
#include "bridge/base/wipe.h"
#include "config/certificates.h"

#define AREA "bridge"

struct paths {
  char *ca, *cert, *key; /* NULL: not set; cert and key both or none */
};

/* Files that can be used only together. */
struct file_set {
  const char *name;                  /* of the keys, for the log */
  char complaint[SB_ERROR_TEXT_MAX]; /* what was wrong when they were read last; empty: nothing */
};

struct sb_tls_keeper {
  pthread_mutex_t lock; /* of all below; never held while a file is read */
  const char *group;    /* "rabbitmq.tls" */
  struct paths paths;
  struct file_set authorities, identity;
  struct sb_tls_files now; /* NULL: not set, or never read */
  unsigned version;        /* how often sb_tls_keeper_set was called */
};

static void free_paths(struct paths *paths) {
  free(paths->ca);
  free(paths->cert);
  free(paths->key);
  *paths = (struct paths){0};
}

void sb_tls_keeper_set(struct sb_tls_keeper *keeper, const struct sb_config *config) {
  bool rabbitmq = config->broker == SB_CONFIG_RABBITMQ;
  const char *ca = rabbitmq ? config->rabbitmq.tls.ca_file : config->servicebus.tls.ca_file;
  const char *cert = rabbitmq ? config->rabbitmq.tls.cert_file : NULL;
  const char *key = rabbitmq ? config->rabbitmq.tls.key_file : NULL;
  pthread_mutex_lock(&keeper->lock);
  struct paths *paths = &keeper->paths;
  if (!keeper->group || !sb_text_equal(paths->ca, ca) || !sb_text_equal(paths->cert, cert) ||
      !sb_text_equal(paths->key, key)) {
    free_paths(paths);
    sb_tls_files_close(&keeper->now);
    *paths = (struct paths){sb_strdup_or_null(ca), sb_strdup_or_null(cert), sb_strdup_or_null(key)};
    keeper->version++;
  }
  keeper->group = rabbitmq ? "rabbitmq.tls" : "servicebus.tls";
  keeper->authorities = (struct file_set){.name = "ca_file"};
  keeper->identity = (struct file_set){.name = "cert_file and key_file"};
  pthread_mutex_unlock(&keeper->lock);
}

struct sb_tls_keeper *sb_tls_keeper_new(const struct sb_config *config) {
  struct sb_tls_keeper *keeper = sb_calloc(1, sizeof *keeper);
  pthread_mutex_init(&keeper->lock, NULL);
  sb_tls_keeper_set(keeper, config);
  return keeper;
}

void sb_tls_keeper_free(struct sb_tls_keeper *keeper) {
  if (!keeper) return;
  free_paths(&keeper->paths);
  sb_tls_files_close(&keeper->now);
  pthread_mutex_destroy(&keeper->lock);
  free(keeper);
}

/* ---- files ---- */

static char *text_of(const struct sb_pem *pem) {
  char *text = sb_malloc(pem->len + 1);
  memcpy(text, pem->text, pem->len);
  text[pem->len] = 0;
  return text;
}

static int read_authorities(const char *path, char **out, struct sb_error *error) {
  struct sb_pem ca;
  struct sb_certificates_warning warning;
  int rc = sb_pem_read(path, &ca, NULL, error);
  if (rc == 0) rc = sb_certificates_judge_ca(&ca, path, &warning, error);
  if (rc == 0) *out = text_of(&ca);
  sb_pem_close(&ca);
  return rc;
}

static int read_identity(const struct paths *paths, struct sb_tls_files *out, struct sb_error *error) {
  struct sb_pem cert = {0}, key = {0};
  struct sb_certificates_warning warning;
  bool key_is_wrong;
  int rc = sb_pem_read(paths->cert, &cert, NULL, error);
  if (rc == 0) rc = sb_pem_read(paths->key, &key, NULL, error);
  if (rc == 0)
    rc = sb_certificates_judge_pair(&cert, paths->cert, &key, paths->key, &key_is_wrong, &warning, error);
  if (rc == 0) out->cert = text_of(&cert);
  if (rc == 0) out->key = text_of(&key);
  sb_pem_close(&cert);
  sb_pem_close(&key);
  return rc;
}

/* ---- what is kept; under the lock ---- */

static void replace(char **kept, char **fresh) {
  sb_wipe_free(*kept);
  *kept = *fresh;
  *fresh = NULL;
}

static bool differs(const char *kept, const char *fresh) {
  return kept && strcmp(kept, fresh) != 0;
}

/* `rc` and `error` say how the files were read. True when they are to take the place of what is kept. */
static bool judge(const struct sb_tls_keeper *keeper, struct file_set *files, int rc, bool changed,
                  const struct sb_error *error) {
  if (rc == 0) {
    if (changed)
      sb_log(SB_LOG_NOTICE, AREA, "%s: %s changed, what they hold now is used", keeper->group, files->name);
    else if (files->complaint[0])
      sb_log(SB_LOG_NOTICE, AREA, "%s: %s can be used again", keeper->group, files->name);
    files->complaint[0] = 0;
    return true;
  }
  if (strcmp(files->complaint, error->text) != 0)
    sb_log(SB_LOG_WARN, AREA, "%s: %s: %s; what was read before is used", keeper->group, files->name,
           error->text);
  snprintf(files->complaint, sizeof files->complaint, "%s", error->text);
  return false;
}

static int give(const struct sb_tls_keeper *keeper, struct sb_tls_files *out, struct sb_error *error) {
  const struct paths *paths = &keeper->paths;
  if (paths->ca && !keeper->now.ca)
    return sb_error_set(error, SB_ERR_INVALID, "TLS: %s", keeper->authorities.complaint);
  if (paths->cert && !keeper->now.cert)
    return sb_error_set(error, SB_ERR_INVALID, "TLS: %s", keeper->identity.complaint);
  *out = (struct sb_tls_files){sb_strdup_or_null(keeper->now.ca), sb_strdup_or_null(keeper->now.cert),
                               sb_strdup_or_null(keeper->now.key)};
  return 0;
}

static int read_now(void *owner, struct sb_tls_files *out, struct sb_error *error) {
  struct sb_tls_keeper *keeper = owner;
  struct sb_tls_files fresh = {0};
  struct sb_error ca_error = {0}, pair_error = {0};
  pthread_mutex_lock(&keeper->lock);
  struct paths paths = {sb_strdup_or_null(keeper->paths.ca), sb_strdup_or_null(keeper->paths.cert),
                        sb_strdup_or_null(keeper->paths.key)};
  unsigned version = keeper->version;
  pthread_mutex_unlock(&keeper->lock);
  int ca_rc = paths.ca ? read_authorities(paths.ca, &fresh.ca, &ca_error) : 0;
  int pair_rc = paths.cert && paths.key ? read_identity(&paths, &fresh, &pair_error) : 0;
  pthread_mutex_lock(&keeper->lock);
  struct sb_tls_files *now = &keeper->now;
  bool same = version == keeper->version;
  if (same && paths.ca &&
      judge(keeper, &keeper->authorities, ca_rc, fresh.ca && differs(now->ca, fresh.ca), &ca_error))
    replace(&now->ca, &fresh.ca);
  bool other = fresh.cert && (differs(now->cert, fresh.cert) || differs(now->key, fresh.key));
  if (same && paths.cert && judge(keeper, &keeper->identity, pair_rc, other, &pair_error)) {
    replace(&now->cert, &fresh.cert);
    replace(&now->key, &fresh.key);
  }
  int rc = same ? give(keeper, out, error)
                : sb_error_set(error, SB_ERR_LINK, "TLS: the settings changed meanwhile");
  pthread_mutex_unlock(&keeper->lock);
  sb_tls_files_close(&fresh);
  free_paths(&paths);
  return rc;
}

struct sb_tls_source sb_tls_keeper_source(struct sb_tls_keeper *keeper) {
  return (struct sb_tls_source){keeper, read_now};
}
