'use strict';
// Socket.IO on sidebus: three servers, each on a node of its own, over one broker. TARGET=redis runs the same
// on one redis-server, which proves that no test asks for more than Redis gives.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const path = require('node:path');
const { BROKER, Cluster, brokerForTarget } = require('../../clients/harness');
const { note, run, test, until, within } = require('../../clients/tap');
const { ANSWER_MS, Trio, User } = require('./servers');
const { operations } = require('./operations');
const { REQUESTS_TIMEOUT_MS } = require('./libraries');
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
const START_MS = 20000; // a process loads hundreds of files, on a machine that is busy

let broker;
let cluster;
let current; // {configuration, trio}: opened by the first test that needs it
let namespaces = 0;

async function closeTrio() {
  const closing = current;
  current = undefined;
  if (closing) await closing.trio.close();
}

async function trioOf(configuration) {
  if (!current || current.configuration !== configuration) {
    await closeTrio();
    current = { configuration, trio: await Trio.open(cluster.nodes, configuration) };
  }
  return current.trio;
}

async function contextOf(t, configuration) {
  const trio = await trioOf(configuration);
  t.after(() => trio.disconnectUsers());
  const users = await trio.connectUsers();
  const [A, B, C] = trio.servers;
  t.after(async () => {
    for (const event of ['hello', 'who']) for (const server of trio.servers) server.io.removeAllListeners(event);
  });
  return { t, trio, users, A, B, C, nodes: cluster.nodes, namespace: `/room-${++namespaces}`, ...configuration };
}

/** A server process; resolves when it is a member. */
async function startMember(t, { library, adapter }, node) {
  const child = spawn(process.execPath, [path.join(__dirname, 'member.js'), library, adapter, node.path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(async () => child.kill('SIGKILL'));
  const gone = new Promise((resolve) => child.once('exit', () => resolve(process.hrtime.bigint())));
  const port = await within(START_MS, 'a server process starts', new Promise((resolve, reject) => {
    child.stdout.once('data', (text) => resolve(Number(text)));
    child.once('exit', (code) => reject(new Error(`member.js ended with ${code}`)));
  }));
  return { child, gone, port };
}

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
  const begin = Date.now();
  const found = await Promise.all(trio.servers.map((server) => server.io.fetchSockets()));
  assert.deepEqual(found.map((sockets) => sockets.length), [6, 6, 6]);
  assert.ok(Date.now() - begin < REQUESTS_TIMEOUT_MS, 'no request waited for the server that is gone');
  assert.equal(Object.keys(users).length, 6);
  return took_ms;
}

// The newest libraries need Node 20; Debian 12 has 18.
const isUsable = ({ library }) => Number(process.versions.node.split('.')[0]) >= 20
  || !['ioredis 6', 'node-redis 6'].includes(library);

for (const configuration of configurations) {
  if (!isUsable(configuration)) {
    test(configuration.name, async (t) => t.skip('needs Node 20'));
    continue;
  }
  for (const { name, body, only } of [...operations, ...emitter.operations]) {
    if (!only(configuration)) continue;
    test(`${configuration.name}: ${name}`, async (t) => body(await contextOf(t, configuration)));
  }
  test(`${configuration.name}: a server process that is killed leaves the counts within ${LEAVES_MS} ms`, async (t) => {
    const context = { ...await contextOf(t, configuration), configuration };
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
  },
  after: async () => {
    await closeTrio();
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
});
