'use strict';
// The judge: Microsoft's own client against the double, then what that client cannot show, by rhea and plain HTTP.
// Node reads extra certificate authorities only when it starts, so the tests run in a child that knows the double's.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { certificates } = require('./certificates');

function runChild() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'sb-judge-'));
  const { caFile } = certificates(dir);
  const child = spawn(process.execPath, [__filename], { stdio: 'inherit',
    env: { ...process.env, NODE_EXTRA_CA_CERTS: caFile, JUDGE_TLS_DIR: dir } });
  process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('exit', (code) => process.exit(code === null ? 1 : code));
}

if (!process.env.JUDGE_TLS_DIR) {
  runChild();
} else {
  const { run } = require('../clients/tap');
  const bench = require('./judge_bench');
  require('./judge_messages');
  require('./judge_settling');
  require('./judge_rules');
  require('./judge_administration');
  require('./judge_access');
  require('./judge_faults');
  require('./judge_protocol');
  run({ before: bench.start, after: bench.stop, afterName: 'the double ends cleanly and complained of nothing' });
}
