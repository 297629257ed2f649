/* What conditions of the service mean for us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transports/servicebus/condition.h"

static void every_condition_has_its_cure(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum sb_servicebus_cure cure;
  } cases[] = {
      {"com.microsoft:server-busy", SB_CURE_PAUSE},
      {"com.microsoft:timeout", SB_CURE_AGAIN},
      {"com.microsoft:operation-cancelled", SB_CURE_AGAIN},
      {"amqp:link:detach-forced", SB_CURE_LINK},
      {"amqp:link:transfer-limit-exceeded", SB_CURE_LINK},
      {"amqp:connection:forced", SB_CURE_CONNECTION},
      {"amqp:internal-error", SB_CURE_CONNECTION},
      {"amqp:not-found", SB_CURE_ENTITY},
      {"amqp:unauthorized-access", SB_CURE_TOKEN},
      {"amqp:not-allowed", SB_CURE_PERSON},
      {"amqp:link:message-size-exceeded", SB_CURE_PERSON},
      {"amqp:link:redirect", SB_CURE_PERSON},
      {"com.microsoft:entity-disabled", SB_CURE_PERSON},
      {"amqp:resource-limit-exceeded", SB_CURE_PERSON},
      {"com.microsoft:of-tomorrow", SB_CURE_CONNECTION},
      {"amqp:not-foun", SB_CURE_CONNECTION},
      {"amqp:not-found ", SB_CURE_CONNECTION},
      {"", SB_CURE_CONNECTION},
      {NULL, SB_CURE_CONNECTION},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_int_equal(sb_servicebus_cure_of(cases[i].name), cases[i].cure);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_condition_has_its_cure)};
  return cmocka_run_group_tests_name("servicebus_condition", tests, NULL, NULL);
}
