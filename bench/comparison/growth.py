"""What bench/growth measures: how figures change as one thing grows.

An axis has steps; at each step, and for each system, some series (put, get, watch) are measured, each a
dictionary of throughput, processor time and latencies.
"""

import dataclasses
import subprocess

from .cluster import Cluster, Failed

MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Axis:
    title: str  # of what grows
    series: tuple
    steps: tuple
    quick: tuple
    run: object  # run(session, system, steps, record): calls record(step, series, figures)


def figures(found, latency="latency_us", rate="operations_per_second"):
    """Of kvbench's JSON, what is kept of a point."""
    return {"per_second": found[rate], "cpu_us": found["server_cpu_us_per_op"],
            "p50_ms": found[latency]["p50"] / 1000, "p99_ms": found[latency]["p99"] / 1000}


def value_keys(value_bytes):
    """Keys that are written over and read: not more than 64 MiB of them."""
    return max(16, min(10000, 64 * MIB // max(1, value_bytes)))


def watch_window(watchers):
    """Puts that not all watchers have seen: about 64,000 events under way, as 1,000 watchers of bench/compare have."""
    return max(1, min(64, 64000 // watchers))


def spread(total, most):
    """`total` as connections x streams, with at most `most` connections."""
    connections = min(total, most)
    return [f"--connections={connections}", f"--streams={max(1, total // connections)}"]


def lengths(s, clients):
    """Seconds of warm-up and measured: with thousands of clients the first calls alone take seconds."""
    return max(s.warmup, clients / 5000), max(s.duration, clients / 2000)


def attempt(s, system, record, step, series, cluster, *arguments, kind=figures, clients=0, timeout=180):
    """One point; one that fails is said and left out."""
    warmup, duration = lengths(s, clients)
    try:
        found = cluster.bench(*arguments, f"--duration={duration:g}", f"--warmup={warmup:g}", "--timeout=60",
                              timeout=timeout)
        record(step, series, kind(found))
    except Failed as failure:
        s.fail(system, step, series, failure)
    except subprocess.TimeoutExpired:
        s.fail(system, step, series, f"took longer than {timeout} s")


def put_and_get(s, system, record, step, cluster, load, *arguments, clients=0):
    attempt(s, system, record, step, "put", cluster, "put", *load, *arguments, clients=clients)
    attempt(s, system, record, step, "get", cluster, "range", *load, *arguments, clients=clients)


def keys(s, system, steps, record):
    """One cluster whose store grows; each step reads and writes over the keys it has added."""
    with s.cluster(system) as cluster:
        have = 0
        for step in steps:
            place = [f"--prefix=keys{step}/", f"--keys={step - have}"]
            s.say(f"{system}: writing {step - have:,} keys")
            cluster.bench("fill", *place, "--timeout=60", timeout=7200)
            put_and_get(s, system, record, step, cluster, spread(1000, 100), *place, "--no-prefill")
            have = step


def value(s, system, steps, record):
    with s.cluster(system) as cluster:
        for step in steps:
            put_and_get(s, system, record, step, cluster, spread(100, 10), f"--prefix=value{step}/",
                        f"--value-size={step}", f"--keys={value_keys(step)}")


def clients(s, system, steps, record):
    """Each on a connection of its own, with one call in flight."""
    with s.cluster(system) as cluster:
        cluster.bench("fill", "--keys=10000", "--timeout=60")
        for step in steps:
            put_and_get(s, system, record, step, cluster, spread(step, step), "--no-prefill", clients=step)


def watchers(s, system, steps, record):
    """Of one prefix; puts as fast as all watchers are told of them."""
    with s.cluster(system) as cluster:
        for step in steps:
            attempt(s, system, record, step, "watch", cluster, "watch", "--rate=0", f"--watchers={step}",
                    f"--watchers-per-stream={min(100, max(1, step // 10))}", f"--window={watch_window(step)}",
                    "--connections=10", "--streams=10", "--order=distinct", f"--prefix=watch{step}/",
                    clients=step // 10, kind=lambda found: figures(found, "event_latency_us", "events_per_second"))


def members(s, system, steps, record):
    for step in steps:
        with s.cluster(system, step) as cluster:
            put_and_get(s, system, record, step, cluster, spread(1000, 100))


AXES = {
    "keys": Axis("keys in the store", ("put", "get"), (10**4, 10**5, 10**6, 10**7), (1000, 4000), keys),
    "value": Axis("bytes of a value", ("put", "get"), (16, 256, 4096, 65536, MIB), (16, 4096), value),
    "clients": Axis("clients", ("put", "get"), (1, 10, 100, 1000, 10000), (1, 20), clients),
    "watchers": Axis("watchers of one prefix", ("watch",), (1, 10, 100, 1000, 10000, 100000), (1, 50), watchers),
    "members": Axis("members", ("put", "get"), (1, 3, 5), (1, 3), members),
}


def parse_steps(text):
    """"keys=1000,2000" as ("keys", (1000, 2000)). ValueError says what is wrong."""
    name, _, values = text.partition("=")
    if name not in AXES:
        raise ValueError(f"no axis {name}: {', '.join(AXES)}")
    try:
        found = tuple(sorted({int(float(v)) for v in values.split(",")}))
    except ValueError:
        raise ValueError(f"{text}: steps are numbers with commas between") from None
    if found[0] < 1:
        raise ValueError(f"{text}: steps begin with 1")
    return name, found


def point(axis, system, step, series):
    """Figures of a point, or None."""
    return axis["points"].get(system, {}).get(str(step), {}).get(series)


def steps_of(axis):
    return sorted({int(step) for points in axis["points"].values() for step in points})
