/* A simulated cluster: several cores of the real code, one log per partition, unsynchronised clocks and
 * seeded faults. A step is STEP_MS of simulated time. Everything that happens follows from the seed.
 *
 * Checked after every message that a node applies: nodes at equal positions hold equal states. Checked at the
 * end, against a replay of the complete logs (judge.c, check.c): every entry was accepted once; every session
 * got each entry once, in the log's order, that stands between the echo of its SUBSCRIBE and that of its
 * UNSUBSCRIBE, unless the node reported a gap there; no answered entry is missing; whatever was counted was
 * right at its position. Once the faults have stopped: everybody became ready again in bounded time, the
 * counts are those of the sessions, and when these have closed nothing is left of them. */
#ifndef SB_TESTS_SIM_WORLD_H
#define SB_TESTS_SIM_WORLD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "bridge/base/error.h"
#include "bridge/core/core.h"
#include "bridge/core/log/outgoing.h"
#include "bridge/core/log/partition.h"
#include "bridge/core/sessions/hub.h"
#include "bridge/core/sessions/outlet.h"
#include "tests/sim/keys.h"

#define STEP_MS        10
#define NODES_MAX      5
#define PARTITIONS_MAX 64
#define CHANNELS       4 /* c0 to c3, one for each of four partitions; of more, most have none */
#define PATTERNS       6
#define TOPICS         (2 * CHANNELS + PATTERNS) /* channels, then shard channels, then patterns */
#define NAMES_MAX      4                         /* of one request */
#define FOUND_MS       2000
#define LEASE_MS       1500

#define OUTPUT_BYTES 100000 /* what a session may be sent before it has read it */

struct options {
  uint32_t nodes, partitions;
  uint32_t steps;     /* with faults; then they stop */
  const char *faults; /* letters of enum fault */
  bool verbose;
  bool twins;       /* two running nodes have one name: one of them must stop */
  bool diverge;     /* one node misses a message that all others accept, or is alone shown one */
  uint32_t latency; /* steps that every message takes to the log */
  bool sign;        /* nodes sign what they send, and take nothing else */
  bool forged;      /* another program writes in the names of members (forge.c) */
};

/* q clean stop, j clock jumps, u redelivery, b the broker's limit changes, in some seeds to little more than
 * an entry; c cut, k kill, s send stall, r read stall, l loss/late/doubled, a all restart, o outage, x log
 * re-created, t retention, d one node is dead for good when the faults stop, g garbage and foreign messages,
 * m one node is not shown a message and told so, v what is read back fails in the middle, h HELLOs in the
 * names of nodes that another program wrote */
#define ALL_FAULTS "cksrlaoxtdgqjubmvh"

struct stored { /* a message in a log */
  uint64_t sequence;
  struct sb_envelope envelope;
  uint8_t *channel;
  size_t channel_len;
  uint8_t *body;
  size_t len;
  uint32_t life;
  bool stale;                  /* written to the life before, and late: it came into this one */
  bool outsider;               /* written by who has no key, and is no message to a channel */
  uint32_t marks, marks_count; /* what sessions wait for in it, as its sender knew */
  size_t first;                /* of the log's messages that was not retired when it came */
};

struct sim_log {
  struct stored *at; /* of all lives; [begin, count) is the present one, [first, count) is not yet retired */
  size_t begin, first, count, cap;
  uint64_t next_sequence;
  uint32_t life;
  uint64_t calm_lives; /* a bit for each life before which everybody was ready, with its link up */
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
  struct sb_id *ids; /* 0-0: it came without one */
  size_t count, cap;
};

enum request_what {
  REQUEST_PUBLISH,
  REQUEST_SUBSCRIBE,
  REQUEST_UNSUBSCRIBE,
  REQUEST_ASK,
  REQUEST_RESET,
  REQUEST_WRITE, /* a command on keys or streams */
  REQUEST_EXEC,
  REQUEST_READ, /* one that only reads; XREAD too */
};

