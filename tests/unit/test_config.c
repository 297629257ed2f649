/* Settings: every key's type and range, where an error stands, what is suggested, secrets, samples, reloads.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridge/base/error.h"
#include "bridge/base/limits.h"
#include "bridge/base/wipe.h"
#include "config/config.h"
#include "config/config_keys.h"
#include "config/secret.h"
#include "config/suggest.h"
#include "tests/unit/config_fixture.h"
#include "tests/unit/pem_fixture.h"

/* "a.b.c" and a value as the text of a file with the value on line 2. */
static void nest(const char *path, const char *value, char *out, size_t size) {
  size_t used = (size_t)snprintf(out, size, "# one\n");
  unsigned depth = 0;
  for (const char *dot; (dot = strchr(path, '.')); path = dot + 1, depth++)
    used += (size_t)snprintf(out + used, size - used, "%.*s = { ", (int)(dot - path), path);
  used += (size_t)snprintf(out + used, size - used, "%s = %s; ", path, value);
  for (; depth > 0; depth--) used += (size_t)snprintf(out + used, size - used, "}; ");
}

static void expect_error_at(const char *key, const char *value, const char *part) {
  char text[1024], where[256];
  struct fixture f;
  nest(key, value, text, sizeof text);
  load(&f, text);
  assert_int_equal(f.rc, SB_ERR_INVALID);
  snprintf(where, sizeof where, "%s:2: %s: ", f.path, key);
  expect_says(&f.report, false, where);
  expect_says(&f.report, false, part);
  drop(&f);
}

static void test_every_key_refuses_other_types(void **state) {
  (void)state;
  for (size_t i = 0; i < sb_config_key_count; i++) {
    const struct sb_config_key *key = &sb_config_keys[i];
    bool number = key->type == SB_CONFIG_U32 || key->type == SB_CONFIG_U64 || key->type == SB_CONFIG_MODE;
    if (key->type != SB_CONFIG_BOOL) expect_error_at(key->path, "true", "is true or false; write ");
    expect_error_at(key->path, "1.5", "is a number with a fraction; write ");
    expect_error_at(key->path, "{ }", "is a group; write ");
    if (!number) expect_error_at(key->path, "7", "is a number; write ");
    if (key->type == SB_CONFIG_U32 || key->type == SB_CONFIG_U64 || key->type == SB_CONFIG_BOOL)
      expect_error_at(key->path, "\"1\"", "is a text; write ");
    expect_error_at(key->path, "[1, 2]",
                    number || key->type == SB_CONFIG_BOOL ? "is a list; write " : "write ");
  }
}

static void test_every_number_has_a_range(void **state) {
  (void)state;
  char value[32], right[96];
  for (size_t i = 0; i < sb_config_key_count; i++) {
    const struct sb_config_key *key = &sb_config_keys[i];
    if (key->type != SB_CONFIG_U32 && key->type != SB_CONFIG_U64) continue;
    assert_true(key->number >= key->min && key->number <= key->max);
    snprintf(right, sizeof right, "is out of range; write a number from %" PRIu64 " to %" PRIu64, key->min,
             key->max);
    expect_error_at(key->path, "-1", right);
    if (key->min > 0) {
      snprintf(value, sizeof value, "%" PRIu64 "L", key->min - 1);
      expect_error_at(key->path, value, right);
    }
    if (key->max < INT64_MAX) {
      snprintf(value, sizeof value, "%" PRIu64 "L", key->max + 1);
      expect_error_at(key->path, value, right);
    }
  }
}

static void test_every_text_has_a_length_and_no_control_characters(void **state) {
  (void)state;
  char *value = malloc(8192);
  for (size_t i = 0; i < sb_config_key_count; i++) {
    const struct sb_config_key *key = &sb_config_keys[i];
    if (key->type != SB_CONFIG_TEXT) continue;
    expect_error_at(key->path, "\"\"", "has 0 bytes; write 1 to ");
    expect_error_at(key->path, "\"a\\nb\"", "holds a control character");
    if (key->max > 800) continue;
    value[0] = '"';
    memset(value + 1, 'a', key->max + 1);
    memcpy(value + key->max + 2, "\"", 2);
    expect_error_at(key->path, value, "bytes; write 1 to ");
  }
  free(value);
}

