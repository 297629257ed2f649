'use strict';
// Scripts for compare.js about keys, streams, transactions and scripts of Lua; for their form see
// compare_scripts.js. Ids are given by the servers and so are masked. Keys have names that no other script
// publishes to: here a channel is a stream too.

const { encode } = require('./resp');

const cmd = (...args) => encode(args);
const all = (...commands) => Buffer.concat(commands.map((words) => cmd(...words)));
const words = (...lines) => all(...lines.map((line) => line.split(' ')));

const ID = [/\$\d+\r\n\d{13}-\d+\r\n/g, '<id>\r\n'];
const XINFO = [
  ID,
  // Counts of Redis's own memory.
  [/(\$15\r\nradix-tree-keys\r\n|\$16\r\nradix-tree-nodes\r\n):\d+/g, '$1:<n>'],
];

const scripts = [];
const one = (name, bytes, options = {}) => scripts.push({ name, steps: [['a', bytes]], ...options });
const many = (name, steps, options = {}) => scripts.push({ name, steps, ...options });

// ---- arities ----
const NAMES = ('GET SET SETNX SETEX PSETEX GETSET GETDEL INCR DECR INCRBY DECRBY DEL UNLINK EXISTS TYPE TTL PTTL ' +
  'EXPIRETIME PEXPIRETIME EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST XADD XTRIM XDEL XLEN XRANGE XREVRANGE ' +
  'XINFO XREAD MULTI EXEC DISCARD WATCH UNWATCH EVAL EVALSHA SCRIPT XGROUP XREADGROUP XACK ' +
  'XCLAIM XAUTOCLAIM XPENDING XSETID'
).split(' ');
one('too few arguments', words(...NAMES.filter((name) => !/^(MULTI|UNWATCH)$/.test(name)), 'xinfo stream', 'Get',
  'set a', 'setex a 1', 'xadd s *', 'xadd s * f', 'xread streams', 'xread streams a', 'eval x', 'xtrim s maxlen',
  'xrange s -'));
one('too many arguments', words('GET a b', 'SETNX a b c', 'SETEX a 1 b c', 'PSETEX a 1 b c', 'GETSET a b c',
  'GETDEL a b', 'INCR a b', 'DECR a b', 'INCRBY a 1 b', 'DECRBY a 1 b', 'TYPE a b', 'TTL a b', 'PTTL a b',
  'EXPIRETIME a b', 'PEXPIRETIME a b', 'PERSIST a b', 'XLEN a b', 'MULTI a', 'EXEC a', 'DISCARD a', 'UNWATCH a',
  'XINFO HELP a', 'SCRIPT LOAD a b', 'SCRIPT HELP a'));

// ---- strings ----
one('SET and GET', all(['DEL', 'k'], ['GET', 'k'], ['SET', 'k', 'v'], ['GET', 'k'], ['SET', 'k', ''], ['GET', 'k'],
  ['SET', 'k', Buffer.from([0, 13, 10, 255])], ['GET', 'k'], ['SET', '', 'empty name'], ['GET', ''], ['DEL', '', 'k']));
one('GET __Booksleeve_TieBreak', words('GET __Booksleeve_TieBreak'));
one('SET with options', words('DEL k', 'SET k 1 XX', 'SET k 1 NX', 'SET k 2 NX', 'SET k 2 XX', 'GET k', 'SET k 3 GET',
  'SET k 4 NX GET', 'GET k', 'SET k 5 EX 100', 'TTL k', 'SET k 6 KEEPTTL', 'TTL k', 'SET k 7', 'TTL k',
  'set k 8 ex 100 xx get', 'TTL k', 'SET k 9 PX 100000', 'TTL k', 'SET k 10 EXAT 99999999999', 'GET k',
  'SET k 11 PXAT 99999999999999', 'GET k', 'DEL k', 'SET k 1 GET XX', 'SET k 1 GET', 'GET k', 'DEL k'));
one('SET that expires at once', words('SET k 1', 'SET k 2 EXAT 1', 'GET k', 'SET k 3 PXAT 1', 'GET k', 'TTL k',
  'EXISTS k'));
