'use strict';
// Keys and streams against a model: random commands, from sessions of RESP2 and RESP3 on all nodes, one after the
// other, so that every answer is determined. It must be that of reference.js, and a redis-server that is given the
// same must agree with that as well. Ids differ from server to server and are matched in order of appearance.
// Then all nodes at once: what they hold in the end is the same, and nothing was lost or done twice.

const assert = require('node:assert/strict');
const { BROKER_NAME, Cluster, Redis, brokerForTarget, note, requireSidebus, temporaryDirectory } = require('./harness');
const { random, slotOf } = require('./load');
const { Beyond, Failure, Id, Info, Near, Reference, Streams } = require('./reference');
const { runCrowd } = require('./model_crowd');
const { SHORT, Steps } = require('./model_steps');
const { RespError } = require('./resp');
const { run, test, until, within } = require('./tap');

const STEP_MS = 20000;
const STEPS = 2000;
const SHORT_MS = 40; // a key that a test waits for
const CLOCKS_MS = 100; // what log time may differ from node to node, and from ours
const NEAR_MS = 5000;
const SEED = Number(process.env.TEST_SEED) || Date.now() % 1e6;

let broker;
let hub; // three nodes that meet at the broker
let alone; // one node with the embedded broker

/** Names for each partition: {k: [[names]], c: [[names]]}. */
function namesFor(partitions, label) {
  const tags = [];
  for (let i = 0; tags.filter(Boolean).length < partitions; i++) tags[slotOf(`${label}${i}`) % partitions] ??= `${label}${i}`;
  const make = (family, count) => tags.map((tag) => Array.from({ length: count }, (_, i) => `{${tag}}${family}${i}`));
  return { k: make('k', 4), c: make('c', 3), fence: make('fence', 1).flat() };
}

// ---- what is asked ----

const plain = (value) => (Buffer.isBuffer(value) ? String(value)
  : value instanceof Map ? new Map([...value].map(([key, one]) => [key, plain(one)]))
    : Array.isArray(value) ? value.map(plain) : value);

/** A reply for a failure's text. */
const show = (value) => JSON.stringify(value instanceof RespError || value instanceof Failure ? { error: value.message }
  : value instanceof Map ? Object.fromEntries(value) : value)?.slice(0, 1500);

/** What ids are called. Redis is told to call its own the same. */
class Ids {
  constructor() {
    this.texts = new Map(); // Id.number -> text
    this.known = new Map(); // partition -> Ids with a text, oldest first
  }

  of(partition) {
    return this.known.get(partition) || [];
  }

  render(args) {
    return args.map((word) => (word instanceof Id ? this.texts.get(word.number)
      : word instanceof Beyond ? `(${this.texts.get(word.id.number)}` : word));
  }

  /** An id that comes for the first time gets its name now; it must lie between its neighbours. */
  match(id, text) {
    const has = this.texts.get(id.number);
    if (has) {
      assert.equal(text, has);
      return;
    }
    assert.match(text, /^\d+-\d+$/);
    if (!this.known.has(id.partition)) this.known.set(id.partition, []);
    const known = this.known.get(id.partition);
    const at = known.findLastIndex((one) => one.number < id.number) + 1;
    if (at > 0) assert.ok(isBefore(this.texts.get(known[at - 1].number), text), `${text} comes before its predecessor`);
    if (at < known.length) assert.ok(isBefore(text, this.texts.get(known[at].number)), `${text} comes after its successor`);
    known.splice(at, 0, id);
    this.texts.set(id.number, text);
  }
}

function isBefore(one, other) {
  const [a, b] = [one.split('-').map(BigInt), other.split('-').map(BigInt)];
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}

/** Servers that hold the same data. */
class Target {
  constructor(name, servers, ids) {
    Object.assign(this, { name, servers, ids });
  }

