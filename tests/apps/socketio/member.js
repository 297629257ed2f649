'use strict';
// A Socket.IO server in a process of its own, to be killed: node member.js LIBRARY ADAPTER SOCKET. Prints its port
// when it is a member of the cluster, and is ended by a signal.

const { AppServer } = require('./servers');

async function main([library, adapter, path]) {
  const server = await AppServer.open({ library, adapter, address: { path }, name: 'member' });
  await server.serverCount();
  process.stdout.write(`${server.port}\n`);
}

main(process.argv.slice(2));
