"""Clusters that speak TLS, and etcdctl and kvctl to call them.

    class Some(TlsCluster):
        def test_x(self):
            self.start(self.cluster(3))
            self.assertEqual(self.ctl("put", "a", "1").stdout, "OK\n")

Certificates come from a CA of the test's own (tests/support/test_ca.py).
"""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from harness import KVD, free_ports, wait_until  # first: it adds tests/support
from daemon import Daemon
from test_ca import TestCa

KVCTL = str(pathlib.Path(KVD).with_name("kvctl"))


class Member(Daemon):
    """One kvd on https://; `flags` come last and so win."""

    def __init__(self, folder, name, client_port, peer_port, cluster, flags):
        self.client = f"https://127.0.0.1:{client_port}"
        self.port = client_port
        super().__init__(name, [
            KVD, "--name", name, "--data-dir", pathlib.Path(folder, name),
            "--listen-client-urls", self.client, "--advertise-client-urls", self.client,
            "--listen-peer-urls", f"https://127.0.0.1:{peer_port}",
            "--initial-advertise-peer-urls", f"https://127.0.0.1:{peer_port}",
            "--initial-cluster", cluster, "--heartbeat-interval", "50", "--election-timeout", "500", *flags], folder)


class TlsCluster(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="keel-tls-")
        self.ca = TestCa(pathlib.Path(self.folder, "ca"))
        self.server = self.ca.issue("server", ips=["127.0.0.1"])
        self.client = self.ca.issue("client", cn="root")
        self.members = []

    def tearDown(self):
        for member in self.members:
            member.stop()
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            print("kept", self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def files(self, prefix=""):
        cert, key = self.server
        return [f"--{prefix}cert-file", str(cert), f"--{prefix}key-file", str(key),
                f"--{prefix}trusted-ca-file", str(self.ca.file), f"--{prefix}client-cert-auth"]

    def cluster(self, size, flags=None):
        ports = free_ports(2 * size)
        names = [f"m{i + 1}" for i in range(size)]
        line = ",".join(f"{n}=https://127.0.0.1:{ports[2 * i + 1]}" for i, n in enumerate(names))
        flags = self.files() + self.files("peer-") if flags is None else flags
        self.members = [Member(self.folder, n, ports[2 * i], ports[2 * i + 1], line, flags)
                        for i, n in enumerate(names)]
        return self.members

    def start(self, members):
        for member in members:
            member.start()
        wait_until("all are healthy", lambda: self.ctl("endpoint", "health", members=members).returncode == 0, 30)

    def ctl(self, *arguments, program="etcdctl", members=None, identity=None, ca=None, secure=True):
        cert, key = identity or self.client
        files = ["--cacert", str(ca or self.ca.file), "--cert", str(cert), "--key", str(key)] if secure else []
        endpoints = ",".join(m.client for m in members or self.members)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD")}
        return subprocess.run(
            [program, "--endpoints", endpoints, *files, "--dial-timeout", "2s", "--command-timeout", "5s", *arguments],
            env={**environment, "ETCDCTL_API": "3"}, capture_output=True, text=True, timeout=60)
