'use strict';
// A load that is judged although nodes may have gaps: places where a node says that its broker did not give it part of
// a log. What holds all the same:
//
//   - nothing comes twice, and what comes from one publisher on one channel comes in its order;
//   - subscribers agree on the order of what both of them got;
//   - what was answered, also with -GAP, is at every subscriber on a node without a gap in that partition;
//   - a subscriber misses no more stretches of a log than its node declared gaps.

const assert = require('node:assert/strict');
const { FENCE, Load, SEQUENCES } = require('../clients/load');

const GAPS_KEPT = 64; // by SIDEBUS GAPS

const isFence = (message) => Math.floor(message / SEQUENCES) === FENCE;

/** The maximal stretches of `all` that are not in `seen`, a Set. */
function stretches(all, seen) {
  return all.filter((message, i) => !seen.has(message) && (i === 0 || seen.has(all[i - 1]))).length;
}

class GapLoad extends Load {
  /** nodes: whose gaps count. */
  static async open(nodes, options) {
    const load = new GapLoad(options);
    load.nodes = nodes;
    load.gapReplies = 0;
    load.told = new Map(); // node name -> how many gaps it had when we looked last
    load.gaps = new Map(); // node name -> gaps by partition since the load was opened
    for (const node of nodes) {
      load.told.set(node.name, Number((await node.info()).gaps));
      load.gaps.set(node.name, Array.from({ length: options.partitions }, () => 0));
    }
    return load;
  }

  takesError(error) {
    const isGap = /^GAP ordered/.test(error.message);
    if (isGap) this.gapReplies += 1;
    return isGap;
  }

  /** Reads what gaps were declared since. Often enough that none is forgotten. */
  async collect() {
    for (const node of this.nodes) {
      const connection = await node.connect();
      const count = Number((await node.info()).gaps);
      const more = count - this.told.get(node.name);
      assert.ok(more <= GAPS_KEPT, `${node.name} declared ${more} gaps since the last look`);
      const list = await connection.request('SIDEBUS', 'GAPS');
      await connection.destroy();
      for (const flat of list.slice(0, more)) {
        const at = flat.findIndex((one) => String(one) === 'partition');
        this.gaps.get(node.name)[flat[at + 1]] += 1;
      }
      this.told.set(node.name, count);
    }
  }

  get gapCount() {
    return [...this.gaps.values()].flat().reduce((sum, count) => sum + count, 0);
  }

  get gapText() {
    return [...this.gaps].map(([name, counts]) => `${name} ${counts.join('+')}`).join(', ');
  }

  gapsOf(subscriber, group) {
    return this.gaps.get(subscriber.name.split(' ')[0])[group];
  }

  async verify(server, deadline_ms = 20000) {
    await this.fence(server, deadline_ms);
    await this.collect();
    for (const subscriber of this.subscribers) this.verifyEach(subscriber);
    for (const one of this.subscribers) {
      for (const other of this.subscribers) if (one !== other && one.names === other.names) this.verifyPair(one, other);
    }
  }

  /** Of one subscriber alone: no doubles, every publisher's order, and all that was answered unless there is a gap. */
  verifyEach(subscriber) {
    const next = new Map(); // publisher and channel -> lowest sequence that may come
    const seen = new Set();
    for (const [group, messages] of subscriber.groups) {
      for (const message of messages.filter((one) => !isFence(one))) {
        const [number, sequence] = [Math.floor(message / SEQUENCES), message % SEQUENCES];
        const key = number * this.channels.length + this.publishers[number].sent[sequence];
        assert.ok(sequence >= (next.get(key) || 0), `${subscriber.name}, group ${group}, publisher ${number}, seed ${
          this.seed}: ${sequence} came after ${next.get(key) - 1}${seen.has(message) ? ' (doubled)' : ''}`);
        next.set(key, sequence + 1);
        seen.add(message);
      }
    }
    const mine = new Set(subscriber.channels);
    for (const publisher of this.publishers) {
      for (let sequence = 0; sequence < publisher.answered; sequence++) {
        const channel = publisher.sent[sequence];
        if (!mine.has(channel) || seen.has(publisher.number * SEQUENCES + sequence)) continue;
        assert.ok(this.gapsOf(subscriber, this.groupOf[channel]) > 0, `${subscriber.name}, publisher ${publisher.number
        }, seed ${this.seed}: ${sequence} was answered and did not come, and partition ${this.groupOf[channel]} has no gap`);
      }
    }
  }

  verifyPair(one, other) {
    for (const [group, messages] of one.groups) {
      const others = (other.groups.get(group) || []).filter((message) => !isFence(message));
      const mine = messages.filter((message) => !isFence(message));
      const [seen, theirs] = [new Set(mine), new Set(others)];
      const common = mine.filter((message) => theirs.has(message));
      const commonThere = others.filter((message) => seen.has(message));
      const at = common.findIndex((message, i) => message !== commonThere[i]);
      if (at >= 0) {
        assert.fail(`group ${group} (seed ${this.seed}): at ${at}, ${one.name} saw ${common.slice(at - 2, at + 3)}, ${
          other.name} saw ${commonThere.slice(at - 2, at + 3)}`);
      }
      const missing = stretches(others, seen);
      assert.ok(missing <= this.gapsOf(one, group), `group ${group} (seed ${this.seed}): ${one.name} misses ${missing
      } stretches of what ${other.name} got, and declared ${this.gapsOf(one, group)} gaps`);
    }
  }
}

module.exports = { GapLoad };
