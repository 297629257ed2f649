/* Reads the arguments of commands on streams in the order in which Redis does, so that of several errors the
 * same one is found. */
#include "bridge/core/commands/stream_args.h"

#include "bridge/core/commands/errors.h"

/* A number of 0 or more, or an error of its own for one below. */
static const char *read_count(struct sb_bytes text, const char *below, uint64_t *out) {
  int64_t value;
  if (!sb_bytes_i64(text, &value)) return SB_OP_NOT_INTEGER;
  if (value < 0) return below;
  *out = (uint64_t)value;
  return NULL;
}

/* ---- XADD, XTRIM ---- */

/* MAXLEN or MINID, which stands at *at; moves *at to the last word that belongs to it. */
static const char *read_trim(struct sb_op *out, enum sb_op_trim trim, uint32_t *at) {
  if (out->trim != SB_TRIM_NOT)
    return "syntax error, MAXLEN and MINID options at the same time are not compatible";
  out->trim = trim;
  out->about = false;
  uint32_t next = *at + 1;
  if (out->count - next >= 2 && (sb_bytes_is(out->args[next], "~") || sb_bytes_is(out->args[next], "="))) {
    out->about = sb_bytes_is(out->args[next], "~");
    next++;
  }
  *at = next;
  if (trim == SB_TRIM_LENGTH)
    return read_count(out->args[next], "The MAXLEN argument must be >= 0.", &out->trim_length);
  return sb_id_parse(out->args[next], 0, &out->trim_below) ? NULL : SB_OP_BAD_ID;
}

/* MAXLEN, MINID, LIMIT or, in XADD, NOMKSTREAM at *at, *known; moves *at to its last word. */
static const char *read_trim_word(struct sb_op *out, uint32_t *at, bool *limited, bool *known) {
  struct sb_bytes word = out->args[*at];
  bool more = *at + 1 < out->count;
  *known = true;
  if (more && sb_bytes_is(word, "MAXLEN")) return read_trim(out, SB_TRIM_LENGTH, at);
  if (more && sb_bytes_is(word, "MINID")) return read_trim(out, SB_TRIM_BELOW, at);
  if (more && sb_bytes_is(word, "LIMIT")) {
    *limited = true;
    ++*at;
    return read_count(out->args[*at], "The LIMIT argument must be >= 0.", &out->trim_limit);
  }
  if (out->name == SB_OP_XADD && sb_bytes_is(word, "NOMKSTREAM")) {
    out->no_make = true;
    return NULL;
  }
  *known = false;
  return NULL;
}

/* After all words: what does not go together. */
static const char *check_trim(const struct sb_op *out, bool limited) {
  if (out->trim_limit > 0 && out->trim == SB_TRIM_NOT)
    return "syntax error, LIMIT cannot be used without specifying a trimming strategy";
  if (out->name == SB_OP_XTRIM && out->trim == SB_TRIM_NOT)
    return "syntax error, XTRIM must be called with a trimming strategy";
  if (limited && !out->about) return "syntax error, LIMIT cannot be used without the special ~ option";
  return NULL;
}

/* "<ms>-<seq>", "<ms>" or "<ms>-*", which Redis would take for an id of one's own. */
static bool is_explicit_id(struct sb_bytes text, struct sb_id *id) {
  if (text.len > 2 && text.at[text.len - 1] == '*' && text.at[text.len - 2] == '-') {
    id->seq = 1;
    return sb_bytes_u64(sb_bytes(text.at, text.len - 2), UINT64_MAX, &id->ms);
  }
  return sb_id_parse(text, 0, id);
}

const char *sb_op_parse_xadd(struct sb_op *out) {
  bool limited = false, explicit_id = false;
  struct sb_id id = {0};
  uint32_t at = 2;
  for (; at < out->count && !sb_bytes_is(out->args[at], "*"); at++) {
    bool known;
    const char *error = read_trim_word(out, &at, &limited, &known);
    if (error) return error;
    if (known) continue;
    if (!is_explicit_id(out->args[at], &id)) return SB_OP_BAD_ID;
    explicit_id = true;
    break;
  }
  const char *error = check_trim(out, limited);
  if (error) return error;
  out->fields_at = at + 1;
  if (at >= out->count || out->count - at < 3 || (out->count - at) % 2 == 0)
    return sb_op_bad_arity(out->name);
  if (!explicit_id) return NULL;
  if (id.ms == 0 && id.seq == 0) return "The ID specified in XADD must be greater than 0-0";
  out->refused = "explicit id";
  return "explicit ids are not supported: ids are places in the log, use *";
}

const char *sb_op_parse_xtrim(struct sb_op *out) {
  bool limited = false;
  for (uint32_t at = 2; at < out->count; at++) {
    bool known;
    const char *error = read_trim_word(out, &at, &limited, &known);
    if (error) return error;
    if (!known) return SB_OP_SYNTAX;
  }
  return check_trim(out, limited);
}

/* ---- XRANGE, XREVRANGE ---- */

