'use strict';
// Faults that Microsoft's client meets, and what it sees of them.

const { test, until } = require('../clients/tap');
const bench = require('./judge_bench');

const { assert, bodies, client, entities, numbers, range, receive, rejectsWith, seen, stream, topicNumbers, WAIT_MS } = bench;

const ask = (...args) => bench.double.ask(...args);

/** A client that streams from a topic and sent one message, which arrived. */
async function flowing(t) {
  const topic = await entities();
  const bus = client(t);
  const got = stream(bus.createReceiver(topic, 's'));
  const sender = bus.createSender(topic);
  await sender.sendMessages({ body: 1 });
  await seen(got.messages, 'message', 1);
  const id = (await bench.double.tell('connections')).find((peer) => peer.links.some((link) => link.path.startsWith(topic))).id;
  return { topic, bus, got, sender, id };
}

for (const [what, act] of [
  ['a forced detach of its links', ({ topic }) => ask('detach', { entity: `${topic}*` })],
  ['a connection closed as forced', ({ id }) => ask('close', { id })],
  ['a connection dropped without a word', ({ id }) => ask('drop', { id })],
]) {
  test(`the client survives ${what}`, async (t) => {
    const all = await flowing(t);
    const { attaches } = (await bench.double.tell('status')).counters;
    assert.ok((await act(all)).affected >= 1, 'the fault met something');
    await until(WAIT_MS, 'the receiver is back', async () => (
      (await bench.double.tell('status')).counters.attaches > attaches
        && (await bench.double.subscription(all.topic, 's')).queue.receivers === 1));
    await all.sender.sendMessages({ body: 2 });
    await seen(all.got.messages, 'messages', 2);
    assert.strictEqual(all.got.messages[all.got.messages.length - 1].body, 2);
  });
}

test('a send that is rejected as busy is retried by the client and accepted in the end', async (t) => {
  const topic = await entities();
  const sender = client(t).createSender(topic);
  await ask('reject', { entity: topic, condition: 'com.microsoft:server-busy', description: 'busy', count: 1 });
  await sender.sendMessages({ body: 1 });
  const { counters } = await bench.double.topic(topic);
  assert.deepStrictEqual([counters.rejected, counters.accepted], [1, 1]);
}, { deadline_ms: 60000 });

test('of sends that are under way together exactly the one that was rejected is told so', async (t) => {
  const topic = await entities();
  const bus = client(t, { maxRetries: 0 });
  const sender = bus.createSender(topic);
  await sender.sendMessages({ body: 0 }); // the link is there
  await ask('reject', { entity: topic, condition: 'amqp:resource-limit-exceeded', after: 1 });
  const outcomes = await Promise.allSettled(range(1, 6).map((body) => sender.sendMessages({ body })));
  const accepted = outcomes.flatMap(({ status }, i) => (status === 'fulfilled' ? [i + 1] : []));
  assert.strictEqual(accepted.length, 5);
  assert.deepStrictEqual(bodies(await receive(bus.createReceiver(topic, 's'), 6)).sort(), [0, ...accepted]);
}, { deadline_ms: 60000 });

test('a busy topic is busy until its time is over', async (t) => {
  const topic = await entities();
  const sender = client(t, { maxRetries: 0 }).createSender(topic);
  await ask('busy', { entity: topic, ms: 600000 });
  await rejectsWith('ServiceBusy', sender.sendMessages({ body: 1 }));
  await ask('busy', { entity: topic, ms: 0 });
  await sender.sendMessages({ body: 2 });
  assert.strictEqual((await bench.double.topic(topic)).counters.accepted, 1);
});

test('a full topic says so', async (t) => {
  const topic = await entities();
  const sender = client(t, { maxRetries: 0 }).createSender(topic);
  await ask('reject', { entity: topic, condition: 'amqp:resource-limit-exceeded', after: 1 });
  await sender.sendMessages({ body: 1 });
  await rejectsWith('QuotaExceeded', sender.sendMessages({ body: 2 }));
  await sender.sendMessages({ body: 3 });
  assert.strictEqual((await bench.double.topic(topic)).counters.accepted, 2);
});

test('an answer that is lost leaves the message in the topic, and the client sends it again', async (t) => {
  const topic = await entities();
  const sender = client(t).createSender(topic);
  await ask('lose-accept', { entity: topic });
  await sender.sendMessages({ body: 1 });
  const { messages } = await bench.double.tell('accepted', { topic });
  assert.strictEqual(messages.length, 2);
});

