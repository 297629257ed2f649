/* Service Bus: exactly one way to show who one is, and where its namespace is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/wipe.h"
#include "config/config_check.h"
#include "config/config_defaults.h"
#include "config/config_keys.h"
#include "config/connection_string.h"
#include "config/secret.h"

#define STRING_ENV "SIDEBUS_SERVICEBUS_CONNECTION_STRING"
#define KEY_ENV    "SIDEBUS_SERVICEBUS_KEY"
#define MIB_STEP   1024 /* topics come in sizes of whole GiB */
#define LIFE_BYTES 9    /* the bridge puts the number of its life behind the name of a subscription */

static const char *env_of(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

/* ---- the connection string ---- */

/* `from` is the key that a complaint is about. */
static void take_connection_string(struct sb_config *config, const char *from, const char *text,
                                   const struct sb_config_origin *origin, struct sb_config_report *report) {
  struct sb_connection_string string;
  struct sb_error error;
  if (sb_connection_string_parse(text, &string, &error)) {
    bool from_env = strcmp(from, "servicebus.namespace") == 0;
    WRONG(from, "%s %s", from_env ? "$" STRING_ENV : "the connection string", error.text);
    return;
  }
  config->servicebus.resolved.host = string.host;
  config->servicebus.resolved.rule = string.rule;
  config->servicebus.resolved.key = string.key;
  config->servicebus.resolved.token = string.token;
  config->servicebus.emulator |= string.emulator;
  /* An emulator has other default ports. */
  sb_config_resolve_defaults(config, origin);
  if (string.port && !sb_config_is_written(origin, "servicebus.port")) config->servicebus.port = string.port;
}

static void complete_from_file(struct sb_config *config, const struct sb_config_origin *origin,
                               struct sb_config_report *report) {
  static const char *const others[] = {"namespace", "key_name", "key_file", "token_file"};
  static const char key[] = "servicebus.connection_string_file";
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    char path[64];
    snprintf(path, sizeof path, "servicebus.%s", others[i]);
    if (sb_config_is_written(origin, path))
      WRONG(path, "connection_string_file says this already; leave one of them out");
  }
  char *text = sb_config_read_secret(key, config->servicebus.connection_string_file, NULL, origin, report);
  if (text) take_connection_string(config, key, text, origin, report);
  sb_wipe_free(text);
}

/* ---- a namespace with a key or a token ---- */

static void take_namespace(struct sb_config *config, const struct sb_config_origin *origin,
                           struct sb_config_report *report) {
  struct sb_config_host host;
  if (sb_config_namespace_parse(config->servicebus.namespace_host, &host)) return;
  config->servicebus.resolved.host = host.name;
  if (host.port == 0) return;
  if (sb_config_is_written(origin, "servicebus.port") && config->servicebus.port != host.port)
    WRONG("servicebus.port", "%" PRIu32 " is not the port of namespace, %u; leave one of them out",
          config->servicebus.port, (unsigned)host.port);
  config->servicebus.port = host.port;
}

static void take_key(struct sb_config *config, const struct sb_config_origin *origin,
                     struct sb_config_report *report) {
  const char *from_env = env_of(KEY_ENV);
  config->servicebus.resolved.rule = sb_strdup(config->servicebus.key_name);
  if (config->servicebus.key_file)
    config->servicebus.resolved.key =
        sb_config_read_secret("servicebus.key_file", config->servicebus.key_file, NULL, origin, report);
  else if (from_env && strlen(from_env) <= SB_SECRET_BYTES_MAX)
    config->servicebus.resolved.key = sb_strdup(from_env);
  else
    WRONG("servicebus.key_name", "there is no key for \"%s\"; write key_file or set " KEY_ENV,
          config->servicebus.key_name);
}

static void complete_from_keys(struct sb_config *config, const struct sb_config_origin *origin,
                               struct sb_config_report *report) {
  const char *rule = config->servicebus.key_name, *key = config->servicebus.key_file;
  const char *token = config->servicebus.token_file;
  if (config->servicebus.namespace_host)
    take_namespace(config, origin, report);
  else
    WRONG("servicebus.namespace",
          "not set; write the host name, for example \"acme.servicebus.windows.net\"");
  if (token && (rule || key))
    WRONG("servicebus.token_file", "a token and a key are two ways; leave token_file out, or key_name and "
                                   "key_file");
  else if (token)
    sb_config_check_readable("servicebus.token_file", token, origin, report);
  else if (rule)
    take_key(config, origin, report);
  else if (key)
    WRONG("servicebus.key_file", "a key needs the name of its rule; write key_name too");
  else if (env_of(STRING_ENV))
    WRONG("servicebus.namespace", "$" STRING_ENV " says this already; leave one of them out");
  else
    WRONG("servicebus.key_name", "there are no credentials; write key_name and key_file, token_file, or "
                                 "connection_string_file instead "
                                 "of namespace");
}

