"""What bad certificates, bad tokens and too little permission get: the client is told, the log
names the cause, nothing is let through and nothing changes. (Files and flags: bad_input_test.py,
recovery_test.py.)
"""

import pathlib
import re
import subprocess
import tempfile
import threading
import time
import unittest

import grpc

from harness import API, ClusterTest, KVD, wait_until
from test_ca import HOUR, TestCa
from tls_cluster import KVCTL, TlsCluster

INVALID_TOKEN = ("UNAUTHENTICATED", "etcdserver: invalid auth token")
DENIED = ("PERMISSION_DENIED", "etcdserver: permission denied")
NOBODY = ("INVALID_ARGUMENT", "etcdserver: user name is empty")


class Certificates(TlsCluster):
    def refused(self, member, identity, told, logged):
        """kvctl says `told`, the member's log `logged`, and etcdctl gets no further either."""
        for program in (KVCTL, "etcdctl"):
            seen = len(member.log())
            limit = [] if program is KVCTL else ["--command-timeout=1s"]  # which is how long etcdctl tries
            done = self.ctl(*limit, "put", "a", "changed", program=program, identity=identity, members=[member])
            self.assertNotEqual(done.returncode, 0, done)
            if program is KVCTL:
                self.assertIn(told, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            wait_until(f"the log says {logged}", lambda: logged in member.log()[seen:])

    def unchanged(self, member):
        self.assertEqual(self.ctl("get", "a", members=[member]).stdout, "a\n1\n")

    def test_of_clients(self):
        revoked = self.ca.issue("revoked")
        crl = self.ca.write_crl([revoked[0]])
        member, = self.cluster(1, self.files() + self.files("peer-") + ["--client-crl-file", str(crl)])
        self.start([member])
        self.assertEqual(self.ctl("put", "a", "1").stdout, "OK\n")
        stranger = TestCa(pathlib.Path(self.folder, "stranger"), "stranger")
        namesake = TestCa(pathlib.Path(self.folder, "namesake"))  # the CA's name, another key
        for identity, told, logged in (
                (self.ca.issue("old", start=-2 * HOUR, end=-HOUR), "certificate expired", "certificate has expired (CN=old)"),
                (self.ca.issue("early", start=HOUR, end=2 * HOUR), "bad certificate", "certificate is not yet valid (CN=early)"),
                (stranger.issue("other"), "unknown CA", "unable to get local issuer certificate (CN=other)"),
                (namesake.issue("twin"), "refused", "certificate signature failure (CN=twin)"),
                (revoked, "certificate revoked", "certificate revoked (CN=revoked)")):
            self.refused(member, identity, told, logged)
        self.unchanged(member)
        # One that is revoked while the member runs.
        later = self.ca.issue("later")
        self.assertEqual(self.ctl("get", "a", identity=later, program=KVCTL).stdout, "a\n1\n")
        self.ca.write_crl([revoked[0], later[0]])
        self.refused(member, later, "certificate revoked", "certificate revoked (CN=later)")
        self.unchanged(member)

    def test_of_clients_by_name(self):
        member, = self.cluster(1, self.files() + self.files("peer-") + ["--client-cert-allowed-hostname", "good.example"])
        self.client = self.ca.issue("good", dns=["good.example"])
        self.start([member])
        self.assertEqual(self.ctl("put", "a", "1").stdout, "OK\n")
        self.refused(member, self.ca.issue("bad", dns=["bad.example"]), "refused",
                     "certificate is valid for DNS:bad.example; allowed: good.example")
        self.unchanged(member)

    def test_of_servers(self):
        good = self.server
        stranger = TestCa(pathlib.Path(self.folder, "stranger"), "stranger")
        member, = self.cluster(1)
        self.start([member])
        self.assertEqual(self.ctl("put", "a", "1").stdout, "OK\n")
        # The files are replaced under the running member, which takes them up.
        for told, ca, names in (
                ("certificate has expired", self.ca, {"ips": ["127.0.0.1"], "start": -2 * HOUR, "end": -HOUR}),
                ("certificate is valid for IP:10.9.8.7, not 127.0.0.1", self.ca, {"ips": ["10.9.8.7"]}),
                ("certificate is valid for DNS:elsewhere.example, not 127.0.0.1", self.ca, {"dns": ["elsewhere.example"]}),
                ("unable to get local issuer certificate", stranger, {"ips": ["127.0.0.1"]})):
            cert, key = ca.issue("other-server", **names)
            good[0].write_bytes(cert.read_bytes())
            good[1].write_bytes(key.read_bytes())
            self.refused(member, None, told, "the other side refused")
        self.ca.issue("server", ips=["127.0.0.1"])
        self.unchanged(member)

    def test_of_peers(self):
        stranger = TestCa(pathlib.Path(self.folder, "stranger"), "stranger")
        revoked = self.ca.issue("revoked", ips=["127.0.0.1"])
        crl = self.ca.write_crl([revoked[0]])
        flags = self.files() + self.files("peer-") + ["--peer-crl-file", str(crl)]
        bad = {
            "certificate has expired": self.ca.issue("old", ips=["127.0.0.1"], start=-2 * HOUR, end=-HOUR),
            "unable to get local issuer certificate": stranger.issue("other", ips=["127.0.0.1"]),
            "certificate revoked": revoked,
        }
        members = self.cluster(3, flags)
        self.start(members)
        self.assertEqual(self.ctl("put", "a", "1").stdout, "OK\n")
        good, odd = members[:2], members[2]
        command = list(odd.command)
        for cause, (cert, key) in bad.items():
            odd.stop()
            seen = [len(m.log()) for m in good]
            odd.command = command + ["--peer-cert-file", str(cert), "--peer-key-file", str(key)]
            odd.start()
            wait_until(f"a log says {cause}", lambda: any(cause in m.log()[n:] for m, n in zip(good, seen)))
            self.assertNotEqual(self.ctl("put", "a", "changed", members=[odd]).returncode, 0)
            wait_until("the others serve", lambda: self.ctl("put", "b", "1", members=good).returncode == 0)
        odd.stop()
        odd.command = command
        odd.start()
        wait_until("with a good one it is back", lambda: self.ctl("get", "b", members=[odd]).stdout == "b\n1\n", 30)
        self.unchanged(odd)


class Users(ClusterTest):
    """root, and jane and jim, who may read and write r/."""

    size = 3
    flags = ("--auth-token-ttl", "3")

    def setUp(self):
        super().setUp()
        a = self.cluster.members[0]
        a.call("Auth", "UserAdd", name="root", password="rootpw")
        a.call("Auth", "RoleAdd", name="root")
        a.call("Auth", "UserGrantRole", user="root", role="root")
        a.call("Auth", "RoleAdd", name="r")
        self.permit(a, b"r/", b"r0")
        for name in ("jane", "jim"):
            a.call("Auth", "UserAdd", name=name, password="pw")
            a.call("Auth", "UserGrantRole", user=name, role="r")
        a.call("Auth", "AuthEnable")
        self.root = self.log_in("root", "rootpw")

    def permit(self, member, key, end, **more):
        permission = API.modules["auth"].Permission(permType=2, key=key, range_end=end)
        call(member, None if not more else more["token"], "Auth", "RoleGrantPermission", name="r", perm=permission)

    def log_in(self, name, password):
        return self.cluster.members[0].call("Auth", "Authenticate", 20, name=name, password=password).token

    def refused(self, expected, token, service, method, logged=False, **fields):
        for member in self.cluster.members:
            seen = len(member.log())
            with self.assertRaises(grpc.RpcError) as caught:
                call(member, token, service, method, **fields)
            self.assertEqual((caught.exception.code().name, caught.exception.details()), expected, (method, fields))
            if logged:  # many at once are not all
                wait_until("the log says so", lambda: re.search(
                    rf'refused call method=\S+/{method} remote=\S+ error="{expected[1]}"', member.log()[seen:]))

    def revision(self):
        return call(self.cluster.members[0], self.log_in("root", "rootpw"), "KV", "Range", key=b"x").header.revision

    def test_tokens_that_are_none_or_no_longer(self):
        jane, jim = self.log_in("jane", "pw"), self.log_in("jim", "pw")
        call(self.cluster.members[0], jane, "KV", "Put", key=b"r/a", value=b"1")
        before = self.revision()
        put = {"key": b"r/a", "value": b"changed"}
        for forged in ("x", "x.1", "x.999999999", jane[:-1], jane.split(".")[0] + ".1", jane.upper() + "." + jane, "a" * 5000):
            self.refused(INVALID_TOKEN, forged, "KV", "Put", logged=forged == "x", **put)
        self.refused(NOBODY, None, "KV", "Put", **put)
        # Of a user who is deleted, and of one whose password changes.
        call(self.cluster.members[1], self.log_in("root", "rootpw"), "Auth", "UserDelete", name="jim")
        time.sleep(1)  # the log says no more than so many refusals a second
        self.refused(INVALID_TOKEN, jim, "KV", "Put", logged=True, **put)
        call(self.cluster.members[1], self.log_in("root", "rootpw"), "Auth", "UserChangePassword", name="jane", password="new")
        self.refused(INVALID_TOKEN, jane, "KV", "Put", **put)
        # One that has run out: unused for its time on every member.
        jane = self.log_in("jane", "new")
        call(self.cluster.members[2], jane, "KV", "Range", key=b"r/a")
        time.sleep(8)
        self.refused(INVALID_TOKEN, jane, "KV", "Put", logged=True, **put)
        self.assertEqual(self.revision(), before)
        for name, password in (("jane", "pw"), ("jim", "pw"), ("nobody", "x"), ("", "")):
            self.assertRaisesRegex(grpc.RpcError, "authentication failed, invalid user ID or password", self.log_in, name, password)
        self.assertRegex(self.cluster.members[0].log(), r'refused login user=jane remote=\S+ error="wrong password"')

    def test_a_request_that_straddles_the_boundary(self):
        rpc = API.rpc
        jane = self.log_in("jane", "pw")
        a = self.cluster.members[0]
        call(a, self.root, "KV", "Put", key=b"secret", value=b"1")
        call(a, self.root, "KV", "Put", key=b"r/a", value=b"1")
        call(a, self.root, "Lease", "LeaseGrant", TTL=600, ID=9)
        call(a, self.root, "KV", "Put", key=b"s", value=b"1", lease=9)
        before = self.revision()

        def op(**fields):
            return rpc.RequestOp(**fields)

        mine, other = rpc.PutRequest(key=b"r/b", value=b"2"), rpc.PutRequest(key=b"secret", value=b"2")
        nested = rpc.TxnRequest(success=[op(request_put=mine), op(request_put=other)])
        for service, method, fields in (
                ("KV", "Range", {"key": b"r/", "range_end": b"r1"}),
                ("KV", "Range", {"key": b"r", "range_end": b"r0"}),
                ("KV", "Range", {"key": b"r/", "range_end": b"\0"}),
                ("KV", "Range", {"key": b"r/", "range_end": b"s", "count_only": True}),
                ("KV", "Range", {"key": b"r/", "range_end": b"s", "serializable": True}),
                ("KV", "DeleteRange", {"key": b"r/", "range_end": b"s0"}),
                ("KV", "Put", {"key": b"r0", "value": b"2"}),
                ("KV", "Txn", {"success": [op(request_put=mine), op(request_put=other)]}),
                ("KV", "Txn", {"success": [op(request_put=mine)], "failure": [op(request_put=other)]}),
                ("KV", "Txn", {"success": [op(request_put=mine), op(request_range=rpc.RangeRequest(key=b"r/", range_end=b"s"))]}),
                ("KV", "Txn", {"success": [op(request_txn=nested)]}),
                ("KV", "Txn", {"compare": [rpc.Compare(key=b"secret", target=3, value=b"1")], "success": [op(request_put=mine)]}),
                ("KV", "Put", {"key": b"r/a", "value": b"2", "lease": 9}),
                ("Lease", "LeaseRevoke", {"ID": 9}),
                ("Lease", "LeaseTimeToLive", {"ID": 9, "keys": True})):
            self.refused(DENIED, jane, service, method, logged=method == "Range" and "serializable" in fields, **fields)
        self.assertEqual(self.revision(), before)
        self.assertEqual(call(a, self.log_in("root", "rootpw"), "KV", "Range", key=b"secret").kvs[0].value, b"1")

    def test_a_right_that_is_taken_away_is_gone_when_that_is_answered(self):
        """Asked before a request is proposed, and again when it is applied: no write slips in between."""
        stop, wrong, done = threading.Event(), [], [0, 0]
        may = [True]  # what jane may for certain: True, False, or None while it changes
        a, b, c = self.cluster.members

        def write(member, index):
            token = self.log_in("jane", "pw")
            while not stop.is_set():
                expected = may[0]
                try:
                    call(member, token, "KV", "Put", key=b"r/x", value=b"1")
                    done[index] += 1
                    if expected is False and may[0] is False:
                        wrong.append("written without the right")
                except grpc.RpcError as error:
                    if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                        token = self.log_in("jane", "pw")
                    elif error.code() != grpc.StatusCode.PERMISSION_DENIED:
                        wrong.append(error.details())
                    elif expected is True and may[0] is True:
                        wrong.append("refused with the right")

        threads = [threading.Thread(target=write, args=(m, i), daemon=True) for i, m in enumerate((b, c))]
        for t in threads:
            t.start()
        try:
            for _ in range(8):
                seen = list(done)
                wait_until("both write", lambda: all(x > y + 3 for x, y in zip(done, seen)), 30)
                root = self.log_in("root", "rootpw")
                may[0] = None
                call(a, root, "Auth", "RoleRevokePermission", role="r", key=b"r/", range_end=b"r0")
                may[0] = False
                before = self.revision()
                time.sleep(0.3)
                self.assertEqual(self.revision(), before)
                may[0] = None
                self.permit(a, b"r/", b"r0", token=self.log_in("root", "rootpw"))
                may[0] = True
        finally:
            stop.set()
            for t in threads:
                t.join(20)
        self.assertEqual(wrong, [])

    def test_a_watch_and_its_user(self):
        """Beyond the grant there is no watch, and none without a token; the store stays as it is."""
        jane = self.log_in("jane", "pw")
        for token, key, end, said in ((jane, b"r/", b"s", "permission denied"), (jane, b"r/a", b"\0", "permission denied"),
                                      (None, b"r/", b"r0", "user name is empty")):
            for member in self.cluster.members:
                watch = watch_as(member, token, key, end)
                response = next(watch)
                self.assertTrue(response.canceled, (key, end))
                self.assertIn(said, response.cancel_reason)
                watch.cancel()


def call(member, token, service, method, seconds=20, **fields):
    m = API.methods[(service, method)]
    member.healthy() if member._channel is None else None
    stub = member._channel.unary_unary(
        m.path, request_serializer=m.request.SerializeToString, response_deserializer=m.response.FromString)
    return stub(m.request(**fields), timeout=seconds, metadata=(("token", token),) if token else None)


def watch_as(member, token, key, end):
    m = API.methods[("Watch", "Watch")]
    stub = member._channel.stream_stream(
        m.path, request_serializer=m.request.SerializeToString, response_deserializer=m.response.FromString)
    create = API.rpc.WatchRequest(create_request=API.rpc.WatchCreateRequest(key=key, range_end=end))
    return stub(iter([create]), timeout=20, metadata=(("token", token),) if token else None)


class ConfigFile(unittest.TestCase):
    def test_a_typo_is_named_and_nothing_is_made(self):
        with tempfile.TemporaryDirectory() as folder:
            file, data = pathlib.Path(folder, "kvd.yml"), pathlib.Path(folder, "data")
            for text, said in (
                    ("snapshot-cuont: 5", 'kvd.yml:2: unknown key "snapshot-cuont"; did you mean "snapshot-count"?'),
                    ("snapshot-count: many", "snapshot-count"),
                    ("client-transport-security:\n  cert-fil: x", 'kvd.yml:3: unknown key "cert-fil"; did you mean "cert-file"?'),
                    ("name: [", "kvd.yml:"),
                    ("listen-client-urls: 127.0.0.1:2379", "listen-client-urls")):
                file.write_text(f"data-dir: {data}\n{text}\n")
                done = subprocess.run([KVD, "--config-file", str(file)], capture_output=True, text=True, timeout=20,
                                      stdin=subprocess.DEVNULL)
                self.assertNotEqual(done.returncode, 0, text)
                self.assertIn(said, done.stdout + done.stderr)
                self.assertLess(len((done.stdout + done.stderr).splitlines()), 8)
                self.assertFalse(data.exists(), text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
