'use strict';
// Subscribers by how they read: as an app that has nothing else to do, a little at a time, not at all.

const net = require('node:net');
const { Redis } = require('ioredis5');
const { encode } = require('./resp');

/** An ioredis client that only counts: messages, and how often it was disconnected. */
async function countingSubscriber(t, node, channel) {
  const subscriber = { count: 0, closed: 0 };
  const client = new Redis(node.path, { maxRetriesPerRequest: null });
  t.after(() => client.disconnect());
  client.on('message', () => (subscriber.count += 1));
  client.on('close', () => (subscriber.closed += 1));
  client.on('error', () => {});
  await client.subscribe(channel);
  return subscriber;
}

/** Takes `bytes` from its socket every `every_ms`, and what it took the first time: nothing more, when `bytes` is 0. */
function slowSubscriber(t, node, channel, { bytes, every_ms }) {
  const socket = net.connect({ path: node.path, onread: { buffer: Buffer.alloc(bytes || 64), callback: () => false } });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  socket.write(encode(['SUBSCRIBE', channel]));
  if (bytes === 0) return;
  const timer = setInterval(() => socket.resume(), every_ms);
  t.after(() => clearInterval(timer));
}

module.exports = { countingSubscriber, slowSubscriber };
