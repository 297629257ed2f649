/* The settings of the Redis side, the calls to its owner, and its counters. */
#ifndef SB_REDIS_SOCKETS_SERVER_SETTINGS_H
#define SB_REDIS_SOCKETS_SERVER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bridge/base/bytes.h"

struct sb_server_settings {
  const char *node;        /* name of this node, for people */
  const char *broker;      /* "memory", "rabbitmq" …, for people */
  const char *config_file; /* NULL: none */
  uint32_t partitions;

  struct {
    const char *path; /* NULL: no Unix socket */
    mode_t mode;
    bool set_group;
    gid_t group;
    bool allow_given; /* false: anybody whom the mode admits; true with count 0: nobody */
    const uid_t *allow;
    size_t allow_count;
    const char *password; /* NULL: AUTH is not needed, and answered +OK */
  } socket;

  struct {
    const char *address; /* numeric, of the loopback interface; NULL: no TCP */
    uint16_t port;
    const char *password;
  } tcp;

  uint32_t sessions_max;    /* of these, sb_server_tcp_sessions_max may come by TCP */
  uint64_t memory_bytes;    /* of all sessions together; above it the largest goes */
  uint32_t backlog;         /* of each listener; 0: as many as the system allows (net.core.somaxconn) */
  size_t request_bytes;     /* one request with its framing */
  size_t input_bytes;       /* bytes of a session that were read and not used yet; at least request_bytes */
  size_t output_hard_bytes; /* for people: the core applies it */
  size_t output_soft_bytes; /* 0: no soft limit */
  uint32_t output_soft_seconds;
};

struct sb_server_io {
  void *owner;
  /* Appends "key:value\r\n" lines about the transport, for INFO and SIDEBUS STATUS. May be NULL. */
  void (*broker_status)(void *owner, struct sb_buf *out);
  /* Somebody connects. The owner may call sb_server_passwords now. May be NULL. */
  void (*connecting)(void *owner, bool tcp);
};

/* Every user of the machine can connect by TCP, so a quarter of the sessions is kept for the Unix socket. */
static inline uint32_t sb_server_tcp_sessions_max(uint32_t sessions_max) {
  return sessions_max - sessions_max / 4;
}

struct sb_server_stats {
  uint32_t sessions, waiting, monitors; /* now; waiting: for room or readiness */
  uint64_t sessions_opened, sessions_rejected;
  uint64_t commands, error_replies, protocol_errors; /* a protocol error is an error reply too */
  uint64_t bytes_read, bytes_written, reads, writes;
  uint64_t closed_for_output, closed_for_input; /* over their limits */
  uint64_t evicted;                             /* all sessions together took too much memory */
  uint64_t strangers_closed, wrong_passwords;   /* see stranger.h */
};

#endif
