'use strict';
// Servers for the suites: a private RabbitMQ (or a Service Bus test double), sidebus nodes on it, or (TARGET=redis)
// one redis-server that plays all nodes, which proves that a test asks for nothing that Redis does not give.
// Everything listens on private sockets or loopback ports, is ended by process id, and ends with the test process
// whatever happens.
//
//   SIDEBUS_BIN       the binary under test (default: build/release/bridge/sidebus)
//   TARGET            "sidebus" (default) or "redis"
//   BROKER            what the nodes meet at: "rabbitmq" (default) or "servicebus"
//   TEST_KEEP         keep the temporary directory
//   SIDEBUS_TEST_SHARED_RABBITMQ   folder of a RabbitMQ that other suites use too, instead of a private one

const assert = require('node:assert/strict');
const { execFileSync, spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const amqplib = require('amqplib');
const conf = require('./conf');
const { Connection } = require('./resp');
const { ServiceBus } = require('./servicebus');
const { Skip, note, until, within, witness } = require('./tap');

const ROOT = path.resolve(__dirname, '../..');
const TARGET = process.env.TARGET || 'sidebus';
const BROKER = process.env.BROKER || 'rabbitmq';
const BROKER_NAME = { rabbitmq: 'RabbitMQ', servicebus: 'Service Bus' }[BROKER]; // in names of tests
const SIDEBUS_BIN = path.resolve(process.env.SIDEBUS_BIN || path.join(ROOT, 'build/release/bridge/sidebus'));
const READY_MS = 30000;
const EXIT_MS = 15000;
const DIFFERS = /have accepted different messages/; // in the log of a node, which may say so where mayDiffer is set

const living = new Set(); // what must not survive this process: {killSync()}
process.on('exit', () => {
  for (const thing of living) thing.killSync();
});
witness(() => [...living].filter((thing) => thing.tail)
  .map((server) => `the log of ${server.name} ends: ${server.tail()}`).join('\n'));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));

function temporaryDirectory() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'sb-'));
  process.on('exit', () => {
    if (!process.env.TEST_KEEP) fs.rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

/** A loopback port that the kernel says is free. */
async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function requireTarget() {
  if (TARGET === 'redis') {
    if (spawnSync('redis-server', ['--version']).status !== 0) throw new Skip('no redis-server here');
  } else if (!fs.existsSync(SIDEBUS_BIN)) {
    throw new Skip(`no sidebus binary at ${SIDEBUS_BIN} (set SIDEBUS_BIN)`);
  }
}

function requireSidebus() {
  if (TARGET !== 'sidebus') throw new Skip('needs sidebus');
  requireTarget();
}

/** The text of INFO as an object. */
function parseInfo(text) {
  const fields = {};
  for (const line of String(text).split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0 && line[0] !== '#') fields[line.slice(0, colon)] = line.slice(colon + 1);
  }
  return fields;
}

/** One server process on a Unix socket, with its stderr collected. */
class Server {
  constructor(name, dir) {
    this.name = name;
    this.dir = dir;
    this.path = path.join(dir, `${name}.sock`);
    this.stderr = '';
    this.child = undefined;
  }

  get address() {
    return { path: this.path };
  }

  get pid() {
    return this.child.pid;
  }

  spawn(command, args, env = {}) {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'], cwd: this.dir, env: { ...process.env, ...env },
    });
    const collect = (chunk) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-1024 * 1024);
    };
    child.stderr.on('data', collect);
    child.stdout.on('data', collect);
    this.child = child;
    living.add(this);
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => resolve({ code: `cannot start: ${error.message}` }));
      // "close": all of stderr was read, so a test may look into it
      child.once('close', (code, signal) => resolve({ code, signal }));
    }).then((status) => {
      living.delete(this);
      this.status = status;
      return status;
    });
    this.status = undefined;
  }

  async ready() {
    await until(READY_MS, () => `${this.name} ready; its log: ${this.tail()}`,
      async () => this.status || (await this.info()).loading === '0', 20);
    if (this.status) throw new Error(`${this.name} ended: ${JSON.stringify(this.status)}; its log: ${this.tail()}`);
  }

  /** The last lines of the log, for a failure's text. */
  tail(lines = 15) {
    return this.stderr.split('\n').slice(-lines).join(' | ');
  }

  async info() {
    const connection = await Connection.connect(this.address);
    try {
      if (this.password) await within(5000, 'AUTH', connection.request('AUTH', this.password));
      return parseInfo(await within(5000, 'INFO', connection.request('INFO')));
    } finally {
      await connection.destroy();
    }
  }

  connect(options) {
    return Connection.connect(this.address, options);
  }

  signal(signal) {
    this.child.kill(signal);
  }

  async kill9() {
    this.signal('SIGKILL');
    await within(EXIT_MS, `${this.name} gone after SIGKILL`, this.exited);
  }

  /** SIGTERM; anything but exit code 0 in time is an error. */
  async stop() {
    if (!this.child || this.status) return;
    this.signal('SIGTERM');
    let status;
    try {
      status = await within(EXIT_MS, `${this.name} exits after SIGTERM; its log: ${this.tail()}`, this.exited);
    } catch (error) {
      await this.kill9();
      throw error;
    }
    const differs = !this.mayDiffer && DIFFERS.test(this.stderr);
    if (status.code !== 0 || /Sanitizer/.test(this.stderr) || differs) {
      throw new Error(`${this.name} ended with ${JSON.stringify(status)}; its log:\n${this.tail(60)}`);
    }
  }

  killSync() {
    this.child.kill('SIGKILL');
  }

  /** It has found no node that accepted other messages, and nobody who speaks in its name. */
  async assertAgrees() {
    const info = await this.info();
    assert.deepEqual([info.divergences, info.divergence_rejoins, info.batches_impersonated], ['0', '0', '0'], this.name);
  }

  /** Open file descriptors of the process. */
  descriptors() {
    return fs.readdirSync(`/proc/${this.pid}/fd`).length;
  }

  residentBytes() {
    const line = fs.readFileSync(`/proc/${this.pid}/status`, 'latin1').match(/VmRSS:\s+(\d+) kB/);
    return Number(line[1]) * 1024;
  }
}

