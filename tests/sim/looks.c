/* What is read of keys and streams, and by whom where: judged at the end, against the model at that place. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"

static struct sb_id earlier(struct sb_id a, struct sb_id b) {
  return sb_id_compare(a, b) < 0 ? a : b;
}

static bool is_short(const struct sb_partition *part) {
  const struct sb_back *back = &part->range.back;
  return part->range.owner && back->state == SB_BACK_DONE && back->short_of_wanted;
}

/* As the node knows it when it looks at what was read back. */
static struct sb_id log_begin(const struct sb_partition *part) {
  if (!is_short(part)) return part->log_begin;
  const struct sb_back *back = &part->range.back;
  return back->failed ? sb_id_end_of(back->generation, back->ask.to) : back->replay.history.floor;
}

/* What is seen to hold no more than the node itself is dropped before anybody reads it. */
static bool is_read(const struct sb_partition *part) {
  if (!part->range.owner || part->range.back.state != SB_BACK_DONE) return false;
  return !is_short(part) || sb_id_compare(part->history.begin, log_begin(part)) > 0;
}

/* What must be there: all of the log, where retention took nothing of it; else what can be followed from a
 * state. A node that keeps nothing reads nothing back. */
static struct sb_id reach_of(const struct node *node, uint32_t partition, bool read) {
  const struct sb_partition *part = &node->core->logs.partitions[partition];
  const struct sim_log *log = &node->world->logs[partition];
  if (!part->logs->io.read_back || part->history.max_bytes == 0) return part->history.begin;
  if (log->life == node->readings[partition].life && log->first == log->begin) return (struct sb_id){0};
  return read ? part->range.back.replay.history.floor : earlier(part->history.begin, log_begin(part));
}

/* Whether that holds anything for whoever asked: if so it is answered from there alone. */
static bool brings_any(const struct sb_partition *part) {
  const struct sb_replay *replay = &part->range.back.replay;
  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  bool any = false;
  for (uint32_t key = 0; key < KEYS && !any; key++) {
    struct sb_bytes name = sim_key_name(key);
    if (sb_keys_hide(&replay->state.keys, name, part->range.log_ms)) continue;
    sb_history_seek(&replay->history, name, (struct sb_id){0}, SB_ID_MAX, false, &cursor);
    any = sb_history_next(&cursor, &entry);
  }
  return any;
}

struct view sim_view(const struct node *node, uint32_t partition) {
  const struct sb_partition *part = &node->core->logs.partitions[partition];
  bool read = is_read(part);
  return (struct view){.reach = reach_of(node, partition, false),
                       .reader = read ? part->range.owner : NULL,
                       .read_to = read ? part->range.back.ask.to : 0,
                       .read_ms = part->range.log_ms,
                       .read_reach = reach_of(node, partition, read),
                       .read_any = read && brings_any(part),
                       .ready = sb_partition_is_ready(part),
                       .fills = sb_back_is_running(&part->prefill),
                       .life = node->readings[partition].life,
                       .applied = part->applied,
                       .time_ms = sb_partition_log_time(part),
                       .begin = part->history.begin};
}

static bool says_too_large(struct sb_bytes reply) {
  static const char error[] = "-ERR reply is too large for limits.output.hard_bytes";
  return reply.len > sizeof error && memcmp(reply.at, error, sizeof error - 1) == 0;
}

/* An XREAD for which nothing was read back goes on in what the node holds: all it brings lies behind. Only
 * what is no string is read back: where one is found, it is there now. What is too large to be sent may be
 * too large as of then only: entries can have gone since. */