static void test_an_unknown_key_is_named_with_what_was_meant(void **state) {
  (void)state;
  static const struct {
    const char *text, *expected;
  } cases[] = {
      {"brokr = \"memory\";", ":1: unknown key \"brokr\"; did you mean \"broker\"?"},
      {"\n\ntopics = { partitons = 2; };",
       ":3: unknown key \"partitons\" in topics; did you mean \"partitions\"?"},
      {"rabbitmq = {\n tls = {\n verfy = true; }; };",
       ":3: unknown key \"verfy\" in rabbitmq.tls; did you mean \"verify\"?"},
      {"limits = { output = { hard-bytes = 1; }; };", "did you mean \"hard_bytes\"?"},
      {"rabbit = { };", "did you mean \"rabbitmq\"?"},
      {"partitions = 4;", "did you mean topics.partitions?"},
      {"rabbitmq = { password = \"geheim\"; };", "write password_file"},
      {"servicebus = { key = \"geheim\"; };", "write key_file"},
      {"servicebus = { connection_string = \"geheim\"; };", "write connection_string_file"},
      {"quite_another_thing = 1;", "sidebus.conf(5) lists all keys"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fixture f;
    load(&f, cases[i].text);
    assert_int_equal(f.rc, SB_ERR_INVALID);
    expect_says(&f.report, false, cases[i].expected);
    assert_false(says(&f.report, false, "geheim"));
    drop(&f);
  }
}

static void test_values_that_make_no_sense_say_what_would(void **state) {
  (void)state;
  static const struct {
    const char *key, *value, *expected;
  } cases[] = {
      {"node", "\"a b\"", "letters, digits"},
      {"socket.path", "\"/run/\"", "not of a folder"},
      {"socket.group", "\"no such group\"", "there is no group"},
      {"socket.allow_users", "[\"no such user\"]", "there is no user"},
      {"socket.allow_users", "[\"root\", \"\"]", "has 0 bytes"},
      {"tcp.address", "\"0.0.0.0\"", "loopback"},
      {"tcp.address", "\"::\"", "loopback"},
      {"tcp.address", "\"localhost\"", "loopback"},
      {"broker", "\"kafka\"", "is not known; write \"memory\", \"rabbitmq\" or \"servicebus\""},
      {"broker", "\"rabitmq\"", "did you mean \"rabbitmq\"?"},
      {"topics.prefix", "\"amq.x\"", "AMQP reserves"},
      {"topics.prefix", "\"a/b\"", "letters, digits"},
      {"rabbitmq.hosts", "[]", "write at least one"},
      {"rabbitmq.hosts", "[\"mq-1\"]", "amqp://host"},
      {"rabbitmq.hosts", "[\"http://mq-1\"]", "amqp://host"},
      {"rabbitmq.hosts", "[\"amqp://\"]", "amqp://host"},
      {"rabbitmq.hosts", "[\"amqp://[::1\"]", "amqp://host"},
      {"rabbitmq.hosts", "[\"amqp://[zz]\"]", "amqp://host"},
      {"rabbitmq.hosts", "[\"amqp://h:0\"]", "a port from 1"},
      {"rabbitmq.hosts", "[\"amqp://h:65536\"]", "a port from 1"},
      {"rabbitmq.hosts", "[\"amqp://h/vhost\"]", "vhost is a key of its own"},
      {"rabbitmq.hosts", "[\"amqp://u:p@h\"]", "user and password_file are keys"},
      {"log.level", "\"warning\"", "did you mean \"warn\"?"},
      {"socket.mode", "0689", "in octal"},
      {"socket.mode", "-1", "in octal"},
      {"socket.mode", "01777", "in octal"},
      {"socket.mode", "\"rw\"", "in octal"},
      {"socket.mode", "\"\"", "in octal"},
      {"socket.mode", "0x1000", "in octal"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    expect_error_at(cases[i].key, cases[i].value, cases[i].expected);
}

/* A configuration that is refused, and what it is refused with. */
struct wrong_text {
  const char *text, *expected;
};

static void expect_each_refused(const struct wrong_text *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct fixture f;
    load(&f, cases[i].text);
    assert_int_equal(f.rc, SB_ERR_INVALID);
    expect_says(&f.report, false, cases[i].expected);
    drop(&f);
  }
}

static void test_keys_that_do_not_fit_each_other_are_refused(void **state) {
  (void)state;
  static const struct wrong_text cases[] = {
      {"outbox = { max_bytes = 1048576; };", "outbox.max_bytes: 1048576 has no room"},
      {"limits = { input_bytes = 65536; };", "limits.input_bytes: 65536 has no room"},
      {"limits = { output = { hard_bytes = 100000; soft_bytes = 100001; }; };", "is above hard_bytes"},
      {"rabbitmq = { backoff_min_ms = 600; backoff_max_ms = 500; };", "is above backoff_max_ms"},
      {"rabbitmq = { retention = { max_bytes = 1000; }; };", "less than one segment"},
      {"broker = \"rabbitmq\"; rabbitmq = { tls = { cert_file = \"/dev/null\"; }; };", "needs its key"},
      {"broker = \"rabbitmq\"; rabbitmq = { tls = { key_file = \"/dev/null\"; }; };",
       "needs its certificate"},
      {"broker = \"rabbitmq\"; rabbitmq = { tls = { ca_file = \"/no/ca\"; }; };", "cannot read /no/ca"},
      {"broker = \"rabbitmq\"; rabbitmq = { user = \"u\"; };", "there is no password for \"u\""},
      {"tcp = { };", ":1: tcp.password_file: tcp needs a password"},
  };
  expect_each_refused(cases, sizeof cases / sizeof cases[0]);
}

static void test_doubtful_settings_are_warned_of(void **state) {
  (void)state;
  static const struct {
    const char *text, *expected;
  } cases[] = {
      {"rabbitmq = { hosts = [\"amqp://a\"]; };", "not used, since broker is \"memory\""},
      {"broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqps://a\"]; tls = { verify = false; }; };",
       "not checked"},
      {"broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqp://localhost\", \"amqp://mq-1:7\"]; };",
       "rabbitmq.hosts: the password and all messages go to amqp://mq-1:7 without TLS, and everybody on the "
       "way can read them; write amqps://, or rabbitmq.plain_password_warning = false"},
      {"broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqp://a\", \"amqps://b\", \"amqp://c\"]; };",
       "go to amqp://a and others without TLS"},
      {"broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqp://[2001:db8::1]\"]; };", "without TLS"},
      {"broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqp://127.0.0.1.example.com\"]; };", "without TLS"},
      {"broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqp://notlocalhost\"]; };", "without TLS"},
      {"broker = \"rabbitmq\"; rabbitmq = { retention = { max_bytes = 0; max_age_s = 0; }; };",
       "grow for ever"},
      {"limits = { output = { hard_bytes = 9000000; }; };", "will disconnect its subscribers"},
      {"limits = { output = { hard_bytes = 80000; soft_bytes = 0; }; };", "too low for batch.max_bytes"},
      {"outbox = { max_bytes = 300000000; };",
       "two nodes send up to 600000000 bytes at once, and a session is waited for 60 s at most: one that "
       "reads "
       "less than 9440759 bytes a second will be above limits.output.hard_bytes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fixture f;
    load(&f, cases[i].text);
    assert_int_equal(f.rc, 0);
    expect_says(&f.report, true, cases[i].expected);
    drop(&f);
  }
}

/* Where a session that reads is waited for, one outbox may be larger than one output. */
static void test_what_goes_together_is_not_warned_of(void **state) {
  (void)state;
  static const char *const texts[] = {
      "outbox = { max_bytes = 67108864; }; limits = { output = { hard_bytes = 33554432; }; };",
      "outbox = { max_bytes = 260000000; };",
      "broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqp://localhost\", \"amqp://127.8.0.1\"]; };",
      "broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqp://[::1]\", \"amqp://LocalHost:7\"]; };",
      "broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqp://mq.localhost\", \"amqps://mq-1\"]; };",
      "broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqp://[::ffff:127.0.0.1]\"]; };",
      "broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqp://mq-1\"]; plain_password_warning = false; };",
      "outbox = { max_bytes = 1000000000; }; limits = { output = { hard_bytes = 2000000000; }; };",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct fixture f;
    load(&f, texts[i]);
    assert_int_equal(f.rc, 0);
    assert_int_equal(f.report.count, 0);
    drop(&f);
  }
}

static void test_all_errors_of_a_file_are_reported_at_once(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "broker = 3;\nlog = { level = \"loud\";\n  colour = true; };\ntopics = 4;\n");
  assert_int_equal(f.rc, SB_ERR_INVALID);
  assert_int_equal(f.report.errors, 4);
  expect_says(&f.report, false, ":1: broker: ");
  expect_says(&f.report, false, ":2: log.level: ");
  expect_says(&f.report, false, ":3: unknown key \"colour\"");
  expect_says(&f.report, false, ":4: topics: is a number; write a group");
  drop(&f);
}

static void test_what_libconfig_would_swallow_is_an_error(void **state) {
  (void)state;
  static const struct wrong_text cases[] = {
      {"outbox = {\n max_bytes = 4295032832; };", ":2: 4295032832 has more than 31 bits; write 4295032832L"},
      {"batch = { max_bytes = 0x100010000; };", ":1: 0x100010000 has more than 31 bits"},
      {"outbox = { max_bytes = 99999999999999999999L; };", "more than 63 bits"},
      {"node = \"x\";\n/* no end", ":2: this comment has no end"},
      {"node = \"x;\n", ":1: this text has no end"},
      {"node = x;", ":1: syntax error"},
      {"node = \"a\";\nnode = \"b\";", ":2: duplicate setting name"},
  };
  expect_each_refused(cases, sizeof cases / sizeof cases[0]);
}

static void test_numbers_in_texts_comments_and_names_are_not_looked_at(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "# 99999999999\n// 99999999999\n/* 99999999999 \" */ node = \"99999999999\\\"\";");
  assert_false(says(&f.report, false, "bits"));
  drop(&f);
}

static void test_large_sizes_are_read_with_l(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "outbox = { max_bytes = 8589934592L; };");
  assert_int_equal(f.rc, 0);
  assert_int_equal(f.config.outbox.max_bytes, 8589934592);
  drop(&f);
}

