#include "tests/conformance/rabbitmq_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/conformance/hub.h"
#include "tests/conformance/suite.h"

/* Small segments, so that retention can be seen at work: it removes whole segments only. */
#define SEGMENT_BYTES       1000000
#define SMALL_SEGMENT_BYTES 50000
#define SMALL_MAX_BYTES     100000
#define FILLER_BYTES        20000

static const char *broker_dir;
static uint16_t broker_port;
static unsigned fixtures;

/* Runs deploy/private-rabbitmq; returns the value that it prints for `key`, 0 when there is none. */
static uint16_t broker_command(const char *verb, const char *key) {
  char line[1024];
  snprintf(line, sizeof line, "'%s' %s '%s'", SB_PRIVATE_RABBITMQ, verb, broker_dir);
  FILE *out = popen(line, "r");
  if (!out) return 0;
  unsigned long value = 0;
  while (fgets(line, sizeof line, out))
    if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == '=')
      value = strtoul(line + strlen(key) + 1, NULL, 10);
  return pclose(out) == 0 && value <= UINT16_MAX ? (uint16_t)value : 0;
}

static void *open_logs(uint32_t partitions, bool forgetful) {
  struct rabbitmq_fixture *fixture = sb_calloc(1, sizeof *fixture);
  fixture->partitions = partitions;
  fixture->admin = (struct admin){.port = broker_port,
                                  .max_bytes = forgetful ? SMALL_MAX_BYTES : 0,
                                  .segment_bytes = forgetful ? SMALL_SEGMENT_BYTES : SEGMENT_BYTES};
  snprintf(fixture->admin.prefix, sizeof fixture->admin.prefix, "conformance-%ld-%u", (long)getpid(),
           fixtures++);
  sb_rabbitmq_settings_default(&fixture->settings);
  fixture->settings.max_bytes = fixture->admin.max_bytes;
  fixture->settings.segment_bytes = fixture->admin.segment_bytes;
  fixture->settings.backoff_min_ms = 10;
  fixture->settings.backoff_max_ms = 200;
  if (!admin_try(&fixture->admin))
    broker_command("start", "AMQP_PORT"); /* a failed test may have left it dead */
  fixture->proxy = proxy_new(broker_port);
  if (fixture->proxy) return fixture;
  free(fixture);
  return NULL;
}

static struct sb_transport *make(void *owner, void (*wake)(void *), void *wake_owner) {
  struct rabbitmq_fixture *fixture = owner;
  char host[64];
  snprintf(host, sizeof host, "amqp://127.0.0.1:%u", proxy_port(fixture->proxy));
  const char *hosts[] = {host, host, host};
  struct sb_rabbitmq_settings settings = fixture->settings;
  settings.hosts = hosts;
  settings.host_count = fixture->hosts ? fixture->hosts : 1;
  struct sb_transport_common common = {.partitions = fixture->partitions,
                                       .prefix = fixture->admin.prefix,
                                       .wake = wake,
                                       .wake_owner = wake_owner};
  struct sb_error error = {0};
  struct sb_transport *transport = sb_rabbitmq_new(&common, &settings, &error);
  if (!transport) fail_msg("%s", error.text);
  return transport;
}

static void close_logs(void *owner) {
  struct rabbitmq_fixture *fixture = owner;
  proxy_free(fixture->proxy);
  admin_remove_all(&fixture->admin, fixture->partitions);
  admin_disconnect(&fixture->admin);
  free(fixture);
}

static void hold(void *owner, enum fixture_hold what) {
  struct rabbitmq_fixture *fixture = owner;
  proxy_hold(fixture->proxy, what == HOLD_REQUESTS, what == HOLD_REPLIES);
}

static void cut(void *owner) {
  proxy_cut(((struct rabbitmq_fixture *)owner)->proxy);
}

static void away(void *owner) {
  proxy_away(((struct rabbitmq_fixture *)owner)->proxy, true);
}

static void back(void *owner) {
  proxy_away(((struct rabbitmq_fixture *)owner)->proxy, false);
}

