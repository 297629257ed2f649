/* A reload takes over what can change in a running bridge, or nothing. */
#include <string.h>

#include "bridge/base/error.h"
#include "tests/unit/config_fixture.h"

#define SB "broker = \"servicebus\";\n"

static int reload(struct fixture *f, const char *text) {
  char path[64];
  write_file("new.conf", text, 0600, path);
  sb_config_report_close(&f->report);
  return sb_config_reload(path, &f->config, &f->report);
}

static void expect_refused(struct fixture *f, const char *text, const char *says_what) {
  char *before = printed(&f->config);
  assert_int_equal(reload(f, text), SB_ERR_INVALID);
  if (says_what) expect_says(&f->report, false, says_what);
  char *after = printed(&f->config);
  assert_string_equal(before, after);
  free(before);
  free(after);
}

static void test_what_may_change_is_taken_over(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "node = \"a\";");
  assert_int_equal(reload(&f, "node = \"a\"; outage = \"refuse\"; log = { level = \"debug\"; };\n"
                              "limits = { sessions = 7; output = { soft_seconds = 9; }; };"),
                   0);
  assert_string_equal(f.config.node, "a");
  assert_int_equal(f.config.outage, SB_CONFIG_OUTAGE_REFUSE);
  assert_int_equal(f.config.log.level, SB_LOG_DEBUG);
  assert_int_equal(f.config.limits.sessions, 7);
  assert_int_equal(f.config.limits.output.soft_seconds, 9);
  assert_int_equal(f.report.count, 0);
  drop(&f);
}

static void test_what_needs_a_restart_refuses_all_and_is_named_with_its_place(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "node = \"a\";");
  expect_refused(&f, "outage = \"refuse\";\nnode = \"b\";\nlog = { level = \"debug\"; format = \"json\"; };",
                 NULL);
  expect_says(&f.report, false, "/new.conf:2: node: changed from \"a\" to \"b\", which needs a restart");
  expect_says(&f.report, false, "/new.conf:3: log.format: changed from \"text\" to \"json\"");
  assert_int_equal(f.report.count, 2);
  drop(&f);
}

static void test_who_may_speak_at_the_broker_needs_a_restart_and_is_named(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "node = \"a\"; broker = \"rabbitmq\"; rabbitmq = { trusted_users = [\"guest\"]; };");
  expect_refused(&f,
                 "node = \"a\"; broker = \"rabbitmq\";\n"
                 "rabbitmq = {\n trusted_users = [\"guest\", \"other\"];\n foreign_exchange = true; };",
                 NULL);
  expect_says(&f.report, false,
              "/new.conf:3: rabbitmq.trusted_users: changed from [\"guest\"] to [\"guest\", \"other\"], "
              "which needs a restart");
  expect_says(&f.report, false,
              "/new.conf:4: rabbitmq.foreign_exchange: changed from false to true, which needs a restart");
  assert_int_equal(f.report.count, 2);
  expect_refused(&f, "node = \"a\"; broker = \"rabbitmq\";",
                 "rabbitmq.trusted_users: changed from [\"guest\"] to");
  drop(&f);
}

/* What is left out has its default: that is another place to look at than a line. */
static void test_a_setting_that_was_taken_out_changes_too(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "node = \"a\"; topics = { partitions = 4; };");
  expect_refused(&f, "node = \"a\";", "/new.conf: topics.partitions: changed from 4 to 1, which needs");
  expect_refused(&f, "node = \"a\"; topics = { prefix = \"x\"; partitions = 4; };", "topics.prefix: changed");
  drop(&f);
}

static void test_a_listener_is_not_turned_on_or_off(void **state) {
  (void)state;
  struct fixture f;
  char secret[64], text[160];
  write_file("pw", "hunter-2\n", 0600, secret);
  load(&f, "node = \"a\";");
  snprintf(text, sizeof text, "node = \"a\";\ntcp = { password_file = \"%s\"; };", secret);
  expect_refused(&f, text, ":2: tcp.port: tcp was turned on, which needs a restart");
  drop(&f);
  load(&f, text);
  expect_refused(&f, "node = \"a\";", "tcp was turned off");
  drop(&f);
}

static void test_an_error_changes_nothing(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "node = \"a\";");
  expect_refused(&f, "node = \"a\"; outage = \"refuse\"; log = { level = 3; };", "log.level");
  expect_refused(
      &f,
      "node = \"a\"; limits = { request_bytes = 100000000; input_bytes = 100000000; };\noutbox = { "
      "max_bytes = 100000000; };",
      "outbox.max_bytes: changed from 67108864 to 100000000");
  expect_refused(&f, "node = \"a\"; socket = { password_file = \"/no/such\"; };", "cannot read /no/such");
  drop(&f);
}

static void test_passwords_and_who_logs_in_are_taken_over(void **state) {
  (void)state;
  struct fixture f;
  char one[64], two[64], text[400];
  static const char form[] =
      "node = \"a\"; broker = \"rabbitmq\"; socket = { password_file = \"%s\"; };\n"
      "tcp = { password_file = \"%s\"; }; rabbitmq = { user = \"%s\"; password_file = \"%s\"; };";
  write_file("one", "password-1\n", 0600, one);
  write_file("two", "password-2\n", 0600, two);
  snprintf(text, sizeof text, form, one, one, "u", one);
  load(&f, text);
  write_file("one", "password-3\n", 0600, one);
  assert_int_equal(reload(&f, text), 0);
  assert_string_equal(f.config.socket.password, "password-3");
  assert_string_equal(f.config.tcp.password, "password-3");
  assert_string_equal(f.config.rabbitmq.password, "password-3");
  snprintf(text, sizeof text, form, two, two, "v", two);
  assert_int_equal(reload(&f, text), 0);
  assert_string_equal(f.config.rabbitmq.user, "v");
  assert_string_equal(f.config.rabbitmq.password, "password-2");
  assert_string_equal(f.config.tcp.password_file, two);
  write_file("two", "", 0600, two);
  expect_refused(&f, text, "two is empty");
  assert_string_equal(f.config.rabbitmq.password, "password-2");
  drop(&f);
}

