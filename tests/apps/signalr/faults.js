'use strict';
// A SignalR chat on two app servers, while a sidebus, an app server or the broker is killed with -9 and comes back:
// what the people in it notice. TARGET=redis runs what a redis-server that dies allows to compare.

const assert = require('node:assert/strict');
const { BROKER_NAME, Cluster, TARGET, brokerForTarget } = require('../../clients/harness');
const { note, run, test, until, within } = require('../../clients/tap');
const { AppServer, Client } = require('./app');
const { Chat } = require('./chat');

const LEASE_MS = 3000;
const DEAD_MS = LEASE_MS * 5 / 3 + 2000; // two heartbeats after the lease, on a busy machine
const BACKOFF_MS = 1000; // the longest that a node waits before it tries the broker again
const RECOVERY_MS = 20000; // StackExchange.Redis waits 5 s and more between its attempts
const TEST_MS = 90000;
const onRedis = TARGET === 'redis';

let broker;
let cluster;
let one;
let two;

const startServers = (servers) => Promise.all(servers.map((server) => server.start()));

function assertUndisturbed(people) {
  for (const person of people) assert.equal(person.interruptions, 0, `${person.name} was disconnected`);
}

/** Kills the second node and starts it again when the people at the first server went on talking. */
test('a sidebus is killed and comes back: nobody is disconnected, and nothing is heard twice', async (t) => {
  const chat = await Chat.open(t, [one, two]);
  const node = cluster.nodes[1];
  await node.kill9();
  if (!onRedis) await chat.progress(chat.at(one), 40, RECOVERY_MS);
  await node.start();
  note(`everything works ${await chat.flows(RECOVERY_MS, 'after the node came back')} ms after the node was ready`);
  assertUndisturbed(chat.people);
  await chat.end((speaker, hearer) => !onRedis && hearer.server === one);
}, { deadline_ms: TEST_MS });

test('a sidebus stays away: after its lease, who is behind it does not exist for the others', async (t) => {
  if (onRedis) t.skip('needs nodes that can die one by one');
  const chat = await Chat.open(t, [one, two]);
  const node = cluster.nodes[1];
  const [here, there] = [chat.at(one)[0], chat.at(two)[0]];
  await node.kill9();
  const begin = Date.now();
  let lost = 0;
  await until(DEAD_MS, 'the connection behind the dead node does not exist', async () => {
    const error = await here.ask(there, 500).then(() => new Error('answered'), (reason) => reason);
    if (/IOException: Connection '.*' does not exist/.test(error.message)) return true;
    lost += 1;
    return false;
  });
  note(`unknown ${Date.now() - begin} ms after the kill, after ${lost} questions that timed out`);
  await node.start();
  note(`everything works ${await chat.flows(RECOVERY_MS, 'after the node came back')} ms after the node was ready`);
  const late = await Client.connect(two);
  t.after(() => late.close());
  assert.equal(await here.client.call('Ask', late.id, 'why', 5000), 'why!');
  assertUndisturbed(chat.people);
  await chat.end((speaker, hearer) => hearer.server === one);
}, { deadline_ms: TEST_MS });

test('an app server is killed: its clients are gone at once, and come back with it', async (t) => {
  const chat = await Chat.open(t, [one, two]);
  const [here, there, asked] = [chat.at(one)[0], chat.at(two)[0], chat.at(two)[1]];
  const isAsked = new Promise((resolve) => {
    asked.client.answer = () => {
      resolve();
      return new Promise(() => {});
    };
  });
  const unanswered = assert.rejects(here.ask(asked, 4000), /cancel/i);
  await within(5000, 'the client is asked', isAsked);
  const id = there.id;
  await two.kill9();
  const begin = Date.now();
  await until(1000, 'its connections do not exist', async () => {
    const error = await here.client.call('Ask', id, 'why', 200).catch((reason) => reason);
    return /IOException: Connection '.*' does not exist/.test(error.message);
  });
  note(`its connections are unknown ${Date.now() - begin} ms after the kill`);
  await unanswered; // as on Redis, only the call's own time-out ends it
  await two.start();
  note(`everything works ${await chat.flows(RECOVERY_MS, 'after the server came back')} ms after the server was ready`);
  assertUndisturbed(chat.at(one));
  for (const person of chat.at(two)) assert.equal(person.interruptions, 1, person.name);
  await chat.end((speaker, hearer) => hearer.server === one);
}, { deadline_ms: TEST_MS });

/** Servers of their own, with another connection string. */
async function patientServers(t, options) {
  const servers = cluster.nodes.map((node, i) => new AppServer(`patient-${i + 1}`, cluster.dir, node, options));
  t.after(() => Promise.all(servers.map((server) => server.stop())));
  await startServers(servers);
  return servers;
}

for (const [name, options, isPatient] of [
  [`${BROKER_NAME} is killed and comes back: nobody is disconnected, what was accepted is heard, and nothing twice`, '', false],
  [`with asyncTimeout=60000 nothing is even refused while ${BROKER_NAME} is away`, 'asyncTimeout=60000', true],
]) {
  test(name, async (t) => {
    if (onRedis) t.skip('needs a broker');
    await broker.durable();
    const servers = isPatient ? await patientServers(t, options) : [one, two];
    const chat = await Chat.open(t, servers);
    await broker.kill();
    const begin = Date.now();
    await broker.restart();
    note(`${BROKER_NAME} was away for ${Date.now() - begin} ms`);
    note(`everything works ${await chat.flows(RECOVERY_MS, 'after it came back')} ms after it was ready`);
    assertUndisturbed(chat.people);
    if (isPatient) assert.deepEqual(chat.people.flatMap((person) => person.refused), []);
    await chat.end(() => true);
  }, { deadline_ms: TEST_MS });
}

run({
  before: async () => {
    broker = await brokerForTarget();
    cluster = await Cluster.open({
      broker,
      count: 2,
      lease_ms: LEASE_MS,
      rabbitmq: { backoff_max_ms: BACKOFF_MS },
    });
    [one, two] = cluster.nodes.map((node, i) => new AppServer(`app-${i + 1}`, cluster.dir, node));
    await startServers([one, two]);
  },
  after: async () => {
    if (two) await Promise.all([one.stop(), two.stop()]);
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'app servers and nodes exit with code 0 on SIGTERM',
});
