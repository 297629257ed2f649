'use strict';
// Two ASP.NET Core app servers, each on its own node: every operation of SignalR that crosses servers, by clients
// in JavaScript and .NET, and the promises that ASP.NET Core asks of a backplane. TARGET=redis runs all of it on one
// redis-server.

const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const readline = require('node:readline');
const { Cluster, TARGET, brokerForTarget } = require('../../clients/harness');
const { Stopwatch, note, run, test, until, within } = require('../../clients/tap');
const { AppServer, ChatServer, Client, connectionString, program } = require('./app');

const CHECK_MS = 150000; // the program has a deadline of its own, twice Checks.Deadline

let broker;
let cluster;
let servers;

const all = (clients, action) => Promise.all(clients.map(action));
const expect = (text, ...clients) => all(clients, (client) => client.expect(text));

async function connect(t, server, options) {
  const client = await Client.connect(server, options);
  t.after(() => client.close());
  return client;
}

/** ann and bob on the first server, carl and ann once more on the second. */
async function four(t, protocols) {
  const clients = [];
  for (const [i, user] of ['ann', 'bob', 'carl', 'ann'].entries()) {
    clients.push(await connect(t, servers[i < 2 ? 0 : 1], { user, protocol: protocols[i % protocols.length] }));
  }
  assert.equal(clients[0].server, 'app-1');
  assert.equal(clients[3].server, 'app-2');
  return clients;
}

/** A test with four clients; at its end nobody has a message that was not expected. */
function testOfFour(name, protocols, body) {
  test(`${protocols.join(' and ')} clients: ${name}`, async (t) => {
    const clients = await four(t, protocols);
    await body(...clients, t);
    await all(clients, (client) => client.expectNone());
  });
}

for (const protocols of [['json'], ['messagepack'], ['json', 'messagepack', 'messagepack', 'json']]) {
  testOfFour('all, others, caller, all except', protocols, async (ann, bob, carl, ann2) => {
    await ann.call('All', '1');
    await expect('1', ann, bob, carl, ann2);
    await carl.call('Others', '2');
    await expect('2', ann, bob, ann2);
    await bob.call('Caller', '3');
    await expect('3', bob);
    await ann2.call('AllExcept', '4', [bob.id, carl.id]);
    await expect('4', ann, ann2);
    await carl.call('All', '5');
    await expect('5', ann, bob, carl, ann2);
  });

  testOfFour('groups, added to and removed from by the other server', protocols, async (ann, bob, carl, ann2) => {
    for (const member of [ann, bob]) await carl.call('Join', member.id, 'room');
    await ann.call('Join', carl.id, 'room');
    await ann2.call('Group', '1', 'room');
    await expect('1', ann, bob, carl);
    await ann2.call('GroupExcept', '2', 'room', [ann.id, carl.id]);
    await expect('2', bob);
    await ann.call('OthersInGroup', '3', 'room');
    await expect('3', bob, carl);
    await carl.call('Leave', bob.id, 'room');
    await ann.call('Leave', carl.id, 'room');
    await carl.call('Group', '4', 'room');
    await expect('4', ann);
    await bob.call('Join', ann2.id, 'hall');
    await bob.call('ManyGroups', '5', ['room', 'hall', 'nobody is here']);
    await expect('5', ann, ann2);
  });

  testOfFour('users and connections', protocols, async (ann, bob, carl, ann2) => {
    await carl.call('User', '1', 'ann');
    await expect('1', ann, ann2);
    await ann.call('Users', '2', ['bob', 'carl', 'nobody']);
    await expect('2', bob, carl);
    await ann.call('Connection', '3', carl.id);
    await expect('3', carl);
    await ann2.call('Connections', '4', [bob.id, carl.id, 'nobody']);
    await expect('4', bob, carl);
    await bob.call('Connection', '5', 'nobody');
  });

  testOfFour('client results across servers', protocols, async (ann, bob, carl, ann2) => {
    for (const [asker, asked] of [[ann, carl], [carl, ann], [bob, ann2], [ann2, bob]]) {
      assert.equal(await asker.call('Ask', asked.id, 'why', 5000), 'why!');
    }
    const questions = Array.from({ length: 50 }, (_, i) => `question ${i}`);
    assert.deepEqual(await all(questions, (question) => ann.call('Ask', carl.id, question, 5000)),
      questions.map((question) => `${question}!`));
    carl.answer = () => {
      throw new Error('I do not know');
    };
    await assert.rejects(ann.call('Ask', carl.id, 'why', 5000), /HubException.*I do not know/);
    carl.answer = () => new Promise(() => {});
    await assert.rejects(ann.call('Ask', carl.id, 'why', 200), /cancel/i);
  });
}

/**
 * Asks a connection that has been closed. Its server may still have to notice that: a question that it gets just then
 * is lost, on Redis too. After that the error comes at once.
 */
async function assertGone(asker, id) {
  await until(5000, `the server of ${id} notices that it has gone`, async () => {
    const error = await asker.call('Ask', id, 'why', 300).then(() => undefined, (reason) => reason.message);
    return error && error.includes(`IOException: Connection '${id}' does not exist`);
  });
  const watch = new Stopwatch();
  await assert.rejects(asker.call('Ask', id, 'why', 60000), /IOException: Connection '.*' does not exist/);
  assert.ok(watch.ms < 1000, `the error came after ${watch.ms} ms`);
}

test('to ask a connection that never was, or has gone, is an IOException at once', async (t) => {
  const ann = await connect(t, servers[0]);
  await assertGone(ann, 'nobody');
  for (let i = 0; i < 5; i++) {
    const gone = await Client.connect(servers[1]);
    assert.equal(await ann.call('Ask', gone.id, 'why', 5000), 'why!');
    await gone.close();
    await assertGone(ann, gone.id);
  }
});

