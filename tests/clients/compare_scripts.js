'use strict';
// What compare.js sends to a real redis-server and to sidebus. A script is a conversation that ends with the
// closing of its first connection, so that the whole transcript can be compared.
//
//   {name, steps, mask?, password?, both?}
//   steps     [connection, bytes] in order; connection "a" is the one whose end ends the script. With {blocks: true}
//             behind them the session blocks, and the next step is taken as soon as it does
//   mask      [regular expression, replacement] for what must differ; applied to both transcripts
//   password  run against servers that ask for this password
//   both      false: do not add a copy that begins with HELLO 3
//   sort      compare the lines as a set: Redis takes them from a hash table with a random seed
//   spread    run on a node with several partitions, where only replies have one order over all channels
//   closes    the server closes by itself: nothing is sent behind the steps

const { encode } = require('./resp');

const cmd = (...args) => encode(args);
const raw = (text) => Buffer.from(text, 'latin1');
const all = (...commands) => Buffer.concat(commands.map((words) => (Buffer.isBuffer(words) ? words : cmd(...words))));
/** One word per blank; for the many commands that need no other form. */
const words = (...lines) => all(...lines.map((line) => line.split(' ')));

const NUMBER = [/:\d+\r\n/g, ':<n>\r\n'];
const BULK_NUMBER = [/\$\d+\r\n\d+\r\n/g, '$<bulk number>\r\n'];
const HELLO = [
  [/(\$7\r\nversion\r\n)\$\d+\r\n[^\r]*\r\n/g, '$1<version>\r\n'],
  [/(\$2\r\nid\r\n):\d+/g, '$1:<id>'],
];
const MONITOR = [/\+\d+\.\d+ \[0 unix:[^\]]*\]/g, '+<time> [0 unix:<path>]'];

const scripts = [];
/** A conversation over one connection. */
const one = (name, bytes, options = {}) => scripts.push({ name, steps: [['a', bytes]], ...options });
/** A conversation over several. */
const many = (name, steps, options = {}) => scripts.push({ name, steps, ...options });

// ---- connection commands ----
one('PING', words('PING', 'PING hello', 'ping', 'PING a b', 'PiNg x'));
one('PING with empty and binary text', all(['PING', ''], ['PING', raw('\0\xff\r\n')]));
one('ECHO', all(['ECHO', 'x'], ['ECHO', ''], ['ECHO', raw('\r\n\0\xfe')], ['ECHO'], ['echo', 'a', 'b']));
one('QUIT with arguments', words('PING', 'QUIT a b'), { closes: true });
one('nothing is answered after QUIT', words('QUIT', 'PING'), { closes: true });
one('SELECT', words('SELECT 0', 'SELECT', 'SELECT 0 0', 'SELECT x', 'SELECT -1', 'SELECT 99999', 'SELECT 1.0',
  'SELECT 99999999999999999999'));
one('TIME', words('TIME', 'TIME x'), { mask: [BULK_NUMBER] });
one('ROLE', words('ROLE', 'ROLE x'));
one('READONLY', words('READONLY', 'READONLY x'));
one('CLUSTER', words('CLUSTER INFO', 'CLUSTER NODES', 'CLUSTER', 'CLUSTER NOSUCH', 'CLUSTER SLOTS x'));
one('COMMAND COUNT', words('COMMAND COUNT', 'COMMAND COUNT x'), { mask: [NUMBER] });
one('COMMAND errors', words('COMMAND NOSUCH', 'COMMAND NOSUCH a b', 'COMMAND GETKEYS'));
one('COMMAND INFO', words('COMMAND INFO publish subscribe', 'COMMAND INFO nosuch', 'COMMAND INFO select echo'),
  { sort: true });
one('CONFIG SET', words('CONFIG SET nosuch 1', 'CONFIG SET NoSuch 1 save', 'CONFIG SET save', 'CONFIG SET',
  'CONFIG GET notify-keyspace-events'));
one('CONFIG SET to what it is', all(['CONFIG', 'SET', 'notify-keyspace-events', ''],
  ['config', 'set', 'Notify-Keyspace-Events', '', 'timeout', '0']));
one('CONFIG GET of what is not set', words('CONFIG GET no-such-setting', 'CONFIG GET', 'CONFIG', 'CONFIG NOSUCH x'));
one('INFO of an unknown section', words('INFO nosuchsection'));

