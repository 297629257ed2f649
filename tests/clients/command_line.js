#!/usr/bin/env node
'use strict';
// The program as an operator and a new user meet it, without a broker.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { ROOT, SIDEBUS_BIN, Sidebus, freePort, requireSidebus, temporaryDirectory } = require('./harness');
const { run, test, until, within } = require('./tap');

const EXIT_MS = 20000;

/** A shell command; resolves with {code, signal, out} when it has ended. */
function shell(t, command, env = {}) {
  const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { out += chunk; });
  t.after(() => child.kill('SIGKILL'));
  return within(EXIT_MS, command, new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, out }));
  }));
}

function node(t, name, options = {}) {
  const sidebus = new Sidebus(name, temporaryDirectory(), options);
  t.after(() => sidebus.stop());
  return sidebus;
}

test('the first line of the log says version, node, configuration, broker, partitions and socket', async (t) => {
  const sidebus = node(t, 'web-01', { topics: { partitions: 2, prefix: 'chat' } });
  await sidebus.start();
  const [first] = sidebus.stderr.split('\n');
  const { stdout } = spawnSync(SIDEBUS_BIN, ['version']);
  const version = String(stdout).match(/^sidebus (\S+)/)[1];
  assert.equal(first.replace(/^\S+ /, ''), `notice bridge: sidebus ${version} starts: node web-01, `
    + `configuration ${sidebus.file}, broker memory, 2 partitions of "chat", socket ${sidebus.path}`);
});

test('status --json has partitions, members and refusals as objects, and types by the field', async (t) => {
  const sidebus = node(t, '12345');
  await sidebus.start();
  const client = net.connect(sidebus.path);
  t.after(() => client.destroy());
  client.write('CLIENT SETINFO LIB-NAME 777\r\nHSET a b c\r\nPING\r\n');
  let replies = '';
  for await (const chunk of client) if ((replies += chunk).endsWith('+PONG\r\n')) break;
  const { code, out } = await shell(t, `exec "${SIDEBUS_BIN}" status --json -s "${sidebus.path}"`);
  assert.equal(code, 0);
  const status = JSON.parse(out);
  assert.equal(status.ready, true);
  assert.equal(status.node, '12345');
  assert.equal(status.partition_0.ready, 1);
  assert.equal(status.member_0_0.node, '12345');
  assert.equal(status.member_0_0.self, 1);
  assert.deepEqual(status.refused_0, { what: 'hset', client: '777', count: 1 });
  assert.equal(typeof status.used_cpu_sys, 'number');
  assert.ok(Number.isSafeInteger(status.server_time_usec));
  // What is no number says something that nobody could take for one, or is known as a text.
  const texts = Object.entries({ ...status, ...status.partition_0, ...status.member_0_0, ...status.refused_0 })
    .filter(([, value]) => typeof value === 'string').map(([key]) => key).sort();
  assert.deepEqual(texts, ['aof_last_write_status', 'broker', 'client', 'config_file', 'history_begin', 'incarnation', 'link',
    'master_failover_state', 'master_replid', 'maxmemory_human', 'maxmemory_policy', 'mem_allocator', 'multiplexing_api',
    'node', 'os', 'outage', 'rdb_last_bgsave_status', 'redis_mode', 'redis_version', 'role', 'run_id', 'sidebus_version',
    'used_memory_human', 'used_memory_peak_human', 'used_memory_rss_human', 'what', 'Server.sidebus_version'].sort());
});

test('SIGTERM ends a bridge whose log nobody reads', async (t) => {
  const sidebus = node(t, 'unread', { settings: 'log = { level = "debug"; };' });
  const fifo = path.join(sidebus.dir, 'log');
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
  // Opened for both, so that neither side waits; a small pipe that is full from the start.
  const pipe = fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  try {
    for (;;) fs.writeSync(pipe, Buffer.alloc(4096));
  } catch (error) {
    assert.equal(error.code, 'EAGAIN');
  }
  const child = spawn(SIDEBUS_BIN, ['run', '-c', sidebus.file],
    { stdio: ['ignore', 'ignore', fs.openSync(fifo, fs.constants.O_RDWR)] });
  t.after(() => child.kill('SIGKILL'));
  const ended = new Promise((resolve) => { child.once('exit', (code, signal) => resolve({ code, signal })); });
  await until(EXIT_MS, 'the bridge answers', async () => (await sidebus.info()).loading === '0');
  child.kill('SIGTERM');
  assert.deepEqual(await within(EXIT_MS, 'it ends', ended), { code: 0, signal: null });
  fs.closeSync(pipe);
});

// The broker's port is nobody's: a bridge serves its sessions all the same, and never gets rid of what they publish.
test('SIGTERM in an outage says what is given up, and ends with 0', async (t) => {
  const port = await freePort();
  const broker = { kind: 'rabbitmq', port, settings: () => ({ rabbitmq: { hosts: [`amqp://127.0.0.1:${port}`] } }) };
  const sidebus = node(t, 'outage', { broker, settings: 'limits = { drain_ms = 100; };' });
  sidebus.spawn(SIDEBUS_BIN, ['run', '-c', sidebus.file]);
  await until(EXIT_MS, 'it listens', () => fs.existsSync(sidebus.path));
  const client = net.connect(sidebus.path);
  t.after(() => client.destroy());
  client.write('PUBLISH a 1\r\nPUBLISH a 2\r\nSET k v\r\nSUBSCRIBE b\r\n');
  await until(EXIT_MS, 'all were taken', async () => (await sidebus.info()).pubsub_channels === '1');
  await sidebus.stop(); // an error when it does not end with 0
  assert.match(sidebus.stderr, / warn bridge: gave up 3 requests of sessions, \d+ bytes in the outbox, .*: 3 of them were never sent/);
  const calm = node(t, 'calm');
  await calm.start();
  await calm.stop();
  assert.ok(!/gave up/.test(calm.stderr), calm.stderr);
});

