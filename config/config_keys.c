#include "config/config_keys.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "bridge/base/envelope.h"
#include "bridge/base/limits.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

#define PATH_BYTES_MAX      4095 /* PATH_MAX without the terminating zero */
#define SHORTSTR_MAX        255  /* AMQP 0-9-1: a short string */
#define SOCKET_PATH_MAX     (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define SEGMENT_BYTES_MAX   (UINT64_C(3) * 1000 * 1000 * 1000) /* RabbitMQ: x-stream-max-segment-size-bytes */
#define DAY_S               (UINT64_C(24) * 3600)
#define AMQP_PORT           5672
#define AMQPS_PORT          5671
#define HTTPS_PORT          443
#define HOST_BYTES_MAX      253 /* RFC 1035, without the final dot */
#define SERVICEBUS_RULE_MAX 256

static const char *const brokers[] = {"memory", "rabbitmq", "servicebus", NULL};
static const char *const auths[] = {"cbs", "plain", NULL};
static const char *const tiers[] = {"standard", "premium", NULL};
static const char *const receives[] = {"peek-lock", "receive-and-delete", NULL};
static const char *const outages[] = {"wait", "refuse", NULL};
static const char *const compressions[] = {"auto", "off", NULL};
static const char *const levels[] = {"error", "warn", "notice", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};

static const char *check_node(const char *text) {
  if (sb_node_name_valid(text, strlen(text))) return NULL;
  return "write 1 to 64 letters, digits, '-', '_' or '.'";
}

static const char *check_socket_path(const char *text) {
  return text[strlen(text) - 1] == '/' ? "write the path of a file, not of a folder" : NULL;
}

static const char *check_prefix(const char *text) {
  static const char *const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (text[strspn(text, legal)] != 0) return "write letters, digits, '-', '_' or '.'";
  if (strncmp(text, "amq.", 4) == 0)
    return "write a name that does not begin with \"amq.\", which AMQP reserves";
  return NULL;
}

static const char *check_loopback(const char *text) {
  struct in_addr four;
  struct in6_addr six;
  if (inet_pton(AF_INET, text, &four) == 1 && (ntohl(four.s_addr) >> 24) == 127) return NULL;
  if (inet_pton(AF_INET6, text, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six)) return NULL;
  return "write a loopback address, \"127.0.0.1\" or \"::1\": sessions are not encrypted";
}

static const char *check_host(const char *text) {
  return sb_config_host_parse(text, NULL);
}

static const char *check_namespace(const char *text) {
  return sb_config_namespace_parse(text, NULL);
}

/* The limits are written as products of ints. */
#define BYTES(limit) ((uint64_t)(limit))

#define AT(member) offsetof(struct sb_config, member)
#define TEXT(p, member, most, value, ...)                                                                    \
  {                                                                                                          \
    .path = (p), .type = SB_CONFIG_TEXT, .offset = AT(member), .min = 1, .max = (most), .text = (value),     \
    __VA_ARGS__                                                                                              \
  }
#define NUMBER(p, kind, member, least, most, value, ...)                                                     \
  {                                                                                                          \
    .path = (p), .type = (kind), .offset = AT(member), .min = (least), .max = (most), .number = (value),     \
    __VA_ARGS__                                                                                              \
  }
#define U32(p, member, ...) NUMBER(p, SB_CONFIG_U32, member, __VA_ARGS__)
#define U64(p, member, ...) NUMBER(p, SB_CONFIG_U64, member, __VA_ARGS__)
#define BOOL(p, member, value, ...)                                                                          \
  { .path = (p), .type = SB_CONFIG_BOOL, .offset = AT(member), .number = (value), __VA_ARGS__ }
#define CHOICE(p, member, names, value, ...)                                                                 \
  {                                                                                                          \
    .path = (p), .type = SB_CONFIG_CHOICE, .offset = AT(member), .choices = (names), .number = (value),      \
    __VA_ARGS__                                                                                              \
  }

