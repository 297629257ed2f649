'use strict';
// The control port: POST /VERB with a JSON object asks for something, GET /QUERY tells something.

const queries = require('./queries');
const verbs = require('./verbs');
const { BadArguments } = verbs;

const BODY_MAX_BYTES = 16 * 1024 * 1024;

async function readJson(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_MAX_BYTES) throw new BadArguments('the body is too large');
    chunks.push(chunk);
  }
  if (size === 0) return {};
  try {
    return JSON.parse(Buffer.concat(chunks));
  } catch (error) {
    throw new BadArguments(`the body is no JSON: ${error.message}`);
  }
}

/** Arguments over the verb's defaults; a name that the verb does not know is an error, not a fault that never acts. */
function withDefaults(name, { defaults }, given) {
  const unknown = Object.keys(given).find((key) => !(key in defaults));
  if (unknown && !defaults['*']) throw new BadArguments(`${name} has no argument "${unknown}"`);
  const chosen = { ...defaults, ...given };
  delete chosen['*'];
  const missing = Object.keys(chosen).find((key) => chosen[key] === undefined);
  if (missing) throw new BadArguments(`${name} needs "${missing}"`);
  return chosen;
}

async function answer(server, request) {
  const url = new URL(request.url, 'http://control');
  const name = url.pathname.slice(1);
  if (request.method === 'GET') {
    if (!Object.hasOwn(queries, name)) return [404, { error: `no such query: ${name}`, queries: Object.keys(queries) }];
    return [200, queries[name](server, Object.fromEntries(url.searchParams))];
  }
  if (request.method !== 'POST') return [405, { error: 'GET and POST only' }];
  if (!Object.hasOwn(verbs.VERBS, name)) return [404, { error: `no such verb: ${name}`, verbs: Object.keys(verbs.VERBS) }];
  const verb = verbs.VERBS[name];
  const result = await verb.run(server, withDefaults(name, verb, await readJson(request)));
  return [200, result || {}];
}

function controlHandler(server) {
  return async (request, response) => {
    let status;
    let body;
    try {
      [status, body] = await answer(server, request);
    } catch (error) {
      [status, body] = [error instanceof BadArguments ? 400 : error.status || 500, { error: error.message }];
      if (status === 500) process.stderr.write(`control: ${error.stack}\n`);
    }
    const text = JSON.stringify(body);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.end(text);
  };
}

module.exports = { controlHandler };
