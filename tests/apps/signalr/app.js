'use strict';
// App servers in .NET and JavaScript clients of them, for the SignalR suites.
//
//   SIGNALR_BUILD     where tests/apps/signalr/prepare put the programs (default: build/apps/signalr)
//   SIGNALR_VARIANT   which of them the app servers are: "tests", or "tests-client3" with StackExchange.Redis 3

const path = require('node:path');
const signalR = require('@microsoft/signalr');
const { MessagePackHubProtocol } = require('@microsoft/signalr-protocol-msgpack');
const { ROOT, Server, freePort } = require('../../clients/harness');
const { until, within } = require('../../clients/tap');

const BUILD = path.resolve(process.env.SIGNALR_BUILD || path.join(ROOT, 'build/apps/signalr'));
const CALL_MS = 10000;
const START_MS = 30000;

/** The program that prepare built. */
const program = (variant = process.env.SIGNALR_VARIANT || 'tests') => path.join(BUILD, variant, 'bin/signalr-tests/release/signalr-tests.dll');

/** How StackExchange.Redis names a Unix socket. options: more of its settings, "name=value,…". */
const connectionString = (node, options) => `!${node.path},abortConnect=false${options ? `,${options}` : ''}`;

/** One .NET web server beside a node; it keeps its port when it is started again. */
class AppServer extends Server {
  /** options: more settings for StackExchange.Redis. */
  constructor(name, dir, node, options) {
    super(name, dir);
    this.backplane = connectionString(node, options);
  }

  command() {
    return [program(), 'server', '--urls', this.url, '--backplane', this.backplane, '--name', this.name];
  }

  async start() {
    this.port = this.port || await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    this.stderr = '';
    this.spawn('dotnet', this.command(), { ASPNETCORE_ENVIRONMENT: 'Production', DOTNET_NOLOGO: '1' });
    await this.ready();
  }

  hasStarted() {
    return this.stderr.includes('listening ');
  }

  async ready() {
    await until(START_MS, () => `${this.name} listens; its log: ${this.tail()}`,
      async () => this.status || await this.hasStarted(), 20);
    if (this.status) throw new Error(`${this.name} ended: ${JSON.stringify(this.status)}; its log: ${this.tail()}`);
  }
}

/** The chat of deploy/examples, as its README starts it. */
class ChatServer extends AppServer {
  command() {
    return [path.join(BUILD, 'chat/bin/signalr-chat/release/signalr-chat.dll'), '--urls', this.url,
      '--contentRoot', path.join(BUILD, 'example'), '--ConnectionStrings:Backplane', this.backplane];
  }

  async hasStarted() {
    return (await fetch(`${this.url}/server`)).ok;
  }
}

/** A client of one app server that remembers what it received. */
class Client {
  static async connect(server, { user = '', protocol = 'json', hub = `/hub?user=${user}`, reconnect = false } = {}) {
    const client = new Client(server, protocol, hub, reconnect);
    await client.connection.start();
    if (hub.startsWith('/hub')) [client.id, client.server] = await client.call('Who');
    return client;
  }

  constructor(server, protocol, hub, reconnect) {
    this.received = [];
    this.read = 0;
    const builder = new signalR.HubConnectionBuilder()
      .withUrl(`${server.url}${hub}`, { transport: signalR.HttpTransportType.WebSockets, skipNegotiation: true })
      .configureLogging(signalR.LogLevel.None);
    if (protocol === 'messagepack') builder.withHubProtocol(new MessagePackHubProtocol());
    if (reconnect) builder.withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 100 });
    this.connection = builder.build();
    this.answer = (question) => `${question}!`;
    this.connection.on('message', (text) => this.received.push(text));
    this.connection.on('ask', (question) => this.answer(question));
  }

  call(method, ...args) {
    return within(CALL_MS, `${method} is answered`, this.connection.invoke(method, ...args));
  }

  /** The next message, which must be this one. */
  async expect(text) {
    await until(CALL_MS, () => `"${text}" arrives at ${this.id}; got: ${this.received.slice(this.read)}`,
      () => this.received.length > this.read);
    const got = this.received[this.read];
    this.read += 1;
    if (got !== text) throw new Error(`expected "${text}" at ${this.id}, got "${got}"`);
  }

  /** What the server has written to this client until now holds no message that was not expected. */
  async expectNone() {
    await this.call('Caller', 'fence');
    await this.expect('fence');
  }

  close() {
    return this.connection.stop();
  }
}

module.exports = { AppServer, BUILD, ChatServer, Client, connectionString, program };
