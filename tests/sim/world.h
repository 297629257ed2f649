/* A simulated cluster: several cores of the real code, one log per partition, unsynchronised clocks and
 * seeded faults. A step is STEP_MS of simulated time. Everything that happens follows from the seed.
 *
 * Checked after every message that a node applies: nodes at equal positions hold equal states. Checked at the
 * end, against a replay of the complete logs (check.c): every entry was accepted once, delivered once and in
 * the log's order to every session that stayed, unless the node reported a gap there; no answered entry is
 * missing; everybody became ready again in bounded time after the faults had stopped. */
#ifndef SB_TESTS_SIM_WORLD_H
#define SB_TESTS_SIM_WORLD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/error.h"
#include "bridge/core/internal.h"

#define STEP_MS        10
#define NODES_MAX      5
#define PARTITIONS_MAX 2
#define CHANNELS       4
#define FOUND_MS       2000
#define LEASE_MS       1500

struct options {
  uint32_t nodes, partitions;
  uint32_t steps;     /* with faults; then they stop */
  const char *faults; /* letters of enum fault */
  bool verbose;
  bool twins;       /* two running nodes have one name: one of them must stop */
  uint32_t latency; /* steps that every message takes to the log */
};

/* q clean stop, j clock jumps, u redelivery, b the broker's limit changes; c cut, k kill, s send stall, r
 * read stall, l loss/late/doubled, a all restart, o outage, x log re-created, t retention, d one node is dead
 * for good when the faults stop, g garbage and foreign messages */
#define ALL_FAULTS "cksrlaoxtdgqjub"

struct stored { /* a message in a log */
  uint64_t sequence;
  struct sb_envelope envelope;
  uint8_t *channel;
  size_t channel_len;
  uint8_t *body;
  size_t len;
  uint32_t life;
  bool stale; /* written to the life before, and late: it came into this one */
};

struct sim_log {
  struct stored *at; /* of all lives; [begin, count) is the present one, [first, count) is not yet retired */
  size_t begin, first, count, cap;
  uint64_t next_sequence;
  uint32_t life;
};

struct flying { /* on its way to the broker */
  struct stored message;
  uint64_t token;
  uint64_t due_step; /* late ones only */
  uint64_t sent_step;
  uint32_t partition;
};

struct flight {
  struct flying *at;
  size_t head, count, cap;
};

struct receipts {
  uint32_t *uids;
  size_t count, cap;
};

struct client {              /* a publishing session */
  struct sb_session session; /* first: the core knows a client by it */
  struct receipts waiting;   /* entries whose answers are due, in order, from `answered` on */
  size_t answered;
  /* The request that was told to wait; the session is not read from meanwhile. */
  bool held;
  uint32_t held_first, held_count;
  struct client *next;
};

/* The part of a log that a process applied without a break: behind `from`, up to and with `to`. */
struct interval {
  uint32_t life;
  uint64_t from, to;
};

struct intervals {
  struct interval *at;
  size_t count, cap;
  bool open;
};

struct reading {
  size_t index; /* of the next message */
  uint32_t life;
  bool attached;
  size_t read_from; /* in this process and life */
};

struct node {
  struct world *world;
  char name[16];
  bool up;
  bool gone; /* never comes back */
  uint32_t process;
  uint64_t start_step;
  int64_t clock_offset_ms;
  double clock_rate;
  struct sb_core *core;
  uint64_t nonce;
  bool link_up;
  uint64_t link_back_step;
  uint64_t send_stall_step, read_stall_step;
  struct flight flights[PARTITIONS_MAX];
  struct reading readings[PARTITIONS_MAX];
  struct sb_session observer; /* hears everything */
  struct sb_session listener; /* SUBSCRIBE c0 */
  bool listens;
  struct receipts seen[PARTITIONS_MAX]; /* by the observer of this process */
  struct receipts heard;                /* by the listener */
  struct intervals intervals[PARTITIONS_MAX];
  struct client *clients;
  bool was_ready;
  bool event, room;  /* since the last turn */
  uint64_t deadline; /* what the core said at its last turn */
  uint32_t
      idle_turns; /* in a row that the core asked for though nothing had happened and nothing came of it */
  bool refuses, by_pattern;
  bool stopping;
  uint64_t stop_until;
  struct sb_session sleeper; /* SUBSCRIBE c1, reads nothing until it is over its limit */
  bool sleeps, slept;        /* slept: when the answers were made that are being read */
  uint64_t last_generation[PARTITIONS_MAX], last_sequence[PARTITIONS_MAX]; /* of what the observer got */
  size_t max_body;
};

