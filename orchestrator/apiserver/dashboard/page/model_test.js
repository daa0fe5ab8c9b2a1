// node --test model_test.js
import assert from 'node:assert';
import test from 'node:test';

import * as m from './model.js';

const meta = (name, more = {}) => ({uid: `u-${name}`, name, namespace: 'default', ...more});
const owned = uid => ({ownerReferences: [{uid, controller: true}]});

test('a pod is shown with the word that kubectl prints', () => {
  const pod = {metadata: meta('a'), spec: {}, status: {phase: 'Pending'}};
  assert.equal(m.podStatus(pod), 'Pending');
  assert.equal(m.podTone(pod), 'pending');
  pod.spec.nodeName = 'n1';
  assert.equal(m.podTone(pod), 'starting');
  pod.status = {phase: 'Running', conditions: [{type: 'Ready', status: 'True'}]};
  assert.equal(m.podTone(pod), 'running');
  pod.status.containerStatuses = [{restartCount: 3, state: {waiting: {reason: 'CrashLoopBackOff'}}}];
  assert.equal(m.podStatus(pod), 'CrashLoopBackOff');
  assert.equal(m.podTone(pod), 'failed');
  assert.equal(m.shrinkPod(pod).restarts, 3);
  pod.metadata.deletionTimestamp = 'now';
  assert.equal(m.podStatus(pod), 'Terminating');
  assert.equal(m.podTone(pod), 'ending');
});

test('a list that is read again drops what it does not name', () => {
  const store = new m.Store(m.shrinkPod);
  store.begin();
  store.put({metadata: meta('a')});
  store.put({metadata: meta('b')});
  store.end();
  store.put({metadata: meta('c')});
  store.begin();
  store.put({metadata: meta('b')});
  assert.equal(store.items.size, 3);
  store.end();
  assert.deepEqual([...store.items.keys()], ['u-b']);
  store.drop({metadata: meta('b')});
  assert.equal(store.items.size, 0);
});

test('controllers are a tree with their pods at its ends', () => {
  const workloads = [
    m.shrinkWorkload('Deployment', {metadata: meta('web'), spec: {replicas: 2}, status: {readyReplicas: 1}}),
    m.shrinkWorkload('ReplicaSet', {metadata: meta('web-1', owned('u-web')), spec: {replicas: 2}}),
    m.shrinkWorkload('ReplicaSet', {metadata: meta('lost', owned('u-gone')), spec: {replicas: 0}}),
  ];
  const pods = ['p2', 'p1'].map(name => m.shrinkPod(
      {metadata: meta(name, owned('u-web-1')), spec: {}, status: {phase: 'Failed'}}));
  const [lost, web] = m.workloadTree(workloads, pods);
  assert.equal(lost.name, 'lost');
  assert.deepEqual([web.ready, web.wanted], [1, 2]);
  assert.deepEqual(web.children[0].pods.map(p => p.name), ['p1', 'p2']);
  assert.deepEqual(web.tones, {failed: 2});
});

test('a rate is taken over the last seconds and never negative', () => {
  const rate = new m.Rate(10);
  for (let i = 0; i < 20; ++i) rate.add(i, i * 100);
  assert.equal(rate.now(5), 100);
  assert.equal(rate.samples.length, 10);
  rate.add(20, 0);
  assert.equal(rate.rates.at(-1), 0);
  rate.add(20, 5);
  assert.equal(rate.samples.at(-1).value, 0);
});

test('members lag behind the furthest', () => {
  assert.deepEqual(m.lags([{role: 'leader', appliedIndex: 9}, {role: 'follower', appliedIndex: 7}, {role: 'down'}]),
                   [0, 2, null]);
});

test('tiles fill the space and all fit', () => {
  for (const count of [1, 3, 10, 100, 999, 5000]) {
    const {size, columns, rows} = m.gridOf(count, 900, 500);
    assert.ok(columns * rows >= count, `${count}`);
    if (size > 6) assert.ok(columns * size <= 900 && rows * size <= 500, `${count}`);
  }
  assert.equal(m.gridOf(3, 900, 500).size, 120);
});

test('short words for ages and amounts', () => {
  const now = Date.parse('2020-01-02T00:00:00Z');
  assert.equal(m.age('2020-01-01T23:59:00Z', now), '60s');
  assert.equal(m.age('2020-01-01T00:00:00Z', now), '24h');
  assert.equal(m.age('', now), '');
  assert.equal(m.bytes(999), '999 B');
  assert.equal(m.bytes(123456789), '123 MB');
  assert.equal(m.short(1234567), '1.2M');
  assert.equal(m.short(3.14159), '3.1');
});
