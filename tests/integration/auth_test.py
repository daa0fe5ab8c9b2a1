"""Tokens: JSON Web Tokens from end to end, and simple ones that are shown to a member that lags."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import grpc

from harness import API, KVD, Cluster, ClusterTest, short_channel

KVCTL = os.environ.get("KEEL_KVCTL", os.path.join(os.path.dirname(KVD), "kvctl"))
INVALID = (grpc.StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token")
OLD = (grpc.StatusCode.INVALID_ARGUMENT, "etcdserver: revision of auth store is old")


def encode(data):
    if not isinstance(data, bytes):
        data = json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def hs256(header, claims, secret):
    text = f"{encode(header)}.{encode(claims)}"
    return f"{text}.{encode(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def rs256(header, claims, key):
    text = f"{encode(header)}.{encode(claims)}"
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text.encode(),
                               stdout=subprocess.PIPE, check=True).stdout
    return f"{text}.{encode(signature)}"


def enable(member):
    """Users root and jane, who may write under j/; returns root's token."""
    permission = API.modules["auth"].Permission(permType=2, key=b"j/", range_end=b"j0")
    call = member.call
    for user in ("root", "jane"):
        call("Auth", "UserAdd", name=user, password=user + "pw")
    call("Auth", "RoleAdd", name="root")
    call("Auth", "RoleAdd", name="r")
    call("Auth", "RoleGrantPermission", name="r", perm=permission)
    call("Auth", "UserGrantRole", user="root", role="root")
    call("Auth", "UserGrantRole", user="jane", role="r")
    call("Auth", "AuthEnable")
    return log_in(member, "root")


def log_in(member, user):
    return member.call("Auth", "Authenticate", 10.0, name=user, password=user + "pw").token


def call_as(member, token, service, method, **fields):
    m = API.methods[(service, method)]
    with short_channel(member.client) as channel:
        stub = channel.unary_unary(m.path, request_serializer=m.request.SerializeToString,
                                   response_deserializer=m.response.FromString)
        return stub(m.request(**fields), timeout=10, metadata=(("token", token),))


