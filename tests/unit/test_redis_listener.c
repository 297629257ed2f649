/* Who may connect, and where: the socket file, users, TCP and its password, descriptors. */
#include "tests/unit/redis_fixture.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bridge/redis/sockets/connection.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/socket_file.h"

/* In place of the C library's: what another user does in the folder just before the file is opened up. */
static const char *moved_from, *moved_to, *linked_to;
int fchownat(int folder, const char *path, uid_t user, gid_t group, int flags) {
  if (moved_from) {
    assert_int_equal(rename(moved_from, moved_to), 0);
    assert_int_equal(symlink(linked_to, moved_from), 0);
    moved_from = NULL;
  }
  return (int)syscall(SYS_fchownat, folder, path, user, group, flags);
}

static int mode_of(const char *path) {
  struct stat info;
  assert_int_equal(lstat(path, &info), 0);
  return (int)(info.st_mode & 07777);
}

/* What starting a second bridge on the same path says; NULL: it started (and was stopped). */
static const char *second_start(struct fixture *f) {
  static struct sb_error error;
  struct sb_server *second = sb_server_new(&f->loop, &f->settings, &(struct sb_server_io){0});
  int code = sb_server_start(second, f->core, &error);
  sb_server_close(second);
  uv_run(&f->loop, UV_RUN_NOWAIT);
  sb_server_free(second);
  return code == 0 ? NULL : error.text;
}

static void leave_stale_file(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(fd, 1), 0);
  close(fd);
}

/* ---- the file ---- */

static void test_the_socket_has_the_mode_and_group_that_were_asked_for(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.settings.socket.mode = 0620;
  f.settings.socket.set_group = true;
  f.settings.socket.group = getegid();
  fixture_start(&f);
  struct stat info;
  assert_int_equal(lstat(f.path, &info), 0);
  assert_true(S_ISSOCK(info.st_mode));
  assert_int_equal(mode_of(f.path), 0620);
  assert_int_equal(info.st_gid, getegid());
  fixture_stop(&f);
  assert_int_equal(lstat(f.path, &info), -1); /* and it is gone afterwards */
  assert_int_equal(rmdir(f.folder), 0);
}

