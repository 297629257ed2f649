/* Where the bridge listens: what `check` finds before `run` would. */
#include <grp.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bridge/base/error.h"
#include "tests/unit/config_fixture.h"

#define NOBODY 65534

__attribute__((format(printf, 3, 4))) static int place(struct fixture *f, bool starts_now, const char *format,
                                                       ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  load(f, text);
  assert_int_equal(f->rc, 0);
  return sb_config_check_place(&f->config, starts_now, &f->report);
}

static int listen_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(fd, 4), 0);
  return fd;
}

static void test_a_folder_that_takes_the_socket_is_good(void **state) {
  (void)state;
  struct fixture f;
  for (int starts_now = 0; starts_now < 2; starts_now++) {
    assert_int_equal(place(&f, starts_now, "socket = { path = \"%s/s\"; };", folder), 0);
    assert_int_equal(f.report.count, 0);
    drop(&f);
  }
}

static void test_a_folder_that_is_not_there_is_an_error_for_check_and_run(void **state) {
  (void)state;
  struct fixture f;
  for (int starts_now = 0; starts_now < 2; starts_now++) {
    assert_int_equal(place(&f, starts_now, "socket = {\n path = \"%s/none/s\"; };", folder), SB_ERR_INVALID);
    expect_says(&f.report, false, ":2: socket.path: the folder ");
    expect_says(&f.report, false, "does not exist; make it (mkdir -p ");
    drop(&f);
  }
}

static void test_a_file_is_no_folder(void **state) {
  (void)state;
  struct fixture f;
  char file[64];
  write_file("file", "x", 0600, file);
  for (int starts_now = 0; starts_now < 2; starts_now++) {
    assert_int_equal(place(&f, starts_now, "socket = { path = \"%s/s\"; };", file), SB_ERR_INVALID);
    expect_says(&f.report, false, "file is no folder");
    drop(&f);
  }
}

static void expect_no_socket(const char *path, const char *kind) {
  struct fixture f;
  char words[200];
  snprintf(words, sizeof words,
           ":1: socket.path: %s is there and is no socket but %s; remove it or write another path", path,
           kind);
  for (int starts_now = 0; starts_now < 2; starts_now++) {
    assert_int_equal(place(&f, starts_now, "socket = { path = \"%s\"; };", path), SB_ERR_INVALID);
    expect_says(&f.report, false, words);
    drop(&f);
  }
}

static void test_what_is_no_socket_is_told_to_check_and_run_in_the_same_words(void **state) {
  (void)state;
  char file[64], other[64];
  int fd;
  write_file("file", "x", 0600, file);
  expect_no_socket(file, "a file");
  snprintf(other, sizeof other, "%s/other", folder);
  assert_int_equal(mkdir(other, 0700), 0);
  expect_no_socket(other, "a folder");
  assert_int_equal(rmdir(other), 0);
  assert_int_equal(mkfifo(other, 0600), 0);
  expect_no_socket(other, "a pipe");
  assert_int_equal(unlink(other), 0);
  assert_int_equal(symlink("nowhere", other), 0);
  expect_no_socket(other, "a link");
  assert_int_equal(unlink(other), 0);
  snprintf(file, sizeof file, "%s/listening", folder);
  fd = listen_at(file);
  assert_int_equal(symlink(file, other), 0); /* also one to a socket */
  expect_no_socket(other, "a link");
  assert_int_equal(unlink(other), 0);
  assert_int_equal(unlink(file), 0);
  close(fd);
}

static void test_a_socket_of_another_kind_is_an_error_for_check_and_run(void **state) {
  (void)state;
  struct fixture f;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/datagrams", folder);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
  for (int starts_now = 0; starts_now < 2; starts_now++) {
    assert_int_equal(place(&f, starts_now, "socket = { path = \"%s\"; };", address.sun_path), SB_ERR_INVALID);
    expect_says(&f.report, false, ":1: socket.path: cannot tell whether somebody listens on ");
    drop(&f);
  }
  assert_int_equal(unlink(address.sun_path), 0);
  close(fd);
}

/* No mode stops root, so root is another user meanwhile. */
static void test_a_folder_that_may_not_be_written_is_an_error(void **state) {
  (void)state;
  struct fixture f;
  char closed[64], text[128];
  bool root = geteuid() == 0;
  snprintf(closed, sizeof closed, "%s/closed", folder);
  assert_int_equal(mkdir(closed, 0500), 0);
  assert_int_equal(chmod(folder, 0711), 0);
  snprintf(text, sizeof text, "socket = { path = \"%s/s\"; };", closed);
  load(&f, text);
  if (root) assert_int_equal(seteuid(NOBODY), 0);
  int rc = sb_config_check_place(&f.config, true, &f.report);
  if (root) assert_int_equal(seteuid(0), 0);
  assert_int_equal(rc, SB_ERR_INVALID);
  expect_says(&f.report, false, "may not make a file in the folder");
  drop(&f);
  rmdir(closed);
}