test('a bridge that is started without standard streams keeps its log out of its descriptors', async (t) => {
  const sidebus = node(t, 'closed');
  const { code, out } = await shell(t, `
    "${SIDEBUS_BIN}" run -c "${sidebus.file}" <&- >&- 2>&- & pid=$!
    for i in $(seq 200); do [[ -S "${sidebus.path}" ]] && break; sleep 0.05; done
    for fd in 0 1 2; do readlink /proc/$pid/fd/$fd; done
    "${SIDEBUS_BIN}" publish -s "${sidebus.path}" a b
    kill $pid; wait $pid`);
  assert.equal(code, 0);
  assert.equal(out, '/dev/null\n/dev/null\n/dev/null\n0\n');
});

test('bench and status say why when the bridge has no room for them', async (t) => {
  const sidebus = node(t, 'full', { settings: 'limits = { sessions = 1; };' });
  await sidebus.start();
  const holder = await sidebus.connect();
  t.after(() => holder.destroy());
  assert.equal(String(await holder.request('PING')), 'PONG');
  for (const command of ['bench --idle 3', 'bench --messages 10', 'status', 'publish a b', 'tail a']) {
    const { code, signal, out } = await shell(t, `exec "${SIDEBUS_BIN}" ${command} -s "${sidebus.path}" </dev/null`);
    assert.equal(signal, null, command);
    assert.ok(code === 1 || code === 2, `${command}: ${code}`);
    assert.match(out, /max number of clients reached/, command);
  }
});

test('bench with fewer descriptors than it needs says so', async (t) => {
  const sidebus = node(t, 'few');
  await sidebus.start();
  const { code, out } = await shell(t, `ulimit -n 20; exec "${SIDEBUS_BIN}" bench --idle 100 -s "${sidebus.path}" </dev/null`);
  assert.equal(code, 1, out);
  assert.match(out, /Too many open files/);
});

test('a bridge that may hardly open a file says so, to check and to run', async (t) => {
  const sidebus = node(t, 'hardly');
  for (const command of ['check', 'run']) {
    const { code, signal, out } = await shell(t,
      `ulimit -n 5; exec "${SIDEBUS_BIN}" ${command} -c "${sidebus.file}" </dev/null`);
    assert.equal(signal, null, command);
    assert.equal(code, 1, `${command}: ${out}`);
    assert.match(out, /may have 5 open files/, command);
  }
});

test('what cannot be written to standard output is an error of every command', async (t) => {
  const sidebus = node(t, 'unwritable');
  await sidebus.start();
  for (const command of ['version', '--help', 'run --help', 'help status', `check -c "${sidebus.file}"`,
    `status -s "${sidebus.path}"`, `status --json -s "${sidebus.path}"`, `publish a b -s "${sidebus.path}"`]) {
    const { code, out } = await shell(t, `exec "${SIDEBUS_BIN}" ${command} </dev/null >/dev/full`);
    assert.equal(code, 1, `${command}: ${out}`);
    assert.match(out, /standard output: No space left on device/, command);
  }
});

/** The JavaScript blocks of README that make a Socket.IO server, with what stands around them in an app. */
function readmeApps() {
  const text = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  return [...text.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code]) => code).filter((code) => code.includes('adapter:'));
}

function appOf(code, socket) {
  return `const { Server } = require('socket.io');
const httpServer = require('node:http').createServer();
(async () => {
${code.replaceAll('/run/sidebus/sidebus.sock', socket)}
setInterval(() => io.of('/').adapter.serverCount().then((n) => console.log('servers:', n), () => {}), 200);
})();
setInterval(() => console.log('alive'), 200);
`;
}

test('each Socket.IO app of the README runs, and survives a bridge that starts after it', async (t) => {
  requireSidebus();
  const apps = readmeApps();
  assert.equal(apps.length, 2);
  const sidebus = node(t, 'late');
  const modules = path.join(sidebus.dir, 'node_modules');
  fs.cpSync(path.join(ROOT, 'tests/apps/socketio/node_modules'), modules, { recursive: true });
  fs.symlinkSync('ioredis5', path.join(modules, 'ioredis'));
  fs.symlinkSync('redis6', path.join(modules, 'redis'));
  const children = apps.map((code, i) => {
    const file = path.join(sidebus.dir, `app${i}.js`);
    fs.writeFileSync(file, appOf(code, sidebus.path));
    const child = spawn('node', [file], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { child.said += chunk; });
    t.after(() => child.kill('SIGKILL'));
    return child;
  });
  // Longer than ioredis' twenty tries, which take some ten seconds.
  await until(30000, () => `both go on without a bridge: ${children.map((child) => child.said.slice(-200)).join(' | ')}`,
    () => children.every((child) => child.exitCode === null && child.said.split('alive').length > 65));
  await sidebus.start();
  await until(EXIT_MS, () => `both count the servers: ${children.map((child) => child.said.slice(-200)).join(' | ')}`,
    () => children.every((child) => child.said.includes('servers: 2')));
  for (const child of children) assert.equal(child.exitCode, null);
}, { deadline_ms: 90000 });

run();