/* Defaults of node and socket.path depend on the machine: sb_config_init_defaults. */
const struct sb_config_key sb_config_keys[] = {
    TEXT("node", node, SB_NODE_NAME_MAX, NULL, .check = check_node),

    TEXT("socket.path", socket.path, SOCKET_PATH_MAX, NULL, .check = check_socket_path),
    {.path = "socket.mode", .type = SB_CONFIG_MODE, .offset = AT(socket.mode), .max = 0777, .number = 0660},
    TEXT("socket.group", socket.group, SHORTSTR_MAX, NULL),
    {.path = "socket.allow_users",
     .type = SB_CONFIG_TEXTS,
     .offset = AT(socket.allow_users),
     .min = 1,
     .max = SHORTSTR_MAX},
    TEXT("socket.password_file", socket.password_file, PATH_BYTES_MAX, NULL, .reload = true),

    TEXT("tcp.address", tcp.address, SHORTSTR_MAX, "127.0.0.1", .check = check_loopback),
    U32("tcp.port", tcp.port, 1, UINT16_MAX, 6379),
    TEXT("tcp.password_file", tcp.password_file, PATH_BYTES_MAX, NULL, .reload = true),

    CHOICE("broker", broker, brokers, SB_CONFIG_MEMORY),

    TEXT("topics.prefix", topics.prefix, SB_PREFIX_BYTES_MAX, "sidebus", .check = check_prefix),
    U32("topics.partitions", topics.partitions, 1, SB_PARTITIONS_MAX, 1),

    TEXT("hub.key_file", hub.key_file, PATH_BYTES_MAX, NULL, .reload = true),
    TEXT("hub.other_key_file", hub.other_key_file, PATH_BYTES_MAX, NULL, .reload = true),

    {.path = "rabbitmq.hosts",
     .type = SB_CONFIG_TEXTS,
     .offset = AT(rabbitmq.hosts),
     .min = 1,
     .max = 512,
     .text = "amqp://localhost",
     .check = check_host},
    TEXT("rabbitmq.vhost", rabbitmq.vhost, SHORTSTR_MAX, "/"),
    TEXT("rabbitmq.user", rabbitmq.user, SHORTSTR_MAX, "guest", .reload = true),
    TEXT("rabbitmq.password_file", rabbitmq.password_file, PATH_BYTES_MAX, NULL, .reload = true),
    {.path = "rabbitmq.trusted_users",
     .type = SB_CONFIG_TEXTS,
     .offset = AT(rabbitmq.trusted_users),
     .min = 1,
     .max = SHORTSTR_MAX},
    BOOL("rabbitmq.plain_password_warning", rabbitmq.plain_password_warning, true, .reload = true),
    U32("rabbitmq.heartbeat_s", rabbitmq.heartbeat_s, 2, 600, 10),
    BOOL("rabbitmq.declare", rabbitmq.declare, true),
    BOOL("rabbitmq.foreign_exchange", rabbitmq.foreign_exchange, false),
    U32("rabbitmq.prefetch", rabbitmq.prefetch, 1, UINT16_MAX, 200),
    U32("rabbitmq.connect_timeout_ms", rabbitmq.connect_timeout_ms, 100, 120000, 5000),
    U32("rabbitmq.rpc_timeout_ms", rabbitmq.rpc_timeout_ms, 100, 600000, 10000),
    U32("rabbitmq.backoff_min_ms", rabbitmq.backoff_min_ms, 10, 60000, 100),
    U32("rabbitmq.backoff_max_ms", rabbitmq.backoff_max_ms, 10, 600000, 10000),
    TEXT("rabbitmq.tls.ca_file", rabbitmq.tls.ca_file, PATH_BYTES_MAX, NULL, .reload = true),
    TEXT("rabbitmq.tls.cert_file", rabbitmq.tls.cert_file, PATH_BYTES_MAX, NULL, .reload = true),
    TEXT("rabbitmq.tls.key_file", rabbitmq.tls.key_file, PATH_BYTES_MAX, NULL, .reload = true),
    BOOL("rabbitmq.tls.verify", rabbitmq.tls.verify, true),
    U32("rabbitmq.retention.max_age_s", rabbitmq.retention.max_age_s, 0, 3650 * DAY_S, DAY_S),
    U64("rabbitmq.retention.max_bytes", rabbitmq.retention.max_bytes, 0, INT64_MAX, GIB),
    U64("rabbitmq.retention.segment_bytes", rabbitmq.retention.segment_bytes, 64 * KIB, SEGMENT_BYTES_MAX,
        64 * MIB),

    TEXT("servicebus.namespace", servicebus.namespace_host, HOST_BYTES_MAX + 6, NULL,
         .check = check_namespace),
    U32("servicebus.port", servicebus.port, 1, UINT16_MAX, AMQPS_PORT),
    U32("servicebus.management_port", servicebus.management_port, 1, UINT16_MAX, HTTPS_PORT),
    TEXT("servicebus.connection_string_file", servicebus.connection_string_file, PATH_BYTES_MAX, NULL,
         .reload = true),
    TEXT("servicebus.key_name", servicebus.key_name, SERVICEBUS_RULE_MAX, NULL, .reload = true),
    TEXT("servicebus.key_file", servicebus.key_file, PATH_BYTES_MAX, NULL, .reload = true),
    TEXT("servicebus.token_file", servicebus.token_file, PATH_BYTES_MAX, NULL, .reload = true),
    BOOL("servicebus.emulator", servicebus.emulator, false),
    CHOICE("servicebus.auth", servicebus.auth, auths, SB_CONFIG_SERVICEBUS_CBS),
    CHOICE("servicebus.tier", servicebus.tier, tiers, SB_CONFIG_SERVICEBUS_STANDARD),
    BOOL("servicebus.manage", servicebus.manage, true),
    BOOL("servicebus.remove_on_stop", servicebus.remove_on_stop, true),
    TEXT("servicebus.subscription", servicebus.subscription, SB_CONFIG_SUBSCRIPTION_MAX, NULL,
         .check = sb_config_subscription_check),
    CHOICE("servicebus.receive", servicebus.receive, receives, SB_CONFIG_SERVICEBUS_PEEK_LOCK),
    U32("servicebus.prefetch", servicebus.prefetch, 1, 2000, 100),
    U32("servicebus.lock_s", servicebus.lock_s, 5, 300, 10),
    U32("servicebus.ttl_s", servicebus.ttl_s, 60, 14 * DAY_S, 3600),
    /* The service wants five minutes at least. It is how long a node may be away without a gap, and how long
     * the subscription of a dead one costs credits. */
    U32("servicebus.auto_delete_idle_s", servicebus.auto_delete_idle_s, 300, 14 * DAY_S, 600),
    U32("servicebus.max_size_mb", servicebus.max_size_mb, 1024, 81920, 1024),
    U32("servicebus.connect_timeout_ms", servicebus.connect_timeout_ms, 100, 120000, 10000),
    U32("servicebus.rpc_timeout_ms", servicebus.rpc_timeout_ms, 100, 600000, 30000),
    U32("servicebus.backoff_min_ms", servicebus.backoff_min_ms, 10, 60000, 500),
    U32("servicebus.backoff_max_ms", servicebus.backoff_max_ms, 10, 600000, 30000),
    U32("servicebus.busy_pause_ms", servicebus.busy_pause_ms, 10, 600000, 10000),
    /* The service refuses less than 5 s, and closes after 240 s without a frame. */
    U32("servicebus.idle_timeout_ms", servicebus.idle_timeout_ms, 10000, 240000, 120000),
    TEXT("servicebus.tls.ca_file", servicebus.tls.ca_file, PATH_BYTES_MAX, NULL, .reload = true),
    BOOL("servicebus.tls.verify", servicebus.tls.verify, true),

    CHOICE("outage", outage, outages, SB_CONFIG_OUTAGE_WAIT, .reload = true),

    U64("outbox.max_bytes", outbox.max_bytes, MIB, 64 * GIB, BYTES(SB_OUTBOX_BYTES_DEFAULT)),

    U32("batch.max_bytes", batch.max_bytes, KIB, BYTES(SB_WINDOW_BYTES_MAX), SB_BATCH_BYTES_DEFAULT),
    CHOICE("batch.compression", batch.compression, compressions, SB_CONFIG_COMPRESSION_AUTO),
    U32("batch.linger_ms", batch.linger_ms, 0, 1000, 0),
    U32("batch.rate_per_s", batch.rate_per_s, 0, 1000000, 0),

    U64("history.max_bytes", history.max_bytes, 0, 64 * GIB, BYTES(SB_HISTORY_BYTES_DEFAULT)),
    U32("history.max_age_s", history.max_age_s, 0, 14 * DAY_S, SB_HISTORY_AGE_S_DEFAULT),
    BOOL("history.prefill", history.prefill, true),

    U32("limits.sessions", limits.sessions, 1, SB_SESSIONS_MAX, SB_SESSIONS_DEFAULT, .reload = true),
    U64("limits.memory", limits.memory, 0, 1024 * GIB, 0, .reload = true),
    U32("limits.backlog", limits.backlog, 0, 65535, 0),
    U64("limits.request_bytes", limits.request_bytes, KIB, BYTES(SB_BODY_BYTES_MAX),
        BYTES(SB_REQUEST_BYTES_DEFAULT), .reload = true),
    U64("limits.input_bytes", limits.input_bytes, 64 * KIB, GIB, 2 * BYTES(SB_REQUEST_BYTES_DEFAULT),
        .reload = true),
    U64("limits.channel_bytes", limits.channel_bytes, 64, SB_CHANNEL_LENGTH_MAX, SB_CHANNEL_BYTES_DEFAULT,
        .reload = true),
    U64("limits.pattern_bytes", limits.pattern_bytes, 16, SB_PATTERN_LENGTH_MAX, SB_PATTERN_BYTES_DEFAULT,
        .reload = true),
    U32("limits.patterns", limits.patterns, 1, SB_PATTERN_ROWS_MAX, SB_PATTERNS_DEFAULT, .reload = true),
    U32("limits.drain_ms", limits.drain_ms, 0, 600000, 5000, .reload = true),
    /* Redis: client-output-buffer-limit pubsub 32mb 8mb 60 */
    U64("limits.output.hard_bytes", limits.output.hard_bytes, 64 * KIB, 64 * GIB, 32 * MIB, .reload = true),
    U64("limits.output.soft_bytes", limits.output.soft_bytes, 0, 64 * GIB, 8 * MIB, .reload = true),
    U32("limits.output.soft_seconds", limits.output.soft_seconds, 0, 3600, 60, .reload = true),

    U32("cluster.lease_ms", cluster.lease_ms, 1000, 600000, 15000),
    U32("cluster.found_ms", cluster.found_ms, 100, 600000, 3000),

    CHOICE("log.level", log.level, levels, SB_LOG_NOTICE, .reload = true),
    CHOICE("log.format", log.format, formats, SB_CONFIG_LOG_TEXT),
};

