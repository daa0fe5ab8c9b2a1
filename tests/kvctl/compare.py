#!/usr/bin/env python3
"""Compares kvctl with Debian's etcdctl: same commands, same server, same bytes.

    tests/kvctl/compare.py --kvctl build/release/bin/kvctl                  on etcd
    tests/kvctl/compare.py --kvctl ... --kvd build/release/bin/kvd          on kvd

The server is started twice with an empty data folder and the same ids: once
for all commands with etcdctl, once for the same with kvctl. Standard output and
exit code must be equal; of standard error, the lines that begin with "Error: ".
Masked: what differs from run to run (lease ids, durations, sizes, raft
indexes). Exits 0 when nothing differs, 77 when etcd or etcdctl is not installed.
"""

import argparse
import difflib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from loopback import free_ports  # noqa: E402

SKIPPED = 77

# Each case: arguments, standard input. {lease} is the id of the last lease
# granted; {e} the endpoint.
CASES = [
    (["put", "a", "1"], ""),
    (["put", "a", "2", "--prev-kv"], ""),
    (["put", "from-stdin"], "line one\nline two\n"),
    (["put", "--", "-dash", "-value"], ""),
    (["put", "json", "[1,2]"], ""),
    (["put", "k\n\x01", "q\"\\é\u200b"], ""),
    (["put", "html", "<a>&b"], ""),
    (["put", "b", "x"], ""), (["put", "c", "y"], ""), (["put", "b", "z"], ""),
    (["get", "json"], ""), (["get", "--", "-dash"], ""), (["get", "from-stdin"], ""),
]
for form in ("simple", "fields", "json", "protobuf"):
    w = ["-w", form]
    CASES += [(w + c, i) for c, i in [
        (["put", "p", form, "--prev-kv"], ""),
        (["get", "a"], ""), (["get", "nope"], ""), (["get", "a", "c"], ""),
        (["get", "", "--prefix"], ""), (["get", "b", "--from-key"], ""),
        (["get", "", "--prefix", "--keys-only"], ""),
        (["get", "", "--prefix", "--limit", "2"], ""),
        (["get", "", "--prefix", "--sort-by", "modify", "--order", "descend"], ""),
        (["get", "", "--prefix", "--sort-by=VALUE"], ""),
        (["get", "", "--prefix", "--sort-by=version", "--order=ASCEND"], ""),
        (["get", "", "--prefix", "--sort-by=create", "--order=descend", "--limit=1"], ""),
        (["get", "b", "--rev=9"], ""), (["get", "a", "--consistency=s"], ""),
        (["del", "nope"], ""), (["put", "gone", "1"], ""), (["del", "gone", "--prev-kv"], ""),
        (["put", "g1", "1"], ""), (["put", "g2", "2"], ""), (["del", "g", "--prefix", "--prev-kv"], ""),
        (["txn"], 'value("a") = "2"\nmod("a") > "0"\n\nput t 1\nget a\ndel nope --prev-kv\n\nput t 2\n\n'),
        (["txn"], 'version("a") = "0"\n\nput t 1\n\nput t "2 3" --prev-kv\nget t --keys-only\nget b c\n\n'),
        (["txn", "-i"], 'create("t") != "0"\n\ndel t --prev-kv\n\n\n'),
        (["txn"], "\n\n\n"),
        (["member", "list"], ""),
    ]]
for form in ("simple", "fields", "json"):
    w = ["-w", form]
    CASES += [(w + c, i) for c, i in [
        (["lease", "grant", "300"], ""),
        (["put", "l1", "v", "--lease={lease}"], ""),
        (["put", "l1", "w", "--ignore-lease", "--prev-kv"], ""),
        (["put", "l1", "--ignore-value", "--lease={lease}"], ""),
        (["get", "l1"], ""),
        (["lease", "timetolive", "{lease}"], ""), (["lease", "timetolive", "{lease}", "--keys"], ""),
        (["lease", "list"], ""),
        (["lease", "keep-alive", "--once", "{lease}"], ""),
        (["lease", "revoke", "{lease}"], ""), (["lease", "revoke", "{lease}"], ""),
        (["get", "l1"], ""),
        (["lease", "timetolive", "{lease}"], ""),
        (["lease", "keep-alive", "--once", "{lease}"], ""), (["lease", "keep-alive", "{lease}"], ""),
        (["lease", "list"], ""),
        (["compaction", "3"], ""), (["compaction", "3"], ""),
        (["endpoint", "health"], ""), (["endpoint", "status"], ""), (["endpoint", "hashkv"], ""),
        (["endpoint", "status", "--cluster"], ""), (["endpoint", "health", "--cluster"], ""),
        (["member", "update", "1", "--peer-urls=http://127.0.0.1:9"], ""),
    ]]
