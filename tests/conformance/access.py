"""How a cluster under test is reached: in plain text or over TLS, by anybody or by users.

    access = Access(tls=True, auth=True)
    cluster = Cluster(api, program, 3, access=access).start()
    access.channel(cluster.members[0].client, cluster.tokens)  # as the suite's user, or as root where only root may

Over TLS both clients and members show certificates, of a CA of the run's own. With
auth, `everyone` may read and write all keys through a role (so that each request's
permission is really looked up, which root's is not), and root does what only root may.
"""

import collections
import http.client
import pathlib
import shutil
import socket
import ssl
import sys
import tempfile

import grpc

from api import CHANNEL_OPTIONS, short_channel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

ROOT, EVERYONE = ("root", "rootpw"), ("everyone", "everyonepw")
ROOT_SERVICES = ("Cluster", "Maintenance", "Auth")
ROOT_PATHS = ("/v3/cluster/", "/v3/maintenance/", "/v3/auth/", "/v3/kv/compaction")
ROOT_VERBS = ("alarm", "auth", "check", "compaction", "defrag", "endpoint", "member", "move-leader", "role", "snapshot", "user")


class Access:
    def __init__(self, tls=False, auth=False):
        self.tls, self.auth = tls, auth
        self.scheme = "https" if tls else "http"
        self.folder = None
        if tls:
            from test_ca import TestCa

            self.folder = pathlib.Path(tempfile.mkdtemp(prefix="conformance-tls-"))
            self.ca = TestCa(self.folder)
            self.server = self.ca.issue("server", ips=["127.0.0.1"])
            self.client = self.ca.issue("client", cn="nobody known")
            # etcd's gateway turns away who shows a common name while authentication is on.
            self.nameless = self.ca.issue("nameless", cn="")

    def close(self):
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # -- what programs are started with ---------------------------------------

    def server_flags(self):
        flags = ["--auth-token-ttl", "3600"] if self.auth else []
        if self.tls:
            for prefix in ("", "peer-"):
                flags += ["--%scert-file" % prefix, str(self.server[0]), "--%skey-file" % prefix, str(self.server[1]),
                          "--%strusted-ca-file" % prefix, str(self.ca.file), "--%sclient-cert-auth" % prefix]
        return flags

    def ctl_flags(self, args):
        flags = []
        if self.tls:
            flags = ["--cacert", str(self.ca.file), "--cert", str(self.client[0]), "--key", str(self.client[1])]
        if self.auth and "--user" not in args:
            verb = next((a for a in args if not a.startswith("-")), "")
            flags += ["--user", ":".join(ROOT if verb in ROOT_VERBS else EVERYONE)]
        return flags

    # -- connections ------------------------------------------------------------

    def bare_channel(self, address):
        """One that brings no token of its own."""
        if not self.tls:
            return short_channel(address)
        credentials = grpc.ssl_channel_credentials(
            self.ca.file.read_bytes(), self.client[1].read_bytes(), self.client[0].read_bytes())
        return grpc.secure_channel(address, credentials, options=CHANNEL_OPTIONS)

    def channel(self, address, tokens=None):
        """With `tokens`, a call that brings none is made as `everyone`, or as root where only root may."""
        bare = self.bare_channel(address)
        return grpc.intercept_channel(bare, _Tokens(tokens)) if tokens else bare

    def _context(self, alpn):
        context = ssl.create_default_context(cafile=str(self.ca.file))
        context.load_cert_chain(str(self.nameless[0]), str(self.nameless[1]))
        context.set_alpn_protocols([alpn])
        return context

    def http_connection(self, address, seconds):
        host, port = address.split(":")
        if self.tls:
            return http.client.HTTPSConnection(host, int(port), timeout=seconds, context=self._context("http/1.1"))
        return http.client.HTTPConnection(host, int(port), timeout=seconds)

    def connection(self, address, seconds, alpn="http/1.1"):
        """A socket, within TLS where that is on."""
        host, port = address.split(":")
        made = socket.create_connection((host, int(port)), timeout=seconds)
        return self._context(alpn).wrap_socket(made, server_hostname=host) if self.tls else made

    @staticmethod
    def headers(path, tokens):
        """Headers that an HTTP request for `path` needs."""
        if not tokens:
            return {}
        return {"Authorization": tokens["root" if path.startswith(ROOT_PATHS) else "everyone"]}

    # -- users ------------------------------------------------------------------

    def switch_on_auth(self, call):
        """Makes the users and switches authentication on; returns their tokens.

        call(service, method, **fields) makes one call that must succeed."""
        call("Auth", "UserAdd", name=ROOT[0], password=ROOT[1])
        call("Auth", "RoleAdd", name="root")
        call("Auth", "UserGrantRole", user="root", role="root")
        call("Auth", "UserAdd", name=EVERYONE[0], password=EVERYONE[1])
        call("Auth", "RoleAdd", name="everything")
        call("Auth", "RoleGrantPermission", name="everything", perm={"permType": 2, "key": b"\0", "range_end": b"\0"})
        call("Auth", "UserGrantRole", user=EVERYONE[0], role="everything")
        call("Auth", "AuthEnable")
        return {name: call("Auth", "Authenticate", name=name, password=password).token
                for name, password in (ROOT, EVERYONE)}


class _Details(collections.namedtuple("_Details", "method timeout metadata credentials wait_for_ready compression"),
               grpc.ClientCallDetails):
    pass


class _Tokens(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
              grpc.StreamUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    def __init__(self, tokens):
        self.tokens = tokens

    def _with_token(self, proceed, details, request):
        metadata = list(details.metadata or ())
        if not any(k in ("token", "authorization") for k, _ in metadata):
            method = details.method.decode() if isinstance(details.method, bytes) else details.method
            service = method.split("/")[1].rsplit(".", 1)[-1] if method.count("/") == 2 else ""
            root = service in ROOT_SERVICES or method.endswith("KV/Compact")
            metadata.append(("token", self.tokens["root" if root else "everyone"]))
        return proceed(_Details(details.method, details.timeout, metadata, details.credentials,
                                details.wait_for_ready, details.compression), request)

    intercept_unary_unary = intercept_unary_stream = _with_token
    intercept_stream_unary = intercept_stream_stream = _with_token
