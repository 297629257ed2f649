/* Connection strings of Service Bus: every form that portals give, and errors that never show a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/connection_string.h"

#define RULE "SharedAccessKeyName=send"
#define KEY  "SharedAccessKey=c2VjcmV0PT0="

static void test_every_order_and_case_gives_the_same(void **state) {
  (void)state;
  static const char *const texts[] = {
      "Endpoint=sb://acme.servicebus.windows.net/;" RULE ";" KEY,
      "Endpoint=sb://acme.servicebus.windows.net;" KEY ";" RULE ";UseDevelopmentEmulator=FALSE;",
      " " KEY " ; ; " RULE ";endpoint = SB://acme.servicebus.windows.net/ ;\r\n",
      "ENDPOINT=sb://acme.servicebus.windows.net/;sharedaccesskeyname=send;SHAREDACCESSKEY=c2VjcmV0PT0=",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct sb_connection_string string;
    assert_int_equal(sb_connection_string_parse(texts[i], &string, NULL), 0);
    assert_string_equal(string.host, "acme.servicebus.windows.net");
    assert_int_equal(string.port, 0);
    assert_string_equal(string.rule, "send");
    assert_string_equal(string.key, "c2VjcmV0PT0="); /* with its own '=' */
    assert_null(string.token);
    assert_false(string.emulator);
    sb_connection_string_close(&string);
  }
}

static void test_an_emulator_has_a_port_and_no_tls(void **state) {
  (void)state;
  struct sb_connection_string string;
  assert_int_equal(sb_connection_string_parse("Endpoint=sb://localhost:5673;" RULE ";" KEY
                                              ";UseDevelopmentEmulator=true;",
                                              &string, NULL),
                   0);
  assert_string_equal(string.host, "localhost");
  assert_int_equal(string.port, 5673);
  assert_true(string.emulator);
  sb_connection_string_close(&string);
}

static void test_a_signature_takes_the_place_of_a_key(void **state) {
  (void)state;
  struct sb_connection_string string;
  assert_int_equal(sb_connection_string_parse("Endpoint=sb://a;SharedAccessSignature=SharedAccessSignature "
                                              "sr=sb%3a%2f%2fa&sig=x%3D&se=1&skn=r",
                                              &string, NULL),
                   0);
  assert_string_equal(string.token, "SharedAccessSignature sr=sb%3a%2f%2fa&sig=x%3D&se=1&skn=r");
  assert_null(string.rule);
  assert_null(string.key);
  sb_connection_string_close(&string);
}

static void test_what_is_wrong_is_named_and_secrets_are_not(void **state) {
  (void)state;
  static const struct {
    const char *text, *expected;
  } cases[] = {
      {"", "is no connection string"},
      {RULE ";" KEY, "has no Endpoint; write Endpoint=sb://"},
      {"Endpoint=sb://a;" KEY, "has no SharedAccessKeyName"},
      {"Endpoint=sb://a;" RULE, "has no SharedAccessKey"},
      {"Endpoint=sb://a;" RULE ";SharedAccessKey=", "has an empty SharedAccessKey"},
      {"Endpoint=sb://a;" RULE ";" KEY ";" KEY, "has SharedAccessKey twice"},
      {"Endpoint=sb://a;" RULE ";" KEY ";EntityPath=hub-0", "topics are named by topics.prefix"},
      {"Endpoint=sb://a;" RULE ";" KEY ";SharedAccesKey=c2VjcmV0", "\"SharedAccesKey\"; did you mean "
                                                                   "\"SharedAccessKey\"?"},
      {"Endpoint=sb://a;" RULE ";" KEY ";RuntimePort=c2VjcmV0", "unknown key \"RuntimePort\"; leave it out"},
      {"Endpoint=sb://a;" RULE ";" KEY ";SharedAccessSignature=c2VjcmV0", "beside SharedAccessKey"},
      {"Endpoint=sb://a;" RULE ";SharedAccessSignature=c2VjcmV0", "beside SharedAccessKeyName"},
      {"Endpoint=https://a;" RULE ";" KEY, "has an Endpoint that is none"},
      {"Endpoint=sb://;" RULE ";" KEY, "has an Endpoint that is none"},
      {"Endpoint=sb://a/b;" RULE ";" KEY, "has an Endpoint that is none"},
      {"Endpoint=sb://a:0;" RULE ";" KEY, "has an Endpoint that is none"},
      {"Endpoint=sb://u:c2VjcmV0@a;" RULE ";" KEY, "has an Endpoint that is none"},
      {"Endpoint=sb://a;" RULE ";" KEY ";UseDevelopmentEmulator=yes", "neither true nor false"},
      /* A key alone, put where a connection string belongs. */
      {"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=", "is no connection string"},
      {"c2VjcmV0", "is no connection string"},
      {"c2VjcmV0=", "is no connection string"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_connection_string string;
    struct sb_error error = {0};
    assert_int_equal(sb_connection_string_parse(cases[i].text, &string, &error), SB_ERR_INVALID);
    if (!strstr(error.text, cases[i].expected)) fail_msg("%s: %s", cases[i].text, error.text);
    assert_null(strstr(error.text, "c2VjcmV0"));
    assert_null(string.host);
    assert_null(string.key);
  }
}

static void test_lengths_are_limited(void **state) {
  (void)state;
  char text[SB_CONNECTION_STRING_MAX + 64];
  struct sb_connection_string string;
  struct sb_error error = {0};
  size_t used = (size_t)snprintf(text, sizeof text, "Endpoint=sb://a;" KEY ";SharedAccessKeyName=");
  memset(text + used, 'r', 257);
  text[used + 256] = 0;
  assert_int_equal(sb_connection_string_parse(text, &string, &error), 0);
  sb_connection_string_close(&string);
  text[used + 256] = 'r';
  text[used + 257] = 0;
  assert_int_equal(sb_connection_string_parse(text, &string, &error), SB_ERR_INVALID);
  assert_non_null(strstr(error.text, "more than 256 bytes"));
  memset(text, 'a', sizeof text - 1);
  text[sizeof text - 1] = 0;
  assert_int_equal(sb_connection_string_parse(text, &string, &error), SB_ERR_INVALID);
  assert_non_null(strstr(error.text, "more than 1024 bytes"));
}

/* Cut anywhere it is refused or, where only the end of the key is missing, taken: nothing else happens. */
static void test_every_beginning_of_one_is_safe(void **state) {
  (void)state;
  static const char whole[] = "Endpoint=sb://a.b:5671/;" RULE ";" KEY ";UseDevelopmentEmulator=true";
  for (size_t len = 0; len < sizeof whole; len++) {
    char *text = strndup(whole, len);
    struct sb_connection_string string;
    if (sb_connection_string_parse(text, &string, NULL) == 0) assert_string_equal(string.host, "a.b");
    sb_connection_string_close(&string);
    free(text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_order_and_case_gives_the_same),
      cmocka_unit_test(test_an_emulator_has_a_port_and_no_tls),
      cmocka_unit_test(test_a_signature_takes_the_place_of_a_key),
      cmocka_unit_test(test_what_is_wrong_is_named_and_secrets_are_not),
      cmocka_unit_test(test_lengths_are_limited),
      cmocka_unit_test(test_every_beginning_of_one_is_safe),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