/* A node and a log at one moment. */
struct view {
  bool ready, fills; /* fills: what the log held before is being read */
  uint32_t life;
  uint64_t applied, time_ms;
  struct sb_id begin;              /* of the history */
  struct sb_id reach;              /* behind it every range must be answered whole */
  const struct sb_session *reader; /* for whom something was read back, as of that sequence; NULL: nobody */
  uint64_t read_to, read_ms;       /* in the log, and its time then */
  struct sb_id read_reach;         /* of what was read back */
  bool read_any;                   /* something was */
};

struct request {
  uint8_t what, count; /* names */
  uint8_t kind;        /* enum sb_sub_kind */
  uint8_t topics[NAMES_MAX];
  bool answered, refused; /* refused: by an error */
  uint32_t slot;          /* of its reply */
  uint32_t uid;           /* PUBLISH */
  uint64_t values[NAMES_MAX];
  uint8_t judged; /* a bit for each value that was found right */

  /* WRITE, EXEC, READ */
  bool slotless; /* it was answered at once */
  uint8_t channel, proto;
  uint32_t publishes;         /* in an EXEC: of the uids behind its own */
  uint32_t text_len, entries; /* commands, as they are sent */
  uint8_t *text;
  uint8_t *reply;
  uint32_t reply_len;
  uint64_t ends_ms; /* a READ that blocks may be answered with nothing from then on */
  uint64_t read_to; /* it was answered from what was read back up to there; 0: it was not */
  uint64_t read_ms; /* and at this time of the log */
  struct sb_id reach;
  /* An XREAD for which nothing was read back goes on behind that, in what its node holds. */
  struct view passed;   /* the last time; read_to 0: never */
  uint64_t passed_to;   /* the times before: as the second part of an id … */
  uint32_t passed_life; /* … of that life of the log, for no other has the same sequences */
};

/* Where in a log. */
struct place {
  uint32_t life, entry;
  uint64_t sequence;
};

enum event_what { EVENT_JOINED, EVENT_LEFT, EVENT_ALL_LEFT, EVENT_CLOSED };

/* Something about a session's subscriptions came to be at a place: an entry in the log that its node applied,
 * or something that the node knows of by itself. */
struct event {
  struct place at;
  uint32_t slot;
  uint8_t what, topic;
  bool local;
};

struct events {
  struct event *at;
  size_t count, cap;
};

/* An entry that a session waits for. */
struct mark {
  struct history *who;
  uint32_t entry, slot;
  uint8_t what; /* enum sb_waits */
  uint8_t topic;
};

/* What a session asked for and got; kept until the end of the run. */
struct history {
  struct history *next;
  uint32_t process;
  bool passive;       /* it reads nothing */
  uint64_t truncated; /* a bit for each partition: it closed while some of its pushes were held back */
  uint32_t asked;     /* a bit for each topic, by the order of requests */
  uint32_t confirmed; /* by what it has read */
  uint32_t vague;     /* its SUBSCRIBE brought an error, but other names of the request may have been taken */
  uint32_t asked_in[TOPICS]; /* the slot of the last SUBSCRIBE of it */
  struct request *requests;
  size_t requests_count, requests_cap, answered;
  struct receipts got[PARTITIONS_MAX]; /* uid * 16 + topic */
  struct events events[PARTITIONS_MAX];
  struct events refused[PARTITIONS_MAX]; /* what never came to be */
};

struct client {
  struct sb_session session; /* first: the core knows a client by it */
  struct history *history;
  bool settled; /* asks for nothing more: the observer, the sleeper */
  bool sleeps;  /* reads nothing until it is over its limit */
  /* The request that was told to wait; the session is not read from meanwhile. */
  bool held;
  struct request pending;
  struct sb_id cursors[KEYS]; /* where its next XREAD goes on */
  uint32_t pending_count;     /* PUBLISHes, of uid and those behind it */
  struct client *next;
};

/* The part of a log that a process applied without a break: behind `from`, up to and with `to`. */
struct interval {
  uint32_t life;
  uint64_t from, to;
  uint64_t read_from; /* it had noticed that the log was made anew, and read all from this sequence on; 0: not
                         so */
};

