'use strict';
// Queues without O(n) steps: a double-ended queue on a growing ring, and a heap ordered by a number.

class Deque {
  constructor() {
    this.ring = new Array(16);
    this.head = 0;
    this.length = 0;
  }

  grow() {
    const { ring, head, length } = this;
    const larger = new Array(ring.length * 2);
    for (let i = 0; i < length; i++) larger[i] = ring[(head + i) & (ring.length - 1)];
    this.ring = larger;
    this.head = 0;
  }

  push(item) {
    if (this.length === this.ring.length) this.grow();
    this.ring[(this.head + this.length) & (this.ring.length - 1)] = item;
    this.length += 1;
  }

  unshift(item) {
    if (this.length === this.ring.length) this.grow();
    this.head = (this.head - 1) & (this.ring.length - 1);
    this.ring[this.head] = item;
    this.length += 1;
  }

  peek() {
    return this.length ? this.ring[this.head] : undefined;
  }

  shift() {
    if (this.length === 0) return undefined;
    const item = this.ring[this.head];
    this.ring[this.head] = undefined;
    this.head = (this.head + 1) & (this.ring.length - 1);
    this.length -= 1;
    return item;
  }

  at(index) {
    return index < this.length ? this.ring[(this.head + index) & (this.ring.length - 1)] : undefined;
  }

  * [Symbol.iterator]() {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }
}

/** Smallest key first; items of equal keys come in no particular order. */
class Heap {
  constructor(keyOf) {
    this.keyOf = keyOf;
    this.items = [];
  }

  get length() {
    return this.items.length;
  }

  peek() {
    return this.items[0];
  }

  push(item) {
    const { items, keyOf } = this;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keyOf(items[parent]) <= keyOf(item)) break;
      items[at] = items[parent];
      at = parent;
    }
    items[at] = item;
  }

  shift() {
    const { items, keyOf } = this;
    const first = items[0];
    const last = items.pop();
    if (items.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && keyOf(items[child + 1]) < keyOf(items[child])) child += 1;
      if (keyOf(last) <= keyOf(items[child])) break;
      items[at] = items[child];
      at = child;
    }
    items[at] = last;
    return first;
  }
}

module.exports = { Deque, Heap };
