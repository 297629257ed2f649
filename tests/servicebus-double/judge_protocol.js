'use strict';
// What Microsoft's client does not show: SASL, time-outs, credit, settle modes, and faults on the wire.

const rhea = require('rhea');
const { test, until } = require('../clients/tap');
const { Message, encodeDelivery, types } = require('./codec');
const bench = require('./judge_bench');
const { ANONYMOUS, Raw, next, offeredMechanisms, tokenFor } = require('./judge_raw');

const { assert, entities, WAIT_MS } = bench;

const ask = (...args) => bench.double.ask(...args);
const count = (receiver, wanted) => until(WAIT_MS, () => `${wanted} deliveries, got ${receiver.got.length}`,
  () => receiver.got.length >= wanted);
const sequences = (receiver) => receiver.got.map(({ message }) => Number(message.message_annotations['x-opt-sequence-number']));

/** Settings of the double for one test. */
async function settings(t, changed) {
  const old = (await bench.double.tell('status')).settings;
  await ask('settings', changed);
  t.after(() => ask('settings', Object.fromEntries(Object.keys(changed).map((name) => [name, old[name]]))));
}

test('what a publisher wrote passes with its types; annotations have symbols as keys', async () => {
  const bytes = rhea.message.encode({ ttl: 1000, message_id: 'm', message_annotations: { 'x-opt-partition-key': 'k' },
    application_properties: { a: types.wrap_ulong(7), b: types.wrap_short(7), c: types.wrap_symbol('s') },
    body: rhea.message.data_sections([Buffer.from('one'), Buffer.from('two')]) });
  const message = new Message(bytes);
  const delivered = encodeDelivery(message, { sequence: 3, enqueueSequence: 5, enqueuedAt_ms: 1000, lockedUntil_ms: 2000,
    deliveryCount: 2, ttl_ms: 1000 });
  assert.ok(delivered.includes(message.kept), 'the publisher\'s sections are there byte by byte');
  assert.ok(bytes.includes(message.applicationBytes));
  const reader = new types.Reader(delivered);
  const sections = [];
  while (reader.remaining()) sections.push(reader.read());
  const [header, annotations] = sections;
  assert.strictEqual(header.value[4].value, 2);
  const keys = annotations.value.filter((_, i) => i % 2 === 0);
  assert.ok(keys.every((key) => types.is_symbol(key)));
  const values = Object.fromEntries(keys.map((key, i) => [key.value, annotations.value[2 * i + 1]]));
  assert.deepStrictEqual(Object.entries(values).map(([key, { type, value }]) => [key, type.name, Number(value) || value]), [
    ['x-opt-sequence-number', 'Long', 3], ['x-opt-enqueue-sequence-number', 'Long', 5],
    ['x-opt-enqueued-time', 'Timestamp', 1000], ['x-opt-locked-until', 'Timestamp', 2000], ['x-opt-partition-key', 'Str8', 'k'],
  ]);
});

test('PLAIN with a good key needs no token, with a bad one it is refused', async (t) => {
  const topic = await entities();
  const raw = await new Raw(t).opened();
  assert.strictEqual((await Raw.send(await raw.sender(topic))).outcome, 'accepted');
  const bad = new Raw(t, { username: 'root', password: 'wrong' });
  const { error } = await next(bad.connection, 'connection_error');
  assert.strictEqual(error.condition, 'amqp:unauthorized-access');
});

test('PLAIN gives the rights of its rule and no more', async (t) => {
  const topic = await entities();
  const raw = await new Raw(t, { username: bench.SENDER.keyName, password: bench.SENDER.key }).opened();
  await raw.sender(topic);
  assert.strictEqual(await Raw.ended(raw.connection.open_receiver(`${topic}/Subscriptions/s`)), 'amqp:unauthorized-access');
});

test('EXTERNAL is offered when asked for, and whoever takes it is refused', async (t) => {
  assert.deepStrictEqual(await offeredMechanisms(), ['MSSBCBS', 'PLAIN', 'ANONYMOUS']);
  await ask('external');
  t.after(() => ask('external', { on: false }));
  assert.deepStrictEqual(await offeredMechanisms(), ['EXTERNAL', 'MSSBCBS', 'PLAIN', 'ANONYMOUS']);
  const mechanisms = rhea.sasl.client_mechanisms();
  mechanisms.enable_external();
  const raw = new Raw(t, { sasl_mechanisms: mechanisms });
  const { error } = await next(raw.connection, 'connection_error');
  assert.strictEqual(error.condition, 'amqp:unauthorized-access');
});

