/* What is said to and heard from the HTTPS interface of Service Bus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transports/servicebus/atom.h"

#define XML_HEAD "<?xml version=\"1.0\" encoding=\"utf-8\"?>"
#define ENTRY    "<entry xmlns=\"http://www.w3.org/2005/Atom\">"
#define CONNECT  "xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\""

static void test_durations_are_iso_8601(void **state) {
  (void)state;
  static const struct {
    uint64_t seconds;
    const char *text;
  } cases[] = {
      {0, "PT0S"},    {10, "PT10S"},   {60, "PT1M"},      {3600, "PT1H"},
      {86400, "P1D"}, {90, "PT1M30S"}, {1209600, "P14D"}, {93784, "P1DT2H3M4S"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sb_buf out = {0};
    uint64_t ms = 1;
    sb_servicebus_duration_write(cases[i].seconds, &out);
    assert_true(sb_servicebus_duration_read(sb_buf_bytes(&out), &ms));
    assert_int_equal(ms, cases[i].seconds * 1000);
    sb_buf_append(&out, "", 1);
    assert_string_equal((const char *)out.data, cases[i].text);
    sb_buf_close(&out);
  }
}

static void test_the_services_own_durations_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint64_t ms;
  } good[] = {
      {"P10675199DT2H48M5.4775807S", UINT64_C(922337203685477)},
      {"PT1M", 60000},
      {"PT0.5S", 500},
      {"PT0.0009S", 0},
      {"PT90M", 5400000},
  };
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    uint64_t ms = 1;
    assert_true(sb_servicebus_duration_read(sb_bytes_of(good[i].text), &ms));
    assert_int_equal(ms, good[i].ms);
  }
  static const char *const bad[] = {"",     "P",     "PT",     "PT5",   "5S",     "P1Y",   "P1M",
                                    "PT1D", "PTT5S", "PT5S1M", "PT.5S", "PT1.5M", "PT-5S", "P99999999999D",
                                    "P5S",  "PT5Sx"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    uint64_t ms;
    if (sb_servicebus_duration_read(sb_bytes_of(bad[i]), &ms)) fail_msg("%s", bad[i]);
  }
}

static void test_entries_have_their_elements_in_the_services_order(void **state) {
  (void)state;
  struct sb_buf out = {0};
  sb_servicebus_atom_topic(&(struct sb_servicebus_topic){.ttl_s = 3600, .max_size_mb = 1024}, &out);
  sb_buf_append(&out, "", 1);
  assert_string_equal((const char *)out.data,
                      XML_HEAD ENTRY "<content type=\"application/xml\"><TopicDescription " CONNECT ">"
                                     "<DefaultMessageTimeToLive>PT1H</DefaultMessageTimeToLive>"
                                     "<MaxSizeInMegabytes>1024</MaxSizeInMegabytes>"
                                     "<RequiresDuplicateDetection>false</RequiresDuplicateDetection>"
                                     "<EnableBatchedOperations>true</EnableBatchedOperations>"
                                     "<SupportOrdering>true</SupportOrdering>"
                                     "<EnablePartitioning>false</EnablePartitioning>"
                                     "</TopicDescription></content></entry>");
  sb_buf_clear(&out);
  sb_servicebus_atom_subscription(
      &(struct sb_servicebus_subscription){.lock_s = 10, .ttl_s = 90, .auto_delete_idle_s = 600}, &out);
  sb_buf_append(&out, "", 1);
  assert_string_equal((const char *)out.data, XML_HEAD ENTRY
                      "<content type=\"application/xml\"><SubscriptionDescription " CONNECT ">"
                      "<LockDuration>PT10S</LockDuration>"
                      "<RequiresSession>false</RequiresSession>"
                      "<DefaultMessageTimeToLive>PT1M30S</DefaultMessageTimeToLive>"
                      "<DeadLetteringOnMessageExpiration>false</DeadLetteringOnMessageExpiration>"
                      "<MaxDeliveryCount>2000</MaxDeliveryCount>"
                      "<EnableBatchedOperations>true</EnableBatchedOperations>"
                      "<AutoDeleteOnIdle>PT10M</AutoDeleteOnIdle>"
                      "</SubscriptionDescription></content></entry>");
  sb_buf_close(&out);
}

/* As the service writes it: with what nobody asked for, prefixes, and nested values. */
static const char topic_text[] = XML_HEAD ENTRY
    "<id>https://acme/hub-0?api-version=2017-04</id><title type=\"text\">hub-0</title>"
    "<author><name>acme</name></author><link rel=\"self\" href=\"x\"/><content type=\"application/xml\">"
    "<TopicDescription " CONNECT " xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\">"
    "<DefaultMessageTimeToLive>P1D</DefaultMessageTimeToLive><EnablePartitioning>true</EnablePartitioning>"
    "<AuthorizationRules><AuthorizationRule i:type=\"SharedAccessAuthorizationRule\"><Status>Bad</Status>"
    "</AuthorizationRule></AuthorizationRules><Status>Active</Status>"
    "<CountDetails "
    "xmlns:d2p1=\"http://x\"><d2p1:ActiveMessageCount>1</d2p1:ActiveMessageCount></CountDetails>"
    "<SubscriptionCount>12</SubscriptionCount><SupportOrdering>true</SupportOrdering>"
    "<AutoDeleteOnIdle>P10675199DT2H48M5.4775807S</AutoDeleteOnIdle></TopicDescription></content></entry>";