static void test_a_mode_is_read_in_octal_however_it_is_written(void **state) {
  (void)state;
  static const struct {
    const char *value;
    unsigned mode;
  } cases[] = {{"0660", 0660},  {"\"0660\"", 0660}, {"\"660\"", 0660},
               {"0x1b0", 0660}, {"0777", 0777},     {"0", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[64];
    struct fixture f;
    snprintf(text, sizeof text, "socket = { mode = %s; };", cases[i].value);
    load(&f, text);
    assert_int_equal(f.rc, 0);
    assert_int_equal(f.config.socket.mode, cases[i].mode);
    drop(&f);
  }
}

static void test_an_empty_list_of_users_differs_from_none(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "");
  assert_false(f.config.socket.allow_users.set);
  drop(&f);
  load(&f, "socket = { allow_users = []; };");
  assert_true(f.config.socket.allow_users.set);
  assert_int_equal(f.config.socket.allow_users.count, 0);
  drop(&f);
  load(&f, "socket = { allow_users = [\"root\", \"4242\"]; };");
  assert_int_equal(f.rc, 0);
  assert_int_equal(f.config.socket.allow_users.count, 2);
  assert_int_equal(f.config.socket.allow_uids[0], 0);
  assert_int_equal(f.config.socket.allow_uids[1], 4242);
  drop(&f);
}

