'use strict';
// What /proc says of a process.

const fs = require('node:fs');

const MS_PER_TICK = 10; // USER_HZ is 100

/** CPU time of all its threads so far. */
function cpu_ms(pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** The most memory that it ever had, in bytes. */
function peakBytes(pid) {
  return Number(fs.readFileSync(`/proc/${pid}/status`, 'latin1').match(/VmHWM:\s+(\d+) kB/)[1]) * 1024;
}

module.exports = { cpu_ms, peakBytes };
