'use strict';
// Messages far larger than what Service Bus takes in one of its own (256 KB here, as in its Standard tier): they travel
// in fragments, arrive whole, and have their place in the one order. Of a publisher that dies in the middle nothing is seen.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { Cluster, ServiceBus, TARGET, brokerForTarget, requireSidebus, temporaryDirectory } = require('./harness');
const { drivers } = require('./drivers');
const { note, run, test, until, within } = require('./tap');

const MIB = 1024 * 1024;
const LIMIT = 256 * 1024; // of a message, properties included
const SIZES = [1, 3, 10].map((mib) => mib * MIB);
const ARRIVAL_MS = 60000;

const driver = drivers.find(({ name }) => name.startsWith('ioredis'));

let broker;
let cluster;

/** Its name and its own hash, and bytes that do not compress. */
function payload(name, size) {
  const bytes = crypto.randomBytes(size);
  const hash = crypto.createHash('sha256').update(bytes.subarray(96)).digest('hex');
  bytes.write(`${hash}${name.padEnd(32)}`, 'latin1');
  return bytes;
}

/** The name, if every byte is what its publisher sent. */
function nameOf(bytes) {
  const hash = crypto.createHash('sha256').update(bytes.subarray(96)).digest('hex');
  assert.equal(bytes.toString('latin1', 0, 64), hash, `a message of ${bytes.length} bytes is torn`);
  return `${bytes.toString('latin1', 64, 96).trim()} ${bytes.length}`;
}

async function open(t, node) {
  const client = await driver.open(node.address);
  t.after(() => client.close());
  return client;
}

/** Names of messages in the order in which a subscriber on that node gets them. */
async function subscribe(t, node, channel) {
  const names = [];
  const client = await open(t, node);
  await client.subscribe([channel], (bytes) => names.push(nameOf(bytes)));
  return names;
}

test('messages of 1, 3 and 10 MB from all nodes at once arrive whole, in one order, everywhere', async (t) => {
  const channel = 'large';
  const seen = await Promise.all(cluster.nodes.map((node) => subscribe(t, node, channel)));
  const begin = Date.now();
  const replies = await within(ARRIVAL_MS, 'replies', Promise.all(cluster.nodes.map(async (node, n) => {
    const client = await open(t, node);
    return Promise.all(SIZES.flatMap((size, i) => [
      client.publish(channel, payload(`${n}-${i}`, size)), client.publish(channel, payload(`${n}-${i}-small`, 200)),
    ]));
  })));
  note(`${Date.now() - begin} ms`);
  assert.deepEqual(new Set(replies.flat()), new Set([seen.length]));
  const count = cluster.nodes.length * SIZES.length * 2;
  for (const names of seen) {
    await until(ARRIVAL_MS, () => `${count} messages, not ${names.length}`, () => names.length >= count);
    assert.deepEqual(names, seen[0]);
    assert.equal(new Set(names).size, count);
    for (let n = 0; n < cluster.nodes.length; n++) { // each publisher's own order
      const own = names.filter((name) => name.startsWith(`${n}-`)).map((name) => name.split(' ')[0]);
      assert.deepEqual(own, [...own].sort());
    }
  }
}, { deadline_ms: 120000 });

test('keys and streams of 1 MB are the same on all nodes', async (t) => {
  const clients = await Promise.all(cluster.nodes.map((node) => open(t, node)));
  const value = crypto.randomBytes(MIB / 2).toString('hex');
  assert.equal(await clients[0].command('SET', 'large:key', value), 'OK');
  const id = await clients[0].command('XADD', 'large:stream', '*', 'field', value);
  for (const client of clients) {
    await until(ARRIVAL_MS, 'XLEN', async () => await client.command('XLEN', 'large:stream') === 1);
    assert.ok(await client.command('GET', 'large:key') === value);
    const [[first, fields]] = await client.command('XRANGE', 'large:stream', '-', '+');
    assert.equal(first, id);
    assert.ok(fields[1] === value);
  }
});