CASES += [
    (["-w", "table", "member", "list"], ""), (["-w", "table", "endpoint", "status"], ""),
    (["-w", "table", "endpoint", "health"], ""), (["-w", "table", "endpoint", "hashkv"], ""),
    (["-w", "table", "get", "a"], ""), (["-w", "protobuf", "endpoint", "status"], ""),
    (["--hex", "get", "k", "l"], ""), (["--hex", "-w", "json", "get", "a"], ""),
    (["get", "a", "--print-value-only"], ""),
    (["alarm", "list"], ""), (["-w", "json", "alarm", "list"], ""), (["alarm", "disarm"], ""),
    (["defrag"], ""), (["defrag", "--cluster"], ""),
    # Mistakes
    (["put"], ""), (["put", "a", "--lease=zz", "v"], ""), (["put", "a", "b", "--lease=123"], ""),
    (["put", "", "b"], ""), (["put", "a", "b", "--ignore-value"], ""), (["put", "nok", "--ignore-value"], ""),
    (["put", "nok", "v", "--ignore-lease"], ""), (["put", "nok", "v", "--ignore-lease", "--lease=12"], ""),
    (["put", "empty"], ""),
    (["get"], ""), (["get", ""], ""), (["get", "a", "--prefix", "--from-key"], ""),
    (["get", "a", "b", "--prefix"], ""), (["get", "a", "b", "--from-key"], ""),
    (["get", "a", "--consistency=q"], ""), (["get", "a", "--order=q"], ""), (["get", "a", "--sort-by=q"], ""),
    (["get", "a", "--rev=1"], ""), (["get", "a", "--rev=999999"], ""),
    (["get", "a", "--print-value-only", "-w", "json"], ""), (["-w", "bogus", "get", "a"], ""),
    (["del"], ""), (["del", "a", "b", "c"], ""), (["del", "a", "b", "--prefix"], ""),
    (["txn"], ""), (["txn"], "bogus\n\n\n\n"), (["txn"], 'valu("a") = "1"\n\n\n\n'),
    (["txn"], 'ver("a") = "x"\n\n\n\n'), (["txn"], 'val("a") = 1\n\n\n\n'), (["txn"], "\nfoo\n\n\n"),
    (["txn"], "\nwatch a\n\n\n"), (["txn"], "\nput a 1\nput a 2\n\n\n"), (["txn"], "\nput a\n\n\n"),
    (["txn"], "\ndel a --from-key --prefix\n\n\n"), (["txn", "x"], ""),
    (["lease", "grant"], ""), (["lease", "grant", "x"], ""), (["lease", "revoke", "zz"], ""),
    (["lease", "timetolive"], ""), (["lease", "keep-alive"], ""),
    (["compaction"], ""), (["compaction", "x"], ""), (["compaction", "99999999"], ""),
    (["member", "remove", "1"], ""), (["member", "remove", "zz"], ""), (["member", "remove"], ""),
    (["member", "add"], ""), (["member", "add", "a"], ""), (["member", "add", "a", "--peer-urls=x"], ""),
    (["member", "promote", "1"], ""),
    (["move-leader"], ""), (["move-leader", "1"], ""), (["move-leader", "zz"], ""),
    (["watch"], ""), (["watch", "a", "b", "--prefix"], ""), (["watch", "a", "--"], ""),
    (["watch", "a", "--rev=1"], ""), (["watch", "a", "--rev=1", "-w", "json"], ""),
]

# Watches: arguments, then the writes whose events they print.
WATCHES = [
    (["watch", "w1"], ["w1"]),
    (["watch", "w1", "w3", "--prev-kv"], ["w1", "w2", "w3", "w1"]),
    (["watch", "w", "--prefix", "-w", "json"], ["w1", "w2"]),
    (["watch", "w", "--prefix", "-w", "fields", "--prev-kv"], ["w1", "w2"]),
    (["watch", "w", "--prefix", "--hex"], ["w1"]),
    (["watch", "w1", "--", "sh", "-c", "env | grep ^ETCD_WATCH | sort"], ["w1", "w1"]),
    (["watch", "w1", "--", "sh", "-c", "exit 3"], ["w1"]),
    (["watch", "w1", "--", "no-such-program"], ["w1"]),
]

