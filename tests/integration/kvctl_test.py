"""kvctl's verbs that need more than one answer: mirrors, checks, completion."""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import unittest

from harness import KVD, Cluster, ClusterTest, Load, wait_until

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

    def test_datascale_measures_and_cleans_up(self):
        member = self.cluster.members[0]
        kvctl = [KVCTL, "--endpoints", member.client, "check", "datascale"]
        done = subprocess.run([*kvctl, "--load", "small", "--auto-compact", "--auto-defrag"],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("Start data scale check for work load [10000 key-value pairs, 1024 bytes per key-value, "
                      "50 concurrent clients].\n", done.stdout)
        self.assertRegex(done.stdout, r"PASS: Approximate system memory used : -?\d+\.\d\d MB\.\n$")
        self.assertEqual(member.keys("/etcdctl-check-datascale/"), set())
        self.assertGreater(member.get("x").header.revision, 10000)
        done = subprocess.run([*kvctl, "--load", "huge"], capture_output=True, text=True, timeout=20)
        self.assertEqual((done.returncode, done.stderr), (4, "Error: unknown load option huge\n"))
        member.put("/etcdctl-check-datascale/x", "1")
        done = subprocess.run(kvctl, capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 3)
        self.assertIn("has keys", done.stderr)

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


class Top(ClusterTest):
    """kvctl top: rates of a cluster under load, one member of which is down; and in a terminal."""

    size = 3

    def top(self, *arguments):
        done = subprocess.run(
            [KVCTL, "--endpoints", ",".join(m.client for m in self.cluster.alive()), "top", "--once",
             "--interval", "1s", *arguments], capture_output=True, text=True, timeout=30)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_rates_and_a_member_that_is_down(self):
        leader = self.cluster.leader()
        down = self.cluster.followers()[0]
        down.kill()
        with Load(self.cluster, writers=4, prefix="/app/hot/"):
            view = json.loads(self.top("-w", "json"))
            text = self.top()
        by_name = {m["name"]: m for m in view["members"]}
        self.assertEqual(view["up"], 2)
        self.assertEqual(by_name[down.name]["role"], "down")
        self.assertTrue(by_name[down.name]["error"])
        self.assertEqual(by_name[leader.name]["role"], "leader")
        self.assertGreater(view["per_second"]["puts"], 10)
        self.assertGreater(view["per_second"]["received_bytes"], 1000)
        self.assertGreater(view["per_second"]["watch_events"], 0)  # its own sample
        self.assertGreater(by_name[leader.name]["fsync"]["p99"], 0)
        self.assertEqual(view["hot_prefixes"][0]["prefix"], "/app/hot/")
        self.assertAlmostEqual(view["hot_prefixes"][0]["share"], 1.0)
        self.assertIn("2 of 3 members up", text)
        self.assertRegex(text, rf"(?m)^{down.name} +down")
        self.assertRegex(text, r"(?m)^/app/hot/ ")

    def test_the_screen_follows_its_size_and_q_ends_it(self):
        terminal, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        top = subprocess.Popen([KVCTL, "--endpoints", self.cluster.members[0].client, "top", "--interval", "300ms"],
                               stdin=other, stdout=other, stderr=subprocess.PIPE)
        try:
            self.shown = b""

            def shows(text, count=1):
                while select.select([terminal], [], [], 0)[0]:
                    self.shown += os.read(terminal, 65536)
                return self.shown.count(text) >= count
            wait_until("it draws", lambda: shows(b"3 of 3 members up", 2), 20)
            wide = max(len(line) for line in self.shown.replace(b"\x1b[K", b"").split(b"\n"))
            self.assertLessEqual(wide, 80 + len(b"\x1b[?1049h\x1b[?25l\x1b[H\r"))
            fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
            wait_until("the wide columns", lambda: shows(b"COMMIT p50/p99"), 20)
            os.write(terminal, b"q")
            self.assertEqual(top.wait(10), 0)
            wait_until("the screen is given back", lambda: shows(b"\x1b[?25h\x1b[?1049l"), 5)
        finally:
            if top.poll() is None:
                top.kill()
                top.wait()
            top.stderr.close()
            os.close(terminal)
            os.close(other)

    def test_without_a_terminal_it_says_what_to_do(self):
        done = subprocess.run([KVCTL, "--endpoints", self.cluster.members[0].client, "top"],
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 4)
        self.assertIn("--once", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