static void test_a_stale_socket_file_is_replaced(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  leave_stale_file(f.path);
  fixture_start(&f);
  int fd = join(&f);
  say(&f, fd, "PING\r\n");
  expect(&f, fd, "+PONG\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_a_live_socket_is_an_error_that_says_who_holds_it(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  const char *text = second_start(&f);
  char holder[64];
  snprintf(holder, sizeof holder, "process %ld of user ", (long)getpid());
  assert_non_null(text);
  if (!strstr(text, holder) || !strstr(text, f.path)) fail_msg("%s", text);
  int fd = join(&f); /* the first is as it was */
  say(&f, fd, "PING\r\n");
  expect(&f, fd, "+PONG\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_a_file_of_another_kind_is_left_alone(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  char path[sizeof f.path + 8];
  snprintf(path, sizeof path, "%s.txt", f.path);
  int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  close(fd);
  f.settings.socket.path = path;
  const char *text = second_start(&f);
  assert_non_null(text);
  assert_non_null(strstr(text, "it is there and is no socket; remove it or write another path"));
  assert_int_equal(unlink(path), 0);
  fixture_close(&f);
}

static void test_a_path_that_does_not_fit_is_refused(void **state) {
  (void)state;
  char path[200];
  memset(path, 'x', sizeof path - 1);
  path[sizeof path - 1] = 0;
  struct sb_socket_file file = {.path = path, .mode = 0600};
  struct sb_error error = {0};
  assert_int_equal(sb_socket_file_listen(&file, 1, &error), SB_ERR_INVALID);
  assert_non_null(strstr(error.text, "a path has 1 to 107 bytes, this one 199"));
}

static void test_a_link_in_place_of_the_fresh_file_is_not_followed(void **state) {
  (void)state;
  struct fixture f;
  char victim[160], moved[160];
  fixture_init(&f);
  snprintf(victim, sizeof victim, "%s/victim", f.folder);
  snprintf(moved, sizeof moved, "%s/moved", f.folder);
  close(open(victim, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  struct sb_socket_file file = {.path = f.path, .mode = 0666, .set_group = true, .group = getegid()};
  struct sb_error error = {0};
  moved_from = f.path;
  moved_to = moved;
  linked_to = victim;
  int fd = sb_socket_file_listen(&file, 1, &error);
  assert_true(fd >= 0);
  assert_null(moved_from);
  assert_int_equal(mode_of(victim), 0600);
  assert_int_equal(mode_of(moved), 0666); /* the very file that was made */
  close(fd);
  unlink(f.path);
  unlink(moved);
  unlink(victim);
  assert_int_equal(rmdir(f.folder), 0);
}

static void test_only_the_file_that_was_made_is_removed(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  assert_int_equal(unlink(f.path), 0);
  leave_stale_file(f.path); /* somebody else's by now */
  struct stat info;
  fixture_stop(&f);
  assert_int_equal(lstat(f.path, &info), 0);
  assert_int_equal(unlink(f.path), 0);
  assert_int_equal(rmdir(f.folder), 0);
}

static void test_after_stop_listening_sessions_stay_and_nobody_comes(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  int fd = join(&f);
  sb_server_stop_listening(f.server);
  struct stat info;
  assert_int_equal(lstat(f.path, &info), -1);
  say(&f, fd, "PING\r\n");
  expect(&f, fd, "+PONG\r\n");
  close(fd);
  fixture_close(&f);
}

/* ---- users ---- */

static void test_users_of_the_list_may_connect(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  const uid_t users[] = {getuid() + 1, getuid()};
  f.settings.socket.allow_given = true;
  f.settings.socket.allow = users;
  f.settings.socket.allow_count = 2;
  fixture_start(&f);
  int fd = join(&f);
  say(&f, fd, "PING\r\n");
  expect(&f, fd, "+PONG\r\n");
  close(fd);
  fixture_close(&f);
}

static void refuse_us(const uid_t *users, size_t count) {
  struct fixture f;
  fixture_init(&f);
  f.settings.socket.allow_given = true;
  f.settings.socket.allow = users;
  f.settings.socket.allow_count = count;
  fixture_start(&f);
  int fd = dial(f.path);
  expect(&f, fd, "-NOPERM this user may not use this socket\r\n");
  expect_end(&f, fd);
  assert_int_equal(stats_of(&f).sessions_opened, 0);
  assert_int_equal(stats_of(&f).sessions_rejected, 1);
  close(fd);
  fixture_close(&f);
}

static void test_users_not_of_the_list_are_refused(void **state) {
  (void)state;
  const uid_t users[] = {getuid() + 1};
  refuse_us(users, 1);
}

static void test_an_empty_list_that_was_given_denies_all(void **state) {
  (void)state;
  refuse_us(NULL, 0);
}

/* ---- TCP and passwords ---- */

static void fixture_start_tcp_for(struct fixture *f, const char *password, uint32_t sessions) {
  fixture_init(f);
  f->settings.sessions_max = sessions;
  f->settings.tcp.address = "127.0.0.1";
  f->settings.tcp.port = 0;
  f->settings.tcp.password = password;
  fixture_start(f);
}

static void fixture_start_tcp(struct fixture *f, const char *password) {
  fixture_start_tcp_for(f, password, 100);
}

static void test_over_tcp_nothing_goes_without_the_password(void **state) {
  (void)state;
  struct fixture f;
  fixture_start_tcp(&f, "s3cret");
  int fd = dial_tcp(sb_server_tcp_port(f.server));
  static const char wrong[] = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
  say(&f, fd, "PING\r\nPUBLISH a x\r\n");
  expect(&f, fd, "-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n");
  say(&f, fd, "AUTH s3cre\r\nAUTH s3crets\r\nAUTH \"\"\r\nAUTH root s3cret\r\n");
  for (int i = 0; i < 4; i++) expect(&f, fd, wrong);
  say(&f, fd, "HELLO 3\r\n");
  expect(
      &f, fd,
      "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "
      "<pass> option can be used to authenticate the client and select the RESP protocol version at the "
      "same time\r\n");
  say(&f, fd, "AUTH s3cret\r\nPING\r\nPUBLISH a x\r\nRESET\r\nPING\r\n");
  expect(&f, fd, "+OK\r\n+PONG\r\n:0\r\n+RESET\r\n-NOAUTH Authentication required.\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_hello_takes_the_password_too(void **state) {
  (void)state;
  struct fixture f;
  fixture_start_tcp(&f, "s3cret");
  int fd = dial_tcp(sb_server_tcp_port(f.server));
  say(&f, fd, "HELLO 3 AUTH default s3cret SETNAME me\r\n");
  expect(&f, fd, "%7\r\n");
  struct sb_buf got = {0};
  say(&f, fd, "CLIENT GETNAME\r\n");
  until(&f, (got.len > 8 && memcmp(got.data + got.len - 8, "$2\r\nme\r\n", 8) == 0) || hear(fd, &got, 4096));
  sb_buf_close(&got);
  close(fd);
  fixture_close(&f);
}

static void test_before_the_password_requests_must_be_small(void **state) {
  (void)state;
  static const struct {
    const char *input, *reply;
  } cases[] = {
      {"*11\r\n", "-ERR Protocol error: unauthenticated multibulk length\r\n"},
      {"*2\r\n$4\r\nAUTH\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"},
  };
  struct fixture f;
  fixture_start_tcp(&f, "s3cret");
  for (size_t i = 0; i < 2; i++) {
    int fd = dial_tcp(sb_server_tcp_port(f.server));
    say(&f, fd, cases[i].input);
    expect(&f, fd, cases[i].reply);
    expect_end(&f, fd);
    close(fd);
  }
  int fd = dial_tcp(sb_server_tcp_port(f.server));
  say(&f, fd, "AUTH s3cret\r\n*12\r\n$4\r\nPING\r\n");
  expect(&f, fd, "+OK\r\n");
  for (int i = 0; i < 11; i++) say(&f, fd, "$1\r\nx\r\n");
  expect(&f, fd, "-ERR wrong number of arguments for 'ping' command\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_strangers_make_room_for_the_next_and_for_who_knows_the_password(void **state) {
  (void)state;
  struct fixture f;
  static int fds[SB_STRANGERS_MAX + 20];
  fixture_start_tcp_for(&f, "s3cret", 4000);
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
    fds[i] = dial_tcp(sb_server_tcp_port(f.server));
    say(&f, fds[i], "*2\r\n$4\r\nAUTH\r\n$100\r\nhalf");
  }
  uint32_t *kept = &f.server->tcp_listener.strangers.count;
  until(&f, f.server->roster.last_id == sizeof fds / sizeof fds[0]);
  assert_int_equal(*kept, SB_STRANGERS_MAX);
  expect_end(&f, fds[0]);
  int known = dial_tcp(sb_server_tcp_port(f.server)), app = dial(f.path);
  say(&f, known, "AUTH s3cret\r\nPING\r\n");
  expect(&f, known, "+OK\r\n+PONG\r\n");
  say(&f, app, "PING\r\n");
  expect(&f, app, "+PONG\r\n");
  assert_int_equal(*kept, SB_STRANGERS_MAX - 1);
  say(&f, known, "RESET\r\n"); /* it is one again */
  expect(&f, known, "+RESET\r\n");
  assert_int_equal(*kept, SB_STRANGERS_MAX);
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) close(fds[i]);
  close(known);
  close(app);
  fixture_close(&f);
}

static void test_who_does_not_give_the_password_in_time_is_closed(void **state) {
  (void)state;
  struct fixture f;
  fixture_start_tcp(&f, "s3cret");
  int silent = dial_tcp(sb_server_tcp_port(f.server)), known = dial_tcp(sb_server_tcp_port(f.server));
  say(&f, silent, "PING\r\n");
  say(&f, known, "AUTH s3cret\r\n");
  expect(&f, known, "+OK\r\n");
  expect(&f, silent, "-NOAUTH Authentication required.\r\n");
  struct sb_link *first = f.server->tcp_listener.strangers.list.next;
  SB_OF_LINK(first, struct sb_stranger, link)->until_ms = uv_now(&f.loop) + 200; /* instead of waiting */
  expect_end(&f, silent);
  say(&f, known, "PING\r\n");
  expect(&f, known, "+PONG\r\n");
  close(silent);
  close(known);
  fixture_close(&f);
}

static void test_a_wrong_password_is_told_late_and_what_follows_waits(void **state) {
  (void)state;
  struct fixture f;
  fixture_start_tcp(&f, "s3cret");
  int fd = dial_tcp(sb_server_tcp_port(f.server)), other = dial_tcp(sb_server_tcp_port(f.server));
  uint64_t begin = uv_now(&f.loop);
  say(&f, fd, "HELLO 3 AUTH default wrong\r\nAUTH s3cret\r\nPING\r\n");
  say(&f, other, "AUTH s3cret\r\n");
  expect(&f, other, "+OK\r\n");
  expect(&f, fd, "-WRONGPASS invalid username-password pair or user is disabled.\r\n+OK\r\n+PONG\r\n");
  assert_true(uv_now(&f.loop) - begin >= SB_WRONG_PASSWORD_MS);
  assert_int_equal(f.server->stats.wrong_passwords, 1);
  close(fd);
  close(other);
  fixture_close(&f);
}

static void test_strangers_make_room_when_few_sessions_are_allowed(void **state) {
  (void)state;
  struct fixture f;
  int strangers[3];
  fixture_start_tcp_for(&f, "s3cret", 4);
  for (int i = 0; i < 3; i++) strangers[i] = dial_tcp(sb_server_tcp_port(f.server));
  until(&f, f.server->roster.count == 3);
  int known = dial_tcp(sb_server_tcp_port(f.server));
  say(&f, known, "AUTH s3cret\r\nPING\r\n");
  expect(&f, known, "+OK\r\n+PONG\r\n");
  expect_end(&f, strangers[0]);
  expect_silence(&f, strangers[1]);
  for (int i = 0; i < 3; i++) close(strangers[i]);
  close(known);
  fixture_close(&f);
}

/* All of them have waited long enough in the same turn. */
static void test_who_waits_for_its_wrong_password_may_close_the_others(void **state) {
  (void)state;
  struct fixture f;
  enum { OTHERS = 4, KILLER = 1 };
  int fds[OTHERS];
  fixture_start_tcp(&f, "s3cret");
  for (int i = 0; i < OTHERS; i++) {
    fds[i] = dial_tcp(sb_server_tcp_port(f.server));
    say(&f, fds[i], "AUTH wrong\r\n");
    if (i == KILLER) say(&f, fds[i], "AUTH s3cret\r\nCLIENT KILL TYPE normal\r\n");
    until(&f, f.server->stats.wrong_passwords == (uint64_t)i + 1);
  }
  struct sb_strangers *strangers = &f.server->tcp_listener.strangers;
  for (struct sb_link *at = strangers->list.next; at != &strangers->list; at = at->next)
    SB_OF_LINK(at, struct sb_stranger, link)->wait_ms = uv_now(&f.loop);
  expect(&f, fds[KILLER], "-WRONGPASS invalid username-password pair or user is disabled.\r\n+OK\r\n:3\r\n");
  assert_int_equal(f.server->roster.count, 1);
  assert_int_equal(strangers->count, 0);
  for (int i = 0; i < OTHERS; i++) close(fds[i]);
  fixture_close(&f);
}

static void test_tcp_never_takes_all_sessions(void **state) {
  (void)state;
  struct fixture f;
  int fds[3];
  fixture_start_tcp_for(&f, "s3cret", 4);
  for (int i = 0; i < 3; i++) {
    fds[i] = dial_tcp(sb_server_tcp_port(f.server));
    say(&f, fds[i], "AUTH s3cret\r\n");
    expect(&f, fds[i], "+OK\r\n");
  }
  int late = dial_tcp(sb_server_tcp_port(f.server)), app = dial(f.path);
  expect(&f, late, "-ERR max number of clients reached\r\n");
  say(&f, app, "PING\r\n");
  expect(&f, app, "+PONG\r\n");
  for (int i = 0; i < 3; i++) close(fds[i]);
  close(late);
  close(app);
  fixture_close(&f);
}

static void test_without_a_password_every_auth_is_right(void **state) {
  (void)state;
  struct fixture f;
  fixture_start_tcp(&f, "s3cret");
  int fd = join(&f); /* the Unix socket has none */
  say(&f, fd, "PING\r\nAUTH x\r\nAUTH somebody else\r\nAUTH a b c\r\n");
  expect(&f, fd, "+PONG\r\n+OK\r\n+OK\r\n-ERR syntax error\r\n");
  close(fd);
  fixture_close(&f);
}

static void test_tcp_is_for_the_loopback_interface_only(void **state) {
  (void)state;
  static const char *const addresses[] = {"0.0.0.0", "10.0.0.1", "::", "localhost", ""};
  struct fixture f;
  fixture_begin(&f);
  f.settings.socket.path = NULL;
  for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
    f.settings.tcp.address = addresses[i];
    const char *text = second_start(&f);
    assert_non_null(text);
    assert_non_null(strstr(text, "loopback"));
  }
  fixture_close(&f);
}

static void test_a_taken_port_is_an_error_and_leaves_no_socket_file(void **state) {
  (void)state;
  struct fixture f;
  fixture_start_tcp(&f, "s3cret");
  char path[sizeof f.path + 8];
  struct stat info;
  snprintf(path, sizeof path, "%s.2", f.path);
  f.settings.socket.path = path;
  f.settings.tcp.port = sb_server_tcp_port(f.server);
  const char *text = second_start(&f);
  assert_non_null(text);
  assert_non_null(strstr(text, "in use"));
  assert_int_equal(lstat(path, &info), -1);
  fixture_close(&f);
}

static void test_a_tcp_peer_that_ends_his_side_gets_all_answers_first(void **state) {
  (void)state;
  struct fixture f;
  fixture_start_tcp(&f, NULL);
  int fd = dial_tcp(sb_server_tcp_port(f.server));
  f.log_stands = true;
  say(&f, fd, "PUBLISH a x\r\nSUBSCRIBE a\r\nRESET\r\n");
  shutdown(fd, SHUT_WR);
  expect_silence(&f, fd);
  assert_true(is_idle(&f));
  f.log_stands = false;
  expect(&f, fd, ":0\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+RESET\r\n");
  expect_end(&f, fd);
  close(fd);
  fixture_close(&f);
}

static void test_urgent_data_behind_the_end_of_input_wakes_nobody_for_ever(void **state) {
  (void)state;
  struct fixture f;
  fixture_start_tcp(&f, NULL);
  int fd = dial_tcp(sb_server_tcp_port(f.server));
  f.log_stands = true;
  say(&f, fd, "PUBLISH a x\r\nSUBSCRIBE a\r\nRESET\r\n"); /* which waits for the answers before it */
  until(&f, stats_of(&f).commands == 2);
  assert_int_equal(send(fd, "!", 1, MSG_OOB), 1);
  shutdown(fd, SHUT_WR);
  until(&f, stats_of(&f).sessions == 0); /* nobody who speaks this protocol does that */
  assert_true(is_idle(&f));
  f.log_stands = false;
  close(fd);
  fixture_close(&f);
}

/* ---- sessions ---- */

static char turned_away[4][200];
static unsigned told;
static void note_turned_away(void *owner, enum sb_log_level level, const char *area, const char *cause,
                             const char *line) {
  (void)owner;
  (void)area;
  (void)cause;
  if (level == SB_LOG_WARN && strstr(line, "connection refused") && told < 4)
    snprintf(turned_away[told++], sizeof turned_away[0], "%s", line);
}

static void test_a_session_above_the_limit_is_turned_away_and_the_log_says_why(void **state) {
  (void)state;
  struct fixture f;
  fixture_init(&f);
  f.settings.sessions_max = 2;
  fixture_start(&f);
  told = 0;
  sb_log_to(note_turned_away, NULL, SB_LOG_NOTICE);
  int a = join(&f), b = join(&f);
  for (int i = 0; i < 3; i++) { /* one line for all of them */
    int c = dial(f.path);
    expect(&f, c, "-ERR max number of clients reached\r\n");
    expect_end(&f, c);
    close(c);
  }
  assert_int_equal(stats_of(&f).sessions_rejected, 3);
  assert_int_equal(told, 1);
  assert_string_equal(turned_away[0], "connection refused: 2 sessions are open, and limits.sessions is 2");
  close(a);
  until(&f, stats_of(&f).sessions == 1);
  int d = join(&f);
  say(&f, d, "PING\r\n");
  expect(&f, d, "+PONG\r\n");
  close(b);
  close(d);
  sb_log_to(no_log, NULL, SB_LOG_NOTICE);
  fixture_close(&f);
}

static void test_tcp_above_its_share_is_logged_as_that(void **state) {
  (void)state;
  struct fixture f;
  int fds[3];
  fixture_start_tcp_for(&f, "s3cret", 4);
  told = 0;
  sb_log_to(note_turned_away, NULL, SB_LOG_NOTICE);
  for (int i = 0; i < 3; i++) {
    fds[i] = dial_tcp(sb_server_tcp_port(f.server));
    say(&f, fds[i], "AUTH s3cret\r\n");
    expect(&f, fds[i], "+OK\r\n");
  }
  int late = dial_tcp(sb_server_tcp_port(f.server));
  expect(&f, late, "-ERR max number of clients reached\r\n");
  assert_int_equal(told, 1);
  assert_string_equal(
      turned_away[0],
      "connection refused: 3 sessions came by TCP, which may have 3 of the 4 of limits.sessions");
  for (int i = 0; i < 3; i++) close(fds[i]);
  close(late);
  sb_log_to(no_log, NULL, SB_LOG_NOTICE);
  fixture_close(&f);
}

/* Who is not allowed may knock all the time: that sessions are used up is told all the same. */
static void test_each_reason_to_turn_away_has_its_own_line(void **state) {
  (void)state;
  struct fixture f;
  fixture_begin(&f);
  told = 0;
  sb_log_to(note_turned_away, NULL, SB_LOG_NOTICE);
  static const uid_t nobody[] = {65534};
  struct sb_listener *listener = &f.server->unix_listener;
  listener->allow_given = true;
  listener->allow = nobody;
  listener->allow_count = geteuid() == nobody[0] ? 0 : 1;
  int one = dial(f.path);
  expect(&f, one, "-NOPERM this user may not use this socket\r\n");
  listener->allow_given = false;
  f.settings.sessions_max = 1;
  sb_server_reload(f.server, &f.settings);
  int two = join(&f), three = dial(f.path);
  expect(&f, three, "-ERR max number of clients reached\r\n");
  assert_int_equal(told, 2);
  assert_non_null(strstr(turned_away[0], "is not in the list of allowed users"));
  assert_non_null(strstr(turned_away[1], "limits.sessions is 1"));
  close(one);
  close(two);
  close(three);
  sb_log_to(no_log, NULL, SB_LOG_NOTICE);
  fixture_close(&f);
}

/* ---- descriptors ---- */

static void test_without_descriptors_clients_are_turned_away_and_the_loop_rests(void **state) {
  (void)state;
  enum { CLIENTS = 4 };
  struct fixture f;
  struct rlimit limit;
  fixture_begin(&f);
  int fds[CLIENTS], first = join(&f);
  getrlimit(RLIMIT_NOFILE, &limit);
  for (int i = 0; i < CLIENTS; i++) fds[i] = dial(f.path);
  /* Every descriptor below the limit is taken: none is left to accept with. */
  int last = dup(first);
  struct rlimit low = {(rlim_t)last, limit.rlim_max};
  close(last);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
  for (int i = 0; i < CLIENTS; i++) {
    expect(&f, fds[i], "-ERR max number of clients reached\r\n");
    expect_end(&f, fds[i]);
    close(fds[i]);
  }
  assert_true(is_idle(&f));
  assert_int_equal(stats_of(&f).sessions_rejected, CLIENTS);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  int fd = join(&f);
  say(&f, fd, "PING\r\n");
  expect(&f, fd, "+PONG\r\n");
  say(&f, first, "PING\r\n");
  expect(&f, first, "+PONG\r\n");
  close(fd);
  close(first);
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_socket_has_the_mode_and_group_that_were_asked_for),
      cmocka_unit_test(test_a_link_in_place_of_the_fresh_file_is_not_followed),
      cmocka_unit_test(test_a_stale_socket_file_is_replaced),
      cmocka_unit_test(test_a_live_socket_is_an_error_that_says_who_holds_it),
      cmocka_unit_test(test_a_file_of_another_kind_is_left_alone),
      cmocka_unit_test(test_a_path_that_does_not_fit_is_refused),
      cmocka_unit_test(test_only_the_file_that_was_made_is_removed),
      cmocka_unit_test(test_after_stop_listening_sessions_stay_and_nobody_comes),
      cmocka_unit_test(test_users_of_the_list_may_connect),
      cmocka_unit_test(test_users_not_of_the_list_are_refused),
      cmocka_unit_test(test_an_empty_list_that_was_given_denies_all),
      cmocka_unit_test(test_over_tcp_nothing_goes_without_the_password),
      cmocka_unit_test(test_hello_takes_the_password_too),
      cmocka_unit_test(test_before_the_password_requests_must_be_small),
      cmocka_unit_test(test_strangers_make_room_for_the_next_and_for_who_knows_the_password),
      cmocka_unit_test(test_who_does_not_give_the_password_in_time_is_closed),
      cmocka_unit_test(test_strangers_make_room_when_few_sessions_are_allowed),
      cmocka_unit_test(test_a_wrong_password_is_told_late_and_what_follows_waits),
      cmocka_unit_test(test_who_waits_for_its_wrong_password_may_close_the_others),
      cmocka_unit_test(test_tcp_never_takes_all_sessions),
      cmocka_unit_test(test_without_a_password_every_auth_is_right),
      cmocka_unit_test(test_tcp_is_for_the_loopback_interface_only),
      cmocka_unit_test(test_a_taken_port_is_an_error_and_leaves_no_socket_file),
      cmocka_unit_test(test_a_tcp_peer_that_ends_his_side_gets_all_answers_first),
      cmocka_unit_test(test_urgent_data_behind_the_end_of_input_wakes_nobody_for_ever),
      cmocka_unit_test(test_a_session_above_the_limit_is_turned_away_and_the_log_says_why),
      cmocka_unit_test(test_tcp_above_its_share_is_logged_as_that),
      cmocka_unit_test(test_each_reason_to_turn_away_has_its_own_line),
      cmocka_unit_test(test_without_descriptors_clients_are_turned_away_and_the_loop_rests),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
