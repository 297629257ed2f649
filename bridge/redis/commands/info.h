/* The texts of INFO and SIDEBUS STATUS. */
#ifndef SB_REDIS_COMMANDS_INFO_H
#define SB_REDIS_COMMANDS_INFO_H

#include "bridge/base/bytes.h"

struct sb_server;

/* Sections "# Sidebus", "# Broker" and "# Partitions": "key:value\r\n" lines. */
void sb_info_status(const struct sb_server *server, struct sb_buf *out);

#endif
