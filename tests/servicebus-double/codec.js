'use strict';
// Messages as bytes. What a publisher wrote (properties, application properties, body, footer) is passed on
// untouched, with its AMQP types, as the service does; only the header and the annotations are rewritten.
// rhea's own decoder would turn every number into a JavaScript number and lose the types.

const crypto = require('node:crypto');
const rhea = require('rhea');

const { types } = rhea;

const HEADER = 0x70;
const DELIVERY_ANNOTATIONS = 0x71;
const MESSAGE_ANNOTATIONS = 0x72;
const PROPERTIES = 0x73;
const APPLICATION_PROPERTIES = 0x74;
const DATA = 0x75;
const VALUE = 0x77;
const FOOTER = 0x78;
const BATCH_FORMAT = 0x80013700; // the SDKs' batch: data sections, each one encoded message

/** Bytes of a value of this AMQP type, constructor included (AMQP 1.0 part 1, section 1.2). */
function valueEnd(buffer, start) {
  let at = start;
  let code = buffer.readUInt8(at++);
  if (code === 0) {
    at = valueEnd(buffer, at);
    return valueEnd(buffer, at);
  }
  code >>= 4;
  if (code >= 0x4 && code <= 0x9) at += [0, 1, 2, 4, 8, 16][code - 4];
  else if (code === 0xa || code === 0xc || code === 0xe) at += 1 + buffer.readUInt8(at);
  else if (code === 0xb || code === 0xd || code === 0xf) at += 4 + buffer.readUInt32BE(at);
  else throw new Error(`unknown AMQP type code 0x${code.toString(16)}x`);
  if (at > buffer.length) throw new Error('a value ends after its message');
  return at;
}

/** [code, start, end of the descriptor, end] of each section. */
function sectionsOf(buffer) {
  const sections = [];
  let at = 0;
  while (at < buffer.length) {
    if (buffer[at] !== 0) throw new Error('a section has no descriptor');
    const afterDescriptor = valueEnd(buffer, at + 1);
    const code = Number(new types.Reader(buffer.subarray(at + 1, afterDescriptor)).read().value);
    const end = valueEnd(buffer, afterDescriptor);
    sections.push([code, at, afterDescriptor, end]);
    at = end;
  }
  return sections;
}

function decodeMap(buffer) {
  const map = {};
  const typed = new types.Reader(buffer).read().value;
  for (let i = 0; i + 1 < typed.length; i += 2) map[String(typed[i].value)] = typed[i + 1];
  return map;
}

const plain = (typed) => (typed === undefined || typed === null ? undefined : types.unwrap(typed));

const PROPERTY_NAMES = ['message_id', 'user_id', 'to', 'subject', 'reply_to', 'correlation_id', 'content_type',
  'content_encoding', 'absolute_expiry_time', 'creation_time', 'group_id', 'group_sequence', 'reply_to_group_id'];

/** The raw fields of an encoded list: {count, fields}, fields being the bytes after its count. */
function listFields(bytes) {
  const code = bytes[0];
  if (code === 0x45) return { count: 0, fields: Buffer.alloc(0) };
  if (code === 0xc0) return { count: bytes[2], fields: bytes.subarray(3) };
  if (code === 0xd0) return { count: bytes.readUInt32BE(5), fields: bytes.subarray(9) };
  throw new Error('the properties are no list');
}

/** The first of the properties, the message id, or undefined; decoding all of them would cost more. */
function messageId(bytes) {
  if (!bytes) return undefined;
  const { count, fields } = listFields(bytes);
  return count > 0 && fields[0] !== 0x40 ? new types.Reader(fields).read().value : undefined;
}

/** The raw entries of an encoded map: {count, entries}; count is of keys and values. */
function mapEntries(bytes) {
  if (bytes[0] === 0xc1) return { count: bytes[2], entries: bytes.subarray(3) };
  if (bytes[0] === 0xd1) return { count: bytes.readUInt32BE(5), entries: bytes.subarray(9) };
  throw new Error('the application properties are no map');
}

