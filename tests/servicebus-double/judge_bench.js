'use strict';
// What the judge's files share: one double, clients that are closed with their test, entities of their own.

const assert = require('node:assert');
const { ServiceBusAdministrationClient, ServiceBusClient } = require('@azure/service-bus');
const { until } = require('../clients/tap');
const { DoubleProcess } = require('./process');

const SENDER = { keyName: 'send-only', key: 'a key for sending' };
const LISTENER = { keyName: 'listen-only', key: 'a key for listening' };
const WAIT_MS = 15000;

let double;
let counter = 0;

async function start() {
  double = await DoubleProcess.start(['--tls-dir', process.env.JUDGE_TLS_DIR,
    '--rule', 'root:the root key', '--rule', `${SENDER.keyName}:${SENDER.key}:Send`,
    '--rule', `${LISTENER.keyName}:${LISTENER.key}:Listen`]);
}

async function stop() {
  const { counters } = await double.tell('status');
  await double.stop();
  assert.strictEqual(counters.protocolErrors, 0, double.log);
  assert.strictEqual(double.log, '');
}

/** A topic and its subscriptions that only this test uses. settings: of the subscriptions, past what REST allows. */
async function entities(names = ['s'], settings = {}) {
  counter += 1;
  const topic = `topic-${counter}`;
  await double.ask('create', { entity: topic });
  for (const name of names) await double.ask('create', { entity: `${topic}/Subscriptions/${name}`, settings });
  return topic;
}

/** A client of Microsoft's that is closed when the test ends. */
function client(t, { port = 'amqp', maxRetries = 3, rule } = {}) {
  const made = new ServiceBusClient(double.connectionString(port, rule), {
    retryOptions: { maxRetries, retryDelayInMs: 100, maxRetryDelayInMs: 500, timeoutInMs: 5000 } });
  t.after(() => made.close());
  return made;
}

function administration(rule) {
  return new ServiceBusAdministrationClient(double.connectionString('https', rule), { retryOptions: { maxRetries: 0 } });
}

/** Receives until there are count messages. */
async function receive(receiver, count) {
  const messages = [];
  await until(WAIT_MS, () => `${count} messages, got ${messages.length}`, async () => {
    messages.push(...await receiver.receiveMessages(count - messages.length, { maxWaitTimeInMs: 2000 }));
    return messages.length >= count;
  });
  return messages;
}

/** Messages that a streaming receiver got, in order; settles nothing by itself when onMessage is given. */
function stream(receiver, onMessage, options = {}) {
  const seen = { messages: [], errors: [] };
  seen.subscription = receiver.subscribe({
    processMessage: async (message) => {
      seen.messages.push(message);
      if (onMessage) await onMessage(message);
    },
    processError: async ({ error }) => {
      seen.errors.push(error);
    },
  }, options);
  return seen;
}

function seen(messages, what, count, ms = WAIT_MS) {
  return until(ms, () => `${count} ${what}, there are ${messages.length}`, () => messages.length >= count);
}

const numbers = (messages) => messages.map((one) => one.sequenceNumber.toNumber());
const topicNumbers = (messages) => messages.map((one) => one.enqueuedSequenceNumber);
const bodies = (messages) => messages.map((one) => one.body);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Rejects unless the promise rejects with an error of this code; returns the error. */
async function rejectsWith(code, promise) {
  let error;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error, `nothing was rejected where ${code} should be`);
  assert.strictEqual(error.code, code, error.stack);
  return error;
}

module.exports = {
  LISTENER, SENDER, WAIT_MS, administration, assert, bodies, client, entities, numbers, range, receive, rejectsWith, seen,
  start, stop, stream, topicNumbers,
  get double() {
    return double;
  },
};
