"""etcdctl: lease, watch, endpoint, member, alarm, and the verbs built on others."""

import re

from case import case
from streams import ControlWatch

FORMATS = ("simple", "fields", "json", "table")


@case("ctl/lease")
def _(t):
    out = t.ctl("lease", "grant", "600")
    lease = re.search(r"lease ([0-9a-f]+) granted", out)
    if not lease:
        return
    lease = lease.group(1)
    t.ctl("put", "b", "1", "--lease=" + lease)
    t.ctl("put", "a", "1", "--lease=" + lease)
    t.ctl("lease", "list")
    t.note("keep-alive --once", re.sub(r"\b6\d\d\b|\b5\d\d\b", "<ttl>", t.masks.text(quietly(t, "lease", "keep-alive", "--once", lease))))
    t.note("timetolive", re.sub(r"remaining\(\d+s\)", "remaining(<ttl>)", t.masks.text(quietly(t, "lease", "timetolive", lease))))
    t.ctl("get", "a", "-w", "fields")
    t.ctl("lease", "revoke", lease)
    t.ctl("lease", "revoke", lease)
    t.ctl("lease", "timetolive", lease)
    t.ctl("lease", "keep-alive", "--once", lease)
    t.ctl("lease", "list")
    t.ctl("get", "", "--prefix")


def quietly(t, *args):
    """Runs etcdctl, takes the step it recorded back and returns what it printed."""
    out = t.ctl(*args)
    t.steps.pop()
    return out


@case("ctl/lease formats")
def _(t):
    t.grant(600, 0x700)
    for w in FORMATS:
        t.ctl("lease", "list", "-w", w)
        t.ctl("lease", "timetolive", "7fffff", "-w", w)
        t.ctl("lease", "timetolive", "7fffff", "--keys", "-w", w)
    for w in FORMATS[:3]:
        t.grant(600, 0x701)
        t.ctl("lease", "revoke", "701", "-w", w)


@case("ctl/lease misused")
def _(t):
    t.ctl("lease", "grant")
    t.ctl("lease", "grant", "x")
    t.ctl("lease", "grant", "0")
    t.ctl("lease", "grant", "-1")
    t.ctl("lease", "grant", "9999999999999")
    t.ctl("lease", "revoke", "xyz")
    t.ctl("lease", "revoke", "3039")
    t.ctl("lease", "revoke")
    t.ctl("lease", "timetolive", "xyz")
    t.ctl("lease", "keep-alive", "xyz")


def watch_case(name, args, act, lines, setup=None, own_key="a"):
    @case("ctl/watch " + name)
    def _(t):
        if setup:
            setup(t)
        w = ControlWatch(t, "watch", *[a.replace("<R+1>", str(t.rev(1))) for a in args])
        if act:
            w.await_watcher(own_key)
            act(t)
        w.settle(lines)
        w.finish()


def live(t):
    t.put("a", "1")
    t.put("ab", "2")
    t.put("b", "3")
    t.delete("a")


def past(t):
    t.put("a", "1")
    t.put("a", "2")
    t.delete("a")
    t.put("ab", "3")


watch_case("one key", ["a"], live, 5)
watch_case("prefix", ["a", "--prefix"], live, 8)
watch_case("range", ["a", "c"], live, 11)
watch_case("with prev-kv", ["a", "--prev-kv"], live, 9)
watch_case("hex", ["a", "--hex"], live, 5)
watch_case("in fields", ["a", "-w", "fields"], live, 20)
watch_case("from the past", ["a", "--rev=<R+1>"], None, 8, past)
watch_case("from the past, prefix and prev-kv", ["a", "--prefix", "--rev=<R+1>", "--prev-kv"], None, 12, past)
watch_case("running a command", ["a", "--", "/bin/sh", "-c", "echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE"], live, 5)


@case("ctl/watch in json")
def _(t):
    past(t)
    w = ControlWatch(t, "watch", "a", "--rev=%d" % t.rev(1), "-w", "json")
    w.settle(1)
    w.finish()


