'use strict';
// Sending and receiving by Microsoft's client: content, order, both sequence numbers, modes, sizes, time to live.

const { test } = require('../clients/tap');
const bench = require('./judge_bench');

const { assert, bodies, client, entities, numbers, range, receive, rejectsWith, seen, stream, topicNumbers } = bench;

test('a message comes out as it went in, with its types', async (t) => {
  const topic = await entities();
  const bus = client(t);
  const sent = {
    body: { a: [1, 'zwei', null] }, messageId: 'id-1', subject: 'a subject', correlationId: 'c-1',
    contentType: 'application/json', to: 'somebody', replyTo: 'me', partitionKey: 'key', timeToLive: 600000,
    applicationProperties: { text: 'ü€', int: 7, large: 9007199254740991, half: 0.5, yes: true, when: new Date(1234567890123) },
  };
  await bus.createSender(topic).sendMessages(sent);
  const [got] = await receive(bus.createReceiver(topic, 's'), 1);
  for (const key of Object.keys(sent).filter((one) => one !== 'applicationProperties')) {
    assert.deepStrictEqual(got[key], sent[key], key);
  }
  const { when, ...others } = sent.applicationProperties;
  const { when: gotWhen, ...gotOthers } = got.applicationProperties;
  assert.deepStrictEqual(gotOthers, others);
  assert.strictEqual(new Date(gotWhen).getTime(), when.getTime());
  assert.strictEqual(got.deliveryCount, 0);
  assert.ok(Math.abs(got.enqueuedTimeUtc.getTime() - Date.now()) < 60000, 'the enqueued time is now');
  assert.ok(got.lockedUntilUtc.getTime() > Date.now(), 'the lock lies in the future');
});

test('a message without an id is given one', async (t) => {
  const topic = await entities();
  const bus = client(t);
  await bus.createSender(topic).sendMessages([{ body: 'one', subject: 'kept' }, { body: 'two' }]);
  const got = await receive(bus.createReceiver(topic, 's'), 2);
  assert.match(got[0].messageId, /^[0-9a-f]{32}$/);
  assert.notStrictEqual(got[0].messageId, got[1].messageId);
  assert.strictEqual(got[0].subject, 'kept');
});

test('a body of 200 KB crosses many frames in both directions', async (t) => {
  const topic = await entities();
  const bus = client(t);
  const body = Buffer.alloc(200000, 0).map((_, i) => (i * 31) & 0xff);
  await bus.createSender(topic).sendMessages({ body });
  const [got] = await receive(bus.createReceiver(topic, 's'), 1);
  assert.ok(body.equals(got.body));
});

test('over TLS, with the certificate checked, the client sends and receives', async (t) => {
  const topic = await entities();
  const bus = client(t, { port: 'amqps' });
  await bus.createSender(topic).sendMessages({ body: 'secret' });
  assert.deepStrictEqual(bodies(await receive(bus.createReceiver(topic, 's'), 1)), ['secret']);
  const peers = (await bench.double.tell('connections')).filter((one) => one.tls);
  assert.ok(peers.length > 0 && peers.every((one) => one.claims.length > 0), 'it is authorised by claims');
});

test('a batch is one transfer and many messages, numbered in order from 1 on every subscription', async (t) => {
  const topic = await entities(['a', 'b']);
  const bus = client(t);
  const sender = bus.createSender(topic);
  const batch = await sender.createMessageBatch();
  for (let i = 1; i <= 100; i++) assert.ok(batch.tryAddMessage({ body: i, applicationProperties: { i } }));
  await sender.sendMessages(batch);
  for (const name of ['a', 'b']) {
    const got = await receive(bus.createReceiver(topic, name, { receiveMode: 'receiveAndDelete' }), 100);
    assert.deepStrictEqual(bodies(got), range(1, 100));
    assert.deepStrictEqual(numbers(got), range(1, 100));
    assert.deepStrictEqual(topicNumbers(got), range(1, 100));
  }
  const links = (await bench.double.tell('connections')).flatMap((one) => one.links);
  assert.strictEqual(links.find((link) => link.kind === 'send' && link.path === topic).messages, 1);
});

test('a streaming receiver gets 1,000 messages in order and completes them', async (t) => {
  const topic = await entities();
  const bus = client(t);
  const receiver = bus.createReceiver(topic, 's');
  const got = stream(receiver, undefined, { maxConcurrentCalls: 10 });
  const sender = bus.createSender(topic);
  for (let i = 0; i < 10; i++) await sender.sendMessages(range(i * 100 + 1, i * 100 + 100).map((body) => ({ body })));
  await seen(got.messages, 'messages', 1000);
  await receiver.close();
  assert.deepStrictEqual(bodies(got.messages), range(1, 1000));
  assert.deepStrictEqual(got.errors, []);
  const { queue } = await bench.double.subscription(topic, 's');
  assert.deepStrictEqual([queue.active, queue.completed], [0, 1000]);
});

test('the subscription counts what it gets, the topic counts everything: with a filter they part', async (t) => {
  const topic = await entities(['all', 'few']);
  await bench.double.ask('filter', { entity: `${topic}/Subscriptions/few`, sql: 'third = true' });
  const bus = client(t);
  await bus.createSender(topic).sendMessages(range(1, 9).map((i) => (
    { body: i, applicationProperties: { third: i % 3 === 0 } })));
  const few = await receive(bus.createReceiver(topic, 'few', { receiveMode: 'receiveAndDelete' }), 3);
  assert.deepStrictEqual(bodies(few), [3, 6, 9]);
  assert.deepStrictEqual(numbers(few), [1, 2, 3]);
  assert.deepStrictEqual(topicNumbers(few), [3, 6, 9]);
});