# Held until interrupted: arguments and, for an observer, what somebody proposes meanwhile.
# After them: etcdctl leaves its leases to expire.
HELD = [
    (["lock", "door"], None), (["lock", "door", "-w", "json"], None), (["lock", "door", "-w", "fields"], None),
    (["elect", "office", "me"], None), (["elect", "office", "me", "-w", "fields"], None),
    (["elect", "-l", "office"], "me"), (["elect", "-l", "nobody"], None),
]
LAST = [
    (["get", "door", "--prefix"], ""), (["get", "office", "--prefix"], ""),
    (["lock"], ""), (["lock", "door", "echo", "hi"], ""), (["lock", "door", "false"], ""),
    (["lock", "door", "--", "sh", "-c", "exit 3"], ""), (["lock", "door", "no-such-program"], ""),
    (["lock", "door", "--ttl", "3", "--", "sh", "-c", "echo $ETCD_LOCK_KEY at $ETCD_LOCK_REV"], ""),
    (["elect"], ""), (["elect", "a", "b", "c"], ""), (["elect", "-l", "a", "b"], ""), (["elect", "a"], ""),
]

# Users and roles; at the very end, for they lock the door.
ROOT = ["--user", "root:rootpw"]
JANE = ["--user", "jane", "--password", "pw"]
for form in ("simple", "fields", "json", "protobuf", "table"):
    w = ["-w", form]
    LAST += [(w + c, "") for c in [
        ["role", "add", "r"], ["role", "add", "r"], ["role", "grant-permission", "r", "readwrite", "a", "c"],
        ["role", "grant-permission", "r", "READ", "p/", "--prefix"], ["role", "grant-permission", "r", "write", "z", "--from-key"],
        ["role", "grant-permission", "r", "read", "foo"], ["role", "grant-permission", "r", "read", "", "--prefix"],
        ["role", "get", "r"], ["role", "list"], ["role", "get", "none"],
        ["user", "add", "jane:pw"], ["user", "add", "jane:pw"], ["user", "add", "cert", "--no-password"],
        ["user", "grant-role", "jane", "r"], ["user", "grant-role", "jane", "none"], ["user", "get", "jane"], ["user", "list"],
        ["user", "get", "nobody"],
        ["role", "revoke-permission", "r", "foo"], ["role", "revoke-permission", "r", "p/", "--prefix"],
        ["role", "revoke-permission", "r", "z", "--from-key"], ["role", "revoke-permission", "r", "a", "c"],
        ["role", "revoke-permission", "r", "foo"],
        ["user", "revoke-role", "jane", "r"], ["user", "revoke-role", "jane", "r"],
        ["user", "delete", "jane"], ["user", "delete", "cert"], ["user", "delete", "cert"], ["role", "delete", "r"], ["role", "delete", "r"],
    ]]
    LAST += [(w + ["user", "add", "jim", "--interactive=false"], "pw\n"),
             (w + ["user", "passwd", "jim", "--interactive=false"], "new\n"), (w + ["user", "delete", "jim"], "")]
LAST += [
    (["auth", "enable"], ""), (["auth", "disable"], ""), (["auth", "enable", "x"], ""), (["auth", "disable", "x"], ""),
    (["user", "add"], ""), (["user", "add", ":pw"], ""), (["user", "get"], ""), (["user", "delete"], ""), (["user", "passwd"], ""),
    (["user", "list", "x"], ""), (["user", "grant-role", "a"], ""), (["user", "revoke-role", "a"], ""),
    (["role", "add"], ""), (["role", "get"], ""), (["role", "delete"], ""), (["role", "list", "x"], ""),
    (["role", "grant-permission", "a"], ""), (["role", "grant-permission", "a", "bad", "k"], ""),
    (["role", "grant-permission", "a", "read", "k", "l", "--prefix"], ""), (["role", "grant-permission", "a", "read", "k", "--prefix", "--from-key"], ""),
    (["role", "revoke-permission", "a"], ""),
    (["user", "add", "root:rootpw"], ""), (["auth", "enable"], ""), (["auth", "enable"], ""), (["get", "a"], ""),
    (ROOT + ["role", "get", "root"], ""), (ROOT + ["user", "get", "root", "--detail"], ""),
    (ROOT + ["role", "add", "r"], ""), (ROOT + ["role", "grant-permission", "r", "readwrite", "a", "c"], ""),
    (ROOT + ["user", "add", "jane:pw"], ""), (ROOT + ["user", "grant-role", "jane", "r"], ""),
    (ROOT + ["user", "get", "jane", "--detail"], ""),
    (JANE + ["put", "a", "1"], ""), (JANE + ["get", "a", "c"], ""), (JANE + ["put", "c", "1"], ""), (JANE + ["get", "", "--prefix"], ""),
    (JANE + ["lease", "grant", "300"], ""), (JANE + ["user", "list"], ""), (JANE + ["watch", "d"], ""), (["--user", "jane:bad", "get", "a"], ""),
    (["--user", "jane"] + ["get", "b"], "pw\n"), (ROOT + ["auth", "disable"], ""), (ROOT + ["get", "a"], ""),
]


