"""bench/growth: its arithmetic and curves, and every axis at a tiny scale.

    python3 growth_test.py --kvd BIN --kvbench BIN
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

from comparison import growth, multiples, report  # noqa: E402

SKIP = 77


def figures(per_second):
    return {"per_second": per_second, "cpu_us": 1e6 / per_second, "p50_ms": 0.5, "p99_ms": 12.0}


def axis(points):
    return {"points": points, "failed": []}


def test_loads_stay_within_what_a_machine_holds():
    assert growth.value_keys(16) == 10000 and growth.value_keys(2**20) == 64 and growth.value_keys(2**28) == 16
    assert growth.watch_window(1) == 64 and growth.watch_window(1000) == 64 and growth.watch_window(100000) == 1
    assert growth.spread(1000, 100) == ["--connections=100", "--streams=10"]
    assert growth.spread(1, 100) == ["--connections=1", "--streams=1"]
    assert growth.spread(10000, 10000) == ["--connections=10000", "--streams=1"]


def test_many_clients_are_given_time():
    class Session:
        duration, warmup = 3, 0.5
    assert growth.lengths(Session, 100) == (0.5, 3) and growth.lengths(Session, 10000) == (2, 5)


def test_steps_on_the_command_line():
    assert growth.parse_steps("keys=2e3,1000") == ("keys", (1000, 2000))
    for wrong in ("speed=1", "keys=x", "keys=0,5"):
        try:
            growth.parse_steps(wrong)
        except ValueError:
            continue
        raise AssertionError(wrong)


def test_scales_have_round_marks():
    assert multiples.ticks(9, 1100) == [10, 100, 1000]
    assert multiples.ticks(15, 90) == [20, 50]
    assert multiples.short(20000) == "20k" and multiples.short(1.5e6) == "1.5M" and multiples.short(0.05) == "0.05"
    assert multiples.short_step("value", 65536) == "64Ki" and multiples.short_step("keys", 65536) == "65.5k"
    low, high = multiples.bounds([100, 100])
    assert low < 50 and high > 200
    scale = multiples.Scale(1, 100, 0, 10)
    assert abs(scale(10) - 5) < 1e-9


def test_curves_and_tables_show_what_there_is():
    axes = {"keys": axis({"etcd": {"1000": {"put": figures(100), "get": figures(50)}},
                          "kvd": {"1000": {"put": figures(900)}, "4000": {"put": figures(800), "get": figures(700)}}}),
            "members": axis({})}
    root = xml.etree.ElementTree.fromstring(multiples.svg(axes, "a < b"))
    lines = list(root.iter("{http://www.w3.org/2000/svg}polyline"))
    # Four series in each of four panels; the axis without a point has empty panels.
    assert len(lines) == 4 * 4, len(lines)
    text = multiples.markdown(axes, ["note"], "bench/growth", "growth.svg")
    assert "| 1,000 | put | 100 | 900 | 9.0 | " in text, text
    assert "| 1,000 | get | 50 | - | - |" in text, text
    assert "| 4,000 | put | - | 800 | - |" in text, text


def test_sections_of_a_document_do_not_touch_each_other():
    begin, end = report.marks("growth")
    text = f"{report.BEGIN}\nkept\n{report.END}\n{begin}\nold\n{end}\n"
    assert report.put_into(text, "new", "growth") == f"{report.BEGIN}\nkept\n{report.END}\n{begin}\nnew\n{end}\n"
    with open(f"{HERE}/../docs/performance.md") as file:
        report.put_into(file.read(), "", "growth")


def test_refuses_what_it_cannot_do(kvd, kvbench):
    base = [sys.executable, f"{HERE}/growth", "--kvd", kvd, "--kvbench", kvbench]
    unknown = subprocess.run([*base, "--only", "speed"], capture_output=True, text=True)
    assert unknown.returncode == 2 and "no axis speed" in unknown.stderr, unknown.stderr
    missing = subprocess.run([*base, "--peer", "no-such-program"], capture_output=True, text=True)
    assert missing.returncode == 1 and "etcd is not there" in missing.stderr, missing.stderr


def test_tiny_run_of_every_axis(kvd, kvbench):
    folder = tempfile.mkdtemp(prefix="growth-test-")
    base = [sys.executable, f"{HERE}/growth", "--quick", "--kvd", kvd, "--kvbench", kvbench, "--duration=0.3",
            "--warmup=0.1", f"--json={folder}/out.json", f"--svg={folder}/out.svg"]
    try:
        for more in (["--only=keys,value,clients,members"], ["--only=watchers", "--steps=watchers=3"]):
            done = subprocess.run([*base, *more], capture_output=True, text=True, timeout=280)
            assert done.returncode == 0, done.stderr + done.stdout
        # The second run left the axes of the first as they were.
        with open(f"{folder}/out.json") as file:
            axes = json.load(file)["axes"]
        for name, one in growth.AXES.items():
            for step in (3,) if name == "watchers" else one.quick:
                for series in one.series:
                    for system in ("etcd", "kvd"):
                        found = growth.point(axes[name], system, step, series)
                        assert found and found["per_second"] > 0 and found["p99_ms"] >= found["p50_ms"] > 0, (
                            name, system, step, series, found)
        xml.etree.ElementTree.parse(f"{folder}/out.svg")
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kvd", required=True)
    parser.add_argument("--kvbench", required=True)
    options = parser.parse_args()
    test_loads_stay_within_what_a_machine_holds()
    test_many_clients_are_given_time()
    test_steps_on_the_command_line()
    test_scales_have_round_marks()
    test_curves_and_tables_show_what_there_is()
    test_sections_of_a_document_do_not_touch_each_other()
    if not shutil.which("etcd"):
        print("no etcd here: only the arithmetic was tested")
        return SKIP
    test_refuses_what_it_cannot_do(options.kvd, options.kvbench)
    test_tiny_run_of_every_axis(options.kvd, options.kvbench)
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
