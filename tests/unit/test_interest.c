/* Subscriptions of this node: asked for in the order of requests, active in the order of the log, and gone
 * when they are neither and nothing is under way. Both lists of every subscription agree, nothing is left
 * when the last one ends, and one costs what was promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>

#include "bridge/core/sessions/interest.h"
#include "bridge/core/state/counts.h"
#include "tests/unit/seed.h"

#define PARTITIONS 70 /* so that the bits of a pattern take more than one word */
#define SUB_BYTES  250
#define NAME_BYTES 50

static struct sb_interest new_interest(void) {
  struct sb_interest interest;
  sb_interest_init(&interest, PARTITIONS);
  return interest;
}

static struct sb_sub *ask(struct sb_interest *interest, struct sb_subs *session, enum sb_sub_kind kind,
                          struct sb_bytes name) {
  return sb_interest_ask(interest, session, kind, name, 0);
}

/* It is over at once, as if nothing had to be told to a log. */
static void end(struct sb_interest *interest, struct sb_subs *session, enum sb_sub_kind kind,
                struct sb_bytes name) {
  struct sb_sub *sub = sb_interest_sub(interest, session, kind, name);
  assert_non_null(sub);
  sb_interest_take_back(interest, sub);
  sb_interest_tidy(interest, sub);
}

static void assert_empty(const struct sb_interest *interest) {
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) {
    assert_int_equal(interest->topics[kind].count, 0);
    assert_int_equal(interest->sub_count[kind], 0);
    assert_int_equal(interest->topic_count[kind], 0);
  }
}

/* ---- asking ---- */

