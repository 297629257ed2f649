#include "bridge/cli/bench_redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bridge/cli/bench_link.h"
#include "bridge/cli/bench_payload.h"
#include "bridge/cli/bench_reply.h"

/* ---- the publisher ---- */

struct publisher {
  const struct sb_bench_plan *plan;
  struct sb_bench_seat *seat;
  struct sb_bench_link link;
  uint8_t *block;
  struct sb_buf *heads;  /* per channel: the command up to the payload */
  struct sb_buf command; /* the one that is being put together */
  uint64_t sent, answered;
};

static void publisher_init(struct publisher *p, const struct sb_bench_plan *plan,
                           struct sb_bench_seat *seat) {
  *p = (struct publisher){.plan = plan, .seat = seat, .block = sb_bench_block_new(plan->compressible)};
  p->heads = sb_calloc(plan->channels, sizeof *p->heads);
  for (unsigned i = 0; i < plan->channels; i++) {
    struct sb_bytes name = sb_buf_bytes(&plan->names[i]);
    sb_buf_printf(&p->heads[i], "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%.*s\r\n$%zu\r\n", name.len, (int)name.len,
                  (const char *)name.at, plan->payload_bytes);
  }
}

static void publisher_close(struct publisher *p) {
  for (unsigned i = 0; p->heads && i < p->plan->channels; i++) sb_buf_close(&p->heads[i]);
  free(p->heads);
  free(p->block);
  sb_buf_close(&p->command);
  sb_bench_link_close(&p->link);
}

/* hiredis formats commands as well, but it allocates and copies once more for each. */
static int append(struct publisher *p, uint64_t now_ns, struct sb_error *error) {
  const struct sb_bench_plan *plan = p->plan;
  const struct sb_buf *head = &p->heads[p->sent % plan->channels];
  struct sb_bench_stamp stamp = {.run = plan->run,
                                 .publisher = (uint16_t)p->seat->index,
                                 .kind = SB_BENCH_DATA,
                                 .number = p->sent,
                                 .sent_ns = now_ns};
  struct sb_buf *command = &p->command;
  sb_buf_clear(command);
  sb_buf_append(command, head->data, head->len);
  sb_buf_reserve(command, plan->payload_bytes + 2);
  sb_bench_payload_write(command->data + command->len, plan->payload_bytes, &stamp, p->block);
  command->len += plan->payload_bytes;
  sb_buf_append(command, "\r\n", 2);
  if (redisAppendFormattedCommand(p->link.redis, (const char *)command->data, command->len) != REDIS_OK) {
    return sb_bench_link_lost(&p->link, error);
  }
  p->sent++;
  return 0;
}

/* Waits for answers and counts those that have come. */
static int read_answers(struct publisher *p, struct sb_error *error) {
  int rc = sb_bench_link_receive(&p->link, error);
  while (rc == 0) {
    redisReply *reply = NULL;
    rc = sb_bench_link_next(&p->link, &reply, error);
    if (!reply) break;
    if (reply->type == REDIS_REPLY_INTEGER && p->answered < p->sent) {
      p->answered++;
    } else {
      rc = sb_error_set(error, SB_ERR_PROTOCOL, "PUBLISH was answered with \"%.200s\"",
                        reply->str ? reply->str : "something else than a number");
    }
    sb_bench_reply_free(p->link.redis, reply);
  }
  return rc;
}

static int publish_all(struct publisher *p, uint64_t until_ns, struct sb_error *error) {
  const struct sb_bench_plan *plan = p->plan;
  int rc = 0;
  while (rc == 0) {
    uint64_t now = sb_bench_now_ns();
    bool more = now < until_ns && p->sent < plan->messages;
    if (!more && p->answered == p->sent) return 0;
    while (more && rc == 0 && p->sent < plan->messages && p->sent - p->answered < plan->window) {
      rc = append(p, now, error);
    }
    if (rc == 0) rc = sb_bench_link_flush(&p->link, error);
    if (rc == 0) rc = read_answers(p, error);
  }
  return rc;
}

