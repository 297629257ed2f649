'use strict';
// Topics and subscriptions, and what was accepted on them. Names are compared without regard to case.

const { Deque } = require('./deque');
const { Queue } = require('./queue');
const filters = require('./filters');

const JOURNAL_MAX = 500000; // accepted messages that a topic remembers for the judges
const JOURNAL_BYTES_MAX = 128 * 1024 * 1024;
const FOREVER_MS = Number.MAX_SAFE_INTEGER;

class EntityError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

const notFound = (path) => new EntityError(404, `The messaging entity '${path}' could not be found.`);

class Subscription {
  constructor(topic, name, settings) {
    const { clock } = topic.namespace;
    this.topic = topic;
    this.name = name;
    this.path = `${topic.name}/Subscriptions/${name}`;
    this.settings = { lockDuration_ms: 60000, maxDeliveryCount: 10, ttl_ms: FOREVER_MS, autoDeleteOnIdle_ms: FOREVER_MS,
      deadLetterExpired: false, requiresSession: false, enableBatchedOperations: true, ...settings };
    this.createdAt_ms = clock();
    this.touchedAt_ms = clock();
    this.sequence = 0;
    this.lose = 0; // how many next messages take a number and vanish (fault "lose")
    this.lost = 0;
    this.rules = new Map([['$Default', { name: '$Default', filter: { kind: 'true' }, createdAt_ms: clock() }]]);
    const touch = () => this.touch();
    this.queue = new Queue({ options: this.settings, clock, onActivity: touch,
      onDead: (entry, reason, description) => this.bury(entry, reason, description) });
    this.deadLetters = new Queue({ options: { ...this.settings, maxDeliveryCount: Infinity }, clock, onActivity: touch,
      onDead: () => {} });
    this.deadSequence = 0;
  }

  touch() {
    this.touchedAt_ms = this.topic.namespace.clock();
  }

  matches(message) {
    for (const rule of this.rules.values()) if (filters.matches(rule.filter, message)) return true;
    return false;
  }

  enqueue(message, enqueueSequence, now_ms) {
    this.sequence += 1;
    if (this.lose > 0) {
      this.lose -= 1;
      this.lost += 1;
      return;
    }
    const ttl_ms = Math.min(message.ttl_ms === undefined ? FOREVER_MS : message.ttl_ms, this.settings.ttl_ms,
      this.topic.settings.ttl_ms);
    this.queue.add({ message, sequence: this.sequence, enqueueSequence, enqueuedAt_ms: now_ms, deliveryCount: 0,
      ttl_ms: ttl_ms === FOREVER_MS ? undefined : ttl_ms, expiresAt_ms: now_ms + ttl_ms });
  }

  bury(entry, reason, description) {
    this.deadSequence += 1;
    this.deadLetters.add({ ...entry, token: undefined, receiver: undefined, sequence: this.deadSequence, ttl_ms: undefined,
      expiresAt_ms: Infinity, deadLetter: { DeadLetterReason: reason, DeadLetterErrorDescription: description } });
  }

  queues() {
    return [this.queue, this.deadLetters];
  }

  close() {
    for (const queue of this.queues()) queue.close();
  }
}

class Topic {
  constructor(namespace, name, settings) {
    this.namespace = namespace;
    this.name = name;
    this.path = name;
    this.settings = { ttl_ms: FOREVER_MS, autoDeleteOnIdle_ms: FOREVER_MS, maxSizeInMegabytes: 1024,
      duplicateDetection: false, duplicateWindow_ms: 600000, enableBatchedOperations: true, supportOrdering: true,
      enablePartitioning: false, ...settings };
    this.createdAt_ms = namespace.clock();
    this.touchedAt_ms = namespace.clock();
    this.enqueueSequence = 0;
    this.subscriptions = new Map();
    this.journal = new Deque();
    this.journalBytes = 0;
    this.seenIds = new Map(); // message id -> when, for duplicate detection
    this.timers = new Set();
    this.counters = { accepted: 0, bytes: 0, duplicatesDropped: 0, rejected: 0, skipped: 0 };
    this.clearFaults();
  }

  clearFaults() {
    this.faults = { busyUntil_ms: 0, busyLinksUntil_ms: 0, acceptDelay_ms: 0, reject: [], loseAccept: 0, maxMessageSize: null };
    for (const subscription of this.subscriptions.values()) {
      subscription.lose = 0;
      subscription.queue.clearFaults();
    }
  }

  touch() {
    this.touchedAt_ms = this.namespace.clock();
  }

  isDuplicate(message, now_ms) {
    if (!this.settings.duplicateDetection) return false;
    for (const [id, at_ms] of this.seenIds) {
      if (at_ms > now_ms - this.settings.duplicateWindow_ms) break;
      this.seenIds.delete(id);
    }
    if (this.seenIds.has(String(message.id))) return true;
    this.seenIds.set(String(message.id), now_ms);
    return false;
  }

  /** Takes a message that was accepted. A scheduled one takes a number now and another when its time has come. */
  publish(message) {
    const now_ms = this.namespace.clock();
    this.touchedAt_ms = now_ms;
    if (this.isDuplicate(message, now_ms)) {
      this.counters.duplicatesDropped += 1;
      return;
    }
    const at = message.annotation('x-opt-scheduled-enqueue-time');
    if (at && at.getTime() > now_ms) {
      this.enqueueSequence += 1;
      const timer = setTimeout(() => {
        this.timers.delete(timer);
        this.enqueue(message);
      }, at.getTime() - now_ms);
      this.timers.add(timer);
    } else {
      this.enqueue(message);
    }
  }

