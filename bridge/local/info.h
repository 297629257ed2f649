/* The texts of INFO and SIDEBUS STATUS. */
#ifndef SB_LOCAL_INFO_H
#define SB_LOCAL_INFO_H

#include "bridge/base/bytes.h"
#include "bridge/local/server.h"

/* Sections "# Sidebus", "# Broker" and "# Partitions": "key:value\r\n" lines. */
void sb_info_status(const struct sb_local *local, struct sb_buf *out);

#endif
