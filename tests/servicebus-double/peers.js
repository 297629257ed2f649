'use strict';
// Connections: SASL, who is authorised, what idles, and the ways in which a connection ends.

const frames = require('rhea/lib/frames');
const { covers } = require('./sas');

const RAW = 0x7fffffff; // a message format that rhea does not decode; see rawTransfers()

/** Writes of one turn of the event loop become one system call; frozen sockets write nothing until thawed. */
class Corked {
  constructor(socket) {
    this.socket = socket;
    this.waiting = false;
    this.frozen = false;
    this.ending = false;
    const write = socket.write.bind(socket);
    socket.write = (...args) => {
      if (!this.waiting) {
        this.waiting = true;
        socket.cork();
        setImmediate(() => this.flush());
      }
      return write(...args);
    };
    const end = socket.end.bind(socket);
    socket.end = (...args) => {
      if (this.frozen) this.ending = true;
      else end(...args);
    };
  }

  flush() {
    if (this.frozen) return;
    this.waiting = false;
    this.socket.uncork();
  }

  freeze() {
    this.frozen = true;
    this.socket.pause();
  }

  thaw() {
    this.frozen = false;
    this.flush();
    this.socket.resume();
    if (this.ending) this.socket.end();
  }
}

/** rhea decodes messages of format 0; a format that it does not know makes it hand over the bytes. */
function rawTransfers(session) {
  const { incoming } = session;
  const original = incoming.on_transfer;
  incoming.on_transfer = function (frame, receiver) {
    if (frame.performative.message_format === 0) frame.performative.message_format = RAW;
    return original.call(this, frame, receiver);
  };
}

/**
 * rhea writes outcomes of neighbours as one, and compares the first two of them by nothing but whether they are settled
 * (3.0.5, write_dispositions): a reject behind an accept would be told as accepted. Here each is written by itself.
 */
function apart(session) {
  for (const window of [session.incoming, session.outgoing]) {
    window.update = function (delivery, settled, state) {
      delivery.settled = settled;
      if (state !== undefined) delivery.state = state;
      if (!delivery.remote_settled) {
        session.output(frames.disposition({ role: window === session.incoming, first: delivery.id, last: delivery.id,
          state: delivery.state, settled }));
      }
      session.connection._register();
    };
  }
}

/** AMQP 1.0 part 5, section 5.3: what the service offers, decided anew for each connection. */
function mechanisms(peer, { rules, faults }) {
  const answer = (decide) => () => {
    const mechanism = { outcome: undefined, username: undefined };
    mechanism.start = (response) => {
      mechanism.outcome = decide(response || Buffer.alloc(0));
      if (!mechanism.outcome) setImmediate(() => peer.socket.end());
    };
    return mechanism;
  };
  const anonymous = answer(() => {
    peer.mechanism = 'ANONYMOUS';
    return true;
  });
  const offered = {};
  if (faults.offerExternal) {
    offered.EXTERNAL = answer(() => {
      peer.mechanism = 'EXTERNAL';
      return false; // no certificate is known here, as at the service
    });
  }
  offered.MSSBCBS = anonymous; // what Microsoft's .NET client asks for; the same as ANONYMOUS
  offered.PLAIN = answer((response) => {
    const [, name, key] = response.toString('utf8').split('\0');
    peer.mechanism = 'PLAIN';
    peer.rule = name && key ? rules.plain(name, key) : undefined;
    return Boolean(peer.rule);
  });
  offered.ANONYMOUS = anonymous;
  return offered;
}

class Peer {
  constructor(server, socket, id) {
    const { settings } = server;
    this.server = server;
    this.id = id;
    this.socket = socket;
    this.corked = new Corked(socket);
    this.rule = undefined; // of PLAIN
    this.mechanism = undefined;
    this.claims = new Map(); // audience -> {rule, host, path, expiresAt_ms}
    this.links = new Set();
    this.startedAt_ms = server.clock();
    this.readAt_ms = this.startedAt_ms;
    this.linkedAt_ms = this.startedAt_ms; // when there last was a link
    this.hadLink = false;
    this.open = false;
    this.gone = false;
    const container = Object.create(server.container);
    container.sasl_server_mechanisms = mechanisms(this, server);
    this.connection = container.create_connection.call(container, {
      container_id: settings.container_id, max_frame_size: settings.max_frame_size,
      idle_time_out: settings.idle_ms, channel_max: 4999, require_sasl: true,
      session_buffer_size: { incoming: 5000, outgoing: 65536 },
      receiver_options: { autoaccept: false, autosettle: false, credit_window: settings.link_credit },
      sender_options: { treat_modified_as_released: false, autosettle: true },
    });
    this.connection.peer = this;
    socket.on('data', () => {
      this.readAt_ms = server.clock();
    });
    socket.on('close', () => this.close());
    this.connection.accept(socket);
  }