class Redis extends Server {
  /** port: also listen on loopback; password: asked for everywhere, as Redis does. */
  constructor(dir, { args = [], port = 0, password } = {}) {
    super('redis', dir);
    this.args = password ? [...args, '--requirepass', password] : args;
    this.port = port;
    this.password = password;
  }

  async start() {
    this.spawn('redis-server', [
      '--port', String(this.port), '--bind', '127.0.0.1', '--unixsocket', this.path, '--save', '',
      '--appendonly', 'no', '--dir', this.dir, ...this.args,
    ]);
    await this.ready();
  }
}

/**
 * A sidebus process. broker: what it meets the others at, nothing for none; brokerPort: where it finds that, when a
 * proxy stands before it; settings: libconfig text that is added; rabbitmq, servicebus: {key: value} for the group of
 * that broker; password: asked for on the Unix socket.
 */
class Sidebus extends Server {
  constructor(name, dir, { broker, brokerPort, topics, settings = '', rabbitmq, servicebus, lease_ms, found_ms,
    password, bin = SIDEBUS_BIN }) {
    super(name, dir);
    this.bin = bin;
    this.password = password;
    this.file = path.join(dir, `${name}.conf`);
    if (broker && broker.topics && topics) broker.topics.set(topics.prefix, topics.partitions);
    const kind = broker ? broker.kind : 'memory';
    const groups = broker ? broker.settings(dir, { port: brokerPort || broker.port, ...{ rabbitmq, servicebus }[kind] }) : {};
    const cluster = { ...groups.cluster, ...(lease_ms && { lease_ms }), ...(found_ms && { found_ms }) };
    fs.writeFileSync(this.file, `${conf.settings({
      node: name,
      socket: { path: this.path, password_file: password && conf.writeSecret(dir, `${name}.password`, password) },
      broker: kind,
      topics,
      ...groups,
      cluster: Object.keys(cluster).length > 0 ? cluster : undefined,
    }, '\n')}\n${settings}\n`);
  }

  async start(env) {
    this.spawn(this.bin, ['run', '-c', this.file], env);
    await this.ready();
  }
}

/** A private RabbitMQ, run by the same script that the quickstart uses. */
class Broker {
  /** args: further options of the script, such as --mtls; only for a broker of one's own. */
  static async start(...args) {
    const script = path.join(ROOT, 'deploy/private-rabbitmq');
    if (!fs.existsSync(script)) throw new Skip('no deploy/private-rabbitmq');
    if (process.env.SIDEBUS_TEST_SHARED_RABBITMQ) return SharedBroker.find(script);
    const broker = new Broker(script, temporaryDirectory());
    living.add(broker);
    broker.take(await broker.run(240000, 'start', ...args));
    return broker;
  }

