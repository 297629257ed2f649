'use strict';
// Fills a node's history by the million, and reads from it: sessions that cost next to nothing, because they look at no
// more of a reply than they must.

const net = require('node:net');
const { Sidebus } = require('./harness');
const { encode } = require('./resp');
const { within } = require('./tap');

const PATIENCE_MS = 120000;
const BLOCK = 500; // requests that leave together
const AHEAD = 2; // blocks of one session that are not answered
const NEWLINE = 10;
const DASH = 45;

/** A session whose replies are counted by their lines; an error ends it. */
class Pipe {
  static async open(node) {
    const pipe = new Pipe();
    pipe.socket = net.connect(node.address);
    pipe.socket.on('data', (chunk) => pipe.onData(chunk));
    pipe.socket.on('error', (error) => pipe.fail(error));
    pipe.socket.on('close', () => pipe.fail(new Error('connection closed')));
    await within(PATIENCE_MS, 'connect', new Promise((resolve, reject) => {
      pipe.socket.once('connect', resolve);
      pipe.socket.once('error', reject);
    }));
    return pipe;
  }

  constructor() {
    this.lines = 0; // that have come
    this.goal = Infinity;
    this.last = NEWLINE;
    this.error = undefined; // the first
    this.wake = () => {};
  }

  fail(error) {
    this.error ??= error;
    this.wake();
  }

  onData(chunk) {
    let last = this.last;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte === NEWLINE) this.lines++;
      else if (byte === DASH && last === NEWLINE) this.fail(new Error(String(chunk.subarray(i, i + 100)).split('\r')[0]));
      last = byte;
    }
    this.last = last;
    if (this.lines >= this.goal) this.wake();
  }

  write(requests) {
    this.socket.write(requests);
  }

  /** Until so many lines of reply have come since the session began. */
  async reaches(lines) {
    this.goal = lines;
    const enough = new Promise((resolve) => (this.wake = resolve));
    if (this.lines < lines && !this.error) await within(PATIENCE_MS, `${lines} lines of reply`, enough);
    if (this.error) throw this.error;
  }

  destroy() {
    this.socket.destroy();
  }
}

/** Requests to these names in turn, as blocks that are sent again and again; a reply has so many lines. */
function blocksFor(names, lines, request) {
  const count = Math.ceil(names.length / BLOCK);
  return Array.from({ length: count }, (_, block) => ({
    bytes: Buffer.concat(Array.from({ length: BLOCK }, (__, i) => encode(request(names[(block * BLOCK + i) % names.length])))),
    lines: BLOCK * lines,
  }));
}

const publishes = (names, payload) => blocksFor(names, 1, (name) => ['PUBLISH', name, payload]);
const additions = (names, fields) => blocksFor(names, 2, (name) => ['XADD', name, '*', ...fields]);

async function fillOne(node, blocks, count, first) {
  const pipe = await Pipe.open(node);
  const marks = []; // lines after which each of the last blocks is answered
  let lines = 0;
  let sent = 0;
  for (let i = first; sent < count; i++) {
    const block = blocks[i % blocks.length];
    pipe.write(block.bytes);
    marks.push((lines += block.lines));
    sent += BLOCK;
    if (marks.length >= AHEAD) await pipe.reaches(marks.shift());
  }
  await pipe.reaches(lines);
  pipe.destroy();
  return sent;
}

/** At least so many of these requests, from several sessions, all answered; returns how many. */
async function fill(node, blocks, count, sessions = 4) {
  const each = Math.ceil(count / sessions);
  const sent = await Promise.all(Array.from({ length: sessions }, (_, s) =>
    fillOne(node, blocks, each, Math.floor((s * blocks.length) / sessions))));
  return sent.reduce((sum, one) => sum + one, 0);
}

const namesOf = (count, prefix) => Array.from({ length: count }, (_, i) => `${prefix}:${i}`);

/** A node by itself, with a history of `bytes` and room for many sessions. */
async function openNode(dir, bytes, options) {
  const node = new Sidebus('node', dir, {
    settings: `history = { max_bytes = ${bytes}L; max_age_s = 0; };\nlimits = { sessions = 20000; };`, ...options,
  });
  await node.start();
  return node;
}

/** What SIDEBUS STATUS says of the histories of all partitions together. */
async function historyOf(session) {
  const text = String(await session.request('SIDEBUS', 'STATUS'));
  const sum = (field) => [...text.matchAll(new RegExp(`^partition_\\d+:.*?${field}=(\\d+)`, 'gm'))]
    .reduce((total, match) => total + Number(match[1]), 0);
  const delivered = Number(text.match(/^entries_delivered:(\d+)/m)[1]);
  return { entries: sum('history_entries'), bytes: sum('history_bytes'), delivered };
}

module.exports = { Pipe, additions, fill, historyOf, namesOf, openNode, publishes };
