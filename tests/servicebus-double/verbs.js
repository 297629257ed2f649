'use strict';
// What tests may ask for at the control port. README.md has an example of each; verbs that touch entities or links
// answer {affected: how many}. An argument whose default is undefined must be given.

const rhea = require('rhea');
const { Message } = require('./codec');
const filters = require('./filters');
const { matchesPath } = require('./faults');

class BadArguments extends Error {}

function topics(server, pattern) {
  return [...server.namespace.topics.values()].filter((topic) => matchesPath(pattern, topic.path));
}

function subscriptions(server, pattern) {
  return topics(server, '*').flatMap((topic) => [...topic.subscriptions.values()])
    .filter((one) => matchesPath(pattern, one.path));
}

function each(things, act) {
  for (const thing of things) act(thing);
  return { affected: things.length };
}

function peers(server, { id, container }) {
  return [...server.peers].filter((peer) => (id === null || peer.id === id)
    && (container === null || matchesPath(container, String(peer.connection.container_id || ''))));
}

/** "topic" or "topic/Subscriptions/name" as its parts. */
function splitPath(path) {
  const match = /^(.+?)(?:\/Subscriptions\/([^/]+))?$/i.exec(path);
  return { topicName: match[1], subscriptionName: match[2] };
}

function fromNulls(settings) {
  return Object.fromEntries(Object.entries(settings).map(([k, v]) => [k, v === null ? Number.MAX_SAFE_INTEGER : v]));
}

function create(server, entity, settings) {
  const { topicName, subscriptionName } = splitPath(entity);
  if (subscriptionName) server.namespace.createSubscription(topicName, subscriptionName, fromNulls(settings));
  else server.namespace.createTopic(topicName, fromNulls(settings));
}

function remove(server, entity) {
  const { topicName, subscriptionName } = splitPath(entity);
  if (subscriptionName) server.namespace.deleteSubscription(topicName, subscriptionName);
  else server.namespace.deleteTopic(topicName);
}

const PEERS = { id: null, container: null };

