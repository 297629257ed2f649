'use strict';
// What waits in one subscription (or in its dead-letter queue), and who has what locked.
//
//   ready --> locked --> gone (completed) or dead (rejected, or delivered too often)
//     ^          |
//     +-returned-+  (abandoned, lock expired, link lost: delivered before what is ready, lowest number first)

const crypto = require('node:crypto');
const { Deque, Heap } = require('./deque');

const PUMP_AT_ONCE = 512; // deliveries before other events get their turn
const TIMER_MAX_MS = 0x7fffffff;

class Queue {
  /**
   * options: {lockDuration_ms, maxDeliveryCount} as they are now; clock: () => ms;
   * onDead(entry, reason, description): takes what leaves as dead letter; onActivity(): something moved.
   */
  constructor({ options, clock, onDead, onActivity = () => {} }) {
    Object.assign(this, { options, clock, onDead, onActivity });
    this.ready = new Deque();
    this.returned = new Heap((entry) => entry.sequence);
    this.locked = new Map(); // token in hex -> entry
    this.expiries = new Heap((lock) => lock.until_ms);
    this.receivers = [];
    this.turn = 0; // whose turn it is among the receivers
    this.held = []; // {entry, others, timer}: kept back by the fault "reorder"
    this.clearFaults();
    this.counters = { delivered: 0, completed: 0, abandoned: 0, locksExpired: 0, locksLost: 0, duplicated: 0,
      reordered: 0, expired: 0 };
    this.tagPrefix = crypto.randomBytes(8);
    this.scheduled = false;
    this.closed = false;
  }

  clearFaults() {
    this.faults = { reorder: 0, reorderBy: 1, reorderWait_ms: 1000, duplicate: 0 };
  }

  get active() {
    return this.ready.length + this.returned.length + this.locked.size + this.held.length;
  }

  add(entry) {
    this.ready.push(entry);
    this.schedule();
  }

  attach(receiver) {
    this.receivers.push(receiver);
    this.schedule();
  }

  detach(receiver) {
    const at = this.receivers.indexOf(receiver);
    if (at >= 0) this.receivers.splice(at, 1);
    this.schedule();
  }

