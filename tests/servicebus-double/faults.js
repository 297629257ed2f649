'use strict';
// Faults that belong to the whole namespace; those of one topic or subscription live there.

/** Whether an entity's path is meant: the path itself, a prefix with "*", or "*" for all. Without regard to case. */
function matchesPath(pattern, path) {
  const wanted = pattern.toLowerCase();
  const given = path.toLowerCase();
  return wanted.endsWith('*') ? given.startsWith(wanted.slice(0, -1)) : given === wanted;
}

class Faults {
  constructor() {
    this.clear();
  }

  clear() {
    this.offerExternal = false;
    this.refuseUntil_ms = 0;
    this.requestDelay_ms = 0;
    this.cbsStatus = 0;
    this.attach = []; // {entity, condition, description, count}
    this.rest = []; // {entity, status, description, count}
  }

  static take(list, path) {
    const at = list.findIndex((one) => matchesPath(one.entity, path));
    if (at < 0) return undefined;
    const fault = list[at];
    fault.count -= 1;
    if (fault.count <= 0) list.splice(at, 1);
    return fault;
  }

  takeAttachRefusal(path) {
    return Faults.take(this.attach, path);
  }

  takeRestRefusal(path) {
    return Faults.take(this.rest, path);
  }
}

module.exports = { Faults, matchesPath };
