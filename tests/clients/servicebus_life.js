'use strict';
// How nodes come and go on Service Bus: the entities that they make and remove, who waits for whom at a start, and the
// ways to say who a node is.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { ROOT, ServiceBus, Sidebus, requireSidebus, temporaryDirectory, writeSecret } = require('./harness');
const { note, run, test, until, within } = require('./tap');

const PARTITIONS = 2;
const ARRIVAL_MS = 10000;
const LONG_MS = 25000; // to found a log: nobody waits for that in these tests
const SHORT_MS = 3000; // to found a log, where somebody waits

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const EXP = Math.floor(Date.now() / 1000) + 86400;
const JWT = `${encoded({ alg: 'RS256', typ: 'JWT' })}.${encoded({ sub: 'sidebus', exp: EXP })}.c2lnbmF0dXJl`;

let broker;
let home; // of all files
let prefixes = 0;

/** A hub of its own: its prefix, and nodes in it. */
function newHub(t) {
  const dir = fs.mkdtempSync(path.join(home, 'hub-'));
  const prefix = `hub${++prefixes}`;
  const make = (name, { servicebus, ...options } = {}) => {
    const node = new Sidebus(name, dir, { broker, topics: { prefix, partitions: PARTITIONS }, found_ms: LONG_MS, servicebus, ...options });
    t.after(async () => {
      if (node.child && !node.status) await node.stop();
    });
    return node;
  };
  return { dir, prefix, make, topics: Array.from({ length: PARTITIONS }, (_, p) => `${prefix}-${p}`) };
}

/** Names of the subscriptions of every topic, as [[topic's], …]. */
async function subscriptions(hub) {
  const found = await broker.tell('entities', { entity: `${hub.prefix}-*` });
  return found.map((topic) => topic.subscriptions.map((one) => one.name).sort());
}

const subscriptionOf = async (node) => (await node.info()).broker_subscription;
const each = (value) => Array.from({ length: PARTITIONS }, () => value);

/** What is published beside one node arrives beside the other, in both directions and in every partition. */
async function assertMeet(t, ...nodes) {
  const channels = Array.from({ length: 8 }, (_, i) => `meet:${i}`);
  const got = nodes.map(() => []);
  const sessions = [];
  for (const [i, node] of nodes.entries()) {
    sessions.push(await node.connect({ onMessage: (channel, payload) => got[i].push(`${channel} ${payload}`) }));
    t.after(() => sessions[i].destroy());
    await within(ARRIVAL_MS, `SUBSCRIBE at ${node.name}`, sessions[i].subscribe('SUBSCRIBE', ...channels));
  }
  const sent = [];
  for (const node of nodes) {
    const publisher = await node.connect();
    t.after(() => publisher.destroy());
    for (const channel of channels) {
      sent.push(`${channel} from ${node.name}`);
      const reply = publisher.request('PUBLISH', channel, `from ${node.name}`);
      assert.equal(await within(ARRIVAL_MS, `PUBLISH at ${node.name}`, reply), nodes.length);
    }
  }
  for (const [i, node] of nodes.entries()) {
    await until(ARRIVAL_MS, () => `all at ${node.name}, there are ${got[i].length}`, () => got[i].length >= sent.length);
    assert.deepEqual([...got[i]].sort(), [...sent].sort());
  }
  await Promise.all(sessions.map((session) => session.destroy()));
}

/** Milliseconds that a start takes. */
async function timeStart(node, env) {
  const begin = Date.now();
  await node.start(env);
  return Date.now() - begin;
}

// ---- entities ----

test('a node makes ordered topics, and subscriptions with the lock and the life that are configured', async (t) => {
  const hub = newHub(t);
  const node = hub.make('maker', { servicebus: { lock_s: 7, ttl_s: 120, auto_delete_idle_s: 400, max_size_mb: 2048 } });
  await node.start();
  const topics = await broker.tell('entities', { entity: `${hub.prefix}-*` });
  assert.deepEqual(topics.map((topic) => topic.name), hub.topics);
  for (const { settings, subscriptions: [one, ...others] } of topics) {
    assert.equal(settings.supportOrdering, true);
    assert.equal(settings.enablePartitioning, false);
    assert.equal(settings.maxSizeInMegabytes, 2048);
    assert.equal(settings.ttl_ms, 120000);
    assert.deepEqual(others, []);
    assert.equal(one.name, await subscriptionOf(node));
    assert.equal(one.settings.lockDuration_ms, 7000);
    assert.equal(one.settings.autoDeleteOnIdle_ms, 400000);
    assert.equal(one.settings.ttl_ms, 120000);
    assert.ok(one.settings.maxDeliveryCount >= 100, 'a message that comes again and again does not become a dead letter');
  }
});

