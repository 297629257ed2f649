/* The node that a script of the fuzzer drives, with its sessions, and what is on its way to and from its log.
 */
#ifndef SB_TESTS_FUZZ_NODE_H
#define SB_TESTS_FUZZ_NODE_H

#include "bridge/core/core.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"

#define QUEUE_MAX 16

struct queued {
  struct sb_envelope envelope;
  struct sb_body *body;
  uint64_t token;
};

enum { TWO, THREE, PATTERN, PUBLISHER, SESSIONS };

/* What sessions subscribe to, as a bit of a mask each. */
enum { TOPIC_C, TOPIC_D, TOPIC_S, TOPIC_P, TOPICS };

static const struct {
  enum sb_sub_kind kind;
  const char *name;
} topics[TOPICS] = {
    {SB_SUB_CHANNEL, "c"}, {SB_SUB_CHANNEL, "d"}, {SB_SUB_SHARD, "s"}, {SB_SUB_PATTERN, "[d-f]*"}};

enum { OTHER, JOIN, LEAVE, KEYS };

#define STORED_MAX 64 /* messages that can be read back */

struct stored {
  uint64_t sequence;
  struct sb_envelope envelope;
  struct sb_body *channel, *body;
};

struct request {
  uint8_t what, mask;
};

struct client {
  struct sb_session *session;
  struct request *requests; /* that were taken and not answered, oldest first */
  uint32_t first, end, cap;
  uint8_t confirmed; /* topics that pushes may come of */
  uint8_t doubtful;  /* topics whose request failed */
};

struct node {
  struct sb_core *core;
  struct sb_partition *part;
  uint64_t now_ms, sequence;
  struct queued queue[QUEUE_MAX]; /* published and not seen by the log yet, oldest first */
  uint32_t queued;
  struct client clients[SESSIONS];
  uint32_t opened, released;
  bool failed;
  bool takes_little; /* the broker */
  bool forged;       /* somebody else may have spoken in the node's name */
  struct stored stored[STORED_MAX];
  uint32_t stored_count;
  uint64_t reading; /* the token of what is read back; 0: nothing is */
};

#endif