static void test_hosts_are_taken_apart(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "broker = \"rabbitmq\";\nrabbitmq = { hosts = [\"amqp://mq-1\", \"amqps://mq-2\", "
           "\"amqp://10.0.0.1:7\", "
           "\"amqps://[::1]:9\"]; };");
  assert_int_equal(f.rc, 0);
  static const struct sb_config_host expected[] = {
      {false, 5672, "mq-1"}, {true, 5671, "mq-2"}, {false, 7, "10.0.0.1"}, {true, 9, "::1"}};
  assert_int_equal(f.config.rabbitmq.hosts.count, 4);
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(f.config.rabbitmq.host_list[i].tls, expected[i].tls);
    assert_int_equal(f.config.rabbitmq.host_list[i].port, expected[i].port);
    assert_string_equal(f.config.rabbitmq.host_list[i].name, expected[i].name);
  }
  drop(&f);
}

static void test_no_file_means_the_defaults(void **state) {
  (void)state;
  struct sb_config config;
  struct sb_config_report report = {0};
  unsetenv("XDG_RUNTIME_DIR");
  assert_int_equal(sb_config_load(NULL, &config, &report), 0);
  assert_int_equal(report.count, 0);
  assert_int_equal(config.broker, SB_CONFIG_MEMORY);
  assert_string_equal(config.socket.path, "/run/sidebus/sidebus.sock");
  assert_int_equal(config.socket.mode, 0660);
  assert_false(config.tcp.on);
  assert_int_equal(config.limits.output.hard_bytes, 32 << 20);
  assert_true(strlen(config.node) <= SB_NODE_NAME_MAX);
  sb_config_free(&config);
  setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
  assert_int_equal(sb_config_load(NULL, &config, &report), 0);
  assert_string_equal(config.socket.path, "/run/user/7/sidebus.sock");
  sb_config_free(&config);
  unsetenv("XDG_RUNTIME_DIR");
}

static void test_a_file_that_cannot_be_read_is_named(void **state) {
  (void)state;
  struct sb_config config;
  struct sb_config_report report = {0};
  assert_int_equal(sb_config_load("/no/such.conf", &config, &report), SB_ERR_INVALID);
  expect_says(&report, false, "/no/such.conf: cannot be read: No such file");
  assert_int_equal(sb_config_load(folder, &config, &report), SB_ERR_INVALID);
  sb_config_free(&config); /* empty: allowed */
  sb_config_report_close(&report);
}

