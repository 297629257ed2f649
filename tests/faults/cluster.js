'use strict';
// A cluster of three brokers, of which one is cut off from the others and goes on answering: it takes connections, and
// delivers nothing. RabbitMQ does this by default (cluster_partition_handling = ignore).

const assert = require('node:assert/strict');
const { BrokerCluster, Cluster, requireSidebus } = require('../clients/harness');
const { Load } = require('../clients/load');
const { note, run, test, until } = require('../clients/tap');

const PARTITIONS = 2;
const CHANNELS = Array.from({ length: 8 }, (_, i) => `cut:${i}`);
const RECOVERY_MS = 120000; // a new leader takes RabbitMQ some fifteen seconds, on a quiet machine

let brokers;
let cluster;

async function openLoad(t) {
  const load = new Load({ channels: CHANNELS, partitions: PARTITIONS, payload_bytes: 200 });
  t.after(() => load.close());
  note(`seed ${load.seed}`);
  for (const node of cluster.nodes) {
    await load.subscribe(node);
    await load.publish(node, { window: 50, burst: 5, every_ms: 20 });
  }
  return load;
}

const hostOf = async (node) => (await node.info()).broker_host;

test('nodes spread over the hosts of their list', async () => {
  const hosts = await Promise.all(cluster.nodes.map(hostOf));
  assert.equal(new Set(hosts).size, cluster.nodes.length, hosts.join(' '));
});

test('a broker is cut off: its nodes say so, go to another one, and all arrives once and in order', async (t) => {
  const load = await openLoad(t);
  load.start();
  await load.progress(500, RECOVERY_MS);
  const [node] = cluster.nodes;
  const host = await hostOf(node);
  await brokers.find(host).cut();
  note(`${host} is cut off`);
  const outage = await until(RECOVERY_MS, 'the node says that there is an outage',
    async () => (await node.info()).outage, 20);
  note(outage);
  await until(RECOVERY_MS, 'the node is at another broker, and well', async () => {
    const info = await node.info();
    return info.broker_host !== host && info.outage === '' && info.broker_link === 'up';
  }, 100);
  await load.progress(500, RECOVERY_MS);
  await load.finish(RECOVERY_MS);
  for (const one of [...load.publishers, ...load.subscribers]) assert.ok(!one.connection.closed, load.state);
  await load.verify(node, RECOVERY_MS);
}, { deadline_ms: 400000 });

run({
  before: async () => {
    requireSidebus();
    brokers = await BrokerCluster.start(3);
    cluster = await Cluster.open({ broker: brokers, count: 3, partitions: PARTITIONS });
  },
  after: async () => {
    if (cluster) await cluster.close();
    if (brokers) await brokers.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