  opened() {
    this.open = true;
    const asked_ms = this.connection.idle_time_out;
    if (asked_ms && asked_ms < this.server.settings.min_peer_idle_ms) {
      this.force('amqp:not-allowed', `idle time-out ${asked_ms} ms is below ${this.server.settings.min_peer_idle_ms} ms`);
    }
  }

  /** The claim or rule that grants a right on an entity now, or undefined. */
  grants(path, right) {
    const suits = (rule) => rule.rights.includes(right) && covers(rule.scope, path);
    if (this.rule) return suits(this.rule) ? this.rule : undefined;
    const now_ms = this.server.clock();
    for (const claim of this.claims.values()) {
      if (claim.expiresAt_ms > now_ms && covers(claim.path, path) && suits(claim.rule)) return claim;
    }
    return undefined;
  }

  authorised() {
    const now_ms = this.server.clock();
    return Boolean(this.rule) || [...this.claims.values()].some((claim) => claim.expiresAt_ms > now_ms);
  }

  addLink(link) {
    this.links.add(link);
    if (link.counts) this.hadLink = true;
  }

  removeLink(link) {
    this.links.delete(link);
    this.linkedAt_ms = this.server.clock();
  }

  force(condition, description) {
    this.server.counters.connectionsForced += 1;
    this.connection.close({ condition, description });
    setTimeout(() => this.socket.destroy(), 2000).unref(); // a peer that does not answer the close
  }

  /** Closes what has been idle, unlinked or without a token for too long. */
  sweep(now_ms) {
    const { settings } = this.server;
    if (!this.open || this.connection.is_closed()) return;
    if (now_ms - this.readAt_ms > settings.idle_ms && !this.corked.frozen) {
      this.force('amqp:connection:forced',
        `The connection was inactive for more than the allowed ${settings.idle_ms} milliseconds and is closed.`);
      return;
    }
    if (!this.authorised() && !this.claims.size && now_ms - this.startedAt_ms > settings.token_ms) {
      this.force('amqp:unauthorized-access', `No token was put within ${settings.token_ms} milliseconds.`);
      return;
    }
    for (const link of [...this.links]) link.sweep(now_ms);
    const counted = [...this.links].some((link) => link.counts);
    const allowed_ms = this.hadLink ? settings.unlinked_after_ms : settings.unlinked_ms;
    if (counted) this.linkedAt_ms = now_ms;
    else if (now_ms - this.linkedAt_ms > allowed_ms) {
      this.force('amqp:connection:forced', `The connection was inactive for more than the allowed ${allowed_ms
      } milliseconds and is closed by container 'LinkTracker'.`);
    }
  }

  drop() {
    if (this.socket.resetAndDestroy && !this.socket.encrypted) this.socket.resetAndDestroy();
    else this.socket.destroy();
    this.close(); // now: its 'close' comes later, and until then messages would go to nobody
  }

  close() {
    if (this.gone) return;
    this.gone = true;
    for (const link of [...this.links]) link.closed();
    this.connection._disconnected(); // rhea's timers; a no-op where it noticed by itself
    this.server.peers.delete(this);
  }

  describe() {
    return {
      id: this.id, container: this.connection.container_id, mechanism: this.mechanism, tls: Boolean(this.socket.encrypted),
      rule: this.rule && this.rule.name, frozen: this.corked.frozen,
      claims: [...this.claims].map(([audience, claim]) => (
        { audience, rule: claim.rule.name, expires_ms: claim.expiresAt_ms })),
      links: [...this.links].map((link) => link.describe()),
    };
  }
}

module.exports = { Peer, RAW, apart, rawTransfers };
