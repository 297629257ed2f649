/* Tokens for Service Bus: signatures as another implementation computes them, and what tokens say of
 * themselves. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "transports/servicebus/credentials.h"
#include "transports/servicebus/sas.h"

#define NOW 1700000000

/* {"alg":"RS256","typ":"JWT"} . {"aud":"https://servicebus.azure.net","exp":1700003600,"x":{"exp":5}} */
#define JWT                                                                                                  \
  "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9."                                                                    \
  "eyJhdWQiOiJodHRwczovL3NlcnZpY2VidXMuYXp1cmUubmV0IiwiZXhwIjoxNzAwMDAzNjAwLCJ4Ijp7ImV4cCI6NX19.c2ln"
/* {"a":"exp\\\":1,","x":{"exp":5},"l":["exp"],"exp":1700003600.75}: names that are none, and a fraction */
#define JWT_TRICKY                                                                                           \
  "eyJhbGciOiJSUzI1NiJ9."                                                                                    \
  "eyJhIjoiZXhwXFxcIjoxLCIsIngiOnsiZXhwIjo1fSwibCI6WyJleHAiXSwiZXhwIjoxNzAwMDAzNjAwLjc1"                     \
  "fQ.c2ln"

/* Computed with Node's crypto:
 * sr = encodeURIComponent(uri).toLowerCase()
 * sig = encodeURIComponent(createHmac("sha256", key).update(sr + "\n" + expiry).digest("base64")) */
static void test_signatures_are_those_of_another_implementation(void **state) {
  (void)state;
  static const struct {
    const char *uri, *key_name, *key;
    uint64_t expiry;
    const char *token;
  } cases[] = {
      {"amqps://acme.servicebus.windows.net/hub-0", "RootManageSharedAccessKey",
       "dGhlIGtleSBvZiBhY21lLCBub3QgYSByZWFsIG9uZSE=", NOW,
       "SharedAccessSignature sr=amqps%3a%2f%2facme.servicebus.windows.net%2fhub-0&sig="
       "dL%2FjpBEt5I0SCGtB1ilS0vjG%2FBzQxPc1fy9TY5xgz8U%3D&se=1700000000&skn=RootManageSharedAccessKey"},
      {"https://Acme.ServiceBus.windows.net/hub-0/Subscriptions/web_01.a", "send listen", "k+/=&%key",
       4102444800,
       "SharedAccessSignature sr=https%3a%2f%2facme.servicebus.windows.net%2fhub-0%2fsubscriptions%2fweb_01.a"
       "&sig=lfDxKuJvMcHixEYHov35rDBdNL84ULHV%2FiTEgKMNUpo%3D&se=4102444800&skn=send%20listen"},
      {"sb://h/\xc3\xbc", "r", "x", 1,
       "SharedAccessSignature sr=sb%3a%2f%2fh%2f%c3%bc&sig=4S8MrLg7zPBH8UvJfkrDXBymAv3ka85LZAMZrCTIUjU%3D"
       "&se=1&skn=r"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_buf out = {0};
    assert_int_equal(sb_servicebus_sas(cases[i].uri, cases[i].key_name, cases[i].key, cases[i].expiry, &out),
                     0);
    sb_buf_append(&out, "", 1);
    assert_string_equal((const char *)out.data, cases[i].token);
    sb_buf_close(&out);
  }
}

static void test_what_cannot_be_signed_is_refused(void **state) {
  (void)state;
  struct sb_buf out = {0};
  char longer[SB_SERVICEBUS_URI_MAX + 2];
  memset(longer, 'a', sizeof longer - 1);
  longer[sizeof longer - 1] = 0;
  assert_int_equal(sb_servicebus_sas("", "r", "k", 1, &out), SB_ERR_INVALID);
  assert_int_equal(sb_servicebus_sas("sb://h", "", "k", 1, &out), SB_ERR_INVALID);
  assert_int_equal(sb_servicebus_sas("sb://h", "r", "", 1, &out), SB_ERR_INVALID);
  assert_int_equal(sb_servicebus_sas(longer, "r", "k", 1, &out), SB_ERR_INVALID);
  assert_int_equal(sb_servicebus_sas("sb://h", longer, "k", 1, &out), SB_ERR_INVALID);
  assert_int_equal(sb_servicebus_sas("sb://h", "r", longer, 1, &out), SB_ERR_INVALID);
  longer[SB_SERVICEBUS_URI_MAX] = 0;
  assert_int_equal(sb_servicebus_sas(longer, "r", longer, 1, &out), 0);
  sb_buf_close(&out);
}

static void test_a_token_tells_when_it_ends(void **state) {
  (void)state;
  static const struct {
    const char *token;
    bool jwt;
    uint64_t expiry;
  } cases[] = {
      {"SharedAccessSignature sr=x&sig=y&se=1700000001&skn=r", false, 1700000001},
      {"SharedAccessSignature se=7", false, 7},
      {JWT, true, 1700003600},
      {JWT_TRICKY, true, 1700003600},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    bool jwt = !cases[i].jwt;
    uint64_t expiry = 0;
    assert_true(sb_servicebus_token_read(sb_bytes_of(cases[i].token), &jwt, &expiry));
    assert_int_equal(jwt, cases[i].jwt);
    assert_int_equal(expiry, cases[i].expiry);
  }
}

static void test_what_is_no_token_is_told(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",
      "hunter2",
      "SharedAccessSignature ",
      "SharedAccessSignature sr=x&sig=y&skn=r",
      "SharedAccessSignature sr=x&se=soon",
      "SharedAccessSignature sr=x&se=",
      "SharedAccessSignature sr=x&sse=7",
      "SharedAccessSignature se=99999999999999999999",
      "SharedAccessSignature se=7\r\nX-Header: 1", /* would be a header of its own */
      "SharedAccessSignature se=7 x",
      "a.b",
      "..",
      ".e30.x",
      "a..x",
      "a.e30.x",                  /* {} */
      "a.e30.",                   /* no signature */
      "a.eyJleHAiOi0xfQ.x",       /* {"exp":-1} */
      "a.eyJleHAiOjFlOX0.x",      /* {"exp":1e9} */
      "a.eyJleHAiOiI3In0.x",      /* {"exp":"7"} */
      "a.eyJleHAiOjc.x",          /* {"exp":7 */
      "a.eyJleHAiOjd9A.x",        /* one letter too many */
      "a.eyJl+HAiOjd9.x",         /* of plain base64 */
      "a.eyJ4Ijp7ImV4cCI6N319.x", /* {"x":{"exp":7}} */
      "a.ImV4cCI6Nw.x",           /* "exp":7 */
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    bool jwt;
    uint64_t expiry;
    if (sb_servicebus_token_read(sb_bytes_of(texts[i]), &jwt, &expiry)) fail_msg("%s", texts[i]);
  }
}