class Server:
    """One fresh member; the same ids whenever the ports are the same."""

    def __init__(self, program, client_port, peer_port):
        self.folder = tempfile.mkdtemp(prefix="kvctl-compare-")
        client, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
        self.endpoint = f"127.0.0.1:{client_port}"
        self.log = open(os.path.join(self.folder, "log"), "wb")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("ETCD_", "ETCDCTL_", "KVCTL_"))}
        self.process = subprocess.Popen(
            [program, "--name=m1", f"--data-dir={self.folder}/data", f"--listen-client-urls={client}",
             f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
             f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=m1={peer}"],
            stdout=self.log, stderr=self.log, env=env)

    def wait(self, tool):
        for _ in range(300):
            done = run(tool, ["get", "ready"], "", self.endpoint)
            if done.returncode == 0:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        with open(self.log.name, errors="replace") as log:
            sys.exit("the server did not come up:\n" + log.read()[-2000:])

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def environment(endpoint):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ETCD_", "ETCDCTL_", "KVCTL_"))}
    env["ETCDCTL_API"] = "3"
    return env


def command(tool, arguments, endpoint):
    given = any(a.startswith("--endpoints") for a in arguments)
    return [tool] + ([] if given else [f"--endpoints={endpoint}"]) + arguments


def run(tool, arguments, stdin, endpoint):
    try:
        return subprocess.run(command(tool, arguments, endpoint), input=stdin.encode(), timeout=30,
                              capture_output=True, env=environment(endpoint))
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(late.cmd, 124, late.stdout or b"", b"Error: took over 30 s\n")


def run_watch(tool, arguments, keys, endpoint):
    """Starts a watch, writes the keys (twice each: put, delete), stops it."""
    watch = subprocess.Popen(command(tool, arguments, endpoint), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=environment(endpoint))
    time.sleep(1)
    for key in keys:
        run(tool, ["put", key, "v"], "", endpoint)
    for key in keys:
        run(tool, ["del", key], "", endpoint)
    time.sleep(1)
    stopped = watch.poll()
    if stopped is None:
        watch.kill()
    out, err = watch.communicate()
    return subprocess.CompletedProcess(arguments, "going on" if stopped is None else stopped, out, err)


def run_held(tool, arguments, proposal, endpoint):
    """Runs what holds on until it is interrupted, and interrupts it."""
    def start(words):
        return subprocess.Popen(command(tool, words, endpoint), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=environment(endpoint))

    def interrupt(process):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()

    held = start(arguments)
    time.sleep(1)
    if proposal is not None:
        leading = start(["elect", arguments[-1], proposal])
        time.sleep(1)
        interrupt(leading)
        time.sleep(0.5)
    out, err = interrupt(held)
    return subprocess.CompletedProcess(arguments, held.returncode, out, err)


class Masks:
    """What may differ between two runs, replaced by its name."""

    PATTERNS = [
        (re.compile(rb"took = \S+"), b"took = TIME"),
        (re.compile(rb'"took":"[^"]*"'), b'"took":"TIME"'),
        (re.compile(rb'("Took" : )\S+'), rb"\1TIME"),
        (re.compile(rb'"(raftIndex|raftAppliedIndex|dbSize|dbSizeInUse|hash)":\d+'), rb'"\1":N'),
        (re.compile(rb'"(RaftIndex|RaftAppliedIndex|DBSize|Hash)" : \d+'), rb'"\1" : N'),
        (re.compile(rb"(127\.0\.0\.1:\d+, [0-9a-f]+, [\w.\-+]+), [\d.]+ \w+, (\w+, \w+, \d+), \d+, \d+"), rb"\1, SIZE, \2, N, N"),
        (re.compile(rb"(127\.0\.0\.1:\d+), \d{5,}$", re.M), rb"\1, HASH"),
        # What etcdctl 3.4 does not know yet.
        (re.compile(rb',"(storageVersion":"[^"]*"|downgradeInfo":\{\}|hash_revision":\d+|dbSizeQuota":\d+)'), rb""),
        # A revoked lease is reported with what it had left; a live one within a second.
        (re.compile(rb"remaining\(\d+s\)"), b"remaining(TTL)"),
        (re.compile(rb'"ttl":(29\d|300)'), b'"ttl":TTL'),
        (re.compile(rb'("TTL" : )(29\d|300)'), rb"\1TTL"),
        # Keys of locks and elections are named after a lease that nobody was told of.
        (re.compile(rb"(door|office)/[0-9a-f]+"), rb"\1/LEASE"),
        (re.compile(rb'"key":"(ZG9vc|b2ZmaWNl)[^"]*"'), rb'"key":"\1LEASE"'),
        (re.compile(rb'("Lease" : )\d{5,}'), rb"\1LEASE"),
        (re.compile(rb'"lease":\d{5,}'), b'"lease":LEASE'),
    ]

    def __init__(self):
        self.leases = []

    def granted(self, text):
        for pattern, base in ((rb"lease ([0-9a-f]{16}) granted", 16), (rb'"ID" : (\d+)\n"TTL" : 300', 10),
                              (rb'"ID":(\d+),"TTL":300,"Error"', 10)):
            found = re.search(pattern, text)
            if found:
                self.leases.append(int(found.group(1), base))

    def lease(self):
        return f"{self.leases[-1]:016x}" if self.leases else "0"

    def apply(self, text):
        for n, lease in enumerate(self.leases):
            for form in (f"{lease:016x}", str(lease)):
                text = text.replace(form.encode(), f"LEASE{n}".encode())
        if b"+----" in text:  # a table: its widths follow its cells
            text = re.sub(rb"-+", b"-", re.sub(rb" +", b" ", text))
            text = re.sub("\\| [\\d.]+(?:m|µ|n)?s \\|".encode(), b"| TIME |", text)
            text = re.sub(rb"\| [\d.]+ [kMG]?B \|", b"| SIZE |", text)
            text = re.sub(rb"\| \d+ \| \d+ \| \|\n", b"| N | N | |\n", text)
            text = re.sub(rb"\| \d{5,} \|\n", b"| HASH |\n", text)
        for pattern, name in self.PATTERNS:
            text = pattern.sub(name, text)
        return text


def transcript(tool, server):
    masks, lines = Masks(), []
    for arguments, stdin in CASES + WATCHES + HELD + LAST:
        arguments = [a.format(lease=masks.lease(), e=server.endpoint) if "{" in a else a for a in arguments]
        how = run_watch if isinstance(stdin, list) else run_held if (arguments, stdin) in HELD else run
        done = how(tool, arguments, stdin, server.endpoint)
        if arguments[-2:-1] == ["grant"]:
            masks.granted(done.stdout)
        # Where etcdctl crashes there is nothing to compare with.
        crashed = b"\ngoroutine " in done.stderr
        errors = b"".join(l + b"\n" for l in done.stderr.split(b"\n")
                          if l.startswith((b"Error: ", b"command [", b"watch was")))
        # etcdctl 3.4 reports health on standard error; 3.5 and kvctl on output.
        health = b"".join(l + b"\n" for l in done.stderr.split(b"\n") if b"healthy: " in l)
        title = " ".join(map(repr, arguments)) + (f" <<< {stdin!r}" if stdin else "")
        lines.append((masks.apply(title.encode()).decode(), crashed, done.returncode,
                      masks.apply(done.stdout + health), masks.apply(errors)))
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvctl", required=True)
    parser.add_argument("--kvd", help="compare on this server instead of etcd")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every command")
    options = parser.parse_args()
    etcdctl, etcd = shutil.which("etcdctl"), shutil.which("etcd")
    if not etcdctl or not (options.kvd or etcd):
        print("skipped: etcdctl or etcd is not installed")
        return SKIPPED

    ports = free_ports(2)
    results = []
    for tool in (etcdctl, os.path.abspath(options.kvctl)):
        server = Server(options.kvd or etcd, *ports)
        try:
            server.wait(tool)
            results.append(transcript(tool, server))
        finally:
            server.stop()

    differences = 0
    for theirs, ours in zip(*results):
        title, crashed, *expected = theirs
        if options.verbose:
            print(title)
        if crashed or expected == list(ours[2:]):
            continue
        differences += 1
        print(f"DIFFERS: {title}")
        for what, one, other in zip(("exit code", "output", "error"), expected, ours[2:]):
            if one == other:
                continue
            print(f"  {what}:")
            if isinstance(one, bytes):
                for line in difflib.unified_diff(one.decode(errors="backslashreplace").splitlines(),
                                                 other.decode(errors="backslashreplace").splitlines(),
                                                 "etcdctl", "kvctl", lineterm="", n=0):
                    print("    " + line)
            else:
                print(f"    etcdctl {one}, kvctl {other}")
    print(f"{len(results[0])} commands, {differences} differ")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