test('$cbs accepts good tokens, for what they name and below, and refuses the others', async (t) => {
  const [topic, other] = [await entities(), await entities()];
  const raw = await new Raw(t, ANONYMOUS).opened();
  assert.strictEqual(await raw.putToken(topic, tokenFor(topic, { key: 'wrong' })), 401);
  assert.strictEqual(await raw.putToken(topic, tokenFor(topic, { expiresAt_s: Math.floor(Date.now() / 1000) - 1 })), 401);
  assert.strictEqual(await raw.putToken(topic, tokenFor(other)), 401);
  assert.strictEqual(await raw.putToken(topic, tokenFor(topic), 'unknown:type'), 400);
  const refused = raw.connection.open_sender(topic);
  assert.strictEqual(await Raw.ended(refused), 'amqp:unauthorized-access');
  assert.strictEqual(await raw.putToken(topic, tokenFor(topic)), 202);
  await raw.sender(topic);
  await raw.receiver(`${topic}/Subscriptions/s`);
  assert.strictEqual(await Raw.ended(raw.connection.open_sender(other)), 'amqp:unauthorized-access');
});

test('a JSON web token counts when the double was told of it', async (t) => {
  const topic = await entities();
  const raw = await new Raw(t, ANONYMOUS).opened();
  assert.strictEqual(await raw.putToken(topic, 'eyJ.a.b', 'jwt'), 401);
  await ask('jwt', { token: 'eyJ.a.b', rights: ['Send'] });
  assert.strictEqual(await raw.putToken(topic, 'eyJ.a.b', 'jwt'), 202);
  assert.strictEqual((await Raw.send(await raw.sender(topic))).outcome, 'accepted');
  const receiver = raw.connection.open_receiver(`${topic}/Subscriptions/s`);
  assert.strictEqual(await Raw.ended(receiver), 'amqp:unauthorized-access');
});

test('a token that expires ends the links of its entity and no others', async (t) => {
  const [topic, other] = [await entities(), await entities()];
  const raw = await new Raw(t, ANONYMOUS).opened();
  await raw.putToken(topic, tokenFor(topic, { expiresAt_s: Math.floor(Date.now() / 1000) + 4 }));
  await raw.putToken(other, tokenFor(other));
  const stays = await raw.sender(other);
  assert.strictEqual(await Raw.ended(await raw.sender(topic)), 'amqp:unauthorized-access');
  assert.strictEqual((await Raw.send(stays)).outcome, 'accepted');
});

test('without a token the connection is closed in time', async (t) => {
  await settings(t, { token_ms: 200 });
  const raw = new Raw(t, ANONYMOUS);
  assert.strictEqual(await raw.closedWith(), 'amqp:unauthorized-access');
});

test('a silent client is closed, one that sends empty frames is not', async (t) => {
  const topic = await entities();
  await settings(t, { idle_ms: 3000 });
  const [silent, alive] = [await new Raw(t).opened(), await new Raw(t).opened()];
  await Promise.all([silent.sender(topic), alive.sender(topic)]);
  const closed = silent.closedWith();
  clearTimeout(silent.connection.heartbeat_out);
  assert.strictEqual(await closed, 'amqp:connection:forced');
  assert.ok(alive.connection.is_open());
});

test('a client that wants to hear something every second is refused', async (t) => {
  const raw = new Raw(t, { idle_time_out: 1000 });
  assert.strictEqual(await raw.closedWith(), 'amqp:not-allowed');
});

test('a connection without links is closed, sooner when it never had one', async (t) => {
  const topic = await entities();
  const had = await new Raw(t).opened();
  const sender = await had.sender(topic);
  await settings(t, { unlinked_ms: 200, unlinked_after_ms: 600000 });
  sender.close();
  assert.strictEqual(await new Raw(t).closedWith(), 'amqp:connection:forced');
  assert.ok(had.connection.is_open());
  await settings(t, { unlinked_after_ms: 0 });
  assert.strictEqual(await had.closedWith(), 'amqp:connection:forced');
});

