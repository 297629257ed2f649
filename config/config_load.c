/* From the text of a file to struct sb_config, by way of libconfig and the table of keys. */
#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <libgen.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/base/error.h"
#include "config/config.h"
#include "config/config_check.h"
#include "config/config_defaults.h"
#include "config/config_keys.h"
#include "config/source_scan.h"
#include "config/suggest.h"

#define FILE_BYTES_MAX ((size_t)1024 * 1024) /* a configuration of a few KiB, with much comment */
#define LIST_ITEMS_MAX 1024
#define FILES_MAX      64
#define PIPE_WAIT_MS   2000 /* for the program that writes into it */
#define CUT_LITERALS   64   /* numbers that were cut are reported up to here */
#define KEY_PATH_MAX   256

struct reading {
  struct sb_config *config;
  struct sb_config_report *report;
  struct sb_config_origin *origin; /* of the configuration that is being read */
  const char *files[FILES_MAX];    /* included, and looked at */
  size_t file_count;
  struct {
    const char *file;
    unsigned line;
  } cut[CUT_LITERALS];
  size_t cut_count;
  int included; /* times that a file is included */
  const char *scanning;
};

static const char *file_of(const struct reading *r, const config_setting_t *setting) {
  const char *file = config_setting_source_file(setting);
  return file ? file : r->origin->path;
}

/* Every complaint about one setting goes through here. */
__attribute__((format(printf, 4, 5))) static void wrong(struct reading *r, const config_setting_t *setting,
                                                        const char *path, const char *format, ...) {
  char text[SB_ERROR_TEXT_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  sb_config_report_add(r->report, false, "%s:%u: %s: %s", file_of(r, setting),
                       (unsigned)config_setting_source_line(setting), path, text);
}

/* Reads; waits PIPE_WAIT_MS for a pipe that brings nothing. -1: errno says why. */
static ssize_t read_some(int fd, uint8_t *at, size_t cap) {
  struct pollfd readable = {.fd = fd, .events = POLLIN};
  for (;;) {
    int ready = poll(&readable, 1, PIPE_WAIT_MS);
    if (ready == 0) errno = ETIMEDOUT;
    if (ready == 0 || (ready < 0 && errno != EINTR)) return -1;
    ssize_t n = ready > 0 ? read(fd, at, cap) : -1;
    if (n >= 0 || (errno != EINTR && errno != EAGAIN)) return n;
  }
}

/* Not more than one byte beyond the limit. 0 or an errno. */
static int read_all(int fd, struct sb_buf *out) {
  sb_buf_reserve(out, FILE_BYTES_MAX + 1);
  while (out->len <= FILE_BYTES_MAX) {
    ssize_t n = read_some(fd, out->data + out->len, FILE_BYTES_MAX + 1 - out->len);
    if (n < 0) return errno;
    if (n == 0) return 0;
    out->len += (size_t)n;
  }
  return 0;
}

/* `regular`: it must be a file that can be opened again, and opening it does not wait for anybody. */
static int read_file(const char *path, bool regular, struct sb_buf *out, struct sb_error *error) {
  struct stat is = {0};
  int failed = 0, fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &is) != 0) failed = errno;
  bool other = !failed && regular && !S_ISREG(is.st_mode) && !S_ISDIR(is.st_mode);
  if (!failed && !other) failed = read_all(fd, out);
  if (fd >= 0) close(fd);
  if (other) return sb_error_set(error, SB_ERR_INVALID, "%s: is not a regular file", path);
  if (failed == ETIMEDOUT)
    return sb_error_set(error, SB_ERR_INVALID, "%s: cannot be read: nobody writes into this pipe", path);
  if (failed) return sb_error_errno(error, failed, "%s: cannot be read", path);
  if (out->len > FILE_BYTES_MAX)
    return sb_error_set(error, SB_ERR_INVALID, "%s: is larger than 1 MiB: not a configuration", path);
  if (memchr(out->data, 0, out->len))
    return sb_error_set(error, SB_ERR_INVALID, "%s: holds a zero byte: not a text", path);
  sb_buf_append(out, "", 1);
  out->len--;
  return 0;
}

