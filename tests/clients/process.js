'use strict';
// What /proc says of a process.

const fs = require('node:fs');

const MS_PER_TICK = 10; // USER_HZ is 100

/** CPU time of all its threads so far. */
function cpu_ms(pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

module.exports = { cpu_ms };
