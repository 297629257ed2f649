#include "transports/rabbitmq/topology.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bridge/base/clock.h"
#include "bridge/base/log.h"

/* Another node may still be making the same stream. It gets SETTLE_TIMES as long as making it took us, and
 * this. */
#define SETTLE_MIN_MS 50
#define SETTLE_TIMES  2

void sb_rabbitmq_stream_name(const struct sb_rabbitmq_board *board, uint32_t partition, char *out) {
  snprintf(out, SB_RABBITMQ_STREAM_NAME, "%s.%" PRIu32, board->exchange, partition);
}

void sb_rabbitmq_routing_key(uint32_t partition, char *out) {
  snprintf(out, SB_RABBITMQ_ROUTING_KEY, "%" PRIu32, partition);
}

/* After an RPC: opens the channel again if the broker closed it. */
static int answered(struct sb_rabbitmq_link *link, amqp_channel_t channel, struct sb_error *error) {
  int rc = sb_rabbitmq_link_answered(link, channel, amqp_get_rpc_reply(link->conn), error);
  if (rc != SB_ERR_REFUSED) return rc;
  struct sb_error reopen = {0};
  if (sb_rabbitmq_link_open_channel(link, channel, &reopen) == 0) return SB_ERR_REFUSED;
  *error = reopen;
  return reopen.code;
}

/* The broker has said no because of missing permissions: somebody else looks after the topology. */
static bool not_permitted(const struct sb_rabbitmq_link *link, int rc, const char *what) {
  if (rc != SB_ERR_REFUSED || link->refusal != AMQP_ACCESS_REFUSED) return false;
  sb_log(SB_LOG_DEBUG, SB_RABBITMQ_AREA, "no permission for %s", what);
  return true;
}

/* ---- exchange ---- */

static int declare_exchange(struct sb_rabbitmq_link *link, amqp_channel_t channel, const char *name,
                            bool passive, struct sb_error *error) {
  sb_rabbitmq_link_enter(link);
  amqp_exchange_declare(link->conn, channel, amqp_cstring_bytes(name), amqp_cstring_bytes("direct"), passive,
                        1, 0, 0, amqp_empty_table);
  return answered(link, channel, error);
}

/* Asked passively, the broker only says that it is not there. The reason is that we may not make it. */
static int missing_and_not_ours(const struct sb_rabbitmq_link *link, int rc, struct sb_error *error) {
  if (rc == SB_ERR_REFUSED && link->refusal == AMQP_NOT_FOUND)
    sb_error_wrap(error, "no permission to configure it, and it does not exist");
  return rc;
}

static int ensure_exchange(struct sb_rabbitmq_link *link, amqp_channel_t channel, const char *name,
                           struct sb_error *error) {
  bool declare = link->board->settings.declare;
  int rc = declare_exchange(link, channel, name, !declare, error);
  if (declare && not_permitted(link, rc, "declaring the exchange"))
    rc = missing_and_not_ours(link, declare_exchange(link, channel, name, true, error), error);
  if (rc == 0 || not_permitted(link, rc, "looking for the exchange")) return 0;
  sb_error_wrap(error, "exchange %s", name);
  return rc;
}

int sb_rabbitmq_topology_exchange(struct sb_rabbitmq_link *link, amqp_channel_t channel,
                                  struct sb_error *error) {
  const struct sb_rabbitmq_board *board = link->board;
  int rc = ensure_exchange(link, channel, board->exchange, error);
  if (rc || !board->foreign_exchange) return rc;
  return ensure_exchange(link, channel, board->foreign_exchange, error);
}

/* ---- streams ---- */

#define STREAM_ARGUMENTS 4

struct arguments {
  amqp_table_entry_t entries[STREAM_ARGUMENTS];
  int count;
};

static const char arg_type[] = "x-queue-type", arg_age[] = "x-max-age", arg_bytes[] = "x-max-length-bytes",
                  arg_segment[] = "x-stream-max-segment-size-bytes";

static void add_text(struct arguments *arguments, const char *name, const char *text) {
  arguments->entries[arguments->count++] = (amqp_table_entry_t){
      amqp_cstring_bytes(name), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
}

static void add_number(struct arguments *arguments, const char *name, uint64_t number) {
  arguments->entries[arguments->count++] = (amqp_table_entry_t){
      amqp_cstring_bytes(name), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = (int64_t)number}};
}

static int declare_stream(struct sb_rabbitmq_link *link, amqp_channel_t channel, const char *name,
                          bool passive, struct sb_error *error) {
  const struct sb_rabbitmq_settings *settings = &link->board->settings;
  struct arguments arguments = {0};
  if (!passive) {
    add_text(&arguments, arg_type, "stream");
    if (settings->max_age) add_text(&arguments, arg_age, settings->max_age);
    if (settings->max_bytes) add_number(&arguments, arg_bytes, settings->max_bytes);
    if (settings->segment_bytes) add_number(&arguments, arg_segment, settings->segment_bytes);
  }
  sb_rabbitmq_link_enter(link);
  amqp_queue_declare(link->conn, channel, amqp_cstring_bytes(name), passive, 1, 0, 0,
                     (amqp_table_t){arguments.count, arguments.entries});
  return answered(link, channel, error);
}

