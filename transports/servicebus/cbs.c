#include "transports/servicebus/cbs.h"

#include <inttypes.h>
#include <proton/condition.h>
#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/link.h>
#include <proton/session.h>
#include <proton/terminus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/clock.h"
#include "bridge/base/log.h"
#include "transports/servicebus/amqp.h"
#include "transports/servicebus/sas.h"

#define NODE                "$cbs"
#define RENEW_BEFORE_MS     (INT64_C(600) * 1000) /* or half of a shorter life */
#define RENEW_FAR_MS        (INT64_C(24) * 3600 * 1000)
#define STATUS_UNAUTHORIZED 401
#define STATUS_FORBIDDEN    403
#define LINK_NAME_TEXT      48

/* One name for which the service wants a token. */
struct claim {
  bool taken; /* on this connection */
  int64_t due_ms, expiry_ms;
  uint64_t expiry_unix_s;
};

struct sb_servicebus_cbs {
  struct sb_servicebus_board *board;
  void (*authorised)(void *owner, uint32_t partition);
  void *owner;

  pn_session_t *session;        /* NULL: not connected */
  pn_link_t *sender, *receiver; /* NULL: not connected, or the pair waits to be opened */
  int64_t open_due_ms;          /* of a pair that waits */
  int64_t starved_since_ms;     /* a token is to be put, and there is no credit for it; 0: not so */
  uint32_t pairs_lost;          /* without an answer */
  uint64_t pairs;
  char reply_to[48];
  struct claim *claims; /* two of each partition: topic, subscription */
  size_t asking;        /* whose answer is awaited; claim_count: none */
  int64_t answer_due_ms, file_due_ms;
  bool from_file; /* somebody else puts the tokens there */
  uint64_t requests;
  uint32_t failures;
  unsigned jitter_seed;
  struct sb_buf out, in;
};

static size_t claim_count(const struct sb_servicebus_cbs *cbs) {
  return 2 * (size_t)cbs->board->partitions;
}

static uint32_t partition_of(size_t claim) {
  return (uint32_t)(claim / 2);
}

/* ---- life ---- */

struct sb_servicebus_cbs *sb_servicebus_cbs_new(struct sb_servicebus_board *board,
                                                void (*authorised)(void *owner, uint32_t partition),
                                                void *owner) {
  struct sb_servicebus_cbs *cbs = sb_calloc(1, sizeof *cbs);
  cbs->board = board;
  cbs->authorised = authorised;
  cbs->owner = owner;
  cbs->jitter_seed = (unsigned)board->nonce;
  cbs->claims = sb_calloc(2 * (size_t)board->partitions, sizeof *cbs->claims);
  cbs->asking = 2 * (size_t)board->partitions;
  return cbs;
}

void sb_servicebus_cbs_free(struct sb_servicebus_cbs *cbs) {
  if (!cbs) return;
  sb_buf_close(&cbs->out);
  sb_buf_close(&cbs->in);
  free(cbs->claims);
  free(cbs);
}

static void open_pair(struct sb_servicebus_cbs *cbs) {
  char name[LINK_NAME_TEXT];
  cbs->pairs++;
  snprintf(name, sizeof name, "cbs-send-%" PRIu64, cbs->pairs);
  cbs->sender = pn_sender(cbs->session, name);
  pn_terminus_set_address(pn_link_target(cbs->sender), NODE);
  pn_terminus_set_address(pn_link_source(cbs->sender), cbs->reply_to);
  pn_link_open(cbs->sender);
  snprintf(name, sizeof name, "cbs-receive-%" PRIu64, cbs->pairs);
  cbs->receiver = pn_receiver(cbs->session, name);
  pn_terminus_set_address(pn_link_source(cbs->receiver), NODE);
  pn_terminus_set_address(pn_link_target(cbs->receiver), cbs->reply_to);
  pn_link_open(cbs->receiver);
  pn_link_flow(cbs->receiver, 1);
  cbs->starved_since_ms = 0;
}

static void close_link(pn_link_t **link) {
  pn_link_close(*link);
  pn_link_free(*link);
  *link = NULL;
}

