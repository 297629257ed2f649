'use strict';
// Rules of a subscription: true, false, correlation and a part of the SQL filters: comparisons of properties with
// literals, joined by AND and OR, NOT, EXISTS, IS NULL, IN and LIKE.

class FilterError extends Error {}

const SYSTEM = {
  label: 'subject', subject: 'subject', messageid: 'message_id', correlationid: 'correlation_id', to: 'to',
  replyto: 'reply_to', sessionid: 'group_id', contenttype: 'content_type', replytosessionid: 'reply_to_group_id',
};

function tokenize(text) {
  const tokens = [];
  const pattern = /\s*(?:('(?:[^']|'')*')|(\d+(?:\.\d+)?)|(\[[^\]]+\]|"[^"]+"|[A-Za-z_][\w.-]*)|(<>|!=|<=|>=|[=<>(),]))/gy;
  while (pattern.lastIndex < text.trimEnd().length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match) throw new FilterError(`no SQL filter that this double knows, at "${text.slice(at)}"`);
    const [, string, number, name, operator] = match;
    if (string !== undefined) tokens.push({ kind: 'literal', value: string.slice(1, -1).replace(/''/g, "'") });
    else if (number !== undefined) tokens.push({ kind: 'literal', value: Number(number) });
    else if (name !== undefined) tokens.push({ kind: 'name', value: name.replace(/^[["]|[\]"]$/g, ''), raw: name });
    else tokens.push({ kind: 'operator', value: operator });
  }
  return tokens;
}

const COMPARE = {
  '=': (a, b) => a === b, '<>': (a, b) => a !== b, '!=': (a, b) => a !== b,
  '<': (a, b) => a < b, '<=': (a, b) => a <= b, '>': (a, b) => a > b, '>=': (a, b) => a >= b,
};

function likePattern(text) {
  const escaped = text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/%/g, '[^]*').replace(/_/g, '[^]');
  return new RegExp(`^${escaped}$`);
}

/** A recursive descent over the tokens; unknown (null) is as in SQL: neither true nor false. */
class SqlParser {
  constructor(text) {
    this.tokens = tokenize(text);
    this.at = 0;
  }

  isWord(word) {
    const token = this.tokens[this.at];
    return token !== undefined && token.kind === 'name' && token.raw.toUpperCase() === word;
  }

  takeWord(word) {
    if (!this.isWord(word)) return false;
    this.at += 1;
    return true;
  }

  takeOperator(...operators) {
    const token = this.tokens[this.at];
    if (!token || token.kind !== 'operator' || !operators.includes(token.value)) return undefined;
    this.at += 1;
    return token.value;
  }

  need(what, value) {
    if (value === undefined || value === false) throw new FilterError(`${what} is missing in the SQL filter`);
    return value;
  }

  parse() {
    const condition = this.or();
    if (this.at < this.tokens.length) throw new FilterError('the SQL filter has something after its end');
    return (message) => condition(message) === true;
  }

  or() {
    let left = this.and();
    while (this.takeWord('OR')) {
      const [a, b] = [left, this.and()];
      left = (m) => (a(m) === true || b(m) === true ? true : null);
    }
    return left;
  }

  and() {
    let left = this.not();
    while (this.takeWord('AND')) {
      const [a, b] = [left, this.not()];
      left = (m) => a(m) === true && b(m) === true;
    }
    return left;
  }

  not() {
    if (!this.takeWord('NOT')) return this.predicate();
    const inner = this.not();
    return (m) => {
      const value = inner(m);
      return value === null ? null : !value;
    };
  }

  predicate() {
    if (this.takeOperator('(')) {
      const inner = this.or();
      this.need('")"', this.takeOperator(')'));
      return inner;
    }
    if (this.takeWord('EXISTS')) {
      this.need('"("', this.takeOperator('('));
      const value = this.operand();
      this.need('")"', this.takeOperator(')'));
      return (m) => value(m) !== null;
    }
    return this.comparison(this.operand());
  }

  comparison(left) {
    if (this.takeWord('IS')) {
      const negated = this.takeWord('NOT');
      this.need('NULL', this.takeWord('NULL'));
      return (m) => (left(m) === null) !== negated;
    }
    const negated = this.takeWord('NOT');
    const known = (test) => (m) => (left(m) === null ? null : test(m) !== negated);
    if (this.takeWord('LIKE')) {
      const pattern = likePattern(String(this.literal()));
      return known((m) => pattern.test(String(left(m))));
    }
    if (this.takeWord('IN')) {
      this.need('"("', this.takeOperator('('));
      const values = [this.literal()];
      while (this.takeOperator(',')) values.push(this.literal());
      this.need('")"', this.takeOperator(')'));
      return known((m) => values.includes(left(m)));
    }
    if (negated) throw new FilterError('NOT stands before something unknown in the SQL filter');
    const operator = this.takeOperator(...Object.keys(COMPARE));
    if (!operator) return (m) => left(m) === true; // a boolean property by itself, TRUE, FALSE
    const right = this.operand();
    return (m) => {
      const [a, b] = [left(m), right(m)];
      return a === null || b === null ? null : COMPARE[operator](a, b);
    };
  }

  literal() {
    const token = this.need('a value', this.tokens[this.at++]);
    if (token.kind !== 'literal') throw new FilterError('the SQL filter needs a literal here');
    return token.value;
  }

  operand() {
    const token = this.need('an operand', this.tokens[this.at++]);
    if (token.kind === 'literal') return () => token.value;
    if (token.kind !== 'name') throw new FilterError(`"${token.value}" cannot stand here in the SQL filter`);
    if (/^(true|false)$/i.test(token.raw)) return () => /^true$/i.test(token.raw);
    const [, scope, name] = /^(?:(sys|user)\.)?(.*)$/i.exec(token.value);
    const nullable = (value) => (value === undefined || value === null ? null : value);
    if (scope && scope.toLowerCase() === 'sys') {
      const field = this.need(`sys.${name}`, SYSTEM[name.toLowerCase()]);
      return (m) => nullable(m.properties[field]);
    }
    return (m) => {
      const key = Object.keys(m.applicationProperties).find((one) => one.toLowerCase() === name.toLowerCase());
      return key === undefined ? null : nullable(m.applicationProperties[key]);
    };
  }
}

const CORRELATION = {
  correlationId: 'correlation_id', messageId: 'message_id', to: 'to', replyTo: 'reply_to', label: 'subject',
  sessionId: 'group_id', replyToSessionId: 'reply_to_group_id', contentType: 'content_type',
};

function correlates(filter, message) {
  for (const [key, field] of Object.entries(CORRELATION)) {
    if (filter[key] !== undefined && filter[key] !== null && filter[key] !== message.properties[field]) return false;
  }
  return Object.entries(filter.properties || {}).every(([k, v]) => message.applicationProperties[k] === v);
}

/** filter: {kind: 'true' | 'false'}, {kind: 'sql', expression} or {kind: 'correlation', …}. Throws FilterError. */
function compile(filter) {
  if (filter.kind === 'sql') return { ...filter, test: new SqlParser(filter.expression).parse() };
  return filter;
}

function matches(filter, message) {
  if (filter.kind === 'true') return true;
  if (filter.kind === 'sql') return filter.test(message);
  return filter.kind === 'correlation' && correlates(filter, message);
}

module.exports = { FilterError, compile, matches };
