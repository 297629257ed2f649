#include "transports/servicebus/atom.h"

#include <ctype.h>
#include <expat.h>
#include <inttypes.h>
#include <string.h>

#define DEPTH_MAX  32  /* a feed of descriptions nests seven deep */
#define VALUE_MAX  255 /* bytes of a value that is looked at; more are cut */
#define MS_PER_DAY (UINT64_C(24) * 3600 * 1000)
#define PARTS_MAX  UINT32_MAX /* of a duration, so that their sum fits 64 bits */
#define SEPARATOR  '|'        /* between namespace and name; stands in neither */

/* ---- durations ---- */

void sb_servicebus_duration_write(uint64_t seconds, struct sb_buf *out) {
  uint64_t days = seconds / 86400, hours = seconds / 3600 % 24, minutes = seconds / 60 % 60;
  sb_buf_text(out, "P");
  if (days) sb_buf_printf(out, "%" PRIu64 "D", days);
  if (days && seconds % 86400 == 0) return;
  sb_buf_text(out, "T");
  if (hours) sb_buf_printf(out, "%" PRIu64 "H", hours);
  if (minutes) sb_buf_printf(out, "%" PRIu64 "M", minutes);
  if (seconds % 60 || seconds == 0) sb_buf_printf(out, "%" PRIu64 "S", seconds % 60);
}

/* Reads digits, and of a fraction three places. The number in thousandths. */
static const char *read_thousandths(const char *at, uint64_t *out, bool *fraction) {
  const char *start = at;
  uint64_t value = 0;
  for (; isdigit((unsigned char)*at); at++) {
    value = value * 10 + (uint64_t)(*at - '0');
    if (value > PARTS_MAX) return NULL;
  }
  if (at == start) return NULL;
  value *= 1000;
  *fraction = *at == '.';
  if (*fraction) {
    uint64_t place = 100;
    for (at++; isdigit((unsigned char)*at); at++, place /= 10) value += (uint64_t)(*at - '0') * place;
  }
  *out = value;
  return at;
}

bool sb_servicebus_duration_read(struct sb_bytes text, uint64_t *ms) {
  static const struct {
    char letter;
    bool time;
    uint64_t seconds;
  } units[] = {{'D', false, 86400}, {'H', true, 3600}, {'M', true, 60}, {'S', true, 1}};
  char copy[64];
  if (text.len < 3 || text.len >= sizeof copy) return false;
  memcpy(copy, text.at, text.len);
  copy[text.len] = 0;
  const char *at = copy;
  if (*at++ != 'P') return false;
  bool time = false;
  uint64_t sum = 0, value;
  size_t next = 0;
  while (*at) {
    bool fraction;
    if (*at == 'T') {
      if (time) return false;
      time = true;
      at++;
    }
    at = read_thousandths(at, &value, &fraction);
    if (!at) return false;
    while (next < 4 && (units[next].letter != *at || units[next].time != time)) next++;
    if (next == 4 || (fraction && *at != 'S')) return false;
    sum += value * units[next++].seconds;
    at++;
  }
  *ms = sum;
  return next > 0;
}

/* ---- writing ---- */

static void begin(struct sb_buf *out, const char *description) {
  sb_buf_printf(out,
                "<?xml version=\"1.0\" encoding=\"utf-8\"?>"
                "<entry xmlns=\"http://www.w3.org/2005/Atom\"><content type=\"application/xml\">"
                "<%s xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\">",
                description);
}

static void end(struct sb_buf *out, const char *description) {
  sb_buf_printf(out, "</%s></content></entry>", description);
}

static void element(struct sb_buf *out, const char *name, const char *value) {
  sb_buf_printf(out, "<%s>%s</%s>", name, value, name);
}

static void duration(struct sb_buf *out, const char *name, uint64_t seconds) {
  sb_buf_printf(out, "<%s>", name);
  sb_servicebus_duration_write(seconds, out);
  sb_buf_printf(out, "</%s>", name);
}

static void number(struct sb_buf *out, const char *name, uint64_t value) {
  sb_buf_printf(out, "<%s>%" PRIu64 "</%s>", name, value, name);
}