uint64_t sim_view_read_to(const struct view *view, const struct sb_session *session, struct sb_bytes reply) {
  if (view->reader != session || reply.len == 0) return 0;
  if (reply.at[0] == '-') return view->read_any && says_too_large(reply) ? view->read_to : 0;
  if (sb_bytes_equal(reply, sb_bytes_of("*-1\r\n")) || sb_bytes_equal(reply, sb_bytes_of("_\r\n"))) return 0;
  for (size_t off = 0; off < reply.len;) {
    const uint8_t *end = memchr(reply.at + off, '\n', reply.len - off);
    struct sb_bytes line = sb_bytes(reply.at + off, (size_t)(end - reply.at) - off - 1);
    struct sb_id id;
    off = (size_t)(end - reply.at) + 1;
    if (line.len > 0 && line.at[0] >= '0' && line.at[0] <= '9' && memchr(line.at, '-', line.len) &&
        sb_id_parse(line, 0, &id))
      return id.seq / 4096 <= view->read_to ? view->read_to : 0;
  }
  return view->read_to;
}

static struct look *add(struct node *node, uint32_t partition, const struct view *view) {
  struct looks *looks = &node->world->looks[partition];
  if (looks->count == looks->cap) {
    looks->cap = looks->cap ? looks->cap * 2 : 64;
    looks->at = sb_realloc(looks->at, looks->cap * sizeof *looks->at);
  }
  struct look *look = &looks->at[looks->count++];
  *look = (struct look){.view = *view};
  memcpy(look->who, node->name, sizeof look->who);
  return look;
}

void sim_looks_free(struct looks *looks) {
  for (size_t i = 0; i < looks->count; i++) {
    free(looks->at[i].text);
    free(looks->at[i].reply);
  }
  free(looks->at);
  *looks = (struct looks){0};
}

static void keep_text(struct look *look, const struct request *request, struct sb_bytes reply) {
  look->proto = request->proto;
  look->text = memcpy(sb_malloc(request->text_len), request->text, request->text_len);
  look->text_len = request->text_len;
  look->reply = memcpy(sb_malloc(reply.len + 1), reply.at, reply.len);
  look->reply_len = (uint32_t)reply.len;
  if (look->view.life == request->passed_life && look->view.reach.seq < request->passed_to)
    look->view.reach.seq = request->passed_to;
}

void sim_look_passed(struct node *node, struct request *request) {
  struct view view = request->passed;
  if (view.read_to == 0) return;
  view.applied = view.read_to;
  view.time_ms = view.read_ms;
  view.reach = view.read_reach;
  struct look *look = add(node, sim_partition(node->world, request->channel), &view);
  look->found_nothing = true;
  keep_text(look, request, sb_bytes_of(request->proto == 2 ? "*-1\r\n" : "_\r\n"));
  request->passed_to = view.read_to * 4096 + 4095;
  request->passed_life = view.life;
  request->passed.read_to = 0;
}

void sim_views_take(struct node *node) {
  for (uint32_t p = 0; p < node->world->options.partitions; p++) {
    const struct view *view = &node->views[p];
    node->views[p] = sim_view(node, p);
    if (!view->reader || !view->reader->blocked) continue;
    struct history *history = ((const struct client *)view->reader)->history;
    struct request *request = &history->requests[history->answered];
    if (request->passed.read_to != view->read_to) sim_look_passed(node, request);
    request->passed = *view;
  }
}

void sim_look_add(struct node *node, const struct request *request) {
  uint32_t partition = sim_partition(node->world, request->channel);
  const struct view *view = &node->views[partition];
  struct sb_bytes reply = sb_bytes(request->reply, request->reply_len);
  bool nothing = sb_bytes_equal(reply, sb_bytes_of(request->proto == 2 ? "*-1\r\n" : "_\r\n"));
  if (!view->ready) {
    if (!nothing || node->core->logs.now_ms < request->ends_ms)
      sim_fail(node->world, "%s: a read is answered by one who is not ready", node->name);
    return;
  }
  struct look *look = add(node, partition, view);
  if (request->read_to > 0) {
    look->view.applied = request->read_to;
    look->view.time_ms = request->read_ms;
    look->view.reach = request->reach;
  }
  if (!request->slotless) {
    node->world->woken += !nothing;
    node->world->timed_out += nothing;
    look->found_nothing = nothing;
    look->woken = !nothing;
    if (nothing && view->fills) look->view.reach = view->begin; /* what came in a gap is on its way */
    if (nothing && node->core->logs.now_ms < request->ends_ms)
      sim_fail(node->world, "%s: XREAD gives up before its time", node->name);
  }
  keep_text(look, request, reply);
}