/* A message carries the time at which it is written. After a full window it carries the time at which it was
 * due, because else the wait would be seen in no latency. */
static int publish_paced(struct publisher *p, uint64_t start_ns, uint64_t until_ns, struct sb_error *error) {
  const struct sb_bench_plan *plan = p->plan;
  bool behind = false;
  int rc = 0;
  while (rc == 0 && p->sent < plan->messages) {
    uint64_t now = sb_bench_now_ns(), due = sb_bench_due_ns(plan, p->seat->index, start_ns, p->sent);
    if (due >= until_ns) break;
    if (p->sent - p->answered >= plan->window) {
      behind = true;
      rc = read_answers(p, error);
      continue;
    }
    if (due <= now) {
      rc = append(p, behind ? due : now, error);
      if (rc == 0) rc = sb_bench_link_flush(&p->link, error);
      continue;
    }
    behind = false;
    if (p->answered < p->sent && sb_bench_link_readable(&p->link, 0)) rc = read_answers(p, error);
    sb_bench_sleep_until(due);
  }
  while (rc == 0 && p->answered < p->sent) rc = read_answers(p, error);
  return rc;
}

static int publish(const struct sb_bench_plan *plan, struct sb_bench_seat *seat, struct sb_error *error) {
  struct publisher p;
  publisher_init(&p, plan, seat);
  int rc = sb_bench_link_open(&p.link, plan, sb_bench_publish_socket(plan, seat->index), error);
  if (rc == 0 && plan->lean) sb_bench_reply_lean(p.link.redis);
  if (rc == 0) rc = sb_bench_go(seat, error);
  if (rc == 0) {
    uint64_t start = seat->client->first_ns = sb_bench_now_ns();
    uint64_t until = plan->seconds > 0 ? start + (uint64_t)(plan->seconds * 1e9) : UINT64_MAX;
    rc = plan->rate > 0 ? publish_paced(&p, start, until, error) : publish_all(&p, until, error);
  }
  seat->client->sent = p.answered;
  publisher_close(&p);
  return rc;
}

/* ---- the end marks ---- */

static int finish(const struct sb_bench_plan *plan, struct sb_error *error) {
  struct sb_bench_link link;
  int rc = sb_bench_link_open(&link, plan, sb_bench_publish_socket(plan, 0), error);
  for (unsigned i = 0; rc == 0 && i < plan->channels; i++) {
    struct sb_bench_stamp stamp = {.run = plan->run, .kind = SB_BENCH_END, .number = i};
    const char *words[] = {"PUBLISH", (const char *)plan->names[i].data, (const char *)&stamp};
    const size_t lens[] = {strlen(words[0]), plan->names[i].len, sizeof stamp};
    rc = sb_bench_link_call(&link, 3, words, lens, REDIS_REPLY_INTEGER, error);
  }
  sb_bench_link_close(&link);
  return rc;
}

/* ---- the subscriber ---- */

static int subscribe_channels(struct sb_bench_link *link, struct sb_error *error) {
  const struct sb_bench_plan *plan = link->plan;
  const char **words = sb_calloc(plan->channels + 1, sizeof *words);
  size_t *lens = sb_calloc(plan->channels + 1, sizeof *lens);
  words[0] = "SUBSCRIBE";
  lens[0] = strlen(words[0]);
  for (unsigned i = 0; i < plan->channels; i++) {
    words[i + 1] = (const char *)plan->names[i].data;
    lens[i + 1] = plan->names[i].len;
  }
  int rc = sb_bench_link_call(link, (int)plan->channels + 1, words, lens, REDIS_REPLY_ARRAY, error);
  free(words);
  free(lens);
  for (unsigned i = 1; rc == 0 && i < plan->channels; i++) {
    redisReply *reply = NULL;
    rc = sb_bench_link_await(link, &reply, error);
    sb_bench_reply_free(link->redis, reply);
  }
  return rc;
}

