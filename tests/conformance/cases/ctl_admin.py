"""etcdctl: users and roles, members, mirrors, checks, and what these verbs refuse."""

import re
import time

from case import case
from streams import ControlWatch

NOBODY = ("--command-timeout=1s", "--dial-timeout=500ms")


def silently(t, *args, **more):
    """Runs etcdctl without a record, for output that varies: what it printed."""
    out = t.ctl(*args, **more)
    return out, t.steps.pop()[1][0]


@case("ctl/users", users=True)
def _(t):
    t.ctl("user", "add", "a:pw")
    t.ctl("user", "add", "a:pw")
    t.ctl("user", "add", "b", "--new-user-password=pw")
    t.ctl("user", "add", "c", "--no-password")
    t.ctl("user", "add", "d", "--interactive=false", stdin="pw\n")
    t.ctl("user", "add", "e:", "--interactive=false", stdin="pw\n")
    t.ctl("user", "add", ":pw")
    t.ctl("user", "add")
    for w in ("simple", "json", "fields", "table"):
        t.ctl("user", "list", "-w", w)
    t.ctl("user", "list", "extra")
    t.ctl("role", "add", "r")
    t.ctl("user", "grant-role", "a", "r")
    t.ctl("user", "grant-role", "a", "none")
    t.ctl("user", "grant-role", "nobody", "r")
    t.ctl("user", "grant-role", "a")
    t.ctl("user", "get", "a")
    t.ctl("user", "get", "a", "--detail")
    t.ctl("user", "get", "a", "-w", "json")
    t.ctl("user", "get")
    t.ctl("user", "revoke-role", "a", "none")
    t.ctl("user", "revoke-role", "a")
    t.ctl("user", "revoke-role", "a", "r")
    t.ctl("user", "passwd", "nobody", "--interactive=false", stdin="new\n")
    t.ctl("user", "passwd", "a", "--interactive=false", stdin="new\n")
    t.ctl("user", "passwd")
    t.ctl("user", "delete", "a")
    t.ctl("user", "delete", "a")
    t.ctl("user", "delete")


@case("ctl/roles", users=True)
def _(t):
    t.ctl("role", "add", "r")
    t.ctl("role", "add", "r")
    t.ctl("role", "add")
    t.ctl("role", "list", "extra")
    for args in (["read", "a"], ["write", "a", "c"], ["readwrite", "p/", "--prefix"], ["read", "z", "--from-key"], ["read", "", "--prefix"],
                 ["read", "", "--from-key"], ["fly", "a"], ["read", "a", "b", "--prefix"], ["read", "a", "--prefix", "--from-key"], ["read"]):
        t.ctl("role", "grant-permission", "r", *args)
    t.ctl("role", "grant-permission", "none", "read", "a")
    for w in ("simple", "json"):
        t.ctl("role", "get", "r", "-w", w)
    t.ctl("role", "get")
    t.ctl("role", "revoke-permission", "r", "p/", "--prefix")
    t.ctl("role", "revoke-permission", "r", "z", "--from-key")
    t.ctl("role", "revoke-permission", "r", "a", "c")
    t.ctl("role", "revoke-permission", "r", "a", "c")
    t.ctl("role", "revoke-permission", "none", "a")
    t.ctl("role", "revoke-permission", "r")
    t.ctl("role", "get", "r")
    t.ctl("role", "delete", "r")
    t.ctl("role", "delete", "r")
    t.ctl("role", "delete")
    t.ctl("role", "list")


@case("ctl/a permission for nothing", users=True)
def _(t):
    t.ctl("role", "add", "r")
    t.ctl("role", "grant-permission", "r", "read", "b", "a")
    t.ctl("role", "grant-permission", "r", "read", "b", "b")
    t.ctl("role", "get", "r")


@case("ctl/auth on and off", users=True)
def _(t):
    t.ctl("auth", "disable", "extra")
    t.ctl("auth", "enable", "extra")
    t.ctl("user", "add", "root:rootpw")
    t.ctl("auth", "enable")
    t.ctl("auth", "disable")
    t.ctl("--user", "root:rootpw", "auth", "disable")
    t.ctl("auth", "disable")


@case("ctl/members come and go", flags=[])
def _(t):
    def member(*args):
        out, code = silently(t, "member", *args)
        for found in re.findall(r"Member +([0-9a-f]+) ", out):
            if not t.masks.known(int(found, 16)):
                t.masks.learn_id(int(found, 16), "<added>")
        t.record("etcdctl member " + t.masks.text(" ".join(args)),
                 [code] + [re.sub(r"ETCD_INITIAL_CLUSTER=.*", "ETCD_INITIAL_CLUSTER=...", x) for x in t.masks.printed(re.sub(" +", " ", out))])
        return re.search(r"Member +([0-9a-f]+) ", out)

    added = member("add", "late", "--learner", "--peer-urls=http://127.0.0.1:1")
    if not added:
        return
    t.ctl("member", "list", sort=True)
    member("promote", added.group(1))
    member("update", added.group(1), "--peer-urls=http://127.0.0.1:2")
    t.ctl("member", "list", sort=True)
    member("remove", added.group(1))
    t.ctl("member", "list")
    member("update", "%x" % t.member_ids[0], "--peer-urls=" + t.peer_url(0))


