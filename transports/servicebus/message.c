#include "transports/servicebus/message.h"

#include <assert.h>
#include <string.h>

#include "bridge/base/hash.h"
#include "transports/servicebus/amqp.h"

#define CONTENT_TYPE         "application/vnd.sidebus.resp"
#define CONTENT_ENCODING_LZ4 "lz4"

/* Fields of the properties section (part 3, 3.2.4). */
enum {
  FIELD_MESSAGE_ID,
  FIELD_USER_ID,
  FIELD_TO,
  FIELD_SUBJECT,
  FIELD_REPLY_TO,
  FIELD_CORRELATION_ID,
  FIELD_CONTENT_TYPE,
  FIELD_CONTENT_ENCODING,
  FIELDS,
};

/* ---- envelope -> message ---- */

static void put_key(struct sb_buf *out, const char *key) {
  sb_amqp_put_string(out, sb_bytes_of(key));
}

static void put_int(struct sb_buf *out, const char *key, uint32_t value) {
  put_key(out, key);
  sb_amqp_put_int(out, value);
}

static void put_long(struct sb_buf *out, const char *key, uint64_t value) {
  put_key(out, key);
  sb_amqp_put_long(out, value);
}

static void put_text(struct sb_buf *out, const char *key, const char *text) {
  put_key(out, key);
  sb_amqp_put_string(out, sb_bytes_of(text));
}

static void put_properties(struct sb_buf *out, const char *id, bool lz4) {
  sb_amqp_put_section(out, SB_AMQP_PROPERTIES);
  struct sb_amqp_mark list = sb_amqp_begin_list(out);
  sb_amqp_put_string(out, sb_bytes_of(id));
  for (int field = FIELD_USER_ID; field < FIELD_CONTENT_TYPE; field++) sb_amqp_put_null(out);
  sb_amqp_put_symbol(out, CONTENT_TYPE);
  if (lz4) sb_amqp_put_symbol(out, CONTENT_ENCODING_LZ4);
  sb_amqp_end(out, list, lz4 ? FIELDS : FIELDS - 1);
}

static void put_application_properties(struct sb_buf *out, const struct sb_envelope *envelope) {
  uint32_t items = 2 * 9; /* a name and a value each */
  char incarnation[SB_INCARNATION_TEXT], claim[SB_CLAIM_TEXT], mac[SB_MAC_TEXT];
  sb_incarnation_text(envelope->incarnation, incarnation);
  sb_amqp_put_section(out, SB_AMQP_APPLICATION_PROPERTIES);
  struct sb_amqp_mark map = sb_amqp_begin_map(out);
  put_int(out, "sb-v", envelope->version);
  put_text(out, "sb-node", envelope->node);
  put_text(out, "sb-inc", incarnation);
  put_long(out, "sb-num", envelope->number);
  put_long(out, "sb-base", envelope->base);
  put_long(out, "sb-gen", envelope->generation);
  put_long(out, "sb-time", envelope->time_ms);
  put_int(out, "sb-count", envelope->count);
  put_int(out, "sb-try", envelope->attempt);
  if (envelope->claim.founding) {
    sb_claim_text(&envelope->claim, claim);
    put_text(out, "sb-sum", claim);
    items += 2;
  }
  if (envelope->has_mac) {
    sb_mac_text(envelope->mac, mac);
    put_text(out, "sb-mac", mac);
    items += 2;
  }
  sb_amqp_end(out, map, items);
}

void sb_servicebus_message_encode(const struct sb_envelope *envelope, const char *id, size_t body_len,
                                  struct sb_buf *out) {
  assert(!envelope->foreign);
  sb_buf_clear(out);
  put_properties(out, id, envelope->lz4);
  put_application_properties(out, envelope);
  sb_amqp_put_data_head(out, (uint32_t)body_len);
  assert(out->len <= SB_SERVICEBUS_HEAD_MAX);
}

/* ---- message -> envelope ---- */

/* What a message is made of; views into its bytes. */
struct sections {
  struct sb_amqp_value annotations, application;
  struct sb_bytes properties; /* items of the list */
  uint32_t property_count;
  struct sb_bytes body; /* of one section, the last one */
  size_t body_len;      /* of all data sections */
  unsigned body_count;
  bool body_is_value;
  bool body_good; /* none, data sections only, or one value of bytes */
};

