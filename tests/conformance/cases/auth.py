"""Users, roles, permissions and tokens: every Auth RPC, and what a limited user may do."""

import time

import streams
from case import case

READ, WRITE, READWRITE = 0, 1, 2


class Users:
    """The calls of the case in the name of one user after another."""

    def __init__(self, t):
        self.t = t
        self.tokens = {}

    def add(self, name, password, *roles, **fields):
        call = self.t.call
        call("Auth", "UserAdd", name=name, password=password, metadata=self.as_("root"), **fields)
        for role in roles:
            call("Auth", "UserGrantRole", user=name, role=role, metadata=self.as_("root"))

    def role(self, name, *permissions):
        self.t.call("Auth", "RoleAdd", name=name, metadata=self.as_("root"))
        for kind, key, end in permissions:
            self.permit(name, kind, key, end)

    def permit(self, role, kind, key, end=b""):
        permission = self.t.api.modules["auth"].Permission(permType=kind, key=key, range_end=end)
        request = self.t.api.AuthRoleGrantPermissionRequest(name=role, perm=permission)
        self.t.call("Auth", "RoleGrantPermission", request=request, metadata=self.as_("root"))

    def enable(self):
        self.t.call("Auth", "UserAdd", name="root", password="rootpw")
        self.t.call("Auth", "RoleAdd", name="root")
        self.t.call("Auth", "UserGrantRole", user="root", role="root")
        self.t.call("Auth", "AuthEnable")
        self.log_in("root", "rootpw")

    def log_in(self, name, password):
        got = self.t.unrecorded("Auth", "Authenticate", name=name, password=password)
        self.t.note("%s logs in" % name, "%s %s token=%s" % (got.code, got.message, bool(got.response and got.response.token)))
        if got.response:
            self.tokens[name] = got.response.token

    def as_(self, name):
        return (("token", self.tokens[name]),) if name in self.tokens else None


@case("auth/users", users=True)
def _(t):
    call = t.call
    call("Auth", "UserAdd", name="jane", password="x")
    call("Auth", "UserAdd", name="jane", password="x")
    call("Auth", "UserAdd", name="empty", password="")
    request = t.api.AuthUserAddRequest(name="cert", options=t.api.modules["auth"].UserAddOptions(no_password=True))
    call("Auth", "UserAdd", request=request)
    call("Auth", "UserGet", name="jane")
    call("Auth", "UserList")
    call("Auth", "RoleAdd", name="b")
    call("Auth", "RoleAdd", name="a")
    call("Auth", "UserGrantRole", user="jane", role="b")
    call("Auth", "UserGrantRole", user="jane", role="a")
    call("Auth", "UserGrantRole", user="jane", role="a")
    call("Auth", "UserGrantRole", user="jane", role="none")
    call("Auth", "UserGrantRole", user="nobody", role="a")
    call("Auth", "UserGrantRole", user="jane", role="root")
    call("Auth", "UserGet", name="jane")
    call("Auth", "UserRevokeRole", name="jane", role="root")
    call("Auth", "UserRevokeRole", name="jane", role="root")
    call("Auth", "UserRevokeRole", name="nobody", role="a")
    call("Auth", "UserChangePassword", name="jane", password="y")
    call("Auth", "UserChangePassword", name="nobody", password="y")
    call("Auth", "UserChangePassword", name="cert", password="y")
    call("Auth", "RoleDelete", role="b")
    call("Auth", "UserGet", name="jane")
    call("Auth", "UserDelete", name="jane")
    call("Auth", "UserDelete", name="jane")
    call("Auth", "UserList")


@case("auth/roles", users=True)
def _(t):
    call = t.call
    users = Users(t)
    call("Auth", "RoleAdd", name="")
    call("Auth", "RoleAdd", name="r")
    call("Auth", "RoleAdd", name="r")
    call("Auth", "RoleGrantPermission", request=t.api.AuthRoleGrantPermissionRequest(name="none", perm=t.api.modules["auth"].Permission(key=b"a")))
    users.permit("r", READ, b"b", b"c")
    users.permit("r", WRITE, b"a")
    users.permit("r", READWRITE, b"z", b"\0")
    call("Auth", "RoleGet", role="r")
    users.permit("r", READWRITE, b"b", b"c")
    call("Auth", "RoleGet", role="r")
    call("Auth", "RoleRevokePermission", role="r", key="b")
    call("Auth", "RoleRevokePermission", role="r", key="b", range_end="c")
    call("Auth", "RoleRevokePermission", role="none", key="b")
    call("Auth", "RoleGet", role="r")
    call("Auth", "RoleAdd", name="root")
    call("Auth", "RoleGet", role="root")
    call("Auth", "RoleList")
    call("Auth", "RoleDelete", role="r")
    call("Auth", "RoleDelete", role="r")
    call("Auth", "RoleList")


