/* Any text where a configuration or a secret is expected. The first byte chooses:
 *   s  a file with a secret: what is taken is one line, and all of it
 *   p  a file with certificates
 *   otherwise a configuration, for a client or for a node, also as what a running node reads again: what
 * loads prints to a text that loads and prints to the same; what does not says why, each time in one line,
 * and leaves nothing */
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bridge/base/bytes.h"
#include "bridge/base/wipe.h"
#include "config/certificates.h"
#include "config/config.h"
#include "config/secret.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PATH_MAX_BYTES 64

/* A file that has no name but this one. */
struct file {
  int fd;
  char path[PATH_MAX_BYTES];
};

static struct file write_file(struct sb_bytes text) {
  struct file file = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};
  REQUIRE(file.fd >= 0);
  REQUIRE(write(file.fd, text.at, text.len) == (ssize_t)text.len);
  snprintf(file.path, sizeof file.path, "/proc/self/fd/%d", file.fd);
  return file;
}

static bool says(struct sb_bytes text, const char *what) {
  return text.len > 0 && memmem(text.at, text.len, what, strlen(what));
}

static void check_report(const struct sb_config_report *report, bool loaded) {
  size_t errors = 0;
  for (size_t i = 0; i < report->count; i++) {
    REQUIRE(report->problems[i].text[0] != 0 && !strchr(report->problems[i].text, '\n'));
    errors += !report->problems[i].warning;
  }
  REQUIRE(errors == report->errors && loaded == (errors == 0));
}

static int load(const char *path, bool client, struct sb_config *config) {
  struct sb_config_report report = {0};
  int rc = client ? sb_config_load_client(path, config, &report) : sb_config_load(path, config, &report);
  check_report(&report, rc == 0);
  sb_config_report_close(&report);
  return rc;
}

static void reload(const char *path, struct sb_config *config) {
  struct sb_config_report report = {0};
  int rc = sb_config_reload(path, config, &report);
  check_report(&report, rc == 0);
  sb_config_report_close(&report);
}

static void read_config(struct sb_bytes text, bool client) {
  struct sb_config config, again;
  struct sb_buf printed = {0}, same = {0};
  if (says(text, "@include")) return; /* of files that are none of ours */
  struct file file = write_file(text);
  if (load(file.path, client, &config) == 0) {
    sb_config_print(&config, &printed);
    struct file copy = write_file(sb_buf_bytes(&printed));
    REQUIRE(load(copy.path, true, &again) == 0);
    sb_config_print(&again, &same);
    sb_config_free(&again);
    close(copy.fd);
    if (!client) {
      reload(file.path, &config);
    } else {
      REQUIRE(sb_bytes_equal(sb_buf_bytes(&printed), sb_buf_bytes(&same)));
    }
    sb_config_free(&config);
  } else {
    REQUIRE(!config.node && !config.socket.path);
    sb_config_init_defaults(&config);
    reload(file.path, &config); /* its problems leave what runs as it is */
    REQUIRE(config.node && config.socket.path);
    sb_config_free(&config);
  }
  sb_buf_close(&printed);
  sb_buf_close(&same);
  close(file.fd);
}

static void read_secret(struct sb_bytes text) {
  struct sb_secret_about about;
  struct sb_error error = {0};
  struct file file = write_file(text);
  char *secret = sb_secret_read(file.path, &about, &error);
  if (secret) {
    size_t len = strlen(secret);
    REQUIRE(len > 0 && len <= SB_SECRET_BYTES_MAX && !strpbrk(secret, "\r\n"));
    REQUIRE(len <= text.len && memcmp(secret, text.at, len) == 0 && text.len - len <= 2);
    (void)sb_secret_check_guess(secret, file.path, &error);
  } else {
    REQUIRE(error.text[0] != 0);
  }
  sb_wipe_free(secret);
  close(file.fd);
}

static void read_certificates(struct sb_bytes text) {
  struct sb_certificates_warning warning;
  struct sb_error error = {0};
  struct sb_pem pem = {0};
  bool key_is_wrong, by_all;
  struct file file = write_file(text);
  if (sb_pem_read(file.path, &pem, &by_all, &error) == 0) {
    if (sb_certificates_judge_ca(&pem, file.path, &warning, &error) != 0) REQUIRE(error.text[0] != 0);
    if (sb_certificates_judge_pair(&pem, file.path, &pem, file.path, &key_is_wrong, &warning, &error) != 0)
      REQUIRE(error.text[0] != 0);
  }
  sb_pem_close(&pem);
  close(file.fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  struct sb_bytes rest = sb_bytes(data + 1, size - 1);
  switch (data[0]) {
  case 's':
    read_secret(rest);
    break;
  case 'p':
    read_certificates(rest);
    break;
  default:
    read_config(rest, data[0] & 1);
  }
  return 0;
}
