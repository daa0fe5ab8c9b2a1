#!/usr/bin/env python3
"""Runs every check against every mutation and says which catches which.

    cmake --preset mutations && cmake --build --preset mutations
    tests/sim/mutations.py                      all mutations, all checks that are built
    tests/sim/mutations.py kVoteTwice kNoFsync  these only
    tests/sim/mutations.py --check keel-sim     one check only
    tests/sim/mutations.py --missing --jobs 2   those that nothing has caught yet, two at a time
    tests/sim/mutations.py --write              and put the table into docs/testing.md

A mutation (base/mutation.h) is a deliberate bug. One that no check catches is a
missing check: the exit code is then 1. Whatever fails is run once more without
the mutation, and counts only when it passes then. Results are kept in
build/mutations/mutations.json and updated by each run, so that checks can be
run apart.
"""

import argparse
import concurrent.futures
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutations"
RESULTS = BUILD / "mutations.json"
TABLE = ROOT / "docs" / "testing.md"
BEGIN, END = "<!-- mutations: begin -->", "<!-- mutations: end -->"

# Simulators: how many seeds they may take, how many in one process, their command.
SIMULATORS = {
    "keel-core-sim": (3000, 3000, [BUILD / "bin/keel-core-sim", "--first", "{first}", "--seeds", "{seeds}"]),
    "keel-sim": (1000, 20, [BUILD / "bin/keel-sim", "--stack", "{stack}", "--from", "{first}", "--seeds", "{seeds}",
                            "--jobs", "1", "--no-shrink", "--json", "{json}"]),
}
SEEDS_MAX_KV = 200  # the whole store takes ten times as long
# Unit tests by the parts of the list in base/mutation.h, fast ones first.
UNIT_TESTS = {
    "raft/core": ["raft_core_test", "raft_interaction_test"],
    "raft/log": ["raft_log_test", "raft_shared_log_test", "raft_node_test", "raft_groups_test"],
    "kvstore/mvcc": ["apply_test", "mvcc_test", "apply_model_test"],
    "kvstore/server": ["lessor_test", "read_gate_test"],
    "watch": ["watch_hub_test", "watch_service_test"],
}
PARTS = list(UNIT_TESTS)


def mutations():
    """name → what goes wrong, from the list in the header."""
    text = (ROOT / "base/mutation.h").read_text()
    return dict(re.findall(r'X\((k\w+),\s*"([^"]*)"\)', text))


@functools.lru_cache(maxsize=None)
def part_of(name):
    """The heading of base/mutation.h under which it stands."""
    text = (ROOT / "base/mutation.h").read_text()
    at = text.index(f"X({name},")
    return [part for part in PARTS if text.index(f"/* {part}") < at][-1]


def stack_of(name):
    """What keel-sim is to run above Raft: mutations of the store need the store."""
    return "list" if part_of(name).startswith("raft/") else "kv"


def run(command, name, timeout, cwd=BUILD):
    """The exit code (None: out of time) and what was said."""
    env = dict(os.environ, KEEL_MUTATION=name)
    try:
        done = subprocess.run([str(part) for part in command], env=env, cwd=cwd, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as expired:
        return None, (expired.stdout or b"").decode(errors="replace")


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
    stack = stack_of(name)
    if check == "keel-sim" and stack == "kv":
        seeds = SEEDS_MAX_KV
    seeds = min(seeds, seeds_max or seeds)
    give_up = time.monotonic() + timeout
    result = {"caught": False, "seeds": 0, "hits": 0}
    with tempfile.NamedTemporaryFile(suffix=".json") as figures:

        def run_seeds(mutation, first, count, limit):
            parts = [str(p).format(first=first, seeds=count, stack=stack, json=figures.name) for p in command]
            return run(parts, mutation, limit)

        first = 1
        while first <= seeds:
            count = min(chunk, seeds + 1 - first)
            code, text = run_seeds(name, first, count, max(1, give_up - time.monotonic()))
            found = re.search(r"mutation took effect (\d+) times", text)
            hits = int(found.group(1)) if found else 0
            if check == "keel-sim" and code is not None:  # each seed is a process of its own
                hits += json.loads(pathlib.Path(figures.name).read_text())["counters"].get("mutation hits", 0)
            result["hits"] += hits
            if code == 0:
                first += count
                result["seeds"] = first - 1
                continue
            begun = re.findall(r"^seed (\d+) ", text, re.M)  # keel-core-sim
            if code is None:
                if begun:  # it was ended before it could tell how often
                    result.update(seeds=int(begun[-1]), hits=None)
                return {**result, "why": "timeout"}
            failed = sorted((int(seed), why) for seed, why in re.findall(r"^FAILED seed (\d+): (.*)", text, re.M))
            at = failed[0][0] if failed else int(begun[-1])
            why = failed[0][1].split(": ")[0][:60] if failed else reason(text)
            if why == "crash":
                why = "stops: " + reason(text)
            if run_seeds("", at, 1, timeout)[0] == 0:
                return {"caught": True, "seeds": at, "why": why}
            first = at + 1
    return result


def run_test(test, name, timeout):
    cwd = ROOT / "tests/interaction" if test == "raft_interaction_test" else BUILD
    return run([BUILD / "tests" / test], name, timeout, cwd)


@functools.lru_cache(maxsize=None)
def healthy(test, timeout):
    return run_test(test, "", timeout)[0] == 0


def unit_tests(name, timeout):
    for test in UNIT_TESTS[part_of(name)]:
        if not (BUILD / "tests" / test).exists():
            continue
        code, text = run_test(test, name, timeout)
        if code == 0 or "mutation took effect 0 times" in text or not healthy(test, timeout):
            continue
        failed = re.findall(r"\[  FAILED  \] (\w+\.\w+)", text)
        begun = re.findall(r"\[ RUN      \] (\w+\.\w+)", text)
        if failed:
            why = failed[0]
        else:
            why = f"{begun[-1] if begun else ''} {'hangs' if code is None else 'stops'}"
        return {"caught": True, "why": f"{test}: {why}"}
    return {"caught": False, "why": ""}


def cell(result):
    if result is None:
        return "–"
    if not result["caught"]:
        if result.get("hits") == 0:
            return f"not reached ({result['seeds']} seeds)"
        if result.get("why") == "timeout":
            return f"no ({result['seeds']} seeds, then out of time)"
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
    parser.add_argument("--jobs", type=int, default=1, help="mutations at a time")
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
    lock = threading.Lock()

    def run_checks(name):
        row = results.setdefault(name, {})
        if options.missing and any(r["caught"] for r in row.values()):
            return
        for check in checks:
            if check in SIMULATORS:
                if not pathlib.Path(SIMULATORS[check][2][0]).exists():
                    continue
                if check == "keel-core-sim" and part_of(name) != "raft/core":
                    continue
                found = simulate(check, name, options.timeout, options.seeds)
            else:
                found = unit_tests(name, options.timeout)
            with lock:
                row[check] = found
                print(f"{name:26} {check:14} {cell(found)}", flush=True)
                options.results.write_text(json.dumps(results, indent=1))

    if not options.no_run:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(run_checks, options.names or texts))
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
