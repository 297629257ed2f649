#include "config/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bridge/base/bytes.h"
#include "bridge/base/file.h"
#include "bridge/base/limits.h"

static size_t without_line_end(const char *text, size_t len) {
  if (len == 0 || text[len - 1] != '\n') return len;
  len--;
  return len > 0 && text[len - 1] == '\r' ? len - 1 : len;
}

static const char *what_is_wrong(const char *text, size_t len) {
  if (len == 0) return "is empty";
  if (len > SB_SECRET_BYTES_MAX) return "is longer than 1024 bytes: not a secret of this kind";
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)text[i] < ' ' || text[i] == 127) return "holds more than one line of text";
  return NULL;
}

/* By the numbers of statfs(2). FUSE stands for all file systems that programs serve. */
static bool is_far(int fd) {
  static const unsigned long far[] = {
      0x6969 /* NFS */,      0x517b /* SMB */,        0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */,
      0x65735546 /* FUSE */, 0x00c36400 /* CEPH */,   0x5346414f /* AFS */,  0x01021997 /* 9P */,
      0x73757245 /* CODA */, 0x0bd00bd0 /* LUSTRE */, 0x01161970 /* GFS2 */, 0x47504653 /* GPFS */,
  };
  struct statfs stat;
  if (fstatfs(fd, &stat) != 0) return false;
  for (size_t i = 0; i < sizeof far / sizeof far[0]; i++)
    if ((unsigned long)stat.f_type == far[i]) return true;
  return false;
}

/* The length of what the text repeats: three in "abcabca"; its own length when it repeats nothing. */
static size_t repeated_bytes(const char *text, size_t len) {
  for (size_t piece = 1; piece <= len / 2; piece++)
    if (memcmp(text, text + piece, len - piece) == 0) return piece;
  return len;
}

static size_t count_different(const char *text, size_t len) {
  bool seen[256] = {false};
  size_t count = 0;
  for (size_t i = 0; i < len; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (!seen[byte]) count++;
    seen[byte] = true;
  }
  return count;
}

/* Whether it only counts up or down: "12345678", "hgfedcba". One byte may differ, as in "1234567890". */
static bool only_counts(const char *text, size_t len) {
  size_t others = 0;
  for (size_t i = 2; i < len; i++)
    if (text[i] - text[i - 1] != text[1] - text[0]) others++;
  return others <= 1;
}

int sb_secret_check_guess(const char *secret, const char *path, struct sb_error *error) {
  size_t len = strlen(secret);
  if (len < SB_PASSWORD_BYTES_MIN)
    return sb_error_set(error, SB_ERR_INVALID,
                        "%s holds a password of %zu bytes, which is quickly guessed; write at least %d", path,
                        len, SB_PASSWORD_BYTES_MIN);
  const char *why = NULL;
  if (len >= SB_PASSWORD_BYTES_LONG) return 0;
  if (repeated_bytes(secret, len) < SB_PASSWORD_BYTES_MIN)
    why = "that repeats a shorter one";
  else if (count_different(secret, len) < SB_PASSWORD_DIFFERENT_MIN)
    why = "of hardly any different characters";
  else if (only_counts(secret, len))
    why = "that only counts";
  if (!why) return 0;
  return sb_error_set(error, SB_ERR_INVALID,
                      "%s holds a password %s, which is quickly guessed; write one made at random", path,
                      why);
}

int sb_secret_check_key(const char *secret, const char *path, struct sb_error *error) {
  static const char how[] = "write one made by \"openssl rand -base64 32\"";
  size_t len = strlen(secret);
  bool hex = secret[strspn(secret, "0123456789abcdefABCDEF")] == 0;
  size_t least = hex ? SB_HUB_KEY_HEX_MIN : SB_HUB_KEY_BYTES_MIN;
  if (len < least)
    return sb_error_set(error, SB_ERR_INVALID,
                        "%s holds a key of %zu characters, which cannot be 32 random bytes; %s", path, len,
                        how);
  if (repeated_bytes(secret, len) < least || count_different(secret, len) < SB_HUB_KEY_DIFFERENT_MIN)
    return sb_error_set(error, SB_ERR_INVALID,
                        "%s holds a key that is quickly guessed: it repeats itself, or has hardly any "
                        "different characters; %s",
                        path, how);
  return 0;
}

char *sb_secret_read(const char *path, struct sb_secret_about *about, struct sb_error *error) {
  char text[SB_SECRET_BYTES_MAX + 3]; /* a line end, and one byte that shows there is more */
  char *secret = NULL;
  struct stat stat;
  int fd = sb_file_open("", path, &stat, error);
  if (fd < 0) return NULL;
  if (about)
    *about = (struct sb_secret_about){.read_by_all = (stat.st_mode & S_IROTH) != 0,
                                      .written_by_all = (stat.st_mode & S_IWOTH) != 0,
                                      .far = is_far(fd)};
  size_t len;
  int failed = sb_file_read(fd, text, sizeof text, &len);
  if (failed) {
    sb_error_errno(error, failed, "cannot read %s", path);
    goto out;
  }
  len = without_line_end(text, len);
  const char *wrong = what_is_wrong(text, len);
  if (wrong) {
    sb_error_set(error, SB_ERR_INVALID, "%s %s", path, wrong);
    goto out;
  }
  secret = sb_malloc(len + 1);
  memcpy(secret, text, len);
  secret[len] = 0;
out:
  explicit_bzero(text, sizeof text);
  close(fd);
  return secret;
}
