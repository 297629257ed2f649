/* SUBSCRIBE and its family, PUBLISH, SPUBLISH, PUBSUB. What concerns the cluster travels through the logs:
 * the core writes its reply when it has come back. */
#include "bridge/redis/commands/pubsub.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bridge/base/limits.h"
#include "bridge/base/reply.h"
#include "bridge/core/core.h"
#include "bridge/core/wire/entry.h"
#include "bridge/redis/commands/answer.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/event_channels.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/sockets/connection.h"

#define QUOTED_MAX 128 /* of a name in an error */

/* ---- publishing ---- */

static enum sb_held publish(struct sb_connection *c, const struct sb_request *request,
                            enum sb_publish_kind kind, const char *upper) {
  /* An entry travels as it was sent, when that is the one form that it has in a log. */
  bool as_sent = request->canonical && memcmp(request->args[0].at, upper, request->args[0].len) == 0;
  enum sb_result result =
      as_sent ? sb_core_publish_raw(sb_hub_of(c), &c->session, request->args[1], request->raw, 1)
              : sb_core_publish(sb_hub_of(c), &c->session, kind, request->args[1], request->args[2]);
  return sb_answer_result(c, result);
}

enum sb_held sb_run_publish(struct sb_connection *c, const struct sb_request *request) {
  return publish(c, request, SB_PUBLISH, "PUBLISH");
}

enum sb_held sb_run_spublish(struct sb_connection *c, const struct sb_request *request) {
  return publish(c, request, SB_SPUBLISH, "SPUBLISH");
}

/* How many canonical PUBLISHes to the first one's channel lie end to end at the start of `input`, and how
 * long they are together. A client that pipelines sends them in floods. They have the form of entries, so the
 * reader of entries is all the parsing that they need. */
static uint32_t run_of_publishes(struct sb_bytes input, size_t *len) {
  struct sb_entry before, next;
  uint32_t off = 0, count = 1;
  if (input.len > SB_PUBLISH_RUN_BYTES) input.len = SB_PUBLISH_RUN_BYTES;
  if (!sb_entry_next(input, &off, NULL, &before)) return 0;
  *len = off;
  while (off < input.len && sb_entry_next(input, &off, &before, &next) && next.same_head) {
    before = next;
    *len = off;
    count++;
  }
  return count;
}

enum sb_held sb_run_publishes(struct sb_connection *c, const struct sb_request *request,
                              struct sb_bytes input, size_t *used, uint32_t *ran) {
  size_t len;
  uint32_t count = request->raw.len < input.len ? run_of_publishes(input, &len) : 0;
  if (count > 1 && sb_core_publish_raw(sb_hub_of(c), &c->session, request->args[1], sb_bytes(input.at, len),
                                       count) == SB_DONE) {
    *used = len;
    *ran = count;
    return SB_HELD_NOT;
  }
  return sb_answer_result(c,
                          sb_core_publish_raw(sb_hub_of(c), &c->session, request->args[1], request->raw, 1));
}

/* ---- subscriptions ---- */

/* False: one of the names is refused, and the reply says so. */
static bool may_subscribe(struct sb_connection *c, const struct sb_request *request, enum sb_sub_kind kind) {
  for (uint32_t i = 1; i < request->count; i++) {
    struct sb_bytes name = request->args[i];
    if (kind == SB_SUB_PATTERN ? !sb_means_event_channels(name) : !sb_is_event_channel(name)) continue;
    sb_note_unsupported(c, c->last->name, sb_bytes_of("keyspace events"));
    sb_reply_errorf(sb_reply_of(c), SB_NO_KEYSPACE_EVENTS ": a subscription to '%.*s' would stay silent",
                    (int)strnlen((const char *)name.at, name.len < QUOTED_MAX ? name.len : QUOTED_MAX),
                    (const char *)name.at);
    return false;
  }
  return true;
}

/* What a confirmation counts: channels and patterns together, shard channels by themselves. */
static int64_t count_for(const struct sb_session *session, enum sb_sub_kind kind) {
  if (kind == SB_SUB_SHARD) return session->subs.count[SB_SUB_SHARD];
  return (int64_t)session->subs.count[SB_SUB_CHANNEL] + session->subs.count[SB_SUB_PATTERN];
}

