/* What an error of the service means for us: the table of AMQP conditions. Pure. */
#ifndef SB_TRANSPORTS_SERVICEBUS_CONDITION_H
#define SB_TRANSPORTS_SERVICEBUS_CONDITION_H

enum sb_servicebus_cure {
  SB_CURE_AGAIN,      /* the same once more on the same link */
  SB_CURE_PAUSE,      /* the service is busy: the same after a pause */
  SB_CURE_LINK,       /* a new link */
  SB_CURE_CONNECTION, /* a new connection */
  SB_CURE_ENTITY,     /* the topic or the subscription is gone: make it, or wait until somebody does */
  SB_CURE_TOKEN,      /* a new token, or a person when there are none */
  SB_CURE_PERSON,     /* only a person can help: say so and try slowly */
};

/* `name` is a condition such as "amqp:link:detach-forced"; NULL or unknown: a new connection. */
enum sb_servicebus_cure sb_servicebus_cure_of(const char *name);

#endif
