#include "bridge/cli/bench_reply.h"

#include <hiredis/hiredis.h>

#include "bridge/base/bytes.h"

#define OBJECTS_MAX 16 /* a message has four: the array and its three strings */

static struct {
  redisReply objects[OBJECTS_MAX];
  redisReply *elements[OBJECTS_MAX];
  unsigned used;
  struct sb_buf strings[OBJECTS_MAX];
} store;

/* NULL for a reply that no measurement gets: hiredis takes that for a lack of memory. */
static redisReply *take(const redisReadTask *task) {
  if (store.used == OBJECTS_MAX) return NULL;
  redisReply *reply = &store.objects[store.used++];
  *reply = (redisReply){.type = task->type};
  if (task->parent) {
    redisReply *parent = task->parent->obj;
    if (parent->element != store.elements || task->idx >= OBJECTS_MAX) return NULL;
    parent->element[task->idx] = reply;
  }
  return reply;
}

static void *make_string(const redisReadTask *task, char *text, size_t len) {
  redisReply *reply = take(task);
  if (!reply) return NULL;
  struct sb_buf *copy = &store.strings[store.used - 1];
  sb_buf_clear(copy);
  sb_buf_append(copy, text, len);
  sb_buf_append(copy, "", 1);
  reply->str = (char *)copy->data;
  reply->len = len;
  return reply;
}

static void *make_array(const redisReadTask *task, int elements) {
  redisReply *reply = take(task);
  if (!reply || task->parent || elements > OBJECTS_MAX) return NULL;
  reply->elements = (size_t)elements;
  reply->element = store.elements;
  return reply;
}

static void *make_integer(const redisReadTask *task, long long value) {
  redisReply *reply = take(task);
  if (reply) reply->integer = value;
  return reply;
}

static void *make_nil(const redisReadTask *task) {
  return take(task);
}

static void forget(void *reply) {
  (void)reply;
  store.used = 0;
}

void sb_bench_reply_lean(redisContext *link) {
  static redisReplyObjectFunctions lean = {make_string, make_array, make_integer, make_nil, forget};
  link->reader->fn = &lean;
}

void sb_bench_reply_free(redisContext *link, void *reply) {
  if (reply) link->reader->fn->freeObject(reply);
}
