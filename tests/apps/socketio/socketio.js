'use strict';
// Socket.IO on sidebus: three servers, each on a node of its own, over one broker. TARGET=redis runs the same
// on one redis-server, which proves that no test asks for more than Redis gives.

const assert = require('node:assert/strict');
const { BROKER, Cluster, brokerForTarget } = require('../../clients/harness');
const { Stopwatch, note, run, test, until } = require('../../clients/tap');
const { ANSWER_MS, User } = require('./servers');
const { Stage, startMember } = require('./stage');
const { operations } = require('./operations');
const { REQUESTS_TIMEOUT_MS, isUsable } = require('./libraries');
const emitter = require('./emitter');

// Every library with the plain adapter, every mode of the sharded adapter with a library of each family. What one
// library does unlike another does not depend on the broker: beside RabbitMQ, one for each mode is enough.
const everything = [
  ['ioredis 5', 'plain'],
  ['ioredis 6', 'plain'],
  ['node-redis 4', 'plain'],
  ['node-redis 5', 'plain'],
  ['node-redis 6', 'plain'],
  ['ioredis 6', 'plain, own response channels'],
  ['ioredis 5', 'sharded, dynamic'],
  ['node-redis 6', 'sharded, dynamic'],
  ['ioredis 6', 'sharded, static'],
  ['node-redis 5', 'sharded, static'],
  ['ioredis 6', 'sharded, dynamic-private'],
].map(([library, adapter]) => ({ library, adapter, name: `${library}, ${adapter}` }));
const isFirst = ({ adapter }, i) => everything.findIndex((one) => one.adapter === adapter) === i;
const configurations = BROKER === 'rabbitmq' ? everything : everything.filter(isFirst);
configurations.find(({ adapter }) => adapter === 'sharded, static').waitsForTimeouts = true;

// A session that closed leaves the counts of the cluster within this time, or requests of the adapters time out.
const LEAVES_MS = 100;
const ROUNDS = 3;

let broker;
let cluster;
let stage;

/** Milliseconds until all servers count three again after a fourth one's process was killed. */
async function killMember(t, context) {
  const { trio, configuration, users } = context;
  const member = await startMember(t, configuration, cluster.nodes[1]);
  for (const server of trio.servers) {
    await until(ANSWER_MS, `${server.name} counts four`, async () => await server.serverCount() === 4, 2);
  }
  const user = await User.connect(member.port, { user: 'd1' });
  t.after(async () => user.disconnect());
  assert.equal((await trio.servers[0].io.fetchSockets()).length, 7);
  member.child.kill('SIGKILL');
  const exit = await member.gone;
  await Promise.all(trio.servers.map((server) => until(ANSWER_MS, `${server.name} counts three`,
    async () => await server.serverCount() === 3, 1)));
  const took_ms = Number(process.hrtime.bigint() - exit) / 1e6;
  const watch = new Stopwatch();
  const found = await Promise.all(trio.servers.map((server) => server.io.fetchSockets()));
  assert.deepEqual(found.map((sockets) => sockets.length), [6, 6, 6]);
  assert.ok(watch.ms < REQUESTS_TIMEOUT_MS, 'no request waited for the server that is gone');
  assert.equal(Object.keys(users).length, 6);
  return took_ms;
}

for (const configuration of configurations) {
  if (!isUsable(configuration)) {
    test(configuration.name, async (t) => t.skip('needs Node 20'));
    continue;
  }
  for (const { name, body, only } of [...operations, ...emitter.operations]) {
    if (!only(configuration)) continue;
    test(`${configuration.name}: ${name}`, async (t) => body(await stage.contextOf(t, configuration)));
  }
  test(`${configuration.name}: a server process that is killed leaves the counts within ${LEAVES_MS} ms`, async (t) => {
    const context = { ...await stage.contextOf(t, configuration), configuration };
    const took = [];
    // The time includes this process's own turn on a shared machine: one quick round of three is proof enough.
    while (took.length < ROUNDS && !(Math.min(...took) <= LEAVES_MS)) took.push(await killMember(t, context));
    note(`${took.map((ms) => ms.toFixed(1)).join(', ')} ms`);
    assert.ok(Math.min(...took) <= LEAVES_MS, `${took} ms`);
  }, { deadline_ms: 90000 });
}

run({
  before: async () => {
    broker = await brokerForTarget();
    cluster = await Cluster.open({ broker, count: 3, partitions: 4 });
    stage = new Stage(cluster.nodes);
  },
  after: async () => {
    if (stage) await stage.close();
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
});
