#!/usr/bin/env python3
"""Writes types.txt: the fields of Kubernetes' messages with their numbers, as decode.cc reads them.

    read_types.py /usr/bin/kubectl > types.txt

They are facts about a wire format, read from a program that speaks it: every Go program carries the
types it was built from, and each field's tag says its number and its name in JSON. Works on x86-64
ELF programs of Go 1.20 to 1.25 that were not linked as position-independent.
"""

import struct
import sys

PACKAGES = {
    "k8s.io/api/" + name: name for name in (
        "apps/v1", "authentication/v1", "authorization/v1", "autoscaling/v1", "autoscaling/v2", "batch/v1",
        "coordination/v1", "core/v1", "discovery/v1", "events/v1", "networking/v1", "policy/v1", "rbac/v1",
        "scheduling/v1", "storage/v1")}
PACKAGES["k8s.io/apimachinery/pkg/apis/meta/v1"] = "meta/v1"
# Types with a form of their own, in JSON or on the wire.
SPECIAL = {"meta/v1.Time": "Time", "meta/v1.MicroTime": "MicroTime", "meta/v1.FieldsV1": "Raw",
           "resource.Quantity": "Quantity", "intstr.IntOrString": "IntOrString", "runtime.RawExtension": "Raw"}
POINTER, SLICE, MAP, STRUCT, STRING = 22, 23, 21, 25, 24
SCALARS = {1: "bool", 5: "int", 6: "int", 10: "int", 2: "int", 14: "double", STRING: "string"}


class Program:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        if self.data[:5] != b"\x7fELF\x02":
            sys.exit(f"{path}: no 64-bit ELF program")
        (sections,) = struct.unpack_from("<Q", self.data, 40)
        _, count, names = struct.unpack_from("<HHH", self.data, 58)
        headers = [struct.unpack_from("<IIQQQQIIQQ", self.data, sections + 64 * i) for i in range(count)]
        self.sections = {self._text(headers[names][4] + h[0]): (h[3], h[4], h[5]) for h in headers}
        if ".typelink" not in self.sections:
            sys.exit(f"{path}: no Go program")
        self.types = self.sections[".rodata"][0]
        self.known = {}

    def _text(self, at):
        return self.data[at:self.data.index(b"\0", at)].decode()

    def at(self, address):
        for start, offset, size in self.sections.values():
            if start and start <= address < start + size:
                return offset + address - start
        raise ValueError(hex(address))

    def number(self, address, form="<Q"):
        return struct.unpack_from(form, self.data, self.at(address))[0]

    def name(self, address):
        """Name and tag of a Go `abi.Name`."""
        at = self.at(address)
        flags, texts = self.data[at], []
        at += 1
        for _ in range(2 if flags & 2 else 1):
            size = shift = 0
            while True:
                byte = self.data[at]
                at += 1
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            texts.append(self.data[at:at + size].decode())
            at += size
        return texts[0], texts[1] if len(texts) > 1 else ""

    def type(self, address):
        if address not in self.known:
            self.known[address] = Type(self, address)
        return self.known[address]

    def all_types(self):
        """Every type reachable from what reflection can find."""
        start, offset, size = self.sections[".typelink"]
        todo = [self.types + struct.unpack_from("<i", self.data, offset + i)[0] for i in range(0, size, 4)]
        seen = set()
        while todo:
            address = todo.pop()
            if address in seen:
                continue
            seen.add(address)
            one = self.type(address)
            yield one
            todo += one.inner


class Type:
    def __init__(self, program, address):
        at = program.at(address)
        flags, self.kind = program.data[at + 20], program.data[at + 23] & 31
        name = program.name(program.types + program.number(address + 40, "<i"))[0]
        self.name = name[1:] if flags & 2 else name
        self.package = ""
        size = {POINTER: 56, SLICE: 56, MAP: 88, STRUCT: 80}.get(self.kind)
        if flags & 1 and size:
            package = program.number(address + size, "<i")
            self.package = program.name(program.types + package)[0] if package else ""
        self.element = program.number(address + (56 if self.kind == MAP else 48)) if self.kind in (POINTER, SLICE, MAP) else 0
        self.fields = []
        if self.kind == STRUCT:
            first, count = program.number(address + 56), program.number(address + 64)
            for i in range(count):
                entry = first + 24 * i
                _, tag = program.name(program.number(entry))
                self.fields.append((tag, program.number(entry + 8)))
        self.inner = [self.element] if self.element else [field[1] for field in self.fields]

    @property
    def message(self):
        short = self.name.split(".")[-1]
        full = f"{PACKAGES[self.package]}.{short}" if self.package in PACKAGES else self.name
        return SPECIAL.get(full, full)


def tag_value(tag, key):
    found = tag.find(f'{key}:"')
    return tag[found + len(key) + 2:tag.index('"', found + len(key) + 2)] if found >= 0 else None


def form_of(program, address):
    """`string`, `[core/v1.Container`, `{bytes`, ...; and whether absence differs from zero."""
    one = program.type(address)
    if one.kind == POINTER:
        return form_of(program, one.element)[0], True
    if one.kind == SLICE:
        element = program.type(one.element)
        if element.kind == 8:  # uint8
            return "bytes", False
        return "[" + form_of(program, one.element)[0], False
    if one.kind == MAP:
        return "{" + form_of(program, one.element)[0], False
    if one.kind in SCALARS:
        return SCALARS[one.kind], False
    return one.message, False


def line_of(program, one):
    parts = []
    for tag, address in one.fields:
        protobuf, in_json = tag_value(tag, "protobuf"), tag_value(tag, "json")
        if not protobuf or protobuf == "-" or in_json is None:
            continue
        number = protobuf.split(",")[1]
        name, *options = in_json.split(",")
        form, pointer = form_of(program, address)
        if "inline" in options and not name:
            name = "*"
        mark = "!" if pointer else "?" if "omitempty" in options else ""
        parts.append((int(number), f"{number}={name}:{form}{mark}"))
    return " ".join(text for _, text in sorted(parts))


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    program = Program(sys.argv[1])
    # Slices of named byte slices and the like are not structs; ExtraValue is a message around one list.
    messages = {}
    for one in program.all_types():
        if one.kind == STRUCT and one.package in PACKAGES and one.message not in SPECIAL.values():
            line = line_of(program, one)
            if line:
                messages[one.message] = line
    print("# MESSAGE NUMBER=NAME:TYPE...; [ a list, { a map of strings to; ! a pointer: zero is not absence; ? left out\n"
          "# of JSON when zero; a name of * is a message whose fields stand in JSON among their owner's. read_types.py")
    for name in sorted(messages):
        print(name, messages[name])


if __name__ == "__main__":
    main()
