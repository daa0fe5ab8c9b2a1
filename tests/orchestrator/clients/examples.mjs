// What a user of @kubernetes/client-node does: node examples.mjs KUBECONFIG MODULES_FOLDER
// Each step throws when the answer is not what Kubernetes would give.

import assert from 'node:assert';
import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';

const [, , kubeconfig, modules] = process.argv;
const require = createRequire(modules + '/');
const k8s = await import(pathToFileURL(require.resolve('@kubernetes/client-node')));

const config = new k8s.KubeConfig();
config.loadFromFile(kubeconfig);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const namespace = 'node-client';

await core.createNamespace({body: {metadata: {name: namespace}}});
await assert.rejects(core.createNamespace({body: {metadata: {name: namespace}}}), e => e.code === 409);

// A watch that is told of what follows.
const seen = [];
let tell;
const told = new Promise(resolve => { tell = resolve; });
const watch = await new k8s.Watch(config).watch(
    `/api/v1/namespaces/${namespace}/configmaps`, {}, (type, object) => {
      if (object.metadata.name !== 'settings') return;
      seen.push([type, object.data && object.data.colour]);
      if (type === 'DELETED') tell();
    }, () => {});

let map = await core.createNamespacedConfigMap(
    {namespace, body: {metadata: {name: 'settings', labels: {app: 'x'}}, data: {colour: 'green'}}});
const old = structuredClone(map);
map.data.colour = 'blue';
map = await core.replaceNamespacedConfigMap({namespace, name: 'settings', body: map});
await assert.rejects(core.replaceNamespacedConfigMap({namespace, name: 'settings', body: old}), e => e.code === 409);
const list = await core.listNamespacedConfigMap({namespace, labelSelector: 'app in (x, y)'});
assert.deepEqual(list.items.map(i => i.metadata.name), ['settings']);
await core.deleteNamespacedConfigMap({namespace, name: 'settings'});
await told;
watch.abort();
assert.deepEqual(seen, [['ADDED', 'green'], ['MODIFIED', 'blue'], ['DELETED', 'blue']]);

// An informer, and a deployment whose pods it sees.
const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/pods`,
                                  () => core.listNamespacedPod({namespace}));
const ready = new Set();
const both = new Promise((resolve, reject) => {
  const look = pod => {
    if (pod.status?.conditions?.some(c => c.type === 'Ready' && c.status === 'True')) ready.add(pod.metadata.name);
    if (ready.size === 2) resolve();
  };
  informer.on('add', look);
  informer.on('update', look);
  informer.on('error', reject);
});
await informer.start();
await apps.createNamespacedDeployment({namespace, body: {
  metadata: {name: 'web'},
  spec: {replicas: 2, selector: {matchLabels: {app: 'web'}},
    template: {metadata: {labels: {app: 'web'}}, spec: {containers: [{name: 'c', image: 'nginx'}]}}},
}});
await both;
await informer.stop();
const scale = await apps.readNamespacedDeploymentScale({namespace, name: 'web'});
assert.equal(scale.spec.replicas, 2);
await core.deleteNamespace({name: namespace});
console.log('ok');
process.exit(0);
