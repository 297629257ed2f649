'use strict';
// Keys and streams as docs/commands.md has them, as simple as can be: every command as it runs at one place of one
// log. Ids are objects, in order of appearance; what they are called differs from server to server. A name may be
// a key (a string or a stream) and a channel at once: the entries of both are one list.
//
//   run(args) -> a reply: text, number, null, array, Failure, Id, Near, Info, Streams

/** An id, as reply and as argument. */
class Id {
  constructor(number, partition) {
    Object.assign(this, { number, partition });
  }
}

/** "(" and an id, as an argument. */
class Beyond {
  constructor(id) {
    this.id = id;
  }
}

/** An error reply. */
class Failure {
  constructor(message) {
    this.message = message;
  }
}

/** A time that depends on when it was asked; per: ms of its unit. */
class Near {
  constructor(ms, per) {
    Object.assign(this, { ms, per });
  }
}

/** What XINFO STREAM says, as far as it is the same everywhere. */
class Info {
  constructor(fields) {
    this.fields = fields;
  }
}

/** What XREAD gives: [name, entries], each. */
class Streams {
  constructor(list) {
    this.list = list;
  }
}

const WRONG_TYPE = new Failure('WRONGTYPE Operation against a key holding the wrong kind of value');
const NOT_INTEGER = new Failure('ERR value is not an integer or out of range');
const I64_MAX = 2n ** 63n - 1n;
const I64_MIN = -(2n ** 63n);

const say = (entry) => [entry.id, entry.fields];

/** The place of an id argument in the order of ids. */
function placeOf(text) {
  if (text instanceof Id) return text.number;
  if (text === '-' || text === '0' || text === '0-0') return 0;
  if (text === '+' || text === '99999999999999') return Infinity;
  throw new Error(`the reference does not know the id ${text}`);
}

/** A text that is a number to INCR, or nothing. */
function integerOf(text) {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) return undefined;
  const value = BigInt(text);
  return value > I64_MAX || value < I64_MIN ? undefined : value;
}

class Reference {
  /** partitionOf: of a name. */
  constructor(partitionOf) {
    this.partitionOf = partitionOf;
    this.keys = new Map(); // name -> {kind, value | added, last; deadline}
    this.streams = new Map(); // name -> entries {id, fields}
    this.number = 0;
  }

  run(args) {
    const [name, ...rest] = args;
    return this[name](...rest);
  }

  // ---- what there is ----

  key(name) {
    const key = this.keys.get(name);
    if (!key || !key.deadline || key.deadline > Date.now()) return key;
    this.remove(name);
    return undefined;
  }

  /** A stream's entries go with it, those of a channel do not go with a string of its name. */
  remove(name) {
    if (this.keys.get(name).kind === 'stream') this.streams.delete(name);
    this.keys.delete(name);
  }

  store(name, value, deadline) {
    if (this.keys.get(name)?.kind === 'stream') this.streams.delete(name);
    this.keys.set(name, { kind: 'string', value, deadline });
  }

  entries(name) {
    this.key(name);
    return this.streams.get(name) || [];
  }

  isString(name) {
    return this.key(name)?.kind === 'string';
  }

  isStream(name) {
    return this.key(name)?.kind === 'stream';
  }

  /** Something can be read: a name that was only published to is no key, and has entries all the same. */
  isReadable(name) {
    return Boolean(this.key(name)) || this.entries(name).length > 0;
  }

  append(name, fields) {
    const id = new Id(++this.number, this.partitionOf(name));
    this.entries(name);
    if (!this.streams.has(name)) this.streams.set(name, []);
    this.streams.get(name).push({ id, fields });
    return id;
  }

  // ---- strings ----

  GET(name) {
    if (this.isStream(name)) return WRONG_TYPE;
    return this.key(name)?.value ?? null;
  }

