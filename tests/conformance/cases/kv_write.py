"""Put, DeleteRange and Compact."""

from case import case

BIG = 0x7000000000000000


@case("kv/put/creates and replaces")
def _(t):
    t.put("a", "1")
    t.put("a", "2")
    t.put("b", "")
    t.put("a", "2")
    t.range(b"\0", b"\0")


@case("kv/put/prev_kv")
def _(t):
    t.put("a", "1", prev_kv=True)
    t.put("a", "2", prev_kv=True)
    t.put("a", "", prev_kv=True)
    t.delete("a")
    t.put("a", "3", prev_kv=True)
    t.put("a", "4", prev_kv=False)


@case("kv/put/empty key")
def _(t):
    t.put("", "1")
    t.put("", "")
    t.put("", "", ignore_value=True)
    t.range(b"\0", b"\0")


@case("kv/put/with a lease")
def _(t):
    t.grant(600, 501)
    t.put("a", "1", lease=501)
    t.range("a")
    t.put("a", "2")
    t.range("a")
    t.put("a", "3", lease=501, prev_kv=True)
    t.grant(600, 502)
    t.put("a", "4", lease=502, prev_kv=True)
    t.call("Lease", "LeaseTimeToLive", ID=501, keys=True)
    t.call("Lease", "LeaseTimeToLive", ID=502, keys=True)


@case("kv/put/unknown lease")
def _(t):
    t.put("a", "1", lease=12345)
    t.put("a", "1", lease=-1)
    t.put("a", "1", lease=BIG)
    t.range("a")
    t.put("a", "1")
    t.put("a", "2", lease=12345, prev_kv=True)
    t.range("a")


@case("kv/put/ignore_value")
def _(t):
    t.put("a", "", ignore_value=True)
    t.put("a", "1")
    t.put("a", "2", ignore_value=True)
    t.put("a", "", ignore_value=True)
    t.range("a")
    t.grant(600, 503)
    t.put("a", "", ignore_value=True, lease=503, prev_kv=True)
    t.range("a")
    t.put("a", "", ignore_value=True)
    t.range("a")
    t.delete("a")
    t.put("a", "", ignore_value=True)


@case("kv/put/ignore_lease")
def _(t):
    t.put("a", "1", ignore_lease=True)
    t.grant(600, 504)
    t.put("a", "1", lease=504)
    t.put("a", "2", lease=504, ignore_lease=True)
    t.put("a", "2", ignore_lease=True, prev_kv=True)
    t.range("a")
    t.put("a", "3")
    t.put("a", "4", ignore_lease=True)
    t.range("a")


@case("kv/put/ignore both")
def _(t):
    t.put("a", "", ignore_value=True, ignore_lease=True)
    t.grant(600, 505)
    t.put("a", "1", lease=505)
    t.put("a", "", ignore_value=True, ignore_lease=True, prev_kv=True)
    t.range("a")
    t.put("a", "2", lease=505, ignore_value=True, ignore_lease=True)
    t.put("", "2", lease=505, ignore_value=True, ignore_lease=True)


@case("kv/put/large values")
def _(t):
    t.put("a", b"x" * 1000000)
    t.put("a", b"x" * 1400000, prev_kv=True)
    t.put("a", b"x" * (1536 * 1024))
    t.put("a", b"x" * (2 * 1024 * 1024))
    t.range("a", keys_only=True)


@case("kv/put/message beyond the limit of gRPC")
def _(t):
    result = t.unrecorded("KV", "Put", key=b"a", value=b"x" * (3 * 1024 * 1024))
    t.note("three megabytes", "%s %s" % (result.code, result.message))
    t.range("a")
    t.put("a", "still served")


@case("kv/put/large keys")
def _(t):
    t.put(b"k" * 10000, "1")
    t.put(b"k" * 1000000, "2")
    t.range(b"k" * 10000)
    t.range(b"k", b"l", keys_only=True)


