"""Leases: grant, revoke, keep-alive, time to live, list, expiry."""

import time

from case import case
from streams import KeepingAlive, Watching

MAX_TTL = 9000000000


@case("lease/grant")
def _(t):
    t.grant(100)
    t.grant(100, 901)
    t.grant(100, 901)
    t.grant(200, 901)
    t.grant(100, 1 << 62)
    t.note("the first of them stands", t.unrecorded("Lease", "LeaseTimeToLive", ID=901).response.grantedTTL)


@case("lease/grant with an odd time to live")
def _(t):
    for ttl in (0, -1, 1, MAX_TTL, MAX_TTL + 1, 1 << 62, -(1 << 62)):
        t.grant(ttl, 910)
        t.call("Lease", "LeaseRevoke", ID=910)


@case("lease/grant with an odd id")
def _(t):
    t.grant(100, -5)
    t.call("Lease", "LeaseRevoke", ID=-5)
    t.grant(100, -(1 << 63))
    t.call("Lease", "LeaseRevoke", ID=-(1 << 63))
    t.grant(100, (1 << 63) - 1)
    t.call("Lease", "LeaseRevoke", ID=(1 << 63) - 1)


@case("lease/revoke")
def _(t):
    t.call("Lease", "LeaseRevoke", ID=12345)
    t.call("Lease", "LeaseRevoke", ID=0)
    t.call("Lease", "LeaseRevoke", ID=-1)
    t.grant(100, 902)
    t.call("Lease", "LeaseRevoke", ID=902)
    t.call("Lease", "LeaseRevoke", ID=902)
    t.call("Lease", "LeaseTimeToLive", ID=902)


@case("lease/revoke deletes the keys at one revision")
def _(t):
    t.grant(100, 903)
    for k in ("c", "a", "b"):
        t.put(k, k, lease=903)
    t.put("other", "1")
    w = Watching(t)
    w.create(b"\0", b"\0", prev_kv=True)
    w.settle(created=1)
    t.call("Lease", "LeaseRevoke", ID=903)
    w.settle(events=3)
    w.record(headers=True)
    w.close()
    t.range(b"\0", b"\0")
    t.put("a", "back")


@case("lease/revoke of a lease without keys")
def _(t):
    t.grant(100, 904)
    t.call("Lease", "LeaseRevoke", ID=904)
    t.put("a", "1")


@case("lease/time to live")
def _(t):
    t.call("Lease", "LeaseTimeToLive", ID=12345)
    t.call("Lease", "LeaseTimeToLive", ID=0)
    t.call("Lease", "LeaseTimeToLive", ID=12345, keys=True)
    granted = t.grant(100, 905)
    t.note("granted", granted.code)
    for keys in (False, True):
        result = t.unrecorded("Lease", "LeaseTimeToLive", ID=905, keys=keys)
        t.note("time to live of a fresh lease, keys=%s" % keys, "%s ID %d granted %d left %s keys %s" % (
            result.code, result.response.ID, result.response.grantedTTL, 95 <= result.response.TTL <= 100, list(result.response.keys)))
    for k in ("b", "a", "c"):
        t.put(k, k, lease=905)
    result = t.unrecorded("Lease", "LeaseTimeToLive", ID=905, keys=True)
    t.note("its keys", sorted(result.response.keys))
    result = t.unrecorded("Lease", "LeaseTimeToLive", ID=905)
    t.note("without asking for keys", list(result.response.keys))


@case("lease/list")
def _(t):
    t.call("Lease", "LeaseLeases")
    t.grant(300, 923)
    t.grant(100, 921)
    t.grant(200, 922)
    result = t.unrecorded("Lease", "LeaseLeases")
    t.note("ids", sorted(x.ID for x in result.response.leases))
    t.call("Lease", "LeaseRevoke", ID=923)
    t.call("Lease", "LeaseRevoke", ID=922)
    t.call("Lease", "LeaseLeases")


@case("lease/keep-alive")
def _(t):
    t.grant(100, 906)
    k = KeepingAlive(t)
    k.ask(906)
    k.ask(906)
    k.ask(12345)
    k.ask(0)
    k.ask(906)
    k.record()
    t.call("Lease", "LeaseRevoke", ID=906)
    k.ask(906)
    k.record()
    k.half_close()
    k.wait(lambda: k.end is not None, 2)
    k.record("after the client's half-close")
    k.close()


@case("lease/keep-alive of several on a stream")
def _(t):
    k = KeepingAlive(t)
    for i in range(5):
        t.grant(100 + i, 930 + i)
        k.ask(930 + i)
    k.record()
    k.close()


@case("lease/keys move between leases")
def _(t):
    t.grant(100, 907)
    t.grant(100, 908)
    t.put("a", "1", lease=907)
    t.put("a", "2", lease=908)
    t.call("Lease", "LeaseRevoke", ID=907)
    t.range("a")
    t.put("a", "3", lease=0)
    t.call("Lease", "LeaseRevoke", ID=908)
    t.range("a")


@case("lease/expiry")
def _(t):
    w = Watching(t)
    w.create(b"\0", b"\0", prev_kv=True)
    w.settle(created=1)
    granted = t.grant(1, 940)
    t.grant(600, 941)
    t.put("short", "1", lease=940)
    t.put("short2", "1", lease=940)
    t.put("long", "1", lease=941)
    began = time.monotonic()
    w.settle(events=3)
    w.wait(lambda: w.count("events") >= 5, 20)
    took = time.monotonic() - began
    w.quiet()
    w.record()
    t.note("not before its time, nor long after", granted.response.TTL - 1 < took < granted.response.TTL + 4)
    w.close()
    t.range(b"\0", b"\0")
    t.call("Lease", "LeaseTimeToLive", ID=940)
    t.put("short", "1", lease=940)
    t.call("Lease", "LeaseRevoke", ID=940)
    t.grant(600, 940)


@case("lease/keep-alive puts expiry off")
def _(t):
    granted = t.grant(2, 942)
    t.put("a", "1", lease=942)
    k = KeepingAlive(t)
    until = time.monotonic() + granted.response.TTL + 2.5
    while time.monotonic() < until:
        k.ask(942)
        time.sleep(0.4)
    t.note("every answer carries the time granted", sorted({(r.ID, r.TTL) for r in k.responses}) == [(942, granted.response.TTL)])
    k.close()
    t.range("a")


@case("lease/from every member", sizes=(3,))
def _(t):
    for m in range(3):
        t.grant(100, 950 + m, member=m)
        t.put("k%d" % m, "1", lease=950 + m, member=(m + 1) % 3)
        k = KeepingAlive(t, member=(m + 2) % 3)
        k.ask(950 + m)
        k.ask(12345)
        k.record("keep-alive at member%d" % ((m + 2) % 3 + 1))
        k.close()
        ttl = t.unrecorded("Lease", "LeaseTimeToLive", ID=950 + m, keys=True, member=(m + 1) % 3)
        t.note("time to live through another member", "%s %s %d %s" % (
            ttl.code, ttl.response.TTL > 90, ttl.response.grantedTTL, list(ttl.response.keys)))
        t.call("Lease", "LeaseTimeToLive", ID=12345, member=m)
        t.call("Lease", "LeaseRevoke", ID=12345, member=m)
        t.call("Lease", "LeaseRevoke", ID=950 + m, member=m)
        t.range("k%d" % m)