static void test_a_topics_description_is_read(void **state) {
  (void)state;
  struct sb_servicebus_atom answer;
  assert_int_equal(sb_servicebus_atom_read(sb_bytes_of(topic_text), NULL, NULL, &answer, NULL), 0);
  const struct sb_servicebus_description *is = &answer.description;
  assert_int_equal(answer.entries, 1);
  assert_int_equal(is->kind, SB_SERVICEBUS_A_TOPIC);
  assert_true(is->partitioned);
  assert_true(is->has_ordered && is->ordered);
  assert_true(is->has_ttl);
  assert_int_equal(is->ttl_ms, 86400000);
  assert_true(is->has_subscriptions);
  assert_int_equal(is->subscriptions, 12);
  assert_string_equal(is->status, "Active");
  assert_false(is->has_lock);
}

static void collect(void *owner, const char *name) {
  sb_buf_printf(owner, "%s ", name);
}

static void test_a_feed_gives_its_titles(void **state) {
  (void)state;
  static const char text[] =
      "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>Subscriptions</title>" ENTRY
      "<title type=\"text\">a</title><content><SubscriptionDescription " CONNECT
      "><ForwardTo/><RequiresSession>true</RequiresSession><MaxDeliveryCount>10</MaxDeliveryCount>"
      "</SubscriptionDescription></content></entry>" ENTRY
      "<title>b &amp; <![CDATA[c]]></title><content><SubscriptionDescription " CONNECT
      "><ForwardTo>x</ForwardTo><Status>ReceiveDisabled</Status><LockDuration>soon</LockDuration>"
      "</SubscriptionDescription></content></entry></feed>";
  struct sb_servicebus_atom answer;
  struct sb_buf names = {0};
  assert_int_equal(sb_servicebus_atom_read(sb_bytes_of(text), collect, &names, &answer, NULL), 0);
  assert_int_equal(answer.entries, 2);
  assert_true(sb_bytes_equal(sb_buf_bytes(&names), sb_bytes_of("a b & c ")));
  assert_true(answer.description.forwards);
  assert_false(answer.description.sessions); /* that was the first one's */
  assert_false(answer.description.has_deliveries);
  assert_false(answer.description.has_lock); /* it is no duration */
  assert_string_equal(answer.description.status, "ReceiveDisabled");
  sb_buf_close(&names);
}

