'use strict';
// The double: listeners, the namespace behind them, and the events of rhea that lead to its nodes.

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const tls = require('node:tls');
const rhea = require('rhea');
const { attach } = require('./attach');
const { certificates } = require('./certificates');
const { controlHandler } = require('./control');
const { Namespace } = require('./entities');
const { Faults } = require('./faults');
const { Peer, apart, rawTransfers } = require('./peers');
const { restHandler } = require('./rest');
const { Rules } = require('./sas');

/** What the service does by default. Tests make the times shorter, here or with the control verb "settings". */
const SETTINGS = {
  container_id: 'servicebus-double',
  auto_create: false, // an attach creates what it names
  max_frame_size: 65536,
  max_message_size: 262144,
  oversize: 'detach', // or 'reject'
  link_credit: 1000, // what a publisher gets
  idle_ms: 240000, // without a frame from the client
  min_peer_idle_ms: 5000,
  token_ms: 20000, // without a token
  unlinked_ms: 60000, // never had a link
  unlinked_after_ms: 300000, // since the last link
  cbs_link_counts: false, // whether $cbs keeps a connection from being unlinked
  link_idle_ms: 600000, // without traffic on a link
  min_auto_delete_ms: 300000,
  min_lock_ms: 5000,
  get_missing: 'feed', // how REST answers for what is not there: an empty 'feed', or '404'
  sweep_ms: 50,
};

const LINK_EVENTS = ['accepted', 'released', 'modified', 'rejected', 'settled'];

class ServiceBusDouble {
  /**
   * settings: see SETTINGS; rules: [{name, key, rights, scope}], default one with all rights; jwts: [{token, rights,
   * scope, expires_ms}]; ports: {amqp, amqps, https, http, control}, 0 or absent for one from the kernel;
   * tlsDirectory: where CA and certificate are kept over restarts; names: further DNS names of the certificate.
   */
  constructor({ settings = {}, rules, jwts = [], ports = {}, tlsDirectory, names, clock = Date.now } = {}) {
    const unknown = Object.keys(settings).find((name) => !(name in SETTINGS));
    if (unknown) throw new Error(`no such setting: ${unknown}`);
    this.settings = { ...SETTINGS, ...settings };
    this.clock = clock;
    this.keyName = rules ? rules[0].name : 'RootManageSharedAccessKey';
    this.key = rules ? rules[0].key : crypto.randomBytes(32).toString('base64');
    this.rules = new Rules(rules || [{ name: this.keyName, key: this.key }]);
    this.jwts = jwts;
    this.ports = ports;
    this.tlsDirectory = tlsDirectory;
    this.names = names;
    this.faults = new Faults();
    this.namespace = new Namespace({ clock, onGone: (path) => this.entityGone(path) });
    this.peers = new Set();
    this.restLog = [];
    this.counters = { connections: 0, connectionsForced: 0, connectionsRefused: 0, attaches: 0, attachesRefused: 0,
      tokensPut: 0, tokensRefused: 0, restRequests: 0, protocolErrors: 0 };
    this.container = this.makeContainer();
    this.servers = [];
  }

  makeContainer() {
    const container = rhea.create_container({ id: this.settings.container_id });
    container.on('connection_open', ({ connection }) => connection.peer.opened());
    container.on('session_open', ({ session }) => {
      rawTransfers(session);
      apart(session);
    });
    container.on('receiver_open', ({ connection, receiver }) => this.attach(connection.peer, receiver));
    container.on('sender_open', ({ connection, sender }) => this.attach(connection.peer, sender));
    container.on('receiver_close', ({ receiver }) => this.linkClosed(receiver));
    container.on('sender_close', ({ sender }) => this.linkClosed(sender));
    container.on('session_close', ({ session }) => session.each_link((link) => link.node && link.node.closed()));
    container.on('message', (context) => {
      const { node } = context.receiver;
      if (node && context.receiver.is_open()) node.onMessage(context);
    });
    container.on('sender_flow', ({ sender }) => sender.node && sender.node.onFlow && sender.node.onFlow());
    for (const event of LINK_EVENTS) {
      container.on(event, ({ sender, delivery }) => {
        if (sender && sender.node && sender.node.onOutcome) sender.node.onOutcome(delivery, event);
      });
    }
    for (const event of ['connection_close', 'connection_error', 'disconnected', 'receiver_error', 'sender_error',
      'session_error']) container.on(event, () => {}); // the socket's end is what counts
    for (const event of ['error', 'protocol_error']) {
      container.on(event, (error) => {
        this.counters.protocolErrors += 1;
        process.stderr.write(`protocol: ${error && error.stack}\n`);
      });
    }
    return container;
  }

