#include "bridge/core/wire/id.h"

bool sb_id_next(struct sb_id *id) {
  if (id->seq < UINT64_MAX) {
    id->seq++;
    return true;
  }
  if (id->ms == UINT64_MAX) return false;
  *id = (struct sb_id){id->ms + 1, 0};
  return true;
}

bool sb_id_previous(struct sb_id *id) {
  if (id->seq > 0) {
    id->seq--;
    return true;
  }
  if (id->ms == 0) return false;
  *id = (struct sb_id){id->ms - 1, UINT64_MAX};
  return true;
}

size_t sb_id_text(struct sb_id id, char out[SB_ID_TEXT]) {
  size_t len = sb_u64_text(id.ms, out);
  out[len++] = '-';
  return len + sb_u64_text(id.seq, out + len);
}

bool sb_id_parse(struct sb_bytes text, uint64_t missing_seq, struct sb_id *out) {
  const uint8_t *dash = text.len ? memchr(text.at, '-', text.len) : NULL;
  size_t first = dash ? (size_t)(dash - text.at) : text.len;
  out->seq = missing_seq;
  if (!sb_bytes_u64(sb_bytes(text.at, first), UINT64_MAX, &out->ms)) return false;
  return !dash || sb_bytes_u64(sb_bytes(dash + 1, text.len - first - 1), UINT64_MAX, &out->seq);
}