test('a subscription that is created later begins at its own number 1', async (t) => {
  const topic = await entities(['early']);
  const bus = client(t);
  const sender = bus.createSender(topic);
  await sender.sendMessages([{ body: 1 }, { body: 2 }]);
  await bench.double.ask('create', { entity: `${topic}/Subscriptions/late` });
  await sender.sendMessages({ body: 3 });
  const [got] = await receive(bus.createReceiver(topic, 'late'), 1);
  assert.deepStrictEqual([got.body, got.sequenceNumber.toNumber(), got.enqueuedSequenceNumber], [3, 1, 3]);
});

test('receive-and-delete leaves nothing behind and has no locks', async (t) => {
  const topic = await entities();
  const bus = client(t);
  await bus.createSender(topic).sendMessages([{ body: 1 }, { body: 2 }]);
  const got = await receive(bus.createReceiver(topic, 's', { receiveMode: 'receiveAndDelete' }), 2);
  assert.ok(got.every((one) => !one.lockToken && !one.lockedUntilUtc));
  const { queue } = await bench.double.subscription(topic, 's');
  assert.deepStrictEqual([queue.active, queue.locked], [0, 0]);
});

test('two receivers of one subscription share its messages', async (t) => {
  const topic = await entities();
  const bus = client(t);
  const shares = [client(t), client(t)].map((one) => stream(one.createReceiver(topic, 's'), undefined, { maxConcurrentCalls: 5 }));
  await bench.double.ask('settings', {}); // a round trip
  const sender = bus.createSender(topic);
  let sent = 0;
  while (shares.some((share) => share.messages.length < 20) && sent < 2000) {
    await sender.sendMessages(range(1, 20).map((i) => ({ body: sent + i })));
    sent += 20;
  }
  const all = () => shares.flatMap((share) => bodies(share.messages)).sort((a, b) => a - b);
  await seen({ get length() { return all().length; } }, 'messages', sent);
  assert.deepStrictEqual(all(), range(1, sent));
});

test('the link names the size limit; what is larger is refused', async (t) => {
  const topic = await entities();
  await bench.double.ask('max-message-size', { entity: topic, bytes: 20000 });
  const sender = client(t, { maxRetries: 0 }).createSender(topic);
  assert.strictEqual((await sender.createMessageBatch()).maxSizeInBytes, 20000);
  await bench.double.ask('settings', { oversize: 'reject' });
  t.after(() => bench.double.ask('settings', { oversize: 'detach' }));
  const error = await rejectsWith('MessageSizeExceeded', sender.sendMessages({ body: Buffer.alloc(20001) }));
  assert.match(error.message, /20000 bytes/);
  await sender.sendMessages({ body: Buffer.alloc(10000) });
  assert.strictEqual((await bench.double.topic(topic)).counters.accepted, 1);
});

test('what is larger ends the link, and the client gets a new one', async (t) => {
  const topic = await entities();
  await bench.double.ask('max-message-size', { entity: topic, bytes: 20000 });
  const sender = client(t, { maxRetries: 0 }).createSender(topic);
  await assert.rejects(sender.sendMessages({ body: Buffer.alloc(20001) }));
  await sender.sendMessages({ body: Buffer.alloc(10000) });
  const { counters } = await bench.double.topic(topic);
  assert.deepStrictEqual([counters.accepted, counters.rejected], [1, 1]);
});

test('an expired message is not delivered', async (t) => {
  const topic = await entities();
  const bus = client(t);
  const sender = bus.createSender(topic);
  await sender.sendMessages({ body: 'short', timeToLive: 1 });
  await bench.double.ask('requests'); // a round trip takes longer than a millisecond, and the next send as well
  await sender.sendMessages({ body: 'long', timeToLive: 600000 });
  const [got] = await receive(bus.createReceiver(topic, 's', { receiveMode: 'receiveAndDelete' }), 1);
  assert.deepStrictEqual([got.body, got.sequenceNumber.toNumber()], ['long', 2]);
});

test('a scheduled message arrives when its time has come, and leaves a hole in the topic\'s numbers', async (t) => {
  const topic = await entities();
  const bus = client(t);
  const sender = bus.createSender(topic);
  const due = new Date(Date.now() + 2500);
  await sender.sendMessages({ body: 'later', scheduledEnqueueTimeUtc: due });
  await sender.sendMessages({ body: 'now' });
  const got = await receive(bus.createReceiver(topic, 's', { receiveMode: 'receiveAndDelete' }), 2);
  assert.deepStrictEqual(bodies(got), ['now', 'later']);
  assert.deepStrictEqual(topicNumbers(got), [2, 3]);
  assert.ok(got[1].enqueuedTimeUtc.getTime() >= due.getTime());
});

test('peeking shows messages and takes none', async (t) => {
  const topic = await entities();
  const bus = client(t);
  await bus.createSender(topic).sendMessages(range(1, 3).map((body) => ({ body })));
  const receiver = bus.createReceiver(topic, 's');
  assert.deepStrictEqual(bodies(await receiver.peekMessages(10)), [1, 2, 3]);
  assert.deepStrictEqual(bodies(await receive(receiver, 3)), [1, 2, 3]);
});
