'use strict';
// What model.js does at random: commands on a few names, in single steps, pipelines and transactions. A name of the
// family "k" is a key and nothing else, so that a real redis-server can be given the same; one of the family "c" is
// published to as well, and what was published is read as a stream here.

const { Beyond, Failure, Id } = require('./reference');

const SYNTAX = 'ERR syntax error';
const NOT_INTEGER = 'ERR value is not an integer or out of range';
const BAD_ID = 'ERR Invalid stream ID specified as stream command argument';
const OPTIONS = 'ERR NX and XX, GT or LT options at the same time are not compatible';

/** Commands that are wrong whatever the key holds, and what is said of them. */
const WRONG = [
  [['SET', '', 'v', 'NX', 'XX'], SYNTAX], [['SET', '', 'v', 'EX', '5', 'PX', '5'], SYNTAX], [['SET', '', 'v', 'WHAT'], SYNTAX],
  [['SET', '', 'v', 'EX', 'x'], NOT_INTEGER], [['SET', '', 'v', 'EX', '0'], 'ERR invalid expire time in \'set\' command'],
  [['SETEX', '', '-1', 'v'], 'ERR invalid expire time in \'setex\' command'], [['INCRBY', '', '1.5'], NOT_INTEGER],
  [['DECRBY', '', '-9223372036854775808'], 'ERR decrement would overflow'],
  [['EXPIRE', '', '5', 'NX', 'GT'], OPTIONS], [['EXPIRE', '', '5', 'GT', 'LT'], 'ERR GT and LT options at the same time are not compatible'],
  [['EXPIRE', '', '5', 'OFTEN'], 'ERR Unsupported option OFTEN'], [['EXPIRE', '', 'soon'], NOT_INTEGER],
  [['XADD', '', 'MAXLEN', '-1', '*', 'f', 'v'], 'ERR The MAXLEN argument must be >= 0.'],
  [['XADD', '', 'MAXLEN', '5', 'LIMIT', '1', '*', 'f', 'v'], 'ERR syntax error, LIMIT cannot be used without the special ~ option'],
  [['XADD', '', '*', 'f', 'v', 'g'], 'ERR wrong number of arguments for \'xadd\' command'],
  [['XADD', '', 'what', 'f', 'v'], BAD_ID], [['XRANGE', '', 'x', '+'], BAD_ID], [['XRANGE', '', '-', '+', 'COUNT', 'x'], NOT_INTEGER],
  [['XREVRANGE', '', '+', '-', 'WHAT', '1'], SYNTAX], [['XTRIM', '', 'HALF', '1'], SYNTAX],
  [['XREAD', 'BLOCK', '-1', 'STREAMS', '', '0'], 'ERR timeout is negative'],
];

/** The same where the number of words is wrong: found before anything is queued. */
const SHORT = [
  [['GET'], 'get'], [['SET', 'k'], 'set'], [['XRANGE', 'k', '-'], 'xrange'], [['INCR', 'k', '1'], 'incr'], [['XLEN'], 'xlen'],
].map(([args, name]) => [args, `ERR wrong number of arguments for '${name}' command`]);

const TEXTS = ['', 'text', '0', '1', '-1', '42', '007', ' 8', '1.0', 'x'.repeat(3000), 'two\r\nlines', 'ümläut',
  '9223372036854775806', '-9223372036854775807'];

class Steps {
  /** names: {k: [[names] by partition], c: the same}; ids(partition): those that can be named, oldest first. */
  constructor(chance, names, ids) {
    Object.assign(this, { chance, names, ids });
    this.times = 0;
  }

  pick(list) {
    return list[Math.floor(this.chance() * list.length)];
  }

  below(count) {
    return Math.floor(this.chance() * count);
  }

  /** Times that lie far from one another and from any that is over before the test is. */
  seconds() {
    this.times = (this.times + 389) % 997; // each once, in no order
    return 1000 + this.times * 400;
  }

  family() {
    return this.chance() < 0.65 ? 'k' : 'c';
  }

  text() {
    return this.chance() < 0.5 ? `value ${this.below(1e6)}` : this.pick(TEXTS);
  }

  id(partition) {
    const known = this.ids(partition);
    if (known.length === 0 || this.chance() < 0.25) return this.pick(['0', '0-0', '99999999999999']);
    return this.chance() < 0.7 ? known[Math.max(0, known.length - 1 - this.below(25))] : this.pick(known);
  }

  /** One command on names of this family and partition. */
  command(family, partition) {
    const name = this.pick(this.names[family][partition]);
    const what = this.chance();
    if (what < 0.03) return this.wrong(name);
    if (family === 'c' && what < 0.3) return { args: ['PUBLISH', name, this.text()] };
    return { args: this.pick([this.string, this.string, this.expiry, this.stream, this.stream, this.reading, this.reading, this.any])
      .call(this, name, partition, family) };
  }

  wrong(name) {
    const [args, message] = this.pick(WRONG);
    return { args: args.map((word) => (word === '' ? name : word)), expected: new Failure(message) };
  }

