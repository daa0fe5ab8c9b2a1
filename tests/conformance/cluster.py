"""Starts and stops clusters of etcd, or of any program that takes etcd's flags.

Every member listens on loopback only, on ports that were free a moment ago,
and keeps its data and its log in a directory of the cluster's own.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import grpc

from access import Access

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from loopback import free_ports  # noqa: E402

START_SECONDS = 60
STOP_SECONDS = 15


class Member:
    """One process of a cluster, and where to reach it."""

    def __init__(self, name, client_port, peer_port):
        self.name = name
        self.client = "127.0.0.1:%d" % client_port
        self.peer = "127.0.0.1:%d" % peer_port
        self.process = None
        self.log = None

    def alive(self):
        return self.process is not None and self.process.poll() is None


class Cluster:
    """`size` members of `program`, started with `flags` added to the usual ones, and how
    to reach them. `tokens`: of the suite's users, once authentication is on."""

    def __init__(self, api, program, size, flags=(), keep=False, access=None):
        self.api = api
        self.access = access or Access()
        self.tokens = None
        self.program = program
        self.flags = list(flags)
        self.keep = keep
        self.directory = tempfile.mkdtemp(prefix="conformance-")
        ports = free_ports(2 * size)
        self.members = [Member("m%d" % (i + 1), ports[2 * i], ports[2 * i + 1]) for i in range(size)]

    def start(self):
        initial = ",".join("%s=%s" % (m.name, self.peer_url(m)) for m in self.members)
        for m in self.members:
            m.log = os.path.join(self.directory, m.name + ".log")
            command = [
                self.program,
                "--name", m.name,
                "--data-dir", os.path.join(self.directory, m.name),
                "--listen-client-urls", self.client_url(m),
                "--advertise-client-urls", self.client_url(m),
                "--listen-peer-urls", self.peer_url(m),
                "--initial-advertise-peer-urls", self.peer_url(m),
                "--initial-cluster", initial,
                "--initial-cluster-state", "new",
                "--initial-cluster-token", "conformance-%d" % os.getpid(),
            ] + self.access.server_flags() + self.flags
            environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD")}
            with open(m.log, "ab") as log:
                m.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        self._await_ready()
        if self.access.auth:
            with self.access.bare_channel(self.members[0].client) as channel:
                self.tokens = self.access.switch_on_auth(lambda *a, **fields: self._call(channel, *a, **fields))
            self._await_ready()  # with the tokens
        return self

    def client_url(self, member):
        return "%s://%s" % (self.access.scheme, member.client)

    def peer_url(self, member):
        return "%s://%s" % (self.access.scheme, member.peer)

    def _call(self, channel, service, method, seconds=20, **fields):
        m = self.api.methods[(service, method)]
        stub = channel.unary_unary(
            m.path, request_serializer=m.request.SerializeToString, response_deserializer=m.response.FromString)
        return stub(m.request(**fields), timeout=seconds)

    def _await_ready(self):
        give_up = time.monotonic() + START_SECONDS
        for m in self.members:
            while True:
                if not m.alive():
                    raise RuntimeError("%s %s exited with %s: %s" % (self.program, m.name, m.process.returncode, self.tail(m)))
                channel = self.access.channel(m.client, self.tokens)
                try:
                    self._call(channel, "KV", "Range", seconds=2, key=b"ready")
                    break
                except grpc.RpcError as e:
                    if time.monotonic() > give_up:
                        raise RuntimeError("%s %s is not ready after %d s (%s): %s" % (
                            self.program, m.name, START_SECONDS, e.details(), self.tail(m)))
                    time.sleep(0.1)
                finally:
                    channel.close()

    def tail(self, member, size=2000):
        with open(member.log, "rb") as f:
            return f.read()[-size:].decode(errors="replace")

    def alive(self):
        return all(m.alive() for m in self.members)

    def stop(self):
        for m in self.members:
            if m.alive():
                m.process.send_signal(signal.SIGTERM)
        give_up = time.monotonic() + STOP_SECONDS
        for m in self.members:
            if m.process is None:
                continue
            try:
                m.process.wait(max(0.1, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                m.process.kill()
                m.process.wait()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)
