'use strict';
// Counts along a log. Publishers on several nodes publish to one channel without a break, and a witness that
// subscribes to it tells in which order the log took their messages. The reply to each PUBLISH then says what the
// count was at that position, whichever node answered it.

const { until } = require('./tap');

const SENDER = 2 ** 24; // a message is publisher * SENDER + number

class Publisher {
  constructor(positions, index, connection, { window, every_ms }) {
    Object.assign(this, { positions, index, connection, window, every_ms });
    this.sent = 0;
    this.replies = []; // by number of the message
    this.running = false;
  }

  start() {
    this.running = true;
    if (this.every_ms) this.timer = setInterval(() => this.fill(1), this.every_ms);
    else this.fill(this.window);
  }

  fill(most) {
    for (let i = 0; i < most && this.running && this.sent - this.replies.length < this.window; i++) {
      const message = this.index * SENDER + this.sent++;
      this.connection.request('PUBLISH', this.positions.channel, message).then((reply) => {
        this.replies.push(reply);
        if (!this.every_ms) this.fill(1);
      }, (error) => {
        this.error = this.error || error;
      });
    }
  }
}

class Positions {
  /** witness: the node that the witness is on; channel: what is published to. */
  static async open(witness, channel) {
    const positions = new Positions(channel);
    positions.witness = await witness.connect({
      onMessage: (_, payload) => positions.order.push(Number(String(payload))),
    });
    await positions.witness.subscribe('SUBSCRIBE', channel);
    return positions;
  }

  constructor(channel) {
    this.channel = channel;
    this.order = []; // messages as the witness got them
    this.publishers = [];
  }

  /** A publisher at a node: `window` unanswered at most; with every_ms one at a time and no faster. */
  async publish(node, options) {
    const connection = await node.connect();
    const publisher = new Publisher(this, this.publishers.length, connection, { window: 8, ...options });
    this.publishers.push(publisher);
    publisher.start();
    return publisher;
  }

  get sent() {
    return this.publishers.reduce((sum, publisher) => sum + publisher.sent, 0);
  }

  get answered() {
    return this.publishers.reduce((sum, publisher) => sum + publisher.replies.length, 0);
  }

  get state() {
    return `${this.sent} sent, ${this.answered} answered, ${this.order.length} seen`;
  }

  /** Waits until every publisher has `more` further replies. */
  progress(more, deadline_ms) {
    const goals = this.publishers.map((publisher) => publisher.replies.length + more);
    return until(deadline_ms, () => `${more} more replies for each publisher (${this.state})`,
      () => this.publishers.every((publisher, i) => publisher.replies.length >= goals[i]), 5);
  }

  /** The last reply of each publisher. */
  get latest() {
    return this.publishers.map((publisher) => publisher.replies.at(-1));
  }

  /** Stops, waits until everything was answered and seen, and returns the replies in the order of the log. */
  async finish(deadline_ms) {
    for (const publisher of this.publishers) {
      publisher.running = false;
      clearInterval(publisher.timer);
    }
    await until(deadline_ms, () => `everything answered and seen (${this.state})`, () => {
      const failed = this.publishers.find((publisher) => publisher.error);
      if (failed) throw failed.error;
      return this.answered === this.sent && this.order.length >= this.sent;
    });
    return this.order.map((message) => this.publishers[Math.floor(message / SENDER)].replies[message % SENDER]);
  }

  /** Messages that the witness got twice, not at all, or not in the order in which their publisher sent them. */
  get faults() {
    const next = this.publishers.map(() => 0);
    const faults = [];
    for (const message of this.order) {
      const index = Math.floor(message / SENDER);
      const number = message % SENDER;
      if (number !== next[index]) faults.push(`publisher ${index}: ${number} came for ${next[index]}`);
      next[index] = number + 1;
    }
    this.publishers.forEach((publisher, i) => {
      if (next[i] !== publisher.sent) faults.push(`publisher ${i}: ${publisher.sent} sent, ${next[i]} came`);
    });
    return faults;
  }

  async close() {
    for (const publisher of this.publishers) {
      publisher.running = false;
      clearInterval(publisher.timer);
      await publisher.connection.destroy();
    }
    await this.witness.destroy();
  }
}

/** 0,0,1,1,1,3 → [0, 1, 3]: what a series of counts went through. */
function steps(counts) {
  return counts.filter((count, i) => i === 0 || count !== counts[i - 1]);
}

module.exports = { Positions, steps };
