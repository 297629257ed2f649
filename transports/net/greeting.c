#include "transports/net/greeting.h"

#include <string.h>

bool sb_net_greeting_is_tls(const uint8_t *head, size_t len) {
  /* RFC 8446, 5.1: change_cipher_spec to application_data, then 3 and the minor version. */
  return len >= 2 && head[0] >= 20 && head[0] <= 23 && head[1] == 3;
}

const char *sb_net_greeting_name(const uint8_t *head, size_t len) {
  /* AMQP: the protocol's header. 0-9-1 has it only in an answer to another; a frame of method, channel 0. */
  static const struct {
    uint8_t len;
    char begin[SB_NET_GREETING_BYTES];
    const char *name;
  } known[] = {
      {8, "AMQP\0\0\x09\x01", SB_NET_GREETING_AMQP_0_9_1},
      {3, "\x01\0\0", SB_NET_GREETING_AMQP_0_9_1},
      {8, "AMQP\0\x01\0\0", SB_NET_GREETING_AMQP_1_0},
      {8, "AMQP\2\x01\0\0", SB_NET_GREETING_AMQP_1_0},
      {8, "AMQP\3\x01\0\0", SB_NET_GREETING_AMQP_1_0},
      {4, "AMQP", "AMQP"},
      {4, "HTTP", "HTTP"},
      {1, "<", "HTTP"},
      {4, "-ERR", "Redis"},
      {4, "-NOA", "Redis"},
      {4, "-DEN", "Redis"},
      {4, "+PON", "Redis"},
      {4, "SSH-", "SSH"},
      {3, "220", "SMTP or FTP"},
  };
  if (sb_net_greeting_is_tls(head, len)) return SB_NET_GREETING_TLS;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (len >= known[i].len && memcmp(head, known[i].begin, known[i].len) == 0) return known[i].name;
  return "no protocol that is known";
}
