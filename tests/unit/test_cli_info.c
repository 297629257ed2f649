/* What `sidebus status` makes of INFO and SIDEBUS STATUS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bridge/cli/info.h"

static const char text[] =
    "# Server\r\nversion:0.1.0\r\nready:1\r\n\r\n# Link\r\nhost:mq-1:5671\r\nversion:7\r\n"
    "# Link\r\nversion:8\r\nnot a field\r\n:nothing\r\nempty:\r\nlarge:1234567890123456";

static void test_fields_are_read_with_their_sections(void **state) {
  (void)state;
  struct sb_info info = {0};
  struct sb_bytes value;
  sb_info_read(&info, sb_bytes_of(text));
  assert_int_equal(info.count, 7);
  assert_true(sb_info_find(&info, "host", &value));
  assert_true(sb_bytes_equal(value, sb_bytes_of("mq-1:5671")));
  assert_true(sb_bytes_equal(info.fields[2].section, sb_bytes_of("Link")));
  assert_true(sb_info_find(&info, "version", &value));
  assert_true(sb_bytes_equal(value, sb_bytes_of("0.1.0")));
  assert_false(sb_info_find(&info, "hos", &value));
  sb_info_close(&info);
}

static void test_json_has_every_key_once(void **state) {
  (void)state;
  struct sb_info info = {0};
  struct sb_buf out = {0};
  sb_info_read(&info, sb_bytes_of(text));
  sb_info_json(&info, true, &out);
  sb_buf_append(&out, "", 1);
  assert_string_equal((char *)out.data, "{\"ready\":true,\"version\":\"0.1.0\",\"host\":\"mq-1:5671\","
                                        "\"Link.version\":7,\"empty\":\"\",\"large\":1234567890123456}\n");
  sb_buf_close(&out);
  sb_info_close(&info);
}

static void test_json_has_partitions_and_members_as_objects(void **state) {
  (void)state;
  struct sb_info info = {0};
  struct sb_buf out = {0};
  sb_info_read(&info, sb_bytes_of("# Sidebus\noutage:a=b\n# Partitions\npartition_0:ready=1,begin=12-0,x,y=\n"
                                  "# Members\nmember_0_0:node=a\"b,self=1\nmember_0_1:odd\n"));
  sb_info_json(&info, true, &out);
  sb_buf_append(&out, "", 1);
  assert_string_equal((char *)out.data,
                      "{\"ready\":true,\"outage\":\"a=b\","
                      "\"partition_0\":{\"ready\":1,\"begin\":\"12-0\",\"x\":\"\",\"y\":\"\"},"
                      "\"member_0_0\":{\"node\":\"a\\\"b\",\"self\":1},\"member_0_1\":\"odd\"}\n");
  sb_buf_close(&out);
  sb_info_close(&info);
}

/* Of one line of INFO. */
static void assert_json(const char *line, const char *json) {
  struct sb_info info = {0};
  struct sb_buf out = {0};
  char expected[200];
  sb_info_read(&info, sb_bytes_of(line));
  sb_info_json(&info, true, &out);
  sb_buf_append(&out, "", 1);
  snprintf(expected, sizeof expected, "{\"ready\":true,%s}\n", json);
  assert_string_equal((char *)out.data, expected);
  sb_buf_close(&out);
  sb_info_close(&info);
}

static void test_the_field_says_what_is_a_number_and_what_a_text(void **state) {
  (void)state;
  assert_json("node:12345", "\"node\":\"12345\"");
  assert_json("sidebus_version:1.0", "\"sidebus_version\":\"1.0\"");
  assert_json("run_id:1234567890123456789012345678901234567890",
              "\"run_id\":\"1234567890123456789012345678901234567890\"");
  assert_json("config_file:7", "\"config_file\":\"7\"");
  assert_json("outage:5", "\"outage\":\"5\"");
  assert_json("maxmemory_human:0", "\"maxmemory_human\":\"0\"");
  assert_json("used_cpu_sys:0.012345", "\"used_cpu_sys\":0.012345");
  assert_json("server_time_usec:1796148415123456", "\"server_time_usec\":1796148415123456");
  assert_json("loading_loaded_perc:0.00", "\"loading_loaded_perc\":0.00");
  assert_json("offset:-1", "\"offset\":-1");
  assert_json("largest:18446744073709551615", "\"largest\":18446744073709551615");
  assert_json("# Members\nmember_0_0:node=7,incarnation=8,number=9",
              "\"member_0_0\":{\"node\":\"7\",\"incarnation\":\"8\",\"number\":9}");
  assert_json("# Partitions\npartition_0:ready=1,history_begin=5",
              "\"partition_0\":{\"ready\":1,\"history_begin\":\"5\"}");
  assert_json("# Refused\nrefused_total:3\nrefused_0:what=1,client=2,count=3",
              "\"refused_total\":3,\"refused_0\":{\"what\":\"1\",\"client\":\"2\",\"count\":3}");
}

static void test_what_json_does_not_take_for_a_number_is_text(void **state) {
  (void)state;
  static const char *const odd[] = {"", "-", "01", "1.", ".5", "1e5", "+1", "0x1", "1.2.3", "1 2", "nan"};
  char line[40], json[40];
  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
    snprintf(line, sizeof line, "field:%s", odd[i]);
    snprintf(json, sizeof json, "\"field\":\"%s\"", odd[i]);
    assert_json(line, json);
  }
}

static void test_people_get_sections_and_no_control_characters(void **state) {
  (void)state;
  struct sb_info info = {0};
  struct sb_buf out = {0};
  sb_info_read(&info, sb_bytes_of("# A\nkey:\x1b[2J\n# B\nb:2\n"));
  sb_info_print(&info, &out);
  sb_buf_append(&out, "", 1);
  assert_non_null(strstr((char *)out.data, "\nA\n  key "));
  assert_non_null(strstr((char *)out.data, " \\x1b[2J\n\nB\n  b "));
  sb_buf_close(&out);
  sb_info_close(&info);
}

static void test_nothing_is_nothing(void **state) {
  (void)state;
  struct sb_info info = {0};
  sb_info_read(&info, sb_bytes(NULL, 0));
  sb_info_read(&info, sb_bytes_of("\n\r\n#\n"));
  assert_int_equal(info.count, 0);
  sb_info_close(&info);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fields_are_read_with_their_sections),
      cmocka_unit_test(test_json_has_every_key_once),
      cmocka_unit_test(test_json_has_partitions_and_members_as_objects),
      cmocka_unit_test(test_the_field_says_what_is_a_number_and_what_a_text),
      cmocka_unit_test(test_what_json_does_not_take_for_a_number_is_text),
      cmocka_unit_test(test_people_get_sections_and_no_control_characters),
      cmocka_unit_test(test_nothing_is_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
