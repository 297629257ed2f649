/* Commands on keys and streams, as sessions ask for them: those that write become entries, the others are run
 * here and now on what this node knows. */
#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/reply.h"
#include "bridge/core/commands/errors.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/commands/read_streams.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/ranges.h"
#include "bridge/core/log/run_op.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/intake.h"
#include "bridge/core/sessions/positions.h"
#include "bridge/core/sessions/reading.h"
#include "bridge/core/sessions/replies.h"
#include "bridge/core/sessions/ring.h"
#include "bridge/core/sessions/room.h"
#include "bridge/core/sessions/serve.h"
#include "bridge/core/sessions/session.h"
#include "bridge/core/sessions/sessions.h"
#include "bridge/core/state/glob_index.h"
#include "bridge/core/wire/entry.h"
#include "bridge/core/wire/id.h"
#include "bridge/core/wire/op_name.h"
#include "bridge/core/wire/sidebus.h"

/* Where the streams of an XREAD are read from. False: one of its ids is not valid; the reply says so. */
static bool read_from(struct sb_core *core, const struct sb_op *op, struct sb_id *after,
                      struct sb_buf *reply) {
  for (uint32_t i = 0; i < op->keys_count; i++) {
    struct sb_op_place place = sb_read_place(sb_part_of(&core->logs, op->keys[i]), 2, NULL);
    if (sb_op_read_from(&place, op->keys[i], op->args[op->ids_at + i], &after[i])) continue;
    sb_reply_error_text(reply, SB_OP_BAD_ID);
    return false;
  }
  return true;
}

/* ---- reading ---- */

/* Before its state is known, nothing is known of a log. A client that reads a stream may hold a position from
 * before this node started, so it waits until what the log held then has been read (prefill). */
static bool may_read_log(struct sb_core *core, const struct sb_partition *part, bool streams) {
  if (sb_partition_is_ready(part) && !(streams && sb_back_is_running(&part->prefill))) return true;
  sb_logs_want_look(&core->logs);
  return false;
}

static bool may_read(struct sb_core *core, const struct sb_op *op) {
  for (uint32_t i = 0; i < op->keys_count; i++)
    if (!may_read_log(core, sb_part_of(&core->logs, op->keys[i]), op->name >= SB_OP_XADD)) return false;
  return true;
}

static bool is_from_last(const struct sb_op *op, uint32_t at) {
  return sb_bytes_is(op->args[op->ids_at + at], "$");
}

/* Notes where the streams with a "$" stand now. From there the XREAD reads, however long it has to wait.
 * False: the state of one of their logs is not known, and so neither is that. */
static bool note_last_ids(struct sb_core *core, struct sb_session *session, const struct sb_op *op) {
  struct sb_id *ids = NULL;
  bool known = true;
  for (uint32_t i = 0; i < op->keys_count; i++) {
    struct sb_partition *part = sb_part_of(&core->logs, op->keys[i]);
    if (!is_from_last(op, i)) continue;
    if (!ids) ids = sb_positions_last_ids(&session->positions, op);
    if (!sb_id_is_none(ids[i])) continue;
    const struct sb_op_place place = sb_read_place(part, session->proto, NULL);
    if (may_read_log(core, part, false))
      sb_op_read_from(&place, op->keys[i], sb_bytes_of("$"), &ids[i]);
    else
      known = false;
  }
  if (!ids) sb_positions_forget_last_ids(&session->positions);
  return known;
}

static void use_last_ids(const struct sb_session *session, const struct sb_op *op, struct sb_id *after) {
  const struct sb_id *ids = sb_positions_kept_ids(session->positions);
  for (uint32_t i = 0; i < op->keys_count && ids; i++)
    if (is_from_last(op, i)) after[i] = ids[i];
}

/* Whether the request waits for a position that this node has not come to. A client that moves from node to
 * node brings positions that the new node comes to in moments. */
static bool is_ahead(struct sb_core *core, struct sb_session *session, const struct sb_op *op) {
  if (op->name != SB_OP_XRANGE && op->name != SB_OP_XREVRANGE) return false;
  const struct sb_partition *part = sb_part_of(&core->logs, op->keys[0]);
  struct sb_id applied = sb_id_end_of(part->state.generation, part->applied);
  if (op->nothing || op->from.ms != applied.ms || sb_id_compare(op->from, applied) <= 0) return false;
  uint64_t until_ms;
  if (!sb_positions_wait_ahead(&session->positions, core->logs.now_ms, &until_ms)) return false;
  sb_logs_want_look(&core->logs);
  sb_logs_want_look_by(&core->logs, until_ms);
  return true;
}