static bool take_body(uint64_t descriptor, const struct sb_amqp_value *value, struct sections *sections) {
  bool text = descriptor == SB_AMQP_VALUE && value->type == SB_AMQP_STRING && sections->body_count == 0;
  bool binary = value->type == SB_AMQP_BINARY && descriptor != SB_AMQP_SEQUENCE;
  if (sections->body_count > 0 && (descriptor == SB_AMQP_VALUE || sections->body_is_value)) binary = false;
  if (!text && !binary) return false;
  sections->body_is_value = descriptor == SB_AMQP_VALUE;
  sections->body = value->bytes;
  sections->body_len += value->bytes.len;
  sections->body_count++;
  return true;
}

static bool split(struct sb_bytes rest, struct sections *sections) {
  while (rest.len) {
    uint64_t descriptor;
    struct sb_amqp_value value;
    if (!sb_amqp_take_descriptor(&rest, &descriptor) || !sb_amqp_take(&rest, &value)) return false;
    switch (descriptor) {
    case SB_AMQP_MESSAGE_ANNOTATIONS:
      sections->annotations = value;
      break;
    case SB_AMQP_PROPERTIES:
      if (value.type != SB_AMQP_LIST) return false;
      sections->properties = value.bytes;
      sections->property_count = value.count;
      break;
    case SB_AMQP_APPLICATION_PROPERTIES:
      sections->application = value;
      break;
    case SB_AMQP_DATA:
    case SB_AMQP_SEQUENCE:
    case SB_AMQP_VALUE:
      if (sections->body_good) sections->body_good = take_body(descriptor, &value, sections);
      break;
    default:
      break;
    }
  }
  return true;
}

static bool property(const struct sections *sections, uint32_t field, struct sb_bytes *out) {
  struct sb_bytes rest = sections->properties;
  struct sb_amqp_value value = {0};
  if (field >= sections->property_count) return false;
  for (uint32_t i = 0; i <= field; i++)
    if (!sb_amqp_take(&rest, &value)) return false;
  return sb_amqp_text(&value, out);
}

static bool read_u64(const struct sb_amqp_value *map, const char *name, uint64_t *out) {
  struct sb_amqp_value value;
  return sb_amqp_find(map, name, &value) && sb_amqp_u64(&value, out);
}

static bool read_u32(const struct sb_amqp_value *map, const char *name, uint32_t *out) {
  uint64_t wide;
  if (!read_u64(map, name, &wide) || wide > UINT32_MAX) return false;
  *out = (uint32_t)wide;
  return true;
}

static bool read_text(const struct sb_amqp_value *map, const char *name, struct sb_bytes *out) {
  struct sb_amqp_value value;
  return sb_amqp_find(map, name, &value) && sb_amqp_text(&value, out);
}

static bool read_node(const struct sb_amqp_value *map, char out[SB_NODE_NAME_MAX + 1]) {
  struct sb_bytes name;
  if (!read_text(map, "sb-node", &name) || !sb_node_name_valid((const char *)name.at, name.len)) return false;
  memcpy(out, name.at, name.len);
  out[name.len] = 0;
  return true;
}

static bool read_incarnation(const struct sb_amqp_value *map, struct sb_incarnation *out) {
  struct sb_bytes text;
  if (!read_text(map, "sb-inc", &text) || text.len >= SB_INCARNATION_TEXT) return false;
  return sb_incarnation_parse((const char *)text.at, text.len, out);
}

static bool read_content(const struct sections *sections, bool *lz4) {
  struct sb_bytes type, encoding;
  if (!property(sections, FIELD_CONTENT_TYPE, &type) || !sb_bytes_equal(type, sb_bytes_of(CONTENT_TYPE)))
    return false;
  *lz4 = false;
  if (!property(sections, FIELD_CONTENT_ENCODING, &encoding) || encoding.len == 0) return true;
  *lz4 = sb_bytes_equal(encoding, sb_bytes_of(CONTENT_ENCODING_LZ4));
  return *lz4;
}

static bool read_batch(const struct sections *sections, struct sb_envelope *envelope) {
  const struct sb_amqp_value *map = &sections->application;
  return sections->body_good && sections->body_count > 0 && read_content(sections, &envelope->lz4) &&
         read_u32(map, "sb-v", &envelope->version) && read_node(map, envelope->node) &&
         read_incarnation(map, &envelope->incarnation) && read_u64(map, "sb-num", &envelope->number) &&
         read_u64(map, "sb-base", &envelope->base) && read_u64(map, "sb-gen", &envelope->generation) &&
         read_u64(map, "sb-time", &envelope->time_ms) && read_u32(map, "sb-count", &envelope->count) &&
         read_u32(map, "sb-try", &envelope->attempt);
}