one('SET with wrong options', words('DEL k', 'SET k v NX XX', 'SET k v EX', 'SET k v EX x', 'SET k v EX 0',
  'SET k v EX -1', 'SET k v PX 0', 'SET k v EX 1 PX 1', 'SET k v KEEPTTL EX 1', 'SET k v NOSUCH',
  'SET k v EX 99999999999999999', 'SET k v EX 9223372036854775807', 'SET k v PX 9223372036854775807', 'SET k v EXAT 0',
  'SET k v PXAT -5', 'SET k v EX 1.5', 'SET k v EX 99999999999999999999', 'SET k v GET NX KEEPTTL XX', 'GET k'));
one('SETNX, SETEX, PSETEX, GETSET, GETDEL', words('DEL k', 'SETNX k 1', 'SETNX k 2', 'GET k', 'SETEX k 100 3', 'TTL k',
  'SETEX k 0 4', 'SETEX k -1 4', 'SETEX k x 4', 'PSETEX k 100000 5', 'TTL k', 'PSETEX k 0 6', 'GETSET k 7', 'TTL k',
  'GETDEL k', 'GETDEL k', 'GETSET k 8', 'GETDEL k', 'EXISTS k', 'SETEX k 99999999999999999 1'));
one('numbers', words('DEL num', 'INCR num', 'INCR num', 'DECR num', 'INCRBY num 10', 'DECRBY num 20', 'INCRBY num -5',
  'GET num', 'INCRBY num x', 'INCRBY num 1.5', 'INCRBY num 99999999999999999999', 'SET num 9223372036854775807',
  'INCR num', 'INCRBY num 1', 'DECR num', 'SET num -9223372036854775808', 'DECR num', 'DECRBY num 1',
  'DECRBY num -9223372036854775808', 'SET num x', 'INCR num', 'SET num 01', 'INCR num', 'SET num 1.0', 'INCR num',
  'DEL num', 'INCRBY num -9223372036854775808', 'GET num', 'DEL num', 'SET num 5 EX 100', 'INCR num', 'TTL num',
  'DEL num'));
one('a number with a blank', all(['SET', 'num', ' 1'], ['INCR', 'num'], ['SET', 'num', ''], ['INCR', 'num'], ['DEL',
  'num']));

// ---- keys of any kind ----
one('DEL, UNLINK, EXISTS, TYPE', words('SET k1 1', 'SET k2 1', 'EXISTS k1 k2 k3 k1', 'TYPE k1', 'TYPE nosuch',
  'DEL k1 k2 k3 k1', 'EXISTS k1 k2', 'SET k1 1', 'UNLINK k1 k1', 'UNLINK k1', 'XADD s * f v', 'TYPE s', 'EXISTS s s',
  'DEL s', 'TYPE s'), { mask: [ID] });
one('a channel is no key', words('PUBLISH ch x', 'EXISTS ch', 'TYPE ch', 'TTL ch', 'PTTL ch', 'EXPIRE ch 100', 'PERSIST ch',
  'DEL ch', 'UNLINK ch', 'GET ch', 'SET ch v NX', 'PUBLISH ch x', 'TYPE ch', 'EXISTS ch ch', 'DEL ch', 'EXISTS ch'));
one('EXPIRE', words('DEL k', 'EXPIRE k 100', 'TTL k', 'PTTL k', 'EXPIRETIME k', 'PEXPIRETIME k', 'SET k v', 'TTL k',
  'PTTL k', 'EXPIRETIME k', 'PEXPIRETIME k', 'EXPIRE k 100', 'TTL k', 'PERSIST k', 'PERSIST k', 'TTL k',
  'PEXPIRE k 100000', 'TTL k', 'EXPIREAT k 99999999999', 'PEXPIREAT k 99999999999999', 'PERSIST nosuch', 'EXPIRE k x',
  'EXPIRE k 1.5', 'EXPIRE k 9223372036854775807', 'EXPIRE k -9223372036854775808', 'PEXPIRE k 9223372036854775807',
  'EXISTS k', 'DEL k'));
