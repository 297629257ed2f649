'use strict';
// What a hub costs and what a tier of Azure Service Bus carries, computed, not measured: prints the tables of
// docs/service-bus.md as markdown. The suite that checks deploy/azure compares that page with what this prints for the
// defaults of the product.
//   node tests/bench/credits.js [--batch-bytes N] [--rate N] [--lease-s N] [--payload N] [--channel N]
//
// credits of one AMQP message to a topic with N subscriptions, one for each node:
//     c(N) = 1 + N + N        sending, filters, receives
// heartbeats, three in each lease from each node, in partition 0:
//     h(N) = N * 3 / lease_s * c(N)    credits a second
// a hub message of B bytes on a channel with a name of C bytes, as an entry (docs/wire.md):
//     e = bytes of *3 $7 PUBLISH $C <name> $B <payload> with their line ends
// a full batch holds floor(batch_bytes / e) of them.
// a node that joins, in each partition: a HELLO and the parts of a SNAPSHOT of N members with K channels each,
//     j(N, K) = (1 + ceil((80 + 105 N + 12 N K) / 48 KiB)) * c(N)

// Documented by Microsoft: the throttling page (credits), the page on performance (bytes).
const CREDITS_PER_S = 1000; // of a Standard namespace
const UNIT_BYTES_PER_S = 4e6; // "approximately 4 MB/second per Messaging Unit of ingress and egress"

const NODES = [2, 4, 10, 20, 50];
const NODES_OF_INTEREST = [2, 10, 50];
const CHANNELS = [100, 1000, 20000]; // of each node
const PART_BYTES = 48 * 1024; // SB_SNAPSHOT_PART_BYTES
const RATES = [25, 10, 4, 1];
const UNITS = [1, 4, 16];

const settings = { 'batch-bytes': 192 * 1024, rate: 25, 'lease-s': 180, payload: 256, channel: 10 };

for (let i = 2; i < process.argv.length; i += 2) {
  const name = process.argv[i].replace(/^--/, '');
  if (!(name in settings) || !/^[1-9][0-9]*$/.test(process.argv[i + 1] || '')) {
    console.error(`usage: node tests/bench/credits.js ${Object.keys(settings).map((key) => `[--${key} N]`).join(' ')}`);
    process.exit(2);
  }
  settings[name] = Number(process.argv[i + 1]);
}

const cost = (nodes) => 1 + 2 * nodes;
const heartbeats = (nodes) => ((nodes * 3) / settings['lease-s']) * cost(nodes);

const argument = (length) => `$${length}\r\n`.length + length + 2;
const entryBytes = 4 + argument('PUBLISH'.length) + argument(settings.channel) + argument(settings.payload);
const batchFull = Math.floor(settings['batch-bytes'] / entryBytes);

/** Three significant digits at least, whole numbers from 100 on. */
function figure(value) {
  if (value >= 99.5) return Math.floor(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(value >= 10 ? 3 : 2)));
}

function table(name, head, rows) {
  console.log(`<!-- credits: ${name} -->\n`);
  console.log(`| ${head.join(' | ')} |`);
  console.log(`|${head.map(() => '---').join('|')}|`);
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
  console.log('');
}

const across = NODES.map((nodes) => `${nodes} nodes`);

table(
  'messages',
  ['', ...across],
  [
    ['credits of one AMQP message', ...NODES.map((n) => figure(cost(n)))],
    ['heartbeats, credits/s', ...NODES.map((n) => figure(heartbeats(n)))],
    ['AMQP messages/s beside them, all nodes', ...NODES.map((n) => figure((CREDITS_PER_S - heartbeats(n)) / cost(n)))],
    ['the same, of each node', ...NODES.map((n) => figure((CREDITS_PER_S - heartbeats(n)) / cost(n) / n))],
  ]
);

table(
  'hub messages',
  ['hub messages in a batch', ...NODES_OF_INTEREST.map((nodes) => `${nodes} nodes`)],
  [1, 10, 100, batchFull].map((count) => [
    count === batchFull ? `${count} (full)` : count,
    ...NODES_OF_INTEREST.map((nodes) => figure(cost(nodes) / count)),
  ])
);

table(
  'rate',
  ['`batch.rate_per_s`', ...across, 'one batch every', 'hub messages/s of a node, full batches'],
  RATES.map((rate) => [
    rate === settings.rate ? `${rate} (default)` : rate,
    ...NODES.map((nodes) => {
      const credits = nodes * rate * cost(nodes) + heartbeats(nodes);
      return credits > CREDITS_PER_S ? `**${figure(credits)}**` : figure(credits);
    }),
    `${figure(1000 / rate)} ms`,
    figure(rate * batchFull),
  ])
);

table(
  'joins',
  ['channels of each node', ...NODES_OF_INTEREST.map((nodes) => `${nodes} nodes`)],
  CHANNELS.map((channels) => [
    channels.toLocaleString('en-US'),
    ...NODES_OF_INTEREST.map((nodes) => {
      const parts = Math.ceil((80 + 105 * nodes + 12 * nodes * channels) / PART_BYTES);
      return figure((1 + parts) * cost(nodes));
    }),
  ])
);

table(
  'standard',
  ['Standard', ...NODES_OF_INTEREST.map((nodes) => `${nodes} nodes`)],
  [10, 100, batchFull].map((count) => [
    `hub messages/s, ${count} in a batch${count === batchFull ? ' (full)' : ''}`,
    ...NODES_OF_INTEREST.map((nodes) => {
      const batches = (CREDITS_PER_S - heartbeats(nodes)) / cost(nodes);
      const out = (batches * count * entryBytes * nodes) / 1e6;
      return `${figure(batches * count)} (${figure(out)} MB/s out)`;
    }),
  ])
);

table(
  'premium',
  ['Premium', ...NODES_OF_INTEREST.map((nodes) => `${nodes} nodes`)],
  UNITS.map((units) => [
    `hub messages/s, ${units} messaging unit${units > 1 ? 's' : ''}`,
    ...NODES_OF_INTEREST.map((nodes) => figure((units * UNIT_BYTES_PER_S) / (entryBytes * (1 + nodes)))),
  ])
);

console.log(`<!-- credits: entry of ${entryBytes} bytes, ${batchFull} in a batch of ${settings['batch-bytes']} -->`);