/* Each length in memory of its own, so that a look behind the end is seen. */
static void test_every_beginning_of_a_token_is_safe(void **state) {
  (void)state;
  static const char *const texts[] = {JWT, JWT_TRICKY,
                                      "SharedAccessSignature sr=x&sig=y&se=1700000001&skn=r"};
  for (size_t i = 0; i < 3; i++)
    for (size_t len = 0; len < strlen(texts[i]); len++) {
      char *text = malloc(len + !len);
      bool jwt;
      uint64_t expiry;
      memcpy(text, texts[i], len);
      if (sb_servicebus_token_read(sb_bytes(text, len), &jwt, &expiry)) assert_true(expiry <= 1700003600);
      free(text);
    }
}

/* ---- where tokens come from ---- */

static char file[] = "/tmp/test_sas.XXXXXX";

static void write_token(const char *text, size_t len) {
  int fd = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, len), (ssize_t)len);
  close(fd);
}

static const struct sb_servicebus_credentials from_file = {.kind = SB_SERVICEBUS_TOKEN_FILE,
                                                           .token_file = file};

static void test_a_key_signs_for_an_hour_or_as_asked(void **state) {
  (void)state;
  struct sb_servicebus_credentials key = {.kind = SB_SERVICEBUS_KEY, .key_name = "r", .key = "k"};
  struct sb_servicebus_token token = {0};
  assert_int_equal(sb_servicebus_token_make(&key, "sb://h", NOW, &token, NULL), 0);
  assert_int_equal(token.expiry_unix_s, NOW + 3600);
  assert_false(token.jwt);
  assert_non_null(strstr((const char *)token.text.data, "&se=1700003600&skn=r"));
  assert_int_equal(strlen((const char *)token.text.data), token.text.len);
  key.sas_lifetime_s = 5;
  assert_int_equal(sb_servicebus_token_make(&key, "sb://h", NOW, &token, NULL), 0);
  assert_int_equal(token.expiry_unix_s, NOW + 5);
  sb_servicebus_token_close(&token);
}

static void test_a_token_file_is_read_anew_each_time(void **state) {
  (void)state;
  struct sb_servicebus_token token = {0};
  write_token("\n  " JWT " \r\n", strlen(JWT) + 6);
  assert_int_equal(sb_servicebus_token_make(&from_file, "sb://h", NOW, &token, NULL), 0);
  assert_true(token.jwt);
  assert_string_equal((const char *)token.text.data, JWT);
  write_token("SharedAccessSignature se=1700000009", 35);
  assert_int_equal(sb_servicebus_token_make(&from_file, "sb://h", NOW, &token, NULL), 0);
  assert_false(token.jwt);
  assert_int_equal(token.expiry_unix_s, 1700000009);
  sb_servicebus_token_close(&token);
}

