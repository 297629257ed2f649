'use strict';
// A node that answers requests: message in, message out on the link whose target is the request's reply-to.

const rhea = require('rhea');
const { Link } = require('./links');

class RequestNode extends Link {
  /** answer(request, peer): the reply's application_properties and body; request is a decoded message. */
  constructor(peer, link, { answer, ...options }) {
    super(peer, link, options);
    this.answer = answer;
  }

  onMessage({ delivery, message: bytes }) {
    this.touch();
    this.messages += 1;
    const request = rhea.message.decode(bytes);
    delivery.update(true, rhea.message.accepted().described());
    const replies = this.peer.replies && this.peer.replies.get(String(request.reply_to || ''));
    if (!replies || !replies.is_open()) return;
    const reply = { correlation_id: request.message_id, ...this.answer(request, this.peer) };
    const send = () => {
      if (!replies.is_open()) return;
      const sent = replies.send(reply);
      if (replies.node) replies.node.touch();
      sent.settled = true;
    };
    const { requestDelay_ms } = this.server.faults;
    if (requestDelay_ms > 0) setTimeout(send, requestDelay_ms);
    else send();
  }

  isActive() {
    return true; // the pair lives as long as its connection
  }
}

module.exports = { RequestNode };
