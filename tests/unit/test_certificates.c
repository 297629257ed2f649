/* Files of certificates and keys: what TLS could not use is refused where the file is named. */
#include <string.h>

#include "bridge/base/error.h"
#include "bridge/base/limits.h"
#include "config/certificates.h"
#include "tests/unit/config_fixture.h"
#include "tests/unit/pem_fixture.h"

#define FORM                                                                                                 \
  "broker = \"rabbitmq\"; rabbitmq = { hosts = [\"amqps://a\"]; tls = {\n ca_file = \"%s\";\n cert_file = "  \
  "\"%s\";\n key_file = \"%s\"; }; };"

#define BROKEN    "-----BEGIN CERTIFICATE-----\nMIIBdDCCARmgAwIBAgIUAAAA\n-----END CERTIFICATE-----\n"
#define NO_BASE64 "-----BEGIN CERTIFICATE-----\n&&&&&&\n-----END CERTIFICATE-----\n"

static void load_tls(struct fixture *f, const char *ca, const char *cert, const char *key) {
  char paths[3][64], text[512];
  const char *const contents[] = {ca, cert, key}, *const names[] = {"ca.pem", "cert.pem", "key.pem"};
  for (size_t i = 0; i < 3; i++) write_file(names[i], contents[i], 0600, paths[i]);
  snprintf(text, sizeof text, FORM, paths[0], paths[1], paths[2]);
  load(f, text);
}

static void test_what_can_be_used_is_taken_without_a_word(void **state) {
  (void)state;
  struct fixture f;
  load_tls(&f, PEM_CERT, PEM_CERT, PEM_KEY);
  assert_int_equal(f.rc, 0);
  assert_int_equal(f.report.count, 0);
  drop(&f);
  load_tls(&f, "a comment\n" PEM_CERT "and\n" PEM_CERT_EXPIRED, PEM_KEY PEM_CERT PEM_CERT_EXPIRED,
           PEM_CERT PEM_KEY);
  assert_int_equal(f.rc, 0);
  assert_int_equal(f.report.count, 0);
  drop(&f);
}

