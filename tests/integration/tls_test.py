"""Three members that speak TLS with each other and with etcdctl and kvctl."""

import pathlib
import socket
import ssl
import subprocess
import unittest

from harness import wait_until
from test_ca import HOUR, TestCa
from tls_cluster import KVCTL, TlsCluster


class TlsTest(TlsCluster):
    def test_clients_and_peers_speak_tls(self):
        members = self.cluster(3)
        self.start(members)
        self.assertEqual(self.ctl("put", "a", "1").stdout, "OK\n")
        self.assertEqual(self.ctl("get", "a", program=KVCTL).stdout, "a\n1\n")
        self.assertIn(members[0].client, self.ctl("member", "list").stdout)
        # A member that was away catches up, over TLS.
        members[2].kill()
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

    def test_a_peer_s_certificate_is_for_the_address_it_calls_from(self):
        """As in etcd: unless --peer-skip-client-san-verification, which concerns who is called."""
        members = self.cluster(3)
        # What it shows when it calls is for another address; when it is called, for this one.
        cert, key = self.ca.issue("elsewhere", ips=["10.138.0.27"])
        members[2].command += ["--peer-client-cert-file", str(cert), "--peer-client-key-file", str(key)]
        members[2].start()
        self.start(members[:2])
        wait_until("the log names why", lambda: "x509: certificate is valid for 10.138.0.27, not 127.0.0.1"
                   in members[0].log() and "not 127.0.0.1" in members[1].log())
        for member in members[:2]:
            member.stop()
            member.command += ["--peer-skip-client-san-verification"]
            member.start()
        wait_until("all are healthy", lambda: self.ctl("endpoint", "health").returncode == 0, 30)
        self.assertEqual(self.ctl("put", "a", "1", members=members[2:]).stdout, "OK\n")

    def test_handshakes_are_counted(self):
        members = self.cluster(3)
        self.start(members)
        context = ssl.create_default_context(cafile=str(self.ca.file))
        context.load_cert_chain(*(str(f) for f in self.client))
        plain = socket.create_connection(("127.0.0.1", members[0].port))
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.recv(1024)
        plain.close()

        def metrics():
            with context.wrap_socket(socket.create_connection(("127.0.0.1", members[0].port)),
                                     server_hostname="127.0.0.1") as connection:
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                text = b""
                while part := connection.recv(65536):
                    text += part
            return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                    for line in text.decode().split("\r\n\r\n", 1)[1].splitlines()
                    if line.startswith("keel_tls_")}

        before, after = metrics(), metrics()
        name = 'keel_tls_handshakes_total{side="client"}'
        self.assertEqual(after[name], before[name] + 1)
        self.assertGreaterEqual(after['keel_tls_handshakes_total{side="peer"}'], 2)
        self.assertGreaterEqual(after['keel_tls_handshakes_total{side="to_peer"}'], 2)
        self.assertEqual(after['keel_tls_handshake_failures_total{side="client",cause="not_tls"}'], 1)
        self.assertEqual(after['keel_tls_handshake_seconds_bucket{side="client",le="+Inf"}'], after[name])
        self.assertGreater(after['keel_tls_handshake_seconds_sum{side="client"}'], 0)

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
