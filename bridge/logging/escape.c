#include "bridge/logging/escape.h"

#include <stdbool.h>

static bool continues(struct sb_bytes text, size_t at, uint8_t least, uint8_t most) {
  return at < text.len && text.at[at] >= least && text.at[at] <= most;
}

/* Bytes of the well-formed UTF-8 sequence at `at` (Unicode 15, table 3-7), 0 when there is none. */
static size_t utf8_length(struct sb_bytes text, size_t at) {
  uint8_t lead = text.at[at];
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(text, at + 1, 0x80, 0xBF) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    uint8_t least = lead == 0xE0 ? 0xA0 : 0x80, most = lead == 0xED ? 0x9F : 0xBF; /* no surrogates */
    return continues(text, at + 1, least, most) && continues(text, at + 2, 0x80, 0xBF) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    uint8_t least = lead == 0xF0 ? 0x90 : 0x80, most = lead == 0xF4 ? 0x8F : 0xBF;
    return continues(text, at + 1, least, most) && continues(text, at + 2, 0x80, 0xBF) &&
                   continues(text, at + 3, 0x80, 0xBF)
               ? 4
               : 0;
  }
  return 0;
}

void sb_escape_json(struct sb_bytes text, struct sb_buf *out) {
  for (size_t i = 0; i < text.len;) {
    size_t len = utf8_length(text, i);
    uint8_t c = text.at[i];
    if (len == 0)
      sb_buf_text(out, "\xEF\xBF\xBD");
    else if (c == '"' || c == '\\')
      sb_buf_printf(out, "\\%c", c);
    else if (c < ' ' || c == 127)
      sb_buf_printf(out, "\\u%04x", c);
    else
      sb_buf_append(out, text.at + i, len);
    i += len ? len : 1;
  }
}

/* U+0080 to U+009F: what terminals take as control sequences in eight bits. */
static bool is_c1(struct sb_bytes text, size_t at, size_t len) {
  return len == 2 && text.at[at] == 0xC2 && text.at[at + 1] < 0xA0;
}

void sb_escape_terminal(struct sb_bytes text, struct sb_buf *out) {
  for (size_t i = 0; i < text.len;) {
    size_t len = utf8_length(text, i);
    uint8_t c = text.at[i];
    if (c == '\n' || c == '\r' || c == '\t' || c == '\\') {
      sb_buf_printf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : '\\');
      i++;
    } else if (len == 0 || c < ' ' || c == 127 || is_c1(text, i, len)) {
      sb_buf_printf(out, "\\x%02x", c);
      i++;
    } else {
      sb_buf_append(out, text.at + i, len);
      i += len;
    }
  }
}
