/* The group hub: keys that are good enough, and what is told of those that are not. */
#include "tests/unit/config_fixture.h"

static void test_a_hub_wants_a_key_of_32_random_bytes(void **state) {
  (void)state;
  static const struct {
    const char *key, *says; /* NULL: it is good */
  } cases[] = {
      {"hunter2", "a key of 7 characters, which cannot be 32 random bytes; write one made by \"openssl"},
      {"bm90IGEga2V5IGJ1dCBhIHRlc3QgZm9yIHRoZSBsZW", "a key of 42 characters"},
      {"6e6f742061206b65792062757420612074657374206f6e6c7920747275737421", NULL},
      {"6e6f742061206b65792062757420612074657374206f6e6c79207472757374", "a key of 62 characters"},
      {"abcdefghijklmnopabcdefghijklmnopabcdefghijklmnop", "a key that is quickly guessed"},
      {"0000000000000000000000000000000000000000000000000000000000000000", "that is quickly guessed"},
      {"abbaabaabbbababbaabbbbaababbabababababbaabbabaabbbabaaabbxyz", "that is quickly guessed"},
      {"bm90IGEga2V5IGJ1dCBhIHRlc3QgZm9yIHRoZSBsZW4=", NULL},
  };
  static const char *const keys[] = {"key_file", "other_key_file"};
  for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
    char path[64], good[64], text[300], key[40];
    struct fixture f;
    const char *says = cases[i / 2].says;
    write_file("key", cases[i / 2].key, 0600, path);
    write_file("good", "YW5vdGhlciBmYWtlIGtleSBmb3IgdGVzdHMgb25seSE=\n", 0600, good);
    snprintf(text, sizeof text, "broker = \"rabbitmq\"; hub = {\n%s = \"%s\";\n%s = \"%s\"; };", keys[i % 2],
             path, keys[1 - i % 2], good);
    snprintf(key, sizeof key, ":2: hub.%s: ", keys[i % 2]);
    load(&f, text);
    assert_int_equal(f.rc == 0, says == NULL);
    if (says) expect_says(&f.report, false, key);
    if (says) expect_says(&f.report, false, says);
    if (!says) assert_string_equal(i % 2 ? f.config.hub.other_key : f.config.hub.key, cases[i / 2].key);
    char *out = printed(&f.config);
    assert_null(strstr(out, "YW5vdGhlci"));
    free(out);
    drop(&f);
  }
}

static void test_keys_of_a_hub_that_are_of_no_use_are_told(void **state) {
  (void)state;
  char path[64], text[300];
  struct fixture f;
  write_file("key", "YW5vdGhlciBmYWtlIGtleSBmb3IgdGVzdHMgb25seSE=\n", 0644, path);
  snprintf(text, sizeof text, "hub = { key_file = \"%s\"; };", path);
  load(&f, text);
  assert_int_equal(f.rc, 0);
  expect_says(&f.report, true, "hub.key_file: not used, since broker is \"memory\"");
  drop(&f);
  snprintf(text, sizeof text, "broker = \"rabbitmq\"; hub = { other_key_file = \"%s\"; };", path);
  load(&f, text);
  expect_says(&f.report, false, "hub.other_key_file: nothing is signed without hub.key_file");
  drop(&f);
  snprintf(text, sizeof text, "broker = \"rabbitmq\"; hub = { key_file = \"%s\"; other_key_file = \"%s\"; };",
           path, path);
  load(&f, text);
  assert_int_equal(f.rc, 0);
  expect_says(&f.report, true, "holds the same key");
  expect_says(&f.report, true, "hub.key_file: every user of this machine can read");
  drop(&f);
  load(&f, "broker = \"rabbitmq\"; hub = { key_file = \"/no/key\"; };");
  expect_says(&f.report, false, "hub.key_file: cannot read /no/key");
  drop(&f);
}

static void test_a_node_must_be_among_the_users_that_it_trusts(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "broker = \"rabbitmq\"; rabbitmq = { trusted_users = [\"guest\", \"other\"]; };");
  assert_int_equal(f.rc, 0);
  assert_int_equal(f.config.rabbitmq.trusted_users.count, 2);
  drop(&f);
  load(&f, "broker = \"rabbitmq\"; rabbitmq = {\n trusted_users = [\"other\"]; };");
  expect_says(&f.report, false, ":2: rabbitmq.trusted_users: rabbitmq.user, \"guest\", is not in it");
  drop(&f);
  load(&f, "broker = \"rabbitmq\"; rabbitmq = { trusted_users = []; };");
  expect_says(&f.report, false, "rabbitmq.trusted_users: rabbitmq.user, \"guest\", is not in it");
  drop(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_hub_wants_a_key_of_32_random_bytes),
      cmocka_unit_test(test_keys_of_a_hub_that_are_of_no_use_are_told),
      cmocka_unit_test(test_a_node_must_be_among_the_users_that_it_trusts),
  };
  return cmocka_run_group_tests(tests, config_make_folder, config_remove_folder);
}