/* ---- all of a history ---- */

static uint64_t fold_key(const struct sb_history *history, uint32_t key, uint64_t *count) {
  struct sb_history_cursor cursor;
  struct sb_history_entry entry;
  uint64_t hash = 1;
  *count = 0;
  sb_history_seek(history, sim_key_name(key), (struct sb_id){0}, SB_ID_MAX, false, &cursor);
  for (; sb_history_next(&cursor, &entry); ++*count) {
    struct sb_buf pairs = {0};
    if (entry.message) sb_buf_text(&pairs, "$4\r\ndata\r\n");
    sb_buf_append(&pairs, entry.bulk.at, entry.bulk.len);
    hash = model_fold(hash, &entry.id.ms, sizeof entry.id.ms);
    hash = model_fold(hash, &entry.id.seq, sizeof entry.id.seq);
    hash = model_fold(hash, pairs.data, pairs.len);
    sb_buf_close(&pairs);
  }
  return hash;
}

static bool lives_in(const struct world *world, uint32_t key, uint32_t partition) {
  return sim_partition(world, (uint8_t)(key / KEYS_PER_CHANNEL)) == partition;
}

void sim_look_dump(struct node *node, uint32_t partition) {
  struct world *world = node->world;
  const struct sb_partition *part = &node->core->logs.partitions[partition];
  struct view view = sim_view(node, partition);
  uint64_t all = 0;
  if (!view.ready) return;
  struct look *look = add(node, partition, &view);
  look->dump = true;
  for (uint32_t key = 0; key < KEYS; key++) {
    if (!lives_in(world, key, partition)) continue;
    look->hashes[key] = fold_key(&part->history, key, &look->counts[key]);
    all += look->counts[key];
    if (look->counts[key] != sb_history_length(&part->history, sim_key_name(key)))
      sim_fail(world, "%s: key %u has another length than entries", node->name, key);
  }
  if (all != part->history.entries)
    sim_fail(world, "partition %u: %s counts %llu entries in its history and has %llu", partition, node->name,
             (unsigned long long)part->history.entries, (unsigned long long)all);
  world->dumps++;
}

/* ---- judging ---- */

static int by_place(const void *a, const void *b) {
  const struct view *x = &((const struct look *)a)->view, *y = &((const struct look *)b)->view;
  if (x->life != y->life) return x->life < y->life ? -1 : 1;
  return x->applied < y->applied ? -1 : x->applied > y->applied;
}

void sim_looks_sort(struct looks *looks) {
  if (looks->count > 0) qsort(looks->at, looks->count, sizeof *looks->at, by_place);
}

static void judge_dump(struct world *world, uint32_t partition, const struct look *look,
                       const struct model *model) {
  for (uint32_t key = 0; key < KEYS; key++) {
    uint64_t count;
    if (!lives_in(world, key, partition)) continue;
    uint64_t hash = model_fold_stream(model, key, look->view.begin, &count);
    if ((hash != look->hashes[key] || count != look->counts[key]) && world->options.verbose)
      for (size_t i = 0; i < model->keys[key].count; i++)
        fprintf(stderr, "  %llu-%llu (sequence %llu) %.*s\n",
                (unsigned long long)model->keys[key].entries[i].id.ms,
                (unsigned long long)model->keys[key].entries[i].id.seq,
                (unsigned long long)model->keys[key].entries[i].id.seq / 4096,
                (int)model->keys[key].entries[i].len, (const char *)model->keys[key].entries[i].pairs);
    if (hash != look->hashes[key] || count != look->counts[key])
      sim_fail(world,
               "partition %u: %s at %llu of life %u has %llu entries of %s and not %llu, or others, behind "
               "%llu-%llu",
               partition, look->who, (unsigned long long)look->view.applied, look->view.life,
               (unsigned long long)look->counts[key], (const char *)sim_key_name(key).at,
               (unsigned long long)count, (unsigned long long)look->view.begin.ms,
               (unsigned long long)look->view.begin.seq);
  }
}

