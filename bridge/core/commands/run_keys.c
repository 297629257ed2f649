/* Strings, and what is done to keys of any kind. */
#include "bridge/core/commands/op.h"
#include "bridge/core/commands/run.h"

/* Removes a key, and of a stream its entries too. A string may share its name with a channel, whose messages
 * stay. */
static void remove_key(struct sb_op_place *place, struct sb_key *key, struct sb_bytes name) {
  bool stream = key->kind == SB_KEY_STREAM;
  sb_keys_remove(place->keys, key);
  if (stream && place->history) sb_history_forget(place->history, name);
  place->written = true;
}

struct expiry {
  uint64_t log_ms, asked_ms; /* 0: none */
};

static struct expiry expiry_of(const struct sb_key *key) {
  return key ? (struct expiry){key->expires_ms, key->asked_ms} : (struct expiry){0, 0};
}

static bool store(struct sb_op_place *place, const struct sb_key *key, struct sb_bytes name,
                  struct sb_bytes value, struct expiry expiry) {
  bool stream = key && key->kind == SB_KEY_STREAM;
  if (!sb_keys_set_string(place->keys, name, value, expiry.log_ms)) return false;
  if (expiry.asked_ms) sb_keys_set_asked(sb_op_find_key(place, name), expiry.asked_ms);
  if (stream && place->history) sb_history_forget(place->history, name);
  place->written = true;
  return true;
}

static void say_value(struct sb_op_place *place, const struct sb_key *key) {
  if (!place->reply) return;
  if (key && place->reply_max > 0 && place->reply->len + key->value_len > place->reply_max)
    sb_op_say_error(place, SB_OP_LARGE_REPLY);
  else if (key)
    sb_reply_bulk(place->reply, sb_bytes(key->value, key->value_len));
  else
    sb_reply_null(place->reply, place->proto);
}

/* ---- times ---- */

static int64_t now_of(const struct sb_op_place *place) {
  return place->now_ms > INT64_MAX ? INT64_MAX : (int64_t)place->now_ms;
}

/* The log time at which the command lets the key expire; false: there is no such time. A command that did not
 * travel may still have a Unix time. That is taken for log time, which it is where the founder's clock is
 * right. */
static bool time_of(const struct sb_op *op, const struct sb_op_place *place, int64_t *out) {
  int64_t now = op->expiry == SB_EXPIRY_AT ? 0 : now_of(place);
  if (op->expiry_ms > INT64_MAX - now) return false;
  *out = op->expiry_ms + now;
  return true;
}

/* ---- strings ---- */

static void run_get(const struct sb_op *op, struct sb_op_place *place) {
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  if (key && key->kind != SB_KEY_STRING)
    sb_op_say_error(place, SB_OP_WRONG_TYPE);
  else
    say_value(place, key);
}

static void run_getdel(const struct sb_op *op, struct sb_op_place *place) {
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  run_get(op, place);
  if (sb_op_is_string(key)) remove_key(place, key, op->keys[0]);
}

static void say_set(const struct sb_op *op, struct sb_op_place *place, bool done) {
  if (op->get) return;
  if (op->name == SB_OP_SETNX)
    sb_op_say_integer(place, done);
  else if (done)
    sb_op_say_simple(place, "OK");
  else
    sb_op_say_null(place);
}

/* Gives the key its value, or takes it away when that value's time has come. */
static bool set_value(const struct sb_op *op, struct sb_op_place *place, struct sb_key *key,
                      int64_t expires_ms) {
  bool timed = op->expiry == SB_EXPIRY_AFTER || op->expiry == SB_EXPIRY_AT;
  if (timed && expires_ms <= now_of(place)) {
    if (key) remove_key(place, key, op->keys[0]);
    return true;
  }
  struct expiry expiry = {timed ? (uint64_t)expires_ms : 0, op->asked_ms};
  if (op->expiry == SB_EXPIRY_KEEP) expiry = expiry_of(key);
  return store(place, key, op->keys[0], op->value, expiry);
}

