'use strict';
// Shared access signatures: who may do what on which entity.

const crypto = require('node:crypto');

const RIGHTS = ['Manage', 'Send', 'Listen'];

/** Host and path of an address, both in lower case; the scheme, the port and a query do not count. */
function splitUri(uri) {
  const match = /^(?:[a-z]+:\/\/)?([^/?:]*)(?::\d+)?(\/[^?]*)?/i.exec(uri);
  return { host: match[1].toLowerCase(), path: (match[2] || '').toLowerCase().replace(/^\/+|\/+$/g, '') };
}

/** Whether a path is the scope itself or below it. */
function covers(scope, path) {
  const parent = scope.toLowerCase();
  const child = path.toLowerCase();
  return parent === '' || child === parent || child.startsWith(`${parent}/`);
}

function timingSafeEqual(a, b) {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && crypto.timingSafeEqual(left, right);
}

/** The signature over what a token says literally: its own sr and se. */
function signature(sr, se, key) {
  return crypto.createHmac('sha256', key).update(`${sr}\n${se}`).digest('base64');
}

function makeToken(uri, keyName, key, expiresAt_s) {
  const sr = encodeURIComponent(uri.toLowerCase()).toLowerCase();
  const sig = encodeURIComponent(signature(sr, expiresAt_s, key));
  return `SharedAccessSignature sr=${sr}&sig=${sig}&se=${expiresAt_s}&skn=${encodeURIComponent(keyName)}`;
}

/** Manage includes the other rights. */
function allRights(rights = RIGHTS) {
  return rights.includes('Manage') ? RIGHTS : rights;
}

class Unauthorized extends Error {}

class Rules {
  /** rules: [{name, key, rights: ['Manage', …], scope: 'entity path, empty for all'}] */
  constructor(rules) {
    this.rules = new Map();
    for (const rule of rules) this.add(rule);
  }

  add({ name, key, rights = RIGHTS, scope = '' }) {
    const wrong = rights.find((right) => !RIGHTS.includes(right));
    if (wrong) throw new Error(`no such right: ${wrong}`);
    this.rules.set(name, { name, key, rights: allRights(rights), scope });
  }

  remove(name) {
    return this.rules.delete(name);
  }

  plain(name, key) {
    const rule = this.rules.get(name);
    return rule && timingSafeEqual(rule.key, key) ? rule : undefined;
  }

  /** What a SAS token grants: {rule, host, path, expiresAt_ms}. Throws Unauthorized with the reason. */
  verify(token, now_ms) {
    const match = /^SharedAccessSignature (.*)$/.exec(token);
    if (!match) throw new Unauthorized('MalformedToken: The token is no SharedAccessSignature');
    const fields = {};
    for (const pair of match[1].split('&')) {
      const equals = pair.indexOf('=');
      fields[pair.slice(0, equals)] = pair.slice(equals + 1);
    }
    for (const name of ['sr', 'sig', 'se', 'skn']) {
      if (!fields[name]) throw new Unauthorized(`MalformedToken: The token has no ${name}`);
    }
    if (!/^\d+$/.test(fields.se)) throw new Unauthorized('MalformedToken: The expiry is no number of seconds');
    const rule = this.rules.get(decodeURIComponent(fields.skn));
    if (!rule) throw new Unauthorized('InvalidSignature: The rule does not exist');
    if (!timingSafeEqual(signature(fields.sr, fields.se, rule.key), decodeURIComponent(fields.sig))) {
      throw new Unauthorized('InvalidSignature: The token has an invalid signature.');
    }
    const expiresAt_ms = Number(fields.se) * 1000;
    if (expiresAt_ms <= now_ms) throw new Unauthorized('ExpiredToken: The token is expired.');
    return { rule, ...splitUri(decodeURIComponent(fields.sr)), expiresAt_ms };
  }
}

module.exports = { Rules, Unauthorized, allRights, covers, makeToken, splitUri };