test('a clean stop removes the subscriptions of the node, and nothing else', async (t) => {
  const hub = newHub(t);
  const [a, b] = [hub.make('a'), hub.make('b')];
  await a.start();
  await b.start();
  const [own, other] = [await subscriptionOf(a), await subscriptionOf(b)];
  assert.deepEqual(await subscriptions(hub), each([own, other].sort()));
  await a.stop();
  assert.deepEqual(await subscriptions(hub), each([other]));
  await b.stop();
  assert.deepEqual(await subscriptions(hub), each([]), 'the topics stay');
});

test('remove_on_stop = false leaves them; the next start of the node removes what an earlier life has left', async (t) => {
  const hub = newHub(t);
  const [a, b] = [hub.make('a', { servicebus: { remove_on_stop: false } }), hub.make('b')];
  await a.start();
  await b.start();
  const [first, other] = [await subscriptionOf(a), await subscriptionOf(b)];
  await a.stop();
  assert.deepEqual(await subscriptions(hub), each([first, other].sort()));
  await a.start();
  const second = await subscriptionOf(a);
  assert.notEqual(second, first, 'every life has its own');
  await until(ARRIVAL_MS, 'the leftovers are gone', async () => {
    assert.deepEqual(await subscriptions(hub), each([second, other].sort()));
    return true;
  });
  await assertMeet(t, a, b);
});

test('what a killed node has left is removed at its next start; nodes with names like it keep theirs', async (t) => {
  const hub = newHub(t);
  const nodes = ['web', 'web-2', 'web2', 'web.x', 'WEB'].map((name) => hub.make(name));
  for (const node of nodes) await node.start();
  const [web, ...others] = nodes;
  const kept = await Promise.all(others.map(subscriptionOf));
  await web.kill9();
  await web.start();
  const own = await subscriptionOf(web);
  await until(ARRIVAL_MS, 'the leftovers of "web" are gone, and only they', async () => {
    assert.deepEqual(await subscriptions(hub), each([own, ...kept].sort()));
    return true;
  });
  for (const node of nodes) assert.equal((await node.info()).gaps, '0', node.name);
  await assertMeet(t, ...nodes);
}, { deadline_ms: 60000 });

// ---- who waits for whom ----

test('the first node of an empty namespace is ready at once, the next ones join it at once', async (t) => {
  const hub = newHub(t);
  const nodes = ['a', 'b', 'c'].map((name) => hub.make(name));
  for (const node of nodes) {
    const took_ms = await timeStart(node);
    note(`${node.name}: ${took_ms} ms`);
    assert.ok(took_ms < LONG_MS / 2, `${took_ms} ms, to found takes ${LONG_MS}`);
  }
  await assertMeet(t, ...nodes);
  await nodes[0].stop();
  const took_ms = await timeStart(nodes[0]);
  assert.ok(took_ms < LONG_MS / 2, `again: ${took_ms} ms`);
  await nodes[1].kill9();
  await nodes[1].start();
  await assertMeet(t, ...nodes);
});

test('after a clean stop of all the first one is ready at once again', async (t) => {
  const hub = newHub(t);
  const nodes = ['a', 'b'].map((name) => hub.make(name));
  for (const node of nodes) await node.start();
  for (const node of nodes) await node.stop();
  const took_ms = await timeStart(nodes[1]);
  assert.ok(took_ms < LONG_MS / 2, `${took_ms} ms`);
});

test('when all were killed, the first one waits cluster.found_ms for an answer and then founds the log', async (t) => {
  const hub = newHub(t);
  const nodes = ['a', 'b'].map((name) => hub.make(name, { found_ms: SHORT_MS }));
  for (const node of nodes) await node.start();
  await Promise.all(nodes.map((node) => node.kill9()));
  const took_ms = await timeStart(nodes[0]);
  note(`${took_ms} ms with found_ms = ${SHORT_MS}`);
  assert.ok(took_ms >= SHORT_MS, `the other one's subscription is there, it might answer: ${took_ms} ms`);
  await nodes[1].start();
  await assertMeet(t, ...nodes);
});

test('five nodes that start together agree', async (t) => {
  const hub = newHub(t);
  const nodes = ['a', 'b', 'c', 'd', 'e'].map((name) => hub.make(name, { found_ms: SHORT_MS }));
  await Promise.all(nodes.map((node) => node.start()));
  await assertMeet(t, ...nodes);
}, { deadline_ms: 60000 });

// ---- without the right to manage ----