struct intervals {
  struct interval *at;
  size_t count, cap;
  bool open;
};

/* A part of a log that is read back. */
struct read_back {
  bool active, stopped, begun;
  uint32_t partition, life;
  uint64_t token, to;
  size_t index;
};

/* What was read of keys and streams at a place: a reply, or all that a node's history holds. */
struct look {
  struct view view;
  char who[16];
  uint8_t proto;
  bool found_nothing; /* XREAD, when its time had come, or in what was read back for it */
  bool woken;         /* XREAD had waited, and was answered with something */
  bool dump;
  uint8_t *text, *reply;
  uint32_t text_len, reply_len;
  uint64_t counts[KEYS], hashes[KEYS];
};

struct looks {
  struct look *at;
  size_t count, cap;
};

struct reading {
  size_t index;       /* of the next message */
  uint64_t anew_from; /* the first sequence of this life, which it reads from its begin; 0: not so */
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
  uint64_t forged; /* a bit for each log where another may have taken a number of this process */
  struct sb_signing *signing;
  bool link_up;
  uint64_t link_back_step;
  uint64_t send_stall_step, read_stall_step;
  struct flight flights[PARTITIONS_MAX];
  struct reading readings[PARTITIONS_MAX];
  struct read_back read_backs[SB_TRANSPORT_READ_BACKS_MAX];
  struct view views[PARTITIONS_MAX]; /* before the last turn of its core */
  bool prefills[PARTITIONS_MAX];
  uint64_t pushes[PARTITIONS_MAX]; /* that its sessions read */
  struct history *histories;       /* of this process */
  struct intervals intervals[PARTITIONS_MAX];
  struct client *clients;
  bool was_ready;
  uint64_t ready_step;
  bool event, room;  /* since the last turn */
  uint64_t deadline; /* what the core said at its last turn */
  uint32_t
      idle_turns; /* in a row that the core asked for though nothing had happened and nothing came of it */
  bool refuses;
  bool stopping;
  uint64_t stop_until;
  uint64_t last_generation[PARTITIONS_MAX], last_sequence[PARTITIONS_MAX]; /* of what its sessions got */
  size_t max_body;
};

struct past { /* a process that is no more, kept for the check at the end */
  char name[16];
  uint32_t process;
  uint64_t forged; /* as the node's */
  struct history *histories;
  struct intervals intervals[PARTITIONS_MAX];
};

enum outcome {
  OUTCOME_NONE,
  OUTCOME_NUMBER,
  OUTCOME_REPLY, /* of a command */
  OUTCOME_GAP,
  OUTCOME_REFUSED,
  OUTCOME_ERROR
};

struct published {
  uint8_t channel;
  uint8_t outcome;
  uint8_t node;
  bool shard;
  bool op;        /* a command on keys; nobody is sent anything */
  uint16_t len;   /* of the payload */
  bool destroyed; /* its log was, while it was in flight */
  /* Its node did not see this part of its log while it was in flight. */
  bool unsure;
  uint32_t unsure_life, process;
  uint64_t unsure_after, unsure_until;
  uint64_t number; /* of receivers, as answered */
};

struct accepted {
  uint32_t uid;
  uint32_t life;
  uint64_t sequence;
  bool stale;        /* by a log that was founded by a GENESIS of the life before */
  uint64_t hello_at; /* of a GENESIS */
  bool keeps;        /* it says "keys" */
  uint32_t entry;
  uint64_t receivers;
  struct sb_id id;
};

struct truth {
  struct accepted *at, *geneses; /* of geneses the place only */
  size_t count, cap, geneses_count, geneses_cap;
};

struct state_at { /* what the first node that came to a position found */
  uint64_t hash, keys;
  bool known;
  char who[16];
};

/* A cause for nodes to differ (diverge.c). */
struct divergence {
  uint64_t due_step;
  bool made, found;
  uint64_t step, sequence;
  uint32_t node, partition;
  uint64_t found_before;
};