static void test_a_token_file_that_is_of_no_use_is_told_without_its_content(void **state) {
  (void)state;
  char *large = malloc(SB_SERVICEBUS_TOKEN_BYTES_MAX + 1);
  memset(large, ' ', SB_SERVICEBUS_TOKEN_BYTES_MAX + 1);
  const struct {
    const char *text;
    size_t len;
    int code;
    const char *expected;
  } cases[] = {
      {"", 0, SB_ERR_INVALID, "holds no token"},
      {"hunter2", 7, SB_ERR_INVALID, "holds no token"},
      {"SharedAccessSignature se=1699999990", 35, SB_ERR_REFUSED, "expired 10 s ago"},
      {"SharedAccessSignature se=1700000000", 35, SB_ERR_REFUSED, "expired 0 s ago"},
      {large, SB_SERVICEBUS_TOKEN_BYTES_MAX + 1, SB_ERR_INVALID, "is larger than 16384 bytes"},
      {large, SB_SERVICEBUS_TOKEN_BYTES_MAX, SB_ERR_INVALID, "holds no token"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_servicebus_token token = {0};
    struct sb_error error = {0};
    write_token(cases[i].text, cases[i].len);
    assert_int_equal(sb_servicebus_token_make(&from_file, "sb://h", NOW, &token, &error), cases[i].code);
    assert_non_null(strstr(error.text, cases[i].expected));
    assert_non_null(strstr(error.text, file));
    assert_null(strstr(error.text, "hunter2"));
    assert_null(token.text.data);
  }
  free(large);
  struct sb_servicebus_credentials none = from_file;
  struct sb_servicebus_token token = {0};
  struct sb_error error = {0};
  none.token_file = "/no/token";
  assert_int_equal(sb_servicebus_token_make(&none, "sb://h", NOW, &token, &error), SB_ERR_SYSTEM);
  none.token_file = "/tmp";
  assert_int_equal(sb_servicebus_token_make(&none, "sb://h", NOW, &token, &error), SB_ERR_INVALID);
  assert_non_null(strstr(error.text, "not a regular file"));
}

static void test_a_fixed_token_is_good_until_it_ends(void **state) {
  (void)state;
  struct sb_servicebus_credentials fixed = {.kind = SB_SERVICEBUS_TOKEN,
                                            .token = "SharedAccessSignature se=1700000001"};
  struct sb_servicebus_token token = {0};
  struct sb_error error = {0};
  assert_int_equal(sb_servicebus_token_make(&fixed, "sb://h", NOW, &token, &error), 0);
  assert_string_equal((const char *)token.text.data, fixed.token);
  assert_int_equal(sb_servicebus_token_make(&fixed, "sb://h", NOW + 1, &token, &error), SB_ERR_REFUSED);
  sb_servicebus_token_close(&token);
}

static void test_credentials_are_checked_and_copied(void **state) {
  (void)state;
  struct sb_error error = {0};
  const struct sb_servicebus_credentials bad[] = {
      {.kind = SB_SERVICEBUS_KEY, .key = "k"},
      {.kind = SB_SERVICEBUS_KEY, .key_name = "r", .key = ""},
      {.kind = SB_SERVICEBUS_TOKEN_FILE},
      {.kind = SB_SERVICEBUS_TOKEN, .token = ""},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(sb_servicebus_credentials_check(&bad[i], &error), SB_ERR_INVALID);
  char name[] = "r", key[] = "k";
  struct sb_servicebus_credentials copy, from = {.kind = SB_SERVICEBUS_KEY, .key_name = name, .key = key};
  sb_servicebus_credentials_copy(&copy, &from);
  name[0] = key[0] = 'x';
  assert_string_equal(copy.key_name, "r");
  assert_string_equal(copy.key, "k");
  sb_servicebus_credentials_close(&copy);
  assert_null(copy.key);
}

static int make_file(void **state) {
  (void)state;
  int fd = mkstemp(file);
  if (fd >= 0) close(fd);
  return fd < 0;
}

static int remove_file(void **state) {
  (void)state;
  return unlink(file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_signatures_are_those_of_another_implementation),
      cmocka_unit_test(test_what_cannot_be_signed_is_refused),
      cmocka_unit_test(test_a_token_tells_when_it_ends),
      cmocka_unit_test(test_what_is_no_token_is_told),
      cmocka_unit_test(test_every_beginning_of_a_token_is_safe),
      cmocka_unit_test(test_a_key_signs_for_an_hour_or_as_asked),
      cmocka_unit_test(test_a_token_file_is_read_anew_each_time),
      cmocka_unit_test(test_a_token_file_that_is_of_no_use_is_told_without_its_content),
      cmocka_unit_test(test_a_fixed_token_is_good_until_it_ends),
      cmocka_unit_test(test_credentials_are_checked_and_copied),
  };
  return cmocka_run_group_tests(tests, make_file, remove_file);
}
