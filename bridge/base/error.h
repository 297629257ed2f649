/* An error: a code for the program, a sentence for people. Callers wrap outward with sb_error_wrap, so that
 * the text reads from the outside in: "rabbitmq mq-1:5671: TLS: certificate expired". Functions that take one
 * return 0 or a negative code and fill it only when they fail; NULL is allowed. */
#ifndef SB_BASE_ERROR_H
#define SB_BASE_ERROR_H

#include "bridge/base/limits.h"

enum sb_code {
  SB_OK = 0,
  SB_ERR_SYSTEM = -1,  /* the operating system refused; the text has its word for it */
  SB_ERR_INVALID = -2, /* bad input or configuration */
  SB_ERR_FULL = -3,    /* a bounded queue has no room: try again later */
  SB_ERR_TOO_LARGE = -4,
  SB_ERR_PROTOCOL = -5, /* the peer broke its protocol */
  SB_ERR_REFUSED = -6,  /* the peer said no: access, limits, missing entity */
  SB_ERR_LINK = -7,     /* the connection is lost or cannot be made */
  SB_ERR_TIMEOUT = -8,
  SB_ERR_IN_USE = -9,
};

struct sb_error {
  int code;
  char text[SB_ERROR_TEXT_MAX];
};

/* Sets code and text; returns the code. */
__attribute__((format(printf, 3, 4))) int sb_error_set(struct sb_error *error, int code, const char *format,
                                                       ...);

/* Like sb_error_set with ": " and strerror(number) at the end; the code is SB_ERR_SYSTEM. */
__attribute__((format(printf, 3, 4))) int sb_error_errno(struct sb_error *error, int number,
                                                         const char *format, ...);

/* Puts "<prefix>: " before the text; returns the code as it is. */
__attribute__((format(printf, 2, 3))) int sb_error_wrap(struct sb_error *error, const char *format, ...);

#endif