class JsonWebTokens(unittest.TestCase):
    def setUp(self):
        self.keys = tempfile.mkdtemp(prefix="keel-jwt-")
        self.clusters = []

    def tearDown(self):
        for cluster in self.clusters:
            cluster.stop()
            shutil.rmtree(cluster.directory, ignore_errors=True)
        shutil.rmtree(self.keys, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.keys, name)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def key_pair(self, method, name):
        """The flag's part that names the files."""
        private, public = self.path(name + ".key"), self.path(name + ".pub")
        if method.startswith("HS"):
            with open(private, "wb") as f:
                f.write(os.urandom(48))
            return f"priv-key={private}"
        if method.startswith("ES"):
            self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private)
            self.openssl("ec", "-in", private, "-pubout", "-out", public)
        else:
            self.openssl("genrsa", "-out", private, "2048")
            self.openssl("rsa", "-in", private, "-pubout", "-out", public)
        return f"pub-key={public},priv-key={private}"

    def serve(self, method, ttl, size=1):
        spec = f"jwt,{self.key_pair(method, method)},sign-method={method},ttl={ttl}"
        cluster = Cluster(size, ["--auth-token", spec])
        self.clusters.append(cluster)
        cluster.start()
        return cluster

    def refused(self, member, token, expected, what):
        with self.assertRaises(grpc.RpcError, msg=what) as caught:
            call_as(member, token, "KV", "Put", key=b"j/a", value=b"1")
        self.assertEqual((caught.exception.code(), caught.exception.details()), expected, what)

    def test_each_method_logs_clients_in_and_refuses_what_is_not_its_own(self):
        for method in ("RS256", "ES256", "HS256"):
            with self.subTest(method):
                member = self.serve(method, "60s").members[0]
                enable(member)
                token = log_in(member, "jane")
                header, claims, signature = token.split(".")
                self.assertEqual(decode(header)["alg"], method)
                self.assertEqual(decode(claims)["username"], "jane")
                call_as(member, token, "KV", "Put", key=b"j/a", value=b"1")
                with self.assertRaises(grpc.RpcError) as caught:
                    call_as(member, token, "KV", "Put", key=b"other", value=b"1")
                self.assertEqual(caught.exception.details(), "etcdserver: permission denied")

                endpoint = f"--endpoints={member.client}"
                for program in (KVCTL, "etcdctl"):
                    if shutil.which(program) is None:
                        continue
                    done = subprocess.run([program, endpoint, "--user", "jane:janepw", "put", "j/b", "2"],
                                          env={**os.environ, "ETCDCTL_API": "3"}, stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT, timeout=30)
                    self.assertEqual(done.returncode, 0, done.stdout)

                root = {**decode(claims), "username": "root"}
                forged = {
                    "another's name": f"{header}.{encode(root)}.{signature}",
                    "no algorithm": f"{encode({'alg': 'none', 'typ': 'JWT'})}.{claims}.",
                    "no algorithm, None": f"{encode({'alg': 'None', 'typ': 'JWT'})}.{claims}.",
                    "no signature": f"{header}.{claims}.",
                    "two parts": f"{header}.{claims}",
                    "another secret": hs256({"alg": method, "typ": "JWT"}, root, b"guessed"),
                    "not a token": "abc",
                    "a simple token": "abcdefgh.1",
                }
                if method == "RS256":
                    self.key_pair("RS256", "stranger")
                    forged["another key"] = rs256({"alg": method, "typ": "JWT"}, root, self.path("stranger.key"))
                    with open(self.path("RS256.pub"), "rb") as f:  # RFC 8725, 2.1
                        public = f.read()
                    forged["the public key as a secret"] = hs256({"alg": "HS256", "typ": "JWT"}, root, public)
                    forged["the same, said to be RS256"] = hs256({"alg": "RS256", "typ": "JWT"}, root, public)
                if method == "HS256":
                    with open(self.path("HS256.key"), "rb") as f:
                        secret = f.read()
                    forged["another method, the right secret"] = hs256({"alg": "HS384", "typ": "JWT"}, root, secret)
                    ran_out = {**decode(claims), "exp": int(time.time()) - 1}
                    forged["expired"] = hs256({"alg": "HS256", "typ": "JWT"}, ran_out, secret)
                for what, bad in forged.items():
                    self.refused(member, bad, INVALID, what)
                call_as(member, token, "KV", "Put", key=b"j/a", value=b"1")  # still good

    def test_a_token_ends_with_its_time_and_with_its_user(self):
        cluster = self.serve("ES256", "3s", size=3)
        member = cluster.members[0]
        root = enable(member)
        old = log_in(member, "jane")
        issued = time.monotonic()
        # Any member knows it without having seen it before; streams, too.
        for m in cluster.members:
            call_as(m, old, "KV", "Put", key=b"j/a", value=b"1")
        while time.monotonic() - issued < 4.1:  # exp counts whole seconds
            time.sleep(0.1)
        for m in cluster.members:
            self.refused(m, old, INVALID, "expired")
        root, jane = log_in(member, "root"), log_in(member, "jane")
        call_as(member, root, "Auth", "UserDelete", name="jane")
        for m in cluster.members:
            self.refused(m, jane, OLD, "of a user that is gone")
        # Made before users and roles changed: whoever logs in again goes on.
        self.refused(member, root, OLD, "of an old auth revision")
        with self.assertRaises(grpc.RpcError) as caught:
            log_in(member, "jane")
        self.assertEqual(caught.exception.details(),
                         "etcdserver: authentication failed, invalid user ID or password")
        call_as(member, log_in(member, "root"), "KV", "Put", key=b"j/a", value=b"2")

    def test_the_user_must_exist_whoever_signed(self):
        member = self.serve("HS256", "60s").members[0]
        enable(member)
        claims = decode(log_in(member, "root").split(".")[1])
        with open(self.path("HS256.key"), "rb") as f:
            secret = f.read()
        token = hs256({"alg": "HS256", "typ": "JWT"}, {**claims, "username": "nobody"}, secret)
        self.refused(member, token, (grpc.StatusCode.PERMISSION_DENIED, "etcdserver: permission denied"), "nobody")

    def test_a_key_that_does_not_fit_is_named_at_start(self):
        self.key_pair("RS256", "rsa")
        self.key_pair("ES256", "ec")
        for spec, text in (
                (f"jwt,priv-key={self.path('ec.key')},sign-method=RS256", "RS256"),
                (f"jwt,priv-key={self.path('none.key')},sign-method=RS256", "none.key"),
                (f"jwt,priv-key={self.path('rsa.key')},sign-method=none", "none"),
                (f"jwt,priv-key={self.path('rsa.key')}", "sign-method"),
                (f"jwt,priv-key={self.path('rsa.key')},sign-method=RS256,ttl=x", "ttl")):
            cluster = Cluster(1, ["--auth-token", spec])
            self.clusters.append(cluster)
            member = cluster.members[0].start()
            self.assertNotEqual(member.process.wait(20), 0, spec)
            self.assertIn(text, member.log(), spec)


