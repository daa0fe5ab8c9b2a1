// What the page shows, as plain data and pure functions (model_test.js runs them without a browser).

// Kubernetes' word for how a pod is, as `kubectl get pods` prints it.
export function podStatus(pod) {
  const status = pod.status || {};
  let text = status.reason || status.phase || 'Unknown';
  for (const c of status.containerStatuses || []) {
    const state = c.state || {};
    if (state.waiting && state.waiting.reason) text = state.waiting.reason;
    else if (state.terminated) {
      text = state.terminated.reason || (state.terminated.exitCode ? 'Error' : 'Completed');
    }
  }
  if (pod.metadata.deletionTimestamp) text = 'Terminating';
  return text;
}

// One of: running, starting, pending, done, failed, ending. The colour of its dot.
export function podTone(pod) {
  const status = pod.status || {};
  if (pod.metadata.deletionTimestamp) return 'ending';
  if (status.phase === 'Succeeded') return 'done';
  if (status.phase === 'Failed') return 'failed';
  for (const c of status.containerStatuses || []) {
    const reason = c.state && c.state.waiting && c.state.waiting.reason;
    if (reason && /BackOff|Err|Invalid/.test(reason)) return 'failed';
  }
  if (status.phase === 'Running') {
    return (status.conditions || []).some(c => c.type === 'Ready' && c.status === 'True') ? 'running' : 'starting';
  }
  return pod.spec && pod.spec.nodeName ? 'starting' : 'pending';
}

export function controllerOf(object) {
  return (object.metadata.ownerReferences || []).find(o => o.controller) || null;
}

// Of a pod only what is shown: there may be a hundred thousand.
export function shrinkPod(pod) {
  const owner = controllerOf(pod);
  const containers = (pod.status && pod.status.containerStatuses) || [];
  return {
    uid: pod.metadata.uid,
    ns: pod.metadata.namespace,
    name: pod.metadata.name,
    node: (pod.spec && pod.spec.nodeName) || '',
    status: podStatus(pod),
    tone: podTone(pod),
    restarts: containers.reduce((sum, c) => sum + (c.restartCount || 0), 0),
    owner: owner ? owner.uid : '',
    labels: pod.metadata.labels || {},
    created: pod.metadata.creationTimestamp,
  };
}

export function shrinkNode(node) {
  const conditions = (node.status && node.status.conditions) || [];
  const ready = conditions.find(c => c.type === 'Ready');
  return {
    uid: node.metadata.uid,
    name: node.metadata.name,
    zone: (node.metadata.labels || {})['topology.kubernetes.io/zone'] || '',
    ready: ready ? ready.status : 'Unknown',
    cordoned: !!(node.spec && node.spec.unschedulable),
    taints: ((node.spec && node.spec.taints) || []).length,
    capacity: (node.status && node.status.allocatable) || {},
    version: (node.status && node.status.nodeInfo && node.status.nodeInfo.kubeletVersion) || '',
  };
}

// How far a controller's object is: [ready, wanted].
export function progressOf(kind, object) {
  const spec = object.spec || {};
  const status = object.status || {};
  switch (kind) {
    case 'DaemonSet':
      return [status.numberReady || 0, status.desiredNumberScheduled || 0];
    case 'Job':
      return [status.succeeded || 0, spec.completions === undefined ? spec.parallelism || 1 : spec.completions];
    case 'CronJob':
      return [(status.active || []).length, null];
    default:
      return [status.readyReplicas || 0, spec.replicas === undefined ? 1 : spec.replicas];
  }
}

export function shrinkWorkload(kind, object) {
  const owner = controllerOf(object);
  const [ready, wanted] = progressOf(kind, object);
  const containers = (object.spec && object.spec.template && object.spec.template.spec.containers) || [];
  return {
    uid: object.metadata.uid,
    kind,
    ns: object.metadata.namespace,
    name: object.metadata.name,
    owner: owner ? owner.uid : '',
    ready,
    wanted,
    images: containers.map(c => c.image).join(', '),
    created: object.metadata.creationTimestamp,
  };
}

