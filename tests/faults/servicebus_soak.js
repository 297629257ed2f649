#!/usr/bin/env node
'use strict';
// Everything that Service Bus may do to its clients, at random and for long, under constant load. In the end everything
// that was answered was delivered once and in order, except where a node declared a gap.
//
//   node tests/faults/servicebus_soak.js [--seconds 600] [--seed N] [--verbose]
//
// Nodes A and B are judged; C comes and goes. Only B loses messages or its subscription: were both to lose sight of a
// log at once, it would have to be founded anew, and then what was in flight may come twice (docs/log.md).

const assert = require('node:assert/strict');
const { parseArgs } = require('node:util');
const { Cluster, ServiceBus, requireSidebus, temporaryDirectory } = require('../clients/harness');
const { random } = require('../clients/load');
const { note, run, test, until, within } = require('../clients/tap');
const { GapLoad } = require('./gaps');

const { values } = parseArgs({ options: {
  seconds: { type: 'string', default: '600' }, seed: { type: 'string' }, verbose: { type: 'boolean', default: false },
} });
const SECONDS = Number(values.seconds);
const SEED = Number(values.seed || Date.now() % 1e6);
const PARTITIONS = 3;
const CHANNELS = Array.from({ length: 12 }, (_, i) => `soak:${i}`);
const PACE = { window: 50, burst: 3, every_ms: 10 };
const RECOVERY_MS = 60000; // nothing stands still for so long, whatever happens
const LOCK_MS = 1000;
const FOUND_MS = 20000; // A can always answer within that time, so B need not found anything
const LOCKS_EVERY = 25; // faults, after which new subscriptions get short locks as well
const PROGRESS_EVERY_MS = 60000; // to print how far it is

const chance = random(SEED);
const among = (list) => list[Math.floor(chance() * list.length)];
const upTo = (most) => 1 + Math.floor(chance() * most);

let broker;
let cluster;
let load;
let isAway = false; // node C

const topic = () => `${cluster.prefix}-${Math.floor(chance() * PARTITIONS)}`;
const topics = () => (chance() < 0.5 ? `${cluster.prefix}*` : topic());
const container = () => among(['sidebus-node-1*', 'sidebus-node-2*', 'sidebus-*']);
const subscription = async (node) => `${topic()}/Subscriptions/${(await node.info()).broker_subscription}`;
const anySubscription = () => `${topics()}${chance() < 0.5 ? '*' : '/Subscriptions/*'}`;

/** For a moment that the seed decides; what is tested is that the fault passes. */
function moment(most_ms) {
  return new Promise((resolve) => setTimeout(resolve, upTo(most_ms)));
}

const CONDITIONS = ['amqp:internal-error', 'com.microsoft:timeout', 'com.microsoft:operation-cancelled', 'com.microsoft:server-busy',
  'amqp:link:detach-forced', 'amqp:not-allowed', 'amqp:resource-limit-exceeded'];

const FAULTS = {
  'links detached': () => broker.ask('detach', { entity: `${topics()}*`, kind: among(['send', 'receive', 'all']),
    condition: among(['amqp:link:detach-forced', 'com.microsoft:server-busy', 'amqp:internal-error']) }),
  'connections forced': () => broker.ask('close', { container: container() }),
  'connections dropped': () => broker.ask('drop', { container: container() }),
  'service away': () => broker.ask('restart', { ms: upTo(2500) }),
  'connections silent': () => broker.ask('freeze', { container: container(), ms: upTo(1500) }),
  busy: () => broker.ask('busy', { entity: topics(), ms: upTo(800), links: chance() < 0.3 }),
  'sends refused': () => broker.ask('reject', { entity: topics(), condition: among(CONDITIONS), count: upTo(5), after: upTo(10) }),
  'slow accept': async () => {
    await broker.ask('slow-accept', { entity: topics(), ms: upTo(500) });
    await moment(500);
    await broker.ask('slow-accept', { ms: 0 });
  },
  'accepted, not told': () => broker.ask('lose-accept', { entity: topics() }),
  'delivered twice': () => broker.ask('duplicate', { entity: anySubscription(), count: upTo(20) }),
  overtaking: () => broker.ask('reorder', { entity: anySubscription(), count: upTo(20), by: upTo(4), wait_ms: upTo(300) }),
  'holes in the sequence': () => broker.ask('skip', { entity: topics(), count: upTo(1000) }),
  'locks lost': () => broker.ask('lose-locks', { entity: anySubscription() }),
  'tokens expired': () => broker.ask('expire-tokens', { entity: '*', container: container() }),
  'tokens refused': async () => {
    await broker.ask('requests', { cbs_status: among([401, 408, 500, 503]) });
    await broker.ask('drop', { container: container() });
    await moment(500);
    await broker.ask('requests');
  },
  'attaches refused': async () => {
    await broker.ask('refuse-attach', { entity: `${cluster.prefix}*`, condition: among(CONDITIONS), count: upTo(4) });
    await broker.ask('drop', { container: container() });
  },
  'EXTERNAL offered': async () => {
    await broker.ask('external', { on: chance() < 0.5 });
    await broker.ask('drop', { container: container() });
  },
  'a delivery lost': async () => broker.ask('lose', { entity: await subscription(cluster.nodes[1]) }),
  'a subscription deleted': async () => broker.ask('delete', { entity: await subscription(cluster.nodes[1]) }),
  'a subscription made again': async () => broker.ask('recreate', { entity: await subscription(cluster.nodes[1]) }),
  'a node goes or comes': comeOrGo,
};

