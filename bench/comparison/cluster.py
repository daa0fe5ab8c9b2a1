"""Members of one program on loopback, and what the kernel says of them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

FLAGS = ["--heartbeat-interval=100", "--election-timeout=1000", "--snapshot-count=100000",
         "--quota-backend-bytes=64000000000", "--log-level=error"]


class Failed(RuntimeError):
    """A measurement that could not be made; the text says why."""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


class Cluster:
    """Members with the same flags, whatever the program."""

    def __init__(self, program, folder, kvbench, size=3):
        self.kvbench = kvbench
        self.program = program
        self.folder = tempfile.mkdtemp(prefix=os.path.basename(program) + "-", dir=folder)
        ports = free_ports(2 * size)
        self.endpoints = [f"127.0.0.1:{p}" for p in ports[:size]]
        self.peers = [f"http://127.0.0.1:{p}" for p in ports[size:]]
        self.members = [None] * size
        try:
            for i in range(size):
                self.start(i)
            for endpoint in self.endpoints:
                self.wait(endpoint)
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, i):
        # Nothing of the caller's environment configures a member.
        env = {k: v for k, v in os.environ.items() if not k.startswith("ETCD")}
        with open(f"{self.folder}/m{i}.log", "ab") as log:
            self.members[i] = subprocess.Popen(
                [self.program, f"--name=m{i}", f"--data-dir={self.folder}/m{i}",
                 f"--listen-client-urls=http://{self.endpoints[i]}",
                 f"--advertise-client-urls=http://{self.endpoints[i]}",
                 f"--listen-peer-urls={self.peers[i]}", f"--initial-advertise-peer-urls={self.peers[i]}",
                 "--initial-cluster=" + ",".join(f"m{n}={peer}" for n, peer in enumerate(self.peers)),
                 "--initial-cluster-state=new", *FLAGS], stdout=log, stderr=log, env=env)

    def wait(self, endpoint, seconds=60):
        """Until a write goes through that member."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            done = subprocess.run([self.kvbench, "put", f"--endpoints={endpoint}", "--total=1", "--connections=1",
                                   "--streams=1", "--timeout=2", "--prefix=start/"], capture_output=True)
            if done.returncode == 0:
                return
            if any(m is not None and m.poll() is not None for m in self.members):
                break
            time.sleep(0.2)
        raise Failed(f"{endpoint} does not answer:\n" + self.logs())

    def wait_read(self, endpoint, seconds=120):
        """Until that member answers a linearizable read."""
        host, port = endpoint.split(":")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                socket.create_connection((host, int(port)), 1).close()
            except OSError:
                time.sleep(0.005)
                continue
            done = subprocess.run([self.kvbench, "range", f"--endpoints={endpoint}", "--total=1", "--connections=1",
                                   "--streams=1", "--timeout=2", "--no-prefill"], capture_output=True)
            if done.returncode == 0:
                return
            time.sleep(0.005)
        raise Failed(f"{endpoint} does not serve again:\n" + self.logs())

    def logs(self):
        texts = []
        for i in range(len(self.members)):
            with open(f"{self.folder}/m{i}.log", errors="replace") as log:
                texts.append(f"--- m{i}\n" + log.read()[-1500:])
        return "\n".join(texts)

    def pids(self):
        return [m.pid for m in self.members]

    def bench(self, *arguments, timeout=120):
        """Runs kvbench on all members; its figures."""
        command = [self.kvbench, *arguments, "--json", f"--endpoints={','.join(self.endpoints)}",
                   f"--server-pids={','.join(map(str, self.pids()))}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise Failed(f"{' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}\n" + self.logs())
        result = json.loads(done.stdout)
        if result["errors"]:
            texts = ", ".join(f"{n} x {text}" for text, n in result["error_texts"].items())
            raise Failed(f"{' '.join(arguments)}: {result['errors']} calls failed: {texts}")
        return result

    def etcdctl(self, *arguments, timeout=600):
        """etcdctl speaks to both systems."""
        env = {**{k: v for k, v in os.environ.items() if not k.startswith("ETCD")}, "ETCDCTL_API": "3"}
        done = subprocess.run(["etcdctl", f"--endpoints={','.join(self.endpoints)}", f"--command-timeout={timeout}s",
                               *arguments], capture_output=True, text=True, env=env)
        if done.returncode != 0:
            raise Failed(f"etcdctl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def status(self):
        return [member["Status"] for member in json.loads(self.etcdctl("endpoint", "status", "-w", "json"))]

    def db_bytes(self):
        """What the members say their database holds, the mean."""
        return sum(s.get("dbSize", 0) for s in self.status()) / len(self.members)

    def disk_bytes(self):
        """All that lies in the data folders, logs included, the mean of the members."""
        total = 0
        for i in range(len(self.members)):
            for folder, _, files in os.walk(f"{self.folder}/m{i}"):
                for name in files:
                    try:
                        total += os.stat(os.path.join(folder, name)).st_blocks * 512
                    except FileNotFoundError:
                        pass
        return total / len(self.members)

    def memory(self):
        """Bytes of one member, the mean: what it has to itself, and pages of files it maps."""
        private = mapped = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as lines:
                sizes = {words[0]: int(words[1]) * 1024 for words in map(str.split, lines) if words[-1] == "kB"}
            private += sizes["Anonymous:"]
            mapped += sizes["Rss:"] - sizes["Anonymous:"]
        return {"private": private / len(self.members), "mapped": mapped / len(self.members)}

    def cpu_seconds(self):
        """Processor time of all members so far, to the nanosecond: stat's ticks are too coarse for idle ones."""
        total = 0
        for pid in self.pids():
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as schedstat:
                    total += int(schedstat.read().split()[0])
        return total / 1e9

    def kill(self, i):
        self.members[i].kill()
        self.members[i].wait()

    def stop(self):
        running = [m for m in self.members if m is not None]
        for member in running:
            member.send_signal(signal.SIGTERM)
        for member in running:
            try:
                member.wait(10)
            except subprocess.TimeoutExpired:
                member.kill()
                member.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def flags_of(cluster):
    """The command lines as the kernel has them, without what must differ: program, ports, folder."""
    lines = set()
    for pid in cluster.pids():
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = [w.decode() for w in file.read().split(b"\0")[1:] if w]
        lines.add(tuple(re.sub(r":\d{4,5}\b", ":PORT", w) for w in words
                        if not w.startswith(("--name=", "--data-dir="))))
    if len(lines) != 1:
        raise Failed("the members of one cluster differ in their flags")
    return lines.pop()


def file_system(folder):
    """Type of the file system that holds `folder`."""
    best = ("", "unknown")
    folder = os.path.realpath(folder)
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            _, point, kind = line.split()[:3]
            inside = folder == point or folder.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best[0]):
                best = (point, kind)
    return best[1]


def count_syncs(cluster, puts=100):
    """fsync and fdatasync calls of the three members while one client makes `puts` puts one after the
    other, counted by strace; and the bytes that the kernel says they sent to the disk meanwhile."""
    if shutil.which("strace") is None:
        raise Failed("strace is not installed: syncs cannot be counted (apt-get install strace)")

    def written():
        total = 0
        for pid in cluster.pids():
            with open(f"/proc/{pid}/io") as lines:
                total += int(dict(line.split(": ") for line in lines)["write_bytes"])
        return total

    output = f"{cluster.folder}/strace"
    tracer = subprocess.Popen(
        ["strace", "-f", "-o", output, "-e", "trace=fsync,fdatasync,sync_file_range,msync",
         *[word for pid in cluster.pids() for word in ("-p", str(pid))]],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    attached = 0
    while attached < 3:
        line = tracer.stderr.readline()
        if not line:
            raise Failed("strace could not attach: syncs cannot be counted")
        attached += "attached" in line
    time.sleep(0.5)
    before = written()
    with open(output) as file:
        skip = len(file.read().splitlines())
    cluster.bench("put", f"--total={puts}", "--connections=1", "--streams=1", "--order=distinct", "--prefix=sync/")
    wrote = written() - before
    tracer.send_signal(signal.SIGINT)
    tracer.communicate(timeout=20)
    counts = {}
    with open(output) as file:
        for line in file.read().splitlines()[skip:]:
            found = re.search(r"\b(fsync|fdatasync|sync_file_range|msync)\(", line)
            if found:
                counts[found.group(1)] = counts.get(found.group(1), 0) + 1
    return {"puts": puts, "calls": counts, "written_bytes": wrote,
            "durable_per_put": (counts.get("fsync", 0) + counts.get("fdatasync", 0)) / puts}