  /** Sessions: two of each server, RESP2 and RESP3. */
  async open(t) {
    this.sessions = [];
    for (const server of this.servers) {
      for (const proto of [2, 3]) {
        const session = await server.connect();
        t.after(() => session.destroy());
        if (proto === 3) await session.request('HELLO', '3');
        this.sessions.push(session);
      }
    }
  }

  send(session, args) {
    return session.request(...this.ids.render(args)).catch((error) => {
      if (error instanceof RespError) return error;
      throw error;
    });
  }

  match(expected, actual) {
    if (expected instanceof Id) {
      this.ids.match(expected, actual);
    } else if (expected instanceof Failure) {
      assert.ok(actual instanceof RespError, 'an error is expected');
      assert.equal(actual.message, expected.message);
    } else if (expected instanceof Near) {
      assert.ok(Math.abs(actual * expected.per - expected.ms) < NEAR_MS, `${actual} is not near ${expected.ms / expected.per}`);
    } else if (expected instanceof Info) {
      const fields = actual instanceof Map ? actual : new Map(pairs(actual));
      for (const [name, value] of Object.entries(expected.fields)) this.match(value, fields.get(name));
    } else if (expected instanceof Streams) {
      this.match(expected.list, actual instanceof Map ? [...actual] : actual);
    } else if (Array.isArray(expected)) {
      assert.ok(Array.isArray(actual), 'a list is expected');
      assert.equal(actual.length, expected.length, 'of another length');
      expected.forEach((one, i) => this.match(one, actual[i]));
    } else {
      assert.strictEqual(actual, expected);
    }
  }
}

const pairs = (flat) => flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]]] : []));

// ---- one after the other ----

class Model {
  constructor({ seed, servers, redis, partitions }) {
    this.chance = random(seed);
    this.partitions = partitions;
    this.names = namesFor(partitions, 'tag');
    this.reference = new Reference((name) => slotOf(name) % partitions);
    this.ids = new Ids();
    this.sidebus = new Target('sidebus', servers, this.ids);
    this.redis = new Target('redis', servers.map(() => redis), this.ids);
    this.steps = new Steps(this.chance, this.names, (partition) => this.ids.of(partition));
    this.current = new Set(servers); // nodes that have applied all that was written
    this.log = []; // what was done, for a failure's text
    this.done = 0;
  }

  async open(t) {
    await this.sidebus.open(t);
    await this.redis.open(t);
    await this.redis.sessions[0].request('FLUSHALL');
  }

  /** One of sidebus's sessions, on a node that has applied all that was answered anywhere. */
  async session() {
    const at = this.steps.below(this.sidebus.sessions.length);
    const node = this.nodeOf(at);
    if (!this.current.has(node)) {
      await Promise.all(this.names.fence.map((name) => this.sidebus.sessions[at].request('DEL', name)));
      this.current.add(node);
    }
    return at;
  }

  nodeOf(at) {
    return this.sidebus.servers[Math.floor(at / 2)];
  }

  wrote(at) {
    this.current = new Set([this.nodeOf(at)]);
  }

  expect(command) {
    return command.expected ?? this.reference.run(command.args);
  }

  /** Sends what belongs together in one go. expected: the replies; results: of each command where EXEC has them. */
  async exchange(at, family, list, expected, results = expected) {
    const targets = family === 'k' ? [this.sidebus, this.redis] : [this.sidebus];
    for (const target of targets) {
      const replies = await within(STEP_MS, `replies of ${target.name}, session ${at}, to ${list.slice(0, 30).join('; ')
      }\nbefore it:\n${this.log.slice(-10).join('\n')}`, Promise.all(list.map((args, i) =>
        target.send(target.sessions[at], target === this.redis ? withId(args, results[i]) : args))));
      for (const [i, reply] of replies.entries()) {
        const words = this.ids.render(list[i]).map((word) => String(word).slice(0, 60));
        this.log.push(`${target.name}.${at}: ${words.join(' ')} -> ${show(plain(reply))?.slice(0, 300)}`);
        try {
          target.match(expected[i], plain(reply));
        } catch (error) {
          throw new Error(`step ${this.done}, ${target.name}, session ${at}: ${words.join(' ')}\n  expected ${
            show(expected[i])}\n  got ${show(plain(reply))}\n  ${error.message}\nbefore it:\n${this.log.slice(-40).join('\n')}`);
        }
      }
    }
    this.wrote(at); // it may have
    this.done += list.length;
  }

