#include "bridge/base/file.h"

#include <errno.h>
#include <unistd.h>

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
