'use strict';
// A chat that goes on while servers die: people on every app server who say something all the time, one sentence
// after the other, to all or to a room, and write down what was accepted, refused and heard.

const assert = require('node:assert/strict');
const { note, until, within } = require('../../clients/tap');
const { Client } = require('./app');

const ROOM = 'room';
const PACE_MS = 25; // between the answer to one sentence and the next
const CALL_MS = 90000; // longer than any time-out of the app: its own error is what counts
const HEARD_MS = 15000;
const KINDS = [
  { protocol: 'json', say: (client, text) => client.connection.invoke('All', text) },
  { protocol: 'messagepack', say: (client, text) => client.connection.invoke('Group', text, ROOM) },
  { protocol: 'json', say: (client, text) => client.connection.invoke('Group', text, ROOM) },
];

class Person {
  static async enter(name, server, kind) {
    const person = new Person(name, server, kind);
    person.client = await Client.connect(server, { user: name, protocol: kind.protocol, reconnect: true });
    person.connection.on('message', (text) => person.hear(text));
    person.connection.onreconnecting(() => {
      person.interruptions += 1;
    });
    person.connection.onreconnected(() => person.reenter());
    await person.reenter();
    return person;
  }

  constructor(name, server, kind) {
    Object.assign(this, { name, server, kind, said: 0, accepted: [], refused: [], heard: new Map(), interruptions: 0 });
  }

  get connection() {
    return this.client.connection;
  }

  /** A reconnect makes a new connection, which is in no group. */
  async reenter() {
    [this.id] = await this.client.call('Who');
    await this.client.call('Join', this.id, ROOM);
  }

  hear(text) {
    const [who, number] = text.split(':');
    if (!this.heard.has(who)) this.heard.set(who, []);
    this.heard.get(who).push(Number(number));
  }

  hasHeardAfter(other, number) {
    const heard = this.heard.get(other.name);
    return heard !== undefined && heard.at(-1) > number;
  }

  async talk(goesOn) {
    while (goesOn()) {
      this.said += 1;
      const number = this.said;
      try {
        await within(CALL_MS, `${this.name} gets an answer`, this.kind.say(this.client, `${this.name}:${number}`));
        this.accepted.push(number);
      } catch (error) {
        this.refused.push({ number, message: error.message });
      }
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
    }
  }

  ask(other, timeout_ms) {
    return this.client.call('Ask', other.id, 'why', timeout_ms);
  }
}

class Chat {
  /** Three people on each server. */
  static async open(t, servers) {
    const chat = new Chat();
    t.after(() => chat.close());
    for (const server of servers) {
      for (const kind of KINDS) {
        chat.people.push(await Person.enter(`p${chat.people.length}`, server, kind));
      }
    }
    chat.talking = true;
    chat.talks = chat.people.map((person) => person.talk(() => chat.talking));
    await chat.flows(30000, 'before anything is killed');
    return chat;
  }

  constructor() {
    this.people = [];
  }

  at(server) {
    return this.people.filter((person) => person.server === server);
  }

  /** Waits until these people had that many more sentences accepted. */
  progress(people, count, deadline_ms) {
    const before = people.map((person) => person.accepted.length);
    return until(deadline_ms, () => `${count} more sentences are accepted; ${this.state()}`,
      () => people.every((person, i) => person.accepted.length >= before[i] + count));
  }

  /**
   * Waits until everybody has heard something new of everybody, and every server gets answers of the clients of every
   * other. Returns how long that took.
   */
  async flows(deadline_ms, when) {
    const begin = Date.now();
    const said = new Map(this.people.map((person) => [person, person.said]));
    await until(deadline_ms, () => `everybody hears everybody ${when}; ${this.state()}`,
      () => this.people.every((hearer) => this.people.every((other) => hearer.hasHeardAfter(other, said.get(other)))));
    for (const [asker, asked] of [[this.people[0], this.people.at(-1)], [this.people.at(-1), this.people[0]]]) {
      await until(deadline_ms, () => `clients of the other server answer ${when}`,
        async () => await asker.ask(asked, 500) === 'why!');
    }
    return Date.now() - begin;
  }

  /**
   * After a fault and a recovery: from now on nothing is refused or missed. Ends the talk; then checks that at no time
   * anybody heard a sentence twice or out of order, and that what was accepted was heard by those of whom
   * isSure(speaker, hearer) says so.
   */
  async end(isSure) {
    const recovered = new Map(this.people.map((person) => [person, person.said + 1]));
    await this.progress(this.people, 20, HEARD_MS);
    await this.hush();
    for (const speaker of this.people) {
      const since = recovered.get(speaker);
      assert.deepEqual(speaker.refused.filter(({ number }) => number > since), [], 'refused after the recovery');
      for (const hearer of this.people) {
        const sure = isSure(speaker, hearer);
        await this.assertHeard(speaker, hearer, (number) => sure || number > since);
      }
    }
    note(this.state());
  }

  async assertHeard(speaker, hearer, isSure) {
    const missing = () => {
      const heard = new Set(hearer.heard.get(speaker.name));
      return speaker.accepted.filter((number) => isSure(number) && !heard.has(number));
    };
    await until(HEARD_MS, () => `${hearer.name} hears of ${speaker.name}: ${missing().slice(0, 10)}`,
      () => missing().length === 0);
    const heard = hearer.heard.get(speaker.name);
    const wrong = heard.findIndex((number, i) => i > 0 && number <= heard[i - 1]);
    assert.equal(wrong, -1, `${hearer.name} heard of ${speaker.name}: ${heard.slice(Math.max(0, wrong - 5), wrong + 5)}`);
  }

  async hush() {
    this.talking = false;
    await Promise.all(this.talks);
  }

  state() {
    const refused = this.people.flatMap((person) => person.refused.map((one) => ({ person, ...one })));
    const heardAnyway = refused.filter(({ person, number }) => this.people.some(
      (hearer) => (hearer.heard.get(person.name) || []).includes(number)));
    const reasons = new Map();
    for (const { message } of refused) {
      const reason = message.replace(/^An unexpected error occurred invoking '\w+' on the server\./, '').split(/[,(]/)[0];
      reasons.set(reason, (reasons.get(reason) || 0) + 1);
    }
    const sum = (count) => this.people.reduce((total, person) => total + count(person), 0);
    return `accepted ${sum((person) => person.accepted.length)}, refused ${refused.length} (heard all the same: `
      + `${heardAnyway.length}), interruptions ${sum((person) => person.interruptions)}`
      + [...reasons].map(([reason, count]) => `\n  ${count} × ${reason.trim()}`).join('');
  }

  async close() {
    await this.hush();
    await Promise.all(this.people.map((person) => person.client.close()));
  }
}

module.exports = { Chat };