@case("auth/on and off", users=True)
def _(t):
    call = t.call
    call("Auth", "AuthEnable")
    call("Auth", "UserAdd", name="root", password="rootpw")
    call("Auth", "AuthEnable")
    call("Auth", "Authenticate", name="root", password="rootpw")
    call("Auth", "RoleAdd", name="root")
    call("Auth", "UserGrantRole", user="root", role="root")
    call("Auth", "AuthEnable")
    call("Auth", "AuthEnable")
    t.range("a")
    t.put("a")
    call("Auth", "Authenticate", name="root", password="wrong")
    call("Auth", "Authenticate", name="nobody", password="wrong")
    call("Auth", "Authenticate", name="root", password="")
    users = Users(t)
    users.log_in("root", "rootpw")
    root = users.as_("root")
    call("Auth", "AuthEnable", metadata=root)
    call("Auth", "UserDelete", name="root", metadata=root)
    call("Auth", "UserRevokeRole", name="root", role="root", metadata=root)
    call("Auth", "RoleDelete", role="root", metadata=root)
    call("Auth", "UserList", metadata=root)
    t.put("a", "1", metadata=root)
    t.range("a", metadata=root)
    t.range("a", metadata=(("token", "forged.1"),))
    t.range("a", metadata=(("token", "forged"),))
    t.range("a", metadata=(("authorization", users.tokens["root"]),))
    call("Auth", "AuthDisable", metadata=root)
    call("Auth", "AuthDisable")
    t.range("a")


@case("auth/a limited user and keys", users=True)
def _(t):
    users = Users(t)
    users.enable()
    root = users.as_("root")
    users.role("r", (READ, b"r", b"s"), (READWRITE, b"w", b"x"), (WRITE, b"only", b""), (READ, b"s", b"t"))
    users.add("jane", "pw", "r")
    users.log_in("jane", "pw")
    jane = users.as_("jane")
    for key in ("r1", "s1", "w1", "only", "x"):
        t.put(key, "1", metadata=root)
    for key, end in (("r1", b""), ("r", b"s"), ("r", b"t"), ("r", b"t0"), ("q", b"s"), ("w", b"\0"), ("only", b""), ("w1", b""), ("x", b""), ("\0", b"\0")):
        t.range(key, end, metadata=jane)
        t.range(key, end, serializable=True, metadata=jane)
    t.range("r", b"s", count_only=True, metadata=jane)
    t.put("w1", "2", metadata=jane)
    t.put("w1", "3", prev_kv=True, metadata=jane)
    t.put("only", "2", metadata=jane)
    t.put("only", "3", prev_kv=True, metadata=jane)
    t.put("r1", "2", metadata=jane)
    t.put("x", "2", metadata=jane)
    t.delete("w1", metadata=jane)
    t.delete("w", b"x", prev_kv=True, metadata=jane)
    t.delete("w", b"y", metadata=jane)
    t.delete("only", prev_kv=True, metadata=jane)
    t.delete("only", metadata=jane)
    t.delete("r1", metadata=jane)
    t.range("w", b"x", metadata=root)


@case("auth/a limited user and ranges without keys", users=True)
def _(t):
    users = Users(t)
    users.enable()
    users.role("r", (READWRITE, b"r", b"s"), (READ, b"one", b""))
    users.add("jane", "pw", "r")
    users.log_in("jane", "pw")
    jane = users.as_("jane")
    # With an end before the grant's beginning, etcd's answer goes by the shape of its tree of grants.
    for key, end in (("r5", b"r1"), ("r1", b"r1"), ("r", b"r"), ("x", b"r1"), ("x", b"a"), ("s", b"r"), ("q", b"b"),
                     ("one", b"one")):
        t.range(key, end, metadata=jane)
        t.delete(key, end, metadata=jane)