static void test_an_included_file_stands_beside_and_keeps_its_lines(void **state) {
  (void)state;
  char path[64];
  struct fixture f;
  write_file("more.conf", "\nlog = { level = \"loud\"; };\nouttage = 99999999999;\n", 0600, path);
  load(&f, "node = \"n\";\n@include \"more.conf\"\nbroker = 1;\n");
  assert_int_equal(f.rc, SB_ERR_INVALID);
  expect_says(&f.report, false, "more.conf:2: log.level: ");
  expect_says(&f.report, false, "more.conf:3: 99999999999 has more");
  expect_says(&f.report, false, "more.conf:3: unknown key \"outtage\"; did you mean \"outage\"?");
  expect_says(&f.report, false, "sidebus.conf:3: broker: ");
  drop(&f);
}

/* libconfig would end the process, or wait for ever. */
static void test_what_is_included_must_be_a_file(void **state) {
  (void)state;
  struct fixture f;
  char path[64], pipe[64];
  load(&f, "@include \".\"\n");
  assert_int_equal(f.rc, SB_ERR_INVALID);
  expect_says(&f.report, false, "sidebus.conf:1: @include \".\": ");
  expect_says(&f.report, false, "Is a directory");
  drop(&f);
  write_file("inner.conf", "@include \".\"\n", 0600, path);
  write_file("more.conf", "node = \"n\";\n@include \"inner.conf\"\n", 0600, path);
  load(&f, "# @include \"none\"\n/* @include \"none\" */\n@include \"more.conf\"\n");
  assert_int_equal(f.rc, SB_ERR_INVALID);
  expect_says(&f.report, false, "inner.conf:1: @include \".\": ");
  drop(&f);
  snprintf(pipe, sizeof pipe, "%s/pipe.conf", folder);
  assert_int_equal(mkfifo(pipe, 0600), 0);
  load(&f, "@include \"pipe.conf\"\n");
  expect_says(&f.report, false, "is not a regular file");
  drop(&f);
  load(&f, "node = \"n\";\n\n@include \"none.conf\"\n");
  expect_says(&f.report, false, "sidebus.conf:3: @include \"none.conf\": ");
  expect_says(&f.report, false, "No such file");
  drop(&f);
  load(&f, "@include \"sidebus.conf\"\n@include \"sidebus.conf\"\n");
  expect_says(&f.report, false, "more than 64 files are included");
  drop(&f);
  assert_int_equal(unlink(pipe), 0);
}

static void test_a_pipe_is_read_when_somebody_writes_into_it(void **state) {
  (void)state;
  struct fixture f;
  char pipe[64];
  snprintf(pipe, sizeof pipe, "%s/pipe.conf", folder);
  assert_int_equal(mkfifo(pipe, 0600), 0);
  f = (struct fixture){0};
  assert_int_equal(sb_config_load(pipe, &f.config, &f.report), SB_ERR_INVALID);
  expect_says(&f.report, false, "nobody writes into this pipe");
  sb_config_report_close(&f.report);
  int fd = open(pipe, O_RDWR | O_NONBLOCK), writer = open(pipe, O_WRONLY);
  static const char text[] = "node = \"by-pipe\";\n";
  assert_int_equal(write(writer, text, sizeof text - 1), sizeof text - 1);
  pid_t child = fork(); /* the end comes later than the text */
  if (child == 0) {
    close(fd);
    poll(NULL, 0, 50);
    _exit(0);
  }
  close(fd);
  close(writer);
  f = (struct fixture){0};
  f.rc = sb_config_load(pipe, &f.config, &f.report);
  waitpid(child, NULL, 0);
  assert_int_equal(f.rc, 0);
  assert_string_equal(f.config.node, "by-pipe");
  drop(&f);
  assert_int_equal(unlink(pipe), 0);
}

/* ---- secrets ---- */

