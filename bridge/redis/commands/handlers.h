/* The functions that run commands, by file. The table (table.c) says which command each of them runs. */
#ifndef SB_REDIS_COMMANDS_HANDLERS_H
#define SB_REDIS_COMMANDS_HANDLERS_H

#include "bridge/redis/commands/command.h"

sb_command_handler sb_run_auth, sb_run_hello, sb_run_quit, sb_run_reset; /* hello.c */
sb_command_handler sb_run_ping, sb_run_echo, sb_run_select, sb_run_time, sb_run_role,
    sb_run_no_cluster;                                                       /* ping.c */
sb_command_handler sb_run_config_get, sb_run_config_set, sb_run_config_help; /* config.c */
sb_command_handler sb_run_client_id, sb_run_client_info, sb_run_client_list, sb_run_client_kill,
    sb_run_client_setname, sb_run_client_getname, sb_run_client_setinfo, sb_run_client_no_evict,
    sb_run_client_no_touch, sb_run_client_help;                                     /* client.c */
sb_command_handler sb_run_op, sb_run_xinfo_help, sb_run_no_groups, sb_run_no_setid; /* keys.c */
sb_command_handler sb_run_multi, sb_run_exec, sb_run_discard, sb_run_no_watch,
    sb_run_unwatch; /* transaction.c */
sb_command_handler sb_run_eval, sb_run_evalsha, sb_run_script_load, sb_run_script_exists, sb_run_script_flush,
    sb_run_script_help; /* eval.c */
sb_command_handler sb_run_command, sb_run_command_count, sb_run_command_docs, sb_run_command_getkeys,
    sb_run_command_getkeysandflags, sb_run_command_info, sb_run_command_list,
    sb_run_command_help;        /* describe.c */
sb_command_handler sb_run_info; /* info.c */
sb_command_handler sb_run_subscribe, sb_run_psubscribe, sb_run_ssubscribe, sb_run_unsubscribe,
    sb_run_punsubscribe, sb_run_sunsubscribe, sb_run_publish, sb_run_spublish, sb_run_pubsub_channels,
    sb_run_pubsub_numpat, sb_run_pubsub_numsub, sb_run_pubsub_shardchannels, sb_run_pubsub_shardnumsub,
    sb_run_pubsub_help;            /* pubsub.c */
sb_command_handler sb_run_monitor; /* monitor.c */
sb_command_handler sb_run_sidebus_status, sb_run_sidebus_nodes, sb_run_sidebus_gaps, sb_run_sidebus_slot,
    sb_run_sidebus_ids, sb_run_sidebus_refused, sb_run_sidebus_help; /* sidebus.c */

#endif