// ---- HELLO, AUTH, RESET ----
one('HELLO', words('HELLO', 'HELLO 2', 'HELLO 2 SETNAME abc', 'CLIENT GETNAME'), { mask: HELLO });
one('HELLO 3 and back', words('HELLO 3', 'HELLO', 'PING', 'HELLO 2', 'PING'), { mask: HELLO, both: false });
one('HELLO of an unknown protocol', words('HELLO 1', 'HELLO 4', 'HELLO x', 'HELLO 3.0', 'HELLO -3', 'PING'));
one('HELLO with wrong options', all(['HELLO', '3', 'NOSUCH'], ['HELLO', '3', 'AUTH', 'x'], ['HELLO', '3', 'SETNAME'],
  ['HELLO', '3', 'SETNAME', 'with blank'], ['HELLO', '3', 'SETNAME', 'a', 'NOSUCH'], ['PING'],
  ['CLIENT', 'GETNAME']), { both: false });
one('HELLO 3 with every option', words(
  'hello 3 setname one', 'CLIENT GETNAME', 'HELLO 3 SETNAME two', 'CLIENT GETNAME'), { mask: HELLO, both: false });
one('RESET', words(
  'CLIENT SETNAME x', 'RESET', 'CLIENT GETNAME', 'RESET x', 'HELLO 3', 'PING', 'RESET', 'PUBSUB NUMSUB'), {
  mask: HELLO, both: false,
});
one('RESET while subscribed', words('SUBSCRIBE a', 'PSUBSCRIBE b*', 'SSUBSCRIBE c', 'RESET', 'ECHO free',
  'PUBSUB CHANNELS', 'PUBSUB NUMPAT', 'PUBSUB SHARDCHANNELS'), { both: false });
one('AUTH with a wrong number of arguments', words('AUTH', 'AUTH a b c'));

const secret = { password: 'se cret word' };
one('with a password: nothing works before AUTH', words(
  'PING', 'SUBSCRIBE a', 'PUBLISH a b', 'INFO', 'ECHO', 'NOSUCH a', 'CLIENT ID', 'PUBSUB NUMPAT', 'COMMAND',
  'SELECT 0', 'HELLO', 'HELLO 3', 'HELLO 2 SETNAME a', 'RESET', 'MONITOR'), { ...secret, both: false });
one('with a password: AUTH', all(['AUTH', 'wrong'], ['AUTH', 'nobody', 'se cret word'], ['AUTH', 'default', 'wrong'],
  ['AUTH', ''], ['PING'], ['AUTH', 'se cret word'], ['PING'], ['AUTH', 'default', 'se cret word'], ['AUTH', 'wrong'], ['PING']), {
  ...secret, both: false,
});
one('with a password: HELLO AUTH', all(['HELLO', '3', 'AUTH', 'default', 'wrong'], ['PING'],
  ['HELLO', '3', 'AUTH', 'nobody', 'se cret word'], ['HELLO', '4', 'AUTH', 'default', 'se cret word'], ['PING'],
  ['HELLO', '3', 'AUTH', 'default', 'se cret word', 'SETNAME', 'n'], ['CLIENT', 'GETNAME'], ['PING']), {
  ...secret, mask: HELLO, both: false,
});
one('with a password: RESET takes the permission away', all(['AUTH', 'se cret word'], ['PING'], ['RESET'], ['PING']),
  { ...secret, both: false });
one('with a password: QUIT works before AUTH', words('QUIT'), { ...secret, both: false, closes: true });

// ---- CLIENT ----
one('CLIENT ID', words('CLIENT ID', 'CLIENT ID x'), { mask: [NUMBER] });
one('CLIENT names', all(
  ['CLIENT', 'GETNAME'], ['CLIENT', 'SETNAME', 'x'], ['CLIENT', 'GETNAME'], ['CLIENT', 'SETNAME', ''],
  ['CLIENT', 'GETNAME'], ['CLIENT', 'SETNAME', 'a b'], ['CLIENT', 'SETNAME', 'a\nb'],
  ['CLIENT', 'SETNAME', raw('\xff')], ['CLIENT', 'SETNAME'], ['CLIENT', 'SETNAME', 'a', 'b'],
  ['CLIENT', 'GETNAME', 'x'], ['client', 'setname', 'Y'], ['CLIENT', 'GETNAME']));
one('CLIENT with unknown and missing subcommands', words(
  'CLIENT', 'CLIENT NOSUCH', 'CLIENT NOSUCH a b', 'CLIENT KILL'));
one('CLIENT NO-EVICT', words('CLIENT NO-EVICT ON', 'CLIENT NO-EVICT off', 'CLIENT NO-EVICT x', 'CLIENT NO-EVICT'));
one('CLIENT KILL of nobody', words('CLIENT KILL ID 999999', 'CLIENT KILL ADDR 1.2.3.4:5', 'CLIENT KILL 1.2.3.4:5',
  'CLIENT KILL TYPE master', 'CLIENT KILL LADDR 1.2.3.4:5'));
