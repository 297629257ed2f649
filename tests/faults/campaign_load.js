'use strict';
// What a campaign of faults is judged by. Sessions on every node publish, subscribe, count, append and read streams, and
// come back with their node when it was killed. Rounds end with a fence in every log; then is judged what came before it:
//
//   - what was answered is at every subscriber that was there when it was sent, once;
//   - from each publisher and on each channel comes what was sent, from its start and without a hole; of what was not
//     answered when the publisher's node was killed, a first part may have come;
//   - subscribers saw each log in one order, and without holes: also those that ended, up to there, and those that came later;
//   - each INCR that was answered has a number of its own, and no counter counts what was not sent;
//   - each XADD that was answered is in its stream, once, under the id that was answered, on every node alike; and who reads
//     with XREAD from where it was, at a node that was killed meanwhile too, gets each entry once and in order.

const { SEQUENCES, FENCE, random, slotOf } = require('../clients/load');
const { Connection } = require('../clients/resp');
const { until } = require('../clients/tap');

const CHANNELS_EACH = 3; // in every partition
const PACE = { publisher: { every_ms: 40, burst: 2, window: 60 }, writer: { every_ms: 100, window: 20 } };
const PUBLISHERS = 2; // on every node
const READ_BLOCK_MS = 500;
const RETRY_MS = 50;
const NOT_IN_TIME = /could not be read back/; // says a node whose broker is too busy: one may ask again
const TEXTS = 20; // of what is wrong that are kept

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const idOf = (text) => String(text).split('-').map(Number);
const isBelow = (one, other) => one[0] < other[0] || (one[0] === other[0] && one[1] < other[1]);
const ZERO = '0-0';

/** A session of a node's life. */
class Member {
  constructor(load, node) {
    Object.assign(this, { load, node, isOver: false, unanswered: 0 });
  }

  get name() {
    return `${this.constructor.name.toLowerCase()} on ${this.node.name}`;
  }

  async open(options) {
    this.connection = await Connection.connect(this.node.address, options);
    this.connection.whenClosed.then(() => this.onClose());
  }

  onClose() {
    this.isOver = true;
    clearInterval(this.timer);
    if (!this.load.leaving.has(this.node)) this.load.wrong('closed', `${this.name} lost its connection`);
  }

  /** A request whose answer is counted; what a node says that is about to end counts as no answer. */
  ask(onReply, ...request) {
    this.unanswered += 1;
    this.connection.request(...request).then((reply) => {
      this.unanswered -= 1;
      onReply(reply);
    }, (error) => {
      if (this.isOver || this.load.leaving.has(this.node)) return;
      this.unanswered -= 1;
      this.load.wrong('refused', `${request[0]} by ${this.name}: ${error.message}`);
    });
  }

  begin({ every_ms, burst = 1, window }) {
    this.timer = setInterval(() => {
      for (let i = 0; i < burst && this.unanswered < window && !this.isOver && !this.load.isStopping; i++) this.send();
    }, every_ms);
  }

  stop() {
    clearInterval(this.timer);
    return this.connection.destroy();
  }
}

class Publisher extends Member {
  constructor(load, node, number) {
    super(load, node);
    this.number = number;
    this.channelOf = []; // by sequence
    this.clockOf = [];
    this.indexOf = []; // in `on`
    this.on = load.channels.map(() => []); // sequences by channel
    this.answered = 0; // sequences below this were answered
    this.roundsOver = 0;
  }

  get name() {
    return `publisher ${this.number} on ${this.node.name}`;
  }

  send() {
    const sequence = this.channelOf.length;
    const channel = Math.floor(this.load.random() * this.load.channels.length);
    this.channelOf.push(channel);
    this.clockOf.push(this.load.tick());
    this.indexOf.push(this.on[channel].push(sequence) - 1);
    this.ask((reply) => {
      if (!Number.isInteger(reply)) this.load.wrong('refused', `PUBLISH was answered ${reply}`);
      this.answered += 1;
      this.load.figures.answered += 1;
    }, 'PUBLISH', this.load.channels[channel], `${this.number} ${sequence} ${this.load.padding}`);
  }
}

