'use strict';
// A chat with rooms that runs on any number of servers. Users of one room may be on different servers.
//
//   SIDEBUS=/run/sidebus/sidebus.sock PORT=3000 NAME=web-1 node server.js

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { createAdapter } = require('@socket.io/redis-adapter');
const { Redis } = require('ioredis');
const { Server } = require('socket.io');

const { SIDEBUS = '/run/sidebus/sidebus.sock', HOST = '127.0.0.1', PORT = '3000', NAME = 'web-1' } = process.env;

// With both: wait for a server that restarts, however long, and keep the order of what is published meanwhile.
const options = { maxRetriesPerRequest: null, enableReadyCheck: false, disableClientInfo: true };
const pub = new Redis(SIDEBUS, options); // all that differs from Redis: there, this is redis://10.0.0.5:6379
const sub = pub.duplicate();
for (const redis of [pub, sub]) redis.on('error', (error) => console.error(`sidebus: ${error.message}`));

const page = fs.readFileSync(path.join(__dirname, 'index.html'));
const server = http.createServer((request, response) => {
  if (new URL(request.url, 'http://chat').pathname !== '/') {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
});
const io = new Server(server, { adapter: createAdapter(pub, sub) });

// Every message carries the life of the server that took it and a number, by which a page tells a message that
// comes twice, and one that is missing.
const life = `${NAME}-${crypto.randomBytes(3).toString('hex')}`;
const numbers = new Map(); // room -> number of its last message from this server

function nextNumber(room) {
  const number = (numbers.get(room) || 0) + 1;
  numbers.set(room, number);
  return number;
}

io.use((socket, next) => {
  const { name, room } = socket.handshake.auth;
  const isText = (value) => typeof value === 'string' && value.length > 0 && value.length <= 50;
  next(isText(name) && isText(room) ? undefined : new Error('a name and a room of 1 to 50 characters, please'));
});

io.on('connection', (socket) => {
  const { name, room } = socket.handshake.auth;
  socket.data = { name, server: NAME };
  socket.join(room);
  socket.emit('welcome', NAME);
  socket.to(room).emit('changed');

  socket.on('say', (text, done) => {
    if (typeof text !== 'string' || typeof done !== 'function') return;
    const message = { life, number: nextNumber(room), name, text: text.slice(0, 1000) };
    io.to(room).emit('message', message);
    done(message.number);
  });

  // Asks all servers of the cluster. One that cannot answer now makes this fail after five seconds.
  socket.on('who', async (done) => {
    if (typeof done !== 'function') return;
    try {
      const sockets = await io.in(room).fetchSockets();
      done({ users: sockets.map((one) => one.data) });
    } catch (error) {
      done({ error: error.message });
    }
  });

  socket.on('disconnect', () => io.to(room).emit('changed'));
});

process.once('SIGTERM', async () => {
  setTimeout(() => process.exit(1), 5000).unref(); // while the bridge is away, quit() waits for it
  await io.close(); // users go to another server, and the others no longer count this one
  await Promise.all([pub.quit(), sub.quit()]);
});

server.listen(Number(PORT), HOST, () => console.log(`chat on http://${HOST}:${server.address().port}/`));