static void note_kind(struct sb_servicebus_cbs *cbs) {
  struct sb_servicebus_credentials now;
  sb_servicebus_credentials_now(&cbs->board->settings.credentials, &now);
  cbs->from_file = now.kind == SB_SERVICEBUS_TOKEN_FILE;
  sb_servicebus_credentials_close(&now);
  cbs->file_due_ms = 0;
}

void sb_servicebus_cbs_connected(struct sb_servicebus_cbs *cbs, pn_session_t *session) {
  snprintf(cbs->reply_to, sizeof cbs->reply_to, "cbs-%" PRIx64, cbs->board->nonce);
  cbs->session = session;
  for (size_t i = 0; i < claim_count(cbs); i++) cbs->claims[i] = (struct claim){0};
  cbs->asking = claim_count(cbs);
  cbs->failures = cbs->pairs_lost = 0;
  note_kind(cbs);
  open_pair(cbs);
}

void sb_servicebus_cbs_lost(struct sb_servicebus_cbs *cbs) {
  cbs->session = NULL;
  cbs->sender = cbs->receiver = NULL;
  cbs->asking = claim_count(cbs);
  sb_buf_clear(&cbs->in);
}

void sb_servicebus_cbs_again(struct sb_servicebus_cbs *cbs, uint32_t partition) {
  for (size_t i = 2 * (size_t)partition; i < 2 * (size_t)partition + 2; i++)
    if (cbs->claims[i].taken) cbs->claims[i] = (struct claim){0};
}

void sb_servicebus_cbs_renew(struct sb_servicebus_cbs *cbs, int64_t now_ms) {
  note_kind(cbs);
  for (size_t i = 0; i < claim_count(cbs); i++)
    if (cbs->claims[i].due_ms > now_ms) cbs->claims[i].due_ms = now_ms;
}

/* ---- asking ---- */

static void uri_of(const struct sb_servicebus_cbs *cbs, size_t claim, char uri[SB_SERVICEBUS_URI_MAX]) {
  char entity[SB_SERVICEBUS_ADDRESS_TEXT];
  if (claim % 2)
    sb_servicebus_subscription_address(cbs->board, partition_of(claim), entity);
  else
    sb_servicebus_topic_name(cbs->board, partition_of(claim), entity);
  snprintf(uri, SB_SERVICEBUS_URI_MAX, "amqps://%s/%s", cbs->board->settings.host, entity);
}

static void put_text(struct sb_buf *out, const char *key, const char *text) {
  sb_amqp_put_string(out, sb_bytes_of(key));
  sb_amqp_put_string(out, sb_bytes_of(text));
}

static void encode(struct sb_servicebus_cbs *cbs, const char *uri, const struct sb_servicebus_token *token) {
  struct sb_buf *out = &cbs->out;
  char id[24];
  sb_buf_clear(out);
  snprintf(id, sizeof id, "%" PRIu64, ++cbs->requests);
  sb_amqp_put_section(out, SB_AMQP_PROPERTIES);
  struct sb_amqp_mark mark = sb_amqp_begin_list(out);
  sb_amqp_put_string(out, sb_bytes_of(id));
  sb_amqp_put_null(out); /* user-id */
  sb_amqp_put_string(out, sb_bytes_of(NODE));
  sb_amqp_put_null(out); /* subject */
  sb_amqp_put_string(out, sb_bytes_of(cbs->reply_to));
  sb_amqp_end(out, mark, 5);
  sb_amqp_put_section(out, SB_AMQP_APPLICATION_PROPERTIES);
  mark = sb_amqp_begin_map(out);
  put_text(out, "operation", "put-token");
  put_text(out, "type", token->jwt ? "jwt" : "servicebus.windows.net:sastoken");
  put_text(out, "name", uri);
  sb_amqp_put_string(out, sb_bytes_of("expiration"));
  sb_amqp_put_timestamp(out, token->expiry_unix_s * 1000);
  sb_amqp_end(out, mark, 8);
  sb_amqp_put_section(out, SB_AMQP_VALUE);
  sb_amqp_put_string(out, sb_buf_bytes(&token->text));
}

