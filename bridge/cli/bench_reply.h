/* Replies of hiredis without an allocation each, for measuring what a server can do rather than what the
 * client costs. */
#ifndef SB_CLI_BENCH_REPLY_H
#define SB_CLI_BENCH_REPLY_H

struct redisContext;

/* From now on replies of this context are made of storage that is used again for the next one: one reply at a
 * time, freed with sb_bench_reply_free. For one context per process; nothing is half read. */
void sb_bench_reply_lean(struct redisContext *link);

/* Frees a reply in the way in which it was made. NULL is allowed. */
void sb_bench_reply_free(struct redisContext *link, void *reply);

#endif
