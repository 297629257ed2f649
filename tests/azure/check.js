'use strict';
// deploy/azure says the same as the product: names, properties and defaults of topics and subscriptions, and the rights
// that nodes need; and docs/service-bus.md computes with the product's defaults. What the template comes to is in
// *.snapshot.json beside this file, as `bicep snapshot` predicts it for each deploy/azure/*.bicepparam, without Azure.
// Where there is a bicep compiler the snapshots are made anew and must be the same; elsewhere a digest tells whether the
// template has changed since.
//   node tests/azure/check.js            the checks, as TAP
//   node tests/azure/check.js --update   makes the snapshots; needs bicep
// bicep is $BICEP, `bicep` in the path, that of the Azure CLI, or the NuGet package Azure.Bicep.CommandLine.linux-x64.

const assert = require('node:assert');
const { execFileSync, spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { run, test } = require('../clients/tap.js');

const ROOT = path.join(__dirname, '..', '..');
const AZURE = path.join(ROOT, 'deploy', 'azure');
const BUILD = path.join(ROOT, 'build', 'asan');
const SIDEBUS = process.env.SIDEBUS_BIN || path.join(BUILD, 'bridge', 'sidebus');
const ENTITIES = process.env.AZURE_ENTITIES_BIN || path.join(BUILD, 'tests', 'azure', 'azure_entities');
const NUGET = path.join(os.homedir(), '.nuget', 'packages', 'azure.bicep.commandline.linux-x64');
const DIGEST = path.join(__dirname, 'template.sha256');

const NAMESPACE = 'Microsoft.ServiceBus/namespaces';
const TOPIC = `${NAMESPACE}/topics`;
const SUBSCRIPTION = `${TOPIC}/subscriptions`;
const ROLE = 'Microsoft.Authorization/roleAssignments';
const ROLES = {
  '090c5cfd-751d-490a-894a-3ce6f1109419': 'Owner',
  '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0': 'Receiver',
  '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39': 'Sender',
};

const templateFiles = () => fs.readdirSync(AZURE).filter((name) => /\.bicep(param)?$/.test(name)).sort();
const examples = templateFiles()
  .filter((name) => name.endsWith('.bicepparam'))
  .map((name) => name.replace(/\.bicepparam$/, ''));

const snapshotFile = (example) => path.join(__dirname, `${example}.snapshot.json`);
const snapshot = (example) => JSON.parse(fs.readFileSync(snapshotFile(example), 'utf8'));
const ofType = (example, type) =>
  snapshot(example).predictedResources.filter((one) => one.type.toLowerCase() === type.toLowerCase());
const leaf = (resource) => resource.name.split('/').pop();

function digest() {
  const hash = createHash('sha256');
  for (const name of templateFiles()) hash.update(`${name}\n`).update(fs.readFileSync(path.join(AZURE, name)));
  return hash.digest('hex');
}

function findBicep() {
  const packages = fs.existsSync(NUGET) ? fs.readdirSync(NUGET).map((v) => path.join(NUGET, v, 'tools', 'bicep')) : [];
  const candidates = [process.env.BICEP, 'bicep', path.join(os.homedir(), '.azure', 'bin', 'bicep'), ...packages];
  return candidates.find((one) => {
    if (!one) return false;
    if (packages.includes(one) && fs.existsSync(one)) fs.chmodSync(one, 0o755); // NuGet unpacks it without
    return spawnSync(one, ['--version']).status === 0;
  });
}

/** Runs body with a copy of the templates, beside which bicep may write. */
function withCopy(body) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'azure-'));
  try {
    for (const name of templateFiles()) fs.copyFileSync(path.join(AZURE, name), path.join(work, name));
    return body(work);
  } finally {
    fs.rmSync(work, { recursive: true });
  }
}

function makeSnapshot(bicep, work, example) {
  const place = ['--subscription-id', '00000000-0000-0000-0000-000000000000', '--resource-group', 'hub'];
  const args = ['snapshot', `${example}.bicepparam`, '--mode', 'overwrite', '--location', 'westeurope', ...place];
  execFileSync(bicep, args, { cwd: work, stdio: 'pipe' });
  return fs.readFileSync(path.join(work, `${example}.snapshot.json`), 'utf8');
}

function update() {
  const bicep = findBicep();
  if (!bicep) throw new Error('there is no bicep compiler; set BICEP to its path');
  withCopy((work) => {
    for (const example of examples) fs.writeFileSync(snapshotFile(example), makeSnapshot(bicep, work, example));
  });
  fs.writeFileSync(DIGEST, `${digest()}\n`);
}

