#include "bridge/redis/sockets/writing.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bridge/base/assert.h"
#include "bridge/base/limits.h"
#include "bridge/redis/sockets/pacing.h"
#include "bridge/redis/sockets/reading.h"
#include "bridge/redis/sockets/server_struct.h"
#include "bridge/redis/sockets/soft_limit.h"
#include "bridge/redis/sockets/watching.h"

#define WRITE_BUDGET_BYTES                                                                                   \
  ((size_t)16 * SB_READ_BYTES) /* of one session in one wake-up: others get their turn */

/* False when the session is gone. */
static bool write_once(struct sb_connection *c, size_t *total) {
  struct iovec vec[SB_OUTPUT_IOV_MAX];
  struct msghdr message = {.msg_iov = vec};
  int count = sb_output_peek(&c->session.outlet.out, vec, SB_OUTPUT_IOV_MAX);
  message.msg_iovlen = (size_t)count;
  size_t offered = 0;
  for (int i = 0; i < count; i++) offered += vec[i].iov_len;

  ssize_t wrote = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (wrote < 0) {
    if (errno == EINTR) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
      c->write_blocked = true;
      return true;
    }
    sb_output_close(&c->session.outlet.out);
    sb_connection_read_last_words(c);
    return false;
  }
  SB_ASSERT((size_t)wrote <= offered);
  sb_output_drop(&c->session.outlet.out, (size_t)wrote);
  c->server->stats.writes++;
  c->server->stats.bytes_written += (uint64_t)wrote;
  *total += (size_t)wrote;
  if ((size_t)wrote < offered || *total >= WRITE_BUDGET_BYTES) c->write_blocked = true;
  return true;
}

void sb_connection_flush(struct sb_connection *c) {
  size_t total = 0;
  if (c->fd < 0) return;
  if (c->deaf) sb_output_close(&c->session.outlet.out);
  while (c->session.outlet.out.bytes > 0 && !c->write_blocked)
    if (!write_once(c, &total)) return;
  sb_soft_limit_watch(c);
  sb_pacing_wrote(c, total);
  sb_connection_settle(c);
}

void sb_connection_writable(struct sb_connection *c) {
  c->write_blocked = false;
  sb_connection_flush(c);
}
