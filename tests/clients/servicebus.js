'use strict';
// The Service Bus test double as the broker of a suite: a process of its own that nodes reach over TLS, with tokens
// made from a key and the right to manage, as they would reach Azure. Its faults are verbs of its control port, see
// tests/servicebus-double/README.md.

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: passed } = require('node:timers/promises');
const conf = require('./conf');
const { Skip } = require('./tap');

const DOUBLE = path.resolve(__dirname, '../servicebus-double');
const MIB = 1024 * 1024;
const AWAY_MS = 24 * 3600 * 1000; // longer than any test
const AWAY_REQUESTS = 1e9;
const OUTAGE_MS = 2000; // what an outage lasts at least: a real one is not over before anybody notices

/** What a node waits for, sized for tests; the tier decides that nothing lingers and no rate is kept. */
const SETTINGS = {
  tier: 'premium', lock_s: 5, connect_timeout_ms: 3000, rpc_timeout_ms: 3000, backoff_min_ms: 20, backoff_max_ms: 300,
  busy_pause_ms: 200,
};
const CLUSTER = { lease_ms: 15000, found_ms: 2000 };

class ServiceBus {
  /** dir: for its files; set: settings of the double; args: further options of its main.js. */
  static async start(dir, { set = {}, args = [] } = {}) {
    if (!fs.existsSync(path.join(DOUBLE, 'node_modules'))) throw new Skip('npm ci was not run in tests/servicebus-double');
    const { DoubleProcess } = require('../servicebus-double/process');
    const settings = { max_message_size: 16 * MIB, ...set };
    const double = await DoubleProcess.start(['--tls-dir', path.join(dir, 'tls'),
      ...Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]), ...args]);
    return new ServiceBus(double);
  }

  constructor(double) {
    this.kind = 'servicebus';
    this.double = double;
  }

  /** Of AMQP over TLS: where a proxy would go to. */
  get port() {
    return this.double.ports.amqps;
  }

  get url() {
    return this.double.connectionString('amqp');
  }

  /** What a node beside it is told. A key whose value is undefined in `more` is left out. */
  settings(dir, { port, ...more }) {
    const { caFile, key, keyName, ports } = this.double;
    const hasOther = 'token_file' in more || 'connection_string_file' in more || 'key_name' in more;
    const who = hasOther ? {} : { key_name: keyName, key_file: conf.writeSecret(dir, 'servicebus.key', key) };
    return {
      servicebus: {
        namespace: 'connection_string_file' in more ? undefined : `localhost:${port}`, ...who, management_port: ports.https,
        ...SETTINGS, tls: { ca_file: caFile }, ...more,
      },
      cluster: CLUSTER,
    };
  }

  /** Asks for a fault, or for something to be done. */
  ask(verb, args) {
    return this.double.ask(verb, args);
  }

  /** Asks a question. */
  tell(query, args) {
    return this.double.tell(query, args);
  }

  /** A service that cannot be reached and forgets nothing. */
  async kill() {
    await this.ask('refuse-rest', { count: AWAY_REQUESTS });
    await this.ask('restart', { ms: AWAY_MS });
    this.killedAt_ms = Date.now();
  }

  /** It is back, without any fault. */
  async restart() {
    const left_ms = this.killedAt_ms ? this.killedAt_ms + OUTAGE_MS - Date.now() : 0;
    if (left_ms > 0) await passed(left_ms);
    this.killedAt_ms = undefined;
    await this.ask('clear');
  }

  /** What was accepted is never forgotten. */
  durable() {
    return Promise.resolve();
  }

  stop() {
    return this.double.stop();
  }
}

module.exports = { ServiceBus };
