/* What the sessions of a node get, and what can be said of it at once: replies come in the order of requests,
 * a message comes behind the confirmation of its subscription and never behind that of its end. */
#include <stdlib.h>

#include "tests/sim/world.h"

#define ITEMS_MAX ((size_t)2 * NAMES_MAX)

static const char gap_reply[] = "-GAP ";

static void gather(struct sb_session *session, struct sb_buf *text) {
  struct iovec vec[SB_OUTPUT_IOV_MAX];
  while (session->outlet.out.bytes > 0) {
    int n = sb_output_peek(&session->outlet.out, vec, SB_OUTPUT_IOV_MAX);
    size_t len = 0;
    for (int i = 0; i < n; i++) {
      sb_buf_append(text, vec[i].iov_base, vec[i].iov_len);
      len += vec[i].iov_len;
    }
    sb_output_drop(&session->outlet.out, len);
  }
}

/* A line without its end; moves *off behind it. */
static struct sb_bytes take_line(struct node *node, const struct sb_buf *text, size_t *off) {
  const uint8_t *end = memchr(text->data + *off, '\n', text->len - *off);
  struct sb_bytes line = {.at = text->data + *off};
  if (!end || end - 1 < line.at || end[-1] != '\r') sim_fail(node->world, "%s: half a line", node->name);
  line.len = (size_t)(end - line.at) - 1;
  *off += line.len + 2;
  return line;
}

static uint64_t number_of(struct node *node, struct sb_bytes line) {
  uint64_t value = 0;
  if (line.len < 2 || !sb_bytes_u64(sb_bytes(line.at + 1, line.len - 1), UINT64_MAX, &value))
    sim_fail(node->world, "%s: a number is expected", node->name);
  return value;
}

/* The items of an array: bulk strings, or numbers as text with the colon in front. */
static uint32_t take_array(struct node *node, const struct sb_buf *text, size_t *off,
                           struct sb_bytes *items) {
  uint64_t count = number_of(node, take_line(node, text, off));
  if (count > ITEMS_MAX) sim_fail(node->world, "%s: an array of %u items", node->name, (unsigned)count);
  for (uint64_t i = 0; i < count; i++) {
    items[i] = take_line(node, text, off);
    if (items[i].len == 0 || items[i].at[0] != '$') continue;
    uint64_t len = number_of(node, items[i]);
    if (len > text->len - *off || text->len - *off - len < 2)
      sim_fail(node->world, "%s: half an item", node->name);
    items[i] = sb_bytes(text->data + *off, (size_t)len);
    *off += (size_t)len + 2;
  }
  return (uint32_t)count;
}

/* ---- pushes ---- */

static bool push_topic(const struct sb_bytes *items, uint32_t count, uint8_t *topic) {
  if (count == 3 && sb_bytes_equal(items[0], sb_bytes_of("message")))
    return sim_topic_find(SB_SUB_CHANNEL, items[1], topic);
  if (count == 3 && sb_bytes_equal(items[0], sb_bytes_of("smessage")))
    return sim_topic_find(SB_SUB_SHARD, items[1], topic);
  return count == 4 && sb_bytes_equal(items[0], sb_bytes_of("pmessage")) &&
         sim_topic_find(SB_SUB_PATTERN, items[1], topic);
}

