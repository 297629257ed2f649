#include "config/config_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "bridge/base/limits.h"
#include "bridge/base/system_memory.h"
#include "config/config_keys.h"
#include "config/secret.h"

#define RABBITMQ_PASSWORD_ENV "SIDEBUS_RABBITMQ_PASSWORD"

/* After an outage each node sends what it has kept. How many nodes there are is not known here, so two are
 * assumed. The log waits for a session that reads, within bounds (bridge/redis/sockets/pace.h). */
static void check_burst(const struct sb_config *config, const struct sb_config_origin *origin,
                        struct sb_config_report *report) {
  uint64_t hard = config->limits.output.hard_bytes, burst = 2 * config->outbox.max_bytes;
  uint64_t read = (uint64_t)SB_PACE_CLIENT_BYTES * (SB_PACE_OUTAGE_MS / 1000);
  if (config->batch.max_bytes > hard / 4 * 3)
    NOTICE("limits.output.hard_bytes",
           "too low for batch.max_bytes: one batch from the log may disconnect a session that reads all the "
           "time; write at least %" PRIu64,
           (uint64_t)config->batch.max_bytes / 3 * 4 + 4);
  if (burst <= hard || burst - hard <= read) return;
  NOTICE(
      "outbox.max_bytes",
      "after an outage two nodes send up to %" PRIu64 " bytes at once, and a session is waited for %d s at "
      "most: one that reads less than %" PRIu64 " bytes a second will be above limits.output.hard_bytes and "
      "is disconnected; write at most %" PRIu64,
      burst, SB_PACE_OUTAGE_MS / 1000, (burst - hard) / (SB_PACE_OUTAGE_MS / 1000), (hard + read) / 2);
}

uint64_t sb_config_sessions_memory(const struct sb_config *config) {
  if (config->limits.memory > 0) return config->limits.memory;
  uint64_t share = sb_system_memory() / SB_SESSIONS_MEMORY_SHARE;
  return share > SB_SESSIONS_MEMORY_MIN ? share : SB_SESSIONS_MEMORY_MIN;
}

/* Adds up the bounds of what can grow. Keys and fragments of large messages have bounds in each partition,
 * and are hardly ever near them: they are not counted. */
static void check_memory(const struct sb_config *config, const struct sb_config_origin *origin,
                         struct sb_config_report *report) {
  uint64_t sessions = sb_config_sessions_memory(config), one = config->limits.output.hard_bytes;
  if (config->limits.input_bytes > one) one = config->limits.input_bytes;
  if (sessions < one)
    NOTICE("limits.memory",
           "%" PRIu64 " for all sessions is less than one of them may have by limits.input_bytes or "
           "limits.output.hard_bytes",
           sessions);
  uint64_t sum =
      sessions + config->outbox.max_bytes + config->history.max_bytes + SB_TRANSPORT_EVENTS_BYTES_MAX;
  uint64_t system = sb_system_memory();
  if (sum > system)
    NOTICE("limits.memory",
           "sessions (%" PRIu64
           "), outbox.max_bytes, history.max_bytes and what the broker sends may grow to "
           "%" PRIu64 " bytes together, but this process may have %" PRIu64,
           sessions, sum, system);
}

static void check_limits(const struct sb_config *config, const struct sb_config_origin *origin,
                         struct sb_config_report *report) {
  uint64_t request = config->limits.request_bytes;
  if (config->outbox.max_bytes < request)
    WRONG("outbox.max_bytes",
          "%" PRIu64 " has no room for one request of limits.request_bytes; write at least %" PRIu64,
          config->outbox.max_bytes, request);
  if (config->limits.input_bytes < request)
    WRONG("limits.input_bytes",
          "%" PRIu64 " has no room for one request of limits.request_bytes; write at least %" PRIu64,
          config->limits.input_bytes, request);
  if (config->limits.output.soft_bytes > config->limits.output.hard_bytes)
    WRONG("limits.output.soft_bytes", "%" PRIu64 " is above hard_bytes; write at most %" PRIu64,
          config->limits.output.soft_bytes, config->limits.output.hard_bytes);
  if (config->limits.output.hard_bytes < request)
    NOTICE("limits.output.hard_bytes",
           "below limits.request_bytes: a message of the largest size will disconnect its subscribers");
  check_burst(config, origin, report);
  check_memory(config, origin, report);
}

