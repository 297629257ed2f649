'use strict';
// Links: a publisher's to a topic, a receiver's from a subscription, and the pair of a request-response node.

const rhea = require('rhea');
const { decodeTransfer, encodeDelivery } = require('./codec');
const { Deque } = require('./deque');
const { RAW } = require('./peers');

const { message: outcomes } = rhea;
const LOCK_LOST = { condition: 'com.microsoft:message-lock-lost',
  description: 'The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue.' };
const BUSY = { condition: 'com.microsoft:server-busy',
  description: 'The request was terminated because the namespace is being throttled. Error code : 50009.' };

class Link {
  /** counts: keeps the connection from being closed as unlinked. */
  constructor(peer, link, { kind, path = '', right, counts = true }) {
    Object.assign(this, { peer, link, kind, path, right, counts });
    this.server = peer.server;
    this.usedAt_ms = this.server.clock();
    this.messages = 0;
    link.node = this;
    peer.addLink(this);
  }

  touch() {
    this.usedAt_ms = this.server.clock();
  }

  detach(condition, description) {
    this.link.close({ condition, description });
    this.closed();
  }

  closed() {
    this.peer.removeLink(this);
  }

  isActive() {
    return false;
  }

  sweep(now_ms) {
    if (this.right && !this.peer.grants(this.path, this.right)) {
      this.detach('amqp:unauthorized-access', 'ExpiredToken: The token is expired.');
      return;
    }
    const { link_idle_ms } = this.server.settings;
    if (this.isActive()) this.touch();
    else if (now_ms - this.usedAt_ms > link_idle_ms) {
      this.detach('amqp:link:detach-forced', `The link '${this.link.name}' is force detached. Code: ${this.kind
      }. Details: IdleTimerExpired: Idle timeout: ${link_idle_ms} ms.`);
    }
  }

  describe() {
    return { name: this.link.name, kind: this.kind, path: this.path, credit: this.link.credit, messages: this.messages };
  }
}

/** A publisher. */
class SendLink extends Link {
  constructor(peer, link, topic) {
    super(peer, link, { kind: 'send', path: topic.path, right: 'Send' });
    this.topic = topic;
    link.local.attach.max_message_size = this.limit;
  }

  get limit() {
    return this.topic.faults.maxMessageSize || this.server.settings.max_message_size;
  }

  /** What a fault says about a message: an error, or undefined. */
  refusal() {
    const { faults } = this.topic;
    if (faults.busyUntil_ms > this.server.clock()) return BUSY;
    const reject = faults.reject[0];
    if (!reject) return undefined;
    if (reject.after > 0) {
      reject.after -= 1;
      return undefined;
    }
    reject.count -= 1;
    if (reject.count <= 0) faults.reject.shift();
    return reject;
  }

  reject(delivery, { condition, description }) {
    this.topic.counters.rejected += 1;
    this.answer(delivery, outcomes.rejected({ error: { condition, description } }).described());
  }

  answer(delivery, state) {
    if (delivery.remote_settled) {
      delivery.update(true, state);
      return;
    }
    const delay_ms = this.topic.faults.acceptDelay_ms;
    if (delay_ms > 0) setTimeout(() => delivery.update(true, state), delay_ms);
    else delivery.update(true, state);
  }

  tooLarge(size) {
    return { condition: 'amqp:link:message-size-exceeded',
      description: `The received message (size: ${size} bytes) exceeds the limit (${this.limit
      } bytes) currently allowed on the link.` };
  }

  onMessage({ delivery, message: bytes, format }) {
    this.touch();
    this.messages += 1;
    if (bytes.length > this.limit) {
      const { condition, description } = this.tooLarge(bytes.length);
      if (this.server.settings.oversize === 'detach') {
        this.topic.counters.rejected += 1;
        this.detach(condition, description);
      } else this.reject(delivery, { condition, description });
      return;
    }
    const refusal = this.refusal();
    if (refusal) {
      this.reject(delivery, refusal);
      return;
    }
    let messages;
    try {
      messages = decodeTransfer(bytes, format === RAW ? 0 : format);
    } catch (error) {
      this.reject(delivery, { condition: 'amqp:decode-error', description: error.message });
      return;
    }
    const tooLong = messages.find((one) => typeof one.id === 'string' && one.id.length > 128);
    if (tooLong) {
      this.reject(delivery, { condition: 'amqp:not-allowed', description: 'The message id is longer than 128 characters.' });
      return;
    }
    for (const message of messages) this.topic.publish(message);
    if (this.topic.faults.loseAccept > 0) {
      this.topic.faults.loseAccept -= 1;
      this.peer.drop();
    } else this.answer(delivery, outcomes.accepted().described());
  }
}

