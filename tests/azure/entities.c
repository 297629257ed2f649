/* Prints what the product would make at Azure Service Bus, for tests/azure/check.js: a line with the name of
 * each topic, then the description of a topic and of a subscription as they are sent, each in a line of its
 * own. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "transports/servicebus/atom.h"
#include "transports/servicebus/board.h"

static bool read_number(const char *text, uint32_t *out) {
  uint64_t wide;
  if (!sb_bytes_u64(sb_bytes_of(text), UINT32_MAX, &wide)) return false;
  *out = (uint32_t)wide;
  return true;
}

static void print_line(struct sb_buf *text) {
  printf("%.*s\n", (int)text->len, (const char *)text->data);
  sb_buf_close(text);
}

int main(int argc, char **argv) {
  struct sb_servicebus_topic topic = {0};
  struct sb_servicebus_subscription subscription = {0};
  uint32_t partitions;
  if (argc != 7 || !read_number(argv[2], &partitions) || !read_number(argv[3], &topic.ttl_s) ||
      !read_number(argv[4], &topic.max_size_mb) || !read_number(argv[5], &subscription.lock_s) ||
      !read_number(argv[6], &subscription.auto_delete_idle_s)) {
    fprintf(stderr, "usage: %s PREFIX PARTITIONS TTL-S MAX-SIZE-MB LOCK-S AUTO-DELETE-IDLE-S\n", argv[0]);
    return 2;
  }
  subscription.ttl_s = topic.ttl_s;
  const struct sb_servicebus_board board = {.prefix = argv[1], .partitions = partitions};
  for (uint32_t p = 0; p < partitions; p++) {
    char name[SB_SERVICEBUS_TOPIC_TEXT];
    sb_servicebus_topic_name(&board, p, name);
    puts(name);
  }
  struct sb_buf text = {0};
  sb_servicebus_atom_topic(&topic, &text);
  print_line(&text);
  sb_servicebus_atom_subscription(&subscription, &text);
  print_line(&text);
  return 0;
}