void sb_config_check_numbers(const struct sb_config *config, const struct sb_config_origin *origin,
                             struct sb_config_report *report) {
  check_limits(config, origin, report);
  if (config->rabbitmq.backoff_min_ms > config->rabbitmq.backoff_max_ms)
    WRONG("rabbitmq.backoff_min_ms", "%" PRIu32 " is above backoff_max_ms; write at most %" PRIu32,
          config->rabbitmq.backoff_min_ms, config->rabbitmq.backoff_max_ms);
  if (config->servicebus.backoff_min_ms > config->servicebus.backoff_max_ms)
    WRONG("servicebus.backoff_min_ms", "%" PRIu32 " is above backoff_max_ms; write at most %" PRIu32,
          config->servicebus.backoff_min_ms, config->servicebus.backoff_max_ms);
  uint64_t most = config->rabbitmq.retention.max_bytes, segment = config->rabbitmq.retention.segment_bytes;
  if (most != 0 && most < segment)
    WRONG("rabbitmq.retention.max_bytes",
          "%" PRIu64 " is less than one segment, and RabbitMQ drops whole segments; write at least %" PRIu64
          " or a smaller segment_bytes",
          most, segment);
  if (config->broker == SB_CONFIG_RABBITMQ && config->rabbitmq.declare && most == 0 &&
      config->rabbitmq.retention.max_age_s == 0)
    NOTICE("rabbitmq.retention.max_bytes",
           "neither max_age_s nor max_bytes limits the streams: they grow for ever");
}

char *sb_config_read_secret(const char *key, const char *path, bool *far,
                            const struct sb_config_origin *origin, struct sb_config_report *report) {
  struct sb_error error;
  struct sb_secret_about about = {0};
  char *secret = sb_secret_read(path, &about, &error);
  if (!secret)
    WRONG(key, "%s", error.text);
  else if (about.written_by_all)
    NOTICE(key, "every user of this machine can change %s; chmod o-rw it", path);
  else if (about.read_by_all)
    NOTICE(key, "every user of this machine can read %s; chmod o-r it", path);
  if (far) *far = about.far;
  return secret;
}

static char *read_listen_password(const char *key, const char *path, bool *far,
                                  const struct sb_config_origin *origin, struct sb_config_report *report) {
  struct sb_error error;
  char *password = sb_config_read_secret(key, path, far, origin, report);
  if (password && sb_secret_check_guess(password, path, &error) != 0) WRONG(key, "%s", error.text);
  return password;
}

static bool uid_of(const char *user, uid_t *uid) {
  uint64_t number;
  const struct passwd *entry = getpwnam(user);
  if (entry) {
    *uid = entry->pw_uid;
    return true;
  }
  if (!sb_bytes_u64(sb_bytes_of(user), UINT32_MAX - 1, &number)) return false;
  *uid = (uid_t)number;
  return true;
}

static void complete_socket(struct sb_config *config, const struct sb_config_origin *origin,
                            struct sb_config_report *report) {
  if (config->socket.group) {
    const struct group *entry = getgrnam(config->socket.group);
    if (entry)
      config->socket.gid = entry->gr_gid;
    else
      WRONG("socket.group", "there is no group \"%s\" on this machine", config->socket.group);
  }
  const struct sb_config_texts *users = &config->socket.allow_users;
  config->socket.allow_uids = sb_calloc(users->count, sizeof(uid_t));
  for (size_t i = 0; i < users->count; i++)
    if (!uid_of(users->items[i], &config->socket.allow_uids[i]))
      WRONG("socket.allow_users", "there is no user \"%s\" on this machine; write a user's name or number",
            users->items[i]);
  if (!config->socket.password_file) return;
  config->socket.password = read_listen_password("socket.password_file", config->socket.password_file,
                                                 &config->socket.password_far, origin, report);
}

