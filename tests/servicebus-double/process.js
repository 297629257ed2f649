'use strict';
// A double in a process of its own, for tests: start it, ask it for faults, read what it saw.

const { spawn } = require('node:child_process');
const http = require('node:http');
const path = require('node:path');

const READY_MS = 20000;
const KEYS = { AMQP_PORT: 'amqp', AMQPS_PORT: 'amqps', HTTPS_PORT: 'https', HTTP_PORT: 'http', CONTROL_PORT: 'control' };

function call(port, method, pathname, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, method, path: pathname }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        const value = JSON.parse(Buffer.concat(chunks).toString() || '{}');
        if (response.statusCode === 200) resolve(value);
        else reject(new Error(`${method} ${pathname}: ${response.statusCode} ${value.error}`));
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

class DoubleProcess {
  /** args: options of main.js. Resolves when it listens. */
  static async start(args = []) {
    const double = new DoubleProcess(args);
    await double.spawn();
    return double;
  }

  constructor(args) {
    this.args = args;
    this.ports = {};
    this.log = '';
  }

  spawn() {
    this.child = spawn(process.execPath, [path.join(__dirname, 'main.js'), ...this.args], {
      stdio: ['ignore', 'pipe', 'pipe'] });
    this.killer = () => this.child.kill('SIGKILL');
    process.on('exit', this.killer);
    this.exited = new Promise((resolve) => {
      this.child.once('close', (code, signal) => resolve({ code, signal }));
    });
    this.child.stderr.on('data', (chunk) => {
      this.log = (this.log + chunk).slice(-100000);
    });
    return new Promise((resolve, reject) => {
      let output = '';
      const timer = setTimeout(() => reject(new Error(`the double is not ready: ${output} ${this.log}`)), READY_MS);
      this.exited.then((status) => reject(new Error(`the double ended: ${JSON.stringify(status)} ${this.log}`)));
      this.child.stdout.on('data', (chunk) => {
        output += chunk;
        if (!/^PID=\d+$/m.test(output)) return;
        clearTimeout(timer);
        for (const [, key, value] of output.matchAll(/^([A-Z_]+)=(.*)$/gm)) {
          if (KEYS[key]) this.ports[KEYS[key]] = Number(value);
          else if (key === 'CA_FILE') this.caFile = value;
          else if (key === 'KEY_NAME') this.keyName = value;
          else if (key === 'KEY') this.key = value;
        }
        resolve(this);
      });
    });
  }

  /** What a client of Microsoft's takes: over TLS, or plain where port is the plain one. */
  connectionString(port = 'amqps', { keyName = this.keyName, key = this.key } = {}) {
    const plain = port === 'amqp' ? ';UseDevelopmentEmulator=true' : '';
    return `Endpoint=sb://localhost:${this.ports[port]}/;SharedAccessKeyName=${keyName};SharedAccessKey=${key}${plain}`;
  }

  /** A verb of the control port. */
  ask(verb, args = {}) {
    return call(this.ports.control, 'POST', `/${verb}`, JSON.stringify(args));
  }

  /** A query of the control port. */
  tell(query, args = {}) {
    return call(this.ports.control, 'GET', `/${query}?${new URLSearchParams(args)}`);
  }

  /** The description of one topic. */
  async topic(name) {
    return (await this.tell('entities', { entity: name }))[0];
  }

  async subscription(topic, name) {
    return (await this.topic(topic)).subscriptions.find((one) => one.name === name);
  }

  async kill9() {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  /** SIGTERM; rejects when it does not end with 0. */
  async stop() {
    this.child.kill('SIGTERM');
    const status = await this.exited;
    process.off('exit', this.killer);
    if (status.code !== 0) throw new Error(`the double ended with ${JSON.stringify(status)}: ${this.log}`);
  }
}

module.exports = { DoubleProcess };
