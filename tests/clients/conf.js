'use strict';
// Text of sidebus.conf, and the files with secrets that it names.

const fs = require('node:fs');
const path = require('node:path');

const INT_MAX = 2 ** 31 - 1;

const quote = (text) => `"${String(text).replace(/["\\]/g, '\\$&')}"`;

/** A value as libconfig reads it: a number, a truth, a text, a list of texts, or a group. */
function value(of) {
  if (typeof of === 'number') return `${of}${of > INT_MAX ? 'L' : ''}`;
  if (typeof of === 'boolean') return String(of);
  if (Array.isArray(of)) return `[${of.map(quote).join(', ')}]`;
  if (typeof of === 'object') return `{ ${settings(of)} }`;
  return quote(of);
}

/** {key: value} as settings; keys whose value is undefined are left out. */
function settings(of, between = ' ') {
  return Object.entries(of).filter(([, one]) => one !== undefined)
    .map(([key, one]) => `${key} = ${value(one)};`).join(between);
}

function writeSecret(dir, name, secret) {
  const file = path.join(dir, name);
  fs.writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  return file;
}

module.exports = { quote, settings, writeSecret };
