'use strict';
// $cbs: tokens that authorise a connection for entities.

const rhea = require('rhea');
const { Unauthorized, allRights, covers, splitUri } = require('./sas');

const JWT_LIFE_MS = 3600 * 1000;

function reply(code, description) {
  return { application_properties: { 'status-code': rhea.types.wrap_int(code), 'status-description': description } };
}

/** A token that this double accepts by configuration: [{token, rights, scope, expires_ms}]. */
function staticClaim(server, token, now_ms) {
  const found = server.jwts.find((one) => one.token === token);
  if (!found) throw new Unauthorized('InvalidToken: The token is not accepted.');
  const expiresAt_ms = found.expires_ms || now_ms + JWT_LIFE_MS;
  if (expiresAt_ms <= now_ms) throw new Unauthorized('ExpiredToken: The token is expired.');
  const rule = { name: 'jwt', rights: allRights(found.rights), scope: found.scope || '' };
  return { rule, host: undefined, path: '', expiresAt_ms };
}

function bodyText(body) {
  const value = body && body.content !== undefined ? body.content : body;
  return Buffer.isBuffer(value) ? value.toString() : String(value || '');
}

function answerCbs(request, peer) {
  const { server } = peer;
  const { operation, type, name } = request.application_properties || {};
  server.counters.tokensPut += 1;
  if (operation !== 'put-token' || !name) return reply(400, 'put-token with a name is what this node understands');
  if (server.faults.cbsStatus) return reply(server.faults.cbsStatus, 'a fault was asked for');
  const now_ms = server.clock();
  const audience = splitUri(name);
  try {
    const token = bodyText(request.body);
    let claim;
    if (type === 'jwt') claim = { ...staticClaim(server, token, now_ms), path: audience.path };
    else if (type === 'servicebus.windows.net:sastoken') claim = server.rules.verify(token, now_ms);
    else return reply(400, `token type '${type}' is unknown`);
    if (claim.host !== undefined && (claim.host !== audience.host || !covers(claim.path, audience.path))) {
      throw new Unauthorized('InvalidAudience: The token audience does not cover the name.');
    }
    peer.claims.set(name, { ...claim, path: audience.path.replace(/\/\$.*$/, '') }); // of $management as well: its entity
    return reply(202, 'Accepted');
  } catch (error) {
    if (!(error instanceof Unauthorized)) throw error;
    server.counters.tokensRefused += 1;
    return reply(401, error.message);
  }
}

module.exports = { answerCbs };