@case("ctl/watch of a compacted revision")
def _(t):
    past(t)
    t.compact(t.rev(3))
    w = ControlWatch(t, "watch", "a", "--rev=%d" % t.rev(1))
    w.finish(interrupt=False)


@case("ctl/watch interactive")
def _(t):
    past(t)
    w = ControlWatch(t, "watch", "-i", stdin="watch a --rev=%d\n" % t.rev(1))
    w.settle(8)
    w.finish()


@case("ctl/watch misused")
def _(t):
    t.ctl("watch")
    t.ctl("watch", "a", "--prefix", "b")


@case("ctl/endpoint")
def _(t):
    everyone = range(len(t.members))
    for w in FORMATS:
        t.ctl("endpoint", "status", "-w", w, members=everyone, sort=w == "table")
        t.ctl("endpoint", "hashkv", "-w", w, members=everyone)
    for w in ("simple", "json", "table"):
        t.ctl("endpoint", "health", "-w", w, members=[0])
    t.ctl("endpoint", "status", "--cluster", "-w", "json", sort=True) if len(t.members) == 1 else None
    t.ctl("endpoint", "health", "--cluster", sort=True) if len(t.members) == 1 else None
    t.ctl("endpoint", "hashkv", "--rev=%d" % t.rev(1000))
    t.ctl("endpoint", "nonsense")


@case("ctl/member")
def _(t):
    t.ctl("member", "list", sort=True)
    t.ctl("member", "list", "-w", "table", sort=True)
    t.ctl("member", "remove", "3039")
    t.ctl("member", "remove", "xyz")
    t.ctl("member", "remove")
    t.ctl("member", "update", "3039", "--peer-urls=http://127.0.0.1:1")
    t.ctl("member", "add", "x")
    if len(t.members) == 1:  # over three, etcd may wait for its leader, or first find its cluster unhealthy
        t.ctl("member", "promote", "3039")
        t.ctl("member", "add", "x", "--peer-urls=" + t.peer_url(0))


@case("ctl/member formats", sizes=(1,))
def _(t):
    t.ctl("member", "list", "-w", "fields")
    t.ctl("member", "list", "-w", "json")
    t.ctl("member", "list", "--hex")


@case("ctl/alarm, defrag and move-leader")
def _(t):
    t.ctl("alarm", "list")
    t.ctl("alarm", "disarm")
    t.ctl("alarm", "list", "-w", "json")
    t.ctl("defrag")
    t.ctl("move-leader", "3039")
    t.ctl("move-leader", "xyz")
    t.ctl("move-leader")


@case("ctl/lock and elect")
def _(t):
    out = t.ctl("lock", "mutex", "/bin/echo", "held")
    t.note("lock's last word", out.splitlines()[-1:])
    t.ctl("get", "mutex", "--prefix", "--keys-only")
    t.ctl("lock")
    t.ctl("elect", "office")


@case("ctl/check and user verbs", sizes=(1,))
def _(t):
    t.ctl("user", "list")
    t.ctl("role", "list")
    t.ctl("user", "get", "nobody")
    t.ctl("role", "get", "nothing")
    t.ctl("auth", "enable")


@case("ctl/snapshot save", sizes=(1,))
def _(t):
    import os
    import tempfile

    t.put("a", "1")
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "db")
        quietly(t, "snapshot", "save", path)
        t.note("a snapshot was written", os.path.exists(path) and os.path.getsize(path) > 1000)


@case("ctl/through every member", sizes=(3,))
def _(t):
    for m in range(3):
        t.ctl("put", "k%d" % m, str(m), members=[m])
        t.ctl("get", "", "--prefix", members=[(m + 1) % 3])
        t.ctl("del", "none", members=[m], )
    t.ctl("get", "k0", members=[0, 1, 2], )
    t.ctl("get", "k1", "--consistency=s", members=[2])
