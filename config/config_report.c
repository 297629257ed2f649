#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "bridge/base/bytes.h"
#include "bridge/base/error.h"
#include "config/config.h"

#define PROBLEMS_MAX 200 /* a file with more errors than this is another kind of file */

void sb_config_report_add(struct sb_config_report *report, bool warning, const char *format, ...) {
  if (!warning) report->errors++;
  if (report->count == PROBLEMS_MAX) return;
  char text[2 * SB_ERROR_TEXT_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  report->problems = sb_realloc(report->problems, (report->count + 1) * sizeof *report->problems);
  report->problems[report->count++] = (struct sb_config_problem){.warning = warning, .text = sb_strdup(text)};
}

void sb_config_report_close(struct sb_config_report *report) {
  for (size_t i = 0; i < report->count; i++) free(report->problems[i].text);
  free(report->problems);
  *report = (struct sb_config_report){0};
}
