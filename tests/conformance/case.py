"""Cases: what they are, and the context in which one runs against one server.

    @case("kv/put/replaces a value")
    def _(t):
        t.put("a", "1")
        t.put("a", "2", prev_kv=True)
        t.range("a")

Every call a case makes is a step: its request, and the code, the message and
the response (masked), are what is compared. A case begins on an empty store
without leases; revisions are counted from there.
"""

import http.client
import re
import subprocess

import grpc

from masking import Masks
from touched import Touched

CALL_SECONDS = 20
ALL_CASES = []
CTL_ENVIRONMENT = {"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"}


class Case:
    def __init__(self, name, function, sizes, flags, users):
        self.name = name
        self.function = function
        self.sizes = sizes
        self.flags = flags
        self.users = users


def case(name, sizes=(1, 3), flags=None, users=False):
    """Registers a case for clusters of the given sizes. With `flags` it gets a
    single member of its own, started with them. With `users` it switches
    authentication on itself, with root's password "rootpw", and is left out of
    runs that have it on already; what it made is taken away after it."""

    def register(function):
        if any(c.name == name for c in ALL_CASES):
            raise ValueError("two cases are called " + name)
        ALL_CASES.append(Case(name, function, sizes if flags is None else (1,), flags, users))
        return function

    return register


def raw(value):
    return value.encode() if isinstance(value, str) else value


def prefix_end(key):
    key = bytearray(raw(key))
    while key and key[-1] == 0xFF:
        key.pop()
    if not key:
        return b"\0"
    key[-1] += 1
    return bytes(key)


class Result:
    def __init__(self, code, message, response):
        self.code = code
        self.message = message
        self.response = response