  expiryWords() {
    return this.pick([
      () => ['EX', this.seconds()], () => ['PX', this.seconds() * 1000], () => ['EXAT', Math.round(Date.now() / 1000) + this.seconds()],
      () => ['PXAT', Date.now() + this.seconds() * 1000], () => ['KEEPTTL'], () => ['EXAT', '1'],
    ])();
  }

  string(name) {
    return this.pick([
      () => ['SET', name, this.text(), ...this.chance() < 0.3 ? this.expiryWords() : [], ...this.pick([[], [], ['NX'], ['XX']]),
        ...this.chance() < 0.2 ? ['GET'] : []],
      () => ['SET', name, this.text()],
      () => ['GET', name], () => ['GET', name],
      () => [this.pick(['GETSET', 'SETNX']), name, this.text()],
      () => ['SETEX', name, this.seconds(), this.text()], () => ['PSETEX', name, this.seconds() * 1000, this.text()],
      () => ['GETDEL', name],
      () => [this.pick(['INCR', 'DECR']), name], () => [this.pick(['INCR', 'DECR']), name],
      () => [this.pick(['INCRBY', 'DECRBY']), name, this.pick(['1', '-1', '100', '9223372036854775807', '-9223372036854775807'])],
    ])();
  }

  expiry(name) {
    const condition = this.chance() < 0.4 ? [this.pick(['NX', 'XX', 'GT', 'LT'])] : [];
    return this.pick([
      () => ['EXPIRE', name, this.seconds(), ...condition], () => ['PEXPIRE', name, this.seconds() * 1000, ...condition],
      () => ['EXPIREAT', name, Math.round(Date.now() / 1000) + this.seconds(), ...condition],
      () => ['PEXPIREAT', name, Date.now() + this.seconds() * 1000, ...condition],
      () => [this.pick(['TTL', 'PTTL', 'EXPIRETIME', 'PEXPIRETIME']), name],
      () => [this.pick(['TTL', 'PTTL', 'EXPIRETIME', 'PEXPIRETIME']), name],
      () => ['PERSIST', name],
      () => this.pick([['EXPIRE', name, '0'], ['PEXPIRE', name, '-5', 'LT'], ['EXPIREAT', name, '1']]),
    ])();
  }

  trim(partition) {
    const about = this.pick([[], ['='], ['~']]);
    const limit = about[0] === '~' && this.chance() < 0.3 ? ['LIMIT', 1 + this.below(4)] : [];
    // "~" of more than Redis has in one node of its tree trims nothing there, and here nothing at all.
    if (about[0] === '~') return ['MAXLEN', '~', 100000, ...limit];
    return this.chance() < 0.6 ? ['MAXLEN', ...about, this.below(8)] : ['MINID', ...about, this.id(partition)];
  }

  stream(name, partition) {
    const fields = Array.from({ length: 1 + this.below(3) }, (_, i) => [`f${i}`, this.text()]).flat();
    return this.pick([
      () => ['XADD', name, '*', ...fields], () => ['XADD', name, '*', ...fields], () => ['XADD', name, '*', ...fields],
      () => ['XADD', name, ...this.trim(partition), '*', ...fields],
      () => ['XADD', name, 'NOMKSTREAM', ...this.chance() < 0.5 ? this.trim(partition) : [], '*', ...fields],
      () => ['XDEL', name, ...Array.from({ length: 1 + this.below(3) }, () => this.id(partition))],
      () => ['XTRIM', name, ...this.trim(partition)],
    ])();
  }

  /** '$' has no meaning of its own where nothing can come; '+' is of later versions than the Redis beside. */
  reading(name, partition, family) {
    const count = this.chance() < 0.5 ? ['COUNT', this.below(6)] : [];
    const open = (id) => (id instanceof Id && this.chance() < 0.3 ? new Beyond(id) : id);
    const [from, to] = [this.chance() < 0.4 ? '-' : open(this.id(partition)), this.chance() < 0.4 ? '+' : open(this.id(partition))];
    const others = this.names[family][partition].filter((other) => other !== name && this.chance() < 0.3);
    const after = () => (this.chance() < 0.15 ? '$' : family === 'c' && this.chance() < 0.1 ? '+' : this.id(partition));
    return this.pick([
      () => ['XLEN', name], () => ['XINFO', 'STREAM', name],
      () => ['XRANGE', name, from, to, ...count], () => ['XREVRANGE', name, to, from, ...count],
      () => ['XRANGE', name, '-', '+'],
      () => ['XREAD', ...count, ...this.chance() < 0.2 ? ['BLOCK', '3'] : [], 'STREAMS', name, ...others, after(), ...others.map(after)],
    ])();
  }

  any(name, partition, family) {
    const others = this.names[family][partition].filter(() => this.chance() < 0.3);
    return this.pick([
      () => ['EXISTS', name, ...others], () => ['TYPE', name], () => ['TYPE', name],
      () => [this.pick(['DEL', 'UNLINK']), name], () => ['DEL', name, ...others],
    ])();
  }
}

module.exports = { SHORT, Steps };
