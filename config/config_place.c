/* What the machine must have where the bridge listens. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/base/error.h"
#include "bridge/base/limits.h"
#include "config/config_check.h"

#define FOLDER_TEXT 128   /* a socket's path has 107 bytes at most */
#define GROUPS_MAX  65536 /* NGROUPS_MAX of Linux */

/* ---- the folder of the socket ---- */

static void folder_of(const char *path, char out[FOLDER_TEXT]) {
  snprintf(out, FOLDER_TEXT, "%s", path);
  char *slash = strrchr(out, '/');
  if (!slash)
    snprintf(out, FOLDER_TEXT, ".");
  else
    slash[slash == out ? 1 : 0] = 0;
}

static bool check_folder(const char *folder, struct stat *is, const struct sb_config_origin *origin,
                         struct sb_config_report *report) {
  static const char key[] = "socket.path";
  if (stat(folder, is) != 0 && errno == ENOENT) {
    WRONG(key,
          "the folder %s does not exist; make it (mkdir -p %s; systemd does with RuntimeDirectory=) or write "
          "another path",
          folder, folder);
    return false;
  }
  if (stat(folder, is) != 0) {
    WRONG(key, "the folder %s cannot be used: %s", folder, strerror(errno));
    return false;
  }
  if (!S_ISDIR(is->st_mode)) {
    WRONG(key, "%s is no folder; write the path of a file in a folder", folder);
    return false;
  }
  if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0) return true;
  WRONG(key, "user %lu may not make a file in the folder %s: %s", (unsigned long)geteuid(), folder,
        strerror(errno));
  return false;
}

/* ---- what is there already ---- */

static const char *kind_of(mode_t mode) {
  if (S_ISREG(mode)) return "a file";
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISLNK(mode)) return "a link";
  if (S_ISFIFO(mode)) return "a pipe";
  return "a device";
}

/* Connects there: 0 or an errno. `by` gets the name of the process that listens. */
static int knock(const char *path, char *by, size_t size) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct ucred peer;
  socklen_t len = sizeof peer;
  snprintf(by, size, "another process");
  if (strlen(path) >= sizeof address.sun_path) return ENAMETOOLONG;
  memcpy(address.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  int failed = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
  if (failed == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
    snprintf(by, size, "process %ld of user %lu", (long)peer.pid, (unsigned long)peer.uid);
  close(fd);
  return failed;
}

/* A file that nobody listens on is replaced, if this user may. */
static void check_left_over(const char *path, const struct stat *is, const struct stat *folder,
                            const struct sb_config_origin *origin, struct sb_config_report *report) {
  bool sticky = (folder->st_mode & S_ISVTX) != 0;
  if (sticky && geteuid() != 0 && geteuid() != is->st_uid && geteuid() != folder->st_uid)
    WRONG(
        "socket.path",
        "%s was left by user %lu, and this one may not remove it; let that user do it or write another path",
        path, (unsigned long)is->st_uid);
}

/* True when somebody listens there. For `sidebus check` that is a warning: it may be the bridge that has this
 * configuration. */
static bool check_socket(const char *path, const struct stat *folder, bool starts_now,
                         const struct sb_config_origin *origin, struct sb_config_report *report) {
  static const char key[] = "socket.path";
  struct stat is;
  char by[64];
  if (lstat(path, &is) != 0) return false;
  if (!S_ISSOCK(is.st_mode)) {
    WRONG(key, "%s is there and is no socket but %s; remove it or write another path", path,
          kind_of(is.st_mode));
    return false;
  }
  int failed = knock(path, by, sizeof by);
  if (failed == ECONNREFUSED || failed == ENOENT) {
    check_left_over(path, &is, folder, origin, report);
    return false;
  }
  if (failed == 0 || failed == EAGAIN) {
    sb_config_complain(report, origin, key, !starts_now,
                       "%s listens on %s: a bridge can start here when that has ended", by, path);
    return true;
  }
  WRONG(
      key,
      "cannot tell whether somebody listens on %s, which user %lu made: %s; end that, or write another path",
      path, (unsigned long)is.st_uid, strerror(failed));
  return false;
}

/* ---- the group of the socket ---- */

static bool is_member(gid_t group) {
  if (geteuid() == 0 || getegid() == group) return true;
  int count = getgroups(0, NULL);
  if (count <= 0 || count > GROUPS_MAX) return false;
  gid_t *groups = sb_calloc((size_t)count, sizeof *groups);
  count = getgroups(count, groups);
  bool member = false;
  for (int i = 0; i < count; i++) member |= groups[i] == group;
  free(groups);
  return member;
}

static void check_group(const struct sb_config *config, const struct sb_config_origin *origin,
                        struct sb_config_report *report) {
  if (!config->socket.group || is_member(config->socket.gid)) return;
  WRONG("socket.group",
        "user %lu is not a member of \"%s\" and cannot give the socket to it; add the user to it",
        (unsigned long)geteuid(), config->socket.group);
}

/* ---- TCP ---- */

union any_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* Takes the port for a moment, without listening. 0 or an errno. */
static int try_port(const char *text, uint16_t port) {
  union any_address at = {.any = {.sa_family = AF_UNSPEC}};
  socklen_t size = sizeof at.v4;
  int on = 1, failed = 0;
  if (inet_pton(AF_INET, text, &at.v4.sin_addr) == 1) {
    at.v4.sin_family = AF_INET;
    at.v4.sin_port = htons(port);
  } else if (inet_pton(AF_INET6, text, &at.v6.sin6_addr) == 1) {
    at.v6.sin6_family = AF_INET6;
    at.v6.sin6_port = htons(port);
    size = sizeof at.v6;
  }
  int fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, &at.any, size) != 0) failed = errno;
  close(fd);
  return failed;
}