static void run_set(const struct sb_op *op, struct sb_op_place *place) {
  int64_t expires_ms = 0;
  if (!time_of(op, place, &expires_ms)) {
    sb_op_say_error(place, sb_op_bad_expiry(op->name));
    return;
  }
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  if (op->get && key && key->kind != SB_KEY_STRING) {
    sb_op_say_error(place, SB_OP_WRONG_TYPE);
    return;
  }
  size_t before = place->reply ? place->reply->len : 0;
  if (op->get) say_value(place, key);
  if (op->condition == SB_IF_ABSENT ? key != NULL : op->condition == SB_IF_PRESENT && !key) {
    say_set(op, place, false);
    return;
  }
  if (set_value(op, place, key, expires_ms)) {
    say_set(op, place, true);
    return;
  }
  if (place->reply) place->reply->len = before;
  sb_op_say_error(place, SB_OP_KEYS_FULL);
}

static void run_incr(const struct sb_op *op, struct sb_op_place *place) {
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  int64_t value = 0;
  if (key && key->kind != SB_KEY_STRING) {
    sb_op_say_error(place, SB_OP_WRONG_TYPE);
    return;
  }
  if (key && !sb_bytes_i64(sb_bytes(key->value, key->value_len), &value)) {
    sb_op_say_error(place, SB_OP_NOT_INTEGER);
    return;
  }
  if (op->by < 0 ? value < INT64_MIN - op->by : value > INT64_MAX - op->by) {
    sb_op_say_error(place, SB_OP_OVERFLOW);
    return;
  }
  value += op->by;
  char text[21];
  struct sb_bytes written = sb_bytes(text, sb_op_i64_text(value, text));
  if (store(place, key, op->keys[0], written, expiry_of(key)))
    sb_op_say_integer(place, value);
  else
    sb_op_say_error(place, SB_OP_KEYS_FULL);
}

/* ---- keys of any kind ---- */

static void run_del(const struct sb_op *op, struct sb_op_place *place) {
  int64_t removed = 0;
  for (uint32_t i = 0; i < op->keys_count; i++) {
    struct sb_key *key = sb_op_find_key(place, op->keys[i]);
    if (!key) continue; /* a name that was only published to is no key: its history stays */
    remove_key(place, key, op->keys[i]);
    removed++;
  }
  sb_op_say_integer(place, removed);
}

static void run_exists(const struct sb_op *op, struct sb_op_place *place) {
  int64_t count = 0;
  for (uint32_t i = 0; i < op->keys_count; i++) count += sb_op_find_key(place, op->keys[i]) != NULL;
  sb_op_say_integer(place, count);
}

static void run_type(const struct sb_op *op, struct sb_op_place *place) {
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  if (sb_op_is_string(key))
    sb_op_say_simple(place, "string");
  else
    sb_op_say_simple(place, key ? "stream" : "none");
}

static void run_ttl(const struct sb_op *op, struct sb_op_place *place) {
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  if (!key || key->expires_ms == 0) {
    sb_op_say_integer(place, key ? -1 : -2);
    return;
  }
  uint64_t ms = key->asked_ms ? key->asked_ms : key->expires_ms;
  if (op->name == SB_OP_TTL || op->name == SB_OP_PTTL) ms = key->expires_ms - place->now_ms;
  bool seconds = op->name == SB_OP_TTL || op->name == SB_OP_EXPIRETIME;
  sb_op_say_integer(place, (int64_t)(seconds ? ms / 1000 + (ms % 1000 >= 500) : ms));
}

/* 0 in `has_ms`: the key does not expire, which is later than any time. */
static bool expiry_holds(enum sb_op_condition condition, uint64_t has_ms, int64_t wanted_ms) {
  bool earlier = wanted_ms < 0 || (uint64_t)wanted_ms < has_ms;
  switch (condition) {
  case SB_IF_ABSENT:
    return has_ms == 0;
  case SB_IF_PRESENT:
    return has_ms != 0;
  case SB_IF_LATER:
    return has_ms != 0 && wanted_ms > 0 && (uint64_t)wanted_ms > has_ms;
  case SB_IF_EARLIER:
    return has_ms == 0 || earlier;
  case SB_IF_PRESENT_EARLIER:
    return has_ms != 0 && earlier;
  default:
    return true;
  }
}

