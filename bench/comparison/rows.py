"""The table: what each row means, and the measurements that fill it.

A measurement runs one system once and returns {row: figure}. Several rows may
come from one run. `known` holds the medians found so far, by row and system:
what is offered to both may depend on what etcd can take.
"""

import dataclasses
import statistics
import subprocess
import threading
import time

from .cluster import Cluster, Failed

MIB = 2**20
CLIENTS = {1000: ["--connections=100", "--streams=10"], 64: ["--connections=16", "--streams=4"],
           1: ["--connections=1", "--streams=1"]}


@dataclasses.dataclass(frozen=True)
class Row:
    what: str
    unit: str
    more_is_better: bool
    target: float = 0  # times etcd; 0: none, or `limit`
    limit: float = 0  # an absolute figure that must not be passed
    digits: int = 1


ROWS = {
    "put": Row("puts, 1,000 clients", "1/s", True, 8, digits=0),
    "put-cpu": Row("server CPU of a put, all members", "us", False, 8),
    "put-p99": Row("put p99 at etcd's rate with 64 clients", "ms", False, 10, digits=2),
    "put-1": Row("put p50, one client", "ms", False, 4, digits=2),
    "put-1-cpu": Row("server CPU of a put, one client", "us", False, digits=0),
    "get": Row("linearizable gets, 1,000 clients", "1/s", True, 15, digits=0),
    "get-cpu": Row("server CPU of a linearizable get", "us", False, 15),
    "get-serial": Row("serializable gets, 1,000 clients", "1/s", True, 20, digits=0),
    "get-serial-cpu": Row("server CPU of a serializable get", "us", False, 20),
    "txn": Row("transactions (compare + put), 1,000 clients", "1/s", True, 8, digits=0),
    "txn-cpu": Row("server CPU of a transaction", "us", False, 8),
    "watch": Row("watch events delivered, 1,000 watchers of one prefix", "1/s", True, 15, digits=0),
    "watch-cpu": Row("server CPU of a watch event", "us", False, 15, digits=2),
    "watch-p99": Row("put-to-watch p99 at half etcd's rate", "ms", False, 5, digits=2),
    "memory": Row("private memory of a member with all keys", "MiB", False, 8, digits=0),
    "memory-mapped": Row("mapped files resident in a member, all keys", "MiB", False, digits=0),
    "idle-watchers": Row("memory that idle watchers add to a member", "MiB", False, 3),
    "idle-cpu": Row("CPU of three idle members", "% of a core", False, limit=1, digits=2),
    "idle-memory": Row("memory of an idle, empty member", "MiB", False, limit=40),
    "restart": Row("one member killed, until it serves reads", "s", False, limit=2, digits=2),
    "restart-all": Row("all members killed, until reads are served", "s", False, digits=2),
    "list": Row("list in one answer", "ms", False, 5, digits=0),
    "pages": Row("the same list in pages of 500, with count", "ms", False, 200, digits=0),
    "pause": Row("worst put while old revisions are compacted", "ms", False, digits=1),
    "pause-over": Row("that, over the p99 of the same puts before", "ms", False, limit=10, digits=1),
}


def timed(s, *arguments):
    return [*arguments, f"--duration={s.duration:g}", f"--warmup={s.warmup:g}"]


def put(s, system, known):
    with s.cluster(system) as cluster:
        found = cluster.bench(*timed(s, "put", "--order=distinct", *CLIENTS[1000]))
    return {"put": found["operations_per_second"], "put-cpu": found["server_cpu_us_per_op"]}


def put_p99(s, system, known):
    """etcd as fast as 64 clients make it (closed loop: kind to it, a stall is seen once a client); the other
    is offered that rate whatever it does (open loop: every put that a stall delays counts)."""
    load = ["put", "--order=distinct", *CLIENTS[64]]
    rate = known("put-p99-rate", "etcd")
    if system != "etcd":
        if rate is None:
            raise Failed("needs etcd's rate first")
        load.append(f"--rate={rate:.0f}")
    with s.cluster(system) as cluster:
        found = cluster.bench(*timed(s, *load))
    return {"put-p99": found["latency_us"]["p99"] / 1000, "put-p99-rate": found["operations_per_second"]}


