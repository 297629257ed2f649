#include "bridge/core/wire/control.h"

#include "bridge/base/limits.h"
#include "bridge/core/wire/entry.h"

#define ARGS_MAX     9 /* one more than any has */
#define HELLO_ARGS   8
#define HELLO_LEAST  4 /* as the first version wrote it */
#define PIECE_ARGS   6
#define GENESIS_ARGS 7

/* In a piece of a text: the other words, with the longest numbers there are. */
#define AROUND_TEXT_BYTES 128
#define PIECE_BYTES_MIN   64

static const char *const words[] = {
    [SB_CONTROL_HELLO] = "HELLO", [SB_CONTROL_SNAPSHOT] = "SNAPSHOT", [SB_CONTROL_CHECKPOINT] = "CHECKPOINT",
    [SB_CONTROL_KEYS] = "KEYS",   [SB_CONTROL_GENESIS] = "GENESIS",
};
#define WORDS (sizeof words / sizeof words[0])

/* ---- reading ---- */

/* "<sequence>" in this log, "<generation>-<sequence>" in one before. */
static bool read_since(struct sb_bytes text, struct sb_control *out) {
  out->since_lost = text.len > 0 && memchr(text.at, '-', text.len);
  return out->since_lost ? sb_id_parse(text, 0, &out->since)
                         : sb_bytes_u64(text, SB_SEQUENCE_MAX, &out->since.seq);
}

static bool is_printable(struct sb_bytes text) {
  for (uint32_t i = 0; i < text.len; i++)
    if (text.at[i] < ' ' || text.at[i] > '~') return false;
  return true;
}

static bool read_partitions(struct sb_bytes text, struct sb_control *out) {
  uint64_t partitions;
  if (!sb_bytes_u64(text, SB_PARTITIONS_MAX, &partitions) || partitions == 0) return false;
  out->partitions = (uint32_t)partitions;
  return true;
}

static bool read_hello(const struct sb_bytes *args, uint32_t count, struct sb_control *out) {
  if ((count != HELLO_LEAST && count != HELLO_ARGS) || !read_partitions(args[2], out) ||
      !sb_bytes_u64(args[3], UINT64_MAX, &out->version))
    return false;
  if (count == HELLO_LEAST) return true;
  out->about = args[4];
  return is_printable(args[4]) && args[4].len <= SB_ABOUT_MAX &&
         sb_incarnation_parse((const char *)args[5].at, args[5].len, &out->met) && read_since(args[6], out) &&
         sb_id_parse(args[7], 0, &out->holds);
}

static bool read_piece(const struct sb_bytes *args, uint32_t count, struct sb_control *out) {
  uint64_t piece, pieces;
  if (count != PIECE_ARGS || !sb_bytes_u64(args[2], SB_SEQUENCE_MAX, &out->as_of) ||
      !sb_bytes_u64(args[3], SB_SNAPSHOT_PIECES_MAX, &piece) ||
      !sb_bytes_u64(args[4], SB_SNAPSHOT_PIECES_MAX, &pieces) || piece >= pieces)
    return false;
  out->piece = (uint32_t)piece;
  out->pieces = (uint32_t)pieces;
  out->text = args[5];
  return true;
}

static bool read_genesis(const struct sb_bytes *args, uint32_t count, struct sb_control *out) {
  if (count != GENESIS_ARGS) return false;
  out->keeps_keys = sb_bytes_equal(args[5], sb_bytes_of("keys"));
  out->brings_keys = sb_bytes_equal(args[5], sb_bytes_of("brought"));
  return (out->keeps_keys || out->brings_keys || sb_bytes_equal(args[5], sb_bytes_of("empty"))) &&
         sb_bytes_u64(args[2], SB_SEQUENCE_MAX, &out->hello_at) &&
         sb_bytes_u64(args[3], SB_GENERATION_MAX, &out->generation) && read_partitions(args[4], out) &&
         sb_name_key_parse(args[6], &out->name_key);
}

bool sb_control_read(struct sb_bytes body, struct sb_control *out) {
  struct sb_bytes args[ARGS_MAX];
  uint32_t off = 0, kind = 0;
  uint32_t count = sb_entry_args(body, &off, args, ARGS_MAX);
  *out = (struct sb_control){0};
  if (count < HELLO_LEAST || off != body.len || !sb_bytes_equal(args[0], sb_bytes_of("SIDEBUS")))
    return false;
  while (kind < WORDS && !sb_bytes_equal(args[1], sb_bytes_of(words[kind]))) kind++;
  if (kind == WORDS) return false;
  out->kind = kind;
  if (out->kind == SB_CONTROL_HELLO) return read_hello(args, count, out);
  return out->kind == SB_CONTROL_GENESIS ? read_genesis(args, count, out) : read_piece(args, count, out);
}

/* ---- writing ---- */

/* Arguments, with the numbers among them as text. */
struct written {
  struct sb_bytes args[ARGS_MAX];
  uint32_t count;
  char numbers[3][20], name_key[SB_NAME_KEY_TEXT], incarnation[SB_INCARNATION_TEXT], since[SB_ID_TEXT],
      holds[SB_ID_TEXT];
};

static void add(struct written *to, struct sb_bytes arg) {
  to->args[to->count++] = arg;
}

static void add_number(struct written *to, uint32_t at, uint64_t value) {
  add(to, sb_bytes(to->numbers[at], sb_u64_text(value, to->numbers[at])));
}

static void add_hello(struct written *to, const struct sb_control *hello) {
  size_t since =
      hello->since_lost ? sb_id_text(hello->since, to->since) : sb_u64_text(hello->since.seq, to->since);
  sb_incarnation_text(hello->met, to->incarnation);
  add_number(to, 0, hello->partitions);
  add_number(to, 1, hello->version);
  add(to, hello->about);
  add(to, sb_bytes_of(to->incarnation));
  add(to, sb_bytes(to->since, since));
  add(to, sb_bytes(to->holds, sb_id_text(hello->holds, to->holds)));
}

static void add_piece(struct written *to, const struct sb_control *piece) {
  add_number(to, 0, piece->as_of);
  add_number(to, 1, piece->piece);
  add_number(to, 2, piece->pieces);
  add(to, piece->text);
}

static void add_genesis(struct written *to, const struct sb_control *genesis) {
  add_number(to, 0, genesis->hello_at);
  add_number(to, 1, genesis->generation);
  add_number(to, 2, genesis->partitions);
  add(to, sb_bytes_of(genesis->keeps_keys ? "keys" : genesis->brings_keys ? "brought" : "empty"));
  sb_name_key_text(&genesis->name_key, to->name_key);
  add(to, sb_bytes(to->name_key, sizeof to->name_key));
}

size_t sb_control_room(size_t message_max) {
  return message_max > AROUND_TEXT_BYTES + PIECE_BYTES_MIN ? message_max - AROUND_TEXT_BYTES
                                                           : PIECE_BYTES_MIN;
}

struct sb_body *sb_control_write(const struct sb_control *control) {
  struct written written = {.count = 0};
  add(&written, sb_bytes_of("SIDEBUS"));
  add(&written, sb_bytes_of(words[control->kind]));
  if (control->kind == SB_CONTROL_HELLO)
    add_hello(&written, control);
  else if (control->kind == SB_CONTROL_GENESIS)
    add_genesis(&written, control);
  else
    add_piece(&written, control);
  struct sb_body *body = sb_body_new(sb_entry_size(written.args, written.count));
  sb_entry_write(body->data, written.args, written.count);
  return body;
}
