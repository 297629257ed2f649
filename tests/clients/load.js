'use strict';
// Publishers and subscribers that keep account. Every message says who sent it and as which; in the end
// Load.verify() holds what arrived against what was sent and answered:
//
//   - every message whose PUBLISH was answered arrived at every subscriber of its channel, once;
//   - per publisher and channel, what arrived is the sent sequence from its start, without a hole;
//   - subscribers of the same names, on whichever node, saw the same sequence in each ordered group.
//
// An ordered group is what the product promises one order for: the channels of one partition.

const assert = require('node:assert/strict');
const { until } = require('./tap');

const SEQUENCES = 2 ** 24; // a message is publisher * SEQUENCES + sequence
const FENCE = 2 ** 20; // "publisher" number of the fences

/** CRC16 (XMODEM) of the key or its {tag}, modulo 16384: Redis Cluster's slots. */
function slotOf(key) {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  const bytes = Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key);
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc & 16383;
}

/** A small seeded generator, so that a failing run can be repeated: TEST_SEED. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Publisher {
  constructor(load, number, connection, { count, window, burst, every_ms }) {
    Object.assign(this, { load, number, connection, count, window, burst, every_ms });
    this.sent = []; // channel index by sequence
    this.answered = 0; // replies come in order: sequences below this were answered
    this.stopping = false;
    this.lost = undefined; // why the connection ended, where it did
    this.done = new Promise((resolve) => (this.resolveDone = resolve));
  }

  start() {
    if (this.every_ms) this.timer = setInterval(() => this.send(this.burst), this.every_ms);
    else this.send(this.window);
  }

  send(most) {
    for (let i = 0; i < most; i++) {
      const all = this.stopping || this.lost || this.sent.length >= this.count;
      if (all || this.sent.length - this.answered >= this.window) break;
      const sequence = this.sent.length;
      const channel = Math.floor(this.load.random() * this.load.channels.length);
      this.sent.push(channel);
      const text = `${this.number} ${sequence} ${this.load.padding}`;
      this.connection.request('PUBLISH', this.load.channels[channel], text).then(
        (reply) => this.onReply(sequence, reply), (error) => this.onError(sequence, error));
    }
    this.checkDone();
  }

  onReply(sequence, reply) {
    assert.ok(Number.isInteger(reply), `reply ${reply}`);
    this.onAnswer(sequence);
  }

  onError(sequence, error) {
    if (!this.load.takesError(error)) this.onLost(error);
    else this.onAnswer(sequence);
  }

  onAnswer(sequence) {
    assert.equal(sequence, this.answered, 'replies come in order');
    this.answered += 1;
    if (!this.every_ms) this.send(1);
    else this.checkDone();
  }

  onLost(error) {
    this.lost = this.lost || error;
    this.checkDone();
  }

  checkDone() {
    const all = this.stopping || this.sent.length >= this.count;
    if (this.lost || (all && this.answered === this.sent.length)) {
      clearInterval(this.timer);
      this.resolveDone();
    }
  }

  /** For a publisher with a count: so many more, at once. */
  more(count) {
    this.count += count;
    this.send(count);
  }

  stop() {
    this.stopping = true;
    this.checkDone();
  }
}

class Subscriber {
  constructor(load, name, names) {
    Object.assign(this, { load, name, names });
    this.groups = new Map(); // ordered group -> messages in order of arrival
    this.count = 0;
    this.fences = 0;
  }

  onMessage(channelBytes, payload) {
    /* A test's own message, published before this load began, may reach a node that is behind after it. */
    if (payload.toString('latin1', 0, 4) === 'new ') return;
    const channel = this.load.indexOf.get(channelBytes.latin1Slice());
    const [publisher, sequence] = payload.toString('latin1', 0, 32).split(' ', 2).map(Number);
    const group = this.load.groupOf[channel];
    let messages = this.groups.get(group);
    if (!messages) this.groups.set(group, (messages = []));
    messages.push(publisher * SEQUENCES + sequence);
    this.count += 1;
    if (publisher === FENCE) this.fences += 1;
  }
}

class Load {
  /** channels: names; partitions: of the cluster, for the ordered groups; payload_bytes: about. */
  constructor({ channels, partitions, payload_bytes = 64, seed = Number(process.env.TEST_SEED) || Date.now() % 1e6 }) {
    Object.assign(this, { channels, partitions, seed });
    this.random = random(seed);
    this.indexOf = new Map(channels.map((channel, i) => [channel, i]));
    this.groupOf = channels.map((channel) => slotOf(channel) % partitions);
    this.padding = 'x'.repeat(payload_bytes);
    this.publishers = [];
    this.subscribers = [];
    this.fenceCount = 0;
  }

  /** A session that subscribes to these channels ("SUBSCRIBE") or patterns ("PSUBSCRIBE"). */
  async subscribe(server, command = 'SUBSCRIBE', names = this.channels) {
    const subscriber = new Subscriber(this, `${server.name} ${command} ${names.slice(0, 2)}`, `${command} ${names}`);
    subscriber.channels = command === 'SUBSCRIBE'
      ? names.map((one) => this.indexOf.get(one)) : [...this.groupOf.keys()];
    subscriber.connection = await server.connect({
      onMessage: (channel, payload) => subscriber.onMessage(channel, payload),
    });
    await subscriber.connection.subscribe(command, ...names);
    this.subscribers.push(subscriber);
    return subscriber;
  }

  /** A publisher: `window` unanswered at most; with every_ms, `burst` messages at a time and no faster. */
  async publish(server, { count = Infinity, window = 100, burst = 10, every_ms } = {}) {
    const connection = await server.connect();
    const publisher = new Publisher(this, this.publishers.length, connection, { count, window, burst, every_ms });
    this.publishers.push(publisher);
    return publisher;
  }

