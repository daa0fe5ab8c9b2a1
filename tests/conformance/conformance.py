#!/usr/bin/python3
"""Runs the same calls against etcd and against kvd and compares the answers.

    tests/conformance/conformance.py --kvd build/release/bin/kvd
    tests/conformance/conformance.py --kvd build/release/bin/kvd --members 3 --only 'watch/*'
    tests/conformance/conformance.py --kvd build/release/bin/kvd --tls --auth
    tests/conformance/conformance.py --kvd /usr/bin/etcd        # etcd against itself: no difference
    tests/conformance/conformance.py --selftest                 # is an altered answer noticed?

Both targets run at the same time, each on loopback ports and a data directory
of its own. Exits 0 only if every difference is one that docs/compatibility.json
lists (with its reason; docs/compatibility.md says it for people) and every
entry there was seen; 77 if etcd or etcdctl is not installed.
"""

import argparse
import fnmatch
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import cases  # noqa: E402,F401  registers every case
from access import Access  # noqa: E402
from api import REPOSITORY, Api  # noqa: E402
from case import ALL_CASES, Context  # noqa: E402
from cluster import Cluster  # noqa: E402
from compare import Expected, compare_case  # noqa: E402
from touched import Touched, missing  # noqa: E402

NOT_INSTALLED = 77
SLOW_MACHINE_FLAGS = ["--heartbeat-interval", "200", "--election-timeout", "2000"]


class Target:
    """One program under test, and what it answered: case name -> steps."""

    def __init__(self, api, title, program, args, access, selected):
        self.api, self.title, self.program, self.size = api, title, program, args.members
        self.etcdctl, self.access, self.selected, self.keep = args.etcdctl, access, selected, args.keep
        self.answers = {}
        self.seconds = {}
        self.touched = Touched()
        self.cluster = None

    def run(self):
        try:
            for i, c in enumerate(self.selected):
                self.answers[c.name] = []
                began = time.monotonic()
                self._run_case(i, c)
                self.seconds[c.name] = time.monotonic() - began
        finally:
            if self.cluster:
                self.cluster.stop()

    def _run_case(self, index, c):
        own = None
        t = None
        try:
            if c.flags is not None:
                own = self._start(1, c.flags)
            elif self.cluster is None or not self.cluster.alive():
                if self.cluster:
                    self.cluster.stop()
                flags = SLOW_MACHINE_FLAGS if self.size > 1 else []
                self.cluster = self._start(self.size, flags)
            used = own or self.cluster
            t = Context(self.api, used, self.etcdctl, index, self.touched)
            # Into the answers step by step, so that a failure keeps what came before.
            t.steps = self.answers[c.name]
            c.function(t)
        except Exception as e:  # the case itself failed: an answer like any other
            where = traceback.extract_tb(e.__traceback__)[-1]
            self.answers[c.name].append(("%d the case ends" % (len(self.answers[c.name]) + 1), [
                "%s: %s" % (type(e).__name__, e), "at %s:%d" % (os.path.basename(where.filename), where.lineno)]))
        finally:
            if t:
                self._tidy(c, t, own)
            if not (own or self.cluster) or not (own or self.cluster).alive():
                self.answers[c.name].append(("%d the server" % (len(self.answers[c.name]) + 1), ["is not running after this case"]))
            if own:
                own.stop()


    def _start(self, size, flags):
        return Cluster(self.api, self.program, size, flags, self.keep, self.access).start()

    def _tidy(self, c, t, own):
        try:
            if c.users and not own:
                t.forget_users()
        except Exception:  # the case failed, and with it what was to undo it: the next one gets a cluster of its own
            self.cluster.stop()
        t.close()


def select(args):
    return [c for c in ALL_CASES if args.members in c.sizes and not (args.auth and c.users)
            and any(fnmatch.fnmatchcase(c.name, pattern) for pattern in args.only)]


def run_targets(args, directory):
    api = Api(directory)
    selected = select(args)
    access = Access(args.tls, args.auth)
    targets = [Target(api, "etcd", args.etcd, args, access, selected), Target(api, "kvd", args.kvd, args, access, selected)]
    threads = [threading.Thread(target=x.run) for x in targets]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    access.close()
    return selected, targets


def report(args, selected, targets):
    full = args.only == ["*"]
    expected = Expected.load(args.expected, args.members, args.tls, args.auth)
    etcd, kvd = targets
    passed = failed = explained_steps = calls = 0
    for c in selected:
        a, b = etcd.answers.get(c.name, []), kvd.answers.get(c.name, [])
        calls += len(a)
        failures, explained = compare_case(c.name, a, b, expected)
        if any(label.endswith("the case ends") for label, _ in a):
            failures.append("  the case does not run to its end against etcd: %s" % a[-1][1])
        explained_steps += explained
        if failures:
            failed += 1
            print("FAILED  " + c.name)
            print("\n".join(failures))
        else:
            passed += 1
            if args.verbose:
                note = " (%d steps differ as listed)" % explained if explained else ""
                print("passed  %s%s  %.1f s, %.1f s" % (c.name, note, etcd.seconds.get(c.name, 0), kvd.seconds.get(c.name, 0)))
    if full and not args.same:
        if args.touched:
            for line in missing(etcd.api, etcd.touched, args.etcdctl):
                failed += 1
                print("FAILED  " + line)
        for e in expected.unused():
            failed += 1
            print("FAILED  docs/compatibility.json: %s (%s) no longer differs; take it out" % (e["id"], e["case"]))
    print("%d calls in %d cases against %d member(s)%s%s; %d calls differ as docs/compatibility.json says" % (
        calls, len(selected), args.members, " over TLS" * args.tls, " with users" * args.auth, explained_steps))
    print("%d passed, %d failed" % (passed, failed))
    return 0 if failed == 0 and passed > 0 else 1


