#include "bridge/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int sb_file_open(const char *what, const char *path, struct stat *is, struct sb_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return sb_error_errno(error, errno, "cannot read %s%s", what, path);
  if (fstat(fd, is) == 0 && S_ISREG(is->st_mode)) return fd;
  close(fd);
  return sb_error_set(error, SB_ERR_INVALID, "%s%s is not a regular file", what, path);
}

int sb_file_read(int fd, void *at, size_t cap, size_t *len) {
  *len = 0;
  while (*len < cap) {
    ssize_t n = read(fd, (char *)at + *len, cap - *len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) break;
    *len += (size_t)n;
  }
  return 0;
}