def put_1(s, system, known):
    with s.cluster(system) as cluster:
        found = cluster.bench(*timed(s, "put", "--order=distinct", *CLIENTS[1]))
    return {"put-1": found["latency_us"]["p50"] / 1000, "put-1-cpu": found["server_cpu_us_per_op"]}


def get(s, system, known, serial=False):
    name = "get-serial" if serial else "get"
    extra = ["--serializable"] if serial else []
    with s.cluster(system) as cluster:
        found = cluster.bench(*timed(s, "range", *extra, *CLIENTS[1000]))
    return {name: found["operations_per_second"], name + "-cpu": found["server_cpu_us_per_op"]}


def get_serial(s, system, known):
    return get(s, system, known, serial=True)


def txn(s, system, known):
    with s.cluster(system) as cluster:
        found = cluster.bench(*timed(s, "txn", "--order=distinct", *CLIENTS[1000]))
    return {"txn": found["operations_per_second"], "txn-cpu": found["server_cpu_us_per_op"]}


def watch(s, system, known):
    """As fast as every watcher is told: a put waits while 64 others have not reached all."""
    with s.cluster(system) as cluster:
        found = cluster.bench(*timed(s, "watch", "--rate=0", f"--watchers={s.watchers}", "--watchers-per-stream=10",
                                     "--connections=10", "--streams=10", "--order=distinct"))
    return {"watch": found["events_per_second"], "watch-cpu": found["server_cpu_us_per_op"]}


def watch_p99(s, system, known):
    events = known("watch", "etcd")
    if events is None:
        raise Failed("needs the row watch of etcd first")
    rate = events / s.watchers / 2
    with s.cluster(system) as cluster:
        found = cluster.bench(*timed(s, "watch", f"--rate={rate:.1f}", f"--watchers={s.watchers}",
                                     "--watchers-per-stream=10", "--connections=10", "--streams=10",
                                     "--order=distinct"))
    return {"watch-p99": found["event_latency_us"]["p99"] / 1000}


