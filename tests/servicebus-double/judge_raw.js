'use strict';
// AMQP by rhea, for what Microsoft's client hides: one connection, its events as promises.

const net = require('node:net');
const rhea = require('rhea');
const { within } = require('../clients/tap');
const bench = require('./judge_bench');
const { makeToken } = require('./sas');

const WAIT_MS = 10000;
const ROOT = { username: 'root', password: 'the root key' };
const ANONYMOUS = { username: 'anonymous', password: undefined };

function next(emitter, event) {
  return within(WAIT_MS, `the event ${event}`, new Promise((resolve) => {
    emitter.once(event, resolve);
  }));
}

class Raw {
  /** options: who connects (ROOT by default) and options of rhea. */
  constructor(t, options = {}) {
    this.container = rhea.create_container();
    for (const event of ['error', 'connection_error', 'connection_close', 'session_error', 'sender_error', 'receiver_error',
      'disconnected']) this.container.on(event, () => {}); // tests listen at the objects
    this.connection = this.container.connect({ host: '127.0.0.1', port: bench.double.ports.amqp, reconnect: false,
      container_id: `raw-${Math.random().toString(36).slice(2)}`, ...ROOT, ...options });
    this.connection.on('error', () => {});
    t.after(async () => this.connection.socket.destroy());
  }

  get id() {
    return this.connection.options.container_id;
  }

  async opened() {
    await next(this.connection, 'connection_open');
    return this;
  }

  /** The condition with which the other side closes the connection. */
  async closedWith() {
    return (await next(this.connection, 'connection_close')).connection.error.condition;
  }

  /** A sender that has credit. */
  async sender(address, options = {}) {
    const sender = this.connection.open_sender({ target: address, autosettle: true, ...options });
    await next(sender, 'sendable');
    return sender;
  }

  /** A receiver that settles nothing by itself; its messages are collected. */
  async receiver(address, options = {}) {
    const receiver = this.connection.open_receiver({ source: address, autoaccept: false, autosettle: false, credit_window: 0,
      rcv_settle_mode: 1, snd_settle_mode: 0, ...options });
    receiver.got = [];
    receiver.on('message', (context) => receiver.got.push(context));
    await next(receiver, 'receiver_open');
    return receiver;
  }

  /** The condition with which a link is refused or ended. */
  static async ended(link) {
    const event = link.is_sender() ? 'sender_error' : 'receiver_error';
    await next(link, event);
    return link.error.condition;
  }

  /** Sends and resolves with the outcome: accepted, rejected, … and the delivery. */
  static send(sender, message = {}) {
    return within(WAIT_MS, 'the outcome of a send', new Promise((resolve) => {
      const delivery = sender.send({ body: rhea.message.data_section(Buffer.from('x')), ...message });
      for (const outcome of ['accepted', 'rejected', 'released']) {
        const listener = (context) => {
          if (context.delivery !== delivery) return;
          sender.off(outcome, listener);
          resolve({ outcome, error: delivery.remote_state && delivery.remote_state.error });
        };
        sender.on(outcome, listener);
      }
    }));
  }

  /** Puts a token at $cbs and resolves with the status. */
  async putToken(entity, token, type = 'servicebus.windows.net:sastoken') {
    if (!this.cbs) {
      this.cbs = { sender: await this.sender('$cbs'), replies: this.connection.open_receiver({ source: '$cbs', target: 'me' }) };
      await next(this.cbs.replies, 'receiver_open');
    }
    const answer = next(this.cbs.replies, 'message');
    this.cbs.sender.send({ message_id: 'm', reply_to: 'me', body: token,
      application_properties: { operation: 'put-token', type, name: `amqps://localhost/${entity}` } });
    return (await answer).message.application_properties['status-code'];
  }
}

const inAMinute = () => Math.floor(Date.now() / 1000) + 60;

function tokenFor(entity, { keyName = ROOT.username, key = ROOT.password, expiresAt_s = inAMinute() } = {}) {
  return makeToken(`amqps://localhost/${entity}`, keyName, key, expiresAt_s);
}

/** What SASL offers, read off the wire. */
function offeredMechanisms() {
  return within(WAIT_MS, 'the mechanisms', new Promise((resolve, reject) => {
    const socket = net.connect(bench.double.ports.amqp, '127.0.0.1');
    socket.write(Buffer.from('AMQP\x03\x01\x00\x00', 'latin1'));
    let seen = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      seen = Buffer.concat([seen, chunk]);
      if (seen.length < 12 || seen.length < 8 + seen.readUInt32BE(8)) return;
      socket.destroy();
      resolve(seen.subarray(8).toString('latin1').match(/[A-Z]{4,}/g));
    });
    socket.on('error', reject);
  }));
}

module.exports = { ANONYMOUS, Raw, next, offeredMechanisms, tokenFor };
