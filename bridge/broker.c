#include "bridge/broker.h"

#include <inttypes.h>
#include <stdio.h>

#include "transports/memory/memory.h"
#include "transports/rabbitmq/rabbitmq.h"
#include "transports/servicebus/servicebus.h"

static struct sb_transport *rabbitmq_new(const struct sb_config *config, struct sb_login_source login,
                                         struct sb_tls_source tls, const struct sb_transport_common *common,
                                         struct sb_error *error) {
  char max_age[24], connection_name[SB_NODE_NAME_MAX + 16];
  snprintf(max_age, sizeof max_age, "%us", config->rabbitmq.retention.max_age_s);
  snprintf(connection_name, sizeof connection_name, "sidebus %s", config->node);
  struct sb_rabbitmq_settings settings = {
      .hosts = (const char *const *)config->rabbitmq.hosts.items,
      .host_count = config->rabbitmq.hosts.count,
      .vhost = config->rabbitmq.vhost,
      .login = login,
      .trust = {(const char *const *)config->rabbitmq.trusted_users.items,
                config->rabbitmq.trusted_users.count},
      .tls = {.source = tls, .verify = config->rabbitmq.tls.verify},
      .heartbeat_s = config->rabbitmq.heartbeat_s,
      .declare = config->rabbitmq.declare,
      .foreign_exchange = config->rabbitmq.foreign_exchange,
      .max_age = config->rabbitmq.retention.max_age_s ? max_age : NULL,
      .max_bytes = config->rabbitmq.retention.max_bytes,
      .segment_bytes = config->rabbitmq.retention.segment_bytes,
      .prefetch = config->rabbitmq.prefetch,
      .connect_timeout_ms = config->rabbitmq.connect_timeout_ms,
      .rpc_timeout_ms = config->rabbitmq.rpc_timeout_ms,
      .backoff_min_ms = config->rabbitmq.backoff_min_ms,
      .backoff_max_ms = config->rabbitmq.backoff_max_ms,
      .connection_name = connection_name,
  };
  return sb_rabbitmq_new(common, &settings, error);
}

/* A node that makes its subscriptions itself makes new ones in every life: two processes that read from one
 * would take each other's messages. */
static struct sb_transport *servicebus_new(const struct sb_config *config, struct sb_login_source login,
                                           struct sb_tls_source tls, uint64_t nonce,
                                           const struct sb_transport_common *common, struct sb_error *error) {
  char container[SB_NODE_NAME_MAX + 16], stem[64], own[64];
  snprintf(container, sizeof container, "sidebus-%s", config->node);
  snprintf(stem, sizeof stem, "%.50s.", config->servicebus.subscription);
  snprintf(own, sizeof own, "%.50s.%08" PRIx32, config->servicebus.subscription, (uint32_t)nonce);
  bool manage = config->servicebus.manage;
  struct sb_servicebus_settings settings;
  sb_servicebus_settings_default(&settings);
  settings.host = config->servicebus.resolved.host;
  settings.port = (uint16_t)config->servicebus.port;
  settings.management_port = (uint16_t)config->servicebus.management_port;
  settings.plain = config->servicebus.emulator;
  settings.tls.source = tls;
  settings.tls.verify = config->servicebus.tls.verify;
  settings.credentials.login = login;
  settings.auth =
      config->servicebus.auth == SB_CONFIG_SERVICEBUS_PLAIN ? SB_SERVICEBUS_PLAIN : SB_SERVICEBUS_CBS;
  settings.container = container;
  settings.subscription = manage ? own : config->servicebus.subscription;
  settings.leftovers = manage ? stem : NULL;
  settings.manage = manage;
  settings.remove_on_stop = config->servicebus.remove_on_stop;
  settings.lock_s = config->servicebus.lock_s;
  settings.ttl_s = config->servicebus.ttl_s;
  settings.auto_delete_idle_s = config->servicebus.auto_delete_idle_s;
  /* The service counts a subscription that gets nothing as idle until somebody attaches again. */
  if (manage && settings.auto_delete_idle_s * 500 < settings.receive_quiet_ms)
    settings.receive_quiet_ms = settings.auto_delete_idle_s * 500;
  settings.max_size_mb = config->servicebus.max_size_mb;
  settings.receive = config->servicebus.receive == SB_CONFIG_SERVICEBUS_PEEK_LOCK
                         ? SB_SERVICEBUS_PEEK_LOCK
                         : SB_SERVICEBUS_RECEIVE_AND_DELETE;
  settings.prefetch = config->servicebus.prefetch;
  settings.connect_timeout_ms = config->servicebus.connect_timeout_ms;
  settings.rpc_timeout_ms = config->servicebus.rpc_timeout_ms;
  settings.backoff_min_ms = config->servicebus.backoff_min_ms;
  settings.backoff_max_ms = config->servicebus.backoff_max_ms;
  settings.busy_pause_ms = config->servicebus.busy_pause_ms;
  settings.idle_timeout_ms = config->servicebus.idle_timeout_ms;
  return sb_servicebus_new(common, &settings, error);
}

struct sb_transport *sb_broker_new(const struct sb_config *config, struct sb_login_source login,
                                   struct sb_tls_source tls, uint64_t nonce,
                                   const struct sb_transport_common *common, struct sb_error *error) {
  switch (config->broker) {
  case SB_CONFIG_MEMORY:
    return sb_memory_new(common, NULL);
  case SB_CONFIG_RABBITMQ:
    return rabbitmq_new(config, login, tls, common, error);
  case SB_CONFIG_SERVICEBUS:
    return servicebus_new(config, login, tls, nonce, common, error);
  }
  sb_error_set(error, SB_ERR_INVALID, "no such broker");
  return NULL;
}

void sb_broker_describe(const struct sb_config *config, struct sb_buf *out) {
  sb_buf_text(out, sb_config_broker_name(config->broker));
  if (config->broker == SB_CONFIG_RABBITMQ)
    for (size_t i = 0; i < config->rabbitmq.hosts.count; i++) {
      const struct sb_config_host *host = &config->rabbitmq.host_list[i];
      sb_buf_printf(out, "%s%s:%u", i == 0 ? " at " : ", ", host->name, (unsigned)host->port);
    }
  if (config->broker == SB_CONFIG_SERVICEBUS) sb_buf_printf(out, " at %s", config->servicebus.resolved.host);
}
