"""Snapshots, restored clusters, forced ones, and members that differ."""

import os
import shutil
import subprocess
import tempfile
import time
import unittest

import grpc

from harness import API, KVD, Cluster, ClusterTest, Load, Member, free_ports, wait_until

KVCTL = os.environ.get("KEEL_KVCTL", os.path.join(os.path.dirname(KVD), "kvctl"))

def run(*command, code=0):
    environment = dict(os.environ, ETCDCTL_API="3")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class RecoveryTest(ClusterTest):
    size = 3

    def setUp(self):
        super().setUp()
        self.other = None
        self.files = tempfile.TemporaryDirectory(prefix="keel-snapshots-")

    def tearDown(self):
        if self.other is not None:
            self.other.stop()
            shutil.rmtree(self.other.directory, ignore_errors=True)
        super().tearDown()
        self.files.cleanup()

    def path(self, name):
        return os.path.join(self.files.name, name)

    def save(self, name, member, program=KVCTL):
        run(program, "--endpoints", member.client, "snapshot", "save", self.path(name))
        return self.path(name)

    def restore(self, snapshot, *extra):
        """A cluster of three, each member restored on its own."""
        self.other = Cluster(3)
        for m in self.other.members:
            run(KVCTL, "snapshot", "restore", snapshot, "--name", m.name, "--data-dir", m.data_dir,
                "--initial-cluster", self.other.initial_cluster(),
                "--initial-cluster-token", self.other.token,
                "--initial-advertise-peer-urls", "http://" + m.peer, *extra)
        return self.other.start()


