"""Continuous backup: a daemon that is killed, clusters restored to any revision and time."""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from datetime import datetime, timezone

from harness import API, KVD, Cluster, ClusterTest, wait_until

KVCTL = os.environ.get("KEEL_KVCTL", os.path.join(os.path.dirname(KVD), "kvctl"))


def run(*command, code=0):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Model:
    """Writes at random, and remembers what each revision did."""

    def __init__(self, cluster, seed):
        self.cluster = cluster
        self.random = random.Random(seed)
        self.changes = {}  # revision -> {key: value, or None}
        self.revision = 0
        self.count = 0

    def write(self, times):
        for _ in range(times):
            member = self.random.choice(self.cluster.alive())
            self.count += 1
            key = f"k{self.random.randrange(40):02d}".encode()
            value = f"{self.count}-".encode() * self.random.randrange(1, 40)
            kind = self.random.randrange(10)
            present = self.state()
            if kind == 0 and key in present:
                response = member.call("KV", "DeleteRange", 10, key=key)
                changed = {key: None}
            elif kind == 1:
                changed = {f"t{i}/{self.count % 7}".encode(): value for i in range(5)}
                put = API.methods[("KV", "Put")].request
                operation = API.methods[("KV", "Txn")].request().success.add().__class__
                response = member.call(
                    "KV", "Txn", 10,
                    success=[operation(request_put=put(key=k, value=v)) for k, v in changed.items()])
            elif kind == 2 and any(k.startswith(b"t") for k in present):
                response = member.call("KV", "DeleteRange", 10, key=b"t", range_end=b"u")
                changed = {k: None for k in present if k.startswith(b"t")}
            else:
                response = member.put(key, value, 10)
                changed = {key: value}
            self.revision = response.header.revision
            assert self.revision not in self.changes
            self.changes[self.revision] = changed

    def state(self, revision=None):
        state = {}
        for at in sorted(self.changes):
            if revision is not None and at > revision:
                break
            for key, value in self.changes[at].items():
                if value is None:
                    state.pop(key, None)
                else:
                    state[key] = value
        return state


