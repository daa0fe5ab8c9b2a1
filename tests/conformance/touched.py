"""What the cases touch of what there is: every RPC with success and failure, every field
and enum value of every request, every verb of etcdctl with success and failure, and every
flag of a verb. A full run over one member fails on what is left out and not excused here.
"""

import fnmatch
import functools
import os
import re
import subprocess

from google.protobuf.descriptor import FieldDescriptor

# Shell patterns of what no case can touch, and why; an excuse that is not needed fails too.
NEWER = "etcd 3.4 does not know it; tests/integration has it"
OPEN = "etcd 3.4 refuses it to nobody (docs/compatibility.md: auth-anybody)"
LOCAL = "asks no server"
FILES = "reads and writes bbolt files; kvctl's own are in tests/integration/recovery_test.py"
EXCUSES = {
    "rpc KV.RangeStream *": NEWER,
    "rpc Maintenance.Downgrade *": NEWER,
    "rpc Auth.AuthStatus *": NEWER,
    "field DowngradeRequest.*": NEWER,
    "field *.hashedPassword": NEWER,
    "rpc Cluster.MemberList that fails": OPEN,
    "rpc Lease.LeaseLeases that fails": OPEN,
    "rpc Lease.LeaseTimeToLive that fails": OPEN,
    "rpc Maintenance.Alarm that fails": OPEN,
    "rpc Maintenance.Status that fails": OPEN,
    "rpc Election.Observe that fails": "waits for who is not there; only its client ends it",
    "rpc Cluster.MemberPromote that succeeds": "needs a learner that runs: tests/integration/member_test.py",
    "etcdctl member promote that succeeds": "needs a learner that runs: tests/integration/member_test.py",
    "etcdctl move-leader that succeeds": "needs three members: ctl/move-leader",
    "etcdctl make-mirror --dest-c*": "in runs with --tls",
    "etcdctl make-mirror --dest-key": "in runs with --tls",
    "etcdctl check * that succeeds": "takes a minute or more; without a server's part in how",
    "etcdctl completion *": LOCAL,
    "etcdctl help *": LOCAL,
    "etcdctl version *": LOCAL,
    "etcdctl migrate *": "of the v2 store",
    "etcdctl snapshot restore *": FILES,
    "etcdctl snapshot status *": FILES,
    "etcdctl defrag --data-dir": FILES,
}


class Touched:
    def __init__(self):
        self.outcomes = {}  # "Service.Method" -> {"OK", "NOT_FOUND", ...}
        self.fields = set()  # "Message.field", "Message.field=ENUM_VALUE"
        self.commands = []  # (args, exit code)

    def request(self, message):
        kind = message.DESCRIPTOR.name
        for field, value in message.ListFields():
            self.fields.add("%s.%s" % (kind, field.name))
            values = value if field.label == FieldDescriptor.LABEL_REPEATED else [value]
            for v in values:
                if field.type == FieldDescriptor.TYPE_MESSAGE:
                    self.request(v)
                elif field.type == FieldDescriptor.TYPE_ENUM and v in field.enum_type.values_by_number:
                    self.fields.add("%s.%s=%s" % (kind, field.name, field.enum_type.values_by_number[v].name))

    def outcome(self, service, method, code):
        self.outcomes.setdefault("%s.%s" % (service, method), set()).add(code)

    def command(self, args, code):
        self.commands.append(([str(a) for a in args], code))


def missing(api, touched, etcdctl):
    """Lines that say what was not touched, and which excuses were not needed."""
    lacking = _lacking_calls(api, touched) + _lacking_fields(api, touched) + _lacking_commands(etcdctl, touched)
    used = {pattern for pattern in EXCUSES for x in lacking if fnmatch.fnmatchcase(x, pattern)}
    return (["no case touches: " + x for x in lacking if not any(fnmatch.fnmatchcase(x, p) for p in EXCUSES)]
            + ["touched.py excuses what needs no excuse: " + p for p in EXCUSES if p not in used])


def _lacking_calls(api, touched):
    lacking = []
    for service, method in sorted(api.methods):
        codes = touched.outcomes.get("%s.%s" % (service, method), set())
        if "OK" not in codes:
            lacking.append("rpc %s.%s that succeeds" % (service, method))
        if not codes - {"OK"}:
            lacking.append("rpc %s.%s that fails" % (service, method))
    return lacking


def _lacking_fields(api, touched):
    wanted, seen = set(), set()

    def walk(descriptor):
        if descriptor.name in seen:
            return
        seen.add(descriptor.name)
        for field in descriptor.fields:
            name = "%s.%s" % (descriptor.name, field.name)
            wanted.add(name)
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                walk(field.message_type)
            if field.type == FieldDescriptor.TYPE_ENUM:
                repeated = field.label == FieldDescriptor.LABEL_REPEATED
                # proto3 does not send a zero that stands alone: it is what all other requests have.
                wanted.update("%s=%s" % (name, v.name) for v in field.enum_type.values if v.number or repeated)

    for m in api.methods.values():
        walk(m.request.DESCRIPTOR)
    return ["field " + x for x in sorted(wanted - touched.fields)]


@functools.lru_cache(None)
def _help(etcdctl, *verb):
    done = subprocess.run([etcdctl, "help", *verb], capture_output=True, text=True, timeout=20,
                          env={"ETCDCTL_API": "3", "PATH": os.defpath})
    return done.stdout


def verbs_of(etcdctl):
    section = _help(etcdctl).split("\nCOMMANDS:\n")[1].split("\nOPTIONS:")[0]
    return [tuple(x.split()) for x in re.findall(r"^\t(\S+(?: \S+)?)\t", section, re.M)]


def flags_of(etcdctl, verb):
    """[(long, short or "")] of the verb's own."""
    text = _help(etcdctl, *verb)
    if "\nOPTIONS:\n" not in text:
        return []
    section = text.split("\nOPTIONS:\n")[1].split("\nGLOBAL OPTIONS:")[0]
    found = re.findall(r"^\s+(?:(-\w), )?(--[\w-]+)", section, re.M)
    return [(long, short) for short, long in found if long != "--help"]


def _lacking_commands(etcdctl, touched):
    lacking = []
    verbs = verbs_of(etcdctl)
    ran = {v: [] for v in verbs}
    for args, code in touched.commands:
        words = [a for a in args if not a.startswith("-")]
        for verb in verbs:
            if any(tuple(words[i:i + len(verb)]) == verb for i in range(0, 2)):
                ran[verb].append((args, code))
    for verb in verbs:
        name = "etcdctl " + " ".join(verb)
        if not any(code == 0 for _, code in ran[verb]):
            lacking.append(name + " that succeeds")
        if not any(code != 0 for _, code in ran[verb]):
            lacking.append(name + " that fails")
        given = {a.split("=")[0] for args, _ in ran[verb] for a in args}
        lacking += ["%s %s" % (name, long) for long, short in flags_of(etcdctl, verb) if not {long, short} & given]
    return lacking
