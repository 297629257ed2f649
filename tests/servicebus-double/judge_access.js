'use strict';
// Who may do what: Microsoft's client with good, poor and bad keys, and tokens that expire.

const { test, until } = require('../clients/tap');
const bench = require('./judge_bench');

const { assert, bodies, client, entities, LISTENER, receive, rejectsWith, SENDER, stream, seen, WAIT_MS } = bench;

test('a bad key and an unknown rule are refused', async (t) => {
  const topic = await entities();
  for (const rule of [{ keyName: 'root', key: 'no such key' }, { keyName: 'nobody', key: 'the root key' }]) {
    const sender = client(t, { maxRetries: 0, rule }).createSender(topic);
    await rejectsWith('UnauthorizedAccess', sender.sendMessages({ body: 1 }));
  }
  assert.strictEqual((await bench.double.topic(topic)).counters.accepted, 0);
});

test('a rule that may only listen cannot send, one that may only send cannot listen', async (t) => {
  const topic = await entities();
  const listener = client(t, { maxRetries: 0, rule: LISTENER });
  const sender = client(t, { maxRetries: 0, rule: SENDER });
  await rejectsWith('UnauthorizedAccess', listener.createSender(topic).sendMessages({ body: 1 }));
  await sender.createSender(topic).sendMessages({ body: 2 });
  await rejectsWith('UnauthorizedAccess', sender.createReceiver(topic, 's').receiveMessages(1, { maxWaitTimeInMs: 1000 }));
  assert.deepStrictEqual(bodies(await receive(listener.createReceiver(topic, 's'), 1)), [2]);
});

test('a rule of one topic does not open another', async (t) => {
  const [mine, other] = [await entities(), await entities()];
  const rule = { keyName: `only-${mine}`, key: 'k' };
  await bench.double.ask('rule', { name: rule.keyName, key: rule.key, rights: ['Send', 'Listen'], scope: mine });
  const bus = client(t, { maxRetries: 0, rule });
  await bus.createSender(mine).sendMessages({ body: 1 });
  await rejectsWith('UnauthorizedAccess', bus.createSender(other).sendMessages({ body: 1 }));
});

test('what does not exist is not found', async (t) => {
  const topic = await entities();
  const bus = client(t, { maxRetries: 0 });
  await rejectsWith('MessagingEntityNotFound', bus.createSender('nothing').sendMessages({ body: 1 }));
  await rejectsWith('MessagingEntityNotFound', bus.createReceiver(topic, 'nothing').receiveMessages(1, { maxWaitTimeInMs: 1000 }));
});

test('when its tokens expire the links are closed, and the client comes back with new ones', async (t) => {
  const topic = await entities();
  const bus = client(t);
  const got = stream(bus.createReceiver(topic, 's'));
  const sender = bus.createSender(topic);
  await sender.sendMessages({ body: 1 });
  await seen(got.messages, 'message', 1);
  const { tokensPut } = (await bench.double.tell('status')).counters;
  const { affected } = await bench.double.ask('expire-tokens', { entity: `${topic}*` });
  assert.ok(affected >= 2, `${affected} tokens expired`);
  await until(WAIT_MS, 'the expired links are closed', async () => {
    const links = (await bench.double.tell('connections')).flatMap((peer) => peer.links);
    const { counters } = await bench.double.tell('status');
    return counters.tokensPut > tokensPut && links.some((link) => link.kind === 'receive' && link.path.startsWith(topic));
  });
  await sender.sendMessages({ body: 2 });
  await seen(got.messages, 'messages', 2);
  assert.deepStrictEqual(bodies(got.messages), [1, 2]);
});
