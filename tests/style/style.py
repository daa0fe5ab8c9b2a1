#!/usr/bin/env python3
"""Holds the tree to the conventions that a machine can check.

    tests/style/style.py            check
    tests/style/style.py --fix      let clang-format rewrite what it would change
    tests/style/style.py --selftest check the checker

C++: clang-format's layout (.clang-format), `#pragma once` and a leading
comment in each header, at most 1,000 lines a file, no marks of unfinished
work. Scripts: executable, and bash parses them.
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
FOLDERS = ("base", "raft", "rpc", "kvstore", "watch", "orchestrator", "bench", "examples", "tests")
MAX_LINES = 1000
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def sources():
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".h", ".cc") and "node_modules" not in file.parts:
                yield file


def check_text(name, text):
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        yield f"{name}: {len(lines)} lines; split it by noun (at most {MAX_LINES})"
    if name.endswith(".h"):
        if "#pragma once" not in lines:
            yield f"{name}: no #pragma once"
        if not lines or not lines[0].startswith("//"):
            yield f"{name}:1: a header opens with what it is for"
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield f"{name}:{number}: unfinished: {line.strip()}"
        if "\t" in line or line != line.rstrip():
            yield f"{name}:{number}: tab or trailing white space"


def check_format(files):
    command = ["clang-format", "--dry-run", "--Werror", "--ferror-limit=1"]
    done = subprocess.run(command + [str(f) for f in files], capture_output=True, text=True)
    for line in done.stderr.splitlines():
        found = re.match(r"(.*?):(\d+):\d+: error: code should be clang-formatted", line)
        if found:
            yield f"{os.path.relpath(found.group(1), ROOT)}:{found.group(2)}: not as clang-format lays it out (style.py --fix)"
    if done.returncode not in (0, 1):
        yield f"clang-format failed: {done.stderr.strip()[:200]}"


def check_scripts():
    for file in sorted([*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"]):
        name = file.relative_to(ROOT)
        if not os.access(file, os.X_OK):
            yield f"{name}: not executable"
        if file.read_text().startswith("#!/usr/bin/env bash"):
            done = subprocess.run(["bash", "-n", str(file)], capture_output=True, text=True)
            if done.returncode:
                yield f"{name}: {done.stderr.strip()}"


def selftest():
    bad = {
        "a.h": "int x;\n",
        "b.h": "// purpose\nint x;\n",
        "c.cc": "int x;  // TODO: more\n",
        "d.cc": "int x; \n",
        "e.cc": "int x;\n" * (MAX_LINES + 1),
    }
    for name, text in bad.items():
        if not list(check_text(name, text)):
            sys.exit(f"selftest: {name} should be refused")
    if list(check_text("f.h", "// purpose\n#pragma once\n\nint x;\n")):
        sys.exit("selftest: a good header is refused")
    print("selftest: ok")


def main():
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    files = list(sources())
    if sys.argv[1:] == ["--fix"]:
        subprocess.run(["clang-format", "-i", *map(str, files)], check=True)
    problems = [p for f in files for p in check_text(f.relative_to(ROOT).as_posix(), f.read_text())]
    problems += check_format(files)
    problems += check_scripts()
    print("\n".join(problems) or f"{len(files)} files as the conventions ask")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
