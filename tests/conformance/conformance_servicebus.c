/* The suite on the Service Bus test double, a process of its own. The transport reaches its AMQP port through
 * a proxy that fails on demand; management and the suite itself reach it directly. Every transport has a
 * subscription of its own, as every life of a node has. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/conformance/hub.h"
#include "tests/conformance/proxy.h"
#include "tests/conformance/servicebus_double.h"
#include "tests/conformance/suite.h"
#include "transports/servicebus/servicebus.h"

#define FOR_LONG_MS 600000

static struct servicebus_double service;
static unsigned fixtures;

struct servicebus_fixture {
  uint32_t partitions;
  char prefix[64];
  unsigned lives;
  struct proxy *proxy;
  struct sb_transport *other; /* another node's, which only sends; made when it is first needed */
  uint64_t tokens;
};

static void *open_logs(uint32_t partitions, bool forgetful) {
  (void)forgetful;
  struct servicebus_fixture *fixture = sb_calloc(1, sizeof *fixture);
  fixture->partitions = partitions;
  snprintf(fixture->prefix, sizeof fixture->prefix, "conformance-%u", fixtures++);
  servicebus_double_do(&service, "clear", "{}"); /* what a failed test may have left */
  fixture->proxy = proxy_new(service.amqp);
  if (fixture->proxy) return fixture;
  free(fixture);
  return NULL;
}

static struct sb_transport *make_on(struct servicebus_fixture *fixture,
                                    const struct sb_servicebus_settings *settings, void (*wake)(void *),
                                    void *wake_owner) {
  struct sb_transport_common common = {
      .partitions = fixture->partitions, .prefix = fixture->prefix, .wake = wake, .wake_owner = wake_owner};
  struct sb_error error = {0};
  struct sb_transport *transport = sb_servicebus_new(&common, settings, &error);
  if (!transport) fail_msg("%s", error.text);
  return transport;
}

static struct sb_transport *make(void *owner, void (*wake)(void *), void *wake_owner) {
  struct servicebus_fixture *fixture = owner;
  struct sb_servicebus_settings settings;
  char subscription[32];
  snprintf(subscription, sizeof subscription, "life-%u", fixture->lives++);
  servicebus_double_settings(&service, &settings);
  settings.port = proxy_port(fixture->proxy);
  settings.subscription = subscription;
  return make_on(fixture, &settings, wake, wake_owner);
}

/* ---- the other node ---- */

static void ignore(void *owner) {
  (void)owner;
}

static void start_other(struct servicebus_fixture *fixture) {
  struct sb_servicebus_settings settings;
  servicebus_double_settings(&service, &settings);
  settings.subscription = "unused";
  settings.manage = false;
  fixture->other = make_on(fixture, &settings, ignore, NULL);
  struct sb_error error = {0};
  if (sb_transport_start(fixture->other, &error) != 0) fail_msg("%s", error.text);
}

/* Confirmations alone do not wake, so this looks again and again. */
static bool await_other(struct servicebus_fixture *fixture, enum sb_event_kind kind, struct sb_event *event) {
  int64_t until_ms = hub_now_ms() + HUB_DEADLINE_MS;
  while (hub_now_ms() < until_ms) {
    if (!sb_transport_next(fixture->other, event))
      nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    else if (event->kind == kind)
      return true;
  }
  return false;
}

static void stop_other(struct servicebus_fixture *fixture) {
  if (!fixture->other) return;
  struct sb_event event;
  sb_transport_close(fixture->other);
  await_other(fixture, SB_EVENT_CLOSED, &event);
  sb_transport_free(fixture->other);
  fixture->other = NULL;
}

static void append(void *owner, uint32_t partition, const struct sb_envelope *envelope,
                   struct sb_body *body) {
  struct servicebus_fixture *fixture = owner;
  if (!fixture->other) start_other(fixture);
  struct sb_event event;
  int rc;
  while ((rc = sb_transport_publish(fixture->other, partition, envelope, body, ++fixture->tokens)) ==
         SB_ERR_LINK)
    if (!await_other(fixture, SB_EVENT_LINK, &event)) fail_msg("the other node gets no link");
  if (rc != 0) fail_msg("the other node cannot publish: %d", rc);
  if (!await_other(fixture, SB_EVENT_SETTLED, &event) || event.settled.outcome != SB_SETTLE_CONFIRMED)
    fail_msg("what the other node published was not confirmed");
}

/* ---- what happens to it ---- */

static void close_logs(void *owner) {
  struct servicebus_fixture *fixture = owner;
  stop_other(fixture);
  proxy_free(fixture->proxy);
  servicebus_double_do(&service, "clear", "{}");
  for (uint32_t p = 0; p < fixture->partitions; p++)
    servicebus_double_do(&service, "delete", "{\"entity\":\"%s-%" PRIu32 "\"}", fixture->prefix, p);
  free(fixture);
}

static void hold(void *owner, enum fixture_hold what) {
  struct servicebus_fixture *fixture = owner;
  proxy_hold(fixture->proxy, what == HOLD_REQUESTS, what == HOLD_REPLIES);
}

static void cut(void *owner) {
  proxy_cut(((struct servicebus_fixture *)owner)->proxy);
}

static void away(void *owner) {
  proxy_away(((struct servicebus_fixture *)owner)->proxy, true);
}

static void back(void *owner) {
  proxy_away(((struct servicebus_fixture *)owner)->proxy, false);
}

static void kill_service(void *owner) {
  (void)owner;
  servicebus_double_do(&service, "restart", "{\"ms\":%d}", FOR_LONG_MS);
}

static void restart_service(void *owner) {
  (void)owner;
  servicebus_double_do(&service, "clear", "{}");
}

static void refuse(void *owner, bool on) {
  servicebus_double_do(&service, "busy", "{\"entity\":\"%s*\",\"ms\":%d}",
                       ((struct servicebus_fixture *)owner)->prefix, on ? FOR_LONG_MS : 0);
}

static const char *topic_of(void *owner, uint32_t partition) {
  static char name[80];
  snprintf(name, sizeof name, "%s-%" PRIu32, ((struct servicebus_fixture *)owner)->prefix, partition);
  return name;
}

static void foreign(void *owner, uint32_t partition, const char *channel, struct sb_body *body) {
  servicebus_double_foreign(&service, topic_of(owner, partition), channel, body);
}

static bool malformed(void *owner, uint32_t partition, unsigned n, struct sb_body *body) {
  return servicebus_double_malformed(&service, topic_of(owner, partition), n, body);
}

/* The transport makes it again. */
static void remake(void *owner, uint32_t partition) {
  servicebus_double_do(&service, "delete", "{\"entity\":\"%s\"}", topic_of(owner, partition));
}

int main(int argc, char **argv) {
  static const struct fixture_ops ops = {
      .name = "servicebus",
      .external = true,
      .forward_only = true,
      .prefetch_bytes = SB_SERVICEBUS_PREFETCH_BYTES,
      .open = open_logs,
      .transport = make,
      .close = close_logs,
      .hold = hold,
      .cut = cut,
      .away = away,
      .back = back,
      .kill = kill_service,
      .restart = restart_service,
      .refuse = refuse,
      .append = append,
      .foreign = foreign,
      .malformed = malformed,
      .remake = remake,
  };
  if (!servicebus_double_start(&service)) {
    printf("1..0 # SKIP the Service Bus double cannot be started: node or its packages are missing\n");
    return CONFORMANCE_SKIPPED;
  }
  int status = conformance_run(&ops, argc, argv);
  servicebus_double_stop(&service);
  return status;
}
