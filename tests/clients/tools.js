'use strict';
// The clients that are programs: redis-cli (RESP2 and RESP3), hiredis, and nc with inline commands.
// HIREDIS_CLIENT names the built hiredis_client (default: in the build directory of SIDEBUS_BIN).

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { Cluster, brokerForTarget, buildDirectory } = require('./harness');
const { note, run, test, until, within } = require('./tap');

const EXIT_MS = 15000;

let broker;
let cluster;
let A;
let B;

/** A running program: stdin to write to, what it has printed so far, its end. */
class Program {
  constructor(t, command, args) {
    this.name = `${command} ${args.join(' ')}`;
    this.child = spawn(command, args, { stdio: 'pipe', env: { ...process.env, LC_ALL: 'C' } });
    this.chunks = [];
    this.errors = '';
    this.child.stdout.on('data', (chunk) => this.chunks.push(chunk));
    this.child.stderr.on('data', (chunk) => (this.errors += chunk));
    this.child.stdin.on('error', () => {}); // it may have ended already: its exit code tells
    this.exited = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) => resolve({ code, signal }));
    });
    t.after(async () => {
      this.child.kill('SIGKILL');
      await this.exited.catch(() => {});
    });
  }

  get bytes() {
    return Buffer.concat(this.chunks);
  }

  get text() {
    return this.bytes.toString();
  }

  printed(what, count = 1) {
    return until(EXIT_MS, () => `${this.name} prints ${what} ${count} times; it printed: ${this.text.slice(-500)}`,
      () => this.text.split(what).length > count);
  }

  async end() {
    this.child.stdin.end();
    const { code } = await within(EXIT_MS, `${this.name} ends`, this.exited);
    assert.equal(code, 0, `${this.name}: ${this.errors}`);
    return this.text;
  }
}

const cli = (t, server, ...args) => new Program(t, 'redis-cli', ['-s', server.path, ...args]);

for (const [name, ...flags] of [['RESP2'], ['RESP3', '-3']]) {
  const of = (promise, body) => test(`redis-cli, ${name}: ${promise}`, body);

  of('commands answer', async (t) => {
    assert.equal(await cli(t, A, ...flags, 'PING').end(), 'PONG\n');
    assert.equal(await cli(t, A, ...flags, 'ECHO', 'hello').end(), 'hello\n');
    assert.match(await cli(t, A, ...flags, 'INFO').end(), /\nloading:0\r?\n/);
    assert.match(await cli(t, A, ...flags, 'HELLO').end(), new RegExp(`proto\\W+${flags.length ? 3 : 2}\\n`));
    assert.match(await cli(t, A, ...flags, 'CLIENT', 'LIST').end(), new RegExp(`resp=${flags.length ? 3 : 2}`));
    assert.match(await cli(t, A, ...flags, 'NOSUCH', 'x').end(), /^ERR unknown command 'NOSUCH'/);
  });

  of('plain, pattern and sharded subscriptions hear the other node', async (t) => {
    for (const [subscribe, publish, pattern, channel] of [
      ['SUBSCRIBE', 'PUBLISH', 'cli:plain', 'cli:plain'],
      ['PSUBSCRIBE', 'PUBLISH', 'cli:[p]?tt*', 'cli:pattern'],
      ['SSUBSCRIBE', 'SPUBLISH', 'cli:{s}', 'cli:{s}'],
    ]) {
      const subscriber = cli(t, B, ...flags, subscribe, pattern);
      await subscriber.printed(pattern);
      assert.match(await cli(t, A, publish, channel, 'first').end(), /^\d+\n$/);
      assert.match(await cli(t, A, publish, channel, '').end(), /^\d+\n$/);
      assert.match(await cli(t, A, publish, channel, 'last').end(), /^\d+\n$/);
      await subscriber.printed('last');
      assert.match(subscriber.text, /first"?\n[^]*message[^]*""?\n|first\n[^]*message[^]*\n\n/);
    }
  });
}

test('redis-cli -x publishes binary from its input', async (t) => {
  const subscriber = await B.connect({ onMessage: (channel, payload) => (got = payload) });
  let got;
  t.after(() => subscriber.destroy());
  await subscriber.subscribe('SUBSCRIBE', 'cli:binary');
  const publisher = cli(t, A, '-x', 'PUBLISH', 'cli:binary');
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  publisher.child.stdin.write(bytes);
  await publisher.end();
  await until(EXIT_MS, 'the payload arrives', () => got);
  assert.deepEqual(got, bytes);
});

test('redis-cli --pipe sends 2,000 publishes and gets as many replies', async (t) => {
  const publisher = cli(t, A, '--pipe');
  for (let i = 0; i < 2000; i++) publisher.child.stdin.write(`PUBLISH cli:pipe ${i}\r\n`);
  assert.match(await publisher.end(), /errors: 0, replies: 2000/);
});

test('MONITOR shows the commands of other sessions with their arguments', async (t) => {
  const monitor = cli(t, A, 'MONITOR');
  await monitor.printed('OK');
  await cli(t, A, 'PUBLISH', 'mon', 'a "quoted"\nline').end();
  await monitor.printed('"PUBLISH" "mon"');
  assert.match(monitor.text, /^\d+\.\d{6} \[0 unix:[^\]]+\] "PUBLISH" "mon" "a \\"quoted\\"\\nline"$/m);
});

