'use strict';
// A Redis connection without opinions: RESP2 and RESP3, binary throughout, no retries, nothing sent that the
// test did not ask for. The load and fault tests use it because real clients hide what happened.

const net = require('node:net');
const { within } = require('./tap');

const CR = 13;
const CONFIRMATIONS = new Set([
  'subscribe', 'unsubscribe', 'psubscribe', 'punsubscribe', 'ssubscribe', 'sunsubscribe',
]);
const MESSAGES = new Set(['message', 'pmessage', 'smessage']);
const INCOMPLETE = Symbol('incomplete');

class RespError extends Error {}

function encode(args) {
  const parts = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
  }
  return Buffer.concat(parts);
}

/** Incremental parser: feed() hands every complete value to onValue(value, isPush). */
class Parser {
  constructor(onValue) {
    this.onValue = onValue;
    this.buffer = Buffer.alloc(0);
    this.at = 0;
    this.need = 0; // bytes without which parsing again is useless
  }

  feed(chunk) {
    this.buffer = this.buffer.length ? Buffer.concat([this.buffer, chunk]) : chunk;
    if (this.buffer.length < this.need) return;
    this.need = 0;
    let start = 0;
    while (start < this.buffer.length) {
      this.at = start;
      const isPush = this.buffer[start] === 62; // '>'
      const value = this.value();
      if (value === INCOMPLETE) break;
      start = this.at;
      this.onValue(value, isPush);
    }
    this.buffer = this.buffer.subarray(start);
    if (this.need) this.need -= start;
  }

  line() {
    const end = this.buffer.indexOf(CR, this.at);
    if (end < 0 || end + 1 >= this.buffer.length) return INCOMPLETE;
    const text = this.buffer.latin1Slice(this.at, end);
    this.at = end + 2;
    return text;
  }

  value() {
    const line = this.line();
    if (line === INCOMPLETE) return INCOMPLETE;
    const rest = line.slice(1);
    switch (line[0]) {
      case '+': return rest;
      case '-': return new RespError(rest);
      case ':': return Number(rest);
      case '_': return null;
      case '#': return rest === 't';
      case ',': return Number(rest);
      case '$': case '=': return this.bulk(Number(rest));
      case '*': case '>': case '~': return this.list(Number(rest));
      case '%': return this.map(Number(rest));
      default: throw new Error(`not RESP: ${JSON.stringify(line.slice(0, 60))}`);
    }
  }

  bulk(length) {
    if (length < 0) return null;
    if (this.buffer.length - this.at < length + 2) {
      this.need = this.at + length + 2;
      return INCOMPLETE;
    }
    const bytes = this.buffer.subarray(this.at, this.at + length);
    this.at += length + 2;
    return bytes;
  }

  list(length) {
    if (length < 0) return null;
    const items = [];
    for (let i = 0; i < length; i++) {
      const item = this.value();
      if (item === INCOMPLETE) return INCOMPLETE;
      items.push(item);
    }
    return items;
  }

  map(length) {
    const flat = this.list(length * 2);
    if (flat === INCOMPLETE) return INCOMPLETE;
    const map = new Map();
    for (let i = 0; i < flat.length; i += 2) map.set(String(flat[i]), flat[i + 1]);
    return map;
  }
}

class Connection {
  /** address: {path} or {host, port}. Messages go to onMessage(channel, payload, pattern, kind). */
  static async connect(address, { onMessage = () => {}, deadline_ms = 5000 } = {}) {
    const connection = new Connection(onMessage);
    connection.socket = net.connect(address);
    connection.socket.on('data', (chunk) => connection.parser.feed(chunk));
    connection.socket.on('error', (error) => connection.end(error));
    connection.socket.on('close', () => connection.end(new Error('connection closed')));
    await within(deadline_ms, `connect to ${JSON.stringify(address)}`, new Promise((resolve, reject) => {
      connection.socket.once('connect', resolve);
      connection.socket.once('error', reject);
    }));
    return connection;
  }

  constructor(onMessage) {
    this.onMessage = onMessage;
    this.waiting = []; // {resolve, reject, confirmations left, values}
    this.head = 0;
    this.closed = false;
    this.parser = new Parser((value, isPush) => this.dispatch(value, isPush));
    this.whenClosed = new Promise((resolve) => (this.resolveClosed = resolve));
  }

  dispatch(value, isPush) {
    if (Array.isArray(value) && Buffer.isBuffer(value[0])) {
      const kind = value[0].latin1Slice();
      if (MESSAGES.has(kind)) {
        if (kind === 'pmessage') this.onMessage(value[2], value[3], value[1], kind);
        else this.onMessage(value[1], value[2], undefined, kind);
        return;
      }
      if (CONFIRMATIONS.has(kind)) {
        const entry = this.waiting[this.head];
        if (!entry || !entry.confirmations) throw new Error(`${kind} that nobody asked for`);
        entry.values.push(value);
        if (--entry.confirmations === 0) this.shift().resolve(entry.values);
        return;
      }
    }
    if (isPush) throw new Error(`unknown push ${value}`);
    const entry = this.shift();
    if (!entry) throw new Error(`reply that nobody asked for: ${value}`);
    if (value instanceof RespError) entry.reject(value);
    else entry.resolve(value);
  }

  shift() {
    const entry = this.waiting[this.head++];
    if (this.head > 1024 && this.head * 2 > this.waiting.length) {
      this.waiting = this.waiting.slice(this.head);
      this.head = 0;
    }
    return entry;
  }

  end(error) {
    if (this.closed) return;
    this.closed = true;
    for (let i = this.head; i < this.waiting.length; i++) this.waiting[i].reject(error);
    this.waiting = [];
    this.head = 0;
    this.resolveClosed();
  }

  get outstanding() {
    return this.waiting.length - this.head;
  }

  push(args, confirmations) {
    if (this.closed) return Promise.reject(new Error('connection closed'));
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject, confirmations, values: [] });
      this.socket.write(encode(args));
    });
  }

  /** One command with one reply. Rejects with RespError on an error reply. */
  request(...args) {
    return this.push(args, 0);
  }

  /** SUBSCRIBE and its kin: resolves with all confirmations, one per name. */
  subscribe(command, ...names) {
    return this.push([command, ...names], names.length);
  }

  destroy() {
    this.socket.destroy();
    return this.whenClosed;
  }

  async quit() {
    if (this.closed) return;
    await this.request('QUIT');
    this.socket.destroy();
    await this.whenClosed;
  }
}

module.exports = { Connection, Parser, RespError, encode };
