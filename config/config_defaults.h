/* Defaults that another key decides: what is right for a broker on the local network is not for one that
 * charges by message. They take the place of the table's own (config_keys.c) where a key was not written.
 * Internal to config/. */
#ifndef SB_CONFIG_CONFIG_DEFAULTS_H
#define SB_CONFIG_CONFIG_DEFAULTS_H

#include "config/config.h"
#include "config/config_origin.h"

/* Call it after all keys were read, and again when one of the keys that decide has changed. */
void sb_config_resolve_defaults(struct sb_config *config, const struct sb_config_origin *origin);

#endif
