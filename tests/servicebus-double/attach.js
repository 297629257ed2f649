'use strict';
// What an attach leads to: which node the address names, and whether the peer may use it.

const { BUSY, Link, ReceiveLink, SendLink } = require('./links');
const { RequestNode } = require('./requests');
const { answerCbs } = require('./cbs');
const { answerManagement } = require('./management');

/** Refuses as the service does: an attach without a terminus, then a detach with the reason. */
function refuse(server, link, condition, description) {
  server.counters.attachesRefused += 1;
  link.close({ condition, description });
}

function accept(link) {
  for (const side of ['source', 'target']) {
    if (link.remote.attach[side]) link.local.attach[side] = link.remote.attach[side].described();
  }
}

/** The address without scheme and host. */
function addressOf(terminus) {
  return String((terminus && terminus.address) || '').replace(/^[a-z]+:\/\/[^/]*\//i, '').replace(/^\/|\/$/g, '');
}

/** $cbs and $management: requests come on one link, answers go out on another. */
function attachRequestNode(peer, link, address, answer, { path = '', right, counts }) {
  accept(link);
  const kind = address.toLowerCase().endsWith('$cbs') ? 'cbs' : 'management';
  if (link.is_receiver()) {
    link.local.attach.max_message_size = peer.server.settings.max_message_size;
    return new RequestNode(peer, link, { kind, path, right, counts, answer });
  }
  peer.replies = peer.replies || new Map();
  const replies = new Link(peer, link, { kind, path, right, counts });
  const replyTo = (link.target && link.target.address) || link.name;
  peer.replies.set(replyTo, link);
  replies.isActive = () => true;
  const closed = replies.closed.bind(replies);
  replies.closed = () => {
    if (peer.replies.get(replyTo) === link) peer.replies.delete(replyTo);
    closed();
  };
  return replies;
}

function attach(server, peer, link) {
  const publishes = link.is_receiver(); // our end receives what the peer sends
  const address = addressOf(publishes ? link.target : link.source);
  if (address.toLowerCase() === '$cbs') {
    attachRequestNode(peer, link, address, answerCbs, { counts: server.settings.cbs_link_counts });
    return;
  }
  const fault = server.faults.takeAttachRefusal(address);
  if (fault) {
    refuse(server, link, fault.condition, fault.description);
    return;
  }
  const { namespace, settings } = server;
  const right = publishes && !/\/\$management$/i.test(address) ? 'Send' : 'Listen';
  const path = address.replace(/\/\$.*$/, '');
  if (!peer.grants(path, right)) {
    refuse(server, link, 'amqp:unauthorized-access',
      `Unauthorized access. '${right}' claim(s) are required to perform this operation. Resource: '${address}'.`);
    return;
  }
  if (settings.auto_create) namespace.createFor(address);
  const found = namespace.resolve(address);
  if (!found) {
    refuse(server, link, 'amqp:not-found', `The messaging entity '${address}' could not be found.`);
    return;
  }
  if (found.management) {
    attachRequestNode(peer, link, address, (request) => answerManagement(server, found, request),
      { path: found.path, right: 'Listen', counts: true });
    return;
  }
  if (found.topic.faults.busyLinksUntil_ms > server.clock()) {
    refuse(server, link, BUSY.condition, BUSY.description);
    return;
  }
  if (publishes && found.subscription) {
    refuse(server, link, 'amqp:not-allowed', `'${address}' is a subscription: send to its topic`);
    return;
  }
  if (!publishes && !found.queue) {
    refuse(server, link, 'amqp:not-allowed', `'${address}' is a topic: receive from a subscription`);
    return;
  }
  accept(link);
  if (publishes) new SendLink(peer, link, found.topic);
  else {
    found.subscription.touch();
    new ReceiveLink(peer, link, found);
  }
}

module.exports = { attach };
