#include "transports/servicebus/condition.h"

#include <stddef.h>
#include <string.h>

static const struct {
  const char *name;
  enum sb_servicebus_cure cure;
} table[] = {
    {"com.microsoft:server-busy", SB_CURE_PAUSE},
    {"com.microsoft:timeout", SB_CURE_AGAIN},
    {"com.microsoft:operation-cancelled", SB_CURE_AGAIN},
    {"com.microsoft:message-lock-lost", SB_CURE_AGAIN},
    {"amqp:link:detach-forced", SB_CURE_LINK},
    {"amqp:link:transfer-limit-exceeded", SB_CURE_LINK},
    {"amqp:link:stolen", SB_CURE_LINK},
    {"amqp:not-found", SB_CURE_ENTITY},
    {"com.microsoft:entity-not-found", SB_CURE_ENTITY},
    {"com.microsoft:messaging-entity-not-found", SB_CURE_ENTITY},
    {"amqp:unauthorized-access", SB_CURE_TOKEN},
    {"com.microsoft:auth-failed", SB_CURE_TOKEN},
    {"amqp:not-allowed", SB_CURE_PERSON},
    {"amqp:not-implemented", SB_CURE_PERSON},
    {"amqp:link:message-size-exceeded", SB_CURE_PERSON},
    {"amqp:link:redirect", SB_CURE_PERSON},
    {"com.microsoft:entity-disabled", SB_CURE_PERSON},
    {"com.microsoft:argument-error", SB_CURE_PERSON},
    {"amqp:resource-limit-exceeded", SB_CURE_PERSON},
};

enum sb_servicebus_cure sb_servicebus_cure_of(const char *name) {
  for (size_t i = 0; name && i < sizeof table / sizeof *table; i++)
    if (strcmp(table[i].name, name) == 0) return table[i].cure;
  return SB_CURE_CONNECTION;
}
