"""Clusters of real kvd processes for the integration tests.

    class FailoverTest(ClusterTest):
        size = 3

        def test_writes_go_on(self):
            leader = self.cluster.leader()
            with Load(self.cluster) as load:
                leader.kill()
            load.check_nothing_missing()

Every member listens on loopback, on ports that were free a moment ago, and
keeps its data in a folder of the test's own, which is kept and named when a
test fails. Only processes started here are signalled, by their id.

The program under test is $KEEL_KVD (set by ctest).
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "conformance"))
sys.path.insert(0, str(ROOT / "tests" / "support"))

import grpc  # noqa: E402
from api import Api, short_channel  # noqa: E402
from loopback import free_ports, wait_until  # noqa: E402,F401

KVD = os.environ.get("KEEL_KVD", str(ROOT / "build" / "release" / "bin" / "kvd"))

_generated = tempfile.TemporaryDirectory(prefix="keel-api-")
API = Api(_generated.name)


class Member:
    def __init__(self, cluster, name, client_port, peer_port):
        self.cluster = cluster
        self.name = name
        self.client = f"127.0.0.1:{client_port}"
        self.peer = f"127.0.0.1:{peer_port}"
        self.data_dir = os.path.join(cluster.directory, name)
        self.log_path = os.path.join(cluster.directory, name + ".log")
        self.initial_state = "new"
        self.program = None  # else the cluster's
        self.process = None
        self._channel = None

    # Processes.

    def command(self):
        return [
            self.program or self.cluster.program,
            "--name", self.name,
            "--data-dir", self.data_dir,
            "--listen-client-urls", "http://" + self.client,
            "--advertise-client-urls", "http://" + self.client,
            "--listen-peer-urls", "http://" + self.peer,
            "--initial-advertise-peer-urls", "http://" + self.peer,
            "--initial-cluster", self.cluster.initial_cluster(),
            "--initial-cluster-state", self.initial_state,
            "--initial-cluster-token", self.cluster.token,
            "--heartbeat-interval", "50",
            "--election-timeout", "500",
            *self.cluster.flags,
        ]

    def start(self, extra=(), wrapper=()):
        assert not self.alive(), f"{self.name} already runs"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD_")}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*wrapper, *self.command(), *extra],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._close()

    def terminate(self, seconds=20):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self._close()
        return code

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors="replace") if os.path.exists(self.log_path) else ""

    def wipe(self):
        shutil.rmtree(self.data_dir)

    # Calls.

    def call(self, service, method, seconds=5.0, **fields):
        m = API.methods[(service, method)]
        if self._channel is None:
            self._channel = short_channel(self.client)
        stub = self._channel.unary_unary(
            m.path, request_serializer=m.request.SerializeToString, response_deserializer=m.response.FromString)
        return stub(m.request(**fields), timeout=seconds)

    def stream(self, service, method, requests, seconds=30.0):
        m = API.methods[(service, method)]
        if self._channel is None:
            self._channel = short_channel(self.client)
        stub = self._channel.stream_stream(
            m.path, request_serializer=m.request.SerializeToString, response_deserializer=m.response.FromString)
        return stub(requests, timeout=seconds)

    def put(self, key, value=b"", seconds=5.0, **fields):
        return self.call("KV", "Put", seconds, key=to_bytes(key), value=to_bytes(value), **fields)

    def get(self, key, seconds=5.0, **fields):
        return self.call("KV", "Range", seconds, key=to_bytes(key), **fields)

    def value(self, key, **fields):
        kvs = self.get(key, **fields).kvs
        return kvs[0].value if kvs else None

    def keys(self, prefix, **fields):
        prefix = to_bytes(prefix)
        response = self.get(prefix, range_end=prefix_end(prefix), keys_only=True, seconds=20, **fields)
        return {kv.key for kv in response.kvs}

    def status(self):
        return self.call("Maintenance", "Status", 2.0)

    def await_removed(self):
        """It stops by itself and says why."""
        wait_until("the removed member stops", lambda: not self.alive(), 30)
        assert self.process.returncode == 1, self.process.returncode
        assert "this member was removed from the cluster; its data directory can be deleted" in self.log()
        self._close()

    def healthy(self):
        try:
            self.get("health", seconds=1.0)
            return True
        except grpc.RpcError:
            self._close()  # A fresh connection next time: no back-off of the old one.
            return False

    def _close(self):
        if self._channel is not None:
            self._channel.close()
            self._channel = None


class Cluster:
    def __init__(self, size, flags=(), program=KVD):
        self.program = program
        self.directory = tempfile.mkdtemp(prefix="keel-integration-")
        self.token = f"token-{os.getpid()}-{os.path.basename(self.directory)}"
        self.flags = list(flags)
        ports = free_ports(2 * size)
        self.members = [
            Member(self, f"m{i + 1}", ports[2 * i], ports[2 * i + 1]) for i in range(size)
        ]

    def initial_cluster(self):
        return ",".join(f"{m.name}=http://{m.peer}" for m in self.members)

    def start(self):
        for m in self.members:
            m.start()
        self.await_healthy()
        return self

    def await_healthy(self, members=None, seconds=30):
        for m in members or self.members:
            def ready(m=m):
                if not m.alive():
                    raise AssertionError(f"{m.name} exited with {m.process.returncode}:\n{m.log()[-2000:]}")
                return m.healthy()
            wait_until(f"{m.name} healthy; its log ends:\n{m.log()[-500:]}", ready, seconds)

    def alive(self):
        return [m for m in self.members if m.alive()]

    def leader(self, seconds=20, among=None):
        """The member that the living ones agree leads."""
        def agreed():
            by_id, seen = {}, set()
            for m in among or self.alive():
                try:
                    status = m.status()
                except grpc.RpcError:
                    return None
                by_id[status.header.member_id] = m
                seen.add(status.leader)
            return by_id.get(seen.pop()) if len(seen) == 1 else None
        return wait_until("a leader that all agree on", agreed, seconds)

    def followers(self):
        leader = self.leader()
        return [m for m in self.members if m is not leader and m.alive()]

    def stop(self):
        for m in self.alive():
            m.process.send_signal(signal.SIGCONT)
            m.process.send_signal(signal.SIGTERM)
        for m in self.alive():
            try:
                m.process.wait(15)
            except subprocess.TimeoutExpired:
                m.kill()
        for m in self.members:
            m._close()

    def hashes(self):
        """HashKV of every member at one revision."""
        revision = min(m.get("x", serializable=True).header.revision for m in self.members)
        return {m.name: m.call("Maintenance", "HashKV", 20.0, revision=revision).hash for m in self.members}

    def await_equal(self, seconds=20):
        """Every member has applied the same and hashes the same."""
        def equal():
            revisions = {m.get("x", serializable=True).header.revision for m in self.members}
            return len(revisions) == 1 and len(set(self.hashes().values())) == 1
        wait_until("equal hashes on all members", equal, seconds)


class Load:
    """Writers that put distinct keys through all members until the block ends."""

    def __init__(self, cluster, writers=8, prefix="load/", value=b"v" * 100):
        self.cluster = cluster
        self.prefix = prefix
        self.value = value
        self.acknowledged = []  # (key, revision)
        self.failures = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(i,), daemon=True) for i in range(writers)]
        self._channels = []

    def __enter__(self):
        for t in self._threads:
            t.start()
        self.await_progress(20)
        return self

    def __exit__(self, *_):
        self._stop.set()
        for t in self._threads:
            t.join(30)

    def _write(self, number):
        m = API.methods[("KV", "Put")]
        count, turn, stub, channel = 0, number, None, None
        while not self._stop.is_set():
            key = f"{self.prefix}{number:02d}/{count:06d}".encode()
            count += 1
            if stub is None:
                turn += 1
                channel = short_channel(self.cluster.members[turn % len(self.cluster.members)].client)
                stub = channel.unary_unary(
                    m.path, request_serializer=m.request.SerializeToString,
                    response_deserializer=m.response.FromString)
            try:
                response = stub(m.request(key=key, value=self.value), timeout=2)
                self.acknowledged.append((key, response.header.revision))
            except grpc.RpcError as error:
                self.failures.append((error.code(), error.details()))
                channel.close()
                stub = None
                time.sleep(0.02)
        if channel is not None:
            channel.close()

    def await_progress(self, more, seconds=20):
        """Waits until `more` further writes are acknowledged."""
        start = len(self.acknowledged)
        wait_until(f"{more} more acknowledged writes; failures {self.failures[-3:]}",
                   lambda: len(self.acknowledged) >= start + more, seconds)

    def check_nothing_missing(self, members=None):
        assert self.acknowledged
        for m in members or self.cluster.alive():
            present = m.keys(self.prefix)
            missing = [key for key, _ in self.acknowledged if key not in present]
            assert not missing, f"{len(missing)} acknowledged keys are missing on {m.name}: {missing[:5]}"
        revisions = [revision for _, revision in self.acknowledged]
        assert len(set(revisions)) == len(revisions), "two writes were given one revision"


class ClusterTest(unittest.TestCase):
    """A fresh cluster of `size` members with `flags` for each test."""

    size = 3
    flags = ()
    start = True

    def setUp(self):
        self.cluster = Cluster(self.size, self.flags)
        if self.start:
            try:
                self.cluster.start()
            except BaseException:
                self.cluster.stop()
                raise

    def tearDown(self):
        self.cluster.stop()
        outcome = self._outcome
        result = getattr(outcome, "result", outcome)
        failed = any(test is self for test, _ in result.failures + result.errors) or any(
            error for test, error in getattr(outcome, "errors", []) if test is self)
        if failed:
            print(f"data and logs kept: {self.cluster.directory}", file=sys.stderr)
            for m in self.cluster.members:
                print(f"--- {m.name}, last lines\n{m.log()[-1500:]}", file=sys.stderr)
        else:
            shutil.rmtree(self.cluster.directory, ignore_errors=True)


def to_bytes(text):
    return text.encode() if isinstance(text, str) else text


def prefix_end(prefix):
    """The end of the range of keys with this prefix (etcd's rule)."""
    end = bytearray(prefix)
    while end and end[-1] == 0xFF:
        end.pop()
    if not end:
        return b"\0"
    end[-1] += 1
    return bytes(end)


def raw_exchange(address, data, seconds=5.0):
    """Sends bytes to host:port and returns what comes back until the end or the time limit."""
    host, port = address.rsplit(":", 1)
    out = b""
    with socket.create_connection((host, int(port)), timeout=seconds) as s:
        s.sendall(data)
        try:
            while True:
                chunk = s.recv(65536)
                if not chunk:
                    break
                out += chunk
        except (socket.timeout, ConnectionResetError):
            pass
    return out
