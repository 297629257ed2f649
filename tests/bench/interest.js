'use strict';
// The measurements of tests/bench/interest, which says what they are and takes the options.

const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const { Broker, Cluster, Sidebus, requireSidebus } = require('../clients/harness');
const { encode } = require('../clients/resp');
const { until, within } = require('../clients/tap');

const SMOKE = process.env.SMOKE === 'yes';
const RUNS = Number(process.env.RUNS);
const PARTITIONS = process.env.PARTITIONS.split(' ').map(Number);
const ONLY = process.env.ONLY || '';
const CHANNELS = SMOKE ? 1000 : 100000;
const MEMBERS = SMOKE ? 2 : 10;
const MEMBER_CHANNELS = SMOKE ? 500 : 20000;
const PATIENCE_MS = 120000;
const NAME_BYTES = 50;
const MIB = 1024 * 1024;
const SETTINGS = 'limits = { output = { hard_bytes = 1073741824L; soft_bytes = 0; }; };';

const progress = (text) => process.stderr.write(`${text}\n`);
const wanted = (name) => name.includes(ONLY);
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const nameOf = (prefix, i) => `${prefix}:${i}:`.padEnd(NAME_BYTES, 'x');

/** CPU time of all threads of a process, in ms. */
function cpu(pid) {
  const ns = fs.readdirSync(`/proc/${pid}/task`).map((task) =>
    Number(fs.readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0]));
  return ns.reduce((sum, one) => sum + one, 0) / 1e6;
}

// ---- a client that costs next to nothing: it only counts bytes ----

class Client {
  static async connect(node) {
    const client = new Client();
    client.socket = net.connect(node.address);
    client.socket.on('data', (chunk) => client.onData(chunk));
    await within(10000, 'connect', new Promise((resolve, reject) => {
      client.socket.once('connect', resolve);
      client.socket.once('error', reject);
    }));
    return client;
  }

  constructor() {
    this.received = 0;
    this.goal = Infinity;
    this.last = Buffer.alloc(0);
  }

  onData(chunk) {
    this.received += chunk.length;
    this.last = chunk;
    if (this.received >= this.goal) this.resolve();
  }

  /** Sends the requests and resolves when so many bytes of reply have come; the end of them is checked. */
  async exchange(requests, bytes, end) {
    this.received = 0;
    this.goal = bytes;
    const all = new Promise((resolve) => (this.resolve = resolve));
    this.socket.write(requests);
    await within(PATIENCE_MS, () => 'replies', all);
    if (this.received !== bytes || !this.last.latin1Slice().endsWith(end)) {
      throw new Error(`not the replies that were expected: ${this.received} bytes for ${bytes}, end ${this.last.latin1Slice(-60)}`);
    }
  }
}

/** What the confirmations of these names take, counting up or down. */
function confirmationBytes(word, count) {
  let bytes = 0;
  const fixed = `*3\r\n$${word.length}\r\n${word}\r\n$${NAME_BYTES}\r\n`.length + NAME_BYTES + '\r\n:\r\n'.length;
  for (let i = 0; i < count; i++) bytes += fixed + String(word === 'subscribe' ? i + 1 : i).length;
  return bytes;
}

const requestsFor = (verb, prefix, count) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => encode([verb, nameOf(prefix, i)])));

const subscribeAll = (client, prefix, count) => client.exchange(requestsFor('SUBSCRIBE', prefix, count),
  confirmationBytes('subscribe', count), `:${count}\r\n`);

// ---- what a node knows, without a word in the log ----

class Watcher {
  static async open(node) {
    const watcher = new Watcher();
    watcher.connection = await node.connect();
    return watcher;
  }

  /** Channels that members subscribe to, over all partitions, as this node knows. */
  async channels() {
    const text = String(await this.connection.request('SIDEBUS', 'STATUS'));
    return [...text.matchAll(/^partition_\d+:.*?channels=(\d+)/gm)].reduce((sum, match) => sum + Number(match[1]), 0);
  }

  reaches(count) {
    return until(PATIENCE_MS, `${count} channels`, async () => (await this.channels()) === count, 1);
  }
}

// ---- the measurements ----

