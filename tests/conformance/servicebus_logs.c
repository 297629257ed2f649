#include "tests/conformance/servicebus_logs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/suite.h"

struct servicebus_double service;
static unsigned fixtures;

/* ---- the fixture ---- */

static void set_address(struct logs *logs) {
  snprintf(logs->address, sizeof logs->address, "%s/Subscriptions/%s", logs->topic, logs->subscription);
}

static void *open_logs(uint32_t partitions, bool forgetful) {
  (void)forgetful;
  struct logs *logs = sb_calloc(1, sizeof *logs);
  logs->partitions = partitions;
  snprintf(logs->prefix, sizeof logs->prefix, "broker-%u", fixtures++);
  snprintf(logs->subscription, sizeof logs->subscription, "node-1");
  snprintf(logs->topic, sizeof logs->topic, "%s-0", logs->prefix);
  set_address(logs);
  servicebus_double_settings(&service, &logs->settings);
  logs->settings.subscription = logs->subscription;
  return logs;
}

static struct sb_transport *make(void *fixture, void (*wake)(void *), void *wake_owner) {
  struct logs *logs = fixture;
  struct sb_transport_common common = {
      .partitions = logs->partitions, .prefix = logs->prefix, .wake = wake, .wake_owner = wake_owner};
  struct sb_error error = {0};
  struct sb_transport *transport = sb_servicebus_new(&common, &logs->settings, &error);
  if (!transport) fail_msg("%s", error.text);
  return transport;
}

static void close_logs(void *fixture) {
  free(fixture);
}

const struct fixture_ops logs_ops = {.name = "servicebus",
                                     .external = true,
                                     .forward_only = true,
                                     .open = open_logs,
                                     .transport = make,
                                     .close = close_logs};

struct logs *logs_of(struct hub *hub) {
  return hub->fixture;
}

void logs_subscribe_as(struct hub *hub, const char *subscription) {
  struct logs *logs = logs_of(hub);
  snprintf(logs->subscription, sizeof logs->subscription, "%s", subscription);
  set_address(logs);
}

void logs_make_entities(struct hub *hub) {
  struct logs *logs = logs_of(hub);
  for (uint32_t p = 0; p < logs->partitions; p++) {
    servicebus_double_do(&service, "create", "{\"entity\":\"%s-%" PRIu32 "\"}", logs->prefix, p);
    servicebus_double_do(&service, "create",
                         "{\"entity\":\"%s-%" PRIu32
                         "/Subscriptions/%s\",\"settings\":{\"lockDuration_ms\":1000}}",
                         logs->prefix, p, logs->subscription);
  }
}

/* ---- what cases do ---- */

void logs_start(struct hub *hub) {
  hub_start(hub);
  hub_attach_all(hub);
}

bool logs_status_says(const struct hub *hub, const char *text) {
  struct sb_buf out = {0};
  sb_transport_status(hub->transport, &out);
  sb_buf_append(&out, "", 1);
  bool says = strstr((const char *)out.data, text) != NULL;
  sb_buf_close(&out);
  return says;
}

long logs_counter(const char *name) {
  return servicebus_double_tell(&service, "status", name);
}

void logs_publish(struct hub *hub, int count) {
  for (int i = 0; i < count; i++) hub_publish(hub, (uint32_t)i % HUB_PARTITIONS, 200);
}

void logs_check_whole(struct hub *hub) {
  for (uint32_t p = 0; p < HUB_PARTITIONS; p++)
    if (hub->partitions[p].how == SB_ATTACH_GAP || hub->partitions[p].how == SB_ATTACH_NEW_LOG)
      fail_msg("partition %u has a gap", p);
  hub_check_logs(hub);
}

/* ---- running ---- */

/* What a case before has done to the double. */
static void make_well(void) {
  servicebus_double_do(&service, "clear", "{}");
  servicebus_double_do(&service, "settings", "{\"oversize\":\"detach\",\"min_peer_idle_ms\":5000}");
}

int logs_setup(void **state) {
  make_well();
  *state = hub_new(&logs_ops, NULL, false);
  return 0;
}

int logs_teardown(void **state) {
  make_well();
  hub_free(*state);
  return 0;
}

int logs_run(const char *name, const struct CMUnitTest *cases, size_t count, int argc, char **argv) {
  if (!servicebus_double_start(&service)) {
    printf("1..0 # SKIP the Service Bus double cannot be started: node or its packages are missing\n");
    return CONFORMANCE_SKIPPED;
  }
  int status = conformance_run_cases(name, cases, count, NULL, NULL, argc, argv);
  servicebus_double_stop(&service);
  return status;
}