static void complete_tcp(struct sb_config *config, const struct sb_config_origin *origin,
                         struct sb_config_report *report) {
  if (!config->tcp.on) return;
  if (!config->tcp.password_file) {
    WRONG("tcp.password_file",
          "tcp needs a password, since every user of this machine reaches a loopback port; "
          "write the path of a file that holds one");
    return;
  }
  config->tcp.password = read_listen_password("tcp.password_file", config->tcp.password_file,
                                              &config->tcp.password_far, origin, report);
}

static char *read_hub_key(const char *key, const char *path, const struct sb_config_origin *origin,
                          struct sb_config_report *report) {
  struct sb_error error;
  if (!path) return NULL;
  char *text = sb_config_read_secret(key, path, NULL, origin, report);
  if (text && sb_secret_check_key(text, path, &error) != 0) WRONG(key, "%s", error.text);
  return text;
}

static void complete_hub(struct sb_config *config, const struct sb_config_origin *origin,
                         struct sb_config_report *report) {
  const char *path = config->hub.key_file, *other = config->hub.other_key_file;
  if (!path && other) WRONG("hub.other_key_file", "nothing is signed without hub.key_file; write it too");
  if (!path) return;
  if (config->broker == SB_CONFIG_MEMORY) {
    NOTICE("hub.key_file", "not used, since broker is \"memory\": nobody else can write to its logs");
    return;
  }
  config->hub.key = read_hub_key("hub.key_file", path, origin, report);
  config->hub.other_key = read_hub_key("hub.other_key_file", other, origin, report);
  if (config->hub.key && config->hub.other_key && strcmp(config->hub.key, config->hub.other_key) == 0)
    NOTICE("hub.other_key_file", "%s holds the same key as %s", other, path);
}

void sb_config_check_readable(const char *key, const char *path, const struct sb_config_origin *origin,
                              struct sb_config_report *report) {
  if (path && access(path, R_OK) < 0) WRONG(key, "cannot read %s: %s", path, strerror(errno));
}

static void check_tls(const struct sb_config *config, const struct sb_config_origin *origin,
                      struct sb_config_report *report) {
  const char *ca = config->rabbitmq.tls.ca_file, *cert = config->rabbitmq.tls.cert_file;
  const char *key = config->rabbitmq.tls.key_file;
  sb_config_check_tls_files("rabbitmq.tls", ca, cert, key, origin, report);
  if (cert && !key) WRONG("rabbitmq.tls.cert_file", "a certificate needs its key; write key_file too");
  if (key && !cert) WRONG("rabbitmq.tls.key_file", "a key needs its certificate; write cert_file too");
  bool tls = false;
  for (size_t i = 0; i < config->rabbitmq.hosts.count; i++) tls |= config->rabbitmq.host_list[i].tls;
  if (tls && !config->rabbitmq.tls.verify)
    NOTICE("rabbitmq.tls.verify",
           "the broker's certificate is not checked: anybody in between can read and write");
  if (!tls && (ca || cert || key))
    NOTICE("rabbitmq.hosts", "no host is amqps://, so the tls settings are not used");
}

static bool is_loopback(const char *name) {
  struct in_addr v4;
  struct in6_addr v6;
  size_t len = strlen(name);
  static const char domain[] = ".localhost"; /* RFC 6761, 6.3 */
  if (inet_pton(AF_INET, name, &v4) == 1) return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
  if (inet_pton(AF_INET6, name, &v6) == 1)
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == IN_LOOPBACKNET);
  return strcasecmp(name, "localhost") == 0 ||
         (len >= sizeof domain && strcasecmp(name + len - (sizeof domain - 1), domain) == 0);
}