/* ---- included files: libconfig ends the process when one is a folder, and waits for a pipe ---- */

struct including {
  struct reading *r;
  const char *file;
};

static void look_at_included(void *owner, enum sb_source_fault fault, unsigned line, struct sb_bytes name);

/* Finds it as libconfig does: beside the first file; in some versions an absolute path stands for itself. */
static int read_included(const struct reading *r, const char *name, struct sb_buf *text,
                         struct sb_error *error) {
  struct sb_buf path = {0};
  const char *slash = strrchr(r->origin->path, '/');
  if (slash) sb_buf_append(&path, r->origin->path, (size_t)(slash - r->origin->path) + 1);
  sb_buf_append(&path, name, strlen(name) + 1);
  int rc = read_file((const char *)path.data, true, text, error);
  if (rc && name[0] == '/') {
    sb_buf_clear(text);
    rc = read_file(name, true, text, error);
  }
  sb_buf_close(&path);
  return rc;
}

static void look_at_included(void *owner, enum sb_source_fault fault, unsigned line, struct sb_bytes name) {
  const struct including *from = owner;
  struct reading *r = from->r;
  if (fault != SB_SOURCE_INCLUDES || r->included > FILES_MAX) return;
  if (++r->included > FILES_MAX) {
    sb_config_report_add(r->report, false,
                         "%s:%u: more than %d files are included; a file may not include itself", from->file,
                         line, FILES_MAX);
    return;
  }
  struct sb_buf text = {0}, own = {0};
  struct sb_error error;
  sb_buf_append(&own, name.at, name.len);
  sb_buf_append(&own, "", 1);
  const char *file = (const char *)own.data;
  if (read_included(r, file, &text, &error) == 0) {
    struct including next = {r, file};
    sb_source_scan(sb_buf_bytes(&text), look_at_included, &next);
  } else {
    sb_config_report_add(r->report, false, "%s:%u: @include \"%.100s\": %s", from->file, line, file,
                         error.text);
  }
  sb_buf_close(&text);
  sb_buf_close(&own);
}

/* True when all included files, and those that they include, may be given to libconfig. */
static bool may_include(struct reading *r, struct sb_bytes text) {
  size_t errors = r->report->errors;
  struct including first = {r, r->origin->path};
  sb_source_scan(text, look_at_included, &first);
  return r->report->errors == errors;
}

static void on_fault(void *owner, enum sb_source_fault fault, unsigned line, struct sb_bytes what) {
  struct reading *r = owner;
  int len = what.len < 40 ? (int)what.len : 40;
  const char *at = (const char *)what.at;
  switch (fault) {
  case SB_SOURCE_UNCLOSED_TEXT:
    sb_config_report_add(r->report, false, "%s:%u: this text has no end; write a closing \"", r->scanning,
                         line);
    return;
  case SB_SOURCE_UNCLOSED_COMMENT:
    sb_config_report_add(r->report, false, "%s:%u: this comment has no end; write */", r->scanning, line);
    return;
  case SB_SOURCE_NEEDS_L:
    sb_config_report_add(r->report, false, "%s:%u: %.*s has more than 31 bits; write %.*sL", r->scanning,
                         line, len, at, len, at);
    break;
  case SB_SOURCE_TOO_LARGE:
    sb_config_report_add(r->report, false, "%s:%u: %.*s has more than 63 bits; write a smaller number",
                         r->scanning, line, len, at);
    break;
  case SB_SOURCE_INCLUDES:
    return;
  }
  if (r->cut_count == CUT_LITERALS) return;
  r->cut[r->cut_count].file = r->scanning;
  r->cut[r->cut_count++].line = line;
}

static void scan_source(struct reading *r, const char *file, struct sb_bytes text) {
  r->scanning = file;
  sb_source_scan(text, on_fault, r);
}