static void test_an_error_has_a_detail_of_one_line(void **state) {
  (void)state;
  struct sb_servicebus_atom answer;
  const char *text = "<Error><Code>409</Code><Detail>SubCode=40901. Another\n operation.</Detail></Error>";
  assert_int_equal(sb_servicebus_atom_read(sb_bytes_of(text), NULL, NULL, &answer, NULL), 0);
  assert_string_equal(answer.detail, "SubCode=40901. Another  operation.");
  assert_int_equal(answer.description.kind, SB_SERVICEBUS_NO_ENTITY);
}

static void test_an_empty_feed_describes_nothing(void **state) {
  (void)state;
  struct sb_servicebus_atom answer;
  const char *text =
      "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>Publicly Listed Services</title></feed>";
  assert_int_equal(sb_servicebus_atom_read(sb_bytes_of(text), NULL, NULL, &answer, NULL), 0);
  assert_int_equal(answer.entries, 0);
  assert_int_equal(answer.description.kind, SB_SERVICEBUS_NO_ENTITY);
}

static void test_what_is_not_sent_by_the_service_is_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "<html><p>502</html>",
      "not XML",
      "<entry>",
      "<!DOCTYPE entry [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><entry><title>&b;</title></entry>",
      "<!DOCTYPE entry SYSTEM \"file:///etc/passwd\"><entry/>",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct sb_servicebus_atom answer;
    struct sb_error error = {0};
    if (sb_servicebus_atom_read(sb_bytes_of(texts[i]), NULL, NULL, &answer, &error) != SB_ERR_PROTOCOL)
      fail_msg("%s", texts[i]);
    assert_non_null(strstr(error.text, "is not what Service Bus sends: XML line 1"));
  }
}

static void test_elements_nest_to_a_limit(void **state) {
  (void)state;
  for (size_t depth = 31; depth <= 34; depth++) {
    struct sb_buf text = {0};
    struct sb_servicebus_atom answer;
    for (size_t i = 0; i < depth; i++) sb_buf_text(&text, "<a>");
    for (size_t i = 0; i < depth; i++) sb_buf_text(&text, "</a>");
    int rc = sb_servicebus_atom_read(sb_buf_bytes(&text), NULL, NULL, &answer, NULL);
    assert_int_equal(rc, depth > 32 ? SB_ERR_PROTOCOL : 0);
    sb_buf_close(&text);
  }
}

static void test_long_values_are_cut(void **state) {
  (void)state;
  struct sb_buf text = {0};
  struct sb_servicebus_atom answer;
  sb_buf_text(&text, "<Error><Detail>");
  for (size_t i = 0; i < 5000; i++) sb_buf_text(&text, "x");
  sb_buf_text(&text, "</Detail></Error>");
  assert_int_equal(sb_servicebus_atom_read(sb_buf_bytes(&text), NULL, NULL, &answer, NULL), 0);
  assert_int_equal(strlen(answer.detail), sizeof answer.detail - 1);
  sb_buf_close(&text);
}

static void test_every_beginning_of_an_answer_is_safe(void **state) {
  (void)state;
  for (size_t len = 0; len < sizeof topic_text - 1; len++) {
    char *text = malloc(len + !len);
    struct sb_servicebus_atom answer;
    memcpy(text, topic_text, len);
    assert_int_equal(sb_servicebus_atom_read(sb_bytes(text, len), NULL, NULL, &answer, NULL),
                     SB_ERR_PROTOCOL);
    free(text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_durations_are_iso_8601),
      cmocka_unit_test(test_the_services_own_durations_are_read),
      cmocka_unit_test(test_entries_have_their_elements_in_the_services_order),
      cmocka_unit_test(test_a_topics_description_is_read),
      cmocka_unit_test(test_a_feed_gives_its_titles),
      cmocka_unit_test(test_an_error_has_a_detail_of_one_line),
      cmocka_unit_test(test_an_empty_feed_describes_nothing),
      cmocka_unit_test(test_what_is_not_sent_by_the_service_is_refused),
      cmocka_unit_test(test_elements_nest_to_a_limit),
      cmocka_unit_test(test_long_values_are_cut),
      cmocka_unit_test(test_every_beginning_of_an_answer_is_safe),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