class Context:
    """One run of one case. `steps` is what it has recorded: (label, lines)."""

    def __init__(self, api, cluster, etcdctl, number=0, touched=None):
        self.api = api
        self.cluster = cluster
        self.etcdctl_program = etcdctl
        self.steps = []
        self.masks = Masks()
        self.channels = {}
        self.leases_named = 0
        self.touched = Touched()  # of the preparation, which is no case's
        # The members as the case sees them: [0] serves its calls. The leader's
        # place among them goes by the number of the case, so that it is the
        # same for every target and followers are asked too.
        self.members = list(cluster.members)
        if len(self.members) > 1:
            leader = self.leader_name()
            self.members.sort(key=lambda m: m.name != leader)
            turn = len(self.members) - number % len(self.members)
            self.members = self.members[turn:] + self.members[:turn]
        for i, m in enumerate(self.members):
            self.masks.learn_word(m.client, "<client%d>" % (i + 1))
            self.masks.learn_word(m.peer, "<peer%d>" % (i + 1))
            self.masks.learn_word(m.name, "<name%d>" % (i + 1))
        self._prepare()
        self.touched = touched or Touched()

    # -- life ---------------------------------------------------------------

    def _prepare(self):
        listed = self.unrecorded("Cluster", "MemberList")
        self.masks.learn_id(listed.response.header.cluster_id, "<cluster>")
        self.member_ids = []
        for i, m in enumerate(self.members):
            member_id = [x.ID for x in listed.response.members if x.name == m.name][0]
            self.member_ids.append(member_id)
            self.masks.learn_id(member_id, "<member%d>" % (i + 1))
        for lease in self.unrecorded("Lease", "LeaseLeases").response.leases:
            self.unrecorded("Lease", "LeaseRevoke", ID=lease.ID)
        self.unrecorded("KV", "DeleteRange", key=b"\0", range_end=b"\0")
        revision = self.unrecorded("KV", "Range", key=b"x").response.header.revision
        while revision < 100:
            revision = self.unrecorded("KV", "Put", key=b"x").response.header.revision
            if revision == 100:
                revision = self.unrecorded("KV", "DeleteRange", key=b"x").response.header.revision
        self.masks.base_revision = revision

    def leader_name(self):
        leader = self.unrecorded("Maintenance", "Status").response.leader
        return [m.name for m in self.unrecorded("Cluster", "MemberList").response.members if m.ID == leader][0]

    def forget_users(self):
        """Switches authentication off and takes away every user, every role, and the history, which is
        not the same everywhere if one target refused what the other did."""
        token = None
        if self.unrecorded("Auth", "UserList").code != "OK":
            token = (("token", self.unrecorded("Auth", "Authenticate", name="root", password="rootpw").response.token),)
            self.unrecorded("Auth", "AuthDisable", metadata=token)
        for user in self.unrecorded("Auth", "UserList").response.users:
            self.unrecorded("Auth", "UserDelete", name=user)
        for role in self.unrecorded("Auth", "RoleList").response.roles:
            self.unrecorded("Auth", "RoleDelete", role=role)
        revision = self.unrecorded("KV", "Put", key=b"x").response.header.revision
        self.unrecorded("KV", "Compact", revision=revision)

    def peer_url(self, member):
        return self.cluster.peer_url(self.members[member])

    def close(self):
        for c in self.channels.values():
            c.close()

    def rev(self, offset):
        """The revision `offset` after the one at which the case began."""
        return self.masks.base_revision + offset

    def record(self, label, lines):
        self.steps.append(("%d %s" % (len(self.steps) + 1, label), [str(x) for x in lines]))

    def note(self, label, value):
        """Records something the case worked out, so that it is compared too."""
        self.record(label, [value])

    # -- gRPC ---------------------------------------------------------------

    def channel(self, member=0):
        address = self.members[member].client
        if address not in self.channels:
            self.channels[address] = self.cluster.access.channel(address, self.cluster.tokens)
        return self.channels[address]

    def unrecorded(self, service, method, member=0, timeout=CALL_SECONDS, request=None, metadata=None, **fields):
        m = self.api.methods[(service, method)]
        if request is None:
            request = m.request(**{k: raw(v) if isinstance(v, str) and self._is_bytes(m, k) else v for k, v in fields.items()})
        self.touched.request(request)
        kind = self.channel(member).unary_stream if m.server_streams else self.channel(member).unary_unary
        call = kind(m.path, request_serializer=m.request.SerializeToString, response_deserializer=m.response.FromString)
        try:
            response = call(request, timeout=timeout, metadata=metadata)
            result = Result("OK", "", list(response) if m.server_streams else response)
        except grpc.RpcError as e:
            result = Result(e.code().name, e.details(), None)
        self.touched.outcome(service, method, result.code)
        return result

    @staticmethod
    def _is_bytes(method, field):
        f = method.request.DESCRIPTOR.fields_by_name[field]
        return f.type == f.TYPE_BYTES

    def call(self, service, method, member=0, request=None, timeout=CALL_SECONDS, metadata=None, **fields):
        """Makes a call and records its request, code, message and response."""
        m = self.api.methods[(service, method)]
        if request is None:
            request = m.request(**{k: raw(v) if isinstance(v, str) and self._is_bytes(m, k) else v for k, v in fields.items()})
        result = self.unrecorded(service, method, member, timeout, request, metadata)
        shown = " ".join(x.replace(" = ", "=") for x in self.masks.message(request))
        label = "%s.%s{%s}" % (service, method, shown[:300]) + (" at member%d" % (member + 1) if member else "")
        self._learn(result.response)
        self.record(label, self._lines(result))
        return result

    def _lines(self, result):
        if result.code != "OK":
            return ["code = " + result.code, "message = " + self.masks.text(result.message)]
        responses = result.response if isinstance(result.response, list) else [result.response]
        lines = ["code = OK"]
        for r in responses:
            lines += self.masks.message(r)
        return lines

    def _learn(self, response):
        if response is not None and type(response).__name__ == "LeaseGrantResponse" and response.ID:
            self.name_lease(response.ID)

    def name_lease(self, lease_id):
        # A chosen id is small and is compared as it is; the server's are large.
        if lease_id > 1 << 40 and not self.masks.known(lease_id):
            self.leases_named += 1
            self.masks.learn_id(lease_id, "<lease%d>" % self.leases_named)

    # -- the calls that most cases are made of -------------------------------

    def range(self, key, end=b"", **fields):
        return self.call("KV", "Range", key=raw(key), range_end=raw(end), **fields)

    def prefix(self, key, **fields):
        return self.range(key, prefix_end(key), **fields)

    def put(self, key, value="", **fields):
        return self.call("KV", "Put", key=raw(key), value=raw(value), **fields)

    def delete(self, key, end=b"", **fields):
        return self.call("KV", "DeleteRange", key=raw(key), range_end=raw(end), **fields)

    def txn(self, compare=(), success=(), failure=(), **fields):
        request = self.api.TxnRequest(compare=list(compare), success=list(success), failure=list(failure))
        return self.call("KV", "Txn", request=request, **fields)

    def compact(self, revision, **fields):
        return self.call("KV", "Compact", revision=revision, **fields)

    def grant(self, ttl, lease_id=0, **fields):
        return self.call("Lease", "LeaseGrant", TTL=ttl, ID=lease_id, **fields)

    # -- parts of transactions -----------------------------------------------

    def op_range(self, key, end=b"", **fields):
        return self.api.RequestOp(request_range=self.api.RangeRequest(key=raw(key), range_end=raw(end), **fields))

    def op_put(self, key, value="", **fields):
        return self.api.RequestOp(request_put=self.api.PutRequest(key=raw(key), value=raw(value), **fields))

    def op_delete(self, key, end=b"", **fields):
        return self.api.RequestOp(request_delete_range=self.api.DeleteRangeRequest(key=raw(key), range_end=raw(end), **fields))

    def op_txn(self, compare=(), success=(), failure=()):
        return self.api.RequestOp(request_txn=self.api.TxnRequest(compare=list(compare), success=list(success), failure=list(failure)))

    def compare(self, key, target, result, operand, end=b""):
        c = self.api.Compare
        fields = {"VERSION": "version", "CREATE": "create_revision", "MOD": "mod_revision", "VALUE": "value", "LEASE": "lease"}
        made = c(key=raw(key), range_end=raw(end), target=c.CompareTarget.Value(target), result=c.CompareResult.Value(result))
        if operand is not None:
            setattr(made, fields[target], raw(operand))
        return made

    # -- etcdctl --------------------------------------------------------------

    def endpoints(self, members=(0,)):
        return ",".join(self.members[i].client for i in members)

    def ctl(self, *args, stdin="", members=(0,), endpoints=None, sort=False, timeout=30):
        """Runs etcdctl and records its exit code and what it printed."""
        try:
            done = subprocess.run(self.ctl_command(args, endpoints or self.endpoints(members)), input=stdin.encode(),
                                  capture_output=True, timeout=timeout, env=CTL_ENVIRONMENT)
            code, out, err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as e:
            code, out, err = "none within %d s" % timeout, e.stdout or b"", e.stderr or b""
        self.touched.command(args, code)
        self.record(self.ctl_label(args, stdin), self.printed(code, out, err, sort))
        return out.decode(errors="replace")

    def ctl_command(self, args, endpoints):
        return [self.etcdctl_program, "--endpoints", endpoints, *self.cluster.access.ctl_flags(args), *args]

    def ctl_label(self, args, stdin=""):
        label = "etcdctl " + " ".join(a if a else "''" for a in args) + (" <<< %r" % stdin if stdin else "")
        label = re.sub(r"(--rev[= ]|compaction |--watch-start-revision[= ])(\d+)",
                       lambda m: m.group(1) + self.masks.revision(int(m.group(2))), label)
        return self.masks.text(label)

    def printed(self, code, out, err, sort=False):
        out = out.decode(errors="backslashreplace")
        for granted in re.findall(r"lease ([0-9a-f]{16}) granted", out):
            self.name_lease(int(granted, 16))
        for granted in re.findall(r'"(?:ID|id)"(?: : |:)(\d{17,20})\b', out):
            self.name_lease(int(granted))
        lines = self.masks.json_lines(out) if out.startswith(("{", "[")) else None
        if lines is None:
            lines = self.masks.printed(out)
        if sort:
            lines = sorted(lines)
        err_lines = self.masks.printed(err.decode(errors="backslashreplace"))
        return ["exit = %s" % code] + ["out: " + x for x in lines] + ["err: " + x for x in err_lines]

    # -- HTTP -----------------------------------------------------------------

    def http_connection(self):
        return self.cluster.access.http_connection(self.members[0].client, CALL_SECONDS)

    def http_headers(self, path):
        return self.cluster.access.headers(path, self.cluster.tokens)

    def socket(self, seconds, alpn="http/1.1"):
        return self.cluster.access.connection(self.members[0].client, seconds, alpn)

    def http(self, method, path, body=None, headers=None, show_body=True, masked=None):
        """One HTTP/1.1 request to the client port. `masked` rewrites the body's lines."""
        connection = self.http_connection()
        try:
            connection.request(method, path, body=body, headers={**self.http_headers(path), **(headers or {})})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            lines = ["status = %d" % answer.status, "content-type = %s" % answer.getheader("Content-Type")]
            if show_body:
                lines += ["body: " + x for x in (masked(text) if masked else self.masks.text(text).splitlines())]
        except (OSError, http.client.HTTPException) as e:
            text, lines = "", ["failed: " + type(e).__name__]
        finally:
            connection.close()
        self.record("HTTP %s %s" % (method, path), lines)
        return text