  schedule() {
    if (this.scheduled || this.closed) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.pump();
    });
  }

  /** The receiver whose turn it is and that has credit. */
  nextReceiver() {
    for (let i = 0; i < this.receivers.length; i++) {
      const at = (this.turn + i) % this.receivers.length;
      if (this.receivers[at].room() > 0) {
        this.turn = at + 1;
        return this.receivers[at];
      }
    }
    return undefined;
  }

  nextEntry() {
    for (;;) {
      const entry = this.returned.length ? this.returned.shift() : this.ready.shift();
      if (!entry) return undefined;
      if (entry.expiresAt_ms <= this.clock()) {
        this.counters.expired += 1;
        if (this.options.deadLetterExpired) this.onDead(entry, 'TTLExpiredException', 'The message expired.');
        continue;
      }
      if (this.faults.reorder > 0 && !entry.wasHeld) this.hold(entry);
      else return entry;
    }
  }

  hold(entry) {
    this.faults.reorder -= 1;
    this.counters.reordered += 1;
    const held = { entry, others: this.faults.reorderBy };
    held.timer = setTimeout(() => this.releaseHeld(held), this.faults.reorderWait_ms);
    entry.wasHeld = true;
    this.held.push(held);
  }

  releaseHeld(held) {
    clearTimeout(held.timer);
    this.held.splice(this.held.indexOf(held), 1);
    this.returned.push(held.entry);
    this.schedule();
  }

  pump() {
    for (let n = 0; n < PUMP_AT_ONCE; n++) {
      if (this.closed || (!this.ready.length && !this.returned.length)) break;
      const receiver = this.nextReceiver();
      if (!receiver) break;
      const entry = this.nextEntry();
      if (!entry) break;
      this.deliver(receiver, entry);
    }
    for (const receiver of [...this.receivers]) receiver.pumped(this.ready.length + this.returned.length > 0);
    if ((this.ready.length || this.returned.length) && this.receivers.some((one) => one.room() > 0)) this.schedule();
  }

  deliver(receiver, entry) {
    this.counters.delivered += 1;
    this.onActivity();
    const tag = this.nextTag();
    if (receiver.peekLock) {
      entry.token = tag.toString('hex');
      entry.lockedUntil_ms = this.clock() + this.options.lockDuration_ms;
      entry.receiver = receiver;
      this.locked.set(entry.token, entry);
      this.watch(entry);
      receiver.take(entry, tag);
    } else {
      entry.lockedUntil_ms = undefined;
      receiver.take(entry, tag);
      this.complete(entry);
    }
    for (const held of [...this.held]) {
      held.others -= 1;
      if (held.others <= 0) this.releaseHeld(held);
    }
  }

  /** 16 bytes that no other delivery has; random bytes for each would be a tenth of all work. */
  nextTag() {
    const tag = Buffer.allocUnsafe(16);
    this.tagPrefix.copy(tag);
    tag.writeBigUInt64BE(BigInt(this.counters.delivered), 8);
    return tag;
  }

  watch(entry) {
    this.expiries.push({ entry, token: entry.token, until_ms: entry.lockedUntil_ms });
    this.arm();
  }

  arm() {
    const first = this.expiries.peek();
    if (this.closed || !first || (this.timer && this.timerAt_ms <= first.until_ms)) return;
    clearTimeout(this.timer);
    this.timerAt_ms = first.until_ms;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.expire();
    }, Math.min(Math.max(first.until_ms - this.clock(), 1), TIMER_MAX_MS));
  }

  expire() {
    const now_ms = this.clock();
    while (this.expiries.length && this.expiries.peek().until_ms <= now_ms) {
      const { entry, token, until_ms } = this.expiries.shift();
      if (entry.token !== token || entry.lockedUntil_ms !== until_ms) continue; // settled or renewed since
      this.counters.locksExpired += 1;
      this.giveBack(entry);
    }
    this.arm();
  }

  /** The entry that a lock token holds, or undefined when the lock is gone. */
  find(token) {
    return this.locked.get(token);
  }

  unlock(entry) {
    this.locked.delete(entry.token);
    entry.token = undefined;
    entry.receiver = undefined;
  }

  giveBack(entry) {
    this.unlock(entry);
    entry.deliveryCount += 1;
    if (entry.deliveryCount >= this.options.maxDeliveryCount) {
      this.onDead(entry, 'MaxDeliveryCountExceeded',
        `Message could not be consumed after ${entry.deliveryCount} delivery attempts.`);
    } else {
      this.returned.push(entry);
    }
    this.schedule();
  }

  complete(entry) {
    if (entry.token) this.unlock(entry);
    this.counters.completed += 1;
    if (this.faults.duplicate > 0) {
      this.faults.duplicate -= 1;
      this.counters.duplicated += 1;
      entry.deliveryCount += 1;
      this.returned.push(entry);
      this.schedule();
    }
  }

  abandon(entry) {
    this.counters.abandoned += 1;
    this.giveBack(entry);
  }

  deadLetter(entry, reason, description) {
    this.unlock(entry);
    this.onDead(entry, reason, description);
  }

  renew(entry) {
    entry.lockedUntil_ms = this.clock() + this.options.lockDuration_ms;
    this.watch(entry);
    return entry.lockedUntil_ms;
  }

  /** Ends locks now, as if they had expired (fault "lock loss"). Returns how many. */
  loseLocks(count = Infinity) {
    let lost = 0;
    for (const entry of [...this.locked.values()]) {
      if (lost >= count) break;
      lost += 1;
      this.giveBack(entry);
    }
    this.counters.locksLost += lost;
    return lost;
  }

  /** What a receiver that is gone had locked stays locked until the lock expires, as at the service. */
  close() {
    this.closed = true;
    clearTimeout(this.timer);
    for (const held of this.held) clearTimeout(held.timer);
  }
}

module.exports = { Queue };
