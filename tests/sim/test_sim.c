/* Runs the simulation over a range of seeds.
 *
 *   test_sim [first [count [option=value …]]]
 *
 *   nodes, partitions   how many; 5 and 64 at most. Without them the number comes from the seed
 *   steps=3000          with faults
 *   faults=LETTERS      of ALL_FAULTS in world.h; all of them otherwise
 *   latency=STEPS       that every message takes to the log
 *   twins=1             two nodes have one name
 *   forged=1            another program writes in the names of members (forge.c)
 *   signed=1            nodes sign what they send, and nothing comes of what is forged
 *   verbose=1           what nodes say
 *   tenth=1             a tenth of the seeds, unless SIDEBUS_TEST_LONG is set
 *
 * Prints every failing seed with the words to run it again; the exit status is 1 when there was one. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

static void read_number(const char *text, const char *name, uint32_t *out) {
  size_t len = strlen(name);
  if (strncmp(text, name, len) == 0) *out = (uint32_t)strtoul(text + len, NULL, 10);
}

static void options_of(uint64_t seed, int argc, char **argv, struct options *out) {
  *out = (struct options){.nodes = 1 + (uint32_t)(seed % 5),
                          .partitions = UINT32_C(1) << (seed / 4 % 3),
                          .steps = 3000,
                          .faults = ALL_FAULTS};
  for (int i = 3; i < argc; i++) {
    read_number(argv[i], "nodes=", &out->nodes);
    read_number(argv[i], "partitions=", &out->partitions);
    read_number(argv[i], "steps=", &out->steps);
    read_number(argv[i], "latency=", &out->latency);
    if (strcmp(argv[i], "diverge=1") == 0) out->diverge = true;
    if (strcmp(argv[i], "twins=1") == 0) out->twins = true;
    if (strcmp(argv[i], "signed=1") == 0) out->sign = out->forged = true;
    if (strcmp(argv[i], "forged=1") == 0) out->forged = true;
    if (strncmp(argv[i], "faults=", 7) == 0) out->faults = argv[i] + 7;
    if (strcmp(argv[i], "verbose=1") == 0) out->verbose = true;
  }
  if (out->nodes > NODES_MAX) out->nodes = NODES_MAX;
  if (out->partitions == 3) out->partitions = 4; /* with three, all channels live in one */
  if (out->partitions > PARTITIONS_MAX) out->partitions = PARTITIONS_MAX;
}

/* What the everyday run does of a long proof. */
static uint64_t tenth_of(uint64_t count, int argc, char **argv) {
  uint32_t tenth = 0;
  for (int i = 3; i < argc; i++) read_number(argv[i], "tenth=", &tenth);
  return tenth && !getenv("SIDEBUS_TEST_LONG") ? (count + 9) / 10 : count;
}

