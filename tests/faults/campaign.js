'use strict';
// A campaign of kills: brokers and nodes are killed, told to end, paused, cut off and disconnected at random while a load
// runs of which all is judged (campaign_load.js). On one RabbitMQ, and on a cluster of three.
//
//   CAMPAIGN_ON       "single", "cluster" or both (default: single; both with SIDEBUS_TEST_LONG)
//   CAMPAIGN_KILLS    how many kills on each; other faults come on top (default: 20; 100 with SIDEBUS_TEST_LONG)
//   TEST_SEED         which faults and when; what they meet depends on the machine too

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { Broker, BrokerCluster, Cluster, Sidebus, TARGET, requireSidebus, temporaryDirectory } = require('../clients/harness');
const { random } = require('../clients/load');
const { Skip, note, run, share, test, until, within } = require('../clients/tap');
const { CampaignLoad, sleep } = require('./campaign_load');

const LONG = Boolean(process.env.SIDEBUS_TEST_LONG);
const ON = process.env.CAMPAIGN_ON || (LONG ? 'single,cluster' : 'single');
const KILLS = Number(process.env.CAMPAIGN_KILLS) || (LONG ? 100 : share(200));
const SEED = Number(process.env.TEST_SEED) || Date.now() % 1e6;
const PARTITIONS = 2;
const NODES = 3;
const LEASE_MS = 3000;
const HEARTBEAT_S = 2;
// Little, since each node that starts fills it from the log, and enough for a round.
const SETTINGS = 'log = { level = "info"; };\nhistory = { max_bytes = 4194304; };';
const QUICK = { backoff_min_ms: 20, backoff_max_ms: 500, heartbeat_s: HEARTBEAT_S, connect_timeout_ms: 2000, rpc_timeout_ms: 3000 };
const RECOVERY_MS = 120000; // a cluster takes fifteen seconds for a new leader, on a quiet machine
const SECOND = 0.25; // of the faults meet a second one
const DECK_KILLS = 10; // kills in a deck
// How often each fault is in a deck, on one broker and on a cluster.
const DECKS = {
  single: {
    'broker-kill': 2, 'broker-term': 1, 'node-kill': 5, 'node-term': 2, 'broker-pause': 1, connections: 1, 'node-pause': 1,
  },
  cluster: {
    'broker-kill': 3, 'broker-term': 1, 'node-kill': 4, 'node-term': 2, 'broker-pause': 1, 'broker-cut': 1, connections: 1,
    'node-pause': 1,
  },
};

const isKill = (kind) => /-(kill|term)$/.test(kind);

class Campaign {
  constructor(brokers, cluster, deck, seed) {
    Object.assign(this, { brokers, nodes: cluster.nodes, deck });
    this.random = random(seed);
    this.load = new CampaignLoad({ nodes: cluster.nodes, partitions: PARTITIONS, seed });
    this.counts = {}; // faults by kind
    this.pairs = 0;
    this.longest_ms = 0;
    this.cards = [];
  }

  between(low, high) {
    return low + Math.floor(this.random() * (high - low));
  }

  pick(list) {
    return list[this.between(0, list.length)];
  }

  /** The next fault: every deck has all its faults, in a random order. */
  draw() {
    if (this.cards.length === 0) {
      this.cards = Object.entries(this.deck).flatMap(([kind, count]) => new Array(count).fill(kind));
      for (let i = this.cards.length - 1; i > 0; i--) {
        const j = this.between(0, i + 1);
        [this.cards[i], this.cards[j]] = [this.cards[j], this.cards[i]];
      }
    }
    return this.cards.pop();
  }

  fault(kind) {
    const what = kind.split('-')[0];
    const target = this.pick(what === 'node' ? this.nodes : this.brokers);
    const isLong = this.random() < 0.5;
    const pause_ms = isLong ? this.between(3 * HEARTBEAT_S * 1000, 10000) : this.between(200, 1500);
    const node_ms = isLong ? this.between(LEASE_MS + 1000, 2 * LEASE_MS) : this.between(100, 1000);
    const down_ms = this.between(0, 1500);
    const cut_ms = this.between(1000, 25000);
    const actions = {
      'broker-kill': [() => target.kill(), () => this.restart(target, down_ms)],
      'broker-term': [() => this.end(target), () => this.restart(target, down_ms)],
      'broker-pause': [() => process.kill(target.pid, 'SIGSTOP'), () => this.resume(target, pause_ms)],
      'broker-cut': [() => target.cut(), () => this.rejoin(target, cut_ms)],
      connections: [() => target.ctl('-q', 'close_all_connections', 'campaign'), () => {}],
      'node-kill': [() => this.leave(target, 'SIGKILL'), () => this.enter(target, down_ms)],
      'node-term': [() => this.leave(target, 'SIGTERM'), () => this.enter(target, down_ms)],
      'node-pause': [() => target.signal('SIGSTOP'), () => this.resume(target, node_ms)],
    };
    const [begin, heal] = actions[kind];
    const lasts_ms = { 'broker-pause': pause_ms, 'broker-cut': cut_ms, 'node-pause': node_ms, connections: 0 }[kind] ?? down_ms;
    const name = what === 'node' ? target.name : what === 'broker' ? `:${target.port}` : '';
    return { kind, what, target, begin, heal, text: `${kind} ${name} ${lasts_ms} ms` };
  }