/* libconfig looks for an included file beside the including one, and may name it as it was written there. */
static void scan_included(struct reading *r, const char *file) {
  for (size_t i = 0; i < r->file_count; i++)
    if (strcmp(r->files[i], file) == 0) return;
  if (strcmp(r->origin->path, file) == 0 || r->file_count == FILES_MAX) return;
  r->files[r->file_count++] = file;
  struct sb_buf text = {0};
  struct sb_error error;
  if (read_included(r, file, &text, &error) == 0 || read_file(file, true, &text, &error) == 0)
    scan_source(r, file, sb_buf_bytes(&text));
  else
    sb_config_report_add(r->report, false, "%s", error.text);
  sb_buf_close(&text);
}

static bool was_cut(const struct reading *r, const config_setting_t *setting) {
  for (size_t i = 0; i < r->cut_count; i++)
    if (r->cut[i].line == config_setting_source_line(setting) &&
        strcmp(r->cut[i].file, file_of(r, setting)) == 0)
      return true;
  return false;
}

static const char *kind_of(const config_setting_t *setting) {
  switch (config_setting_type(setting)) {
  case CONFIG_TYPE_GROUP:
    return "a group";
  case CONFIG_TYPE_INT:
  case CONFIG_TYPE_INT64:
    return "a number";
  case CONFIG_TYPE_FLOAT:
    return "a number with a fraction";
  case CONFIG_TYPE_STRING:
    return "a text";
  case CONFIG_TYPE_BOOL:
    return "true or false";
  default:
    return "a list";
  }
}

static bool is_integer(const config_setting_t *setting) {
  int type = config_setting_type(setting);
  return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

static long long integer_of(const config_setting_t *setting) {
  return config_setting_type(setting) == CONFIG_TYPE_INT ? config_setting_get_int(setting)
                                                         : config_setting_get_int64(setting);
}

static void read_number(struct reading *r, const struct sb_config_key *key, const config_setting_t *setting) {
  if (!is_integer(setting)) {
    wrong(r, setting, key->path, "is %s; write a whole number from %llu to %llu", kind_of(setting),
          (unsigned long long)key->min, (unsigned long long)key->max);
    return;
  }
  long long value = integer_of(setting);
  if (value < 0 || (unsigned long long)value < key->min || (unsigned long long)value > key->max) {
    if (was_cut(r, setting)) return; /* libconfig cut it: it was reported */
    wrong(r, setting, key->path, "%lld is out of range; write a number from %llu to %llu", value,
          (unsigned long long)key->min, (unsigned long long)key->max);
    return;
  }
  if (key->type == SB_CONFIG_U32)
    *(uint32_t *)sb_config_key_at(key, r->config) = (uint32_t)value;
  else
    *(uint64_t *)sb_config_key_at(key, r->config) = (uint64_t)value;
}

/* libconfig up to 1.5 reads 0660 as the decimal 660, later versions as octal. */
static bool libconfig_reads_octal(void) {
  config_t probe;
  int value = 0;
  config_init(&probe);
  bool octal = config_read_string(&probe, "a = 010;") && config_lookup_int(&probe, "a", &value) && value == 8;
  config_destroy(&probe);
  return octal;
}

/* The permission bits that a mode stands for, or -1. */
static long mode_of(const config_setting_t *setting) {
  char digits[24];
  if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
    const char *text = config_setting_get_string(setting);
    if (strlen(text) >= sizeof digits) return -1;
    memcpy(digits, text, strlen(text) + 1);
  } else {
    long long value = integer_of(setting);
    if (value < 0) return -1;
    bool is_value = config_setting_get_format(setting) == CONFIG_FORMAT_HEX || libconfig_reads_octal();
    snprintf(digits, sizeof digits, is_value ? "%llo" : "%lld", value);
  }
  if (digits[0] == 0 || digits[strspn(digits, "01234567")] != 0) return -1;
  return strtol(digits, NULL, 8);
}

