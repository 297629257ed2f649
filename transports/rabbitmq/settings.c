#include "transports/rabbitmq/settings.h"

#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/base/wipe.h"

#define PREFETCH_MAX         UINT16_MAX
#define HEARTBEAT_MAX_S      UINT16_MAX
/* A broker that is well brings the first message within a few ms, also from an old segment. But it is silent
 * for ever when asked for what is beyond the end of a stream, as after it was made again. */
#define READ_BACK_SILENCE_MS 5000
/* Reading back is done in several ranges; making a connection costs more than keeping one for a while. */
#define READ_BACK_IDLE_MS    30000

/* A message that is in the log comes to a good reader within milliseconds. */
#define ECHO_LIMIT_MS 5000
/* How long a stream that ends too early may be a copy that is behind. RabbitMQ elects a leader and brings its
 * copies up in less. */
#define BEHIND_MS     30000
/* Of an outage that lasts: rare enough for nights, often enough to be found in the tail of a log. */
#define REMIND_MS     300000

void sb_rabbitmq_settings_default(struct sb_rabbitmq_settings *settings) {
  *settings = (struct sb_rabbitmq_settings){
      .vhost = "/",
      .user = "guest",
      .password = "guest",
      .tls = {.verify = true},
      .heartbeat_s = 20,
      .declare = true,
      .prefetch = 200,
      .connect_timeout_ms = 5000,
      .rpc_timeout_ms = 10000,
      .backoff_min_ms = 200,
      .backoff_max_ms = 30000,
  };
}

int sb_rabbitmq_settings_check(const struct sb_rabbitmq_settings *settings, struct sb_error *error) {
  const char *wrong = NULL;
  if (settings->host_count == 0) wrong = "no host is given";
  if (!settings->vhost || (!settings->login.read && (!settings->user || !settings->password)))
    wrong = "vhost, user and password are needed";
  if (!settings->tls.cert_file != !settings->tls.key_file)
    wrong = "a client certificate needs both its files";
  if (settings->prefetch == 0 || settings->prefetch > PREFETCH_MAX) wrong = "prefetch must be 1 to 65535";
  if (settings->heartbeat_s > HEARTBEAT_MAX_S) wrong = "heartbeat must be at most 65535 s";
  if (settings->connect_timeout_ms == 0 || settings->rpc_timeout_ms == 0)
    wrong = "time-outs must not be zero";
  if (settings->backoff_min_ms == 0 || settings->backoff_max_ms < settings->backoff_min_ms)
    wrong = "back-off must be above zero, its maximum not below its minimum";
  return wrong ? sb_error_set(error, SB_ERR_INVALID, "%s", wrong) : 0;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
  return value ? value : otherwise;
}

static const char *const *copy_of(const struct sb_rabbitmq_trust *trust) {
  char **users = sb_calloc(trust->count, sizeof *users);
  for (size_t i = 0; i < trust->count; i++) users[i] = sb_strdup(trust->users[i]);
  return (const char *const *)users;
}

void sb_rabbitmq_settings_copy(struct sb_rabbitmq_settings *to, const struct sb_rabbitmq_settings *from) {
  *to = *from;
  to->read_back_silence_ms = or_default(from->read_back_silence_ms, READ_BACK_SILENCE_MS);
  to->read_back_idle_ms = or_default(from->read_back_idle_ms, READ_BACK_IDLE_MS);
  to->echo_limit_ms = or_default(from->echo_limit_ms, ECHO_LIMIT_MS);
  to->behind_ms = or_default(from->behind_ms, BEHIND_MS);
  to->remind_ms = or_default(from->remind_ms, REMIND_MS);
  to->hosts = NULL;
  to->host_count = 0;
  to->vhost = sb_strdup_or_null(from->vhost);
  to->trust.users = copy_of(&from->trust);
  to->user = sb_strdup_or_null(from->user);
  to->password = sb_strdup_or_null(from->password);
  to->tls.ca_file = sb_strdup_or_null(from->tls.ca_file);
  to->tls.cert_file = sb_strdup_or_null(from->tls.cert_file);
  to->tls.key_file = sb_strdup_or_null(from->tls.key_file);
  to->max_age = sb_strdup_or_null(from->max_age);
  to->connection_name = sb_strdup_or_null(from->connection_name);
}

void sb_rabbitmq_settings_close(struct sb_rabbitmq_settings *copy) {
  sb_wipe_free((char *)copy->password);
  const char *const owned[] = {copy->vhost,        copy->user,    copy->tls.ca_file,    copy->tls.cert_file,
                               copy->tls.key_file, copy->max_age, copy->connection_name};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free((char *)owned[i]);
  for (size_t i = 0; i < copy->trust.count; i++) free((char *)copy->trust.users[i]);
  free((void *)copy->trust.users);
}