static void read_claim(const struct sb_amqp_value *map, struct sb_envelope *envelope) {
  struct sb_bytes text;
  if (read_text(map, "sb-sum", &text)) sb_claim_parse((const char *)text.at, text.len, &envelope->claim);
}

static void read_mac(const struct sb_amqp_value *map, struct sb_envelope *envelope) {
  struct sb_amqp_value value;
  struct sb_bytes text = {0};
  envelope->has_mac = sb_amqp_find(map, "sb-mac", &value);
  if (envelope->has_mac && sb_amqp_text(&value, &text))
    sb_mac_parse((const char *)text.at, text.len, envelope->mac);
}

static struct sb_body *body_of(struct sb_bytes bytes) {
  struct sb_body *body = sb_body_new(bytes.len);
  if (bytes.len) memcpy(body->data, bytes.at, bytes.len);
  return body;
}

/* The channel of a foreign message: the property "channel", or else what Azure's programs call the
 * subject. */
static struct sb_body *read_channel(const struct sections *sections) {
  struct sb_bytes name;
  if (!read_text(&sections->application, "channel", &name) && !property(sections, FIELD_SUBJECT, &name))
    return NULL;
  return name.len > 0 && name.len <= SB_FOREIGN_CHANNEL_MAX ? body_of(name) : NULL;
}

/* ---- the body ---- */

/* Some programs cut a body into several data sections. */
static struct sb_body *join(struct sb_bytes rest, size_t len) {
  struct sb_body *body = sb_body_new(len);
  size_t at = 0;
  uint64_t descriptor;
  struct sb_amqp_value value;
  while (rest.len && sb_amqp_take_descriptor(&rest, &descriptor) && sb_amqp_take(&rest, &value)) {
    if (descriptor != SB_AMQP_DATA) continue;
    assert(value.bytes.len <= len - at);
    if (value.bytes.len) memcpy(body->data + at, value.bytes.at, value.bytes.len);
    at += value.bytes.len;
  }
  assert(at == len);
  return body;
}

static struct sb_body *read_body(struct sb_bytes bytes, const struct sections *sections) {
  if (!sections->body_good) return sb_body_new(0);
  return sections->body_count > 1 ? join(bytes, sections->body_len) : body_of(sections->body);
}

/* ---- the whole ---- */

/* Tells a message from another with the same number: Service Bus gives a message its time once, and the id
 * is the sender's. */
static uint64_t print_of(const struct sections *sections, const struct sb_servicebus_message *message) {
  uint64_t hash = SB_HASH_START, len = message->body->len;
  struct sb_bytes id = {0};
  property(sections, FIELD_MESSAGE_ID, &id);
  hash = sb_hash_add(hash, &message->sequence, sizeof message->sequence);
  hash = sb_hash_add(hash, &message->enqueued_ms, sizeof message->enqueued_ms);
  hash = sb_hash_add(hash, &len, sizeof len);
  return sb_hash_add(hash, id.at, id.len);
}

void sb_servicebus_message_decode(struct sb_bytes bytes, struct sb_servicebus_message *message) {
  *message = (struct sb_servicebus_message){0};
  struct sections sections = {.body_good = true};
  bool whole = split(bytes, &sections);
  if (!whole) sections.body_good = false;
  struct sb_envelope *envelope = &message->envelope;
  message->has_number = read_u64(&sections.annotations, "x-opt-sequence-number", &message->number);
  message->has_sequence =
      read_u64(&sections.annotations, "x-opt-enqueue-sequence-number", &message->sequence);
  read_u64(&sections.annotations, "x-opt-enqueued-time", &message->enqueued_ms);
  read_u64(&sections.annotations, "x-opt-locked-until", &message->locked_until_ms);
  message->body = read_body(bytes, &sections);
  message->print = print_of(&sections, message);
  struct sb_amqp_value version;
  read_mac(&sections.application, envelope);
  if (sb_amqp_find(&sections.application, "sb-v", &version)) {
    envelope->malformed = !read_batch(&sections, envelope);
    read_claim(&sections.application, envelope);
    return;
  }
  envelope->foreign = true;
  message->channel = read_channel(&sections);
  envelope->malformed = !message->channel || !sections.body_good;
}

void sb_servicebus_message_close(struct sb_servicebus_message *message) {
  sb_body_unref(message->channel);
  sb_body_unref(message->body);
  message->channel = message->body = NULL;
}
