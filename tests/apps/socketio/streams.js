'use strict';
// Socket.IO's streams adapter on sidebus: three servers, each on a node of its own, over one broker (BROKER=memory: all
// on one node without any). Its operations, and the recovery of connections on other servers. TARGET=redis runs the
// same on one redis-server.

const { BROKER, Cluster, brokerForTarget } = require('../../clients/harness');
const { run, test } = require('../../clients/tap');
const { Stage } = require('./stage');
const { operations } = require('./operations');
const { recoveries } = require('./recovery');
const { isUsable } = require('./libraries');

// Every library in every protocol, every mode of the adapter. What one library does unlike another does not depend on
// the broker: beside RabbitMQ, one for each mode is enough. node-redis 5 is here in RESP2 only: see recovery.js.
const everything = [
  ['ioredis 5', 'streams'],
  ['ioredis 6', 'streams'],
  ['ioredis 6, RESP2', 'streams'],
  ['node-redis 5', 'streams'],
  ['node-redis 6', 'streams'],
  ['node-redis 6, RESP2', 'streams'],
  ['ioredis 5', 'streams, sharded requests'],
  ['node-redis 6', 'streams, sharded requests'],
  ['ioredis 6', 'streams, several'],
  ['ioredis 6', 'streams, short'],
].map(([library, adapter]) => ({ library, adapter, name: `${library}, ${adapter}` }));
const isFirst = ({ adapter }, i) => everything.findIndex((one) => one.adapter === adapter) === i;
const configurations = BROKER === 'rabbitmq' ? everything : everything.filter(isFirst);
for (const one of configurations.filter(isFirst)) one.isFirst = true;
configurations[0].waitsForTimeouts = true;

let broker;
let cluster;
let stage;

for (const configuration of configurations) {
  const { name: who, adapter } = configuration;
  if (!isUsable(configuration)) {
    test(who, async (t) => t.skip('needs Node 20'));
    continue;
  }
  const all = adapter === 'streams, short' ? recoveries : [...operations, ...recoveries];
  for (const { name, body, only, ...options } of all) {
    if (!only(configuration)) continue;
    test(`${who}: ${name}`, async (t) => body(await stage.contextOf(t, configuration)), options);
  }
}

run({
  before: async () => {
    const isAlone = BROKER === 'memory';
    broker = isAlone ? undefined : await brokerForTarget();
    cluster = await Cluster.open({ broker, count: isAlone ? 1 : 3, partitions: 4 });
    stage = new Stage(isAlone ? new Array(3).fill(cluster.nodes[0]) : cluster.nodes);
  },
  after: async () => {
    if (stage) await stage.close();
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
});