@case("auth/a limited user and transactions", users=True)
def _(t):
    users = Users(t)
    users.enable()
    users.role("r", (READ, b"r", b"s"), (READWRITE, b"w", b"x"), (WRITE, b"only", b""))
    users.add("jane", "pw", "r")
    users.log_in("jane", "pw")
    jane = users.as_("jane")
    compare = lambda key, end=b"": t.compare(key, "VERSION", "EQUAL", 0, end)
    t.txn([compare("r1")], [t.op_put("w1", "1")], [t.op_range("r1")], metadata=jane)
    t.txn([compare("x")], [t.op_put("w1", "1")], metadata=jane)
    t.txn([compare("r", b"t")], [t.op_put("w1", "1")], metadata=jane)
    t.txn([compare("r1")], [t.op_put("w1", "1")], [t.op_put("x")], metadata=jane)
    t.txn([compare("r1")], [t.op_put("r1", "1")], metadata=jane)
    t.txn([], [t.op_range("r", b"s"), t.op_range("w1")], metadata=jane)
    t.txn([], [t.op_range("r", b"t")], metadata=jane)
    t.txn([], [t.op_delete("w", b"x", prev_kv=True)], metadata=jane)
    t.txn([], [t.op_delete("only", prev_kv=True)], metadata=jane)
    t.txn([], [t.op_txn([compare("r1")], [t.op_put("w2", "1")], [t.op_range("w2")])], metadata=jane)


@case("auth/transactions do not hide anything", users=True)
def _(t):
    """GHSA-rfx7-8w68-q57q and GHSA-x35m-3gp4-4fh5, which etcd 3.4.23 has."""
    users = Users(t)
    users.enable()
    root = users.as_("root")
    users.role("r", (READWRITE, b"w", b"x"), (WRITE, b"only", b""))
    users.add("jane", "pw", "r")
    users.log_in("jane", "pw")
    jane = users.as_("jane")
    t.put("secret", "1", metadata=root)
    t.put("only", "1", metadata=root)
    t.grant(600, 77, metadata=root)
    t.put("secret", "2", lease=77, metadata=root)
    t.txn([], [t.op_txn([], [t.op_range("secret")])], metadata=jane)
    t.txn([], [t.op_txn([], [t.op_put("secret")])], metadata=jane)
    t.txn([], [t.op_put("only", "2", prev_kv=True)], metadata=jane)
    t.txn([], [t.op_put("w1", "2", lease=77)], metadata=jane)


@case("auth/a limited user and leases", users=True)
def _(t):
    users = Users(t)
    users.enable()
    root = users.as_("root")
    users.role("r", (READWRITE, b"w", b"x"))
    users.add("jane", "pw", "r")
    users.log_in("jane", "pw")
    jane = users.as_("jane")
    t.grant(600, 71, metadata=jane)
    t.grant(600, 72, metadata=root)
    t.put("w1", "1", lease=71, metadata=jane)
    t.put("w2", "1", lease=72, metadata=jane)
    t.put("secret", "1", lease=72, metadata=root)
    t.put("w3", "1", lease=72, metadata=jane)
    t.call("Lease", "LeaseTimeToLive", ID=71, keys=True, metadata=jane)
    t.call("Lease", "LeaseTimeToLive", ID=72, metadata=jane)
    t.call("Lease", "LeaseRevoke", ID=72, metadata=jane)
    t.call("Lease", "LeaseRevoke", ID=73, metadata=jane)
    t.call("Lease", "LeaseRevoke", ID=71)
    t.call("Lease", "LeaseRevoke", ID=71, metadata=jane)
    t.range("w", b"x", metadata=jane)


@case("auth/a lease runs out", users=True)
def _(t):
    users = Users(t)
    users.enable()
    root = users.as_("root")
    t.grant(2, 74, metadata=root)
    t.put("a", "1", lease=74, metadata=root)
    time.sleep(5)
    t.range("a", metadata=root)


@case("auth/a limited user and watches", users=True)
def _(t):
    users = Users(t)
    users.enable()
    root = users.as_("root")
    users.role("r", (READ, b"r", b"s"), (READ, b"one", b""))
    users.add("jane", "pw", "r")
    users.log_in("jane", "pw")
    watch = streams.Watching(t, metadata=users.as_("jane"))
    watch.create("r1")
    watch.settle(created=1)
    watch.create("r", b"s")
    watch.settle(created=2)
    watch.create("one")
    watch.settle(created=3)
    t.put("r1", "1", metadata=root)
    t.put("one", "1", metadata=root)
    t.put("t1", "1", metadata=root)
    watch.settle(events=3)
    watch.record()
    watch.close()


