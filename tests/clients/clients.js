'use strict';
// Real client libraries on two nodes: what is published beside one arrives beside the other.

const assert = require('node:assert/strict');
const { drivers, unusable } = require('./drivers');
const {
  Cluster, Redis, Sidebus, TARGET, brokerForTarget, freePort, temporaryDirectory, writeSecret,
} = require('./harness');
const { Connection } = require('./resp');
const { note, run, test, until, within } = require('./tap');

const ARRIVAL_MS = 10000;
const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const PAYLOADS = [
  Buffer.from('plain text'), ALL_BYTES, Buffer.alloc(0), Buffer.from('\r\n$5\r\n*2\r\n'), Buffer.from('żółw ✓'),
];

let broker;
let cluster;
let A; // publishers are here
let B; // subscribers are here
let descriptorsBefore;

/** Collects what a subscription delivers as [channel, payload]. */
function inbox() {
  const got = [];
  const listener = (payload, channel) => got.push([channel, payload]);
  const arrived = (count) => until(ARRIVAL_MS, () => `${count} messages, there are ${got.length}`,
    () => got.length >= count);
  return { got, listener, arrived };
}

async function openClient(t, driver, server, options) {
  const client = await driver.open(server.address, options);
  t.after(() => client.close());
  return client;
}

/** The field of a HELLO reply, whichever shape a library gives to it. */
function helloField(reply, name) {
  if (reply instanceof Map) return reply.get(name);
  if (!Array.isArray(reply)) return reply[name];
  if (Array.isArray(reply[0])) return reply.find(([key]) => String(key) === name)[1];
  return reply[reply.findIndex((item) => String(item) === name) + 1];
}