test('a client that goes while the other server asks it fails the call', async (t) => {
  const ann = await connect(t, servers[0]);
  const dora = await connect(t, servers[1]);
  const asked = new Promise((resolve) => {
    dora.answer = () => {
      resolve();
      return new Promise(() => {});
    };
  });
  const answer = ann.call('Ask', dora.id, 'why', 60000);
  answer.catch(() => {});
  await within(5000, 'the client is asked', asked);
  await dora.close();
  await assert.rejects(answer, /HubException: Connection disconnected/);
});

test('200 connections come and go: nobody else notices, and nothing of them stays', async (t) => {
  const [ann, bob, carl] = await four(t, ['json']);
  const crowd = [];
  for (let i = 0; i < 20; i++) {
    crowd.push(...await all(Array.from({ length: 10 }), (_, j) => Client.connect(servers[j % 2], { user: `u${j}` })));
  }
  await all(crowd.slice(0, 50), (one) => ann.call('Join', one.id, 'crowd'));
  await bob.call('Group', 'hello', 'crowd');
  await expect('hello', ...crowd.slice(0, 50));
  await carl.call('Users', 'you', ['u3', 'u4']);
  await expect('you', ...crowd.filter((_, i) => i % 10 === 3 || i % 10 === 4));
  await all(crowd, (one) => one.close());
  for (const one of crowd) await assertGone(ann, one.id);
}, { deadline_ms: 60000 });

/** The chat of deploy/examples on two servers. */
test('the example chat: its page is served, and what is said crosses servers', async (t) => {
  const chats = cluster.nodes.map((node, i) => new ChatServer(`chat-${i + 1}`, cluster.dir, node));
  t.after(() => all(chats, (chat) => chat.stop()));
  await all(chats, (chat) => chat.start());
  for (const file of ['', 'chat.js', 'lib/signalr.min.js']) {
    const response = await fetch(`${chats[0].url}/${file}`);
    assert.equal(response.status, 200, file);
    assert.ok((await response.text()).length > 500, file);
  }
  const people = [];
  for (const chat of chats) {
    const person = await connect(t, chat, { hub: '/chat' });
    person.connection.on('said', (name, text) => person.received.push(`${name}: ${text}`));
    person.connection.on('joined', (name) => person.received.push(`${name} joined`));
    person.connection.on('left', (name) => person.received.push(`${name} left`));
    people.push(person);
  }
  const [ann, bob] = people;
  await ann.call('Join', 'lobby', 'ann');
  await ann.expect('ann joined');
  await bob.call('Join', 'lobby', 'bob');
  await expect('bob joined', ann, bob);
  await ann.call('Say', 'hello');
  await bob.call('Say', 'hello yourself');
  await ann.expect('ann: hello');
  await ann.expect('bob: hello yourself');
  await bob.close();
  await ann.expect('bob left');
}, { deadline_ms: 60000 });

/** Every check of a .NET run as a test of its own: name => {ok, details}. */
class DotnetRun {
  constructor(variant, verb, ...args) {
    this.lines = execFileSync('dotnet', [program(variant), 'names', verb]).toString().trim().split('\n');
    this.results = new Map(this.lines.map((name) => [name, {}]));
    for (const result of this.results.values()) {
      result.done = new Promise((resolve) => {
        result.resolve = resolve;
      });
    }
    this.start = () => {
      const child = spawn('dotnet', [program(variant), verb, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
      let current;
      const finish = () => current && current.resolve(current);
      readline.createInterface({ input: child.stdout }).on('line', (line) => {
        const [, not, name] = /^(not )?ok - (.*)$/.exec(line) || [];
        if (name) {
          finish();
          current = this.results.get(name);
          Object.assign(current, { ok: !not, details: '' });
          if (!not) finish();
        } else if (current) {
          current.details += `\n${line}`;
        }
      }).on('close', () => {
        for (const result of this.results.values()) result.resolve(result);
      });
      return child;
    };
  }
}

function testDotnet(title, variant, verb, args) {
  const dotnet = new DotnetRun(variant, verb, ...args);
  let child;
  for (const name of dotnet.lines) {
    test(`${title}${name}`, async () => {
      child = child || dotnet.start();
      const result = await within(CHECK_MS, `the result of "${name}"`, dotnet.results.get(name).done);
      if (!result.ok) throw new Error(result.details || 'the program ended before this check');
    }, { deadline_ms: 2 * CHECK_MS });
  }
  return { killSync: () => child && child.kill('SIGKILL') };
}

run({
  before: async () => {
    broker = await brokerForTarget();
    cluster = await Cluster.open({ broker, count: 2 });
    servers = cluster.nodes.map((node, i) => new AppServer(`app-${i + 1}`, cluster.dir, node));
    await all(servers, (server) => server.start());
    const backplanes = cluster.nodes.map((node) => connectionString(node));
    const runs = [
      testDotnet('', 'tests', 'clients', servers.map((server) => server.url)),
      testDotnet('a backplane for SignalR: ', 'tests', 'facts', backplanes),
      testDotnet('a backplane for SignalR, StackExchange.Redis 3: ', 'tests-client3', 'facts', backplanes),
    ];
    process.on('exit', () => runs.forEach((one) => one.killSync()));
    note(`target ${TARGET}`);
  },
  after: async () => {
    if (servers) await all(servers, (server) => server.stop());
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'app servers and nodes exit with code 0 on SIGTERM',
});
