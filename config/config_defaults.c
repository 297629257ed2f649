#include "config/config_defaults.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bridge/base/hash.h"
#include "config/config_keys.h"

#define DERIVED_MAX 33 /* bytes of a subscription's default name: leaves room for the number of a life */

static bool on_servicebus(const struct sb_config *config) {
  return config->broker == SB_CONFIG_SERVICEBUS;
}

static bool on_standard(const struct sb_config *config) {
  return on_servicebus(config) && config->servicebus.tier == SB_CONFIG_SERVICEBUS_STANDARD;
}

static bool on_emulator(const struct sb_config *config) {
  return config->servicebus.emulator;
}

static bool is_given_entities(const struct sb_config *config) {
  return !config->servicebus.manage;
}

/* Standard gives a namespace 1,000 credits a second. A message to S subscriptions costs 1 to send, S for the
 * filters and S for the receives, and every node has a subscription: N nodes that send r batches a second
 * each cost N r (1 + 2 N), which reaches 1,000 at r = 100 for two nodes, 27 for four, 4.7 for ten. 25 keeps
 * four nodes that all send at their limit at 900, and leaves the rest to heartbeats, joins and foreign
 * messages; ten nodes need 4, or Premium. A larger batch costs no more: 192 KiB leaves room for headers in
 * the link's 256 KiB. Premium counts no messages: there the table's own values hold. */
static const struct {
  const char *key;
  bool (*applies)(const struct sb_config *config);
  uint64_t number;
} rules[] = {
    {"batch.linger_ms", on_standard, 20},
    {"batch.rate_per_s", on_standard, 25},
    {"batch.max_bytes", on_standard, UINT64_C(192) * 1024},
    /* Heartbeats, at a third of the lease, cost credits too; and links come and go for a minute. */
    {"cluster.lease_ms", on_servicebus, 180000},
    {"cluster.found_ms", on_servicebus, 30000},
    {"servicebus.port", on_emulator, 5672},
    {"servicebus.management_port", on_emulator, 5300},
    {"servicebus.remove_on_stop", is_given_entities, false},
};

static bool has_capitals(const char *text) {
  for (; *text; text++)
    if (isupper((unsigned char)*text)) return true;
  return false;
}

/* The node's name where Service Bus takes it as it is; else its beginning and a hash of the whole. The
 * service takes capitals and small letters for the same, but two nodes must never share a subscription: so a
 * name with capitals gets the hash too. */
static char *subscription_of(const char *node) {
  char name[SB_CONFIG_SUBSCRIPTION_MAX + 1];
  bool as_it_is = !sb_config_subscription_check(node) && !has_capitals(node);
  if (as_it_is && strlen(node) <= DERIVED_MAX) return sb_strdup(node);
  snprintf(name, sizeof name, "n-%.14s-%016" PRIx64, node, sb_hash_text(node));
  for (char *c = name; *c; c++) *c = (char)tolower((unsigned char)*c);
  return sb_strdup(name);
}

void sb_config_resolve_defaults(struct sb_config *config, const struct sb_config_origin *origin) {
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    const struct sb_config_key *key = sb_config_key_find(rules[i].key);
    if (!origin->keys[key - sb_config_keys].written && rules[i].applies(config))
      sb_config_key_set(key, config, rules[i].number);
  }
  if (on_servicebus(config) && !config->servicebus.subscription)
    config->servicebus.subscription = subscription_of(config->node);
}