one('CLIENT KILL with wrong filters', words(
  'CLIENT KILL ID', 'CLIENT KILL ID x', 'CLIENT KILL ID 0', 'CLIENT KILL ID -1', 'CLIENT KILL NOSUCH x',
  'CLIENT KILL TYPE nosuch', 'CLIENT KILL SKIPME maybe', 'CLIENT KILL ID 999999 SKIPME', 'CLIENT KILL USER nobody'));
one('CLIENT LIST with wrong filters', words('CLIENT LIST TYPE nosuch', 'CLIENT LIST TYPE', 'CLIENT LIST NOSUCH x',
  'CLIENT LIST ID x', 'CLIENT LIST ID'));
one('CLIENT LIST of nobody', words('CLIENT LIST ID 999999', 'CLIENT LIST TYPE master'));
many('CLIENT KILL ends another session', [
  ['b', words('CLIENT SETNAME victim', 'SUBSCRIBE x')], ['a', words('CLIENT KILL TYPE pubsub')],
  ['a', words('PUBSUB NUMSUB x')],
]);

// ---- publish and subscribe ----
one('SUBSCRIBE and UNSUBSCRIBE', words(
  'SUBSCRIBE a', 'SUBSCRIBE b c', 'UNSUBSCRIBE b', 'UNSUBSCRIBE a c', 'ECHO free'));
one('several kinds are counted as Redis counts them', words('SUBSCRIBE a b', 'PSUBSCRIBE p* q*', 'SSUBSCRIBE s t',
  'SUBSCRIBE c', 'UNSUBSCRIBE a', 'SUNSUBSCRIBE s', 'PUNSUBSCRIBE p*', 'SSUBSCRIBE u v', 'UNSUBSCRIBE', 'PUNSUBSCRIBE',
  'SUNSUBSCRIBE t', 'SUNSUBSCRIBE u v', 'ECHO free'), { sort: true });
one('UNSUBSCRIBE without names confirms each', words(
  'SUBSCRIBE a b c d', 'UNSUBSCRIBE', 'PSUBSCRIBE a b c', 'PUNSUBSCRIBE', 'SSUBSCRIBE a b c', 'SUNSUBSCRIBE',
  'ECHO free'), { sort: true });
one('one name twice', words('SUBSCRIBE a a', 'SUBSCRIBE a', 'UNSUBSCRIBE a a', 'PSUBSCRIBE p p', 'PUNSUBSCRIBE p p p',
  'SSUBSCRIBE s s', 'SUNSUBSCRIBE s s', 'ECHO free'));
one('unsubscribing from nothing', words(
  'UNSUBSCRIBE', 'PUNSUBSCRIBE', 'SUNSUBSCRIBE', 'UNSUBSCRIBE x', 'PUNSUBSCRIBE x y', 'SUNSUBSCRIBE x', 'PING'));
one('unsubscribing from nothing while another kind is subscribed', words(
  'PSUBSCRIBE p*', 'UNSUBSCRIBE', 'UNSUBSCRIBE x', 'SUNSUBSCRIBE', 'PUNSUBSCRIBE', 'PING'));
one('unsubscribing one name from all', words('SUBSCRIBE only', 'UNSUBSCRIBE', 'PSUBSCRIBE only', 'PUNSUBSCRIBE',
  'SSUBSCRIBE only', 'SUNSUBSCRIBE', 'PING'));
one('300 channels in one SUBSCRIBE', cmd('SUBSCRIBE', ...Array.from({ length: 300 }, (_, i) => `channel-${i}`)));
one('names that are empty or binary', all(['SUBSCRIBE', '', raw('\0\xff'), 'a b', '\r\n'], ['UNSUBSCRIBE', ''],
  ['PSUBSCRIBE', ''], ['UNSUBSCRIBE', '\r\n', 'a b', raw('\0\xff')]));
for (const name of ['SUBSCRIBE', 'PSUBSCRIBE', 'SSUBSCRIBE', 'PUBLISH', 'SPUBLISH', 'PUBSUB']) {
  one(`${name} with too few arguments`, words(name, 'PING'));
}
one('PUBLISH with a wrong number of arguments', words('PUBLISH a', 'PUBLISH a b c', 'SPUBLISH a', 'SPUBLISH a b c',
  'publish a'));