  start() {
    if (this.closed) return; // the test that opens it is over
    for (const publisher of this.publishers) publisher.start();
  }

  /** Whether an error reply says that the message was ordered all the same: never, see gaps.js. */
  takesError() {
    return false;
  }

  get answered() {
    return this.publishers.reduce((sum, publisher) => sum + publisher.answered, 0);
  }

  get state() {
    const all = this.publishers.map((p) => `${p.answered}/${p.sent.length}${p.lost ? ` (${p.lost.message})` : ''}`);
    return `answered ${all.join(', ')}; received ${this.subscribers.map((s) => s.count).join(', ')}`;
  }

  /** Waits until `more` further publishes were answered. */
  progress(more, deadline_ms) {
    const goal = this.answered + more;
    return until(deadline_ms, () => `${more} more answers (${this.state})`, () => this.answered >= goal);
  }

  /** Waits until all that was sent was answered and is at every subscriber; for loads without losses. */
  arrived(deadline_ms) {
    const sent = this.publishers.reduce((sum, publisher) => sum + publisher.sent.length, 0);
    return until(deadline_ms, () => `${sent} messages at every subscriber (${this.state})`,
      () => this.answered === sent && this.subscribers.every((subscriber) => subscriber.count >= sent), 1);
  }

  /** Stops the publishers and waits until what they sent was answered. */
  async finish(deadline_ms) {
    for (const publisher of this.publishers) publisher.stop();
    await this.finished(deadline_ms);
  }

  finished(deadline_ms) {
    let left = this.publishers.length;
    for (const publisher of this.publishers) publisher.done.then(() => (left -= 1));
    return until(deadline_ms, () => `all publishes answered (${this.state})`, () => left === 0);
  }

  /** One more message on each channel, behind all others; when it arrived, so has all that was ordered before. */
  async fence(server, deadline_ms) {
    const connection = await server.connect();
    const fence = this.fenceCount++;
    await Promise.all(this.channels.map((channel) => connection.request('PUBLISH', channel, `${FENCE} ${fence} `)));
    await connection.destroy();
    for (const subscriber of this.subscribers) {
      await until(deadline_ms, () => `the fences at ${subscriber.name} (${this.state})`,
        () => subscriber.fences >= subscriber.channels.length * this.fenceCount);
    }
  }

  /** Throws what is wrong. server: a node that lives, for the fence. */
  async verify(server, deadline_ms = 20000) {
    await this.fence(server, deadline_ms);
    for (const subscriber of this.subscribers) this.verifySubscriber(subscriber);
    const alike = new Map();
    for (const subscriber of this.subscribers) {
      const first = alike.get(subscriber.names);
      if (first) this.verifySameOrder(first, subscriber);
      else alike.set(subscriber.names, subscriber);
    }
  }

  verifySubscriber(subscriber) {
    const arrived = new Map(); // publisher * channels + channel -> sequences
    for (const messages of subscriber.groups.values()) {
      for (const message of messages) {
        const number = Math.floor(message / SEQUENCES);
        if (number === FENCE) continue;
        const sequence = message % SEQUENCES;
        const key = number * this.channels.length + this.publishers[number].sent[sequence];
        if (!arrived.has(key)) arrived.set(key, []);
        arrived.get(key).push(sequence);
      }
    }
    for (const publisher of this.publishers) {
      const expected = new Map(subscriber.channels.map((channel) => [channel, []]));
      publisher.sent.forEach((channel, sequence) => expected.has(channel) && expected.get(channel).push(sequence));
      for (const [channel, sent] of expected) {
        const got = arrived.get(publisher.number * this.channels.length + channel) || [];
        this.verifyPrefix(subscriber, publisher, channel, sent, got);
      }
    }
  }

  verifyPrefix(subscriber, publisher, channel, sent, got) {
    const where = `${subscriber.name}, publisher ${publisher.number}, channel ${this.channels[channel]}, seed ${
      this.seed}`;
    for (let i = 0; i < got.length; i++) {
      if (got[i] === sent[i]) continue;
      const before = got.slice(Math.max(0, i - 3), i);
      assert.fail(`${where}: after ${before} came ${got[i]}, sent was ${sent[i]}${
        got.indexOf(got[i]) < i ? ' (doubled)' : ''}${got.includes(sent[i]) ? ' (out of order)' : ' (lost)'}`);
    }
    const missing = sent.slice(got.length).filter((sequence) => sequence < publisher.answered);
    assert.deepEqual(missing, [], `${where}: answered but not arrived`);
  }

  verifySameOrder(one, other) {
    for (const [group, messages] of one.groups) {
      const others = other.groups.get(group) || [];
      const length = Math.min(messages.length, others.length);
      for (let i = 0; i < length; i++) {
        if (messages[i] !== others[i]) {
          assert.fail(`group ${group} (seed ${this.seed}): at ${i}, ${one.name} saw ${
            messages.slice(i - 2, i + 3)}, ${other.name} saw ${others.slice(i - 2, i + 3)}`);
        }
      }
      // Beyond the fence one may be ahead of the other; up to it both hold the same.
      const lastFence = (list) => list.findLastIndex((message) => Math.floor(message / SEQUENCES) === FENCE);
      assert.equal(lastFence(messages), lastFence(others), `group ${group}: the fence is at another position`);
    }
  }

  async close() {
    this.closed = true;
    for (const { connection } of [...this.publishers, ...this.subscribers]) await connection.destroy();
  }
}

module.exports = { FENCE, Load, SEQUENCES, random, slotOf };