static enum sb_range_says ask_range(struct sb_core *core, struct sb_session *session, const struct sb_op *op,
                                    const char **why) {
  const struct sb_range_ask ask = {.names = op->keys,
                                   .from = &op->from,
                                   .count = 1,
                                   .to = op->to,
                                   .backwards = op->name == SB_OP_XREVRANGE,
                                   .limit = op->limit};
  if ((op->name != SB_OP_XRANGE && op->name != SB_OP_XREVRANGE) || op->nothing) return SB_RANGE_HERE;
  return sb_ranges_ask(&core->logs, session, &ask, why);
}

enum sb_result sb_core_read(struct sb_core *core, struct sb_session *session, const struct sb_op *op,
                            struct sb_buf *reply) {
  const char *why;
  if (sb_session_waiting(session) > 0) return SB_WAIT;
  if (!may_read(core, op) || is_ahead(core, session, op)) return SB_WAIT;
  sb_positions_go_on(session->positions);
  enum sb_range_says says = ask_range(core, session, op, &why);
  if (says == SB_RANGE_WAITS) return SB_WAIT;
  struct sb_op_place place = sb_session_place(core, session, op->keys[0], reply);
  if (says == SB_RANGE_FAILED)
    sb_reply_error_text(reply, why);
  else
    sb_op_run(op, &place);
  sb_ranges_end(&core->logs, session);
  return SB_DONE;
}

enum sb_result sb_core_read_streams(struct sb_core *core, struct sb_session *session, const struct sb_op *op,
                                    struct sb_buf *reply) {
  if (sb_session_waiting(session) > 0) return SB_WAIT;
  if (!note_last_ids(core, session, op) || !may_read(core, op)) return SB_WAIT;
  struct sb_id *after = sb_calloc(op->keys_count, sizeof *after);
  const struct sb_streams streams = {op->keys, after, op->keys_count, op->limit, false};
  enum sb_reading found = SB_READ_SOMETHING;
  if (read_from(core, op, after, reply)) {
    use_last_ids(session, op, after);
    found = sb_read_streams(core, session, &streams, reply);
  }
  if (found == SB_READ_NOTHING && op->blocks)
    sb_session_block(core, session, &streams, op->block_ms);
  else if (found == SB_READ_NOTHING)
    sb_reply_null_array(reply, session->proto);
  free(after);
  if (found == SB_READ_LATER) return SB_WAIT;
  sb_positions_forget_last_ids(&session->positions);
  return SB_DONE;
}

/* ---- writing ---- */

/* Room for one entry that a session waits for, alone in its batch if it must be. NULL: *result says why not.
 */
static uint8_t *room_for(struct sb_core *core, struct sb_partition *part, size_t len,
                         const struct sb_waiter *waiter, enum sb_result *result) {
  struct sb_waiter with_slot = *waiter;
  *result = sb_core_judge(core, len);
  if (*result != SB_DONE) return NULL;
  if (!sb_session_expect(waiter->session, 1, &with_slot.slot)) {
    *result = sb_core_wait_for_room(core);
    return NULL;
  }
  return sb_intake_published(part, len, &with_slot);
}

static enum sb_result send_entry(struct sb_core *core, struct sb_session *session, struct sb_partition *part,
                                 struct sb_bytes entry) {
  const struct sb_waiter waiter = {.session = session, .count = 1, .what = SB_WAITS_REPLY};
  enum sb_result result;
  uint8_t *at = room_for(core, part, entry.len, &waiter, &result);
  if (at) memcpy(at, entry.at, entry.len);
  return result;
}

enum sb_result sb_core_write(struct sb_core *core, struct sb_session *session, const struct sb_op *op) {
  sb_buf_clear(&core->entry);
  sb_op_entry(op, core->logs.unix_ms, &core->entry);
  return send_entry(core, session, sb_part_of(&core->logs, op->keys[0]), sb_buf_bytes(&core->entry));
}

enum sb_result sb_core_number(struct sb_core *core, struct sb_session *session, struct sb_bytes key,
                              struct sb_bytes payload) {
  const struct sb_sidebus said = {.word = SB_SIDEBUS_NUMBER, .number = {key, payload}};
  sb_buf_clear(&core->entry);
  sb_sidebus_append(&core->entry, &said);
  return send_entry(core, session, sb_part_of(&core->logs, key), sb_buf_bytes(&core->entry));
}

