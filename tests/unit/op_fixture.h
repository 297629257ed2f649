/* Commands of op.h on the keys and the history of one node: those that write go through an entry in a body of
 * its own, as they do in the bridge, the others are run as they came. */
#ifndef SB_TESTS_UNIT_OP_FIXTURE_H
#define SB_TESTS_UNIT_OP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/base/body.h"
#include "bridge/base/reply.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/wire/entry.h"

#define OP_GENERATION 1000
#define OP_ARGS_MAX   64
#define OP_NOW_MS     UINT64_C(1700000000000)

struct op_node {
  struct sb_keys keys;
  struct sb_history history;
  bool no_history; /* it only follows the state */
  uint64_t now_ms, sequence;
  uint64_t ahead_ms; /* of the clock of who sends, that log time is */
  uint8_t proto;
  struct sb_buf reply;
  bool added, written; /* by the last command */
};

static inline void op_open(struct op_node *node) {
  *node = (struct op_node){.now_ms = OP_NOW_MS, .proto = 2};
  sb_history_init(&node->history, (size_t)1024 * 1024, 0);
}

static inline void op_close(struct op_node *node) {
  sb_keys_close(&node->keys);
  sb_history_close(&node->history);
  sb_buf_close(&node->reply);
}

/* Words between single spaces; '' is an empty one. */
static inline uint32_t op_words(const char *text, struct sb_bytes *args) {
  uint32_t count = 0;
  for (;;) {
    size_t len = strcspn(text, " ");
    assert_true(count < OP_ARGS_MAX);
    args[count++] = len == 2 && text[0] == '\'' ? sb_bytes(text, 0) : sb_bytes(text, len);
    if (text[len] == 0) return count;
    text += len + 1;
  }
}

static inline struct sb_op_place op_place(struct op_node *node) {
  struct sb_id id = sb_id_at(OP_GENERATION, node->sequence, 0), applied = id;
  sb_id_previous(&applied);
  return (struct sb_op_place){.keys = &node->keys,
                              .history = node->no_history ? NULL : &node->history,
                              .now_ms = node->now_ms,
                              .id = id,
                              .applied = applied,
                              .proto = node->proto,
                              .reply = &node->reply};
}

/* Applies a body that is one entry; it must be one. */
static inline void op_apply(struct op_node *node, struct sb_bytes entry) {
  struct sb_bytes *args = sb_calloc(entry.len, sizeof *args);
  struct sb_body *body = sb_body_new(entry.len);
  struct sb_op op;
  uint32_t off = 0;
  memcpy(body->data, entry.at, entry.len);
  sb_keys_expire(&node->keys, node->now_ms);
  sb_history_batch(&node->history, OP_GENERATION, node->sequence, body, node->now_ms);
  struct sb_op_place place = op_place(node);
  place.body = sb_bytes(body->data, body->len);
  uint32_t count = sb_entry_args(place.body, &off, args, (uint32_t)entry.len);
  assert_int_equal(off, entry.len);
  const char *error = sb_op_parse(args, count, true, &op);
  if (error)
    sb_reply_error_text(&node->reply, error);
  else
    sb_op_run(&op, &place);
  node->added = place.added;
  node->written = place.written;
  sb_body_unref(body);
  free(args);
}

static inline void op_read_streams(struct op_node *node, const struct sb_op *op) {
  struct sb_op_place place = op_place(node);
  struct sb_buf found = {0};
  struct sb_id after[OP_ARGS_MAX];
  const char *error = NULL;
  uint32_t count = 0;
  for (uint32_t i = 0; i < op->keys_count && !error; i++)
    if (!sb_op_read_from(&place, op->keys[i], op->args[op->ids_at + i], &after[i]))
      error = "Invalid stream ID specified as stream command argument";
  place.reply = &found;
  for (uint32_t i = 0; i < op->keys_count && !error; i++)
    count += sb_op_read_stream(&place, op->keys[i], after[i], op->limit, &error);
  if (error)
    sb_reply_error_text(&node->reply, error);
  else if (count == 0)
    sb_reply_null_array(&node->reply, node->proto);
  else if (node->proto == 2)
    sb_reply_array(&node->reply, count);
  else
    sb_reply_map(&node->reply, node->proto, count);
  if (!error) sb_buf_append(&node->reply, found.data, found.len);
  sb_buf_close(&found);
}

/* What a session's command does; its reply is in node->reply, and takes one sequence. */
static inline void op_run_args(struct op_node *node, const struct sb_bytes *args, uint32_t count) {
  struct sb_op op;
  struct sb_buf entry = {0};
  node->sequence++;
  node->added = node->written = false;
  sb_buf_clear(&node->reply);
  const char *error = sb_op_parse(args, count, false, &op);
  if (error) {
    sb_reply_error_text(&node->reply, error);
  } else if (op.name == SB_OP_XREAD) {
    op_read_streams(node, &op);
  } else if (op.writes) {
    sb_op_entry(&op, node->now_ms - node->ahead_ms, &entry);
    op_apply(node, sb_buf_bytes(&entry));
  } else {
    struct sb_op_place place = op_place(node);
    sb_op_run(&op, &place);
    assert_false(place.written || place.added);
  }
  sb_buf_close(&entry);
}

/* The reply as a text. */
static inline const char *op_run(struct op_node *node, const char *text) {
  struct sb_bytes args[OP_ARGS_MAX];
  op_run_args(node, args, op_words(text, args));
  sb_buf_append(&node->reply, "", 1);
  node->reply.len--;
  return (const char *)node->reply.data;
}

struct op_said {
  const char *command, *reply;
};

static inline void op_expect_all(struct op_node *node, const struct op_said *said, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const char *reply = op_run(node, said[i].command);
    if (strcmp(reply, said[i].reply) != 0) print_message("%s\n", said[i].command);
    assert_string_equal(reply, said[i].reply);
  }
}

#endif