int main(int argc, char **argv) {
  uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1,
           count = argc > 2 ? tenth_of(strtoull(argv[2], NULL, 10), argc, argv) : 1000;
  uint64_t failures = 0, entries = 0, messages = 0, steps = 0, longest = 0;
  struct sb_core_stats totals = {0};
  uint64_t held = 0, refused = 0, stops = 0, clean = 0, redelivered = 0, over = 0, packed = 0, fatals = 0,
           settle = 0, settle_max = 0, changes = 0, questions = 0, resets = 0, lost = 0, sessions = 0;
  uint64_t writes = 0, reads = 0, timed_out = 0, woken = 0, dumps = 0, prefilled = 0, recovered = 0,
           ranges = 0, range_errors = 0, keys_lost = 0, read_backs = 0, ids_seen = 0, brought = 0,
           restored = 0, wholes = 0, torn = 0, forged = 0, skipped = 0, refusals = 0, diverged = 0, find = 0,
           find_max = 0;
  static struct world world;
  for (uint64_t seed = first; seed < first + count; seed++) {
    struct options options;
    options_of(seed, argc, argv, &options);
    if (!sim_run(&world, seed, &options)) {
      failures++;
      printf("seed %llu failed at step %llu: %s\n  again: test_sim %llu 1", (unsigned long long)seed,
             (unsigned long long)world.step, world.failure, (unsigned long long)seed);
      for (int i = 3; i < argc; i++) printf(" %s", argv[i]);
      printf(" verbose=1\n");
    }
    entries += world.published_count;
    messages += world.messages;
    steps += world.step;
    if (world.longest_start > longest) longest = world.longest_start;
    held += world.held;
    settle += world.settle_steps;
    if (world.longest_settle > settle_max) settle_max = world.longest_settle;
    refused += world.refused;
    stops += world.stops;
    clean += world.clean_stops;
    redelivered += world.redelivered;
    over += world.over_limit;
    packed += world.packed;
    fatals += world.fatals;
    changes += world.changes;
    questions += world.questions;
    resets += world.resets;
    lost += world.lost_marks;
    sessions += world.sessions;
    writes += world.writes;
    reads += world.reads;
    timed_out += world.timed_out;
    woken += world.woken;
    dumps += world.dumps;
    prefilled += world.prefilled;
    ranges += world.ranges;
    range_errors += world.range_errors;
    recovered += world.recovered;
    brought += world.brought;
    restored += world.restored;
    keys_lost += world.keys_lost;
    read_backs += world.read_backs;
    ids_seen += world.ids_seen;
    wholes += world.wholes;
    torn += world.torn;
    forged += world.forged;
    skipped += world.skipped;
    refusals += world.refusals;
    totals.checkpoints_sent += world.totals.checkpoints_sent;
    totals.batches_resent += world.totals.batches_resent;
    totals.batches_hole += world.totals.batches_hole;
    totals.batches_duplicate += world.totals.batches_duplicate;
    totals.batches_stranger += world.totals.batches_stranger;
    totals.batches_malformed += world.totals.batches_malformed;
    totals.rejoins += world.totals.rejoins;
    totals.gaps += world.totals.gaps;
    totals.losses_shown += world.totals.losses_shown;
    totals.divergences += world.totals.divergences;
    totals.divergence_rejoins += world.totals.divergence_rejoins;
    diverged += world.diverged;
    find += world.found_steps;
    if (world.longest_find > find_max) find_max = world.longest_find;
    totals.snapshots_sent += world.totals.snapshots_sent;
    totals.members_declared_dead += world.totals.members_declared_dead;
    sim_free(&world);
    fflush(stdout);
  }
  printf("%llu seeds, %llu failed; %llu steps, %llu entries, %llu messages; longest start %llu steps\n",
         (unsigned long long)count, (unsigned long long)failures, (unsigned long long)steps,
         (unsigned long long)entries, (unsigned long long)messages, (unsigned long long)longest);
  printf("resent %llu, holes %llu, duplicates %llu, strangers %llu, malformed %llu, rejoins %llu, gaps %llu, "
         "losses shown %llu, snapshots "
         "%llu, declared dead %llu\n",
         (unsigned long long)totals.batches_resent, (unsigned long long)totals.batches_hole,
         (unsigned long long)totals.batches_duplicate, (unsigned long long)totals.batches_stranger,
         (unsigned long long)totals.batches_malformed, (unsigned long long)totals.rejoins,
         (unsigned long long)totals.gaps, (unsigned long long)totals.losses_shown,
         (unsigned long long)totals.snapshots_sent, (unsigned long long)totals.members_declared_dead);
  printf("told to wait %llu, refused %llu, stops %llu (clean %llu), redelivered %llu, over their limit %llu, "
         "packed %llu, "
         "gave up %llu\n",
         (unsigned long long)held, (unsigned long long)refused, (unsigned long long)stops,
         (unsigned long long)clean, (unsigned long long)redelivered, (unsigned long long)over,
         (unsigned long long)packed, (unsigned long long)fatals);
  printf("sessions %llu, (un)subscribed %llu, questions %llu, resets %llu, confirmed behind a gap %llu\n",
         (unsigned long long)sessions, (unsigned long long)changes, (unsigned long long)questions,
         (unsigned long long)resets, (unsigned long long)lost);
  printf(
      "writes %llu, reads %llu, XREADs woken %llu, timed out %llu, ids seen %llu, histories compared %llu\n",
      (unsigned long long)writes, (unsigned long long)reads, (unsigned long long)woken,
      (unsigned long long)timed_out, (unsigned long long)ids_seen, (unsigned long long)dumps);
  printf(
      "read back %llu times, histories filled %llu, checkpoints %llu, foundings with keys %llu, with brought "
      "ones %llu, restored behind one %llu, keys lost %llu\n",
      (unsigned long long)read_backs, (unsigned long long)prefilled,
      (unsigned long long)totals.checkpoints_sent, (unsigned long long)recovered, (unsigned long long)brought,
      (unsigned long long)restored, (unsigned long long)keys_lost);
  printf("answered from what was read back %llu, not answered %llu\n", (unsigned long long)ranges,
         (unsigned long long)range_errors);
  printf("entries put together %llu, torn %llu\n", (unsigned long long)wholes, (unsigned long long)torn);
  printf("forged %llu, without a right signature %llu, refused by nodes %llu times\n",
         (unsigned long long)forged, (unsigned long long)skipped, (unsigned long long)refusals);
  printf("made to differ %llu, found %llu, rejoined for it %llu; found after %llu steps, %llu at most\n",
         (unsigned long long)diverged, (unsigned long long)totals.divergences,
         (unsigned long long)totals.divergence_rejoins, (unsigned long long)(diverged ? find / diverged : 0),
         (unsigned long long)find_max);
  printf("settling took %llu steps a seed, %llu at most\n", (unsigned long long)(settle / count),
         (unsigned long long)settle_max);
  return failures > 0;
}
