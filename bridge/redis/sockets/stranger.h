/* Sessions of a listener with a password that have not given it yet. Anybody who reaches the listener can
 * open one, so they get little: SB_STRANGERS_MAX of a listener (the oldest goes when one more comes, so that
 * whoever knows the password always gets in), SB_STRANGER_MS each, SB_STRANGER_INPUT_BYTES of what was not
 * used.
 *
 *     open, RESET ──▶ stranger ── right password ──▶ session
 *                      │    ▲
 *         wrong one    ▼    │ SB_WRONG_PASSWORD_MS, then the error
 *                      waits
 *
 * One thread, the loop's. */
#ifndef SB_REDIS_SOCKETS_STRANGER_H
#define SB_REDIS_SOCKETS_STRANGER_H

#include <stdint.h>

#include "bridge/redis/sockets/list.h"

struct sb_connection;

/* Of one listener. */
struct sb_strangers {
  struct sb_link list; /* the oldest first */
  uint32_t count;
};

struct sb_stranger {
  struct sb_link link;
  struct sb_connection *connection;
  uint64_t until_ms; /* of the loop's clock: when it is closed */
  uint64_t wait_ms;  /* when its wrong password is answered; 0: it gave none since the last answer */
};

#endif
