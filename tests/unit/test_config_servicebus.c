/* Settings of Service Bus: one way to show who one is, defaults that the tier decides, what is printed. */
#include "tests/unit/config_fixture.h"

#include "bridge/base/error.h"
#include "config/config_keys.h"

#define STRING_ENV "SIDEBUS_SERVICEBUS_CONNECTION_STRING"
#define KEY_ENV    "SIDEBUS_SERVICEBUS_KEY"
#define SB         "node = \"n-1\"; broker = \"servicebus\"; "
#define NAMESPACE  "namespace = \"acme.servicebus.windows.net\"; "
#define STRING                                                                                               \
  "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=r;SharedAccessKey=aHVudGVyMg==;"

/* Files that cases may name: %1$s a key, %2$s a connection string, %3$s a token, %4$s one of an emulator. */
static void load_with_files(struct fixture *f, const char *format) {
  char key[64], string[64], token[64], emulator[64], text[2048];
  write_file("key", "aHVudGVyMg==\n", 0600, key);
  write_file("string", STRING "\n", 0600, string);
  write_file("token", "SharedAccessSignature sr=x&sig=aHVudGVyMg&se=9&skn=r\n", 0600, token);
  write_file("emulator",
             "Endpoint=sb://localhost;SharedAccessKeyName=r;SharedAccessKey=k;UseDevelopmentEmulator=true",
             0600, emulator);
  const char *const files[] = {key, string, token, emulator};
  size_t used = 0;
  for (const char *c = format; *c; c++) {
    if (*c == '%')
      used += (size_t)snprintf(text + used, sizeof text - used, "%s", files[*++c - '1']);
    else
      text[used++] = *c;
  }
  text[used] = 0;
  load(f, text);
}

static void expect_loaded(const struct fixture *f) {
  for (size_t i = 0; i < f->report.count; i++) print_message("%s\n", f->report.problems[i].text);
  assert_int_equal(f->rc, 0);
}

static void test_a_key_stands_in_a_file(void **state) {
  (void)state;
  struct fixture f;
  load_with_files(&f, SB "servicebus = { " NAMESPACE "key_name = \"r\"; key_file = \"%1\"; };");
  expect_loaded(&f);
  assert_int_equal(f.report.count, 0);
  assert_string_equal(f.config.servicebus.resolved.host, "acme.servicebus.windows.net");
  assert_string_equal(f.config.servicebus.resolved.rule, "r");
  assert_string_equal(f.config.servicebus.resolved.key, "aHVudGVyMg==");
  assert_int_equal(f.config.servicebus.port, 5671);
  assert_int_equal(f.config.servicebus.management_port, 443);
  assert_int_equal(f.config.servicebus.auth, SB_CONFIG_SERVICEBUS_CBS);
  assert_string_equal(f.config.servicebus.subscription, "n-1");
  drop(&f);
}

static void test_a_key_stands_in_the_environment(void **state) {
  (void)state;
  struct fixture f;
  setenv(KEY_ENV, "from-env", 1);
  load_with_files(&f, SB "servicebus = { " NAMESPACE "key_name = \"r\"; };");
  expect_loaded(&f);
  assert_string_equal(f.config.servicebus.resolved.key, "from-env");
  drop(&f);
  load_with_files(&f, SB "servicebus = { " NAMESPACE "key_name = \"r\"; key_file = \"%1\"; };");
  assert_string_equal(f.config.servicebus.resolved.key, "aHVudGVyMg==");
  drop(&f);
  unsetenv(KEY_ENV);
}

static void test_a_connection_string_says_all_of_it(void **state) {
  (void)state;
  struct fixture f;
  load_with_files(&f, SB "servicebus = { connection_string_file = \"%2\"; };");
  expect_loaded(&f);
  assert_string_equal(f.config.servicebus.resolved.host, "acme.servicebus.windows.net");
  assert_string_equal(f.config.servicebus.resolved.rule, "r");
  assert_string_equal(f.config.servicebus.resolved.key, "aHVudGVyMg==");
  drop(&f);
  setenv(STRING_ENV, STRING, 1);
  load_with_files(&f, SB);
  expect_loaded(&f);
  assert_string_equal(f.config.servicebus.resolved.key, "aHVudGVyMg==");
  drop(&f);
  unsetenv(STRING_ENV);
}

static void test_a_token_stands_in_a_file_that_is_read_later(void **state) {
  (void)state;
  struct fixture f;
  load_with_files(&f, SB "servicebus = { " NAMESPACE "token_file = \"%3\"; };");
  expect_loaded(&f);
  assert_null(f.config.servicebus.resolved.key);
  assert_null(f.config.servicebus.resolved.token);
  assert_non_null(f.config.servicebus.token_file);
  drop(&f);
}

