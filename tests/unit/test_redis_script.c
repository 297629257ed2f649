/* Which scripts are known, and by which names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "bridge/redis/commands/script.h"

#define NUMBER                                                                                               \
  "local newId = redis.call('INCR', KEYS[1])\r\n"                                                            \
  "                  local payload = newId .. ' ' .. ARGV[1]\r\n"                                            \
  "                  redis.call('PUBLISH', KEYS[1], payload)\r\n"                                            \
  "                  return {newId, ARGV[1], payload}"

static enum sb_script find(const char *text) {
  return sb_script_find(sb_bytes_of(text));
}

static void test_white_space_and_semicolons_do_not_matter(void **state) {
  (void)state;
  assert_int_equal(find(NUMBER), SB_SCRIPT_NUMBER);
  assert_int_equal(find(NUMBER "  \n                "), SB_SCRIPT_NUMBER);
  assert_int_equal(find("local newId=redis.call('INCR',KEYS[1]);local payload=newId..' '..ARGV[1];\n"
                        "redis.call('PUBLISH',KEYS[1],payload);return {newId,ARGV[1],payload};"),
                   SB_SCRIPT_NUMBER);
  assert_int_equal(find("for i = 2, #ARGV do\n  redis.call('publish', ARGV[i], ARGV[1])\nend"),
                   SB_SCRIPT_PUBLISH_EACH);
  assert_int_equal(find("\tfor i=2,#ARGV do redis.call('publish',ARGV[i],ARGV[1]) end\n"),
                   SB_SCRIPT_PUBLISH_EACH);
}

static void test_signalr_restores_its_number_in_several_ways(void **state) {
  (void)state;
  assert_int_equal(find("local newvalue = redis.call('GET', KEYS[1])\n  if newvalue < ARGV[1] then\n"
                        "    return redis.call('SET',KEYS[1], ARGV[1])\n  else\n    return nil\n  end"),
                   SB_SCRIPT_RESTORE);
  assert_int_equal(find("local newvalue = redis.call('GET', KEYS[1])\n if newvalue then\n"
                        " if newvalue < ARGV[1] then\n return redis.call('SET', KEYS[1], ARGV[1])\n else\n"
                        " return nil\n end\n else\n return redis.call('SET', KEYS[1], ARGV[1])\n end"),
                   SB_SCRIPT_RESTORE);
  assert_int_equal(find("local newvalue = tonumber(redis.call('GET', KEYS[1]))\n"
                        " if not newvalue or tonumber(newvalue) < tonumber(ARGV[1]) then\n"
                        " return redis.call('SET', KEYS[1], ARGV[1])\n else\n return nil\n end"),
                   SB_SCRIPT_RESTORE);
}

static void test_what_means_something_else_is_unknown(void **state) {
  (void)state;
  assert_int_equal(find(""), SB_SCRIPT_UNKNOWN);
  assert_int_equal(find("return 1"), SB_SCRIPT_UNKNOWN);
  assert_int_equal(find("--" NUMBER), SB_SCRIPT_UNKNOWN);
  assert_int_equal(find(NUMBER " .. ''"), SB_SCRIPT_UNKNOWN);
  /* blanks in a string are part of it, and between words one is needed */
  assert_int_equal(find("local newId = redis.call('INCR', KEYS[1]) local payload = newId .. '' .. ARGV[1] "
                        "redis.call('PUBLISH', KEYS[1], payload) return {newId, ARGV[1], payload}"),
                   SB_SCRIPT_UNKNOWN);
  assert_int_equal(find("for i = 2, #ARGV do redis.call('publish ', ARGV[i], ARGV[1]) end"),
                   SB_SCRIPT_UNKNOWN);
  assert_int_equal(find("fori = 2, #ARGV do redis.call('publish', ARGV[i], ARGV[1]) end"), SB_SCRIPT_UNKNOWN);
  assert_int_equal(find("for i = 2, #ARGV do redis.call('publish', ARGV[i], ARGV[1]) e nd"),
                   SB_SCRIPT_UNKNOWN);
}

static void test_a_very_long_script_is_unknown(void **state) {
  (void)state;
  struct sb_buf text = {0};
  sb_buf_text(&text, NUMBER);
  for (int i = 0; i < 10000; i++) sb_buf_text(&text, " ");
  assert_int_equal(sb_script_find(sb_buf_bytes(&text)), SB_SCRIPT_UNKNOWN);
  sb_buf_close(&text);
}

static void test_a_script_is_found_by_the_sha1_of_its_text_as_sent(void **state) {
  (void)state;
  struct sb_scripts scripts = {0};
  const char *sha1 = sb_scripts_keep(&scripts, sb_bytes_of("abc"), SB_SCRIPT_NUMBER);
  assert_string_equal(sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
  assert_int_equal(sb_scripts_find(&scripts, sb_bytes_of("A9993E364706816ABA3E25717850C26C9CD0D89D")),
                   SB_SCRIPT_NUMBER);
  assert_int_equal(sb_scripts_find(&scripts, sb_bytes_of("a9993e364706816aba3e25717850c26c9cd0d89")),
                   SB_SCRIPT_UNKNOWN);
  assert_int_equal(sb_scripts_find(&scripts, sb_bytes_of("b9993e364706816aba3e25717850c26c9cd0d89d")),
                   SB_SCRIPT_UNKNOWN);
}

static void test_the_oldest_of_too_many_is_forgotten(void **state) {
  (void)state;
  struct sb_scripts scripts = {0};
  char first[SB_SHA1_TEXT + 1], text[16];
  memcpy(first, sb_scripts_keep(&scripts, sb_bytes_of("0"), SB_SCRIPT_RESTORE), sizeof first);
  for (int i = 1; i < SB_SCRIPTS_KEPT; i++) {
    snprintf(text, sizeof text, "%d", i);
    sb_scripts_keep(&scripts, sb_bytes_of(text), SB_SCRIPT_NUMBER);
    sb_scripts_keep(&scripts, sb_bytes_of(text), SB_SCRIPT_NUMBER); /* twice is once */
  }
  assert_int_equal(sb_scripts_find(&scripts, sb_bytes_of(first)), SB_SCRIPT_RESTORE);
  sb_scripts_keep(&scripts, sb_bytes_of("one more"), SB_SCRIPT_NUMBER);
  assert_int_equal(sb_scripts_find(&scripts, sb_bytes_of(first)), SB_SCRIPT_UNKNOWN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_white_space_and_semicolons_do_not_matter),
      cmocka_unit_test(test_signalr_restores_its_number_in_several_ways),
      cmocka_unit_test(test_what_means_something_else_is_unknown),
      cmocka_unit_test(test_a_very_long_script_is_unknown),
      cmocka_unit_test(test_a_script_is_found_by_the_sha1_of_its_text_as_sent),
      cmocka_unit_test(test_the_oldest_of_too_many_is_forgotten),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