static void test_a_secret_is_read_without_its_line_end(void **state) {
  (void)state;
  static const struct {
    const char *file, *secret, *error;
  } cases[] = {
      {"pass word\n", "pass word", NULL}, {"pw\r\n", "pw", NULL}, {"pw", "pw", NULL},
      {"pw\r", NULL, "more than one"},    {"", NULL, "is empty"}, {"\n", NULL, "is empty"},
      {"a\nb\n", NULL, "more than one"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char path[64];
    struct sb_secret_about about = {.read_by_all = true};
    struct sb_error error = {0};
    write_file("secret", cases[i].file, 0600, path);
    char *secret = sb_secret_read(path, &about, &error);
    if (cases[i].secret) {
      assert_string_equal(secret, cases[i].secret);
      assert_false(about.read_by_all);
    } else {
      assert_null(secret);
      assert_non_null(strstr(error.text, cases[i].error));
    }
    sb_wipe_free(secret);
  }
}

static void test_a_secret_has_a_size_and_is_a_file(void **state) {
  (void)state;
  char path[64], text[SB_SECRET_BYTES_MAX + 8];
  struct sb_secret_about about = {0};
  struct sb_error error = {0};
  memset(text, 'x', sizeof text);
  text[SB_SECRET_BYTES_MAX] = 0;
  write_file("secret", text, 0644, path);
  char *secret = sb_secret_read(path, &about, &error);
  assert_string_equal(secret, text);
  assert_true(about.read_by_all);
  sb_wipe_free(secret);
  text[SB_SECRET_BYTES_MAX] = 'x';
  text[SB_SECRET_BYTES_MAX + 1] = 0;
  write_file("secret", text, 0600, path);
  assert_null(sb_secret_read(path, &about, &error));
  assert_non_null(strstr(error.text, "longer than"));
  assert_null(sb_secret_read(folder, &about, &error));
  assert_non_null(strstr(error.text, "not a regular file"));
  assert_null(sb_secret_read("/no/secret", &about, &error));
  assert_int_equal(error.code, SB_ERR_SYSTEM);
}

static void test_a_listener_wants_a_password_that_is_not_trivially_guessed(void **state) {
  (void)state;
  static const char short_text[] = "quickly guessed; write at least 8";
  static const struct {
    const char *password, *says; /* NULL: it is good */
  } cases[] = {{"x", short_text},
               {"1234", short_text},
               {"seven77", short_text},
               {"        ", "that repeats a shorter one, which is quickly guessed"},
               {"aaaaaaaa", "that repeats a shorter one, which is quickly guessed"},
               {"abcabcab", "that repeats a shorter one, which is quickly guessed"},
               {"12341234", "that repeats a shorter one, which is quickly guessed"},
               {"secret!secret!", "that repeats a shorter one, which is quickly guessed"},
               {"aabacbbcca", "of hardly any different characters, which is quickly guessed"},
               {"12345678", "that only counts, which is quickly guessed"},
               {"1234567890", "that only counts, which is quickly guessed"},
               {"hgfedcba", "that only counts, which is quickly guessed"},
               {"eight888", NULL},
               {"pass phrase", NULL},
               {"abcd1234efgh", NULL},
               {"yyyyyyyyyyyyyyyy", NULL}};
  static const char *const keys[] = {"tcp", "socket"};
  for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
    char path[64], text[160], key[40];
    struct fixture f;
    const char *password = cases[i / 2].password, *says = cases[i / 2].says;
    write_file("pw", password, 0600, path);
    snprintf(text, sizeof text, "%s = {\n password_file = \"%s\"; };", keys[i % 2], path);
    snprintf(key, sizeof key, ":2: %s.password_file: ", keys[i % 2]);
    load(&f, text);
    assert_int_equal(f.rc == 0, says == NULL);
    if (says) expect_says(&f.report, false, key);
    if (says) expect_says(&f.report, false, says);
    if (!says) assert_string_equal(i % 2 ? f.config.socket.password : f.config.tcp.password, password);
    drop(&f);
  }
}

static void test_secrets_are_loaded_and_never_printed(void **state) {
  (void)state;
  char secret[64], open_secret[64], long_secret[64], text[512];
  struct fixture f;
  write_file("pw", "hunter-2\n", 0600, secret);
  write_file("long", "hunter-4\n", 0600, long_secret);
  write_file("open", "hunter3\n", 0644, open_secret);
  snprintf(
      text, sizeof text,
      "broker = \"rabbitmq\"; socket = { password_file = \"%s\"; };\ntcp = { password_file = \"%s\"; };\n"
      "rabbitmq = { user = \"u\"; password_file = \"%s\"; };\n",
      secret, long_secret, open_secret);
  load(&f, text);
  assert_int_equal(f.rc, 0);
  assert_string_equal(f.config.socket.password, "hunter-2");
  assert_string_equal(f.config.tcp.password, "hunter-4");
  assert_string_equal(f.config.rabbitmq.password, "hunter3");
  expect_says(&f.report, true, ":3: rabbitmq.password_file: every user of this machine can read");
  char *out = printed(&f.config);
  assert_null(strstr(out, "hunter"));
  assert_non_null(strstr(out, "# password: <set>"));
  free(out);
  drop(&f);
}

