/* What the service's HTTPS interface speaks: Atom entries with descriptions of topics and subscriptions, Atom
 * feeds, and errors. Pure: no connection. Read with expat, which is strict about what comes from the network;
 * document types, and with them entities of one's own, are refused. */
#ifndef SB_TRANSPORTS_SERVICEBUS_ATOM_H
#define SB_TRANSPORTS_SERVICEBUS_ATOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "bridge/base/error.h"

#define SB_SERVICEBUS_TIME_TEXT      40   /* "2024-05-01T10:00:00.1234567Z", with the zero */
#define SB_SERVICEBUS_DELIVERIES_MAX 2000 /* the most that the portal offers; 10 by default */

struct sb_servicebus_topic {
  uint32_t ttl_s;       /* how long messages are kept */
  uint32_t max_size_mb; /* 1024, 2048 … 5120 on Standard */
};

struct sb_servicebus_subscription {
  uint32_t lock_s;             /* 5 to 300 */
  uint32_t ttl_s;              /* how long messages are kept */
  uint32_t auto_delete_idle_s; /* 300 at least; 0: never */
};

/* Append the entry that a PUT creates the entity with. The service wants the elements in its own order. */
void sb_servicebus_atom_topic(const struct sb_servicebus_topic *wanted, struct sb_buf *out);
void sb_servicebus_atom_subscription(const struct sb_servicebus_subscription *wanted, struct sb_buf *out);

/* ISO 8601: "PT1H30M"; 0 s is "PT0S". */
void sb_servicebus_duration_write(uint64_t seconds, struct sb_buf *out);
/* Also days, fractions and the service's own largest, "P10675199DT2H48M5.4775807S"; no years or months. */
bool sb_servicebus_duration_read(struct sb_bytes text, uint64_t *ms);

enum sb_servicebus_kind {
  SB_SERVICEBUS_NO_ENTITY, /* none: the answer to a name that is not there is an empty feed */
  SB_SERVICEBUS_A_TOPIC,
  SB_SERVICEBUS_A_SUBSCRIPTION,
  SB_SERVICEBUS_ANOTHER_ENTITY, /* a queue, for example */
};

/* Zeroed is empty. `has` tells what the answer said; for the rest the service's defaults hold. */
struct sb_servicebus_description {
  enum sb_servicebus_kind kind;
  bool partitioned, ordered, sessions, forwards, dead_letters;
  bool has_ordered, has_lock, has_ttl, has_idle, has_deliveries, has_subscriptions;
  uint64_t lock_ms, ttl_ms, idle_ms, deliveries, subscriptions;
  char status[32];                       /* "Active", "Disabled" …; empty: not said */
  char created[SB_SERVICEBUS_TIME_TEXT]; /* as the service writes it; empty: not said */
};

struct sb_servicebus_atom {
  struct sb_servicebus_description description; /* of the last entry */
  size_t entries;
  char detail[256]; /* of an error; empty: none. One line. */
};

typedef void sb_servicebus_found(void *owner, const char *name);

/* Calls title(owner, name) for each entry; may be NULL. Returns 0, or SB_ERR_PROTOCOL when it is not XML, or
 * nested or long beyond reason. */
int sb_servicebus_atom_read(struct sb_bytes body, sb_servicebus_found *title, void *owner,
                            struct sb_servicebus_atom *out, struct sb_error *error);

#endif
