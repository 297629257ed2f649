/* What a running bridge takes over from a file that was read again, and what it refuses. */
#include <inttypes.h>
#include <string.h>

#include "bridge/base/error.h"
#include "config/config.h"
#include "config/config_keys.h"
#include "config/config_origin.h"

/* Settings of a broker that is not in use may change: only a restart can take it into use. */
static bool in_use(const struct sb_config *config, const struct sb_config_key *key) {
  bool rabbitmq = strncmp(key->path, "rabbitmq.", 9) == 0;
  bool servicebus = strncmp(key->path, "servicebus.", 11) == 0;
  if (rabbitmq) return config->broker == SB_CONFIG_RABBITMQ;
  return !servicebus || config->broker == SB_CONFIG_SERVICEBUS;
}

#define SHOWN_MAX 80 /* bytes of a value in a complaint: a list of hosts may be long */

static void refuse(const struct sb_config_key *key, const struct sb_buf *old, const struct sb_buf *new,
                   const struct sb_config_origin *origin, struct sb_config_report *report) {
  static const char none[] = "nothing";
  const char *was = old->len ? (const char *)old->data : none;
  const char *is = new->len ? (const char *)new->data : none;
  int was_len = old->len ? (int)old->len : (int)sizeof none - 1;
  int is_len = new->len ? (int)new->len : (int)sizeof none - 1;
  WRONG(key->path, "changed from %.*s to %.*s, which needs a restart",
        was_len < SHOWN_MAX ? was_len : SHOWN_MAX, was, is_len < SHOWN_MAX ? is_len : SHOWN_MAX, is);
}

static void refuse_keys(const struct sb_config *live, const struct sb_config *loaded,
                        struct sb_config_report *report) {
  const struct sb_config_origin *origin = loaded->origin;
  struct sb_buf old = {0}, new = {0};
  for (size_t i = 0; i < sb_config_key_count; i++) {
    const struct sb_config_key *key = &sb_config_keys[i];
    if (key->reload || !in_use(live, key)) continue;
    sb_buf_clear(&old);
    sb_buf_clear(&new);
    sb_config_key_write(key, live, &old);
    sb_config_key_write(key, loaded, &new);
    if (!sb_bytes_equal(sb_buf_bytes(&old), sb_buf_bytes(&new))) refuse(key, &old, &new, origin, report);
  }
  if (live->tcp.on != loaded->tcp.on)
    WRONG("tcp.port", "tcp was turned %s, which needs a restart", loaded->tcp.on ? "on" : "off");
  if (!live->hub.key != !loaded->hub.key)
    WRONG("hub.key_file", "signing was turned %s, which needs a restart of all nodes",
          loaded->hub.key ? "on" : "off");
  sb_buf_close(&old);
  sb_buf_close(&new);
}

/* Another namespace is another hub. */
static void refuse_host(const struct sb_config *live, const struct sb_config *loaded,
                        struct sb_config_report *report) {
  const struct sb_config_origin *origin = loaded->origin;
  const char *old = live->servicebus.resolved.host, *new = loaded->servicebus.resolved.host;
  if (live->broker != SB_CONFIG_SERVICEBUS || loaded->broker != SB_CONFIG_SERVICEBUS) return;
  if (strcasecmp(old, new) == 0) return;
  const char *key = loaded->servicebus.connection_string_file ? "servicebus.connection_string_file"
                                                              : "servicebus.namespace";
  WRONG(key, "the namespace changed from %s to %s, which needs a restart", old, new);
}

int sb_config_replace(struct sb_config *live, struct sb_config *loaded, struct sb_config_report *report) {
  size_t errors = report->errors;
  refuse_keys(live, loaded, report);
  refuse_host(live, loaded, report);
  if (report->errors != errors) {
    sb_config_free(loaded);
    return SB_ERR_INVALID;
  }
  struct sb_config old = *live;
  *live = *loaded;
  *loaded = (struct sb_config){0};
  sb_config_free(&old);
  return 0;
}

int sb_config_reload(const char *path, struct sb_config *live, struct sb_config_report *report) {
  struct sb_config loaded;
  int rc = sb_config_load(path, &loaded, report);
  return rc ? rc : sb_config_replace(live, &loaded, report);
}
