"""Three members that speak TLS with each other and with etcdctl and kvctl.

Certificates come from a CA of the test's own (tests/support/test_ca.py).
"""

import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import unittest

from harness import KVD, free_ports, wait_until
from test_ca import HOUR, TestCa

KVCTL = str(pathlib.Path(KVD).with_name("kvctl"))


class Member:
    """One kvd on https://; `flags` come last and so win."""

    def __init__(self, folder, name, client_port, peer_port, cluster, flags):
        self.name = name
        self.client = f"https://127.0.0.1:{client_port}"
        self.port = client_port
        self.log_path = pathlib.Path(folder, name + ".log")
        self.command = [
            KVD, "--name", name, "--data-dir", str(pathlib.Path(folder, name)),
            "--listen-client-urls", self.client, "--advertise-client-urls", self.client,
            "--listen-peer-urls", f"https://127.0.0.1:{peer_port}",
            "--initial-advertise-peer-urls", f"https://127.0.0.1:{peer_port}",
            "--initial-cluster", cluster, "--heartbeat-interval", "50", "--election-timeout", "500", *flags]
        self.process = None

    def start(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD")}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment)

    def stop(self, number=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(20)

    def log(self):
        return self.log_path.read_text(errors="replace")


class TlsTest(unittest.TestCase):
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

    def test_clients_and_peers_speak_tls(self):
        members = self.cluster(3)
        self.start(members)
        self.assertEqual(self.ctl("put", "a", "1").stdout, "OK\n")
        self.assertEqual(self.ctl("get", "a", program=KVCTL).stdout, "a\n1\n")
        self.assertIn(members[0].client, self.ctl("member", "list").stdout)
        # A member that was away catches up, over TLS.
        members[2].stop(signal.SIGKILL)
        wait_until("a leader is there", lambda: self.ctl("put", "k", "x", members=members[:2]).returncode == 0, 30)
        for i in range(20):
            self.assertEqual(self.ctl("put", f"k{i}", "x", members=members[:2], program=KVCTL).stdout, "OK\n")
        members[2].start()
        wait_until("it has caught up", lambda: self.ctl("get", "k19", members=members[2:]).stdout == "k19\nx\n", 30)

    def test_who_shows_no_good_certificate_is_let_nowhere(self):
        members = self.cluster(1)
        self.start(members)
        stranger = TestCa(pathlib.Path(self.folder, "stranger"), "stranger")
        namesake = TestCa(pathlib.Path(self.folder, "namesake"))  # the CA's name, another key
        bad = {
            "unable to get local issuer certificate": stranger.issue("client", cn="root"),
            "certificate signature failure": namesake.issue("client", cn="root"),
            "certificate has expired": self.ca.issue("old", cn="root", start=-2 * HOUR, end=-HOUR),
        }
        for program in ("etcdctl", KVCTL):
            for cause, identity in bad.items():
                seen = members[0].log().count(cause)
                self.assertNotEqual(self.ctl("put", "a", "1", program=program, identity=identity).returncode, 0)
                wait_until(cause, lambda: members[0].log().count(cause) > seen)
            self.assertNotEqual(self.ctl("put", "a", "1", program=program, ca=stranger.file).returncode, 0)
        plain = subprocess.run([KVCTL, "--endpoints", f"http://127.0.0.1:{members[0].port}", "--dial-timeout", "2s",
                                "--command-timeout", "3s", "put", "a", "1"], capture_output=True, text=True, timeout=30)
        self.assertNotEqual(plain.returncode, 0)
        self.assertEqual(self.ctl("get", "a").stdout, "")

    def test_a_peer_of_another_ca_stays_outside(self):
        members = self.cluster(3)
        stranger = TestCa(pathlib.Path(self.folder, "stranger"))
        cert, key = stranger.issue("peer", ips=["127.0.0.1"])
        members[2].command += ["--peer-cert-file", str(cert), "--peer-key-file", str(key)]
        members[2].start()
        self.start(members[:2])
        self.assertEqual(self.ctl("put", "a", "1", members=members[:2]).stdout, "OK\n")
        wait_until("the log names why", lambda: "certificate signature failure" in members[0].log() + members[1].log())
        self.assertNotEqual(self.ctl("get", "a", members=members[2:]).returncode, 0)

    def test_new_certificates_are_taken_up_without_a_restart(self):
        members = self.cluster(1)
        self.start(members)

        def shown():
            context = ssl.create_default_context(cafile=str(self.ca.file))
            context.load_cert_chain(*(str(f) for f in self.client))
            with context.wrap_socket(socket.create_connection(("127.0.0.1", members[0].port)),
                                     server_hostname="127.0.0.1") as connection:
                return connection.getpeercert()["serialNumber"]

        before = shown()
        self.ca.issue("server", ips=["127.0.0.1"])  # the same files
        self.assertNotEqual(shown(), before)
        self.assertEqual(self.ctl("put", "a", "1").stdout, "OK\n")

    def test_the_name_in_the_certificate_is_the_user(self):
        self.start(self.cluster(1))
        for command in (["user", "add", "root:secret"], ["role", "add", "root"], ["user", "grant-role", "root", "root"],
                        ["auth", "enable"]):
            self.assertEqual(self.ctl(*command, program=KVCTL).returncode, 0, command)
        self.assertEqual(self.ctl("put", "a", "1").stdout, "OK\n")
        nobody = self.ca.issue("nobody", cn="nobody")
        self.assertIn("permission denied", self.ctl("put", "a", "2", identity=nobody).stderr)
        self.assertEqual(self.ctl("get", "a").stdout, "a\n1\n")

    def test_auto_tls_makes_certificates(self):
        members = self.cluster(2, ["--auto-tls", "--peer-auto-tls"])
        for member in members:
            member.start()

        def put():
            return self.ctl("--insecure-skip-tls-verify", "--insecure-transport=false", "put", "a", "1", secure=False,
                            program=KVCTL)

        wait_until("a put is taken", lambda: put().stdout == "OK\n", 30)
        self.assertTrue(pathlib.Path(self.folder, "m1", "fixtures", "client").is_dir())


if __name__ == "__main__":
    unittest.main(verbosity=2)
