'use strict';
// Socket.IO servers, each with connections of its own to a node of its own, and the users that connect to them.

const http = require('node:http');
const { Server } = require('socket.io');
const { io: connect } = require('socket.io-client');
const { adapters, isStreams, libraries } = require('./libraries');
const { until, within } = require('../../clients/tap');

const ANSWER_MS = 5000;
const RECOVERY = { maxDisconnectionDuration: 60000, skipMiddlewares: true };
const OFFSET = /^[0-9]+-[0-9]+$/;

/** One Socket.IO server. What an app would put into its connection handler is in handle(). */
class AppServer {
  static async open({ library, adapter, address, name }) {
    const connection = await libraries[library](address);
    const server = new AppServer(name, connection, adapter);
    await new Promise((resolve) => server.http.listen(0, '127.0.0.1', resolve));
    await server.settled();
    return server;
  }

  constructor(name, connection, adapter) {
    this.name = name;
    this.connection = connection;
    this.adapter = adapter;
    this.http = http.createServer();
    this.io = new Server(this.http, {
      adapter: adapters[adapter](connection), connectionStateRecovery: isStreams(adapter) ? RECOVERY : undefined,
    });
    this.io.on('connection', (socket) => AppServer.handle(socket));
    if (isStreams(adapter)) this.countHeard();
  }

  static handle(socket) {
    if (!socket.recovered) socket.data = { user: socket.handshake.auth.user };
    socket.on('join', (rooms, done) => {
      socket.join(rooms);
      done();
    });
  }

  /** this.heard: what the streams adapter has read from others. */
  countHeard() {
    this.heard = 0;
    const { adapter } = this.io.of('/');
    const { onRawMessage } = adapter;
    adapter.onRawMessage = (message, ...rest) => {
      if (message.uid !== adapter.uid) this.heard += 1;
      onRawMessage.call(adapter, message, ...rest);
    };
  }

  get port() {
    return this.http.address().port;
  }

  /** All subscriptions that the adapter has asked for so far are confirmed. */
  settled() {
    return within(ANSWER_MS, `${this.name}: its subscriptions are confirmed`, this.connection.settled());
  }

  serverCount(namespace = '/') {
    return within(ANSWER_MS, `${this.name}: serverCount`, this.io.of(namespace).adapter.serverCount());
  }

  /** The server's own socket of a user. */
  socketOf(user) {
    return this.io.sockets.sockets.get(user.id);
  }

  async close() {
    await new Promise((resolve) => this.io.close(resolve));
    if (!isStreams(this.adapter)) await this.settled(); // the unsubscriptions went out before the connection ends
    await this.connection.close();
  }
}

/**
 * A connected user that remembers what it was sent. With recovery an event ends in its offset, which is kept apart.
 */
class User {
  static async connect(port, { user, namespace = '', ...options } = {}) {
    const client = connect(`http://127.0.0.1:${port}${namespace}`, {
      transports: ['websocket'], forceNew: true, reconnection: false, auth: { user }, ...options,
    });
    const one = new User(client, user);
    await within(ANSWER_MS, `${user} connects`, new Promise((resolve, reject) => {
      client.once('connect', resolve);
      client.once('connect_error', reject);
    }));
    one.id = client.id;
    return one;
  }

  constructor(client, name) {
    this.client = client;
    this.name = name;
    this.received = []; // [event, ...arguments], in order
    this.offsets = []; // likewise, where there are any
    this.fence = 0;
    client.onAny((event, ...args) => {
      if (event === 'fence') [this.fence] = args;
      else this.take(event, args.filter((arg) => typeof arg !== 'function'));
    });
  }

  take(event, args) {
    if (OFFSET.test(args.at(-1))) this.offsets.push(args.pop());
    this.received.push([event, ...args]);
  }

  join(...rooms) {
    return within(ANSWER_MS, `${this.name} joins ${rooms}`, this.client.emitWithAck('join', rooms));
  }

  /** Waits until it was sent so many events. */
  receives(count, deadline_ms = ANSWER_MS) {
    return until(deadline_ms, () => `${this.name} receives ${count} events, has ${JSON.stringify(this.received)}`,
      () => this.received.length >= count, 2);
  }