  constructor(script, dir) {
    this.kind = 'rabbitmq';
    this.script = script;
    this.dir = dir;
  }

  /** What a node beside it is told. */
  settings(dir, { port, ...more }) {
    const password_file = conf.writeSecret(dir, 'broker.password', 'guest');
    return { rabbitmq: { hosts: [`amqp://127.0.0.1:${port}`], user: 'guest', password_file, ...more } };
  }

  take(output) {
    for (const [, key, value] of output.matchAll(/^([A-Z_]+)=(.*)$/gm)) {
      if (key === 'AMQP_PORT') this.port = Number(value);
      if (key === 'AMQPS_PORT') this.tlsPort = Number(value);
      if (key === 'PID') this.pid = Number(value);
    }
    if (!this.port) throw new Error(`private-rabbitmq named no AMQP_PORT: ${output}`);
  }

  /** Output goes through a file: the broker inherits a pipe and would keep it open. */
  async run(deadline_ms, verb, ...args) {
    const file = path.join(this.dir, `.${verb}.out`);
    const out = fs.openSync(file, 'w');
    const child = spawn(this.script, [verb, this.dir, ...args], { stdio: ['ignore', out, out] });
    fs.closeSync(out);
    const exit = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    const { code } = await within(deadline_ms, `private-rabbitmq ${verb}`, exit);
    const output = fs.readFileSync(file, 'utf8');
    if (code !== 0) throw new Error(`private-rabbitmq ${verb}: exit code ${code}: ${output}`);
    return output;
  }

  /**
   * Waits until the broker would survive a kill. RabbitMQ 3.10 loses all streams for good ("home node is down")
   * when it is killed before Ra has written the name of the stream coordinator to disk, which it does half a
   * second after the very first stream was declared.
   */
  durable() {
    const file = execFileSync('find', [this.dir, '-path', '*/coordination/*', '-name', 'names.dets']).toString().trim();
    return until(30000, 'the stream coordinator is registered on disk',
      () => fs.readFileSync(file, 'latin1').includes('rabbit_stream_coordinator'), 50);
  }

  get url() {
    return `amqp://guest:guest@127.0.0.1:${this.port}`;
  }

  kill() {
    return this.run(30000, 'kill');
  }

  async restart() {
    this.take(await this.run(120000, 'restart'));
  }

  /** Off its cluster; killed and started again it is back. */
  cut() {
    return this.run(60000, 'cut');
  }

  ctl(...args) {
    return this.run(60000, 'ctl', ...args);
  }

  async stop() {
    await this.run(60000, 'stop');
    living.delete(this);
  }

  killSync() {
    spawnSync(this.script, ['stop', this.dir], { stdio: 'ignore', timeout: 30000 });
  }
}

/** Private RabbitMQs that are one cluster; nodes beside it know the hosts of all of them. */
class BrokerCluster {
  static async start(count = 3) {
    const script = path.join(ROOT, 'deploy/private-rabbitmq');
    const cluster = new BrokerCluster();
    for (let i = 0; i < count; i++) {
      const broker = new Broker(script, temporaryDirectory());
      living.add(broker);
      const join = i > 0 ? ['--join', cluster.brokers[0].dir] : [];
      broker.take(await broker.run(240000, 'start', ...join));
      cluster.brokers.push(broker);
    }
    return cluster;
  }

  constructor() {
    this.kind = 'rabbitmq';
    this.brokers = [];
  }

  get port() {
    return this.brokers[0].port;
  }

  settings(dir, { port, ...more }) {
    const password_file = conf.writeSecret(dir, 'broker.password', 'guest');
    const hosts = this.brokers.map((broker) => `amqp://127.0.0.1:${broker.port}`);
    return { rabbitmq: { hosts, user: 'guest', password_file, ...more } };
  }

  /** The one that a host of a node's INFO names. */
  find(host) {
    return this.brokers.find((broker) => host.endsWith(`:${broker.port}`));
  }