/* One end of a range: "-", "+", an id, or "(" and an id, *beyond. */
static const char *read_end(struct sb_bytes text, uint64_t missing_seq, struct sb_id *out, bool *beyond) {
  *beyond = text.len > 1 && text.at[0] == '(';
  if (*beyond)
    text = sb_bytes(text.at + 1, text.len - 1);
  else if (sb_bytes_is(text, "-") || sb_bytes_is(text, "+")) {
    *out = text.at[0] == '-' ? (struct sb_id){0, 0} : SB_ID_MAX;
    return NULL;
  }
  return sb_id_parse(text, missing_seq, out) ? NULL : SB_OP_BAD_ID;
}

static const char *read_range_count(struct sb_op *out) {
  out->limit = UINT64_MAX;
  for (uint32_t i = 4; i < out->count; i += 2) {
    int64_t limit;
    if (!sb_bytes_is(out->args[i], "COUNT") || i + 1 == out->count) return SB_OP_SYNTAX;
    if (!sb_bytes_i64(out->args[i + 1], &limit)) return SB_OP_NOT_INTEGER;
    out->limit = limit < 0 ? 0 : (uint64_t)limit;
  }
  return NULL;
}

const char *sb_op_parse_xrange(struct sb_op *out) {
  bool reverse = out->name == SB_OP_XREVRANGE, beyond;
  const char *error = read_end(out->args[reverse ? 3 : 2], 0, &out->from, &beyond);
  if (error) return error;
  if (beyond && !sb_id_next(&out->from)) return "invalid start ID for the interval";
  error = read_end(out->args[reverse ? 2 : 3], UINT64_MAX, &out->to, &beyond);
  if (error) return error;
  if (beyond && !sb_id_previous(&out->to)) return "invalid end ID for the interval";
  out->nothing = sb_id_compare(out->from, out->to) > 0;
  return read_range_count(out);
}

/* ---- XINFO STREAM ---- */

/* Redis looks for the key first, so what is wrong here is found when it is run. */
const char *sb_op_parse_xinfo_stream(struct sb_op *out) {
  out->keys = &out->args[2];
  out->full = (out->count == 4 || out->count == 6) && sb_bytes_is(out->args[3], "FULL") &&
              (out->count == 4 || sb_bytes_is(out->args[4], "COUNT"));
  if (out->full) out->refused = "FULL";
  return NULL;
}

/* ---- XREAD ---- */

static const char *read_block(struct sb_bytes text, struct sb_op *out) {
  int64_t value;
  if (!sb_bytes_i64(text, &value)) return "timeout is not an integer or out of range";
  if (value < 0) return "timeout is negative";
  out->blocks = true;
  out->block_ms = (uint64_t)value;
  return NULL;
}

static const char *read_read_count(struct sb_bytes text, struct sb_op *out) {
  int64_t value;
  if (!sb_bytes_i64(text, &value)) return SB_OP_NOT_INTEGER;
  out->limit = value <= 0 ? UINT64_MAX : (uint64_t)value;
  return NULL;
}

/* Ids are read when it is run, each after a look at its key; but '>' is wrong whatever the key holds. */
static const char *refuse_group_ids(const struct sb_op *out) {
  for (uint32_t i = out->ids_at; i < out->count; i++) {
    struct sb_bytes text = out->args[i];
    struct sb_id id;
    if (sb_bytes_is(text, ">"))
      return "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> "
             "option.";
    bool valid = sb_bytes_is(text, "$") || sb_bytes_is(text, "+") || sb_id_parse(text, 0, &id);
    if (!valid) return NULL; /* that error comes first */
  }
  return NULL;
}

static const char *take_streams(uint32_t at, struct sb_op *out) {
  uint32_t rest = out->count - at;
  if (rest % 2 != 0)
    return "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.";
  out->keys = &out->args[at];
  out->keys_count = rest / 2;
  out->ids_at = at + rest / 2;
  return refuse_group_ids(out);
}

const char *sb_op_parse_xread(struct sb_op *out) {
  out->limit = UINT64_MAX;
  for (uint32_t at = 1; at < out->count; at++) {
    struct sb_bytes word = out->args[at];
    uint32_t more = out->count - at - 1;
    const char *error;
    if (more && sb_bytes_is(word, "BLOCK"))
      error = read_block(out->args[++at], out);
    else if (more && sb_bytes_is(word, "COUNT"))
      error = read_read_count(out->args[++at], out);
    else if (more && sb_bytes_is(word, "STREAMS"))
      return take_streams(at + 1, out);
    else if (more >= 2 && sb_bytes_is(word, "GROUP"))
      return "The GROUP option is only supported by XREADGROUP. You called XREAD instead.";
    else if (sb_bytes_is(word, "NOACK"))
      return "The NOACK option is only supported by XREADGROUP. You called XREAD instead.";
    else
      return SB_OP_SYNTAX;
    if (error) return error;
  }
  return SB_OP_SYNTAX;
}