static int bind_stream(struct sb_rabbitmq_link *link, amqp_channel_t channel, const char *name,
                       const char *exchange, uint32_t partition, struct sb_error *error) {
  char key[SB_RABBITMQ_ROUTING_KEY];
  sb_rabbitmq_routing_key(partition, key);
  sb_rabbitmq_link_enter(link);
  amqp_queue_bind(link->conn, channel, amqp_cstring_bytes(name), amqp_cstring_bytes(exchange),
                  amqp_cstring_bytes(key), amqp_empty_table);
  return answered(link, channel, error);
}

/* The stream exists, with another retention than the settings ask for. The hub can work; the operator should
 * know. RabbitMQ does not change the arguments of a stream, but a policy can. */
static bool only_retention_differs(const struct sb_rabbitmq_link *link, const struct sb_error *error) {
  if (link->refusal != AMQP_PRECONDITION_FAILED) return false;
  return strstr(error->text, arg_age) || strstr(error->text, arg_bytes) || strstr(error->text, arg_segment);
}

static bool is_no_stream(const struct sb_rabbitmq_link *link, const struct sb_error *error) {
  return link->refusal == AMQP_PRECONDITION_FAILED && strstr(error->text, arg_type);
}

/* Asks once whether the stream is there. One that was missing may not be used at once, since another node
 * may have begun to make it. Under the board's `declaring`. */
static int look_for(struct sb_rabbitmq_link *link, amqp_channel_t channel, const char *name,
                    uint32_t partition, bool *missing, struct sb_error *error) {
  *missing = false;
  if (link->board->known[partition]) return 0;
  link->board->known[partition] = true;
  int rc = declare_stream(link, channel, name, true, error);
  if (rc != SB_ERR_REFUSED) return rc;
  *missing = link->refusal == AMQP_NOT_FOUND;
  return 0;
}

static int declare_unknown(struct sb_rabbitmq_link *link, amqp_channel_t channel, const char *name,
                           uint32_t partition, struct sb_error *error) {
  bool missing;
  int rc = look_for(link, channel, name, partition, &missing, error);
  if (rc) return rc;
  int64_t began_ms = sb_clock_ms();
  rc = declare_stream(link, channel, name, false, error);
  int64_t now_ms = sb_clock_ms(), settle_ms = SETTLE_MIN_MS + SETTLE_TIMES * (now_ms - began_ms);
  if (rc == 0 && missing) atomic_store(&link->board->usable_from_ms, now_ms + settle_ms);
  return rc;
}

static int make_stream(struct sb_rabbitmq_link *link, amqp_channel_t channel, const char *name,
                       uint32_t partition, struct sb_error *error) {
  int rc = declare_unknown(link, channel, name, partition, error);
  if (rc != SB_ERR_REFUSED) return rc;
  if (only_retention_differs(link, error)) {
    sb_rabbitmq_board_retention_differs(link->board, partition, error->text);
    return 0;
  }
  if (is_no_stream(link, error)) {
    sb_error_wrap(error, "a queue of that name exists that is no stream");
  } else if (not_permitted(link, rc, "declaring the stream")) {
    rc = missing_and_not_ours(link, declare_stream(link, channel, name, true, error), error);
    if (not_permitted(link, rc, "looking for the stream")) rc = 0;
  }
  return rc;
}

static int ensure_stream(struct sb_rabbitmq_link *link, amqp_channel_t channel, const char *name,
                         uint32_t partition, struct sb_error *error) {
  int rc;
  if (!link->board->settings.declare) {
    rc = declare_stream(link, channel, name, true, error);
    if (not_permitted(link, rc, "looking for the stream")) rc = 0;
    if (rc == SB_ERR_REFUSED) sb_error_wrap(error, "it is not there, and declare = false");
    return rc;
  }
  pthread_mutex_lock(&link->board->declaring);
  rc = make_stream(link, channel, name, partition, error);
  pthread_mutex_unlock(&link->board->declaring);
  if (rc) return rc;
  rc = bind_stream(link, channel, name, link->board->exchange, partition, error);
  bool may_not = not_permitted(link, rc, "binding the stream");
  atomic_store(&link->board->may_not_bind, may_not);
  if ((rc && !may_not) || !link->board->foreign_exchange) return may_not ? 0 : rc;
  rc = bind_stream(link, channel, name, link->board->foreign_exchange, partition, error);
  return not_permitted(link, rc, "binding the stream to the exchange of other programs") ? 0 : rc;
}

int sb_rabbitmq_topology_stream(struct sb_rabbitmq_link *link, amqp_channel_t channel, uint32_t partition,
                                struct sb_error *error) {
  char name[SB_RABBITMQ_STREAM_NAME];
  sb_rabbitmq_stream_name(link->board, partition, name);
  return ensure_stream(link, channel, name, partition, error);
}
