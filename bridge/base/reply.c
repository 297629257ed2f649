#include "bridge/base/reply.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static void append_crlf(struct sb_buf *buf) {
  sb_buf_append(buf, "\r\n", 2);
}

void sb_reply_line(struct sb_buf *buf, char type, uint64_t number) {
  sb_buf_append(buf, &type, 1);
  sb_buf_u64(buf, number);
  append_crlf(buf);
}

void sb_reply_simple(struct sb_buf *buf, const char *text) {
  sb_buf_append(buf, "+", 1);
  sb_buf_text(buf, text);
  append_crlf(buf);
}

static bool is_line_break(uint8_t c) {
  return c == '\r' || c == '\n';
}

void sb_reply_error(struct sb_buf *buf, struct sb_bytes text) {
  while (text.len > 0 && is_line_break(text.at[text.len - 1])) text.len--;
  while (text.len > 0 && is_line_break(text.at[0])) text = sb_bytes(text.at + 1, text.len - 1);
  if (text.len == 0 || text.at[0] != '-') sb_buf_append(buf, "-ERR ", 5);
  size_t from = buf->len;
  sb_buf_append(buf, text.at, text.len);
  for (size_t i = from; i < buf->len; i++)
    if (is_line_break(buf->data[i])) buf->data[i] = ' ';
  append_crlf(buf);
}

void sb_reply_error_text(struct sb_buf *buf, const char *text) {
  sb_reply_error(buf, sb_bytes_of(text));
}

void sb_reply_errorf(struct sb_buf *buf, const char *format, ...) {
  struct sb_buf text = {0};
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int len = vsnprintf(NULL, 0, format, args);
  if (len > 0) {
    sb_buf_reserve(&text, (size_t)len + 1);
    vsnprintf((char *)text.data, (size_t)len + 1, format, again);
    text.len = (size_t)len;
  }
  va_end(again);
  va_end(args);
  sb_reply_error(buf, sb_buf_bytes(&text));
  sb_buf_close(&text);
}

void sb_reply_integer(struct sb_buf *buf, int64_t value) {
  if (value >= 0) {
    sb_reply_number(buf, ':', (uint64_t)value);
    return;
  }
  sb_buf_append(buf, ":-", 2);
  sb_buf_u64(buf, 0 - (uint64_t)value);
  append_crlf(buf);
}

void sb_reply_bulk(struct sb_buf *buf, struct sb_bytes bytes) {
  sb_reply_number(buf, '$', bytes.len);
  sb_buf_append(buf, bytes.at, bytes.len);
  append_crlf(buf);
}

void sb_reply_bulk_text(struct sb_buf *buf, const char *text) {
  sb_reply_bulk(buf, sb_bytes_of(text));
}

void sb_reply_verbatim(struct sb_buf *buf, int proto, const char format[static 3], struct sb_bytes text) {
  if (proto == 2) {
    sb_reply_bulk(buf, text);
    return;
  }
  sb_reply_number(buf, '=', text.len + 4);
  sb_buf_append(buf, format, 3);
  sb_buf_append(buf, ":", 1);
  sb_buf_append(buf, text.at, text.len);
  append_crlf(buf);
}

void sb_reply_null(struct sb_buf *buf, int proto) {
  sb_buf_text(buf, proto == 2 ? "$-1\r\n" : "_\r\n");
}

void sb_reply_null_array(struct sb_buf *buf, int proto) {
  sb_buf_text(buf, proto == 2 ? "*-1\r\n" : "_\r\n");
}

void sb_reply_double(struct sb_buf *buf, int proto, double value) {
  char text[40];
  int len = isnan(value) ? snprintf(text, sizeof text, "nan") : snprintf(text, sizeof text, "%.17g", value);
  if (proto == 2) {
    sb_reply_bulk(buf, sb_bytes(text, (size_t)len));
    return;
  }
  sb_buf_append(buf, ",", 1);
  sb_buf_append(buf, text, (size_t)len);
  append_crlf(buf);
}

void sb_reply_bool(struct sb_buf *buf, int proto, bool value) {
  if (proto == 2)
    sb_reply_number(buf, ':', value);
  else
    sb_buf_text(buf, value ? "#t\r\n" : "#f\r\n");
}
