/* The Service Bus test double as a child process, and the suite's own way to it: its control port, which puts
 * messages into topics and does to them what happens to topics. Whatever goes wrong fails the running test.
 */
#ifndef SB_TESTS_CONFORMANCE_SERVICEBUS_DOUBLE_H
#define SB_TESTS_CONFORMANCE_SERVICEBUS_DOUBLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/base/body.h"
#include "transports/servicebus/servicebus.h"

struct servicebus_double {
  pid_t pid;
  int out; /* its standard output */
  uint16_t amqp, amqps, https, http, control;
  char ca_file[256], key_name[128], key[256];
  void *curl;
};

/* False when it cannot be had here: no node, or its packages are not installed. */
bool servicebus_double_start(struct servicebus_double *d);
void servicebus_double_stop(struct servicebus_double *d);

/* POSTs JSON in the form of printf to a verb. */
__attribute__((format(printf, 3, 4))) void servicebus_double_do(struct servicebus_double *d, const char *verb,
                                                                const char *format, ...);
/* As _do, and returns the integer of `"<key>":` in the answer. */
__attribute__((format(printf, 4, 5))) long servicebus_double_ask(struct servicebus_double *d,
                                                                 const char *verb, const char *key,
                                                                 const char *format, ...);

/* What the query tells; the integer behind the first `"<key>":`, -1 when there is none. */
long servicebus_double_tell(struct servicebus_double *d, const char *query, const char *key);

/* Whether what the query tells contains a text, quoted. */
bool servicebus_double_mentions(struct servicebus_double *d, const char *query, const char *text);

void servicebus_double_foreign(struct servicebus_double *d, const char *topic, const char *channel,
                               const struct sb_body *body);
bool servicebus_double_malformed(struct servicebus_double *d, const char *topic, unsigned n,
                                 const struct sb_body *body);

/* Settings for a quick transport on the double, in the clear; texts are the double's own. */
void servicebus_double_settings(const struct servicebus_double *d, struct sb_servicebus_settings *settings);

#endif
