'use strict';
// Locks by Microsoft's client: complete, abandon, dead-letter, expiry, renewal.

const { test, until } = require('../clients/tap');
const bench = require('./judge_bench');

const { assert, bodies, client, entities, receive, rejectsWith, WAIT_MS } = bench;

async function one(t, settings) {
  const topic = await entities(['s'], settings);
  const bus = client(t);
  await bus.createSender(topic).sendMessages({ body: 'it', applicationProperties: { own: 1 } });
  const receiver = bus.createReceiver(topic, 's', { maxAutoLockRenewalDurationInMs: 0 });
  const [message] = await receive(receiver, 1);
  return { topic, bus, receiver, message };
}

test('a completed message is gone', async (t) => {
  const { topic, receiver, message } = await one(t);
  assert.match(message.lockToken, /^[0-9a-f-]{36}$/);
  assert.strictEqual((await bench.double.subscription(topic, 's')).queue.locked, 1);
  await receiver.completeMessage(message);
  const { queue } = await bench.double.subscription(topic, 's');
  assert.deepStrictEqual([queue.active, queue.completed], [0, 1]);
});

test('an abandoned message comes again, with its numbers and a delivery count', async (t) => {
  const { receiver, message } = await one(t);
  await receiver.abandonMessage(message);
  const [again] = await receive(receiver, 1);
  assert.strictEqual(again.deliveryCount, 1);
  assert.ok(again.sequenceNumber.equals(message.sequenceNumber));
  assert.strictEqual(again.enqueuedSequenceNumber, message.enqueuedSequenceNumber);
  assert.notStrictEqual(again.lockToken, message.lockToken);
});

test('what is abandoned comes before what waits', async (t) => {
  const topic = await entities();
  const bus = client(t);
  await bus.createSender(topic).sendMessages([1, 2, 3, 4].map((body) => ({ body })));
  const receiver = bus.createReceiver(topic, 's');
  const [first, second] = await receive(receiver, 2);
  await receiver.abandonMessage(second);
  await receiver.abandonMessage(first);
  assert.deepStrictEqual(bodies(await receive(receiver, 4)), [1, 2, 3, 4]);
});

test('after ten deliveries a message is a dead letter and says why', async (t) => {
  const { topic, bus, receiver, message } = await one(t);
  let last = message;
  for (let count = 0; count < 10; count++) {
    assert.strictEqual(last.deliveryCount, count);
    await receiver.abandonMessage(last);
    if (count < 9) [last] = await receive(receiver, 1);
  }
  assert.strictEqual((await bench.double.subscription(topic, 's')).queue.active, 0);
  const [dead] = await receive(bus.createReceiver(topic, 's', { subQueueType: 'deadLetter' }), 1);
  assert.strictEqual(dead.body, 'it');
  assert.strictEqual(dead.deadLetterReason, 'MaxDeliveryCountExceeded');
  assert.strictEqual(dead.applicationProperties.own, 1);
});

test('a receiver dead-letters with a reason', async (t) => {
  const { bus, receiver, message, topic } = await one(t);
  await receiver.deadLetterMessage(message, { deadLetterReason: 'why', deadLetterErrorDescription: 'because' });
  const deadLetters = bus.createReceiver(topic, 's', { subQueueType: 'deadLetter' });
  const [dead] = await receive(deadLetters, 1);
  assert.deepStrictEqual([dead.deadLetterReason, dead.deadLetterErrorDescription], ['why', 'because']);
  await deadLetters.completeMessage(dead);
  const found = await bench.double.subscription(topic, 's');
  assert.deepStrictEqual([found.queue.active, found.deadLetters.active], [0, 0]);
});

test('an expired lock brings the message again, and settling it late fails', async (t) => {
  const { topic, receiver, message } = await one(t, { lockDuration_ms: 300 });
  assert.ok(message.lockedUntilUtc.getTime() - Date.now() <= 300);
  await bench.double.ask('entity', { entity: `${topic}/subscriptions/s`, settings: { lockDuration_ms: 30000 } }); // of the next lock
  const [again] = await receive(receiver, 1);
  assert.strictEqual(again.deliveryCount, 1);
  assert.strictEqual((await bench.double.subscription(topic, 's')).queue.locksExpired, 1);
  await rejectsWith('MessageLockLost', receiver.completeMessage(message));
});

test('a renewed lock lasts longer than its duration', async (t) => {
  const { topic, receiver, message } = await one(t, { lockDuration_ms: 4000 });
  const first_ms = message.lockedUntilUtc.getTime();
  await until(WAIT_MS, 'half of the lock is over', () => Date.now() > first_ms - 2000);
  const renewed_ms = (await receiver.renewMessageLock(message)).getTime();
  assert.ok(renewed_ms > first_ms + 1000, `from ${first_ms} to ${renewed_ms}`);
  await until(WAIT_MS, 'the first lock is over', () => Date.now() > first_ms + 100);
  await receiver.completeMessage(message);
  const { queue } = await bench.double.subscription(topic, 's');
  assert.deepStrictEqual([queue.active, queue.locksExpired, queue.completed], [0, 0, 1]);
});

test('the client\'s own renewal keeps a lock over many durations', async (t) => {
  const topic = await entities(['s'], { lockDuration_ms: 12000 });
  const bus = client(t);
  await bus.createSender(topic).sendMessages({ body: 'slow' });
  const receiver = bus.createReceiver(topic, 's', { maxAutoLockRenewalDurationInMs: 60000 });
  let finish;
  const finished = new Promise((resolve) => {
    finish = resolve;
  });
  const got = bench.stream(receiver, () => finished);
  await bench.seen(got.messages, 'message', 1);
  const first_ms = got.messages[0].lockedUntilUtc.getTime();
  await until(WAIT_MS, 'the client renews', () => got.messages[0].lockedUntilUtc.getTime() > first_ms, 50);
  finish();
  await until(WAIT_MS, 'the message is completed', async () => (
    (await bench.double.subscription(topic, 's')).queue.completed === 1), 50);
  assert.deepStrictEqual(got.errors, []);
});

test('what a closed receiver held stays locked until its lock expires', async (t) => {
  const { topic, bus, receiver, message } = await one(t, { lockDuration_ms: 1500 });
  await receiver.close();
  assert.strictEqual((await bench.double.subscription(topic, 's')).queue.locked, 1);
  const [again] = await receive(bus.createReceiver(topic, 's'), 1);
  assert.ok(Date.now() >= message.lockedUntilUtc.getTime() - 50, 'not before');
  assert.strictEqual(again.deliveryCount, 1);
});

test('a message whose link was lost is completed through $management, by its lock token', async (t) => {
  const { topic, receiver, message } = await one(t);
  await bench.double.ask('detach', { entity: `${topic}/*`, kind: 'receive' });
  await until(WAIT_MS, 'the link is gone', async () => (await bench.double.subscription(topic, 's')).queue.receivers === 0);
  await receiver.completeMessage(message);
  const { queue } = await bench.double.subscription(topic, 's');
  assert.deepStrictEqual([queue.active, queue.completed], [0, 1]);
});