static void take_push(struct node *node, struct history *history, uint8_t topic,
                      const struct sb_bytes *channel_and_payload, struct sb_id id) {
  struct world *world = node->world;
  struct sb_bytes channel = channel_and_payload[0], payload = channel_and_payload[1];
  uint32_t uid;
  if (!sim_uid(world, payload, &uid)) sim_fail(world, "%s: a payload that nobody sent", node->name);
  const struct published *entry = &world->published[uid];
  bool shard = sim_topic_kind(topic) == SB_SUB_SHARD;
  if (!sb_bytes_equal(channel, sim_topic_name(entry->channel)) || shard != entry->shard)
    sim_fail(world, "%s: entry %u came on another channel", node->name, uid);
  if (payload.len != entry->len) sim_fail(world, "%s: entry %u has another length", node->name, uid);
  for (size_t i = 16; i < payload.len; i++)
    if (payload.at[i] != sim_padding(uid, i))
      sim_fail(world, "%s: entry %u is torn at %zu", node->name, uid, i);
  if (!((history->confirmed | history->vague) >> topic & 1))
    sim_fail(world, "%s: entry %u came for '%s', which is not confirmed", node->name, uid,
             (const char *)sim_topic_name(topic).at);
  uint32_t partition = sim_partition(world, entry->channel);
  node->pushes[partition]++;
  sim_receipts_add(&history->got[partition], uid * 16 + topic, id);
}

/* ---- replies ---- */

static struct request *next_request(struct node *node, struct history *history, uint8_t what) {
  if (history->answered == history->requests_count)
    sim_fail(node->world, "%s: a reply to nothing", node->name);
  struct request *request = &history->requests[history->answered++];
  if (what != UINT8_MAX && request->what != what)
    sim_fail(node->world, "%s: a reply of kind %u to a request of kind %u", node->name, what, request->what);
  request->answered = true;
  return request;
}

static uint32_t topics_of(const struct request *request) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < request->count; i++) bits |= UINT32_C(1) << request->topics[i];
  return bits;
}

static void take_confirmation(struct node *node, struct history *history, struct sb_bytes line) {
  struct request *request = next_request(node, history, UINT8_MAX);
  if (request->what == REQUEST_RESET) {
    if (!sb_bytes_equal(line, sb_bytes_of("+reset"))) sim_fail(node->world, "%s: RESET?", node->name);
    return;
  }
  if (request->what != REQUEST_SUBSCRIBE && request->what != REQUEST_UNSUBSCRIBE)
    sim_fail(node->world, "%s: a confirmation for a request of kind %u", node->name, request->what);
  if (number_of(node, line) != request->slot)
    sim_fail(node->world, "%s: the confirmation of another request", node->name);
  if (request->what == REQUEST_SUBSCRIBE) {
    history->confirmed |= topics_of(request);
  } else {
    history->confirmed &= ~topics_of(request);
    history->vague &= ~topics_of(request);
  }
}

static const char limit_reply[] = "-ERR the broker's message limit";

static enum outcome outcome_of(struct sb_bytes reply) {
  if (reply.len > sizeof gap_reply && memcmp(reply.at, gap_reply, sizeof gap_reply - 1) == 0)
    return OUTCOME_GAP;
  bool limit = reply.len > sizeof limit_reply && memcmp(reply.at, limit_reply, sizeof limit_reply - 1) == 0;
  return limit ? OUTCOME_ERROR : OUTCOME_REPLY;
}

static void take_error(struct node *node, struct history *history, struct sb_bytes line) {
  struct request *request = next_request(node, history, UINT8_MAX);
  enum outcome outcome = outcome_of(line);
  if (outcome == OUTCOME_REPLY && !node->forged && !node->world->divergence.made)
    sim_fail(node->world, "%s: an error without a cause: %.*s", node->name, (int)line.len,
             (const char *)line.at);
  request->refused = true;
  switch (request->what) {
  case REQUEST_PUBLISH: /* an error: above the broker's limit; an earlier sending may have been ordered */
    node->world->published[request->uid].outcome = (uint8_t)outcome;
    return;
  case REQUEST_SUBSCRIBE:
    history->vague |= topics_of(request);
    break;
  case REQUEST_UNSUBSCRIBE:
    history->confirmed &= ~topics_of(request);
    history->vague &= ~topics_of(request);
    break;
  }
  if (outcome == OUTCOME_GAP && !node->forged)
    sim_fail(node->world, "%s: a gap is no reply to a request of kind %u", node->name, request->what);
}

