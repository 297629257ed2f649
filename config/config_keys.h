/* The table of all keys: what a key is called, where its value lives in struct sb_config, and what values it
 * may have. Everything that reads or writes settings by name goes through it. Internal to config/ and its
 * tests. */
#ifndef SB_CONFIG_CONFIG_KEYS_H
#define SB_CONFIG_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/base/bytes.h"
#include "config/config.h"

#define SB_CONFIG_SUBSCRIPTION_MAX 50 /* bytes: the service's own limit */

enum sb_config_type {
  SB_CONFIG_TEXT,   /* char *, NULL when absent */
  SB_CONFIG_TEXTS,  /* struct sb_config_texts */
  SB_CONFIG_U32,    /* uint32_t */
  SB_CONFIG_U64,    /* uint64_t */
  SB_CONFIG_BOOL,   /* bool */
  SB_CONFIG_CHOICE, /* an enum whose values number the choices */
  SB_CONFIG_MODE,   /* uint32_t, permission bits, written in octal */
};

struct sb_config_key {
  const char *path; /* "rabbitmq.tls.ca_file" */
  enum sb_config_type type;
  bool reload; /* may change in a running bridge */
  size_t offset;
  uint64_t min, max;                      /* of a number; of the bytes of a text */
  uint64_t number;                        /* the default of a number, mode, bool or choice, unless
                                             config_defaults.h has another for this broker */
  const char *text;                       /* the default of a text or the one item of a list; NULL: absent */
  const char *const *choices;             /* ended by NULL */
  const char *(*check)(const char *text); /* of a text or item: NULL, or what would be right */
};

/* The keys of one group stand together, and inner groups at the end of theirs. */
extern const struct sb_config_key sb_config_keys[];
extern const size_t sb_config_key_count;

/* Stores a number, mode, bool or choice; it must be in the key's range. */
void sb_config_key_set(const struct sb_config_key *key, struct sb_config *config, uint64_t number);

/* NULL when there is none. */
const struct sb_config_key *sb_config_key_find(const char *path);

/* Whether some key's path begins with "<path>."; the root is "". */
bool sb_config_group_exists(const char *path);

/* The last part of a path. */
const char *sb_config_leaf(const char *path);

/* The value as it is written in a file; nothing for a key that is absent. */
void sb_config_key_write(const struct sb_config_key *key, const struct sb_config *config, struct sb_buf *out);

static inline void *sb_config_key_at(const struct sb_config_key *key, struct sb_config *config) {
  return (char *)config + key->offset;
}
static inline const void *sb_config_key_in(const struct sb_config_key *key, const struct sb_config *config) {
  return (const char *)config + key->offset;
}

void sb_config_texts_close(struct sb_config_texts *texts);
void sb_config_texts_add(struct sb_config_texts *texts, const char *text);

/* Takes "amqp://host[:port]" or "amqps://…" apart; NULL, or what would be right. `out` may be NULL to check
 * only. out->name is the caller's to free. */
const char *sb_config_host_parse(const char *text, struct sb_config_host *out);

/* The same for "host" or "host:port", an IPv6 address in brackets; out->port is 0 when there is none. */
const char *sb_config_namespace_parse(const char *text, struct sb_config_host *out);

/* Whether Service Bus takes it as the name of a subscription; NULL, or what would be right. */
const char *sb_config_subscription_check(const char *text);

#endif
