/* Random use of an outbox: whatever is appended comes out once and in order, whole or in parts, and every
 * count is that of what is held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/base/limits.h"
#include "bridge/core/log/outbox.h"
#include "bridge/core/sessions/session.h"
#include "bridge/core/wire/sidebus.h"
#include "tests/unit/seed.h"

#define BATCH_BYTES 300
#define ENTRIES_MAX 20000

/* What was appended and has not been accepted, oldest first. */
struct entry {
  uint32_t id, len, count;
  bool control;
};

struct world {
  struct sb_outbox outbox;
  uint64_t total;
  struct entry entries[ENTRIES_MAX];
  size_t from, to;
  uint32_t next_id, next_slot;
  uint64_t accepted; /* number of the last batch under this incarnation */
  struct sb_session session;
  struct sb_buf parts; /* accepted, of an entry whose last part is still to come */
  uint64_t cut, put_together;
};

static void fill(uint8_t *at, const struct entry *entry) {
  for (uint32_t i = 0; i < entry->len; i++) at[i] = (uint8_t)(entry->id >> 8 * (i % 4));
}

static void assert_counts(const struct sb_outbox *outbox) {
  size_t bytes = 0, unsent_bytes = 0, flying_bytes = 0;
  uint32_t flying = 0;
  bool unsent = false;
  const struct sb_batch *last = NULL;
  for (const struct sb_batch *batch = outbox->first; batch; last = batch, batch = batch->next) {
    uint32_t waiting = 0;
    unsent |= batch == outbox->unsent;
    for (uint32_t i = 0; i < batch->waiters_count; i++) waiting += batch->waiters[i].count;
    assert_int_equal(waiting, batch->count);
    assert_in_range(batch->count, 1, SB_BATCH_ENTRIES_MAX);
    if (last && batch->number) assert_int_equal(batch->number, last->number + 1);
    bytes += !batch->whole ? batch->plain_bytes : batch->fragment == batch->fragments ? batch->whole->len : 0;
    *(unsent ? &unsent_bytes : &flying_bytes) += batch->plain_bytes;
    flying += !unsent;
    if (!unsent) assert_true(batch->number != 0);
  }
  assert_ptr_equal(outbox->last, last);
  assert_int_equal(outbox->unsent != NULL, unsent);
  assert_int_equal(outbox->unsent_bytes, unsent_bytes);
  assert_int_equal(outbox->in_flight, flying);
  assert_int_equal(outbox->in_flight_bytes, flying_bytes);
  assert_int_equal(outbox->collected.len, outbox->open ? outbox->open->plain_bytes : 0);
  assert_int_equal(outbox->bytes, bytes + outbox->collected.len);
  assert_in_range(flying, 0, SB_WINDOW_BATCHES_MAX);
}

static void add(struct world *world) {
  static const uint16_t lengths[] = {5, 40, 200, 2000};
  struct entry entry = {
      .id = world->next_id++, .len = 1 + below(lengths[below(4)]), .count = 1 + below(3) / 2};
  if (world->to == ENTRIES_MAX) return;
  fill(sb_outbox_append(&world->outbox, entry.len, BATCH_BYTES, below(2), &world->session, world->next_slot,
                        entry.count),
       &entry);
  world->next_slot += entry.count + below(5) / 4; /* now and then a reply of another kind between */
  world->entries[world->to++] = entry;
}

static void add_control(struct world *world) {
  struct entry entry = {.id = world->next_id++, .len = 14, .count = 1, .control = true};
  uint8_t text[14];
  if (world->to == ENTRIES_MAX) return;
  fill(text, &entry);
  sb_outbox_append_control(&world->outbox, sb_bytes(text, sizeof text));
  world->entries[world->to++] = entry;
}

/* As if the broker took less than what is to leave next. */
static void cut(struct world *world) {
  struct sb_outbox *outbox = &world->outbox;
  const struct sb_batch *batch = outbox->unsent;
  if (batch->count > 1 || batch->control || batch->token || batch->fragment > 1) return;
  if (batch->whole) sb_outbox_uncut(outbox);
  assert_counts(outbox);
  size_t len = outbox->unsent->plain_bytes;
  if (len < 2 || below(4) == 0) return;
  assert_true(sb_outbox_cut(outbox, 1 + below((uint32_t)len - 1)));
  assert_counts(outbox);
  world->cut++;
}

static void send_some(struct world *world) {
  for (uint32_t most = 1 + below(20); most > 0; most--) {
    struct sb_batch *batch = sb_outbox_next(&world->outbox, below(2));
    if (!batch) return;
    if (below(6) == 0) cut(world);
    batch = sb_outbox_next(&world->outbox, below(2));
    if (!batch) return;         /* it was small, and is large again */
    if (below(10) == 0) return; /* the transport is full */
    assert_int_equal(batch->number, world->accepted + 1 + world->outbox.in_flight);
    sb_outbox_sent(&world->outbox, batch, world->next_id, 0);
  }
}