@case("auth/a watch that is refused", users=True)
def _(t):
    users = Users(t)
    users.enable()
    users.role("r", (READ, b"r", b"s"))
    users.add("jane", "pw", "r")
    users.log_in("jane", "pw")
    for metadata, key, end in ((users.as_("jane"), "t", b""), (users.as_("jane"), "r", b"t"), (None, "r", b""), (None, "r", b"s")):
        watch = streams.Watching(t, metadata=metadata)
        watch.create(key, end)
        watch.settle(created=1)
        watch.record()
        watch.close()


@case("auth/one key is not all from it on", users=True)
def _(t):
    """GHSA-xg4h-6gfc-h4m8, which etcd 3.4.23 has."""
    users = Users(t)
    users.enable()
    users.role("r", (READ, b"r", b""))
    users.add("jane", "pw", "r")
    users.log_in("jane", "pw")
    watch = streams.Watching(t, metadata=users.as_("jane"))
    watch.create("r", b"\0")
    watch.settle(created=1)
    watch.record()
    watch.close()


@case("auth/what only root may", users=True)
def _(t):
    users = Users(t)
    users.enable()
    users.role("r", (READWRITE, b"a", b"b"))
    users.add("jane", "pw", "r")
    users.add("nothing", "pw")
    users.log_in("jane", "pw")
    jane = users.as_("jane")
    call = t.call
    for metadata in (jane, None):
        call("Auth", "UserList", metadata=metadata)
        call("Auth", "RoleList", metadata=metadata)
        call("Auth", "UserAdd", name="x", password="x", metadata=metadata)
        call("Auth", "UserDelete", name="nothing", metadata=metadata)
        call("Auth", "UserGet", name="jane", metadata=metadata)
        call("Auth", "UserGet", name="root", metadata=metadata)
        call("Auth", "RoleGet", role="r", metadata=metadata)
        call("Auth", "RoleGet", role="root", metadata=metadata)
        call("Auth", "RoleAdd", name="x", metadata=metadata)
        call("Auth", "RoleDelete", role="r", metadata=metadata)
        call("Auth", "UserChangePassword", name="jane", password="x", metadata=metadata)
        call("Auth", "UserGrantRole", user="jane", role="root", metadata=metadata)
        call("Auth", "UserRevokeRole", name="jane", role="r", metadata=metadata)
        call("Auth", "RoleRevokePermission", role="r", key="a", range_end="b", metadata=metadata)
        call("Auth", "AuthDisable", metadata=metadata)
        call("Maintenance", "Defragment", metadata=metadata)
        call("Maintenance", "Hash", metadata=metadata)
        call("Maintenance", "HashKV", metadata=metadata)
        call("Maintenance", "Snapshot", metadata=metadata)
        call("Cluster", "MemberRemove", ID=1, metadata=metadata)
        call("Cluster", "MemberAdd", peerURLs=["http://127.0.0.1:1"], metadata=metadata)
        call("Cluster", "MemberUpdate", ID=1, peerURLs=["http://127.0.0.1:1"], metadata=metadata)
    listed = t.unrecorded("Cluster", "MemberList", metadata=jane)
    t.note("members are listed", "%s %d" % (listed.code, len(listed.response.members)))  # in the order of their ids


@case("auth/what anybody may not", users=True)
def _(t):
    """GHSA-q8m4-xhhv-38mg, which etcd 3.4.23 has."""
    users = Users(t)
    users.enable()
    users.add("jane", "pw")
    users.log_in("jane", "pw")
    root = users.as_("root")
    t.put("a", "1", metadata=root)
    t.put("a", "2", metadata=root)
    t.call("Cluster", "MemberList")
    t.call("Maintenance", "Status")
    t.call("Maintenance", "Alarm")
    t.call("Maintenance", "Alarm", action=1, alarm=1, memberID=1, metadata=users.as_("jane"))
    t.call("Maintenance", "Alarm", action=2, alarm=1, memberID=1, metadata=root)
    t.call("Lease", "LeaseGrant", TTL=60, ID=75)
    t.call("Lease", "LeaseLeases")
    t.call("Lease", "LeaseTimeToLive", ID=75)
    t.grant(600, 76, metadata=root)
    t.put("b", "1", lease=76, metadata=root)
    t.call("Lease", "LeaseTimeToLive", ID=76, keys=True, metadata=users.as_("jane"))
    t.compact(t.rev(1), metadata=users.as_("jane"))