test('CLIENT LIST names the sessions and CLIENT KILL ends one', async (t) => {
  const victim = await A.connect();
  t.after(() => victim.destroy());
  await victim.request('CLIENT', 'SETNAME', 'victim');
  const id = await victim.request('CLIENT', 'ID');
  await victim.subscribe('SUBSCRIBE', 'x', 'y');
  const list = await cli(t, A, 'CLIENT', 'LIST').end();
  const line = list.split('\n').find((one) => one.startsWith(`id=${id} `));
  assert.match(line, / name=victim /);
  assert.match(line, / sub=2 psub=0 /);
  assert.match(line, / db=0 /);
  assert.match(line, / flags=P/);
  assert.equal(await cli(t, A, 'CLIENT', 'KILL', 'ID', String(id)).end(), '1\n');
  await within(EXIT_MS, 'the session is closed', victim.whenClosed);
  assert.equal(await cli(t, A, 'CLIENT', 'KILL', 'ID', String(id)).end(), '0\n');
});

test('nc -U speaks inline commands', async (t) => {
  const subscriber = new Program(t, 'nc', ['-U', B.path]);
  subscriber.child.stdin.write('SUBSCRIBE nc:1\r\n');
  await subscriber.printed('*3\r\n$9\r\nsubscribe\r\n$4\r\nnc:1\r\n:1\r\n');
  const publisher = new Program(t, 'nc', ['-U', A.path]);
  publisher.child.stdin.write('PING\nPUBLISH nc:1 "two words \\x01"\r\nQUIT\r\n');
  await publisher.printed('+PONG\r\n:');
  await within(EXIT_MS, 'QUIT ends nc', publisher.exited);
  await subscriber.printed('$7\r\nmessage\r\n$4\r\nnc:1\r\n$11\r\ntwo words \x01\r\n');
});

function hiredisClient(t) {
  const built = process.env.HIREDIS_CLIENT ||
    (buildDirectory() && path.join(buildDirectory(), 'tests/clients/hiredis_client'));
  if (!built || !fs.existsSync(built)) t.skip('hiredis_client is not built (set HIREDIS_CLIENT)');
  return built;
}

test('hiredis, RESP2: its own suite passes on two nodes', async (t) => {
  const program = new Program(t, hiredisClient(t), [A.path, B.path]);
  program.child.stdin.end();
  const { code } = await within(60000, 'hiredis_client ends', program.exited);
  note(program.text.trimEnd());
  assert.equal(code, 0);
  assert.match(program.text, /^1\.\.7$/m);
}, { deadline_ms: 70000 });

test('hiredis, RESP2: reconnects and subscribes again after its node was restarted', async (t) => {
  const program = new Program(t, hiredisClient(t), ['--reconnect', B.path, 'hiredis:again']);
  await program.printed('subscribed');
  await B.stop();
  await B.start();
  const publisher = await A.connect();
  const watcher = await B.connect();
  t.after(() => Promise.all([publisher.destroy(), watcher.destroy()]));
  await until(EXIT_MS, 'it is subscribed again',
    async () => (await watcher.request('PUBSUB', 'NUMSUB', 'hiredis:again'))[1] === 1);
  await publisher.request('PUBLISH', 'hiredis:again', 'hello-again');
  assert.match(await program.end(), /^message hello-again$/m);
}, { deadline_ms: 60000 });

run({
  before: async () => {
    broker = await brokerForTarget();
    cluster = await Cluster.open({ broker });
    [A, B] = cluster.nodes;
  },
  after: async () => {
    if (cluster) await cluster.close();
    if (broker) await broker.stop();
  },
  afterName: 'the nodes exit with code 0 on SIGTERM',
});
