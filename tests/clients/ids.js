'use strict';
// A subscriber that knows its cursor: RESP3 with SIDEBUS IDS ON, where an attribute before each message says its id.

const { Connection, Parser } = require('./resp');

const ATTRIBUTE = 124; // '|'

/** Keeps the attributes that stood before a value until it is handed on. */
class AttributeParser extends Parser {
  value() {
    if (this.buffer[this.at] !== ATTRIBUTE) return super.value();
    const line = this.line();
    if (typeof line !== 'string') return line; // incomplete
    const attributes = this.map(Number(line.slice(1)));
    if (!(attributes instanceof Map)) return attributes;
    this.attributes = attributes;
    return this.value();
  }
}

class Ids {
  /** Subscribed when it resolves; got: [id, payload] as they come. */
  static async open(server, ...channels) {
    const ids = new Ids();
    ids.got = [];
    const onMessage = (_, payload) => {
      const { attributes } = connection.parser;
      connection.parser.attributes = undefined;
      ids.got.push([String(attributes?.get('id')), String(payload)]);
    };
    const connection = await Connection.connect(server.address, { onMessage });
    connection.parser = new AttributeParser((value, isPush) => connection.dispatch(value, isPush));
    ids.connection = connection;
    await connection.request('HELLO', '3');
    await connection.request('SIDEBUS', 'IDS', 'ON');
    await connection.subscribe('SUBSCRIBE', ...channels);
    return ids;
  }

  close() {
    return this.connection.destroy();
  }
}

module.exports = { Ids };
