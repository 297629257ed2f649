'use strict';
// Entities over HTTPS: by Microsoft's administration client, then by plain requests for what that client never sends.

const https = require('node:https');
const { test, until } = require('../clients/tap');
const bench = require('./judge_bench');
const { makeToken } = require('./sas');

const { assert, administration, client, entities, rejectsWith, SENDER } = bench;
const NAMESPACE = 'http://schemas.microsoft.com/netservices/2010/10/servicebus/connect';

async function all(iterator) {
  const items = [];
  for await (const item of iterator) items.push(item);
  return items;
}

/** A request with a token for its own URL; body: the elements of a description. Resolves with {status, text}. */
function request(method, path, { kind, elements, authorization, query = 'api-version=2017-04', type } = {}) {
  const { double } = bench;
  const port = double.ports.https;
  const entry = elements === undefined ? undefined : '<entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml">'
    + `<${kind}Description xmlns="${NAMESPACE}">${elements}</${kind}Description></content></entry>`;
  const token = makeToken(`https://localhost:${port}/${path}`, 'root', 'the root key', Math.floor(Date.now() / 1000) + 60);
  const headers = { 'content-type': type || 'application/atom+xml;type=entry;charset=utf-8' };
  if (authorization !== null) headers.authorization = authorization || token;
  return new Promise((resolve, reject) => {
    const sent = https.request({ host: 'localhost', port, method, path: `/${path}?${query}`, headers }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    sent.on('error', reject);
    sent.end(entry);
  });
}

const statusOf = async (...args) => (await request(...args)).status;

test('a topic and a subscription are created, described, listed and deleted', async () => {
  const admin = administration();
  const topic = await admin.createTopic('made', {
    defaultMessageTimeToLive: 'PT1H', supportOrdering: true, autoDeleteOnIdle: 'PT10M' });
  assert.deepStrictEqual([topic.name, topic.defaultMessageTimeToLive, topic.supportOrdering, topic.autoDeleteOnIdle],
    ['made', 'PT1H', true, 'PT10M']);
  const made = await admin.createSubscription('made', 'sub', {
    lockDuration: 'PT10S', maxDeliveryCount: 7, autoDeleteOnIdle: 'PT5M' });
  assert.deepStrictEqual([made.subscriptionName, made.lockDuration, made.maxDeliveryCount, made.autoDeleteOnIdle],
    ['sub', 'PT10S', 7, 'PT5M']);
  assert.strictEqual((await admin.getSubscription('made', 'sub')).defaultMessageTimeToLive, 'P10675199DT2H48M5.4775807S');
  assert.ok((await all(admin.listTopics())).some((one) => one.name === 'made'));
  assert.deepStrictEqual((await all(admin.listSubscriptions('made'))).map((one) => one.subscriptionName), ['sub']);
  assert.strictEqual((await admin.getTopicRuntimeProperties('made')).subscriptionCount, 1);
  await admin.deleteSubscription('made', 'sub');
  assert.strictEqual(await admin.subscriptionExists('made', 'sub'), false);
  await admin.deleteTopic('made');
  assert.strictEqual(await admin.topicExists('made'), false);
});

test('what exists is refused with 409, what does not is not found', async () => {
  const admin = administration();
  const topic = await entities();
  await rejectsWith('MessageEntityAlreadyExistsError', admin.createTopic(topic));
  await rejectsWith('MessageEntityAlreadyExistsError', admin.createSubscription(topic, 's'));
  await rejectsWith('MessageEntityNotFoundError', admin.deleteTopic('nothing'));
  await rejectsWith('MessageEntityNotFoundError', admin.createSubscription('nothing', 's'));
});

test('counts of messages are told', async (t) => {
  const topic = await entities(['a', 'b']);
  const bus = client(t);
  await bus.createSender(topic).sendMessages([{ body: 1 }, { body: 2 }]);
  const [message] = await bench.receive(bus.createReceiver(topic, 'a'), 1);
  await bus.createReceiver(topic, 'a').deadLetterMessage(message).catch(() => {});
  const admin = administration();
  assert.strictEqual((await admin.getSubscriptionRuntimeProperties(topic, 'b')).activeMessageCount, 2);
  assert.strictEqual((await admin.getSubscriptionRuntimeProperties(topic, 'a')).totalMessageCount, 2);
});

test('lists come in pages', async () => {
  const topic = await entities(Array.from({ length: 7 }, (_, i) => `s${i}`));
  const pages = [];
  for await (const page of administration().listSubscriptions(topic).byPage({ maxPageSize: 3 })) {
    if (page.length) pages.push(page.map((one) => one.subscriptionName));
  }
  assert.deepStrictEqual(pages, [['s0', 's1', 's2'], ['s3', 's4', 's5'], ['s6']]);
});

test('a changed lock duration acts', async () => {
  const topic = await entities();
  const admin = administration();
  const subscription = await admin.getSubscription(topic, 's');
  await admin.updateSubscription({ ...subscription, lockDuration: 'PT30S' });
  assert.strictEqual((await bench.double.subscription(topic, 's')).settings.lockDuration_ms, 30000);
});

test('who has a bad key gets 401, who may not manage 403, and nothing is created', async () => {
  const wrong = administration({ keyName: 'root', key: 'no such key' });
  const error = await wrong.createTopic('never').catch((caught) => caught);
  assert.strictEqual(error.statusCode, 401);
  const sender = await administration(SENDER).createTopic('never').catch((caught) => caught);
  assert.strictEqual(sender.statusCode, 403);
  assert.strictEqual(await statusOf('PUT', 'never', { kind: 'Topic', elements: '', authorization: null }), 401);
  assert.strictEqual(await administration().topicExists('never'), false);
});

test('a token counts for what it names and below, until it expires', async () => {
  const topic = await entities();
  const port = bench.double.ports.https;
  const now_s = Math.floor(Date.now() / 1000);
  const token = (path, expiry_s = now_s + 60) => (
    { authorization: makeToken(`https://localhost:${port}/${path}`, 'root', 'the root key', expiry_s) });
  assert.strictEqual(await statusOf('GET', `${topic}/Subscriptions/s`, token(topic)), 200);
  assert.strictEqual(await statusOf('GET', `${topic}/Subscriptions/s`, token('')), 200);
  assert.strictEqual(await statusOf('GET', topic, token(`${topic}/Subscriptions/s`)), 401);
  assert.strictEqual(await statusOf('GET', topic, token(topic, now_s - 1)), 401);
  const elsewhere = makeToken(`https://otherhost:${port}/${topic}`, 'root', 'the root key', now_s + 60);
  assert.strictEqual(await statusOf('GET', topic, { authorization: elsewhere }), 401);
});

test('elements out of their order, unknown ones and bad values are refused', async () => {
  const topic = await entities();
  const tryIt = (elements) => statusOf('PUT', `${topic}/Subscriptions/order`, { kind: 'Subscription', elements });
  const lock = '<LockDuration>PT5S</LockDuration>';
  const count = '<MaxDeliveryCount>3</MaxDeliveryCount>';
  assert.strictEqual(await tryIt(count + lock), 400);
  assert.strictEqual(await tryIt('<Unknown>1</Unknown>'), 400);
  assert.strictEqual(await tryIt('<LockDuration>5 s</LockDuration>'), 400);
  assert.strictEqual(await tryIt('<LockDuration>PT6M</LockDuration>'), 400);
  assert.strictEqual(await tryIt('<AutoDeleteOnIdle>PT4M</AutoDeleteOnIdle>'), 400);
  assert.strictEqual(await tryIt(lock + count), 201);
  assert.strictEqual(await tryIt(lock + count), 409);
});

test('the request needs an api-version and the content type of an entry', async () => {
  assert.strictEqual(await statusOf('PUT', 'x', { kind: 'Topic', elements: '', query: '' }), 400);
  assert.strictEqual(await statusOf('PUT', 'x', { kind: 'Topic', elements: '', type: 'text/plain' }), 415);
  assert.strictEqual(await statusOf('PUT', `x/Subscriptions/${'n'.repeat(51)}`, { kind: 'Subscription', elements: '' }), 404);
});

test('names count without regard to case', async () => {
  const topic = await entities();
  assert.strictEqual(await administration().topicExists(topic.toUpperCase()), true);
});

test('an idle subscription deletes itself, one with a receiver stays', async (t) => {
  const topic = await entities(['idle', 'used']);
  await client(t).createReceiver(topic, 'used').peekMessages(1);
  client(t).createReceiver(topic, 'used').subscribe({ processMessage: async () => {}, processError: async () => {} });
  await until(bench.WAIT_MS, 'the receiver is there', async () => (
    (await bench.double.subscription(topic, 'used')).queue.receivers === 1));
  await bench.double.ask('entity', { entity: `${topic}/Subscriptions/*`, settings: { autoDeleteOnIdle_ms: 300 } });
  await until(bench.WAIT_MS, 'the idle one is gone', async () => !(await bench.double.subscription(topic, 'idle')));
  assert.ok(await bench.double.subscription(topic, 'used'));
});

test('a fault answers management requests with a status of its own', async () => {
  const topic = await entities();
  await bench.double.ask('refuse-rest', { entity: topic, status: 503, count: 1 });
  assert.strictEqual(await statusOf('GET', topic), 503);
  assert.strictEqual(await statusOf('GET', topic), 200);
});