class LaggingMember(ClusterTest):
    """A token that another member has just made is waited for, on every door."""
    size = 3

    def test_streams_wait_for_the_token(self):
        leader = self.cluster.leader()
        root = enable(leader)
        behind = next(m for m in self.cluster.members if m is not leader)
        call_as(behind, root, "KV", "Put", key=b"k", value=b"v")
        rpc = API.rpc
        lease = call_as(leader, root, "Lease", "LeaseGrant", TTL=60).ID

        def one(request, done):
            yield request
            done.wait(20)

        requests = {
            ("Maintenance", "Snapshot"): rpc.SnapshotRequest(),
            ("Watch", "Watch"): rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=b"k", start_revision=1)),
            ("Lease", "LeaseKeepAlive"): rpc.LeaseKeepAliveRequest(ID=lease),
            ("KV", "RangeStream"): rpc.RangeRequest(key=b"k"),
        }
        for (service, method), request in requests.items():
            m = API.methods[(service, method)]
            done = threading.Event()
            with short_channel(behind.client) as channel:
                grpc.channel_ready_future(channel).result(10)
                behind.pause()
                try:
                    # Its entry waits in the sockets of the one that does not run.
                    token = log_in(leader, "root")
                    kind = channel.stream_stream if m.client_streams else channel.unary_stream
                    stub = kind(m.path, request_serializer=m.request.SerializeToString,
                                response_deserializer=m.response.FromString)
                    call = stub(one(request, done) if m.client_streams else request, timeout=20,
                                metadata=(("token", token),))
                    time.sleep(0.3)
                finally:
                    behind.resume()
                first = next(iter(call))
                if method == "Watch":
                    self.assertTrue(first.created and not first.canceled, first)
                if method == "LeaseKeepAlive":
                    self.assertGreater(first.TTL, 0)
                done.set()
                call.cancel()
            # A token that nobody made is refused, in time.
            with short_channel(behind.client) as channel:
                kind = channel.stream_stream if m.client_streams else channel.unary_stream
                stub = kind(m.path, request_serializer=m.request.SerializeToString,
                            response_deserializer=m.response.FromString)
                call = stub(iter([request]) if m.client_streams else request, timeout=10,
                            metadata=(("token", "AbCdEfGhIjKlMnOp.99999999"),))
                if method == "Watch":
                    answer = next(iter(call))
                    self.assertTrue(answer.canceled)
                    self.assertIn("invalid auth token", answer.cancel_reason)
                else:
                    with self.assertRaises(grpc.RpcError) as caught:
                        next(iter(call))
                    self.assertEqual(caught.exception.details(), "etcdserver: invalid auth token", method)


if __name__ == "__main__":
    unittest.main(verbosity=2)