/* One line for all hosts: they are one mistake. */
static void check_plain_hosts(const struct sb_config *config, const struct sb_config_origin *origin,
                              struct sb_config_report *report) {
  size_t plain = 0, first = 0;
  for (size_t i = config->rabbitmq.hosts.count; i-- > 0;) {
    const struct sb_config_host *host = &config->rabbitmq.host_list[i];
    if (host->tls || is_loopback(host->name)) continue;
    plain++;
    first = i;
  }
  if (plain == 0 || !config->rabbitmq.plain_password_warning) return;
  NOTICE(
      "rabbitmq.hosts",
      "the password and all messages go to %s%s without TLS, and everybody on the way can read them; write "
      "amqps://, or rabbitmq.plain_password_warning = false where that network is trusted",
      config->rabbitmq.hosts.items[first], plain > 1 ? " and others" : "");
}

static void complete_password(struct sb_config *config, const struct sb_config_origin *origin,
                              struct sb_config_report *report) {
  const char *from_env = getenv(RABBITMQ_PASSWORD_ENV);
  if (config->rabbitmq.password_file)
    config->rabbitmq.password =
        sb_config_read_secret("rabbitmq.password_file", config->rabbitmq.password_file, NULL, origin, report);
  else if (from_env && *from_env)
    config->rabbitmq.password = sb_strdup(from_env);
  else if (strcmp(config->rabbitmq.user, "guest") == 0)
    config->rabbitmq.password =
        sb_strdup("guest"); /* RabbitMQ's own default, which it admits on loopback only */
  else
    WRONG("rabbitmq.user",
          "there is no password for \"%s\"; write password_file or set " RABBITMQ_PASSWORD_ENV,
          config->rabbitmq.user);
}

/* The broker checks the user that a message names in its property user-id. */
static void check_trusted_users(const struct sb_config *config, const struct sb_config_origin *origin,
                                struct sb_config_report *report) {
  const struct sb_config_texts *users = &config->rabbitmq.trusted_users;
  if (!users->set) return;
  for (size_t i = 0; i < users->count; i++)
    if (strcmp(users->items[i], config->rabbitmq.user) == 0) return;
  WRONG(
      "rabbitmq.trusted_users",
      "rabbitmq.user, \"%s\", is not in it: all nodes would skip what this one says; write the users of all "
      "nodes",
      config->rabbitmq.user);
}

static void complete_rabbitmq(struct sb_config *config, const struct sb_config_origin *origin,
                              struct sb_config_report *report) {
  size_t count = config->rabbitmq.hosts.count;
  if (count == 0)
    WRONG("rabbitmq.hosts", "the list is empty; write at least one, for example [\"amqp://localhost\"]");
  config->rabbitmq.host_list = sb_calloc(count, sizeof *config->rabbitmq.host_list);
  /* A host that cannot be taken apart was reported when it was read. */
  for (size_t i = 0; i < count; i++)
    if (sb_config_host_parse(config->rabbitmq.hosts.items[i], &config->rabbitmq.host_list[i])) return;
  if (config->broker != SB_CONFIG_RABBITMQ) {
    const struct sb_config_key *key = sb_config_key_find("rabbitmq.hosts");
    bool is_default = count == 1 && strcmp(config->rabbitmq.hosts.items[0], key->text) == 0;
    if (sb_config_is_written(origin, key->path) && !is_default)
      NOTICE("rabbitmq.hosts", "not used, since broker is \"%s\"", sb_config_broker_name(config->broker));
    return;
  }
  check_tls(config, origin, report);
  check_plain_hosts(config, origin, report);
  check_trusted_users(config, origin, report);
  complete_password(config, origin, report);
}

void sb_config_complete(struct sb_config *config, const struct sb_config_origin *origin,
                        struct sb_config_report *report) {
  complete_socket(config, origin, report);
  complete_tcp(config, origin, report);
  complete_hub(config, origin, report);
  complete_rabbitmq(config, origin, report);
  sb_config_complete_servicebus(config, origin, report);
  sb_config_check_numbers(config, origin, report);
}