one('EXPIREAT and PXAT are read back as they were told', words('SET k 1 PXAT 99999999999123', 'PEXPIRETIME k', 'EXPIRETIME k', 'INCR k',
  'PEXPIRETIME k', 'SET k v KEEPTTL', 'PEXPIRETIME k', 'PEXPIREAT k 99999999999123 GT', 'PEXPIREAT k 99999999999123 LT',
  'PEXPIREAT k 99999999999124 GT', 'PEXPIRETIME k', 'EXPIREAT k 99999999998', 'PEXPIRETIME k', 'EXPIREAT k 99999999998 LT',
  'SET k v EXAT 99999999997', 'PEXPIRETIME k', 'MULTI', 'PEXPIREAT k 99999999999125', 'PEXPIRETIME k', 'SET j v PXAT 99999999999126',
  'PEXPIRETIME j', 'SET j v PX 5 PXAT 7', 'PEXPIRE j 5 PXAT 7', 'PEXPIRE j 5 gt pxat 7', 'EXEC', 'PERSIST k', 'PEXPIRETIME k', 'DEL k j'));
one('EXPIRE with conditions', words('DEL k', 'SET k v', 'EXPIRE k 100 XX', 'EXPIRE k 100 GT', 'TTL k',
  'EXPIRE k 100 LT', 'TTL k', 'EXPIRE k 200 LT', 'TTL k', 'EXPIRE k 50 GT', 'TTL k', 'EXPIRE k 200 GT', 'TTL k',
  'EXPIRE k 100 NX', 'EXPIRE k 100 XX', 'TTL k', 'EXPIRE k 100 NX XX', 'EXPIRE k 100 GT LT', 'EXPIRE k 100 NX GT',
  'EXPIRE k 150 XX GT', 'EXPIRE k 100 nosuch', 'PERSIST k', 'EXPIRE k 100 nx', 'DEL k'));
one('EXPIRE in the past removes', words('SET k v', 'EXPIRE k 0', 'EXISTS k', 'SET k v', 'EXPIRE k -1', 'EXISTS k',
  'SET k v', 'EXPIREAT k 1', 'EXISTS k', 'SET k v', 'PEXPIREAT k 1', 'EXISTS k', 'SET k v', 'PEXPIRE k -1',
  'EXISTS k'));

// ---- streams ----
one('XADD, XLEN, XRANGE, XREVRANGE', words('DEL s', 'XLEN s', 'XRANGE s - +', 'XADD s * f v', 'XADD s * f 1 g 2',
  'XLEN s', 'XRANGE s - +', 'XREVRANGE s + -', 'XRANGE s - + COUNT 1', 'XREVRANGE s + - COUNT 1',
  'XRANGE s - + COUNT 0', 'XRANGE s - + COUNT -1', 'XRANGE s + -', 'XREVRANGE s - +', 'XRANGE s 0 1',
  'XRANGE s 99999999999999 +', 'xrange s - + count 5', 'XRANGE s (0 +', 'XREVRANGE s + (0-1', 'DEL s'), { mask: [ID] });
one('XRANGE with wrong arguments', words('DEL s', 'XRANGE s x +', 'XRANGE s - x', 'XRANGE s - + NOSUCH 1',
  'XRANGE s - + COUNT', 'XRANGE s - + COUNT x', 'XRANGE s 1-x +', 'XRANGE s (- +', 'XRANGE s - (+',
  'XRANGE s (18446744073709551615-18446744073709551615 +', 'XRANGE s - (0-0', 'XREVRANGE s x -', 'XRANGE s -1 +',
  'XRANGE s 1-1-1 +', 'XRANGE s 18446744073709551616 +'));
one('XADD with options', words('DEL s', 'XADD s NOMKSTREAM * f v', 'EXISTS s', 'XADD s * f 1', 'XADD s * f 2',
  'XADD s * f 3', 'XADD s MAXLEN 2 * f 4', 'XRANGE s - +', 'XADD s MAXLEN = 1 * f 5', 'XRANGE s - +',
  'XADD s MINID 99999999999999 * f 6', 'XLEN s', 'XADD s nomkstream maxlen 10 * f 7', 'XADD s MINID = 0 * f 8',
  'XLEN s', 'XADD s MAXLEN 0 * f 9', 'XLEN s', 'EXISTS s', 'TYPE s', 'DEL s'), { mask: [ID] });
