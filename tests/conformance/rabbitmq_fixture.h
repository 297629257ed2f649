/* Logs on a real RabbitMQ. SIDEBUS_TEST_RABBITMQ names the folder of a broker that deploy/private-rabbitmq
 * has started; a program has that broker to itself, since it also kills it. The transport reaches the broker
 * through a proxy that fails on demand, the suite reaches it directly. */
#ifndef SB_TESTS_CONFORMANCE_RABBITMQ_FIXTURE_H
#define SB_TESTS_CONFORMANCE_RABBITMQ_FIXTURE_H

#include <stdint.h>

#include "tests/conformance/fixture.h"
#include "tests/conformance/proxy.h"
#include "tests/conformance/rabbitmq_admin.h"
#include "transports/rabbitmq/rabbitmq.h"

struct rabbitmq_fixture {
  uint32_t partitions;
  struct admin admin;
  struct proxy *proxy;
  struct sb_rabbitmq_settings settings; /* of the next transport, but for its hosts */
  size_t hosts;                         /* in its list, all the same one; 0: one */
};

extern const struct fixture_ops rabbitmq_fixture_ops;

/* Before everything else: 0, or the exit status when there is no broker. */
int rabbitmq_fixture_start(void);

/* The folder of the broker, for deploy/private-rabbitmq. */
const char *rabbitmq_fixture_dir(void);

#endif