static void read_mode(struct reading *r, const struct sb_config_key *key, const config_setting_t *setting) {
  static const char *const right = "write permissions in octal, for example 0660";
  if (!is_integer(setting) && config_setting_type(setting) != CONFIG_TYPE_STRING) {
    wrong(r, setting, key->path, "is %s; %s", kind_of(setting), right);
    return;
  }
  long mode = mode_of(setting);
  if (mode < 0 || (unsigned long)mode > key->max) {
    wrong(r, setting, key->path, "is not a file mode; %s", right);
    return;
  }
  *(uint32_t *)sb_config_key_at(key, r->config) = (uint32_t)mode;
}

static void read_bool(struct reading *r, const struct sb_config_key *key, const config_setting_t *setting) {
  if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
    wrong(r, setting, key->path, "is %s; write true or false, without quotes", kind_of(setting));
  else
    *(bool *)sb_config_key_at(key, r->config) = config_setting_get_bool(setting) != 0;
}

static void wrong_choice(struct reading *r, const struct sb_config_key *key,
                         const config_setting_t *setting) {
  struct sb_buf right = {0};
  struct sb_suggestion near = {.wrote = ""};
  const char *text =
      config_setting_type(setting) == CONFIG_TYPE_STRING ? config_setting_get_string(setting) : NULL;
  if (text) near.wrote = text;
  for (unsigned i = 0; key->choices[i]; i++) {
    sb_buf_printf(&right, "%s\"%s\"", i == 0 ? "" : key->choices[i + 1] ? ", " : " or ", key->choices[i]);
    if (text) sb_suggest(&near, key->choices[i]);
  }
  int len = (int)right.len;
  const char *list = (const char *)right.data;
  if (!text)
    wrong(r, setting, key->path, "is %s; write %.*s", kind_of(setting), len, list);
  else if (near.best)
    wrong(r, setting, key->path, "\"%.64s\" is not known; did you mean \"%s\"? There is %.*s", text,
          near.best, len, list);
  else
    wrong(r, setting, key->path, "\"%.64s\" is not known; write %.*s", text, len, list);
  sb_buf_close(&right);
}

static void read_choice(struct reading *r, const struct sb_config_key *key, const config_setting_t *setting) {
  if (config_setting_type(setting) == CONFIG_TYPE_STRING)
    for (unsigned i = 0; key->choices[i]; i++)
      if (strcmp(key->choices[i], config_setting_get_string(setting)) == 0) {
        memcpy(sb_config_key_at(key, r->config), &i, sizeof i);
        return;
      }
  wrong_choice(r, key, setting);
}

/* The text of one setting or list item when it may stand for `key`, else NULL with a complaint. */
static const char *read_one_text(struct reading *r, const struct sb_config_key *key,
                                 const config_setting_t *setting) {
  if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
    wrong(r, setting, key->path, "%s is %s; write a text in quotes",
          key->type == SB_CONFIG_TEXTS ? "an item" : "this", kind_of(setting));
    return NULL;
  }
  const char *text = config_setting_get_string(setting);
  size_t len = strlen(text);
  if (len < key->min || len > key->max) {
    wrong(r, setting, key->path, "has %zu bytes; write %llu to %llu", len, (unsigned long long)key->min,
          (unsigned long long)key->max);
    return NULL;
  }
  for (const char *c = text; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 127) {
      wrong(r, setting, key->path, "holds a control character; write printable text on one line");
      return NULL;
    }
  const char *right = key->check ? key->check(text) : NULL;
  if (right) {
    /* An address with a password in it must not reach the log. */
    if (strchr(text, '@'))
      wrong(r, setting, key->path, "is not right; %s", right);
    else
      wrong(r, setting, key->path, "\"%.100s\" is not right; %s", text, right);
    return NULL;
  }
  return text;
}

static void read_text(struct reading *r, const struct sb_config_key *key, const config_setting_t *setting) {
  const char *text = read_one_text(r, key, setting);
  if (!text) return;
  char **at = sb_config_key_at(key, r->config);
  free(*at);
  *at = sb_strdup(text);
}