one('PUBLISH without a subscriber', all(['PUBLISH', 'a', 'b'], ['PUBLISH', '', ''], ['SPUBLISH', 'a', 'b']));
one('commands that are refused while subscribed', words('SUBSCRIBE a', 'ECHO x', 'PUBLISH a x', 'NOSUCH x',
  'CLIENT ID', 'client nosuch', 'HELLO', 'INFO', 'PUBSUB NUMPAT', 'ECHO', 'PING', 'PING x', 'PING a b', 'SELECT 0',
  'MONITOR', 'COMMAND COUNT', 'AUTH x'), { both: false });
one('commands that are refused while subscribed to a pattern or a shard', words(
  'PSUBSCRIBE p', 'ECHO x', 'PUNSUBSCRIBE', 'ECHO x', 'SSUBSCRIBE s', 'ECHO x', 'PING', 'SUNSUBSCRIBE',
  'ECHO x'), { both: false });
one('RESP3 allows every command while subscribed', words('HELLO 3', 'SUBSCRIBE a', 'ECHO x', 'PING', 'PING y',
  'PUBSUB NUMPAT', 'CLIENT GETNAME', 'NOSUCH', 'UNSUBSCRIBE', 'PING'), { both: false, mask: HELLO });
one('HELLO 2 while subscribed', words('HELLO 3', 'SUBSCRIBE a', 'HELLO 2', 'ECHO x', 'PING', 'UNSUBSCRIBE', 'PING'),
  { both: false, mask: HELLO });
// One publish at a time: of a batch of several, sidebus sends the pushes first and the replies behind them.
many('a session hears itself in RESP3', [
  ['a', words('HELLO 3', 'SUBSCRIBE a', 'PSUBSCRIBE a*', 'SSUBSCRIBE a')], ['a', words('PUBLISH a x')],
  ['a', words('SPUBLISH a y')], ['a', words('PUBLISH ab z')], ['a', words('PUBLISH b none')],
], { both: false, mask: HELLO });

many('messages of each kind', [
  ['a', words('SUBSCRIBE c:1 c:2', 'PSUBSCRIBE c:* *1', 'SSUBSCRIBE c:1')],
  ['b', all(['PUBLISH', 'c:1', 'one'], ['PUBLISH', 'c:2', ''], ['PUBLISH', 'c:3', raw('\0\r\n\xff')],
    ['SPUBLISH', 'c:1', 'shard'], ['publish', 'x1', 'lower case'], ['PUBLISH', 'nobody', 'x'],
    ['SPUBLISH', 'c:2', 'x'])],
], { sort: true });
many('a message is delivered once per subscription that fits', [
  ['a', words('SUBSCRIBE m', 'PSUBSCRIBE m', 'PSUBSCRIBE * ?', 'PSUBSCRIBE [m]')], ['b', words('PUBLISH m x')],
], { sort: true });
many('PUBSUB CHANNELS lists every channel once', [
  ['b', words('SUBSCRIBE one two three', 'SSUBSCRIBE four five')], ['c', words('SUBSCRIBE one two', 'SSUBSCRIBE five')],
  ['a', words('PUBSUB CHANNELS', 'PUBSUB CHANNELS t*', 'PUBSUB SHARDCHANNELS', 'PUBSUB SHARDCHANNELS f*')],
], { sort: true });
many('nothing arrives after UNSUBSCRIBE', [
  ['a', words('SUBSCRIBE u v', 'PSUBSCRIBE u*')], ['b', words('PUBLISH u 1')],
  ['a', words('UNSUBSCRIBE u', 'PUNSUBSCRIBE u*')], ['b', words('PUBLISH u 2', 'PUBLISH v 3')],
]);
many('PUBLISH counts the sessions, patterns too', [
  ['b', words('SUBSCRIBE n', 'PSUBSCRIBE n* ?', 'SSUBSCRIBE n')], ['c', words('SUBSCRIBE n')],
  ['a', words('PUBLISH n x', 'PUBLISH nn x', 'SPUBLISH n x', 'PUBLISH zz x')],
], { sort: true });

one('replies keep the order of the requests over all channels', all(...Array.from({ length: 600 }, (_, i) =>
  [
    ['PUBLISH', `o:${i}`, 'x'], ['ECHO', `${i}`], ['SPUBLISH', `o:${i}`, 'x'], ['NOSUCH', `${i}`],
    ['PUBSUB', 'NUMSUB', `o:${i}`], ['PING'],
  ][i % 6])), { spread: true });
one('subscribing, publishing and unsubscribing in one write', all(
  ['HELLO', '3'],
  ...Array.from({ length: 40 }, (_, i) => [
    ['SUBSCRIBE', `w:${i}`, `w:${i + 1}`], ['PUBLISH', `w:${i}`, `${i}`],
    ['UNSUBSCRIBE', `w:${i}`], ['PUBLISH', `w:${i}`, 'gone'],
  ]).flat()), { both: false, mask: HELLO });
