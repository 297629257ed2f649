#include "transports/rabbitmq/connect.h"

#include <inttypes.h>
#include <stdio.h>

#include "bridge/base/bytes.h"
#include "bridge/base/clock.h"
#include "transports/rabbitmq/socket.h"

#define FRAME_MAX_BYTES      131072 /* what RabbitMQ offers by default; a default batch fits one frame */
#define FRAME_OVERHEAD_BYTES 8      /* AMQP 0-9-1, 2.3.5: type, channel, size, end */
/* RabbitMQ 4.0 lowered the default of max_message_size from 128 MiB. */
#define MAX_BODY_SINCE_4     ((size_t)16 * 1024 * 1024)

static struct timeval timeval_of(int64_t ms) {
  return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

/* ---- login ---- */

static amqp_table_entry_t capability(const char *name) {
  return (amqp_table_entry_t){amqp_cstring_bytes(name),
                              {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}};
}

static amqp_table_entry_t text_property(const char *name, const char *text) {
  return (amqp_table_entry_t){amqp_cstring_bytes(name),
                              {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
}

static int login(struct sb_rabbitmq_link *link, struct sb_error *error) {
  const struct sb_rabbitmq_settings *settings = &link->board->settings;
  /* RabbitMQ sends only what a client announces: without these a deleted stream would go silent, and a full
   * broker would just stop reading. */
  amqp_table_entry_t capabilities[] = {capability("consumer_cancel_notify"), capability("connection.blocked"),
                                       capability("publisher_confirms"), capability("basic.nack"),
                                       capability("authentication_failure_close")};
  char name[256];
  snprintf(name, sizeof name, "%s (%s)", settings->connection_name ? settings->connection_name : "sidebus",
           link->purpose);
  amqp_table_entry_t properties[] = {
      {amqp_cstring_bytes("capabilities"),
       {.kind = AMQP_FIELD_KIND_TABLE,
        .value.table = {sizeof capabilities / sizeof *capabilities, capabilities}}},
      text_property("connection_name", name),
      text_property("product", "sidebus"),
      text_property("version", SB_VERSION),
  };
  amqp_table_t table = {sizeof properties / sizeof *properties, properties};
  struct sb_login who = {0};
  if (settings->login.read) settings->login.read(settings->login.owner, &who);
  snprintf(link->user, sizeof link->user, "%s", who.name ? who.name : settings->user);
  sb_rabbitmq_link_enter(link);
  amqp_rpc_reply_t reply = amqp_login_with_properties(
      link->conn, settings->vhost, 0, FRAME_MAX_BYTES, (int)settings->heartbeat_s, &table,
      AMQP_SASL_METHOD_PLAIN, link->user, who.secret ? who.secret : settings->password);
  sb_login_close(&who);
  int rc = sb_rabbitmq_link_answered(link, 0, reply, error);
  bool heard = amqp_get_server_properties(link->conn)->num_entries > 0;
  return rc == SB_ERR_LINK && !heard ? sb_net_tls_explain_silence(&link->peer, error) : rc;
}

static unsigned broker_major(struct sb_rabbitmq_link *link) {
  const amqp_table_t *properties = amqp_get_server_properties(link->conn);
  for (int i = 0; i < properties->num_entries; i++) {
    const amqp_table_entry_t *entry = &properties->entries[i];
    if (!sb_bytes_equal(sb_bytes(entry->key.bytes, entry->key.len), sb_bytes_of("version"))) continue;
    if (entry->value.kind != AMQP_FIELD_KIND_UTF8) break;
    const char *text = entry->value.value.bytes.bytes;
    unsigned major = 0;
    for (size_t at = 0; at < entry->value.value.bytes.len && text[at] >= '0' && text[at] <= '9' && at < 4;
         at++)
      major = major * 10 + (unsigned)(text[at] - '0');
    return major;
  }
  return 0;
}

static int settle_terms(struct sb_rabbitmq_link *link, uint32_t channels, struct sb_error *error) {
  int channel_max = amqp_get_channel_max(link->conn);
  if (channel_max > 0 && (uint32_t)channel_max < channels)
    return sb_error_set(error, SB_ERR_REFUSED,
                        "the broker allows %d channels on a connection, %" PRIu32 " are needed for %" PRIu32
                        " partitions",
                        channel_max, channels, link->board->partitions);
  link->service_ms = (int64_t)amqp_get_heartbeat(link->conn) * 1000 / 2;
  link->service_due_ms = sb_clock_ms() + link->service_ms;
  link->frame_body_max = (size_t)amqp_get_frame_max(link->conn) - FRAME_OVERHEAD_BYTES;
  size_t max_body = broker_major(link) >= 4 ? MAX_BODY_SINCE_4 : (size_t)SB_BODY_BYTES_MAX;
  atomic_store(&link->board->max_body, sb_least(max_body, atomic_load(&link->board->max_body_learnt)));
  return 0;
}

int sb_rabbitmq_connect(struct sb_rabbitmq_link *link, uint32_t channels, struct sb_error *error) {
  const struct sb_rabbitmq_settings *settings = &link->board->settings;
  link->up_since_ms = 0;
  link->readable = false;
  link->refusal = 0;
  atomic_store(&link->hung, false);
  link->conn = amqp_new_connection();
  if (!link->conn) return sb_error_set(error, SB_ERR_SYSTEM, "rabbitmq-c: no memory");
  int rc = sb_rabbitmq_socket_open(link, error);
  if (rc) return rc;
  link->fd = amqp_get_sockfd(link->conn);
  sb_rabbitmq_link_watch(link, link->fd);
  struct timeval handshake = timeval_of(settings->connect_timeout_ms);
  struct timeval rpc = timeval_of(settings->rpc_timeout_ms);
  amqp_set_handshake_timeout(link->conn, &handshake);
  amqp_set_rpc_timeout(link->conn, &rpc);
  rc = login(link, error);
  if (rc && link->refusal) error->code = SB_ERR_REFUSED;
  if (rc && !link->refusal) sb_rabbitmq_socket_doubt(link, error);
  if (rc) return rc;
  sb_rabbitmq_socket_trust(link);
  return settle_terms(link, channels, error);
}