static void a_session_subscribes_to_a_name_once(void **state) {
  (void)state;
  struct sb_interest interest = new_interest();
  struct sb_subs session = {0};
  struct sb_sub *sub = ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news"));
  assert_non_null(sub);
  assert_null(ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news")));
  assert_int_equal(sub->topic->asked, 1);
  assert_int_equal(session.count[SB_SUB_CHANNEL], 1);
  assert_int_equal(interest.topic_count[SB_SUB_CHANNEL], 1);
  end(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news"));
  assert_null(sb_interest_sub(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news")));
  assert_null(session.first[SB_SUB_CHANNEL]);
  assert_empty(&interest);
  sb_interest_close(&interest);
}

static void channels_patterns_and_shard_channels_are_apart(void **state) {
  (void)state;
  struct sb_interest interest = new_interest();
  struct sb_subs session = {0};
  assert_non_null(ask(&interest, &session, SB_SUB_PATTERN, sb_bytes_of("news")));
  assert_null(sb_interest_find(&interest, SB_SUB_CHANNEL, sb_bytes_of("news")));
  assert_null(sb_interest_find(&interest, SB_SUB_SHARD, sb_bytes_of("news")));
  assert_null(sb_interest_sub(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news")));
  assert_non_null(ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news")));
  assert_non_null(ask(&interest, &session, SB_SUB_SHARD, sb_bytes_of("news")));
  end(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news"));
  assert_int_equal(interest.sub_count[SB_SUB_PATTERN], 1);
  assert_int_equal(interest.sub_count[SB_SUB_SHARD], 1);
  assert_int_equal(interest.sub_count[SB_SUB_CHANNEL], 0);
  sb_interest_close(&interest);
}

static void another_session_does_not_end_it(void **state) {
  (void)state;
  struct sb_interest interest = new_interest();
  struct sb_subs a = {0}, b = {0};
  ask(&interest, &a, SB_SUB_CHANNEL, sb_bytes_of("news"));
  assert_null(sb_interest_sub(&interest, &b, SB_SUB_CHANNEL, sb_bytes_of("news")));
  struct sb_sub *second = ask(&interest, &b, SB_SUB_CHANNEL, sb_bytes_of("news"));
  assert_int_equal(second->topic->asked, 2);
  assert_int_equal(interest.topic_count[SB_SUB_CHANNEL], 1);
  end(&interest, &b, SB_SUB_CHANNEL, sb_bytes_of("news"));
  assert_non_null(sb_interest_sub(&interest, &a, SB_SUB_CHANNEL, sb_bytes_of("news")));
  end(&interest, &a, SB_SUB_CHANNEL, sb_bytes_of("news"));
  assert_empty(&interest);
  sb_interest_close(&interest);
}

static void names_are_bytes_of_any_value_and_may_be_empty(void **state) {
  (void)state;
  struct sb_interest interest = new_interest();
  struct sb_subs session = {0};
  assert_non_null(ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes("a\0b", 3)));
  assert_non_null(ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes("a\0c", 3)));
  assert_non_null(ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes(NULL, 0)));
  assert_null(ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes("", 0)));
  assert_non_null(sb_interest_find(&interest, SB_SUB_CHANNEL, sb_bytes("", 0)));
  assert_null(sb_interest_find(&interest, SB_SUB_CHANNEL, sb_bytes("a", 1)));
  sb_interest_close(&interest);
}

/* ---- the two lives ---- */

static void what_is_active_or_under_way_stays(void **state) {
  (void)state;
  struct sb_interest interest = new_interest();
  struct sb_subs session = {0};
  struct sb_sub *sub = ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news"));
  sub->pending = 1;
  sb_interest_take_back(&interest, sub); /* before the first echo */
  sub->pending = 2;
  assert_int_equal(interest.topic_count[SB_SUB_CHANNEL], 0);
  assert_int_equal(session.count[SB_SUB_CHANNEL], 0);
  sub->pending = 1;
  sb_sub_set_active(sub, 0, true);
  sb_interest_tidy(&interest, sub);
  assert_int_equal(sb_topic_active(sub->topic, 0), 1);
  sub->pending = 0;
  sb_interest_tidy(&interest, sub); /* it is active still */
  assert_ptr_equal(sb_interest_sub(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news")), sub);
  assert_ptr_equal(ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("news")), sub); /* the same, again */
  sb_interest_take_back(&interest, sub);
  sb_sub_set_active(sub, 0, false);
  sb_interest_tidy(&interest, sub);
  assert_empty(&interest);
  sb_interest_close(&interest);
}

static void a_pattern_is_active_in_each_log_by_itself(void **state) {
  (void)state;
  struct sb_interest interest = new_interest();
  struct sb_subs session = {0};
  struct sb_sub *sub = ask(&interest, &session, SB_SUB_PATTERN, sb_bytes_of("n*"));
  static const uint32_t logs[] = {0, 1, 63, 64, PARTITIONS - 1};
  for (size_t i = 0; i < 5; i++) {
    sb_sub_set_active(sub, logs[i], true);
    for (size_t k = 0; k < 5; k++) {
      assert_int_equal(sb_sub_active(sub, logs[k]), k == i);
      assert_int_equal(sb_topic_active(sub->topic, logs[k]), k == i);
    }
    assert_int_equal(sb_sub_active(sub, 2), 0);
    if (i == 0) sb_interest_take_back(&interest, sub);
    sb_interest_tidy(&interest, sub); /* active in one log is enough to stay */
    assert_int_equal(interest.topics[SB_SUB_PATTERN].count, 1);
    if (i < 4) sub->pending = 1;
    sb_sub_set_active(sub, logs[i], false);
    sb_interest_tidy(&interest, sub);
    if (i < 4) sub->pending = 0;
  }
  assert_empty(&interest);
  sb_interest_close(&interest);
}

static void what_a_closed_session_leaves_belongs_to_nobody(void **state) {
  (void)state;
  struct sb_interest interest = new_interest();
  struct sb_subs session = {0};
  struct sb_sub *subs[3];
  static const char *const names[] = {"a", "b", "c"};
  for (int i = 0; i < 3; i++) {
    subs[i] = ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of(names[i]));
    subs[i]->pending = 1;
  }
  static const int order[] = {1, 2, 0}; /* the middle, the first and the last of the session's list */
  for (int i = 0; i < 3; i++) {
    sb_interest_take_back(&interest, subs[order[i]]);
    sb_interest_detach(subs[order[i]]);
    assert_null(subs[order[i]]->owner);
    uint32_t left = 0;
    for (const struct sb_sub *sub = session.first[SB_SUB_CHANNEL]; sub; sub = sub->owner_next, left++)
      assert_ptr_equal(sub->owner, &session);
    assert_int_equal(left, 2 - i);
  }
  struct sb_sub *again = ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes_of("a"));
  assert_ptr_not_equal(again, subs[0]); /* by who has the same place now */
  assert_int_equal(again->topic->sub_count, 2);
  assert_int_equal(again->topic->asked, 1);
  for (int i = 0; i < 3; i++) {
    subs[i]->pending = 0;
    sb_interest_tidy(&interest, subs[i]);
  }
  assert_int_equal(interest.topics[SB_SUB_CHANNEL].count, 1);
  assert_int_equal(again->topic->sub_count, 1);
  sb_interest_close(&interest);
}

/* ---- memory ---- */

static void an_own_subscription_with_a_name_of_50_bytes_costs_at_most_250(void **state) {
  (void)state;
  enum { COUNT = 100000 };
  struct sb_interest interest = new_interest();
  struct sb_subs session = {0};
  struct sb_counts counts = {0}; /* of the log: this node's own row there */
  char name[NAME_BYTES + 1];
  size_t bytes = 0;
  for (int i = 0; i < COUNT; i++) {
    int len = snprintf(name, sizeof name, "%050d", i);
    struct sb_sub *sub = ask(&interest, &session, SB_SUB_CHANNEL, sb_bytes(name, (size_t)len));
    assert_true(sb_counts_set(&counts, SB_SUB_CHANNEL, sb_bytes(name, (size_t)len), 1, 1));
    bytes += malloc_usable_size(sub) + malloc_usable_size(sub->topic) + 2 * sizeof(size_t); /* malloc's own */
  }
  bytes += interest.topics[SB_SUB_CHANNEL].cap * sizeof *interest.topics[SB_SUB_CHANNEL].slots;
  bytes += counts.cap * sizeof *counts.slots;
  print_message("%zu bytes for each of %d own subscriptions\n", bytes / COUNT, COUNT);
  assert_int_equal(interest.sub_count[SB_SUB_CHANNEL], COUNT);
  assert_in_range(bytes / COUNT, NAME_BYTES, SUB_BYTES);
  sb_counts_close(&counts);
  sb_interest_close(&interest);
}

/* ---- random use against a plain list ---- */

#define SESSIONS 5
#define NAMES    8
#define LOGS     3 /* of PARTITIONS: the first, and both sides of a word's end */
#define MIRRORS  4096
#define QUEUE    128

static const uint32_t log_at[LOGS] = {0, 63, 64};

struct mirror {
  struct sb_sub *sub; /* NULL: over */
  int session;        /* -1: closed */
  enum sb_sub_kind kind;
  uint32_t name, pending;
  bool asked, active[LOGS];
};

struct entry {
  struct mirror *mirror;
  bool joined;
};

struct world {
  struct sb_interest interest;
  struct sb_subs sessions[SESSIONS];
  struct mirror mirrors[MIRRORS];
  uint32_t mirror_count;
  struct entry queue[LOGS][QUEUE]; /* what is under way, oldest first */
  uint32_t queued[LOGS];
};

static struct sb_bytes name_of(uint32_t index) {
  static char names[NAMES][8];
  int len = snprintf(names[index], sizeof names[index], "c%u", index);
  return sb_bytes(names[index], (size_t)len);
}

static bool lives_in(const struct mirror *mirror, uint32_t log) {
  return mirror->kind == SB_SUB_PATTERN || log == mirror->name % LOGS;
}

static struct mirror *mirror_of(struct world *world, int session, enum sb_sub_kind kind, uint32_t name) {
  for (uint32_t i = 0; i < world->mirror_count; i++) {
    struct mirror *mirror = &world->mirrors[i];
    if (mirror->sub && mirror->session == session && mirror->kind == kind && mirror->name == name)
      return mirror;
  }
  return NULL;
}

/* For whatever one step may send: a session leaves everything. */
static bool has_room(const struct world *world) {
  for (uint32_t log = 0; log < LOGS; log++)
    if (world->queued[log] + NAMES * SB_SUB_KINDS > QUEUE) return false;
  return world->mirror_count < MIRRORS;
}

static uint32_t all_queued(const struct world *world) {
  return world->queued[0] + world->queued[1] + world->queued[2];
}

static void under_way(struct world *world, struct mirror *mirror, bool joined) {
  for (uint32_t log = 0; log < LOGS; log++)
    if (lives_in(mirror, log)) {
      assert_true(world->queued[log] < QUEUE);
      world->queue[log][world->queued[log]++] = (struct entry){mirror, joined};
      mirror->pending++;
      mirror->sub->pending++;
    }
}

static void echo(struct world *world, uint32_t log) {
  if (world->queued[log] == 0) return;
  struct entry first = world->queue[log][0];
  memmove(world->queue[log], world->queue[log] + 1, --world->queued[log] * sizeof first);
  struct mirror *mirror = first.mirror;
  mirror->pending--;
  mirror->active[log] = first.joined;
  mirror->sub->pending--;
  sb_sub_set_active(mirror->sub, log_at[log], first.joined);
  sb_interest_tidy(&world->interest, mirror->sub);
  bool stays = mirror->asked || mirror->pending > 0;
  for (uint32_t i = 0; i < LOGS; i++) stays |= mirror->active[i];
  if (!stays) mirror->sub = NULL;
}

static void subscribe(struct world *world, int session, enum sb_sub_kind kind, uint32_t name) {
  struct mirror *mirror = mirror_of(world, session, kind, name);
  struct sb_sub *sub =
      sb_interest_ask(&world->interest, &world->sessions[session], kind, name_of(name), log_at[name % LOGS]);
  assert_int_equal(sub != NULL, !mirror || !mirror->asked);
  if (!sub) return;
  if (!mirror) {
    mirror = &world->mirrors[world->mirror_count++];
    *mirror = (struct mirror){.sub = sub, .session = session, .kind = kind, .name = name};
  }
  assert_ptr_equal(mirror->sub, sub);
  mirror->asked = true;
  under_way(world, mirror, true);
}

static void unsubscribe(struct world *world, int session, enum sb_sub_kind kind, uint32_t name) {
  struct mirror *mirror = mirror_of(world, session, kind, name);
  struct sb_sub *sub = sb_interest_sub(&world->interest, &world->sessions[session], kind, name_of(name));
  assert_ptr_equal(sub, mirror ? mirror->sub : NULL);
  if (!mirror || !mirror->asked) return;
  sb_interest_take_back(&world->interest, sub);
  mirror->asked = false;
  under_way(world, mirror, false);
}

static void leave(struct world *world, int session) {
  for (uint32_t i = 0; i < world->mirror_count; i++) {
    struct mirror *mirror = &world->mirrors[i];
    if (!mirror->sub || mirror->session != session) continue;
    bool asked = mirror->asked;
    if (asked) sb_interest_take_back(&world->interest, mirror->sub);
    sb_interest_detach(mirror->sub);
    mirror->session = -1;
    mirror->asked = false;
    if (asked) under_way(world, mirror, false);
  }
}

static void assert_topic(const struct world *world, enum sb_sub_kind kind, uint32_t name) {
  const struct sb_topic *topic = sb_interest_find(&world->interest, kind, name_of(name));
  uint32_t objects = 0, asked = 0, active[LOGS] = {0}, walked = 0;
  for (uint32_t i = 0; i < world->mirror_count; i++) {
    const struct mirror *mirror = &world->mirrors[i];
    if (!mirror->sub || mirror->kind != kind || mirror->name != name) continue;
    objects++;
    asked += mirror->asked ? 1 : 0;
    assert_int_equal(mirror->sub->asked, mirror->asked);
    assert_int_equal(mirror->sub->pending, mirror->pending);
    assert_ptr_equal(mirror->sub->topic, topic);
    for (uint32_t log = 0; log < LOGS; log++) active[log] += mirror->active[log] ? 1 : 0;
  }
  assert_int_equal(topic != NULL, objects > 0);
  if (!topic) return;
  assert_int_equal(topic->sub_count, objects);
  assert_int_equal(topic->asked, asked);
  assert_int_equal(topic->partition, log_at[name % LOGS]);
  for (const struct sb_sub *sub = topic->subs; sub; sub = sub->topic_next, walked++)
    if (sub->topic_next) assert_ptr_equal(sub->topic_next->topic_prev, sub);
  assert_int_equal(walked, objects);
  for (uint32_t log = 0; log < LOGS; log++)
    if (kind == SB_SUB_PATTERN || log == name % LOGS)
      assert_int_equal(sb_topic_active(topic, log_at[log]), active[log]);
}

static void assert_as(struct world *world) {
  for (int kind = 0; kind < SB_SUB_KINDS; kind++) {
    uint64_t asked = 0, topics = 0, per_session[SESSIONS] = {0}, objects[SESSIONS] = {0};
    bool any[NAMES] = {0};
    for (uint32_t n = 0; n < NAMES; n++) assert_topic(world, (enum sb_sub_kind)kind, n);
    for (uint32_t i = 0; i < world->mirror_count; i++) {
      const struct mirror *mirror = &world->mirrors[i];
      if (!mirror->sub || (int)mirror->kind != kind) continue;
      if (mirror->session >= 0) objects[mirror->session]++;
      if (!mirror->asked) continue;
      asked++;
      any[mirror->name] = true;
      per_session[mirror->session]++;
    }
    for (uint32_t n = 0; n < NAMES; n++) topics += any[n];
    assert_int_equal(world->interest.sub_count[kind], asked);
    assert_int_equal(world->interest.topic_count[kind], topics);
    for (int s = 0; s < SESSIONS; s++) {
      const struct sb_subs *session = &world->sessions[s];
      uint64_t walked = 0;
      for (const struct sb_sub *sub = session->first[kind]; sub; sub = sub->owner_next, walked++)
        assert_ptr_equal(sub->owner, session);
      assert_int_equal(walked, objects[s]);
      assert_int_equal(session->count[kind], per_session[s]);
    }
  }
}

/* What is over makes room; nothing is under way. */
static void compact(struct world *world) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < world->mirror_count; i++)
    if (world->mirrors[i].sub) world->mirrors[kept++] = world->mirrors[i];
  world->mirror_count = kept;
}

static void random_use_gives_what_a_list_would(void **state) {
  (void)state;
  struct world *world = sb_calloc(1, sizeof *world);
  world->interest = new_interest();
  for (int round = 0; round < 20000; round++) {
    int session = (int)below(SESSIONS);
    enum sb_sub_kind kind = (enum sb_sub_kind)below(SB_SUB_KINDS);
    uint32_t dice = below(100), name = below(NAMES);
    if (!has_room(world) || dice < 45)
      echo(world, below(LOGS));
    else if (dice < 75)
      subscribe(world, session, kind, name);
    else if (dice < 98)
      unsubscribe(world, session, kind, name);
    else
      leave(world, session);
    if (round % 300 == 0) {
      while (all_queued(world) > 0) echo(world, below(LOGS));
      compact(world);
    }
    if (round % 10 == 0) assert_as(world);
  }
  for (int s = 0; s < SESSIONS; s++) {
    while (!has_room(world)) echo(world, below(LOGS));
    leave(world, s);
    assert_as(world);
  }
  while (all_queued(world) > 0) echo(world, below(LOGS));
  assert_empty(&world->interest);
  sb_interest_close(&world->interest);
  free(world);
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_session_subscribes_to_a_name_once),
      cmocka_unit_test(channels_patterns_and_shard_channels_are_apart),
      cmocka_unit_test(another_session_does_not_end_it),
      cmocka_unit_test(names_are_bytes_of_any_value_and_may_be_empty),
      cmocka_unit_test(what_is_active_or_under_way_stays),
      cmocka_unit_test(a_pattern_is_active_in_each_log_by_itself),
      cmocka_unit_test(what_a_closed_session_leaves_belongs_to_nobody),
      cmocka_unit_test(an_own_subscription_with_a_name_of_50_bytes_costs_at_most_250),
      cmocka_unit_test(random_use_gives_what_a_list_would),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