  async end(broker) {
    const { pid } = broker;
    process.kill(pid, 'SIGTERM');
    await until(RECOVERY_MS, `broker ${pid} ends after SIGTERM`, () => {
      try {
        return process.kill(pid, 0) && false;
      } catch {
        return true;
      }
    });
  }

  async restart(broker, ms) {
    await sleep(ms);
    await broker.restart();
  }

  async rejoin(broker, ms) {
    await sleep(ms);
    await broker.kill();
    await broker.restart();
  }

  async resume(target, ms) {
    await sleep(ms);
    process.kill(target.pid, 'SIGCONT');
  }

  async leave(node, signal) {
    this.load.leave(node);
    node.signal(signal);
    const { code } = await within(RECOVERY_MS, `${node.name} ends after ${signal}`, node.exited);
    if (signal === 'SIGTERM') assert.equal(code, 0, `${node.name} ends with 0; its log: ${node.tail()}`);
    await this.load.detach(node);
  }

  async enter(node, ms) {
    await sleep(ms);
    node.spawn(node.bin, ['run', '-c', node.file]);
    await until(RECOVERY_MS, () => `${node.name} is ready; its log: ${node.tail()}`,
      async () => node.status || (await node.info()).loading === '0', 20);
    assert.equal(node.status, undefined, `${node.name} ended; its log: ${node.tail()}`);
    await this.load.attach(node);
  }

  /** A second fault that may meet this one: of something else, and none that needs a broker that answers. */
  second(first) {
    const kind = this.cards.at(-1);
    if (kind === undefined || this.random() >= SECOND || [kind, first.kind].includes('connections')) return undefined;
    const other = this.fault(kind);
    if (other.target === first.target) return undefined;
    this.cards.pop();
    return other;
  }

  async strike() {
    const faults = [this.fault(this.draw())];
    const other = this.second(faults[0]);
    if (other) faults.push(other);
    this.text = faults.map(({ text }) => text).join(' + ');
    const begin = performance.now();
    await sleep(this.between(0, 300));
    for (const fault of faults) {
      await fault.begin();
      this.counts[fault.kind] = (this.counts[fault.kind] || 0) + 1;
    }
    await Promise.all(faults.map((fault) => fault.heal()));
    this.pairs += faults.length - 1;
    const start = performance.now();
    await this.load.answering(RECOVERY_MS);
    const ms = Math.round(performance.now() - start);
    this.longest_ms = Math.max(this.longest_ms, ms);
    await this.load.judge(RECOVERY_MS);
    for (const node of this.nodes) await node.assertAgrees();
    note(`${this.total}: ${this.text}; all were answered ${ms} ms later; ${Math.round((performance.now() - begin) / 1000)} s`);
  }

  get kills() {
    return Object.entries(this.counts).reduce((sum, [kind, count]) => sum + (isKill(kind) ? count : 0), 0);
  }