function string(text) {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(5);
  head[0] = 0xb1;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** A described map32 section. */
function mapSection(descriptor, count, parts) {
  const entries = Buffer.concat(parts);
  const head = Buffer.allocUnsafe(12);
  head.set([0, 0x53, descriptor, 0xd1]);
  head.writeUInt32BE(entries.length + 4, 4);
  head.writeUInt32BE(count, 8);
  return Buffer.concat([head, entries]);
}

/**
 * A properties section with a message id, which the service gives to messages that have none (its own JavaScript
 * client cannot complete a message without one).
 */
function propertiesWithId(bytes, id) {
  const { count, fields } = bytes ? listFields(bytes) : { count: 0, fields: Buffer.alloc(0) };
  const rest = count ? fields.subarray(valueEnd(fields, 0)) : fields;
  const text = Buffer.from(id);
  const head = Buffer.alloc(12);
  head.set([0, 0x53, PROPERTIES, 0xd0]);
  head.writeUInt32BE(4 + 2 + text.length + rest.length, 4);
  head.writeUInt32BE(Math.max(count, 1), 8);
  return Buffer.concat([head, Buffer.from([0xa1, text.length]), text, rest]);
}

class Message {
  /** Takes a copy: the socket's buffers are larger than what they are asked for. */
  constructor(bytes) {
    const buffer = Buffer.from(bytes);
    this.size = buffer.length;
    this.durable = false;
    this.ttl_ms = undefined;
    this.annotations = {}; // the publisher's, name -> typed value
    this.body = { kind: 'none' };
    const kept = [];
    let bodySections = 0;
    for (const [code, start, afterDescriptor, end] of sectionsOf(buffer)) {
      const value = () => buffer.subarray(afterDescriptor, end);
      if (code === HEADER) this.readHeader(value());
      else if (code === MESSAGE_ANNOTATIONS) this.annotations = decodeMap(value());
      else if (code === PROPERTIES) this.propertyBytes = value();
      else if (code === APPLICATION_PROPERTIES) this.applicationBytes = value();
      else if (code >= DATA && code <= VALUE) {
        bodySections += 1;
        this.body = { kind: code, sections: [...(this.body.sections || []), value()] };
      } else if (code !== DELIVERY_ANNOTATIONS && code !== FOOTER) throw new Error(`unknown section ${code}`);
      if (code >= PROPERTIES) kept.push(buffer.subarray(start, end));
    }
    if (bodySections === 0) throw new Error('a message without a body section');
    this.id = messageId(this.propertyBytes);
    if (this.id === undefined) {
      this.id = crypto.randomUUID().replaceAll('-', '');
      const section = propertiesWithId(this.propertyBytes, this.id);
      if (this.propertyBytes) kept.shift();
      kept.unshift(section);
      this.propertyBytes = section.subarray(3);
    }
    this.kept = kept.length === 1 ? kept[0] : Buffer.concat(kept);
  }

  readHeader(bytes) {
    const fields = new types.Reader(bytes).read().value || [];
    this.durable = Boolean(plain(fields[0]));
    this.ttl_ms = plain(fields[2]) === null ? undefined : plain(fields[2]);
  }

  get properties() {
    if (!this.decodedProperties) {
      const fields = this.propertyBytes ? new types.Reader(this.propertyBytes).read().value || [] : [];
      this.decodedProperties = {};
      fields.forEach((field, i) => {
        const value = plain(field);
        if (value !== undefined && value !== null) this.decodedProperties[PROPERTY_NAMES[i]] = value;
      });
    }
    return this.decodedProperties;
  }

  get applicationProperties() {
    if (!this.decodedApplication) {
      const typed = this.applicationBytes ? decodeMap(this.applicationBytes) : {};
      this.decodedApplication = Object.fromEntries(Object.entries(typed).map(([k, v]) => [k, plain(v)]));
    }
    return this.decodedApplication;
  }

  annotation(name) {
    return plain(this.annotations[name]);
  }

  /** What is passed on, with more application properties (name -> text), as dead letters have them. */
  keptWith(more) {
    const old = this.applicationBytes ? mapEntries(this.applicationBytes) : { count: 0, entries: Buffer.alloc(0) };
    const added = Object.entries(more).filter(([, text]) => text !== undefined && text !== null);
    const section = mapSection(APPLICATION_PROPERTIES, old.count + 2 * added.length,
      [old.entries, ...added.flatMap(([name, text]) => [string(name), string(String(text))])]);
    const parts = [];
    let placed = false;
    for (const [code, start, , end] of sectionsOf(this.kept)) {
      if (code > PROPERTIES && !placed) {
        parts.push(section);
        placed = true;
      }
      if (code !== APPLICATION_PROPERTIES) parts.push(this.kept.subarray(start, end));
    }
    return Buffer.concat(parts);
  }

  /** The body as bytes, when it is made of data sections or is one binary or string value. */
  bodyBytes() {
    const { kind, sections = [] } = this.body;
    const values = sections.map((bytes) => plain(new types.Reader(bytes).read()));
    if (kind === DATA) return Buffer.concat(values);
    if (kind === VALUE && (typeof values[0] === 'string' || Buffer.isBuffer(values[0]))) return Buffer.from(values[0]);
    return undefined;
  }
}

function symbol(text) {
  return Buffer.concat([Buffer.from([0xa3, text.length]), Buffer.from(text, 'latin1')]);
}

function long(value, code = 0x81) {
  const bytes = Buffer.allocUnsafe(9);
  bytes[0] = code;
  bytes.writeBigInt64BE(BigInt(value), 1);
  return bytes;
}

const KEYS = Object.fromEntries(['x-opt-sequence-number', 'x-opt-enqueue-sequence-number', 'x-opt-enqueued-time',
  'x-opt-locked-until'].map((name) => [name, symbol(name)]));

function encodeHeader(message, ttl_ms, deliveryCount) {
  const fields = Buffer.allocUnsafe(24);
  let at = 0;
  const put = (byte) => {
    fields[at++] = byte;
  };
  const uint = (value) => {
    put(0x70);
    at = fields.writeUInt32BE(value, at);
  };
  put(message.durable ? 0x41 : 0x42);
  put(0x40); // priority
  if (ttl_ms === undefined) put(0x40);
  else uint(Math.min(ttl_ms, 0xffffffff));
  put(0x42); // first-acquirer
  uint(deliveryCount);
  return Buffer.concat([Buffer.from([0, 0x53, HEADER, 0xc0, at + 1, 5]), fields.subarray(0, at)]);
}

/** The publisher's annotations as bytes, without what the service sets itself; the same for all subscriptions. */
function ownAnnotations(message) {
  if (!message.annotationBytes) {
    const parts = [];
    for (const [name, typed] of Object.entries(message.annotations)) {
      if (name in KEYS || name === 'x-opt-scheduled-enqueue-time') continue;
      const writer = new types.Writer();
      writer.write(typed);
      parts.push(symbol(name), writer.toBuffer());
    }
    message.annotationBytes = Buffer.concat(parts);
    message.annotationCount = parts.length;
  }
  return message.annotationBytes;
}

/**
 * One delivery of a message. sequence: the subscription's number; enqueueSequence: the topic's;
 * lockedUntil_ms: undefined when the link receives and deletes; deadLetter: why it is a dead letter.
 */
function encodeDelivery(message, { sequence, enqueueSequence, enqueuedAt_ms, lockedUntil_ms, deliveryCount, ttl_ms,
  deadLetter }) {
  const own = ownAnnotations(message);
  const parts = [
    KEYS['x-opt-sequence-number'], long(sequence),
    KEYS['x-opt-enqueue-sequence-number'], long(enqueueSequence),
    KEYS['x-opt-enqueued-time'], long(enqueuedAt_ms, 0x83),
  ];
  if (lockedUntil_ms !== undefined) parts.push(KEYS['x-opt-locked-until'], long(lockedUntil_ms, 0x83));
  return Buffer.concat([
    encodeHeader(message, ttl_ms, deliveryCount),
    mapSection(MESSAGE_ANNOTATIONS, parts.length + message.annotationCount, [...parts, own]),
    deadLetter ? message.keptWith(deadLetter) : message.kept,
  ]);
}

/** The messages of a transfer: one, or those of a batch. */
function decodeTransfer(bytes, format) {
  if (format !== BATCH_FORMAT) return [new Message(bytes)];
  const messages = [];
  let annotations;
  for (const [code, , afterDescriptor, end] of sectionsOf(bytes)) {
    const value = bytes.subarray(afterDescriptor, end);
    if (code === DATA) messages.push(new Message(new types.Reader(value).read().value));
    else if (code === MESSAGE_ANNOTATIONS) annotations = decodeMap(value);
  }
  if (messages.length === 0) throw new Error('an empty batch');
  for (const message of messages) message.annotations = { ...annotations, ...message.annotations };
  return messages;
}

// .NET writes the first three groups of a GUID little-endian: the delivery tag is one, management's uuids are not
const GUID_ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

function swapGuid(bytes) {
  return Buffer.from(GUID_ORDER.map((i) => bytes[i]));
}

module.exports = { Message, decodeTransfer, encodeDelivery, swapGuid, types };