static const char *what_helps(int failed, bool taken) {
  if (failed == EADDRINUSE && taken) return "that may be the bridge that listens on the socket";
  if (failed == EADDRINUSE) return "end the program that has it, or write another port";
  if (failed == EACCES) return "write a port from 1024 on, or give the user the right (CAP_NET_BIND_SERVICE)";
  return "write an address of the loopback interface that this machine has";
}

/* `taken`: somebody listens on the socket. It may be the bridge, which then has the port too. */
static void check_tcp(const struct sb_config *config, bool taken, const struct sb_config_origin *origin,
                      struct sb_config_report *report) {
  if (!config->tcp.on) return;
  int failed = try_port(config->tcp.address, (uint16_t)config->tcp.port);
  if (failed == 0) return;
  bool port = failed == EADDRINUSE || failed == EACCES;
  sb_config_complain(report, origin, port ? "tcp.port" : "tcp.address", failed == EADDRINUSE && taken,
                     "cannot listen on %s port %" PRIu32 ": %s; %s", config->tcp.address, config->tcp.port,
                     strerror(failed), what_helps(failed, taken));
}

/* ---- descriptors ---- */

static void check_descriptors(const struct sb_config *config, const struct sb_config_origin *origin,
                              struct sb_config_report *report) {
  struct rlimit limit;
  uint64_t wanted = (uint64_t)config->limits.sessions + SB_DESCRIPTORS_BESIDE;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= wanted)
    return;
  if (limit.rlim_max < SB_DESCRIPTORS_MIN) {
    WRONG("limits.sessions",
          "this process may have %" PRIu64 " open files, which is not enough for a bridge; raise that "
          "(ulimit -Hn, LimitNOFILE=) to %d and one for "
          "each session",
          (uint64_t)limit.rlim_max, SB_DESCRIPTORS_BESIDE);
    return;
  }
  NOTICE("limits.sessions",
         "%" PRIu32 " sessions want %" PRIu64 " open files, and this process may have %" PRIu64
         "; raise that (ulimit -Hn, LimitNOFILE=) or write fewer sessions",
         config->limits.sessions, wanted, (uint64_t)limit.rlim_max);
}

int sb_config_check_place(const struct sb_config *config, bool starts_now, struct sb_config_report *report) {
  const struct sb_config_origin *origin = config->origin;
  size_t errors = report->errors;
  char folder[FOLDER_TEXT];
  struct stat is;
  folder_of(config->socket.path, folder);
  bool taken = false, good = check_folder(folder, &is, origin, report);
  if (good) taken = check_socket(config->socket.path, &is, starts_now, origin, report);
  check_group(config, origin, report);
  check_tcp(config, taken && !starts_now, origin, report);
  check_descriptors(config, origin, report);
  return report->errors == errors ? 0 : SB_ERR_INVALID;
}