one('XADD with wrong options', words('DEL s', 'XADD s * f v g', 'XADD s MAXLEN * f v', 'XADD s MAXLEN x * f v',
  'XADD s MAXLEN -1 * f v', 'XADD s MAXLEN 1 LIMIT 1 * f v', 'XADD s MAXLEN ~ 1 LIMIT x * f v',
  'XADD s MAXLEN ~ 1 LIMIT -1 * f v', 'XADD s MAXLEN 1 MINID 1 * f v', 'XADD s MINID x * f v', 'XADD s NOSUCH * f v',
  'XADD s x f v', 'XADD s 1-x f v', 'XADD s MAXLEN 1', 'EXISTS s'));
one('XTRIM', words('DEL s', 'XTRIM s MAXLEN 1', 'XADD s * f 1', 'XADD s * f 2', 'XADD s * f 3', 'XTRIM s MAXLEN 2',
  'XLEN s', 'XTRIM s MAXLEN = 2', 'XTRIM s MINID 0', 'XTRIM s MINID 99999999999999', 'XLEN s', 'TYPE s',
  'XTRIM s NOSUCH 1', 'XTRIM s MAXLEN', 'XTRIM s MAXLEN x', 'XTRIM s MAXLEN -1', 'XTRIM s MAXLEN 1 LIMIT 1',
  'XTRIM s MINID x', 'XTRIM s MAXLEN 1 MINID 1', 'DEL s'), { mask: [ID] });
one('XDEL', words('DEL s', 'XDEL s 1-1', 'XADD s * f 1', 'XDEL s 1-1', 'XDEL s 1', 'XDEL s x', 'XDEL s 1-1 x',
  'XDEL s 1-1 2-2', 'XLEN s', 'DEL s', 'XDEL s x'), { mask: [ID] });
one('XREAD', words('DEL s t', 'XREAD STREAMS s 0', 'XREAD STREAMS s t 0 0', 'XADD s * f 1', 'XADD s * f 2',
  'XADD t * g 3', 'XREAD STREAMS s t 0 0', 'XREAD COUNT 1 STREAMS s t 0 0', 'XREAD COUNT 0 STREAMS s 0',
  'XREAD COUNT -1 STREAMS s 0-0', 'XREAD STREAMS s $', 'XREAD STREAMS s t $ 0', 'xread count 1 streams t 0',
  'XREAD STREAMS s 99999999999999', 'DEL s t'), { mask: [ID] });
one('XREAD with wrong arguments', words('DEL s', 'XREAD STREAMS s x', 'XREAD STREAMS s t 0', 'XREAD COUNT 1 s 0',
  'XREAD COUNT x STREAMS s 0', 'XREAD BLOCK x STREAMS s 0', 'XREAD BLOCK -1 STREAMS s 0', 'XREAD NOSUCH 1 STREAMS s 0',
  'XREAD STREAMS s >', 'XREAD COUNT STREAMS s 0', 'XREAD BLOCK 1 COUNT 1 STREAMS', 'XREAD BLOCK 0 COUNT 1',
  'XREAD STREAMS s 1-x', 'XREAD NOACK STREAMS s 0', 'XREAD STREAMS s (1', 'XREAD GROUP g c STREAMS s 0'));
one('XREAD that blocks and gets nothing', words('DEL s', 'XREAD BLOCK 5 STREAMS s $', 'PING',
  'XREAD COUNT 1 BLOCK 5 STREAMS s t $ 0', 'XADD s * f v', 'XREAD BLOCK 0 STREAMS s 0',
  'XREAD COUNT 1 BLOCK 5 STREAMS s $', 'DEL s'), { mask: [ID] });