static void test_what_cannot_be_used_is_an_error_with_its_place(void **state) {
  (void)state;
  static const struct {
    const char *ca, *cert, *key, *says;
  } cases[] = {
      {"junk\n", PEM_CERT, PEM_KEY, ":2: rabbitmq.tls.ca_file: "},
      {"junk\n", PEM_CERT, PEM_KEY, "ca.pem holds no certificate in PEM form"},
      {"", PEM_CERT, PEM_KEY, "ca.pem is empty"},
      {PEM_KEY, PEM_CERT, PEM_KEY, "ca.pem holds no certificate"},
      {PEM_CERT "\n", "junk", PEM_KEY, ":3: rabbitmq.tls.cert_file: "},
      {PEM_CERT, BROKEN, PEM_KEY, "the certificate in /tmp/"},
      {BROKEN, PEM_CERT, PEM_KEY, "certificate 1 in /tmp/"},
      {PEM_CERT NO_BASE64, PEM_CERT, PEM_KEY, "/tmp/"},
      {PEM_CERT, PEM_CERT, "junk", ":4: rabbitmq.tls.key_file: "},
      {PEM_CERT, PEM_CERT, PEM_CERT, "key.pem holds no private key"},
      {PEM_CERT, PEM_CERT, "", "key.pem is empty"},
      {PEM_CERT, PEM_CERT, PEM_KEY_ENCRYPTED, "key.pem is encrypted"},
      {PEM_CERT, PEM_CERT, PEM_KEY_OTHER, "does not belong to the certificate in"},
      {PEM_CERT, PEM_CERT, PEM_KEY_WEAK, "does not belong to the certificate in"},
      {PEM_CERT, PEM_CERT_WEAK, PEM_KEY_WEAK, "cannot be used: "},
      {"\x30\x82\x01\x02", PEM_CERT, PEM_KEY, "is in DER form"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fixture f;
    load_tls(&f, cases[i].ca, cases[i].cert, cases[i].key);
    assert_int_equal(f.rc, SB_ERR_INVALID);
    expect_says(&f.report, false, cases[i].says);
    assert_int_equal(f.report.errors, 1);
    drop(&f);
  }
}

static void test_what_has_expired_is_a_warning(void **state) {
  (void)state;
  struct fixture f;
  load_tls(&f, PEM_CERT_EXPIRED, PEM_CERT_EXPIRED, PEM_KEY);
  assert_int_equal(f.rc, 0);
  expect_says(&f.report, true, ":2: rabbitmq.tls.ca_file: ");
  expect_says(&f.report, true, "cert.pem: the certificate that it holds expired on 2020-01-02");
  assert_int_equal(f.report.count, 2);
  drop(&f);
}

static void test_a_path_that_is_no_file_is_refused_and_makes_nobody_wait(void **state) {
  (void)state;
  char pipe[64], text[512];
  struct fixture f;
  snprintf(pipe, sizeof pipe, "%s/pipe", folder);
  unlink(pipe);
  assert_int_equal(mkfifo(pipe, 0600), 0);
  snprintf(text, sizeof text, FORM, pipe, folder, "/no/key");
  load(&f, text);
  expect_says(&f.report, false, "pipe is not a regular file");
  expect_says(&f.report, false, ":3: rabbitmq.tls.cert_file: ");
  expect_says(&f.report, false, "cannot read /no/key: No such file");
  drop(&f);
}

static void test_a_key_that_others_can_read_is_a_warning(void **state) {
  (void)state;
  struct fixture f;
  char cert[64], key[64], text[512];
  write_file("cert.pem", PEM_CERT, 0644, cert);
  write_file("key.pem", PEM_KEY, 0644, key);
  snprintf(text, sizeof text, FORM, cert, cert, key);
  load(&f, text);
  assert_int_equal(f.rc, 0);
  expect_says(&f.report, true, ":4: rabbitmq.tls.key_file: every user of this machine can read");
  assert_int_equal(f.report.count, 1);
  drop(&f);
}

static void test_files_that_are_not_used_are_a_warning(void **state) {
  (void)state;
  struct fixture f;
  char ca[64], text[256];
  write_file("ca.pem", PEM_CERT, 0644, ca);
  snprintf(text, sizeof text, "broker = \"rabbitmq\"; rabbitmq = { tls = { ca_file = \"%s\"; }; };", ca);
  load(&f, text);
  assert_int_equal(f.rc, 0);
  expect_says(&f.report, true, "no host is amqps://");
  drop(&f);
}

static void test_a_file_of_authorities_has_a_size(void **state) {
  (void)state;
  char path[64];
  struct sb_pem pem;
  struct sb_error error = {0};
  write_file("large.pem", PEM_CERT, 0600, path);
  assert_int_equal(truncate(path, (off_t)SB_PEM_BYTES_MAX), 0);
  assert_int_equal(sb_pem_read(path, &pem, NULL, &error), SB_ERR_INVALID);
  assert_non_null(strstr(error.text, "is larger than 2 MiB"));
  sb_pem_close(&pem);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_can_be_used_is_taken_without_a_word),
      cmocka_unit_test(test_what_cannot_be_used_is_an_error_with_its_place),
      cmocka_unit_test(test_what_has_expired_is_a_warning),
      cmocka_unit_test(test_a_path_that_is_no_file_is_refused_and_makes_nobody_wait),
      cmocka_unit_test(test_a_key_that_others_can_read_is_a_warning),
      cmocka_unit_test(test_files_that_are_not_used_are_a_warning),
      cmocka_unit_test(test_a_file_of_authorities_has_a_size),
  };
  return cmocka_run_group_tests(tests, config_make_folder, config_remove_folder);
}
