'use strict';
// A Socket.IO server in a process of its own, to be killed: node member.js LIBRARY ADAPTER SOCKET. Prints its port
// when it is a member of the cluster, and is ended by a signal: SIGTERM closes it as an app would.

const { AppServer } = require('./servers');

async function main([library, adapter, path]) {
  const server = await AppServer.open({ library, adapter, address: { path }, name: 'member' });
  await server.serverCount();
  process.once('SIGTERM', async () => {
    await server.close();
    process.exit(0);
  });
  process.stdout.write(`${server.port}\n`);
}

main(process.argv.slice(2));