/* The end of the value that begins at `off`. */
static size_t value_end(struct node *node, const struct sb_buf *text, size_t off) {
  char type = (char)text->data[off];
  struct sb_bytes line = take_line(node, text, &off);
  if (type == '+' || type == '-' || type == ':' || type == '_' || (line.len > 1 && line.at[1] == '-'))
    return off;
  uint64_t count = number_of(node, line);
  if (type == '$') {
    if (count > text->len - off || text->len - off - count < 2) sim_fail(node->world, "half a bulk string");
    return off + (size_t)count + 2;
  }
  if (type != '*' && type != '%') sim_fail(node->world, "%s: a reply of type '%c'", node->name, type);
  for (uint64_t i = type == '%' ? 2 * count : count; i > 0; i--) off = value_end(node, text, off);
  return off;
}

static void note_ids(struct world *world, const struct request *request, struct sb_bytes reply) {
  struct sb_bytes args[SB_ENTRY_ARGS_MAX];
  uint32_t off = 0;
  uint8_t key;
  const uint8_t *id = memchr(reply.at, '\n', reply.len);
  uint32_t count = sb_entry_args(sb_bytes(request->text, request->text_len), &off, args, SB_ENTRY_ARGS_MAX);
  if (count < 2 || reply.at[0] != '$' || !id || !sb_bytes_equal(args[0], sb_bytes_of("XADD"))) return;
  size_t skip = (size_t)(id + 1 - reply.at);
  if (reply.len > skip + 2 && sim_key_find(args[1], &key))
    sb_id_parse(sb_bytes(id + 1, reply.len - skip - 2), 0, &world->ids[key]);
}

/* The last id of each stream of an XREAD's reply is where the session goes on. */
static void move_cursors(struct client *client, struct sb_bytes reply) {
  int key = -1;
  uint8_t found;
  for (size_t off = 0; off < reply.len;) {
    const uint8_t *end = memchr(reply.at + off, '\n', reply.len - off);
    if (!end) return;
    struct sb_bytes line = sb_bytes(reply.at + off, (size_t)(end - reply.at) - off - 1);
    struct sb_id id;
    if (sim_key_find(line, &found)) key = found;
    if (key >= 0 && memchr(line.at, '-', line.len) && sb_id_parse(line, 0, &id)) client->cursors[key] = id;
    off = (size_t)(end - reply.at) + 1;
  }
}

/* A reply to a command on keys or streams, whatever it is. */
static void take_reply(struct node *node, struct client *client, struct sb_bytes reply) {
  struct world *world = node->world;
  struct request *request = next_request(node, client->history, UINT8_MAX);
  request->reply = memcpy(sb_malloc(reply.len), reply.at, reply.len);
  request->reply_len = (uint32_t)reply.len;
  if (request->what == REQUEST_READ) {
    const struct view *view = &node->views[sim_partition(world, request->channel)];
    if (!request->slotless) {
      request->read_to = sim_view_read_to(view, &client->session, reply);
      request->read_ms = view->read_ms;
      request->reach = view->read_reach;
    }
    if (request->read_to == 0 && reply.at[0] != '-') sim_look_passed(node, request);
    sim_look_add(node, request);
    move_cursors(client, reply);
    return;
  }
  enum outcome outcome = outcome_of(reply);
  request->refused = outcome != OUTCOME_REPLY;
  for (uint32_t i = 0; i <= request->publishes; i++)
    world->published[request->uid + i].outcome = (uint8_t)outcome;
  note_ids(world, request, reply);
}

static bool next_is_reply(const struct history *history, const struct sb_buf *text, size_t off) {
  static const char *const pushes[] = {"*3\r\n$7\r\nmessage\r\n", "*3\r\n$8\r\nsmessage\r\n",
                                       "*4\r\n$8\r\npmessage\r\n"};
  if (text->data[off] == '>' || text->data[off] == '|' || history->answered == history->requests_count)
    return false;
  for (int i = 0; i < 3; i++)
    if (text->len - off > strlen(pushes[i]) && memcmp(text->data + off, pushes[i], strlen(pushes[i])) == 0)
      return false;
  return history->requests[history->answered].what >= REQUEST_WRITE;
}