  SET(name, value, ...options) {
    const has = (word) => options.includes(word);
    const key = this.key(name);
    if (has('GET') && key?.kind === 'stream') return WRONG_TYPE;
    const old = key?.value ?? null;
    if (has('NX') ? key : has('XX') && !key) return has('GET') ? old : null;
    let deadline = has('KEEPTTL') ? key?.deadline : undefined;
    for (const [word, per, start] of [['EX', 1000, Date.now()], ['PX', 1, Date.now()], ['EXAT', 1000, 0], ['PXAT', 1, 0]]) {
      if (has(word)) deadline = start + Number(options[options.indexOf(word) + 1]) * per;
    }
    if (deadline !== undefined && deadline <= Date.now()) {
      if (key) this.remove(name);
    } else {
      this.store(name, value, deadline);
    }
    return has('GET') ? old : 'OK';
  }

  SETNX(name, value) {
    return this.SET(name, value, 'NX') === 'OK' ? 1 : 0;
  }

  SETEX(name, seconds, value) {
    return this.SET(name, value, 'EX', seconds);
  }

  PSETEX(name, ms, value) {
    return this.SET(name, value, 'PX', ms);
  }

  GETSET(name, value) {
    return this.SET(name, value, 'GET');
  }

  GETDEL(name) {
    const reply = this.GET(name);
    if (this.isString(name)) this.remove(name);
    return reply;
  }

  INCRBY(name, by) {
    if (this.isStream(name)) return WRONG_TYPE;
    const key = this.key(name);
    const value = key ? integerOf(key.value) : 0n;
    if (value === undefined) return NOT_INTEGER;
    const sum = value + BigInt(by);
    if (sum > I64_MAX || sum < I64_MIN) return new Failure('ERR increment or decrement would overflow');
    this.store(name, String(sum), key?.deadline);
    return Number(sum);
  }

  INCR(name) {
    return this.INCRBY(name, 1);
  }

  DECR(name) {
    return this.INCRBY(name, -1);
  }

  DECRBY(name, by) {
    return this.INCRBY(name, -BigInt(by));
  }

  // ---- keys of any kind ----

  DEL(...names) {
    let removed = 0;
    for (const name of names) {
      if (!this.key(name)) continue;
      this.remove(name);
      removed += 1;
    }
    return removed;
  }

  UNLINK(...names) {
    return this.DEL(...names);
  }

  EXISTS(...names) {
    return names.filter((name) => this.key(name)).length;
  }

  TYPE(name) {
    return this.key(name)?.kind ?? 'none';
  }

  timeOf(name, since, per) {
    const key = this.key(name);
    if (key?.deadline) return new Near(key.deadline - since, per);
    return key ? -1 : -2;
  }

  TTL(name) {
    return this.timeOf(name, Date.now(), 1000);
  }

  PTTL(name) {
    return this.timeOf(name, Date.now(), 1);
  }

  EXPIRETIME(name) {
    return this.timeOf(name, 0, 1000);
  }

  PEXPIRETIME(name) {
    return this.timeOf(name, 0, 1);
  }

  PEXPIREAT(name, at, ...conditions) {
    const key = this.key(name);
    const has = (word) => conditions.includes(word);
    const old = key?.deadline ?? Infinity;
    const isRefused = (has('NX') && old !== Infinity) || (has('XX') && old === Infinity) ||
      (has('GT') && !(Number(at) > old)) || (has('LT') && !(Number(at) < old));
    if (!key || isRefused) return 0;
    if (Number(at) <= Date.now()) this.remove(name);
    else key.deadline = Number(at);
    return 1;
  }

  EXPIREAT(name, at, ...conditions) {
    return this.PEXPIREAT(name, Number(at) * 1000, ...conditions);
  }

  PEXPIRE(name, ms, ...conditions) {
    return this.PEXPIREAT(name, Date.now() + Number(ms), ...conditions);
  }

  EXPIRE(name, seconds, ...conditions) {
    return this.PEXPIRE(name, Number(seconds) * 1000, ...conditions);
  }

  PERSIST(name) {
    const key = this.key(name);
    if (!key?.deadline) return 0;
    key.deadline = undefined;
    return 1;
  }

  // ---- streams ----

  PUBLISH(name, payload) {
    this.append(name, ['data', payload]);
    return 0; // nobody subscribes
  }

