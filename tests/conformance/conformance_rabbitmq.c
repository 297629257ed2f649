/* The suite on a real RabbitMQ. */
#include "tests/conformance/rabbitmq_fixture.h"
#include "tests/conformance/suite.h"

int main(int argc, char **argv) {
  int rc = rabbitmq_fixture_start();
  return rc ? rc : conformance_run(&rabbitmq_fixture_ops, argc, argv);
}