class Subscriber extends Member {
  constructor(load, node) {
    super(load, node);
    this.next = new Map(); // publisher and channel -> index of what must come next
    this.skipped = new Set(); // messages that should have come before others that came
    this.logs = load.groups.map(() => []); // messages of this round, by partition
    this.fenced = load.groups.map(() => -1); // where in it the fence stands
    this.isNew = true; // began in this round
  }

  async open() {
    await super.open({ onMessage: (channel, payload) => this.onMessage(channel, payload) });
    await this.connection.subscribe('SUBSCRIBE', ...this.load.channels);
    this.clock = this.load.tick();
  }

  onMessage(channelBytes, payload) {
    const { load } = this;
    const channel = load.indexOf.get(channelBytes.latin1Slice());
    const [number, sequence] = payload.toString('latin1', 0, 32).split(' ', 2).map(Number);
    const log = this.logs[load.groupOf[channel]];
    const message = number * SEQUENCES + sequence;
    log.push(message);
    if (number === FENCE) {
      if (sequence === load.round) this.fenced[load.groupOf[channel]] = log.length - 1;
      return;
    }
    load.figures.delivered += 1;
    const publisher = load.publishers[number];
    if (!publisher || publisher.channelOf[sequence] !== channel) {
      load.wrong('invented', `${this.name} got ${number} ${sequence}, which nobody sent there`);
      return;
    }
    this.follow(publisher, channel, sequence, message);
  }

  /** The index of the first message of this publisher on this channel that was sent when this subscriber was there. */
  first(publisher, channel) {
    const on = publisher.on[channel];
    let [low, high] = [0, on.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.clock === undefined || publisher.clockOf[on[middle]] < this.clock) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  follow(publisher, channel, sequence, message) {
    const key = publisher.number * this.load.channels.length + channel;
    const index = publisher.indexOf[sequence];
    const due = this.next.get(key);
    const where = () => `${this.name}, ${publisher.name}, channel ${this.load.channels[channel]}: ${sequence}`;
    if (due !== undefined && index < due) {
      const kind = this.skipped.delete(message) ? 'reordered' : 'doubled';
      this.load.wrong(kind, `${where()} came after ${publisher.on[channel][due - 1]}`);
      return;
    }
    for (let i = due ?? this.first(publisher, channel); i < index; i++) {
      this.skipped.add(publisher.number * SEQUENCES + publisher.on[channel][i]);
    }
    this.next.set(key, index + 1);
  }

  /** At the end of a round: what was answered before its fence has come. */
  judge(answered) {
    for (const message of this.skipped) this.load.wrong('lost', `${this.name}: publisher ${Math.floor(message / SEQUENCES)}, ${message % SEQUENCES} was left out`);
    this.skipped.clear();
    for (const [publisher, count] of answered) {
      for (const [channel, on] of publisher.on.entries()) {
        const key = publisher.number * this.load.channels.length + channel;
        let i = this.next.get(key) ?? this.first(publisher, channel);
        for (; i < on.length && on[i] < count; i++) {
          this.load.wrong('lost', `${this.name}, ${publisher.name}, channel ${this.load.channels[channel]}: ${on[i]} was answered and did not come`);
          this.next.set(key, i + 1);
        }
      }
    }
  }

  /** What it got in this round, up to the fence. */
  upToFence(group) {
    return this.fenced[group] < 0 ? this.logs[group] : this.logs[group].slice(0, this.fenced[group] + 1);
  }

  beginRound() {
    for (const group of this.logs.keys()) {
      this.logs[group] = this.logs[group].slice(this.fenced[group] + 1);
      this.fenced[group] = -1;
    }
    this.isNew = false;
  }
}

/** Counts and appends. */
class Writer extends Member {
  constructor(load, node, number) {
    super(load, node);
    this.number = number;
    this.sent = 0;
    this.counted = load.groups.map(() => 0); // the last number that it was answered, by partition
    this.last = load.groups.map(() => [0, 0]); // the last id
  }