@case("kv/put/limit of the server's own", flags=["--max-request-bytes", "1000"])
def _(t):
    t.put("a", b"x" * 900)
    t.put("a", b"x" * 1000)
    t.put("a", b"x" * 1200)
    t.txn(success=[t.op_put("b", b"x" * 500), t.op_put("c", b"x" * 500)])
    t.delete("a" * 1200)
    t.range("a" * 1200)
    t.range(b"\0", b"\0", keys_only=True)


@case("kv/delete/one key")
def _(t):
    t.delete("a")
    t.put("a", "1")
    t.delete("a")
    t.range("a")
    t.delete("a")
    t.put("a", "2")
    t.range("a")
    t.range("a", revision=t.rev(1))
    t.range("a", revision=t.rev(2))


@case("kv/delete/ranges")
def _(t):
    def fill():
        t.txn(success=[t.op_put(k, k) for k in ("a", "b", "c", "d", "da", "db", "e")])

    fill()
    t.delete("b", "d")
    t.range(b"\0", b"\0", keys_only=True)
    fill()
    t.delete("d", "e", prev_kv=True)
    fill()
    t.delete("d", b"\0")
    t.range(b"\0", b"\0", keys_only=True)
    fill()
    t.delete(b"\0", b"\0", prev_kv=True)
    t.range(b"\0", b"\0")
    t.delete(b"\0", b"\0")
    t.delete("x", "a")


@case("kv/delete/prev_kv")
def _(t):
    t.delete("a", prev_kv=True)
    t.put("a", "1")
    t.put("a", "2")
    t.delete("a", prev_kv=True)
    t.delete("a", prev_kv=True)


@case("kv/delete/empty key")
def _(t):
    t.delete("")
    t.delete("", "b")
    t.delete("", b"\0", prev_kv=True)


@case("kv/delete/detaches from the lease")
def _(t):
    t.grant(600, 506)
    t.put("a", "1", lease=506)
    t.put("b", "1", lease=506)
    t.delete("a", prev_kv=True)
    t.call("Lease", "LeaseTimeToLive", ID=506, keys=True)
    t.put("a", "again")
    t.call("Lease", "LeaseRevoke", ID=506)
    t.range(b"\0", b"\0")


@case("kv/compact/past, present and future")
def _(t):
    for i in range(6):
        t.put("a", str(i))
    t.compact(t.rev(2))
    t.compact(t.rev(2))
    t.compact(t.rev(1))
    t.compact(t.rev(7))
    t.compact(t.rev(1000))
    t.compact(0)
    t.compact(-1)
    t.compact(1)
    t.compact(t.rev(4), physical=True)
    t.compact(t.rev(4), physical=True)
    t.range("a", revision=t.rev(3))
    t.range("a", revision=t.rev(4))
    t.compact(t.rev(6))
    t.range("a", revision=t.rev(5))
    t.range("a")


@case("kv/compact/keeps what is needed")
def _(t):
    t.put("kept", "1")
    t.put("gone", "1")
    t.put("changed", "1")
    t.delete("gone")
    t.put("changed", "2")
    t.compact(t.rev(5), physical=True)
    t.range(b"\0", b"\0")
    t.range("kept", revision=t.rev(5))
    t.range("gone", revision=t.rev(5))
    t.put("gone", "2")
    t.range("gone")
    t.range("changed", revision=t.rev(5))


@case("kv/compact/tombstone at the compaction revision")
def _(t):
    t.put("a", "1")
    t.delete("a")
    t.put("b", "1")
    t.compact(t.rev(2), physical=True)
    t.range("a", revision=t.rev(2))
    t.range("a", "z", revision=t.rev(3))
    t.put("a", "2", prev_kv=True)
    t.range("a")


@case("kv/members see the same", sizes=(3,))
def _(t):
    for i in range(9):
        t.put("k%d" % i, str(i), member=i % 3)
    t.delete("k3", member=1)
    t.compact(t.rev(5), member=2)
    for m in range(3):
        t.range(b"\0", b"\0", member=m)
        t.range("k1", revision=t.rev(4), member=m)
        t.put("", "x", member=m)
        t.put("a", "x", lease=999, member=m)
        t.compact(t.rev(5), member=m)