static void try_later(struct sb_servicebus_cbs *cbs, size_t claim, const char *why) {
  cbs->failures++;
  cbs->claims[claim].due_ms =
      sb_clock_ms() + sb_backoff_doubled_ms(&cbs->board->pauses, cbs->failures, &cbs->jitter_seed);
  sb_servicebus_board_trouble(cbs->board, partition_of(claim), SB_SOURCE_TOKEN, why);
}

static void ask(struct sb_servicebus_cbs *cbs, size_t claim, int64_t now_ms) {
  char uri[SB_SERVICEBUS_URI_MAX];
  struct sb_servicebus_token token = {0};
  struct sb_error error = {0};
  uint64_t now_unix_s = (uint64_t)time(NULL);
  uri_of(cbs, claim, uri);
  if (sb_servicebus_token_make(&cbs->board->settings.credentials, uri, now_unix_s, &token, &error) != 0) {
    try_later(cbs, claim, error.text);
    return;
  }
  encode(cbs, uri, &token);
  uint64_t life_s = token.expiry_unix_s - now_unix_s;
  cbs->claims[claim].expiry_unix_s = token.expiry_unix_s;
  cbs->claims[claim].expiry_ms =
      life_s < RENEW_FAR_MS / 1000 ? now_ms + (int64_t)life_s * 1000 : now_ms + RENEW_FAR_MS;
  sb_servicebus_token_close(&token);
  pn_delivery(cbs->sender, pn_dtag((const char *)&cbs->requests, sizeof cbs->requests));
  pn_link_send(cbs->sender, (const char *)cbs->out.data, cbs->out.len);
  pn_link_advance(cbs->sender);
  explicit_bzero(cbs->out.data, cbs->out.len);
  cbs->asking = claim;
  cbs->answer_due_ms = now_ms + cbs->board->settings.rpc_timeout_ms;
}

/* ---- answers ---- */

static void on_taken(struct sb_servicebus_cbs *cbs, size_t claim) {
  struct claim *taken = &cbs->claims[claim];
  int64_t now_ms = sb_clock_ms(), left_ms = taken->expiry_ms - now_ms;
  int64_t before_ms = left_ms / 2 < RENEW_BEFORE_MS ? left_ms / 2 : RENEW_BEFORE_MS;
  bool first = !taken->taken;
  taken->taken = true;
  taken->due_ms = now_ms + left_ms - before_ms;
  cbs->failures = 0;
  sb_servicebus_board_well(cbs->board, partition_of(claim), SB_SOURCE_TOKEN);
  if (first && cbs->claims[claim ^ 1].taken) cbs->authorised(cbs->owner, partition_of(claim));
}

static int on_status(struct sb_servicebus_cbs *cbs, size_t claim, uint64_t status, struct sb_bytes text,
                     struct sb_error *error) {
  if (status >= 200 && status < 300) {
    on_taken(cbs, claim);
    return 0;
  }
  char uri[SB_SERVICEBUS_URI_MAX];
  uri_of(cbs, claim, uri);
  int rc = sb_error_set(error, SB_ERR_REFUSED, "the token for %s was refused: %" PRIu64 " %.*s", uri, status,
                        (int)text.len, (const char *)text.at);
  bool final = status == STATUS_UNAUTHORIZED || status == STATUS_FORBIDDEN;
  if (final && !cbs->claims[claim].taken) return rc;
  try_later(cbs, claim, error->text);
  return 0;
}

static int on_answer(struct sb_servicebus_cbs *cbs, struct sb_error *error) {
  struct sb_bytes rest = sb_buf_bytes(&cbs->in), text = {0};
  struct sb_amqp_value value, properties = {0};
  uint64_t descriptor, status = 0;
  while (rest.len && sb_amqp_take_descriptor(&rest, &descriptor) && sb_amqp_take(&rest, &value))
    if (descriptor == SB_AMQP_APPLICATION_PROPERTIES) properties = value;
  bool good =
      sb_amqp_find(&properties, "status-code", &value) || sb_amqp_find(&properties, "statusCode", &value);
  if (!good || !sb_amqp_u64(&value, &status))
    return sb_error_set(error, SB_ERR_PROTOCOL, "an answer of $cbs without a status");
  if (sb_amqp_find(&properties, "status-description", &value) ||
      sb_amqp_find(&properties, "statusDescription", &value))
    sb_amqp_text(&value, &text);
  size_t claim = cbs->asking;
  cbs->asking = claim_count(cbs);
  cbs->pairs_lost = 0;
  return claim < claim_count(cbs) ? on_status(cbs, claim, status, text, error) : 0;
}

