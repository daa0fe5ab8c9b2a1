#!/usr/bin/env python3
"""Runs every check against every mutation and says which catches which.

    cmake --preset mutations && cmake --build --preset mutations
    tests/sim/mutations.py                      all mutations, all checks that are built
    tests/sim/mutations.py kVoteTwice kNoFsync  these only
    tests/sim/mutations.py --check keel-sim     one check only
    tests/sim/mutations.py --write              and put the table into docs/testing.md

A mutation (base/mutation.h) is a deliberate bug. One that no check catches is a
missing check: the exit code is then 1. Results are kept in
build/mutations/mutations.json and updated by each run, so that checks can be
run apart.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutations"
RESULTS = BUILD / "mutations.json"
TABLE = ROOT / "docs" / "testing.md"
BEGIN, END = "<!-- mutations: begin -->", "<!-- mutations: end -->"

# Simulators: how many seeds they may take, how many in one process, their command.
SIMULATORS = {
    "keel-core-sim": (3000, 3000, [BUILD / "bin/keel-core-sim", "--first", "{first}", "--seeds", "{seeds}"]),
    "keel-sim": (200, 10, [BUILD / "bin/keel-sim", "--stack", "{stack}", "--from", "{first}", "--seeds", "{seeds}",
                           "--jobs", "1", "--no-shrink"]),
}
# Unit tests that look at the mutated parts, by the executable's name.
UNIT_TESTS = [
    "raft_core_test", "raft_interaction_test", "raft_log_test", "raft_node_test", "lessor_test",
    "apply_test", "apply_model_test", "watch_hub_test", "watch_service_test",
]


def mutations():
    """name → what goes wrong, from the list in the header."""
    text = (ROOT / "base/mutation.h").read_text()
    return dict(re.findall(r'X\((k\w+),\s*"([^"]*)"\)', text))


def stack_of(name):
    """What keel-sim is to run above Raft: those of the store need the store."""
    text = (ROOT / "base/mutation.h").read_text()
    return "kv" if text.index(f"X({name},") > text.index("/* kvstore/mvcc") else "list"


def run(command, name, timeout, cwd=BUILD):
    env = dict(os.environ, KEEL_MUTATION=name)
    start = time.monotonic()
    try:
        done = subprocess.run([str(part) for part in command], env=env, cwd=cwd, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
        code, text = done.returncode, done.stdout
    except subprocess.TimeoutExpired as expired:
        code, text = None, (expired.stdout or b"").decode(errors="replace")
    return code, text, time.monotonic() - start


def reason(text):
    """The few words of a failure that name the rule."""
    for pattern in (r"check failed: .*? ((?:[a-z][\w -]*): .*)", r"(?:violat\w+|VIOLATION)[: ]+(.*)",
                    r"check failed: (.*)", r"\[  FAILED  \] (\S+)"):
        found = re.search(pattern, text)
        if found:
            return re.sub(r"\s+", " ", found.group(1)).split(": ")[0][:60]
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:60] if lines else "no output"


def simulate(check, name, timeout, seeds_max):
    seeds, chunk, command = SIMULATORS[check]
    seeds = min(seeds, seeds_max or seeds)
    give_up = time.monotonic() + timeout
    result = {"caught": False, "seeds": 0, "hits": 0}
    for first in range(1, seeds + 1, chunk):
        count = min(chunk, seeds + 1 - first)
        parts = [str(p).format(name=name, first=first, seeds=count, stack=stack_of(name)) for p in command]
        code, text, _ = run(parts, name, max(1, give_up - time.monotonic()))
        hits = re.search(r"mutation took effect (\d+) times", text)
        result["hits"] = None if hits is None or result["hits"] is None else result["hits"] + int(hits.group(1))
        if code == 0:
            result["seeds"] = first + count - 1
            continue
        failed = re.search(r"^(?:FAILED )?seed (\d+): (.*)", text, re.M)  # keel-sim
        begun = re.findall(r"^seed (\d+) ", text, re.M)  # keel-core-sim
        if code is None:
            return {**result, "seeds": int(begun[-1]) if begun else result["seeds"], "why": "timeout"}
        if failed:
            return {"caught": True, "seeds": int(failed.group(1)), "why": failed.group(2).split(": ")[0][:60]}
        return {"caught": True, "seeds": int(begun[-1]) if begun else first, "why": reason(text)}
    return result


def unit_tests(name, timeout):
    caught = []
    for test in UNIT_TESTS:
        program = BUILD / "tests" / test
        if not program.exists():
            continue
        cwd = ROOT / "tests/interaction" if test == "raft_interaction_test" else BUILD
        code, text, _ = run([program, "--gtest_brief=1"], name, timeout, cwd)
        if code:
            failed = re.findall(r"\[  FAILED  \] (\w+\.\w+)", text)
            caught.append(f"{test}: {failed[0] if failed else reason(text)}")
            break
    return {"caught": bool(caught), "why": caught[0] if caught else ""}


def cell(result):
    if result is None:
        return "–"
    if not result["caught"]:
        if result.get("why") == "timeout":
            return f"no ({result['seeds']} seeds, then out of time)"
        if result.get("hits") == 0:
            return "not reached"
        return f"no ({result['seeds']} seeds)" if "seeds" in result else "no"
    return f"{result['seeds']}: {result['why']}" if "seeds" in result else result["why"]


def table(results, texts):
    checks = ["keel-core-sim", "keel-sim", "unit"]
    lines = ["| mutation | what goes wrong | keel-core-sim: caught by seed, rule | keel-sim: caught by seed, rule | first unit test that fails |",
             "|---|---|---|---|---|"]
    for name, text in texts.items():
        row = results.get(name, {})
        lines.append(f"| `{name}` | {text} | " + " | ".join(cell(row.get(c)).replace("|", "/") for c in checks) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", choices=[*SIMULATORS, "unit"], action="append")
    parser.add_argument("--seeds", type=int, help="at most so many seeds of a simulator")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one check of one mutation")
    parser.add_argument("--missing", action="store_true", help="only mutations that nothing has caught yet")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS, help="where results are kept")
    parser.add_argument("--no-run", action="store_true", help="run nothing: the results there are")
    parser.add_argument("--write", action="store_true", help="put the table into docs/testing.md")
    options = parser.parse_args()
    texts = mutations()
    for name in options.names:
        if name not in texts:
            sys.exit(f"{name}: no such mutation")
    results = json.loads(options.results.read_text()) if options.results.exists() else {}
    checks = options.check or [*SIMULATORS, "unit"]
    for name in [] if options.no_run else options.names or texts:
        row = results.setdefault(name, {})
        if options.missing and any(r["caught"] for r in row.values()):
            continue
        for check in checks:
            if check in SIMULATORS:
                if not pathlib.Path(SIMULATORS[check][2][0]).exists():
                    continue
                row[check] = simulate(check, name, options.timeout, options.seeds)
            else:
                row[check] = unit_tests(name, options.timeout)
            print(f"{name:26} {check:14} {cell(row[check])}", flush=True)
            options.results.write_text(json.dumps(results, indent=1))
    if options.write:
        text = TABLE.read_text()
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        TABLE.write_text(f"{before}{BEGIN}\n\n{table(results, texts)}\n\n{END}{after}")
    missed = [name for name in texts if not any(r["caught"] for r in results.get(name, {}).values())]
    print(f"{len(texts) - len(missed)} of {len(texts)} mutations are caught" + (f"; not: {' '.join(missed)}" if missed else ""))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
