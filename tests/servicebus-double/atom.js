'use strict';
// The Atom documents of the management interface: descriptions of topics, subscriptions and rules.

const FOREVER_MS = Number.MAX_SAFE_INTEGER;
const NAMESPACE = 'http://schemas.microsoft.com/netservices/2010/10/servicebus/connect';
const FOREVER = 'P10675199DT2H48M5.4775807S';

class AtomError extends Error {}

/** An ISO 8601 duration in ms. */
function durationMs(text) {
  const match = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(text);
  if (!match || text === 'P' || text.endsWith('T')) throw new AtomError(`'${text}' is no duration`);
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part || 0));
  if (days >= 10675199) return FOREVER_MS;
  return Math.round((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000);
}

function durationText(ms) {
  if (ms >= FOREVER_MS) return FOREVER;
  const days = Math.floor(ms / 86400000);
  const hours = Math.floor(ms / 3600000) % 24;
  const minutes = Math.floor(ms / 60000) % 60;
  const seconds = (ms % 60000) / 1000;
  const time = `${hours ? `${hours}H` : ''}${minutes ? `${minutes}M` : ''}${seconds ? `${seconds}S` : ''}`;
  if (!days && !time) return 'PT0S';
  return `P${days ? `${days}D` : ''}${time ? `T${time}` : ''}`;
}

function booleanOf(text) {
  if (text !== 'true' && text !== 'false') throw new AtomError(`'${text}' is neither true nor false`);
  return text === 'true';
}

function integerOf(text) {
  if (!/^\d+$/.test(text)) throw new AtomError(`'${text}' is no number`);
  return Number(text);
}

// In the order in which the service wants them: [element, setting, from text, to text]. Elements without a setting are
// known and ignored, as the service ignores what it computes itself.
const DURATION = [durationMs, durationText];
const BOOLEAN = [booleanOf, String];
const INTEGER = [integerOf, String];
const TOPIC_ELEMENTS = [
  ['DefaultMessageTimeToLive', 'ttl_ms', ...DURATION],
  ['MaxSizeInMegabytes', 'maxSizeInMegabytes', ...INTEGER],
  ['RequiresDuplicateDetection', 'duplicateDetection', ...BOOLEAN],
  ['DuplicateDetectionHistoryTimeWindow', 'duplicateWindow_ms', ...DURATION],
  ['EnableBatchedOperations', 'enableBatchedOperations', ...BOOLEAN],
  ['SizeInBytes'], ['FilteringMessagesBeforePublishing'], ['IsAnonymousAccessible'], ['AuthorizationRules'],
  ['Status'], ['ForwardTo'], ['CreatedAt'], ['UpdatedAt'], ['AccessedAt'], ['UserMetadata'],
  ['SupportOrdering', 'supportOrdering', ...BOOLEAN],
  ['CountDetails'], ['SubscriptionCount'],
  ['AutoDeleteOnIdle', 'autoDeleteOnIdle_ms', ...DURATION],
  ['EnablePartitioning', 'enablePartitioning', ...BOOLEAN],
  ['EntityAvailabilityStatus'], ['EnableSubscriptionPartitioning'], ['EnableExpress'], ['MaxMessageSizeInKilobytes'],
];
const SUBSCRIPTION_ELEMENTS = [
  ['LockDuration', 'lockDuration_ms', ...DURATION],
  ['RequiresSession', 'requiresSession', ...BOOLEAN],
  ['DefaultMessageTimeToLive', 'ttl_ms', ...DURATION],
  ['DeadLetteringOnMessageExpiration', 'deadLetterExpired', ...BOOLEAN],
  ['DeadLetteringOnFilterEvaluationExceptions'], ['DefaultRuleDescription'], ['MessageCount'],
  ['MaxDeliveryCount', 'maxDeliveryCount', ...INTEGER],
  ['EnableBatchedOperations', 'enableBatchedOperations', ...BOOLEAN],
  ['Status'], ['ForwardTo'], ['CreatedAt'], ['UpdatedAt'], ['AccessedAt'], ['CountDetails'], ['UserMetadata'],
  ['ForwardDeadLetteredMessagesTo'],
  ['AutoDeleteOnIdle', 'autoDeleteOnIdle_ms', ...DURATION],
  ['EntityAvailabilityStatus'],
];

