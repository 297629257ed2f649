'use strict';
// Sessions on all nodes write to the same keys and streams at once. Every value is unique, so what the nodes hold in
// the end tells what happened: each INCR counted once, each SET NX had one winner, a GETSET returned what the one
// before it had set, transactions did not mix, entries of one session are in its order. All nodes hold the same.

const assert = require('node:assert/strict');
const { note } = require('./harness');
const { random, slotOf } = require('./load');
const { until, within } = require('./tap');

const DEADLINE_MS = 40000;
const WINDOW = 16; // unanswered requests of a session
const LOCKS = 30;

const plain = (value) => (Buffer.isBuffer(value) ? String(value)
  : value instanceof Map ? [...value].map(([key, one]) => [key, plain(one)])
    : Array.isArray(value) ? value.map(plain) : value);

/** What all write to, in one partition. */
function namesOf(tag) {
  const name = (what) => `{${tag}}${what}`;
  return {
    sum: name('sum'), swap: name('swap'), last: name('last'), brief: name('brief'), added: name('added'), channel: name('channel'),
    trimmed: name('trimmed'), cut: name('cut'), gone: name('gone'), twin: [name('twin:a'), name('twin:b')], twins: name('twins'),
    locks: Array.from({ length: LOCKS }, (_, i) => name(`lock:${i}`)), done: name('done'),
  };
}

class Writer {
  constructor(crowd, number, session) {
    Object.assign(this, { crowd, number, session });
    this.chance = random(crowd.seed + number);
    this.count = 0;
    this.waiting = new Set();
  }

  async send(...args) {
    while (this.waiting.size >= WINDOW) await Promise.race(this.waiting);
    const sent = this.session.request(...args).then(plain);
    const settled = sent.finally(() => this.waiting.delete(settled));
    this.waiting.add(settled);
    settled.catch(() => {}); // who sent it looks
    return { reply: sent };
  }

  /** Sends, and looks at the reply when it comes. */
  async then(look, ...args) {
    const { reply } = await this.send(...args);
    this.crowd.looks.push(reply.then(look));
  }

  /** One thing at random in one of the partitions. */
  async act() {
    const at = Math.floor(this.chance() * this.crowd.names.length);
    const names = this.crowd.names[at];
    const tally = this.crowd.tallies[at];
    const value = `${this.number}:${this.count++}`;
    const what = Math.floor(this.chance() * 12);
    const ok = (reply) => assert.equal(reply, 'OK');
    if (what === 0) {
      const by = Math.floor(this.chance() * 100) - 30;
      tally.sum += by;
      await this.then((reply) => assert.ok(Number.isInteger(reply)), 'INCRBY', names.sum, by);
    } else if (what === 1) {
      tally.set.push(value);
      await this.then((old) => tally.got.push(old), 'GETSET', names.swap, value);
    } else if (what === 2) {
      const lock = Math.floor(this.chance() * LOCKS);
      await this.then((reply) => reply === 'OK' && tally.winners[lock].push(value), 'SET', names.locks[lock], value, 'NX');
    } else if (what === 3) {
      await this.then(ok, 'SET', names.last, value);
    } else if (what === 4) {
      await this.then(ok, 'SET', names.brief, value, 'PX', 1 + Math.floor(this.chance() * 20));
    } else if (what === 5) {
      tally.published.push(value);
      await this.then((reply) => assert.equal(reply, 0), 'PUBLISH', names.channel, value);
    } else if (what === 6) {
      await this.then((id) => assert.match(id, /^\d+-\d+$/), 'XADD', names.trimmed, 'MAXLEN', '=', 20, '*', 'v', value);
    } else if (what === 7) {
      await this.then((id) => tally.cut.push(id), 'XADD', names.cut, '*', 'v', value);
      const mine = tally.cut.at(Math.floor(this.chance() * tally.cut.length));
      if (mine) await this.then((count) => (tally.deleted += count), 'XDEL', names.cut, mine);
    } else if (what === 8) {
      await this.then((id) => assert.match(id, /^\d+-\d+$/), 'XADD', names.gone, '*', 'v', value);
      if (this.chance() < 0.2) await this.then((count) => assert.ok(count === 0 || count === 1), 'DEL', names.gone);
    } else if (what === 9) {
      for (const args of [['MULTI'], ['INCR', names.twin[0]], ['XADD', names.twins, '*', 'v', value], ['INCR', names.twin[1]]]) await this.send(...args);
      tally.twins += 1;
      await this.then((reply) => assert.ok(reply.length === 3 && reply[0] === reply[2], `a transaction is one: ${reply}`), 'EXEC');
    } else {
      tally.added.push(value);
      await this.then((id) => tally.ids.set(value, id), 'XADD', names.added, '*', 'v', value);
    }
  }
}

/** Reads streams from their beginning as they grow, by XREAD, from cursor to cursor. */
class Reader {
  constructor(session, names) {
    Object.assign(this, { session, names });
    this.got = names.map(() => []);
  }

  async run(isOver) {
    const cursors = this.names.map(() => '0');
    for (;;) {
      const over = isOver();
      const found = await this.session.request('XREAD', 'COUNT', 7, 'BLOCK', 100, 'STREAMS', ...this.names, ...cursors);
      for (const [name, entries] of plain(found instanceof Map ? [...found] : found || [])) {
        const at = this.names.indexOf(name);
        this.got[at].push(...entries);
        cursors[at] = entries.at(-1)[0];
      }
      if (over && !found) return;
    }
  }
}

