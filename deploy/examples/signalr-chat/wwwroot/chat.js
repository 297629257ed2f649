'use strict';

const element = (id) => document.getElementById(id);
let joined; // what to join again after a reconnect: the server forgets groups with the connection

const connection = new signalR.HubConnectionBuilder()
  .withUrl('chat')
  .withAutomaticReconnect({ nextRetryDelayInMilliseconds: ({ previousRetryCount: n }) => Math.min(250 * 2 ** n, 5000) })
  .build();

function show(text, name) {
  const line = document.createElement('li');
  if (name === undefined) {
    line.className = 'notice';
  } else {
    const who = document.createElement('span');
    who.className = 'name';
    who.textContent = name;
    line.append(who);
  }
  line.append(text);
  element('messages').append(line);
  line.scrollIntoView({ block: 'nearest' });
}

function ready(isReady) {
  element('state').textContent = isReady ? 'connected' : 'connecting';
  for (const field of element('say').elements) field.disabled = !isReady || !joined;
}

async function join(room, name) {
  await connection.invoke('Join', room, name);
  joined = { room, name };
  ready(true);
}

connection.on('said', (name, text) => show(text, name));
connection.on('joined', (name) => show(`${name} joined`));
connection.on('left', (name) => show(`${name} left`));
connection.onreconnecting(() => ready(false));
connection.onreconnected(() => (joined ? join(joined.room, joined.name) : ready(true)));

element('join').addEventListener('submit', (event) => {
  event.preventDefault();
  join(element('room').value, element('name').value).catch((error) => show(error.message));
});

element('say').addEventListener('submit', (event) => {
  event.preventDefault();
  connection.invoke('Say', element('text').value).then(
    () => { element('text').value = ''; },
    (error) => show(`Not sent: ${error.message}`), // the text stays, to send it again
  );
});

async function start() {
  try {
    await connection.start();
    element('server').textContent = await (await fetch('server')).text();
    ready(true);
  } catch {
    setTimeout(start, 1000);
  }
}
start();
