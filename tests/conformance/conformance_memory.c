/* The suite on the embedded broker. Its faults are made inside the transport (transports/memory/faults.h). */
#include <stdlib.h>

#include "tests/conformance/suite.h"
#include "transports/memory/faults.h"
#include "transports/memory/memory.h"

#define MAX_BODY_BYTES ((size_t)4 * 1024 * 1024)

struct memory_fixture {
  struct sb_memory_logs *logs;
  struct sb_transport *transport; /* the last one made */
};

static void *open_logs(uint32_t partitions, bool forgetful) {
  (void)forgetful; /* retention is ordered, not waited for */
  struct memory_fixture *fixture = sb_calloc(1, sizeof *fixture);
  fixture->logs = sb_memory_logs_new(partitions);
  return fixture;
}

static struct sb_transport *make(void *owner, void (*wake)(void *), void *wake_owner) {
  struct memory_fixture *fixture = owner;
  struct sb_transport_common common = {
      .partitions = fixture->logs->partitions, .prefix = "t", .wake = wake, .wake_owner = wake_owner};
  struct sb_memory_settings settings = {.logs = fixture->logs, .max_body_bytes = MAX_BODY_BYTES};
  fixture->transport = sb_memory_new(&common, &settings);
  return fixture->transport;
}

static void close_logs(void *owner) {
  struct memory_fixture *fixture = owner;
  sb_memory_logs_free(fixture->logs);
  free(fixture);
}

static void hold(void *owner, enum fixture_hold what) {
  static const enum sb_memory_fate fates[] = {[HOLD_NOTHING] = SB_MEMORY_STORE,
                                              [HOLD_REQUESTS] = SB_MEMORY_HOLD_REQUEST,
                                              [HOLD_REPLIES] = SB_MEMORY_HOLD_REPLY};
  sb_memory_fault_publishes(((struct memory_fixture *)owner)->transport, fates[what]);
}

static void all_links(struct memory_fixture *fixture, bool up) {
  for (uint32_t p = 0; p < fixture->logs->partitions; p++) {
    sb_memory_fault_link(fixture->transport, p, SB_LINK_PUBLISH, up);
    sb_memory_fault_link(fixture->transport, p, SB_LINK_CONSUME, up);
  }
}

static void away(void *owner) {
  all_links(owner, false);
}

static void back(void *owner) {
  all_links(owner, true);
}

static void cut(void *owner) {
  away(owner);
  hold(owner, HOLD_NOTHING);
  back(owner);
}

static void refuse(void *owner, bool on) {
  sb_memory_fault_publishes(((struct memory_fixture *)owner)->transport,
                            on ? SB_MEMORY_REFUSE : SB_MEMORY_STORE);
}

static void append(void *owner, uint32_t partition, const struct sb_envelope *envelope,
                   struct sb_body *body) {
  sb_memory_fault_append(((struct memory_fixture *)owner)->transport, partition, envelope, NULL, body);
}

static void foreign(void *owner, uint32_t partition, const char *channel, struct sb_body *body) {
  struct sb_envelope envelope = {.foreign = true};
  struct sb_body *name = NULL;
  if (channel) {
    name = sb_body_new(strlen(channel));
    memcpy(name->data, channel, name->len);
  }
  sb_memory_fault_append(((struct memory_fixture *)owner)->transport, partition, &envelope, name, body);
  sb_body_unref(name);
}

static bool malformed(void *owner, uint32_t partition, unsigned n, struct sb_body *body) {
  struct sb_envelope envelope = {.malformed = true, .version = 1};
  if (n > 0) return false;
  append(owner, partition, &envelope, body);
  return true;
}

static void retention(void *owner, uint32_t partition) {
  struct memory_fixture *fixture = owner;
  sb_memory_fault_retention(fixture->transport, partition, fixture->logs->at[partition].end);
}

static void remake(void *owner, uint32_t partition) {
  sb_memory_fault_new_log(((struct memory_fixture *)owner)->transport, partition, 0);
}

static void empty(void *owner, uint32_t partition) {
  struct memory_fixture *fixture = owner;
  sb_memory_fault_new_log(fixture->transport, partition, fixture->logs->at[partition].end);
}

int main(int argc, char **argv) {
  static const struct fixture_ops ops = {
      .name = "memory",
      .open = open_logs,
      .transport = make,
      .close = close_logs,
      .hold = hold,
      .cut = cut,
      .away = away,
      .back = back,
      .refuse = refuse,
      .append = append,
      .foreign = foreign,
      .malformed = malformed,
      .retention = retention,
      .remake = remake,
      .empty = empty,
  };
  return conformance_run(&ops, argc, argv);
}