const size_t sb_config_key_count = sizeof sb_config_keys / sizeof sb_config_keys[0];

/* Choices are stored through an unsigned. */
_Static_assert(sizeof(enum sb_config_broker) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum sb_config_servicebus_tier) == sizeof(unsigned), "enum size");
_Static_assert(sizeof(enum sb_log_level) == sizeof(unsigned), "enum size");

const char *const *sb_config_brokers(void) {
  return brokers;
}

const char *sb_config_broker_name(enum sb_config_broker broker) {
  return brokers[broker];
}

const struct sb_config_key *sb_config_key_find(const char *path) {
  for (size_t i = 0; i < sb_config_key_count; i++)
    if (strcmp(sb_config_keys[i].path, path) == 0) return &sb_config_keys[i];
  return NULL;
}

bool sb_config_group_exists(const char *path) {
  size_t len = strlen(path);
  if (len == 0) return true;
  for (size_t i = 0; i < sb_config_key_count; i++)
    if (strncmp(sb_config_keys[i].path, path, len) == 0 && sb_config_keys[i].path[len] == '.') return true;
  return false;
}

const char *sb_config_leaf(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot ? dot + 1 : path;
}

static void write_text(const char *text, struct sb_buf *out) {
  sb_buf_text(out, "\"");
  for (const char *c = text; *c; c++) {
    if (*c == '"' || *c == '\\') sb_buf_text(out, "\\");
    sb_buf_append(out, c, 1);
  }
  sb_buf_text(out, "\"");
}