many('XREAD that blocks gets what is added', [
  ['b', words('DEL s t')],
  ['a', words('XREAD BLOCK 0 STREAMS s t $ $', 'ECHO behind'), { blocks: true }],
  ['b', words('SET s2 v', 'XADD t * f v', 'DEL s2')], ['a', words('XREAD BLOCK 0 COUNT 5 STREAMS s t 0 0')],
  ['b', words('DEL s t')],
], { mask: [ID] });
many('XREAD that blocks goes on when a transaction adds', [
  ['b', words('DEL s')],
  ['a', words('XREAD BLOCK 0 COUNT 10 STREAMS s $'), { blocks: true }],
  ['b', words('MULTI', 'XADD s * f 1', 'XADD s * f 2', 'EXEC', 'DEL s')],
], { mask: [ID] });
for (const [what, read, ...written] of [
  ['of a stream that it names twice', 'XREAD BLOCK 0 STREAMS s s $ $', 'XADD s * f 1'],
  ['of a stream that it names twice, behind two ids', 'XREAD BLOCK 0 STREAMS t s t s 0 0 $ $', 'XADD s * f 1'],
  ['the stream that got an entry first', 'XREAD BLOCK 0 STREAMS s t $ $', 'MULTI', 'XADD t * f 1', 'XADD s * f 2',
    'XADD t * f 3', 'EXEC'],
  ['at most COUNT of it', 'XREAD COUNT 1 BLOCK 0 STREAMS s t $ $', 'MULTI', 'XADD t * f 1', 'XADD s * f 2', 'XADD t * f 3', 'EXEC'],
  ['of the next stream when the first was deleted', 'XREAD BLOCK 0 STREAMS s t $ $', 'MULTI', 'XADD t * f 1', 'DEL t',
    'XADD s * f 2', 'EXEC'],
  ['nothing of what is deleted', 'XREAD BLOCK 0 STREAMS s t $ $', 'MULTI', 'XADD s * f 1', 'DEL s', 'EXEC'],
  ['of a stream while another key became a string', 'XREAD BLOCK 0 STREAMS s t $ $', 'MULTI', 'SET s v', 'XADD t * f 1', 'EXEC'],
  ['nothing of a stream that became a string', 'XREAD BLOCK 0 STREAMS s t $ $', 'MULTI', 'XADD s * f 1', 'SET s v', 'EXEC'],
]) {
  many(`XREAD that blocks gets ${what}`, [
    ['b', words('DEL s t')], ['a', words(read), { blocks: true }], ['b', words(...written)],
    ['b', words('XADD t * f last', 'XADD s * f last')], ['b', words('DEL s t')],
  ], { mask: [ID] });
}
one('XINFO STREAM', words('DEL s', 'XINFO STREAM s', 'XADD s * f 1', 'XADD s * f 2', 'XINFO STREAM s',
  'XINFO STREAM s NOSUCH', 'XINFO STREAM s FULL COUNT', 'XINFO STREAM s FULL COUNT x', 'XINFO NOSUCH', 'XINFO NOSUCH s',
  'XTRIM s MAXLEN 0', 'XINFO STREAM s', 'DEL s'), { mask: XINFO });
one('wrong kinds', words('DEL k s', 'SET k v', 'XADD s * f v', 'XADD k * f v', 'XLEN k', 'XRANGE k - +',
  'XREVRANGE k + -', 'XDEL k 1-1', 'XTRIM k MAXLEN 1', 'XREAD STREAMS k 0', 'XREAD BLOCK 1 STREAMS k 0',
  'XINFO STREAM k', 'GET s', 'INCR s', 'GETSET s v', 'GETDEL s', 'SET s v GET', 'SETNX s v', 'SET s v NX', 'TYPE s',
  'SET s v', 'TYPE s', 'XADD s * f v', 'DEL k s'), { mask: [ID] });

// ---- transactions ----
one('MULTI and EXEC', words('DEL k', 'MULTI', 'SET k 1', 'INCR k', 'get k', 'PING', 'PING x', 'ECHO y', 'PUBLISH c x',
  'SPUBLISH c x', 'EXEC', 'GET k', 'EXEC', 'DISCARD', 'MULTI', 'EXEC', 'DEL k'));
one('MULTI that only reads', words('SET k 1', 'MULTI', 'GET k', 'EXISTS k', 'TTL k', 'TYPE k', 'XLEN k',
  'XRANGE nosuch - +', 'PING', 'XREAD BLOCK 0 STREAMS nosuch $', 'EXEC', 'DEL k'));
one('MULTI of streams', words('DEL s', 'MULTI', 'XADD s * f 1', 'XADD s * f 2', 'XLEN s', 'XRANGE s - +',
  'XREAD COUNT 1 STREAMS s 0', 'XREAD STREAMS s $', 'XTRIM s MAXLEN 1', 'XDEL s 1-1', 'EXEC', 'XLEN s', 'DEL s'),
  { mask: [ID] });
