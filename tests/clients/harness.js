'use strict';
// Servers for the suites: a private RabbitMQ, sidebus nodes on it, or (TARGET=redis) one redis-server that
// plays all nodes, which proves that a test asks for nothing that Redis does not give. Everything listens on
// private sockets or loopback ports, is ended by process id, and ends with the test process whatever happens.
//
//   SIDEBUS_BIN       the binary under test (default: build/release/bridge/sidebus)
//   TARGET            "sidebus" (default) or "redis"
//   TEST_KEEP         keep the temporary directory

const { execFileSync, spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const amqplib = require('amqplib');
const { Connection } = require('./resp');
const { Skip, note, until, within } = require('./tap');

const ROOT = path.resolve(__dirname, '../..');
const TARGET = process.env.TARGET || 'sidebus';
const SIDEBUS_BIN = path.resolve(process.env.SIDEBUS_BIN || path.join(ROOT, 'build/release/bridge/sidebus'));
const READY_MS = 30000;
const EXIT_MS = 15000;

const living = new Set(); // what must not survive this process: {killSync()}
process.on('exit', () => {
  for (const thing of living) thing.killSync();
});
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
    if (status.code !== 0 || /Sanitizer/.test(this.stderr)) {
      throw new Error(`${this.name} ended with ${JSON.stringify(status)}; its log:\n${this.tail(60)}`);
    }
  }

  killSync() {
    this.child.kill('SIGKILL');
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

const quote = (text) => `"${String(text).replace(/["\\]/g, '\\$&')}"`;

function writeSecret(dir, name, secret) {
  const file = path.join(dir, name);
  fs.writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  return file;
}

/**
 * A sidebus process. settings, rabbitmq: libconfig text that is added to the file and to its group rabbitmq;
 * password: asked for on the Unix socket.
 */
class Sidebus extends Server {
  constructor(name, dir, { broker, topics, settings = '', rabbitmq = '', brokerPort, password, bin = SIDEBUS_BIN }) {
    super(name, dir);
    this.bin = bin;
    this.password = password;
    this.file = path.join(dir, `${name}.conf`);
    const passwordFile = password ? ` password_file = ${quote(writeSecret(dir, `${name}.password`, password))};` : '';
    const lines = [
      `node = ${quote(name)};`,
      `socket = { path = ${quote(this.path)};${passwordFile} };`,
      `broker = ${quote(broker)};`,
      `topics = { prefix = ${quote(topics.prefix)}; partitions = ${topics.partitions}; };`,
    ];
    if (broker === 'rabbitmq') {
      lines.push(`rabbitmq = { hosts = ["amqp://127.0.0.1:${brokerPort}"]; user = "guest";`,
        `  password_file = ${quote(writeSecret(dir, 'broker.password', 'guest'))}; ${rabbitmq} };`);
    }
    fs.writeFileSync(this.file, `${lines.join('\n')}\n${settings}\n`);
  }

  async start() {
    this.spawn(this.bin, ['run', '-c', this.file]);
    await this.ready();
  }
}

/** A private RabbitMQ, run by the same script that the quickstart uses. */
class Broker {
  static async start() {
    const script = path.join(ROOT, 'deploy/private-rabbitmq');
    if (!fs.existsSync(script)) throw new Skip('no deploy/private-rabbitmq');
    const broker = new Broker(script, temporaryDirectory());
    living.add(broker);
    broker.take(await broker.run(240000, 'start'));
    return broker;
  }

  constructor(script, dir) {
    this.script = script;
    this.dir = dir;
  }

  take(output) {
    for (const [, key, value] of output.matchAll(/^([A-Z_]+)=(.*)$/gm)) {
      if (key === 'AMQP_PORT') this.port = Number(value);
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

/**
 * Nodes that belong together. nodes[i] may be the same server twice (TARGET=redis): tests compare what
 * sessions saw, never which process they talked to.
 */
class Cluster {
  /**
   * settings: libconfig text for every node, or a function (index) => text; rabbitmq: what is added to that
   * group; brokerPort: where the nodes find
   * the broker, when a proxy stands before it; redis: what Redis's constructor takes, for the same limits.
   */
  static async open({ count = 2, broker, brokerPort, partitions = 4, settings = '', rabbitmq, redis,
    bin } = {}) {
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
          broker: broker ? 'rabbitmq' : 'memory',
          brokerPort: brokerPort || (broker && broker.port),
          topics: { prefix: cluster.prefix, partitions },
          rabbitmq,
          settings: typeof settings === 'function' ? settings(i) : settings,
          bin,
        }));
      }
      cluster.servers = [...cluster.nodes];
    }
    try {
      await Promise.all(cluster.servers.map((server) => server.start()));
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

/** The broker of a suite, or nothing where Redis plays the nodes. */
async function brokerForTarget() {
  requireTarget();
  return TARGET === 'redis' ? undefined : Broker.start();
}

/** The build directory that the binary under test comes from. */
function buildDirectory() {
  let dir = path.dirname(SIDEBUS_BIN);
  while (dir !== '/' && !fs.existsSync(path.join(dir, 'CMakeCache.txt'))) dir = path.dirname(dir);
  return dir === '/' ? undefined : dir;
}

module.exports = {
  Broker, Cluster, ROOT, Redis, SIDEBUS_BIN, Server, Sidebus, TARGET, amqplib, brokerForTarget, buildDirectory,
  freePort, note, parseInfo, requireSidebus, requireTarget, temporaryDirectory, writeSecret,
};