def selftest():
    """Alters a record in every way that matters and sees whether it is noticed."""
    record = [("1 KV.Put{key=b'a'}", ["code = OK", "header.revision = R+1"]),
              ("2 KV.Range{key=b'a'}", ["code = OK", "kvs[0].key = b'a'", "kvs[0].value = b'1'", "count = 1"])]
    entry = {"id": "x", "case": "kv/*", "step": "KV.Range*", "etcd": [r"count = \d"], "kvd": [], "reason": "test"}

    def altered(change):
        copy = [(label, list(lines)) for label, lines in record]
        change(copy)
        return copy

    def failures(other, entries=(), name="kv/a"):
        return compare_case(name, record, other, Expected(list(entries)))[0]

    checks = [
        ("the same record passes", not failures(altered(lambda r: None))),
        ("a changed value is noticed", failures(altered(lambda r: r[1][1].__setitem__(2, "kvs[0].value = b'2'")))),
        ("a changed revision is noticed", failures(altered(lambda r: r[0][1].__setitem__(1, "header.revision = R+2")))),
        ("a missing line is noticed", failures(altered(lambda r: r[1][1].pop()))),
        ("another line is noticed", failures(altered(lambda r: r[1][1].append("more = true")))),
        ("another order is noticed", failures(altered(lambda r: r[1][1].reverse()))),
        ("a missing step is noticed", failures(altered(lambda r: r.pop()))),
        ("another call is noticed", failures(altered(lambda r: r.__setitem__(0, ("1 KV.Put{key=b'b'}", r[0][1]))))),
        ("a listed difference passes", not failures(altered(lambda r: r[1][1].pop()), [entry])),
        ("a listed difference covers no other line", failures(altered(lambda r: r[1][1].pop(1)), [entry])),
        ("a listed difference covers no other case", failures(altered(lambda r: r[1][1].pop()), [entry], "watch/a")),
        ("an entry with rest ends the comparison", not failures(
            altered(lambda r: (r[0][1].pop(), r.pop())), [dict(entry, step="*", etcd=[".*"], rest=True)])),
        ("an entry without rest does not", failures(
            altered(lambda r: (r[0][1].pop(), r.pop())), [dict(entry, step="*", etcd=[".*"])])),
        ("an entry that no longer differs is noticed", Expected([entry]).unused()),
    ]
    listed = Expected.load(os.path.join(REPOSITORY, "docs", "compatibility.json"))
    with open(os.path.join(REPOSITORY, "docs", "compatibility.md")) as f:
        page = f.read()
    for listed_id in sorted({e["id"] for e in listed.entries}):
        checks.append(("docs/compatibility.md explains " + listed_id, "`%s`" % listed_id in page))
    failed = [name for name, ok in checks if not ok]
    for name in failed:
        print("FAILED  " + name)
    print("%d passed, %d failed" % (len(checks) - len(failed), len(failed)))
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kvd", help="the server under test")
    parser.add_argument("--etcd", default="/usr/bin/etcd", help="the reference")
    parser.add_argument("--etcdctl", default="/usr/bin/etcdctl")
    parser.add_argument("--members", type=int, default=1, choices=[1, 3])
    parser.add_argument("--tls", action="store_true", help="clients and members speak TLS, and both show certificates")
    parser.add_argument("--auth", action="store_true", help="authentication is on: calls are made by users")
    parser.add_argument("--only", action="append", help="cases whose name matches this shell pattern; may be repeated")
    parser.add_argument("--expected", default=os.path.join(REPOSITORY, "docs", "compatibility.json"))
    parser.add_argument("--save", metavar="FILE", help="write both targets' answers to FILE as JSON")
    parser.add_argument("--list", action="store_true", help="print the cases and stop")
    parser.add_argument("--touched", action="store_true", help="fail if there is an RPC, a verb, ... that no case touches")
    parser.add_argument("--keep", action="store_true", help="keep data directories and logs under the temporary directory")
    parser.add_argument("--selftest", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args()
    args.only = args.only or ["*"]
    if args.selftest:
        return selftest()
    if args.list:
        for c in select(args):
            print(c.name)
        return 0
    if not args.kvd:
        parser.error("--kvd is needed")
    for program in (args.etcd, args.etcdctl):
        if not shutil.which(program):
            print("skipped: %s is not installed (Debian: etcd-server, etcd-client)" % program)
            return NOT_INSTALLED
    args.same = os.path.realpath(args.kvd) == os.path.realpath(args.etcd)
    directory = tempfile.mkdtemp(prefix="conformance-api-")
    try:
        selected, targets = run_targets(args, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if args.save:
        with open(args.save, "w") as f:
            json.dump({t.title: t.answers for t in targets}, f, indent=1)
    return report(args, selected, targets)


if __name__ == "__main__":
    sys.exit(main())