  get total() {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  get result() {
    const kinds = Object.entries(this.counts).map(([kind, count]) => `${count} ${kind}`).join(', ');
    return `${this.total} faults, ${this.kills} of them kills (${kinds}; ${this.pairs} before the one before was over); ${
      this.load.state}; longest until all were answered ${this.longest_ms} ms`;
  }

  async run() {
    let isOver = false;
    process.on('exit', () => isOver || note(`ended early, seed ${SEED}: ${this.result}`));
    try {
      await this.load.open();
      await this.load.answering(RECOVERY_MS);
      while (this.kills < KILLS || this.cards.length > 0) {
        await this.strike();
        assert.equal(this.load.wrongs.size, 0, `after ${this.text}`);
      }
      await this.load.finish(RECOVERY_MS);
      assert.equal(this.load.wrongs.size, 0, 'at the end');
    } catch (error) {
      note(`with ${this.text}, seed ${SEED}: ${this.result}`);
      for (const text of this.load.texts) note(text);
      for (const node of this.nodes) {
        note(`${node.name}: ${node.tail(40).replaceAll(' | ', '\n')}`);
        fs.writeFileSync(`${node.file}.log`, node.stderr); // for TEST_KEEP
      }
      throw error;
    } finally {
      isOver = true;
    }
    note(this.result);
  }
}

async function campaign(t, kind) {
  const isCluster = kind === 'cluster';
  const broker = isCluster ? await BrokerCluster.start(3) : await Broker.start();
  t.after(() => broker.stop());
  const brokers = isCluster ? broker.brokers : [broker];
  const cluster = await Cluster.open({
    broker, count: NODES, partitions: PARTITIONS, lease_ms: LEASE_MS, rabbitmq: QUICK, settings: SETTINGS,
  });
  t.after(() => cluster.close());
  for (const one of brokers) await one.durable();
  const all = new Campaign(brokers, cluster, DECKS[kind], SEED);
  t.after(() => {
    for (const node of cluster.nodes) if (!node.status) node.signal('SIGCONT');
    return all.load.close();
  });
  note(`seed ${SEED}`);
  await all.run();
}

// ---- the judge itself ----

const always = () => true;

/** What becomes of two messages that come one after the other, once, where they fit; by the word for it. */
const TAMPERINGS = {
  lost: [always, (one, other) => [other]],
  doubled: [always, (one, other) => [one, one, other]],
  reordered: [(one, other) => one.publisher === other.publisher && one.channel === other.channel, (one, other) => [other, one]],
  diverged: [(one, other) => one.publisher !== other.publisher && one.channel === other.channel, (one, other) => [other, one]],
};

/** Three views of a node that has no broker: nothing goes wrong by itself. */
async function openJudged(t) {
  const node = new Sidebus('judged', temporaryDirectory(), { topics: { prefix: 'judged', partitions: PARTITIONS } });
  t.after(() => node.stop());
  await node.start();
  const load = new CampaignLoad({ nodes: Array.from({ length: NODES }, () => Object.create(node)), partitions: PARTITIONS, seed: SEED });
  t.after(() => load.close());
  await load.open();
  return load;
}

/** Changes what this subscriber gets; resolves when that is done. */
function tamper({ connection }, [fits, change]) {
  const { onMessage } = connection;
  let held;
  return new Promise((resolve) => {
    connection.onMessage = (channelBytes, payload) => {
      const [publisher] = String(payload).split(' ', 1);
      const message = { publisher, channel: String(channelBytes), deliver: () => onMessage(channelBytes, payload) };
      if (!held || !fits(held, message)) {
        if (held) held.deliver();
        held = message;
        return;
      }
      for (const one of change(held, message)) one.deliver();
      connection.onMessage = onMessage;
      resolve();
    };
  });
}

async function assertNoticed(load, kind, doWrong) {
  await load.answering(RECOVERY_MS);
  await load.judge(RECOVERY_MS);
  assert.deepEqual([...load.wrongs], [], 'before');
  await within(RECOVERY_MS, kind, doWrong());
  await load.answering(RECOVERY_MS);
  await load.judge(RECOVERY_MS);
  assert.ok(load.wrongs.has(kind), `${kind} was not noticed, but ${[...load.wrongs]}`);
  load.wrongs.clear();
}

test('the judge notices messages that are lost, doubled, reordered, or in two orders', async (t) => {
  const load = await openJudged(t);
  for (const [kind, how] of Object.entries(TAMPERINGS)) {
    await assertNoticed(load, kind, () => tamper(load.subscribers[1], how));
  }
});

async function deleteNew(session, { stream, judged }) {
  const [[id]] = await until(RECOVERY_MS, 'an entry', async () => {
    const entries = await session.request('XRANGE', stream, `(${judged}`, '+');
    return entries.length > 0 && entries;
  });
  await session.request('XDEL', stream, id);
}

for (const [what, doWrong] of [
  ['an entry', deleteNew], ['a count', (session, { counter }) => session.request('DECRBY', counter, 1000)],
]) {
  test(`the judge notices ${what} that is lost`, async (t) => {
    const load = await openJudged(t);
    const session = await load.nodes[0].connect();
    t.after(() => session.destroy());
    await assertNoticed(load, 'lost', () => doWrong(session, load.keys[0]));
  });
}

const KILL_MS = 60000; // on average, with what comes with it, on a machine that is busy
for (const [kind, where] of [['single', 'one RabbitMQ'], ['cluster', 'a cluster of three RabbitMQs']]) {
  if (!ON.split(',').includes(kind)) continue;
  test(`${Math.ceil(KILLS / DECK_KILLS) * DECK_KILLS} kills of brokers and nodes, on ${where}: nothing is lost, doubled or reordered`,
    (t) => campaign(t, kind), { deadline_ms: KILLS * KILL_MS });
}

run({
  before: async () => {
    if (TARGET === 'redis') throw new Skip('needs nodes that can die one by one');
    requireSidebus();
  },
});