test('what is larger than 16 MiB is refused, and the connection goes on', async (t) => {
  requireSidebus();
  const client = await open(t, cluster.nodes[0]);
  const entries = Array.from({ length: 17 }, (_, i) => ['SET', `{large}:${i}`, 'v'.repeat(MIB)]);
  assert.equal(await client.command('MULTI'), 'OK');
  const queued = await Promise.allSettled(entries.map((words) => client.command(...words)));
  assert.match(String(queued[16].reason), /transaction of \d+ bytes is larger than the 16777216 bytes that the log takes/);
  await assert.rejects(client.command('EXEC'), /EXECABORT/);
  assert.equal(await client.command('GET', '{large}:0'), null);
});

test('of a publisher that is killed in the middle nothing torn is seen, and the others go on', async (t) => {
  requireSidebus();
  const [victim, other, third] = cluster.nodes;
  const channel = 'torn';
  const seen = await Promise.all([other, third].map((node) => subscribe(t, node, channel)));
  const publisher = await open(t, other);
  const whole = []; // names of what must arrive
  /** Two large messages are on their way when it is killed; whether that was in time. */
  const isTorn = async (name, parts) => {
    const client = await driver.open(victim.address);
    const before = Number((await other.info()).bytes_delivered);
    for (let i = 0; i < 2; i++) {
      const large = `victim-${name}-${i}`;
      client.publish(channel, payload(large, 10 * MIB)).then(() => whole.push(large), () => {});
    }
    await until(ARRIVAL_MS, 'parts', async () => Number((await other.info()).bytes_delivered) > before + parts * MIB, 1);
    await victim.kill9();
    await client.close();
    whole.push(`other-${name}`);
    assert.equal(await publisher.publish(channel, payload(`other-${name}`, MIB)), 2);
    await until(ARRIVAL_MS, 'what comes behind it', () => seen[0].some((one) => one.startsWith(`other-${name} `)));
    await victim.start();
    const back = await open(t, victim);
    whole.push(`back-${name}`);
    await within(ARRIVAL_MS, 'its next', back.publish(channel, payload(`back-${name}`, MIB)));
    return seen[0].filter((one) => one.startsWith(`victim-${name}-`)).length < 2;
  };
  for (const parts of [1, 2, 3]) {
    let tries = 1;
    while (!await isTorn(`${parts}-${tries}`, parts)) assert.ok(++tries <= 5, 'it is killed in the middle');
  }
  for (const names of seen) {
    await until(ARRIVAL_MS, 'the last', () => names.some((name) => name.startsWith(`${whole.at(-1)} `)));
    assert.deepEqual(names, seen[0]);
    for (const one of whole) assert.equal(names.filter((name) => name.startsWith(`${one} `)).length, 1, one);
    assert.equal(new Set(names).size, names.length);
  }
}, { deadline_ms: 240000 });

test('a limit that falls while messages wait cuts them smaller', async (t) => {
  requireSidebus();
  const channel = 'falls';
  const names = await subscribe(t, cluster.nodes[2], channel);
  const client = await open(t, cluster.nodes[1]);
  await broker.kill();
  const replies = SIZES.map((size, i) => client.publish(channel, payload(`waits-${i}`, size)));
  await broker.ask('settings', { max_message_size: LIMIT / 4 });
  await broker.restart();
  assert.deepEqual(await within(ARRIVAL_MS, 'replies', Promise.all(replies)), [1, 1, 1]);
  await until(ARRIVAL_MS, 'messages', () => names.length === 3);
  assert.deepEqual(names.map((name) => name.split(' ')[0]), ['waits-0', 'waits-1', 'waits-2']);
}, { deadline_ms: 120000 });

run({
  before: async () => {
    broker = TARGET === 'redis' ? await brokerForTarget()
      : await ServiceBus.start(temporaryDirectory(), { set: { max_message_size: LIMIT } });
    cluster = await Cluster.open({ broker, count: 3, partitions: 2 });
  },
  after: async () => {
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
