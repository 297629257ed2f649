#include "transports/servicebus/entities.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bridge/base/bytes.h"
#include "bridge/base/log.h"
#include "transports/servicebus/atom.h"
#include "transports/servicebus/http.h"

#define AREA          "servicebus"
#define PATH_BYTES    (SB_SERVICEBUS_TOPIC_MAX + SB_SERVICEBUS_SUBSCRIPTION_MAX + 32)
#define PAGE          100 /* subscriptions of one answer, the most that the service gives */
#define DELIVERIES_OK 100 /* fewer, and a few restarts in a row send messages to the dead-letter queue */

struct sb_servicebus_entities {
  struct sb_servicebus_http *http;
  char *host;
  struct sb_buf answer;
};

/* What a call is about, for its texts. */
struct subject {
  const char *topic, *subscription; /* the latter NULL for the topic itself */
  char path[PATH_BYTES];
};

const char *sb_servicebus_result_name(enum sb_servicebus_result result) {
  static const char *const names[] = {
      [SB_SERVICEBUS_EXISTS] = "exists",
      [SB_SERVICEBUS_CREATED] = "created",
      [SB_SERVICEBUS_REMOVED] = "removed",
      [SB_SERVICEBUS_NOT_FOUND] = "not found",
      [SB_SERVICEBUS_UNSUITABLE] = "unsuitable",
      [SB_SERVICEBUS_UNAUTHORIZED] = "unauthorized",
      [SB_SERVICEBUS_FORBIDDEN] = "forbidden",
      [SB_SERVICEBUS_REFUSED] = "refused",
      [SB_SERVICEBUS_BUSY] = "busy",
      [SB_SERVICEBUS_UNREACHABLE] = "unreachable",
      [SB_SERVICEBUS_STOPPED] = "stopped",
  };
  return names[result];
}

struct sb_servicebus_entities *sb_servicebus_entities_new(const struct sb_servicebus_management *settings,
                                                          struct sb_error *error) {
  struct sb_servicebus_http *http = sb_servicebus_http_new(settings, error);
  if (!http) return NULL;
  struct sb_servicebus_entities *entities = sb_calloc(1, sizeof *entities);
  entities->http = http;
  entities->host = sb_strdup(settings->host);
  return entities;
}

void sb_servicebus_entities_free(struct sb_servicebus_entities *entities) {
  if (!entities) return;
  sb_servicebus_http_free(entities->http);
  sb_buf_close(&entities->answer);
  free(entities->host);
  free(entities);
}

/* The rules for names, which also keep paths and texts free of surprises. */
static bool name_is_sane(const char *name, size_t most) {
  static const char *const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  size_t len = strlen(name);
  return len > 0 && len <= most && name[strspn(name, legal)] == 0 && isalnum((unsigned char)name[0]) &&
         isalnum((unsigned char)name[len - 1]);
}

/* Puts "<host>: topic "x": " before the text. */
static enum sb_servicebus_result tell(const struct sb_servicebus_entities *entities,
                                      const struct subject *about, enum sb_servicebus_result result,
                                      struct sb_error *error) {
  if (about->subscription)
    sb_error_wrap(error, "%s: topic \"%s\": subscription \"%s\"", entities->host, about->topic,
                  about->subscription);
  else
    sb_error_wrap(error, "%s: topic \"%s\"", entities->host, about->topic);
  return result;
}

/* False, with an error: one of the names can be none. */
static bool about(struct subject *out, const struct sb_servicebus_entities *entities, const char *topic,
                  const char *subscription, struct sb_error *error) {
  *out = (struct subject){.topic = topic, .subscription = subscription};
  if (!name_is_sane(topic, SB_SERVICEBUS_TOPIC_MAX) ||
      (subscription && !name_is_sane(subscription, SB_SERVICEBUS_SUBSCRIPTION_MAX))) {
    sb_error_set(
        error, SB_ERR_INVALID,
        "the name cannot be used: letters, digits, '-', '_' and '.', with a letter or digit first and "
        "last, at most %d for a topic and %d for a subscription",
        SB_SERVICEBUS_TOPIC_MAX, SB_SERVICEBUS_SUBSCRIPTION_MAX);
    tell(entities, out, SB_SERVICEBUS_REFUSED, error);
    return false;
  }
  snprintf(out->path, sizeof out->path, "%s%s%s", topic, subscription ? "/Subscriptions/" : "",
           subscription ? subscription : "");
  return true;
}

static enum sb_servicebus_result result_of_failure(const struct sb_servicebus_entities *entities, int rc) {
  if (sb_servicebus_http_stopped(entities->http)) return SB_SERVICEBUS_STOPPED;
  return rc == SB_ERR_PROTOCOL || rc == SB_ERR_TOO_LARGE ? SB_SERVICEBUS_REFUSED : SB_SERVICEBUS_UNREACHABLE;
}

