"""Watch streams. A live watcher is given its `created` before the writes begin."""

from case import case, prefix_end
from streams import Watching


def begin(t, *creates, **stream):
    w = Watching(t, **stream)
    for c in creates:
        w.create(**c)
    w.settle(created=len(creates))
    return w


@case("watch/one key, live")
def _(t):
    w = begin(t, dict(key="a"))
    w.record()
    for i, step in enumerate([lambda: t.put("a", "1"), lambda: t.put("b", "x"), lambda: t.put("a", "2"), lambda: t.delete("a"),
                              lambda: t.delete("a"), lambda: t.put("a", "3")]):
        step()
    w.settle(events=4)
    w.record()
    w.close()


@case("watch/header revisions of live events")
def _(t):
    w = begin(t, dict(key="a"))
    for i in range(3):
        t.put("a", str(i))
        w.settle(events=i + 1)
    t.put("b", "unseen")
    t.delete("a")
    w.settle(events=4)
    w.record(headers=True)
    w.close()


@case("watch/prefix, range and from key")
def _(t):
    w = begin(t, dict(key="p/", end=prefix_end("p/")), dict(key="b", end="d"), dict(key="m", end=b"\0"), dict(key=b"\0", end=b"\0"))
    for k in ("a", "b", "c", "d", "m", "n", "p/1", "p/2", "p0", "z"):
        t.put(k, "1")
    t.delete("a", "n")
    w.settle(created=4, events=3 + 4 + 6 + 15)
    w.record()
    w.close()


@case("watch/empty key")
def _(t):
    w = begin(t, dict(key=""), dict(key="", end="b"), dict(key="", end=b"\0"))
    t.put("a", "1")
    t.put("b", "1")
    w.settle(created=3, events=2)
    w.record()
    w.close()


@case("watch/range turned around")
def _(t):
    w = begin(t, dict(key="c", end="a"), dict(key="c", end="c"), dict(key="b"))
    t.put("b", "1")
    t.put("c", "1")
    w.settle(responses=3, events=1)
    w.record()
    w.close()


@case("watch/from the past")
def _(t):
    for i in range(5):
        t.put("a", str(i))
    t.delete("a")
    t.put("b", "1")
    for start in (1, 3, 6, 7):
        w = begin(t, dict(key="a", end="c", start_revision=t.rev(start)))
        w.settle(events=8 - start)
        w.record("watch from R+%d" % start)
        w.close()


@case("watch/from the past into the present")
def _(t):
    for i in range(50):
        t.unrecorded("KV", "Put", key=b"a", value=b"%d" % i)
    w = Watching(t)
    w.create("a", start_revision=t.rev(1))
    w.wait(lambda: w.responses)
    for i in range(50, 100):
        t.unrecorded("KV", "Put", key=b"a", value=b"%d" % i)
    w.settle(created=1, events=100)
    w.record()
    w.close()


@case("watch/from the future")
def _(t):
    t.put("a", "1")
    w = begin(t, dict(key="a", start_revision=t.rev(4)), dict(key="a", start_revision=t.rev(2)), dict(key="a", start_revision=t.rev(1000)))
    for i in range(2, 7):
        t.put("a", str(i))
    w.settle(events=3 + 5)
    w.record()
    w.close()


@case("watch/from a negative revision")
def _(t):
    t.put("a", "1")
    t.compact(t.rev(1))
    w = begin(t, dict(key="a", start_revision=-1))
    t.put("a", "2")
    w.settle(canceled=1)
    w.record()
    w.close()


@case("watch/from a compacted revision")
def _(t):
    for i in range(6):
        t.put("a", str(i))
    t.compact(t.rev(4))
    for start in (1, 3, 4, 5):
        w = Watching(t)
        w.create("a", start_revision=t.rev(start))
        w.settle(created=1)
        w.settle(**({"canceled": 1} if start < 4 else {"events": 7 - start}))
        w.record("watch from R+%d, compacted at R+4" % start)
        w.close()


@case("watch/a compacted watcher among others")
def _(t):
    for i in range(4):
        t.put("a", str(i))
    t.compact(t.rev(3))
    w = begin(t, dict(key="a", start_revision=t.rev(1)), dict(key="a", start_revision=t.rev(3)), dict(key="a"))
    w.settle(canceled=1, events=2)
    t.put("a", "live")
    w.settle(canceled=1, events=4)
    w.cancel(0)
    w.quiet()
    w.record()
    w.close()


