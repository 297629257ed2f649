'use strict';
// The measurements of tests/bench/streams, which says what they are and takes the options.

const os = require('node:os');
const { requireSidebus, temporaryDirectory } = require('../clients/harness');
const { additions, fill, historyOf, namesOf, openNode, publishes } = require('../clients/history_load');
const { peakBytes } = require('../clients/process');

const ENTRIES = Number(process.env.ENTRIES);
const READS = Number(process.env.READS);
const PARTITIONS = Number(process.env.PARTITIONS);
const ONLY = process.env.ONLY;
const MIB = 1024 * 1024;
const HISTORY_BYTES = 64 * MIB;
const TARGET_MIB = 80; // the history and 16 MiB
const TARGET_MS = 1;
const COUNT = 100;
const PAYLOAD = 'x'.repeat(64);

const progress = (text) => process.stderr.write(`${text}\n`);
const print = (text = '') => process.stdout.write(`${text}\n`);
const mib = (bytes) => (bytes / MIB).toFixed(1);

// A name in each, the blocks of requests, and a channel or stream to read.
const SHAPES = [
  ['PUBLISH to 1,000 channels', () => publishes(namesOf(1000, 'room'), PAYLOAD), 'room:0'],
  ['PUBLISH to 100,000 channels', () => publishes(namesOf(100000, 'user'), PAYLOAD)],
  ['XADD to 1,000 streams', () => additions(namesOf(1000, 'stream'), ['uid', '1', 'data', PAYLOAD]), 'stream:0'],
  ['XADD to one stream', () => additions(['one'], ['data', PAYLOAD]), 'one'],
];

async function withNode(action) {
  const node = await openNode(temporaryDirectory(), HISTORY_BYTES, { topics: { partitions: PARTITIONS } });
  try {
    await action(node);
  } finally {
    await node.stop();
  }
}

/** Memory above that of the node when it was ready and nobody had connected. */
async function measureMemory(name, load) {
  progress(`memory: ${name}`);
  await withNode(async (node) => {
    const before = node.residentBytes();
    const start = performance.now();
    await load(node);
    const seconds = (performance.now() - start) / 1000;
    const peak = peakBytes(node.pid) - before;
    const session = await node.connect();
    const history = await historyOf(session);
    await session.destroy();
    print(`| ${name} | ${mib(peak)} | ≤ ${TARGET_MIB} | ${peak <= TARGET_MIB * MIB ? 'yes' : '**no**'} | ` +
      `${mib(node.residentBytes() - before)} | ${mib(history.bytes)} | ${history.entries} | ${seconds.toFixed(0)} |`);
  });
}

async function memory() {
  const blocks = SHAPES.map(([, make]) => make());
  const share = Math.ceil(ENTRIES / SHAPES.length);
  print(`| ${ENTRIES.toLocaleString('en')} entries | MiB at most, above an idle node | target | met | in the end | ` +
    'of them accounted | entries held | s |');
  print('|---|---|---|---|---|---|---|---|');
  for (const [i, [name]] of SHAPES.entries()) await measureMemory(name, (node) => fill(node, blocks[i], ENTRIES));
  await measureMemory('all of them at once', (node) => Promise.all(blocks.map((one) => fill(node, one, share, 2))));
  await measureMemory('all of them one after the other', async (node) => {
    for (const one of blocks) await fill(node, one, share);
  });
  print();
}

const idsOf = (reply) => reply.map(([id]) => String(id));

/** Times of a range from places that are anywhere between the first and the last entry of the stream. */
async function timeRanges(session, name, isReverse) {
  const [[first], [last]] = [await session.request('XRANGE', name, '-', '+', 'COUNT', 1),
    await session.request('XREVRANGE', name, '+', '-', 'COUNT', 1)].map(idsOf);
  const [ms, from] = first.split('-').map(Number);
  const to = Number(last.split('-')[1]);
  const took = [];
  for (let i = 0; i < READS; i++) {
    const cursor = `${ms}-${from + Math.floor(Math.random() * (to - from))}`;
    const start = performance.now();
    const reply = await (isReverse ? session.request('XREVRANGE', name, cursor, '-', 'COUNT', COUNT)
      : session.request('XRANGE', name, cursor, '+', 'COUNT', COUNT));
    took.push(performance.now() - start);
    if (reply.length === 0) throw new Error(`nothing in ${name} at ${cursor}`);
  }
  return took.sort((a, b) => a - b);
}

async function measureRanges(name, blocks, stream) {
  progress(`ranges: ${name}`);
  await withNode(async (node) => {
    await fill(node, blocks, Math.min(ENTRIES, 1500000)); // more than it holds
    const session = await node.connect();
    const cells = [];
    for (const isReverse of [false, true]) {
      const took = await timeRanges(session, stream, isReverse);
      const at = (share) => took[Math.floor(took.length * share)];
      cells.push(at(0.5).toFixed(3), `< ${TARGET_MS}`, at(0.5) < TARGET_MS ? 'yes' : '**no**', at(0.99).toFixed(3));
    }
    await session.destroy();
    print(`| ${name} | ${cells.join(' | ')} |`);
  });
}

async function ranges() {
  print(`| COUNT ${COUNT} from anywhere, ms | XRANGE p50 | target | met | p99 | XREVRANGE p50 | target | met | p99 |`);
  print('|---|---|---|---|---|---|---|---|---|');
  for (const [name, make, stream] of SHAPES) if (stream) await measureRanges(name, make(), stream);
  print();
}

async function main() {
  requireSidebus();
  print(`${new Date().toISOString().slice(0, 10)}, ${os.cpus().length} processors (${os.cpus()[0].model}), load ` +
    `${os.loadavg()[0].toFixed(1)}. History ${mib(HISTORY_BYTES)} MiB, P = ${PARTITIONS}. Times as a client in Node sees them.`);
  print();
  if ('memory'.includes(ONLY)) await memory();
  if ('ranges'.includes(ONLY)) await ranges();
}

main().then(() => process.exit(0), (error) => {
  progress(`streams: ${error.stack}`);
  process.exit(1);
});
