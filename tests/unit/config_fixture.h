/* Configuration files in a folder of their own, what a load of one says, and the names of secrets in the
 * environment. */
#ifndef SB_TESTS_CONFIG_FIXTURE_H
#define SB_TESTS_CONFIG_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

static char folder[] = "/tmp/test_config.XXXXXX"; /* every file stands in it */

struct fixture {
  char path[64];
  struct sb_config config;
  struct sb_config_report report;
  int rc;
};

static inline void write_file(const char *name, const char *text, mode_t mode, char path[64]) {
  snprintf(path, 64, "%s/%s", folder, name);
  unlink(path);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  assert_true(fd >= 0);
  assert_int_equal(fchmod(fd, mode), 0);
  assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  close(fd);
}

static inline void load(struct fixture *f, const char *text) {
  *f = (struct fixture){0};
  write_file("sidebus.conf", text, 0600, f->path);
  f->rc = sb_config_load(f->path, &f->config, &f->report);
}

static inline void drop(struct fixture *f) {
  sb_config_free(&f->config);
  sb_config_report_close(&f->report);
}

/* Whether a problem contains `part`; `warning` as asked. */
static inline bool says(const struct sb_config_report *report, bool warning, const char *part) {
  for (size_t i = 0; i < report->count; i++)
    if (report->problems[i].warning == warning && strstr(report->problems[i].text, part)) return true;
  return false;
}

static inline void expect_says(const struct sb_config_report *report, bool warning, const char *part) {
  if (says(report, warning, part)) return;
  print_error("expected %s \"%s\" in:\n", warning ? "warning" : "error", part);
  for (size_t i = 0; i < report->count; i++) print_error("  %s\n", report->problems[i].text);
  fail();
}

static inline char *printed(const struct sb_config *config) {
  struct sb_buf out = {0};
  sb_config_print(config, &out);
  sb_buf_append(&out, "", 1);
  return (char *)out.data;
}

static inline int config_make_folder(void **state) {
  (void)state;
  unsetenv("SIDEBUS_RABBITMQ_PASSWORD");
  unsetenv("SIDEBUS_SERVICEBUS_KEY");
  unsetenv("SIDEBUS_SERVICEBUS_CONNECTION_STRING");
  return mkdtemp(folder) ? 0 : -1;
}

static inline int config_remove_folder(void **state) {
  (void)state;
  DIR *all = opendir(folder);
  if (!all) return -1;
  for (const struct dirent *one; (one = readdir(all));) {
    char path[sizeof folder + sizeof one->d_name];
    snprintf(path, sizeof path, "%s/%s", folder, one->d_name);
    if (one->d_name[0] != '.') unlink(path);
  }
  closedir(all);
  return rmdir(folder);
}

#endif