/* libconfig reads a number without L as an int. */
static void write_number(uint64_t value, struct sb_buf *out) {
  sb_buf_u64(out, value);
  if (value > INT32_MAX) sb_buf_text(out, "L");
}

static void write_texts(const struct sb_config_texts *texts, struct sb_buf *out) {
  if (!texts->set) return;
  sb_buf_text(out, "[");
  for (size_t i = 0; i < texts->count; i++) {
    if (i) sb_buf_text(out, ", ");
    write_text(texts->items[i], out);
  }
  sb_buf_text(out, "]");
}

void sb_config_key_write(const struct sb_config_key *key, const struct sb_config *config,
                         struct sb_buf *out) {
  const void *at = sb_config_key_in(key, config);
  unsigned choice;
  switch (key->type) {
  case SB_CONFIG_TEXT:
    if (*(char *const *)at) write_text(*(char *const *)at, out);
    break;
  case SB_CONFIG_TEXTS:
    write_texts(at, out);
    break;
  case SB_CONFIG_U32:
    write_number(*(const uint32_t *)at, out);
    break;
  case SB_CONFIG_U64:
    write_number(*(const uint64_t *)at, out);
    break;
  case SB_CONFIG_BOOL:
    sb_buf_text(out, *(const bool *)at ? "true" : "false");
    break;
  case SB_CONFIG_CHOICE:
    memcpy(&choice, at, sizeof choice);
    write_text(key->choices[choice], out);
    break;
  case SB_CONFIG_MODE: /* as a text, which every version of libconfig reads alike */
    sb_buf_printf(out, "\"%04o\"", *(const uint32_t *)at);
    break;
  }
}

