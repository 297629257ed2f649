/* MULTI, EXEC, DISCARD, and WATCH, which is refused. Queued commands are kept as entries, one behind the
 * other, with the arguments as they were sent. EXEC gives them the form that they have in a log. A
 * transaction that writes is one entry there, so its commands are run together at one place. */
#include "bridge/redis/commands/transaction.h"

#include <stdlib.h>

#include "bridge/base/clock.h"
#include "bridge/base/limits.h"
#include "bridge/base/reply.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/core.h"
#include "bridge/core/wire/entry.h"
#include "bridge/redis/commands/answer.h"
#include "bridge/redis/commands/commands.h"
#include "bridge/redis/commands/handlers.h"
#include "bridge/redis/commands/words.h"
#include "bridge/redis/sockets/connection.h"

/* Bytes of a queued command besides its own when all of them travel as one entry. */
#define QUEUED_OVERHEAD 24

#define NAME_BYTES_MAX 16 /* of a command in the table */

struct sb_transaction {
  struct sb_buf entries;
  uint32_t count;
  uint32_t args_max; /* the most arguments that one of them has */
  uint32_t partition;
  bool has_partition; /* one of them has a key or a channel */
  bool writes;
  bool failed; /* EXEC will refuse it */
};

static struct sb_transaction *transaction_of(const struct sb_connection *c) {
  return c->words ? c->words->transaction : NULL;
}

size_t sb_transaction_bytes(const struct sb_connection *c) {
  const struct sb_transaction *transaction = transaction_of(c);
  return transaction ? sizeof *transaction + transaction->entries.cap : 0;
}

void sb_transaction_discard(struct sb_connection *c) {
  struct sb_words *words = c->words;
  if (!words) return;
  words->watch_refused = false;
  if (!words->transaction) return;
  sb_buf_close(&words->transaction->entries);
  free(words->transaction);
  words->transaction = NULL;
}

int64_t sb_transaction_count(const struct sb_connection *c) {
  const struct sb_transaction *transaction = transaction_of(c);
  return transaction ? (int64_t)transaction->count : -1;
}

void sb_transaction_rejected(struct sb_connection *c, const struct sb_command *command, bool fits) {
  struct sb_buf *reply = sb_reply_of(c);
  struct sb_transaction *transaction = transaction_of(c);
  if (transaction) transaction->failed = true;
  if (fits && command->run == sb_run_no_watch && !transaction) sb_words_of(c)->watch_refused = true;
  if (!command || command->run != sb_run_exec) return;
  sb_transaction_discard(c);
  /* Redis repeats the refusal without its "-ERR ", but with any other code. */
  struct sb_buf why = {0};
  size_t skip = reply->len > 5 && memcmp(reply->data, "-ERR ", 5) == 0 ? 5 : 1;
  sb_buf_append(&why, reply->data + skip, reply->len - skip);
  sb_buf_clear(reply);
  sb_reply_errorf(reply, "-EXECABORT Transaction discarded because of: %.*s", (int)why.len,
                  (const char *)why.data);
  sb_buf_close(&why);
}

/* ---- the queue ---- */

/* All keys and channels of a transaction must be of one partition: false when this one is not. */
static bool takes_partition(struct sb_connection *c, struct sb_bytes name) {
  struct sb_transaction *transaction = transaction_of(c);
  uint32_t partition = sb_core_partition(sb_hub_of(c), name);
  if (transaction->has_partition) return partition == transaction->partition;
  transaction->partition = partition;
  transaction->has_partition = true;
  return true;
}

/* Notes what the command means for the transaction: its partition, and whether it writes. Returns NULL, or
 * why it cannot be part of it. What Redis would do and this bridge does not is refused here. A command that
 * does not parse is queued: its reply is the error, as in Redis. */