/* "|1 id <id>", before a push. */
static struct sb_id take_id(struct node *node, const struct sb_buf *text, size_t *off) {
  struct sb_id id;
  struct sb_bytes lines[5];
  for (int i = 0; i < 5; i++) lines[i] = take_line(node, text, off);
  if (!sb_bytes_equal(lines[0], sb_bytes_of("|1")) || !sb_bytes_equal(lines[2], sb_bytes_of("id")) ||
      number_of(node, lines[3]) != lines[4].len || !sb_id_parse(lines[4], 0, &id) || *off >= text->len ||
      text->data[*off] != '>')
    sim_fail(node->world, "%s: an attribute that is no id", node->name);
  node->world->ids_seen++;
  return id;
}

static void take_number(struct node *node, struct history *history, struct sb_bytes line) {
  struct request *request = next_request(node, history, UINT8_MAX);
  uint64_t value = number_of(node, line);
  if (request->what == REQUEST_PUBLISH) {
    node->world->published[request->uid].outcome = OUTCOME_NUMBER;
    node->world->published[request->uid].number = value;
  } else if (request->what == REQUEST_ASK && request->kind == SB_SUB_PATTERN) {
    request->values[0] = value;
  } else {
    sim_fail(node->world, "%s: a number for a request of kind %u", node->name, request->what);
  }
}

static void take_counts(struct node *node, struct history *history, const struct sb_bytes *items,
                        uint32_t count) {
  struct request *request = next_request(node, history, REQUEST_ASK);
  if (count != 2U * request->count || request->kind == SB_SUB_PATTERN)
    sim_fail(node->world, "%s: NUMSUB of %u names has %u items", node->name, request->count, count);
  for (uint32_t i = 0; i < request->count; i++) {
    if (!sb_bytes_equal(items[(size_t)2 * i], sim_topic_name(request->topics[i])))
      sim_fail(node->world, "%s: NUMSUB answers for another name", node->name);
    request->values[i] = number_of(node, items[(size_t)2 * i + 1]);
  }
}

/* ---- a session's output ---- */

static void read_client(struct node *node, struct client *client) {
  struct history *history = client->history;
  struct sb_buf text = {0};
  char push = client->session.proto == 2 ? '*' : '>';
  gather(&client->session, &text);
  struct sb_id id = {0};
  for (size_t off = 0; off < text.len;) {
    char type = (char)text.data[off];
    if (next_is_reply(history, &text, off)) {
      size_t end = value_end(node, &text, off);
      take_reply(node, client, sb_bytes(text.data + off, end - off));
      off = end;
      continue;
    }
    if (type == '|') {
      id = take_id(node, &text, &off);
      continue;
    }
    if (type == '*' || type == '>') {
      struct sb_bytes items[ITEMS_MAX] = {0};
      uint8_t topic;
      uint32_t count = take_array(node, &text, &off, items);
      if (push_topic(items, count, &topic) && type == push)
        take_push(node, history, topic, &items[count - 2], id);
      else if (type == '*')
        take_counts(node, history, items, count);
      else
        sim_fail(node->world, "%s: a push of the wrong type", node->name);
      id = (struct sb_id){0};
      continue;
    }
    struct sb_bytes line = take_line(node, &text, &off);
    if (type == '+')
      take_confirmation(node, history, line);
    else if (type == '-')
      take_error(node, history, line);
    else if (type == ':')
      take_number(node, history, line);
    else
      sim_fail(node->world, "%s: what is this?", node->name);
  }
  sb_buf_close(&text);
}

void sim_sessions_read(struct node *node) {
  struct sb_session *session;
  while ((session = sb_core_next_dirty(node->core))) {
    struct client *client = (struct client *)session;
    if (sb_session_is_over_limit(session)) {
      node->world->over_limit++;
      sim_client_close(node, client);
    } else if (!client->sleeps) {
      read_client(node, client);
    }
  }
}