one('the confirmations of one SUBSCRIBE stay together over all partitions', all(
  ['SUBSCRIBE', ...Array.from({ length: 50 }, (_, i) => `s:${i}`)], ['PING'],
  ['UNSUBSCRIBE', ...Array.from({ length: 50 }, (_, i) => `s:${i}`)], ['ECHO', 'free']), { spread: true });

// Patterns: each channel is published to each pattern, the transcript tells which fit.
const PATTERNS = [
  'h*llo', 'h?llo', 'h[ae]llo', 'h[^e]llo', 'h[a-c]llo', 'h[c-a]llo', 'h\\*llo', 'h\\?llo', '**', '*o', 'h*l*o', '',
  '*', 'h[', 'h[a', 'h[]', '[h]ello', '[^h]*', 'h[\\]]llo', 'hello\\', '\\hello', '[a-', '?', 'h[a-]llo', 'h[-a]llo',
];
const NAMES = [
  'hello', 'hallo', 'hbllo', 'hxllo', 'h*llo', 'h?llo', 'hllo', 'heeello', '', 'h', 'h[', 'h[a', 'h]llo',
  'hello\\', 'h-llo', 'h[]', 'x', 'ha',
];
PATTERNS.forEach((pattern) => many(`pattern ${JSON.stringify(pattern)}`, [
  ['a', cmd('PSUBSCRIBE', pattern)], ['b', all(...NAMES.map((name) => ['PUBLISH', name, 'x']))],
], { both: false }));

many('PUBSUB', [
  ['b', words('SUBSCRIBE one', 'PSUBSCRIBE t* o*', 'SSUBSCRIBE three')], ['c', words('SUBSCRIBE one', 'PSUBSCRIBE t*')],
  ['a', words('PUBSUB CHANNELS', 'PUBSUB CHANNELS o*', 'PUBSUB CHANNELS x*', 'PUBSUB CHANNELS [o]n?', 'PUBSUB NUMSUB',
    'PUBSUB NUMSUB one two three', 'PUBSUB NUMSUB one one', 'PUBSUB NUMPAT', 'PUBSUB SHARDCHANNELS',
    'PUBSUB SHARDCHANNELS x', 'PUBSUB SHARDNUMSUB', 'PUBSUB SHARDNUMSUB three one', 'pubsub numsub one')],
]);
one('PUBSUB errors', words('PUBSUB NOSUCH', 'PUBSUB NOSUCH a', 'PUBSUB CHANNELS a b', 'PUBSUB NUMPAT x',
  'PUBSUB SHARDCHANNELS a b'));

many('MONITOR', [
  ['a', words('MONITOR')],
  ['b', all(['PING'], ['ping', 'x'], ['ECHO', raw('\0\x07\b\t\r\n"\\\xff')], ['NOSUCH', 'x'], ['ECHO'],
    ['PUBLISH', 'c', 'x'], ['SUBSCRIBE', 'c'], ['UNSUBSCRIBE', 'c'])],
], { mask: [MONITOR], both: false });

// ---- unknown commands, and what sidebus does not have ----
one('unknown commands', all(['NOSUCH'], ['nosuch', 'a', 'b'], ['N'.repeat(200), 'x'], ['NOSUCH', 'y'.repeat(200)],
  ['NOSUCH', ...'abcdefghijklmnopqrstuvwxyz'.split('').map((letter) => letter.repeat(20))], [''], ['', ''],
  ['NO\r\nSUCH', 'a\r\nb'], [raw('\0\x01\xff'), raw('\0')], ['SIDEBUS-NOT', "'quoted'"]));

// ---- inline commands (malformed requests: see protocol_errors.table) ----
one('inline commands', raw('PING\r\nPING\nECHO "a b"\r\nECHO \'a\\nb\'\r\n' +
  'ECHO "\\x41\\n\\t\\"\\\\"\r\n\r\n\n  ECHO   x  \r\nECHO ""\r\n' +
  'ECHO \'it\\\'s\'\r\nNOSUCH a\r\nping\r\n'));
one('inline: quotes that do not close', raw('PING\r\nECHO "abc\r\nPING\r\n'), { closes: true });
one('inline: text behind a quote', raw('PING\r\nECHO "abc"d\r\nPING\r\n'), { closes: true });
one('inline: too long', raw(`PING\r\n${'x'.repeat(70000)}`), { closes: true });
one('empty requests are skipped', raw('*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n*-100\r\n*1\r\n$4\r\nPING\r\n'));

module.exports = { HELLO, cmd, scripts, words };
