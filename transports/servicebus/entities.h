/* Topics and subscriptions, made and looked at over the service's HTTPS interface. All calls need the Manage
 * right; with entities that were made beforehand nothing here is needed.
 *
 * Every call blocks, at most request_timeout_ms for each request (most make one or two; listing makes one per
 * 100 subscriptions), and ends within about a second when *stop becomes true. One thread at a time. Nothing
 * is retried here: whoever calls knows how long it may take. */
#ifndef SB_TRANSPORTS_SERVICEBUS_ENTITIES_H
#define SB_TRANSPORTS_SERVICEBUS_ENTITIES_H

#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/error.h"
#include "transports/servicebus/atom.h"
#include "transports/servicebus/http.h"

#define SB_SERVICEBUS_TOPIC_MAX         260  /* bytes of a topic's path */
#define SB_SERVICEBUS_SUBSCRIPTION_MAX  50   /* bytes of a subscription's name */
#define SB_SERVICEBUS_SUBSCRIPTIONS_MAX 2000 /* of one topic: the service's own limit */

enum sb_servicebus_result {
  SB_SERVICEBUS_EXISTS,       /* it was there and is usable; also: looked at, listed */
  SB_SERVICEBUS_CREATED,      /* it was not there, and now it is */
  SB_SERVICEBUS_REMOVED,      /* it was there, and now it is not */
  SB_SERVICEBUS_NOT_FOUND,    /* it, or the topic that it belongs to, is not there */
  SB_SERVICEBUS_UNSUITABLE,   /* it is there, but with settings that break order or delivery: for a person */
  SB_SERVICEBUS_UNAUTHORIZED, /* 401: the token is not accepted, or its rule has no Manage right */
  SB_SERVICEBUS_FORBIDDEN,    /* 403: a quota, a network rule or a missing role */
  SB_SERVICEBUS_REFUSED,      /* any other answer that trying again will not change */
  SB_SERVICEBUS_BUSY,         /* 408, 429, 5xx, another change under way: try again, after 10 s at least */
  SB_SERVICEBUS_UNREACHABLE,  /* no answer: name, connection, TLS, time-out, or no usable token now */
  SB_SERVICEBUS_STOPPED,      /* *stop was true */
};

/* "exists", "created", … for logs. */
const char *sb_servicebus_result_name(enum sb_servicebus_result result);

/* Whether the same call may well succeed later without anybody's help. */
static inline bool sb_servicebus_result_passes(enum sb_servicebus_result result) {
  return result == SB_SERVICEBUS_BUSY || result == SB_SERVICEBUS_UNREACHABLE;
}

struct sb_servicebus_entities;

/* As sb_servicebus_http_new. */
struct sb_servicebus_entities *sb_servicebus_entities_new(const struct sb_servicebus_management *settings,
                                                          struct sb_error *error);
void sb_servicebus_entities_free(struct sb_servicebus_entities *entities); /* NULL is allowed */

/* All of these fill `error` unless they return EXISTS, CREATED or REMOVED; its text begins with
 * "<host>: topic …" and says what to do. */

/* CREATED; EXISTS; UNSUITABLE: it is partitioned, does not support ordering, or is not active. An existing
 * one that differs otherwise is used as it is, with a line in the log. */
enum sb_servicebus_result sb_servicebus_topic_ensure(struct sb_servicebus_entities *entities,
                                                     const char *topic,
                                                     const struct sb_servicebus_topic *wanted,
                                                     struct sb_error *error);

/* CREATED: whatever an earlier one of that name had received is gone, and nothing ordered before now comes;
 * EXISTS; NOT_FOUND: there is no such topic; UNSUITABLE: it has sessions, forwards its messages or is not
 * active. */
enum sb_servicebus_result sb_servicebus_subscription_ensure(struct sb_servicebus_entities *entities,
                                                            const char *topic, const char *name,
                                                            const struct sb_servicebus_subscription *wanted,
                                                            struct sb_error *error);

/* REMOVED or NOT_FOUND. */
enum sb_servicebus_result sb_servicebus_subscription_remove(struct sb_servicebus_entities *entities,
                                                            const char *topic, const char *name,
                                                            struct sb_error *error);

/* Calls found(owner, name) for each subscription whose name begins with `prefix` ("" for all), ignoring case
 * as the service does; at most SB_SERVICEBUS_SUBSCRIPTIONS_MAX. EXISTS when the list is complete. Do not call
 * into `entities` from found. */
enum sb_servicebus_result sb_servicebus_subscriptions_list(struct sb_servicebus_entities *entities,
                                                           const char *topic, const char *prefix,
                                                           sb_servicebus_found *found, void *owner,
                                                           struct sb_error *error);

struct sb_servicebus_topic_state {
  uint32_t subscriptions;                /* one message costs about 1 + 2 * so many credits */
  char created[SB_SERVICEBUS_TIME_TEXT]; /* when, as the service writes it: another text, another topic.
                                            Empty: it does not say */
};

/* EXISTS and *state. */
enum sb_servicebus_result sb_servicebus_topic_look(struct sb_servicebus_entities *entities, const char *topic,
                                                   struct sb_servicebus_topic_state *state,
                                                   struct sb_error *error);

#endif
