// The page: keeps the model told by the API, and draws it a few times a second. The objects
// themselves stay outside of Vue's data, which would make each of them observed; what is drawn is
// computed from them when a counter moves.

import {Api, isMultiplexed} from './api.js';
import * as model from './model.js';
import {NodeGrid} from './node_grid.js';

const WORKLOADS = [
  ['Deployment', '/apis/apps/v1/deployments'],
  ['ReplicaSet', '/apis/apps/v1/replicasets'],
  ['StatefulSet', '/apis/apps/v1/statefulsets'],
  ['DaemonSet', '/apis/apps/v1/daemonsets'],
  ['ReplicationController', '/api/v1/replicationcontrollers'],
  ['CronJob', '/apis/batch/v1/cronjobs'],
  ['Job', '/apis/batch/v1/jobs'],
];
const REDRAW_MS = 250;
const STORE_MS = 1000;
const SHOWN_EVENTS = 200;

const stores = {
  pods: new model.Store(model.shrinkPod),
  nodes: new model.Store(model.shrinkNode),
  events: new model.Store(e => ({
    uid: e.metadata.uid,
    time: e.lastTimestamp || e.eventTime || e.metadata.creationTimestamp,
    type: e.type,
    reason: e.reason,
    about: `${e.involvedObject.kind.toLowerCase()}/${e.involvedObject.name}`,
    ns: e.involvedObject.namespace || '',
    message: e.message,
    count: e.count || 1,
  })),
};
for (const [kind] of WORKLOADS) stores[kind] = new model.Store(o => model.shrinkWorkload(kind, o));

const Spark = {
  props: {values: Array, width: {default: 120}, height: {default: 28}},
  computed: {
    top() { return Math.max(1, ...this.values); },
    points() {
      const step = this.width / 59;
      const start = this.width - (this.values.length - 1) * step;
      return this.values.map((v, i) => `${(start + i * step).toFixed(1)},${(this.height - 1 - (v / this.top) * (this.height - 3)).toFixed(1)}`).join(' ');
    },
  },
  template: `<svg class="spark" :width="width" :height="height" aria-hidden="true"><polyline :points="points"/></svg>`,
};

const Tones = {
  props: {tones: Object},
  template: `<span class="tones"><span v-for="(n, tone) in tones" :key="tone" :class="'tone ' + tone" :title="n + ' ' + tone">{{n}}</span></span>`,
};

const Workload = {
  name: 'workload',
  props: {node: Object, open: Object, now: Number},
  components: {Tones},
  computed: {
    isOpen() { return !!this.open[this.node.uid]; },
    inner() { return this.node.children.length + this.node.pods.length > 0; },
    whole() { return this.node.wanted === null || this.node.ready >= this.node.wanted; },
    shownPods() { return this.node.pods.slice(0, 100); },
  },
  methods: {
    toggle() { this.$root.toggle(this.node.uid); },
    age(text) { return model.age(text, this.now); },
  },
  template: `<li>
    <button class="row" :class="{leaf: !inner}" :aria-expanded="isOpen ? 'true' : 'false'" @click="toggle">
      <span class="twist">{{inner ? (isOpen ? '▾' : '▸') : ''}}</span>
      <span class="kind">{{node.kind}}</span>
      <span class="name">{{node.name}}</span><span class="ns">{{node.ns}}</span>
      <span class="ready" :class="{short: !whole}">{{node.ready}}<template v-if="node.wanted !== null">/{{node.wanted}}</template></span>
      <tones :tones="node.tones"/>
      <span class="images">{{node.images}}</span>
      <span class="age">{{age(node.created)}}</span>
    </button>
    <ul v-if="isOpen">
      <workload v-for="child in node.children" :key="child.uid" :node="child" :open="open" :now="now"/>
      <li v-for="pod in shownPods" :key="pod.uid" class="pod"><span class="row leaf">
        <span class="dot" :class="pod.tone"></span><span class="name">{{pod.name}}</span>
        <span class="status">{{pod.status}}</span><span class="images">{{pod.node}}</span>
        <span v-if="pod.restarts" class="restarts">{{pod.restarts}} restarts</span>
        <span class="age">{{age(pod.created)}}</span></span></li>
      <li v-if="node.pods.length > 100" class="more">and {{node.pods.length - 100}} more pods</li>
    </ul></li>`,
};