static void read_texts(struct reading *r, const struct sb_config_key *key, config_setting_t *setting) {
  int type = config_setting_type(setting);
  if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) {
    wrong(r, setting, key->path, "is %s; write a list of texts, [\"…\", \"…\"]", kind_of(setting));
    return;
  }
  struct sb_config_texts *texts = sb_config_key_at(key, r->config);
  sb_config_texts_close(texts);
  texts->set = true;
  unsigned count = (unsigned)config_setting_length(setting);
  if (count > LIST_ITEMS_MAX) {
    wrong(r, setting, key->path, "has %u items; write at most %d", count, LIST_ITEMS_MAX);
    return;
  }
  for (unsigned i = 0; i < count; i++) {
    const char *text = read_one_text(r, key, config_setting_get_elem(setting, i));
    if (text) sb_config_texts_add(texts, text);
  }
}

/* libconfig forgets its texts with the file. */
static void note_place(struct reading *r, size_t key, const config_setting_t *setting) {
  r->origin->keys[key].file = sb_config_origin_file(r->origin, file_of(r, setting));
  r->origin->keys[key].line = config_setting_source_line(setting);
}

static void read_key(struct reading *r, const struct sb_config_key *key, config_setting_t *setting) {
  size_t i = (size_t)(key - sb_config_keys);
  note_place(r, i, setting);
  r->origin->keys[i].written = true;
  switch (key->type) {
  case SB_CONFIG_TEXT:
    read_text(r, key, setting);
    break;
  case SB_CONFIG_TEXTS:
    read_texts(r, key, setting);
    break;
  case SB_CONFIG_U32:
  case SB_CONFIG_U64:
    read_number(r, key, setting);
    break;
  case SB_CONFIG_BOOL:
    read_bool(r, key, setting);
    break;
  case SB_CONFIG_CHOICE:
    read_choice(r, key, setting);
    break;
  case SB_CONFIG_MODE:
    read_mode(r, key, setting);
    break;
  }
}

/* The name that a key or group has in `group`, or NULL when it does not stand there. */
static const char *name_in(const char *group, const char *path, char name[KEY_PATH_MAX]) {
  size_t len = strlen(group);
  if (len && (strncmp(path, group, len) != 0 || path[len] != '.')) return NULL;
  const char *rest = path + (len ? len + 1 : 0);
  size_t part = strcspn(rest, ".");
  memcpy(name, rest, part);
  name[part] = 0;
  return name;
}

/* Somebody wrote a secret into the configuration itself: the key that names a file for it, or NULL. */
static const char *file_instead_of(const char *name) {
  static const struct {
    const char *wrote, *right;
  } secrets[] = {{"password", "password_file"},
                 {"connection_string", "connection_string_file"},
                 {"key", "key_file"},
                 {"token", "token_file"}};
  for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
    if (strcmp(name, secrets[i].wrote) == 0) return secrets[i].right;
  return NULL;
}

/* The nearest name in the group, else a key of that name in another group. */
static void unknown(struct reading *r, const config_setting_t *setting, const char *group) {
  const char *name = config_setting_name(setting);
  struct sb_suggestion near = {.wrote = name};
  char candidate[KEY_PATH_MAX], best[KEY_PATH_MAX] = "";
  const char *elsewhere = NULL;
  for (size_t i = 0; i < sb_config_key_count; i++) {
    const char *path = sb_config_keys[i].path, *before = near.best;
    if (name_in(group, path, candidate)) sb_suggest(&near, candidate);
    if (near.best != before) near.best = memcpy(best, candidate, sizeof best);
    if (strcmp(sb_config_leaf(path), name) == 0) elsewhere = path;
  }
  struct sb_buf hint = {0};
  const char *file = file_instead_of(name);
  if (file)
    sb_buf_printf(&hint, "no secret stands in this file: write %s = \"path\" of a file that holds it", file);
  else if (near.best)
    sb_buf_printf(&hint, "did you mean \"%s\"?", near.best);
  else if (elsewhere)
    sb_buf_printf(&hint, "did you mean %s?", elsewhere);
  else
    sb_buf_text(&hint, "sidebus.conf(5) lists all keys");
  sb_config_report_add(r->report, false, "%s:%u: unknown key \"%.64s\"%s%s; %.*s", file_of(r, setting),
                       (unsigned)config_setting_source_line(setting), name, *group ? " in " : "", group,
                       (int)hint.len, (const char *)hint.data);
  sb_buf_close(&hint);
}

