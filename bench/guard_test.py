"""bench/guard.py: its arithmetic, that counts repeat, and that a made-up regression is caught.

    python3 guard_test.py --program BIN
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

import guard  # noqa: E402

# A core without threads, a hash table, the store.
SAMPLE = ["raft/commit", "watch/match", "apply/put"]


def test_only_losses_beyond_the_tolerance_fail():
    kept = {"a": 1000, "b": 1000, "c": 1000}
    worse, notes = guard.compare(kept, {"a": 1101, "b": 1099, "c": 850})
    assert len(worse) == 1 and worse[0].startswith("a: 1,000 -> 1,101") and "+10.1 %" in worse[0], worse
    assert len(notes) == 1 and notes[0].startswith("c: "), notes
    worse, _ = guard.compare(kept, {"new": 5})
    assert len(worse) == 1 and "--update" in worse[0], worse


def test_closing_lines_of_callgrind():
    assert guard.parse_collected("==1== Events    : Ir\n==1== Collected : 12345\n") == 12345
    assert guard.parse_collected("==1== nothing\n") is None


def test_another_toolchain_is_named():
    here = {"compiler": "GCC 12.2.0", "libc6": "2.36-9+deb12u10"}
    assert guard.differences(here, {**here, "libc6": "2.36-9+deb12u11"}) == []
    assert len(guard.differences(here, {**here, "libc6": "2.41-1"})) == 1
    assert len(guard.differences(here, {**here, "compiler": "clang version 14.0.6"})) == 1


def test_counts_repeat(program):
    """Within 2 %, also where absl's hash tables and RocksDB's threads are at work."""
    first = guard.count_all(program, SAMPLE, 2)
    second = guard.count_all(program, SAMPLE, 2)
    for name in SAMPLE:
        assert abs(first[name] / second[name] - 1) < 0.02, (name, first[name], second[name])
    return first


def test_a_made_up_regression_is_caught(program, counts):
    """The figures of a better past: one case would have lost 15 %, the other nothing."""
    folder = tempfile.mkdtemp(prefix="guard-test-")
    try:
        figures = f"{folder}/instructions.json"
        with open(figures, "w") as file:
            json.dump({"toolchain": guard.toolchain(program),
                       "instructions": {"raft/commit": counts["raft/commit"] / 1.15,
                                        "watch/match": counts["watch/match"]}}, file)
        run = [sys.executable, f"{HERE}/guard.py", f"--program={program}", f"--figures={figures}",
               "--only=raft/commit,watch/match"]
        done = subprocess.run(run, capture_output=True, text=True)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "WORSE: raft/commit" in done.stdout and "(+15.0 %)" in done.stdout, done.stdout
        assert "callgrind_annotate" in done.stdout and "WORSE: watch/match" not in done.stdout, done.stdout
        # Kept as they are now, they pass.
        assert subprocess.run([*run, "--update"], capture_output=True).returncode == 0
        done = subprocess.run(run, capture_output=True, text=True)
        assert done.returncode == 0 and "none of 2 cases" in done.stdout, done.stdout + done.stderr
    finally:
        shutil.rmtree(folder)


def test_every_case_has_a_figure(program):
    with open(guard.FIGURES) as file:
        kept = json.load(file)["instructions"]
    assert sorted(kept) == sorted(name for name, _, _ in guard.list_cases(program)), sorted(kept)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    program = os.path.abspath(parser.parse_args().program)
    test_only_losses_beyond_the_tolerance_fail()
    test_closing_lines_of_callgrind()
    test_another_toolchain_is_named()
    test_every_case_has_a_figure(program)
    if shutil.which("valgrind") is None:
        print("no valgrind here: only the arithmetic was tested")
        return guard.SKIP
    test_a_made_up_regression_is_caught(program, test_counts_repeat(program))
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