def idle(s, system, known):
    with s.cluster(system) as cluster:
        time.sleep(1)
        empty = cluster.memory()
        seconds = max(10, s.duration)
        before = cluster.cpu_seconds()
        time.sleep(seconds)
        idle_cpu = (cluster.cpu_seconds() - before) / seconds * 100
        waiting = subprocess.Popen(
            [s.kvbench, "idle", f"--watchers={s.idle_watchers}", "--watchers-per-stream=10", "--connections=100",
             "--duration=600", "--timeout=60", f"--endpoints={','.join(cluster.endpoints)}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            if waiting.stderr.readline().strip() != "ready":
                raise Failed("the idle watchers could not be established: " + waiting.stderr.read())
            time.sleep(1)
            full = cluster.memory()
        finally:
            waiting.kill()
            waiting.communicate()
    return {"idle-cpu": idle_cpu, "idle-memory": (empty["private"] + empty["mapped"]) / MIB,
            "idle-watchers": (full["private"] - empty["private"]) / MIB}


def state(s, system, known):
    """One large state, and what is done with it: keys of 64 bytes, values of 256."""
    found = {}
    keys = ["--key-size=64", "--prefix=state/", f"--keys={s.keys}", "--timeout=60"]
    with s.cluster(system) as cluster:
        s.say(f"{system}: writing {s.keys:,} keys")
        fill = cluster.bench("fill", *keys, timeout=3600)
        found["fill-keys-per-second"] = s.keys / fill["seconds"]
        time.sleep(2)
        memory = cluster.memory()
        found["memory"] = memory["private"] / MIB
        found["memory-mapped"] = memory["mapped"] / MIB
        if s.wants("list", "pages"):
            s.say(f"{system}: listing {s.list_keys:,} of them")
            lists = ["pages", "--no-prefill", *keys[:3], "--timeout=600", f"--range-keys={s.list_keys}", *CLIENTS[1]]
            if s.wants("list"):
                one = cluster.bench(*lists, f"--page={s.list_keys}", "--total=3", timeout=3600)
                found["list"] = one["latency_us"]["p50"] / 1000
            if s.wants("pages"):
                one = cluster.bench(*lists, "--page=500", "--total=1", timeout=3600)
                found["pages"] = one["latency_us"]["p50"] / 1000
        if s.wants("pause", "pause-over"):
            pause(s, system, cluster, found)
        if s.wants("restart", "restart-all"):
            restart(s, system, cluster, found)
    return found


def pause(s, system, cluster, found):
    """Old revisions by overwriting keys; then a compaction while puts come in at a rate."""
    versions = 10
    keys = max(100, int(s.compact_gb * 2**30 / versions / (4096 + 64)))
    s.say(f"{system}: writing {s.compact_gb:g} GB of old revisions")
    for _ in range(versions):
        cluster.bench("fill", "--prefix=old/", f"--keys={keys}", "--value-size=4096", "--timeout=60", timeout=3600)
    load = ["put", "--rate=200", "--order=distinct", *CLIENTS[64], "--warmup=1"]
    before = cluster.bench(*load, f"--duration={s.duration:g}", "--prefix=before/")
    revision = max(status["header"]["revision"] for status in cluster.status())
    took = []

    def compact():
        time.sleep(1.5)
        start = time.monotonic()
        cluster.etcdctl("compact", "--physical", str(revision))
        took.append(time.monotonic() - start)

    s.say(f"{system}: compacting")
    thread = threading.Thread(target=compact)
    thread.start()
    length = max(s.duration, 5 + 8 * s.compact_gb)
    during = cluster.bench(*load, f"--duration={length:g}", "--prefix=during/", timeout=length + 120)
    thread.join()
    if not took:
        raise Failed("the compaction failed")
    found["pause"] = during["latency_us"]["max"] / 1000
    found["pause-over"] = max(0, during["latency_us"]["max"] - before["latency_us"]["p99"]) / 1000
    found["compact-seconds"] = took[0]
    found["compact-outlasted-load"] = float(took[0] > length - 0.5)


def restart(s, system, cluster, found):
    wanted = int(s.restart_gb * 2**30)
    have = s.keys * (64 + 256)
    if wanted > have:
        s.say(f"{system}: writing up to {s.restart_gb:g} GB")
        cluster.bench("fill", "--prefix=bulk/", f"--keys={(wanted - have) // (4096 + 32)}", "--value-size=4096",
                      "--timeout=60", timeout=7200)
    found["restart-db-mib"] = cluster.db_bytes() / MIB
    found["restart-disk-mib"] = cluster.disk_bytes() / MIB
    s.say(f"{system}: killing and starting members")
    times = []
    for i in range(3):
        cluster.kill(i)
        start = time.monotonic()
        cluster.start(i)
        cluster.wait_read(cluster.endpoints[i])
        times.append(time.monotonic() - start)
    found["restart"] = statistics.median(times)
    for i in range(3):
        cluster.kill(i)
    start = time.monotonic()
    for i in range(3):
        cluster.start(i)
    cluster.wait_read(cluster.endpoints[0])
    found["restart-all"] = time.monotonic() - start


# In the order of the run: put-p99 and watch-p99 lean on what etcd reached before. `once`: not repeated by
# --rounds but by --state-rounds, for their length.
@dataclasses.dataclass(frozen=True)
class Measurement:
    run: object
    rows: tuple
    once: bool = False


MEASUREMENTS = [
    Measurement(put, ("put", "put-cpu")),
    Measurement(put_p99, ("put-p99",)),
    Measurement(put_1, ("put-1", "put-1-cpu")),
    Measurement(get, ("get", "get-cpu")),
    Measurement(get_serial, ("get-serial", "get-serial-cpu")),
    Measurement(txn, ("txn", "txn-cpu")),
    Measurement(watch, ("watch", "watch-cpu")),
    Measurement(watch_p99, ("watch-p99",)),
    Measurement(idle, ("idle-watchers", "idle-cpu", "idle-memory"), once=True),
    Measurement(state, ("memory", "memory-mapped", "list", "pages", "pause", "pause-over", "restart", "restart-all"),
                once=True),
]