/* RabbitMQ 3.10 loses all streams for good when it is killed before the name of the stream coordinator is on
 * disk, which is half a second after the very first stream was declared. */
static void await_coordinator(void) {
  char line[1024];
  snprintf(line, sizeof line,
           "grep -rl --include=names.dets rabbit_stream_coordinator '%s/mnesia' 2>/dev/null", broker_dir);
  for (int64_t until_ms = hub_now_ms() + HUB_DEADLINE_MS;;) {
    FILE *out = popen(line, "r");
    bool found = out && fgetc(out) != EOF;
    if (out) pclose(out);
    if (found) return;
    if (hub_now_ms() >= until_ms) fail_msg("the stream coordinator is not on disk");
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
  }
}

static void kill_broker(void *owner) {
  if (getenv("SB_TEST_BROKER_LIVES"))
    fail_msg("others use this broker: a case that kills it is named a_killed_broker…");
  await_coordinator();
  admin_disconnect(&((struct rabbitmq_fixture *)owner)->admin);
  broker_command("kill", "PID");
}

static void restart_broker(void *owner) {
  (void)owner;
  if (broker_command("start", "AMQP_PORT") != broker_port) fail_msg("the broker did not start again");
}

static void refuse(void *owner, bool on) {
  struct rabbitmq_fixture *fixture = owner;
  for (uint32_t p = 0; p < fixture->partitions; p++) admin_bind(&fixture->admin, p, !on);
}

static void append(void *owner, uint32_t partition, const struct sb_envelope *envelope,
                   struct sb_body *body) {
  admin_append(&((struct rabbitmq_fixture *)owner)->admin, partition, envelope, body);
}

static void foreign(void *owner, uint32_t partition, const char *channel, struct sb_body *body) {
  admin_append_foreign(&((struct rabbitmq_fixture *)owner)->admin, partition, channel, body);
}

static bool malformed(void *owner, uint32_t partition, unsigned n, struct sb_body *body) {
  return admin_append_malformed(&((struct rabbitmq_fixture *)owner)->admin, partition, n, body);
}

/* Retention runs when a segment is full, so this fills some until it has. */
static void retention(void *owner, uint32_t partition) {
  struct rabbitmq_fixture *fixture = owner;
  struct sb_body *filler = sb_body_new(FILLER_BYTES);
  memset(filler->data, 'f', filler->len);
  int64_t until_ms = hub_now_ms() + HUB_DEADLINE_MS;
  do {
    if (hub_now_ms() >= until_ms) fail_msg("retention removes nothing");
    for (int i = 0; i < SMALL_MAX_BYTES / FILLER_BYTES; i++)
      admin_append_foreign(&fixture->admin, partition, NULL, filler);
  } while (!admin_first_is_foreign(&fixture->admin, partition));
  sb_body_unref(filler);
}

static void remake(void *owner, uint32_t partition) {
  admin_remake(&((struct rabbitmq_fixture *)owner)->admin, partition);
}

const struct fixture_ops rabbitmq_fixture_ops = {
    .name = "rabbitmq",
    .external = true,
    .open = open_logs,
    .transport = make,
    .close = close_logs,
    .hold = hold,
    .cut = cut,
    .away = away,
    .back = back,
    .kill = kill_broker,
    .restart = restart_broker,
    .refuse = refuse,
    .append = append,
    .foreign = foreign,
    .malformed = malformed,
    .retention = retention,
    .remake = remake,
};

const char *rabbitmq_fixture_dir(void) {
  return broker_dir;
}

int rabbitmq_fixture_start(void) {
  broker_dir =
      getenv(getenv("SB_TEST_BROKER_LIVES") ? "SIDEBUS_TEST_SHARED_RABBITMQ" : "SIDEBUS_TEST_RABBITMQ");
  if (!broker_dir) {
    printf("1..0 # SKIP no broker is named (see tests/lib/with-broker)\n");
    return CONFORMANCE_SKIPPED;
  }
  broker_port = broker_command("start", "AMQP_PORT");
  if (broker_port) return 0;
  fprintf(stderr, "no broker in %s\n", broker_dir);
  return EXIT_FAILURE;
}
