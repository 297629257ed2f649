'use strict';
// Rules by Microsoft's client, through $management, and what they let pass.

const { test } = require('../clients/tap');
const bench = require('./judge_bench');

const { assert, bodies, client, entities, receive } = bench;

async function list(manager) {
  const rules = [];
  for await (const rule of manager.listRules()) rules.push(rule);
  return rules;
}

async function passes(t, filter, messages) {
  const topic = await entities();
  const bus = client(t);
  const manager = bus.createRuleManager(topic, 's');
  await manager.createRule('mine', filter);
  await manager.deleteRule('$Default');
  await bus.createSender(topic).sendMessages([...messages, { body: 'end' }]);
  await manager.createRule('all', { sqlExpression: '1=1' });
  await bus.createSender(topic).sendMessages({ body: 'mark' });
  const got = [];
  const receiver = bus.createReceiver(topic, 's', { receiveMode: 'receiveAndDelete' });
  while (got[got.length - 1] !== 'mark') got.push(...bodies(await receive(receiver, 1)));
  return got.slice(0, -1);
}

test('a new subscription has one rule that lets everything pass', async (t) => {
  const manager = client(t).createRuleManager(await entities(), 's');
  const rules = await list(manager);
  assert.deepStrictEqual(rules.map(({ name, filter }) => [name, filter]), [['$Default', { sqlExpression: '1=1' }]]);
});

test('rules are added, listed as they were given, and removed', async (t) => {
  const topic = await entities();
  const manager = client(t).createRuleManager(topic, 's');
  await manager.createRule('sql', { sqlExpression: "sys.Label = 'x' AND n > 3" });
  await manager.createRule('correlation', { subject: 'y', correlationId: 'c', applicationProperties: { k: 'v', n: 1 } });
  await manager.deleteRule('$Default');
  const rules = Object.fromEntries((await list(manager)).map(({ name, filter }) => [name, filter]));
  assert.deepStrictEqual(Object.keys(rules).sort(), ['correlation', 'sql']);
  assert.deepStrictEqual(rules.sql, { sqlExpression: "sys.Label = 'x' AND n > 3" });
  assert.deepStrictEqual([rules.correlation.subject, rules.correlation.correlationId], ['y', 'c']);
  assert.deepStrictEqual(rules.correlation.applicationProperties, { k: 'v', n: 1 });
  await manager.deleteRule('sql');
  await manager.deleteRule('correlation');
  assert.deepStrictEqual((await bench.double.subscription(topic, 's')).rules, []); // the client cannot list nothing
});

test('a rule that exists, one that does not and one that is no SQL are refused', async (t) => {
  const manager = client(t, { maxRetries: 0 }).createRuleManager(await entities(), 's');
  await manager.createRule('r', { sqlExpression: '1=1' });
  await bench.rejectsWith('MessagingEntityAlreadyExists', manager.createRule('r', { sqlExpression: '1=1' }));
  await bench.rejectsWith('MessagingEntityNotFound', manager.deleteRule('nothing'));
  await assert.rejects(manager.createRule('bad', { sqlExpression: 'n = = 3' }), /SQL/);
});

test('without a rule nothing passes', async (t) => {
  const topic = await entities();
  const bus = client(t);
  const manager = bus.createRuleManager(topic, 's');
  await manager.deleteRule('$Default');
  await bus.createSender(topic).sendMessages({ body: 1 });
  assert.strictEqual((await bench.double.subscription(topic, 's')).sequence, 0);
});

const MESSAGES = [
  { body: 1, subject: 'x', applicationProperties: { n: 1, name: 'anna', yes: true } },
  { body: 2, subject: 'y', applicationProperties: { n: 5, name: "o'hara" } },
  { body: 3, subject: 'x', correlationId: 'c', applicationProperties: { n: 9 } },
];

for (const [filter, expected] of [
  ["sys.Label = 'x'", [1, 3]],
  ["name = 'o''hara'", [2]],
  ['n > 1 AND n <= 9', [2, 3]],
  ["sys.Label = 'y' OR user.n = 1", [1, 2]],
  ["NOT (sys.Label = 'x')", [2]],
  ["name LIKE 'a%' OR n IN (9)", [1, 3]],
  ['EXISTS(name) AND yes IS NULL', [2]],
  ["name <> 'anna'", [2]], // an unknown is not unequal
]) {
  test(`SQL: ${filter}`, async (t) => {
    assert.deepStrictEqual(await passes(t, { sqlExpression: filter }, MESSAGES), expected);
  });
}

test('a correlation filter wants all that it names', async (t) => {
  assert.deepStrictEqual(await passes(t, { subject: 'x', correlationId: 'c' }, MESSAGES), [3]);
  assert.deepStrictEqual(await passes(t, { subject: 'x', applicationProperties: { n: 1 } }, MESSAGES), [1]);
});