  enqueue(message) {
    const now_ms = this.namespace.clock();
    this.enqueueSequence += 1;
    this.counters.accepted += 1;
    this.counters.bytes += message.size;
    this.journal.push({ enqueueSequence: this.enqueueSequence, enqueuedAt_ms: now_ms, message });
    this.journalBytes += message.size;
    while (this.journal.length > JOURNAL_MAX || this.journalBytes > JOURNAL_BYTES_MAX) {
      this.journalBytes -= this.journal.shift().message.size;
    }
    for (const subscription of this.subscriptions.values()) {
      if (subscription.matches(message)) subscription.enqueue(message, this.enqueueSequence, now_ms);
    }
  }

  /** Leaves a hole in the enqueue sequence (fault "skip"). */
  skip(count) {
    this.enqueueSequence += count;
    this.counters.skipped += count;
  }

  close() {
    for (const timer of this.timers) clearTimeout(timer);
    for (const subscription of this.subscriptions.values()) subscription.close();
  }
}

class Namespace {
  /** onGone(path): an entity and what is below it was removed. */
  constructor({ clock = Date.now, onGone = () => {} } = {}) {
    this.clock = clock;
    this.onGone = onGone;
    this.topics = new Map();
  }

  topic(name) {
    return this.topics.get(name.toLowerCase());
  }

  subscription(topicName, name) {
    const topic = this.topic(topicName);
    return topic && topic.subscriptions.get(name.toLowerCase());
  }

  createTopic(name, settings) {
    if (!name || name.length > 260) throw new EntityError(400, `'${name}' is no name of a topic`);
    if (this.topic(name)) throw new EntityError(409, `The entity '${name}' exists already.`);
    const topic = new Topic(this, name, settings);
    this.topics.set(name.toLowerCase(), topic);
    return topic;
  }

  createSubscription(topicName, name, settings) {
    const topic = this.topic(topicName);
    if (!topic) throw notFound(topicName);
    if (!name || name.length > 50) throw new EntityError(400, `'${name}' is no name of a subscription (1 to 50 characters)`);
    if (topic.subscriptions.has(name.toLowerCase())) {
      throw new EntityError(409, `The entity '${topicName}/Subscriptions/${name}' exists already.`);
    }
    const subscription = new Subscription(topic, name, settings);
    topic.subscriptions.set(name.toLowerCase(), subscription);
    topic.touch();
    return subscription;
  }

  deleteTopic(name) {
    const topic = this.topic(name);
    if (!topic) throw notFound(name);
    this.topics.delete(name.toLowerCase());
    topic.close();
    this.onGone(topic.path);
  }

  deleteSubscription(topicName, name) {
    const subscription = this.subscription(topicName, name);
    if (!subscription) throw notFound(`${topicName}/Subscriptions/${name}`);
    subscription.topic.subscriptions.delete(name.toLowerCase());
    subscription.close();
    this.onGone(subscription.path);
  }

  /**
   * What an AMQP address names: {topic} for sending, {subscription, queue} for receiving, with management: true
   * for its $management node; undefined where nothing is there.
   */
  resolve(address) {
    const match = /^\/?([^$]+?)(?:\/Subscriptions\/([^/]+))?(\/\$DeadLetterQueue)?(\/\$management)?$/i.exec(address);
    if (!match) return undefined;
    const [, topicName, subscriptionName, dead, management] = match;
    const topic = this.topic(topicName);
    if (!topic) return undefined;
    if (!subscriptionName) return dead ? undefined : { topic, path: topic.path, management: Boolean(management) };
    const subscription = topic.subscriptions.get(subscriptionName.toLowerCase());
    if (!subscription) return undefined;
    return { topic, subscription, queue: dead ? subscription.deadLetters : subscription.queue, path: subscription.path,
      management: Boolean(management) };
  }

  /** Creates what an address names; for --auto-create. */
  createFor(address) {
    const match = /^\/?([^$]+?)(?:\/Subscriptions\/([^/]+))?(\/\$.*)?$/i.exec(address);
    if (!match) return;
    if (!this.topic(match[1])) this.createTopic(match[1]);
    if (match[2] && !this.subscription(match[1], match[2])) this.createSubscription(match[1], match[2]);
  }

  /** Removes what has been idle for longer than it may be; isUsed(path) says whether a link is attached. */
  sweep(isUsed) {
    const now_ms = this.clock();
    const isIdle = (entity) => !isUsed(entity.path) && now_ms - entity.touchedAt_ms > entity.settings.autoDeleteOnIdle_ms;
    for (const topic of [...this.topics.values()]) {
      for (const subscription of [...topic.subscriptions.values()]) {
        if (isIdle(subscription)) this.deleteSubscription(topic.name, subscription.name);
      }
      if (isIdle(topic)) this.deleteTopic(topic.name);
    }
  }

  close() {
    for (const topic of this.topics.values()) topic.close();
  }
}

module.exports = { EntityError, Namespace };
