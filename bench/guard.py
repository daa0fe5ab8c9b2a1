#!/usr/bin/env python3
"""Counts the instructions of one operation of each layer, and compares with the tree.

    bench/guard.py                     all cases; fails on a loss of more than 10 %
    bench/guard.py --only apply/       the cases whose names begin so
    bench/guard.py --update            writes what was counted to bench/guard/instructions.json
    bench/guard.py --list              the cases

Instructions are counted by valgrind's callgrind, from behind the warm-up of each case to its end.
Nothing is timed, so a busy machine changes nothing; the counts of one build repeat to 2 % (most exactly). They
belong to one compiler and one set of libraries (Debian 12's): elsewhere the guard is skipped.
"""

import argparse
import concurrent.futures
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIGURES = f"{ROOT}/bench/guard/instructions.json"
CASES = f"{ROOT}/build/release/benchmarks/guard_cases"
TOLERANCE_PERCENT = 10
SKIP = 77


class Failed(RuntimeError):
    """The counts could not be made; the text says why."""


def environment():
    """The same for every run: what a process finds in it moves its stack, and with it absl's hashes."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C",
            # glibc picks its string functions by the processor; the plain ones are everywhere.
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,-RTM"}


def list_cases(program):
    done = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


def parse_collected(text):
    """Instructions that callgrind says it counted, of its closing lines; None when it does not say."""
    found = re.search(r"Collected : (\d+)", text)
    return int(found.group(1)) if found else None


def command(program, case, output, operations=None):
    more = [f"--operations={operations}"] if operations else []
    return ["setarch", platform.machine(), "-R", "valgrind", "--tool=callgrind", "--instr-atstart=no",
            f"--callgrind-out-file={output}", program, f"--case={case}", *more]


def count(program, case, folder, operations=None):
    """Instructions of one operation."""
    output = os.path.join(folder, case.replace("/", "-"))
    done = subprocess.run(command(program, case, output, operations), capture_output=True, text=True,
                          env=environment(), timeout=300)
    operations = re.search(r"^operations (\d+)$", done.stdout, re.MULTILINE)
    collected = parse_collected(done.stderr)
    if done.returncode != 0 or not operations or collected is None:
        raise Failed(f"{case}: callgrind ended with {done.returncode}:\n{done.stderr[-2000:]}{done.stdout[-500:]}")
    if collected == 0:
        raise Failed(f"{program} was built without valgrind/callgrind.h: install valgrind (scripts/setup --tests), "
                     "touch bench/guard/main.cc and build again")
    return collected / int(operations.group(1))


def count_all(program, names, jobs):
    with tempfile.TemporaryDirectory(prefix="guard-") as folder:
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            found = pool.map(lambda name: count(program, name, folder), names)
            return dict(zip(names, found))


def toolchain(program):
    """What the counts depend on beside the code."""
    with open(program, "rb") as file:
        compiler = sorted(set(re.findall(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+", file.read())))
    libraries = {}
    for package in ("libc6", "libstdc++6", "librocksdb7.8", "libprotobuf32", "valgrind"):
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
        libraries[package] = done.stdout if done.returncode == 0 else "none"
    return {"machine": platform.machine(), "compiler": ", ".join(c.decode() for c in compiler), **libraries}


def differences(kept, here):
    """Lines on what of the toolchain is not what the figures were made with; patch levels of libraries may differ."""
    def upstream(name, version):
        return version if name in ("machine", "compiler") else version.split("-")[0].split("+")[0]
    return [f"{name}: {here.get(name)}, the figures are of {version}" for name, version in kept.items()
            if upstream(name, here.get(name, "none")) != upstream(name, version)]


def compare(kept, found, tolerance_percent=TOLERANCE_PERCENT):
    """Lines on what is worse, and on what is only worth a word."""
    worse, notes = [], []
    for name, now in found.items():
        if name not in kept:
            worse.append(f"{name}: {now:,.0f} instructions, and no figure to compare with: bench/guard.py --update")
            continue
        before = kept[name]
        percent = (now / before - 1) * 100
        text = f"{name}: {before:,.0f} -> {now:,.0f} instructions an operation ({percent:+.1f} %)"
        if percent > tolerance_percent:
            worse.append(text)
        elif percent < -tolerance_percent:
            notes.append(f"{text}: keep it with bench/guard.py --update")
    return worse, notes


def look_closer(program, name):
    shown = os.path.relpath(program, os.getcwd())
    output = "/tmp/callgrind." + name.replace("/", "-")
    return (f"    valgrind --tool=callgrind --instr-atstart=no --callgrind-out-file={output} {shown} --case={name}\n"
            f"    callgrind_annotate --inclusive=yes {output} | head -60")


def table(kept, found, cases):
    lines = [f"{'case':<20} {'before':>12} {'now':>12} {'':>8}  an operation is"]
    for name, _, operation in cases:
        if name in found:
            before = kept.get(name)
            change = f"{(found[name] / before - 1) * 100:+.1f} %" if before else ""
            lines.append(f"{name:<20} {'-' if before is None else format(before, ',.0f'):>12} {found[name]:>12,.0f} "
                         f"{change:>8}  {operation}")
    return "\n".join(lines)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--only", default="", help="the cases whose names begin so; several with commas between")
    add("--update", action="store_true", help="keep what was counted")
    add("--list", action="store_true", help="name the cases and stop")
    add("--program", default=CASES, help="default: the release build's")
    add("--figures", default=FIGURES, help=argparse.SUPPRESS)
    add("--jobs", type=int, default=os.cpu_count(), help="at once (default: the processors)")
    return parser.parse_args()


def main():
    options = parse()
    program = os.path.abspath(options.program)
    if not os.access(program, os.X_OK):
        sys.exit(f"guard: {program} is not there: ninja -C build/release guard_cases")
    cases = list_cases(program)
    if options.list:
        for name, operations, operation in cases:
            print(f"{name:<20} {operation} ({int(operations):,} counted)")
        return 0
    for tool in ("valgrind", "setarch"):
        if shutil.which(tool) is None:
            print(f"guard: {tool} is not installed (scripts/setup --tests): nothing was counted")
            return SKIP
    kept = {"toolchain": {}, "instructions": {}}
    if os.path.exists(options.figures):
        with open(options.figures) as file:
            kept = json.load(file)
    here = toolchain(program)
    other = differences(kept["toolchain"], here)
    if other and not options.update:
        print("guard: the figures are of another toolchain, so nothing is compared:\n  " + "\n  ".join(other))
        return SKIP
    wanted = tuple(options.only.split(","))
    names = [name for name, _, _ in cases if name.startswith(wanted)]
    if not names:
        sys.exit(f"guard: no case begins with '{options.only}'; --list names them")
    try:
        found = count_all(program, names, max(1, options.jobs))
    except Failed as failure:
        sys.exit(f"guard: {failure}")
    print(table(kept["instructions"], found, cases))
    if options.update:
        # Of another toolchain, what was not counted anew is worth nothing.
        figures = {} if other else {n: kept["instructions"][n] for n, _, _ in cases if n in kept["instructions"]}
        figures.update({name: round(value) for name, value in found.items()})
        with open(options.figures, "w") as file:
            json.dump({"toolchain": here, "instructions": dict(sorted(figures.items()))}, file, indent=1)
            file.write("\n")
        print(f"guard: wrote {os.path.relpath(options.figures, os.getcwd())}")
        return 0
    worse, notes = compare(kept["instructions"], found)
    gone = [] if options.only else sorted(set(kept["instructions"]) - {name for name, _, _ in cases})
    worse += [f"{name}: a figure is kept, but the case is gone: bench/guard.py --update" for name in gone]
    for line in notes:
        print(f"guard: better: {line}")
    for line in worse:
        name = line.split(":")[0]
        print(f"guard: WORSE: {line}\n  look closer, here and at the commit before:\n{look_closer(program, name)}")
    if worse:
        print(f"guard: {len(worse)} of {len(found)} cases lost more than {TOLERANCE_PERCENT} %. "
              "What is meant to cost more is kept with bench/guard.py --update; say why in the commit.")
        return 1
    print(f"guard: none of {len(found)} cases lost more than {TOLERANCE_PERCENT} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