new Vue({
  el: '#app',
  components: {NodeGrid, Spark, Tones, Workload},
  data: {
    token: new URLSearchParams(location.hash.slice(1)).get('token') || sessionStorage.getItem('token') || '',
    typed: '',
    refused: '',
    tick: 0,
    now: Date.now(),
    members: [],
    storeTrouble: '',
    version: '',
    open: {},
    ns: '',
    find: '',
  },
  created() {
    this.writes = new model.Rate();
    this.podRate = new model.Rate();
    this.stops = [];
    if (location.hash) history.replaceState(null, '', location.pathname);
    this.connect();
    let seen = -1;
    setInterval(() => {
      const changes = Object.values(stores).reduce((sum, s) => sum + s.changes, 0);
      this.now = Date.now();
      if (changes !== seen) {
        seen = changes;
        ++this.tick;
        const refused = Object.values(stores).find(s => s.refused);
        if (refused && !stores.pods.synced) this.refused = refused.trouble;
      }
    }, REDRAW_MS);
    setInterval(() => this.lookAtStore(), STORE_MS);
  },
  computed: {
    pods() { return this.tick, this.of('pods'); },
    nodes() {
      return this.tick, [...stores.nodes.items.values()].sort(
        (a, b) => a.zone.localeCompare(b.zone) || a.name.localeCompare(b.name, undefined, {numeric: true}));
    },
    podTones() { return model.tally(this.pods, 'tone'); },
    nodesReady() { return this.nodes.filter(n => n.ready === 'True').length; },
    namespaces() {
      const names = new Set();
      for (const [kind] of WORKLOADS) for (const w of stores[kind].items.values()) names.add(w.ns);
      for (const p of stores.pods.items.values()) names.add(p.ns);
      return this.tick, [...names].sort();
    },
    tree() {
      const all = this.tick, workloads = WORKLOADS.flatMap(([kind]) => this.of(kind));
      const roots = model.workloadTree(workloads, this.pods);
      return this.find ? roots.filter(r => r.name.includes(this.find)) : roots;
    },
    shownTree() { return this.tree.slice(0, 200); },
    events() {
      const list = [...stores.events.items.values()].filter(e => !this.ns || e.ns === this.ns);
      list.sort((a, b) => (a.time < b.time ? 1 : -1));
      return this.tick, list.slice(0, SHOWN_EVENTS);
    },
    trouble() {
      const s = this.tick, bad = Object.values(stores).find(x => x.trouble);
      return bad ? bad.trouble : '';
    },
    lags() { return model.lags(this.members); },
    leader() { return this.members.find(m => m.role === 'leader'); },
    synced() { return this.tick, Object.values(stores).every(s => s.synced); },
  },
  methods: {
    of(name) {
      const list = [...stores[name].items.values()];
      return this.ns ? list.filter(o => o.ns === this.ns) : list;
    },
    connect() {
      for (const stop of this.stops) stop();
      this.refused = '';
      this.api = new Api(this.token);
      this.stops = [
        this.api.follow('/api/v1/nodes', stores.nodes),
        this.api.follow('/api/v1/pods', stores.pods),
        ...WORKLOADS.map(([kind, path]) => this.api.follow(path, stores[kind], !isMultiplexed())),
        this.api.follow('/api/v1/events', stores.events),
      ];
      this.api.json('/version').then(v => { this.version = v.gitVersion; }, () => {});
      this.lookAtStore();
    },
    signIn() {
      this.token = this.typed.trim();
      this.typed = '';
      sessionStorage.setItem('token', this.token);
      this.connect();
    },
    async lookAtStore() {
      if (this.refused) return;
      try {
        const answer = await this.api.json('/keel/v1/store');
        this.storeTrouble = answer.error || '';
        const members = answer.members.sort((a, b) => a.name.localeCompare(b.name));
        this.writes.add(answer.time, Math.max(0, ...members.map(m => m.revision || 0)));
        this.members = members;
      } catch (error) {
        this.storeTrouble = error.message;
      }
    },
    toggle(uid) { this.$set(this.open, uid, !this.open[uid]); },
    age(text) { return model.age(text, this.now); },
    bytes: model.bytes,
    short: model.short,
  },
  template: `<div class="page" :data-synced="synced ? 'yes' : 'no'">
    <header>
      <h1><img src="keel.svg" alt="">Keel</h1><span class="version">{{version}}</span>
      <dl>
        <div><dt>nodes ready</dt><dd id="nodes-ready">{{nodesReady}}<small>/{{nodes.length}}</small></dd></div>
        <div><dt>pods running</dt><dd id="pods-running">{{short(podTones.running || 0)}}<small>/{{short(pods.length)}}</small></dd></div>
        <div><dt>writes a second</dt><dd>{{short(writes.now())}}</dd><spark :values="(members, writes.rates.slice())"/></div>
      </dl>
      <label>Namespace <select v-model="ns"><option value="">all</option><option v-for="n in namespaces" :key="n">{{n}}</option></select></label>
    </header>
    <p v-if="trouble && !refused" class="trouble" role="alert">{{trouble}}</p>
    <form v-if="refused" class="sign-in" @submit.prevent="signIn">
      <h2>Who are you?</h2><p>{{refused}}</p>
      <label>Bearer token <input v-model="typed" type="password" autocomplete="off" autofocus></label><button>Sign in</button>
      <p class="hint">For example of a service account: <code>kubectl create token NAME</code></p>
    </form>
    <main v-else>
      <section class="store"><h2>Store</h2>
        <p v-if="storeTrouble" class="trouble">{{storeTrouble}}</p>
        <div class="members">
          <article v-for="(m, i) in members" :key="m.id" class="member" :class="m.role">
            <h3>{{m.name}}<span class="role">{{m.role}}</span></h3>
            <p v-if="m.error" class="trouble">{{m.error}}</p>
            <dl v-else>
              <div><dt>term</dt><dd>{{m.term}}</dd></div>
              <div><dt>applied</dt><dd>{{m.appliedIndex}}</dd></div>
              <div><dt>lag</dt><dd :class="{short: lags[i] > 1000}">{{lags[i]}}</dd></div>
              <div><dt>revision</dt><dd>{{m.revision}}</dd></div>
              <div><dt>data</dt><dd>{{bytes(m.dbSizeInUse)}}<small> of {{bytes(m.dbSize)}}</small></dd></div>
            </dl>
            <p v-for="e in m.errors" :key="e" class="trouble">{{e}}</p>
          </article>
        </div>
      </section>
      <section class="nodes"><h2>Nodes and their pods
        <tones :tones="podTones"/></h2>
        <node-grid :nodes="nodes" :pods="pods"/>
        <p class="legend"><span v-for="t in ['running', 'starting', 'pending', 'done', 'failed', 'ending']" :key="t"><i class="dot" :class="t"></i>{{t}}</span></p>
      </section>
      <section class="workloads"><h2>Workloads <input v-model="find" placeholder="find by name" aria-label="find by name"></h2>
        <ul class="tree"><workload v-for="w in shownTree" :key="w.uid" :node="w" :open="open" :now="now"/></ul>
        <p v-if="tree.length > 200" class="more">and {{tree.length - 200}} more</p>
        <p v-if="synced && !tree.length" class="wait">None yet: <code>kubectl create deployment web --image=nginx</code></p>
      </section>
      <section class="events"><h2>Events</h2>
        <table><tbody><tr v-for="e in events" :key="e.uid" :class="e.type">
          <td class="age">{{age(e.time)}}</td><td class="reason">{{e.reason}}<small v-if="e.count > 1"> ×{{e.count}}</small></td>
          <td><b>{{e.about}}</b> {{e.message}}</td></tr></tbody></table>
      </section>
    </main></div>`,
});