static void test_the_brokers_password_comes_from_the_environment_where_no_file_is_named(void **state) {
  (void)state;
  struct fixture f;
  load(&f, "broker = \"rabbitmq\";");
  assert_int_equal(f.rc, 0);
  assert_string_equal(f.config.rabbitmq.password, "guest");
  drop(&f);
  setenv("SIDEBUS_RABBITMQ_PASSWORD", "from-env", 1);
  load(&f, "broker = \"rabbitmq\"; rabbitmq = { user = \"u\"; };");
  assert_int_equal(f.rc, 0);
  assert_string_equal(f.config.rabbitmq.password, "from-env");
  drop(&f);
  unsetenv("SIDEBUS_RABBITMQ_PASSWORD");
}

static void test_a_client_needs_no_secrets_to_find_the_socket(void **state) {
  (void)state;
  struct fixture f = {0};
  write_file("client.conf",
             "socket = { path = \"/x/y.sock\"; group = \"no such group\"; password_file = \"/no/pw\"; };\n"
             "broker = \"rabbitmq\"; rabbitmq = { user = \"u\"; };",
             0600, f.path);
  assert_int_equal(sb_config_load_client(f.path, &f.config, &f.report), 0);
  assert_string_equal(f.config.socket.path, "/x/y.sock");
  drop(&f);
}

/* ---- print, samples, reload ---- */

static void expect_round_trip(const struct sb_config *config) {
  char *first = printed(config);
  struct fixture f;
  load(&f, first);
  for (size_t i = 0; i < f.report.count; i++) print_message("%s\n", f.report.problems[i].text);
  assert_int_equal(f.rc, 0);
  char *second = printed(&f.config);
  assert_string_equal(first, second);
  free(first);
  free(second);
  drop(&f);
}

static void test_printed_settings_load_to_the_same(void **state) {
  (void)state;
  char secret[64], ca[64], text[2048];
  struct fixture f;
  load(&f, "");
  expect_round_trip(&f.config);
  drop(&f);
  write_file("pw", "hunter-2\n", 0600, secret);
  write_file("ca.pem", PEM_CERT, 0644, ca);
  snprintf(
      text, sizeof text,
      "node = \"n-1\"; broker = \"rabbitmq\"; outage = \"refuse\";\n"
      "socket = { path = \"/a \\\\ \\\" b.sock\"; mode = 0600; group = \"root\"; allow_users = []; "
      "password_file = \"%s\"; };\ntcp = { address = \"::1\"; port = 1234; password_file = \"%s\"; };\n"
      "topics = { prefix = \"hub\"; partitions = 256; };\n"
      "rabbitmq = { hosts = [\"amqp://a\", \"amqps://b:1\"]; vhost = \"v\"; declare = false; "
      "tls = { ca_file = \"%s\"; verify = false; }; retention = { max_bytes = 9000000000L; }; };\n"
      "batch = { compression = \"off\"; linger_ms = 5; }; log = { level = \"debug\"; format = \"json\"; };\n",
      secret, secret, ca);
  load(&f, text);
  assert_int_equal(f.rc, 0);
  expect_round_trip(&f.config);
  drop(&f);
}

/* The file of that name in config/. */
static char *read_sample(const char *name) {
  char path[1024];
  snprintf(path, sizeof path, SB_SOURCE_DIR "/config/%s", name);
  FILE *file = fopen(path, "re");
  if (!file) fail_msg("%s: cannot be opened", path);
  char *text = calloc(1, 65536);
  size_t len = fread(text, 1, 65535, file);
  fclose(file);
  assert_true(len > 0 && len < 65535);
  return text;
}

static void test_the_sample_loads_as_it_is(void **state) {
  (void)state;
  char *text = read_sample("sidebus.conf.sample");
  struct fixture f;
  load(&f, text);
  assert_int_equal(f.rc, 0);
  assert_int_equal(f.report.count, 0);
  drop(&f);
  free(text);
}

/* Takes the '#' from every setting, "#name = …", but those that are only examples. */
static void uncomment(char *text) {
  for (char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
    char *hash = line + strspn(line, " ");
    size_t len = strcspn(line, "\n");
    char *example = strstr(line, "# no default");
    bool is_example = example && (size_t)(example - line) < len;
    if (hash[0] == '#' && hash[1] >= 'a' && hash[1] <= 'z' && !is_example) *hash = ' ';
  }
}

