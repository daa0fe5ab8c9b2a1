"""Moving in from Debian's etcd: from its snapshot file, and live."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from harness import KVD, Cluster, Member, free_ports, wait_until

KVCTL = os.environ.get("KEEL_KVCTL", os.path.join(os.path.dirname(KVD), "kvctl"))
ENVIRONMENT = {**{k: v for k, v in os.environ.items() if not k.startswith("ETCD")}, "ETCDCTL_API": "3"}


def run(*command, code=0):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + (done.stderr if code else "")


class Etcd:
    """One member, on loopback."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="keel-etcd-")
        client, peer = free_ports(2)
        self.client = f"127.0.0.1:{client}"
        self.data_dir = os.path.join(self.directory, "data")
        with open(os.path.join(self.directory, "log"), "wb") as log:
            self.process = subprocess.Popen(
                ["etcd", "--data-dir", self.data_dir, "--listen-client-urls", "http://" + self.client,
                 "--advertise-client-urls", "http://" + self.client,
                 "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                 "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                 "--initial-cluster", f"default=http://127.0.0.1:{peer}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT)
        wait_until("etcd answers", self.answers)

    def member(self):
        """To call it as the members of the tests' clusters are called."""
        member = Member.__new__(Member)
        member.client, member._channel = self.client, None
        return member

    def answers(self):
        return subprocess.run(["etcdctl", "--endpoints", self.client, "get", "x"], capture_output=True,
                              env=ENVIRONMENT).returncode == 0

    def stop(self):
        self.process.terminate()
        self.process.wait(15)
        shutil.rmtree(self.directory, ignore_errors=True)


def etcdctl(client, *words, user=None):
    return run("etcdctl", "--endpoints", client, *(["--user", user] if user else []), *words)


def parsed(client, *words, user=None):
    """What etcdctl says, without whom it asked."""
    answer = json.loads(etcdctl(client, *words, "-w", "json", user=user))
    header = answer.pop("header", {})
    return answer, header.get("revision")


@unittest.skipUnless(shutil.which("etcd") and shutil.which("etcdctl"), "etcd is not installed")
class Migrate(unittest.TestCase):
    def setUp(self):
        self.etcd = Etcd()
        self.addCleanup(self.etcd.stop)
        files = tempfile.TemporaryDirectory(prefix="keel-migrate-")
        self.addCleanup(files.cleanup)
        self.files = files.name

    def fill(self, seed, count):
        """Puts, deletions and transactions of several keys, through one etcdctl each dozen."""
        rng = random.Random(seed)
        for i in range(count):
            kind = rng.randrange(12)
            key = f"k{rng.randrange(30):02d}"
            if kind == 0:
                etcdctl(self.etcd.client, "del", key)
            elif kind == 1:
                etcdctl(self.etcd.client, "del", "--prefix", f"k{rng.randrange(3)}")
            elif kind < 5:
                puts = "\n".join(f'put t{n}/{rng.randrange(5)} "{i} {n}"' for n in range(6))
                subprocess.run(["etcdctl", "--endpoints", self.etcd.client, "txn"], check=True, text=True,
                               input=f"\n{puts}\n\n\n", capture_output=True, env=ENVIRONMENT)
            else:
                etcdctl(self.etcd.client, "put", key, f"{i} " * rng.randrange(1, 200))

    def revision(self):
        return parsed(self.etcd.client, "get", "none")[1]

    def grant(self, ttl):
        return etcdctl(self.etcd.client, "lease", "grant", str(ttl)).split()[1]

    def start_kvd(self, size, make, user):
        new = Cluster(size)
        self.addCleanup(shutil.rmtree, new.directory, True)
        self.addCleanup(new.stop)
        for m in new.members:
            make(m, ["--name", m.name, "--data-dir", m.data_dir, "--initial-cluster", new.initial_cluster(),
                     "--initial-cluster-token", new.token, "--initial-advertise-peer-urls", "http://" + m.peer])
        for m in new.members:
            m.start()
        for m in new.members:
            wait_until(f"{m.name} answers", lambda m=m: subprocess.run(
                ["etcdctl", "--endpoints", m.client, "--user", user, "get", "x"], capture_output=True,
                env=ENVIRONMENT).returncode == 0, 30)
        return new

    def test_a_snapshot_file_brings_everything(self):
        self.fill(1, 60)
        compacted = self.revision()
        etcdctl(self.etcd.client, "compact", str(compacted))
        long, other = self.grant(3600), self.grant(7200)
        etcdctl(self.etcd.client, "put", "--lease", long, "leased/a", "1")
        etcdctl(self.etcd.client, "put", "--lease", long, "leased/b", "2")
        etcdctl(self.etcd.client, "put", "--lease", other, "leased/a", "3")
        self.fill(2, 60)
        for words in (["user", "add", "root:secret"], ["user", "add", "jane:doe"], ["role", "add", "root"],
                      ["role", "add", "reader"], ["user", "grant-role", "root", "root"],
                      ["role", "grant-permission", "reader", "read", "k", "l"],
                      ["role", "grant-permission", "reader", "readwrite", "a"],
                      ["user", "grant-role", "jane", "reader"], ["auth", "enable"]):
            etcdctl(self.etcd.client, *words)
        root = "root:secret"
        last = parsed(self.etcd.client, "get", "none", user=root)[1]
        snapshot = os.path.join(self.files, "etcd.db")
        etcdctl(self.etcd.client, "snapshot", "save", snapshot, user=root)

        said = []
        new = self.start_kvd(3, lambda m, flags: said.append(
            run(KVCTL, "migrate", "--from-snapshot", snapshot, *flags)), root)
        self.assertIn(f"revision {last}, compacted {compacted}, ", said[0])
        self.assertIn("2 leases, 2 users, 2 roles, authentication on", said[0])
        for m in new.members:
            for revision in (compacted, compacted + 1, (compacted + last) // 2, last - 7, last - 1, last):
                there = parsed(self.etcd.client, "get", "", "--prefix", "--rev", str(revision), user=root)
                here = parsed(m.client, "get", "", "--prefix", "--rev", str(revision), user=root)
                self.assertEqual(here, there, f"at {revision}")
            for words in (["role", "list"], ["role", "get", "reader"], ["user", "list"], ["user", "get", "jane"]):
                self.assertEqual(etcdctl(m.client, *words, user=root), etcdctl(self.etcd.client, *words, user=root))
        m = new.members[1]
        done = subprocess.run(["etcdctl", "--endpoints", m.client, "--user", root, "get", "k", "--rev",
                               str(compacted - 1)], capture_output=True, text=True, env=ENVIRONMENT)
        self.assertIn("required revision has been compacted", done.stderr)
        for lease, keys in ((long, ["leased/b"]), (other, ["leased/a"])):
            there = parsed(self.etcd.client, "lease", "timetolive", lease, "--keys", user=root)[0]
            here = parsed(m.client, "lease", "timetolive", lease, "--keys", user=root)[0]
            self.assertEqual((here["granted-ttl"], here["keys"]), (there["granted-ttl"], there["keys"]))
            self.assertEqual(len(here["keys"]), len(keys))
        # Rights are those of before; a lease that is revoked takes its keys with it.
        self.assertIn("permission denied", run("etcdctl", "--endpoints", m.client, "--user", "jane:doe",
                                               "get", "t0/1", code=1))
        etcdctl(m.client, "get", "k01", user="jane:doe")
        etcdctl(m.client, "lease", "revoke", other, user=root)
        self.assertEqual(etcdctl(m.client, "get", "leased/a", user=root), "")
        self.assertEqual(parsed(m.client, "put", "on", "1", user=root)[1], last + 2)

        # A member's own file has no hash, and is read when that is said.
        self.etcd.process.terminate()
        self.etcd.process.wait(15)
        own = os.path.join(self.etcd.data_dir, "member", "snap", "db")
        target = os.path.join(self.files, "target")
        self.assertIn("--skip-hash-check", run(KVCTL, "migrate", "--from-snapshot", own, "--data-dir", target, code=128))
        self.assertIn(f"revision {last}, ", run(KVCTL, "migrate", "--from-snapshot", own, "--skip-hash-check",
                                                "--data-dir", target))
        # Damaged files: one line that names the file, and nothing is left.
        with open(snapshot, "rb") as f:
            data = f.read()
        bad, target = os.path.join(self.files, "bad.db"), os.path.join(self.files, "other")
        for damaged in (data[:len(data) // 2], data[:20000] + b"x" + data[20001:], data[:-1], data[:4096]):
            with open(bad, "wb") as f:
                f.write(damaged)
            done = subprocess.run([KVCTL, "migrate", "--from-snapshot", bad, "--data-dir", target],
                                  capture_output=True, text=True, env=ENVIRONMENT)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(bad, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertFalse(os.path.exists(target) or os.path.exists(target + ".part"))

    def test_a_live_copy_follows_and_ends_equal(self):
        source = self.etcd.member()
        self.addCleanup(source._close)
        new = Cluster(1)
        self.addCleanup(shutil.rmtree, new.directory, True)
        self.addCleanup(new.stop)
        m = new.start().members[0]
        command = [KVCTL, "--endpoints", m.client, "migrate", "--from", "http://" + self.etcd.client, "--state",
                   os.path.join(self.files, "state"), "--report-interval", "200ms"]
        log = os.path.join(self.files, "log")

        m.put("foreign", "1")
        self.assertIn("the destination holds 1 keys", run(*command, code=1))
        m.call("KV", "DeleteRange", key=b"foreign")

        for i in range(1300):
            source.put(f"base/{i:04d}", f"value {i}")
        lease = source.call("Lease", "LeaseGrant", TTL=5).ID
        gone = source.call("Lease", "LeaseGrant", TTL=3600).ID
        for i in range(3):
            source.put(f"leased/{i}", "x", lease=lease)
            source.put(f"brief/{i}", "x", lease=gone)
        stop, over = threading.Event(), threading.Event()
        writer_source = self.etcd.member()

        def write():
            rng, i = random.Random(3), 0
            while not stop.is_set():
                i += 1
                if i % 5 == 0:
                    writer_source.call("KV", "DeleteRange", 10, key=f"base/{rng.randrange(1300):04d}".encode())
                else:
                    writer_source.put(f"live/{rng.randrange(300)}", f"{i} " * rng.randrange(1, 100), 10)
                if i % 10 == 0:
                    writer_source.call("Lease", "LeaseTimeToLive", 10, ID=lease)
            writer_source._close()

        def keep_alive():
            # The source's clients renew there; what is at the destination is the migration's to renew.
            while not over.is_set():
                etcdctl(self.etcd.client, "lease", "keep-alive", "--once", f"{lease:x}")
                over.wait(1)

        writer, renewer = (threading.Thread(target=t, daemon=True) for t in (write, keep_alive))
        writer.start()
        renewer.start()
        self.addCleanup(renewer.join)
        self.addCleanup(over.set)
        try:
            for round_ in range(3):
                with open(log, "ab") as out:
                    process = subprocess.Popen(command, stdout=out, stderr=out, env=ENVIRONMENT)
                wait_until("it follows", lambda: "follows" in pathlib.Path(log).read_text(), 30)
                time.sleep(1 if round_ < 2 else 6)  # longer than the lease lives
                if round_ == 1:  # what it has read already is of no concern
                    source.call("KV", "Compact", 10, revision=source.get("x").header.revision - 1)
                    time.sleep(0.5)
                process.kill()
                process.wait()
                # Compacted while nobody reads.
                source.call("KV", "Compact", 10, revision=source.get("x").header.revision)
                os.remove(log)
            source.call("Lease", "LeaseRevoke", ID=gone)
        finally:
            time.sleep(0.3)
            stop.set()
            writer.join()
        said = run(*command, "--cut-over", "--quiet", "500ms")
        self.assertIn("they hold the same", said)
        hashes = [line.rsplit(" ", 1)[1] for line in said.splitlines() if "sha256" in line]
        self.assertEqual(len(hashes), 2)
        self.assertEqual(hashes[0], hashes[1])

        def contents(member):
            kvs = member.get(b"\0", range_end=b"\0", seconds=20).kvs
            return {kv.key: (kv.value, kv.lease) for kv in kvs}
        there, here = contents(source), contents(m)
        self.assertEqual(here.keys(), there.keys())
        self.assertEqual(here, there)
        self.assertEqual(here[b"leased/1"], (b"x", lease))
        self.assertNotIn(b"brief/1", here)
        leases = {each.ID for each in m.call("Lease", "LeaseLeases").leases}
        self.assertEqual(leases, {lease})


if __name__ == "__main__":
    unittest.main(verbosity=2)
