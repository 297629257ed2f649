#include "bridge/core/wire/key_text.h"

#define STRING_ARGS 4
#define STREAM_ARGS 6

static struct sb_bytes number(uint64_t value, char text[20]) {
  return sb_bytes(text, sb_u64_text(value, text));
}

static struct sb_bytes id_text(struct sb_id id, char text[SB_ID_TEXT]) {
  return sb_bytes(text, sb_id_text(id, text));
}

uint32_t sb_key_text_args(const struct sb_key_text *text, struct sb_key_text_scratch *scratch,
                          struct sb_bytes args[SB_KEY_TEXT_ARGS_MAX]) {
  uint32_t count = 0;
  args[count++] = sb_bytes_of(text->kind == SB_KEY_STRING ? "STRING" : "STREAM");
  args[count++] = text->name;
  if (text->kind == SB_KEY_STRING) {
    args[count++] = text->value;
  } else {
    args[count++] = id_text(text->stream.last, scratch->last);
    args[count++] = id_text(text->stream.max_deleted, scratch->deleted);
    args[count++] = number(text->stream.added, scratch->added);
  }
  args[count++] = number(text->expires_ms, scratch->expires);
  if (text->asked_ms != 0) args[count++] = number(text->asked_ms, scratch->asked);
  return count;
}

/* In canonical form, both parts. */
static bool read_id(struct sb_bytes given, struct sb_id *out) {
  char text[SB_ID_TEXT];
  return sb_id_parse(given, 0, out) && sb_bytes_equal(given, id_text(*out, text));
}

static bool read_stream(const struct sb_bytes *args, struct sb_stream *out) {
  return read_id(args[2], &out->last) && read_id(args[3], &out->max_deleted) &&
         sb_bytes_u64(args[4], UINT64_MAX, &out->added) && sb_id_compare(out->last, out->max_deleted) >= 0;
}

bool sb_key_text_read(const struct sb_bytes *args, uint32_t count, struct sb_key_text *out) {
  bool string = count > 0 && sb_bytes_equal(args[0], sb_bytes_of("STRING"));
  bool stream = count > 0 && sb_bytes_equal(args[0], sb_bytes_of("STREAM"));
  uint32_t least = string ? STRING_ARGS : STREAM_ARGS;
  if ((!string && !stream) || (count != least && count != least + 1)) return false;
  *out = (struct sb_key_text){.kind = string ? SB_KEY_STRING : SB_KEY_STREAM, .name = args[1]};
  if (!sb_bytes_u64(args[least - 1], UINT64_MAX, &out->expires_ms)) return false;
  if (count > least &&
      (!sb_bytes_u64(args[least], INT64_MAX, &out->asked_ms) || out->asked_ms == 0 || out->expires_ms == 0))
    return false;
  if (string) out->value = args[2];
  return string || read_stream(args, &out->stream);
}
