/* How much memory a process may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridge/base/system_memory.h"

static void write_limit(const char *root, const char *group, const char *text) {
  char name[200];
  snprintf(name, sizeof name, "%s%s", root, group);
  mkdir(name, 0700);
  snprintf(name, sizeof name, "%s%s/memory.max", root, group);
  FILE *file = fopen(name, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void drop(const char *root, const char *group) {
  char name[200];
  snprintf(name, sizeof name, "%s%s/memory.max", root, group);
  assert_int_equal(unlink(name), 0);
  snprintf(name, sizeof name, "%s%s", root, group);
  assert_int_equal(rmdir(name), 0);
}

static void the_least_limit_of_a_cgroup_and_those_above_it_holds(void **state) {
  (void)state;
  char root[] = "/tmp/sb-cgroup-XXXXXX";
  assert_non_null(mkdtemp(root));
  write_limit(root, "", "900000000\n");
  write_limit(root, "/a", "700000000\n");
  write_limit(root, "/a/b", "max\n");
  assert_true(sb_cgroup_memory(root, "/a/b", "memory.max") == 700000000);
  assert_true(sb_cgroup_memory(root, "/a", "memory.max") == 700000000);
  assert_true(sb_cgroup_memory(root, "/", "memory.max") == 900000000);
  assert_true(sb_cgroup_memory(root, "/none", "memory.max") == 900000000);
  assert_true(sb_cgroup_memory("/nowhere", "/a", "memory.max") == UINT64_MAX);
  drop(root, "/a/b");
  drop(root, "/a");
  drop(root, "");
}

static void a_resource_limit_holds(void **state) {
  (void)state;
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_DATA, &limit), 0);
  uint64_t before = sb_system_memory();
  struct rlimit low = {.rlim_cur = before / 2, .rlim_max = limit.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_DATA, &low), 0);
  assert_true(sb_system_memory() == before / 2);
  assert_int_equal(setrlimit(RLIMIT_DATA, &limit), 0);
  assert_true(sb_system_memory() == before);
}

static void a_cgroup_may_have_colons_in_its_name(void **state) {
  (void)state;
  const char *path = NULL;
  assert_int_equal(sb_cgroup_line("0::/a.slice:cri-containerd:123", &path), SB_CGROUP_V2);
  assert_string_equal(path, "/a.slice:cri-containerd:123");
  assert_int_equal(sb_cgroup_line("9:cpu,memory:/docker/1:2", &path), SB_CGROUP_V1_MEMORY);
  assert_string_equal(path, "/docker/1:2");
  assert_int_equal(sb_cgroup_line("9:memory:/", &path), SB_CGROUP_V1_MEMORY);
  static const char *const others[] = {
      "1:name=memory:/a", "2:memory_x,cpu:/memory", "3:cpu:/a:memory:/b", "0::", "memory", ""};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    assert_int_equal(sb_cgroup_line(others[i], &path), SB_CGROUP_OTHER);
}

static void what_is_no_number_is_no_limit(void **state) {
  (void)state;
  char root[] = "/tmp/sb-cgroup-XXXXXX";
  assert_non_null(mkdtemp(root));
  static const char *const none[] = {"max\n", "", "\n", "-1\n", " 5\n", "12k\n", "99999999999999999999999\n",
                                     "0\n"};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    write_limit(root, "", none[i]);
    assert_true(sb_cgroup_memory(root, "/", "memory.max") == UINT64_MAX);
  }
  write_limit(root, "", "9223372036854771712"); /* what version 1 says when there is none */
  assert_true(sb_cgroup_memory(root, "/", "memory.max") == UINT64_C(9223372036854771712));
  drop(root, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_least_limit_of_a_cgroup_and_those_above_it_holds),
      cmocka_unit_test(a_cgroup_may_have_colons_in_its_name),
      cmocka_unit_test(what_is_no_number_is_no_limit),
      cmocka_unit_test(a_resource_limit_holds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