/** Entities as somebody else makes them, and the file with a key that may only send and listen. */
async function prepare(hub, names) {
  for (const topic of hub.topics) {
    await broker.ask('create', { entity: topic });
    for (const name of names) await broker.ask('create', { entity: `${topic}/Subscriptions/${name}`, settings: { lockDuration_ms: 5000 } });
  }
  await broker.ask('rule', { name: 'worker', key: 'the key of the worker', rights: ['Listen', 'Send'] });
  return { manage: false, key_name: 'worker', key_file: writeSecret(hub.dir, 'worker.key', 'the key of the worker') };
}

test('manage = false: entities that are there, the rights Listen and Send, and no word to the management', async (t) => {
  const hub = newHub(t);
  const servicebus = await prepare(hub, ['a', 'b']);
  const nodes = ['a', 'b'].map((name) => hub.make(name, { servicebus, found_ms: SHORT_MS }));
  await Promise.all(nodes.map((node) => node.start()));
  assert.deepEqual(await Promise.all(nodes.map(subscriptionOf)), ['a', 'b']);
  await assertMeet(t, ...nodes);
  await nodes[0].stop();
  const publisher = await nodes[1].connect();
  t.after(() => publisher.destroy());
  for (let i = 0; i < 8; i++) await publisher.request('PUBLISH', `meet:${i}`, 'while a is away');
  assert.deepEqual(await subscriptions(hub), each(['a', 'b']), 'a clean stop leaves what it did not make');
  await nodes[0].start();
  await assertMeet(t, ...nodes); // and what waited in its subscription reaches nobody
  await nodes[0].kill9();
  await nodes[0].start();
  await assertMeet(t, ...nodes);
  const asked = (await broker.tell('rest')).filter(({ url }) => url.includes(hub.prefix));
  assert.deepEqual(asked, []);
}, { deadline_ms: 60000 });

test('manage = false and a subscription is missing: the node says which, and is ready when somebody makes it', async (t) => {
  const hub = newHub(t);
  const servicebus = await prepare(hub, ['a']);
  const node = hub.make('b', { servicebus, found_ms: SHORT_MS });
  node.spawn(node.bin, ['run', '-c', node.file]);
  const told = await until(ARRIVAL_MS, () => `it says so: ${node.tail()}`,
    () => /^.*warn.*(not-found|could not be found).*$/im.exec(node.stderr), 20);
  note(told[0]);
  assert.match(told[0], new RegExp(`${hub.prefix}-\\d`), 'which topic');
  assert.match(told[0], /manage = true/, 'what to do');
  for (const topic of hub.topics) await broker.ask('create', { entity: `${topic}/Subscriptions/b` });
  await node.ready();
}, { deadline_ms: 60000 });

test('manage = false and receive = "receive-and-delete" work together', async (t) => {
  const hub = newHub(t);
  const servicebus = { ...await prepare(hub, ['a', 'b']), receive: 'receive-and-delete' };
  const nodes = ['a', 'b'].map((name) => hub.make(name, { servicebus, found_ms: SHORT_MS }));
  await Promise.all(nodes.map((node) => node.start()));
  await assertMeet(t, ...nodes);
});

// ---- who a node is ----

/** A node that says in this way who it is, beside one that uses a key. */
async function assertAccepted(t, servicebus, { env, hub = newHub(t) } = {}) {
  const [known, other] = [hub.make('known'), hub.make('other', { servicebus })];
  await known.start();
  await other.start(env);
  await assertMeet(t, known, other);
  const peer = (await broker.tell('connections')).find((one) => String(one.container).startsWith('sidebus-other'));
  await Promise.all([known.stop(), other.stop()]);
  return peer;
}

test('a key over SASL PLAIN', async (t) => {
  const peer = await assertAccepted(t, { auth: 'plain' });
  assert.deepEqual([peer.mechanism, peer.tls, peer.rule, peer.claims], ['PLAIN', true, broker.double.keyName, []]);
});

test('a key, for tokens over $cbs', async (t) => {
  const peer = await assertAccepted(t, {});
  assert.deepEqual([peer.mechanism, peer.tls], ['ANONYMOUS', true]);
  assert.ok(peer.claims.length > 0);
});

test('a key in the environment', (t) => assertAccepted(t, { key_name: broker.double.keyName, key_file: undefined },
  { env: { SIDEBUS_SERVICEBUS_KEY: broker.double.key } }));

test('a connection string in a file', async (t) => {
  const hub = newHub(t);
  const connection_string_file = writeSecret(hub.dir, 'connection-string', broker.double.connectionString('amqps'));
  const peer = await assertAccepted(t, { connection_string_file }, { hub });
  assert.equal(peer.tls, true);
});