  /** words: MAXLEN or MINID, [= or ~], a threshold, [LIMIT n]. How many go. */
  trim(name, [strategy, ...words]) {
    const limitAt = words.indexOf('LIMIT');
    const limit = limitAt < 0 ? 0 : Number(words.splice(limitAt, 2)[1]);
    const entries = this.entries(name);
    const length = entries.length;
    const keep = words.at(-1);
    const fits = strategy === 'MAXLEN' ? Math.min(length, Number(keep))
      : entries.filter((entry) => entry.id.number >= placeOf(keep)).length;
    const left = limit ? Math.max(fits, length - limit) : fits;
    if (length > 0) entries.splice(0, length - left);
    return length - left;
  }

  XADD(name, ...words) {
    const star = words.indexOf('*');
    const options = words.slice(0, star).filter((word) => word !== 'NOMKSTREAM');
    if (this.isString(name)) return WRONG_TYPE;
    if (!this.key(name)) {
      if (options.length < star) return null;
      this.keys.set(name, { kind: 'stream', added: 0 });
    }
    const id = this.append(name, words.slice(star + 1));
    const key = this.keys.get(name);
    key.added += 1;
    key.last = id;
    if (options.length > 0) this.trim(name, options);
    return id;
  }

  XTRIM(name, ...words) {
    return this.isString(name) ? WRONG_TYPE : this.trim(name, words);
  }

  XDEL(name, ...ids) {
    if (this.isString(name)) return WRONG_TYPE;
    const entries = this.entries(name);
    let deleted = 0;
    for (const id of ids) {
      const at = entries.findIndex((entry) => entry.id.number === placeOf(id));
      if (at >= 0) deleted += entries.splice(at, 1).length;
    }
    return deleted;
  }

  XLEN(name) {
    return this.isString(name) ? WRONG_TYPE : this.entries(name).length;
  }

  range(name, from, to, [, count]) {
    if (this.isString(name)) return WRONG_TYPE;
    if (this.isReadable(name) && Number(count) <= 0) return null;
    const low = from instanceof Beyond ? from.id.number + 0.5 : placeOf(from);
    const high = to instanceof Beyond ? to.id.number - 0.5 : placeOf(to);
    return this.entries(name).filter(({ id }) => id.number >= low && id.number <= high).map(say);
  }

  XRANGE(name, from, to, ...count) {
    const found = this.range(name, from, to, count);
    return Array.isArray(found) ? found.slice(0, count.length ? Number(count[1]) : Infinity) : found;
  }

  XREVRANGE(name, to, from, ...count) {
    const found = this.range(name, from, to, count);
    return Array.isArray(found) ? found.reverse().slice(0, count.length ? Number(count[1]) : Infinity) : found;
  }

  XINFO(_, name) {
    if (!this.isReadable(name)) return new Failure('ERR no such key');
    if (this.isString(name)) return WRONG_TYPE;
    const entries = this.entries(name);
    const { added = 0, last } = this.key(name) || {};
    const latest = [last, entries.at(-1)?.id].filter(Boolean).sort((a, b) => b.number - a.number)[0];
    return new Info({
      length: entries.length, 'last-generated-id': latest ?? '0-0', 'entries-added': Math.max(added, entries.length),
      'recorded-first-entry-id': entries[0]?.id ?? '0-0', groups: 0, 'first-entry': entries.length ? say(entries[0]) : null,
      'last-entry': entries.length ? say(entries.at(-1)) : null,
    });
  }

  XREAD(...words) {
    const at = words.indexOf('STREAMS') + 1;
    const count = words.slice(0, at).includes('COUNT') ? Number(words[words.indexOf('COUNT') + 1]) : 0;
    const names = words.slice(at, at + (words.length - at) / 2);
    const list = [];
    for (const [i, name] of names.entries()) {
      const id = words[at + names.length + i];
      if (this.isString(name)) return WRONG_TYPE;
      const entries = this.entries(name);
      const after = id === '$' ? Infinity : id === '+' ? (entries.at(-1)?.id.number ?? Infinity) - 0.5 : placeOf(id);
      const found = entries.filter((entry) => entry.id.number > after).slice(0, count || Infinity).map(say);
      if (found.length > 0) list.push([name, found]);
    }
    return list.length > 0 ? new Streams(list) : null;
  }

  PING() {
    return 'PONG';
  }

  ECHO(text) {
    return text;
  }
}

module.exports = { Beyond, Failure, Id, Info, Near, Reference, Streams };
