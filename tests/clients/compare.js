'use strict';
// Sends the same bytes to a real redis-server and to one sidebus on the embedded broker, and compares what
// comes back byte for byte, apart from what must differ (masked per script).

const assert = require('node:assert/strict');
const net = require('node:net');
const { Redis, Sidebus, TARGET, requireTarget, temporaryDirectory } = require('./harness');
const { HELLO, cmd, scripts, words } = require('./compare_scripts');
const { scripts: scriptsOfKeys } = require('./compare_scripts_keys');
const { encode } = require('./resp');
const { run, test, until, within } = require('./tap');

const STEP_MS = 5000;

// Pairs of {redis, sidebus}: with one partition, so that all channels have one order as in Redis; with a password;
// and spread over several partitions.
const servers = {};

/** A socket that keeps all it received. */
class Wire {
  static async connect(address) {
    const wire = new Wire();
    wire.socket = net.connect(address);
    wire.chunks = [];
    wire.closed = new Promise((resolve) => wire.socket.once('close', resolve));
    wire.socket.on('data', (chunk) => wire.chunks.push(chunk));
    wire.socket.on('error', () => {}); // a reset after an error reply is a way to close
    await within(STEP_MS, 'connect', new Promise((resolve, reject) => {
      wire.socket.once('connect', resolve);
      wire.socket.once('error', reject);
    }));
    return wire;
  }

  get text() {
    return Buffer.concat(this.chunks).latin1Slice();
  }

  /** Sends, then waits for the reply to a PING behind it: all that comes before has come. */
  async step(bytes, token) {
    this.socket.write(Buffer.concat([bytes, encode(['PING', token])]));
    await until(STEP_MS, () => `the reply to a PING; so far ${JSON.stringify(this.text.slice(-300))}`,
      () => this.text.includes(token), 1);
  }

  /** Sends what makes the session block, and waits until it does. */
  async block(bytes, address) {
    this.socket.write(bytes);
    let count = 0;
    await within(STEP_MS, 'a session that blocks', (async () => {
      while (count === 0) count = await blocked(address);
    })());
  }
}

/** How many sessions of a server block. */
async function blocked(address) {
  const wire = await Wire.connect(address);
  await wire.step(cmd('INFO', 'clients'), 'counted');
  wire.socket.destroy();
  return Number(/blocked_clients:(\d+)/.exec(wire.text)[1]);
}

/** Runs one script and returns {connection: transcript}. */
async function converse(address, script, prelude) {
  const wires = {};
  for (const [index, [name, bytes, { blocks } = {}]] of script.steps.entries()) {
    if (!wires[name]) {
      wires[name] = await Wire.connect(address);
      if (prelude) await wires[name].step(prelude, `prelude-${name}`);
    }
    if (blocks) await wires[name].block(bytes, address);
    else if (script.steps.length > 1) await wires[name].step(bytes, `step-${index}`);
    else wires[name].socket.write(bytes);
  }
  // Each in turn says QUIT: what the transcript holds is then complete, whatever the state was.
  const texts = {};
  for (const name of Object.keys(wires).sort()) {
    if (!script.closes) wires[name].socket.end(cmd('QUIT'));
    await within(STEP_MS, `the end of connection ${name}; so far ${JSON.stringify(wires[name].text.slice(-300))}`,
      wires[name].closed);
    texts[name] = wires[name].text;
  }
  return texts;
}

function masked(texts, masks) {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) =>
    [name, masks.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text)]));
}

async function compare(script, prelude) {
  const pair = script.password ? servers.locked : script.spread ? servers.spread : servers.open;
  const masks = [...(script.mask || []), ...(prelude ? HELLO : [])];
  const expected = masked(await converse(pair.redis.address, script, prelude), masks);
  const actual = masked(await converse(pair.sidebus.address, script, prelude), masks);
  for (const name of Object.keys(expected)) {
    const lines = (text) => (script.sort ? text.split('\r\n').sort() : text.split('\r\n'));
    assert.deepEqual(lines(actual[name]), lines(expected[name]), `connection ${name}`);
  }
}

for (const script of [...scripts, ...scriptsOfKeys]) {
  test(script.name, () => compare(script));
  if (script.both !== false) test(`${script.name} (RESP3)`, () => compare(script, words('HELLO 3')));
}

// Where Redis has a command that sidebus has not, the words are those of Redis for a name that it does not know.
const MISSING = [
  'APPEND a b', 'STRLEN a', 'MGET a', 'MSET a b', 'GETEX a', 'GETRANGE a 0 1', 'INCRBYFLOAT a 1', 'RENAME a b', 'COPY a b',
  'HSET h f v', 'LPUSH l a', 'ZADD z 1 a', 'SADD s a', 'CONFIGX', 'DEBUG SLEEP 0', 'SHUTDOWN', 'FLUSHALL', 'KEYS *',
  'SAVE', 'BLPOP a 1', 'WAIT 0 0', 'SCAN 0', 'OBJECT HELP', 'ACL WHOAMI', 'REPLICAOF NO ONE', 'lpush l a',
  'FCALL f 0', 'GEOADD a', 'EVAL_RO x 0',
];
const MISSING_SUBCOMMANDS = [
  'CLIENT TRACKING ON', 'CLIENT PAUSE 1', 'client reply off', 'CONFIG RESETSTAT',
  'SCRIPT KILL', 'SCRIPT DEBUG NO',
];

