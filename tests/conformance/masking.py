"""Turns answers into lines that are the same whenever the behaviour is.

What differs from run to run is replaced by a name, not removed, wherever it
can be: the member's id becomes <m1>, a lease the server chose <lease1>, a
revision R+3 (counted from the revision at which the case began), so that a
wrong id or a wrong revision still shows. Terms, indexes, hashes, sizes,
versions and durations become <term>, <index>, and so on; a zero stays a zero.
"""

import json
import re

from google.protobuf.descriptor import FieldDescriptor

# Field names of messages and of etcdctl's JSON and "fields" output, lower case.
OPAQUE = {
    "raft_term": "term", "raftterm": "term",
    "raftindex": "index", "raftappliedindex": "index", "raft_index": "index", "raft_applied_index": "index",
    "hash": "hash",
    "dbsize": "size", "dbsizeinuse": "size", "dbsizequota": "size", "remaining_bytes": "size",
    "version_string": "version", "storageversion": "version",
}


class Masks:
    """The names given so far to what one case has met."""

    def __init__(self):
        self.base_revision = 0
        self.words = {}  # text as it appears -> name

    def learn_id(self, number, name):
        """Replaces the id wherever it stands as a word, decimal or hexadecimal."""
        self.words[str(number)] = name
        self.words["%x" % number] = name
        self.words["%016x" % number] = name
        self._pattern = None

    def learn_word(self, word, name):
        self.words[word] = name
        self._pattern = None

    def known(self, number):
        return self.words.get(str(number))

    _pattern = None

    def revision(self, value):
        # Revisions that a case can see are near its own; anything else was
        # written down by the case itself and is the same everywhere.
        if abs(value - self.base_revision) > 5000 or value <= 50:
            return str(value)
        return "R%+d" % (value - self.base_revision)

    def text(self, text):
        if not self.words:
            return text
        if self._pattern is None:
            longest_first = sorted(self.words, key=len, reverse=True)
            self._pattern = re.compile(r"(?<![0-9A-Za-z])(%s)(?![0-9A-Za-z])" % "|".join(map(re.escape, longest_first)))
        return self._pattern.sub(lambda m: self.words[m.group(1)], text)

    def number(self, name, value):
        """A number in a field called `name`, as it is to be compared."""
        lower = name.lower()
        if value == 0:
            return "0"
        if lower == "rev" or lower.endswith("revision"):
            return self.revision(value)
        if lower in OPAQUE:
            return "<%s>" % OPAQUE[lower]
        return self.known(value) or str(value)

    # -- messages ---------------------------------------------------------

    def message(self, message, path=""):
        """One line for every field that is set, in the order of field numbers."""
        lines = []
        for field, value in message.ListFields():
            here = path + field.name
            if field.label == FieldDescriptor.LABEL_REPEATED:
                for i, item in enumerate(value):
                    lines += self._field(field, item, "%s[%d]" % (here, i))
            else:
                lines += self._field(field, value, here)
        return lines

    def _field(self, field, value, path):
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            return self.message(value, path + ".") or [path + " = {}"]
        if field.type == FieldDescriptor.TYPE_ENUM:
            known = field.enum_type.values_by_number.get(value)
            return ["%s = %s" % (path, known.name if known else value)]
        if field.type == FieldDescriptor.TYPE_BYTES:
            return ["%s = %s" % (path, show_bytes(value))]
        if field.type == FieldDescriptor.TYPE_STRING:
            name = field.name.lower()
            if name in ("version", "storageversion"):
                return ["%s = <version>" % path]
            return ["%s = %s" % (path, self.text(value))]
        if field.type == FieldDescriptor.TYPE_BOOL:
            return ["%s = %s" % (path, str(value).lower())]
        return ["%s = %s" % (path, self.number(field.name, value))]

    # -- what etcdctl prints ----------------------------------------------

    def json_lines(self, text):
        """The lines of a JSON document, or None if it is none."""
        documents = []
        for line in text.splitlines():
            try:
                documents.append(json.loads(line))
            except ValueError:
                return None
        lines = []
        for d in documents:
            lines += self._json(d, "$", "")
        return lines

    def _json(self, value, path, name):
        if isinstance(value, dict):
            lines = []
            for k in sorted(value):
                lines += self._json(value[k], "%s.%s" % (path, k), k)
            return lines or [path + " = {}"]
        if isinstance(value, list):
            lines = []
            for i, item in enumerate(value):
                lines += self._json(item, "%s[%d]" % (path, i), name)
            return lines or [path + " = []"]
        if isinstance(value, bool) or value is None:
            return ["%s = %s" % (path, json.dumps(value))]
        if isinstance(value, int):
            return ["%s = %s" % (path, self.number(name, value))]
        if name == "version" and isinstance(value, str):
            return ["%s = <version>" % path]
        if name == "took":
            return ["%s = <duration>" % path]
        return ["%s = %s" % (path, self.text(str(value)))]

    def printed(self, text):
        """Lines of etcdctl's simple, fields and table output, or of its errors."""
        lines = []
        columns = None
        for line in text.splitlines():
            if re.fullmatch(r"\+[-+]+\+", line):
                lines.append("+--+")
                continue
            if line.startswith("|") and line.endswith("|"):
                cells = [c.strip() for c in line[1:-1].split("|")]
                if columns is None:
                    columns = cells
                else:
                    cells = [self._cell(columns[i] if i < len(columns) else "", c) for i, c in enumerate(cells)]
                lines.append("| " + " | ".join(cells) + " |")
                continue
            lines.append(self._printed_line(line))
        return lines

    def _cell(self, column, cell):
        masked = {"RAFT TERM": "term", "RAFT INDEX": "index", "RAFT APPLIED INDEX": "index",
                  "DB SIZE": "size", "VERSION": "version", "HASH": "hash", "TOOK": "duration"}.get(column)
        if masked and cell not in ("", "0"):
            return "<%s>" % masked
        return self.text(cell)

    def _printed_line(self, line):
        field = re.fullmatch(r'"(\w+)" : (-?\d+)', line)
        if field:
            return '"%s" : %s' % (field.group(1), self.number(field.group(1), int(field.group(2))))
        if re.fullmatch(r'"Version" : "[^"]*"', line):
            return '"Version" : <version>'
        if line.startswith("{"):
            line = re.sub(r'"ts":"[^"]*"', '"ts":"<time>"', line)
            line = re.sub(r'endpoint://client-[0-9a-f-]+/', "endpoint://<client>/", line)
            line = re.sub(r'"caller":"[^"]*"', '"caller":"<source>"', line)
        status = re.fullmatch(r"(\S+), ([0-9a-f]+), (\d+\.\d+\.\d+\S*), ([\d.]+ \w+), (\w+), (\w+), (\d+), (\d+), (\d+), (.*)", line)
        if status:
            line = "%s, %s, <version>, <size>, %s, %s, <term>, <index>, <index>, %s" % (status.group(1, 2, 5, 6, 10))
        hashkv = re.fullmatch(r"(\S+), (\d+)", line)
        if hashkv and ":" in hashkv.group(1):
            line = "%s, <hash>" % hashkv.group(1)
        line = re.sub(r"took = [0-9.]+[a-zµ]+", "took = <duration>", line)
        line = re.sub(r"took too long \([0-9.]+[a-zµ]+\)", "took too long (<duration>)", line)
        line = re.sub(r"compacted revision (\d+)", lambda m: "compacted revision " + self.revision(int(m.group(1))), line)
        return self.text(line)


def show_bytes(value):
    if len(value) > 200:
        return "%d bytes of %r" % (len(value), value[:8])
    return repr(bytes(value))
