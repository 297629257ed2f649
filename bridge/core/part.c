#include "bridge/core/part.h"

#include "bridge/base/limits.h"
#include "bridge/core/entry.h"

#define PART_ARGS      5
#define OVERHEAD_BYTES 64 /* of the entry around it; its numbers have four digits, its length eight */

bool sb_part_read(struct sb_bytes body, uint32_t off, struct sb_part *out) {
  struct sb_bytes args[PART_ARGS];
  uint64_t index, count;
  if (sb_entry_args(body, &off, args, PART_ARGS) != PART_ARGS || off != body.len ||
      !sb_bytes_equal(args[0], sb_bytes_of("SIDEBUS")) || !sb_bytes_equal(args[1], sb_bytes_of("PART")) ||
      !sb_bytes_u64(args[3], SB_PARTS_MAX, &count) || count < 2 || !sb_bytes_u64(args[2], count, &index) ||
      index == 0 || args[4].len == 0)
    return false;
  *out = (struct sb_part){(uint32_t)index, (uint32_t)count, args[4]};
  return true;
}

struct part_args {
  struct sb_bytes args[PART_ARGS];
  char index[20], count[20];
};

static void fill_args(struct part_args *out, const struct sb_part *part) {
  out->args[0] = sb_bytes_of("SIDEBUS");
  out->args[1] = sb_bytes_of("PART");
  out->args[2] = sb_bytes(out->index, sb_u64_text(part->index, out->index));
  out->args[3] = sb_bytes(out->count, sb_u64_text(part->count, out->count));
  out->args[4] = part->bytes;
}

size_t sb_part_size(const struct sb_part *part) {
  struct part_args args;
  fill_args(&args, part);
  return sb_entry_size(args.args, PART_ARGS);
}

void sb_part_write(uint8_t *at, const struct sb_part *part) {
  struct part_args args;
  fill_args(&args, part);
  sb_entry_write(at, args.args, PART_ARGS);
}

size_t sb_part_bytes(size_t entry_max) {
  return entry_max < OVERHEAD_BYTES + SB_PART_BYTES_MIN ? 0 : entry_max - OVERHEAD_BYTES;
}
