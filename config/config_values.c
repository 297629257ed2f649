/* Settings before a file says anything, and the end of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/base/error.h"
#include "bridge/base/limits.h"
#include "bridge/base/wipe.h"
#include "config/config.h"
#include "config/config_keys.h"
#include "config/config_origin.h"

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
  sb_config_origin_free(config->origin);
  sb_wipe_free(config->socket.password);
  sb_wipe_free(config->tcp.password);
  sb_wipe_free(config->hub.key);
  sb_wipe_free(config->hub.other_key);
  sb_wipe_free(config->rabbitmq.password);
  free(config->servicebus.resolved.host);
  free(config->servicebus.resolved.rule);
  sb_wipe_free(config->servicebus.resolved.key);
  sb_wipe_free(config->servicebus.resolved.token);
  for (size_t i = 0; i < sb_config_key_count; i++) {
    void *at = sb_config_key_at(&sb_config_keys[i], config);
    if (sb_config_keys[i].type == SB_CONFIG_TEXT) free(*(char **)at);
    if (sb_config_keys[i].type == SB_CONFIG_TEXTS) sb_config_texts_close(at);
  }
  *config = (struct sb_config){0};
}
