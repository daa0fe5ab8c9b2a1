"""What bad input gets: a clear error, and nothing lost."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

import grpc

from harness import API, Cluster, ClusterTest, KVD, free_ports, raw_exchange, short_channel, wait_until


def run_kvd(*arguments, seconds=20, **environment):
    """Runs kvd that is expected to give up by itself: (exit code, what it printed)."""
    done = subprocess.run([KVD, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=seconds, text=True, errors="replace",
                          env={**os.environ, **environment})
    return done.returncode, done.stdout


class Requests(ClusterTest):
    size = 1
    flags = ("--max-request-bytes", "100000", "--max-txn-ops", "5")

    def refused(self, code, details, action):
        before = self.member.get("x").header.revision
        with self.assertRaises(grpc.RpcError) as caught:
            action()
        self.assertEqual((caught.exception.code().name, caught.exception.details()), (code, details))
        self.assertEqual(self.member.get("x").header.revision, before, "a refused request changed something")

    @property
    def member(self):
        return self.cluster.members[0]

    def test_requests_that_are_refused(self):
        m = self.member
        put = API.rpc.RequestOp(request_put=API.rpc.PutRequest(key=b"t", value=b"1"))
        puts = [API.rpc.RequestOp(request_put=API.rpc.PutRequest(key=b"t%d" % i)) for i in range(6)]
        self.refused("INVALID_ARGUMENT", "etcdserver: request is too large", lambda: m.put("k", b"x" * 100_000))
        self.refused("INVALID_ARGUMENT", "etcdserver: key is not provided", lambda: m.put("", "x"))
        self.refused("INVALID_ARGUMENT", "etcdserver: key is not provided", lambda: m.get(""))
        self.refused("NOT_FOUND", "etcdserver: requested lease not found", lambda: m.put("k", "v", lease=404))
        self.refused("INVALID_ARGUMENT", "etcdserver: too many operations in txn request",
                     lambda: m.call("KV", "Txn", success=puts))
        self.refused("INVALID_ARGUMENT", "etcdserver: duplicate key given in txn request",
                     lambda: m.call("KV", "Txn", success=[put, put]))
        self.refused("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision",
                     lambda: m.get("k", revision=10_000))
        self.refused("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision",
                     lambda: m.call("KV", "Compact", revision=10_000))

    def test_a_range_turned_around_is_empty(self):
        self.member.put("b", "1")
        response = self.member.get("c", range_end=b"a")
        self.assertEqual((response.count, len(response.kvs)), (0, 0))
        deleted = self.member.call("KV", "DeleteRange", key=b"c", range_end=b"a")
        self.assertEqual(deleted.deleted, 0)
        self.assertEqual(self.member.value("b"), b"1")

    def test_garbage_on_the_client_port(self):
        self.member.put("k", "1")
        for data in (b"\0" * 4096, os.urandom(4096), b"hello\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(512),
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20000):
            raw_exchange(self.member.client, data, 2.0)
            self.assertTrue(self.member.alive())
        self.assertEqual(self.member.value("k"), b"1")

    def test_garbage_on_the_peer_port(self):
        for data in (b"\0" * 4096, os.urandom(65536), b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64):
            raw_exchange(self.member.peer, data, 2.0)
            self.assertTrue(self.member.alive())
        self.member.put("k", "1")
        self.assertEqual(self.member.value("k"), b"1")

    def test_http_1_on_the_client_port(self):
        def get(path):
            with urllib.request.urlopen(f"http://{self.member.client}{path}", timeout=5) as answer:
                return answer.read().decode()

        self.assertIn('"health":"true"', get("/health"))
        self.assertRegex(get("/version"), r'"etcdserver":"3\.\d+\.\d+"')
        self.assertRegex(get("/metrics"), r"(?m)^etcd_server_has_leader 1$")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            get("/nowhere")
        self.assertEqual(caught.exception.code, 404)

    def test_an_http2_client_that_floods_is_cut_off_and_others_are_served(self):
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
        ping = b"\0\0\x08\x06\0\0\0\0\0" + b"floodfld"
        host, port = self.member.client.rsplit(":", 1)
        cut_off = False
        with socket.create_connection((host, int(port)), timeout=5) as s:
            s.sendall(preface)
            s.setblocking(True)
            s.settimeout(2)
            try:
                for _ in range(200):
                    s.sendall(ping * 1000)
                    s.setblocking(False)
                    try:
                        while s.recv(1 << 20):
                            pass
                        cut_off = True
                        break
                    except BlockingIOError:
                        pass
                    s.setblocking(True)
                    s.settimeout(2)
            except OSError:
                cut_off = True
        self.assertTrue(cut_off, "200,000 pings were all accepted")
        start = time.monotonic()
        self.member.put("k", "1")
        self.assertLess(time.monotonic() - start, 2)


class Directories(ClusterTest):
    size = 3
    start = False

    def last_lines(self, member):
        return member.log()[-3000:]

    def test_a_data_dir_that_another_process_holds(self):
        self.cluster.start()
        first = self.cluster.members[0]
        client, peer = free_ports(2)
        code, output = run_kvd(
            "--name", first.name, "--data-dir", first.data_dir,
            "--listen-client-urls", f"http://127.0.0.1:{client}", "--advertise-client-urls", f"http://127.0.0.1:{client}",
            "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://{first.peer}",
            "--initial-cluster", self.cluster.initial_cluster(), "--initial-cluster-token", self.cluster.token)
        self.assertEqual(code, 1, output)
        self.assertIn(first.data_dir, output)
        self.assertRegex(output, "another process")
        self.assertTrue(first.healthy())

    def test_a_data_dir_of_another_member(self):
        self.cluster.start()
        a, b, c = self.cluster.members
        a.put("k", "1")
        self.assertEqual(a.terminate(), 0)
        self.assertEqual(b.terminate(), 0)
        shutil.rmtree(a.data_dir)
        shutil.copytree(b.data_dir, a.data_dir)
        a.start()
        self.assertNotEqual(a.process.wait(20), 0, "it should not start with the data of m2")
        self.assertIn(a.data_dir, self.last_lines(a))

    def test_a_peer_of_another_cluster_is_refused(self):
        self.cluster.start()
        leader = self.cluster.leader()
        leader.put("k", "1")
        follower = self.cluster.followers()[0]
        self.assertEqual(follower.terminate(), 0)
        revision, term = leader.get("k").header.revision, leader.status().raftTerm
        # The same names and addresses, but another token: other ids.
        follower.wipe()
        token, self.cluster.token = self.cluster.token, "another"
        follower.start()
        time.sleep(3)
        self.cluster.token = token
        self.assertEqual(leader.status().raftTerm, term, "a stranger disturbed the cluster")
        self.assertEqual(leader.get("k").header.revision, revision)
        self.assertRegex(follower.log() + leader.log(), r"belongs to cluster [0-9a-f]+, this member to")
        if follower.alive():
            self.assertFalse(follower.healthy())
            follower.kill()

    def log_segments(self, member):
        """The files of the Raft log, those that hold records first."""
        files = list(pathlib.Path(member.data_dir).rglob("*.seg"))
        self.assertTrue(files, f"no log files under {member.data_dir}")
        return sorted(files)

    def end_of_records(self, path):
        data = path.read_bytes()
        return len(data.rstrip(b"\0"))

    def test_a_torn_tail_is_repaired_and_said(self):
        self.cluster.start()
        a = self.cluster.followers()[0]
        for i in range(50):
            self.cluster.members[0].put(f"k{i}", "x" * 200)
        self.cluster.await_equal()
        a.kill()
        segment = max(self.log_segments(a), key=lambda p: (self.end_of_records(p) > 100, p.name))
        end = self.end_of_records(segment)
        with open(segment, "r+b") as f:  # The last record was half written.
            f.seek(end - 60)
            f.write(b"\0" * 60)
        a.start()
        self.cluster.await_healthy()
        self.assertRegex(self.last_lines(a), "(?i)torn")
        self.cluster.await_equal()

    def test_damage_in_the_middle_stops_the_member_with_file_and_offset(self):
        self.cluster.start()
        a = self.cluster.followers()[0]
        for i in range(200):
            self.cluster.members[0].put(f"k{i}", "x" * 200)
        self.cluster.await_equal()
        a.kill()
        segment = next(p for p in self.log_segments(a) if self.end_of_records(p) > 20_000)
        with open(segment, "r+b") as f:
            f.seek(10_000)
            byte = f.read(1)
            f.seek(10_000)
            f.write(bytes([byte[0] ^ 0x40]))
        before = len(a.log())
        a.start()
        self.assertEqual(a.process.wait(20), 1)
        said = a.log()[before:]
        self.assertIn(segment.name, said)
        self.assertRegex(said, r"offset[ =]*\d+")
        others = [m for m in self.cluster.members if m is not a]
        others[0].put("goes-on", "1")
        self.assertEqual(others[1].value("goes-on"), b"1")


class Flags(unittest.TestCase):
    def test_unknown_and_wrong_flags(self):
        for arguments, said in (
                (["--no-such-flag"], "no-such-flag"),
                (["--heartbeat-interval", "soon"], "heartbeat-interval"),
                (["--election-timeout", "100", "--heartbeat-interval", "100"], "election-timeout"),
                (["--listen-client-urls", "127.0.0.1:2379"], "listen-client-urls"),
                (["--initial-cluster", "other=http://127.0.0.1:1"], "initial-cluster"),
                (["--cert-file", "x.pem"], "KeyFile and CertFile must both be present")):
            code, output = run_kvd(*arguments, "--data-dir", "/nonexistent/never")
            self.assertNotEqual(code, 0, arguments)
            self.assertIn(said, output, arguments)
            self.assertLess(len(output.splitlines()), 8, f"a clear error is short:\n{output}")

    def test_environment_variables_count_and_flags_win(self):
        with tempfile.TemporaryDirectory() as folder:
            code, output = run_kvd("--data-dir", folder, ETCD_HEARTBEAT_INTERVAL="soon")
            self.assertNotEqual(code, 0)
            self.assertIn("ETCD_HEARTBEAT_INTERVAL", output.upper().replace("-", "_"))

    def test_a_port_in_use_is_named(self):
        with socket.socket() as s, tempfile.TemporaryDirectory() as folder:
            s.bind(("127.0.0.1", 0))
            s.listen()
            port = s.getsockname()[1]
            (peer,) = free_ports(1)
            code, output = run_kvd(
                "--data-dir", folder + "/d", "--listen-client-urls", f"http://127.0.0.1:{port}",
                "--advertise-client-urls", f"http://127.0.0.1:{port}", "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}")
            self.assertEqual(code, 1, output)
            self.assertRegex(output, rf"127\.0\.0\.1:{port}.*in use")

    def test_version_and_help(self):
        code, output = run_kvd("--version")
        self.assertEqual(code, 0)
        self.assertIn("etcd Version: 3.", output)
        code, output = run_kvd("--help")
        self.assertEqual(code, 0)
        self.assertIn("--initial-cluster", output)


def can_mount():
    probe = tempfile.mkdtemp()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", probe], capture_output=True)
    if done.returncode == 0:
        subprocess.run(["umount", probe], check=True)
    os.rmdir(probe)
    return done.returncode == 0


@unittest.skipUnless(can_mount(), "cannot mount a small file system here")
class FullDisk(unittest.TestCase):
    def test_writes_stop_with_nospace_and_go_on_when_there_is_room(self):
        cluster = Cluster(1)
        member = cluster.members[0]
        os.makedirs(member.data_dir)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", member.data_dir], check=True)
        try:
            cluster.start()
            filler = os.path.join(member.data_dir, "filler")
            member.put("before", "1")

            def write_until_refused():
                for i in range(20_000):
                    try:
                        member.put(f"fill/{i % 50}", os.urandom(200_000), seconds=20)
                    except grpc.RpcError as error:
                        return error
                return None

            def free_bytes():
                return shutil.disk_usage(member.data_dir).free

            def nothing_grows():  # The log makes its next segment ready.
                before = free_bytes()
                time.sleep(0.5)
                return free_bytes() == before
            wait_until("the log has its next segment", nothing_grows, 60)
            with open(filler, "wb") as f:  # Someone else fills the disk.
                free = free_bytes()
                f.write(b"\0" * max(0, free - (60 << 20)))
            error = write_until_refused()
            self.assertIsNotNone(error, "writes never stopped")
            self.assertEqual((error.code().name, error.details()),
                             ("RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded"))
            self.assertTrue(member.alive())
            self.assertEqual(member.value("before"), b"1")
            alarms = member.call("Maintenance", "Alarm", action=0).alarms
            self.assertEqual([a.alarm for a in alarms], [1])

            os.remove(filler)

            def write():
                try:
                    member.put("after", "2")
                    return True
                except grpc.RpcError:
                    return False
            wait_until("writes are taken again", write, 60)
            self.assertEqual(member.value("before"), b"1")
            self.assertEqual(member.terminate(), 0)
            member.start()
            cluster.await_healthy()
            self.assertEqual(member.value("after"), b"2")
        finally:
            cluster.stop()
            subprocess.run(["umount", "-l", member.data_dir], check=False)
            shutil.rmtree(cluster.directory, ignore_errors=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