static const char *join_in(struct sb_connection *c, const struct sb_command *command,
                           const struct sb_request *request) {
  struct sb_op op = {0};
  if (command->run == sb_run_publish || command->run == sb_run_spublish) {
    transaction_of(c)->writes = true;
    if (sb_core_channel(sb_hub_of(c), request->args[1]) != SB_DONE) return sb_core_refusal(sb_hub_of(c));
    return takes_partition(c, request->args[1]) ? NULL : SB_CROSS_SLOT;
  }
  if (command->run == sb_run_ping && request->count > 2)
    return "wrong number of arguments for 'ping' command";
  if (command->run != sb_run_op) return NULL;
  const char *error = sb_op_parse(request->args, request->count, false, &op);
  if (op.full) error = SB_OP_NO_FULL;
  if (op.refused) sb_note_unsupported(c, command->name, sb_bytes_of(op.refused));
  if (error) return op.refused ? error : NULL;
  if (op.writes) transaction_of(c)->writes = true;
  for (uint32_t i = 0; i < op.keys_count; i++)
    if (!takes_partition(c, op.keys[i])) return SB_CROSS_SLOT;
  return NULL;
}

static void append(struct sb_transaction *transaction, const struct sb_request *request) {
  uint8_t name[NAME_BYTES_MAX];
  struct sb_bytes sent = request->args[0];
  size_t len = sent.len < sizeof name ? sent.len : sizeof name;
  for (size_t i = 0; i < len; i++)
    name[i] = sent.at[i] >= 'a' && sent.at[i] <= 'z' ? (uint8_t)(sent.at[i] - ('a' - 'A')) : sent.at[i];
  request->args[0] = sb_bytes(name, len);
  sb_entry_append(&transaction->entries, request->args, request->count);
  request->args[0] = sent;
  transaction->count++;
  if (request->count > transaction->args_max) transaction->args_max = request->count;
}

enum sb_held sb_transaction_queue(struct sb_connection *c, const struct sb_command *command,
                                  const struct sb_request *request) {
  struct sb_transaction *transaction = transaction_of(c);
  struct sb_buf *reply = sb_reply_of(c);
  size_t bytes = transaction->entries.len + sb_entry_size(request->args, request->count) +
                 (transaction->count + (size_t)1) * QUEUED_OVERHEAD,
         most = sb_core_entry_max(sb_hub_of(c));
  const char *wrong = NULL;
  if (!(command->flags & SB_CMD_QUEUED)) {
    sb_reply_errorf(reply, "'%s' cannot be used inside MULTI here", command->name);
    sb_note_unsupported(c, command->name, sb_bytes_of("inside MULTI"));
  } else if (bytes > most) {
    sb_reply_errorf(reply, "transaction of %zu bytes is larger than the %zu bytes that the log takes", bytes,
                    most);
  } else if (transaction->count == SB_MULTI_COMMANDS_MAX) {
    sb_reply_errorf(reply, "transaction of more than %d commands", SB_MULTI_COMMANDS_MAX);
  } else if ((wrong = join_in(c, command, request)) != NULL) {
    sb_reply_error_text(reply, wrong);
  } else {
    if (!transaction->failed) append(transaction, request);
    sb_reply_simple(reply, "QUEUED");
    return SB_HELD_NOT;
  }
  transaction->failed = true;
  return SB_HELD_NOT;
}

/* ---- the commands ---- */

enum sb_held sb_run_multi(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  if (transaction_of(c)) {
    sb_reply_error_text(sb_reply_of(c), "MULTI calls can not be nested");
    return SB_HELD_NOT;
  }
  sb_words_of(c)->transaction = sb_calloc(1, sizeof(struct sb_transaction));
  sb_reply_simple(sb_reply_of(c), "OK");
  return SB_HELD_NOT;
}

enum sb_held sb_run_discard(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  if (!transaction_of(c)) {
    sb_reply_error_text(sb_reply_of(c), "DISCARD without MULTI");
    return SB_HELD_NOT;
  }
  sb_reply_simple(sb_reply_of(c), "OK");
  sb_transaction_discard(c);
  return SB_HELD_NOT;
}