static void test_a_group_that_is_not_ours_is_an_error(void **state) {
  (void)state;
  struct fixture f;
  if (geteuid() != 0) skip(); /* who cannot become another user knows no group that is surely not his */
  assert_int_equal(chmod(folder, 0777), 0);
  assert_int_equal(place(&f, true, "socket = { path = \"%s/s\";\n group = \"root\"; };", folder), 0);
  gid_t group = getegid();
  assert_int_equal(setgroups(0, NULL), 0);
  assert_int_equal(setegid(NOBODY), 0);
  assert_int_equal(seteuid(NOBODY), 0);
  int rc = sb_config_check_place(&f.config, true, &f.report);
  assert_int_equal(seteuid(0), 0);
  assert_int_equal(setegid(group), 0);
  assert_int_equal(rc, SB_ERR_INVALID);
  expect_says(&f.report, false, ":2: socket.group: user 65534 is not a member of");
  drop(&f);
}

static void test_whoever_listens_already_is_a_warning_and_stops_a_start(void **state) {
  (void)state;
  struct fixture f;
  char path[64];
  snprintf(path, sizeof path, "%s/live", folder);
  int fd = listen_at(path);
  assert_int_equal(place(&f, false, "socket = { path = \"%s\"; };", path), 0);
  expect_says(&f.report, true, "socket.path: process ");
  expect_says(&f.report, true, ": a bridge can start here when that has ended");
  drop(&f);
  assert_int_equal(place(&f, true, "socket = { path = \"%s\"; };", path), SB_ERR_INVALID);
  expect_says(&f.report, false, "socket.path: process ");
  expect_says(&f.report, false, ": a bridge can start here when that has ended");
  drop(&f);
  close(fd);
  assert_int_equal(place(&f, false, "socket = { path = \"%s\"; };", path), 0); /* stale: it is replaced */
  assert_int_equal(f.report.count, 0);
  drop(&f);
}

static void test_a_port_that_another_program_has_is_an_error_for_check_and_run(void **state) {
  (void)state;
  struct fixture f;
  char secret[64];
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  write_file("pw", "password-1", 0600, secret);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
  assert_int_equal(listen(fd, 4), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
  static const char form[] = "socket = { path = \"%s/s\"; };\ntcp = { password_file = \"%s\"; port = %u; };";
  unsigned port = ntohs(address.sin_port);
  for (int starts_now = 0; starts_now < 2; starts_now++) {
    assert_int_equal(place(&f, starts_now, form, folder, secret, port), SB_ERR_INVALID);
    expect_says(&f.report, false, ":2: tcp.port: cannot listen on 127.0.0.1 port ");
    expect_says(&f.report, false, "; end the program that has it, or write another port");
    drop(&f);
  }
  close(fd);
  assert_int_equal(place(&f, false, form, folder, secret, port), 0);
  assert_int_equal(f.report.count, 0);
  drop(&f);
}

static void test_too_few_descriptors_are_a_warning(void **state) {
  (void)state;
  struct fixture f;
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= 1000000) skip();
  assert_int_equal(
      place(&f, true, "socket = { path = \"%s/s\"; };\nlimits = { sessions = 1000000; };", folder), 0);
  expect_says(&f.report, true, ":2: limits.sessions: 1000000 sessions want 1000064 open files");
  drop(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_folder_that_takes_the_socket_is_good),
      cmocka_unit_test(test_a_folder_that_is_not_there_is_an_error_for_check_and_run),
      cmocka_unit_test(test_a_file_is_no_folder),
      cmocka_unit_test(test_what_is_no_socket_is_told_to_check_and_run_in_the_same_words),
      cmocka_unit_test(test_a_socket_of_another_kind_is_an_error_for_check_and_run),
      cmocka_unit_test(test_a_folder_that_may_not_be_written_is_an_error),
      cmocka_unit_test(test_a_group_that_is_not_ours_is_an_error),
      cmocka_unit_test(test_whoever_listens_already_is_a_warning_and_stops_a_start),
      cmocka_unit_test(test_a_port_that_another_program_has_is_an_error_for_check_and_run),
      cmocka_unit_test(test_too_few_descriptors_are_a_warning),
  };
  return cmocka_run_group_tests(tests, config_make_folder, config_remove_folder);
}
