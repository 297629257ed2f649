#include "bridge/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int sb_error_set(struct sb_error *error, int code, const char *format, ...) {
  if (!error) return code;
  va_list args;
  va_start(args, format);
  error->code = code;
  vsnprintf(error->text, sizeof error->text, format, args);
  va_end(args);
  return code;
}

/* Appends as much as fits and cuts the rest: an error text is never worth a second error. */
static void append(struct sb_error *error, const char *more) {
  size_t used = strlen(error->text);
  snprintf(error->text + used, sizeof error->text - used, "%s", more);
}

int sb_error_errno(struct sb_error *error, int number, const char *format, ...) {
  if (!error) return SB_ERR_SYSTEM;
  va_list args;
  va_start(args, format);
  error->code = SB_ERR_SYSTEM;
  vsnprintf(error->text, sizeof error->text, format, args);
  va_end(args);
  append(error, ": ");
  append(error, strerror(number));
  return SB_ERR_SYSTEM;
}

int sb_error_wrap(struct sb_error *error, const char *format, ...) {
  if (!error) return SB_ERR_SYSTEM;
  char inner[SB_ERROR_TEXT_MAX];
  memcpy(inner, error->text, sizeof inner);
  va_list args;
  va_start(args, format);
  vsnprintf(error->text, sizeof error->text, format, args);
  va_end(args);
  append(error, ": ");
  append(error, inner);
  return error->code;
}