class Backup(ClusterTest):
    size = 3

    def setUp(self):
        super().setUp()
        self.daemon = None
        self.others = []
        self.files = tempfile.TemporaryDirectory(prefix="keel-backup-")
        self.dir = os.path.join(self.files.name, "backup")
        self.log = os.path.join(self.files.name, "daemon.log")

    def tearDown(self):
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait()
        for other in self.others:
            other.stop()
            shutil.rmtree(other.directory, ignore_errors=True)
        super().tearDown()
        self.files.cleanup()

    def run_daemon(self, *extra):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(
                [KVCTL, "--endpoints", ",".join(m.client for m in self.cluster.members), "backup", "run",
                 "--to", self.dir, "--segment-interval", "50ms", "--segment-bytes", "20000", *extra],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill_daemon(self):
        self.daemon.kill()
        self.daemon.wait()

    def ranges(self):
        if not os.path.exists(os.path.join(self.dir, "CATALOGUE")):
            return []
        return json.loads(run(KVCTL, "backup", "list", self.dir, "-w", "json"))["ranges"]

    def await_shipped(self, revision):
        def shipped():
            assert self.daemon.poll() is None, pathlib.Path(self.log).read_text()[-3000:]
            ranges = self.ranges()
            return ranges and ranges[-1]["lastRevision"] >= revision
        wait_until(f"revision {revision} is in the backup; {self.ranges()}", shipped, 30)

    def restore(self, *target, size=1):
        other = Cluster(size)
        self.others.append(other)
        for m in other.members:
            run(KVCTL, "backup", "restore", self.dir, *target, "--name", m.name, "--data-dir", m.data_dir,
                "--initial-cluster", other.initial_cluster(), "--initial-cluster-token", other.token,
                "--initial-advertise-peer-urls", "http://" + m.peer)
        return other.start()

    def read(self, member, revision=0):
        response = member.get(b"\0", range_end=b"\0", revision=revision, seconds=20)
        return {kv.key: kv.value for kv in response.kvs}, response.header.revision

    def check_restored(self, member, model, revision, first):
        state, at = self.read(member)
        self.assertEqual(at, revision)
        self.assertEqual(state, model.state(revision))
        history = [r for r in model.changes if first <= r <= revision]
        for past in history[:: max(1, len(history) // 25)]:
            self.assertEqual(self.read(member, past)[0], model.state(past), f"at {past} of {revision}")

    def test_any_revision_and_time_comes_back(self):
        model = Model(self.cluster, 1)
        model.write(60)
        self.run_daemon("--base-interval", "3s")
        wait_until("a base", self.ranges, 30)
        first = self.ranges()[0]["firstRevision"]
        model.write(100)
        self.await_shipped(model.revision)
        time.sleep(0.3)
        quiet, at_quiet = now(), model.revision
        time.sleep(0.3)
        # Killed in the midst of it, with writes going on while it is away.
        for _ in range(3):
            model.write(60)
            self.kill_daemon()
            model.write(40)
            self.run_daemon("--base-interval", "3s")
        # What is compacted in the cluster stays in the backup.
        self.await_shipped(model.revision)
        self.cluster.leader().call("KV", "Compact", 10, revision=model.revision - 5)
        model.write(60)
        # A server that goes away does not matter.
        self.cluster.followers()[0].kill()
        model.write(40)
        self.await_shipped(model.revision)
        time.sleep(3.2)
        model.write(20)
        self.await_shipped(model.revision)
        wait_until("a second base", lambda: len(self.ranges()[0]["bases"]) > 1, 15)
        self.daemon.send_signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(10), 0)

        self.assertIn("is whole", run(KVCTL, "backup", "verify", self.dir))
        ranges = self.ranges()
        self.assertEqual(len(ranges), 1, ranges)
        self.assertEqual(ranges[0]["lastRevision"], model.revision)
        self.assertGreater(ranges[0]["segments"], 3)

        def newest_base(revision):
            return max(b["revision"] for b in ranges[0]["bases"] if b["revision"] <= revision)
        middle = (first + model.revision) // 2
        for revision in (first, middle):
            self.check_restored(self.restore("--revision", str(revision)).members[0], model, revision,
                                newest_base(revision))
        self.check_restored(self.restore("--time", quiet).members[0], model, at_quiet, first)
        latest = self.restore(size=3)
        for m in latest.members:
            self.check_restored(m, model, model.revision, newest_base(model.revision))
        latest.await_equal()
        self.assertEqual(latest.members[1].put("on", "1").header.revision, model.revision + 1)

        target = os.path.join(self.files.name, "target")
        for wrong in (["--revision", str(model.revision + 1)], ["--revision", str(first - 1)],
                      ["--time", "2001-01-01T00:00:00Z"]):
            out = run(KVCTL, "backup", "restore", self.dir, *wrong, "--data-dir", target, code=1)
            self.assertIn(f"it holds revisions {first} to {model.revision}", out)
            self.assertFalse(os.path.exists(target) or os.path.exists(target + ".part"))
        run(KVCTL, "backup", "restore", self.dir, "--time", "noon", "--data-dir", target, code=128)

    def test_leases_users_and_a_gap(self):
        self.run_daemon()
        wait_until("a base", self.ranges, 30)
        leader = self.cluster.leader()
        lease = leader.call("Lease", "LeaseGrant", TTL=3600).ID
        short = leader.call("Lease", "LeaseGrant", TTL=3600).ID
        leader.put("leased", "x", lease=lease)
        revision = leader.put("brief", "x", lease=short).header.revision
        time.sleep(0.5)
        leader.call("Lease", "LeaseRevoke", ID=short)
        before = leader.get("x").header.revision
        # A change of users calls for a new base.
        leader.call("Auth", "RoleAdd", name="reader")
        wait_until("a base with the role", lambda: len(self.ranges()[0]["bases"]) == 2, 20)
        self.await_shipped(before)

        # History that nobody read in time: a new chain begins.
        self.kill_daemon()
        for i in range(30):
            gap = leader.put("unseen", str(i)).header.revision
        leader.call("KV", "Compact", 10, revision=gap, physical=True)
        self.run_daemon()
        wait_until("a new chain", lambda: len(self.ranges()) == 2, 20)
        last = leader.put("seen", "1").header.revision
        self.await_shipped(last)
        self.assertIn("compacted before it could be read", pathlib.Path(self.log).read_text())

        m = self.restore("--revision", str(revision)).members[0]
        for each, key in ((lease, b"leased"), (short, b"brief")):
            ttl = m.call("Lease", "LeaseTimeToLive", ID=each, keys=True)
            self.assertEqual(ttl.grantedTTL, 3600)
            self.assertEqual(list(ttl.keys), [key])
        self.assertEqual(list(m.call("Auth", "RoleList").roles), [])
        m = self.restore().members[0]
        self.assertEqual(m.value("seen"), b"1")
        self.assertIsNone(m.value("brief"))
        self.assertEqual(list(m.call("Auth", "RoleList").roles), ["reader"])
        out = run(KVCTL, "backup", "restore", self.dir, "--revision", str(gap - 5), "--data-dir",
                  os.path.join(self.files.name, "target"), code=1)
        self.assertIn("does not hold revision", out)

        # One folder, one writer, one cluster.
        endpoints = ["--endpoints", self.cluster.members[0].client]
        self.assertIn("LOCK", run(KVCTL, *endpoints, "backup", "run", "--to", self.dir, code=1))
        self.kill_daemon()
        out = run(KVCTL, "--endpoints", m.client, "backup", "run", "--to", self.dir, code=1)
        self.assertIn("folder of its own", out)

        # Damage is named, and never skipped.
        segments = sorted(n for n in os.listdir(self.dir) if n.startswith("segment-"))
        path = os.path.join(self.dir, segments[1])  # behind the first base
        with open(path, "r+b") as f:
            f.seek(90)
            byte = f.read(1)
            f.seek(90)
            f.write(bytes([byte[0] ^ 1]))
        out = run(KVCTL, "backup", "verify", self.dir, code=1)
        self.assertRegex(out, f"{path} is damaged at byte [0-9]+")
        out = run(KVCTL, "backup", "restore", self.dir, "--revision", str(revision), "--data-dir",
                  os.path.join(self.files.name, "target"), code=1)
        self.assertIn(f"{path} is damaged at byte", out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