  /** The last that stopped must be the first to start, so all are stopped at once and for good. */
  async stop() {
    for (const broker of this.brokers) broker.killSync();
    for (const broker of this.brokers) living.delete(broker);
  }
}

/** A RabbitMQ that is not ours alone: what is done to it as a whole is an error, and our streams are removed at the end. */
class SharedBroker extends Broker {
  static find(script) {
    const dir = process.env.SIDEBUS_TEST_SHARED_RABBITMQ;
    const broker = new SharedBroker(script, dir);
    broker.take(execFileSync(script, ['env', dir]).toString());
    broker.topics = new Map(); // prefix -> partitions: what its nodes made
    return broker;
  }

  async run(deadline_ms, verb) {
    throw new Error(`private-rabbitmq ${verb}: this broker is shared with other suites (see the suite's header)`);
  }

  async stop() {
    const connection = await amqplib.connect(this.url);
    const channel = await connection.createChannel();
    for (const [prefix, partitions] of this.topics) {
      for (let i = 0; i < partitions; i++) await channel.deleteQueue(`${prefix}.${i}`);
      await channel.deleteExchange(prefix);
      await channel.deleteExchange(`${prefix}.foreign`); // one that is not there is no error
    }
    await connection.close();
  }
}

/**
 * Nodes that belong together. nodes[i] may be the same server twice (TARGET=redis): tests compare what
 * sessions saw, never which process they talked to.
 */
class Cluster {
  /**
   * settings: libconfig text for every node, or a function (index) => text; redis: what Redis's constructor takes,
   * for the same limits; isFirstAlone: the others start when the first one is ready; options: of Sidebus, the same for
   * every node.
   */
  static async open({ count = 2, partitions = 4, settings = '', redis, isFirstAlone = false, ...options } = {}) {
    requireTarget();
    const cluster = new Cluster();
    cluster.partitions = partitions;
    cluster.prefix = `t${process.pid}x${Math.random().toString(36).slice(2, 8)}`;
    if (TARGET === 'redis') {
      const server = new Redis(cluster.dir, redis);
      cluster.nodes = new Array(count).fill(server);
      cluster.servers = [server];
    } else {
      for (let i = 0; i < count; i++) {
        cluster.nodes.push(new Sidebus(`node-${i + 1}`, cluster.dir, {
          ...options,
          topics: { prefix: cluster.prefix, partitions },
          settings: typeof settings === 'function' ? settings(i) : settings,
        }));
      }
      cluster.servers = [...cluster.nodes];
    }
    try {
      const [first, ...others] = cluster.servers;
      if (isFirstAlone) await first.start(); // on Service Bus it need not wait for an answer then
      await Promise.all((isFirstAlone ? others : cluster.servers).map((server) => server.start()));
    } catch (error) {
      for (const server of cluster.servers) if (server.child && !server.status) await server.kill9();
      throw error;
    }
    return cluster;
  }

  constructor() {
    this.dir = temporaryDirectory();
    this.nodes = [];
    this.servers = [];
  }

  /** Stops all nodes; rejects with the first that did not exit with code 0. */
  async close() {
    const results = await Promise.allSettled(this.servers.map((server) => server.stop()));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }
}

/** What stands between the nodes, as BROKER says. options: of the double. */
async function startBroker(options) {
  if (BROKER === 'rabbitmq') return Broker.start();
  if (BROKER !== 'servicebus') throw new Error(`BROKER=${BROKER}: no such broker`);
  return ServiceBus.start(temporaryDirectory(), options);
}

/** The broker of a suite, or nothing where Redis plays the nodes. */
async function brokerForTarget(options) {
  requireTarget();
  return TARGET === 'redis' ? undefined : startBroker(options);
}

/** The build directory that the binary under test comes from. */
function buildDirectory() {
  let dir = path.dirname(SIDEBUS_BIN);
  while (dir !== '/' && !fs.existsSync(path.join(dir, 'CMakeCache.txt'))) dir = path.dirname(dir);
  return dir === '/' ? undefined : dir;
}

module.exports = {
  BROKER, BROKER_NAME, Broker, BrokerCluster, Cluster, ROOT, Redis, SIDEBUS_BIN, Server, ServiceBus, Sidebus, TARGET, amqplib,
  brokerForTarget, buildDirectory, freePort, note, parseInfo, requireSidebus, requireTarget, startBroker,
  temporaryDirectory, writeSecret: conf.writeSecret,
};