@case("watch/prev_kv")
def _(t):
    t.put("a", "1")
    t.put("a", "2")
    t.delete("a")
    w = begin(t, dict(key="a", prev_kv=True), dict(key="a", prev_kv=True, start_revision=t.rev(1)), dict(key="a"))
    t.put("a", "3")
    t.put("a", "4")
    t.delete("a")
    w.settle(events=3 + 6 + 3)
    w.record()
    w.close()


@case("watch/prev_kv that was compacted")
def _(t):
    t.put("a", "1")
    t.put("a", "2")
    t.put("a", "3")
    t.compact(t.rev(3), physical=True)
    w = begin(t, dict(key="a", prev_kv=True, start_revision=t.rev(3)))
    t.put("a", "4")
    w.settle(events=2)
    w.record()
    w.close()


@case("watch/filters")
def _(t):
    t.put("a", "0")
    w = begin(t, dict(key="a", filters=["NOPUT"]), dict(key="a", filters=["NODELETE"]),
              dict(key="a", filters=["NOPUT", "NODELETE"]), dict(key="a"),
              dict(key="a", filters=["NOPUT"], start_revision=t.rev(1)), dict(key="a", filters=["NODELETE", "NODELETE"]))
    t.put("a", "1")
    t.delete("a")
    t.put("a", "2")
    w.settle(events=1 + 2 + 0 + 3 + 1 + 2)
    w.record()
    w.close()


@case("watch/ids")
def _(t):
    w = Watching(t)
    for i, watch_id in enumerate((0, 7, 0, 2, 0, 7, 0, -1, -5, 0)):
        w.create("a", watch_id=watch_id)
        w.settle(responses=i + 1)
    w.record()
    t.put("a", "1")
    w.settle(events=8)
    w.record()
    w.close()


@case("watch/cancel")
def _(t):
    w = begin(t, dict(key="a"), dict(key="a"), dict(key="b"))
    t.put("a", "1")
    w.settle(events=2)
    w.cancel(1)
    w.settle(canceled=1)
    t.put("a", "2")
    w.settle(events=3)
    w.cancel(1)
    w.cancel(99)
    w.cancel(-1)
    w.quiet()
    w.create("c")
    w.settle(created=4)
    w.create("d", watch_id=1)
    w.settle(created=5)
    t.put("d", "1")
    w.settle(events=4)
    w.record()
    w.close()


@case("watch/a canceled id can be used again")
def _(t):
    w = begin(t, dict(key="a", watch_id=5))
    w.cancel(5)
    w.settle(canceled=1)
    w.create("b", watch_id=5)
    w.settle(created=2)
    t.put("b", "1")
    w.settle(events=1)
    w.record()
    w.close()


@case("watch/progress by request")
def _(t):
    w = begin(t, dict(key="a"))
    t.put("a", "1")
    w.settle(events=1)
    t.put("b", "1")
    w.progress()
    w.settle(responses=3)
    w.record(headers=True)
    t.put("b", "2")
    w.progress()
    w.settle(responses=4)
    w.record(headers=True)
    w.close()


@case("watch/progress without a watcher")
def _(t):
    w = Watching(t)
    w.progress()
    w.quiet(1)
    w.record(headers=True)
    w.create("a")
    w.settle(created=1)
    t.put("a", "1")
    w.settle(events=1)
    w.record()
    w.close()


@case("watch/progress with several watchers")
def _(t):
    w = begin(t, dict(key="a"), dict(key="b", end="d"))
    t.put("a", "1")
    t.put("c", "1")
    w.settle(events=2)
    w.progress()
    w.settle(responses=5)
    w.record()
    w.close()


@case("watch/progress at intervals", flags=["--experimental-watch-progress-notify-interval", "400ms"])
def _(t):
    w = begin(t, dict(key="a", progress_notify=True), dict(key="a"))
    w.wait(lambda: any(r.watch_id == 0 and not r.created and not r.events for r in w.responses), 5)
    notified = [r for r in w.responses if not r.created]
    t.note("watchers told of progress", sorted({r.watch_id for r in notified}))
    t.note("the revision they were told", sorted({t.masks.revision(r.header.revision) for r in notified}))
    w.close()


@case("watch/a transaction's events come together")
def _(t):
    w = begin(t, dict(key="k", end="l"))
    t.txn(success=[t.op_put("k%02d" % i, str(i)) for i in range(20)])
    w.settle(events=20)
    w.record(headers=True)
    t.txn(success=[t.op_delete("k00", "k05"), t.op_put("k07", "x"), t.op_txn(success=[t.op_put("k19", "y"), t.op_delete("k10")])])
    w.settle(events=28)
    w.record(headers=True)
    w.close()
    late = begin(t, dict(key="k", end="l", start_revision=t.rev(1), prev_kv=True))
    late.settle(events=28)
    late.record()
    late.close()


