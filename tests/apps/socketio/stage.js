'use strict';
// What a test of three servers is given: servers of its configuration, kept from test to test, and fresh users.

const { spawn } = require('node:child_process');
const path = require('node:path');
const { Trio } = require('./servers');
const { within } = require('../../clients/tap');

const START_MS = 20000; // a process loads hundreds of files, on a machine that is busy

class Stage {
  constructor(nodes) {
    this.nodes = nodes;
    this.current = undefined; // {configuration, trio}: opened by the first test that needs it
    this.namespaces = 0;
  }

  async trioOf(configuration) {
    if (!this.current || this.current.configuration !== configuration) {
      await this.close();
      this.current = { configuration, trio: await Trio.open(this.nodes, configuration) };
    }
    return this.current.trio;
  }

  async contextOf(t, configuration) {
    const trio = await this.trioOf(configuration);
    t.after(() => trio.disconnectUsers());
    const users = await trio.connectUsers();
    const [A, B, C] = trio.servers;
    t.after(async () => {
      for (const event of ['hello', 'who']) for (const server of trio.servers) server.io.removeAllListeners(event);
    });
    return {
      t, trio, users, A, B, C, nodes: this.nodes, namespace: `/room-${++this.namespaces}`, ...configuration,
    };
  }

  async close() {
    const closing = this.current;
    this.current = undefined;
    if (closing) await closing.trio.close();
  }
}

/** A server process; resolves when it is a member. */
async function startMember(t, { library, adapter }, node) {
  const child = spawn(process.execPath, [path.join(__dirname, 'member.js'), library, adapter, node.path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(async () => child.kill('SIGKILL'));
  const gone = new Promise((resolve) => child.once('exit', () => resolve(process.hrtime.bigint())));
  const port = await within(START_MS, 'a server process starts', new Promise((resolve, reject) => {
    child.stdout.once('data', (text) => resolve(Number(text)));
    child.once('exit', (code) => reject(new Error(`member.js ended with ${code}`)));
  }));
  return { child, gone, port };
}

module.exports = { Stage, startMember };
