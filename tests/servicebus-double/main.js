#!/usr/bin/env node
'use strict';
// Runs a double until SIGTERM; README.md has the options.

const fs = require('node:fs');
const { parseArgs } = require('node:util');
const { SETTINGS, ServiceBusDouble } = require('./double');

const PORTS = ['amqp', 'amqps', 'https', 'http', 'control'];

const { values } = parseArgs({
  options: {
    'auto-create': { type: 'boolean' },
    ports: { type: 'string' },
    rule: { type: 'string', multiple: true },
    jwt: { type: 'string', multiple: true },
    name: { type: 'string', multiple: true },
    topic: { type: 'string', multiple: true },
    set: { type: 'string', multiple: true },
    'tls-dir': { type: 'string' },
  },
});

function settings() {
  const chosen = values['auto-create'] ? { auto_create: true } : {};
  for (const pair of values.set || []) {
    const [, name, text] = /^([^=]+)=(.*)$/.exec(pair) || [];
    if (!(name in SETTINGS)) throw new Error(`--set ${pair}: no such setting`);
    chosen[name] = typeof SETTINGS[name] === 'string' ? text : JSON.parse(text);
  }
  return chosen;
}

/** NAME:KEY[:RIGHT,RIGHT[:SCOPE]] */
function rule(text) {
  const [name, key, rights, scope] = text.split(':');
  return { name, key, rights: rights ? rights.split(',') : undefined, scope };
}

async function main() {
  const numbers = (values.ports || '').split(',').filter(Boolean).map(Number);
  const double = new ServiceBusDouble({
    settings: settings(),
    rules: values.rule && values.rule.map(rule),
    jwts: (values.jwt || []).map((file) => ({ token: fs.readFileSync(file, 'utf8').trim() })),
    ports: Object.fromEntries(PORTS.map((name, i) => [name, numbers[i]])),
    tlsDirectory: values['tls-dir'],
    names: values.name,
  });
  for (const topic of values.topic || []) double.namespace.createTopic(topic);
  await double.start();
  const lines = PORTS.map((name) => `${name.toUpperCase()}_PORT=${double.ports[name]}`);
  lines.push(`CA_FILE=${double.caFile}`, `KEY_NAME=${double.keyName}`, `KEY=${double.key}`, `PID=${process.pid}`);
  process.stdout.write(`${lines.join('\n')}\n`);
  const stop = () => double.stop().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

main().catch((error) => {
  process.stderr.write(`servicebus-double: ${error.message}\n`);
  process.exit(1);
});