static bool is_range_error(const struct look *look) {
  static const char error[] = "-ERR the range is older than what this node holds in memory";
  return look->reply_len > sizeof error && memcmp(look->reply, error, sizeof error - 1) == 0;
}

/* An error instead of what no session may be sent: seven eighths of its output limit. */
static bool is_too_large(struct sb_bytes expected, struct sb_bytes reply) {
  return expected.len > OUTPUT_BYTES / 8 * 7 - 100 && says_too_large(reply);
}

/* Who has waited is answered with one of its streams, whatever the others hold. */
static bool is_one_stream(const struct model *model, const struct sb_bytes *args, uint32_t count,
                          const struct model_view *view, struct sb_bytes reply) {
  struct sb_bytes one[SB_ENTRY_ARGS_MAX];
  uint32_t at = 1;
  while (!sb_bytes_is(args[at - 1], "STREAMS")) at++;
  memcpy(one, args, at * sizeof *one);
  uint32_t keys = (count - at) / 2;
  bool found = false;
  for (uint32_t i = 0; i < keys && !found; i++) {
    struct sb_buf expected = {0};
    one[at] = args[at + i];
    one[at + 1] = args[at + keys + i];
    model_read(model, one, at + 2, view, &expected);
    found = model_reply_is(sb_buf_bytes(&expected), reply) || is_too_large(sb_buf_bytes(&expected), reply);
    sb_buf_close(&expected);
  }
  return found;
}

void sim_look_judge(struct world *world, uint32_t partition, const struct look *look,
                    const struct model *model) {
  struct sb_bytes args[SB_ENTRY_ARGS_MAX];
  struct sb_buf expected = {0};
  uint32_t off = 0;
  if (look->dump) {
    judge_dump(world, partition, look, model);
    return;
  }
  uint32_t count = sb_entry_args(sb_bytes(look->text, look->text_len), &off, args, SB_ENTRY_ARGS_MAX);
  bool ranges =
      sb_bytes_is(args[0], "XRANGE") || sb_bytes_is(args[0], "XREVRANGE") || sb_bytes_is(args[0], "XREAD");
  struct model_view view = {look->view.time_ms, ranges ? look->view.reach : look->view.begin, look->proto};
  if (ranges && is_range_error(look)) {
    world->range_errors++;
    return;
  }
  model_read(model, args, count, &view, &expected);
  /* A string in the place of a stream wakes nobody. */
  struct sb_bytes reply = sb_bytes(look->reply, look->reply_len);
  bool right = look->woken ? is_one_stream(model, args, count, &view, reply)
                           : model_reply_is(sb_buf_bytes(&expected), reply) ||
                                 is_too_large(sb_buf_bytes(&expected), reply) ||
                                 (look->found_nothing && expected.data[0] == '-');
  if (!right && world->options.verbose)
    fprintf(stderr, "--- command\n%.*s--- expected\n%.*s--- reply\n%.*s", (int)look->text_len,
            (const char *)look->text, (int)expected.len, (const char *)expected.data, (int)look->reply_len,
            (const char *)look->reply);
  sb_buf_close(&expected);
  if (!right)
    sim_fail(world,
             "partition %u: %s at %llu of life %u: %.*s … is answered wrong (begin %llu-%llu, reach "
             "%llu-%llu, time %llu)",
             partition, look->who, (unsigned long long)look->view.applied, look->view.life, (int)args[0].len,
             (const char *)args[0].at, (unsigned long long)look->view.begin.ms,
             (unsigned long long)look->view.begin.seq, (unsigned long long)look->view.reach.ms,
             (unsigned long long)look->view.reach.seq, (unsigned long long)look->view.time_ms);
}
