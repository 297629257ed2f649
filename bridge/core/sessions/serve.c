#include "bridge/core/sessions/serve.h"

#include <stdlib.h>

#include "bridge/base/assert.h"
#include "bridge/base/bytes.h"
#include "bridge/base/limits.h"
#include "bridge/base/reply.h"
#include "bridge/core/log/back.h"
#include "bridge/core/log/logs.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/ranges.h"
#include "bridge/core/sessions/blocked.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/reading.h"
#include "bridge/core/sessions/replies.h"
#include "bridge/core/state/keys.h"
#include "bridge/core/wire/id.h"

/* ---- begin and end ---- */

/* The log may yet say that it has not expired. */
static bool is_hidden(const struct sb_partition *part, struct sb_bytes name) {
  return sb_keys_hide(&part->state.keys, name, sb_partition_log_time(part));
}

void sb_session_block(struct sb_core *core, struct sb_session *session, const struct sb_streams *streams,
                      uint64_t block_ms) {
  struct sb_awaited_stream *awaited = sb_calloc(streams->count, sizeof *awaited);
  uint32_t slot;
  SB_ASSERT(!session->blocked && sb_session_waiting(session) == 0); /* XREAD waits for that */
  if (!sb_session_expect(session, 1, &slot)) abort();
  for (uint32_t i = 0; i < streams->count; i++) {
    const struct sb_partition *part = sb_part_of(&core->logs, streams->names[i]);
    awaited[i] = (struct sb_awaited_stream){streams->names[i], streams->after[i], part->index,
                                            is_hidden(part, streams->names[i])};
  }
  session->blocked = sb_blocking_begin(&core->blocking, session, slot, awaited, streams->count,
                                       streams->limit, block_ms > 0 ? core->logs.now_ms + block_ms : 0);
  free(awaited);
}

static void end(struct sb_core *core, struct sb_blocked *blocked, struct sb_bytes reply) {
  struct sb_session *session = sb_blocked_session(blocked);
  uint32_t slot = sb_blocked_slot(blocked);
  SB_ASSERT(session->blocked == blocked && sb_session_waiting(session) == 1);
  sb_blocking_end(&core->blocking, blocked);
  session->blocked = NULL;
  sb_ranges_end(&core->logs, session);
  sb_session_answer(core, session, slot, reply);
}

static void end_with_nothing(struct sb_core *core, struct sb_blocked *blocked) {
  struct sb_buf reply = {0};
  sb_reply_null_array(&reply, sb_blocked_session(blocked)->proto);
  end(core, blocked, sb_buf_bytes(&reply));
  sb_buf_close(&reply);
}

void sb_session_unblock(struct sb_core *core, struct sb_session *session) {
  end(core, session->blocked, sb_bytes(NULL, 0));
}

/* ---- what the logs report ---- */

void sb_serve_added(struct sb_partition *part, struct sb_bytes key) {
  struct sb_id before = sb_id_end_of(part->state.generation, part->applied - 1);
  sb_blocking_wake(&sb_core_of(part)->blocking, key, before, part->followed_from);
}

void sb_serve_changed(struct sb_partition *part) {
  sb_blocking_wake_all(&sb_core_of(part)->blocking, part->index);
}

void sb_serve_passed(struct sb_partition *part) {
  struct sb_id applied = sb_id_end_of(part->state.generation, part->applied);
  sb_blocking_pass(&sb_core_of(part)->blocking, part->index, applied, part->followed_from);
}

void sb_serve_readable(struct sb_logs *logs) {
  sb_blocking_again(&sb_core_of_logs(logs)->blocking);
}

/* ---- the end of a turn ---- */

/* The history is being filled with what came before: the reader is served when that is done. */
static bool history_fills(const struct sb_core *core, const struct sb_awaited_stream *streams,
                          uint32_t count) {
  bool fills = false;
  for (uint32_t i = 0; i < count && !fills; i++) {
    const struct sb_partition *part = &core->logs.partitions[streams[i].partition];
    fills = sb_back_is_running(&part->prefill) && sb_id_compare(streams[i].after, part->followed_from) < 0;
  }
  return fills;
}

static enum sb_reading read_first(struct sb_core *core, const struct sb_blocked *blocked,
                                  struct sb_awaited_stream *awaited, uint32_t count, struct sb_buf *reply) {
  struct sb_bytes *names = sb_calloc(count, sizeof *names);
  struct sb_id *after = sb_calloc(count, sizeof *after);
  for (uint32_t i = 0; i < count; i++) {
    names[i] = awaited[i].name;
    after[i] = awaited[i].after;
  }
  const struct sb_streams streams = {names, after, count, sb_blocked_limit(blocked), true};
  enum sb_reading found = sb_read_streams(core, sb_blocked_session(blocked), &streams, reply);
  for (uint32_t i = 0; i < count; i++) awaited[i].after = after[i];
  free(after);
  free(names);
  return found;
}

/* What is there for it now: of one stream, as Redis answers who has waited when the first entry comes.
 * Nothing: it was deleted before anybody looked. Later: it came and went before anybody looked, and is read
 * back. */
static enum sb_reading look(struct sb_core *core, struct sb_blocked *blocked, struct sb_buf *reply) {
  uint32_t count = sb_blocked_count(blocked);
  struct sb_awaited_stream *awaited = sb_calloc(count, sizeof *awaited);
  enum sb_reading found = SB_READ_LATER;
  sb_blocked_streams(blocked, awaited);
  if (!history_fills(core, awaited, count)) {
    found = read_first(core, blocked, awaited, count, reply);
    sb_blocked_looked(blocked, awaited, found == SB_READ_NOTHING);
  }
  free(awaited);
  return found;
}

/* Returns how many bytes it was answered. */
static size_t serve(struct sb_core *core, struct sb_blocked *blocked) {
  struct sb_buf reply = {0};
  size_t bytes = 0;
  switch (look(core, blocked, &reply)) {
  case SB_READ_SOMETHING:
    bytes = reply.len;
    end(core, blocked, sb_buf_bytes(&reply));
    break;
  case SB_READ_LATER:
    sb_blocking_set_aside(&core->blocking, blocked);
    break;
  case SB_READ_NOTHING:
    if (sb_blocked_is_overdue(blocked)) end_with_nothing(core, blocked);
    break;
  }
  sb_buf_close(&reply);
  return bytes;
}

static void serve_signalled(struct sb_core *core) {
  struct sb_blocked *blocked;
  size_t bytes = 0;
  while (bytes < SB_TURN_BYTES_MAX && (blocked = sb_blocking_next(&core->blocking)))
    bytes += serve(core, blocked);
}

static void serve_timed(struct sb_core *core) {
  struct sb_blocking *blocking = &core->blocking;
  struct sb_blocked *blocked;
  while ((blocked = sb_blocking_due(blocking, core->logs.now_ms))) {
    bool aside = sb_blocked_is_aside(blocked);
    if (!aside && !sb_blocked_may_have_something(blocked)) {
      end_with_nothing(core, blocked);
      continue;
    }
    sb_blocking_set_overdue(blocking, blocked);
    if (!aside) serve(core, blocked);
  }
}

void sb_serve_blocked(struct sb_core *core) {
  if (core->blocking.count == 0) return;
  serve_signalled(core);
  serve_timed(core);
  SB_ASSERT(!sb_blocking_due(&core->blocking, core->logs.now_ms));
}

uint64_t sb_serve_deadline(const struct sb_core *core) {
  return sb_blocking_deadline(&core->blocking, core->logs.now_ms);
}
