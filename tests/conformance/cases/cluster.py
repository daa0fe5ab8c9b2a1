"""The Cluster and Maintenance services."""

import random

from case import case

URL = "http://127.0.0.1:1"


def members_sorted(t, result):
    """Members come in the order of their ids, which are random; shown by name."""
    members = list(result.response.members)
    t.note("members are in the order of their ids", [m.ID for m in members] == sorted(m.ID for m in members))
    for m in sorted(members, key=lambda m: t.masks.text(m.name)):
        t.record("member", t.masks.message(m))


@case("cluster/member list")
def _(t):
    result = t.unrecorded("Cluster", "MemberList")
    t.record("header", t.masks.message(result.response.header))
    members_sorted(t, result)
    result = t.unrecorded("Cluster", "MemberList", linearizable=True)
    t.record("header of the linearizable list", t.masks.message(result.response.header))
    members_sorted(t, result)


@case("cluster/member list of every member", sizes=(3,))
def _(t):
    for m in range(3):
        result = t.unrecorded("Cluster", "MemberList", member=m, linearizable=m == 1)
        t.record("header at member%d" % (m + 1), t.masks.message(result.response.header))
        members_sorted(t, result)


@case("cluster/member calls that are refused")
def _(t):
    t.call("Cluster", "MemberRemove", ID=12345)
    t.call("Cluster", "MemberUpdate", ID=12345, peerURLs=[URL])
    t.call("Cluster", "MemberPromote", ID=12345)
    if len(t.members) == 1:
        # Over three, a follower of etcd 3.4 answers the first of these only when
        # the time is up, and the second depends on how long the cluster is up.
        t.call("Cluster", "MemberPromote", ID=t.member_ids[0])
        t.call("Cluster", "MemberAdd", peerURLs=[t.peer_url(0)])
    t.call("Cluster", "MemberAdd", peerURLs=["not a url"])
    t.call("Cluster", "MemberAdd", peerURLs=[])
    t.call("Cluster", "MemberAdd", peerURLs=["127.0.0.1:1"])
    t.call("Cluster", "MemberAdd", peerURLs=["http://127.0.0.1"])
    t.call("Cluster", "MemberAdd", peerURLs=["http://127.0.0.1:1/path"])


@case("cluster/status")
def _(t):
    for m in range(len(t.members)):
        t.call("Maintenance", "Status", member=m)
    result = t.unrecorded("Maintenance", "Status")
    r = result.response
    t.note("indexes agree", r.raftAppliedIndex <= r.raftIndex and r.raftIndex > 0)
    t.note("sizes agree", 0 < r.dbSizeInUse <= r.dbSize)
    t.note("the term is that of the header", r.raftTerm == r.header.raft_term)


@case("cluster/hashkv")
def _(t):
    for i in range(5):
        t.put("a", str(i))
    for revision in (0, t.rev(3), t.rev(5), -1):
        t.call("Maintenance", "HashKV", revision=revision)
    t.call("Maintenance", "HashKV", revision=t.rev(6))
    t.call("Maintenance", "HashKV", revision=t.rev(1000))
    t.compact(t.rev(3))
    t.call("Maintenance", "HashKV", revision=t.rev(2))
    t.call("Maintenance", "HashKV", revision=t.rev(4))
    hashes = [t.unrecorded("Maintenance", "HashKV", revision=t.rev(r)).response.hash for r in (4, 5, 5)]
    t.note("the hash follows the content", hashes[0] != hashes[1] and hashes[1] == hashes[2])


@case("cluster/hashkv is the same on every member", sizes=(3,))
def _(t):
    for i in range(30):
        t.unrecorded("KV", "Put", key=b"k%d" % (i % 5), value=b"%d" % i)
    for m in range(3):
        t.range("k0", member=m)
    hashes = [t.unrecorded("Maintenance", "HashKV", member=m, revision=t.rev(30)) for m in range(3)]
    t.note("hashes agree", len({h.response.hash for h in hashes}) == 1)


@case("cluster/hash")
def _(t):
    t.put("a", "1")
    t.call("Maintenance", "Hash")


