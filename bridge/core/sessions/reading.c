#include "bridge/core/sessions/reading.h"

#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/base/reply.h"
#include "bridge/core/commands/errors.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/commands/read_streams.h"
#include "bridge/core/commands/run.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/log/ranges.h"
#include "bridge/core/log/run_op.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/session.h"
#include "bridge/core/wire/id.h"

struct sb_op_place sb_session_place(struct sb_core *core, const struct sb_session *session,
                                    struct sb_bytes name, struct sb_buf *reply) {
  struct sb_partition *part = sb_part_of(&core->logs, name);
  struct sb_op_place place = sb_read_place(part, session->proto, reply);
  sb_range_place(part, session, &place);
  return place;
}

static bool append_known_streams(struct sb_core *core, const struct sb_session *session,
                                 const struct sb_streams *streams, struct sb_buf *reply) {
  struct sb_op_place *places = sb_calloc(streams->count, sizeof *places);
  for (uint32_t i = 0; i < streams->count; i++) {
    places[i].proto = session->proto;
    if (sb_partition_is_ready(sb_part_of(&core->logs, streams->names[i])))
      places[i] = sb_session_place(core, session, streams->names[i], NULL);
  }
  uint32_t count = sb_op_read_streams(places, streams, reply);
  free(places);
  return count > 0;
}

static enum sb_range_says ask_streams(struct sb_core *core, struct sb_session *session,
                                      const struct sb_streams *streams, const char **why) {
  struct sb_id *from = sb_calloc(streams->count, sizeof *from);
  const struct sb_range_ask ask = {.names = streams->names,
                                   .from = from,
                                   .count = streams->count,
                                   .to = SB_ID_MAX,
                                   .limit = streams->limit};
  for (uint32_t i = 0; i < streams->count; i++) {
    from[i] = streams->after[i];
    sb_id_next(&from[i]);
  }
  enum sb_range_says says = sb_ranges_ask(&core->logs, session, &ask, why);
  free(from);
  return says;
}

/* Nothing was found in what was read back. The streams are read on from its end, in the history. */
static void move_on(struct sb_core *core, const struct sb_session *session,
                    const struct sb_streams *streams) {
  for (uint32_t i = 0; i < streams->count; i++) {
    struct sb_op_place place;
    if (sb_range_place(sb_part_of(&core->logs, streams->names[i]), session, &place))
      streams->after[i] = sb_id_later(streams->after[i], place.applied);
  }
}

/* Redis looks at all keys before it reads any. */
static bool is_one_a_string(struct sb_core *core, const struct sb_streams *streams) {
  for (uint32_t i = 0; i < streams->count; i++) {
    struct sb_partition *part = sb_part_of(&core->logs, streams->names[i]);
    const struct sb_op_place place = sb_read_place(part, 2, NULL);
    if (sb_partition_is_ready(part) && sb_op_is_string(sb_op_find_key(&place, streams->names[i])))
      return true;
  }
  return false;
}

enum sb_reading sb_read_streams(struct sb_core *core, struct sb_session *session,
                                const struct sb_streams *streams, struct sb_buf *reply) {
  const char *why;
  if (!streams->first_only && is_one_a_string(core, streams)) {
    sb_reply_error_text(reply, SB_OP_WRONG_TYPE);
    sb_ranges_end(&core->logs, session);
    return SB_READ_SOMETHING;
  }
  for (;;) {
    enum sb_range_says says = ask_streams(core, session, streams, &why);
    if (says == SB_RANGE_WAITS) return SB_READ_LATER;
    bool found = true;
    if (says == SB_RANGE_FAILED)
      sb_reply_error_text(reply, why);
    else
      found = append_known_streams(core, session, streams, reply);
    if (!found) move_on(core, session, streams);
    sb_ranges_end(&core->logs, session);
    if (found || says == SB_RANGE_HERE) return found ? SB_READ_SOMETHING : SB_READ_NOTHING;
  }
}