for (const [lines, at, what] of [[MISSING, 0, 'command'], [MISSING_SUBCOMMANDS, 1, 'subcommand']]) {
  for (const line of lines) {
    test(`${line}: an unknown ${what}, in Redis's words`, async (t) => {
      if (TARGET === 'redis') t.skip('Redis has it');
      const name = line.split(' ')[at];
      const fake = 'Q'.repeat(name.length);
      const steps = (args) => ({ steps: [['a', cmd(...args)]] });
      const asked = line.split(' ').map((word, i) => (i === at ? fake : word));
      const expected = await converse(servers.open.redis.address, steps(asked));
      assert.match(expected.a, new RegExp(`^-ERR unknown ${what} '${fake}'`));
      const actual = await converse(servers.open.sidebus.address, steps(line.split(' ')));
      assert.equal(actual.a, expected.a.replace(fake, name));
    });
  }
}

test('without a configured password AUTH is accepted, and HELLO AUTH', async (t) => {
  if (TARGET === 'redis') t.skip('the design differs from Redis here');
  const script = (line) => ({ steps: [['a', words(line, 'PING')]] });
  const address = servers.open.sidebus.address;
  assert.equal((await converse(address, script('AUTH any'))).a, '+OK\r\n+PONG\r\n+OK\r\n');
  assert.equal((await converse(address, script('AUTH user any'))).a, '+OK\r\n+PONG\r\n+OK\r\n');
  assert.match((await converse(address, script('HELLO 3 AUTH user any'))).a, /^%7\r\n[^]*\+PONG\r\n\+OK\r\n$/);
});

test('another database than 0 is refused with Redis\'s words for one that is out of range', async (t) => {
  if (TARGET === 'redis') t.skip('the design differs from Redis here');
  const { a } = await converse(servers.open.sidebus.address, { steps: [['a', words('SELECT 1', 'PING')]] });
  assert.equal(a, '-ERR DB index is out of range\r\n+PONG\r\n+OK\r\n');
});

test('CLIENT LIST has Redis\'s fields in Redis\'s order, and those of 7.2', async () => {
  const fields = async (server) => {
    const { a } = await converse(server.address, { steps: [['a', words('CLIENT SETNAME me', 'CLIENT LIST')]] });
    const line = a.split(/[\r\n]+/).find((one) => one.includes(' name=me '));
    return line.trim().split(' ').map((field) => field.split('=')[0]);
  };
  const later = TARGET === 'redis' ? [] : ['lib-name', 'lib-ver'];
  assert.deepEqual(await fields(servers.open.sidebus), [...await fields(servers.open.redis), ...later]);
});

test('CLIENT SETINFO is answered as by Redis 7.2', async (t) => {
  if (TARGET === 'redis') t.skip('Redis 7.0 does not have it');
  const bytes = words('CLIENT SETINFO LIB-NAME x', 'CLIENT SETINFO lib-ver 1.2', 'CLIENT SETINFO NOSUCH x',
    'CLIENT SETINFO x');
  const { a } = await converse(servers.open.sidebus.address, { steps: [['a', bytes]] });
  assert.equal(a, '+OK\r\n+OK\r\n-ERR Unrecognized option \'NOSUCH\'\r\n' +
    '-ERR wrong number of arguments for \'client|setinfo\' command\r\n+OK\r\n');
});

test('INFO has what clients read', async () => {
  const info = await servers.open.sidebus.info();
  assert.match(info.redis_version, /^\d+\.\d+\.\d+$/);
  assert.equal(info.redis_mode, 'standalone');
  assert.equal(info.role, 'master');
  assert.equal(info.loading, '0');
  assert.ok(Number(info.process_id) === servers.open.sidebus.pid);
  assert.ok(Number(info.connected_clients) >= 1);
});

async function startPair({ partitions = 1, password } = {}) {
  const dir = temporaryDirectory();
  const redis = new Redis(dir, { password });
  await redis.start();
  if (TARGET === 'redis') return { redis, sidebus: redis };
  const sidebus = new Sidebus('compared', dir, {
    topics: { prefix: 'compare', partitions }, password,
  });
  await sidebus.start();
  return { redis, sidebus };
}

run({
  before: async () => {
    requireTarget();
    servers.open = await startPair();
    servers.locked = await startPair({ password: 'se cret word' });
    servers.spread = await startPair({ partitions: 8 });
  },
  after: async () => {
    for (const pair of Object.values(servers)) {
      await pair.sidebus.stop();
      await pair.redis.stop();
    }
  },
  afterName: 'the servers exit with code 0 on SIGTERM',
});