  get name() {
    return `writer ${this.number} on ${this.node.name}`;
  }

  send() {
    const partition = Math.floor(this.load.random() * this.load.groups.length);
    const key = this.load.keys[partition];
    const text = `${this.number} ${this.sent++}`;
    key.incrSent += 1;
    this.ask((reply) => this.onCount(key, partition, reply), 'INCR', key.counter);
    this.ask((reply) => this.onAppended(key, partition, text, reply), 'XADD', key.stream, '*', 'm', text);
  }

  onCount(key, partition, value) {
    if (key.values.has(value)) this.load.wrong('doubled', `INCR ${key.counter} by ${this.name}: ${value} was answered twice`);
    if (value <= this.counted[partition]) this.load.wrong('reordered', `INCR ${key.counter} by ${this.name}: ${value} after ${this.counted[partition]}`);
    this.counted[partition] = value;
    key.values.add(value);
    this.load.figures.counted += 1;
  }

  onAppended(key, partition, text, reply) {
    const id = idOf(reply);
    if (!isBelow(this.last[partition], id)) this.load.wrong('reordered', `XADD ${key.stream} by ${this.name}: ${reply} after ${this.last[partition].join('-')}`);
    this.last[partition] = id;
    key.appended.set(String(reply), text);
    this.load.figures.appended += 1;
  }
}

/** Reads all streams from where it was, also when its node was killed meanwhile. */
class Reader {
  constructor(load, node) {
    Object.assign(this, { load, node });
    this.cursors = load.groups.map(() => ZERO);
    this.got = load.groups.map(() => []); // [id, text] of this round
    this.isOver = false;
    this.done = this.run();
  }

  async run() {
    while (!this.isOver) {
      try {
        this.connection = await Connection.connect(this.node.address);
        while (!this.isOver) await this.read();
      } catch (error) {
        const isExpected = this.isOver || this.load.leaving.has(this.node) || this.load.absent.has(this.node);
        if (NOT_IN_TIME.test(error.message)) this.load.figures.toldLater += 1;
        else if (!isExpected && /^[A-Z]+ /.test(error.message)) this.load.wrong('refused', `XREAD at ${this.node.name}: ${error.message}`);
      }
      if (this.connection) await this.connection.destroy();
      if (!this.isOver) await sleep(RETRY_MS);
    }
  }

  async read() {
    const names = this.load.keys.map((key) => key.stream);
    const reply = await this.connection.request('XREAD', 'BLOCK', READ_BLOCK_MS, 'STREAMS', ...names, ...this.cursors);
    for (const [name, entries] of reply || []) {
      const partition = names.indexOf(String(name));
      for (const [id, [, text]] of entries) {
        this.got[partition].push([String(id), String(text)]);
        this.cursors[partition] = String(id);
        this.load.figures.read += 1;
      }
    }
  }

  async stop() {
    this.isOver = true;
    if (this.connection) await this.connection.destroy();
    await this.done;
  }
}

class CampaignLoad {
  constructor({ nodes, partitions, seed }) {
    Object.assign(this, { nodes, seed });
    this.random = random(seed);
    this.groups = Array.from({ length: partitions }, () => []); // channels by partition
    this.channels = [];
    for (let i = 0; this.groups.some((group) => group.length < CHANNELS_EACH); i++) {
      const group = this.groups[slotOf(`campaign:${i}`) % partitions];
      if (group.length < CHANNELS_EACH) group.push(this.channels.push(`campaign:${i}`) - 1);
    }
    this.indexOf = new Map(this.channels.map((channel, i) => [channel, i]));
    this.groupOf = this.channels.map((channel) => slotOf(channel) % partitions);
    this.keys = this.groups.map((group) => {
      const tag = this.channels[group[0]];
      return {
        counter: `{${tag}}count`, stream: `{${tag}}stream`, fence: `{${tag}}fence`,
        values: new Set(), incrSent: 0, appended: new Map(), texts: new Map(), judged: ZERO,
      };
    });
    this.padding = 'x'.repeat(100);
    this.publishers = [];
    this.members = new Map(nodes.map((node) => [node, []])); // sessions by node
    this.ended = []; // subscribers whose node was killed in this round
    this.writers = 0;
    this.leaving = new Set(); // nodes that were told to go, or are gone
    this.absent = new Set(); // nodes whose sessions are not yet back
    this.round = 0;
    this.clock = 0;
    this.isStopping = false;
    this.figures = { sent: 0, answered: 0, delivered: 0, counted: 0, appended: 0, read: 0, toldLater: 0 };
    this.wrongs = new Map(); // what kind of wrong -> how often
    this.texts = [];
  }