  pickFamily() {
    this.family = this.steps.family();
    return [this.family, this.steps.below(this.partitions)];
  }

  async pipeline(length) {
    const at = await this.session();
    const [family] = this.pickFamily();
    const commands = Array.from({ length }, () => this.steps.command(family, this.steps.below(this.partitions)));
    // The reference numbers ids as it runs, so in this order.
    const expected = commands.map((command) => this.expect(command));
    await this.exchange(at, family, commands.map((command) => command.args), expected);
  }

  async transaction() {
    const at = await this.session();
    const [family, partition] = this.pickFamily();
    const commands = Array.from({ length: this.steps.below(7) }, () => (this.chance() < 0.1
      ? { args: this.steps.pick([['PING'], ['ECHO', 'text']]) } : this.steps.command(family, partition)));
    const fate = this.chance();
    const list = [['MULTI'], ...commands.map((command) => command.args)];
    const queued = ['OK', ...commands.map(() => 'QUEUED')];
    const hasFailed = fate < 0.08;
    if (hasFailed) {
      const [args, message] = this.steps.pick(SHORT);
      list.push(args);
      queued.push(new Failure(message));
    }
    list.push([fate > 0.92 ? 'DISCARD' : 'EXEC']);
    const isRun = fate <= 0.92 && !hasFailed;
    const replies = isRun ? commands.map((command) => this.expect(command)) : [];
    const last = isRun ? replies
      : hasFailed ? new Failure('EXECABORT Transaction discarded because of previous errors.') : 'OK';
    await this.exchange(at, family, list, [...queued, last], [undefined, ...replies]);
  }

  /** A session that waits gets what another one adds. */
  async blocked() {
    const reader = await this.session();
    const [family, partition] = this.pickFamily();
    const names = this.names[family][partition].filter(() => this.chance() < 0.7);
    if (names.length === 0 || names.some((name) => this.reference.isString(name))) return;
    const words = [...this.chance() < 0.5 ? ['COUNT', 1] : [], 'BLOCK', 0, 'STREAMS', ...names, ...names.map(() => '$')];
    const targets = family === 'k' ? [this.sidebus, this.redis] : [this.sidebus];
    const waiting = [];
    for (const target of targets) {
      const server = target.servers[Math.floor(reader / 2)];
      waiting.push(target.send(target.sessions[reader], ['XREAD', ...words]));
      waiting.at(-1).catch(() => {}); // looked at below, if nothing else fails before
      await until(STEP_MS, 'the session waits', async () => (await server.info()).blocked_clients === '1', 1);
    }
    let writer = await this.session();
    if (writer === reader) writer ^= 1; // the other one at that node
    const name = this.steps.pick(names);
    const args = family === 'c' && this.chance() < 0.5 ? ['PUBLISH', name, this.steps.text()] : ['XADD', name, '*', 'f', this.steps.text()];
    const added = this.expect({ args });
    await this.exchange(writer, family, [args], [added]);
    const { id, fields } = this.reference.entries(name).at(-1);
    for (const [i, target] of targets.entries()) {
      const reply = plain(await within(STEP_MS, `the XREAD of ${names} at ${target.name}, session ${reader}`, waiting[i]));
      this.log.push(`${target.name}.${reader}: XREAD ${words.join(' ')} -> ${show(reply)}`);
      target.match(new Streams([[name, [[id, fields]]]]), reply);
    }
  }

