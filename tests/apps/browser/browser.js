'use strict';
// The two examples of deploy/examples in a real browser: a page on each of two servers, each server beside a sidebus of
// its own, all over one RabbitMQ. SCREENSHOTS names a directory for pictures of the pages.

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const puppeteer = require('puppeteer-core');
const { Cluster, ROOT, Server, brokerForTarget, freePort, temporaryDirectory } = require('../../clients/harness');
const { Skip, run, test, until, within } = require('../../clients/tap');

const PAGE_MS = 15000;
const EXAMPLES = path.join(ROOT, 'deploy/examples');

let broker;
let browser;

/** An app server of an example: a process that serves a page on loopback. */
class App extends Server {
  static async start(name, command, args, env, cwd) {
    const app = new App(name, cwd);
    app.url = `http://127.0.0.1:${env.PORT}/`;
    app.spawn(command, args, env);
    await until(PAGE_MS * 2, () => `${name} serves its page; it said: ${app.tail()}`,
      async () => app.status || (await fetch(app.url)).ok, 50);
    if (app.status) throw new Error(`${name} ended: ${app.tail()}`);
    return app;
  }
}

async function socketioServer(name, node) {
  const env = { SIDEBUS: node.path, PORT: String(await freePort()), NAME: name };
  return App.start(name, process.execPath, ['server.js'], env, path.join(EXAMPLES, 'socketio-chat'));
}

const SIGNALR_OUT = path.join(ROOT, 'build/apps/signalr');

/** The built example, and where its pages are. */
function signalrBinary() {
  fs.mkdirSync(SIGNALR_OUT, { recursive: true });
  const { status, stdout } = spawnSync(path.join(ROOT, 'tests/apps/signalr/prepare'), [SIGNALR_OUT]);
  const said = String(stdout).trim();
  if (status === 77) throw new Skip(said);
  if (status !== 0) throw new Error(said);
  const file = path.join(SIGNALR_OUT, 'chat/bin/signalr-chat/release/signalr-chat');
  if (!fs.existsSync(file)) throw new Skip('the example needs the .NET SDK 10');
  return file;
}

async function signalrServer(name, node, file) {
  const port = String(await freePort());
  const args = ['--urls', `http://127.0.0.1:${port}`, '--contentRoot', path.join(SIGNALR_OUT, 'example'),
    '--ConnectionStrings:Backplane', `!${node.path},abortConnect=false`];
  return App.start(name, file, args, { PORT: port, CHAT_SERVER: name }, path.dirname(file));
}

async function openPage(t, app) {
  const page = await browser.newPage();
  t.after(() => page.close());
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(error.message));
  await page.goto(app.url, { timeout: PAGE_MS });
  /* The SignalR page connects first and joins then; the Socket.IO page does both at once. */
  await until(PAGE_MS, 'the page is connected',
    () => page.evaluate(() => document.getElementById('state')?.textContent !== 'connecting'), 30);
  return page;
}

const linesOf = (page) => page.$$eval('#messages li', (lines) => lines.map((line) => line.textContent));

async function sees(page, ...words) {
  await until(PAGE_MS, `a line with "${words.join('" and "')}"`,
    async () => (await linesOf(page)).some((line) => words.every((word) => line.includes(word))), 30);
}

async function fill(page, values, form) {
  for (const [id, value] of Object.entries(values)) {
    /* Not waitForSelector: a page in the background draws no frames, by which that polls. */
    await until(PAGE_MS, `the field ${id} can be filled in`, () => page.$eval(`#${id}`, (field) => !field.disabled), 30);
    await page.$eval(`#${id}`, (field, text) => { field.value = text; }, value);
  }
  await page.$eval(`#${form}`, (element) => element.requestSubmit());
}

async function picture(page, name) {
  if (!process.env.SCREENSHOTS) return;
  await page.bringToFront();
  await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name}.png`) });
}

/** Ann on the first server and Ben on the second talk, each message arriving once on both pages. */
/** What the pages show, into the text of a failure. */
async function explained(pages, work) {
  try {
    await work;
  } catch (error) {
    const shown = await Promise.all(pages.map(async (page) => [...await linesOf(page), ...page.errors].join(' | ')));
    throw new Error(`${error.message}; the pages show: ${shown.join(' and: ')}`);
  }
}

async function talk(first, second, enter, name) {
  await fill(first, { name: 'Ann', room: 'lobby' }, enter);
  await fill(second, { name: 'Ben', room: 'lobby' }, enter);
  for (const [page, who, text] of [[first, 'Ann', 'hello from here'], [second, 'Ben', 'and hello from there'],
    [first, 'Ann', '<b>not bold</b> ✓']]) {
    await fill(page, { text }, 'say');
    for (const reader of [first, second]) await sees(reader, who, text);
  }
  for (const reader of [first, second]) {
    const lines = (await linesOf(reader)).filter((line) => line.includes('hello from here'));
    if (lines.length !== 1) throw new Error(`the message stands there ${lines.length} times`);
    if (reader.errors.length) throw new Error(`the page has errors: ${reader.errors.join('; ')}`);
  }
  await picture(first, `${name}-1`);
  await picture(second, `${name}-2`);
}

async function pages(t, start, enter, name) {
  const cluster = await Cluster.open({ count: 2, broker });
  t.after(() => cluster.close());
  const apps = [];
  for (const [i, node] of cluster.nodes.entries()) {
    const app = await start(`${name}-${i + 1}`, node);
    t.after(() => app.kill9());
    apps.push(app);
  }
  const [first, second] = [await openPage(t, apps[0]), await openPage(t, apps[1])];
  await explained([first, second], talk(first, second, enter, name));
}

test('the Socket.IO chat: a message crosses between pages of two servers', (t) => pages(t, socketioServer, 'enter', 'socketio'),
  { deadline_ms: 90000 });

test('the SignalR chat: a message crosses between pages of two servers', (t) => {
  const file = signalrBinary();
  return pages(t, (name, node) => signalrServer(name, node, file), 'join', 'signalr');
}, { deadline_ms: 300000 });

async function launch() {
  const file = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((at) => fs.existsSync(at));
  if (!file) throw new Skip('no Chromium here');
  return puppeteer.launch({
    executablePath: file,
    userDataDir: temporaryDirectory(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
  });
}

run({
  before: async () => {
    broker = await brokerForTarget();
    browser = await launch();
  },
  after: async () => {
    if (browser) await within(PAGE_MS, 'the browser ends', browser.close());
    if (broker) await broker.stop();
  },
});
