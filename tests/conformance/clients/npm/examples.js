// The npm etcd3 client's everyday uses, each checked, against a running cluster.
//
//   npm ci && node examples.js 127.0.0.1:2379,127.0.0.1:22379,127.0.0.1:32379
//
// Prints a line for each example and, last, "N passed, N failed".
'use strict';

const assert = require('assert');
const { Etcd3, EtcdLockFailedError } = require('etcd3');

const endpoints = process.argv[2].split(',').map((e) => 'http://' + e);
const PREFIX = 'npm/' + process.pid + '/';
const EXAMPLE_MS = 30000;

const client = new Etcd3({ hosts: endpoints });
const ns = client.namespace(PREFIX);
// One client for each member, to see through one what was done through another.
const each = endpoints.map((e) => new Etcd3({ hosts: e }));

function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

async function until(predicate, what, ms = 10000) {
  const giveUp = Date.now() + ms;
  while (!(await predicate())) {
    if (Date.now() > giveUp) throw new Error('not within ' + ms + ' ms: ' + what);
    await sleep(20);
  }
}

const examples = {
  async 'put and get'() {
    await ns.put('a').value('1');
    assert.strictEqual(await ns.get('a').string(), '1');
    assert.strictEqual(await ns.get('a').number(), 1);
    assert.strictEqual(await ns.get('none'), null);
    await ns.put('buffer').value(Buffer.from([0, 1, 2, 255]));
    assert.deepStrictEqual(await ns.get('buffer').buffer(), Buffer.from([0, 1, 2, 255]));
    assert.strictEqual(await ns.get('a').exists(), true);
  },

  async 'a put through each member is seen through the others'() {
    for (let i = 0; i < each.length; i++) {
      await each[i].namespace(PREFIX).put('via').value(String(i));
      for (const other of each) {
        assert.strictEqual(await other.namespace(PREFIX).get('via').string(), String(i));
      }
    }
  },

  async 'ranges'() {
    for (const k of ['r/b', 'r/a', 'r/d', 'r/c']) await ns.put(k).value(k + '!');
    assert.deepStrictEqual(await ns.getAll().prefix('r/').strings(), { 'r/a': 'r/a!', 'r/b': 'r/b!', 'r/c': 'r/c!', 'r/d': 'r/d!' });
    assert.deepStrictEqual(await ns.getAll().prefix('r/').keys(), ['r/a', 'r/b', 'r/c', 'r/d']);
    assert.deepStrictEqual(await ns.getAll().prefix('r/').sort('Key', 'Descend').limit(2).keys(), ['r/d', 'r/c']);
    assert.strictEqual(await ns.getAll().prefix('r/').count(), 4);
    assert.strictEqual(Number((await ns.delete().prefix('r/')).deleted), 4);
    assert.deepStrictEqual(await ns.getAll().prefix('r/').keys(), []);
  },

  async 'transaction'() {
    await ns.put('t').value('old');
    const taken = await ns.if('t', 'Value', '==', 'old').then(ns.put('t').value('new'), ns.get('t')).else(ns.get('t')).commit();
    assert.strictEqual(taken.succeeded, true);
    assert.strictEqual(taken.responses[1].response_range.kvs[0].value.toString(), 'new');
    const refused = await ns.if('t', 'Value', '==', 'old').then(ns.put('t').value('lost')).else(ns.get('t')).commit();
    assert.strictEqual(refused.succeeded, false);
    assert.strictEqual(refused.responses[0].response_range.kvs[0].value.toString(), 'new');
    assert.strictEqual((await ns.if('absent', 'Create', '==', 0).then(ns.put('absent').value('1')).commit()).succeeded, true);
    assert.strictEqual((await ns.if('absent', 'Create', '==', 0).then(ns.put('absent').value('2')).commit()).succeeded, false);
    assert.strictEqual(await ns.get('absent').string(), '1');
  },

  async 'software transactional memory'() {
    await ns.put('stm').value('0');
    const increment = () =>
      ns.stm({ retries: 100 }).transact(async (tx) => {
        const value = await tx.get('stm').number();
        await tx.put('stm').value(value + 1);
      });
    await Promise.all(Array.from({ length: 8 }, increment));
    assert.strictEqual(await ns.get('stm').number(), 8);
  },

  async 'watch'() {
    const seen = [];
    const watcher = await ns.watch().prefix('w/').withPreviousKV().create();
    watcher.on('put', (kv, previous) => seen.push(['put', kv.key.toString(), kv.value.toString(), previous && previous.value.toString()]));
    watcher.on('delete', (kv, previous) => seen.push(['delete', kv.key.toString(), previous.value.toString()]));
    await each[0].namespace(PREFIX).put('w/a').value('1');
    await each[1 % each.length].namespace(PREFIX).put('w/a').value('2');
    await ns.put('elsewhere').value('x');
    await each[2 % each.length].namespace(PREFIX).delete().key('w/a').exec();
    await until(() => seen.length >= 3, 'three events');
    await watcher.cancel();
    await ns.put('w/a').value('after the cancel');
    await sleep(100);
    assert.deepStrictEqual(
      seen.map((e) => (e[0] === 'put' && !e[3] ? e.slice(0, 3) : e)),
      [['put', 'w/a', '1'], ['put', 'w/a', '2', '1'], ['delete', 'w/a', '2']],
    );
  },

  async 'watch from a past revision'() {
    const first = await ns.put('past').value('1');
    await ns.put('past').value('2');
    const seen = [];
    const watcher = await ns.watch().key('past').startRevision(first.header.revision).create();
    watcher.on('put', (kv) => seen.push(kv.value.toString()));
    await until(() => seen.length >= 2, 'two events of the past');
    await ns.put('past').value('3');
    await until(() => seen.length >= 3, 'one of the present');
    await watcher.cancel();
    assert.deepStrictEqual(seen, ['1', '2', '3']);
  },

  async 'lease'() {
    const lease = ns.lease(30);
    await lease.put('leased').value('1');
    assert.strictEqual(await ns.get('leased').string(), '1');
    const left = await client.leaseClient.leaseTimeToLive({ ID: await lease.grant(), keys: true });
    assert.strictEqual(Number(left.grantedTTL), 30);
    assert.deepStrictEqual(left.keys.map(String), [PREFIX + 'leased']);
    assert.ok((await lease.keepaliveOnce()).TTL > 0);
    await lease.revoke();
    assert.strictEqual(await ns.get('leased').string(), null);
  },

  async 'a lease that nobody keeps alive ends'() {
    const granted = await client.leaseClient.leaseGrant({ TTL: 2 });
    await ns.put('expiring').value('1').lease(granted.ID);
    assert.strictEqual(await ns.get('expiring').string(), '1');
    await until(async () => (await ns.get('expiring').string()) === null, 'the key to go', 15000);
  },

  async 'an unknown lease is an error'() {
    await assert.rejects(async () => ns.put('x').value('1').lease('12345'), /requested lease not found/);
  },

  async 'lock'() {
    const held = await ns.lock('mutex').ttl(20).acquire();
    await assert.rejects(ns.lock('mutex').ttl(20).acquire(), EtcdLockFailedError);
    await held.release();
    let ran = false;
    await ns.lock('mutex').do(async () => {
      ran = true;
    });
    assert.ok(ran);
  },

  async 'election'() {
    const election = ns.election('office', 10);
    const observed = [];
    const observer = await election.observe();
    observer.on('change', (value) => observed.push(value));
    const campaign = election.campaign('me');
    await new Promise((done, failed) => campaign.on('elected', done).on('error', failed));
    assert.strictEqual(await election.leader(), 'me');
    await campaign.proclaim('still me');
    await until(() => observed.includes('still me'), 'the proclamation to be observed');
    await campaign.resign();
    await until(async () => (await election.leader()) === undefined, 'the office to be empty');
    await observer.cancel();
  },
};

async function main() {
  let passed = 0;
  let failed = 0;
  for (const [name, run] of Object.entries(examples)) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('not done within ' + EXAMPLE_MS + ' ms')), EXAMPLE_MS);
    });
    try {
      await Promise.race([run(), late]);
      console.log('passed  ' + name);
      passed++;
    } catch (e) {
      console.log('FAILED  ' + name + ': ' + (e.stack || e));
      failed++;
    } finally {
      clearTimeout(timer);
    }
  }
  await ns.delete().all();
  for (const c of [client, ...each]) c.close();
  console.log(passed + ' passed, ' + failed + ' failed');
  process.exit(failed === 0 ? 0 : 1);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