/* The meaning of a status that is no success, and a text that says what to do. */
static enum sb_servicebus_result refuse(long status, const char *detail, struct sb_error *error) {
  const char *dash = *detail ? ": " : "";
  switch (status) {
  case 401:
    sb_error_set(error, SB_ERR_REFUSED,
                 "not authorized (401%s%s): check the key or token and the clock, and that it has the Manage "
                 "right; or create the entities beforehand and set manage = false",
                 dash, detail);
    return SB_SERVICEBUS_UNAUTHORIZED;
  case 403:
    sb_error_set(
        error, SB_ERR_REFUSED,
        "forbidden (403%s%s): the Manage right is missing, a quota of the namespace is reached, or its "
        "network rules do not admit this node",
        dash, detail);
    return SB_SERVICEBUS_FORBIDDEN;
  case 404:
  case 410:
    sb_error_set(error, SB_ERR_REFUSED, "there is none (%ld%s%s)", status, dash, detail);
    return SB_SERVICEBUS_NOT_FOUND;
  case 408:
  case 409: /* one that means "it exists" does not come here */
  case 429:
    sb_error_set(error, SB_ERR_REFUSED, "the service is busy (%ld%s%s)", status, dash, detail);
    return SB_SERVICEBUS_BUSY;
  default:
    if (status >= 500) {
      sb_error_set(error, SB_ERR_REFUSED, "the service is busy or fails (%ld%s%s)", status, dash, detail);
      return SB_SERVICEBUS_BUSY;
    }
    sb_error_set(error, SB_ERR_REFUSED, "refused (%ld%s%s)", status, dash, detail);
    return SB_SERVICEBUS_REFUSED;
  }
}

/* One request. True when there is an answer; then *status and *out are set, and a body that is no XML is an
 * empty answer unless the status is a success. Otherwise *result. */
static bool ask(struct sb_servicebus_entities *entities, const struct sb_servicebus_request *request,
                sb_servicebus_found *title, void *owner, long *status, struct sb_servicebus_atom *out,
                enum sb_servicebus_result *result, struct sb_error *error) {
  *out = (struct sb_servicebus_atom){0};
  int rc = sb_servicebus_http_do(entities->http, request, status, &entities->answer, error);
  if (rc == 0 && entities->answer.len) {
    rc = sb_servicebus_atom_read(sb_buf_bytes(&entities->answer), title, owner, out, error);
    if (rc && (*status < 200 || *status > 299)) rc = 0; /* a gateway's page, for example */
  }
  if (rc == 0) return true;
  *result = result_of_failure(entities, rc);
  return false;
}

/* 409 means that it exists, unless the service says that it is being changed right now. */
static bool exists_already(long status, const struct sb_servicebus_atom *answer) {
  return status == 409 && !strcasestr(answer->detail, "subcode=40901");
}

/* ---- what is there already ---- */

typedef enum sb_servicebus_result judge_fn(const struct subject *about, const void *wanted,
                                           const struct sb_servicebus_description *is,
                                           struct sb_error *error);

static bool is_active(const struct sb_servicebus_description *is, struct sb_error *error) {
  if (!*is->status || strcmp(is->status, "Active") == 0) return true;
  sb_error_set(error, SB_ERR_REFUSED, "it exists, but its status is %s; set it to Active", is->status);
  return false;
}

/* An existing entity is used as it is. The log says how it differs, so that nobody has to find out later. */
static void differs(const struct subject *about, const char *element, bool has, uint64_t is_ms,
                    uint64_t wanted_s, const char *key) {
  if (!has || is_ms == wanted_s * 1000) return;
  struct sb_buf text = {0};
  sb_servicebus_duration_write(is_ms / 1000, &text);
  sb_log(SB_LOG_WARN, AREA, "%s exists with %s %.*s, which holds instead of %s = %" PRIu64, about->path,
         element, (int)text.len, (const char *)text.data, key, wanted_s);
  sb_buf_close(&text);
}

static enum sb_servicebus_result judge_topic(const struct subject *about, const void *wanted,
                                             const struct sb_servicebus_description *is,
                                             struct sb_error *error) {
  const struct sb_servicebus_topic *w = wanted;
  if (is->kind != SB_SERVICEBUS_A_TOPIC)
    sb_error_set(error, SB_ERR_REFUSED,
                 "something of that name exists that is no topic; choose another prefix");
  else if (is->partitioned)
    sb_error_set(
        error, SB_ERR_REFUSED,
        "it exists with EnablePartitioning, which breaks the order across keys; delete it, or choose "
        "another prefix");
  else if (is->has_ordered && !is->ordered)
    sb_error_set(error, SB_ERR_REFUSED,
                 "it exists without SupportOrdering; set that, delete it, or choose another prefix");
  else if (is_active(is, error)) {
    differs(about, "DefaultMessageTimeToLive", is->has_ttl, is->ttl_ms, w->ttl_s, "ttl_s");
    return SB_SERVICEBUS_EXISTS;
  }
  return SB_SERVICEBUS_UNSUITABLE;
}