@case("auth/tokens of users that change", users=True)
def _(t):
    users = Users(t)
    users.enable()
    root = users.as_("root")
    users.role("r", (READWRITE, b"a", b"b"))
    users.add("jane", "pw", "r")
    users.add("jim", "pw", "r")
    users.log_in("jane", "pw")
    users.log_in("jim", "pw")
    t.put("a", "1", metadata=users.as_("jane"))
    t.call("Auth", "UserRevokeRole", name="jane", role="r", metadata=root)
    t.put("a", "2", metadata=users.as_("jane"))
    t.call("Auth", "UserGrantRole", user="jane", role="r", metadata=root)
    t.put("a", "3", metadata=users.as_("jane"))
    t.call("Auth", "RoleRevokePermission", role="r", key="a", range_end="b", metadata=root)
    t.put("a", "4", metadata=users.as_("jane"))
    users.permit("r", READWRITE, b"a", b"b")
    t.call("Auth", "UserChangePassword", name="jane", password="new", metadata=root)
    t.put("a", "5", metadata=users.as_("jane"))
    users.log_in("jane", "pw")
    users.log_in("jane", "new")
    t.put("a", "6", metadata=users.as_("jane"))
    t.call("Auth", "UserDelete", name="jim", metadata=root)
    t.put("a", "7", metadata=users.as_("jim"))
    users.log_in("jim", "pw")
    request = t.api.AuthUserAddRequest(name="cert", options=t.api.modules["auth"].UserAddOptions(no_password=True))
    t.call("Auth", "UserAdd", request=request, metadata=root)
    users.log_in("cert", "")


@case("auth/a token runs out", flags=["--auth-token-ttl", "2"], users=True)
def _(t):
    users = Users(t)
    users.enable()
    t.put("a", "1", metadata=users.as_("root"))
    for i in range(4):
        time.sleep(1)
        t.range("a", metadata=users.as_("root"))
    time.sleep(5)
    t.range("a", metadata=users.as_("root"))


@case("auth/etcdctl", users=True)
def _(t):
    t.ctl("user", "add", "root:rootpw")
    t.ctl("auth", "enable")
    root = ("--user", "root:rootpw")
    t.ctl(*root, "role", "add", "r")
    t.ctl(*root, "role", "grant-permission", "r", "readwrite", "a", "c")
    t.ctl(*root, "role", "grant-permission", "r", "read", "p/", "--prefix")
    t.ctl(*root, "role", "grant-permission", "r", "write", "z", "--from-key")
    t.ctl(*root, "role", "get", "r")
    t.ctl(*root, "user", "add", "jane:pw")
    t.ctl(*root, "user", "grant-role", "jane", "r")
    t.ctl(*root, "user", "get", "jane", "--detail")
    jane = ("--user", "jane", "--password", "pw")
    t.ctl(*jane, "put", "a", "1")
    t.ctl(*jane, "get", "a", "b")
    t.ctl(*jane, "get", "a", "--from-key")
    t.ctl(*jane, "put", "c", "1")
    t.ctl(*jane, "put", "z1", "1")
    t.ctl(*jane, "get", "z1")
    t.ctl(*jane, "del", "a", "c")
    t.ctl(*jane, "user", "list")
    t.ctl("--user", "jane:wrong", "get", "a")
    t.ctl("get", "a")
    t.ctl(*root, "role", "revoke-permission", "r", "a", "c")
    t.ctl(*root, "user", "passwd", "jane", "--interactive=false", stdin="new\n")
    t.ctl("--user", "jane:new", "get", "p/1")
    t.ctl(*root, "user", "revoke-role", "jane", "r")
    t.ctl(*root, "role", "delete", "r")
    t.ctl(*root, "user", "delete", "jane")
    t.ctl(*root, "user", "list")
    t.ctl(*root, "auth", "disable")
    t.ctl("get", "a")