  tick() {
    return this.clock++;
  }

  wrong(kind, text) {
    this.wrongs.set(kind, (this.wrongs.get(kind) || 0) + 1);
    if (this.texts.length < TEXTS) this.texts.push(`${kind} (round ${this.round}): ${text}`);
  }

  async open() {
    await Promise.all(this.nodes.map((node) => this.attach(node)));
    this.readers = this.nodes.map((node) => new Reader(this, node));
  }

  /** The sessions of a node that has come up. */
  async attach(node) {
    this.leaving.delete(node);
    const subscriber = new Subscriber(this, node);
    await subscriber.open();
    const members = [subscriber];
    for (let i = 0; i < PUBLISHERS; i++) {
      const publisher = new Publisher(this, node, this.publishers.length);
      this.publishers.push(publisher);
      members.push(publisher);
    }
    const writer = new Writer(this, node, this.writers++);
    members.push(writer);
    for (const member of members.slice(1)) await member.open();
    for (const member of members.slice(1)) member.begin(member === writer ? PACE.writer : PACE.publisher);
    this.members.set(node, members);
    this.absent.delete(node);
  }

  /** Before a node is told to go. */
  leave(node) {
    this.leaving.add(node);
    this.absent.add(node);
  }

  /** After it is gone. */
  async detach(node) {
    for (const member of this.members.get(node)) await member.stop();
    this.ended.push(...this.members.get(node).filter((member) => member instanceof Subscriber));
    this.members.set(node, []);
  }

  get live() {
    return [...this.members.values()].flat();
  }

  get subscribers() {
    return this.live.filter((member) => member instanceof Subscriber);
  }

  /** Until everybody was answered something that was asked after this. */
  async answering(deadline_ms) {
    const goals = this.live.filter((one) => one instanceof Publisher).map((one) => [one, one.channelOf.length]);
    const late = () => goals.filter(([one, sent]) => one.answered <= sent).map(([one]) => one.name);
    await until(deadline_ms, () => `everybody is answered; not ${late().join(', ')}`, () => late().length === 0, 5);
  }

  /** Ends a round and judges it. */
  async judge(deadline_ms) {
    const active = this.publishers.filter((one) => one.roundsOver < 2);
    for (const one of active) if (one.isOver) one.roundsOver += 1;
    const answered = active.map((one) => [one, one.answered]);
    const connection = await Connection.connect(this.nodes[0].address);
    await Promise.all(this.groups.map((group) =>
      connection.request('PUBLISH', this.channels[group[0]], `${FENCE} ${this.round} `)));
    await connection.destroy();
    const missing = () => this.subscribers.filter((one) => one.fenced.includes(-1)).map((one) => one.name);
    await until(deadline_ms, () => `the fence is at ${missing().join(', ')}`, () => missing().length === 0, 5);
    const subscribers = this.subscribers;
    for (const subscriber of subscribers) subscriber.judge(answered);
    this.judgeOrder([...subscribers, ...this.ended]);
    for (const subscriber of subscribers) subscriber.beginRound();
    this.ended = [];
    for (const partition of this.keys.keys()) await this.judgeKeys(partition, deadline_ms);
    this.round += 1;
  }