static enum sb_servicebus_result judge_subscription(const struct subject *about, const void *wanted,
                                                    const struct sb_servicebus_description *is,
                                                    struct sb_error *error) {
  const struct sb_servicebus_subscription *w = wanted;
  if (is->kind != SB_SERVICEBUS_A_SUBSCRIPTION)
    sb_error_set(error, SB_ERR_REFUSED, "something of that name exists that is no subscription");
  else if (is->sessions)
    sb_error_set(error, SB_ERR_REFUSED, "it exists with RequiresSession; delete it");
  else if (is->forwards)
    sb_error_set(error, SB_ERR_REFUSED, "it exists with ForwardTo, so nothing arrives here; delete it");
  else if (is_active(is, error)) {
    differs(about, "LockDuration", is->has_lock, is->lock_ms, w->lock_s, "lock_s");
    differs(about, "DefaultMessageTimeToLive", is->has_ttl, is->ttl_ms, w->ttl_s, "ttl_s");
    if (w->auto_delete_idle_s)
      differs(about, "AutoDeleteOnIdle", is->has_idle, is->idle_ms, w->auto_delete_idle_s,
              "auto_delete_idle_s");
    if (is->has_deliveries && is->deliveries < DELIVERIES_OK)
      sb_log(SB_LOG_WARN, AREA,
             "%s exists with MaxDeliveryCount %" PRIu64 ": after so many interruptions a message is lost to "
             "its dead-letter queue; %d is better",
             about->path, is->deliveries, SB_SERVICEBUS_DELIVERIES_MAX);
    return SB_SERVICEBUS_EXISTS;
  }
  return SB_SERVICEBUS_UNSUITABLE;
}

/* The description of what is there; EXISTS or what else the answer means. */
static enum sb_servicebus_result look(struct sb_servicebus_entities *entities, const struct subject *about,
                                      struct sb_servicebus_atom *answer, struct sb_error *error) {
  const struct sb_servicebus_request request = {
      .method = SB_SERVICEBUS_GET, .path = about->path, .query = ""};
  enum sb_servicebus_result result;
  long status = 0;
  if (!ask(entities, &request, NULL, NULL, &status, answer, &result, error)) return result;
  if (status != 200) return refuse(status, answer->detail, error);
  /* The service answers 200 and an empty feed for a name that is not there. */
  if (answer->description.kind == SB_SERVICEBUS_NO_ENTITY) return refuse(404, "", error);
  return SB_SERVICEBUS_EXISTS;
}

static enum sb_servicebus_result ensure(struct sb_servicebus_entities *entities, const struct subject *about,
                                        struct sb_bytes entry, judge_fn *judge, const void *wanted,
                                        struct sb_error *error) {
  const struct sb_servicebus_request request = {
      .method = SB_SERVICEBUS_PUT, .path = about->path, .query = "", .body = entry};
  struct sb_servicebus_atom answer;
  enum sb_servicebus_result result;
  long status = 0;
  if (!ask(entities, &request, NULL, NULL, &status, &answer, &result, error)) return result;
  if (status == 201 || status == 200) return SB_SERVICEBUS_CREATED;
  if (status == 404 && about->subscription) {
    sb_error_set(error, SB_ERR_REFUSED, "its topic does not exist");
    return SB_SERVICEBUS_NOT_FOUND;
  }
  if (!exists_already(status, &answer)) return refuse(status, answer.detail, error);
  result = look(entities, about, &answer, error);
  if (result == SB_SERVICEBUS_NOT_FOUND) {
    sb_error_set(error, SB_ERR_REFUSED, "it was deleted just now");
    return SB_SERVICEBUS_BUSY;
  }
  return result == SB_SERVICEBUS_EXISTS ? judge(about, wanted, &answer.description, error) : result;
}

enum sb_servicebus_result sb_servicebus_topic_ensure(struct sb_servicebus_entities *entities,
                                                     const char *topic,
                                                     const struct sb_servicebus_topic *wanted,
                                                     struct sb_error *error) {
  struct subject subject;
  if (!about(&subject, entities, topic, NULL, error)) return SB_SERVICEBUS_REFUSED;
  struct sb_buf entry = {0};
  sb_servicebus_atom_topic(wanted, &entry);
  enum sb_servicebus_result result =
      ensure(entities, &subject, sb_buf_bytes(&entry), judge_topic, wanted, error);
  sb_buf_close(&entry);
  bool good = result == SB_SERVICEBUS_EXISTS || result == SB_SERVICEBUS_CREATED;
  return good ? result : tell(entities, &subject, result, error);
}