function testsOf(driver) {
  const of = (name, body) => test(`${driver.name}: ${name}`, body);

  of('connects and speaks this protocol', async (t) => {
    const client = await openClient(t, driver, A);
    const hello = await client.command('HELLO');
    assert.equal(Number(helloField(hello, 'proto')), driver.resp);
    assert.equal(String(helloField(hello, 'role')), 'master');
  });

  of('the connection commands answer', async (t) => {
    const client = await openClient(t, driver, A);
    assert.equal(String(await client.command('PING')), 'PONG');
    assert.equal(String(await client.command('PING', 'hi')), 'hi');
    assert.equal(String(await client.command('ECHO', 'same bytes')), 'same bytes');
    assert.equal(String(await client.command('SELECT', '0')), 'OK');
    assert.equal(String(await client.command('CLIENT', 'SETNAME', 'my-name')), 'OK');
    assert.equal(String(await client.command('CLIENT', 'GETNAME')), 'my-name');
    assert.ok(Number(await client.command('CLIENT', 'ID')) > 0);
    assert.match(String(await client.command('INFO')), /redis_version:\d+\.\d+\.\d+\r\n/);
    assert.equal((await client.command('TIME')).length, 2);
    assert.equal(String((await client.command('ROLE'))[0]), 'master');
    await assert.rejects(client.command('NO-SUCH-COMMAND', 'x'), /unknown command 'NO-SUCH-COMMAND'/i);
  });

  for (const [kind, subscribe, publish, name, channel] of [
    ['plain', 'subscribe', 'publish', 'a:news', 'a:news'],
    ['pattern', 'psubscribe', 'publish', 'a:n[a-f]ws.*', 'a:news.x'],
    ['sharded', 'ssubscribe', 'spublish', 'a:{shard}', 'a:{shard}'],
  ]) {
    of(`a ${kind} subscription gets text, binary and empty payloads from the other node`, async (t) => {
      const subscriber = await openClient(t, driver, B);
      const publisher = await openClient(t, driver, A);
      const { got, listener, arrived } = inbox();
      await subscriber[subscribe]([name], listener);
      for (const payload of PAYLOADS) {
        assert.ok(Number.isInteger(await publisher[publish](channel, payload)));
      }
      await arrived(PAYLOADS.length);
      assert.deepEqual(got, PAYLOADS.map((payload) => [channel, payload]));
    });
  }

  of('payloads of 1 MiB arrive whole', async (t) => {
    const subscriber = await openClient(t, driver, B);
    const publisher = await openClient(t, driver, A);
    const { got, listener, arrived } = inbox();
    await subscriber.subscribe(['big'], listener);
    const payloads = [1, 2, 3].map((seed) => {
      const bytes = Buffer.alloc(1024 * 1024);
      for (let i = 0, x = seed; i < bytes.length; i++) bytes[i] = (x = (x * 1103515245 + 12345) >>> 0) >>> 16;
      return bytes;
    });
    await Promise.all(payloads.map((payload) => publisher.publish('big', payload)));
    await arrived(payloads.length);
    payloads.forEach((payload, i) => assert.ok(got[i][1].equals(payload), `payload ${i} differs`));
  });

  of('each of 500 channels gets its own message', async (t) => {
    const subscriber = await openClient(t, driver, B);
    const publisher = await openClient(t, driver, A);
    const { got, listener, arrived } = inbox();
    const names = Array.from({ length: 500 }, (_, i) => `many:${i}`);
    await subscriber.subscribe(names, listener);
    await Promise.all(names.map((name) => publisher.publish(name, `for ${name}`)));
    await arrived(names.length);
    assert.deepEqual(new Set(got.map(([channel, payload]) => `${channel} ${payload}`)),
      new Set(names.map((name) => `${name} for ${name}`)));
    assert.equal(got.length, names.length);
  });

  of('1,000 pipelined publishes arrive in order', async (t) => {
    const subscriber = await openClient(t, driver, B);
    const publisher = await openClient(t, driver, A);
    const { got, listener, arrived } = inbox();
    await subscriber.subscribe(['pipeline'], listener);
    const numbers = Array.from({ length: 1000 }, (_, i) => String(i));
    await Promise.all(numbers.map((number) => publisher.publish('pipeline', number)));
    await arrived(numbers.length);
    assert.deepEqual(got.map(([, payload]) => String(payload)), numbers);
  });

  of('what was unsubscribed no longer arrives, one by one and all at once', async (t) => {
    const subscriber = await openClient(t, driver, B);
    const publisher = await openClient(t, driver, A);
    const plain = inbox();
    const sharded = inbox();
    const fence = inbox();
    // One tag, so one partition: when the fence has arrived, everything before it would have. It is subscribed
    // anew each time, and one shard channel is kept, because ioredis hears nothing after any count of 0.
    const [one, two, three] = ['{u}1', '{u}2', '{u}3'];
    const sendAll = async () => {
      for (const name of [one, two, three, '{u}p1']) await publisher.publish(name, 'x');
      await publisher.spublish('{u}s', 'x');
      await subscriber.subscribe(['{u}fence'], fence.listener);
      const count = fence.got.length;
      await publisher.publish('{u}fence', 'x');
      await fence.arrived(count + 1);
    };
    await subscriber.subscribe([one, two, three], plain.listener);
    await subscriber.psubscribe(['{u}p*'], plain.listener);
    await subscriber.ssubscribe(['{u}s', '{u}kept'], sharded.listener);
    await sendAll();
    assert.deepEqual(plain.got.map(([channel]) => channel), [one, two, three, '{u}p1']);
    assert.deepEqual(sharded.got.map(([channel]) => channel), ['{u}s']);

    await subscriber.unsubscribe([one]);
    await subscriber.sunsubscribe(['{u}s']);
    await sendAll();
    assert.deepEqual(plain.got.slice(4).map(([channel]) => channel), [two, three, '{u}p1']);
    assert.equal(sharded.got.length, 1);

    // Several libraries resolve "all" only at a count of 0, so what else is counted goes first, by name.
    await subscriber.punsubscribe(['{u}p*']);
    await subscriber.unsubscribe();
    await sendAll();
    assert.equal(plain.got.length, 7);

    await subscriber.unsubscribe();
    await subscriber.psubscribe(['{u}p*', '{u}[12]'], plain.listener);
    await subscriber.punsubscribe();
    await sendAll();
    assert.equal(plain.got.length, 7);
  });

  of('PUBSUB tells the subscriptions of the node', async (t) => {
    const subscriber = await openClient(t, driver, B);
    const other = await openClient(t, driver, B);
    const { listener } = inbox();
    await subscriber.subscribe(['count:1', 'count:2'], listener);
    await subscriber.psubscribe(['count:*'], listener);
    await subscriber.ssubscribe(['count:s'], listener);
    const text = (value) => value.map(String);
    assert.deepEqual(text(await other.command('PUBSUB', 'NUMSUB', 'count:1', 'count:none')),
      ['count:1', '1', 'count:none', '0']);
    assert.deepEqual(text(await other.command('PUBSUB', 'SHARDNUMSUB', 'count:s')), ['count:s', '1']);
    assert.ok(Number(await other.command('PUBSUB', 'NUMPAT')) >= 1);
    assert.deepEqual(text(await other.command('PUBSUB', 'CHANNELS', 'count:[12]')).sort(), ['count:1', 'count:2']);
    assert.deepEqual(text(await other.command('PUBSUB', 'SHARDCHANNELS', 'count:*')), ['count:s']);
  });
}

/** How many sessions of a node subscribe to the channel. */
async function subscribersOf(server, channel) {
  const connection = await server.connect();
  try {
    return (await connection.request('PUBSUB', 'NUMSUB', channel))[1];
  } finally {
    await connection.destroy();
  }
}

