#include "transports/servicebus/settings.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "transports/servicebus/entities.h"

#define LOCK_MAX_S 300

void sb_servicebus_settings_default(struct sb_servicebus_settings *settings) {
  *settings = (struct sb_servicebus_settings){
      .port = 5671,
      .management_port = 443,
      .tls = {.verify = true},
      .auth = SB_SERVICEBUS_PLAIN,
      .manage = true,
      .remove_on_stop = true,
      .lock_s = 10,
      .ttl_s = 3600,
      .auto_delete_idle_s = 3600,
      .max_size_mb = 1024,
      .receive = SB_SERVICEBUS_PEEK_LOCK,
      .prefetch = 100,
      .connect_timeout_ms = 10000,
      .rpc_timeout_ms = 20000,
      .backoff_min_ms = 200,
      .backoff_max_ms = 30000,
      .token_check_ms = 30000,
      .busy_pause_ms = 10000,
      .idle_timeout_ms = 120000,
      .receive_quiet_ms = 300000,
  };
}

static bool empty(const char *text) {
  return !text || !*text;
}

int sb_servicebus_settings_check(const struct sb_servicebus_settings *settings, struct sb_error *error) {
  const char *wrong = NULL;
  if (empty(settings->host) || strlen(settings->host) > SB_SERVICEBUS_HOST_MAX)
    wrong = "the host must have 1 to 253 bytes";
  if (settings->port == 0 || (settings->manage && settings->management_port == 0))
    wrong = "a port is missing";
  if (empty(settings->container)) wrong = "the container needs a name";
  if (empty(settings->subscription) || strlen(settings->subscription) > SB_SERVICEBUS_SUBSCRIPTION_MAX)
    wrong = "the subscription's name must have 1 to 50 bytes";
  if (settings->auth == SB_SERVICEBUS_PLAIN && !settings->credentials.login.read &&
      settings->credentials.kind != SB_SERVICEBUS_KEY)
    wrong = "a login with PLAIN needs the name and key of a rule; tokens need auth = \"cbs\"";
  if (settings->lock_s == 0 || settings->lock_s > LOCK_MAX_S) wrong = "the lock must last 1 to 300 s";
  if (settings->prefetch == 0 || settings->prefetch > SB_SERVICEBUS_PREFETCH_MAX)
    wrong = "prefetch must be 1 to 2000";
  if (settings->connect_timeout_ms == 0 || settings->rpc_timeout_ms == 0 || settings->idle_timeout_ms == 0 ||
      settings->token_check_ms == 0)
    wrong = "time-outs must not be zero";
  if (settings->backoff_min_ms == 0 || settings->backoff_max_ms < settings->backoff_min_ms)
    wrong = "back-off must be above zero, its maximum not below its minimum";
  if (wrong) return sb_error_set(error, SB_ERR_INVALID, "%s", wrong);
  return sb_servicebus_credentials_check(&settings->credentials, error);
}

void sb_servicebus_settings_copy(struct sb_servicebus_settings *to,
                                 const struct sb_servicebus_settings *from) {
  *to = *from;
  to->host = sb_strdup_or_null(from->host);
  to->tls.ca_file = sb_strdup_or_null(from->tls.ca_file);
  to->container = sb_strdup_or_null(from->container);
  to->subscription = sb_strdup_or_null(from->subscription);
  to->leftovers = sb_strdup_or_null(from->leftovers);
  sb_servicebus_credentials_copy(&to->credentials, &from->credentials);
}

void sb_servicebus_settings_close(struct sb_servicebus_settings *copy) {
  const char *const owned[] = {copy->host, copy->tls.ca_file, copy->container, copy->subscription,
                               copy->leftovers};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free((char *)owned[i]);
  sb_servicebus_credentials_close(&copy->credentials);
}
