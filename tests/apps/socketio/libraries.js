'use strict';
// How an app makes the connections that the adapters want, with each Redis library, and the adapters in the modes
// that their documentation offers. Nothing here knows sidebus: the address is all that differs from Redis.

const { createAdapter, createShardedAdapter } = require('@socket.io/redis-adapter');
const { createAdapter: createStreamsAdapter } = require('@socket.io/redis-streams-adapter');
const { until } = require('../../clients/tap');

// What an app would have waited at its longest for answers of the other servers. The sharded adapter and the streams
// adapter have no such option; their waits are 5 s.
const REQUESTS_TIMEOUT_MS = 2000;
const CLOSE_MS = 5000;

const STREAM = 'socket.io'; // the streams adapter's default
const STREAMS = 3; // where the namespaces are spread over several

/**
 * The connection of one server: {pub, sub, settled(), close()}, and for the streams adapter add(stream),
 * isActive(client) and isEnded(client), see ofStreams().
 */
function openIoredis(library, address, more = {}) {
  const { Redis } = require(library);
  const options = { ...address, ...more, maxRetriesPerRequest: null, retryStrategy: () => 50 };
  const pub = new Redis(options);
  const sub = pub.duplicate();
  for (const client of [pub, sub]) client.on('error', () => {}); // told by what the tests see
  return {
    pub,
    sub,
    settled: () => sub.ping(),
    close: () => Promise.all([pub, sub].map((client) => client.disconnect())),
    add: (stream) => pub.xadd(stream, '*', 'wake', 'up'),
    isActive: (client) => client.status === 'ready' && Boolean(client.condition && client.condition.subscriber),
    isEnded: (client) => client.status === 'end',
  };
}

async function openNodeRedis(library, address, more = {}) {
  const { createClient } = require(library);
  const pub = createClient({ socket: { ...address, reconnectStrategy: () => 50 }, ...more });
  const sub = pub.duplicate();
  for (const client of [pub, sub]) client.on('error', () => {});
  await Promise.all([pub.connect(), sub.connect()]);
  return {
    pub,
    sub,
    settled: () => sub.ping(),
    close: () => Promise.all([pub, sub].map((client) => (client.destroy ? client.destroy() : client.disconnect()))),
    add: (stream) => pub.xAdd(stream, '*', { wake: 'up' }),
    isActive: (client) => client.isReady && client.isPubSubActive,
    isEnded: (client) => !client.isOpen,
  };
}

/** The protocol is the library's default where the name says none: RESP3 for ioredis 6 and node-redis 6. */
const libraries = {
  'ioredis 5': (address) => openIoredis('ioredis5', address),
  'ioredis 6': (address) => openIoredis('ioredis6', address),
  'ioredis 6, RESP2': (address) => openIoredis('ioredis6', address, { protocol: 2 }),
  'node-redis 4': (address) => openNodeRedis('redis4', address),
  'node-redis 5': (address) => openNodeRedis('redis5', address),
  'node-redis 6': (address) => openNodeRedis('redis6', address),
  'node-redis 6, RESP2': (address) => openNodeRedis('redis6', address, { RESP: 2 }),
};

/**
 * The streams adapter is given one connection and makes the others itself: one for each stream that it reads, and a
 * subscriber. They are watched here, since the adapter tells nothing of them. A reader that is asked to close does so
 * when its XREAD was answered, so something is added to its stream then.
 */
function ofStreams(options = {}) {
  return (connection) => {
    const { pub, add, close, isActive, isEnded } = connection;
    const { streamCount: count } = options;
    const streams = count ? Array.from({ length: count }, (_, i) => `${STREAM}-${i}`) : [STREAM];
    const made = [];
    const duplicate = pub.duplicate.bind(pub);
    pub.duplicate = (...args) => {
      const client = duplicate(...args);
      made.push(client);
      return client;
    };
    connection.settled = () => Promise.all(made.filter(isActive).map((client) => client.ping()));
    connection.close = async () => {
      await until(CLOSE_MS, 'the connections of the streams adapter end', async () => {
        await Promise.all(streams.map(add));
        return made.every(isEnded);
      });
      await close();
    };
    return createStreamsAdapter(pub, options);
  };
}

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
  streams: ofStreams(),
  'streams, sharded requests': ofStreams({ useShardedPubSub: true }),
  'streams, several': ofStreams({ streamCount: STREAMS }),
  'streams, short': ofStreams({ maxLen: 100 }), // what is trimmed is what tests look at
};

const isPlain = (adapter) => adapter.startsWith('plain');
const isStreams = (adapter) => adapter.startsWith('streams');

// The newest libraries need Node 20; Debian 12 has 18.
const isUsable = ({ library }) => Number(process.versions.node.split('.')[0]) >= 20
  || !/^(ioredis|node-redis) 6/.test(library);

module.exports = { REQUESTS_TIMEOUT_MS, STREAM, adapters, isPlain, isStreams, isUsable, libraries };
