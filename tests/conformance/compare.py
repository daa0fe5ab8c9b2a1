"""Compares what two targets answered, step by step, against the list of
differences that are known and explained (docs/compatibility.json).

An entry of the list: {"id", "case", "step", "sizes", "etcd", "kvd", "rest", "reason"}.
`case` and `step` are shell patterns (step defaults to "*"), `sizes` the cluster
sizes it holds for (default: both); `etcd` and `kvd` are lists of regular
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
    def __init__(self, entries):
        self.entries = entries
        self.used = set()
        self.ended = False  # an entry with `rest` has covered something of this case
        for e in entries:
            if not e.get("reason") or not e.get("id"):
                raise ValueError("an expected difference needs an id and a reason: %r" % e)

    @staticmethod
    def load(path):
        with open(path) as f:
            return Expected(json.load(f)["differences"])

    def applying(self, case_name, label, size):
        step = label.split(" ", 1)[1]
        for i, e in enumerate(self.entries):
            if (fnmatch.fnmatchcase(case_name, e["case"]) and fnmatch.fnmatchcase(step, e.get("step", "*"))
                    and size in e.get("sizes", [1, 3])):
                yield i, e

    def covers(self, case_name, label, size, side, line):
        for i, e in self.applying(case_name, label, size):
            if any(re.fullmatch(p, line, re.S) for p in e.get(side, [])):
                self.used.add(i)
                self.ended |= e.get("rest", False)
                return True
        return False

    def unused(self, size):
        return [e for i, e in enumerate(self.entries) if i not in self.used and size in e.get("sizes", [1, 3])]


def differing(a, b):
    """Lines that only a has, and lines that only b has, order counted."""
    only_a, only_b = [], []
    for op, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if op != "equal":
            only_a += a[a0:a1]
            only_b += b[b0:b1]
    return only_a, only_b


def compare_case(name, size, etcd, kvd, expected):
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
        left_a = [x for x in only_a if not expected.covers(name, labels_a[i], size, "etcd", x)]
        left_b = [x for x in only_b if not expected.covers(name, labels_a[i], size, "kvd", x)]
        if left_a or left_b:
            failures.append("\n".join(
                ["  step " + labels_a[i]] + ["    - etcd  " + x for x in left_a] + ["    + kvd   " + x for x in left_b]))
        else:
            explained += 1
        if expected.ended:
            break
    return failures, explained