// All objects of one kind by uid, and how many of them there are of each tone. `shrink` is applied
// to each. A list that is read again leaves those it did not name behind: they are dropped at its end.
export class Store {
  constructor(shrink) {
    this.shrink = shrink;
    this.items = new Map();
    this.listed = null;
    this.trouble = '';
    this.refused = false;
    this.synced = false;
    this.changes = 0;
  }
  begin() {
    this.listed = new Set();
  }
  put(object) {
    const item = this.shrink(object);
    this.items.set(item.uid, item);
    if (this.listed) this.listed.add(item.uid);
    ++this.changes;
  }
  drop(object) {
    this.items.delete(object.metadata.uid);
    ++this.changes;
  }
  end() {
    for (const uid of this.items.keys()) if (!this.listed.has(uid)) this.items.delete(uid);
    this.listed = null;
    this.synced = true;
    ++this.changes;
  }
  state(text, refused = false) {
    this.trouble = text;
    this.refused = refused;
    ++this.changes;
  }
}

export function tally(items, key) {
  const counts = {};
  for (const item of items) counts[item[key]] = (counts[item[key]] || 0) + 1;
  return counts;
}

// Controllers' objects as a tree: roots are those that nothing owns, children what they own, pods
// last. A child whose owner is not there is a root (it is about to be collected).
export function workloadTree(workloads, pods) {
  const nodes = new Map();
  for (const w of workloads) nodes.set(w.uid, {...w, children: [], pods: []});
  const roots = [];
  for (const node of nodes.values()) {
    const owner = nodes.get(node.owner);
    (owner ? owner.children : roots).push(node);
  }
  for (const pod of pods) {
    const owner = nodes.get(pod.owner);
    if (owner) owner.pods.push(pod);
  }
  const byName = (a, b) => (a.ns + '/' + a.name).localeCompare(b.ns + '/' + b.name);
  const sort = list => {
    list.sort(byName);
    for (const node of list) {
      sort(node.children);
      node.pods.sort(byName);
      node.tones = tally(node.pods, 'tone');
      for (const child of node.children) {
        for (const [tone, n] of Object.entries(child.tones)) node.tones[tone] = (node.tones[tone] || 0) + n;
      }
    }
  };
  sort(roots);
  return roots;
}

// Samples of a number that only grows, and its rate over the last `seconds`.
export class Rate {
  constructor(keep = 60) {
    this.keep = keep;
    this.samples = [];
    this.rates = [];
  }
  add(time, value) {
    const last = this.samples[this.samples.length - 1];
    if (last && time <= last.time) return;
    if (last) this.rates.push(Math.max(0, (value - last.value) / (time - last.time)));
    this.samples.push({time, value});
    if (this.samples.length > this.keep) this.samples.shift();
    if (this.rates.length > this.keep) this.rates.shift();
  }
  now(seconds = 5) {
    const last = this.samples[this.samples.length - 1];
    if (!last) return 0;
    const first = this.samples.find(s => last.time - s.time <= seconds);
    return first === last ? 0 : Math.max(0, (last.value - first.value) / (last.time - first.time));
  }
}

// How far each member is behind the one that is furthest.
export function lags(members) {
  const furthest = Math.max(0, ...members.map(m => m.appliedIndex || 0));
  return members.map(m => (m.role === 'down' ? null : furthest - (m.appliedIndex || 0)));
}

export function age(text, now) {
  const seconds = Math.max(0, Math.floor((now - Date.parse(text)) / 1000));
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}

export function bytes(n) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000;
    ++i;
  }
  return `${i === 0 ? n : n.toFixed(n < 10 ? 1 : 0)} ${units[i]}`;
}

export function short(n) {
  if (n >= 1e6) return `${(n / 1e6).toFixed(1)}M`;
  if (n >= 1e4) return `${(n / 1e3).toFixed(0)}k`;
  if (n >= 100 || Number.isInteger(n)) return `${Math.round(n)}`;
  return n.toFixed(1);
}

// Where each node's tile stands in a grid of `width` pixels, so that all fit into `height` as large
// as they can be: {size, columns, rows}. Tiles have at most `largest` pixels.
export function gridOf(count, width, height, largest = 120, smallest = 6) {
  if (count === 0) return {size: largest, columns: 1, rows: 0};
  let size = Math.min(largest, Math.floor(Math.sqrt((width * height) / count)));
  for (; size > smallest; --size) {
    const columns = Math.floor(width / size);
    if (columns > 0 && Math.ceil(count / columns) * size <= height) break;
  }
  size = Math.max(size, smallest);
  const columns = Math.max(1, Math.floor(width / size));
  return {size, columns, rows: Math.ceil(count / columns)};
}
