#include "bridge/core/log/joining.h"

#include "bridge/base/assert.h"
#include "bridge/base/envelope.h"
#include "bridge/core/log/kept.h"
#include "bridge/core/wire/control.h"
#include "bridge/core/wire/id.h"

#define TRIES_MAX 6 /* doublings */

static void check(const struct sb_joining *joining) {
  SB_ASSERT((joining->first == SB_FIRST_NEVER) == sb_id_is_none(joining->since));
  SB_ASSERT(joining->tries <= TRIES_MAX);
  (void)joining;
}

void sb_joining_init(struct sb_joining *joining) {
  sb_kept_init(&joining->kept);
  joining->read_from = UINT64_MAX;
  check(joining);
}

void sb_joining_close(struct sb_joining *joining) {
  sb_kept_drop(&joining->kept);
  sb_assembler_clear(&joining->assembler);
}

/* ---- HELLO ---- */

void sb_joining_anew(struct sb_joining *joining) {
  joining->keys_sent = false;
  joining->before = SB_BEFORE_SOMEBODY;
  sb_kept_drop(&joining->kept);
  sb_assembler_clear(&joining->assembler);
}

void sb_joining_hello_sent(struct sb_joining *joining, uint64_t now_ms) {
  joining->hello_ms = now_ms;
}

void sb_joining_hello_seen(struct sb_joining *joining, const struct sb_hello_echo *echo) {
  SB_ASSERT(joining->read_from <= echo->at && (echo->nobody || !echo->nothing));
  joining->hello_at = echo->at;
  joining->hello_seen_ms = echo->now_ms;
  joining->before = echo->nothing ? SB_BEFORE_NOTHING : echo->nobody ? SB_BEFORE_NOBODY : SB_BEFORE_SOMEBODY;
  joining->behind_equal = echo->behind_equal;
}

void sb_joining_not_alone(struct sb_joining *joining) {
  joining->before = SB_BEFORE_SOMEBODY;
}

void sb_joining_tried(struct sb_joining *joining) {
  if (joining->tries < TRIES_MAX) joining->tries++;
}

void sb_joining_tries_over(struct sb_joining *joining) {
  joining->tries = 0;
}

void sb_joining_progress(struct sb_joining *joining, uint64_t now_ms) {
  joining->hello_ms = now_ms;
}

void sb_joining_wait_anew(struct sb_joining *joining, uint64_t now_ms) {
  joining->hello_seen_ms = now_ms;
  joining->tries = 0;
}

static void put_off(uint64_t *at_ms, uint64_t now_ms, uint64_t ms) {
  if (*at_ms < now_ms) *at_ms = now_ms - *at_ms > ms ? *at_ms + ms : now_ms;
}

void sb_joining_put_off(struct sb_joining *joining, uint64_t now_ms, uint64_t ms) {
  put_off(&joining->hello_ms, now_ms, ms);
  put_off(&joining->hello_seen_ms, now_ms, ms);
  put_off(&joining->genesis_sent_ms, now_ms, ms);
}

/* ---- other processes of our name ---- */

void sb_joining_met(struct sb_joining *joining, struct sb_incarnation other) {
  joining->met = other;
}

void sb_joining_taken(struct sb_joining *joining, uint64_t start_ms) {
  joining->taken_ms = start_ms;
}

/* Whoever was ready in a log that is no more was so before anybody in this one. */
bool sb_joining_came_first(const struct sb_joining *joining, uint64_t nonce, const struct sb_control *hello,
                           uint64_t hello_nonce) {
  struct sb_id ours = joining->since, theirs = hello->since;
  bool lost = joining->first == SB_FIRST_IN_LOST_LOG;
  check(joining);
  if (lost != hello->since_lost) return lost;
  if (sb_id_is_none(ours) || sb_id_is_none(theirs)) return !sb_id_is_none(ours);
  if (!lost) ours.ms = theirs.ms; /* within one log the sequence counts */
  int order = sb_id_compare(ours, theirs);
  return order < 0 || (order == 0 && nonce < hello_nonce);
}

/* ---- reading ---- */

void sb_joining_read(struct sb_joining *joining, const struct sb_message *message,
                     const struct sb_control *control) {
  const struct sb_envelope *envelope = message->envelope;
  if (joining->read_from == UINT64_MAX) joining->read_from = message->sequence;
  /* A batch of the lost generation was on its way when the log went; it does not show that anybody is ready.
   */
  if (!envelope->foreign && envelope->number > 0 && envelope->generation > joining->lost_generation)
    joining->log_is_bare = false;
  if (control && control->kind != SB_CONTROL_HELLO && control->kind != SB_CONTROL_KEYS)
    joining->log_is_bare = false;
}

void sb_joining_mark(struct sb_joining *joining, uint64_t sequence) {
  SB_ASSERT(sequence + 1 > joining->mark && sequence >= joining->read_from);
  joining->mark = sequence + 1;
}

void sb_joining_keys_seen(struct sb_joining *joining, uint64_t now_ms) {
  joining->keys_seen_ms = now_ms;
}

void sb_joining_keys_sent(struct sb_joining *joining) {
  joining->keys_sent = true;
}

void sb_joining_genesis_sent(struct sb_joining *joining, uint64_t now_ms) {
  joining->genesis_sent_ms = now_ms;
}

void sb_joining_lost(struct sb_joining *joining, bool same_log, uint64_t known_generation) {
  if (!same_log) joining->lost_generation = known_generation;
  if (!same_log && joining->first == SB_FIRST_IN_THIS_LOG) joining->first = SB_FIRST_IN_LOST_LOG;
  joining->log_is_bare = !same_log;
  joining->read_from = UINT64_MAX;
  joining->mark = 0;
  joining->taken_ms = 0; /* it may be an own one; a SNAPSHOT will tell */
  joining->tries = 0;
  check(joining);
}

void sb_joining_ready(struct sb_joining *joining, struct sb_id at, bool stands) {
  joining->log_is_bare = false;
  joining->tries = 0;
  sb_assembler_clear(&joining->assembler);
  if (joining->first == SB_FIRST_NEVER) {
    joining->first = SB_FIRST_IN_THIS_LOG;
    joining->since = at;
  }
  if (stands) joining->met = (struct sb_incarnation){0};
  check(joining);
}
