'use strict';
// What the cluster counts: three nodes over RabbitMQ, one partition and four. A PUBLISH answers with the
// subscribers of all nodes at its position in the log, and PUBSUB's questions know what was replied before they
// were asked. TARGET=redis runs the same against one redis-server.

const assert = require('node:assert/strict');
const net = require('node:net');
const { Cluster, Redis, TARGET, brokerForTarget, requireTarget, temporaryDirectory } = require('./harness');
const { random, slotOf } = require('./load');
const { Positions, steps } = require('./positions');
const { Parser, RespError, encode } = require('./resp');
const { note, run, share, test, until, within } = require('./tap');

const PARTITIONS = [1, 4];
const STEP_MS = 10000;
const GONE_MS = 5000; // what a close may take at most before it is a fault; what it takes is printed
const SEED = Number(process.env.TEST_SEED) || Date.now() % 1e6;

let broker;
let redis; // beside which transcripts are compared
const clusters = new Map(); // partitions -> cluster

/** A test for each number of partitions. */
function both(name, body, options) {
  for (const partitions of PARTITIONS) {
    test(`P = ${partitions}: ${name}`, (t) => body(t, clusters.get(partitions)), { deadline_ms: 60000, ...options });
  }
}

async function connect(t, node, proto = 2, onMessage) {
  const connection = await node.connect({ onMessage });
  t.after(() => connection.destroy());
  if (proto === 3) await connection.request('HELLO', '3');
  return connection;
}

const connectAll = (t, cluster, proto) => Promise.all(cluster.nodes.map((node) => connect(t, node, proto)));

/** Every node once: one of its connections asks, and all must answer alike. */
async function askAll(askers, ...question) {
  const answers = await Promise.all(askers.map((asker) => asker.request(...question)));
  const plain = answers.map((answer) => (Array.isArray(answer) ? answer.map((x) => (Buffer.isBuffer(x) ? String(x) : x)) : answer));
  plain.forEach((answer, i) => assert.deepEqual(answer, plain[0], `${question.slice(0, 4)}: node ${i + 1} and node 1`));
  return plain[0];
}