@case("watch/delete of a range")
def _(t):
    t.txn(success=[t.op_put(k, k) for k in "edcba"])
    w = begin(t, dict(key="a", end="f", prev_kv=True))
    t.delete("b", "e")
    t.delete("b", "e")
    t.delete(b"\0", b"\0")
    w.settle(events=5)
    w.record(headers=True)
    w.close()


@case("watch/fragment")
def _(t):
    w = begin(t, dict(key="big", end="bih", fragment=True), dict(key="big", end="bih"))
    for batch in range(3):
        t.unrecorded("KV", "Txn", request=t.api.TxnRequest(
            success=[t.op_put("big%d%d" % (batch, i), b"v" * 450000) for i in range(3)]))
    t.unrecorded("KV", "DeleteRange", key=b"big", range_end=b"bih")
    w.settle(events=36)
    w.record()
    w.close()
    late = begin(t, dict(key="big", end="bih", fragment=True, prev_kv=True, start_revision=t.rev(1)))
    late.settle(events=18)
    fragments = [r for r in late.responses if r.fragment]
    t.note("a catch-up of several megabytes comes in fragments", bool(fragments))
    t.note("the last response is not a fragment", not late.responses[-1].fragment)
    t.note("largest response is below two megabytes", max(r.ByteSize() for r in late.responses) < 2 << 20)
    late.record()
    late.close()


@case("watch/nothing but the store's own order")
def _(t):
    w = begin(t, dict(key=b"\0", end=b"\0"))
    for i in range(300):
        t.unrecorded("KV", "Put", key=b"k%d" % (i % 7), value=b"%d" % i)
    w.settle(events=300)
    w.record()
    w.close()


@case("watch/many watchers on a stream")
def _(t):
    w = begin(t, *[dict(key="k%02d" % i) for i in range(60)])
    for i in range(60):
        t.unrecorded("KV", "Put", key=b"k%02d" % i, value=b"%d" % i)
    w.settle(created=60, events=60)
    w.record()
    w.close()


@case("watch/two streams")
def _(t):
    one, two = begin(t, dict(key="a")), begin(t, dict(key="a"))
    t.put("a", "1")
    one.settle(events=1)
    two.settle(events=1)
    one.close()
    t.put("a", "2")
    two.settle(events=2)
    one.record("the stream that was closed")
    two.record("the stream that stayed")
    two.close()


@case("watch/closed by the client")
def _(t):
    w = begin(t, dict(key="a"))
    w.half_close()
    w.wait(lambda: w.end is not None, 2)
    t.put("a", "1")
    w.quiet()
    w.record()
    w.call.cancel()


@case("watch/empty request")
def _(t):
    w = Watching(t)
    w.send(t.api.WatchRequest())
    w.create("a")
    w.settle(created=1)
    w.record()
    w.close()


@case("watch/with the metadata of clientv3")
def _(t):
    w = begin(t, dict(key="a"), metadata=(("hasleader", "true"), ("client-api-version", "3.4.23")))
    t.put("a", "1")
    w.settle(events=1)
    w.record()
    w.close()


@case("watch/lease in events")
def _(t):
    t.grant(600, 801)
    w = begin(t, dict(key="a", prev_kv=True))
    t.put("a", "1", lease=801)
    t.put("a", "2")
    t.put("a", "3", lease=801)
    t.call("Lease", "LeaseRevoke", ID=801)
    w.settle(events=4)
    w.record(headers=True)
    w.close()


@case("watch/compaction under a live watcher")
def _(t):
    w = begin(t, dict(key="a"))
    for i in range(5):
        t.put("a", str(i))
    w.settle(events=5)
    t.compact(t.rev(5))
    t.put("a", "after")
    w.settle(events=6)
    w.record()
    w.close()


@case("watch/every member", sizes=(3,))
def _(t):
    watchers = [begin(t, dict(key="a", end="c"), member=m) for m in range(3)]
    for i in range(6):
        t.put("a", str(i), member=i % 3)
    t.txn(success=[t.op_put("b", "1"), t.op_delete("a")], member=1)
    for m, w in enumerate(watchers):
        w.settle(events=8)
        w.record("watch stream at member%d" % (m + 1))
        w.close()
