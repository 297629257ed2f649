/* A TCP forwarder on loopback that stands between a transport and its broker and can fail like a network:
 * hold bytes back, cut connections, let none through. It runs on a thread of its own; every call returns when
 * the thread has done what it asks. */
#ifndef SB_TESTS_CONFORMANCE_PROXY_H
#define SB_TESTS_CONFORMANCE_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proxy;

/* Forwards to 127.0.0.1:target_port. NULL when there is no socket or thread to be had. */
struct proxy *proxy_new(uint16_t target_port);
void proxy_free(struct proxy *proxy);

uint16_t proxy_port(const struct proxy *proxy);

/* Which bytes wait from now on: those of clients, those of the broker. */
void proxy_hold(struct proxy *proxy, bool requests, bool replies);

/* Ends every connection and what was held on it. */
void proxy_cut(struct proxy *proxy);

/* How many connections it forwards now. */
size_t proxy_connections(struct proxy *proxy);

/* Bytes that it has carried from the broker to clients. */
uint64_t proxy_carried(struct proxy *proxy);

/* While away, new connections end at once. */
void proxy_away(struct proxy *proxy, bool away);

/* A slow line for what the broker sends, the same for each connection; 0: as fast as it comes. */
void proxy_slow(struct proxy *proxy, size_t bytes_per_s);

#endif