test('a hole in the topic\'s numbers is none in the subscription\'s', async (t) => {
  const topic = await entities();
  const bus = client(t);
  const sender = bus.createSender(topic);
  await sender.sendMessages({ body: 1 });
  await ask('skip', { entity: topic, count: 3 });
  await sender.sendMessages({ body: 2 });
  const got = await receive(bus.createReceiver(topic, 's'), 2);
  assert.deepStrictEqual([numbers(got), topicNumbers(got)], [[1, 2], [1, 5]]);
});

test('a lost delivery is a jump in that subscription\'s own numbers only', async (t) => {
  const topic = await entities(['lossy', 'whole']);
  const bus = client(t);
  const sender = bus.createSender(topic);
  await sender.sendMessages({ body: 1 });
  await ask('lose', { entity: `${topic}/Subscriptions/lossy` });
  await sender.sendMessages([{ body: 2 }, { body: 3 }]);
  const lossy = await receive(bus.createReceiver(topic, 'lossy'), 2);
  assert.deepStrictEqual([bodies(lossy), numbers(lossy)], [[1, 3], [1, 3]]);
  assert.deepStrictEqual(numbers(await receive(bus.createReceiver(topic, 'whole'), 3)), [1, 2, 3]);
});

test('a duplicate comes after it was completed, with the same numbers', async (t) => {
  const topic = await entities();
  const bus = client(t);
  await ask('duplicate', { entity: `${topic}/*`, count: 1 });
  await bus.createSender(topic).sendMessages({ body: 1 });
  const receiver = bus.createReceiver(topic, 's');
  const [first] = await receive(receiver, 1);
  await receiver.completeMessage(first);
  const [second] = await receive(receiver, 1);
  await receiver.completeMessage(second);
  assert.deepStrictEqual([numbers([second]), topicNumbers([second]), second.messageId], [[1], [1], first.messageId]);
  assert.strictEqual((await bench.double.subscription(topic, 's')).queue.active, 0);
});

test('reordering delivers a message after those behind it', async (t) => {
  const topic = await entities();
  const bus = client(t);
  await ask('reorder', { entity: `${topic}/*`, count: 1, by: 2 });
  await bus.createSender(topic).sendMessages(range(1, 4).map((body) => ({ body })));
  const got = await receive(bus.createReceiver(topic, 's', { receiveMode: 'receiveAndDelete' }), 4);
  assert.deepStrictEqual(bodies(got), [2, 3, 1, 4]);
});

test('a reordered message that nothing follows comes after its wait', async (t) => {
  const topic = await entities();
  const bus = client(t);
  await ask('reorder', { entity: `${topic}/*`, count: 1, by: 5, wait_ms: 200 });
  await bus.createSender(topic).sendMessages({ body: 1 });
  assert.deepStrictEqual(bodies(await receive(bus.createReceiver(topic, 's'), 1)), [1]);
});

test('a lost lock brings the message again and fails the settlement', async (t) => {
  const topic = await entities();
  const bus = client(t);
  await bus.createSender(topic).sendMessages({ body: 1 });
  const receiver = bus.createReceiver(topic, 's');
  const [first] = await receive(receiver, 1);
  assert.deepStrictEqual(await ask('lose-locks', { entity: `${topic}/*` }), { affected: 1 });
  await rejectsWith('MessageLockLost', receiver.completeMessage(first));
  const [again] = await receive(receiver, 1);
  assert.strictEqual(again.deliveryCount, 1);
});

test('a receiver of a subscription that is deleted is told, and a new one begins at 1', async (t) => {
  const { topic, bus, got } = await flowing(t);
  await ask('delete', { entity: `${topic}/Subscriptions/s` });
  await until(WAIT_MS, 'the error', () => got.errors.some((error) => error.code === 'MessagingEntityNotFound'));
  await got.subscription.close();
  await ask('create', { entity: `${topic}/Subscriptions/s` });
  await bus.createSender(topic).sendMessages({ body: 'new' });
  const [message] = await receive(client(t).createReceiver(topic, 's'), 1);
  assert.deepStrictEqual([message.body, message.sequenceNumber.toNumber(), message.enqueuedSequenceNumber], ['new', 1, 2]);
}, { deadline_ms: 60000 });

test('a topic that is created anew begins at 1', async (t) => {
  const topic = await entities();
  const bus = client(t);
  await bus.createSender(topic).sendMessages(range(1, 5).map((body) => ({ body })));
  await ask('recreate', { entity: topic, subscriptions: true });
  await client(t).createSender(topic).sendMessages({ body: 'new' });
  const [message] = await receive(client(t).createReceiver(topic, 's'), 1);
  assert.deepStrictEqual([message.sequenceNumber.toNumber(), message.enqueuedSequenceNumber], [1, 1]);
});