static int read_answer(struct sb_servicebus_cbs *cbs, pn_delivery_t *delivery, struct sb_error *error) {
  if (pn_link_current(cbs->receiver) != delivery) return 0;
  size_t pending = pn_delivery_pending(delivery);
  if (pending > SB_SERVICEBUS_REPLY_BYTES_MAX - cbs->in.len)
    return sb_error_set(error, SB_ERR_PROTOCOL, "an answer of $cbs is too long");
  sb_buf_reserve(&cbs->in, pending);
  ssize_t n = pn_link_recv(cbs->receiver, (char *)cbs->in.data + cbs->in.len, pending);
  if (n > 0) cbs->in.len += (size_t)n;
  if (pn_delivery_partial(delivery)) return 0;
  int rc = on_answer(cbs, error);
  sb_buf_clear(&cbs->in);
  pn_link_advance(cbs->receiver);
  pn_delivery_update(delivery, PN_ACCEPTED);
  pn_delivery_settle(delivery);
  pn_link_flow(cbs->receiver, 1);
  return rc;
}

int sb_servicebus_cbs_delivery(struct sb_servicebus_cbs *cbs, pn_delivery_t *delivery,
                               struct sb_error *error) {
  if (pn_delivery_link(delivery) == cbs->receiver) return read_answer(cbs, delivery, error);
  if (pn_delivery_link(delivery) == cbs->sender && pn_delivery_updated(delivery)) {
    bool refused = pn_delivery_remote_state(delivery) == PN_REJECTED;
    pn_delivery_settle(delivery);
    if (refused) return sb_error_set(error, SB_ERR_REFUSED, "$cbs takes no tokens");
  }
  return 0;
}

/* ---- the pair is ended by the service ---- */

/* The tokens that were taken hold as long as the connection. What was asked and not answered is asked
 * again. */
static void lose_pair(struct sb_servicebus_cbs *cbs, bool busy) {
  const struct sb_servicebus_settings *settings = &cbs->board->settings;
  int64_t pause_ms = 0;
  if (cbs->pairs_lost)
    pause_ms = sb_backoff_doubled_ms(&cbs->board->pauses, cbs->pairs_lost, &cbs->jitter_seed);
  if (busy && pause_ms < settings->busy_pause_ms) pause_ms = settings->busy_pause_ms;
  cbs->pairs_lost++;
  close_link(&cbs->sender);
  close_link(&cbs->receiver);
  cbs->asking = claim_count(cbs);
  sb_buf_clear(&cbs->in);
  cbs->open_due_ms = sb_clock_ms() + pause_ms;
}

int sb_servicebus_cbs_detached(struct sb_servicebus_cbs *cbs, pn_link_t *link, struct sb_error *error) {
  if (!link || (link != cbs->sender && link != cbs->receiver)) return 0;
  pn_condition_t *condition = pn_link_remote_condition(link);
  const char *name = pn_condition_get_name(condition), *text = pn_condition_get_description(condition);
  enum sb_servicebus_cure cure = pn_condition_is_set(condition) ? sb_servicebus_cure_of(name) : SB_CURE_LINK;
  if (cure == SB_CURE_AGAIN || cure == SB_CURE_LINK || cure == SB_CURE_PAUSE) {
    sb_log(SB_LOG_DEBUG, SB_SERVICEBUS_AREA, "$cbs was closed: %s; it is opened again",
           name ? name : "no reason given");
    lose_pair(cbs, cure == SB_CURE_PAUSE);
    return 0;
  }
  return sb_error_set(error, cure == SB_CURE_CONNECTION ? SB_ERR_LINK : SB_ERR_REFUSED,
                      "$cbs was closed: %s: %s", name ? name : "no reason given", text ? text : "");
}