/* Takes the body of a part; returns the entry when it was the last, else nothing. */
static struct sb_body *gather(struct world *world, const struct sb_batch *batch, struct sb_body *body) {
  struct sb_fragment part;
  assert_true(sb_fragment_read(sb_bytes(body->data, body->len), &part));
  assert_int_equal(part.index, batch->fragment);
  assert_int_equal(part.count, batch->fragments);
  if (part.index == 1) assert_int_equal(world->parts.len, 0);
  sb_buf_append(&world->parts, part.bytes.at, part.bytes.len);
  sb_body_unref(body);
  if (part.index < part.count) return sb_body_new(0);
  struct sb_body *whole = sb_body_new(world->parts.len);
  memcpy(whole->data, world->parts.data, world->parts.len);
  sb_buf_clear(&world->parts);
  world->put_together++;
  return whole;
}

/* The batch holds the oldest entries, as they were appended. */
static void echo(struct world *world) {
  struct sb_batch *batch = sb_outbox_accept(&world->outbox, world->accepted + 1);
  if (!batch) return;
  struct sb_body *plain = batch->lz4 ? sb_codec_unpack(batch->body) : sb_body_ref(batch->body);
  size_t off = 0;
  uint32_t count = 0;
  assert_non_null(plain);
  assert_int_equal(batch->number, ++world->accepted);
  assert_int_equal(plain->len, batch->plain_bytes);
  if (batch->whole) plain = gather(world, batch, plain);
  while (off < plain->len) {
    uint8_t expected[2000];
    const struct entry *entry = &world->entries[world->from++];
    assert_true(world->from <= world->to);
    fill(expected, entry);
    assert_true(entry->len <= plain->len - off);
    assert_memory_equal(plain->data + off, expected, entry->len);
    off += entry->len;
    count += entry->count;
  }
  assert_int_equal(count, batch->fragment < batch->fragments ? 0 : batch->count);
  sb_body_unref(plain);
  sb_batch_free(batch);
}

static void forget_controls(struct world *world, size_t from, size_t to) {
  size_t kept = from;
  for (size_t i = from; i < to; i++)
    if (!world->entries[i].control) world->entries[kept++] = world->entries[i];
  memmove(&world->entries[kept], &world->entries[to], (world->to - to) * sizeof *world->entries);
  world->to -= to - kept;
}

/* Numbered again under a new incarnation, with some entries that came between. */
static void restamp(struct world *world) {
  struct sb_batch *list = sb_outbox_take(&world->outbox, below(2));
  assert_true(sb_outbox_empty(&world->outbox));
  assert_counts(&world->outbox);
  for (uint32_t more = below(4); more > 0; more--) add(world);
  if (below(2)) add_control(world);
  for (uint32_t more = below(3); more > 0; more--) add(world);
  sb_outbox_put_back(&world->outbox, list);
  forget_controls(world, world->from, world->to);
  world->accepted = 0;
  sb_buf_clear(&world->parts); /* it is sent again from the first part on */
}

static void step(struct world *world) {
  uint32_t dice = below(100);
  if (dice < 45)
    add(world);
  else if (dice < 48)
    add_control(world);
  else if (dice < 65)
    send_some(world);
  else if (dice < 92)
    echo(world);
  else if (dice < 96)
    sb_outbox_resend(&world->outbox);
  else if (dice < 98)
    sb_outbox_seal(&world->outbox, below(2));
  else
    restamp(world);
}

static void whatever_happens_entries_come_out_once_and_in_order(void **state) {
  (void)state;
  static struct world world;
  for (int run = 0; run < 5; run++) {
    world.from = world.to = world.accepted = 0;
    world.total = 0;
    sb_outbox_init(&world.outbox, 100, &world.total);
    for (int i = 0; i < 8000; i++) {
      step(&world);
      assert_counts(&world.outbox);
      assert_int_equal(world.total, world.outbox.bytes);
    }
    for (int i = 0; i < 20000 && !sb_outbox_empty(&world.outbox); i++) {
      send_some(&world);
      echo(&world);
    }
    assert_true(sb_outbox_empty(&world.outbox));
    assert_int_equal(world.from, world.to);
    assert_int_equal(world.outbox.bytes, 0);
    sb_outbox_close(&world.outbox);
  }
  assert_in_range(world.put_together, 100, world.cut);
  sb_buf_close(&world.parts);
}

static void closing_frees_what_is_held_at_any_time(void **state) {
  (void)state;
  static struct world world;
  for (int run = 0; run < 200; run++) {
    world.from = world.to = world.accepted = 0;
    world.total = 0;
    sb_outbox_init(&world.outbox, 100, &world.total);
    for (uint32_t i = below(100); i > 0; i--) step(&world);
    sb_outbox_close(&world.outbox);
    sb_buf_close(&world.parts);
    assert_true(sb_outbox_empty(&world.outbox));
    assert_counts(&world.outbox);
    assert_int_equal(world.total, 0);
  }
}

int main(void) {
  seed_from_environment();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whatever_happens_entries_come_out_once_and_in_order),
      cmocka_unit_test(closing_frees_what_is_held_at_any_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
