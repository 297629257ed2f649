'use strict';
// The client libraries behind one face, so that a test is written once and runs with each of them in each
// protocol it speaks. A driver adds nothing: where a library cannot do a thing, the method is missing.
//
//   driver = {name, resp, open(address, {password, onError})} -> client
//   client = {subscribe, psubscribe, ssubscribe (names, listener), unsubscribe, punsubscribe, sunsubscribe
//             (names or none), publish, spublish (channel, payload), command(...args), close()}
// A listener gets (payload: Buffer, channel: string).

/** ioredis tells messages by events: one dispatcher per connection, keyed by kind and name. */
function ioredisDriver(library, name, options) {
  return {
    name,
    resp: options.protocol || 2,
    open(address, { password, onError = () => {} } = {}) {
      const Redis = require(library).default;
      const redis = new Redis({
        ...address, ...options, password, lazyConnect: true, retryStrategy: () => 20,
        maxRetriesPerRequest: null,
      });
      redis.on('error', onError);
      const listeners = new Map();
      const call = (key, payload, channel) => {
        const listener = listeners.get(key);
        if (listener) listener(payload, channel.toString());
      };
      redis.on('messageBuffer', (channel, payload) => call(`c:${channel}`, payload, channel));
      redis.on('smessageBuffer', (channel, payload) => call(`s:${channel}`, payload, channel));
      redis.on('pmessageBuffer', (pattern, channel, payload) => call(`p:${pattern}`, payload, channel));
      const add = (kind, method) => (names, listener) => {
        for (const one of names) listeners.set(`${kind}:${one}`, listener);
        return redis[method](...names);
      };
      const remove = (kind, method) => async (names = []) => {
        await redis[method](...names);
        for (const key of [...listeners.keys()]) {
          if (key.startsWith(`${kind}:`) && (!names.length || names.includes(key.slice(2)))) {
            listeners.delete(key);
          }
        }
      };
      return redis.connect().then(() => ({
        subscribe: add('c', 'subscribe'), psubscribe: add('p', 'psubscribe'), ssubscribe: add('s', 'ssubscribe'),
        unsubscribe: remove('c', 'unsubscribe'), punsubscribe: remove('p', 'punsubscribe'),
        sunsubscribe: remove('s', 'sunsubscribe'),
        publish: (channel, payload) => redis.publish(channel, payload),
        spublish: (channel, payload) => redis.spublish(channel, payload),
        command: (...args) => redis.call(...args),
        close: () => {
          redis.disconnect();
          return Promise.resolve();
        },
      }));
    },
  };
}

/** node-redis takes a listener per subscription; versions differ in how a client is made and ended. */
function nodeRedisDriver(library, name, resp, makeOptions) {
  return {
    name,
    resp,
    async open(address, { password, onError = () => {} } = {}) {
      const { createClient } = require(library);
      const client = createClient({
        socket: { ...address, reconnectStrategy: () => 20 }, password, ...makeOptions(resp),
      });
      client.on('error', onError);
      await client.connect();
      const wrap = (listener) => (payload, channel) => listener(payload, channel.toString());
      const add = (method) => (names, listener) => client[method](names, wrap(listener), true);
      const remove = (method) => (names) => client[method](names && names.length ? names : undefined);
      return {
        subscribe: add('subscribe'), psubscribe: add('pSubscribe'), ssubscribe: add('sSubscribe'),
        unsubscribe: remove('unsubscribe'), punsubscribe: remove('pUnsubscribe'),
        sunsubscribe: remove('sUnsubscribe'),
        publish: (channel, payload) => client.publish(channel, payload),
        spublish: (channel, payload) => client.sPublish(channel, payload),
        command: (...args) => client.sendCommand(args),
        close: async () => {
          if (client.destroy) client.destroy();
          else await client.disconnect();
        },
      };
    },
  };
}

const NODE = Number(process.versions.node.split('.')[0]);

const all = [
  ioredisDriver('ioredis5', 'ioredis 5, RESP2', {}),
  ioredisDriver('ioredis6', 'ioredis 6, RESP2', { protocol: 2 }),
  ioredisDriver('ioredis6', 'ioredis 6, RESP3', { protocol: 3 }),
  nodeRedisDriver('redis4', 'node-redis 4, RESP2', 2, () => ({})),
  nodeRedisDriver('redis5', 'node-redis 5, RESP2', 2, (RESP) => ({ RESP })),
  nodeRedisDriver('redis5', 'node-redis 5, RESP3', 3, (RESP) => ({ RESP })),
  nodeRedisDriver('redis6', 'node-redis 6, RESP2', 2, (RESP) => ({ RESP })),
  nodeRedisDriver('redis6', 'node-redis 6, RESP3', 3, (RESP) => ({ RESP })),
];

// The newest libraries need Node 20; Debian 12 has 18.
const isUsable = ({ name }) => NODE >= 20 || !name.startsWith('ioredis 6') && !name.startsWith('node-redis 6');

module.exports = { drivers: all.filter(isUsable), unusable: all.filter((driver) => !isUsable(driver)) };
