/* Reading requests and entries. */
#include "bridge/core/commands/op.h"

#include "bridge/base/limits.h"
#include "bridge/core/commands/errors.h"
#include "bridge/core/commands/stream_args.h"

/* ---- times ---- */

/* `text` in seconds or milliseconds, positive as SET wants it unless `any`. */
static const char *read_expiry(struct sb_op *out, struct sb_bytes text, bool seconds, bool any) {
  int64_t value;
  if (!sb_bytes_i64(text, &value)) return SB_OP_NOT_INTEGER;
  if (!any && value <= 0) return sb_op_bad_expiry(out->name);
  if (seconds) {
    if (value > INT64_MAX / 1000 || value < INT64_MIN / 1000) return sb_op_bad_expiry(out->name);
    value *= 1000;
  }
  out->expiry_ms = value;
  return NULL;
}

/* ---- SET and its kin ---- */

enum set_time { NO_TIME, EX, PX, EXAT, PXAT };

/* What SET says of an expiry. */
struct set_expiry {
  enum set_time time;
  struct sb_bytes text;
};

/* The Unix time that the client gave stands at the end of an entry, behind the relative one. */
static const char *read_asked(const struct sb_bytes *words, uint32_t left, bool *found, struct sb_op *out) {
  *found = left == 2 && sb_bytes_equal(words[0], sb_bytes_of("PXAT"));
  if (!*found) return NULL;
  return sb_bytes_u64(words[1], INT64_MAX, &out->asked_ms) && out->asked_ms > 0 ? NULL : SB_OP_NOT_INTEGER;
}

/* EX, PX, EXAT, PXAT; they may be repeated, but not mixed. */
static bool take_set_expiry(struct sb_bytes word, const struct sb_bytes *next, const struct sb_op *out,
                            struct set_expiry *expiry) {
  static const char *const words[] = {[EX] = "EX", [PX] = "PX", [EXAT] = "EXAT", [PXAT] = "PXAT"};
  if (!next || out->expiry == SB_EXPIRY_KEEP) return false;
  for (enum set_time time = EX; time <= PXAT; time++) {
    if (!sb_bytes_is(word, words[time])) continue;
    if (expiry->time != NO_TIME && expiry->time != time) return false;
    *expiry = (struct set_expiry){time, *next};
    return true;
  }
  return false;
}

static bool take_set_word(struct sb_bytes word, const struct set_expiry *expiry, struct sb_op *out) {
  if (sb_bytes_is(word, "NX") && out->condition != SB_IF_PRESENT) {
    out->condition = SB_IF_ABSENT;
    return true;
  }
  if (sb_bytes_is(word, "XX") && out->condition != SB_IF_ABSENT) {
    out->condition = SB_IF_PRESENT;
    return true;
  }
  if (sb_bytes_is(word, "GET")) {
    out->get = true;
    return true;
  }
  if (sb_bytes_is(word, "KEEPTTL") && expiry->time == NO_TIME) {
    out->expiry = SB_EXPIRY_KEEP;
    return true;
  }
  return false;
}

static const char *parse_set(bool entry, struct sb_op *out) {
  struct set_expiry expiry = {0};
  out->value = out->args[2];
  for (uint32_t i = 3; i < out->count; i++) {
    const struct sb_bytes *next = i + 1 < out->count ? &out->args[i + 1] : NULL;
    bool asked = false;
    const char *error =
        entry && expiry.time == PX ? read_asked(&out->args[i], out->count - i, &asked, out) : NULL;
    if (error) return error;
    if (asked) break;
    if (take_set_expiry(out->args[i], next, out, &expiry))
      i++;
    else if (!take_set_word(out->args[i], &expiry, out))
      return SB_OP_SYNTAX;
  }
  if (expiry.time == NO_TIME) return NULL;
  out->expiry = expiry.time == EX || expiry.time == PX ? SB_EXPIRY_AFTER : SB_EXPIRY_AT;
  return read_expiry(out, expiry.text, expiry.time == EX || expiry.time == EXAT, entry && expiry.time == PX);
}

static const char *parse_setex(struct sb_op *out) {
  out->value = out->args[3];
  out->expiry = SB_EXPIRY_AFTER;
  return read_expiry(out, out->args[2], out->name == SB_OP_SETEX, false);
}

static const char *parse_by(struct sb_op *out) {
  if (!sb_bytes_i64(out->args[2], &out->by)) return SB_OP_NOT_INTEGER;
  if (out->name == SB_OP_INCRBY) return NULL;
  if (out->by == INT64_MIN) return "decrement would overflow";
  out->by = -out->by;
  return NULL;
}

/* ---- EXPIRE and its kin ---- */

