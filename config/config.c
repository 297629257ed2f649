#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/base/error.h"
#include "bridge/base/limits.h"
#include "config/config_check.h"
#include "config/config_keys.h"
#include "config/secret.h"

#define PROBLEMS_MAX 200 /* a file with more errors than this is another kind of file */

void sb_config_report_add(struct sb_config_report *report, bool warning, const char *format, ...) {
  if (!warning) report->errors++;
  if (report->count == PROBLEMS_MAX) return;
  char text[2 * SB_ERROR_TEXT_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  report->problems = sb_realloc(report->problems, (report->count + 1) * sizeof *report->problems);
  report->problems[report->count++] = (struct sb_config_problem){.warning = warning, .text = sb_strdup(text)};
}

void sb_config_report_close(struct sb_config_report *report) {
  for (size_t i = 0; i < report->count; i++) free(report->problems[i].text);
  free(report->problems);
  *report = (struct sb_config_report){0};
}

/* Host name and process, in the letters that a node name may have. */
static char *default_node(void) {
  char host[SB_NODE_NAME_MAX + 1] = "", name[SB_NODE_NAME_MAX + 16];
  if (gethostname(host, sizeof host - 1) < 0 || host[0] == 0) memcpy(host, "node", sizeof "node");
  static const char *const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  for (char *c = host; *c; c++)
    if (!strchr(legal, *c)) *c = '-';
  char pid[16];
  int pid_len = snprintf(pid, sizeof pid, "-%ld", (long)getpid());
  snprintf(name, sizeof name, "%.*s%s", SB_NODE_NAME_MAX - pid_len, host, pid);
  return sb_strdup(name);
}

static char *default_socket(void) {
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  char path[SB_ERROR_TEXT_MAX];
  const struct sb_config_key *key = sb_config_key_find("socket.path");
  if (runtime && runtime[0] == '/') {
    int len = snprintf(path, sizeof path, "%s/sidebus.sock", runtime);
    if (len > 0 && (uint64_t)len <= key->max) return sb_strdup(path);
  }
  return sb_strdup("/run/sidebus/sidebus.sock");
}

static void set_default(const struct sb_config_key *key, struct sb_config *config) {
  void *at = sb_config_key_at(key, config);
  if (key->type == SB_CONFIG_TEXT)
    *(char **)at = key->text ? sb_strdup(key->text) : NULL;
  else if (key->type == SB_CONFIG_TEXTS && key->text)
    sb_config_texts_add(at, key->text);
  else
    sb_config_key_set(key, config, key->number);
}

void sb_config_init_defaults(struct sb_config *config) {
  *config = (struct sb_config){0};
  for (size_t i = 0; i < sb_config_key_count; i++) set_default(&sb_config_keys[i], config);
  config->node = default_node();
  config->socket.path = default_socket();
}

void sb_config_free(struct sb_config *config) {
  if (config->rabbitmq.host_list)
    for (size_t i = 0; i < config->rabbitmq.hosts.count; i++) free(config->rabbitmq.host_list[i].name);
  free(config->rabbitmq.host_list);
  free(config->socket.allow_uids);
  sb_secret_free(config->socket.password);
  sb_secret_free(config->tcp.password);
  sb_secret_free(config->rabbitmq.password);
  free(config->servicebus.resolved.host);
  free(config->servicebus.resolved.rule);
  sb_secret_free(config->servicebus.resolved.key);
  sb_secret_free(config->servicebus.resolved.token);
  for (size_t i = 0; i < sb_config_key_count; i++) {
    void *at = sb_config_key_at(&sb_config_keys[i], config);
    if (sb_config_keys[i].type == SB_CONFIG_TEXT) free(*(char **)at);
    if (sb_config_keys[i].type == SB_CONFIG_TEXTS) sb_config_texts_close(at);
  }
  *config = (struct sb_config){0};
}

static void warn_of_change(const char *what, const char *key, const char *live, const char *loaded,
                           struct sb_config_report *report) {
  if (live == loaded || (live && loaded && strcmp(live, loaded) == 0)) return;
  sb_config_report_add(report, true, "the %s in %s changed: needs a restart", what, key);
}

/* What was read from files that the keys name. */
static void warn_of_secrets(const struct sb_config *live, const struct sb_config *loaded,
                            struct sb_config_report *report) {
  warn_of_change("password", "socket.password_file", live->socket.password, loaded->socket.password, report);
  warn_of_change("password", "tcp.password_file", live->tcp.password, loaded->tcp.password, report);
  warn_of_change("password", "rabbitmq.password_file", live->rabbitmq.password, loaded->rabbitmq.password,
                 report);
  const char *from = live->servicebus.key_file ? "servicebus.key_file" : "servicebus.connection_string_file";
  warn_of_change("key", from, live->servicebus.resolved.key, loaded->servicebus.resolved.key, report);
  warn_of_change("signature", from, live->servicebus.resolved.token, loaded->servicebus.resolved.token,
                 report);
}

/* Copies into `merged` what may change and warns of the rest. */
static void merge(struct sb_config *merged, const struct sb_config *loaded, struct sb_config_report *report) {
  struct sb_buf old = {0}, new = {0};
  for (size_t i = 0; i < sb_config_key_count; i++) {
    const struct sb_config_key *key = &sb_config_keys[i];
    sb_buf_clear(&old);
    sb_buf_clear(&new);
    sb_config_key_write(key, merged, &old);
    sb_config_key_write(key, loaded, &new);
    if (sb_bytes_equal(sb_buf_bytes(&old), sb_buf_bytes(&new))) continue;
    if (key->reload)
      sb_config_key_copy(key, merged, loaded);
    else
      sb_config_report_add(report, true, "%s changed: needs a restart", key->path);
  }
  if (merged->tcp.on != loaded->tcp.on)
    sb_config_report_add(report, true, "tcp was turned %s: needs a restart", loaded->tcp.on ? "on" : "off");
  warn_of_secrets(merged, loaded, report);
  sb_buf_close(&old);
  sb_buf_close(&new);
}

int sb_config_reload(const char *path, struct sb_config *live, struct sb_config_report *report) {
  struct sb_config loaded;
  int rc = sb_config_load(path, &loaded, report);
  if (rc) return rc;
  struct sb_config merged = *live; /* borrows its texts, which no reload replaces */
  merge(&merged, &loaded, report);
  sb_config_free(&loaded);
  /* New limits may fit the file but not what is kept until a restart. */
  struct sb_config_report again = {0};
  const struct sb_config_origin origin = {.path = path};
  sb_config_check_numbers(&merged, &origin, &again);
  for (size_t i = 0; i < again.count; i++)
    if (!again.problems[i].warning) sb_config_report_add(report, false, "%s", again.problems[i].text);
  rc = again.errors ? SB_ERR_INVALID : 0;
  sb_config_report_close(&again);
  if (rc == 0) *live = merged;
  return rc;
}