struct past { /* a process that is no more, kept for the check at the end */
  char name[16];
  bool listened;
  struct receipts seen[PARTITIONS_MAX], heard;
  struct intervals intervals[PARTITIONS_MAX];
};

enum outcome { OUTCOME_NONE, OUTCOME_NUMBER, OUTCOME_GAP, OUTCOME_REFUSED, OUTCOME_ERROR };

struct published {
  uint8_t channel;
  uint8_t outcome;
  uint8_t node;
  bool shard;
  uint16_t len;      /* of the payload */
  uint8_t receivers; /* on its node, when it was pushed */
  bool pushed;       /* to the observer of the process that published it */
  bool destroyed;    /* its log was, while it was in flight */
  /* Its node did not see this part of its log while it was in flight. */
  bool unsure;
  uint32_t unsure_life, process;
  uint64_t unsure_after, unsure_until;
};

struct accepted {
  uint32_t uid;
  uint32_t life;
  uint64_t sequence;
  bool stale; /* by a log that was founded by a FOUND of the life before */
};

struct truth {
  struct accepted *at, *founds; /* of founds the place only */
  size_t count, cap, founds_count, founds_cap;
};

struct state_at { /* what the first node that came to a position found */
  uint64_t hash;
  bool known;
  char who[16];
};

struct world {
  struct options options;
  uint64_t seed, random, step;
  bool faults;
  struct node nodes[NODES_MAX];
  struct sim_log logs[PARTITIONS_MAX];
  struct state_at *states[PARTITIONS_MAX]; /* by index in the log */
  size_t states_cap[PARTITIONS_MAX];
  struct flight limbo;
  struct published *published;
  uint32_t published_count, published_cap;
  struct past *pasts;
  size_t pasts_count, pasts_cap;
  uint64_t clients_open, longest_settle, settle_steps;
  uint64_t longest_start, messages, deliveries;
  uint64_t held, refused, stops, clean_stops, redelivered, over_limit, packed,
      fatals; /* how often it happened */
  struct sb_core_stats totals;
  jmp_buf failed;
  char failure[256];
};

/* Runs one seed; false with world->failure set when a promise was broken. */
bool sim_run(struct world *world, uint64_t seed, const struct options *options);
void sim_free(struct world *world);

__attribute__((format(printf, 2, 3), noreturn)) void sim_fail(struct world *world, const char *format, ...);
uint64_t sim_random(struct world *world);
bool sim_chance(struct world *world, double probability);
uint32_t sim_below(struct world *world, uint32_t bound);

/* node.c */
void sim_node_start(struct node *node);
void sim_node_kill(struct node *node);
void sim_node_stop(struct node *node);
void sim_node_step(struct node *node);
void sim_node_cut(struct node *node, uint64_t steps);
void sim_node_link_back(struct node *node);
bool sim_node_settled(struct node *node);
void sim_node_free(struct node *node);

/* sessions.c */
void sim_sessions_open(struct node *node);
void sim_sessions_close(struct node *node);
void sim_sessions_read(struct node *node);
void sim_sessions_step(struct node *node);
void sim_sessions_room(struct node *node);
bool sim_sessions_settled(const struct node *node);

/* world.c */
void sim_append(struct world *world, uint32_t partition, struct stored *message);
void sim_flight_push(struct flight *flight, const struct flying *flying);
struct flying sim_flight_pop(struct flight *flight);
bool sim_fault(const struct world *world, char fault);
void sim_published_add(struct world *world, const struct published *entry);
uint32_t sim_partition(const struct world *world, uint8_t channel);
bool sim_uid(const struct world *world, struct sb_bytes payload, uint32_t *uid);
void sim_receipts_add(struct receipts *receipts, uint32_t uid);

/* judge.c */
uint64_t sim_hash_state(const struct sb_state *state);
void sim_judge(struct world *world, uint32_t partition, struct truth *truth);

/* check.c */
void sim_check_state(struct node *node, uint32_t partition);
void sim_check_end(struct world *world);

#endif