/* False: the session cannot take so long a reply, and is closed. */
static bool takes_more(struct sb_connection *c) {
  return sb_core_takes_reply(sb_hub_of(c), &c->session, sb_reply_of(c)->len);
}

static void begin_confirmation(struct sb_connection *c, const char *word) {
  sb_reply_push(sb_reply_of(c), c->session.proto, 3);
  sb_reply_bulk_text(sb_reply_of(c), word);
}

static enum sb_held subscribe(struct sb_connection *c, const struct sb_request *request,
                              enum sb_sub_kind kind, const char *word) {
  if (!may_subscribe(c, request, kind)) return SB_HELD_NOT;
  enum sb_result result =
      sb_core_subscribing(sb_hub_of(c), &c->session, kind, &request->args[1], request->count - 1);
  if (result != SB_DONE) return sb_answer_result(c, result);
  for (uint32_t i = 1; i < request->count && takes_more(c); i++) {
    sb_core_subscribe(sb_hub_of(c), &c->session, kind, request->args[i]);
    begin_confirmation(c, word);
    sb_reply_bulk(sb_reply_of(c), request->args[i]);
    sb_reply_integer(sb_reply_of(c), count_for(&c->session, kind));
  }
  return sb_answer_confirmation(c);
}

enum sb_held sb_run_subscribe(struct sb_connection *c, const struct sb_request *request) {
  return subscribe(c, request, SB_SUB_CHANNEL, "subscribe");
}

enum sb_held sb_run_psubscribe(struct sb_connection *c, const struct sb_request *request) {
  return subscribe(c, request, SB_SUB_PATTERN, "psubscribe");
}

enum sb_held sb_run_ssubscribe(struct sb_connection *c, const struct sb_request *request) {
  return subscribe(c, request, SB_SUB_SHARD, "ssubscribe");
}

static void unsubscribe_one(struct sb_connection *c, enum sb_sub_kind kind, struct sb_bytes name,
                            const char *word) {
  begin_confirmation(c, word);
  sb_reply_bulk(sb_reply_of(c), name); /* first: a name of the session's own ends with its subscription */
  sb_core_unsubscribe(sb_hub_of(c), &c->session, kind, name);
  sb_reply_integer(sb_reply_of(c), count_for(&c->session, kind));
}

/* The names that a session subscribes to, oldest first; to be freed. */
static struct sb_bytes *names_of(const struct sb_session *session, enum sb_sub_kind kind, uint32_t *count) {
  *count = session->subs.count[kind];
  struct sb_bytes *names = sb_malloc(*count * sizeof *names);
  struct sb_bytes name;
  uint32_t left = *count;
  for (struct sb_sub *sub = NULL; left > 0 && (sub = sb_session_next_sub(session, kind, sub, &name)) != NULL;)
    names[--left] = name;
  return names;
}

static enum sb_held unsubscribe(struct sb_connection *c, const struct sb_request *request,
                                enum sb_sub_kind kind, const char *word) {
  if (sb_core_unsubscribing(sb_hub_of(c), &c->session) != SB_DONE) return SB_HELD_ROOM;
  if (request->count > 1) {
    for (uint32_t i = 1; i < request->count && takes_more(c); i++)
      unsubscribe_one(c, kind, request->args[i], word);
    return sb_answer_confirmation(c);
  }
  uint32_t count;
  struct sb_bytes *names = names_of(&c->session, kind, &count);
  for (uint32_t i = 0; i < count; i++) unsubscribe_one(c, kind, names[i], word);
  free(names);
  if (count == 0) {
    begin_confirmation(c, word);
    sb_reply_null(sb_reply_of(c), c->session.proto);
    sb_reply_integer(sb_reply_of(c), count_for(&c->session, kind));
  }
  return sb_answer_confirmation(c);
}

enum sb_held sb_run_unsubscribe(struct sb_connection *c, const struct sb_request *request) {
  return unsubscribe(c, request, SB_SUB_CHANNEL, "unsubscribe");
}

