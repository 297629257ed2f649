/* What a batch may hold, as docs/wire.md has it, written a second time for the judge. */
#include "tests/sim/world.h"

bool sim_interest_kind(struct sb_bytes word, enum sb_sub_kind *kind) {
  if (sb_bytes_equal(word, sb_bytes_of("channel")))
    *kind = SB_SUB_CHANNEL;
  else if (sb_bytes_equal(word, sb_bytes_of("shard")))
    *kind = SB_SUB_SHARD;
  else if (sb_bytes_equal(word, sb_bytes_of("pattern")))
    *kind = SB_SUB_PATTERN;
  else
    return false;
  return true;
}

bool sim_is_restore(const struct sb_bytes *args, uint32_t count) {
  if (count == 2) return sb_bytes_equal(args[1], sb_bytes_of("RESTORED"));
  return count > 2 && sb_bytes_equal(args[1], sb_bytes_of("RESTORE"));
}

static bool is_entry(const struct sb_bytes *args, uint32_t count) {
  enum sb_sub_kind kind;
  uint64_t sessions;
  if (count == 0) return false;
  if (model_knows(args, count, false)) return true;
  if (count == 3)
    return sb_bytes_equal(args[0], sb_bytes_of("PUBLISH")) ||
           sb_bytes_equal(args[0], sb_bytes_of("SPUBLISH"));
  if (count == 1) return sb_bytes_equal(args[0], sb_bytes_of("PING"));
  if (!sb_bytes_equal(args[0], sb_bytes_of("SIDEBUS"))) return false;
  if (sim_is_restore(args, count)) return true;
  if (count == 5)
    return sb_bytes_equal(args[1], sb_bytes_of("INTEREST")) && sim_interest_kind(args[2], &kind) &&
           sb_bytes_u64(args[4], 1000000, &sessions);
  return count == 6 && sb_bytes_equal(args[1], sb_bytes_of("BYE"));
}

/* "SIDEBUS PART index count bytes", and nothing else in the body. */
bool sim_read_part(struct sb_bytes body, uint64_t *index, uint64_t *parts, struct sb_bytes *bytes) {
  struct sb_bytes args[SB_ENTRY_ARGS_MAX];
  uint32_t off = 0;
  if (sb_entry_args(body, &off, args, SB_ENTRY_ARGS_MAX) != 5 || off != body.len ||
      !sb_bytes_equal(args[1], sb_bytes_of("PART")) || !sb_bytes_u64(args[2], 4096, index) ||
      !sb_bytes_u64(args[3], 4096, parts))
    return false;
  *bytes = args[4];
  return *index >= 1 && *index <= *parts && *parts >= 2 && bytes->len > 0;
}

bool sim_well_formed(struct sb_bytes body, uint32_t count) {
  struct sb_bytes args[SB_ENTRY_ARGS_MAX], bytes;
  uint32_t off = 0;
  uint64_t index, parts;
  if (count == 1 && sim_read_part(body, &index, &parts, &bytes)) return true;
  for (uint32_t i = 0; i < count; i++)
    if (off >= body.len || !is_entry(args, sb_entry_args(body, &off, args, SB_ENTRY_ARGS_MAX))) return false;
  return off == body.len;
}
