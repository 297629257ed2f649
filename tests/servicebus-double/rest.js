'use strict';
// The management interface over HTTP: topics and subscriptions as Atom entries, rules to read.

const atom = require('./atom');
const { EntityError } = require('./entities');
const { Unauthorized, allRights, covers, splitUri } = require('./sas');

const BODY_MAX_BYTES = 1024 * 1024;
const LOCK_MAX_MS = 5 * 60 * 1000;
const SUBSCRIPTIONS_MAX = 2000;

class HttpError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

function readBody(request) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    let size = 0;
    request.on('data', (chunk) => {
      size += chunk.length;
      if (size > BODY_MAX_BYTES) reject(new HttpError(413, 'The body is too large.'));
      else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.on('error', reject);
  });
}

/** 401 without a good token that covers the URL, 403 when its rule may not manage the entity. */
function authorise(server, request, urlPath, path) {
  const token = request.headers.authorization;
  if (!token) throw new HttpError(401, 'MissingToken: The authorization header was not found.');
  let rule;
  try {
    if (token.startsWith('Bearer ')) {
      const jwt = server.jwts.find((one) => one.token === token.slice(7));
      if (!jwt) throw new Unauthorized('InvalidToken: The token is not accepted.');
      rule = { name: 'jwt', rights: allRights(jwt.rights), scope: jwt.scope || '' };
    } else {
      const claim = server.rules.verify(token, server.clock());
      if (claim.host !== splitUri(`http://${request.headers.host}`).host || !covers(claim.path, urlPath)) {
        throw new Unauthorized('InvalidAudience: The token audience does not cover the resource.');
      }
      rule = claim.rule;
    }
  } catch (error) {
    if (!(error instanceof Unauthorized) && !(error instanceof URIError)) throw error;
    throw new HttpError(401, error.message);
  }
  if (!rule.rights.includes('Manage') || !covers(rule.scope, path)) {
    throw new HttpError(403, `Manage claim(s) are required on '${path}': rule '${rule.name}' has not got them.`);
  }
}

function topicEntry(base, topic) {
  let [active, dead] = [0, 0];
  for (const subscription of topic.subscriptions.values()) {
    active += subscription.queue.active;
    dead += subscription.deadLetters.active;
  }
  const at = (ms) => new Date(ms).toISOString();
  return atom.entry({ url: `${base}/${topic.name}`, title: topic.name, updated_ms: topic.createdAt_ms,
    content: atom.description('Topic', topic.settings, {
      Status: 'Active', CreatedAt: at(topic.createdAt_ms), UpdatedAt: at(topic.createdAt_ms),
      AccessedAt: at(topic.touchedAt_ms), SizeInBytes: 0, SubscriptionCount: topic.subscriptions.size,
      CountDetails: atom.countDetails(active, dead), EntityAvailabilityStatus: 'Available',
      FilteringMessagesBeforePublishing: false, IsAnonymousAccessible: false, EnableSubscriptionPartitioning: false,
      EnableExpress: false,
    }) });
}

function subscriptionEntry(base, subscription) {
  const { topic, queue, deadLetters } = subscription;
  const at = (ms) => new Date(ms).toISOString();
  return atom.entry({ url: `${base}/${topic.name}/Subscriptions/${subscription.name}`, title: subscription.name,
    updated_ms: subscription.createdAt_ms,
    content: atom.description('Subscription', subscription.settings, {
      MessageCount: queue.active + deadLetters.active, Status: 'Active', CreatedAt: at(subscription.createdAt_ms),
      UpdatedAt: at(subscription.createdAt_ms), AccessedAt: at(subscription.touchedAt_ms),
      CountDetails: atom.countDetails(queue.active, deadLetters.active), EntityAvailabilityStatus: 'Available',
      DeadLetteringOnFilterEvaluationExceptions: true,
    }) });
}

function checkSettings(server, kind, settings) {
  const { min_auto_delete_ms, min_lock_ms } = server.settings;
  const refuse = (text) => {
    throw new HttpError(400, text);
  };
  if (settings.autoDeleteOnIdle_ms < min_auto_delete_ms) {
    refuse(`AutoDeleteOnIdle must be at least ${atom.durationText(min_auto_delete_ms)}.`);
  }
  if (settings.lockDuration_ms > LOCK_MAX_MS) refuse('LockDuration is at most PT5M.');
  if (settings.lockDuration_ms < min_lock_ms) refuse(`LockDuration is at least ${atom.durationText(min_lock_ms)}.`);
  if (settings.maxDeliveryCount < 1) refuse('MaxDeliveryCount is at least 1.');
  if (settings.ttl_ms <= 0) refuse('DefaultMessageTimeToLive must be positive.');
  if (settings.supportOrdering && settings.enablePartitioning) refuse('A partitioned topic cannot support ordering.');
  if (kind === 'Subscription' && settings.requiresSession) refuse('sessions are not imitated');
}

/** A page of a list as the client asks for it, with a link to the next one where there is more. */
function listing(server, { url, base }, title, items, toEntry) {
  const skip = Number(url.searchParams.get('$skip') || 0);
  const top = Number(url.searchParams.get('$top') || 100);
  const more = items.length > skip + top;
  const where = `${base}${url.pathname}`;
  const next = more ? `${where}?$skip=${skip + top}&$top=${top}&api-version=${url.searchParams.get('api-version')}` : undefined;
  return { status: 200, body: atom.feed({ url: where, title, updated_ms: server.clock(), next,
    entries: items.slice(skip, skip + top).map(toEntry) }) };
}