const rows = [];
/** target: [number, unit]; values: one for each run. */
function row(what, values, [target, unit], notes = '') {
  const digits = unit === 's' ? 2 : 0;
  const text = (value) => `${value.toFixed(digits)} ${unit}`;
  const middle = median(values);
  const range = values.length > 1 ? `${text(Math.min(...values))} to ${text(Math.max(...values))}` : '';
  rows.push([what, text(middle), range, target === undefined ? '' : `${unit === 's' ? '<' : '≤'} ${target} ${unit}`,
    target === undefined || SMOKE ? '' : middle <= target ? 'yes' : '**no**', notes]);
}

async function warm(node) {
  const client = await Client.connect(node);
  await subscribeAll(client, `warm-${node.name}`, 500);
  client.socket.destroy();
}

/** RSS of nodes that do nothing else; the first subscribes, the second only hears of it. */
async function measureMemory(broker, partitions) {
  const sizes = SMOKE ? [CHANNELS] : [CHANNELS, 120000]; // behind 7/8 of a power of two in every partition
  for (const size of sizes) {
    const own = [];
    const remote = [];
    for (let run = 0; run < Math.min(RUNS, 3); run++) {
      progress(`memory: ${size} channels, P = ${partitions}, run ${run + 1}`);
      const cluster = await Cluster.open({ broker, partitions, settings: SETTINGS });
      const [A, B] = cluster.nodes;
      const watcher = await Watcher.open(B);
      await warm(A);
      await watcher.reaches(0);
      const before = [A.residentBytes(), B.residentBytes()];
      const client = await Client.connect(A);
      await subscribeAll(client, 'm', size);
      await watcher.reaches(size);
      own.push((A.residentBytes() - before[0]) / size);
      remote.push((B.residentBytes() - before[1]) / size);
      client.socket.destroy();
      await watcher.reaches(0);
      await watcher.connection.destroy();
      await cluster.close();
    }
    const label = `P = ${partitions}, ${size.toLocaleString('en')} channels`;
    row(`${label}: RSS of another node, each`, remote, [40, 'B']);
    row(`${label}: RSS of the own node, each, ${NAME_BYTES}-byte name`, own, [250, 'B']);
  }
}

/** One session: subscribes to all, takes all back at once, subscribes again, takes back one by one, again, closes. */
async function measureSubscribe(broker, partitions) {
  const cluster = await Cluster.open({ broker, partitions, settings: SETTINGS });
  const [A, B] = cluster.nodes;
  const watcher = await Watcher.open(B);
  await warm(A);
  await watcher.reaches(0);
  const taken = { subscribe: [], all: [], each: [], gone: [] };
  const used = { client: [], A: [], B: [], broker: [] };
  const timed = async (list, action) => {
    const start = performance.now();
    await action();
    list.push((performance.now() - start) / 1000);
  };
  const subscribes = requestsFor('SUBSCRIBE', 's', CHANNELS);
  const unsubscribes = requestsFor('UNSUBSCRIBE', 's', CHANNELS);
  const down = confirmationBytes('unsubscribe', CHANNELS);
  for (let run = 0; run < RUNS; run++) {
    progress(`subscribe: P = ${partitions}, run ${run + 1} of ${RUNS}`);
    const client = await Client.connect(A);
    const subscribe = () => client.exchange(subscribes, confirmationBytes('subscribe', CHANNELS), `:${CHANNELS}\r\n`);
    const pids = { client: process.pid, A: A.pid, B: B.pid, broker: broker.pid };
    const before = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpu(pid)]));
    await timed(taken.subscribe, subscribe);
    for (const [name, pid] of Object.entries(pids)) used[name].push(cpu(pid) - before[name]);
    await watcher.reaches(CHANNELS);
    await timed(taken.all, () => client.exchange(encode(['UNSUBSCRIBE']), down, ':0\r\n'));
    await subscribe();
    await timed(taken.each, () => client.exchange(unsubscribes, down, ':0\r\n'));
    await subscribe();
    await watcher.reaches(CHANNELS);
    await timed(taken.gone, async () => {
      client.socket.destroy();
      await watcher.reaches(0);
    });
  }
  await watcher.connection.destroy();
  await cluster.close();
  const label = `P = ${partitions}, ${CHANNELS.toLocaleString('en')} channels of one session`;
  const shares = Object.entries(used).map(([name, list]) => `${name} ${Math.round(median(list))}`).join(', ');
  row(`${label}: SUBSCRIBEs, pipelined, confirmed`, taken.subscribe, [3, 's'], `CPU ms: ${shares}`);
  row(`${label}: one UNSUBSCRIBE of all`, taken.all, [undefined, 's']);
  row(`${label}: UNSUBSCRIBEs, pipelined, confirmed`, taken.each, [undefined, 's']);
  row(`${label}: closed, until another node counts none`, taken.gone, [undefined, 's']);
}