/* A key that is missing in a group is complained about where the group begins. */
static void enter_group(struct reading *r, const config_setting_t *setting, const char *path) {
  char name[KEY_PATH_MAX];
  if (strcmp(path, "tcp") == 0) r->config->tcp.on = true;
  for (size_t i = 0; i < sb_config_key_count; i++)
    if (name_in(path, sb_config_keys[i].path, name)) note_place(r, i, setting);
}

static void read_group(struct reading *r, config_setting_t *group, const char *path) {
  int count = config_setting_length(group);
  for (int i = 0; i < count; i++) {
    config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
    scan_included(r, file_of(r, setting));
    const char *name = config_setting_name(setting);
    char full[KEY_PATH_MAX];
    int len = snprintf(full, sizeof full, "%s%s%s", path, *path ? "." : "", name);
    const struct sb_config_key *key = sb_config_key_find(full);
    if (len >= (int)sizeof full || (!key && !sb_config_group_exists(full))) {
      unknown(r, setting, path);
    } else if (key) {
      read_key(r, key, setting);
    } else if (!config_setting_is_group(setting)) {
      wrong(r, setting, full, "is %s; write a group, %s = { … };", kind_of(setting), name);
    } else {
      enter_group(r, setting, full);
      read_group(r, setting, full);
    }
  }
}

static void syntax_error(const struct reading *r, const config_t *parsed) {
  const char *file = config_error_file(parsed);
  const char *text = config_error_text(parsed);
  bool vague = strcmp(text, "syntax error") == 0;
  sb_config_report_add(
      r->report, false, "%s:%d: %s%s", file ? file : r->origin->path, config_error_line(parsed), text,
      vague ? " here or just before; write name = value; with texts in \"quotes\", groups as "
              "{ … }; and lists as [\"…\", \"…\"]"
            : "");
}

static void finish(struct reading *r, bool complete) {
  sb_config_resolve_defaults(r->config, r->origin);
  if (complete) sb_config_complete(r->config, r->origin, r->report);
}

static void read_text_of_file(struct reading *r, const struct sb_buf *text, bool complete) {
  if (!may_include(r, sb_buf_bytes(text))) return;
  char *path = sb_strdup(r->origin->path);
  config_t parsed;
  config_init(&parsed);
  config_set_include_dir(&parsed, dirname(path)); /* the file's folder, not the process's */
  scan_source(r, r->origin->path, sb_buf_bytes(text));
  if (config_read_string(&parsed, (const char *)text->data)) {
    read_group(r, config_root_setting(&parsed), "");
    finish(r, complete);
  } else {
    syntax_error(r, &parsed);
  }
  config_destroy(&parsed);
  free(path);
}

static int load(const char *path, bool complete, struct sb_config *config, struct sb_config_report *report) {
  size_t errors = report->errors;
  struct reading *r = sb_calloc(1, sizeof *r);
  r->config = config;
  r->report = report;
  sb_config_init_defaults(config);
  config->origin = r->origin = sb_config_origin_new(path);
  struct sb_buf text = {0};
  struct sb_error error;
  if (!path) {
    finish(r, complete);
  } else if (read_file(path, false, &text, &error) == 0) {
    read_text_of_file(r, &text, complete);
  } else {
    sb_config_report_add(report, false, "%s", error.text);
  }
  sb_buf_close(&text);
  free(r);
  if (report->errors == errors) return 0;
  sb_config_free(config);
  return SB_ERR_INVALID;
}

int sb_config_load(const char *path, struct sb_config *config, struct sb_config_report *report) {
  return load(path, true, config, report);
}

int sb_config_load_client(const char *path, struct sb_config *config, struct sb_config_report *report) {
  return load(path, false, config, report);
}