/** Waits until no session of an earlier test is counted. */
function quiet(asker) {
  return until(STEP_MS, 'no patterns of earlier tests', async () => (await asker.request('PUBSUB', 'NUMPAT')) === 0);
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const ms = (value) => `${value.toFixed(1)} ms`;

// ---- the counts ----

both('PUBLISH, SPUBLISH, NUMSUB, SHARDNUMSUB and NUMPAT count the sessions of all nodes, from every node', async (t, cluster) => {
  const askers = await connectAll(t, cluster);
  await quiet(askers[0]);
  for (const [i, node] of cluster.nodes.entries()) {
    for (const proto of [2, 3]) { // each node: two sessions on "all", one of them with a pattern
      const session = await connect(t, node, proto);
      await session.subscribe('SUBSCRIBE', 'count:all', `count:${i}`);
      if (proto === 3) await session.subscribe('PSUBSCRIBE', 'count:*', `count:${i}*`);
      if (proto === 2) await session.subscribe('SSUBSCRIBE', 'count:all', `shard:${i}`);
    }
  }
  assert.deepEqual(await askAll(askers, 'PUBSUB', 'NUMSUB', 'count:all', 'count:0', 'count:1', 'count:2', 'count:9', 'count:all'),
    ['count:all', 6, 'count:0', 2, 'count:1', 2, 'count:2', 2, 'count:9', 0, 'count:all', 6]);
  assert.deepEqual(await askAll(askers, 'PUBSUB', 'SHARDNUMSUB', 'count:all', 'shard:0', 'shard:1', 'count:0'),
    ['count:all', 3, 'shard:0', 1, 'shard:1', 1, 'count:0', 0]);
  assert.equal(await askAll(askers, 'PUBSUB', 'NUMPAT'), 4, 'distinct patterns: count:* and one for each node');
  assert.deepEqual(await askAll(askers, 'PUBSUB', 'NUMSUB'), []);
  assert.equal(await askAll(askers, 'PUBLISH', 'count:all', 'x'), 6 + 3);
  assert.equal(await askAll(askers, 'PUBLISH', 'count:1', 'x'), 2 + 3 + 1);
  assert.equal(await askAll(askers, 'PUBLISH', 'count:nobody', 'x'), 3);
  assert.equal(await askAll(askers, 'PUBLISH', 'shard:0', 'x'), 0, 'shard channels are apart');
  assert.equal(await askAll(askers, 'SPUBLISH', 'count:all', 'x'), 3, 'and no pattern matches them');
  assert.equal(await askAll(askers, 'SPUBLISH', 'count:0', 'x'), 0);
});

both('a session is counted once for each name, however often it subscribes', async (t, cluster) => {
  const askers = await connectAll(t, cluster);
  await quiet(askers[0]);
  const [A, B] = [await connect(t, cluster.nodes[0]), await connect(t, cluster.nodes[1], 3)];
  for (const session of [A, B]) {
    await session.subscribe('SUBSCRIBE', 'once', 'once');
    await session.subscribe('SUBSCRIBE', 'once');
    await session.subscribe('PSUBSCRIBE', 'on*', 'on*');
  }
  assert.deepEqual(await askAll(askers, 'PUBSUB', 'NUMSUB', 'once'), ['once', 2]);
  assert.equal(await askAll(askers, 'PUBSUB', 'NUMPAT'), 1);
  assert.equal(await askAll(askers, 'PUBLISH', 'once', 'x'), 4);
  await A.subscribe('UNSUBSCRIBE', 'once', 'once');
  assert.deepEqual(await askAll(askers, 'PUBSUB', 'NUMSUB', 'once'), ['once', 1]);
  await A.subscribe('PUNSUBSCRIBE', 'on*', 'on*');
  assert.equal(await askAll(askers, 'PUBLISH', 'once', 'x'), 2);
});

// ---- what was replied is known ----

const KINDS = [
  { on: 'SUBSCRIBE', off: 'UNSUBSCRIBE', publish: 'PUBLISH', name: (i) => `seen:${i}`, ask: (i) => ['NUMSUB', `seen:${i}`] },
  { on: 'PSUBSCRIBE', off: 'PUNSUBSCRIBE', publish: 'PUBLISH', name: (i) => `s?en:${i}`, ask: () => ['NUMPAT'] },
  { on: 'SSUBSCRIBE', off: 'SUNSUBSCRIBE', publish: 'SPUBLISH', name: (i) => `seen:${i}`, ask: (i) => ['SHARDNUMSUB', `seen:${i}`] },
];

const KNOWN_ROUNDS = share(1000);
both(`a question asked after a reply was seen on another node knows it: ${KNOWN_ROUNDS} rounds`, async (t, cluster) => {
  const askers = await connectAll(t, cluster);
  const sessions = await Promise.all(cluster.nodes.map((node, i) => connect(t, node, 2 + i % 2)));
  await quiet(askers[0]);
  for (let round = 0; round < KNOWN_ROUNDS; round++) {
    const kind = KINDS[round % KINDS.length];
    const session = sessions[round % 3];
    const asker = askers[(round + 1 + Math.floor(round / 3) % 2) % 3];
    for (const [verb, expected] of [[kind.on, 1], [kind.off, 0]]) {
      await session.subscribe(verb, kind.name(round));
      const publish = asker.request(kind.publish, `seen:${round}`, 'x');
      const asked = await asker.request('PUBSUB', ...kind.ask(round));
      assert.equal(Array.isArray(asked) ? asked[1] : asked, expected, `round ${round}, ${verb}: PUBSUB`);
      assert.equal(await publish, expected, `round ${round}, ${verb}: ${kind.publish}`);
    }
  }
});

both('after RESET was answered its subscriptions are counted nowhere: 200 rounds', async (t, cluster) => {
  const askers = await connectAll(t, cluster);
  const sessions = await connectAll(t, cluster);
  await quiet(askers[0]);
  for (let round = 0; round < 200; round++) {
    const session = sessions[round % 3];
    const asker = askers[(round + 1) % 3];
    const names = [0, 1, 2, 3, 4].map((i) => `reset:${round}:${i}`);
    const all = Promise.all([
      session.subscribe('SUBSCRIBE', ...names), session.subscribe('SSUBSCRIBE', ...names),
      session.subscribe('PSUBSCRIBE', 'reset:*'),
    ]);
    if (round % 2) await all; // else RESET stands behind them in the pipeline
    assert.equal(await session.request('RESET'), 'RESET');
    const answers = await Promise.all([
      asker.request('PUBLISH', names[0], 'x'), asker.request('SPUBLISH', names[1], 'x'),
      asker.request('PUBSUB', 'NUMPAT'),
      asker.request('PUBSUB', 'NUMSUB', ...names).then((flat) => flat.filter((_, i) => i % 2).join('')),
    ]);
    assert.deepEqual(answers, [0, 0, 0, '00000'], `round ${round}`);
    assert.equal(String(await session.request('ECHO', 'free')), 'free');
  }
});

both('the count changes at one position of the log, and messages go by it exactly', async (t, cluster) => {
  const [A, B, C] = cluster.nodes;
  const positions = await Positions.open(B, 'position');
  t.after(() => positions.close());
  await positions.publish(B);
  await positions.publish(C);
  const got = [];
  const session = await connect(t, A, 3, (_, payload) => got.push(Number(String(payload))));
  const TURNS = 20;
  for (let i = 0; i < TURNS; i++) {
    await positions.progress(10, STEP_MS);
    await session.subscribe('SUBSCRIBE', 'position');
    await positions.progress(10, STEP_MS);
    await session.subscribe('UNSUBSCRIBE', 'position');
  }
  const counts = await positions.finish(STEP_MS);
  assert.deepEqual(positions.faults, []);
  assert.deepEqual(steps(counts), [1, ...Array.from({ length: TURNS }, () => [2, 1]).flat()]);
  await session.request('PUBLISH', 'position', -1); // what the log orders later has not come earlier
  assert.deepEqual(got, positions.order.slice(0, counts.length).filter((_, i) => counts[i] === 2));
});

// ---- many sessions at random ----

const NAMES = Array.from({ length: 24 }, (_, i) => `m:${i}`);
const PATTERNS = ['m:*', 'm:1*', 'm:?', '*', 'm:2?', 'nothing*'];
const FITS = new Map(PATTERNS.map((pattern) => [
  pattern, new RegExp(`^${pattern.replace(/\*/g, '.*').replace(/\?/g, '.')}$`),
]));

/** A session of the model: what it was told, what it should hear and what it heard. */
class Member {
  static async open(cluster, chance) {
    const member = new Member();
    const node = cluster.nodes[Math.floor(chance() * 3)];
    member.connection = await node.connect({ onMessage: (channel, payload, pattern, kind) => member.heard.push(`${kind} ${pattern || ''} ${channel} ${payload}`) });
    if (chance() < 0.5) await member.connection.request('HELLO', '3');
    return member;
  }

  constructor() {
    this.heard = [];
    this.sets = { SUBSCRIBE: new Set(), PSUBSCRIBE: new Set(), SSUBSCRIBE: new Set() };
  }

  act(chance) {
    const verb = ['SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE'][Math.floor(chance() * 3)];
    const from = verb === 'PSUBSCRIBE' ? PATTERNS : NAMES;
    const names = Array.from({ length: 1 + Math.floor(chance() * 4) }, () => from[Math.floor(chance() * from.length)]);
    const set = this.sets[verb];
    const on = chance() < 0.55;
    for (const name of names) {
      if (on) set.add(name);
      else set.delete(name);
    }
    return this.connection.subscribe(on ? verb : verb.replace('SUBSCRIBE', 'UNSUBSCRIBE'), ...names);
  }

  expected(verb, channel, payload) {
    const { SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE } = this.sets;
    if (verb === 'SPUBLISH') return SSUBSCRIBE.has(channel) ? [`smessage  ${channel} ${payload}`] : [];
    return [
      ...(SUBSCRIBE.has(channel) ? [`message  ${channel} ${payload}`] : []),
      ...[...PSUBSCRIBE].filter((one) => FITS.get(one).test(channel)).map((one) => `pmessage ${one} ${channel} ${payload}`),
    ];
  }
}

async function compareWithModel(askers, members, round) {
  const holding = (kind, name) => members.filter((member) => member.sets[kind].has(name)).length;
  const patterns = PATTERNS.filter((pattern) => holding('PSUBSCRIBE', pattern) > 0).length;
  const numsub = (kind) => NAMES.flatMap((name) => [name, holding(kind, name)]);
  // Sessions that closed leave a moment later than their socket.
  await until(GONE_MS, 'the counts of the model', async () => {
    assert.deepEqual(await askAll(askers, 'PUBSUB', 'NUMSUB', ...NAMES), numsub('SUBSCRIBE'));
    assert.deepEqual(await askAll(askers, 'PUBSUB', 'SHARDNUMSUB', ...NAMES), numsub('SSUBSCRIBE'));
    assert.equal(await askAll(askers, 'PUBSUB', 'NUMPAT'), patterns);
    return true;
  });
  for (const member of members) member.heard = [];
  const wanted = members.map(() => []);
  for (const [i, name] of NAMES.entries()) {
    for (const verb of ['PUBLISH', 'SPUBLISH']) {
      const payload = `${round}.${i}`;
      const each = members.map((member) => member.expected(verb, name, payload));
      const count = await askers[i % 3].request(verb, name, payload);
      assert.equal(count, each.reduce((sum, one) => sum + one.length, 0), `${verb} ${name}`);
      each.forEach((one, at) => wanted[at].push(...one));
    }
  }
  await until(STEP_MS, 'what was published has come',
    () => members.every((member, i) => member.heard.length >= wanted[i].length), 1);
  members.forEach((member, i) => assert.deepEqual(member.heard.sort(), wanted[i].sort(), `session ${i}`));
}

both('sessions that subscribe, unsubscribe and close at random: counts and messages are those of a model', async (t, cluster) => {
  const seed = SEED + cluster.partitions;
  note(`seed ${seed}`);
  const chance = random(seed);
  const askers = await connectAll(t, cluster);
  await quiet(askers[0]);
  const members = [];
  t.after(() => Promise.all(members.map((member) => member.connection.destroy())));
  for (let round = 0; round < 12; round++) {
    const waiting = [];
    for (let i = 0; i < 150; i++) {
      const at = Math.floor(chance() * 24);
      if (!members[at]) members[at] = await Member.open(cluster, chance);
      if (chance() < 0.06) {
        members[at].connection.destroy(); // with whatever it has in flight
        members[at] = await Member.open(cluster, chance);
      }
      const { connection } = members[at];
      const done = members[at].act(chance).catch((error) => assert.ok(connection.socket.destroyed, error.stack));
      if (chance() < 0.3) await done;
      else waiting.push(done);
    }
    await within(STEP_MS, 'all confirmations', Promise.all(waiting));
    await compareWithModel(askers, members.filter(Boolean), round);
  }
});

// ---- sessions that go ----

const WAYS = {
  'its socket is closed': (session) => session.socket.destroy(),
  'it says QUIT': (session) => session.request('QUIT').catch(() => {}),
  'its socket is half closed': (session) => session.socket.end(),
  'it is ended by CLIENT KILL': async (session, id, own) => own.request('CLIENT', 'KILL', 'ID', id),
};

both('a session that goes leaves the counts of the other nodes', async (t, cluster) => {
  const askers = await connectAll(t, cluster);
  await quiet(askers[0]);
  const all = [];
  for (const [how, end] of Object.entries(WAYS)) {
    const taken = [];
    for (let round = 0; round < 25; round++) {
      const [A, B] = [round % 3, (round + 1) % 3];
      const session = await connect(t, cluster.nodes[A], 3);
      const id = await session.request('CLIENT', 'ID');
      const names = Array.from({ length: 8 }, (_, i) => `leaves:${round}:${i}`);
      await session.subscribe('SUBSCRIBE', ...names);
      await session.subscribe('PSUBSCRIBE', 'leaves:*');
      const start = performance.now();
      end(session, id, askers[A]);
      await until(GONE_MS, `gone from the counts when ${how}`, async () => {
        const [counts, patterns] = await Promise.all([
          askers[B].request('PUBSUB', 'NUMSUB', ...names), askers[B].request('PUBSUB', 'NUMPAT'),
        ]);
        return patterns === 0 && counts.every((count, i) => i % 2 === 0 || count === 0);
      }, 1);
      taken.push(performance.now() - start);
    }
    note(`${how}: median ${ms(median(taken))}, max ${ms(Math.max(...taken))}`);
    all.push(...taken);
  }
  note(`all: median ${ms(median(all))}, max ${ms(Math.max(...all))} (wanted: 100 ms)`);
  assert.ok(median(all) < 100, 'the usual close is within 100 ms');
});

both('a session that closes with a SUBSCRIBE in flight leaves nothing behind', async (t, cluster) => {
  const askers = await connectAll(t, cluster);
  await quiet(askers[0]);
  const chance = random(SEED);
  const names = Array.from({ length: 40 }, (_, i) => `flight:${i}`);
  for (let round = 0; round < 150; round++) {
    const node = cluster.nodes[round % 3];
    const socket = net.connect(node.address);
    socket.on('error', () => {});
    await within(STEP_MS, 'connect', new Promise((resolve) => socket.once('connect', resolve)));
    const some = names.slice(0, 1 + Math.floor(chance() * names.length));
    const bytes = Buffer.concat([
      encode(['SUBSCRIBE', ...some]), encode(['PSUBSCRIBE', 'flight:*']), encode(['SSUBSCRIBE', ...some]),
      encode(['UNSUBSCRIBE', some[0]]), encode(['SUBSCRIBE', some[0]]),
      ...(round % 3 === 0 ? [encode(['RESET'])] : []), ...(round % 4 === 0 ? [encode(['QUIT'])] : []),
    ]);
    // Closed when it was written, when its first byte came back, or in the middle of a request.
    if (round % 5 === 4) socket.end(bytes.subarray(0, bytes.length - 5));
    else await new Promise((resolve) => socket.write(bytes, resolve));
    if (round % 5 === 1) await Promise.race([new Promise((resolve) => socket.once('data', resolve)), new Promise((resolve) => socket.once('close', resolve))]);
    socket.destroy();
  }
  await until(GONE_MS, 'nothing is counted', async () => {
    assert.equal(await askAll(askers, 'PUBSUB', 'NUMPAT'), 0);
    for (const question of ['NUMSUB', 'SHARDNUMSUB']) {
      assert.deepEqual(await askAll(askers, 'PUBSUB', question, ...names), names.flatMap((name) => [name, 0]));
    }
    return true;
  });
  for (const name of names) assert.equal(await askers[0].request('PUBLISH', name, 'x'), 0);
  if (TARGET === 'redis') return;
  for (const asker of askers) assert.deepEqual(await asker.request('PUBSUB', 'CHANNELS', 'flight:*'), []);
});

// ---- several partitions in one request ----

both('SUBSCRIBE of many names is confirmed in one piece, ahead of its first message, and misses nothing', async (t, cluster) => {
  const names = Array.from({ length: 30 }, (_, i) => `spread:${i}`);
  const [A, B, C] = cluster.nodes;
  const publishers = [await connect(t, B), await connect(t, C)];
  const wire = [];
  const socket = net.connect(A.address);
  t.after(async () => socket.destroy());
  const parser = new Parser((value) => wire.push(value.map((one) => (Buffer.isBuffer(one) ? String(one) : one))));
  socket.on('data', (chunk) => parser.feed(chunk));
  let running = true;
  const replies = names.map(() => []); // each channel has one publisher, so its replies are in the order of the log
  const publish = async (publisher, mine) => {
    for (let number = 0; running; number++) {
      const counts = await Promise.all(mine.map((at) => publisher.request('PUBLISH', names[at], number)));
      mine.forEach((at, i) => replies[at].push(counts[i]));
    }
  };
  const even = names.map((_, i) => i).filter((i) => i % 2 === 0);
  const loops = [publish(publishers[0], even), publish(publishers[1], even.map((i) => i + 1))];
  const ROUNDS = 15;
  for (let round = 1; round <= ROUNDS; round++) {
    for (const verb of ['SUBSCRIBE', 'UNSUBSCRIBE']) {
      const count = () => wire.filter((value) => value[0] === verb.toLowerCase()).length;
      socket.write(encode([verb, ...names]));
      await until(STEP_MS, `${verb} ${round} is confirmed`, () => count() === round * names.length, 1);
      const lengths = [0, 1].map((at) => replies[at].length); // the two publishers have paces of their own
      await until(STEP_MS, 'publishes go on', () => lengths.every((length, at) => replies[at].length > length + 3), 1);
    }
  }
  running = false;
  await Promise.all(loops);
  const got = names.map(() => []);
  for (let i = 0; i < wire.length; i++) {
    const [kind, name, third] = wire[i];
    if (kind === 'message') {
      got[names.indexOf(name)].push(Number(third));
      continue;
    }
    const start = wire.slice(i, i + names.length);
    assert.deepEqual(start.map((value) => value.slice(0, 2)), names.map((one) => [kind, one]), `one piece at ${i}`);
    i += names.length - 1;
  }
  names.forEach((name, at) => {
    const counted = [...replies[at].keys()].filter((number) => replies[at][number] === 1);
    assert.deepEqual(got[at], counted, `${name}: what came is what was counted`);
    assert.equal(steps(replies[at]).filter((count) => count === 1).length, ROUNDS, name);
  });
});

// ---- transcripts beside redis-server ----

const HELLO_MASK = [[/(\$7\r\nversion\r\n)\$\d+\r\n[^\r]*/g, '$1<version>'], [/(\$2\r\nid\r\n):\d+/g, '$1:<id>']];

/** Sends bytes in pieces and returns all that came until the server closed. */
async function transcript(address, bytes, chance) {
  const socket = net.connect(address);
  const chunks = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  const closed = new Promise((resolve, reject) => {
    socket.once('close', resolve);
    socket.once('error', reject);
  });
  for (let at = 0; at < bytes.length;) {
    const end = chance() < 0.2 ? bytes.length : at + 1 + Math.floor(chance() * 400);
    await new Promise((resolve) => socket.write(bytes.subarray(at, end), resolve));
    at = end;
  }
  const so_far = () => Buffer.concat(chunks).latin1Slice();
  await within(20000, 'the server closes after QUIT', closed).catch((error) => {
    socket.destroy();
    throw new Error(`${error.message}; the end of what came: ${JSON.stringify(so_far().slice(-200))}`);
  });
  return so_far();
}

/** Lines that may be compared with those of another server. */
const linesOf = (text) => HELLO_MASK.reduce((all, [pattern, by]) => all.replace(pattern, by), text).split('\r\n');

const pick = (chance, list) => list[Math.floor(chance() * list.length)];

/** Requests of one session whose replies do not depend on what other sessions do. */
function mix(chance, proto, prefix, length, extra) {
  const names = Array.from({ length: 10 }, (_, i) => `${prefix}:${i}`);
  const requests = proto === 3 ? [['HELLO', '3']] : [];
  const kinds = ['SUBSCRIBE', 'UNSUBSCRIBE', 'PSUBSCRIBE', 'PUNSUBSCRIBE', 'SSUBSCRIBE', 'SUNSUBSCRIBE'];
  for (let i = 0; i < length; i++) {
    const what = chance();
    if (what < 0.7) requests.push([pick(chance, kinds), ...Array.from({ length: 1 + Math.floor(chance() * 3) }, () => pick(chance, names))]);
    else if (what < 0.78) requests.push(['PING']);
    else if (what < 0.86) requests.push(['ECHO', `${i}`]);
    else if (what < 0.88) requests.push(['RESET'], ...(proto === 3 ? [['HELLO', '3']] : []));
    else if (what < 0.9) requests.push(['SUBSCRIBE']);
    else requests.push(...extra(names, i));
  }
  return Buffer.concat([...requests, ['QUIT']].map((request) => encode(request)));
}

both('pipelined mixes of subscribing and unsubscribing are answered as by redis-server, byte by byte', async (t, cluster) => {
  note(`seed ${SEED}`);
  for (let i = 0; i < 24; i++) {
    const chance = random(SEED + i);
    const bytes = mix(chance, 2 + i % 2, `mix:${i}`, 400, (_, at) => [['PING', `${at}`]]);
    // The same on all nodes at once: what other sessions do is not to be seen.
    const expected = await transcript(redis.address, bytes, chance);
    const actual = await Promise.all(cluster.nodes.map((node) => transcript(node.address, bytes, chance)));
    for (const text of actual) assert.deepEqual(linesOf(text), linesOf(expected), `seed ${SEED} + ${i}`);
  }
});

/** Replies and confirmations in their order, and messages by channel: pushes of a batch may come ahead of replies. */
function sorted(text) {
  const replies = [];
  const messages = {};
  const parser = new Parser((value) => {
    const plain = value instanceof RespError ? `-${value.message}`
      : Array.isArray(value) ? value.map((one) => (Buffer.isBuffer(one) ? String(one) : one))
        : value instanceof Map ? 'map' : Buffer.isBuffer(value) ? String(value) : value;
    const isMessage = Array.isArray(plain) && /^[ps]?message$/.test(plain[0]);
    if (!isMessage) replies.push(plain);
    else (messages[plain.slice(0, -1)] ||= []).push(plain.at(-1));
  });
  parser.feed(Buffer.from(text, 'latin1'));
  return { replies, messages: Object.fromEntries(Object.entries(messages).sort()) };
}

both('a RESP3 session that subscribes, publishes and asks in one pipeline gets redis-server\'s counts and messages', async (t, cluster) => {
  note(`seed ${SEED}`);
  const asker = await connect(t, cluster.nodes[0]);
  await quiet(asker);
  const extra = (names, at) => [pick(random(SEED + at), [
    ['PUBLISH', names[at % 10], `${at}`], ['SPUBLISH', names[at % 10], `${at}`], ['PUBLISH', names[at % 10], `${at}`],
    ['PUBSUB', 'NUMSUB', ...names], ['PUBSUB', 'SHARDNUMSUB', names[0], names[1]], ['PUBSUB', 'NUMPAT'],
  ])];
  for (let i = 0; i < 18; i++) {
    const chance = random(SEED + 1000 + i);
    const bytes = mix(chance, 3, `own:${i}`, 400, extra);
    const expected = sorted(await transcript(redis.address, bytes, chance));
    const actual = sorted(await transcript(cluster.nodes[i % 3].address, bytes, chance));
    assert.deepEqual(actual.replies, expected.replies, `seed ${SEED} + 1000 + ${i}`);
    assert.deepEqual(actual.messages, expected.messages, `seed ${SEED} + 1000 + ${i}`);
    await quiet(asker); // else the next would ask while this one leaves
  }
});

both('a RESP3 session hears what it publishes between its own SUBSCRIBE and UNSUBSCRIBE, and nothing else', async (t, cluster) => {
  const got = [];
  const session = await connect(t, cluster.nodes[1], 3, (channel, payload) => got.push(`${channel} ${payload}`));
  const replies = [];
  const wanted = [];
  for (let i = 0; i < 400; i++) {
    const name = `self:${i % 50}`;
    replies.push(session.request('PUBLISH', name, `before ${i}`));
    session.subscribe('SUBSCRIBE', name);
    replies.push(session.request('PUBLISH', name, `in ${i}`));
    session.subscribe('UNSUBSCRIBE', name);
    replies.push(session.request('PUBLISH', name, `after ${i}`));
    wanted.push(`${name} in ${i}`);
  }
  assert.deepEqual(await within(STEP_MS, 'all replies', Promise.all(replies)), wanted.flatMap(() => [0, 1, 0]));
  const byPartition = (list) => list.map((text, i) => [slotOf(text.split(' ')[0]) % cluster.partitions, i, text])
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((one) => one[2]);
  assert.deepEqual(byPartition(got), byPartition(wanted));
});

run({
  before: async () => {
    requireTarget();
    broker = await brokerForTarget();
    for (const partitions of PARTITIONS) clusters.set(partitions, await Cluster.open({ broker, count: 3, partitions }));
    redis = new Redis(temporaryDirectory());
    await redis.start();
    note(`target: ${TARGET}`);
  },
  after: async () => {
    for (const cluster of clusters.values()) await cluster.close();
    if (redis) await redis.stop();
    if (broker) await broker.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
