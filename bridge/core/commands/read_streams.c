#include "bridge/core/commands/read_streams.h"

#include "bridge/base/bytes.h"
#include "bridge/base/reply.h"
#include "bridge/core/commands/op.h"
#include "bridge/core/commands/run.h"

uint32_t sb_op_read_streams(const struct sb_op_place *places, const struct sb_streams *streams,
                            struct sb_buf *reply) {
  const char *error = NULL;
  struct sb_buf found = {0};
  uint32_t count = 0;
  for (uint32_t i = 0; i < streams->count && !error && !(streams->first_only && count > 0); i++) {
    struct sb_op_place place = places[i];
    if (streams->first_only && place.keys && sb_op_is_string(sb_op_find_key(&place, streams->names[i])))
      continue;
    place.reply = &found;
    if (place.reply_max > 0)
      place.reply_max = place.reply_max > reply->len ? place.reply_max - reply->len : 1;
    if (place.keys)
      count += sb_op_read_stream(&place, streams->names[i], streams->after[i], streams->limit, &error);
  }
  if (error) {
    sb_reply_error_text(reply, error);
    count = 1;
  } else if (count > 0) {
    if (places->proto == 2)
      sb_reply_array(reply, count);
    else
      sb_reply_map(reply, places->proto, count);
    sb_buf_append(reply, found.data, found.len);
  }
  sb_buf_close(&found);
  return count;
}