static void test_the_sample_shows_every_key_with_its_default(void **state) {
  (void)state;
  char *text = read_sample("sidebus.conf.sample"), shown[64];
  for (size_t i = 0; i < sb_config_key_count; i++) {
    snprintf(shown, sizeof shown, "%s = ", sb_config_leaf(sb_config_keys[i].path));
    if (!strstr(text, shown)) fail_msg("the sample does not show %s", sb_config_keys[i].path);
  }
  uncomment(text);
  struct fixture f, none;
  load(&none, "");
  load(&f, text);
  assert_int_equal(f.rc, 0);
  for (size_t i = 0; i < sb_config_key_count; i++) {
    const struct sb_config_key *key = &sb_config_keys[i];
    bool absent = key->type == SB_CONFIG_TEXT && !key->text;
    bool listed = key->type != SB_CONFIG_TEXTS || key->text;
    struct sb_buf value = {0};
    char line[256];
    sb_config_key_write(key, &none.config, &value);
    snprintf(line, sizeof line, " %s = %.*s;", sb_config_leaf(key->path), (int)value.len, (char *)value.data);
    bool is_tcp = strncmp(key->path, "tcp.", 4) == 0;
    bool is_mode = key->type == SB_CONFIG_MODE; /* shown as a number */
    if (!absent && listed && !is_tcp && !is_mode && !strstr(text, line) && !strstr(text, line + 1))
      fail_msg("the sample does not show%s", line);
    sb_buf_close(&value);
  }
  char *a = printed(&f.config), *b = printed(&none.config);
  assert_string_equal(a, b);
  free(a);
  free(b);
  free(text);
  drop(&f);
  drop(&none);
}

/* ---- suggestions ---- */

static void test_edit_distance_counts_letters(void **state) {
  (void)state;
  static const struct {
    const char *a, *b;
    size_t distance;
  } cases[] = {{"", "", 0},
               {"abc", "", 3},
               {"run", "run", 0},
               {"rnu", "run", 1},
               {"statsu", "status", 1},
               {"kitten", "sitting", 3},
               {"Hard-Bytes", "hard_bytes", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(sb_edit_distance(cases[i].a, cases[i].b), cases[i].distance);
    assert_int_equal(sb_edit_distance(cases[i].b, cases[i].a), cases[i].distance);
  }
}

static void test_a_far_name_is_not_suggested(void **state) {
  (void)state;
  struct sb_suggestion near = {.wrote = "zzz"};
  sb_suggest(&near, "run");
  assert_null(near.best);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_key_refuses_other_types),
      cmocka_unit_test(test_every_number_has_a_range),
      cmocka_unit_test(test_every_text_has_a_length_and_no_control_characters),
      cmocka_unit_test(test_an_unknown_key_is_named_with_what_was_meant),
      cmocka_unit_test(test_values_that_make_no_sense_say_what_would),
      cmocka_unit_test(test_keys_that_do_not_fit_each_other_are_refused),
      cmocka_unit_test(test_doubtful_settings_are_warned_of),
      cmocka_unit_test(test_what_goes_together_is_not_warned_of),
      cmocka_unit_test(test_all_errors_of_a_file_are_reported_at_once),
      cmocka_unit_test(test_what_libconfig_would_swallow_is_an_error),
      cmocka_unit_test(test_numbers_in_texts_comments_and_names_are_not_looked_at),
      cmocka_unit_test(test_large_sizes_are_read_with_l),
      cmocka_unit_test(test_a_mode_is_read_in_octal_however_it_is_written),
      cmocka_unit_test(test_an_empty_list_of_users_differs_from_none),
      cmocka_unit_test(test_hosts_are_taken_apart),
      cmocka_unit_test(test_no_file_means_the_defaults),
      cmocka_unit_test(test_a_file_that_cannot_be_read_is_named),
      cmocka_unit_test(test_an_included_file_stands_beside_and_keeps_its_lines),
      cmocka_unit_test(test_what_is_included_must_be_a_file),
      cmocka_unit_test(test_a_pipe_is_read_when_somebody_writes_into_it),
      cmocka_unit_test(test_a_secret_is_read_without_its_line_end),
      cmocka_unit_test(test_a_secret_has_a_size_and_is_a_file),
      cmocka_unit_test(test_a_listener_wants_a_password_that_is_not_trivially_guessed),
      cmocka_unit_test(test_secrets_are_loaded_and_never_printed),
      cmocka_unit_test(test_the_brokers_password_comes_from_the_environment_where_no_file_is_named),
      cmocka_unit_test(test_a_client_needs_no_secrets_to_find_the_socket),
      cmocka_unit_test(test_printed_settings_load_to_the_same),
      cmocka_unit_test(test_the_sample_loads_as_it_is),
      cmocka_unit_test(test_the_sample_shows_every_key_with_its_default),
      cmocka_unit_test(test_edit_distance_counts_letters),
      cmocka_unit_test(test_a_far_name_is_not_suggested),
  };
  return cmocka_run_group_tests(tests, config_make_folder, config_remove_folder);
}
