"""Compares what two targets answered, step by step, against the list of
differences that are known and explained (docs/compatibility.json).

An entry of the list: {"id", "case", "step", "sizes", "tls", "auth", "etcd", "kvd",
"rest", "reason"}. `case` and `step` are shell patterns (step defaults to "*"), `sizes`
the cluster sizes it holds for (default: both), `tls` and `auth` whether it holds with
or without (default: both); `etcd` and `kvd` are lists of regular
expressions, each of which must match a whole line that only that side has.
With `rest` the case cannot go on against kvd after that step, and what follows
is not compared.
Differing lines that no entry covers are failures; so is an entry that covered
nothing in a full run.
"""

import difflib
import fnmatch
import json
import re


class Expected:
    """The entries that hold for a run of the given kind."""

    def __init__(self, entries, size=1, tls=False, auth=False):
        self.entries = [e for e in entries if size in e.get("sizes", [1, 3])
                        and e.get("tls", tls) == tls and e.get("auth", auth) == auth]
        self.used = set()
        self.ended = False  # an entry with `rest` has covered something of this case
        for e in entries:
            if not e.get("reason") or not e.get("id"):
                raise ValueError("an expected difference needs an id and a reason: %r" % e)

    @staticmethod
    def load(path, *kind):
        with open(path) as f:
            return Expected(json.load(f)["differences"], *kind)

    def applying(self, case_name, label):
        step = label.split(" ", 1)[1]
        for i, e in enumerate(self.entries):
            if fnmatch.fnmatchcase(case_name, e["case"]) and fnmatch.fnmatchcase(step, e.get("step", "*")):
                yield i, e

    def covers(self, case_name, label, side, line):
        for i, e in self.applying(case_name, label):
            if any(re.fullmatch(p, line, re.S) for p in e.get(side, [])):
                self.used.add(i)
                self.ended |= e.get("rest", False)
                return True
        return False

    def unused(self):
        return [e for i, e in enumerate(self.entries) if i not in self.used]


def differing(a, b):
    """Lines that only a has, and lines that only b has, order counted."""
    only_a, only_b = [], []
    for op, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if op != "equal":
            only_a += a[a0:a1]
            only_b += b[b0:b1]
    return only_a, only_b


def compare_case(name, etcd, kvd, expected):
    """Returns (failures as printable text, number of steps explained by the list)."""
    failures, explained = [], 0
    expected.ended = False
    labels_a, labels_b = [s[0] for s in etcd], [s[0] for s in kvd]
    for i in range(max(len(etcd), len(kvd))):
        if i >= len(etcd) or i >= len(kvd) or labels_a[i] != labels_b[i]:
            failures.append("  step %d is not the same call: etcd %r, kvd %r" % (
                i + 1, labels_a[i] if i < len(etcd) else None, labels_b[i] if i < len(kvd) else None))
            break
        only_a, only_b = differing(etcd[i][1], kvd[i][1])
        if not only_a and not only_b:
            continue
        left_a = [x for x in only_a if not expected.covers(name, labels_a[i], "etcd", x)]
        left_b = [x for x in only_b if not expected.covers(name, labels_a[i], "kvd", x)]
        if left_a or left_b:
            failures.append("\n".join(
                ["  step " + labels_a[i]] + ["    - etcd  " + x for x in left_a] + ["    + kvd   " + x for x in left_b]))
        else:
            explained += 1
        if expected.ended:
            break
    return failures, explained