/** From the start of the process until INFO says that nothing is loading any more. */
async function timeStart(node) {
  const start = performance.now();
  node.spawn(node.bin, ['run', '-c', node.file]);
  await until(PATIENCE_MS, () => `ready; its log: ${node.tail()}`,
    async () => (await node.info()).loading === '0', 2);
  return (performance.now() - start) / 1000;
}

/** Ten members with their channels; another one joins, leaves and joins again. */
async function measureJoin(broker, partitions) {
  const cluster = await Cluster.open({ broker, count: MEMBERS, partitions, settings: SETTINGS });
  const joiner = new Sidebus('joiner', cluster.dir, {
    broker, topics: { prefix: cluster.prefix, partitions }, settings: SETTINGS,
  });
  cluster.servers.push(joiner);
  const empty = [];
  const full = [];
  const resident = [];
  const once = async (list) => {
    list.push(await timeStart(joiner));
    const watcher = await Watcher.open(joiner);
    const channels = await watcher.channels();
    resident.push(joiner.residentBytes() / MIB);
    await watcher.connection.destroy();
    await joiner.stop();
    return channels;
  };
  for (let run = 0; run < RUNS; run++) await once(empty);
  for (const node of cluster.nodes) {
    progress(`join: ${node.name} subscribes, P = ${partitions}`);
    const client = await Client.connect(node);
    await subscribeAll(client, `j-${node.name}`, MEMBER_CHANNELS);
  }
  resident.length = 0;
  for (let run = 0; run < RUNS; run++) {
    progress(`join: P = ${partitions}, run ${run + 1} of ${RUNS}`);
    const channels = await once(full);
    if (channels !== MEMBERS * MEMBER_CHANNELS) throw new Error(`the joiner knows ${channels} channels`);
  }
  await cluster.close();
  row(`P = ${partitions}, ${MEMBERS} members without interest: a node joins`, empty, [undefined, 's']);
  row(`P = ${partitions}, ${MEMBERS} members × ${MEMBER_CHANNELS.toLocaleString('en')} channels: a node joins`, full, [2, 's'],
    `${median(resident).toFixed(1)} MiB resident then`);
}

function report() {
  const print = (text = '') => process.stdout.write(`${text}\n`);
  print('# What subscriptions cost over RabbitMQ');
  print();
  print(`${new Date().toISOString().slice(0, 10)}, ${os.cpus().length} processors (${os.cpus()[0].model}), load ` +
    `${os.loadavg()[0].toFixed(1)}. Medians of ${RUNS} run${RUNS > 1 ? 's (3 at most for memory), with lowest and highest' : ''}.`);
  if (SMOKE) print('A few channels only: these figures mean nothing.');
  print();
  print('| what | median | lowest to highest | target | met | |');
  print('|---|---|---|---|---|---|');
  for (const cells of rows) print(`| ${cells.join(' | ')} |`);
}

async function main() {
  requireSidebus();
  const broker = await Broker.start();
  for (const partitions of PARTITIONS) {
    if (wanted('memory')) await measureMemory(broker, partitions);
    if (wanted('subscribe')) await measureSubscribe(broker, partitions);
    if (wanted('join')) await measureJoin(broker, partitions);
  }
  await broker.stop();
  report();
}

main().then(() => process.exit(0), (error) => {
  progress(`interest: ${error.stack}`);
  process.exit(1);
});
