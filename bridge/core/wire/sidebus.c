#include "bridge/core/wire/sidebus.h"

#include "bridge/base/limits.h"
#include "bridge/core/wire/entry.h"

#define HEAD_ARGS     2 /* SIDEBUS and the word */
#define BYE_ARGS      6
#define INTEREST_ARGS 5
#define NUMBER_ARGS   4
#define PART_ARGS     5
#define ARGS_MAX      10 /* more is none of these */

static const char *const words[SB_SIDEBUS_WORDS] = {"BYE",     "INTEREST", "NUMBER",
                                                    "RESTORE", "RESTORED", "PART"};
static const char *const kind_names[SB_SUB_KINDS] = {"channel", "pattern", "shard"};

/* ---- reading ---- */

static bool read_bye(const struct sb_bytes *args, uint32_t count, struct sb_bye *out) {
  if (count != BYE_ARGS || !sb_node_name_valid((const char *)args[2].at, args[2].len)) return false;
  memcpy(out->name, args[2].at, args[2].len);
  out->name[args[2].len] = 0;
  out->last = sb_bytes_equal(args[5], sb_bytes_of("last"));
  return sb_incarnation_parse((const char *)args[3].at, args[3].len, &out->incarnation) &&
         sb_bytes_u64(args[4], UINT64_MAX, &out->number) &&
         (out->last || sb_bytes_equal(args[5], sb_bytes_of("more")));
}

static bool read_interest(const struct sb_bytes *args, uint32_t count, struct sb_said_interest *out) {
  uint64_t sessions;
  if (count != INTEREST_ARGS || !sb_bytes_u64(args[4], SB_INTEREST_COUNT_MAX, &sessions)) return false;
  int kind = 0;
  while (kind < SB_SUB_KINDS && !sb_bytes_equal(args[2], sb_bytes_of(kind_names[kind]))) kind++;
  *out = (struct sb_said_interest){(enum sb_sub_kind)kind, args[3], (uint32_t)sessions};
  return kind < SB_SUB_KINDS;
}

static bool read_number(const struct sb_bytes *args, uint32_t count, struct sb_numbered *out) {
  if (count != NUMBER_ARGS) return false;
  *out = (struct sb_numbered){args[2], args[3]};
  return true;
}

static bool read_part(const struct sb_bytes *args, uint32_t arg_count, struct sb_fragment *out) {
  uint64_t index, count;
  if (arg_count != PART_ARGS || !sb_bytes_u64(args[3], SB_FRAGMENTS_MAX, &count) || count < 2 ||
      !sb_bytes_u64(args[2], count, &index) || index == 0 || args[4].len == 0)
    return false;
  *out = (struct sb_fragment){(uint32_t)index, (uint32_t)count, args[4]};
  return true;
}

static bool read_word(struct sb_bytes text, enum sb_sidebus_word *out) {
  int word = 0;
  while (word < SB_SIDEBUS_WORDS && !sb_bytes_equal(text, sb_bytes_of(words[word]))) word++;
  *out = (enum sb_sidebus_word)word;
  return word < SB_SIDEBUS_WORDS;
}

static bool read_at(struct sb_bytes body, uint32_t *off, struct sb_sidebus *out) {
  struct sb_bytes args[ARGS_MAX];
  uint32_t count = sb_entry_args(body, off, args, ARGS_MAX);
  if (count < HEAD_ARGS || !sb_bytes_equal(args[0], sb_bytes_of("SIDEBUS")) ||
      !read_word(args[1], &out->word))
    return false;
  switch (out->word) {
  case SB_SIDEBUS_BYE:
    return read_bye(args, count, &out->bye);
  case SB_SIDEBUS_INTEREST:
    return read_interest(args, count, &out->interest);
  case SB_SIDEBUS_NUMBER:
    return read_number(args, count, &out->number);
  case SB_SIDEBUS_RESTORE:
    return sb_key_text_read(args + HEAD_ARGS, count - HEAD_ARGS, &out->restore);
  case SB_SIDEBUS_RESTORED:
    return count == HEAD_ARGS;
  default:
    return read_part(args, count, &out->fragment);
  }
}

bool sb_sidebus_read(struct sb_bytes body, uint32_t off, struct sb_sidebus *out) {
  return read_at(body, &off, out);
}

bool sb_fragment_read(struct sb_bytes body, struct sb_fragment *out) {
  struct sb_sidebus read;
  uint32_t off = 0;
  if (!read_at(body, &off, &read) || read.word != SB_SIDEBUS_PART || off != body.len) return false;
  *out = read.fragment;
  return true;
}

/* ---- writing ---- */

/* Arguments, with the numbers among them as text. */
struct written {
  struct sb_bytes args[ARGS_MAX];
  uint32_t count;
  char incarnation[SB_INCARNATION_TEXT], first[20], second[20];
  struct sb_key_text_scratch key;
};

static void add(struct written *to, struct sb_bytes arg) {
  to->args[to->count++] = arg;
}

static struct sb_bytes number(uint64_t value, char text[20]) {
  return sb_bytes(text, sb_u64_text(value, text));
}

static void add_bye(struct written *to, const struct sb_bye *bye) {
  sb_incarnation_text(bye->incarnation, to->incarnation);
  add(to, sb_bytes_of(bye->name));
  add(to, sb_bytes_of(to->incarnation));
  add(to, number(bye->number, to->first));
  add(to, sb_bytes_of(bye->last ? "last" : "more"));
}

static void add_interest(struct written *to, const struct sb_said_interest *interest) {
  add(to, sb_bytes_of(kind_names[interest->kind]));
  add(to, interest->name);
  add(to, number(interest->count, to->first));
}

static void add_part(struct written *to, const struct sb_fragment *fragment) {
  add(to, number(fragment->index, to->first));
  add(to, number(fragment->count, to->second));
  add(to, fragment->bytes);
}

static void fill(struct written *to, const struct sb_sidebus *entry) {
  to->count = 0;
  add(to, sb_bytes_of("SIDEBUS"));
  add(to, sb_bytes_of(words[entry->word]));
  switch (entry->word) {
  case SB_SIDEBUS_BYE:
    add_bye(to, &entry->bye);
    break;
  case SB_SIDEBUS_INTEREST:
    add_interest(to, &entry->interest);
    break;
  case SB_SIDEBUS_NUMBER:
    add(to, entry->number.key);
    add(to, entry->number.payload);
    break;
  case SB_SIDEBUS_RESTORE:
    to->count += sb_key_text_args(&entry->restore, &to->key, to->args + to->count);
    break;
  case SB_SIDEBUS_PART:
    add_part(to, &entry->fragment);
    break;
  default: /* RESTORED has no more arguments */
    break;
  }
}

size_t sb_sidebus_size(const struct sb_sidebus *entry) {
  struct written written;
  fill(&written, entry);
  return sb_entry_size(written.args, written.count);
}

void sb_sidebus_write(uint8_t *at, const struct sb_sidebus *entry) {
  struct written written;
  fill(&written, entry);
  sb_entry_write(at, written.args, written.count);
}

void sb_sidebus_append(struct sb_buf *out, const struct sb_sidebus *entry) {
  struct written written;
  fill(&written, entry);
  sb_entry_append(out, written.args, written.count);
}