const unescape = (text) => text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => (
  { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' }[name]));
const escape = (text) => String(text).replace(/[<>&"]/g, (c) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' }[c]));

/**
 * The children of an element as [[name, attributes, inner text]]: a scanner that knows what Atom entries need
 * (no DTD, no CDATA) and refuses what is not nested well.
 */
function childrenOf(xml) {
  const children = [];
  const open = [];
  const tag = /<(\/?)([A-Za-z_][\w:.-]*)([^>]*?)(\/?)>/g;
  for (let match = tag.exec(xml); match; match = tag.exec(xml)) {
    const [text, closing, name, attributes, empty] = match;
    if (closing) {
      const start = open.pop();
      if (!start || start.name !== name) throw new AtomError(`</${name}> closes nothing`);
      if (open.length === 0) children.push([name.replace(/^.*:/, ''), start.attributes, xml.slice(start.end, match.index)]);
    } else if (empty) {
      if (open.length === 0) children.push([name.replace(/^.*:/, ''), attributes, '']);
    } else open.push({ name, attributes, end: match.index + text.length });
  }
  if (open.length) throw new AtomError(`<${open[0].name}> is not closed`);
  return children;
}

function child(xml, name) {
  const found = childrenOf(xml).find(([one]) => one === name);
  if (!found) throw new AtomError(`no element ${name}`);
  return found;
}

/** What an entry asks for; kind is 'Topic' or 'Subscription'. The service refuses elements out of order. */
function parseEntry(body, kind) {
  const xml = body.replace(/<\?[^]*?\?>/g, '').replace(/<!--[^]*?-->/g, '');
  const content = child(child(xml, 'entry')[2], 'content');
  const [, attributes, description] = child(content[2], `${kind}Description`);
  if (!attributes.includes(NAMESPACE)) throw new AtomError(`${kind}Description is not in the namespace ${NAMESPACE}`);
  const elements = kind === 'Topic' ? TOPIC_ELEMENTS : SUBSCRIPTION_ELEMENTS;
  const settings = {};
  let last = -1;
  for (const [name, , text] of childrenOf(description)) {
    const at = elements.findIndex(([one]) => one === name);
    if (at < 0) throw new AtomError(`${kind}Description has no element ${name}`);
    if (at <= last) throw new AtomError(`${name} must come before ${elements[last][0]} in a ${kind}Description`);
    last = at;
    const [, setting, fromText] = elements[at];
    if (setting) settings[setting] = fromText(unescape(text.trim()));
  }
  return settings;
}

function entry({ url, title, updated_ms, content }) {
  const updated = new Date(updated_ms).toISOString();
  return `<entry xmlns="http://www.w3.org/2005/Atom"><id>${escape(url)}</id><title type="text">${escape(title)
  }</title><published>${updated}</published><updated>${updated}</updated><link rel="self" href="${escape(url)
  }"/><content type="application/xml">${content}</content></entry>`;
}

function feed({ url, title, updated_ms, entries, next }) {
  const link = `<link rel="self" href="${escape(url)}"/>${next ? `<link rel="next" href="${escape(next)}"/>` : ''}`;
  return `<feed xmlns="http://www.w3.org/2005/Atom"><title type="text">${escape(title)}</title><id>${escape(url)
  }</id><updated>${new Date(updated_ms).toISOString()}</updated>${link}${entries.join('')}</feed>`;
}

/** A description; values: element -> text or ready-made {xml, attributes} for what is not a setting. */
function description(kind, settings, values) {
  const elements = kind === 'Topic' ? TOPIC_ELEMENTS : SUBSCRIPTION_ELEMENTS;
  const parts = [];
  for (const [name, setting, , toText] of elements) {
    if (setting) parts.push(`<${name}>${escape(toText(settings[setting]))}</${name}>`);
    else if (values[name] !== undefined) {
      const { attributes = '', xml = escape(values[name]) } = Object(values[name]);
      parts.push(`<${name}${attributes}>${xml}</${name}>`);
    }
  }
  return `<${kind}Description xmlns="${NAMESPACE}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">${parts.join('')
  }</${kind}Description>`;
}

const COUNTS = 'http://schemas.microsoft.com/netservices/2011/06/servicebus';

function countDetails(active, dead) {
  const count = (name, value) => `<d2p1:${name}>${value}</d2p1:${name}>`;
  const counts = [['Active', active], ['DeadLetter', dead], ['Scheduled', 0], ['Transfer', 0], ['TransferDeadLetter', 0]];
  return { attributes: ` xmlns:d2p1="${COUNTS}"`,
    xml: counts.map(([name, value]) => count(`${name}MessageCount`, value)).join('') };
}

function error(status, detail) {
  return `<Error><Code>${status}</Code><Detail>${escape(detail)}</Detail></Error>`;
}

module.exports = { AtomError, countDetails, description, durationText, entry, error, feed, parseEntry };