/** The keys of a group of `sidebus check --print`. */
function group(text, name) {
  const body = new RegExp(`^${name} = \\{\\n([^}]*)\\};`, 'm').exec(text)[1];
  return Object.fromEntries([...body.matchAll(/^ {2}(\w+) = "?([^";]*)"?;$/gm)].map((m) => [m[1], m[2]]));
}

/** The effective settings of a node on Service Bus that sets no more than it must. */
function productSettings(node, partitions) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'azure-'));
  try {
    const key = path.join(work, 'key');
    const config = path.join(work, 'sidebus.conf');
    fs.writeFileSync(key, 'a-key\n', { mode: 0o600 });
    fs.writeFileSync(
      config,
      `node = "${node}"; broker = "servicebus"; topics = { partitions = ${partitions}; };
       socket = { path = "${work}/socket"; };
       servicebus = { namespace = "acme-hub.servicebus.windows.net"; key_name = "sidebus"; key_file = "${key}"; };\n`
    );
    const text = execFileSync(SIDEBUS, ['check', '--print', '-c', config], { encoding: 'utf8', stdio: 'pipe' });
    return Object.assign({}, ...['topics', 'servicebus', 'batch', 'cluster'].map((name) => group(text, name)));
  } finally {
    fs.rmSync(work, { recursive: true });
  }
}

/** { "supportOrdering": true, "lockDuration": "PT10S", … } of an Atom entry, in the spelling of templates. */
function properties(entry) {
  const description = /<(\w+Description) [^>]*>(.*)<\/\1>/.exec(entry)[2];
  const value = (text) => (/^(true|false|[0-9]+)$/.test(text) ? JSON.parse(text) : text);
  return Object.fromEntries(
    [...description.matchAll(/<(\w+)>([^<]*)<\/\1>/g)].map((m) => [m[1][0].toLowerCase() + m[1].slice(1), value(m[2])])
  );
}

/** What a node of these settings makes when it may. */
function productEntities(settings) {
  const { prefix, partitions, ttl_s, max_size_mb, lock_s, auto_delete_idle_s } = settings;
  const args = [prefix, partitions, ttl_s, max_size_mb, lock_s, auto_delete_idle_s];
  const lines = execFileSync(ENTITIES, args, { encoding: 'utf8', stdio: 'pipe' }).trimEnd().split('\n');
  const subscription = properties(lines.pop());
  const topic = properties(lines.pop());
  return { topics: lines, topic, subscription };
}

const SETTINGS_OF = { given: [1, ['web-01', 'web-02']], managed: [1, []], identities: [2, ['web-01', 'web-02']] };

test('every example of deploy/azure is known here', async () => {
  assert.deepStrictEqual(examples, Object.keys(SETTINGS_OF).sort());
});

test('the snapshots are those of the template that is there', async (t) => {
  t.note(`made of ${templateFiles().join(', ')}; after a change: node tests/azure/check.js --update`);
  assert.strictEqual(digest(), fs.readFileSync(DIGEST, 'utf8').trim());
});

test('bicep finds nothing to complain of, and predicts the same', async (t) => {
  const bicep = findBicep();
  if (!bicep) t.skip('needs a bicep compiler; see the head of tests/azure/check.js');
  withCopy((work) => {
    const lint = spawnSync(bicep, ['lint', 'main.bicep'], { cwd: work, encoding: 'utf8' });
    assert.strictEqual(lint.stdout + lint.stderr, '');
    for (const name of templateFiles()) {
      const formatted = spawnSync(bicep, ['format', name, '--stdout'], { cwd: work, encoding: 'utf8' }).stdout;
      assert.strictEqual(formatted, fs.readFileSync(path.join(work, name), 'utf8'), `bicep format ${name}`);
    }
    for (const example of examples)
      assert.deepStrictEqual(JSON.parse(makeSnapshot(bicep, work, example)), snapshot(example), example);
  });
});

