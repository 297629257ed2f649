'use strict';
// $management of a subscription: rules, renewal of locks, settling by lock token and peeking.

const rhea = require('rhea');
const { encodeDelivery, swapGuid } = require('./codec');
const filters = require('./filters');

const { types } = rhea;
const RULE_NAME_MAX = 50;
const PEEK_MAX = 250;

// descriptors of what enumerate-rules answers with
const RULE = 1335734829060;
const SQL_FILTER = 83483426822;
const TRUE_FILTER = 83483426823;
const FALSE_FILTER = 83483426824;
const CORRELATION_FILTER = 83483426825;
const EMPTY_ACTION = 1335734829061;

class RequestError extends Error {
  constructor(status, condition, text) {
    super(text);
    this.status = status;
    this.condition = condition;
  }
}

const badRequest = (text) => new RequestError(400, 'amqp:not-allowed', text);
const lockLost = () => new RequestError(410, 'com.microsoft:message-lock-lost',
  'The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue.');

function described(code, list) {
  return types.described(types.wrap_ulong(code), types.wrap_list(list));
}

const textOrNull = (value) => (value === undefined || value === null ? types.wrap(null) : types.wrap_string(String(value)));

function describeFilter(filter) {
  if (filter.kind === 'true') return described(TRUE_FILTER, []);
  if (filter.kind === 'false') return described(FALSE_FILTER, []);
  if (filter.kind === 'sql') return described(SQL_FILTER, [types.wrap_string(filter.expression), types.wrap_int(20)]);
  const names = ['correlationId', 'messageId', 'to', 'replyTo', 'label', 'sessionId', 'replyToSessionId', 'contentType'];
  return described(CORRELATION_FILTER, [...names.map((name) => textOrNull(filter[name])),
    types.wrap_map(filter.properties || {})]);
}

/** The filter in a request's rule description, and what the filter's parser says about it. */
function readFilter(rule) {
  const correlation = rule['correlation-filter'];
  const sql = rule['sql-filter'];
  if (rule['sql-rule-action']) throw badRequest('rule actions are not imitated');
  if (rule['true-filter'] || (sql && sql.expression === '1=1')) return { kind: 'true' };
  if (rule['false-filter'] || (sql && sql.expression === '1=0')) return { kind: 'false' };
  if (sql) {
    try {
      return filters.compile({ kind: 'sql', expression: String(sql.expression) });
    } catch (error) {
      if (error instanceof filters.FilterError) throw badRequest(error.message);
      throw error;
    }
  }
  if (!correlation) throw badRequest('the rule has no filter');
  return { kind: 'correlation', correlationId: correlation['correlation-id'], messageId: correlation['message-id'],
    to: correlation.to, replyTo: correlation['reply-to'], label: correlation.label, sessionId: correlation['session-id'],
    replyToSessionId: correlation['reply-to-session-id'], contentType: correlation['content-type'],
    properties: correlation.properties || {} };
}

function addRule({ subscription }, body, server) {
  const name = String(body['rule-name'] || '');
  if (!name || name.length > RULE_NAME_MAX) throw badRequest(`a rule's name has 1 to ${RULE_NAME_MAX} characters`);
  if (subscription.rules.has(name)) {
    throw new RequestError(409, 'com.microsoft:entity-already-exists', `The rule '${name}' exists already.`);
  }
  const filter = readFilter(body['rule-description'] || {});
  subscription.rules.set(name, { name, filter, createdAt_ms: server.clock() });
}

function removeRule({ subscription }, body) {
  if (!subscription.rules.delete(String(body['rule-name']))) {
    throw new RequestError(404, 'amqp:not-found',
      `The messaging entity '${subscription.path}|${body['rule-name']}' could not be found.`);
  }
}

function enumerateRules({ subscription }, body) {
  const skip = Number(body.skip || 0);
  const rules = [...subscription.rules.values()].slice(skip, skip + Number(body.top || 100));
  if (rules.length === 0) return undefined;
  return { rules: rules.map(({ name, filter, createdAt_ms }) => types.wrap_map({
    'rule-description': described(RULE, [describeFilter(filter), described(EMPTY_ACTION, []), types.wrap_string(name),
      types.wrap_timestamp(createdAt_ms)]),
  })) };
}

/** The locked entries that a request names; the uuids are in network order, the delivery tags are not. */
function lockedEntries({ queue }, body) {
  const tokens = body['lock-tokens'];
  if (!Array.isArray(tokens)) throw badRequest('lock-tokens is no array of uuids');
  return tokens.map((uuid) => {
    const entry = queue.find(swapGuid(uuid).toString('hex'));
    if (!entry) throw lockLost();
    return entry;
  });
}

function renewLock(found, body) {
  const until = lockedEntries(found, body).map((entry) => found.queue.renew(entry));
  return { expirations: types.wrap_array(until, 0x83) };
}

function updateDisposition(found, body) {
  for (const entry of lockedEntries(found, body)) {
    const status = body['disposition-status'];
    if (status === 'completed') found.queue.complete(entry);
    else if (status === 'abandoned') found.queue.abandon(entry);
    else if (status === 'suspended') {
      found.queue.deadLetter(entry, body['deadletter-reason'], body['deadletter-description']);
    } else throw badRequest(`disposition status '${status}' is not imitated`);
  }
}

function peek({ queue }, body) {
  const from = Number(body['from-sequence-number'] || 0);
  const count = Math.min(Number(body['message-count'] || 1), PEEK_MAX);
  const entries = [...queue.ready, ...queue.returned.items, ...queue.locked.values(), ...queue.held.map((one) => one.entry)]
    .filter((entry) => entry.sequence >= from).sort((a, b) => a.sequence - b.sequence).slice(0, count);
  if (entries.length === 0) return undefined;
  return { messages: entries.map((entry) => types.wrap_map({
    message: types.wrap_binary(encodeDelivery(entry.message, { ...entry, lockedUntil_ms: undefined })),
  })) };
}

const OPERATIONS = {
  'com.microsoft:add-rule': addRule, 'com.microsoft:remove-rule': removeRule,
  'com.microsoft:enumerate-rules': enumerateRules, 'com.microsoft:renew-lock': renewLock,
  'com.microsoft:update-disposition': updateDisposition, 'com.microsoft:peek-message': peek,
};

function reply(status, description, { condition, body } = {}) {
  const properties = { statusCode: types.wrap_int(status), statusDescription: description };
  if (condition) properties.errorCondition = types.wrap_symbol(condition);
  const empty = rhea.message.data_section(Buffer.alloc(0));
  return { application_properties: properties, body: body === undefined ? empty : body };
}

/** found: what Namespace.resolve() gave for the address; request: a decoded message. */
function answerManagement(server, found, request) {
  const { operation } = request.application_properties || {};
  const run = OPERATIONS[operation];
  if (!run) return reply(501, `operation '${operation}' is not imitated`, { condition: 'amqp:not-implemented' });
  if (!found.subscription) return reply(400, 'not for a topic', { condition: 'amqp:not-allowed' });
  try {
    const body = run(found, request.body || {}, server);
    if (body === undefined && /enumerate|peek/.test(operation)) return reply(204, 'No content');
    return reply(200, 'OK', { body: body && types.wrap_map(body) });
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return reply(error.status, error.message, { condition: error.condition });
  }
}

module.exports = { answerManagement };