  attach(peer, link) {
    this.counters.attaches += 1;
    attach(this, peer, link);
  }

  /**
   * rhea finds links by name until one turn after both sides closed, so a peer that attaches under the same name
   * at once would meet the old link: give the old one another name and free its handle.
   */
  linkClosed(link) {
    if (link.node) link.node.closed();
    const { session } = link;
    if (session.links[link.name] !== link) return;
    link.close();
    delete session.links[link.name];
    if (session.remote.handles[link.remote.handle] === link) delete session.remote.handles[link.remote.handle];
    link.remote.handle = undefined;
    link.name = `${link.name}#${crypto.randomUUID()}`;
    session.links[link.name] = link;
  }

  entityGone(path) {
    const inside = `${path.toLowerCase()}/`;
    for (const peer of this.peers) {
      for (const link of [...peer.links]) {
        if (`${link.path.toLowerCase()}/`.startsWith(inside) && link.path) {
          link.detach('amqp:not-found', `The messaging entity '${link.path}' could not be found.`);
        }
      }
    }
  }

  take(socket) {
    if (this.faults.refuseUntil_ms > this.clock()) {
      this.counters.connectionsRefused += 1;
      socket.destroy();
      return;
    }
    this.counters.connections += 1;
    socket.on('error', () => {}); // a reset is a close
    socket.setNoDelay(true);
    this.peers.add(new Peer(this, socket, this.counters.connections));
  }

  listen(server, port) {
    this.servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port || 0, '127.0.0.1', () => resolve(server.address().port));
    });
  }

  async start() {
    const pki = certificates(this.tlsDirectory, this.names);
    this.pki = pki;
    const secure = { key: pki.key, cert: pki.cert };
    const tlsServer = tls.createServer(secure, (socket) => this.take(socket));
    tlsServer.on('tlsClientError', () => {});
    this.ports = {
      amqp: await this.listen(net.createServer((socket) => this.take(socket)), this.ports.amqp),
      amqps: await this.listen(tlsServer, this.ports.amqps),
      https: await this.listen(https.createServer(secure, restHandler(this, true)), this.ports.https),
      http: await this.listen(http.createServer(restHandler(this, false)), this.ports.http),
      control: await this.listen(http.createServer(controlHandler(this)), this.ports.control),
    };
    this.caFile = pki.caFile;
    this.sweeper = setInterval(() => this.sweep(), this.settings.sweep_ms);
    return this;
  }

  sweep() {
    const now_ms = this.clock();
    for (const peer of [...this.peers]) peer.sweep(now_ms);
    const used = new Set();
    for (const peer of this.peers) for (const link of peer.links) used.add(link.path.toLowerCase());
    this.namespace.sweep((path) => used.has(path.toLowerCase()));
  }

  /** Drops all connections without a word and refuses new ones for a while; entities and messages stay. */
  restart(refuse_ms) {
    this.faults.refuseUntil_ms = this.clock() + refuse_ms;
    for (const peer of [...this.peers]) peer.drop();
  }

  async stop() {
    clearInterval(this.sweeper);
    for (const peer of [...this.peers]) peer.drop();
    this.namespace.close();
    await Promise.all(this.servers.map((server) => new Promise((resolve) => {
      server.close(resolve);
      if (server.closeAllConnections) server.closeAllConnections();
    })));
    if (this.pki && this.pki.temporary) fs.rmSync(this.pki.dir, { recursive: true, force: true });
  }
}

module.exports = { SETTINGS, ServiceBusDouble };