  judgeOrder(all) {
    for (const [i, one] of all.entries()) {
      for (const other of all.slice(i + 1)) {
        for (const group of this.groups.keys()) this.comparePair(group, one, other);
      }
    }
  }

  /** Of what both got each channel is one run, and all of it is in one order. */
  comparePair(group, one, other) {
    const [mine, theirs] = [one.upToFence(group), other.upToFence(group)];
    const where = `partition ${group}, ${one.name} and ${other.name}`;
    if (!one.isNew && !other.isNew && !one.isOver && !other.isOver) {
      const at = mine.findIndex((message, i) => message !== theirs[i]);
      if (at >= 0 || mine.length !== theirs.length) this.wrong('diverged', `${where}: at ${at} of ${mine.length} and ${theirs.length}: ${mine[at]} and ${theirs[at]}`);
      return;
    }
    const [inMine, inTheirs] = [new Set(mine), new Set(theirs)];
    const common = mine.filter((message) => inTheirs.has(message));
    const commonThere = theirs.filter((message) => inMine.has(message));
    if (common.some((message, i) => message !== commonThere[i])) this.wrong('diverged', `${where}: in two orders`);
    for (const channel of this.groups[group]) {
      const ofChannel = (list) => list.filter((message) => this.channelOf(message) === channel);
      this.compareRuns(`${where}, channel ${this.channels[channel]}`, ofChannel(mine), ofChannel(theirs), one, other);
    }
  }

  channelOf(message) {
    const number = Math.floor(message / SEQUENCES);
    if (number !== FENCE) return this.publishers[number].channelOf[message % SEQUENCES];
    return -1;
  }

  compareRuns(where, mine, theirs, one, other) {
    if (mine.length === 0 || theirs.length === 0) return;
    const positions = new Map(mine.map((message, i) => [message, i]));
    let j = theirs.findIndex((message) => positions.has(message));
    if (j < 0) {
      if (!one.isNew && !other.isNew) this.wrong('diverged', `${where}: nothing in common`);
      return;
    }
    let i = positions.get(theirs[j]);
    const isAligned = one.isNew || other.isNew ? i === 0 || j === 0 : i === 0 && j === 0;
    if (!isAligned) this.wrong('diverged', `${where}: begins at ${i} and ${j}`);
    for (; i < mine.length && j < theirs.length; i++, j++) {
      if (mine[i] !== theirs[j]) {
        this.wrong('diverged', `${where}: ${mine[i]} and ${theirs[j]} at ${i} and ${j}`);
        return;
      }
    }
    const isOneShort = !one.isOver && !other.isOver && (i < mine.length || j < theirs.length);
    if (isOneShort) this.wrong('diverged', `${where}: ends at ${i} of ${mine.length} and ${j} of ${theirs.length}`);
  }

  async judgeKeys(partition, deadline_ms) {
    const key = this.keys[partition];
    const answered = key.values.size;
    const due = new Map(key.appended); // answered before the fence
    const lists = [];
    for (const node of this.nodes) {
      const connection = await Connection.connect(node.address);
      await connection.request('DEL', key.fence); // a session reads what it wrote, and what is before that
      const count = Number(await connection.request('GET', key.counter));
      if (count < answered) this.wrong('lost', `${key.counter} at ${node.name} is ${count}, answered were ${answered}`);
      if (count > key.incrSent) this.wrong('doubled', `${key.counter} at ${node.name} is ${count}, sent were ${key.incrSent}`);
      const entries = await this.entries(connection, key, deadline_ms);
      await connection.destroy();
      lists.push(entries.map(([id, [, text]]) => [String(id), String(text)]));
    }
    this.judgeStream(key, due, lists);
    if (lists[0].length === 0) return;
    const shortest = lists.reduce((one, other) => (other.length < one.length ? other : one));
    if (shortest.length === 0) return;
    await this.judgeReaders(partition, shortest, deadline_ms);
    for (const [id, text] of shortest) {
      const before = key.texts.get(text);
      if (before) this.wrong('doubled', `${key.stream}: ${text} is there as ${before} and as ${id}`);
      key.texts.set(text, id);
      key.appended.delete(id);
    }
    key.judged = shortest.at(-1)[0];
  }

