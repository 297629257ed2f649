'use strict';
// A TAP emitter for suites that own servers: tests run one after the other, each with a deadline, and what a
// test opened is closed in reverse order also when it failed. Nothing may outlive run(). Each says how long it took.

class Skip extends Error {}

const tests = [];
const DEADLINE_MS = 30000;

/** Adds a test. Its name is the promise it checks; body(t) may use t.after(fn), t.skip(why), t.note(text). */
function test(name, body, { deadline_ms = DEADLINE_MS } = {}) {
  tests.push({ name, body, deadline_ms });
}

function note(text) {
  for (const line of String(text).split('\n')) process.stdout.write(`# ${line}\n`);
}

/** Resolves with the promise, or rejects naming what did not happen in time. */
async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Polls until condition() is truthy and returns its value; an exception counts as "not yet". */
async function until(ms, what, condition, poll_ms = 10) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) {
      const text = typeof what === 'function' ? what() : what;
      throw new Error(`not within ${ms} ms: ${text}${last ? ` (${last.message})` : ''}`);
    }
    await new Promise((resolve) => setTimeout(resolve, poll_ms));
  }
}

async function runOne({ name, body, deadline_ms }) {
  const cleanups = [];
  const t = {
    after: (fn) => cleanups.push(fn),
    skip: (why) => {
      throw new Skip(why);
    },
    note,
  };
  let failure;
  try {
    await within(deadline_ms, `the test "${name}"`, body(t));
  } catch (error) {
    failure = error;
  }
  for (const cleanup of cleanups.reverse()) {
    try {
      await within(deadline_ms, `clean-up of "${name}"`, cleanup());
    } catch (error) {
      failure = failure && !(failure instanceof Skip) ? failure : error;
    }
  }
  return failure;
}

/**
 * Runs before(), the tests, then after(), and sets the exit code. before() throwing Skip skips the file;
 * after() is reported as a test of its own, since a server that does not stop cleanly is a failure.
 */
async function run({ before, after, afterName = 'everything that was started stops cleanly' } = {}) {
  const only = process.env.TEST_ONLY;
  let number = 0;
  let failed = 0;
  const report = (name, failure, time_ms) => {
    number += 1;
    const time = ` # time=${Math.round(time_ms)}ms`;
    const escaped = name.replace(/#/g, '\\#');
    if (!failure) {
      process.stdout.write(`ok ${number} - ${escaped}${time}\n`);
    } else if (failure instanceof Skip) {
      process.stdout.write(`ok ${number} - ${escaped} # SKIP ${failure.message}\n`);
    } else {
      failed += 1;
      process.stdout.write(`not ok ${number} - ${escaped}${time}\n`);
      note(failure.stack || failure);
    }
  };
  const timed = async (name, job) => {
    const start = performance.now();
    const failure = await job();
    report(name, failure, performance.now() - start);
  };
  let blocked;
  if (before) {
    const start = performance.now();
    try {
      await before();
    } catch (error) {
      if (error instanceof Skip) {
        process.stdout.write(`1..0 # SKIP ${error.message}\n`);
        process.exit(0);
      }
      report('the servers of this suite start', error, performance.now() - start);
      blocked = true;
    }
  }
  if (!blocked) {
    for (const one of tests) {
      if (only && !one.name.includes(only)) continue;
      await timed(one.name, () => runOne(one));
    }
  }
  if (after) await timed(afterName, () => runOne({ name: afterName, body: after, deadline_ms: DEADLINE_MS }));
  process.stdout.write(`1..${number}\n`);
  process.exit(failed ? 1 : 0);
}

process.on('unhandledRejection', (error) => {
  note(`unhandled rejection: ${error && error.stack}`);
  process.exit(1);
});

module.exports = { Skip, note, run, test, until, within };