  /** A key that does not live long is gone from every node, with what it held. */
  async expires() {
    const [family, partition] = this.pickFamily();
    const name = this.steps.pick(this.names[family][partition]);
    const at = await this.session();
    const args = this.steps.pick([['SET', name, 'short', 'PX', SHORT_MS], ['PEXPIRE', name, SHORT_MS], ['PSETEX', name, SHORT_MS, 'short']]);
    await this.exchange(at, family, [args], [this.expect({ args })]);
    const until_ms = Date.now() + SHORT_MS + CLOCKS_MS;
    await until(STEP_MS, 'its time is over', () => Date.now() > until_ms, 5); // it is time that is waited for
    for (let i = 0; i < this.sidebus.servers.length; i++) {
      const list = [['TYPE', name], ['EXISTS', name], ['TTL', name], ['XINFO', 'STREAM', name]];
      await this.exchange(await this.session(), family, list, list.map((one) => this.expect({ args: one })));
    }
  }

  /** All nodes hold what the reference holds. */
  async compareAll() {
    for (let at = 0; at < this.sidebus.sessions.length; at++) {
      await Promise.all(this.names.fence.map((name) => this.sidebus.sessions[at].request('DEL', name)));
      for (const family of ['k', 'c']) {
        const list = this.names[family].flat().flatMap((name) => [['TYPE', name], ['GET', name], ['XRANGE', name, '-', '+'], ['PTTL', name]]);
        await this.exchange(at, family, list, list.map((args) => this.expect({ args })));
      }
    }
  }

  async step() {
    const what = this.chance();
    if (what < 0.008) return this.expires();
    if (what < 0.03) return this.blocked();
    if (what < 0.2) return this.transaction();
    return this.pipeline(what < 0.3 ? 2 + this.steps.below(20) : 1);
  }
}

/** XADD as Redis is sent it, when its id is known. */
function withId(args, result) {
  if (!(result instanceof Id)) return args;
  return args.map((word, i) => (word === '*' && i === args.indexOf('*') ? result : word));
}

async function runModel(t, { servers, partitions, seed }) {
  note(`seed ${seed} (TEST_SEED=${SEED})`);
  const redis = new Redis(temporaryDirectory(), { args: ['--stream-node-max-entries', '1'] }); // so that ~ is =
  await redis.start();
  t.after(() => redis.stop());
  const model = new Model({ seed, servers, redis, partitions });
  await model.open(t);
  const start = Date.now();
  try {
    for (let i = 0; i < STEPS; i++) await model.step();
    await model.compareAll();
  } catch (error) {
    for (const server of servers) note(`${server.name}, ${JSON.stringify(server.status) || 'alive'}: ${server.tail(40)}`);
    throw error;
  }
  note(`${STEPS} steps, ${model.done} commands, ${model.reference.number} entries, ${Date.now() - start} ms`);
}

test('one node with the embedded broker answers as the reference and redis-server do', (t) =>
  runModel(t, { servers: alone.nodes, partitions: alone.partitions, seed: SEED }), { deadline_ms: 120000 });

test(`three nodes over ${BROKER_NAME}: the same, whichever of them is asked`, (t) =>
  runModel(t, { servers: hub.nodes, partitions: hub.partitions, seed: SEED + 1 }), { deadline_ms: 120000 });

test(`three nodes over ${BROKER_NAME}: all write at once, and hold the same in the end`, (t) =>
  runCrowd(t, { nodes: hub.nodes, partitions: hub.partitions, seed: SEED, writes: 400 }), { deadline_ms: 120000 });

run({
  before: async () => {
    requireSidebus();
    alone = await Cluster.open({ count: 1, partitions: 1 });
    broker = await brokerForTarget();
    hub = await Cluster.open({ broker, count: 3, partitions: 2 });
    note(`broker: ${BROKER_NAME}`);
  },
  after: async () => {
    for (const cluster of [alone, hub]) if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
