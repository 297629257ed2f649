#include "bridge/redis/sockets/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_TRIES   100 /* another start holds the folder for microseconds: give up after a second */
#define LOCK_WAIT_MS 10

static int fill_address(const char *path, struct sockaddr_un *address, struct sb_error *error) {
  size_t len = strlen(path);
  if (len == 0 || len >= sizeof address->sun_path)
    return sb_error_set(error, SB_ERR_INVALID, "socket %s: a path has 1 to %zu bytes, this one %zu", path,
                        sizeof address->sun_path - 1, len);
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, len + 1);
  return 0;
}

/* Two starts at the same time must not take each other's fresh file for a stale one: they take turns by a
 * lock on the folder. -1 when it cannot be had (a folder that may not be read); the start goes on without. */
static int lock_folder(const char *path) {
  char folder[sizeof((struct sockaddr_un *)0)->sun_path];
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  if (!slash) {
    snprintf(folder, sizeof folder, ".");
  } else {
    slash[slash == folder ? 1 : 0] = 0;
  }
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  for (int i = 0; i < LOCK_TRIES; i++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    poll(NULL, 0, LOCK_WAIT_MS);
  }
  close(fd);
  return -1;
}

static int held(int fd, const char *path, struct sb_error *error) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return sb_error_set(error, SB_ERR_IN_USE, "socket %s: another process listens on it", path);
  struct passwd entry, *found = NULL;
  char room[1024];
  getpwuid_r(peer.uid, &entry, room, sizeof room, &found);
  return sb_error_set(error, SB_ERR_IN_USE, "socket %s: process %ld of user %s (%lu) listens on it", path,
                      (long)peer.pid, found ? entry.pw_name : "unknown", (unsigned long)peer.uid);
}

/* Makes way at `path`: nothing is there, or a socket file that nobody listens on. */
static int make_way(const char *path, const struct sockaddr_un *address, struct sb_error *error) {
  struct stat there;
  if (lstat(path, &there) != 0) return errno == ENOENT ? 0 : sb_error_errno(error, errno, "socket %s", path);
  if (!S_ISSOCK(there.st_mode))
    return sb_error_set(error, SB_ERR_IN_USE,
                        "socket %s: it is there and is no socket; remove it or write another path", path);

  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return sb_error_errno(error, errno, "socket %s", path);
  int code = 0;
  if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0) {
    code = held(fd, path, error);
  } else if (errno == EAGAIN) {
    code = sb_error_set(error, SB_ERR_IN_USE, "socket %s: another process listens on it and is busy", path);
  } else if (errno == EACCES) {
    code = sb_error_set(error, SB_ERR_IN_USE, "socket %s: it belongs to user %lu and may not be opened", path,
                        (unsigned long)there.st_uid);
  } else if (errno != ECONNREFUSED && errno != ENOENT) {
    code = sb_error_errno(error, errno, "socket %s: cannot tell whether it is in use", path);
  } else if (unlink(path) != 0 && errno != ENOENT) {
    code = sb_error_errno(error, errno, "socket %s: it is stale and cannot be removed", path);
  }
  close(fd);
  return code;
}

/* Sets group and mode through a descriptor of the very file that was made: somebody who may rename in its
 * folder could put a link in its place. fchmod does not take such a descriptor, but its name in /proc leads
 * to the file and nowhere else. */
static int open_up(const struct sb_socket_file *file) {
  struct stat there;
  char name[40];
  int fd = open(file->path, O_PATH | O_NOFOLLOW | O_CLOEXEC), failed = -1, number;
  if (fd < 0) return -1;
  if (fstat(fd, &there) != 0) goto out;
  if (!S_ISSOCK(there.st_mode) || there.st_dev != file->dev || there.st_ino != file->ino) {
    errno = EEXIST;
    goto out;
  }
  if (file->set_group && fchownat(fd, "", (uid_t)-1, file->group, AT_EMPTY_PATH) != 0) goto out;
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  failed = chmod(name, file->mode);
out:
  number = errno;
  close(fd);
  errno = number;
  return failed;
}

/* The file is made with mode 0600 and gets its own mode only when its group is right, so it never admits more
 * than it should. */
static int make(struct sb_socket_file *file, const struct sockaddr_un *address, int backlog,
                struct sb_error *error) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return sb_error_errno(error, errno, "socket %s", file->path);
  struct stat made;
  const char *step = "cannot listen";
  if (fchmod(fd, 0600) != 0 || bind(fd, (const struct sockaddr *)address, sizeof *address) != 0) goto failed;
  if (lstat(file->path, &made) != 0) goto failed;
  file->made = true;
  file->dev = made.st_dev;
  file->ino = made.st_ino;
  step = "cannot open it up";
  if (open_up(file) != 0) goto failed;
  step = "cannot listen";
  if (listen(fd, backlog) != 0) goto failed;
  return fd;

failed:
  sb_error_errno(error, errno, "socket %s: %s", file->path, step);
  sb_socket_file_remove(file);
  close(fd);
  return SB_ERR_SYSTEM;
}

int sb_socket_file_listen(struct sb_socket_file *file, int backlog, struct sb_error *error) {
  struct sockaddr_un address;
  file->made = false;
  int code = fill_address(file->path, &address, error);
  if (code < 0) return code;
  int lock = lock_folder(file->path);
  code = make_way(file->path, &address, error);
  if (code == 0) code = make(file, &address, backlog, error);
  if (lock >= 0) close(lock);
  return code;
}

void sb_socket_file_remove(struct sb_socket_file *file) {
  struct stat there;
  if (!file->made) return;
  file->made = false;
  if (lstat(file->path, &there) == 0 && there.st_dev == file->dev && there.st_ino == file->ino)
    unlink(file->path);
}