function put(server, { path, topicName, subscriptionName, base, body, overwrites }) {
  const { namespace } = server;
  const kind = subscriptionName ? 'Subscription' : 'Topic';
  const settings = atom.parseEntry(body, kind);
  checkSettings(server, kind, settings);
  const existing = subscriptionName ? namespace.subscription(topicName, subscriptionName) : namespace.topic(topicName);
  if (overwrites) {
    if (!existing) throw new HttpError(404, `Entity '${path}' was not found.`);
    Object.assign(existing.settings, settings);
    return { status: 200, body: subscriptionName ? subscriptionEntry(base, existing) : topicEntry(base, existing) };
  }
  if (subscriptionName) {
    const topic = namespace.topic(topicName);
    if (topic && topic.subscriptions.size >= SUBSCRIPTIONS_MAX && !existing) {
      throw new HttpError(403, `SubCode=40300. The topic has ${SUBSCRIPTIONS_MAX} subscriptions.`);
    }
    return { status: 201, body: subscriptionEntry(base, namespace.createSubscription(topicName, subscriptionName, settings)) };
  }
  return { status: 201, body: topicEntry(base, namespace.createTopic(topicName, settings)) };
}

/** The service answers a GET for what does not exist with an empty feed, which SDKs take for "not found". */
function get(server, { url, path, topicName, subscriptionName, list, base }) {
  const { namespace } = server;
  const listed = (title, items, toEntry) => listing(server, { url, base }, title, [...items], (one) => toEntry(base, one));
  if (list === 'topics') return listed('Topics', namespace.topics.values(), topicEntry);
  const topic = namespace.topic(topicName);
  if (list === 'subscriptions') {
    if (!topic) throw new HttpError(404, `Entity '${path}' was not found.`);
    return listed('Subscriptions', topic.subscriptions.values(), subscriptionEntry);
  }
  const found = subscriptionName ? namespace.subscription(topicName, subscriptionName) : topic;
  if (!found) {
    if (server.settings.get_missing === 'feed') return listed('Publicly Listed Services', [], topicEntry);
    throw new HttpError(404, `Entity '${path}' was not found.`);
  }
  return { status: 200, body: subscriptionName ? subscriptionEntry(base, found) : topicEntry(base, found) };
}

function route(url) {
  const parts = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  if (parts.length === 2 && parts[0].toLowerCase() === '$resources' && parts[1].toLowerCase() === 'topics') {
    return { path: '', list: 'topics' };
  }
  const at = parts.findIndex((part) => part.toLowerCase() === 'subscriptions');
  if (at < 0) return { path: parts.join('/'), topicName: parts.join('/') };
  const topicName = parts.slice(0, at).join('/');
  if (parts.length === at + 1) return { path: topicName, topicName, list: 'subscriptions' };
  if (parts.length > at + 2) throw new HttpError(501, 'rules over HTTP are not imitated: use $management');
  return { path: `${topicName}/Subscriptions/${parts[at + 1]}`, topicName, subscriptionName: parts[at + 1] };
}

async function answer(server, request, secure) {
  const url = new URL(request.url, 'http://double');
  const where = route(url);
  authorise(server, request, decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, ''), where.path);
  const fault = server.faults.takeRestRefusal(where.path);
  if (fault) throw new HttpError(fault.status, fault.description);
  if (!/^\d{4}-\d{2}$/.test(url.searchParams.get('api-version') || '')) {
    throw new HttpError(400, 'api-version is missing in the query or is none.');
  }
  const base = `${secure ? 'https' : 'http'}://${request.headers.host}`;
  const asked = { ...where, url, base };
  if (request.method === 'GET') return get(server, asked);
  if (where.list || !where.topicName) throw new HttpError(405, `${request.method} is not possible here.`);
  if (request.method === 'DELETE') {
    if (where.subscriptionName) server.namespace.deleteSubscription(where.topicName, where.subscriptionName);
    else server.namespace.deleteTopic(where.topicName);
    return { status: 200, body: '' };
  }
  if (request.method !== 'PUT') throw new HttpError(405, `${request.method} is not possible here.`);
  if (!/^application\/atom\+xml(;|$)/.test(request.headers['content-type'] || '')) {
    throw new HttpError(415, 'The content type must be application/atom+xml;type=entry;charset=utf-8.');
  }
  return put(server, { ...asked, body: await readBody(request), overwrites: request.headers['if-match'] === '*' });
}

function statusOf(error) {
  if (error instanceof atom.AtomError || error instanceof URIError) return 400;
  if (error instanceof HttpError || error instanceof EntityError) return error.status;
  return 500;
}

/** The handler of both HTTP servers. */
function restHandler(server, secure) {
  return async (request, response) => {
    server.counters.restRequests += 1;
    let reply;
    try {
      reply = await answer(server, request, secure);
    } catch (error) {
      const status = statusOf(error);
      if (status === 500) process.stderr.write(`management: ${error.stack}\n`);
      reply = { status, body: atom.error(status, `${error.message} TrackingId:double`) };
    }
    server.restLog.push({ method: request.method, url: request.url, status: reply.status });
    if (server.restLog.length > 10000) server.restLog.shift();
    const type = reply.status < 300 ? 'application/atom+xml;type=entry;charset=utf-8' : 'application/xml; charset=utf-8';
    request.resume();
    response.writeHead(reply.status, { 'content-type': type, 'content-length': Buffer.byteLength(reply.body) });
    response.end(reply.body);
  };
}

module.exports = { restHandler };