@case("cluster/alarms")
def _(t):
    t.call("Maintenance", "Alarm", action=0)
    t.call("Maintenance", "Alarm", action=0, alarm=1)
    t.call("Maintenance", "Alarm", action=2, alarm=1)
    t.call("Maintenance", "Alarm", action=2, alarm=1, memberID=t.member_ids[0])


@case("cluster/alarm raised by hand", flags=[])
def _(t):
    me = t.member_ids[0]
    t.put("before", "1")
    t.call("Maintenance", "Alarm", action=1, alarm=1, memberID=me)
    t.call("Maintenance", "Alarm", action=0)
    t.call("Maintenance", "Alarm", action=0, alarm=2)
    t.put("a", "1")
    t.txn(success=[t.op_put("a", "1")])
    t.txn(success=[t.op_range("before")])
    t.txn(success=[t.op_delete("before")])
    t.grant(100, 77)
    t.delete("before")
    t.range(b"\0", b"\0")
    status = t.unrecorded("Maintenance", "Status").response
    t.note("status names it", [t.masks.text(e) for e in status.errors])
    t.ctl("alarm", "list")
    t.ctl("endpoint", "health")
    t.ctl("put", "a", "1")
    t.http("GET", "/health")
    t.call("Maintenance", "Alarm", action=2, alarm=1, memberID=me)
    t.call("Maintenance", "Alarm", action=0)
    t.put("a", "1")
    t.ctl("alarm", "disarm")
    t.http("GET", "/health")


@case("cluster/space runs out", flags=["--quota-backend-bytes", "16777216"])
def _(t):
    code, message = "OK", ""
    # Of bytes that nothing compresses: else kvd has room again once they are on the disk.
    for i in range(400):
        result = t.unrecorded("KV", "Put", key=b"fill%d" % i, value=random.Random(i).randbytes(200_000))
        if result.code != "OK":
            code, message = result.code, result.message
            break
    t.note("a write is refused in the end", "%s %s" % (code, message))
    t.put("a", "1")
    t.call("Maintenance", "Alarm", action=0)
    t.txn(success=[t.op_put("a", "1")])
    t.grant(100, 77)
    t.note("reading goes on", t.unrecorded("KV", "Range", key=b"fill0").code)
    t.note("deleting goes on", t.unrecorded("KV", "DeleteRange", key=b"fill", range_end=b"film").code)
    t.ctl("alarm", "list")


@case("cluster/defragment")
def _(t):
    t.call("Maintenance", "Defragment")
    t.put("a", "1")
    t.range("a")


@case("cluster/move leader")
def _(t):
    status = t.unrecorded("Maintenance", "Status").response
    leader = t.member_ids.index(status.leader)
    t.call("Maintenance", "MoveLeader", targetID=12345, member=leader)
    t.call("Maintenance", "MoveLeader", targetID=t.member_ids[leader], member=leader)
    t.call("Maintenance", "MoveLeader", member=leader)
    if len(t.members) > 1:
        t.call("Maintenance", "MoveLeader", targetID=t.member_ids[leader], member=(leader + 1) % 3)


@case("cluster/move leader for real", sizes=(3,))
def _(t):
    leader = t.member_ids.index(t.unrecorded("Maintenance", "Status").response.leader)
    target = (leader + 1) % 3
    t.put("a", "before")
    t.call("Maintenance", "MoveLeader", targetID=t.member_ids[target], member=leader)
    t.put("a", "after")
    t.range("a", member=target)
    t.note("it leads now", t.unrecorded("Maintenance", "Status", member=target).response.leader == t.member_ids[target])


@case("cluster/snapshot")
def _(t):
    for i in range(20):
        t.unrecorded("KV", "Put", key=b"k%d" % i, value=b"v" * 1000)
    result = t.unrecorded("Maintenance", "Snapshot")
    t.note("code", result.code + " " + (result.message or ""))
    if result.response:
        left = [r.remaining_bytes for r in result.response]
        t.note("there is something in it", sum(len(r.blob) for r in result.response) > 20000)
        t.note("what remains goes down to nothing", left == sorted(left, reverse=True) and left[-1] == 0)