test('a sender without traffic is detached, a receiver with credit is not', async (t) => {
  const topic = await entities();
  const raw = await new Raw(t).opened();
  const [idle, waiting, without] = [await raw.sender(topic), await raw.receiver(`${topic}/Subscriptions/s`),
    await raw.receiver(`${topic}/Subscriptions/s`)];
  waiting.add_credit(1);
  await settings(t, { link_idle_ms: 300 });
  assert.deepStrictEqual(await Promise.all([Raw.ended(idle), Raw.ended(without)]),
    ['amqp:link:detach-forced', 'amqp:link:detach-forced']);
  assert.ok(waiting.is_open());
});

test('credit is the limit of what is delivered, and a drain is answered', async (t) => {
  const topic = await entities();
  await ask('publish', { topic, count: 10 });
  const raw = await new Raw(t).opened();
  const receiver = await raw.receiver(`${topic}/Subscriptions/s`);
  receiver.add_credit(4);
  await count(receiver, 4);
  assert.strictEqual((await bench.double.subscription(topic, 's')).queue.locked, 4);
  receiver.add_credit(20);
  await count(receiver, 10);
  const drained = next(receiver, 'receiver_drained');
  receiver.drain_credit();
  await drained;
  assert.strictEqual(receiver.credit, 0);
  receiver.drain = false;
  await ask('publish', { topic, count: 1 });
  assert.strictEqual((await bench.double.subscription(topic, 's')).queue.ready, 1);
});

test('peek-lock: 16 bytes of tag, settled only when the receiver says so, second settles last', async (t) => {
  const topic = await entities();
  await ask('publish', { topic, count: 2 });
  const raw = await new Raw(t).opened();
  const receiver = await raw.receiver(`${topic}/Subscriptions/s`);
  assert.deepStrictEqual([receiver.remote.attach.snd_settle_mode, receiver.remote.attach.rcv_settle_mode], [0, 1]);
  receiver.add_credit(2);
  await count(receiver, 2);
  assert.ok(receiver.got.every(({ delivery }) => delivery.tag.length === 16 && !delivery.remote_settled));
  const settled = next(receiver, 'settled');
  receiver.got[0].delivery.update(false, rhea.message.accepted().described());
  await settled;
  assert.strictEqual((await bench.double.subscription(topic, 's')).queue.completed, 1);
  receiver.got[1].delivery.update(true, rhea.message.accepted().described()); // as proton does: settled at once
  await until(WAIT_MS, 'completed', async () => (await bench.double.subscription(topic, 's')).queue.completed === 2);
});

test('a settlement that comes after the link was detached counts for nothing', async (t) => {
  const topic = await entities(['s'], { lockDuration_ms: 1000 });
  await ask('publish', { topic });
  const raw = await new Raw(t).opened();
  const receiver = await raw.receiver(`${topic}/Subscriptions/s`);
  receiver.add_credit(1);
  await count(receiver, 1);
  const ended = Raw.ended(receiver);
  await ask('freeze', { container: raw.id });
  receiver.got[0].delivery.update(true, rhea.message.accepted().described());
  await ask('detach', { entity: `${topic}/*` });
  await ask('thaw', { container: raw.id });
  assert.strictEqual(await ended, 'amqp:link:detach-forced');
  await until(WAIT_MS, 'the lock expires', async () => (await bench.double.subscription(topic, 's')).queue.locksExpired === 1);
  assert.strictEqual((await bench.double.subscription(topic, 's')).queue.completed, 0);
});

test('receive-and-delete: the attach says settled, and so does every transfer', async (t) => {
  const topic = await entities();
  await ask('publish', { topic, count: 3 });
  const raw = await new Raw(t).opened();
  const receiver = await raw.receiver(`${topic}/Subscriptions/s`, { snd_settle_mode: 1, rcv_settle_mode: 0 });
  assert.strictEqual(receiver.remote.attach.snd_settle_mode, 1);
  receiver.add_credit(3);
  await count(receiver, 3);
  assert.ok(receiver.got.every(({ delivery }) => delivery.remote_settled));
  assert.ok(receiver.got.every(({ message }) => message.message_annotations['x-opt-locked-until'] === undefined));
});

test('a link that comes back under its name at once is a new link', async (t) => {
  const topic = await entities();
  const raw = await new Raw(t).opened();
  const { socket } = raw.connection;
  let sender = await raw.sender(topic, { name: 'the same' });
  for (let i = 0; i < 3; i++) {
    assert.strictEqual((await Raw.send(sender)).outcome, 'accepted');
    socket.cork(); // detach and attach arrive together
    sender.close();
    await new Promise(setImmediate); // the detach is written; now let rhea here use the name before the answer comes
    const { links } = sender.session;
    delete links[sender.name];
    sender.name = `the old ${i}`;
    links[sender.name] = sender;
    const attached = raw.sender(topic, { name: 'the same' });
    await new Promise(setImmediate);
    socket.uncork();
    sender = await attached;
  }
  assert.strictEqual((await bench.double.topic(topic)).counters.accepted, 3);
});

