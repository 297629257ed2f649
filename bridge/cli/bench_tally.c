#include "bridge/cli/bench_tally.h"

#include <stdlib.h>

#include "bridge/cli/bench_payload.h"

static unsigned bucket_of(uint64_t ns) {
  if (ns >= UINT64_C(1) << 41) return SB_BENCH_BUCKETS - 1;
  if (ns < 1 << SB_BENCH_BUCKET_BITS) return (unsigned)ns;
  unsigned octave = 63 - (unsigned)__builtin_clzll(ns) - SB_BENCH_BUCKET_BITS;
  return ((octave + 1) << SB_BENCH_BUCKET_BITS) + (unsigned)(ns >> octave) - (1 << SB_BENCH_BUCKET_BITS);
}

static uint64_t bucket_top(unsigned bucket) {
  if (bucket < 1 << SB_BENCH_BUCKET_BITS) return bucket;
  unsigned octave = (bucket >> SB_BENCH_BUCKET_BITS) - 1;
  uint64_t mantissa = (bucket & ((1 << SB_BENCH_BUCKET_BITS) - 1)) + (1 << SB_BENCH_BUCKET_BITS);
  return ((mantissa + 1) << octave) - 1;
}

void sb_bench_latencies_add(struct sb_bench_latencies *all, uint64_t ns) {
  all->count++;
  all->buckets[bucket_of(ns)]++;
  if (ns > all->max_ns) all->max_ns = ns;
}

void sb_bench_latencies_merge(struct sb_bench_latencies *all, const struct sb_bench_latencies *more) {
  all->count += more->count;
  if (more->max_ns > all->max_ns) all->max_ns = more->max_ns;
  for (unsigned i = 0; i < SB_BENCH_BUCKETS; i++) all->buckets[i] += more->buckets[i];
}

uint64_t sb_bench_latencies_at(const struct sb_bench_latencies *all, double share) {
  uint64_t below = 0, wanted = (uint64_t)((double)all->count * share);
  if (wanted >= all->count) return all->max_ns;
  for (unsigned i = 0; i < SB_BENCH_BUCKETS; i++) {
    below += all->buckets[i];
    if (below > wanted) {
      uint64_t top = bucket_top(i);
      return top < all->max_ns ? top : all->max_ns;
    }
  }
  return all->max_ns;
}

void sb_bench_tracker_init(struct sb_bench_tracker *tracker, const struct sb_bench_plan *plan,
                           struct sb_bench_tally *tally) {
  *tracker = (struct sb_bench_tracker){.plan = plan, .tally = tally, .open_channels = plan->channels};
  if (plan->verify) tracker->block = sb_bench_block_new(plan->compressible);
  tracker->next = sb_calloc((size_t)plan->publishers * plan->channels, sizeof *tracker->next);
  tracker->seen = sb_calloc(plan->publishers, sizeof *tracker->seen);
  tracker->ended = sb_calloc(plan->channels, sizeof *tracker->ended);
}

void sb_bench_tracker_close(struct sb_bench_tracker *tracker) {
  for (unsigned i = 0; tracker->seen && i < tracker->plan->publishers; i++) sb_buf_close(&tracker->seen[i]);
  free(tracker->block);
  free(tracker->next);
  free(tracker->seen);
  free(tracker->ended);
  *tracker = (struct sb_bench_tracker){0};
}

/* Sets the bit; false when it was set. `number` is below SB_BENCH_MESSAGES_MAX. */
static bool mark_seen(struct sb_buf *seen, uint64_t number) {
  size_t byte = (size_t)(number / 8);
  uint8_t bit = (uint8_t)(1u << number % 8);
  if (byte >= seen->len) {
    size_t more = byte + 1 - seen->len + 4096;
    sb_buf_reserve(seen, more);
    memset(seen->data + seen->len, 0, more);
    seen->len += more;
  }
  if (seen->data[byte] & bit) return false;
  seen->data[byte] |= bit;
  return true;
}

static void take_end(struct sb_bench_tracker *tracker, const struct sb_bench_stamp *stamp) {
  if (stamp->number >= tracker->plan->channels || tracker->ended[stamp->number]) return;
  tracker->ended[stamp->number] = true;
  tracker->open_channels--;
}

static void take_data(struct sb_bench_tracker *tracker, const struct sb_bench_stamp *stamp, unsigned channel,
                      uint64_t now_ns) {
  struct sb_bench_tally *tally = tracker->tally;
  uint64_t *next = &tracker->next[(size_t)stamp->publisher * tracker->plan->channels + channel];
  uint64_t *order = &tally->order[channel];
  *order = ((*order << 5 | *order >> 59) ^ ((uint64_t)stamp->publisher << 48 ^ stamp->number)) *
           UINT64_C(0x9e3779b97f4a7c15);
  if (!mark_seen(&tracker->seen[stamp->publisher], stamp->number)) {
    tally->doubled++;
    return;
  }
  if (stamp->number < *next) {
    tally->reordered++;
  } else {
    *next = stamp->number + 1;
  }
  tally->received++;
  tally->last_ns = now_ns;
  sb_bench_latencies_add(&tally->latencies, now_ns > stamp->sent_ns ? now_ns - stamp->sent_ns : 0);
}

void sb_bench_tracker_take(struct sb_bench_tracker *tracker, struct sb_bytes channel, struct sb_bytes payload,
                           uint64_t now_ns) {
  const struct sb_bench_plan *plan = tracker->plan;
  struct sb_bench_stamp stamp;
  if (!sb_bench_payload_read(payload, &stamp) || stamp.run != plan->run) {
    tracker->tally->foreign++;
    return;
  }
  if (stamp.kind == SB_BENCH_END) {
    take_end(tracker, &stamp);
    return;
  }
  unsigned index = (unsigned)(stamp.number % plan->channels);
  if (stamp.publisher >= plan->publishers || stamp.number >= plan->messages ||
      payload.len != plan->payload_bytes || !sb_bytes_equal(channel, sb_buf_bytes(&plan->names[index])) ||
      (tracker->block && !sb_bench_payload_intact(payload, &stamp, tracker->block))) {
    tracker->tally->damaged++;
    return;
  }
  take_data(tracker, &stamp, index, now_ns);
}

uint64_t sb_bench_listen_ns(struct sb_bench_tracker *tracker, uint64_t sent, uint64_t now_ns) {
  if (tracker->open_channels > 0) return (uint64_t)(tracker->plan->patience * 1e9);
  if (tracker->ended_ns == 0) tracker->ended_ns = now_ns;
  uint64_t until = tracker->ended_ns + SB_BENCH_LATE_MS * UINT64_C(1000000);
  if (tracker->tally->received >= sent) {
    if (tracker->complete_ns == 0) tracker->complete_ns = now_ns;
    until = tracker->complete_ns + SB_BENCH_LINGER_MS * UINT64_C(1000000);
  }
  return until > now_ns ? until - now_ns : 0;
}