test('a connection string of the emulator: plain AMQP and HTTP', async (t) => {
  const hub = newHub(t);
  const connection_string_file = writeSecret(hub.dir, 'connection-string', broker.double.connectionString('amqp'));
  const peer = await assertAccepted(t, { connection_string_file, management_port: broker.double.ports.http, tls: undefined }, { hub });
  assert.equal(peer.tls, false);
});

test('a connection string in the environment', (t) =>
  assertAccepted(t, { connection_string_file: undefined },
    { env: { SIDEBUS_SERVICEBUS_CONNECTION_STRING: broker.double.connectionString('amqps') } }));

function signature(seconds) {
  const { makeToken } = require(path.join(ROOT, 'tests/servicebus-double/sas.js'));
  const { keyName, key } = broker.double;
  return makeToken('amqps://localhost/', keyName, key, Math.floor(Date.now() / 1000) + seconds);
}

test('a JWT in a file', async (t) => {
  const hub = newHub(t);
  await assertAccepted(t, { token_file: writeSecret(hub.dir, 'jwt', JWT) }, { hub });
});

test('a signature in a file that is renewed before it ends: nothing is interrupted', async (t) => {
  const hub = newHub(t);
  const LIFE_S = 6;
  const token_file = writeSecret(hub.dir, 'token', signature(LIFE_S));
  const ends_ms = Date.now() + LIFE_S * 1000;
  const node = hub.make('renewed', { servicebus: { token_file } });
  await node.start();
  writeSecret(hub.dir, 'token', signature(3600));
  const session = await node.connect();
  t.after(() => session.destroy());
  let longest_ms = 0;
  while (Date.now() < ends_ms + 2000) {
    const begin = Date.now();
    assert.equal(await within(ARRIVAL_MS, 'PUBLISH', session.request('PUBLISH', 'renewed', 'x')), 0);
    longest_ms = Math.max(longest_ms, Date.now() - begin);
  }
  const info = await node.info();
  note(`the slowest PUBLISH took ${longest_ms} ms; ${info.broker_reconnects} reconnects`);
  assert.deepEqual([info.broker_reconnects, info.gaps], ['0', '0']);
  const peer = (await broker.tell('connections')).find((one) => String(one.container).startsWith('sidebus-renewed'));
  assert.ok(peer.claims.length > 0 && peer.claims.every((claim) => claim.expires_ms > ends_ms + 60000));
});

test('a signature in a file that ends before it is renewed: the node says so, and goes on when it was', async (t) => {
  const hub = newHub(t);
  const token_file = writeSecret(hub.dir, 'token', signature(6));
  const node = hub.make('late', { servicebus: { token_file } });
  await node.start();
  const session = await node.connect();
  t.after(() => session.destroy());
  await until(ARRIVAL_MS, () => `it says that the token has expired: ${node.tail()}`, () => /warn.*expired/i.test(node.stderr), 20);
  await until(ARRIVAL_MS, 'its link is not up', async () => (await node.info()).broker_link !== 'up', 20);
  const held = session.request('PUBLISH', 'late', 'x');
  writeSecret(hub.dir, 'token', signature(3600));
  assert.equal(await within(ARRIVAL_MS, 'the PUBLISH that waited', held), 0);
  assert.ok(!session.closed);
  assert.equal((await node.info()).gaps, '0');
}, { deadline_ms: 60000 });

// ---- TLS ----

test('a certificate of another authority is refused, with the reason, and accepted with tls.verify = false', async (t) => {
  const hub = newHub(t);
  const { certificates } = require(path.join(ROOT, 'tests/servicebus-double/certificates.js'));
  const { caFile } = certificates(path.join(hub.dir, 'other-authority'));
  const node = hub.make('careful', { servicebus: { tls: { ca_file: caFile } } });
  node.spawn(node.bin, ['run', '-c', node.file]);
  const told = await until(ARRIVAL_MS, () => `it says so: ${node.tail()}`,
    () => /^.*warn.*(certificate|TLS|SSL).*$/im.exec(node.stderr), 20);
  note(told[0]);
  assert.equal((await broker.tell('connections')).filter((one) => String(one.container).startsWith('sidebus-careful')).length, 0);
  assert.deepEqual(await subscriptions(hub), [], 'nor did it speak to the management');
  await assertAccepted(t, { tls: { ca_file: caFile, verify: false } });
});

run({
  before: async () => {
    requireSidebus();
    home = temporaryDirectory();
    broker = await ServiceBus.start(home, { args: ['--jwt', writeSecret(home, 'jwt', JWT)] });
  },
  after: async () => {
    if (broker) await broker.stop();
  },
  afterName: 'the double stops',
});
