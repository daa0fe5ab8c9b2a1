"""A project outside the tree builds against keel::raft, both ways, and runs.

The environment says where things are (set by ctest): KEEL_SOURCE, KEEL_BUILD,
and KEEL_CXX, the compiler.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


class ConsumerTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="keel-consumer-")
        self.path = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def configure(self, *arguments):
        run("cmake", "-S", HERE, "-B", self.path / "build", "-G", "Ninja",
            "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_CXX_COMPILER={os.environ['KEEL_CXX']}",
            *arguments)

    def test_installed(self):
        prefix = self.path / "prefix"
        run("cmake", "--install", os.environ["KEEL_BUILD"], "--component", "keel_raft",
            "--prefix", prefix)
        self.configure(f"-DCMAKE_PREFIX_PATH={prefix}")
        run("cmake", "--build", self.path / "build")
        program = self.path / "build" / "consumer"
        for times in (1, 2, 3):
            self.assertEqual(run(program, self.path / "data", timeout=60).strip(), "x" * times)

    def test_as_a_subdirectory(self):
        # Configured only: building it is what the build of the tree does.
        self.configure(f"-DKEEL_SOURCE={os.environ['KEEL_SOURCE']}")
        targets = run("ninja", "-C", self.path / "build", "-t", "targets", "all")
        self.assertIn("consumer.dir/consumer.cc.o", targets)
        self.assertIn("keel_raft.dir", targets)
        for absent in ("rocksdb", "raft_core_test", "kvd"):
            self.assertNotIn(absent, targets)


if __name__ == "__main__":
    unittest.main(verbosity=2)