static void test_an_emulator_has_other_ports_unless_they_are_written(void **state) {
  (void)state;
  struct fixture f;
  load_with_files(&f, SB "servicebus = { connection_string_file = \"%4\"; };");
  expect_loaded(&f);
  assert_true(f.config.servicebus.emulator);
  assert_int_equal(f.config.servicebus.port, 5672);
  assert_int_equal(f.config.servicebus.management_port, 5300);
  expect_says(&f.report, true, "nothing is encrypted");
  drop(&f);
  load_with_files(&f, SB "servicebus = { connection_string_file = \"%4\"; port = 9; management_port = 8; };");
  assert_int_equal(f.config.servicebus.port, 9);
  assert_int_equal(f.config.servicebus.management_port, 8);
  drop(&f);
  load_with_files(&f, SB "servicebus = { namespace = \"localhost:7\"; emulator = true; key_name = \"r\"; "
                         "key_file = \"%1\"; };");
  expect_loaded(&f);
  assert_int_equal(f.config.servicebus.port, 7);
  assert_int_equal(f.config.servicebus.management_port, 5300);
  assert_string_equal(f.config.servicebus.resolved.host, "localhost");
  drop(&f);
}

static void test_there_is_exactly_one_way_to_show_who_one_is(void **state) {
  (void)state;
  static const struct {
    const char *text, *expected;
  } cases[] = {
      {SB, "servicebus.namespace: not set; write the host name"},
      {SB "servicebus = { " NAMESPACE "};", "there are no credentials; write key_name and key_file"},
      {SB "servicebus = { " NAMESPACE "key_name = \"r\"; };",
       "there is no key for \"r\"; write key_file or set " KEY_ENV},
      {SB "servicebus = { " NAMESPACE "key_file = \"%1\"; };", "write key_name too"},
      {SB "servicebus = { " NAMESPACE "key_name = \"r\"; key_file = \"/no/key\"; };", "cannot read /no/key"},
      {SB "servicebus = { " NAMESPACE "key_name = \"r\"; key_file = \"%1\"; token_file = \"%3\"; };",
       "a token and a key are two ways"},
      {SB "servicebus = { " NAMESPACE "key_name = \"r\"; token_file = \"%3\"; };",
       "a token and a key are two ways"},
      {SB "servicebus = { " NAMESPACE "token_file = \"/no/token\"; };", "cannot read /no/token"},
      {SB "servicebus = { " NAMESPACE "token_file = \"%3\"; auth = \"plain\"; };", "\"plain\" needs a key"},
      {SB "servicebus = { connection_string_file = \"%2\"; " NAMESPACE "};",
       "servicebus.namespace: connection_string_file says this already"},
      {SB "servicebus = { connection_string_file = \"%2\"; key_name = \"r\"; };",
       "servicebus.key_name: connection_string_file says this already"},
      {SB "servicebus = { connection_string_file = \"%2\"; key_file = \"%1\"; };",
       "servicebus.key_file: connection_string_file says this already"},
      {SB "servicebus = { connection_string_file = \"%2\"; token_file = \"%3\"; };",
       "servicebus.token_file: connection_string_file says this already"},
      {SB "servicebus = { connection_string_file = \"%1\"; };",
       "the connection string is no connection string"},
      {SB "servicebus = { token_file = \"%3\"; };", "servicebus.namespace: not set"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fixture f;
    load_with_files(&f, cases[i].text);
    assert_int_equal(f.rc, SB_ERR_INVALID);
    expect_says(&f.report, false, cases[i].expected);
    expect_says(&f.report, false, "sidebus.conf:");
    assert_false(says(&f.report, false, "aHVudGVyMg"));
    drop(&f);
  }
}

static void test_a_connection_string_in_the_environment_excludes_a_namespace(void **state) {
  (void)state;
  struct fixture f;
  setenv(STRING_ENV, STRING, 1);
  load_with_files(&f, SB "servicebus = { " NAMESPACE "};");
  assert_int_equal(f.rc, SB_ERR_INVALID);
  expect_says(&f.report, false, "$" STRING_ENV " says this already");
  drop(&f);
  setenv(STRING_ENV, "Endpoint=sb://a;Secret=hunter2", 1);
  load_with_files(&f, SB);
  assert_int_equal(f.rc, SB_ERR_INVALID);
  expect_says(&f.report, false, "$" STRING_ENV " has an unknown key \"Secret\"");
  assert_false(says(&f.report, false, "hunter2"));
  drop(&f);
  unsetenv(STRING_ENV);
}

static void test_values_that_make_no_sense_say_what_would(void **state) {
  (void)state;
  static const struct {
    const char *text, *expected;
  } cases[] = {
      {"namespace = \"sb://acme\";", "write the host name alone"},
      {"namespace = \"acme/hub\";", "write the host name alone"},
      {"namespace = \"acme:99999\";", "a port from 1"},
      {"namespace = \"acme:1\"; port = 2;", "2 is not the port of namespace, 1"},
      {"subscription = \"-a\";", "with a letter or digit first and last"},
      {"subscription = \"a b\";", "with a letter or digit first and last"},
      {"subscription = \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddee\";", "has 42 bytes; write at most 41"},
      {"tier = \"basic\";", "\"standard\" or \"premium\""},
      {"auth = \"sas\";", "\"cbs\" or \"plain\""},
      {"receive = \"peeklock\";", "did you mean \"peek-lock\"?"},
      {"max_size_mb = 1500;", "is not offered; write 1024, 2048"},
      {"max_size_mb = 6144;", "is not offered; write 1024, 2048"},
      {"tier = \"premium\"; max_size_mb = 6145;", "a multiple of 1024"},
      {"manage = false; remove_on_stop = true;", "removing takes the right to manage"},
      {"backoff_min_ms = 600; backoff_max_ms = 500;", "is above backoff_max_ms"},
      {"tls = { ca_file = \"/no/ca\"; };", "cannot read /no/ca"},
      {"}; topics = { prefix = \"-hub\"; ", "\"-hub\" cannot name a topic"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fixture f;
    char text[512];
    bool has_namespace = strncmp(cases[i].text, "namespace", 9) == 0;
    snprintf(text, sizeof text, SB "servicebus = { key_name = \"r\"; key_file = \"%%1\"; %s %s };",
             has_namespace ? "" : NAMESPACE, cases[i].text);
    load_with_files(&f, text);
    assert_int_equal(f.rc, SB_ERR_INVALID);
    expect_says(&f.report, false, cases[i].expected);
    drop(&f);
  }
}

static void test_doubtful_settings_are_warned_of(void **state) {
  (void)state;
  static const struct {
    const char *text, *expected;
  } cases[] = {
      {SB "servicebus = { connection_string_file = \"%2\"; tls = { verify = false; }; };", "not checked"},
      {SB "servicebus = { connection_string_file = \"%2\"; receive = \"receive-and-delete\"; };", "as a gap"},
      {"servicebus = { " NAMESPACE "};", "not used, since broker is \"memory\""},
      {"servicebus = { connection_string_file = \"%2\"; };", "not used, since broker is \"memory\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fixture f;
    load_with_files(&f, cases[i].text);
    expect_loaded(&f);
    expect_says(&f.report, true, cases[i].expected);
    drop(&f);
  }
}

static void test_the_tier_decides_what_is_not_written(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint32_t linger_ms, rate_per_s, max_bytes, lease_ms, found_ms;
  } cases[] = {
      {"", 0, 0, 65536, 15000, 3000},
      {"broker = \"rabbitmq\";", 0, 0, 65536, 15000, 3000},
      {SB "servicebus = { connection_string_file = \"%2\"; };", 20, 25, 196608, 180000, 30000},
      {SB "servicebus = { connection_string_file = \"%2\"; tier = \"premium\"; };", 0, 0, 65536, 180000,
       30000},
      /* wherever in the file the deciding key stands, and also when what is written is the table's default */
      {"batch = { linger_ms = 0; rate_per_s = 7; max_bytes = 65536; }; cluster = { lease_ms = 15000; "
       "found_ms = 3000; };\n"
       "servicebus = { connection_string_file = \"%2\"; }; broker = \"servicebus\";",
       0, 7, 65536, 15000, 3000},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fixture f;
    load_with_files(&f, cases[i].text);
    expect_loaded(&f);
    assert_int_equal(f.config.batch.linger_ms, cases[i].linger_ms);
    assert_int_equal(f.config.batch.rate_per_s, cases[i].rate_per_s);
    assert_int_equal(f.config.batch.max_bytes, cases[i].max_bytes);
    assert_int_equal(f.config.cluster.lease_ms, cases[i].lease_ms);
    assert_int_equal(f.config.cluster.found_ms, cases[i].found_ms);
    drop(&f);
  }
}

static void test_who_does_not_manage_does_not_remove(void **state) {
  (void)state;
  struct fixture f;
  load_with_files(&f, SB "servicebus = { connection_string_file = \"%2\"; };");
  assert_true(f.config.servicebus.remove_on_stop);
  drop(&f);
  load_with_files(&f, SB "servicebus = { connection_string_file = \"%2\"; manage = false; };");
  expect_loaded(&f);
  assert_false(f.config.servicebus.remove_on_stop);
  drop(&f);
}

/* Service Bus takes 50 bytes, wants letters or digits at the ends, and does not tell capitals apart. */
static void test_every_node_has_a_subscription_of_its_own(void **state) {
  (void)state;
  static const char *const nodes[] = {
      "web-01",
      "Web-01",
      "WEB-01",
      "-web-01",
      "web-01-",
      "_",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  };
  enum { COUNT = sizeof nodes / sizeof nodes[0] };
  char *names[COUNT];
  for (size_t i = 0; i < COUNT; i++) {
    struct fixture f;
    char text[256];
    snprintf(text, sizeof text,
             "node = \"%s\"; broker = \"servicebus\"; servicebus = { connection_string_file = \"%%2\"; };",
             nodes[i]);
    load_with_files(&f, text);
    expect_loaded(&f);
    names[i] = strdup(f.config.servicebus.subscription);
    assert_null(sb_config_subscription_check(names[i]));
    for (size_t j = 0; j < i; j++) assert_int_not_equal(strcasecmp(names[i], names[j]), 0);
    drop(&f);
  }
  assert_string_equal(names[0], "web-01");
  assert_string_equal(names[8], nodes[8]);
  assert_int_equal(strlen(names[9]), 33);
  for (size_t i = 0; i < COUNT; i++) free(names[i]);
}

static void expect_round_trip(const struct sb_config *config) {
  char *first = printed(config);
  assert_null(strstr(first, "aHVudGVyMg"));
  struct fixture f;
  load(&f, first);
  expect_loaded(&f);
  char *second = printed(&f.config);
  assert_string_equal(first, second);
  free(first);
  free(second);
  drop(&f);
}

static void test_printed_settings_load_to_the_same_and_show_no_secret(void **state) {
  (void)state;
  static const char *const texts[] = {
      SB "servicebus = { " NAMESPACE "key_name = \"r\"; key_file = \"%1\"; auth = \"plain\"; manage = false; "
         "tls = { verify = false; }; };",
      SB "servicebus = { connection_string_file = \"%2\"; tier = \"premium\"; receive = "
         "\"receive-and-delete\"; };",
      SB "servicebus = { connection_string_file = \"%4\"; };",
      SB "servicebus = { namespace = \"acme:5673\"; token_file = \"%3\"; subscription = \"x\"; };",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct fixture f;
    load_with_files(&f, texts[i]);
    expect_loaded(&f);
    expect_round_trip(&f.config);
    drop(&f);
  }
}

static void test_effective_values_are_printed(void **state) {
  (void)state;
  struct fixture f;
  load_with_files(&f, SB "servicebus = { connection_string_file = \"%2\"; };");
  char *out = printed(&f.config);
  assert_non_null(strstr(out, "rate_per_s = 25;"));
  assert_non_null(strstr(out, "lease_ms = 180000;"));
  assert_non_null(strstr(out, "subscription = \"n-1\";"));
  assert_non_null(strstr(out, "# key: <set>"));
  free(out);
  drop(&f);
}

static void test_a_client_needs_no_credentials(void **state) {
  (void)state;
  struct fixture f = {0};
  write_file("client.conf", SB "servicebus = { connection_string_file = \"/no/string\"; };", 0600, f.path);
  assert_int_equal(sb_config_load_client(f.path, &f.config, &f.report), 0);
  assert_int_equal(f.config.cluster.lease_ms, 180000);
  drop(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_key_stands_in_a_file),
      cmocka_unit_test(test_a_key_stands_in_the_environment),
      cmocka_unit_test(test_a_connection_string_says_all_of_it),
      cmocka_unit_test(test_a_token_stands_in_a_file_that_is_read_later),
      cmocka_unit_test(test_an_emulator_has_other_ports_unless_they_are_written),
      cmocka_unit_test(test_there_is_exactly_one_way_to_show_who_one_is),
      cmocka_unit_test(test_a_connection_string_in_the_environment_excludes_a_namespace),
      cmocka_unit_test(test_values_that_make_no_sense_say_what_would),
      cmocka_unit_test(test_doubtful_settings_are_warned_of),
      cmocka_unit_test(test_the_tier_decides_what_is_not_written),
      cmocka_unit_test(test_who_does_not_manage_does_not_remove),
      cmocka_unit_test(test_every_node_has_a_subscription_of_its_own),
      cmocka_unit_test(test_printed_settings_load_to_the_same_and_show_no_secret),
      cmocka_unit_test(test_effective_values_are_printed),
      cmocka_unit_test(test_a_client_needs_no_credentials),
  };
  return cmocka_run_group_tests(tests, config_make_folder, config_remove_folder);
}