struct world {
  struct options options;
  struct divergence divergence;
  uint64_t seed, random, step;
  bool faults;
  bool hides_tail;   /* as Service Bus: who attaches is not shown what stood in the log */
  uint32_t stride;   /* of sequences */
  size_t small_body; /* what brokers take at times; entries travel in fragments */
  struct node nodes[NODES_MAX];
  struct sim_log logs[PARTITIONS_MAX];
  struct looks looks[PARTITIONS_MAX];
  struct sb_id ids[KEYS];                  /* of an entry that was added lately */
  struct state_at *states[PARTITIONS_MAX]; /* by index in the log */
  size_t states_cap[PARTITIONS_MAX];
  struct flight limbo;
  struct published *published;
  uint32_t published_count, published_cap;
  struct mark *marks;
  uint32_t marks_count, marks_cap;
  uint32_t processes;
  struct past *pasts;
  size_t pasts_count, pasts_cap;
  uint64_t clients_open, longest_settle, settle_steps;
  uint64_t longest_start, messages, deliveries;
  uint64_t held, refused, stops, clean_stops, redelivered, over_limit, packed, fatals, changes, questions,
      resets, lost_marks, sessions, writes, reads, timed_out, woken, dumps, prefilled, recovered, keys_lost,
      brought, restored, read_backs, ids_seen, ranges, range_errors, wholes, torn; /* how often it happened */
  uint64_t
      ids_fell; /* a bit for each log in which another program may have founded with a lower generation */
  uint64_t forged, refusals, skipped;
  uint64_t diverged, found_steps, longest_find;
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

/* forge.c */
void sim_garbage(struct world *world);
void sim_forge_hello(struct world *world);
void sim_forge_time(struct world *world);
void sim_forge(struct world *world);

/* signatures.c */
struct sb_signing;
void sim_signing_begin(struct node *node);
void sim_signing_end(struct node *node);
void sim_sign(struct node *node, uint32_t partition, const struct sb_body *body,
              struct sb_envelope *envelope);
/* The envelope as this node's transport gives it to its core. */
struct sb_envelope sim_judged_by(const struct node *node, uint32_t partition, const struct stored *message,
                                 struct sb_body *body);
bool sim_is_refused(const struct world *world, const struct stored *message); /* by every node */
uint64_t sim_refused_by(const struct node *node);                             /* so far */

/* siphash.c */
struct sb_name_id sim_siphash(const struct sb_name_key *key, struct sb_bytes text);

/* form.c */
bool sim_interest_kind(struct sb_bytes word, enum sb_sub_kind *kind);
bool sim_is_restore(const struct sb_bytes *args, uint32_t count);
/* "SIDEBUS PART index count bytes", and nothing else in the body. */
bool sim_read_part(struct sb_bytes body, uint64_t *index, uint64_t *parts, struct sb_bytes *bytes);
bool sim_well_formed(struct sb_bytes body, uint32_t count);

/* sum.c */
struct sb_claim sim_sum_begin(uint64_t sequence, const struct sb_envelope *genesis, uint64_t generation);
void sim_sum_add(struct sb_claim *chain, uint64_t sequence, const struct sb_envelope *message);

/* topics.c */
enum sb_sub_kind sim_topic_kind(uint32_t topic);
struct sb_bytes sim_topic_name(uint32_t topic);
bool sim_topic_find(enum sb_sub_kind kind, struct sb_bytes name, uint8_t *topic);
bool sim_topic_lives(const struct world *world, uint32_t topic, uint32_t partition);
/* The topics whose sessions get what is published to a channel, as bits. */
uint32_t sim_topics_of(uint8_t channel, bool shard);

/* sessions.c */
void sim_sessions_open(struct node *node);
void sim_sessions_close(struct node *node);
void sim_sessions_step(struct node *node);
void sim_sessions_room(struct node *node);
bool sim_sessions_settled(const struct node *node);
void sim_client_close(struct node *node, struct client *client);

/* key_sessions.c */
bool sim_keys_invent(struct node *node, struct client *client); /* false: it may not ask now */
enum sb_result sim_keys_offer(struct node *node, struct client *client);
struct request *sim_request_add(struct client *client, const struct request *request, uint32_t slot);

/* looks.c */
struct view sim_view(const struct node *node, uint32_t partition);
/* Up to where what a reply was made of was read back; 0: it was made of what the node holds. */
uint64_t sim_view_read_to(const struct view *view, const struct sb_session *session, struct sb_bytes reply);
void sim_views_take(struct node *node);
/* Nothing may have been there for this XREAD, as far as was read back; it goes on behind. */
void sim_look_passed(struct node *node, struct request *request);
void sim_look_add(struct node *node, const struct request *request);
void sim_look_dump(struct node *node, uint32_t partition);
void sim_looks_sort(struct looks *looks);
void sim_look_judge(struct world *world, uint32_t partition, const struct look *look,
                    const struct model *model);
void sim_looks_free(struct looks *looks);

/* stored.c */
int sim_read_back(void *owner, uint32_t partition, uint64_t from, uint64_t to, uint64_t token);
void sim_read_back_stop(void *owner, uint64_t token);
void sim_read_backs_step(struct node *node);
void sim_read_backs_end(struct node *node);

/* replies.c */
void sim_sessions_read(struct node *node);

/* history.c */
struct history *sim_history_new(struct node *node);
void sim_history_free(struct history *history);
struct request *sim_history_request(struct history *history, uint32_t slot);
void sim_event_add(struct events *events, const struct event *event);
/* Up to where this process has applied the log. */
struct place sim_applied(const struct node *node, uint32_t partition);
/* All its subscriptions end now: EVENT_ALL_LEFT, or EVENT_CLOSED, behind which nothing comes. */
void sim_history_ends(struct node *node, struct history *history, enum event_what what);
/* What sessions wait for in a batch that leaves. */
void sim_mark(struct node *node, uint32_t partition, const struct sb_body *body, struct stored *message);
/* The batch is above the broker's limit and will be refused. */
void sim_mark_refused(struct node *node, uint32_t partition, const struct sb_body *body);
/* What waited in limbo, before a delivery, and what of it is gone behind it. */
struct lost {
  struct mark *at;
  size_t count;
};
struct lost sim_lost(const struct sb_partition *part);
void sim_lost_resolve(struct node *node, uint32_t partition, struct lost *lost);

/* world.c */
void sim_append(struct world *world, uint32_t partition, struct stored *message);
void sim_flight_push(struct flight *flight, const struct flying *flying);
struct flying sim_flight_pop(struct flight *flight);
bool sim_fault(const struct world *world, char fault);
void sim_published_add(struct world *world, const struct published *entry);
uint32_t sim_partition(const struct world *world, uint8_t channel);
uint8_t sim_padding(uint32_t uid,
                    size_t at); /* what stands there in the payload of an entry that is longer */
bool sim_uid(const struct world *world, struct sb_bytes payload, uint32_t *uid);
void sim_receipts_add(struct receipts *receipts, uint32_t uid, struct sb_id id);

/* judge.c */
uint64_t sim_hash_state(const struct sb_state *state);
uint64_t sim_hash_keys(const struct sb_state *state);
void sim_judge(struct world *world, uint32_t partition, struct truth *truth,
               const struct past *const *by_process);

/* diverge.c */
enum sim_diverge {
  SIM_DIVERGE_NOT,
  SIM_DIVERGE_SKIP,  /* the message is not delivered */
  SIM_DIVERGE_TWICE, /* it is, and *out behind it, whose body and channel are those of the message */
};
enum sim_diverge sim_diverge(struct node *node, uint32_t partition, const struct stored *stored,
                             struct stored *out);
void sim_diverge_step(struct world *world);
void sim_check_sums(struct world *world); /* all nodes have accepted the same, when all is quiet */

/* check.c */
void sim_check_state(struct node *node, uint32_t partition);
bool sim_covered(const struct past *past, uint32_t partition, uint32_t life, uint64_t sequence);
void sim_check_counts(struct world *world); /* when all is quiet */
void sim_check_end(struct world *world);

#endif
