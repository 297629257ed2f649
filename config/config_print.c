#include <string.h>

#include "config/config_keys.h"

static size_t depth_of(const char *path) {
  size_t depth = 0;
  for (; *path; path++) depth += *path == '.';
  return depth;
}

static void indent(struct sb_buf *out, size_t depth) {
  for (size_t i = 0; i < depth; i++) sb_buf_text(out, "  ");
}

/* Bytes of the path up to and with its n-th dot. */
static size_t prefix_of(const char *path, size_t n) {
  size_t len = 0;
  for (; n > 0; len++) n -= path[len] == '.';
  return len;
}

/* Closes the groups of `last` that `next` does not stand in and opens those it does. */
static void change_group(const char *last, const char *next, struct sb_buf *out) {
  size_t old = depth_of(last), new = depth_of(next), shared = 0;
  while (shared < old && shared < new &&prefix_of(last, shared + 1) == prefix_of(next, shared + 1) &&
         strncmp(last, next, prefix_of(next, shared + 1)) == 0)
    shared++;
  for (; old > shared; old--) {
    indent(out, old - 1);
    sb_buf_text(out, "};\n");
  }
  for (; shared < new; shared++) {
    size_t from = prefix_of(next, shared);
    indent(out, shared);
    sb_buf_append(out, next + from, prefix_of(next, shared + 1) - from - 1);
    sb_buf_text(out, " = {\n");
  }
}

/* A key that names the file of a secret: only whether there is a secret may be printed. */
static bool tells_of_secret(const char *path, const struct sb_config *config, const char **what, bool *set) {
  const struct {
    const char *path, *what;
    bool set;
  } secrets[] = {
      {"socket.password_file", "password", config->socket.password},
      {"tcp.password_file", "password", config->tcp.password},
      {"hub.key_file", "key", config->hub.key},
      {"hub.other_key_file", "key", config->hub.other_key},
      {"rabbitmq.password_file", "password", config->rabbitmq.password},
      {"servicebus.key_file", "key", config->servicebus.resolved.key || config->servicebus.resolved.token},
  };
  for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
    if (strcmp(path, secrets[i].path) != 0) continue;
    *what = secrets[i].what;
    *set = secrets[i].set;
    return true;
  }
  return false;
}

void sb_config_print(const struct sb_config *config, struct sb_buf *out) {
  const char *last = "";
  struct sb_buf value = {0};
  for (size_t i = 0; i < sb_config_key_count; i++) {
    const struct sb_config_key *key = &sb_config_keys[i];
    if (!config->tcp.on && strncmp(key->path, "tcp.", 4) == 0) continue;
    change_group(last, key->path, out);
    last = key->path;
    indent(out, depth_of(key->path));
    sb_buf_clear(&value);
    sb_config_key_write(key, config, &value);
    if (value.len)
      sb_buf_printf(out, "%s = %.*s;\n", sb_config_leaf(key->path), (int)value.len, (const char *)value.data);
    else
      sb_buf_printf(out, "# %s: not set\n", sb_config_leaf(key->path));
    const char *what;
    bool set;
    if (!tells_of_secret(key->path, config, &what, &set)) continue;
    indent(out, depth_of(key->path));
    sb_buf_printf(out, "# %s: %s\n", what, set ? "<set>" : "not set");
  }
  change_group(last, "", out);
  sb_buf_close(&value);
}
