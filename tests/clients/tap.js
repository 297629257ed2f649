'use strict';
// A TAP emitter for suites that own servers: tests run one after the other, each with a deadline, and what a
// test opened is closed in reverse order also when it failed. Nothing may outlive run(). Each says how long it took.

const fs = require('node:fs');

class Skip extends Error {}

const tests = [];
const witnesses = []; // of a failure: each says what it knows, or nothing
const DEADLINE_MS = 30000;

/** Adds a test. Its name is the promise it checks; body(t) may use t.after(fn), t.skip(why), t.note(text). */
function test(name, body, { deadline_ms = DEADLINE_MS } = {}) {
  tests.push({ name, body, deadline_ms });
}

/** What say() returns at the moment of a failure is shown with it: the last lines of a log. */
function witness(say) {
  witnesses.push(say);
}

function note(text) {
  for (const line of String(text).split('\n')) process.stdout.write(`# ${line}\n`);
}

const STRETCH = 8; // a deadline is over after so many times its length, however busy the machine is

/** For how long, since the machine was started, somebody had to wait for a processor; 0 where the kernel does not tell. */
function stalled_ms() {
  try {
    return Number(fs.readFileSync('/proc/pressure/cpu', 'latin1').match(/^some .*total=(\d+)/)[1]) / 1000;
  } catch {
    return 0;
  }
}

/**
 * A clock for deadlines: a test must not fail because the machine is busy with something else. Time in which somebody
 * had to wait for a processor does not count, up to a limit. On a machine that is idle it is an ordinary clock.
 */
class Stopwatch {
  constructor() {
    this.begin_ms = performance.now();
    this.stalled_ms = stalled_ms();
  }

  get ms() {
    const passed_ms = performance.now() - this.begin_ms;
    return Math.max(passed_ms / STRETCH, passed_ms - (stalled_ms() - this.stalled_ms));
  }
}

/** Resolves with the promise, or rejects naming what did not happen in time. */
async function within(ms, what, promise) {
  const watch = new Stopwatch();
  let timer;
  const late = new Promise((_, reject) => {
    const look = () => {
      const left_ms = ms - watch.ms;
      if (left_ms > 0) timer = setTimeout(look, Math.ceil(left_ms));
      else reject(new Error(`not within ${ms} ms: ${what}`));
    };
    timer = setTimeout(look, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Polls until condition() is truthy and returns its value; an exception counts as "not yet". */
async function until(ms, what, condition, poll_ms = 10) {
  const watch = new Stopwatch();
  let last;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (watch.ms > ms) {
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
  if (failure && !(failure instanceof Skip)) failure.also = witnesses.map((say) => say()).filter(Boolean);
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
      for (const text of failure.also || []) note(text);
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

/** How much of a long proof is done: all of it in a long run (tests/run --long), otherwise a tenth. */
function share(whole) {
  return process.env.SIDEBUS_TEST_LONG ? whole : Math.ceil(whole / 10);
}

module.exports = { Skip, Stopwatch, note, run, share, test, until, witness, within };