static const char *parse_expire_condition(bool entry, struct sb_op *out) {
  bool nx = false, xx = false, gt = false, lt = false, asked = false;
  for (uint32_t i = 3; i < out->count; i++) {
    struct sb_bytes word = out->args[i];
    const char *error = NULL;
    if (entry && out->name == SB_OP_PEXPIRE) error = read_asked(&out->args[i], out->count - i, &asked, out);
    if (error) return error;
    if (asked) break;
    if (sb_bytes_is(word, "NX"))
      nx = true;
    else if (sb_bytes_is(word, "XX"))
      xx = true;
    else if (sb_bytes_is(word, "GT"))
      gt = true;
    else if (sb_bytes_is(word, "LT"))
      lt = true;
    else
      return sb_op_errorf("Unsupported option %.*s",
                          (int)(word.len < SB_ERROR_TEXT_MAX ? word.len : SB_ERROR_TEXT_MAX),
                          (const char *)word.at);
  }
  if (nx && (xx || gt || lt)) return "NX and XX, GT or LT options at the same time are not compatible";
  if (gt && lt) return "GT and LT options at the same time are not compatible";
  if (nx) out->condition = SB_IF_ABSENT;
  if (xx) out->condition = SB_IF_PRESENT;
  if (gt) out->condition = SB_IF_LATER; /* what has no expiry lives longer than any: XX is in it */
  if (lt) out->condition = xx ? SB_IF_PRESENT_EARLIER : SB_IF_EARLIER;
  return NULL;
}

static const char *parse_expire(bool entry, struct sb_op *out) {
  const char *error = parse_expire_condition(entry, out);
  if (error) return error;
  out->expiry = out->name == SB_OP_EXPIREAT || out->name == SB_OP_PEXPIREAT ? SB_EXPIRY_AT : SB_EXPIRY_AFTER;
  return read_expiry(out, out->args[2], out->name == SB_OP_EXPIRE || out->name == SB_OP_EXPIREAT, true);
}

/* ---- all ---- */

static const char *parse_arguments(bool entry, struct sb_op *out) {
  switch (out->name) {
  case SB_OP_SET:
    return parse_set(entry, out);
  case SB_OP_SETNX:
    out->condition = SB_IF_ABSENT;
    out->value = out->args[2];
    return NULL;
  case SB_OP_SETEX:
  case SB_OP_PSETEX:
    return parse_setex(out);
  case SB_OP_GETSET:
    out->get = true;
    out->value = out->args[2];
    return NULL;
  case SB_OP_INCR:
    out->by = 1;
    return NULL;
  case SB_OP_DECR:
    out->by = -1;
    return NULL;
  case SB_OP_INCRBY:
  case SB_OP_DECRBY:
    return parse_by(out);
  case SB_OP_DEL:
  case SB_OP_UNLINK:
  case SB_OP_EXISTS:
    out->keys_count = out->count - 1;
    return NULL;
  case SB_OP_EXPIRE:
  case SB_OP_PEXPIRE:
  case SB_OP_EXPIREAT:
  case SB_OP_PEXPIREAT:
    return parse_expire(entry, out);
  case SB_OP_XADD:
    return sb_op_parse_xadd(out);
  case SB_OP_XTRIM:
    return sb_op_parse_xtrim(out);
  case SB_OP_XDEL:
    out->ids_at = 2; /* Redis looks at the ids only when there is a stream */
    return NULL;
  case SB_OP_XRANGE:
  case SB_OP_XREVRANGE:
    return sb_op_parse_xrange(out);
  case SB_OP_XINFO_STREAM:
    return sb_op_parse_xinfo_stream(out);
  case SB_OP_XREAD:
    return sb_op_parse_xread(out);
  default:
    return NULL;
  }
}

static const char *check_entry(const struct sb_op *op) {
  if (!sb_bytes_equal(op->args[0], sb_bytes_of(sb_op_upper(op->name)))) return "entry is not canonical";
  if (op->expiry == SB_EXPIRY_AT) return "times in entries must be relative";
  return NULL;
}

const char *sb_op_parse(const struct sb_bytes *args, uint32_t count, bool entry, struct sb_op *out) {
  enum sb_op_name name = count > 0 ? sb_op_find(args, count) : SB_OP_NAMES;
  if (name == SB_OP_NAMES) return "unknown command";
  if (!sb_op_arity_is_right(name, count)) return sb_op_bad_arity(name);
  *out = (struct sb_op){.name = name,
                        .writes = sb_op_name_writes(name),
                        .args = args,
                        .count = count,
                        .keys = &args[1],
                        .keys_count = 1};
  const char *error = parse_arguments(entry, out);
  if (error) return error;
  for (uint32_t i = 0; i < out->keys_count; i++) {
    if (out->keys[i].len <= SB_KEY_NAME_MAX) continue;
    out->refused = "long key";
    return sb_op_errorf("key is longer than %zu bytes", SB_KEY_NAME_MAX);
  }
  return entry ? check_entry(out) : NULL;
}