/* A client may send WATCH and all that follows in one go, and not look at this reply. It does look at the
 * reply to EXEC, so EXEC fails too. */
enum sb_held sb_run_no_watch(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  if (transaction_of(c)) {
    sb_reply_error_text(sb_reply_of(c), "WATCH inside MULTI is not allowed");
    return SB_HELD_NOT;
  }
  sb_words_of(c)->watch_refused = true;
  sb_note_unsupported(c, c->last->name, sb_bytes(NULL, 0));
  sb_reply_error_text(sb_reply_of(c),
                      "WATCH is not supported: conditions are decided in log order, use SET with NX or XX");
  return SB_HELD_NOT;
}

enum sb_held sb_run_unwatch(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  if (c->words) c->words->watch_refused = false;
  sb_reply_simple(sb_reply_of(c), "OK");
  return SB_HELD_NOT;
}

/* A command that does not parse travels as it is, and every node that runs it finds the same error. But three
 * forms that are wrong from a client are right in an entry: SET with a PX of 0 or below, SET with PX and
 * PXAT, PEXPIRE with PXAT. They travel as SET with EX and as EXPIRE, which are refused in the same words. */
static void append_wrong(struct sb_bytes *args, uint32_t count, struct sb_buf *out) {
  struct sb_op op;
  bool is_right = sb_op_parse(args, count, true, &op) == NULL;
  if (is_right && sb_bytes_is(args[0], "PEXPIRE")) args[0] = sb_bytes_of("EXPIRE");
  for (uint32_t i = 3; is_right && i < count; i++)
    if (sb_bytes_is(args[i], "PX")) args[i] = sb_bytes_of("EX");
  sb_entry_append(out, args, count);
}

/* Times of the wall clock become relative at EXEC, since time has passed since the command was queued. */
static void write_entries(const struct sb_transaction *transaction, struct sb_buf *out) {
  struct sb_bytes queued = sb_buf_bytes(&transaction->entries);
  struct sb_bytes *args = sb_malloc(transaction->args_max * sizeof *args);
  uint64_t unix_ms = sb_clock_unix_ms();
  uint32_t off = 0;
  for (uint32_t i = 0; i < transaction->count; i++) {
    struct sb_op op;
    uint32_t count = sb_entry_args(queued, &off, args, transaction->args_max);
    if (sb_op_find(args, count) == SB_OP_NAMES)
      sb_entry_append(out, args, count);
    else if (sb_op_parse(args, count, false, &op) == NULL)
      sb_op_entry(&op, unix_ms, out);
    else
      append_wrong(args, count, out);
  }
  free(args);
}

enum sb_held sb_run_exec(struct sb_connection *c, const struct sb_request *request) {
  (void)request;
  struct sb_transaction *transaction = transaction_of(c);
  if (!transaction) {
    sb_reply_error_text(sb_reply_of(c), "EXEC without MULTI");
    return SB_HELD_NOT;
  }
  if (transaction->failed || c->words->watch_refused) {
    sb_reply_error_text(sb_reply_of(c), "-EXECABORT Transaction discarded because of previous errors.");
    sb_transaction_discard(c);
    return SB_HELD_NOT;
  }
  if (!transaction->writes && sb_session_waiting(&c->session) > 0) return SB_HELD_REPLIES;
  sb_buf_clear(&sb_commands_of(c)->scratch);
  write_entries(transaction, &sb_commands_of(c)->scratch);
  struct sb_bytes entries = sb_buf_bytes(&sb_commands_of(c)->scratch);
  enum sb_result result = sb_core_exec(sb_hub_of(c), &c->session, transaction->partition, entries,
                                       transaction->count, transaction->writes, sb_reply_of(c));
  enum sb_held held = sb_answer_result(c, result);
  if (held == SB_HELD_NOT) sb_transaction_discard(c);
  return held;
}
