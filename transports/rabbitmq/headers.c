#include "transports/rabbitmq/headers.h"

#include <assert.h>
#include <string.h>

#include "bridge/base/bytes.h"
#include "bridge/base/hash.h"

#define CONTENT_TYPE          "application/vnd.sidebus.resp"
#define CONTENT_ENCODING_LZ4  "lz4"
#define DELIVERY_PERSISTENT   2
#define FINGERPRINT_END_BYTES 64

/* ---- envelope -> properties ---- */

static amqp_table_entry_t string_entry(const char *name, const char *text) {
  return (amqp_table_entry_t){amqp_cstring_bytes(name),
                              {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
}

static amqp_table_entry_t i32_entry(const char *name, uint32_t value) {
  return (amqp_table_entry_t){amqp_cstring_bytes(name),
                              {.kind = AMQP_FIELD_KIND_I32, .value.i32 = (int32_t)value}};
}

static amqp_table_entry_t i64_entry(const char *name, uint64_t value) {
  return (amqp_table_entry_t){amqp_cstring_bytes(name),
                              {.kind = AMQP_FIELD_KIND_I64, .value.i64 = (int64_t)value}};
}

void sb_rabbitmq_headers_encode(struct sb_rabbitmq_headers *headers, const struct sb_envelope *envelope) {
  assert(!envelope->foreign);
  sb_incarnation_text(envelope->incarnation, headers->incarnation);
  memcpy(headers->node, envelope->node, sizeof headers->node);

  amqp_table_entry_t *entry = headers->entries;
  *entry++ = i32_entry("sb-v", envelope->version);
  *entry++ = string_entry("sb-node", headers->node);
  *entry++ = string_entry("sb-inc", headers->incarnation);
  *entry++ = i64_entry("sb-num", envelope->number);
  *entry++ = i64_entry("sb-base", envelope->base);
  *entry++ = i64_entry("sb-gen", envelope->generation);
  *entry++ = i64_entry("sb-time", envelope->time_ms);
  *entry++ = i32_entry("sb-count", envelope->count);
  *entry++ = i32_entry("sb-try", envelope->attempt);
  if (envelope->claim.founding) {
    sb_claim_text(&envelope->claim, headers->claim);
    *entry++ = string_entry("sb-sum", headers->claim);
  }
  if (envelope->has_mac) {
    sb_mac_text(envelope->mac, headers->mac);
    *entry++ = string_entry("sb-mac", headers->mac);
  }
  assert(entry - headers->entries <= SB_RABBITMQ_HEADERS_MAX);

  amqp_basic_properties_t *properties = &headers->properties;
  *properties = (amqp_basic_properties_t){
      ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_HEADERS_FLAG,
      .content_type = amqp_cstring_bytes(CONTENT_TYPE),
      .delivery_mode = DELIVERY_PERSISTENT,
      .headers = {(int)(entry - headers->entries), headers->entries},
  };
  if (envelope->lz4) {
    properties->_flags |= AMQP_BASIC_CONTENT_ENCODING_FLAG;
    properties->content_encoding = amqp_cstring_bytes(CONTENT_ENCODING_LZ4);
  }
}

void sb_rabbitmq_headers_say_user(struct sb_rabbitmq_headers *headers, const char *user) {
  headers->properties._flags |= AMQP_BASIC_USER_ID_FLAG;
  headers->properties.user_id = amqp_cstring_bytes(user);
}

/* ---- properties -> envelope ---- */

static struct sb_bytes view(amqp_bytes_t bytes) {
  return sb_bytes(bytes.bytes, bytes.len);
}

static const amqp_field_value_t *find(const amqp_table_t *headers, const char *name) {
  for (int i = 0; i < headers->num_entries; i++)
    if (sb_bytes_equal(view(headers->entries[i].key), sb_bytes_of(name))) return &headers->entries[i].value;
  return NULL;
}

/* Brokers, and their conversions between formats, choose the width of an integer anew: every width is
 * accepted. */
static bool as_u64(const amqp_field_value_t *value, uint64_t *out) {
  int64_t number;
  switch (value->kind) {
  case AMQP_FIELD_KIND_I8:
    number = value->value.i8 < 0 ? -1 : (uint8_t)value->value.i8;
    break;
  case AMQP_FIELD_KIND_U8:
    number = value->value.u8;
    break;
  case AMQP_FIELD_KIND_I16:
    number = value->value.i16;
    break;
  case AMQP_FIELD_KIND_U16:
    number = value->value.u16;
    break;
  case AMQP_FIELD_KIND_I32:
    number = value->value.i32;
    break;
  case AMQP_FIELD_KIND_U32:
    number = value->value.u32;
    break;
  case AMQP_FIELD_KIND_I64:
    number = value->value.i64;
    break;
  case AMQP_FIELD_KIND_U64:
    *out = value->value.u64;
    return true;
  default:
    return false;
  }
  if (number < 0) return false;
  *out = (uint64_t)number;
  return true;
}

static bool as_text(const amqp_field_value_t *value, struct sb_bytes *out) {
  if (value->kind != AMQP_FIELD_KIND_UTF8 && value->kind != AMQP_FIELD_KIND_BYTES) return false;
  *out = view(value->value.bytes);
  return true;
}

static bool read_u64(const amqp_table_t *headers, const char *name, uint64_t *out) {
  const amqp_field_value_t *value = find(headers, name);
  return value && as_u64(value, out);
}

static bool read_u32(const amqp_table_t *headers, const char *name, uint32_t *out) {
  uint64_t wide;
  if (!read_u64(headers, name, &wide) || wide > UINT32_MAX) return false;
  *out = (uint32_t)wide;
  return true;
}

static bool read_text(const amqp_table_t *headers, const char *name, struct sb_bytes *out) {
  const amqp_field_value_t *value = find(headers, name);
  return value && as_text(value, out);
}

static bool read_node(const amqp_table_t *headers, char out[SB_NODE_NAME_MAX + 1]) {
  struct sb_bytes name;
  if (!read_text(headers, "sb-node", &name) || !sb_node_name_valid((const char *)name.at, name.len))
    return false;
  memcpy(out, name.at, name.len);
  out[name.len] = 0;
  return true;
}

static bool read_incarnation(const amqp_table_t *headers, struct sb_incarnation *out) {
  struct sb_bytes text;
  if (!read_text(headers, "sb-inc", &text) || text.len >= SB_INCARNATION_TEXT) return false;
  return sb_incarnation_parse((const char *)text.at, text.len, out);
}

static bool read_content(const amqp_basic_properties_t *properties, bool *lz4) {
  if (!(properties->_flags & AMQP_BASIC_CONTENT_TYPE_FLAG)) return false;
  if (!sb_bytes_equal(view(properties->content_type), sb_bytes_of(CONTENT_TYPE))) return false;
  *lz4 = false;
  if (!(properties->_flags & AMQP_BASIC_CONTENT_ENCODING_FLAG)) return true;
  if (properties->content_encoding.len == 0) return true;
  *lz4 = sb_bytes_equal(view(properties->content_encoding), sb_bytes_of(CONTENT_ENCODING_LZ4));
  return *lz4;
}

static bool read_batch(const amqp_basic_properties_t *properties, const amqp_table_t *headers,
                       struct sb_envelope *envelope) {
  return read_content(properties, &envelope->lz4) && read_u32(headers, "sb-v", &envelope->version) &&
         read_node(headers, envelope->node) && read_incarnation(headers, &envelope->incarnation) &&
         read_u64(headers, "sb-num", &envelope->number) && read_u64(headers, "sb-base", &envelope->base) &&
         read_u64(headers, "sb-gen", &envelope->generation) &&
         read_u64(headers, "sb-time", &envelope->time_ms) &&
         read_u32(headers, "sb-count", &envelope->count) && read_u32(headers, "sb-try", &envelope->attempt);
}

static void read_claim(const amqp_table_t *headers, struct sb_envelope *envelope) {
  struct sb_bytes text;
  if (read_text(headers, "sb-sum", &text)) sb_claim_parse((const char *)text.at, text.len, &envelope->claim);
}

static void read_mac(const amqp_table_t *headers, struct sb_envelope *envelope) {
  const amqp_field_value_t *value = find(headers, "sb-mac");
  struct sb_bytes text = {0};
  envelope->has_mac = value != NULL;
  if (value && as_text(value, &text)) sb_mac_parse((const char *)text.at, text.len, envelope->mac);
}

static struct sb_body *read_channel(const amqp_table_t *headers) {
  struct sb_bytes name;
  if (!read_text(headers, "channel", &name)) return NULL;
  if (name.len == 0 || name.len > SB_FOREIGN_CHANNEL_MAX) return NULL;
  struct sb_body *channel = sb_body_new(name.len);
  memcpy(channel->data, name.at, name.len);
  return channel;
}

static bool is_trusted(const amqp_basic_properties_t *properties, const struct sb_rabbitmq_trust *trust) {
  if (trust->count == 0) return true;
  if (!(properties->_flags & AMQP_BASIC_USER_ID_FLAG)) return false;
  for (size_t i = 0; i < trust->count; i++)
    if (sb_bytes_equal(view(properties->user_id), sb_bytes_of(trust->users[i]))) return true;
  return false;
}

void sb_rabbitmq_headers_decode(const amqp_basic_properties_t *properties,
                                const struct sb_rabbitmq_trust *trust, bool outside,
                                struct sb_rabbitmq_meta *meta) {
  *meta = (struct sb_rabbitmq_meta){0};
  amqp_table_t headers = amqp_empty_table;
  if (properties->_flags & AMQP_BASIC_HEADERS_FLAG) headers = properties->headers;

  meta->has_offset = read_u64(&headers, "x-stream-offset", &meta->offset);
  struct sb_envelope *envelope = &meta->envelope;
  read_mac(&headers, envelope);
  if (find(&headers, "sb-v")) {
    envelope->malformed = !read_batch(properties, &headers, envelope);
    read_claim(&headers, envelope);
    if (outside || !is_trusted(properties, trust)) envelope->refused = SB_REFUSED_UNTRUSTED;
    return;
  }
  envelope->foreign = true;
  envelope->outside = outside;
  meta->channel = read_channel(&headers);
  envelope->malformed = !meta->channel;
}

/* ---- fingerprint ---- */

static uint64_t mix_u64(uint64_t hash, uint64_t value) {
  return sb_hash_add(hash, &value, sizeof value);
}

static uint64_t mix_ends(uint64_t hash, const struct sb_body *body) {
  size_t len = body ? body->len : 0;
  size_t end = len < FINGERPRINT_END_BYTES ? len : FINGERPRINT_END_BYTES;
  hash = mix_u64(hash, len);
  if (len == 0) return hash;
  hash = sb_hash_add(hash, body->data, end);
  return sb_hash_add(hash, body->data + len - end, end);
}

uint64_t sb_rabbitmq_fingerprint(const struct sb_envelope *envelope, const struct sb_body *channel,
                                 const struct sb_body *body) {
  uint64_t hash = SB_HASH_START;
  hash = mix_u64(hash, (uint64_t)envelope->foreign << 1 | (uint64_t)envelope->malformed);
  hash = mix_u64(hash, envelope->incarnation.start_ms);
  hash = mix_u64(hash, envelope->incarnation.nonce);
  hash = mix_u64(hash, envelope->number);
  hash = mix_u64(hash, envelope->base);
  hash = mix_u64(hash, envelope->generation);
  hash = mix_u64(hash, envelope->time_ms);
  hash = mix_u64(hash, (uint64_t)envelope->count << 32 | envelope->attempt);
  hash = sb_hash_add(hash, envelope->node, strnlen(envelope->node, sizeof envelope->node));
  hash = mix_ends(hash, channel);
  return mix_ends(hash, body);
}