/** Opens one subscriber of `channel` per driver at B, runs `trouble`, and expects each to come back by itself. */
async function comeBackAfter(t, channel, trouble) {
  const all = await Promise.all(drivers.map(async (driver) => {
    const client = await openClient(t, driver, B);
    const box = inbox();
    await client.subscribe([channel], box.listener);
    await client.command('CLIENT', 'SETNAME', 'x').catch(() => {}); // refused while subscribed in RESP2
    return { name: driver.name, client, box };
  }));
  await trouble();
  await until(20000, 'all clients are subscribed again',
    async () => (await subscribersOf(B, channel)) === all.length);
  const publisher = await openClient(t, drivers[0], A);
  await publisher.publish(channel, 'again');
  for (const { name, box } of all) {
    await box.arrived(1);
    assert.deepEqual(box.got.map(([, payload]) => String(payload)), ['again'], name);
  }
}

for (const driver of drivers) testsOf(driver);
for (const { name } of unusable) test(name, (t) => t.skip('needs Node.js 20'));

test('every client reconnects and subscribes again by itself after its node was restarted', (t) =>
  comeBackAfter(t, 'restart', async () => {
    await B.stop();
    await B.start();
  }), { deadline_ms: 60000 });

test('every client reconnects and subscribes again by itself after its node was killed', (t) =>
  comeBackAfter(t, 'killed', async () => {
    await B.kill9();
    await B.start();
  }), { deadline_ms: 60000 });

test('every client reconnects and subscribes again by itself after CLIENT KILL', (t) =>
  comeBackAfter(t, 'kill', async () => {
    const connection = await B.connect();
    t.after(() => connection.destroy());
    const killed = await connection.request('CLIENT', 'KILL', 'TYPE', 'pubsub');
    assert.equal(killed, drivers.length);
  }));

test('after a disconnect PUBSUB NUMSUB drops at once', async (t) => {
  const watcher = await B.connect();
  t.after(() => watcher.destroy());
  const gone = await B.connect();
  await gone.subscribe('SUBSCRIBE', 'leaving');
  assert.equal((await watcher.request('PUBSUB', 'NUMSUB', 'leaving'))[1], 1);
  gone.destroy();
  await until(2000, 'the count drops', async () =>
    (await watcher.request('PUBSUB', 'NUMSUB', 'leaving'))[1] === 0, 2);
});

test('every client connects over TCP with the password, and not with another', async (t) => {
  const dir = temporaryDirectory();
  const port = await freePort();
  const password = 'a long & odd password';
  const file = writeSecret(dir, 'tcp.password', password);
  const server = TARGET === 'redis'
    ? new Redis(dir, { port, password })
    : new Sidebus('tcp', dir, {
      topics: { prefix: 'tcp', partitions: 2 },
      settings: `tcp = { address = "127.0.0.1"; port = ${port}; password_file = "${file}"; };`,
    });
  await server.start();
  t.after(() => server.stop());
  const address = { host: '127.0.0.1', port };
  for (const driver of drivers) {
    const client = await driver.open(address, { password });
    const { got, listener, arrived } = inbox();
    await client.subscribe(['over-tcp'], listener);
    const publisher = await driver.open(address, { password });
    await publisher.publish('over-tcp', ALL_BYTES);
    await arrived(1);
    assert.deepEqual(got, [['over-tcp', ALL_BYTES]], driver.name);
    await client.close();
    await publisher.close();
  }
  const stranger = await Connection.connect(address);
  t.after(() => stranger.destroy());
  await assert.rejects(stranger.request('PUBLISH', 'over-tcp', 'x'), /^Error: NOAUTH /);
  await assert.rejects(stranger.request('AUTH', 'wrong'), /^Error: WRONGPASS /);
  await assert.rejects(stranger.request('HELLO', '3', 'AUTH', 'default', 'wrong'), /^Error: WRONGPASS /);
  await assert.rejects(stranger.request('PING'), /^Error: NOAUTH /);
  assert.equal(await stranger.request('AUTH', password), 'OK');
  assert.equal(await stranger.request('PING'), 'PONG');
}, { deadline_ms: 60000 });

test('after all clients have gone a node has no more open descriptors than before', async () => {
  // Restarted since then: a fresh process has what it needs, so the same bound holds.
  await until(5000, () => `${A.descriptors()} descriptors, ${descriptorsBefore} before`,
    () => A.descriptors() <= descriptorsBefore);
});

run({
  before: async () => {
    broker = await brokerForTarget();
    cluster = await Cluster.open({ broker });
    [A, B] = cluster.nodes;
    await (await within(5000, 'connect', A.connect())).quit();
    descriptorsBefore = A.descriptors();
    note(`target: ${TARGET}; ${(await A.info()).redis_version}`);
  },
  after: async () => {
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