  /** Its connection is cut below Socket.IO: neither side says goodbye. */
  async drop() {
    const gone = new Promise((resolve) => this.client.once('disconnect', resolve));
    this.client.io.engine.transport.ws._socket.destroy();
    return within(ANSWER_MS, `${this.name} notices`, gone);
  }

  /** Loses its connection, and the server does not notice until what this returns is called. */
  vanish() {
    const { transport } = this.client.io.engine;
    const socket = transport.ws._socket;
    transport.doClose = () => {};
    this.client.io.engine.close();
    return () => socket.destroy();
  }

  /** Connects to this server with what it remembers; tells whether its session was recovered. */
  async resume(port, deadline_ms = ANSWER_MS) {
    const { client } = this;
    client.io.uri = `http://127.0.0.1:${port}`;
    const done = new AbortController();
    await within(deadline_ms, `${this.name} connects again`, new Promise((resolve, reject) => {
      client.once('connect', resolve);
      client.once('connect_error', reject);
      done.signal.addEventListener('abort', () => client.off('connect', resolve).off('connect_error', reject));
      client.connect();
    })).finally(() => done.abort());
    return Boolean(client.recovered);
  }

  disconnect() {
    this.client.disconnect();
  }
}

/** Three servers on three nodes, and two users at each: "a1" and "a2" at server A, and so on. */
class Trio {
  static async open(nodes, { library, adapter }) {
    const servers = await Promise.all(['A', 'B', 'C'].map((name, i) => AppServer.open({
      library, adapter, address: nodes[i].address, name,
    })));
    const trio = new Trio(servers);
    try {
      await Promise.all(servers.map((server) => until(ANSWER_MS, 'three servers count each other',
        async () => await server.serverCount() === 3)));
      if (isStreams(adapter)) await trio.hear();
    } catch (error) {
      await trio.close();
      throw error;
    }
    return trio;
  }

  constructor(servers) {
    this.servers = servers;
    this.users = {};
    this.fences = 0;
  }

  /** A reader begins at '$': what was added before it asked for the first time would not reach its server. */
  hear() {
    return until(ANSWER_MS, 'the servers hear each other', () => {
      for (const { io } of this.servers) io.in('nobody').socketsJoin('somewhere');
      return this.servers.every(({ heard }) => heard > 0);
    }, 20);
  }

  async connectUsers() {
    const opened = this.servers.flatMap((server) => [1, 2].map(async (number) => {
      const user = `${server.name.toLowerCase()}${number}`;
      this.users[user] = await User.connect(server.port, { user });
    }));
    await Promise.all(opened);
    await this.settled(); // the sharded adapter may subscribe to a channel for each user
    return this.users;
  }

  /** Puts users into a room; afterwards every server would be sent what is published to it. */
  async join(room, ...users) {
    await Promise.all(users.map((user) => user.join(room)));
    await this.settled();
  }

  settled() {
    return Promise.all(this.servers.map((server) => server.settled()));
  }

  /** Waits until what the servers have emitted so far to their own users was received by them. */
  async flush() {
    const fence = ++this.fences;
    for (const server of this.servers) server.io.local.emit('fence', fence);
    await Promise.all(Object.values(this.users).filter((user) => user.client.connected)
      .map((user) => until(ANSWER_MS, `${user.name} is up to date`, () => user.fence >= fence, 2)));
  }

  /**
   * What every user was sent, and what it should have been: this event once to these users, nothing to others.
   * There must be a receiver at each server that the event crosses to: its arrival tells that it was handled there.
   */
  async onlyReceive(names, event) {
    await Promise.all(names.map((name) => this.users[name].receives(1)));
    await this.flush();
    const got = Object.fromEntries(Object.values(this.users).map((user) => [user.name, user.received]));
    const want = Object.fromEntries(Object.keys(this.users)
      .map((name) => [name, names.includes(name) ? [event] : []]));
    for (const user of Object.values(this.users)) user.received = [];
    return { got, want };
  }

  async disconnectUsers() {
    for (const user of Object.values(this.users)) user.disconnect();
    this.users = {};
    for (const server of this.servers) {
      await until(ANSWER_MS, `${server.name}'s users have left`, () => server.io.engine.clientsCount === 0
        && server.io.sockets.sockets.size === 0, 2);
    }
    await this.settled();
  }

  async close() {
    await Promise.all(this.servers.map((server) => server.close()));
  }
}

module.exports = { ANSWER_MS, AppServer, Trio, User };
