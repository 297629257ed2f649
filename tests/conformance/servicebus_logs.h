/* What the programs share that check what only Service Bus does: logs on the test double whose settings and
 * names a case may change before it starts a transport, and what cases often look at. */
#ifndef SB_TESTS_CONFORMANCE_SERVICEBUS_LOGS_H
#define SB_TESTS_CONFORMANCE_SERVICEBUS_LOGS_H

#include "tests/conformance/hub.h"
#include "tests/conformance/servicebus_double.h"
#include "transports/servicebus/servicebus.h"

/* The one double of the program; runs while cases do. */
extern struct servicebus_double service;

/* A hub's fixture. */
struct logs {
  uint32_t partitions;
  char prefix[32], subscription[51];
  char topic[40], address[112]; /* of partition 0, and of our subscription of it */
  struct sb_servicebus_settings settings;
};

extern const struct fixture_ops logs_ops;

struct logs *logs_of(struct hub *hub);

/* Another name for our subscription, before a start. */
void logs_subscribe_as(struct hub *hub, const char *subscription);

/* Topics and our subscriptions, as if a person had made them. */
void logs_make_entities(struct hub *hub);

/* Starts the transport and waits until everything is attached. */
void logs_start(struct hub *hub);

bool logs_status_says(const struct hub *hub, const char *text);

/* A counter of the double, since it was started. */
long logs_counter(const char *name);

/* Over all partitions in turn. */
void logs_publish(struct hub *hub, int count);

/* No partition was told of a gap, and hub_check_logs. */
void logs_check_whole(struct hub *hub);

/* Runs cases, each with a hub that has no transport yet, and the double around them; the exit status. An
 * argument of the program is a pattern of cases to run. */
#define LOGS_CASE(name) cmocka_unit_test_setup_teardown(name, logs_setup, logs_teardown)
int logs_setup(void **state);
int logs_teardown(void **state);
int logs_run(const char *name, const struct CMUnitTest *cases, size_t count, int argc, char **argv);

#endif
