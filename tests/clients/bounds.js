'use strict';
// What streams may cost a node, whatever the machine: memory of a history that is full, processor time of readers that
// wait. One node, no broker.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { requireSidebus, temporaryDirectory } = require('./harness');
const { fill, historyOf, namesOf, openNode, publishes } = require('./history_load');
const { cpu_ms, peakBytes } = require('./process');
const { note, run, share, test, until, within } = require('./tap');

const MIB = 1024 * 1024;
const HISTORY_BYTES = 64 * MIB;
const BESIDES_BYTES = 16 * MIB;
const ENTRIES = share(10e6);
const CHANNELS = 1000;
const PAYLOAD = 'x'.repeat(64);
const CURSORS = 200;
const COUNT = 100;
const SESSIONS = 10000;
const STREAMS = 100;
const IDLE_MS = 3000;
const IDLE_CPU_MS = 30; // 1 %
const PATIENCE_MS = 60000;

let node;

const text = (value) => (Buffer.isBuffer(value) ? String(value) : Array.isArray(value) ? value.map(text) : value);
const ask = async (session, ...args) => text(await within(PATIENCE_MS, args.join(' '), session.request(...args)));

async function connect(t) {
  const session = await node.connect();
  t.after(() => session.destroy());
  return session;
}

async function start(t) {
  node = await openNode(temporaryDirectory(), HISTORY_BYTES);
  t.after(() => node.stop());
}

/** Ranges from random entries are what the whole stream holds there. */
async function assertRanges(session, name) {
  const all = await ask(session, 'XRANGE', name, '-', '+');
  assert.ok(all.length > 2 * COUNT, `${all.length} entries in ${name}`);
  for (let i = 0; i < CURSORS; i++) {
    const at = Math.floor(Math.random() * all.length);
    const id = all[at][0];
    assert.deepEqual(await ask(session, 'XRANGE', name, id, '+', 'COUNT', COUNT), all.slice(at, at + COUNT));
    assert.deepEqual(await ask(session, 'XREVRANGE', name, `(${id}`, '-', 'COUNT', COUNT),
      all.slice(Math.max(0, at - COUNT), at).reverse());
  }
}

// The node's memory when it was ready and nobody had connected is not counted; all that it needs from then on is: the
// buffers of the sessions that publish, what is on its way, what malloc does not give back.
test(`${ENTRIES / 1e6} million entries pass through a history of 64 MiB: the node never has more than that and 16 MiB`, async (t) => {
  await start(t);
  const before = node.residentBytes();
  const channels = namesOf(CHANNELS, 'room');
  const sent = await fill(node, publishes(channels, PAYLOAD), ENTRIES);
  const more = peakBytes(node.pid) - before;
  const session = await connect(t);
  const history = await historyOf(session);
  note(`${(more / MIB).toFixed(1)} MiB at most, ${(before / MIB).toFixed(1)} MiB before; the history has ` +
    `${history.entries} entries in ${(history.bytes / MIB).toFixed(1)} MiB`);
  assert.ok(sent >= ENTRIES);
  assert.equal(history.delivered, sent);
  assert.ok(history.bytes > 0.98 * HISTORY_BYTES && history.bytes <= HISTORY_BYTES, 'it is full');
  assert.ok(more <= HISTORY_BYTES + BESIDES_BYTES, `${more} bytes`);
  await assertRanges(session, channels[0]);
}, { deadline_ms: 180000 });

/** As many as there may be files, at both ends. */
function sessionsHere() {
  const limit = execFileSync('/bin/sh', ['-c', 'ulimit -Hn']).toString().trim();
  return limit === 'unlimited' ? SESSIONS : Math.min(SESSIONS, Number(limit) - 200);
}

test('10,000 sessions that wait in XREAD BLOCK 0 cost nothing while idle, and an entry wakes those it is for', async (t) => {
  await start(t);
  const count = sessionsHere();
  if (count < SESSIONS) t.note(`only ${count} sessions: no more files may be open here`);
  const writer = await connect(t);
  const names = namesOf(STREAMS, 'stream');
  const woken = names.map(() => []); // what sessions were given, by stream
  for (let i = 0; i < count; i++) {
    const session = await connect(t);
    session.request('XREAD', 'BLOCK', 0, 'STREAMS', `own:${i}`, names[i % STREAMS], '$', '$').then(
      (reply) => woken[i % STREAMS].push(text(reply)), () => {}); // those that still wait in the end are closed
  }
  const blocked = async () => Number((await node.info()).blocked_clients);
  await until(PATIENCE_MS, 'all wait', async () => (await blocked()) === count);
  const used = cpu_ms(node.pid);
  const end = Date.now() + IDLE_MS;
  await until(2 * IDLE_MS, 'time passes', () => Date.now() >= end, 50);
  const idle_ms = cpu_ms(node.pid) - used;
  note(`${idle_ms} ms of CPU in ${IDLE_MS} ms, ${(node.residentBytes() / MIB).toFixed(1)} MiB with ${count} sessions`);
  assert.ok(idle_ms <= IDLE_CPU_MS, `${idle_ms} ms of CPU`);

  const one = 7;
  const of = (stream) => Array.from({ length: count }, (_, i) => i % STREAMS).filter((i) => i === stream).length;
  const id = await ask(writer, 'XADD', names[one], '*', 'f', 'v');
  await until(PATIENCE_MS, 'they wake', () => woken[one].length === of(one), 1);
  assert.equal(await blocked(), count - of(one));
  assert.equal(woken.flat().length, of(one), 'nobody else');
  for (const reply of woken[one]) assert.deepEqual(reply, [[names[one], [[id, ['f', 'v']]]]]);
  for (const [stream, name] of names.entries()) if (stream !== one) await ask(writer, 'PUBLISH', name, 'x');
  await until(PATIENCE_MS, 'all have woken', () => woken.flat().length === count, 1);
  assert.equal(await blocked(), 0);
  for (const [stream, replies] of woken.entries()) {
    assert.equal(replies.length, of(stream));
    for (const reply of replies) assert.equal(reply[0][0], names[stream]);
  }
}, { deadline_ms: 120000 });

run({ before: requireSidebus });
