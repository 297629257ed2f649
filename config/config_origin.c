#include "config/config_origin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/base/error.h"
#include "config/config_keys.h"

struct sb_config_origin *sb_config_origin_new(const char *path) {
  struct sb_config_origin *origin = sb_calloc(1, sizeof *origin);
  if (path) origin->path = sb_strdup(path);
  return origin;
}

void sb_config_origin_free(struct sb_config_origin *origin) {
  if (!origin) return;
  for (size_t i = 0; i < origin->file_count; i++) free(origin->files[i]);
  free(origin->path);
  free(origin);
}

const char *sb_config_origin_file(struct sb_config_origin *origin, const char *file) {
  for (size_t i = 0; i < origin->file_count; i++)
    if (strcmp(origin->files[i], file) == 0) return origin->files[i];
  if (origin->file_count == SB_CONFIG_FILES_MAX) return origin->path;
  return origin->files[origin->file_count++] = sb_strdup(file);
}

void sb_config_complain(struct sb_config_report *report, const struct sb_config_origin *origin,
                        const char *key, bool warning, const char *format, ...) {
  char text[SB_ERROR_TEXT_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  size_t i = (size_t)(sb_config_key_find(key) - sb_config_keys);
  if (origin->keys[i].line)
    sb_config_report_add(report, warning, "%s:%u: %s: %s", origin->keys[i].file, origin->keys[i].line, key,
                         text);
  else if (origin->path)
    sb_config_report_add(report, warning, "%s: %s: %s", origin->path, key, text);
  else
    sb_config_report_add(report, warning, "%s: %s", key, text);
}

bool sb_config_is_written(const struct sb_config_origin *origin, const char *key) {
  return origin->keys[sb_config_key_find(key) - sb_config_keys].written;
}