void sb_config_key_set(const struct sb_config_key *key, struct sb_config *config, uint64_t number) {
  void *at = sb_config_key_at(key, config);
  unsigned choice = (unsigned)number;
  switch (key->type) {
  case SB_CONFIG_TEXT:
  case SB_CONFIG_TEXTS:
    return;
  case SB_CONFIG_U32:
  case SB_CONFIG_MODE:
    *(uint32_t *)at = (uint32_t)number;
    return;
  case SB_CONFIG_U64:
    *(uint64_t *)at = number;
    return;
  case SB_CONFIG_BOOL:
    *(bool *)at = number != 0;
    return;
  case SB_CONFIG_CHOICE:
    memcpy(at, &choice, sizeof choice);
    return;
  }
}

void sb_config_texts_close(struct sb_config_texts *texts) {
  for (size_t i = 0; i < texts->count; i++) free(texts->items[i]);
  free(texts->items);
  *texts = (struct sb_config_texts){0};
}

void sb_config_texts_add(struct sb_config_texts *texts, const char *text) {
  texts->items = sb_realloc(texts->items, (texts->count + 1) * sizeof *texts->items);
  texts->items[texts->count++] = sb_strdup(text);
  texts->set = true;
}

/* The host part: a name, an IPv4 address, or an IPv6 address in brackets. Returns what follows it. */
static const char *skip_host(const char *at, struct sb_bytes *host) {
  static const char *const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (*at != '[') {
    *host = sb_bytes(at, strspn(at, legal));
    return host->len ? at + host->len : NULL;
  }
  const char *end = strchr(at, ']');
  char address[INET6_ADDRSTRLEN];
  struct in6_addr six;
  if (!end || (size_t)(end - at - 1) >= sizeof address) return NULL;
  *host = sb_bytes(at + 1, (size_t)(end - at - 1));
  memcpy(address, host->at, host->len);
  address[host->len] = 0;
  return inet_pton(AF_INET6, address, &six) == 1 ? end + 1 : NULL;
}

/* ":<port>" or nothing; *port stays as it is when there is nothing. */
static const char *read_port(const char *at, uint64_t *port) {
  if (*at == ':' && sb_bytes_u64(sb_bytes_of(at + 1), UINT16_MAX, port) && *port != 0) return NULL;
  return *at ? "write a port from 1 to 65535" : NULL;
}

static void take_host(struct sb_config_host *out, bool tls, uint64_t port, struct sb_bytes host) {
  *out = (struct sb_config_host){.tls = tls, .port = (uint16_t)port, .name = sb_malloc(host.len + 1)};
  memcpy(out->name, host.at, host.len);
  out->name[host.len] = 0;
}

const char *sb_config_host_parse(const char *text, struct sb_config_host *out) {
  static const char *const right = "write \"amqp://host\", \"amqp://host:port\" or the same with amqps";
  bool tls = strncmp(text, "amqps://", 8) == 0;
  if (!tls && strncmp(text, "amqp://", 7) != 0) return right;
  const char *at = text + (tls ? 8 : 7);
  if (strchr(at, '@')) return "write the host alone: user and password_file are keys of their own";
  struct sb_bytes host;
  at = skip_host(at, &host);
  if (!at) return right;
  uint64_t port = tls ? AMQPS_PORT : AMQP_PORT;
  if (*at == '/') return "write no path behind the host: vhost is a key of its own";
  if (*at && *at != ':') return right;
  const char *wrong = read_port(at, &port);
  if (!wrong && out) take_host(out, tls, port, host);
  return wrong;
}

const char *sb_config_namespace_parse(const char *text, struct sb_config_host *out) {
  static const char *const right =
      "write the host name alone, for example \"acme.servicebus.windows.net\", or host:port";
  struct sb_bytes host;
  const char *at = skip_host(text, &host);
  if (!at || strstr(text, "://") || (*at && *at != ':')) return right;
  uint64_t port = 0;
  const char *wrong = read_port(at, &port);
  if (!wrong && out) take_host(out, true, port, host);
  return wrong;
}

const char *sb_config_subscription_check(const char *text) {
  static const char *const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  size_t len = strlen(text);
  if (len > 0 && len <= SB_CONFIG_SUBSCRIPTION_MAX && text[strspn(text, legal)] == 0 &&
      isalnum((unsigned char)text[0]) && isalnum((unsigned char)text[len - 1]))
    return NULL;
  return "write 1 to 50 letters, digits, '-', '_' or '.', with a letter or digit first and last";
}