/** What B has lost already cannot be deleted: 404. */
const isGone = (error) => /\b404\b|no entity|could not be found/.test(error.message);

async function comeOrGo() {
  const C = cluster.nodes[2];
  isAway = !isAway;
  if (!isAway) {
    await C.start();
    (await load.publish(C, PACE)).start();
  } else if (chance() < 0.5) await C.kill9();
  else await C.stop();
}

async function generations() {
  const session = await cluster.nodes[0].connect();
  const text = String(await session.request('SIDEBUS', 'STATUS'));
  await session.destroy();
  return [...text.matchAll(/^partition_\d+:.*?generation=(\d+)/gm)].map((match) => match[1]);
}

async function openLoad() {
  load = await GapLoad.open(cluster.nodes.slice(0, 2), { channels: CHANNELS, partitions: PARTITIONS, payload_bytes: 200, seed: SEED });
  for (const node of cluster.nodes.slice(0, 2)) {
    await load.subscribe(node);
    await load.subscribe(node, 'PSUBSCRIBE', ['soak:*']);
    await load.publish(node, PACE);
    await load.publish(node, PACE);
  }
  await load.publish(cluster.nodes[2], PACE);
  load.start();
}

async function summary(counts, seconds) {
  note(`${seconds.toFixed(0)} s, ${load.answered} publishes answered, ${load.gapReplies} of them -GAP`);
  note(Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(', '));
  note(`gaps by partition: ${load.gapText}`);
  for (const node of cluster.nodes.slice(0, 2)) {
    const info = await node.info();
    await node.assertAgrees();
    note(`${node.name}: ${['broker_reconnects', 'broker_refused', 'broker_busy', 'broker_duplicates', 'batches_resent', 'batches_duplicate',
      'losses_shown', 'gaps', 'rejoins'].map((key) => `${key} ${info[key]}`).join(', ')}`);
  }
}

test(`${SECONDS} s of faults at random: what was answered came once and in order, but for declared gaps`, async () => {
  note(`seed ${SEED}`);
  await openLoad();
  await load.progress(500, RECOVERY_MS);
  const before = await generations();
  const begin = Date.now();
  const counts = {};
  let faults = 0;
  let printed = begin;
  while (Date.now() - begin < SECONDS * 1000) {
    if (faults++ % LOCKS_EVERY === 0) await broker.ask('entity', { entity: '*', settings: { lockDuration_ms: LOCK_MS } });
    const name = among(Object.keys(FAULTS));
    if (values.verbose) note(`${((Date.now() - begin) / 1000).toFixed(1)} s: ${name} (${load.state})`);
    counts[name] = (counts[name] || 0) + 1;
    await within(RECOVERY_MS, name, FAULTS[name]()).catch((error) => {
      if (!isGone(error)) throw error;
    });
    await load.collect();
    // Often the next one comes before the last one is over.
    if (chance() < 0.7) await load.progress(upTo(400), RECOVERY_MS);
    else await moment(200);
    if (Date.now() - printed > PROGRESS_EVERY_MS) {
      printed = Date.now();
      note(`${((printed - begin) / 1000).toFixed(0)} s, ${faults} faults, ${load.answered} answered; gaps: ${load.gapText}`);
    }
  }
  await broker.ask('clear');
  if (isAway) await comeOrGo();
  await load.progress(500, RECOVERY_MS);
  await load.finish(RECOVERY_MS);
  const seconds = (Date.now() - begin) / 1000;
  for (const { connection, name } of load.subscribers) assert.ok(!connection.closed, `${name} stayed connected`);
  for (const { lost } of load.publishers.slice(0, 4)) assert.equal(lost, undefined, 'publishers on A and B stayed connected');
  assert.deepEqual(await generations(), before, 'no log was founded anew');
  await until(RECOVERY_MS, 'both nodes are up to date', async () => {
    for (const node of cluster.nodes.slice(0, 2)) assert.equal((await node.info()).broker_link, 'up');
    return true;
  });
  await load.verify(cluster.nodes[0], RECOVERY_MS);
  await summary(counts, seconds);
  for (const node of cluster.nodes) assert.equal((await node.info()).batches_malformed, '0', node.name);
}, { deadline_ms: SECONDS * 1000 + 6 * RECOVERY_MS });

run({
  before: async () => {
    requireSidebus();
    broker = await ServiceBus.start(temporaryDirectory());
    cluster = await Cluster.open({
      broker, count: 3, partitions: PARTITIONS, isFirstAlone: true, found_ms: FOUND_MS, servicebus: { rpc_timeout_ms: 2000 },
    });
  },
  after: async () => {
    if (load) await load.close();
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