class Recovery(RecoveryTest):
    def test_a_snapshot_under_load_becomes_a_new_cluster(self):
        lease = self.cluster.leader().call("Lease", "LeaseGrant", TTL=3600).ID
        self.cluster.members[0].put("leased", "x", lease=lease)
        with Load(self.cluster) as load:
            load.await_progress(200)
            before = list(load.acknowledged)
            with_kvctl = self.save("kvctl.db", self.cluster.members[0])
            with_etcdctl = self.save("etcdctl.db", self.cluster.leader(), "etcdctl")
            load.await_progress(50)
        self.assertFalse(os.path.exists(os.path.join(self.cluster.members[0].data_dir, "member", "outgoing", "1")))
        for file in (with_kvctl, with_etcdctl):
            self.assertIn("revision", run(KVCTL, "snapshot", "status", file, "-w", "json"))
        new = self.restore(with_kvctl)
        # What had been acknowledged before is there, on every member, and nothing came twice.
        for m in new.members:
            present = m.keys("load/")
            missing = [k for k, _ in before if k not in present]
            self.assertEqual(missing, [])
            self.assertEqual(m.value("leased"), b"x")
        new.await_equal()
        ttl = new.leader().call("Lease", "LeaseTimeToLive", ID=lease, keys=True)
        self.assertEqual(ttl.grantedTTL, 3600)
        self.assertGreater(ttl.TTL, 3500)
        self.assertEqual(list(ttl.keys), [b"leased"])
        # Other ids than the old cluster's, and it goes on.
        self.assertNotEqual(new.leader().status().header.cluster_id, self.cluster.leader().status().header.cluster_id)
        revision = new.members[0].get("x").header.revision
        self.assertEqual(new.members[1].put("after", "1").header.revision, revision + 1)
        # Who loses its disk, or comes anew, is brought up to date by a snapshot.
        client, peer = free_ports(2)
        late = Member(new, "late", client, peer)
        late.initial_state = "existing"
        new.leader().call("Cluster", "MemberAdd", 10, peerURLs=["http://" + late.peer])
        new.members.append(late)
        late.start()
        new.await_healthy()
        new.await_equal()

    def test_bumped_revisions_end_old_watches(self):
        for i in range(20):
            self.cluster.members[0].put(f"k{i}", "v")
        revision = self.cluster.members[0].get("x").header.revision
        new = self.restore(self.save("s.db", self.cluster.members[1]),
                           "--bump-revision", "1000000", "--mark-compacted")
        self.assertEqual(new.members[0].get("x").header.revision, revision + 1000000)
        self.assertEqual(new.members[0].value("k7"), b"v")
        m = new.members[2]
        request = API.methods[("Watch", "Watch")].request()
        request.create_request.key = b"k7"
        request.create_request.start_revision = revision + 1
        answers = m.stream("Watch", "Watch", iter([request]))
        for answer in answers:
            if answer.canceled:
                break
        self.assertEqual(answer.compact_revision, revision + 1000000)
        new.await_equal()

    def test_damaged_files_are_refused_and_nothing_is_written(self):
        self.cluster.members[0].put("a", "1")
        good = self.save("good.db", self.cluster.members[0])
        with open(good, "rb") as f:
            data = f.read()

        def refused(data, text):
            path = self.path("bad.db")
            with open(path, "wb") as f:
                f.write(data)
            target = self.path("target")
            for command in (["status", path], ["restore", path, "--data-dir", target]):
                out = run(KVCTL, "snapshot", *command, code=1)
                self.assertIn(text, out)
                self.assertEqual(len(out.splitlines()), 1, out)
            self.assertFalse(os.path.exists(target) or os.path.exists(target + ".part"))

        refused(data[:len(data) // 2], "cut short")
        refused(data[:-1], "integrity hash is missing")
        middle = len(data) // 2
        refused(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:], "altered")
        refused(data[:11] + b"\x09" + data[12:], "it has version 9")
        # A directory in use is left alone, and a server that is gone leaves no file.
        target = self.path("mine")
        os.makedirs(target)
        open(os.path.join(target, "precious"), "w").close()
        self.assertIn("is not empty", run(KVCTL, "snapshot", "restore", good, "--data-dir", target, code=1))
        self.assertEqual(os.listdir(target), ["precious"])
        (nobody,) = free_ports(1)
        run(KVCTL, "--endpoints", f"127.0.0.1:{nobody}", "snapshot", "save", self.path("none.db"), code=1)
        self.assertFalse(any(name.startswith("none") for name in os.listdir(self.files.name)))

    def test_the_last_member_stands_alone(self):
        lease = self.cluster.leader().call("Lease", "LeaseGrant", TTL=3600).ID
        with Load(self.cluster) as load:
            load.await_progress(100)
        self.cluster.members[0].put("leased", "x", lease=lease)
        self.cluster.await_equal()
        ids = self.cluster.members[0].status().header
        for m in self.cluster.members:
            m.kill()
        last, gone = self.cluster.members[0], self.cluster.members[1:]
        self.cluster.members = [last]
        last.start(extra=["--force-new-cluster"])
        self.cluster.await_healthy()
        load.check_nothing_missing([last])
        status = last.status()
        self.assertEqual((status.header.cluster_id, status.header.member_id), (ids.cluster_id, ids.member_id))
        listed = last.call("Cluster", "MemberList", linearizable=True).members
        self.assertEqual([m.name for m in listed], [last.name])
        self.assertEqual(last.call("Lease", "LeaseTimeToLive", ID=lease).grantedTTL, 3600)
        # Without the flag it is the same, and it grows again.
        self.assertEqual(last.terminate(), 0)
        last.start()
        self.cluster.await_healthy()
        client, peer = free_ports(2)
        new = Member(self.cluster, "new", client, peer)
        new.initial_state = "existing"
        last.call("Cluster", "MemberAdd", 10, peerURLs=["http://" + new.peer])
        self.cluster.members.append(new)
        new.start()
        self.cluster.await_healthy()
        self.cluster.await_equal()
        load.check_nothing_missing([new])
        # One of the old members is told that it belongs there no more.
        old = gone[0]
        old.start()
        wait_until("the old member hears of it", lambda: not old.alive() or not old.healthy())
        if old.alive():
            old.kill()


class Corruption(RecoveryTest):
    """One member holds other data than the rest: it was restored from another snapshot."""

    def different(self, *flags):
        """A cluster whose third member was restored from a snapshot with one other value."""
        member = self.cluster.members[0]
        member.put("k", "first")
        one = self.save("one.db", member)
        # The same revision on another store, with another value.
        second = Cluster(1)
        try:
            second.start()
            while second.members[0].get("x").header.revision < member.get("x").header.revision - 1:
                second.members[0].put("filler", "x")
            second.members[0].put("k", "other")
            two = self.save("two.db", second.members[0])
        finally:
            second.stop()
        self.other = Cluster(3, flags)
        for m, snapshot in zip(self.other.members, (one, one, two)):
            run(KVCTL, "snapshot", "restore", snapshot, "--name", m.name, "--data-dir", m.data_dir,
                "--initial-cluster", self.other.initial_cluster(),
                "--initial-cluster-token", self.other.token,
                "--initial-advertise-peer-urls", "http://" + m.peer)
        return self.other

    def test_the_odd_member_does_not_serve(self):
        new = self.different()
        for m in new.members[:2]:
            m.start()
        new.await_healthy(new.members[:2])
        odd = new.members[2]
        odd.start(extra=["--feature-gates", "InitialCorruptCheck=true"])
        self.assertEqual(odd.process.wait(30), 1)
        self.assertIn("found data inconsistency with peers", odd.log())
        # One that is as the others passes.
        same = new.members[1]
        self.assertEqual(same.terminate(), 0)
        same.start(extra=["--experimental-initial-corrupt-check"])
        new.await_healthy(new.members[:2])
        self.assertIn("initial corruption check passed", same.log())

    def test_the_odd_member_gets_the_alarm(self):
        new = self.different("--corrupt-check-time", "1s").start()
        odd = new.members[2].status().header.member_id

        def raised():
            alarms = new.members[0].call("Maintenance", "Alarm", action=0).alarms
            return [(a.memberID, a.alarm) for a in alarms]
        wait_until("the alarm", lambda: raised() != [], 30)
        self.assertEqual(raised(), [(odd, 2)])
        with self.assertRaises(grpc.RpcError) as caught:
            new.members[0].put("more", "x")
        self.assertEqual(caught.exception.details(), "etcdserver: corrupt cluster")

    def test_equal_members_are_left_alone(self):
        self.cluster.stop()
        self.cluster.flags += ["--corrupt-check-time", "500ms", "--feature-gates", "CompactHashCheck=true",
                               "--compact-hash-check-time", "500ms"]
        for m in self.cluster.members:
            m.start()
        self.cluster.await_healthy()
        with Load(self.cluster) as load:
            for _ in range(4):
                load.await_progress(30)
                self.cluster.leader().call("KV", "Compact", revision=load.acknowledged[-20][1])
                time.sleep(0.5)
        self.assertEqual(list(self.cluster.leader().call("Maintenance", "Alarm", action=0).alarms), [])
        self.assertFalse(any("hash mismatch" in m.log() for m in self.cluster.members))


if __name__ == "__main__":
    unittest.main(verbosity=2)