one('as the adapter takes its session', words('SET k v PX 100000', 'MULTI', 'GET k', 'DEL k', 'EXEC', 'GET k'));
one('errors before EXEC', words('DEL k', 'MULTI', 'SET k', 'SET k v', 'EXEC', 'GET k', 'MULTI', 'NOSUCH', 'SET k v',
  'EXEC', 'MULTI', 'XINFO NOSUCH', 'EXEC', 'MULTI', 'EXEC x', 'EXEC', 'EXEC x', 'MULTI', 'SET k v', 'DISCARD x', 'EXEC',
  'GET k'));
one('errors within EXEC', words('DEL k', 'MULTI', 'SET k v NOSUCH', 'SET k v EX 0', 'SET k v PX 0', 'set k v px -5',
  'SET k x', 'INCR k', 'XADD k * f v', 'XADD k * f', 'XRANGE k x +', 'EXPIRE k x', 'EXPIREAT k x', 'XREAD STREAMS k',
  'GET k', 'EXEC', 'GET k', 'DEL k'));
one('errors within EXEC that only reads', words('DEL k', 'MULTI', 'SET k v PX 0', 'set k v nosuch', 'XRANGE k x +',
  'GET k', 'EXEC', 'GET k'));
one('MULTI in MULTI, WATCH in MULTI', words('DEL k', 'MULTI', 'MULTI', 'SET k v', 'WATCH k', 'EXEC', 'GET k', 'DEL k'));
one('DISCARD', words('DEL k', 'MULTI', 'SET k v', 'DISCARD', 'GET k', 'EXEC', 'MULTI', 'NOSUCH', 'DISCARD', 'MULTI',
  'SET k v', 'EXEC', 'DEL k'));
one('RESET ends a transaction', words('DEL k', 'MULTI', 'SET k v', 'RESET', 'EXEC', 'GET k'), { both: false });
one('QUIT within a transaction', words('DEL k', 'MULTI', 'SET k v', 'QUIT'), { closes: true });
one('a transaction of a session that subscribes', words('SUBSCRIBE c', 'MULTI', 'EXEC', 'EXEC x', 'DISCARD', 'GET k',
  'UNSUBSCRIBE', 'MULTI', 'SET k v', 'EXEC', 'DEL k'), { both: false });
one('an error in the session of MONITOR', words('MONITOR', 'GET k', 'SET k v', 'EVAL x 0', 'PUBLISH c x'),
  { both: false });
many('MONITOR shows keys and transactions', [
  ['a', words('MONITOR')],
  ['b', words('SET k v', 'GET k', 'XADD s * f v', 'MULTI', 'SET k 2', 'DEL k s', 'EXEC')],
], { mask: [[/\+\d+\.\d+ \[0 unix:[^\]]*\]/g, '+<time> [0 unix:<path>]'], ID], both: false });

// ---- scripts ----
const EACH = 'for i = 2, #ARGV do\n  redis.call(\'publish\', ARGV[i], ARGV[1])\nend';
const EACH_SHA = require('node:crypto').createHash('sha1').update(EACH).digest('hex');
const NUMBERED = 'local newId = redis.call(\'INCR\', KEYS[1])\r\n' +
  '                  local payload = newId .. \' \' .. ARGV[1]\r\n' +
  '                  redis.call(\'PUBLISH\', KEYS[1], payload)\r\n                  return {newId, ARGV[1], payload}';
one('EVAL with a wrong number of keys', all(['EVAL', EACH, 'x'], ['EVAL', EACH, '-1'], ['EVAL', EACH, '5', 'a'],
  ['EVAL', EACH, '1.5'], ['EVAL', EACH, '99999999999999999999'], ['EVALSHA', 'abc', 'x'], ['EVALSHA', 'abc', '0'],
  ['EVALSHA', EACH_SHA, '5'], ['EVALSHA', EACH_SHA, 'x'], ['EVALSHA', 'f'.repeat(40), '0'], ['EVALSHA', 'f'.repeat(40),
  '0', 'a', 'b']));
