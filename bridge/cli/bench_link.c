#include "bridge/cli/bench_link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "bridge/cli/bench_reply.h"
#include "bridge/cli/client.h"

static redisContext *dial(const char *where, struct timeval patience, struct sb_error *error) {
  const char *colon = strrchr(where, ':');
  redisContext *redis = NULL;
  if (!colon || strchr(where, '/')) {
    redis = redisConnectUnixWithTimeout(where, patience);
  } else {
    uint64_t port = 0;
    struct sb_buf host = {0};
    if (!sb_bytes_u64(sb_bytes_of(colon + 1), 65535, &port)) {
      sb_error_set(error, SB_ERR_INVALID, "neither a path nor host:port");
      return NULL;
    }
    sb_buf_append(&host, where, (size_t)(colon - where));
    sb_buf_append(&host, "", 1);
    redis = redisConnectWithTimeout((const char *)host.data, (int)port, patience);
    sb_buf_close(&host);
  }
  if (!redis) sb_error_set(error, SB_ERR_SYSTEM, "no memory");
  return redis;
}

int sb_bench_link_open(struct sb_bench_link *link, const struct sb_bench_plan *plan, const char *where,
                       struct sb_error *error) {
  double whole = (double)(time_t)plan->patience;
  struct timeval patience = {.tv_sec = (time_t)plan->patience,
                             .tv_usec = (suseconds_t)((plan->patience - whole) * 1e6)};
  *link = (struct sb_bench_link){.plan = plan, .redis = dial(where, patience, error)};
  int rc = link->redis ? 0 : SB_ERR_LINK;
  if (rc == 0 && (link->redis->err || redisSetTimeout(link->redis, patience) != REDIS_OK)) {
    rc = sb_error_set(error, SB_ERR_LINK, "%s", link->redis->errstr);
  }
  if (rc != 0) {
    sb_error_wrap(error, "%s", where);
    return rc;
  }
  link->received = sb_malloc(SB_BENCH_RECEIVE_BYTES);
  const char *words[] = {"AUTH", getenv("SIDEBUS_PASSWORD")};
  if (!words[1]) return 0;
  const size_t lens[] = {strlen(words[0]), strlen(words[1])};
  return sb_bench_link_call(link, 2, words, lens, REDIS_REPLY_STATUS, error);
}

void sb_bench_link_close(struct sb_bench_link *link) {
  if (link->redis) redisFree(link->redis);
  free(link->received);
  *link = (struct sb_bench_link){0};
}

int sb_bench_link_lost(const struct sb_bench_link *link, struct sb_error *error) {
  if (link->redis->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    return sb_error_set(error, SB_ERR_TIMEOUT, "the server did not read for %.0f s", link->plan->patience);
  }
  if (sb_cli_last_words(link->redis, error)) return SB_ERR_REFUSED;
  return sb_error_set(error, SB_ERR_LINK, "%s", link->redis->errstr);
}

int sb_bench_link_flush(struct sb_bench_link *link, struct sb_error *error) {
  for (int done = 0; !done;) {
    if (redisBufferWrite(link->redis, &done) != REDIS_OK) return sb_bench_link_lost(link, error);
  }
  return 0;
}

int sb_bench_link_receive(struct sb_bench_link *link, struct sb_error *error) {
  ssize_t got = 0;
  do {
    got = recv(link->redis->fd, link->received, SB_BENCH_RECEIVE_BYTES, 0);
  } while (got < 0 && errno == EINTR);
  link->at = 0;
  link->len = got > 0 ? (size_t)got : 0;
  if (got > 0) return 0;
  if (got == 0) return sb_error_set(error, SB_ERR_LINK, "the server closed the connection");
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    return sb_error_set(error, SB_ERR_TIMEOUT, "nothing came for %.0f s", link->plan->patience);
  }
  return sb_error_errno(error, errno, "receiving");
}

bool sb_bench_link_readable(const struct sb_bench_link *link, uint64_t wait_ns) {
  struct pollfd wait = {.fd = link->redis->fd, .events = POLLIN};
  return poll(&wait, 1, (int)((wait_ns + 999999) / 1000000)) > 0;
}

int sb_bench_link_next(struct sb_bench_link *link, redisReply **reply, struct sb_error *error) {
  redisReader *reader = link->redis->reader;
  for (;;) {
    void *object = NULL;
    if (redisReaderGetReply(reader, &object) != REDIS_OK) {
      return sb_error_set(error, SB_ERR_PROTOCOL, "%s", reader->errstr);
    }
    *reply = object;
    size_t left = link->len - link->at;
    if (object || left == 0) return 0;
    size_t slice = left < SB_BENCH_SLICE_BYTES ? left : SB_BENCH_SLICE_BYTES;
    if (redisReaderFeed(reader, (const char *)link->received + link->at, slice) != REDIS_OK) {
      return sb_error_set(error, SB_ERR_PROTOCOL, "%s", reader->errstr);
    }
    link->at += slice;
  }
}

int sb_bench_link_await(struct sb_bench_link *link, redisReply **reply, struct sb_error *error) {
  for (;;) {
    int rc = sb_bench_link_next(link, reply, error);
    if (rc != 0 || *reply) return rc;
    rc = sb_bench_link_receive(link, error);
    if (rc != 0) return rc;
  }
}

int sb_bench_link_call(struct sb_bench_link *link, int argc, const char **words, const size_t *lens, int type,
                       struct sb_error *error) {
  redisReply *reply = NULL;
  if (redisAppendCommandArgv(link->redis, argc, words, lens) != REDIS_OK) {
    return sb_bench_link_lost(link, error);
  }
  int rc = sb_bench_link_flush(link, error);
  if (rc == 0) rc = sb_bench_link_await(link, &reply, error);
  if (rc == 0 && reply->type != type) {
    rc = sb_error_set(error, SB_ERR_PROTOCOL, "%s was answered with \"%.200s\"", words[0],
                      reply->str ? reply->str : "something else");
  }
  sb_bench_reply_free(link->redis, reply);
  return rc;
}