  /** What has come into a stream since it was judged last. */
  entries(connection, key, deadline_ms) {
    return until(deadline_ms, `XRANGE ${key.stream}`, async () => {
      try {
        return await connection.request('XRANGE', key.stream, `(${key.judged}`, '+');
      } catch (error) {
        if (NOT_IN_TIME.test(error.message)) this.figures.toldLater += 1;
        throw error;
      }
    });
  }

  judgeStream(key, due, lists) {
    for (const [n, list] of lists.entries()) {
      const where = `${key.stream} at ${this.nodes[n].name}`;
      const at = new Map(list);
      for (const [id, text] of due) {
        if (at.get(id) !== text) this.wrong('lost', `${where}: ${text} was answered ${id} and ${at.has(id) ? `there is ${at.get(id)}` : 'is not there'}`);
      }
      for (let i = 0; i < Math.min(list.length, lists[0].length); i++) {
        if (list[i][0] === lists[0][i][0] && list[i][1] === lists[0][i][1]) continue;
        this.wrong('diverged', `${where}: ${list[i]}, and ${lists[0][i]} at ${this.nodes[0].name}`);
        break;
      }
    }
  }

  async judgeReaders(partition, list, deadline_ms) {
    const last = list.at(-1)[0];
    for (const reader of this.readers) {
      await until(deadline_ms, () => `XREAD at ${reader.node.name} reaches ${last} (${reader.cursors[partition]})`,
        () => !isBelow(idOf(reader.cursors[partition]), idOf(last)), 5);
      const got = reader.got[partition];
      const end = got.findIndex(([id]) => isBelow(idOf(last), idOf(id)));
      const now = got.splice(0, end < 0 ? got.length : end);
      const at = list.findIndex(([id, text], i) => !now[i] || now[i][0] !== id || now[i][1] !== text);
      if (at >= 0 || now.length !== list.length) {
        const kind = now.length < list.length ? 'lost' : now.length > list.length ? 'doubled' : 'reordered';
        this.wrong(kind, `XREAD at ${reader.node.name}, partition ${partition}: at ${at} of ${list.length} came ${now[at]}, the stream has ${list[at]}`);
      }
    }
  }

  /** Waits until all that was asked is answered, and judges the last round. */
  async finish(deadline_ms) {
    this.isStopping = true;
    await until(deadline_ms, () => `all is answered (${this.live.filter((one) => one.unanswered > 0).map((one) => one.name)})`,
      () => this.live.every((one) => one.unanswered === 0));
    await this.judge(deadline_ms);
  }

  get state() {
    const { answered, delivered, counted, appended, read, toldLater } = this.figures;
    const sent = this.publishers.reduce((sum, one) => sum + one.channelOf.length, 0);
    const wrong = ['lost', 'doubled', 'reordered', 'diverged'].map((kind) => `${this.wrongs.get(kind) || 0} ${kind}`);
    for (const [kind, count] of this.wrongs) if (!wrong.some((text) => text.endsWith(kind))) wrong.push(`${count} ${kind}`);
    return `messages: ${sent} sent, ${answered} answered, ${delivered} delivered; INCR: ${counted}; XADD: ${appended}, read ${
      read} times${toldLater ? ` (${toldLater} times not at once)` : ''}; ${wrong.join(', ')}`;
  }

  async close() {
    this.isStopping = true;
    for (const node of this.nodes) this.leaving.add(node);
    for (const reader of this.readers || []) await reader.stop();
    for (const member of this.live) await member.stop();
  }
}

module.exports = { CampaignLoad, sleep };
