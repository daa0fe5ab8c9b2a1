"""Rolling upgrades, and back: members of two releases in one cluster, under load.

The older release is this program told to play one that does not know compaction (KEEL_TEST_LEVEL,
kvstore/apply/level.h). With a real older kvd:

    upgrade_test.py --before-kvd PATH     # PATH: kvd of the release before

which takes three members of it to this one and back again, one by one.
"""

import os
import re
import sys
import time
import unittest
import urllib.request

import grpc
from harness import KVD, ClusterTest, Load, wait_until

BEFORE_KVD = ""
if "--before-kvd" in sys.argv:
    at = sys.argv.index("--before-kvd")
    BEFORE_KVD = os.path.abspath(sys.argv[at + 1])
    del sys.argv[at:at + 2]

# What a client may be told while a leader changes.
PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}


class Upgrade(ClusterTest):
    size = 3
    start = False

    def begin(self, program=KVD, level=None):
        for member in self.cluster.members:
            self.run_as(member, program, level)
        self.cluster.await_healthy()

    def run_as(self, member, program=KVD, level=None):
        member.program = program
        member.start(wrapper=() if level is None else ("env", f"KEEL_TEST_LEVEL={level}"))

    def replace(self, member, program=KVD, level=None):
        self.assertEqual(member.terminate(), 0)
        self.run_as(member, program, level)
        self.cluster.await_healthy([member])
        # In the cluster again, and not far behind: the next may go.
        wait_until(f"{member.name} has caught up", lambda: member.get("x").header.revision > 0, 20)

    def level(self, member):
        with urllib.request.urlopen(f"http://{member.client}/metrics", timeout=5) as answer:
            return int(re.search(r"(?m)^keel_cluster_level (\d+)", answer.read().decode()).group(1))

    def compact(self, member):
        """"" when it was done, else why not."""
        try:
            member.call("KV", "Compact", revision=member.get("x").header.revision)
            return ""
        except grpc.RpcError as error:
            return error.details()

    def check(self, load):
        load.await_progress(50)
        self.assertLessEqual({code for code, _ in load.failures}, PASSING, load.failures[-3:])

    def finish(self, load):
        load.check_nothing_missing()
        self.cluster.await_equal()

    def test_a_new_request_waits_for_the_last_member(self):
        self.begin(level=0)
        members = self.cluster.members
        refused = "etcdserver: not every member of the cluster knows this request yet"
        with Load(self.cluster, writers=4) as load:
            self.assertEqual(self.compact(members[0]), refused)
            for member in members[:-1]:
                self.replace(member, level=1)
                self.check(load)
                # By whichever member, and whoever leads.
                self.assertEqual({self.compact(each) for each in members}, {refused})
                self.assertEqual({self.level(each) for each in members}, {0})
            time.sleep(6)  # the leader has asked since; the last one is still old
            self.assertEqual({self.level(each) for each in members}, {0})
            self.replace(members[-1], level=1)
            wait_until("the level is raised", lambda: {self.level(each) for each in members} == {1}, 30)
            self.check(load)
            self.assertEqual(self.compact(members[1]), "")
            self.check(load)
        self.finish(load)
        # No way back for a member alone: it would skip what the others carry out.
        self.assertEqual(members[0].terminate(), 0)
        self.run_as(members[0], level=0)
        self.assertEqual(members[0].process.wait(20), 1)
        self.assertIn("run a newer one", members[0].log().splitlines()[-1])
        self.run_as(members[0], level=1)
        self.cluster.await_healthy()
        self.cluster.await_equal()

    def test_back_again_while_one_is_still_old(self):
        self.begin(level=0)
        first, second, _ = self.cluster.members
        with Load(self.cluster, writers=4) as load:
            for level in (1, 0):
                for member in (first, second):
                    self.replace(member, level=level)
                    self.check(load)
        self.finish(load)

    @unittest.skipUnless(BEFORE_KVD, "needs --before-kvd, the kvd of the release before")
    def test_the_release_before_and_this_one(self):
        self.begin(program=BEFORE_KVD)
        with Load(self.cluster, writers=8) as load:
            for program in (KVD, BEFORE_KVD):
                for member in self.cluster.members:
                    self.replace(member, program=program)
                    self.check(load)
                self.cluster.await_healthy()
        self.finish(load)
        print(f"{len(load.acknowledged)} writes acknowledged, none lost; {len(load.failures)} refused meanwhile",
              file=sys.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
