"""bench/compare: its arithmetic, and a run of every kind at a tiny scale.

    python3 comparison_test.py --kvd BIN --kvbench BIN
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

from comparison import report  # noqa: E402
from comparison.rows import MEASUREMENTS, ROWS  # noqa: E402

SKIP = 77


def test_every_row_is_measured_once():
    measured = [row for m in MEASUREMENTS for row in m.rows]
    assert sorted(measured) == sorted(ROWS), set(measured) ^ set(ROWS)


def test_ratios_say_how_many_times_better():
    puts = report.Summary("put", {"etcd": [900, 1000, 5000], "kvd": [8000, 9000, 7000]})
    assert puts.ratio == 8 and puts.reached() is True
    assert puts.cells()[2] == "8,000 [7,000 - 9,000]", puts.cells()
    cpu = report.Summary("put-cpu", {"etcd": [150], "kvd": [50]})
    assert cpu.ratio == 3 and cpu.reached() is False
    restart = report.Summary("restart", {"etcd": [9.0], "kvd": [1.5]})
    assert restart.reached() is True and restart.target() == "< 2"
    alone = report.Summary("put", {"etcd": [900]})
    assert alone.ratio is None and alone.reached() is None and alone.cells()[2] == "-"


def test_document_is_changed_between_the_marks_only():
    text = f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n"
    new = report.put_into(text, "new")
    assert new == f"above\n{report.BEGIN}\nnew\n{report.END}\nbelow\n", new
    assert report.put_into(new, "new") == new
    try:
        report.put_into("no marks", "new")
    except ValueError:
        return
    raise AssertionError("a document without marks was taken")


def test_plot_is_well_formed_and_has_a_bar_for_each_ratio():
    results = {"put": {"etcd": [1000], "kvd": [12000]}, "pause": {"etcd": [10], "kvd": [40]},
               "restart": {"etcd": [1]}}
    root = xml.etree.ElementTree.fromstring(report.svg(results, "a < b & c"))
    bars = [e for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.get("fill") != "white"]
    assert len(bars) == 2, bars


def test_tiny_run(kvd, kvbench):
    folder = tempfile.mkdtemp(prefix="compare-test-")
    try:
        done = subprocess.run(
            [sys.executable, f"{HERE}/compare", "--quick", "--kvd", kvd, "--kvbench", kvbench,
             "--only", "put,memory,list,pages,pause", "--duration=0.3", "--warmup=0.1", "--keys=2000",
             "--compact-gb=0.001", f"--json={folder}/out.json", f"--svg={folder}/out.svg"],
            capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr + done.stdout
        with open(f"{folder}/out.json") as file:
            out = json.load(file)
        for row in ("put", "put-cpu", "memory", "list", "pages", "pause"):
            for system in ("etcd", "kvd"):
                assert out["results"][row][system][0] > 0, (row, system, out["results"])
        for system in ("etcd", "kvd"):
            assert out["syncs"][system]["durable_per_put"] >= 2, out["syncs"]
        xml.etree.ElementTree.parse(f"{folder}/out.svg")
        assert "1,000 clients" in done.stdout, done.stdout
    finally:
        shutil.rmtree(folder)


def test_refuses_what_it_cannot_do(kvd, kvbench):
    base = [sys.executable, f"{HERE}/compare", "--kvd", kvd, "--kvbench", kvbench]
    unknown = subprocess.run([*base, "--only", "speed"], capture_output=True, text=True)
    assert unknown.returncode == 2 and "no row speed" in unknown.stderr, unknown.stderr
    missing = subprocess.run([*base, "--peer", "no-such-program"], capture_output=True, text=True)
    assert missing.returncode == 1 and "etcd is not there" in missing.stderr, missing.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kvd", required=True)
    parser.add_argument("--kvbench", required=True)
    options = parser.parse_args()
    test_every_row_is_measured_once()
    test_ratios_say_how_many_times_better()
    test_document_is_changed_between_the_marks_only()
    test_plot_is_well_formed_and_has_a_bar_for_each_ratio()
    if not all(shutil.which(p) for p in ("etcd", "etcdctl", "strace")):
        print("no etcd, etcdctl or strace here: only the arithmetic was tested")
        return SKIP
    test_refuses_what_it_cannot_do(options.kvd, options.kvbench)
    test_tiny_run(options.kvd, options.kvbench)
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
