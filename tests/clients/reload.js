#!/usr/bin/env node
'use strict';
// SIGHUP and secrets that change, on a bridge without a broker; and that `check` knows what `run` will say.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { SIDEBUS_BIN, Sidebus, freePort, requireSidebus, temporaryDirectory } = require('./harness');
const { Connection } = require('./resp');
const { run, test, until } = require('./tap');

const WAIT_MS = 20000;

let dir;

function node(t, name, options = {}) {
  const sidebus = new Sidebus(name, dir, options);
  t.after(() => sidebus.stop());
  return sidebus;
}

/** Replaces a file as one should: never half of it. */
function write(file, text) {
  fs.writeFileSync(`${file}.new`, text, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}

const rewrite = (sidebus, from, to) => {
  const text = fs.readFileSync(sidebus.file, 'utf8');
  assert.ok(text.includes(from));
  write(sidebus.file, text.replace(from, to));
};

/** Sends SIGHUP and resolves with the log from then until `says` stands in it. */
async function hup(sidebus, says) {
  const before = sidebus.stderr.length;
  sidebus.signal('SIGHUP');
  await until(WAIT_MS, () => `the log says ${says}: ${sidebus.stderr.slice(before)}`, () => sidebus.stderr.slice(before).includes(says));
  return sidebus.stderr.slice(before);
}

async function auth(t, address, password) {
  const connection = await Connection.connect(address);
  t.after(() => connection.destroy());
  const reply = await connection.request('AUTH', password).catch((error) => error.message);
  return { connection, reply };
}

async function lockedNode(t, name) {
  const file = path.join(dir, `${name}.tcp.password`);
  const port = await freePort();
  write(file, 'password-1\n');
  const sidebus = node(t, name, { settings: `tcp = { port = ${port}; password_file = "${file}"; };` });
  await sidebus.start();
  return { sidebus, file, address: { host: '127.0.0.1', port } };
}

test('TCP: a password that is changed in its file holds for whoever connects then, and who is in stays', async (t) => {
  const { file, address } = await lockedNode(t, 'tcp-file');
  const first = await auth(t, address, 'password-1');
  const undecided = await Connection.connect(address);
  t.after(() => undecided.destroy());
  assert.equal(first.reply, 'OK');
  write(file, 'password-2\n');
  assert.match((await auth(t, address, 'password-1')).reply, /^WRONGPASS/);
  assert.equal((await auth(t, address, 'password-2')).reply, 'OK');
  assert.equal(await undecided.request('AUTH', 'password-2'), 'OK');
  assert.equal(await first.connection.request('PING'), 'PONG');
});

test('TCP: SIGHUP takes over another password file', async (t) => {
  const { sidebus, file, address } = await lockedNode(t, 'tcp-hup');
  const first = await auth(t, address, 'password-1');
  write(`${file}.b`, 'password-3\n');
  rewrite(sidebus, file, `${file}.b`);
  await hup(sidebus, 'settings read again');
  assert.match((await auth(t, address, 'password-1')).reply, /^WRONGPASS/);
  assert.equal((await auth(t, address, 'password-3')).reply, 'OK');
  assert.equal(await first.connection.request('PING'), 'PONG');
  assert.ok(!/password-[123]/.test(sidebus.stderr), 'no secret is logged');
});

test('TCP: a file that is gone, empty or too short is told, and what it held before holds', async (t) => {
  const { sidebus, file, address } = await lockedNode(t, 'tcp-gone');
  for (const [change, says] of [
    [() => fs.rmSync(file), 'No such file'],
    [() => write(file, ''), 'is empty'],
    [() => write(file, 'short\n'), 'quickly guessed; write at least'],
    [() => write(file, 'abcabcabc\n'), 'that repeats a shorter one, which is quickly guessed'],
    [() => { fs.rmSync(file); fs.mkdirSync(file); }, 'not a regular file'],
  ]) {
    change();
    const before = sidebus.stderr.length;
    for (let i = 0; i < 3; i++) assert.equal((await auth(t, address, 'password-1')).reply, 'OK');
    await until(WAIT_MS, `the log says ${says}`, () => sidebus.stderr.slice(before).includes(says));
    assert.equal(sidebus.stderr.slice(before).split(says).length, 2, 'once');
    assert.match(await hup(sidebus, 'SIGHUP: '), /refused, all settings stay/);
    assert.equal((await auth(t, address, 'password-1')).reply, 'OK');
  }
  fs.rmdirSync(file);
  write(file, 'password-4\n');
  assert.equal((await auth(t, address, 'password-4')).reply, 'OK');
});

test('the Unix socket: its password changes, and is no longer needed when the setting goes', async (t) => {
  const sidebus = node(t, 'unix', { password: 'the first' });
  await sidebus.start();
  write(path.join(sidebus.dir, 'unix.password'), 'the second\n');
  const address = { path: sidebus.path };
  assert.match((await auth(t, address, 'the first')).reply, /^WRONGPASS/);
  assert.equal((await auth(t, address, 'the second')).reply, 'OK');
  sidebus.password = 'the second';
  rewrite(sidebus, `password_file = "${path.join(sidebus.dir, 'unix.password')}";`, '');
  await hup(sidebus, 'settings read again');
  const open = await Connection.connect(address);
  t.after(() => open.destroy());
  assert.equal(await open.request('PING'), 'PONG');
});

test('a reload that needs a restart is refused as a whole and says which settings, and where', async (t) => {
  const sidebus = node(t, 'refuses', { topics: { prefix: 'one', partitions: 1 } });
  await sidebus.start();
  const line = fs.readFileSync(sidebus.file, 'utf8').split('\n').findIndex((one) => one.startsWith('topics')) + 1;
  rewrite(sidebus, 'partitions = 1', 'partitions = 2');
  fs.appendFileSync(sidebus.file, 'log = { level = "debug"; };\n');
  const said = await hup(sidebus, 'SIGHUP: ');
  assert.ok(said.includes(`${sidebus.file}:${line}: topics.partitions: changed from 1 to 2, which needs a restart`), said);
  assert.ok(said.includes('SIGHUP: refused, all settings stay as they were'), said);
  assert.ok(!said.includes('read again'), said);
  assert.ok(!/ debug /.test(said), 'nothing of it was taken over');
  rewrite(sidebus, 'partitions = 2', 'partitions = 1');
  await hup(sidebus, 'settings read again');
});

test('a configuration that cannot be read to its end holds up nobody', async (t) => {
  const sidebus = node(t, 'pipe');
  await sidebus.start();
  const kept = fs.readFileSync(sidebus.file);
  fs.rmSync(sidebus.file);
  assert.equal(spawnSync('mkfifo', [sidebus.file]).status, 0);
  sidebus.signal('SIGHUP');
  const connection = await sidebus.connect();
  t.after(() => connection.destroy());
  for (let i = 0; i < 20; i++) assert.equal(await connection.request('PUBLISH', 'x', String(i)), 0);
  await hup(sidebus, 'still being read');
  fs.writeFileSync(sidebus.file, kept); // the reader gets it, and its end
  await until(WAIT_MS, 'it is read', () => sidebus.stderr.includes('settings read again'));
});

/** What both have to say of a configuration. */
function verdicts(name, text) {
  const file = path.join(dir, `${name}.conf`);
  fs.writeFileSync(file, text);
  return ['check', 'run'].map((verb) => {
    const { status, stderr } = spawnSync(SIDEBUS_BIN, [verb, '-c', file], { timeout: WAIT_MS });
    return { status, stderr: String(stderr) };
  });
}

test('check and run refuse the same for the same reasons', () => {
  const file = (name, text) => {
    fs.writeFileSync(path.join(dir, name), text, { mode: 0o600 });
    return path.join(dir, name);
  };
  const socket = `socket = { path = "${dir}/s"; };\n`;
  const secret = file('pw', 'password-1\n');
  const junk = file('junk.pem', 'junk\n');
  const rabbitmq = (tls) => `${socket}broker = "rabbitmq"; rabbitmq = { hosts = ["amqps://127.0.0.1:1"]; user = "u";\n`
    + ` password_file = "${secret}"; tls = { ${tls} }; };\n`;
  for (const [name, text, says] of [
    ['folder', `socket = { path = "${dir}/none/s"; };\n`, 'none does not exist'],
    ['no-folder', `socket = { path = "${junk}/s"; };\n`, 'junk.pem is no folder'],
    ['ca', rabbitmq(`ca_file = "${junk}";`), 'holds no certificate'],
    ['cert', rabbitmq(`cert_file = "${junk}"; key_file = "${junk}";`), 'holds no certificate'],
    ['no-key', rabbitmq(`cert_file = "${junk}";`), 'a certificate needs its key'],
    ['secret', `${socket}tcp = { password_file = "${dir}/none"; };\n`, 'cannot read'],
    ['short', `${socket}tcp = { password_file = "${file('short', 'abc\n')}"; };\n`, 'write at least 8'],
    ['unix-short', `socket = { path = "${dir}/s"; password_file = "${file('unix-short', '1234\n')}"; };\n`, 'write at least 8'],
    ['blanks', `${socket}tcp = { password_file = "${file('blanks', `${' '.repeat(8)}\n`)}"; };\n`, 'that repeats a shorter one'],
    ['group', `socket = { path = "${dir}/s"; group = "no-such-group"; };\n`, 'there is no group'],
  ]) {
    const [check, started] = verdicts(name, text);
    assert.equal(check.status, 1, `check ${name}: ${check.stderr}`);
    assert.equal(started.status, 1, `run ${name}: ${started.stderr}`);
    assert.ok(check.stderr.includes(says), check.stderr);
    assert.equal(started.stderr.replace(/^\S+ (?:error|warn) config: /gm, ''), check.stderr);
  }
});

test('check takes no offence at the bridge that runs, and does not disturb it', async (t) => {
  const { sidebus } = await lockedNode(t, 'runs');
  const { status, stderr } = spawnSync(SIDEBUS_BIN, ['check', '-c', sidebus.file]);
  assert.equal(status, 0, String(stderr));
  assert.match(String(stderr), /warning: .*socket.path: process \d+ of user \d+ listens on /);
  assert.match(String(stderr), /warning: .*tcp.port: cannot listen on 127.0.0.1 port \d+: Address already in use; that may be the bridge/);
  assert.equal((await sidebus.info()).loading, '0');
});

run({
  before: () => {
    requireSidebus();
    dir = temporaryDirectory();
  },
});