static bool is_message(const redisReply *reply) {
  return reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
         reply->element[1]->type == REDIS_REPLY_STRING && reply->element[2]->type == REDIS_REPLY_STRING;
}

static int take_received(struct sb_bench_link *link, struct sb_bench_tracker *tracker, uint64_t now_ns,
                         struct sb_error *error) {
  for (int rc = 0;;) {
    redisReply *reply = NULL;
    rc = sb_bench_link_next(link, &reply, error);
    if (!reply) return rc;
    if (is_message(reply)) {
      const redisReply *channel = reply->element[1], *payload = reply->element[2];
      sb_bench_tracker_take(tracker, sb_bytes(channel->str, channel->len),
                            sb_bytes(payload->str, payload->len), now_ns);
    } else {
      rc = sb_error_set(error, SB_ERR_PROTOCOL, "something else than a message came: %.200s",
                        reply->str ? reply->str : "no text");
    }
    sb_bench_reply_free(link->redis, reply);
    if (rc != 0) return rc;
  }
}

static int listen_to_the_end(struct sb_bench_link *link, struct sb_bench_tracker *tracker,
                             const struct sb_bench_seat *seat, struct sb_error *error) {
  uint64_t now = sb_bench_now_ns();
  for (;;) {
    int rc = 0;
    uint64_t wait = sb_bench_listen_ns(tracker, sb_bench_sent(link->plan, seat->result), now);
    if (wait == 0) return 0;
    if (tracker->open_channels > 0 || sb_bench_link_readable(link, wait)) {
      rc = sb_bench_link_receive(link, error);
    }
    now = sb_bench_now_ns();
    if (rc == 0) rc = take_received(link, tracker, now, error);
    if (rc != 0) return rc;
  }
}

static int subscribe(const struct sb_bench_plan *plan, struct sb_bench_seat *seat, struct sb_error *error) {
  struct sb_bench_link link;
  struct sb_bench_tracker tracker;
  sb_bench_tracker_init(&tracker, plan, &seat->result->tallies[seat->index]);
  int rc = sb_bench_link_open(&link, plan, sb_bench_subscribe_socket(plan, seat->index), error);
  if (rc == 0) rc = subscribe_channels(&link, error);
  if (rc == 0 && plan->lean) sb_bench_reply_lean(link.redis);
  if (rc == 0) rc = sb_bench_ready(seat, error);
  if (rc == 0) rc = listen_to_the_end(&link, &tracker, seat, error);
  sb_bench_link_close(&link);
  sb_bench_tracker_close(&tracker);
  return rc;
}

const struct sb_bench_roles sb_bench_redis = {.publish = publish, .subscribe = subscribe, .finish = finish};

/* ---- idle sessions ---- */

static int hold(const struct sb_bench_plan *plan, struct sb_bench_link *links, struct sb_error *error) {
  char ignored[256];
  for (unsigned i = 0; i < plan->idle; i++) {
    const char *ping = "PING";
    const size_t len = 4;
    int rc = sb_bench_link_open(&links[i], plan, plan->sockets.at[i % plan->sockets.count], error);
    if (rc == 0) rc = sb_bench_link_call(&links[i], 1, &ping, &len, REDIS_REPLY_STATUS, error);
    if (rc != 0) return sb_error_wrap(error, "session %u", i + 1);
  }
  printf("holding %u\n", plan->idle);
  fflush(stdout);
  while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) continue;
  return 0;
}

int sb_bench_hold_idle(const struct sb_bench_plan *plan, struct sb_error *error) {
  struct sb_bench_link *links = sb_calloc(plan->idle, sizeof *links);
  int rc = hold(plan, links, error);
  for (unsigned i = 0; i < plan->idle; i++) sb_bench_link_close(&links[i]);
  free(links);
  return rc;
}