enum sb_result sb_core_publish_each(struct sb_core *core, struct sb_session *session,
                                    const struct sb_bytes *channels, uint32_t count, struct sb_bytes payload,
                                    struct sb_bytes reply) {
  size_t total = 0;
  struct sb_waiter waiter = {.session = session, .count = 1, .what = SB_WAITS_ANSWER};
  for (uint32_t i = 0; i < count; i++) {
    const struct sb_bytes args[] = {sb_bytes_of("PUBLISH"), channels[i], payload};
    size_t len = sb_entry_size(args, 3);
    if (sb_core_channel(core, channels[i]) != SB_DONE) return SB_REFUSED;
    if (len > core->logs.whole_max) return sb_core_too_large(core, len);
    total += len;
  }
  if (count > SB_SLOT_LEFT_MAX) return sb_core_refuse(core, "more than %d channels", SB_SLOT_LEFT_MAX);
  if (total > core->logs.settings.outbox_bytes)
    return sb_core_refuse(
        core,
        "%u messages of %zu bytes together are more than the %zu bytes of outbox.max_bytes, "
        "use fewer channels in one request",
        count, total, core->logs.settings.outbox_bytes);
  enum sb_result result = sb_core_judge_all(core, total);
  if (result != SB_DONE) return result;
  if (!sb_session_expect(session, 1, &waiter.slot)) return sb_core_wait_for_room(core);
  for (uint32_t i = 0; i < count; i++) {
    const struct sb_bytes args[] = {sb_bytes_of("PUBLISH"), channels[i], payload};
    size_t len = sb_entry_size(args, 3);
    struct sb_partition *part = sb_part_of(&core->logs, channels[i]);
    sb_partition_make_room_to_match(part, channels[i], 1);
    sb_entry_write(sb_intake_published(part, len, &waiter), args, 3);
  }
  sb_session_prepare(core, session, waiter.slot, reply, count);
  return SB_DONE;
}

/* ---- EXEC ---- */

static void run_reads(struct sb_core *core, struct sb_session *session, struct sb_partition *part,
                      struct sb_bytes entries, uint32_t count, struct sb_buf *reply) {
  struct sb_op_place place = sb_read_place(part, session->proto, reply);
  struct sb_entry entry;
  uint32_t off = 0;
  place.body = entries;
  sb_reply_array(reply, count);
  for (uint32_t i = 0; i < count && sb_entry_in_multi(entries, &off, &entry); i++)
    if (entry.kind == SB_ENTRY_OP)
      sb_op_entry_run(&core->logs, &entry, &place);
    else
      sb_op_entry_echo(entries, &entry, reply);
}

/* "MULTI <entry> …": each argument is a view of one of the entries. */
static void make_multi(struct sb_core *core, struct sb_bytes entries, uint32_t count) {
  struct sb_bytes *args = sb_calloc((size_t)count + 1, sizeof *args);
  uint32_t off = 0;
  args[0] = sb_bytes_of("MULTI");
  for (uint32_t i = 0; i < count; i++) {
    uint32_t begin = off;
    sb_entry_skip(entries, &off);
    args[i + 1] = sb_bytes(entries.at + begin, off - begin);
  }
  sb_buf_clear(&core->entry);
  sb_entry_append(&core->entry, args, count + 1);
  free(args);
}

static bool may_be_matched(const struct sb_partition *part, struct sb_bytes entries, uint32_t count) {
  const struct sb_glob_index *globs = &part->state.counts.globs;
  struct sb_entry entry;
  uint64_t steps = 0;
  uint32_t off = 0;
  if (globs->count == 0) return true;
  for (uint32_t i = 0; i < count && sb_entry_in_multi(entries, &off, &entry); i++)
    if (entry.kind == SB_ENTRY_PUBLISH) steps += sb_glob_index_steps(globs, entry.key_len);
  return steps <= SB_MULTI_STEPS_MAX;
}

enum sb_result sb_core_exec(struct sb_core *core, struct sb_session *session, uint32_t partition,
                            struct sb_bytes entries, uint32_t count, bool writes, struct sb_buf *reply) {
  struct sb_partition *part = &core->logs.partitions[partition];
  if (!writes) {
    if (!may_read_log(core, part, true)) return SB_WAIT;
    run_reads(core, session, part, entries, count, reply);
    return SB_DONE;
  }
  if (!may_be_matched(part, entries, count))
    return sb_core_refuse(core, "-EXECABORT Transaction discarded because of: its messages cost too much to "
                                "match with the patterns of the cluster");
  make_multi(core, entries, count);
  struct sb_bytes entry = sb_buf_bytes(&core->entry);
  enum sb_result result = sb_core_judge(core, entry.len);
  if (result != SB_DONE) return result;
  /* In a batch of its own: each command may take one of the ids that a batch has. */
  sb_outbox_seal(&part->outbox, core->logs.settings.compress);
  result = send_entry(core, session, part, entry);
  sb_outbox_seal(&part->outbox, core->logs.settings.compress);
  if (core->entry.cap > SB_OUTPUT_CHUNK_BYTES) sb_buf_close(&core->entry);
  return result;
}