static void test_a_key_is_taken_over_and_another_namespace_is_not(void **state) {
  (void)state;
  struct fixture f;
  char path[64], text[256];
  static const char form[] =
      "Endpoint=sb://%s.servicebus.windows.net/;SharedAccessKeyName=r;SharedAccessKey=%s";
  snprintf(text, sizeof text, form, "acme", "first");
  write_file("string", text, 0600, path);
  char conf[256];
  snprintf(conf, sizeof conf, SB "node = \"a\"; servicebus = {\n connection_string_file = \"%s\"; };", path);
  load(&f, conf);
  assert_int_equal(f.rc, 0);
  snprintf(text, sizeof text, form, "acme", "other");
  write_file("string", text, 0600, path);
  assert_int_equal(reload(&f, conf), 0);
  assert_string_equal(f.config.servicebus.resolved.key, "other");
  snprintf(text, sizeof text, form, "emca", "third");
  write_file("string", text, 0600, path);
  expect_refused(&f, conf, ":3: servicebus.connection_string_file: the namespace changed from acme.");
  assert_string_equal(f.config.servicebus.resolved.key, "other");
  drop(&f);
}

static void test_keys_of_the_hub_are_taken_over_and_signing_is_not_turned_on_or_off(void **state) {
  (void)state;
  struct fixture f;
  char one[64], two[64], with_one[200], with_both[300];
  static const char without[] = "node = \"a\"; broker = \"rabbitmq\";";
  write_file("one", "YW5vdGhlciBmYWtlIGtleSBmb3IgdGVzdHMgb25seSE=\n", 0600, one);
  write_file("two", "bm90IGEga2V5IGJ1dCBhIHRlc3QgZm9yIHRoZSBsZW4=\n", 0600, two);
  snprintf(with_one, sizeof with_one, "%s\nhub = { key_file = \"%s\"; };", without, one);
  snprintf(with_both, sizeof with_both, "%s hub = { key_file = \"%s\"; other_key_file = \"%s\"; };", without,
           two, one);
  load(&f, with_one);
  assert_int_equal(reload(&f, with_both), 0);
  assert_string_equal(f.config.hub.key, "bm90IGEga2V5IGJ1dCBhIHRlc3QgZm9yIHRoZSBsZW4=");
  assert_string_equal(f.config.hub.other_key, "YW5vdGhlciBmYWtlIGtleSBmb3IgdGVzdHMgb25seSE=");
  write_file("two", "too short\n", 0600, two);
  expect_refused(&f, with_both, "a key of 9 characters");
  assert_string_equal(f.config.hub.key, "bm90IGEga2V5IGJ1dCBhIHRlc3QgZm9yIHRoZSBsZW4=");
  expect_refused(&f, without, "hub.key_file: signing was turned off, which needs a restart of all nodes");
  drop(&f);
  load(&f, without);
  expect_refused(&f, with_one, ":2: hub.key_file: signing was turned on, which needs a restart of all nodes");
  drop(&f);
}

/* They wait for a restart that takes up another broker. */
static void test_settings_of_a_broker_that_is_not_used_may_be_written(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "node = \"a\";");
  assert_int_equal(reload(&f, "node = \"a\"; rabbitmq = { prefetch = 7; }; servicebus = { prefetch = 8; };"),
                   0);
  expect_refused(&f, "node = \"a\"; broker = \"rabbitmq\";",
                 "broker: changed from \"memory\" to \"rabbitmq\"");
  drop(&f);
}

static void test_a_place_is_known_in_an_included_file(void **state) {
  (void)state;
  struct fixture f;
  char path[64];
  write_file("part.conf", "\n\ntopics = { partitions = 3; };", 0600, path);
  load(&f, "node = \"a\";");
  expect_refused(&f, "node = \"a\";\n@include \"part.conf\"\n",
                 "part.conf:3: topics.partitions: changed from 1 to 3");
  drop(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_may_change_is_taken_over),
      cmocka_unit_test(test_what_needs_a_restart_refuses_all_and_is_named_with_its_place),
      cmocka_unit_test(test_who_may_speak_at_the_broker_needs_a_restart_and_is_named),
      cmocka_unit_test(test_a_setting_that_was_taken_out_changes_too),
      cmocka_unit_test(test_a_listener_is_not_turned_on_or_off),
      cmocka_unit_test(test_an_error_changes_nothing),
      cmocka_unit_test(test_passwords_and_who_logs_in_are_taken_over),
      cmocka_unit_test(test_a_key_is_taken_over_and_another_namespace_is_not),
      cmocka_unit_test(test_keys_of_the_hub_are_taken_over_and_signing_is_not_turned_on_or_off),
      cmocka_unit_test(test_settings_of_a_broker_that_is_not_used_may_be_written),
      cmocka_unit_test(test_a_place_is_known_in_an_included_file),
  };
  return cmocka_run_group_tests(tests, config_make_folder, config_remove_folder);
}