/** A receiver of a subscription or of its dead-letter queue. */
class ReceiveLink extends Link {
  constructor(peer, link, { queue, path }) {
    super(peer, link, { kind: 'receive', path, right: 'Listen' });
    this.queue = queue;
    this.peekLock = link.snd_settle_mode !== 1;
    this.pending = new Deque(); // ids of deliveries that rhea has not written yet: they use credit as well
    this.drainOpen = false;
    link.local.attach.snd_settle_mode = this.peekLock ? 0 : 1;
    link.local.attach.rcv_settle_mode = link.rcv_settle_mode;
    link.local.attach.max_message_size = this.server.settings.max_message_size;
    queue.attach(this);
  }

  /** How many messages may be taken now. */
  room() {
    const { outgoing } = this.link.session;
    if (!this.link.is_open() || this.paused) return 0;
    while (this.pending.length && this.pending.peek() < outgoing.next_pending_delivery) this.pending.shift();
    return Math.min(this.link.credit - this.pending.length, outgoing.available());
  }

  take(entry, tag) {
    this.touch();
    this.messages += 1;
    const bytes = encodeDelivery(entry.message, entry);
    const delivery = this.link.send(bytes, tag, 0);
    delivery.token = tag.toString('hex');
    this.pending.push(delivery.id);
  }

  pumped(hasMore) {
    if (this.drainOpen && (!hasMore || this.room() <= 0)) {
      this.drainOpen = false;
      this.link.set_drained(true);
      this.link.connection._register();
    }
  }

  onFlow() {
    this.touch();
    this.drainOpen = Boolean(this.link._draining);
    this.queue.schedule();
  }

  /** outcome: 'accepted', 'released', 'modified', 'rejected' or, when the receiver gave none, 'settled'. */
  onOutcome(delivery, outcome) {
    if (delivery.decided || !this.peekLock) return;
    delivery.decided = true;
    this.touch();
    const entry = this.queue.find(delivery.token);
    if (!entry) {
      delivery.update(true, outcomes.rejected({ error: LOCK_LOST }).described());
      return;
    }
    const state = delivery.remote_state;
    if (outcome === 'accepted') this.queue.complete(entry);
    else if (outcome === 'rejected') {
      const info = (state.error && state.error.info) || {};
      this.queue.deadLetter(entry, info.DeadLetterReason || (state.error && state.error.condition),
        info.DeadLetterErrorDescription || (state.error && state.error.description));
    } else if (outcome === 'modified' && state.undeliverable_here) {
      this.queue.deadLetter(entry, 'Undeliverable', 'deferral is not imitated');
    } else this.queue.abandon(entry);
    const answer = { accepted: outcomes.accepted, released: outcomes.released, modified: () => outcomes.modified({}),
      rejected: () => outcomes.rejected({}), settled: outcomes.released }[outcome];
    delivery.update(true, answer().described());
  }

  isActive() {
    return this.link.credit > 0;
  }

  /**
   * What a link had unsettled is gone with it, and late settlements count for nothing: the locks expire. rhea would keep
   * these deliveries in its session, waiting for both sides to settle them.
   */
  forgetDeliveries() {
    const { outgoing } = this.link.session;
    const { deliveries } = outgoing;
    for (let i = 0; i < deliveries.size; i++) {
      const delivery = deliveries.entries[(deliveries.head + i) % deliveries.capacity];
      if (delivery.link === this.link && delivery.id < outgoing.next_pending_delivery) {
        Object.assign(delivery, { settled: true, remote_settled: true });
      }
    }
  }

  closed() {
    this.queue.detach(this);
    this.forgetDeliveries();
    super.closed();
  }

  describe() {
    return { ...super.describe(), peekLock: this.peekLock };
  }
}

module.exports = { BUSY, Link, ReceiveLink, SendLink };
