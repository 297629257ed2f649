'use strict';
// A sidebus that dies or leaves while all are busy. What it had answered arrived everywhere; the others do not
// notice; it comes back under its name.

const assert = require('node:assert/strict');
const { Cluster, TARGET, brokerForTarget } = require('../clients/harness');
const { Load } = require('../clients/load');
const { Skip, note, run, test } = require('../clients/tap');

const PARTITIONS = 4;
const CHANNELS = Array.from({ length: 12 }, (_, i) => `node:${i}`);
const PACE = { window: 100, burst: 5, every_ms: 5 };
const RECOVERY_MS = 30000;

let broker;
let cluster;

async function openLoad(t) {
  const load = new Load({ channels: CHANNELS, partitions: PARTITIONS, payload_bytes: 200 });
  t.after(() => load.close());
  note(`seed ${load.seed}`);
  for (const node of cluster.nodes) await load.subscribe(node);
  for (const node of [...cluster.nodes, ...cluster.nodes]) await load.publish(node, PACE);
  return load;
}

/** The subscribers at a node that went are no longer judged: the promise is for those that stayed. */
function forget(load, node) {
  const gone = load.subscribers.filter((one) => one.name.startsWith(`${node.name} `));
  assert.ok(gone.length > 0);
  load.subscribers = load.subscribers.filter((one) => !gone.includes(one));
}

for (const [how, leave] of [
  ['is killed with -9', (node) => node.kill9()], ['is stopped with SIGTERM', (node) => node.stop()],
]) {
  test(`one of three nodes ${how} under load: what it answered arrived at all who stayed`, async (t) => {
    const [A, B, C] = cluster.nodes;
    const load = await openLoad(t);
    load.start();
    for (let round = 0; round < 2; round++) {
      await load.progress(1000, RECOVERY_MS);
      await leave(C);
      forget(load, C);
      await load.progress(500, RECOVERY_MS);
      await C.start();
      await load.subscribe(C, 'PSUBSCRIBE', ['node:never-published-*']); // interest, not judged
      const back = await load.publish(C, PACE);
      back.start();
      await load.progress(500, RECOVERY_MS);
    }
    load.subscribers = load.subscribers.filter((one) => !one.names.includes('never'));
    await load.finish(RECOVERY_MS);
    assert.equal(load.publishers.filter((one) => one.lost).length, 3, 'only the sessions of the node that left ended');
    assert.equal(load.subscribers.filter((one) => !one.connection.closed).length, 2);
    await load.verify(A);
    await load.verify(B);
  }, { deadline_ms: 120000 });
}

run({
  before: async () => {
    if (TARGET === 'redis') throw new Skip('needs nodes that can die one by one');
    broker = await brokerForTarget();
    cluster = await Cluster.open({ broker, count: 3, partitions: PARTITIONS });
  },
  after: async () => {
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