enum sb_held sb_run_punsubscribe(struct sb_connection *c, const struct sb_request *request) {
  return unsubscribe(c, request, SB_SUB_PATTERN, "punsubscribe");
}

enum sb_held sb_run_sunsubscribe(struct sb_connection *c, const struct sb_request *request) {
  return unsubscribe(c, request, SB_SUB_SHARD, "sunsubscribe");
}

/* ---- PUBSUB ---- */

struct channel_list {
  struct sb_connection *c;
  struct sb_buf *out;
  size_t count;
};

static void append_channel(void *owner, struct sb_bytes name) {
  struct channel_list *list = owner;
  if (!sb_core_takes_reply(sb_hub_of(list->c), &list->c->session, list->out->len)) return;
  sb_reply_bulk(list->out, name);
  list->count++;
}

static enum sb_held channels(struct sb_connection *c, const struct sb_request *request,
                             enum sb_sub_kind kind) {
  if (request->count > 3) {
    sb_reply_errorf(sb_reply_of(c),
                    "unknown subcommand or wrong number of arguments for '%.*s'. Try PUBSUB HELP.",
                    (int)request->args[1].len, (const char *)request->args[1].at);
    return SB_HELD_NOT;
  }
  struct channel_list list = {c, &sb_commands_of(c)->scratch, 0};
  sb_buf_clear(list.out);
  struct sb_bytes pattern = request->count == 3 ? request->args[2] : sb_bytes(NULL, 0);
  if (sb_core_channels(sb_hub_of(c), kind, pattern, append_channel, &list) != SB_DONE) {
    sb_reply_error_text(sb_reply_of(c), sb_core_refusal(sb_hub_of(c)));
    return SB_HELD_NOT;
  }
  sb_reply_array(sb_reply_of(c), list.count);
  sb_buf_append(sb_reply_of(c), list.out->data, list.out->len);
  return SB_HELD_NOT;
}

enum sb_held sb_run_pubsub_channels(struct sb_connection *c, const struct sb_request *request) {
  return channels(c, request, SB_SUB_CHANNEL);
}

enum sb_held sb_run_pubsub_shardchannels(struct sb_connection *c, const struct sb_request *request) {
  return channels(c, request, SB_SUB_SHARD);
}

/* Asks the cluster. */
static enum sb_held numsub(struct sb_connection *c, const struct sb_request *request, enum sb_sub_kind kind) {
  if (request->count == 2) {
    sb_reply_array(sb_reply_of(c), 0);
    return SB_HELD_NOT;
  }
  return sb_answer_result(
      c, sb_core_ask(sb_hub_of(c), &c->session, kind, &request->args[2], request->count - 2));
}

enum sb_held sb_run_pubsub_numsub(struct sb_connection *c, const struct sb_request *request) {
  return numsub(c, request, SB_SUB_CHANNEL);
}

enum sb_held sb_run_pubsub_shardnumsub(struct sb_connection *c, const struct sb_request *request) {
  return numsub(c, request, SB_SUB_SHARD);
}

enum sb_held sb_run_pubsub_numpat(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  return sb_answer_result(c, sb_core_ask(sb_hub_of(c), &c->session, SB_SUB_PATTERN, NULL, 0));
}

enum sb_held sb_run_pubsub_help(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  static const char *const lines[] = {
      "CHANNELS [<pattern>]",
      "    Return the currently active channels matching a <pattern> (default: '*').",
      "NUMPAT",
      "    Return number of subscriptions to patterns.",
      "NUMSUB [<channel> ...]",
      "    Return the number of subscribers for the specified channels, excluding",
      "    pattern subscriptions(default: no channels).",
      "SHARDCHANNELS [<pattern>]",
      "    Return the currently active shard level channels matching a <pattern> (default: '*').",
      "SHARDNUMSUB [<shardchannel> ...]",
      "    Return the number of subscribers for the specified shard level channel(s)",
      NULL,
  };
  sb_answer_help(sb_reply_of(c), "PUBSUB", lines);
  return SB_HELD_NOT;
}