void sb_servicebus_atom_topic(const struct sb_servicebus_topic *wanted, struct sb_buf *out) {
  begin(out, "TopicDescription");
  duration(out, "DefaultMessageTimeToLive", wanted->ttl_s);
  number(out, "MaxSizeInMegabytes", wanted->max_size_mb);
  element(out, "RequiresDuplicateDetection", "false");
  element(out, "EnableBatchedOperations", "true");
  element(out, "SupportOrdering", "true");
  element(out, "EnablePartitioning", "false");
  end(out, "TopicDescription");
}

void sb_servicebus_atom_subscription(const struct sb_servicebus_subscription *wanted, struct sb_buf *out) {
  begin(out, "SubscriptionDescription");
  duration(out, "LockDuration", wanted->lock_s);
  element(out, "RequiresSession", "false");
  duration(out, "DefaultMessageTimeToLive", wanted->ttl_s);
  element(out, "DeadLetteringOnMessageExpiration", "false");
  number(out, "MaxDeliveryCount", SB_SERVICEBUS_DELIVERIES_MAX);
  element(out, "EnableBatchedOperations", "true");
  if (wanted->auto_delete_idle_s) duration(out, "AutoDeleteOnIdle", wanted->auto_delete_idle_s);
  end(out, "SubscriptionDescription");
}

/* ---- reading ---- */

enum place { ELSEWHERE, IN_TITLE, IN_ENTRY, IN_CONTENT, IN_DESCRIPTION, IN_VALUE, IN_ERROR, IN_DETAIL };

struct reading {
  XML_Parser parser;
  enum place places[DEPTH_MAX]; /* of the open elements */
  unsigned depth;
  char name[64]; /* of the value that is being read */
  char value[VALUE_MAX + 1];
  size_t value_len;
  sb_servicebus_found *title;
  void *owner;
  struct sb_servicebus_atom *out;
};

static enum place place_now(const struct reading *r) {
  return r->depth ? r->places[r->depth - 1] : ELSEWHERE;
}

static enum sb_servicebus_kind kind_of(const char *name) {
  if (strcmp(name, "TopicDescription") == 0) return SB_SERVICEBUS_A_TOPIC;
  if (strcmp(name, "SubscriptionDescription") == 0) return SB_SERVICEBUS_A_SUBSCRIPTION;
  return SB_SERVICEBUS_ANOTHER_ENTITY;
}

static enum place place_of(struct reading *r, const char *name) {
  switch (place_now(r)) {
  case ELSEWHERE:
    if (r->depth <= 1 && strcmp(name, "entry") == 0) { /* alone, or in a feed */
      r->out->entries++;
      r->out->description = (struct sb_servicebus_description){0};
      return IN_ENTRY;
    }
    return r->depth == 0 && strcmp(name, "Error") == 0 ? IN_ERROR : ELSEWHERE;
  case IN_ENTRY:
    return strcmp(name, "content") == 0 ? IN_CONTENT : strcmp(name, "title") == 0 ? IN_TITLE : ELSEWHERE;
  case IN_CONTENT:
    r->out->description.kind = kind_of(name);
    return IN_DESCRIPTION;
  case IN_DESCRIPTION:
    return IN_VALUE;
  case IN_ERROR:
    return strcmp(name, "Detail") == 0 ? IN_DETAIL : ELSEWHERE;
  default:
    return ELSEWHERE;
  }
}

static void XMLCALL on_start(void *owner, const XML_Char *full, const XML_Char **attributes) {
  struct reading *r = owner;
  (void)attributes;
  const char *bar = strrchr(full, SEPARATOR), *name = bar ? bar + 1 : full;
  if (r->depth == DEPTH_MAX) {
    XML_StopParser(r->parser, XML_FALSE);
    return;
  }
  enum place place = place_of(r, name);
  r->places[r->depth++] = place;
  if (place != IN_TITLE && place != IN_VALUE && place != IN_DETAIL) return;
  size_t len = strnlen(name, sizeof r->name - 1);
  memcpy(r->name, name, len);
  r->name[len] = 0;
  r->value_len = 0;
}

static void XMLCALL on_text(void *owner, const XML_Char *text, int len) {
  struct reading *r = owner;
  enum place place = place_now(r);
  if (place != IN_TITLE && place != IN_VALUE && place != IN_DETAIL) return;
  size_t room = VALUE_MAX - r->value_len, take = (size_t)len < room ? (size_t)len : room;
  memcpy(r->value + r->value_len, text, take);
  r->value_len += take;
}