async function everything(session, names) {
  const strings = [names.sum, names.swap, names.last, names.brief, ...names.twin, ...names.locks];
  const streams = [names.added, names.channel, names.trimmed, names.cut, names.gone, names.twins, names.done];
  const ask = (command, list, ...more) => Promise.all(list.map((name) => session.request(command, name, ...more)));
  return {
    strings: plain(await ask('GET', strings)), streams: plain(await ask('XRANGE', streams, '-', '+')),
    lengths: await ask('XLEN', streams), types: await ask('TYPE', [...strings, ...streams]),
  };
}

/** nodes: servers of one hub; writes: of each session. */
async function runCrowd(t, { nodes, partitions, seed, writes }) {
  note(`seed ${seed}`);
  const tags = [];
  for (let i = 0; tags.filter(Boolean).length < partitions; i++) tags[slotOf(`crowd${i}`) % partitions] ??= `crowd${i}`;
  const crowd = { seed, names: tags.map(namesOf), looks: [] };
  crowd.tallies = tags.map(() => ({
    sum: 0, set: [], got: [], winners: Array.from({ length: LOCKS }, () => []), published: [], cut: [], deleted: 0, twins: 0,
    added: [], ids: new Map(),
  }));
  const open = async (node, proto) => {
    const session = await node.connect();
    t.after(() => session.destroy());
    if (proto === 3) await session.request('HELLO', '3');
    return session;
  };
  const writers = [];
  const readers = [];
  for (const node of nodes) {
    for (const proto of [2, 3, 2]) writers.push(new Writer(crowd, writers.length, await open(node, proto)));
    for (const proto of [2, 3]) readers.push(new Reader(await open(node, proto), crowd.names.flatMap((one) => [one.added, one.channel])));
  }
  let isOver = false;
  const reading = Promise.all(readers.map((reader) => reader.run(() => isOver)));
  reading.catch(() => {}); // awaited below
  const start = Date.now();
  await within(DEADLINE_MS, 'all have written', Promise.all(writers.map(async (writer) => {
    while (writer.count < writes) await writer.act();
    for (const names of crowd.names) await writer.then((id) => assert.match(id, /-/), 'XADD', names.done, '*', 'writer', writer.number);
  })));
  await within(DEADLINE_MS, 'all replies', Promise.all(crowd.looks));
  note(`${crowd.looks.length} writes in ${Date.now() - start} ms`);
  const askers = await Promise.all(nodes.map((node) => open(node, 3)));
  await until(DEADLINE_MS, 'every node has seen what all have written', async () => {
    for (const asker of askers) for (const names of crowd.names) assert.equal(await asker.request('XLEN', names.done), writers.length);
    return true;
  });
  isOver = true;
  await until(DEADLINE_MS, 'what lives for 20 ms is gone', async () => {
    for (const asker of askers) for (const names of crowd.names) assert.equal(await asker.request('EXISTS', names.brief), 0);
    return true;
  });
  await within(DEADLINE_MS, 'the readers have read all', reading);
  for (const [at, names] of crowd.names.entries()) {
    const [first, ...others] = await Promise.all(askers.map((asker) => everything(asker, names)));
    for (const [i, other] of others.entries()) assert.deepEqual(other, first, `partition ${at}: node ${i + 2} and node 1`);
    judge(first, crowd.tallies[at], writers.length);
    for (const reader of readers) {
      assert.deepEqual(reader.got[at * 2], first.streams[0], 'XREAD from cursor to cursor gives what XRANGE gives');
      assert.deepEqual(reader.got[at * 2 + 1], first.streams[1]);
    }
  }
}

/** What all nodes hold, against what was sent and answered. */
function judge({ strings, streams, lengths }, tally, writers) {
  const [sum, swap, , brief, twinA, twinB, ...locks] = strings;
  const [added, channel, trimmed, cut, , twins] = streams.map((entries) => entries.map(([id, fields]) => [id, fields[1]]));
  assert.equal(Number(sum), tally.sum, 'INCRBY');
  assert.deepEqual([...tally.got, swap].sort(), [...tally.set, null].sort(), 'GETSET: each value was replaced once');
  for (const [i, lock] of locks.entries()) assert.deepEqual([lock].filter(Boolean), tally.winners[i], 'SET NX has one winner');
  assert.equal(brief, null);
  assert.deepEqual([Number(twinA), Number(twinB), twins.length], [tally.twins, tally.twins, tally.twins], 'MULTI');
  assert.deepEqual(added.map(([, value]) => value).sort(), [...tally.added].sort(), 'XADD: each once');
  for (const [id, value] of added) assert.equal(id, tally.ids.get(value), 'the id that XADD returned');
  assert.deepEqual(channel.map(([, value]) => value).sort(), [...tally.published].sort(), 'PUBLISH: each once');
  assert.ok(trimmed.length <= 20, `${trimmed.length} are left`);
  assert.equal(cut.length, tally.cut.length - tally.deleted, 'XDEL');
  assert.deepEqual(lengths, streams.map((entries) => entries.length), 'XLEN');
  for (const list of [added, channel, trimmed, twins, cut]) {
    for (let writer = 0; writer < writers; writer++) {
      const own = list.map(([, value]) => value.split(':').map(Number)).filter(([number]) => number === writer).map(([, count]) => count);
      assert.deepEqual(own, [...own].sort((a, b) => a - b), 'entries of one session are in its order');
    }
  }
}

module.exports = { runCrowd };