enum sb_servicebus_result sb_servicebus_subscription_ensure(struct sb_servicebus_entities *entities,
                                                            const char *topic, const char *name,
                                                            const struct sb_servicebus_subscription *wanted,
                                                            struct sb_error *error) {
  struct subject subject;
  if (!about(&subject, entities, topic, name, error)) return SB_SERVICEBUS_REFUSED;
  struct sb_buf entry = {0};
  sb_servicebus_atom_subscription(wanted, &entry);
  enum sb_servicebus_result result =
      ensure(entities, &subject, sb_buf_bytes(&entry), judge_subscription, wanted, error);
  sb_buf_close(&entry);
  bool good = result == SB_SERVICEBUS_EXISTS || result == SB_SERVICEBUS_CREATED;
  return good ? result : tell(entities, &subject, result, error);
}

/* ---- removing, listing, looking ---- */

enum sb_servicebus_result sb_servicebus_subscription_remove(struct sb_servicebus_entities *entities,
                                                            const char *topic, const char *name,
                                                            struct sb_error *error) {
  struct subject subject;
  if (!about(&subject, entities, topic, name, error)) return SB_SERVICEBUS_REFUSED;
  const struct sb_servicebus_request request = {
      .method = SB_SERVICEBUS_DELETE, .path = subject.path, .query = ""};
  struct sb_servicebus_atom answer;
  enum sb_servicebus_result result;
  long status = 0;
  if (ask(entities, &request, NULL, NULL, &status, &answer, &result, error)) {
    if (status >= 200 && status <= 299) return SB_SERVICEBUS_REMOVED;
    result = refuse(status, answer.detail, error);
  }
  return tell(entities, &subject, result, error);
}

struct listing {
  const char *prefix;
  sb_servicebus_found *found;
  void *owner;
};

static void on_title(void *owner, const char *title) {
  const struct listing *listing = owner;
  if (strncasecmp(title, listing->prefix, strlen(listing->prefix)) == 0)
    listing->found(listing->owner, title);
}

/* One page; *entries of it. */
static enum sb_servicebus_result list_page(struct sb_servicebus_entities *entities, const char *path,
                                           size_t skip, struct listing *listing, size_t *entries,
                                           struct sb_error *error) {
  char query[64];
  snprintf(query, sizeof query, "&$skip=%zu&$top=%d", skip, PAGE);
  const struct sb_servicebus_request request = {.method = SB_SERVICEBUS_GET, .path = path, .query = query};
  struct sb_servicebus_atom answer;
  enum sb_servicebus_result result;
  long status = 0;
  if (!ask(entities, &request, on_title, listing, &status, &answer, &result, error)) return result;
  if (status != 200) return refuse(status, answer.detail, error);
  *entries = answer.entries;
  return SB_SERVICEBUS_EXISTS;
}

enum sb_servicebus_result sb_servicebus_subscriptions_list(struct sb_servicebus_entities *entities,
                                                           const char *topic, const char *prefix,
                                                           sb_servicebus_found *found, void *owner,
                                                           struct sb_error *error) {
  struct subject subject;
  struct listing listing = {prefix, found, owner};
  if (!about(&subject, entities, topic, NULL, error)) return SB_SERVICEBUS_REFUSED;
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%.*s/Subscriptions", SB_SERVICEBUS_TOPIC_MAX, topic);
  for (size_t skip = 0; skip < SB_SERVICEBUS_SUBSCRIPTIONS_MAX; skip += PAGE) {
    size_t entries = 0;
    enum sb_servicebus_result result = list_page(entities, path, skip, &listing, &entries, error);
    if (result != SB_SERVICEBUS_EXISTS) return tell(entities, &subject, result, error);
    if (entries < PAGE) break;
  }
  return SB_SERVICEBUS_EXISTS;
}

enum sb_servicebus_result sb_servicebus_topic_look(struct sb_servicebus_entities *entities, const char *topic,
                                                   struct sb_servicebus_topic_state *state,
                                                   struct sb_error *error) {
  struct subject subject;
  if (!about(&subject, entities, topic, NULL, error)) return SB_SERVICEBUS_REFUSED;
  struct sb_servicebus_atom answer;
  enum sb_servicebus_result result = look(entities, &subject, &answer, error);
  if (result == SB_SERVICEBUS_EXISTS && !answer.description.has_subscriptions) {
    sb_error_set(error, SB_ERR_PROTOCOL, "its description has no SubscriptionCount");
    result = SB_SERVICEBUS_REFUSED;
  }
  if (result != SB_SERVICEBUS_EXISTS) return tell(entities, &subject, result, error);
  state->subscriptions = (uint32_t)answer.description.subscriptions;
  memcpy(state->created, answer.description.created, sizeof state->created);
  return SB_SERVICEBUS_EXISTS;
}