for (const [example, [partitions, nodes]] of Object.entries(SETTINGS_OF)) {
  test(`${example}: topics are named and made as a node would`, async () => {
    const product = productEntities(productSettings('web-01', partitions));
    const topics = ofType(example, TOPIC);
    assert.deepStrictEqual(topics.map(leaf), product.topics);
    for (const topic of topics) assert.deepStrictEqual(topic.properties, product.topic);
    assert.strictEqual(product.topic.supportOrdering, true);
    assert.strictEqual(product.topic.enablePartitioning, false);
  });

  test(`${example}: subscriptions are named and made as a node would, but are never deleted as idle`, async () => {
    const wanted = [];
    for (const node of nodes) {
      const settings = productSettings(node, partitions);
      const { topics, subscription } = productEntities(settings);
      assert.ok(subscription.autoDeleteOnIdle, 'a node that may make its subscription lets the service delete it');
      delete subscription.autoDeleteOnIdle;
      for (const topic of topics) wanted.push({ name: `acme-hub/${topic}/${settings.subscription}`, is: subscription });
    }
    const made = ofType(example, SUBSCRIPTION).map((one) => ({ name: one.name, is: one.properties }));
    const byName = (a, b) => a.name.localeCompare(b.name);
    assert.deepStrictEqual(made.sort(byName), wanted.sort(byName));
  });

  test(`${example}: nothing is made that nobody asked for`, async () => {
    const known = [NAMESPACE, TOPIC, SUBSCRIPTION, ROLE, `${NAMESPACE}/authorizationRules`, `${TOPIC}/authorizationRules`];
    const others = snapshot(example).predictedResources.filter(
      (one) => !known.some((type) => type.toLowerCase() === one.type.toLowerCase())
    );
    assert.deepStrictEqual(others, []);
    assert.deepStrictEqual(snapshot(example).diagnostics, []);
  });
}

const rightsOf = (example, type) => ofType(example, `${type}/authorizationRules`).map((one) => one.properties.rights);
const rolesOf = (example) =>
  ofType(example, ROLE).map((one) => {
    const role = ROLES[one.properties.roleDefinitionId.split('/').pop()];
    const [, scope] = /\/namespaces\/acme-hub(?:\/topics\/([^/]+))?\/providers\/Microsoft.Authorization\//.exec(one.id);
    return `${one.properties.principalId.slice(-1)} ${scope} ${role}`;
  });

test('given: the key may send and listen, on the topic alone', async () => {
  assert.deepStrictEqual(rightsOf('given', TOPIC), [['Listen', 'Send']]);
  assert.deepStrictEqual(rightsOf('given', NAMESPACE), []);
  assert.deepStrictEqual(rolesOf('given'), []);
});

test('managed: the key may manage too, in the namespace, where subscriptions are made', async () => {
  assert.deepStrictEqual(rightsOf('managed', NAMESPACE), [['Listen', 'Manage', 'Send']]);
  assert.deepStrictEqual(rightsOf('managed', TOPIC), []);
  assert.deepStrictEqual(rolesOf('managed'), []);
});

test('identities: each may send to and receive from each topic, and there are no keys', async () => {
  const wanted = ['1', '2'].flatMap((who) =>
    ['sidebus-0', 'sidebus-1'].flatMap((topic) => [`${who} ${topic} Receiver`, `${who} ${topic} Sender`])
  );
  assert.deepStrictEqual(rolesOf('identities').sort(), wanted);
  assert.deepStrictEqual([...rightsOf('identities', NAMESPACE), ...rightsOf('identities', TOPIC)], []);
  const [namespace] = ofType('identities', NAMESPACE);
  assert.strictEqual(namespace.properties.disableLocalAuth, true);
  assert.strictEqual(namespace.properties.premiumMessagingPartitions, 1);
});

/** The tables between the marks that tests/bench/credits.js prints. */
const tables = (text) =>
  Object.fromEntries([...text.matchAll(/<!-- credits: (.*?) -->\n\n((?:\|.*\n)+)/g)].map((m) => [m[1], m[2]]));

test('docs/service-bus.md computes credits with the defaults of the product', async (t) => {
  const settings = productSettings('web-01', 1);
  const args = ['--batch-bytes', settings.max_bytes, '--rate', settings.rate_per_s];
  args.push('--lease-s', String(Number(settings.lease_ms) / 1000));
  t.note(`after a change: node tests/bench/credits.js ${args.join(' ')}`);
  const script = path.join(ROOT, 'tests', 'bench', 'credits.js');
  const printed = tables(execFileSync(process.execPath, [script, ...args], { encoding: 'utf8' }));
  const page = tables(fs.readFileSync(path.join(ROOT, 'docs', 'service-bus.md'), 'utf8'));
  assert.ok(Object.keys(printed).length >= 6);
  assert.deepStrictEqual(page, printed);
});

if (process.argv[2] === '--update') update();
else run();
