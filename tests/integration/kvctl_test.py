"""kvctl's verbs that need more than one answer: mirrors, checks, completion."""

import os
import subprocess
import unittest

from harness import KVD, Cluster, ClusterTest, wait_until

KVCTL = os.environ.get("KEEL_KVCTL", os.path.join(os.path.dirname(KVD), "kvctl"))


class Verbs(ClusterTest):
    size = 1

    def test_a_mirror_copies_and_follows(self):
        source = self.cluster.members[0]
        for i in range(2500):
            source.put(f"app/{i:04d}", str(i))
        source.put("other", "x")
        there = Cluster(1)
        try:
            there.start()
            mirror = subprocess.Popen(
                [KVCTL, "--endpoints", source.client, "make-mirror", "--prefix", "app/",
                 "--dest-prefix", "copy/", there.members[0].client],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            try:
                copy = there.members[0]
                wait_until("all are there", lambda: len(copy.keys("copy/")) == 2500)
                self.assertEqual(copy.value("copy/0042"), b"42")
                source.call("KV", "DeleteRange", key=b"app/0001")
                source.put("app/0002", "new")
                source.put("app/last", "x")
                wait_until("it follows", lambda: copy.value("copy/last") == b"x")
                self.assertIsNone(copy.value("copy/0001"))
                self.assertEqual(copy.value("copy/0002"), b"new")
                self.assertIsNone(copy.value("other"))
            finally:
                mirror.terminate()
                mirror.wait(10)
                mirror.stderr.close()
        finally:
            there.stop()

    def test_a_check_wants_its_prefix_for_itself(self):
        member = self.cluster.members[0]
        member.put("/etcdctl-check-perf/x", "1")
        done = subprocess.run([KVCTL, "--endpoints", member.client, "check", "perf"],
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 3)
        self.assertIn("has keys", done.stderr)
        self.assertEqual(member.value("/etcdctl-check-perf/x"), b"1")

    def test_bash_completes_verbs_and_flags(self):
        script = subprocess.run([KVCTL, "completion", "bash"], capture_output=True, text=True, timeout=20).stdout

        def complete(*words):
            run = subprocess.run(
                ["bash", "-c", script + '\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kvctl; echo "${COMPREPLY[*]}"',
                 "bash", *words], capture_output=True, text=True, timeout=20)
            return run.stdout.split()
        self.assertEqual(complete("kvctl", "snap"), ["snapshot"])
        self.assertEqual(set(complete("kvctl", "snapshot", "")) & {"save", "status", "restore"},
                         {"save", "status", "restore"})
        self.assertEqual(complete("kvctl", "snapshot", "restore", "--mark"), ["--mark-compacted"])
        self.assertEqual(complete("kvctl", "member", "list", "--write"), ["--write-out"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