const VERBS = {
  /** Ends links by the service's side. kind: send, receive or all. */
  detach: {
    defaults: { entity: '*', kind: 'all', count: Infinity, condition: 'amqp:link:detach-forced',
      description: 'The link is force detached: a fault was asked for.' },
    run(server, { entity, kind, count, condition, description }) {
      const links = [...server.peers].flatMap((peer) => [...peer.links]).filter((link) => (
        matchesPath(entity, link.path) && (kind === 'all' ? link.counts : link.kind === kind)));
      return each(links.slice(0, count), (link) => link.detach(condition, description));
    },
  },
  /** Closes connections with a condition. */
  close: {
    defaults: { ...PEERS, condition: 'amqp:connection:forced', description: 'The connection is closed: a fault was asked for.' },
    run: (server, asked) => each(peers(server, asked), (peer) => peer.force(asked.condition, asked.description)),
  },
  /** Ends TCP connections without a word. */
  drop: { defaults: PEERS, run: (server, asked) => each(peers(server, asked), (peer) => peer.drop()) },
  /** Neither reads nor writes any more, but keeps the connection; after ms (0: never) it goes on. */
  freeze: {
    defaults: { ...PEERS, ms: 0 },
    run: (server, asked) => each(peers(server, asked), (peer) => {
      peer.corked.freeze();
      if (asked.ms > 0) setTimeout(() => peer.corked.thaw(), asked.ms);
    }),
  },
  thaw: { defaults: PEERS, run: (server, asked) => each(peers(server, asked), (peer) => peer.corked.thaw()) },
  /** New connections are closed at once for ms. */
  'refuse-connections': {
    defaults: { ms: undefined },
    run(server, { ms }) {
      server.faults.refuseUntil_ms = server.clock() + ms;
    },
  },
  /** Drops everybody and refuses connections for ms; entities, messages and sequences stay. */
  restart: { defaults: { ms: 0 }, run: (server, { ms }) => server.restart(ms) },

  /** Sends are rejected with com.microsoft:server-busy for ms; links: attaches as well. */
  busy: {
    defaults: { entity: '*', ms: undefined, links: false },
    run: (server, { entity, ms, links }) => each(topics(server, entity), ({ faults }) => {
      faults.busyUntil_ms = server.clock() + ms;
      if (links) faults.busyLinksUntil_ms = server.clock() + ms;
    }),
  },
  /** Rejects the next count sends, after letting some pass. */
  reject: {
    defaults: { entity: undefined, condition: 'amqp:internal-error', description: 'A fault was asked for.', count: 1, after: 0 },
    run: (server, { entity, ...fault }) => each(topics(server, entity), ({ faults }) => faults.reject.push({ ...fault })),
  },
  /** Answers sends only after ms. */
  'slow-accept': {
    defaults: { entity: '*', ms: undefined },
    run: (server, { entity, ms }) => each(topics(server, entity), ({ faults }) => {
      faults.acceptDelay_ms = ms;
    }),
  },
  /** Takes the next count sends, and drops the connection instead of saying so. */
  'lose-accept': {
    defaults: { entity: undefined, count: 1 },
    run: (server, { entity, count }) => each(topics(server, entity), ({ faults }) => {
      faults.loseAccept = count;
    }),
  },
  /** The size limit of links that attach from now on, and of those that are there (null: the setting's). */
  'max-message-size': {
    defaults: { entity: '*', bytes: undefined },
    run: (server, { entity, bytes }) => each(topics(server, entity), ({ faults }) => {
      faults.maxMessageSize = bytes;
    }),
  },

  /** Leaves a hole in a topic's enqueue sequence. */
  skip: {
    defaults: { entity: undefined, count: 1 },
    run: (server, { entity, count }) => each(topics(server, entity), (topic) => topic.skip(count)),
  },
  /** The next count messages take a number of the subscription and are never delivered. */
  lose: {
    defaults: { entity: undefined, count: 1 },
    run: (server, { entity, count }) => each(subscriptions(server, entity), (one) => {
      one.lose = count;
    }),
  },
  /** The next count completed messages are delivered once more. */
  duplicate: {
    defaults: { entity: undefined, count: 1 },
    run: (server, { entity, count }) => each(subscriptions(server, entity), ({ queue }) => {
      queue.faults.duplicate = count;
    }),
  },
  /** The next count messages are delivered only after "by" others, or after wait_ms. */
  reorder: {
    defaults: { entity: undefined, count: 1, by: 1, wait_ms: 1000 },
    run: (server, { entity, count, by, wait_ms }) => each(subscriptions(server, entity), ({ queue }) => {
      Object.assign(queue.faults, { reorder: count, reorderBy: by, reorderWait_ms: wait_ms });
    }),
  },
  /** Locks end now: their messages come again and settling them fails. Answers how many. */
  'lose-locks': {
    defaults: { entity: undefined, count: Infinity },
    run: (server, { entity, count }) => ({
      affected: subscriptions(server, entity).reduce((sum, { queue }) => sum + queue.loseLocks(count), 0),
    }),
  },

  /** Refuses the next count attaches to an address (a path, or a prefix with "*"). */
  'refuse-attach': {
    defaults: { entity: '*', condition: 'amqp:not-found', description: 'A fault was asked for.', count: 1 },
    run(server, fault) {
      server.faults.attach.push(fault);
    },
  },
  /** Answers the next count management requests for a path with an HTTP status. */
  'refuse-rest': {
    defaults: { entity: '*', status: 503, description: 'A fault was asked for.', count: 1 },
    run(server, fault) {
      server.faults.rest.push(fault);
    },
  },
  /** SASL offers EXTERNAL as well, first, and refuses whoever chooses it. */
  external: {
    defaults: { on: true },
    run(server, { on }) {
      server.faults.offerExternal = on;
    },
  },
  /** put-token is answered with a status (0: as it should), requests to $cbs and $management after delay_ms. */
  requests: {
    defaults: { cbs_status: 0, delay_ms: 0 },
    run(server, { cbs_status, delay_ms }) {
      server.faults.cbsStatus = cbs_status;
      server.faults.requestDelay_ms = delay_ms;
    },
  },
  /** Tokens that cover an entity expire now (entity "*": all); their links are detached. */
  'expire-tokens': {
    defaults: { ...PEERS, entity: '*' },
    run: (server, asked) => each(peers(server, asked).flatMap((peer) => [...peer.claims.values()])
      .filter((claim) => matchesPath(asked.entity, claim.path)), (claim) => {
      claim.expiresAt_ms = server.clock();
    }),
  },
  /** A shared access rule, new or changed. */
  rule: {
    defaults: { name: undefined, key: undefined, rights: ['Manage'], scope: '' },
    run: (server, rule) => server.rules.add(rule),
  },
  'remove-rule': {
    defaults: { name: undefined },
    run: (server, { name }) => ({ affected: server.rules.remove(name) ? 1 : 0 }),
  },
  /** A token of type jwt that is accepted as it is. expires_ms: Unix time, 0: in an hour. */
  jwt: {
    defaults: { token: undefined, rights: ['Manage'], scope: '', expires_ms: 0 },
    run(server, jwt) {
      server.jwts.push(jwt);
    },
  },

  create: {
    defaults: { entity: undefined, settings: {} },
    run: (server, { entity, settings }) => create(server, entity, settings),
  },
  delete: { defaults: { entity: undefined }, run: (server, { entity }) => remove(server, entity) },
  /** Deletes and creates anew: sequences begin at 1. A topic's subscriptions come back with it if asked for. */
  recreate: {
    defaults: { entity: undefined, subscriptions: false },
    run(server, { entity, subscriptions: too }) {
      const found = server.namespace.resolve(entity);
      if (!found) throw new BadArguments(`no entity ${entity}`);
      const below = too && !found.subscription ? [...found.topic.subscriptions.values()] : [];
      const { settings } = found.subscription || found.topic;
      remove(server, entity);
      create(server, entity, settings);
      for (const one of below) create(server, one.path, one.settings);
    },
  },
  /** Changes settings of entities below what REST allows: lockDuration_ms, maxDeliveryCount, ttl_ms, autoDeleteOnIdle_ms. */
  entity: {
    defaults: { entity: undefined, settings: undefined },
    run(server, { entity, settings }) {
      const found = [...topics(server, entity), ...subscriptions(server, entity)];
      return each(found, (one) => {
        const unknown = Object.keys(settings).find((name) => !(name in one.settings));
        if (unknown && !entity.endsWith('*')) throw new BadArguments(`${one.path} has no setting ${unknown}`);
        for (const [k, v] of Object.entries(fromNulls(settings))) if (k in one.settings) one.settings[k] = v;
      });
    },
  },
  /** Sets a subscription's only rule: an SQL filter, or null for "all". */
  filter: {
    defaults: { entity: undefined, sql: null },
    run: (server, { entity, sql }) => each(subscriptions(server, entity), (one) => {
      const filter = sql === null ? { kind: 'true' } : filters.compile({ kind: 'sql', expression: sql });
      one.rules = new Map([['$Default', { name: '$Default', filter, createdAt_ms: server.clock() }]]);
    }),
  },
  /** Changes settings of the double. */
  settings: {
    defaults: { '*': true },
    run(server, given) {
      const unknown = Object.keys(given).find((name) => !(name in server.settings));
      if (unknown) throw new BadArguments(`no such setting: ${unknown}`);
      Object.assign(server.settings, given);
      return server.settings;
    },
  },
  /** Publishes to a topic without a client. body: text, or base64 with base64: true. */
  publish: {
    defaults: { topic: undefined, body: '', base64: false, subject: null, message_id: null, properties: {}, count: 1 },
    run(server, { topic: name, body, base64, subject, message_id, properties, count }) {
      const topic = server.namespace.topic(name);
      if (!topic) throw new BadArguments(`no topic ${name}`);
      const bytes = rhea.message.encode({ subject: subject || undefined, message_id: message_id || undefined,
        application_properties: properties, body: rhea.message.data_section(Buffer.from(body, base64 ? 'base64' : 'utf8')) });
      for (let i = 0; i < count; i++) topic.publish(new Message(bytes));
      return { enqueueSequence: topic.enqueueSequence };
    },
  },
  /** Ends all faults. */
  clear: {
    defaults: {},
    run(server) {
      server.faults.clear();
      for (const topic of topics(server, '*')) topic.clearFaults();
      for (const peer of server.peers) if (peer.corked.frozen) peer.corked.thaw();
    },
  },
};

module.exports = { BadArguments, VERBS };
