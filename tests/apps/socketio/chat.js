'use strict';
// The example's chat under test: its servers as processes, what stands before them, and users that talk and keep
// account of what they were shown.

const assert = require('node:assert/strict');
const net = require('node:net');
const path = require('node:path');
const { io: connect } = require('socket.io-client');
const { ROOT, Server } = require('../../clients/harness');
const { until } = require('../../clients/tap');

const START_MS = 15000;
const ANSWER_MS = 15000; // fetchSockets itself waits up to 5 s for a server that is gone
const TALK_EVERY_MS = 20;

/** The example's server.js, beside the sidebus node of that index. */
class ChatServer extends Server {
  constructor(name, dir, node, port) {
    super(name, dir);
    this.node = node;
    this.port = port;
  }

  async start() {
    this.stderr = '';
    this.spawn(process.execPath, [path.join(ROOT, 'deploy/examples/socketio-chat/server.js')], {
      SIDEBUS: this.node.path, PORT: String(this.port), NAME: this.name,
    });
    await until(START_MS, () => `${this.name} serves; its log: ${this.tail()}`,
      () => this.status || this.stderr.includes('chat on http'), 10);
    if (this.status) throw new Error(`${this.name} ended: ${JSON.stringify(this.status)}: ${this.tail()}`);
  }
}

/** A load balancer in small: the first of the ports that accepts takes a connection. */
class Front {
  static async start(ports) {
    const front = new Front(ports);
    await new Promise((resolve) => front.server.listen(0, '127.0.0.1', resolve));
    return front;
  }

  constructor(ports) {
    this.sockets = new Set();
    this.server = net.createServer({ pauseOnConnect: true }, (client) => this.forward(client, ports));
  }

  get port() {
    return this.server.address().port;
  }

  keep(socket) {
    this.sockets.add(socket);
    socket.on('error', () => {}); // "close" follows
    socket.on('close', () => this.sockets.delete(socket));
  }

  forward(client, [port, ...others]) {
    if (!this.sockets.has(client)) this.keep(client);
    if (port === undefined) {
      client.destroy();
      return;
    }
    const server = net.connect(port, '127.0.0.1');
    this.keep(server);
    const next = () => this.forward(client, others);
    server.once('error', next);
    server.once('connect', () => {
      server.off('error', next);
      client.pipe(server).pipe(client);
      client.on('close', () => server.destroy());
      server.on('close', () => client.destroy());
    });
  }

  async close() {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** One user. What it was sent is sorted as the page does it: shown once, or dropped as a double. */
class ChatUser {
  static async enter(front, name, room) {
    const user = new ChatUser(front, name, room);
    await until(START_MS, `${name} is welcomed`, () => user.servers.length > 0, 5);
    return user;
  }

  constructor(front, name, room) {
    this.name = name;
    this.servers = []; // that welcomed it, in order
    this.said = [];
    this.acked = new Set();
    this.shown = []; // texts
    this.lives = new Map(); // text -> life of the server that had taken it
    this.doubles = [];
    this.ids = new Set();
    this.client = connect(`http://127.0.0.1:${front.port}`, {
      transports: ['websocket'], forceNew: true, auth: { name, room },
      reconnectionDelay: 20, reconnectionDelayMax: 200,
    });
    this.client.on('welcome', (server) => this.servers.push(server));
    this.client.on('message', (message) => this.receive(message));
  }

  receive({ life, number, text }) {
    const id = `${life} #${number}`;
    if (this.ids.has(id)) {
      this.doubles.push(text);
      return;
    }
    this.ids.add(id);
    this.lives.set(text, life);
    this.shown.push(text);
  }

  say() {
    const text = `${this.name} ${this.said.length}`;
    this.said.push(text);
    this.client.emit('say', text, () => this.acked.add(text));
    return text;
  }

  /** {users} or {error}, as the example's server answers. */
  who() {
    return this.client.timeout(ANSWER_MS).emitWithAck('who');
  }

  /** The names of those that are here, as the page shows them. */
  async names() {
    const { users, error } = await this.who();
    if (error) throw new Error(error);
    return users.map((user) => user.name).sort();
  }

  /** What was said by that user, in the order in which it was shown here. */
  shownOf(speaker) {
    return this.shown.filter((text) => text.startsWith(`${speaker.name} `));
  }

  leave() {
    this.client.disconnect();
  }
}

/** Users that talk all the time, each in turn, until told to stop. */
class Talk {
  constructor(users) {
    this.users = users;
  }

  start() {
    this.timer = setInterval(() => this.users.forEach((user) => user.say()), TALK_EVERY_MS);
  }

  stop() {
    clearInterval(this.timer);
  }

  /** Waits until each reader was shown so many more messages of each speaker. */
  async progress(count, deadline_ms, readers = this.users, speakers = this.users) {
    const goals = readers.flatMap((reader) => speakers.map((speaker) => {
      const goal = reader.shownOf(speaker).length + count;
      return { reader, speaker, goal };
    }));
    await Promise.all(goals.map(({ reader, speaker, goal }) => until(deadline_ms,
      () => `${reader.name} is shown ${goal} of ${speaker.name}: ${reader.shownOf(speaker).length}`,
      () => reader.shownOf(speaker).length >= goal, 20)));
  }

  /** Stops, then waits until what the speakers have said last is shown to the readers. */
  async finish(deadline_ms, readers = this.users, speakers = this.users) {
    this.stop();
    for (const speaker of speakers) {
      const last = speaker.say();
      await Promise.all(readers.map((reader) => until(deadline_ms, `${reader.name} is shown "${last}"`,
        () => reader.shown.includes(last), 20)));
    }
  }
}

/** A reader was shown all that a speaker has said, once, in order. */
function assertAll(reader, speaker) {
  assert.deepEqual(reader.shownOf(speaker), speaker.said, `${speaker.name} at ${reader.name}`);
}

/**
 * For a speaker that was moved to another server: nothing is missing that a server had taken, and what one of them had
 * taken is in order. Users of the second server may be shown what they say there before the last from the first.
 */
function assertAcked(reader, speaker) {
  const shown = reader.shownOf(speaker);
  assert.equal(new Set(shown).size, shown.length);
  for (const life of new Set(reader.lives.values())) {
    const ofLife = (text) => reader.lives.get(text) === life;
    assert.deepEqual(shown.filter(ofLife), speaker.said.filter(ofLife), `${speaker.name} at ${reader.name}, ${life}`);
  }
  const missing = [...speaker.acked].filter((text) => !shown.includes(text));
  assert.deepEqual(missing, [], `of ${speaker.name} at ${reader.name}`);
}

/** Each of these sees exactly those users, nobody twice and nobody who left. Returns how long it took. */
async function membersBecome(deadline_ms, readers, users) {
  const begin = Date.now();
  const want = users.map((user) => user.name).sort();
  await Promise.all(readers.map((reader) => {
    let names;
    return until(deadline_ms, () => `${reader.name} sees ${want}, sees ${names}`, async () => {
      names = await reader.names();
      return names.join() === want.join();
    }, 20);
  }));
  return Date.now() - begin;
}

module.exports = { ChatServer, ChatUser, Front, Talk, assertAcked, assertAll, membersBecome };
