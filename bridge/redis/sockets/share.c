#include "bridge/redis/sockets/share.h"

#include "bridge/base/limits.h"

/* ---- what is used ---- */

/* What was used in an earlier turn does not count. */
static void renew(const struct sb_shares *shares, struct sb_share *share) {
  if (share->turn == shares->turn) return;
  share->turn = shares->turn;
  share->bytes = 0;
  share->ns = 0;
}

bool sb_shares_are_used_up(const struct sb_shares *shares) {
  return shares->bytes >= SB_TURN_BYTES_MAX || shares->ns >= SB_TURN_NS_MAX;
}

bool sb_share_is_used_up(const struct sb_shares *shares, struct sb_share *share) {
  renew(shares, share);
  return share->bytes >= SB_SHARE_BYTES_MAX || share->ns >= SB_SHARE_NS_MAX || sb_shares_are_used_up(shares);
}

void sb_share_use(struct sb_shares *shares, struct sb_share *share, size_t bytes) {
  renew(shares, share);
  share->bytes += bytes;
  shares->bytes += bytes;
}

void sb_share_begin(struct sb_shares *shares) {
  shares->since_ns = uv_hrtime();
}

void sb_share_count_time(struct sb_shares *shares, struct sb_share *share) {
  uint64_t now = uv_hrtime(), took = now - shares->since_ns;
  renew(shares, share);
  shares->since_ns = now;
  shares->ns += took;
  share->ns += took;
}

/* ---- turns ---- */

void sb_shares_begin_anew(struct sb_shares *shares) {
  shares->bytes = 0;
  shares->ns = 0;
}

static void on_check(uv_check_t *check) {
  struct sb_shares *shares = check->data;
  shares->turn++;
  sb_shares_begin_anew(shares);
}

void sb_share_wait(struct sb_shares *shares, struct sb_share *share) {
  if (sb_link_linked(&share->link)) return;
  sb_link_append(&shares->waiting, &share->link);
  uv_idle_start(&shares->idle, shares->go_on);
}

void sb_share_leave(struct sb_share *share) {
  sb_link_remove(&share->link);
}

/* ---- begin and end ---- */

void sb_shares_init(struct sb_shares *shares) {
  sb_link_init(&shares->waiting);
}

void sb_shares_open(struct sb_shares *shares, uv_loop_t *loop, void *owner, uv_idle_cb go_on) {
  shares->go_on = go_on;
  uv_idle_init(loop, &shares->idle);
  uv_check_init(loop, &shares->check);
  shares->idle.data = owner;
  shares->check.data = shares;
  uv_check_start(&shares->check, on_check);
  uv_unref((uv_handle_t *)&shares->check); /* nobody runs the loop for it */
}

void sb_shares_close(struct sb_shares *shares) {
  uv_close((uv_handle_t *)&shares->idle, NULL);
  uv_close((uv_handle_t *)&shares->check, NULL);
}