@case("cluster/members come and go", flags=[])
def _(t):
    def call(method, **fields):
        result = t.unrecorded("Cluster", method, **fields)
        shown = [result.code, t.masks.text(result.message or "")]
        if result.response:
            listed = sorted((list(m.peerURLs), m.isLearner) for m in result.response.members)
            shown += [t.masks.text(str(x)) for x in listed]
        t.record(method, shown)
        return result

    added = call("MemberAdd", peerURLs=["http://127.0.0.1:1", "http://127.0.0.1:3"], isLearner=True)
    if not added.response:
        return
    t.note("what was added", (list(added.response.member.peerURLs), added.response.member.isLearner, added.response.member.name))
    identity = added.response.member.ID
    t.put("a", "still written")
    call("MemberAdd", peerURLs=["http://127.0.0.1:1"])
    call("MemberAdd", peerURLs=["http://127.0.0.1:4"], isLearner=True)
    call("MemberPromote", ID=identity)
    call("MemberUpdate", ID=identity, peerURLs=["http://127.0.0.1:2"])
    call("MemberRemove", ID=identity)
    call("MemberRemove", ID=identity)
    call("MemberUpdate", ID=identity, peerURLs=["http://127.0.0.1:5"])
    t.put("a", "and again")


@case("ctl/move-leader", sizes=(3,))
def _(t):
    leader = t.member_ids.index(t.unrecorded("Maintenance", "Status").response.leader)
    target = (leader + 1) % 3
    t.note("which is not the same for all", t.masks.text(silently(t, "move-leader", "%x" % t.member_ids[target], members=[leader])[1]))
    t.note("it leads now", t.unrecorded("Maintenance", "Status", member=target).response.leader == t.member_ids[target])
    t.note("through one that does not lead", silently(t, "move-leader", "%x" % t.member_ids[leader], members=[leader])[1])


@case("ctl/mirror")
def _(t):
    access = t.cluster.access
    if access.auth:
        return  # etcdctl 3.4 has no way to name the destination's user
    for i in range(5):
        t.unrecorded("KV", "Put", key=b"from/%d" % i, value=b"%d" % i)

    def mirror(wanted, *flags):
        if access.tls:
            flags += ("--dest-insecure-transport=false", "--dest-cacert", str(access.ca.file), "--dest-cert", str(access.client[0]),
                      "--dest-key", str(access.client[1]))
        else:
            flags += ("--dest-insecure-transport=true",)
        w = ControlWatch(t, "make-mirror", *flags, t.endpoints())
        t.masks.learn_word(str(access.folder), "<folder>")
        give_up = time.monotonic() + 15
        while time.monotonic() < give_up and t.unrecorded("KV", "Range", key=wanted).response.count == 0:
            time.sleep(0.05)
        t.note("it is there", t.unrecorded("KV", "Range", key=wanted).response.count)
        return w

    w = mirror(b"to/4", "--prefix=from/", "--dest-prefix=to/")
    t.unrecorded("KV", "Put", key=b"from/5", value=b"5")
    t.unrecorded("KV", "DeleteRange", key=b"from/0")
    give_up = time.monotonic() + 15
    while time.monotonic() < give_up and t.unrecorded("KV", "Range", key=b"to/", range_end=b"to0").response.count != 5:
        time.sleep(0.05)
    time.sleep(0.5)
    stop(t, w)
    w = mirror(b"5", "--prefix=from/", "--no-dest-prefix")
    stop(t, w)
    for kv in t.unrecorded("KV", "Range", key=b"\0", range_end=b"\0").response.kvs:
        t.note(kv.key.decode(), kv.value.decode())
    t.ctl("make-mirror")
    t.ctl("make-mirror", "--prefix=a", "--dest-prefix=b", "--no-dest-prefix", t.endpoints())


def stop(t, watch):
    """Ends etcdctl without a record: how an interrupt meets it is chance."""
    watch.finish()
    t.steps.pop()


@case("ctl/elections and locks")
def _(t):
    def words(w):
        return [re.sub(r"/[0-9a-f]+", "/<lease>", x.decode().strip()) for x in w.output]

    holder = ControlWatch(t, "elect", "office", "me")
    holder.settle(2)
    t.note("elected", words(holder))
    listener = ControlWatch(t, "elect", "--listen", "office")
    listener.settle(2)
    t.note("seen", words(listener))
    stop(t, listener)
    stop(t, holder)
    t.range("office/", b"office0", count_only=True)
    t.note("lock with a time to live", silently(t, "lock", "--ttl=60", "mutex", "/bin/echo", "held"))
    t.range("mutex/", b"mutex0", count_only=True)


@case("ctl/checks", sizes=(1,))
def _(t):
    t.ctl("check", "perf", "--load=nonsense", "--prefix=/p/", "--auto-compact", "--auto-defrag")
    t.ctl("check", "datascale", "--load=nonsense", "--prefix=/p/", "--auto-compact", "--auto-defrag")
    t.put("/p/a", "1")
    t.ctl("check", "datascale", "--load=s", "--prefix=/p/")
    t.ctl("check", "perf", "--load=s", "--prefix=/p/")


@case("ctl/misused, of the cluster", sizes=(1,))
def _(t):
    for args in (["alarm", "list", "extra"], ["alarm", "disarm", "extra"], ["snapshot", "save"], ["snapshot", "save", "/tmp/a", "b"],
                 ["defrag", "--cluster"], ["defrag", "-w", "json"]):
        t.ctl(*args)
    for args in (["member", "list"], ["defrag"], ["alarm", "list"], ["snapshot", "save", "/nowhere/at/all"]):
        t.ctl(*args, *NOBODY, endpoints="127.0.0.1:1")
