'use strict';
// A certificate authority of its own and a server certificate for localhost, by openssl, in a private directory.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

function openssl(dir, ...args) {
  execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
}

/**
 * {dir, caFile, key, cert}; what a directory already holds is used again, so that clients that know the CA
 * survive a restart. names: further DNS names of the server.
 */
function certificates(directory, names = []) {
  const dir = directory || fs.mkdtempSync(path.join(os.tmpdir(), 'sb-double-'));
  const file = (name) => path.join(dir, name);
  if (!fs.existsSync(file('server.pem'))) {
    fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
    fs.writeFileSync(file('ca.conf'), [
      '[req]', 'distinguished_name = dn', 'prompt = no', 'x509_extensions = ca', '[dn]',
      'CN = Service Bus double CA', '[ca]', 'basicConstraints = critical,CA:TRUE',
      'keyUsage = critical,keyCertSign', 'subjectKeyIdentifier = hash', '',
    ].join('\n'));
    const alternatives = ['DNS:localhost', 'IP:127.0.0.1', ...names.map((name) => `DNS:${name}`)].join(',');
    fs.writeFileSync(file('server.ext'), `subjectAltName = ${alternatives}\nbasicConstraints = CA:FALSE\n`);
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl(dir, 'req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '30', '-config', 'ca.conf');
    openssl(dir, 'req', '-new', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
    openssl(dir, 'x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
      '-days', '30', '-extfile', 'server.ext', '-out', 'server.pem');
  }
  return {
    dir, temporary: !directory, caFile: file('ca.pem'), key: fs.readFileSync(file('server.key')),
    cert: fs.readFileSync(file('server.pem')),
  };
}

module.exports = { certificates };
