'use strict';
// What tests may ask at the control port: functions (server, query parameters) => JSON.

const { matchesPath } = require('./faults');

const ACCEPTED_MAX = 10000;

function settingsOf(entity) {
  return Object.fromEntries(Object.entries(entity.settings).map(([k, v]) => [k, v === Number.MAX_SAFE_INTEGER ? null : v]));
}

function describeQueue(queue) {
  return { active: queue.active, ready: queue.ready.length, returned: queue.returned.length, locked: queue.locked.size,
    held: queue.held.length, receivers: queue.receivers.length, ...queue.counters };
}

function describeSubscription(subscription) {
  return { name: subscription.name, path: subscription.path, settings: settingsOf(subscription),
    sequence: subscription.sequence, lost: subscription.lost, rules: [...subscription.rules.keys()],
    queue: describeQueue(subscription.queue), deadLetters: describeQueue(subscription.deadLetters) };
}

function describeTopic(topic) {
  return { name: topic.name, settings: settingsOf(topic), enqueueSequence: topic.enqueueSequence, counters: topic.counters,
    faults: topic.faults, subscriptions: [...topic.subscriptions.values()].map(describeSubscription) };
}

function describeAccepted({ enqueueSequence, enqueuedAt_ms, message }, withBody) {
  const body = withBody ? message.bodyBytes() : undefined;
  return { enqueueSequence, enqueuedAt_ms, size: message.size, properties: message.properties,
    applicationProperties: message.applicationProperties, partitionKey: message.annotation('x-opt-partition-key'),
    body: body && body.toString('base64') };
}

/** Everything that is known of the double and of what it went through. */
function status(server) {
  return { counters: server.counters, settings: server.settings, ports: server.ports, connections: server.peers.size,
    topics: server.namespace.topics.size, faults: server.faults, residentBytes: process.memoryUsage().rss };
}

/** Topics and subscriptions with their counters; entity: a path or a prefix with "*". */
function entities(server, { entity = '*' }) {
  return [...server.namespace.topics.values()].filter((topic) => matchesPath(entity, topic.path)).map(describeTopic);
}

function connections(server) {
  return [...server.peers].map((peer) => peer.describe());
}

/** What was accepted on a topic, in order: from an enqueue sequence, at most limit; body=1 adds bodies in base64. */
function accepted(server, { topic: name = '', from = 0, limit = ACCEPTED_MAX, body }) {
  const topic = server.namespace.topic(name);
  if (!topic) return { error: `no topic ${name}` };
  const { journal } = topic;
  let [low, high] = [0, journal.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (journal.at(middle).enqueueSequence < Number(from)) low = middle + 1;
    else high = middle;
  }
  const messages = [];
  for (let i = low; i < journal.length && messages.length < Math.min(Number(limit), ACCEPTED_MAX); i++) {
    messages.push(describeAccepted(journal.at(i), Boolean(body)));
  }
  return { enqueueSequence: topic.enqueueSequence, total: topic.counters.accepted, messages };
}

/** The requests to the management interface, oldest first. */
function rest(server) {
  return server.restLog;
}

module.exports = { accepted, connections, entities, rest, status };
