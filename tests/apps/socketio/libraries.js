'use strict';
// How an app makes the two connections that the adapters want, with each Redis library, and the adapters in the
// modes that their documentation offers. Nothing here knows sidebus: the address is all that differs from Redis.

const { createAdapter, createShardedAdapter } = require('@socket.io/redis-adapter');

// What an app would have waited at its longest for answers of the other servers. The sharded adapter has no
// such option; its waits are 5 s.
const REQUESTS_TIMEOUT_MS = 2000;

/** The connection of one server: {pub, sub, settled(), close()}. */
function openIoredis(library, address) {
  const { Redis } = require(library);
  const options = { ...address, maxRetriesPerRequest: null, retryStrategy: () => 50 };
  const pub = new Redis(options);
  const sub = pub.duplicate();
  for (const client of [pub, sub]) client.on('error', () => {}); // told by what the tests see
  return {
    pub,
    sub,
    settled: () => sub.ping(),
    close: () => Promise.all([pub, sub].map((client) => client.disconnect())),
  };
}

async function openNodeRedis(library, address) {
  const { createClient } = require(library);
  const pub = createClient({ socket: { ...address, reconnectStrategy: () => 50 } });
  const sub = pub.duplicate();
  for (const client of [pub, sub]) client.on('error', () => {});
  await Promise.all([pub.connect(), sub.connect()]);
  return {
    pub,
    sub,
    settled: () => sub.ping(),
    close: () => Promise.all([pub, sub].map((client) => (client.destroy ? client.destroy() : client.disconnect()))),
  };
}

const libraries = {
  'ioredis 5': (address) => openIoredis('ioredis5', address),
  'ioredis 6': (address) => openIoredis('ioredis6', address),
  'node-redis 4': (address) => openNodeRedis('redis4', address),
  'node-redis 5': (address) => openNodeRedis('redis5', address),
  'node-redis 6': (address) => openNodeRedis('redis6', address),
};

const adapters = {
  plain: ({ pub, sub }) => createAdapter(pub, sub, { requestsTimeout: REQUESTS_TIMEOUT_MS }),
  'plain, own response channels': ({ pub, sub }) => createAdapter(pub, sub, {
    requestsTimeout: REQUESTS_TIMEOUT_MS, publishOnSpecificResponseChannel: true,
  }),
  'sharded, dynamic': ({ pub, sub }) => createShardedAdapter(pub, sub),
  'sharded, static': ({ pub, sub }) => createShardedAdapter(pub, sub, { subscriptionMode: 'static' }),
  'sharded, dynamic-private': ({ pub, sub }) => createShardedAdapter(pub, sub, {
    subscriptionMode: 'dynamic-private',
  }),
};

const isSharded = (adapter) => adapter.startsWith('sharded');

module.exports = { REQUESTS_TIMEOUT_MS, adapters, isSharded, libraries };
