'use strict';
// A TCP proxy that stands between sidebus and the broker and misbehaves on demand.

const net = require('node:net');

class Proxy {
  static async start(port) {
    const proxy = new Proxy(port);
    await new Promise((resolve, reject) => {
      proxy.server.once('error', reject);
      proxy.server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  constructor(target) {
    this.target = target;
    this.pairs = new Set();
    this.refusing = false;
    this.silent = false;
    this.cuts = 0;
    this.accepted = 0;
    this.budget = undefined; // bytes until the cut, shared by all connections
    this.server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (client) => this.accept(client));
  }

  get port() {
    return this.server.address().port;
  }

  accept(client) {
    this.accepted += 1;
    if (this.refusing) {
      client.destroy();
      return;
    }
    const upstream = net.connect({ host: '127.0.0.1', port: this.target, allowHalfOpen: true });
    const pair = { client, upstream };
    this.pairs.add(pair);
    const cut = () => this.cutPair(pair);
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      from.setNoDelay(true);
      from.on('data', (chunk) => this.forward(from, to, chunk));
      from.on('end', () => to.end()); // what is still under way arrives late, but arrives
      from.on('error', cut);
      from.on('close', () => from.readableEnded || cut());
    }
    if (this.silent) this.hush(pair);
    else client.resume();
  }

  forward(from, to, chunk) {
    if (this.budget !== undefined) {
      if (chunk.length >= this.budget) {
        // The cut falls inside this chunk: its first bytes still go through, whatever they end.
        const last = chunk.subarray(0, this.budget);
        this.budget = undefined;
        this.cuts += 1;
        to.write(last, () => {
          this.cutAll();
          this.onCut();
        });
        return;
      }
      this.budget -= chunk.length;
    }
    if (!to.write(chunk)) {
      from.pause();
      to.once('drain', () => this.silent || from.resume());
    }
  }

  cutPair(pair) {
    this.pairs.delete(pair);
    pair.client.destroy();
    pair.upstream.destroy();
  }

  cutAll() {
    for (const pair of [...this.pairs]) this.cutPair(pair);
  }

  /** Cuts all connections after this many further bytes, in either direction. Resolves when it has happened. */
  cutAfter(bytes) {
    this.budget = bytes;
    return new Promise((resolve) => (this.onCut = resolve));
  }

  /** As a broker that is down: cuts, and refuses until allow(). */
  refuse() {
    this.refusing = true;
    this.cutAll();
  }

  allow() {
    this.refusing = false;
  }

  hush(pair) {
    pair.client.pause();
    pair.upstream.pause();
  }

  /** As a lost network: connections stay, and nothing passes until speak(). */
  blackhole() {
    this.silent = true;
    for (const pair of this.pairs) this.hush(pair);
  }

  speak() {
    this.silent = false;
    for (const pair of this.pairs) {
      pair.client.resume();
      pair.upstream.resume();
    }
  }

  async close() {
    this.refuse();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

module.exports = { Proxy };