many('Laravel\'s script', [
  ['b', words('SUBSCRIBE c d')],
  ['a', all(['EVAL', EACH, '0', 'payload', 'c', 'd', 'e'])], ['a', all(['EVALSHA', EACH_SHA, '0', 'again', 'd'])],
  ['a', all(['EVALSHA', EACH_SHA.toUpperCase(), '1', 'key', 'third', 'c'], ['EVAL', EACH, '0'], ['EVAL', EACH, '0',
    'x'])],
]);
many('SignalR\'s script', [
  ['b', words('SUBSCRIBE numbered')], ['a', all(['DEL', 'numbered'], ['EVAL', NUMBERED, '1', 'numbered', 'text'])],
  ['a', all(['EVAL', `${NUMBERED}  \n  `, '1', 'numbered', 'more'])],
], { mask: [[/:[1-9]\d*\r\n(\$4\r\n(?:text|more)\r\n)/g, ':<number>\r\n$1'], [/\$\d+\r\n\d+ (text|more)\r\n/g,
  '<number> $1\r\n']] });
one('SCRIPT', all(['SCRIPT', 'FLUSH'], ['SCRIPT', 'EXISTS', EACH_SHA, 'x'], ['SCRIPT', 'LOAD', EACH], ['SCRIPT',
  'EXISTS', EACH_SHA, 'x'], ['script', 'exists', EACH_SHA.toUpperCase()], ['EVALSHA', EACH_SHA, '0', 'p', 'c'],
  ['SCRIPT', 'FLUSH', 'x'], ['SCRIPT', 'FLUSH', 'ASYNC', 'SYNC'], ['SCRIPT', 'FLUSH', 'async'], ['EVALSHA', EACH_SHA,
  '0', 'p', 'c'], ['SCRIPT', 'NOSUCH'], ['SCRIPT', 'NOSUCH', 'x'], ['SCRIPT', 'LOAD', NUMBERED], ['SCRIPT', 'FLUSH',
  'Sync']));

// ---- COMMAND ----
// Redis has notes for people in what it says of SET and XADD; of EVAL and SCRIPT too.
const NOTED = /^(SET|XADD|EVAL|EVALSHA|SCRIPT)$/;
one('COMMAND INFO of commands on keys', cmd('COMMAND', 'INFO', ...NAMES.filter((name) => !NOTED.test(name))),
  { sort: true });
one('COMMAND INFO in order', words('COMMAND INFO get', 'COMMAND INFO exists xread', 'COMMAND INFO xinfo|stream',
  'COMMAND INFO xgroup|create'), { sort: true });
one('COMMAND GETKEYS', words('COMMAND GETKEYS SET a b', 'COMMAND GETKEYS DEL a b c',
  'COMMAND GETKEYS XREAD COUNT 1 STREAMS a b 0 0', 'COMMAND GETKEYS XREAD COUNT 1 STREAM a b 0 0',
  'COMMAND GETKEYS XREAD BLOCK 0 STREAMS a b 0', 'COMMAND GETKEYS EVAL x 2 a b c', 'COMMAND GETKEYS EVAL x 0 a',
  'COMMAND GETKEYS EVAL x 9 a', 'COMMAND GETKEYS EVAL x y a', 'COMMAND GETKEYS XINFO STREAM k',
  'COMMAND GETKEYS GET a b', 'COMMAND GETKEYS PING x', 'COMMAND GETKEYS NOSUCH x', 'COMMAND GETKEYS WATCH a b',
  'COMMAND GETKEYS XREADGROUP GROUP g c STREAMS a b > >', 'COMMAND GETKEYS XGROUP CREATE k g 0',
  'COMMAND GETKEYS XINFO NOSUCH', 'COMMAND GETKEYS MULTI x', 'COMMAND GETKEYS GET', 'COMMAND GETKEYS SPUBLISH a b',
  'COMMAND GETKEYS EXISTS a a'));
one('COMMAND GETKEYSANDFLAGS', words('COMMAND GETKEYSANDFLAGS SET a b', 'COMMAND GETKEYSANDFLAGS SET a b GET',
  'COMMAND GETKEYSANDFLAGS SET a b EX 1 get', 'COMMAND GETKEYSANDFLAGS DEL a b', 'COMMAND GETKEYSANDFLAGS EVAL x 1 a',
  'COMMAND GETKEYSANDFLAGS XREAD STREAMS a 0', 'COMMAND GETKEYSANDFLAGS TYPE a',
  'COMMAND GETKEYSANDFLAGS XADD a * f v'), { sort: true });

module.exports = { scripts };