static void run_expire(const struct sb_op *op, struct sb_op_place *place) {
  int64_t expires_ms;
  if (!time_of(op, place, &expires_ms)) {
    sb_op_say_error(place, sb_op_bad_expiry(op->name));
    return;
  }
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  bool by_asked = key && key->asked_ms != 0 &&
                  op->asked_ms != 0; /* both clients gave one: log times differ by a little */
  if (!key || !(by_asked ? expiry_holds(op->condition, key->asked_ms, (int64_t)op->asked_ms)
                         : expiry_holds(op->condition, key->expires_ms, expires_ms))) {
    sb_op_say_integer(place, 0);
    return;
  }
  if (expires_ms <= now_of(place)) {
    remove_key(place, key, op->keys[0]);
  } else {
    sb_keys_set_expiry(place->keys, key, (uint64_t)expires_ms);
    sb_keys_set_asked(key, op->asked_ms);
  }
  place->written = true;
  sb_op_say_integer(place, 1);
}

static void run_persist(const struct sb_op *op, struct sb_op_place *place) {
  struct sb_key *key = sb_op_find_key(place, op->keys[0]);
  bool expires = key && key->expires_ms != 0;
  if (expires) {
    sb_keys_set_expiry(place->keys, key, 0);
    place->written = true;
  }
  sb_op_say_integer(place, expires);
}

size_t sb_op_stores(const struct sb_op *op, const struct sb_keys *keys, uint64_t now_ms) {
  size_t value = 0;
  switch (op->name) {
  case SB_OP_SET:
  case SB_OP_SETNX:
  case SB_OP_SETEX:
  case SB_OP_PSETEX:
  case SB_OP_GETSET:
    value = op->value.len;
    break;
  case SB_OP_INCR:
  case SB_OP_DECR:
  case SB_OP_INCRBY:
  case SB_OP_DECRBY:
    value = SB_OP_STORED_MAX - SB_KEY_OVERHEAD;
    break;
  case SB_OP_XADD:
    break;
  default:
    return 0;
  }
  const struct sb_key *key = sb_keys_find(keys, op->keys[0], now_ms);
  if (key) return value > key->value_len ? value - key->value_len : 0;
  return SB_KEY_OVERHEAD + op->keys[0].len + value;
}

void sb_op_run(const struct sb_op *op, struct sb_op_place *place) {
  switch (op->name) {
  case SB_OP_GET:
    run_get(op, place);
    return;
  case SB_OP_SET:
  case SB_OP_SETNX:
  case SB_OP_SETEX:
  case SB_OP_PSETEX:
  case SB_OP_GETSET:
    run_set(op, place);
    return;
  case SB_OP_GETDEL:
    run_getdel(op, place);
    return;
  case SB_OP_INCR:
  case SB_OP_DECR:
  case SB_OP_INCRBY:
  case SB_OP_DECRBY:
    run_incr(op, place);
    return;
  case SB_OP_DEL:
  case SB_OP_UNLINK:
    run_del(op, place);
    return;
  case SB_OP_EXISTS:
    run_exists(op, place);
    return;
  case SB_OP_TYPE:
    run_type(op, place);
    return;
  case SB_OP_TTL:
  case SB_OP_PTTL:
  case SB_OP_EXPIRETIME:
  case SB_OP_PEXPIRETIME:
    run_ttl(op, place);
    return;
  case SB_OP_EXPIRE:
  case SB_OP_PEXPIRE:
  case SB_OP_EXPIREAT:
  case SB_OP_PEXPIREAT:
    run_expire(op, place);
    return;
  case SB_OP_PERSIST:
    run_persist(op, place);
    return;
  default:
    sb_op_run_stream(op, place);
    return;
  }
}