test('a message that is none is rejected, and the link lives on', async (t) => {
  const topic = await entities();
  const raw = await new Raw(t).opened();
  const sender = await raw.sender(topic);
  const rejected = next(sender, 'rejected');
  sender.send(Buffer.from([0, 0x53, 0x70, 0xc0, 1, 0]), undefined, 0); // a header and no body
  assert.strictEqual((await rejected).delivery.remote_state.error.condition, 'amqp:decode-error');
  assert.strictEqual((await Raw.send(sender)).outcome, 'accepted');
});

test('duplicate detection drops a second message of the same id', async (t) => {
  const topic = await entities();
  await ask('entity', { entity: topic, settings: { duplicateDetection: true } });
  const raw = await new Raw(t).opened();
  const sender = await raw.sender(topic);
  for (const message_id of ['a', 'a', 'b']) await Raw.send(sender, { message_id });
  const { counters, enqueueSequence } = await bench.double.topic(topic);
  assert.deepStrictEqual([counters.accepted, counters.duplicatesDropped, enqueueSequence], [2, 1, 2]);
});

test('slow answers take their time and keep their order', async (t) => {
  const topic = await entities();
  await ask('slow-accept', { entity: topic, ms: 300 });
  const raw = await new Raw(t).opened();
  const sender = await raw.sender(topic);
  const start = Date.now();
  const order = [];
  await Promise.all([1, 2, 3].map((i) => Raw.send(sender).then(() => order.push(i))));
  assert.ok(Date.now() - start >= 290, `${Date.now() - start} ms`);
  assert.deepStrictEqual(order, [1, 2, 3]);
});

test('a frozen connection says nothing until it thaws', async (t) => {
  const topic = await entities();
  const raw = await new Raw(t).opened();
  const sender = await raw.sender(topic);
  assert.deepStrictEqual(await ask('freeze', { container: raw.id }), { affected: 1 });
  const sent = Raw.send(sender);
  const other = await (await new Raw(t).opened()).sender(topic);
  await Raw.send(other); // a whole exchange on another connection: time enough for this one
  assert.strictEqual((await bench.double.topic(topic)).counters.accepted, 1);
  await ask('thaw', { container: raw.id });
  assert.strictEqual((await sent).outcome, 'accepted');
});

test('refused connections end at once, a restart keeps entities and numbers', async (t) => {
  const topic = await entities();
  await ask('publish', { topic, count: 2 });
  const raw = await new Raw(t).opened();
  const gone = next(raw.connection, 'disconnected');
  await ask('restart', { ms: 600000 });
  await gone;
  await next(new Raw(t).connection, 'disconnected');
  await ask('refuse-connections', { ms: 0 });
  const receiver = await (await new Raw(t).opened()).receiver(`${topic}/Subscriptions/s`);
  await ask('publish', { topic });
  receiver.add_credit(3);
  await count(receiver, 3);
  assert.deepStrictEqual(sequences(receiver), [1, 2, 3]);
});

test('the control port refuses what it does not know', async () => {
  await assert.rejects(ask('nothing'), /404/);
  await assert.rejects(ask('lose', { entity: 'x', cuont: 2 }), /400.*cuont/);
  await assert.rejects(ask('lose'), /400.*entity/);
  await assert.rejects(bench.double.tell('nothing'), /404/);
  assert.deepStrictEqual(await ask('lose', { entity: 'no such/Subscriptions/s' }), { affected: 0 });
});

test('a double that was killed comes back on its ports with its certificate', async (t) => {
  const { DoubleProcess } = require('./process');
  const args = ['--tls-dir', process.env.JUDGE_TLS_DIR, '--topic', 'first'];
  const first = await DoubleProcess.start(args);
  await first.kill9();
  const { amqp, amqps, https, http, control } = first.ports;
  const second = await DoubleProcess.start([...args, '--ports', [amqp, amqps, https, http, control].join(',')]);
  t.after(() => second.stop());
  assert.deepStrictEqual([second.ports, second.caFile], [first.ports, first.caFile]);
  assert.strictEqual((await second.topic('first')).enqueueSequence, 0);
});