static bool is_true(const char *value) {
  return strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

/* Copies a value; of one that is too long, nothing. */
static void take_text(char *out, size_t size, const char *value) {
  if (strlen(value) < size) memcpy(out, value, strlen(value) + 1);
}

static void take_value(struct sb_servicebus_description *d, const char *name, const char *value) {
  const struct {
    const char *name;
    bool *flag, *has;
    uint64_t *duration, *number;
  } fields[] = {
      {"EnablePartitioning", &d->partitioned, NULL, NULL, NULL},
      {"SupportOrdering", &d->ordered, &d->has_ordered, NULL, NULL},
      {"RequiresSession", &d->sessions, NULL, NULL, NULL},
      {"DeadLetteringOnMessageExpiration", &d->dead_letters, NULL, NULL, NULL},
      {"LockDuration", NULL, &d->has_lock, &d->lock_ms, NULL},
      {"DefaultMessageTimeToLive", NULL, &d->has_ttl, &d->ttl_ms, NULL},
      {"AutoDeleteOnIdle", NULL, &d->has_idle, &d->idle_ms, NULL},
      {"MaxDeliveryCount", NULL, &d->has_deliveries, NULL, &d->deliveries},
      {"SubscriptionCount", NULL, &d->has_subscriptions, NULL, &d->subscriptions},
  };
  struct sb_bytes text = sb_bytes_of(value);
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    if (strcmp(fields[i].name, name) != 0) continue;
    bool has = true;
    if (fields[i].flag) *fields[i].flag = is_true(value);
    if (fields[i].duration) has = sb_servicebus_duration_read(text, fields[i].duration);
    if (fields[i].number) has = sb_bytes_u64(text, UINT32_MAX, fields[i].number);
    if (fields[i].has) *fields[i].has = has;
  }
  if (strcmp(name, "ForwardTo") == 0) d->forwards = *value != 0;
  if (strcmp(name, "Status") == 0) take_text(d->status, sizeof d->status, value);
  if (strcmp(name, "CreatedAt") == 0) take_text(d->created, sizeof d->created, value);
}

/* Copies a text for a log: one line, cut to the size, without control characters. */
static void take_detail(char *out, size_t size, const char *value) {
  size_t len = 0;
  for (const char *c = value; *c && len + 1 < size; c++)
    out[len++] = (char)((unsigned char)*c < ' ' || *c == 127 ? ' ' : *c);
  out[len] = 0;
}

static void XMLCALL on_end(void *owner, const XML_Char *full) {
  struct reading *r = owner;
  (void)full;
  enum place place = place_now(r);
  r->depth--;
  r->value[r->value_len] = 0;
  if (place == IN_VALUE) take_value(&r->out->description, r->name, r->value);
  if (place == IN_TITLE && r->title && r->value_len) r->title(r->owner, r->value);
  if (place == IN_DETAIL) take_detail(r->out->detail, sizeof r->out->detail, r->value);
}

static void XMLCALL on_doctype(void *owner, const XML_Char *name, const XML_Char *system_id,
                               const XML_Char *public_id, int has_subset) {
  struct reading *r = owner;
  (void)name, (void)system_id, (void)public_id, (void)has_subset;
  XML_StopParser(r->parser, XML_FALSE);
}

int sb_servicebus_atom_read(struct sb_bytes body, sb_servicebus_found *title, void *owner,
                            struct sb_servicebus_atom *out, struct sb_error *error) {
  *out = (struct sb_servicebus_atom){0};
  if (body.len > INT32_MAX) return sb_error_set(error, SB_ERR_TOO_LARGE, "the answer is too long");
  struct reading r = {.title = title, .owner = owner, .out = out};
  r.parser = XML_ParserCreateNS(NULL, SEPARATOR);
  if (!r.parser) return sb_error_set(error, SB_ERR_SYSTEM, "no memory for reading XML");
  XML_SetUserData(r.parser, &r);
  XML_SetElementHandler(r.parser, on_start, on_end);
  XML_SetCharacterDataHandler(r.parser, on_text);
  XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
  int rc = 0;
  if (XML_Parse(r.parser, (const char *)body.at, (int)body.len, 1) != XML_STATUS_OK)
    rc = sb_error_set(error, SB_ERR_PROTOCOL, "the answer is not what Service Bus sends: XML line %lu: %s",
                      (unsigned long)XML_GetCurrentLineNumber(r.parser),
                      XML_ErrorString(XML_GetErrorCode(r.parser)));
  XML_ParserFree(r.parser);
  return rc;
}