/* ---- both ---- */

static void check_auth(const struct sb_config *config, const struct sb_config_origin *origin,
                       struct sb_config_report *report) {
  bool has_key = config->servicebus.resolved.key != NULL;
  bool has_token = config->servicebus.token_file || config->servicebus.resolved.token;
  if (config->servicebus.auth == SB_CONFIG_SERVICEBUS_PLAIN && has_token && !has_key)
    WRONG("servicebus.auth", "\"plain\" needs a key, and there is a token; write \"cbs\"");
}

static void check_tls(const struct sb_config *config, const struct sb_config_origin *origin,
                      struct sb_config_report *report) {
  sb_config_check_tls_files("servicebus.tls", config->servicebus.tls.ca_file, NULL, NULL, origin, report);
  if (config->servicebus.emulator)
    NOTICE("servicebus.emulator",
           "nothing is encrypted: whoever listens can read everything and act as this node");
  else if (!config->servicebus.tls.verify)
    NOTICE("servicebus.tls.verify",
           "the service's certificate is not checked: anybody in between can read and write");
}

static void check_entities(const struct sb_config *config, const struct sb_config_origin *origin,
                           struct sb_config_report *report) {
  uint32_t size = config->servicebus.max_size_mb;
  bool standard = config->servicebus.tier == SB_CONFIG_SERVICEBUS_STANDARD;
  if (size % MIB_STEP != 0 || (standard && size > 5 * MIB_STEP))
    WRONG("servicebus.max_size_mb", "%" PRIu32 " is not offered; write %s", size,
          standard ? "1024, 2048, 3072, 4096 or 5120" : "a multiple of 1024");
  const char *prefix = config->topics.prefix;
  if (strspn(prefix, "-_.") > 0)
    WRONG("topics.prefix", "\"%s\" cannot name a topic; begin with a letter or digit", prefix);
  if (config->servicebus.remove_on_stop && !config->servicebus.manage)
    WRONG("servicebus.remove_on_stop",
          "removing takes the right to manage; write manage = true or leave this out");
  size_t most = SB_CONFIG_SUBSCRIPTION_MAX - LIFE_BYTES;
  if (config->servicebus.manage && strlen(config->servicebus.subscription) > most)
    WRONG("servicebus.subscription", "has %zu bytes; write at most %zu, since every life of a node adds %d",
          strlen(config->servicebus.subscription), most, LIFE_BYTES);
  if (config->servicebus.receive == SB_CONFIG_SERVICEBUS_RECEIVE_AND_DELETE)
    NOTICE(
        "servicebus.receive",
        "what is on its way when the connection breaks is lost to this node, as a gap; \"peek-lock\" loses "
        "nothing");
}

void sb_config_complete_servicebus(struct sb_config *config, const struct sb_config_origin *origin,
                                   struct sb_config_report *report) {
  if (config->broker != SB_CONFIG_SERVICEBUS) {
    const char *written = config->servicebus.connection_string_file ? "servicebus.connection_string_file"
                          : config->servicebus.namespace_host       ? "servicebus.namespace"
                                                                    : NULL;
    if (written) NOTICE(written, "not used, since broker is \"%s\"", sb_config_broker_name(config->broker));
    return;
  }
  bool names_any = config->servicebus.namespace_host || config->servicebus.key_name ||
                   config->servicebus.key_file || config->servicebus.token_file;
  if (config->servicebus.connection_string_file)
    complete_from_file(config, origin, report);
  else if (!names_any && env_of(STRING_ENV))
    take_connection_string(config, "servicebus.namespace", env_of(STRING_ENV), origin, report);
  else
    complete_from_keys(config, origin, report);
  check_auth(config, origin, report);
  check_tls(config, origin, report);
  check_entities(config, origin, report);
}