/* ---- time ---- */

/* Before our token is due somebody may put a newer one into the file. */
static void look_at_file(struct sb_servicebus_cbs *cbs, int64_t now_ms) {
  if (!cbs->from_file || now_ms < cbs->file_due_ms) return;
  cbs->file_due_ms = now_ms + cbs->board->settings.token_check_ms;
  struct sb_servicebus_token token = {0};
  char uri[SB_SERVICEBUS_URI_MAX];
  uri_of(cbs, 0, uri);
  if (sb_servicebus_token_make(&cbs->board->settings.credentials, uri, (uint64_t)time(NULL), &token, NULL) ==
      0)
    for (size_t i = 0; i < claim_count(cbs); i++)
      if (cbs->claims[i].taken && cbs->claims[i].expiry_unix_s != token.expiry_unix_s)
        cbs->claims[i].due_ms = now_ms;
  sb_servicebus_token_close(&token);
}

static int64_t claims_due_ms(const struct sb_servicebus_cbs *cbs) {
  int64_t due_ms = INT64_MAX;
  for (size_t i = 0; i < claim_count(cbs); i++)
    if (cbs->claims[i].due_ms < due_ms) due_ms = cbs->claims[i].due_ms;
  return due_ms;
}

static bool may_ask(const struct sb_servicebus_cbs *cbs) {
  return cbs->sender && cbs->asking == claim_count(cbs);
}

static bool ready(const struct sb_servicebus_cbs *cbs) {
  return may_ask(cbs) && pn_link_credit(cbs->sender) > 0;
}

/* Notes since when a token waits for credit. This covers an attach that is not answered, because credit
 * comes after it. */
static void note_credit(struct sb_servicebus_cbs *cbs, int64_t now_ms) {
  bool starved = may_ask(cbs) && !ready(cbs) && claims_due_ms(cbs) <= now_ms;
  if (!starved) cbs->starved_since_ms = 0;
  if (starved && !cbs->starved_since_ms) cbs->starved_since_ms = now_ms;
}

/* When the service should have answered what was asked, or have let us ask; INT64_MAX: nothing is awaited. */
static int64_t service_due_ms(const struct sb_servicebus_cbs *cbs) {
  if (cbs->asking < claim_count(cbs)) return cbs->answer_due_ms;
  if (!cbs->starved_since_ms) return INT64_MAX;
  return cbs->starved_since_ms + cbs->board->settings.rpc_timeout_ms;
}

int sb_servicebus_cbs_turn(struct sb_servicebus_cbs *cbs, int64_t now_ms, struct sb_error *error) {
  if (!cbs->session) return 0;
  if (!cbs->sender && now_ms >= cbs->open_due_ms) open_pair(cbs);
  look_at_file(cbs, now_ms);
  for (size_t i = 0; i < claim_count(cbs) && ready(cbs); i++)
    if (cbs->claims[i].due_ms <= now_ms) ask(cbs, i, now_ms);
  note_credit(cbs, now_ms);
  if (now_ms < service_due_ms(cbs)) return 0;
  return sb_error_set(error, SB_ERR_TIMEOUT, "no %s of $cbs within %" PRIu32 " ms",
                      cbs->asking < claim_count(cbs) ? "answer" : "credit",
                      cbs->board->settings.rpc_timeout_ms);
}

int64_t sb_servicebus_cbs_due_ms(const struct sb_servicebus_cbs *cbs) {
  if (!cbs->session) return INT64_MAX;
  if (cbs->asking < claim_count(cbs)) return cbs->answer_due_ms;
  int64_t due_ms = service_due_ms(cbs), claims_ms = claims_due_ms(cbs);
  if (cbs->from_file && cbs->file_due_ms < due_ms) due_ms = cbs->file_due_ms;
  if (!cbs->sender && cbs->open_due_ms < due_ms) due_ms = cbs->open_due_ms;
  /* A claim that is due already only waits for credit: its time does not wake the thread. */
  bool waits = !cbs->sender || cbs->starved_since_ms;
  return !waits && claims_ms < due_ms ? claims_ms : due_ms;
}
